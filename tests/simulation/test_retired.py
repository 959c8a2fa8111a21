"""A bot is started without a strategy whose orders are still open: they go, but for what protects a position of the account."""

from __future__ import annotations

import pytest

from coldframe import Place, Side, Target
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.protection import OrderPolicy
from coldframe.enums import OrderType
from coldframe.model.orders import OrderState
from tests.simulation.ends import LOT, B, at_venue, bid, report, stop_at
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet


class World:
    """Two strategies, of which the second one is taken out of the configuration."""

    def __init__(self, policy: ExternalPolicy = ExternalPolicy.IGNORE) -> None:
        self.stays, self.goes = Puppet(), Puppet()
        self.traders = [Trader(id="stays", make=lambda: self.stays), Trader(id="goes", make=lambda: self.goes)]
        self.pump = Pump(self.traders, trading=OrderSideLimits(external=policy))

    def rest(self) -> str:
        """A bid of the second strategy."""
        self.goes.wanted = [bid(self.pump)]
        self.pump.until(lambda: len(at_venue(self.pump)) == 1)
        self.pump.run(1)
        (name,) = at_venue(self.pump)
        return name

    def hold(self) -> str:
        """A position of the second strategy, with its stop."""
        self.goes.wanted = [Target(B, LOT)]
        self.pump.until(lambda: self.pump.position("goes") == LOT)
        self.goes.wanted = [stop_at(self.pump.market.best(B, Side.BUY) - 500)]
        self.pump.until(lambda: len(at_venue(self.pump)) == 1)
        self.pump.run(1)
        (name,) = at_venue(self.pump)
        return name

    def retire(self, **setup: object) -> None:
        """The next run is without it."""
        self.pump.log.clear()
        self.pump.traders = self.traders[:1]
        self.pump.restart(**setup)

    def close(self) -> None:
        """The position is closed by hand."""
        order = {"symbol": B, "side": "SELL", "type": "MARKET", "quantity": str(LOT), "reduceOnly": "true"}
        self.pump.venue.by_hand("POST", "/fapi/v1/order", order)

    def works(self) -> None:
        """The strategy that stays trades as ever."""
        before = len(self.stays.events)
        self.stays.wanted = [Place(symbol=B, side=Side.BUY, type=OrderType.MARKET, quantity=LOT)]
        self.pump.until(lambda: len(self.stays.events) > before)
        assert self.pump.failed is None


@pytest.mark.parametrize("keep", [False, True])
def test_an_order_of_a_strategy_that_is_gone_is_cancelled(keep: bool) -> None:
    """Also with `on_restart = "keep"`: that keeps orders for their strategies."""
    world = World()
    name = world.rest()
    world.retire(keep_orders=keep)
    world.pump.until(lambda: not at_venue(world.pump), 10)
    assert world.pump.told(f"{name}, ACCEPTED) is cancelled: strategy goes is not part of this bot any more")
    world.works()
    world.pump.stop()
    assert report(world.pump).left == ()


def test_an_order_of_it_whose_fate_is_unknown_is_resolved() -> None:
    world = World()
    world.goes.wanted = [bid(world.pump)]
    world.pump.until(lambda: any(call == "order.place" for call, _ in world.pump.sent))
    world.retire()
    world.pump.until(lambda: not list(world.pump.engine.orders.live), 120)
    assert not at_venue(world.pump)
    world.works()


def test_an_order_of_it_that_fills_in_between_is_external() -> None:
    world = World()
    name = world.rest()
    world.pump.kill()
    world.pump.market.move(B, world.pump.market.best(B, Side.BUY) - 200)
    assert world.pump.venue.position(B) == LOT
    world.retire()
    order = world.pump.engine.orders.get(name)
    assert order is not None
    world.pump.until(lambda: order.state is OrderState.FILLED, 60)
    world.pump.until(lambda: world.pump.engine.state.external.account.net(B) == LOT, 60)
    world.works()


