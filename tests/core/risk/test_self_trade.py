"""Trades with oneself: what the check lets pass never meets an own order of another strategy in a real matching engine."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.risk.self_trade import crossed
from coldframe.core.state.limits import SelfCross
from coldframe.core.state.orders import Order, Orders
from coldframe.enums import OrderStatus, PriceMatch, SelfTradePrevention, Side, TimeInForce
from coldframe.model.intents import Place
from coldframe.model.orders import Attempt, OrderEvent
from tests.core.made import START_MS, START_NS
from tests.core.told import D, place, prepared

PRICES = st.integers(95, 105).map(str)
SIDES = st.sampled_from(list(Side))


def resting(orders: Orders, wanted: Place, strategy: str = "other") -> Order:
    order = prepared(orders, wanted, strategy)
    orders.apply(order, OrderEvent.WRITTEN, START_NS)
    orders.see(order, OrderStatus.NEW, D(0), START_NS)
    return order


@pytest.mark.parametrize("mode", list(SelfCross))
def test_every_mode_but_refuse_is_one_of_the_venues(mode: SelfCross) -> None:
    wanted = None if mode is SelfCross.REFUSE else SelfTradePrevention[mode.name]
    assert mode.prevention is wanted


@pytest.mark.parametrize(
    ("match", "meets"), [(PriceMatch.OPPONENT, True), (PriceMatch.OPPONENT_20, True), (PriceMatch.QUEUE, False)]
)
def test_venue_chosen_price_crosses_every_order_or_none(match: PriceMatch, meets: bool) -> None:
    orders = Orders(START_MS)
    resting(orders, place(Side.SELL, price="500"))
    wanted = Place(symbol="BTCUSDT", side=Side.BUY, quantity=D(1), price_match=match)
    assert (crossed("mm", wanted, orders) is not None) == meets


def test_an_amendment_under_way_stands_at_both_of_its_prices() -> None:
    orders = Orders(START_MS)
    order = resting(orders, place(Side.SELL, price="105"))
    orders.amendment_requested(order, D(101), D(1))
    orders.attempt(order, Attempt.AMEND_WANTED)
    assert crossed("mm", place(price="101"), orders) is order
    orders.amendment_requested(order, D(110), D(1))
    assert crossed("mm", place(price="105"), orders) is order
    assert crossed("mm", place(price="104"), orders) is None


def test_unknown_order_counts_for_crossing_but_not_an_ioc_order() -> None:
    orders = Orders(START_MS)
    order = prepared(orders, place(Side.SELL, price="100"), "other")
    orders.apply(order, OrderEvent.OUTCOME_UNKNOWN, START_NS)
    assert crossed("mm", place(price="100"), orders) is order
    orders.apply(order, OrderEvent.REJECTED_BY_VENUE, START_NS)
    prepared(orders, place(Side.SELL, price="100", time_in_force=TimeInForce.IOC), "other")
    assert crossed("mm", place(price="100"), orders) is None
    resting(orders, place(Side.SELL, price="100", symbol="ETHUSDT"), "other")
    assert crossed("mm", place(price="100"), orders) is None


@given(st.lists(st.tuples(st.sampled_from(["a", "b", "c"]), SIDES, PRICES, st.booleans()), max_size=25))
def test_o28_what_passes_never_trades_with_another_own_strategy(wanted: list[tuple[str, Side, str, bool]]) -> None:
    """Orders that pass rest or trade against the own ones alone, best price first, as a book with no other account would do it."""
    orders = Orders(START_MS)
    trades: list[tuple[str, str]] = []
    for strategy, side, price, post_only in wanted:
        order = place(side, "1", price, time_in_force=TimeInForce.GTX if post_only else TimeInForce.GTC)
        if crossed(strategy, order, orders) is not None:
            continue
        facing = [other for other in orders.live if other.side is not side and reaches(D(price), side, other)]
        if not facing:
            resting(orders, order, strategy)
        elif not post_only:
            best = min(facing, key=lambda other: (other.price or D(0)) * side.sign)
            trades.append((strategy, best.strategy))
            orders.see(best, OrderStatus.FILLED, D(1), START_NS)
    assert all(taker == maker for taker, maker in trades)


def reaches(price: Decimal, side: Side, other: Order) -> bool:
    assert other.price is not None
    return price >= other.price if side is Side.BUY else price <= other.price
