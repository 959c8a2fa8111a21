"""Order ids: which contracts have long ones, and that none is ever given twice."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.trading.ids import OrderIds
from coldframe.exchange_server.account_file import FileAccountStore
from tests.exchange.rig import START_MS, Rig, symbol_market

#: The greatest whole number up to which a double holds all of them.
DOUBLE = 2**53


def placed_ids(rig: Rig, symbol: str, count: int = 3) -> list[int]:
    return [rig.place("BUY", "0.01", "900.0", symbol=symbol)["orderId"] for _ in range(count)]  # type: ignore[index]


def both(**settings: object) -> Rig:
    return Rig(symbol_market("BTCUSDT"), symbol_market("ETHUSDT"), **settings)


def test_ordinary_ids_have_12_digits_and_those_of_eth_19() -> None:
    rig = both()
    assert {len(str(order_id)) for order_id in placed_ids(rig, "BTCUSDT")} == {12}
    assert {len(str(order_id)) for order_id in placed_ids(rig, "ETHUSDT")} == {19}


@pytest.mark.parametrize(("long_ids", "lengths"), [([], (12, 12)), (["BTCUSDT"], (19, 12)), (["BTCUSDT", "ETHUSDT"], (19, 19))])
def test_which_contracts_have_long_ids_can_be_set(long_ids: list[str], lengths: tuple[int, int]) -> None:
    rig = both(long_ids=long_ids)
    found = [len(str(placed_ids(rig, symbol, 1)[0])) for symbol in ("BTCUSDT", "ETHUSDT")]
    assert tuple(found) == lengths


def test_clock_set_back_repeats_no_id_while_the_store_exists(tmp_path: Path) -> None:
    store = FileAccountStore(tmp_path)
    first = both(store=store)
    before = {symbol: placed_ids(first, symbol) for symbol in ("BTCUSDT", "ETHUSDT")}
    first.exchange.store.commit()
    store.close()
    second = both(store=FileAccountStore(tmp_path))  # the rig's clock stands where it stood
    for symbol, ids in before.items():
        assert min(placed_ids(second, symbol)) > max(ids)


@given(
    st.lists(
        st.tuples(st.integers(0, 4_000_000_000_000), st.lists(st.sampled_from(["BTCUSDT", "ETHUSDT"]), max_size=20)), max_size=5
    )
)
def test_ids_grow_over_restarts_whatever_the_clock_says(runs: list[tuple[int, list[str]]]) -> None:
    known: list[int] = []
    for start_ms, symbols in runs:
        ids = OrderIds(["ETHUSDT"], known, start_ms)
        for symbol in symbols:
            order_id = ids.next(symbol)
            assert all(order_id > other for other in known if (other > DOUBLE) == (order_id > DOUBLE))
            assert (order_id > DOUBLE) is (symbol == "ETHUSDT")
            known.append(order_id)


def test_ids_begin_at_the_clock_without_an_account_file() -> None:
    early, late = (OrderIds(["ETHUSDT"], (), START_MS + shift) for shift in (0, 1000))
    assert late.next("BTCUSDT") > early.next("BTCUSDT") + 900
    assert late.next("ETHUSDT") > early.next("ETHUSDT") + 900
