"""What the venue says about orders where it leaves something out, and what is kept of it."""

from __future__ import annotations

import pytest
from msgspec import UNSET, structs

from coldframe.enums import ExecutionType, OrderStatus, OrderType, Side
from coldframe.ids import OwnId
from coldframe.model.orders import OrderState
from tests.core.execution.test_execution_reports import World, logged, others_trade
from tests.core.made import START_MS, SYMBOL
from tests.core.told import AtAlgo, AtVenue, Trade

S, X = OrderState, ExecutionType


@pytest.mark.parametrize(("maker", "role"), [(True, "maker"), (False, "taker")])
def test_a_fill_is_said_with_its_role(maker: bool, role: str) -> None:
    world = World()
    venue = AtVenue.of(world.order)
    venue.trade(Trade(1, "0.4", maker=maker))
    world.reports.step(venue.report(X.TRADE, venue.trades[0]))
    assert f"fill: mm BUY 0.4 {SYMBOL} @ 100 as {role}, position 0.4" in [line.text for line in logged(world)]


@pytest.mark.parametrize(("later_ms", "after"), [(None, S.CANCELED), (0, S.CANCELED), (1, S.ACCEPTED)])
def test_what_names_no_later_time_does_not_undo_an_end(later_ms: int | None, after: OrderState) -> None:
    world = World()
    venue = AtVenue.of(world.order)
    venue.status = OrderStatus.CANCELED
    world.reports.reply(world.order, venue.reply())
    assert world.order.state is S.CANCELED
    venue.status = OrderStatus.NEW
    world.ctx.now_ns += 1_000_000_000
    reply = structs.replace(venue.reply(), update_time=UNSET if later_ms is None else venue.at_ms + later_ms)
    world.reports.reply(world.order, reply)
    assert world.order.state is after


def test_an_end_without_a_time_is_of_now() -> None:
    """A later report undoes it, an earlier one does not."""
    for later_ms, after in ((-1, S.CANCELED), (1, S.ACCEPTED)):
        world = World()
        venue = AtVenue.of(world.order)
        venue.status = OrderStatus.CANCELED
        world.reports.reply(world.order, structs.replace(venue.reply(), update_time=UNSET))
        venue.status = OrderStatus.NEW
        world.reports.reply(world.order, structs.replace(venue.reply(), update_time=world.ctx.venue_ms + later_ms))
        assert world.order.state is after


@pytest.mark.parametrize(("strategy", "taken"), [("mm", True), ("gone", False)])
def test_algo_order_of_an_earlier_run_needs_its_strategy(strategy: str, taken: bool) -> None:
    world = World()
    name = str(OwnId(strategy, START_MS - 5, 1))
    algo = AtAlgo(name, 7, SYMBOL, Side.SELL, OrderType.STOP_MARKET, "1", "0", "90")
    order = world.reports.adopt_algo(algo.reply())
    assert (order is not None) is taken
    assert (world.orders.get(name) is not None) is taken
    own = AtAlgo(str(OwnId("mm", START_MS, 9)), 8, SYMBOL, Side.SELL, OrderType.STOP_MARKET, "1", "0", "90")
    assert world.reports.adopt_algo(own.reply()) is None


@pytest.mark.parametrize(("trades", "kept"), [(2, [1, 2]), (3, [2, 3]), (4, [3, 4])])
def test_the_fill_at_the_mark_may_be_forgotten(trades: int, kept: list[int]) -> None:
    world = World()
    world.state.external.fills_limit = 2
    for number in range(1, trades + 1):
        world.orders.trade_cursors[SYMBOL] = max(number - 2, 0)
        others_trade(world, number)
    assert [key[1] for key in world.state.external._fills] == kept


def test_orders_unnamed_by_the_venue_are_remembered_in_bounds() -> None:
    others = World().state.external
    others.fills_limit = 3
    for number in range(1, 6):
        others.not_named(SYMBOL, number)
        assert len(others.unnamed) == min(number, 3)
    assert [number for _, number in others.unnamed] == [3, 4, 5]
