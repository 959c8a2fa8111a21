"""Strategies that trade as busily as their budgets allow, so that every way an order can go is gone often."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from coldframe import Amend, Cancel, Intent, OrderType, Place, Quote, Quotes, Side, Started, Target, View, WakeMe, Woken, hookimpl


@attrs.frozen
class Params:
    size: Decimal
    every_ms: int = 200


class _Busy:
    """Turns every so many milliseconds; what a turn does is up to the strategy."""

    Params = Params

    def __init__(self, params: Params) -> None:
        self.params = params
        self.turns = 0

    @hookimpl
    def on_start(self, event: Started, view: View) -> WakeMe:
        return WakeMe(self.params.every_ms, "turn")

    @hookimpl
    def on_wake(self, event: Woken, view: View) -> list[Intent]:
        self.turns += 1
        return [WakeMe(self.params.every_ms, "turn"), *self.turn(view, view.symbols[0])]

    def turn(self, view: View, symbol: str) -> Iterator[Intent]:
        raise NotImplementedError

    def price(self, view: View, symbol: str, side: Side, bps: int) -> Decimal | None:
        """A price so many basis points away from the middle, on the passive side."""
        mid, rules = view.book(symbol).mid, view.instrument(symbol)
        if mid is None:
            return None
        away = mid * bps / 10_000
        return rules.price_down(mid - away) if side is Side.BUY else rules.price_up(mid + away)


class Quoter(_Busy):
    """Quotes two levels on either side, nearer and farther in turn: amendments, fills of makers, fills during a cancel."""

    def turn(self, view: View, symbol: str) -> Iterator[Intent]:
        near = (0, 1, 3)[self.turns % 3]
        bids = [self.price(view, symbol, Side.BUY, near + more) for more in (0, 6)]
        asks = [self.price(view, symbol, Side.SELL, near + more) for more in (0, 6)]
        lots = view.position(symbol) / self.params.size
        if lots >= 4:
            bids = []
        if lots <= -4:
            asks = []
        if self.turns % 10 == 9:
            yield Quotes(symbol)
        elif None not in bids + asks:
            yield Quotes(symbol, bids=self._quotes(bids), asks=self._quotes(asks))

    def _quotes(self, prices: list[Decimal | None]) -> list[Quote]:
        return [Quote(price, self.params.size) for price in prices if price is not None]


class Swinger(_Busy):
    """Wants to be long and short in turn: takers' fills, partial ones too, and orders that expire."""

    def turn(self, view: View, symbol: str) -> Iterator[Intent]:
        if self.turns % 3 == 0:
            sign = 1 if self.turns % 2 else -1
            yield Target(symbol, sign * self.params.size)


class Hand(_Busy):
    """Places, amends and cancels single orders, as a trader at a keyboard would."""

    def turn(self, view: View, symbol: str) -> Iterator[Intent]:
        orders = view.orders(symbol)
        price = self.price(view, symbol, Side.BUY, 2 + self.turns % 5)
        if price is None:
            return
        if len(orders) >= 2:
            yield Cancel(orders[0].client_order_id)
            yield Amend(orders[1].client_order_id, price=price)
        elif self.turns % 4 == 3 and view.position(symbol) > 0:
            yield Place(symbol=symbol, side=Side.SELL, quantity=view.position(symbol), type=OrderType.MARKET, reduce_only=True)
        else:
            yield Place(symbol=symbol, side=Side.BUY, quantity=self.params.size, price=price)
