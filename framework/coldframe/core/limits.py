"""The one ledger of what we may still send: weight per address, orders per account, bans.

It reserves before anything is sent and adopts the server's counts when they are higher, so that other users of the address are
tolerated. Weight is counted per UTC minute, as the venue does; orders against the fixed window and the sliding one, so that no
burst over a boundary can exceed either (faults.md R1 to R7). A share is kept back for cancels and reconciliation.
All times are the venue's, in epoch milliseconds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import Enum
from typing import Final

import attrs

from coldframe.terms import RateLimitType
from coldframe.wire.reference import RateLimit

#: What is sent this close to a window's end may be counted in the next one by a server whose clock differs a little.
BOUNDARY_SLACK_MS: Final = 250
#: The part of every limit that only cancels and reconciliation may use.
RESERVED_SHARE_PERCENT: Final = 20

_UNIT_MS: Final = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


class Priority(Enum):
    """NEW_RISK leaves the reserved share alone; NEEDED (cancels, queries, sessions) may use it."""

    NEW_RISK = "new risk"
    NEEDED = "needed"


@attrs.define
class Window:
    """One limit: so much per `length_ms`, counted from the server's full intervals, and if `sliding` over any such stretch."""

    kind: RateLimitType
    length_ms: int
    limit: int
    sliding: bool
    peak: int = 0
    _start_ms: int = 0
    _used: int = 0
    _spent: deque[tuple[int, int]] = attrs.field(factory=deque)
    _spent_total: int = 0

    def used(self, now_ms: int) -> int:
        """What counts against the limit at `now_ms`."""
        self._roll(now_ms)
        return max(self._used, self._spent_total) if self.sliding else self._used

    def fits(self, amount: int, now_ms: int, priority: Priority) -> bool:
        """Whether `amount` more may be spent now."""
        limit = self.limit
        if priority is Priority.NEW_RISK:
            limit -= limit * RESERVED_SHARE_PERCENT // 100
        return self.used(now_ms) + amount <= limit

    def spend(self, amount: int, now_ms: int) -> None:
        self._roll(now_ms)
        self._used += amount
        self._spent.append((now_ms, amount))
        self._spent_total += amount
        self.peak = max(self.peak, self.used(now_ms))

    def adopt(self, count: int, now_ms: int) -> None:
        """The server counts `count` in its current window: never believe less than that."""
        self._roll(now_ms)
        self._used = max(self._used, count)
        self.peak = max(self.peak, self._used)

    def free_at_ms(self, amount: int, now_ms: int, priority: Priority) -> int:
        """The earliest time at which `amount` may fit; never before `now_ms`."""
        if self.fits(amount, now_ms, priority):
            return now_ms
        window_end = self._start_ms + self.length_ms
        if not self.sliding or not self._spent:
            return window_end
        return max(window_end if self._used + amount > self.limit else now_ms, self._spent[0][0] + self.length_ms)

    def _roll(self, now_ms: int) -> None:
        """Begins a new window when its time has come; what was spent just before the boundary stays counted."""
        start = now_ms - now_ms % self.length_ms
        if start > self._start_ms:
            close = [(at, amount) for at, amount in self._spent if at > start - BOUNDARY_SLACK_MS]
            self._start_ms, self._used = start, sum(amount for _, amount in close)
        horizon = now_ms - self.length_ms if self.sliding else start - BOUNDARY_SLACK_MS
        while self._spent and self._spent[0][0] <= horizon:
            self._spent_total -= self._spent.popleft()[1]


@attrs.define
class Ledger:
    """All limits of one address and account together."""

    weight: Window = attrs.field(factory=lambda: Window(RateLimitType.REQUEST_WEIGHT, 60_000, 2400, sliding=False))
    orders_10s: Window = attrs.field(factory=lambda: Window(RateLimitType.ORDERS, 10_000, 300, sliding=True))
    orders_1m: Window = attrs.field(factory=lambda: Window(RateLimitType.ORDERS, 60_000, 1200, sliding=True))
    #: Until when not a byte may be sent; 0 when we are welcome.
    banned_until_ms: int = 0

    def reserve(self, weight: int, orders_10s: int, orders_1m: int, now_ms: int, priority: Priority) -> int:
        """Reserves the cost of one call, all or nothing. Returns 0, or the earliest time at which it may be tried again."""
        if now_ms < self.banned_until_ms:
            return self.banned_until_ms
        parts = ((self.weight, weight), (self.orders_10s, orders_10s), (self.orders_1m, orders_1m))
        late = [window.free_at_ms(amount, now_ms, priority) for window, amount in parts if amount]
        if any(at > now_ms for at in late):
            return max(late)
        for window, amount in parts:
            if amount:
                window.spend(amount, now_ms)
        return 0

    def adopt_rows(self, rows: Iterable[RateLimit], now_ms: int) -> None:
        """Takes over the counts in an answer of the WebSocket API."""
        for row in rows:
            window = self._window(row)
            if window is not None and isinstance(row.count, int):
                window.adopt(row.count, now_ms)

    def adopt_weight(self, used: int, now_ms: int) -> None:
        """Takes over the server's weight of this minute from a header."""
        self.weight.adopt(used, now_ms)

    def adopt_limits(self, rows: Iterable[RateLimit]) -> None:
        """Takes over the limits of an exchangeInfo."""
        for row in rows:
            window = self._window(row)
            if window is not None and row.limit > 0:
                window.limit = row.limit

    def ban(self, until_ms: int) -> None:
        """The venue has sent us away (429, 418): a ban is never shortened."""
        self.banned_until_ms = max(self.banned_until_ms, until_ms)

    def _window(self, row: RateLimit) -> Window | None:
        length_ms = _UNIT_MS.get(row.interval, 0) * row.interval_num
        for window in (self.weight, self.orders_10s, self.orders_1m):
            if window.kind is row.rate_limit_type and window.length_ms == length_ms:
                return window
        return None
