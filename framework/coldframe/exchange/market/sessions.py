"""The trading sessions of the markets on which the underlyings of TradFi contracts trade (protocol.md 5 and 6.4).

Sessions are those of a UTC day, from Monday to Friday, and a session that goes on over midnight is one; or they alternate, open and
closed, every so many seconds, so that a close can be rehearsed.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from coldframe.wire.streams import TradingSession

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
CLOSED: Final = "NO_TRADING"
_OPEN: Final = "REGULAR"
#: How many sessions a schedule of alternating ones lists; and how many days another one does: a week each way from yesterday on.
_LISTED: Final = 20
_DAYS: Final = range(-8, 7)
#: The first day of the epoch was a Thursday.
_FIRST_WEEKDAY, _SATURDAY = 3, 5

#: Event name, name in the schedule, and the sessions of a weekday in hours of the UTC day: (from, to, session).
_MARKETS: Final[tuple[tuple[str, str, tuple[tuple[int, int, str], ...]], ...]] = (
    (
        "EquityUpdate",
        "EQUITY",
        ((0, 9, "OVERNIGHT"), (9, 14, "PRE_MARKET"), (14, 21, _OPEN), (21, 24, "AFTER_MARKET")),
    ),
    ("CommodityUpdate", "COMMODITY", ((0, 22, _OPEN), (22, 23, CLOSED), (23, 24, _OPEN))),
    ("KR_EquityUpdate", "KR_EQUITY", ((0, 7, _OPEN), (7, 24, CLOSED))),
    ("HK_EquityUpdate", "HK_EQUITY", ((0, 1, CLOSED), (1, 8, _OPEN), (8, 24, CLOSED))),
    ("CN_EquityUpdate", "CN_EQUITY", ((0, 1, CLOSED), (1, 7, _OPEN), (7, 24, CLOSED))),
    ("FXUpdate", "FX", ((0, 21, _OPEN), (21, 22, CLOSED), (22, 24, _OPEN))),
)
_WEEKEND: Final = ((0, 24, CLOSED),)

#: A session: start and end in epoch milliseconds, and its name.
Row = tuple[int, int, str]


@attrs.frozen
class Calendar:
    """When the markets are open. With `session_s` all of them open and close in turn, each for so many seconds."""

    session_s: int = 0

    def schedule(self, now_ms: int) -> dict[str, list[Row]]:
        """The sessions by market: a week each way from the day before, or the running and the next ones where they alternate."""
        return {market: self._rows(rows, now_ms) for _, market, rows in _MARKETS}

    def running(self, now_ms: int) -> list[TradingSession]:
        """The running session of every market, as its stream prints it."""
        return [
            TradingSession(event=event, event_ms=now_ms, start_ms=start, end_ms=end, session=session)
            for event, _, rows in _MARKETS
            for start, end, session in self._rows(rows, now_ms)
            if start <= now_ms < end
        ]

    def open(self, market: object, now_ms: int) -> bool:
        """Whether a market trades; one without sessions always does."""
        for start, end, session in self.schedule(now_ms).get(str(market), ()):
            if start <= now_ms < end:
                return session != CLOSED
        return True

    def _rows(self, rows: tuple[tuple[int, int, str], ...], now_ms: int) -> list[Row]:
        if self.session_s:
            length_ms = self.session_s * 1000
            first = now_ms // length_ms
            numbers = range(first, first + _LISTED)
            return [(number * length_ms, (number + 1) * length_ms, CLOSED if number % 2 else _OPEN) for number in numbers]
        today = now_ms // _DAY_MS
        return _merged(row for number in _DAYS for row in _day(rows, today + number))


def _day(rows: Iterable[tuple[int, int, str]], number: int) -> list[Row]:
    """The sessions of one day, counted from the epoch."""
    weekend = (number + _FIRST_WEEKDAY) % 7 >= _SATURDAY
    start_ms = number * _DAY_MS
    return [(start_ms + start * _HOUR_MS, start_ms + end * _HOUR_MS, name) for start, end, name in (_WEEKEND if weekend else rows)]


def _merged(rows: Iterable[Row]) -> list[Row]:
    """The same sessions, those of one name that follow each other as one."""
    merged: list[Row] = []
    for start, end, name in rows:
        if merged and merged[-1][1:] == (start, name):
            merged[-1] = (merged[-1][0], end, name)
        else:
            merged.append((start, end, name))
    return merged
