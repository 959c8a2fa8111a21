"""What only reduces: by the account's position where one strategy trades alone, by its own where several share a symbol."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.risk import reducing
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import RestoredState
from coldframe.core.state.limits import Budget
from coldframe.core.state.order import Order
from coldframe.core.state.orders import Orders, Origin
from coldframe.core.state.positions import EXTERNAL, PositionKey
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import OrderStatus, OrderType, PositionSide, Side
from coldframe.model.orders import OrderEvent
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import D, place

BUY, SELL = Side.BUY, Side.SELL
KEY: PositionKey = (SYMBOL, PositionSide.BOTH)
STOP = attrs.evolve(place(SELL, "1", None), type=OrderType.STOP_MARKET, trigger_price=D(90), reduce_only=True)


class Owner(StrategyAccount):
    """A strategy with positions."""

    def __init__(self, name: str, symbols: tuple[str, ...] = (SYMBOL,)) -> None:
        super().__init__(name, frozenset(symbols), Budget())

    def hold(self, quantity: str, symbol: str = SYMBOL) -> Owner:
        if D(quantity):
            self.holdings.position(symbol).fill(BUY if D(quantity) > 0 else SELL, abs(D(quantity)), D(100))
        return self


class World:
    """Strategies with positions and orders, and what is external."""

    def __init__(self, *owners: Owner, external: str = "0", hedge: bool = False) -> None:
        self.mine = owners[0]
        self.orders = Orders(START_MS)
        past = RestoredState(accounts={EXTERNAL: Owner("external").hold(external).holdings})
        ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.state = EngineState(ctx, self.orders, {owner.id: owner for owner in owners}, hedge=hedge, past=past)

    def stand(self, side: Side, quantity: str, strategy: str = "mm", **more: object) -> Order:
        """An order that rests at the venue."""
        order = self.orders.prepare(strategy, attrs.evolve(place(side, quantity), **more), Origin.PLACE, START_NS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        return order

    def reduces(self, side: Side, quantity: str, *, replaces: Sequence[Order] = (), beside: str = "0") -> bool:
        replaced = self.orders.replacing(replaces)
        return reducing.reduces(self.state, self.mine, place(side, quantity), replaced, D(beside))


def alone(own: str = "0", external: str = "0", **more: bool) -> World:
    return World(Owner("mm").hold(own), external=external, **more)


def sharing(own: str = "0", other: str = "0", external: str = "0") -> World:
    return World(Owner("mm").hold(own), Owner("other").hold(other), external=external)


# -- whose position is the measure ------------------------------------------------------------------------------------


def test_a_symbol_is_shared_by_those_who_trade_it_or_hold_it() -> None:
    assert not reducing.shared(alone("1").state, SYMBOL)
    assert reducing.shared(sharing().state, SYMBOL)
    elsewhere = Owner("other", ("ETHUSDT",))
    assert not reducing.shared(World(Owner("mm"), elsewhere).state, SYMBOL)
    elsewhere.hold("-1")
    assert reducing.shared(World(Owner("mm"), elsewhere).state, SYMBOL)
    assert not reducing.shared(World(Owner("mm"), Owner("other", ("ETHUSDT",)).hold("1", "ETHUSDT")).state, SYMBOL)


def test_the_account_is_the_sum_or_in_a_dispute_what_was_told() -> None:
    world = sharing("1", "-3", external="0.5")
    assert reducing.account_position(world.state, KEY) == D("-1.5")
    assert reducing.account_position(world.state, (SYMBOL, PositionSide.LONG)) == 0
    world.state.trading.set_breaks({KEY: D(7)}, START_MS)
    assert reducing.account_position(world.state, KEY) == 7


def test_the_account_decides_for_one_strategy_and_in_a_dispute() -> None:
    assert reducing.account_decides(alone().state, KEY)
    shared = sharing()
    assert not reducing.account_decides(shared.state, KEY)
    shared.state.trading.set_breaks({KEY: D(0)}, START_MS)
    assert reducing.account_decides(shared.state, KEY)


@pytest.mark.parametrize(
    ("own", "external", "reducible"),
    [("1", "0", 1), ("3", "-1", 2), ("3", "1", 3), ("1", "-1", 0), ("1", "-2", 0), ("-3", "1", 2), ("0", "5", 0), ("0", "0", 0)],
)
def test_alone_no_more_can_be_closed_than_the_account_has(own: str, external: str, reducible: int) -> None:
    world = alone(own, external)
    assert reducing.reducible(world.state, world.mine, KEY) == reducible


@pytest.mark.parametrize(("own", "other", "reducible"), [("1", "-2", 1), ("1", "-1", 1), ("-3", "1", 3), ("0", "1", 0)])
def test_sharing_each_can_close_all_of_its_own(own: str, other: str, reducible: int) -> None:
    world = sharing(own, other)
    assert reducing.reducible(world.state, world.mine, KEY) == reducible
    world.state.trading.set_breaks({KEY: D("0.5").copy_sign(D(own))}, START_MS)
    assert reducing.reducible(world.state, world.mine, KEY) == (D("0.5") if reducible else 0)


# -- orders -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "side", "quantity", "reduces"),
    [
        ("1", SELL, "1", True),
        ("1", SELL, "1.001", False),
        ("1", BUY, "1", False),
        ("-1", BUY, "1", True),
        ("-1", BUY, "1.001", False),
        ("-1", SELL, "0.5", False),
        ("0", SELL, "0.5", False),
        ("0", BUY, "0.5", False),
    ],
)
@pytest.mark.parametrize("many", [False, True])
def test_an_order_reduces_up_to_zero(many: bool, own: str, side: Side, quantity: str, reduces: bool) -> None:
    world = sharing(own, "5") if many else alone(own)
    assert world.reduces(side, quantity) is reduces


@pytest.mark.parametrize("side", [BUY, SELL])
def test_nothing_reduces_a_position_that_is_closed_already(side: Side) -> None:
    """A stop that closes the whole position names no quantity."""
    world = alone("1")
    world.mine.hold("-1")
    stop = attrs.evolve(place(side, "0", None), type=OrderType.STOP_MARKET, trigger_price=D(90), close_position=True)
    assert not reducing.reduces(world.state, world.mine, stop)


def test_what_may_trade_before_it_counts() -> None:
    world = alone("1")
    standing = world.stand(SELL, "0.4", price=D(101))
    world.stand(BUY, "5", price=D(90))
    world.stand(SELL, "5", "other")
    world.stand(SELL, "5", symbol="ETHUSDT")
    assert world.reduces(SELL, "0.6")
    assert not world.reduces(SELL, "0.601")
    assert world.reduces(SELL, "1", replaces=[standing])
    assert not world.reduces(SELL, "1.001", replaces=[standing])
    assert world.reduces(SELL, "0.5", beside="0.1")
    assert not world.reduces(SELL, "0.5", beside="0.2")


def test_a_stop_and_a_take_profit_do_not_add_up() -> None:
    world = alone("1")
    world.stand(SELL, "1", price=D(110), reduce_only=True)
    assert reducing.reduces(world.state, world.mine, STOP)
    plain = attrs.evolve(place(SELL, "1"), reduce_only=True)
    assert not reducing.reduces(world.state, world.mine, plain)


def protected(hedge: bool = False) -> World:
    """A long position of 1 under a stop that waits."""
    world = alone("1", hedge=hedge)
    world.stand(SELL, "1", price=None, type=OrderType.STOP_MARKET, trigger_price=D(90), reduce_only=True)
    return world


def test_an_order_beside_a_stop_goes_out_reduce_only() -> None:
    world = protected()
    assert world.reduces(SELL, "1")
    assert reducing.seals(world.state, world.mine, place(SELL, "1"))
    assert not world.reduces(SELL, "1.001")
    amended = world.stand(SELL, "1", price=D(120))
    assert not world.reduces(SELL, "1", replaces=[amended]), "an amendment cannot be made reduce-only"
    hedged = protected(hedge=True)
    assert not hedged.reduces(SELL, "1")


@pytest.mark.parametrize(("own", "quantity", "seals"), [("1", "1", True), ("1", "1.001", False), ("0", "1", False)])
def test_an_order_that_reduces_goes_out_reduce_only(own: str, quantity: str, seals: bool) -> None:
    world = alone(own)
    assert reducing.seals(world.state, world.mine, place(SELL, quantity)) is seals
    shared = sharing(own, "5")
    assert not reducing.seals(shared.state, shared.mine, place(SELL, quantity))
    shared.state.trading.set_breaks({KEY: D(own)}, START_MS)
    assert reducing.seals(shared.state, shared.mine, place(SELL, quantity)) is seals


def test_what_is_reduce_only_already_needs_no_seal() -> None:
    world = alone("1")
    for wanted in (STOP, attrs.evolve(place(SELL, "1"), reduce_only=True)):
        assert not reducing.seals(world.state, world.mine, wanted)
    hedged = alone("1", hedge=True)
    assert not reducing.seals(hedged.state, hedged.mine, place(SELL, "1"))


def test_the_sides_of_a_hedge_do_not_count_for_each_other() -> None:
    world = World(Owner("mm"), hedge=True)
    world.mine.holdings.position(SYMBOL, PositionSide.LONG).fill(BUY, Decimal(1), Decimal(100))
    world.stand(SELL, "1", position_side=PositionSide.SHORT)
    close = attrs.evolve(place(SELL, "1"), position_side=PositionSide.LONG)
    assert reducing.reduces(world.state, world.mine, close)
    assert not reducing.reduces(world.state, world.mine, attrs.evolve(close, quantity=D("1.1")))
    assert not reducing.reduces(world.state, world.mine, attrs.evolve(close, position_side=PositionSide.SHORT))
