"""A list of contracts as it is read again during a run."""

from __future__ import annotations

import pytest

from coldframe.core.strategies.contract_refresh import rows_of
from coldframe.errors import DecodeError
from coldframe.exchange.contracts import contract
from coldframe.exchange.synthetic_symbols import SYNTHETIC_SYMBOLS
from coldframe.wire.codec import encode


def test_only_own_rows_are_read_and_a_non_list_is_a_decode_error() -> None:
    """The row of a symbol that is not traded may look as it likes; a traded symbol's may not."""
    ours = contract(SYNTHETIC_SYMBOLS[0].listing).info
    assert ours.symbol == "BTCUSDT"
    broken = {"symbol": "ETHUSDT", "filters": 5}
    body = encode({"serverTime": 1, "rateLimits": [], "symbols": [broken, ours]})
    assert rows_of(body, {"BTCUSDT"}) == [ours]
    for symbols, text in (({"ETHUSDT"}, body), ({"BTCUSDT"}, b"{}"), ({"BTCUSDT"}, b'{"symbols":[5]}'), ({"BTCUSDT"}, b"\xff")):
        with pytest.raises(DecodeError):
            rows_of(text, symbols)
