"""What may still be sent, counted as the venue counts it: weight per address, orders per account, bans.

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

from coldframe.enums import RateLimitType
from coldframe.wire.reference import RateLimit

#: How far the server's boundaries may lie from ours: its clock differs a little, and what we send takes its time.
BOUNDARY_SLACK_MS: Final = 250
#: The part of every limit that stays unused while the venue does not say what it has counted.
BLIND_PERCENT: Final = 20
#: The part of every limit that only cancels and reconciliation may use.
RESERVED_SHARE_PERCENT: Final = 20

_UNIT_MS: Final = {"SECOND": 1_000, "MINUTE": 60_000, "HOUR": 3_600_000, "DAY": 86_400_000}


class Priority(Enum):
    """NEW_RISK leaves the reserved share alone; NEEDED (cancels, queries, sessions) may use it."""

    NEW_RISK = "new risk"
    NEEDED = "needed"


@attrs.define
class _Spent:
    """What was spent and when, oldest first, with its sum."""

    entries: deque[tuple[int, int]] = attrs.field(factory=deque)
    total: int = 0

    def add(self, at_ms: int, amount: int) -> None:
        self.entries.append((at_ms, amount))
        self.total += amount

    def add_first(self, at_ms: int, amount: int) -> None:
        """Adds what was spent before everything that is remembered."""
        self.entries.appendleft((at_ms, amount))
        self.total += amount

    def forget(self, until_ms: int) -> None:
        """Forgets everything up to and including that time."""
        while self.entries and self.entries[0][0] <= until_ms:
            self.total -= self.entries.popleft()[1]

    def falls_at(self, excess: int) -> int:
        """When the oldest entries were spent that make up `excess` together; never, if that is more than all of them."""
        for at_ms, amount in self.entries:
            excess -= amount
            if excess <= 0:
                return at_ms
        return self.entries[-1][0] if self.entries else 0


@attrs.define
class LimitWindow:
    """One limit: so much per `length_ms`, counted from the server's full intervals, and if `sliding` over any such stretch.

    Near a boundary the server may still be in the old interval or already in the new one: what was spent just before it counts
    in both, and until it has certainly passed the old interval counts as well.
    """

    kind: RateLimitType
    length_ms: int
    limit: int
    sliding: bool
    peak: int = 0
    #: The venue has answered without saying what it has counted: ours is the only count, and keeps a margin.
    blind: bool = False
    _interval: _Spent = attrs.field(factory=_Spent)
    _stretch: _Spent = attrs.field(factory=_Spent)

    def used(self, now_ms: int) -> int:
        """What counts against the limit at `now_ms`."""
        self._interval.forget(self._start_ms(now_ms) - BOUNDARY_SLACK_MS)
        if not self.sliding:
            return self._interval.total
        self._stretch.forget(now_ms - self.length_ms)
        return max(self._interval.total, self._stretch.total)

    def fits(self, amount: int, now_ms: int, priority: Priority) -> bool:
        """Whether `amount` more may be spent now."""
        return self.used(now_ms) + amount <= self._allowed(priority)

    def spend(self, amount: int, now_ms: int) -> None:
        self._interval.add(now_ms, amount)
        if self.sliding:
            self._stretch.add(now_ms, amount)
        self.peak = max(self.peak, self.used(now_ms))

    def adopt(self, count: int, now_ms: int) -> None:
        """The server counts `count` in its current interval: never believe less than that."""
        self.blind = False
        self.used(now_ms)
        others = count - self._interval.total
        if others > 0:
            # Just behind a boundary the answer speaks of the old interval, and is forgotten with it.
            self._interval.add_first(self._start_ms(now_ms), others)
            self.peak = max(self.peak, self._interval.total)

    def free_at_ms(self, amount: int, now_ms: int, priority: Priority) -> int:
        """The earliest time at which `amount` may fit; never before `now_ms`."""
        if self.fits(amount, now_ms, priority):
            return now_ms
        allowed, at_ms = self._allowed(priority), now_ms + 1
        if self._interval.total + amount > allowed:
            at_ms = self._start_ms(now_ms) + self.length_ms + BOUNDARY_SLACK_MS
        if self.sliding and self._stretch.total + amount > allowed:
            at_ms = max(at_ms, self._stretch.falls_at(self._stretch.total + amount - allowed) + self.length_ms)
        return at_ms

    def _allowed(self, priority: Priority) -> int:
        usable = self.limit - (self.limit * BLIND_PERCENT // 100 if self.blind else 0)
        reserved = usable * RESERVED_SHARE_PERCENT // 100
        return usable - reserved if priority is Priority.NEW_RISK else usable

    def _unsure(self, now_ms: int) -> bool:
        """Whether the server may still be in the interval before."""
        return now_ms % self.length_ms < BOUNDARY_SLACK_MS

    def _start_ms(self, now_ms: int) -> int:
        """The beginning of the server's interval; of the one before, while it may still be in that."""
        start = now_ms - now_ms % self.length_ms
        return start - self.length_ms if self._unsure(now_ms) else start


@attrs.define
class RateLimits:
    """All limits of one address and account together."""

    weight: LimitWindow = attrs.field(factory=lambda: LimitWindow(RateLimitType.REQUEST_WEIGHT, 60_000, 2400, sliding=False))
    orders_10s: LimitWindow = attrs.field(factory=lambda: LimitWindow(RateLimitType.ORDERS, 10_000, 300, sliding=True))
    orders_1m: LimitWindow = attrs.field(factory=lambda: LimitWindow(RateLimitType.ORDERS, 60_000, 1200, sliding=True))
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
        """Takes over counts and limits in an answer of the WebSocket API; one without any leaves us alone with our own count."""
        rows = tuple(rows)
        self.adopt_limits(rows)
        counted = [(window, row.count) for row in rows if (window := self._window(row)) and isinstance(row.count, int)]
        for window, count in counted:
            window.adopt(count, now_ms)
        if not counted:
            self.uncounted(self.weight, self.orders_10s, self.orders_1m)

    def adopt_weight(self, used: int | None, now_ms: int) -> None:
        """Takes over the server's weight of this minute from a header; None where there is no such header."""
        if used is None:
            self.uncounted(self.weight)
        else:
            self.weight.adopt(used, now_ms)

    def uncounted(self, *windows: LimitWindow) -> None:
        """The venue has answered and not said what it counts in these."""
        for window in windows:
            window.blind = True

    def adopt_limits(self, rows: Iterable[RateLimit]) -> None:
        """Takes over the limits of an exchangeInfo, or of any answer that names them."""
        for row in rows:
            window = self._window(row)
            if window is not None and row.limit > 0:
                window.limit = row.limit

    def ban(self, until_ms: int) -> None:
        """The venue has sent us away (429, 418): a ban is never shortened."""
        self.banned_until_ms = max(self.banned_until_ms, until_ms)

    def _window(self, row: RateLimit) -> LimitWindow | None:
        length_ms = _UNIT_MS.get(row.interval, 0) * row.interval_num
        for window in (self.weight, self.orders_10s, self.orders_1m):
            if window.kind is row.rate_limit_type and window.length_ms == length_ms:
                return window
        return None
