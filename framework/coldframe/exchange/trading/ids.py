"""Order ids: 12 digits for most contracts, 19 for a few, as on the exchange (protocol.md 6.5).

Two sequences grow across restarts. Both begin at the clock and never below what the store has seen: neither a lost store nor a
clock that was set back may give an id twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

#: The exchange's long ids begin with these digits; a double holds no number of that length exactly.
_FIRST_LONG: Final = 8_389_000_000_000_000_000
_LONG_PER_MS: Final = 100
#: Short ids have 12 digits and count milliseconds since 2020: room for 28 years.
_FIRST_SHORT: Final = 100_000_000_000
_SHORT_ROOM: Final = 900_000_000_000
_EPOCH_MS: Final = 1_577_836_800_000


class OrderIds:
    """The next order id of each contract. `known` are the ids that were given before this start."""

    def __init__(self, long_symbols: Iterable[str], known: Iterable[int], start_ms: int) -> None:
        self._long_symbols = frozenset(long_symbols)
        ids = list(known)
        self._long = max([_FIRST_LONG + start_ms * _LONG_PER_MS, *(number for number in ids if number >= _FIRST_LONG)])
        short = _FIRST_SHORT + (start_ms - _EPOCH_MS) % _SHORT_ROOM
        self._short = max([short, *(number for number in ids if number < _FIRST_LONG)])

    def next(self, symbol: str) -> int:
        """The id of a new order of `symbol`."""
        if symbol in self._long_symbols:
            self._long += 1
            return self._long
        self._short += 1
        return self._short
