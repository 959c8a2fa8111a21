"""A strategy that places an order far from the market at a tick, hears that it was sent, and cancels it: one after another."""

from __future__ import annotations

from decimal import Decimal

import attrs

from bench.peers.samples import Samples
from coldframe import BestPriceChanged, Cancel, Intent, OrderChanged, OrderState, Place, Side, TimeInForce, View, hookimpl

#: Of the best bid, so much is the price of an order; it stays where it is until it is cancelled.
FAR = Decimal("0.97")
QUANTITY = Decimal("0.002")
OVER = frozenset(str(state) for state in OrderState if state.terminal)


class Orderer:
    """Knows how long each order took from the hook that wanted it to the event that says it was sent."""

    @attrs.frozen(kw_only=True)
    class Params:
        """How many orders, and the file for their times."""

        orders: int
        out: str
        #: Pause between two orders, in milliseconds.
        pause_ms: int = 40

    def __init__(self, params: Params) -> None:
        self._samples, self._pause_ms = Samples(params.out, params.orders), params.pause_ms
        self._under_way, self._not_before_ms, self._placed = False, 0, 0

    @hookimpl
    def on_ticker(self, event: BestPriceChanged, view: View) -> Intent | None:
        if self._under_way or self._samples.complete or view.now_ms < self._not_before_ms:
            return None
        if not view.trading_allowed(event.symbol):
            return None
        self._samples.begin()
        self._under_way = True
        self._placed += 1
        quantity = QUANTITY * (1 + self._placed % 5)  # the very same order again so soon would be refused as a duplicate
        price = view.instrument(event.symbol).price_down(event.bid * FAR)
        return Place(symbol=event.symbol, side=Side.BUY, quantity=quantity, price=price, time_in_force=TimeInForce.GTX)

    @hookimpl
    def on_order(self, event: OrderChanged, view: View) -> Intent | None:
        if event.state == OrderState.SUBMITTED:
            self._samples.end()
        elif event.state == OrderState.ACCEPTED:
            return Cancel(client_order_id=event.client_order_id)
        elif event.state in OVER:
            self._under_way, self._not_before_ms = False, view.now_ms + self._pause_ms
        return None