@pytest.mark.parametrize("policy", [ExternalPolicy.IGNORE, ExternalPolicy.ADOPT])
@pytest.mark.parametrize("keep", [False, True])
def test_its_stop_stays_until_the_account_is_flat(policy: ExternalPolicy, keep: bool) -> None:
    world = World(policy)
    stop = world.hold()
    world.retire(keep_orders=keep)
    world.pump.run(60)
    assert at_venue(world.pump) == {stop}
    if not keep:
        assert world.pump.told("kept until the account has no such position: that strategy is gone")
    world.close()
    world.pump.until(lambda: not at_venue(world.pump), 10)
    world.works()


def test_its_stop_that_is_triggered_closes_what_is_external() -> None:
    world = World()
    world.hold()
    world.retire()
    world.pump.run(40)
    assert world.pump.engine.state.external.account.net(B) == LOT
    world.pump.market.move(B, world.pump.market.best(B, Side.BUY) - 600)
    world.pump.market.trade(B, Side.SELL, LOT, world.pump.market.best(B, Side.BUY))
    world.pump.until(lambda: world.pump.venue.position(B) == 0, 10)
    world.pump.until(lambda: world.pump.engine.state.external.account.net(B) == 0, 10)
    world.works()


@pytest.mark.parametrize("policy", OrderPolicy)
def test_its_stop_stays_at_an_end_that_keeps_what_protects(policy: OrderPolicy) -> None:
    world = World()
    stop = world.hold()
    world.retire(on_end=policy)
    world.pump.run(40)
    world.pump.stop()
    kept = {stop} if policy is OrderPolicy.KEEP_PROTECTIVE else set()
    assert at_venue(world.pump) == kept == {order.client_order_id for order in report(world.pump).kept}
    assert report(world.pump).left == ()
    world.retire()
    world.pump.run(40)
    assert at_venue(world.pump) == kept


def test_its_stop_stays_only_while_it_guards_and_stands() -> None:
    world = World()
    stop = world.hold()
    world.retire()
    world.pump.run(40)
    order = world.pump.engine.orders.get(stop)
    assert order is not None
    assert [kept.client_order_id for kept in report(world.pump).kept] == [stop]
    order.doubted_ns = world.pump.now_ns
    assert [left.client_order_id for left in report(world.pump).left] == [stop]
    order.doubted_ns = 0
    world.pump.engine.strategies.guarding.clear()
    assert [left.client_order_id for left in report(world.pump).left] == [stop]


@pytest.mark.parametrize("policy", [ExternalPolicy.IGNORE, ExternalPolicy.REFUSE])
@pytest.mark.parametrize("keep", [True, False])
def test_its_stop_that_waits_does_not_hold_the_start_up(policy: ExternalPolicy, keep: bool) -> None:
    """It has no order id yet, but it waits still: it has not made the position that the first comparison has found."""
    world = World(policy)
    world.hold()
    world.retire(keep_orders=keep)
    pump = world.pump
    pump.until(lambda: pump.failed is not None or pump.engine.state.baseline_ms > 0, 3)
    assert (pump.failed is None) is (policy is ExternalPolicy.IGNORE)


def test_a_start_that_refuses_external_positions_says_so() -> None:
    world = World(ExternalPolicy.REFUSE)
    stop = world.hold()
    world.retire()
    world.pump.until(lambda: world.pump.failed is not None, 60)
    assert world.pump.failed is not None
    assert world.pump.failed.text.startswith("orders.external: position of 0.010 BTCUSDT")
    assert at_venue(world.pump) == {stop}


def test_a_strategy_that_comes_back_finds_its_stop() -> None:
    world = World()
    stop = world.hold()
    world.retire()
    world.pump.run(40)
    world.pump.traders = world.traders
    world.pump.restart()
    world.pump.run(40)
    assert at_venue(world.pump) == {stop}
