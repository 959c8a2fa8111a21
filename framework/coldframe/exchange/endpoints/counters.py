"""Budgets as the exchange keeps them: request weight per address and UTC minute, orders per account in two windows, bans.

A refused call costs its weight too. Going on when the weight is used up earns a ban (protocol.md 6.2, 6.3).
"""

from __future__ import annotations

from typing import Final

import attrs

from coldframe.enums import RateLimitType
from coldframe.exchange.refusals import refuse
from coldframe.exchange.settings import VenueLimits
from coldframe.wire.codes import CODES
from coldframe.wire.reference import RateLimit
from coldframe.wire.requests import Fault
from coldframe.wire.weights import Pool

_MINUTE_MS: Final = 60_000
_TEN_S_MS: Final = 10_000
_FIVE_MINUTES_MS: Final = 300_000
#: Calls per five minutes and address of the budgets beside the request weight (protocol.md 6.3).
_POOL_LIMITS: Final = {Pool.FUNDING: 500, Pool.DATA: 1000}
#: How long the first ban lasts; and how far beyond the limit, as a part of it, a client has to go to earn it.
_BAN_MS: Final = 120_000
_PATIENCE: Final = 2


@attrs.frozen
class Blocked:
    """Why a call is not even looked at: status, code and text, and when to come again."""

    status: int
    fault: Fault
    retry_after_s: int


class CounterWindow:
    """A count that begins anew on every whole multiple of its length."""

    def __init__(self, length_ms: int) -> None:
        self._length_ms = length_ms
        self._began_ms = 0
        self._count = 0

    def add(self, amount: int, now_ms: int) -> int:
        """Counts `amount`. Gives the new count."""
        self._count = self.count(now_ms) + amount
        return self._count

    def count(self, now_ms: int) -> int:
        """The count of the running window."""
        began = now_ms // self._length_ms * self._length_ms
        if began != self._began_ms:
            self._began_ms, self._count = began, 0
        return self._count

    def left_s(self, now_ms: int) -> int:
        """Seconds until the window ends, rounded up."""
        return -(-(self._length_ms - now_ms % self._length_ms) // 1000)


@attrs.define(eq=False)
class OrderCounts:
    """The two order windows of one account."""

    ten_s: CounterWindow = attrs.field(factory=lambda: CounterWindow(_TEN_S_MS))
    minute: CounterWindow = attrs.field(factory=lambda: CounterWindow(_MINUTE_MS))


class Counters:
    """All budgets of the venue. Every client runs on this machine, so there is one address."""

    def __init__(self, limits: VenueLimits, banned_until_ms: int = 0) -> None:
        self.limits = limits
        self._banned_until_ms = banned_until_ms
        self._banned_status = 418
        self._weight = CounterWindow(_MINUTE_MS)
        self._pools = {pool: CounterWindow(_FIVE_MINUTES_MS) for pool in _POOL_LIMITS}
        self._orders: dict[str, OrderCounts] = {}

    # -- weight -------------------------------------------------------------------------------------------------------

    def used_weight(self, now_ms: int) -> int:
        return self._weight.count(now_ms)

    def charge(self, pool: Pool, weight: int, now_ms: int) -> Blocked | None:
        """Counts a call's weight. Gives the reason when the call may not be answered."""
        banned = self.banned(now_ms)
        if banned:
            return banned
        if pool in self._pools:
            window, most = self._pools[pool], _POOL_LIMITS[pool]
            return self._too_many(window, most, now_ms) if window.add(weight, now_ms) > most else None
        used, limit = self._weight.add(weight, now_ms), self.limits.weight_1m
        if weight and used > limit + limit // _PATIENCE:
            self.block(418, now_ms + _BAN_MS)
            return self.banned(now_ms)
        return self._too_many(self._weight, limit, now_ms) if weight and used > limit else None

    def block(self, status: int, until_ms: int) -> None:
        """Refuses every request until then: with 418, a ban, or with 429."""
        self._banned_status, self._banned_until_ms = status, until_ms

    def banned(self, now_ms: int) -> Blocked | None:
        """The ban that runs, if one does."""
        if now_ms >= self._banned_until_ms:
            return None
        wait_s = -(-(self._banned_until_ms - now_ms) // 1000)
        if self._banned_status == 429:
            return Blocked(429, refuse(-1003, self.limits.weight_1m), wait_s)
        text = CODES[-1003].text(self._banned_until_ms, variant=1)
        return Blocked(418, Fault(-1003, text), wait_s)

    def _too_many(self, window: CounterWindow, limit: int, now_ms: int) -> Blocked:
        return Blocked(429, refuse(-1003, limit), window.left_s(now_ms))

    # -- orders -------------------------------------------------------------------------------------------------------

    def order_counts(self, account: str, now_ms: int) -> tuple[int, int]:
        """Orders of an account in the running 10 seconds and in the running minute."""
        counts = self._of(account)
        return counts.ten_s.count(now_ms), counts.minute.count(now_ms)

    def charge_orders(self, account: str, ten_s: int, minute: int, now_ms: int) -> Blocked | None:
        """Counts orders of an account. Gives the reason when they are too many; those are not counted."""
        counts = self._of(account)
        if counts.ten_s.count(now_ms) + ten_s > self.limits.orders_10s:
            return Blocked(429, refuse(-1015, self.limits.orders_10s, "10 SECOND"), counts.ten_s.left_s(now_ms))
        if counts.minute.count(now_ms) + minute > self.limits.orders_1m:
            return Blocked(429, refuse(-1015, self.limits.orders_1m, "MINUTE"), counts.minute.left_s(now_ms))
        counts.ten_s.add(ten_s, now_ms)
        counts.minute.add(minute, now_ms)
        return None

    def _of(self, account: str) -> OrderCounts:
        return self._orders.setdefault(account, OrderCounts())

    # -- as answers print them -----------------------------------------------------------------------------------------

    def listed(self) -> list[RateLimit]:
        """The limits, as exchangeInfo lists them."""
        limits = self.limits
        return [
            _limit(RateLimitType.REQUEST_WEIGHT, "MINUTE", 1, limits.weight_1m),
            _limit(RateLimitType.ORDERS, "MINUTE", 1, limits.orders_1m),
            _limit(RateLimitType.ORDERS, "SECOND", 10, limits.orders_10s),
        ]

    def order_limits(self) -> list[RateLimit]:
        """The limits on orders alone."""
        return [row for row in reversed(self.listed()) if row.rate_limit_type is RateLimitType.ORDERS]

    def weight_row(self, now_ms: int) -> RateLimit:
        """Weight used so far, as answers of the WebSocket API carry it."""
        return _limit(RateLimitType.REQUEST_WEIGHT, "MINUTE", 1, self.limits.weight_1m, self.used_weight(now_ms))

    def order_rows(self, account: str, now_ms: int) -> list[RateLimit]:
        """Orders counted so far, as answers of the WebSocket API carry them."""
        ten_s, minute = self.order_counts(account, now_ms)
        return [
            _limit(RateLimitType.ORDERS, "SECOND", 10, self.limits.orders_10s, ten_s),
            _limit(RateLimitType.ORDERS, "MINUTE", 1, self.limits.orders_1m, minute),
        ]


def _limit(kind: RateLimitType, interval: str, number: int, limit: int, count: int | None = None) -> RateLimit:
    if count is None:
        return RateLimit(rate_limit_type=kind, interval=interval, interval_num=number, limit=limit)
    return RateLimit(rate_limit_type=kind, interval=interval, interval_num=number, limit=limit, count=count)
