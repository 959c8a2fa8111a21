"""What pre-trade risk has let pass never leads beyond a limit, whatever triggers first: all kinds of orders, on either side.

The venue here knows one rule: what may only reduce is cut to what there is to reduce at the moment it trades.
"""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Fill, Order
from coldframe.enums import OrderType, PositionSide, Side
from coldframe.model.intents import Place
from coldframe.model.orders import OrderEvent
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.risk.test_conditional_rules import RiskRig
from tests.core.told import D, place
from tests.examples import examples

LIMIT = D(5)
NOTIONAL = D(1_600)
BOTH, LONG, SHORT = PositionSide

#: Strategies are made once: making one costs more than drawing from it.
sizes, either = st.integers(1, 9).map(Decimal), st.booleans()
sides, hedged = st.sampled_from(Side), st.sampled_from((LONG, SHORT))
kinds = st.sampled_from((OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_MARKET, OrderType.STOP))


@st.composite
def intents(draw: st.DrawFn, hedge: bool) -> Place:
    side = draw(sides)
    held = draw(hedged) if hedge else BOTH
    kind = draw(kinds)
    price = "100" if kind in (OrderType.LIMIT, OrderType.STOP) else None
    wanted = attrs.evolve(place(side, str(draw(sizes)), price, position_side=held), type=kind)
    if kind.conditional:
        wanted = attrs.evolve(wanted, trigger_price=D(100))
    if kind is OrderType.STOP_MARKET and draw(either):
        return attrs.evolve(wanted, close_position=True, quantity=D(0))
    return attrs.evolve(wanted, reduce_only=not hedge and draw(either))


INTENTS = {hedge: intents(hedge) for hedge in (False, True)}


class Market:
    """Orders that passed pre-trade risk, and a hand that lets any of them trade."""

    def __init__(self, hedge: bool) -> None:
        self.rig = RiskRig(RiskLimits(max_gross_notional=NOTIONAL), Budget(max_position=LIMIT), hedge=hedge)
        self.trades = 0
        self.live: list[Order] = []

    def held(self, side: PositionSide) -> Decimal:
        return self.rig.account.holdings.position(SYMBOL, side).quantity

    def ask(self, wanted: Place) -> None:
        if self.rig.check(wanted).accepted:
            sized = attrs.evolve(wanted, quantity=abs(self.held(wanted.position_side))) if wanted.close_position else wanted
            self.live.append(self.rig.wait(sized))

    def trade(self, order: Order, part: Decimal) -> None:
        orders = self.rig.orders
        if order.untriggered:
            orders.triggered(order, START_MS)
            orders.apply(order, OrderEvent.SEEN_TRIGGERED, START_NS)
            orders.apply(order, OrderEvent.SEEN_NEW, START_NS)
            if order.close_position:
                orders.terms_reported(order, abs(self.held(order.position_side)), D(0), START_MS)
        quantity = min(part, order.quantity - order.filled)
        if order.closing:
            quantity = min(quantity, max(-order.side.sign * self.held(order.position_side), D(0)))
        if not quantity:
            orders.apply(order, OrderEvent.SEEN_EXPIRED, START_NS)
        else:
            self.trades += 1
            orders.book(order, Fill(SYMBOL, self.trades, self.trades, order.side, D(100), quantity, True, START_MS), START_NS)
            self.rig.account.holdings.position(SYMBOL, order.position_side).fill(order.side, quantity, D(100))
        self.live = [order for order in self.live if order.live]


@pytest.mark.parametrize("hedge", [False, True])
@settings(max_examples=examples(250), deadline=None)
@given(st.data())
def test_i5_no_position_is_ever_larger_than_allowed(hedge: bool, data: st.DataObject) -> None:
    market = Market(hedge)
    for _ in range(25):
        if market.live and data.draw(either):
            market.trade(market.live[data.draw(st.integers(0, len(market.live) - 1))], data.draw(sizes))
        else:
            market.ask(data.draw(INTENTS[hedge]))
        for side in (LONG, SHORT) if hedge else (BOTH,):
            assert abs(market.held(side)) <= LIMIT
        assert market.held(LONG) >= 0 >= market.held(SHORT)
        assert sum(abs(market.held(side)) for side in PositionSide) * 100 <= NOTIONAL
