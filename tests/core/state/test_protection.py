"""What protects a position, what is kept for it, and what replaces it: rules compared with plain sums."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.lifecycle.shutdown import _names
from coldframe.core.state.orders import Order
from coldframe.core.state.positions import Position, StrategyPositions
from coldframe.core.state.protection import (
    OpenPosition,
    OrderPolicy,
    can_only_reduce,
    graver,
    open_positions,
    reduces_position,
    replaced,
    stands,
)
from coldframe.enums import OrderType, PositionSide, Side, TimeInForce
from coldframe.model.orders import OrderState, Overlay

S = "BTCUSDT"
KEEP, CANCEL, FLATTEN = OrderPolicy
NUMBERS = iter(range(1_000_000))


def order(**more: Any) -> Order:
    """A stop that waits for its trigger, and could sell one."""
    given: dict[str, Any] = {
        "client_order_id": f"x{next(NUMBERS)}", "strategy": "a", "symbol": S, "side": Side.SELL, "type": OrderType.STOP_MARKET,
        "time_in_force": TimeInForce.GTC, "quantity": Decimal(1), "price": None, "reduce_only": True,
        "state": OrderState.UNTRIGGERED,
    }  # fmt: skip
    return Order(**{**given, **more})


def account(quantity: str, side: PositionSide = PositionSide.BOTH, symbol: str = S) -> StrategyPositions:
    return StrategyPositions({(symbol, side): Position(Decimal(quantity))})


def test_the_gravest_policy_holds() -> None:
    assert [graver(None, policy) for policy in OrderPolicy] == list(OrderPolicy)
    for first in OrderPolicy:
        for second in OrderPolicy:
            assert graver(first, second) is max(first, second, key=[KEEP, CANCEL, FLATTEN].index)


@pytest.mark.parametrize(
    ("more", "quantity", "reduces"),
    [
        ({}, "1", True),
        ({}, "0.001", True),
        ({}, "0", False),
        ({}, "-1", False),
        ({"side": Side.BUY}, "-1", True),
        ({"side": Side.BUY}, "1", False),
        ({"reduce_only": False}, "1", False),
        ({"reduce_only": False, "close_position": True}, "1", True),
        ({"reduce_only": False, "position_side": PositionSide.LONG}, "1", True),
        ({"reduce_only": False, "position_side": PositionSide.LONG, "side": Side.BUY}, "-1", False),
        ({"reduce_only": False, "position_side": PositionSide.SHORT, "side": Side.BUY}, "-1", True),
    ],
)
def test_what_can_only_reduce(more: dict[str, Any], quantity: str, reduces: bool) -> None:
    exit_order = order(**more)
    assert can_only_reduce(exit_order, Decimal(quantity)) is reduces
    assert reduces_position(exit_order, account(quantity, exit_order.position_side)) is reduces
    assert not reduces_position(exit_order, account(quantity, exit_order.position_side, "ETHUSDT")), "another symbol"


def test_looking_at_a_position_makes_none() -> None:
    empty = StrategyPositions()
    assert not reduces_position(order(), empty)
    assert empty.positions == {}


@pytest.mark.parametrize("state", OrderState)
@pytest.mark.parametrize("overlay", Overlay)
@pytest.mark.parametrize("doubted_ns", [0, 5])
def test_only_what_is_confirmed_stands(state: OrderState, overlay: Overlay, doubted_ns: int) -> None:
    confirmed = state in (OrderState.UNTRIGGERED, OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED)
    expected = confirmed and overlay is Overlay.NONE and not doubted_ns
    assert stands(order(state=state, overlay=overlay, doubted_ns=doubted_ns)) is expected


@pytest.mark.parametrize("tif", [TimeInForce.IOC, TimeInForce.FOK])
def test_what_trades_at_once_or_ends_does_not_stand(tif: TimeInForce) -> None:
    limit = {"type": OrderType.LIMIT, "price": Decimal(100), "state": OrderState.ACCEPTED}
    assert stands(order(**limit, time_in_force=TimeInForce.GTC))
    assert not stands(order(**limit, time_in_force=tif))


STOPS = st.lists(
    st.builds(
        order,
        strategy=st.sampled_from(["a", "b"]),
        symbol=st.sampled_from([S, "ETHUSDT"]),
        side=st.sampled_from(Side),
        type=st.sampled_from([*OrderType]),
        trigger_price=st.sampled_from([None, Decimal(100)]),
        price=st.sampled_from([None, Decimal(99), Decimal(100), Decimal(101)]),
        activate_price=st.sampled_from([None, Decimal(105)]),
        activated=st.booleans(),
        quantity=st.sampled_from([Decimal(1), Decimal(2)]),
        reduce_only=st.booleans(),
        close_position=st.booleans(),
        triggered_ms=st.sampled_from([0, 0, 0, 7]),
        state=st.sampled_from([OrderState.UNTRIGGERED, OrderState.UNTRIGGERED, OrderState.ACCEPTED, OrderState.UNKNOWN]),
    ),
    max_size=8,
)
HELD = st.dictionaries(
    st.tuples(st.sampled_from(["a", "b"]), st.sampled_from([S, "ETHUSDT"])),
    st.sampled_from([Decimal(n) for n in (-3, -1, 0, 1, 2)]),
)


def sells_out(order: Order) -> bool:
    """Whether a waiting order trades when the market falls (a buy: rises) below its trigger, and does not only rest."""
    table = {
        OrderType.STOP_MARKET: True,
        OrderType.STOP: (order.side, str(order.price), str(order.trigger_price))
        in [(Side.SELL, "99", "100"), (Side.SELL, "100", "100"), (Side.BUY, "101", "100"), (Side.BUY, "100", "100")],
        OrderType.TRAILING_STOP_MARKET: not order.activate_price or order.activated,
    }
    return table.get(order.type, False)


@given(STOPS, HELD, st.sets(st.integers(0, 7)))
def test_a_position_is_covered_by_its_own_stops(
    orders: list[Order], held: dict[tuple[str, str], Decimal], unsure: set[int]
) -> None:
    accounts: dict[str, StrategyPositions] = {"a": StrategyPositions(), "b": StrategyPositions()}
    for (strategy, symbol), quantity in held.items():
        accounts[strategy].positions[symbol, PositionSide.BOTH] = Position(quantity)
    doubted = {order.client_order_id for number, order in enumerate(orders) if number in unsure}
    found = {(position.strategy, position.symbol): position for position in open_positions(accounts, orders, doubted)}
    assert set(found) == {key for key, quantity in held.items() if quantity}
    for key, position in found.items():
        mine = [
            stop
            for stop in orders
            if (stop.strategy, stop.symbol) == key
            and sells_out(stop)
            and not stop.triggered_ms
            and stop.state is not OrderState.UNKNOWN
            and stop.client_order_id not in doubted
            and (stop.reduce_only or stop.close_position)
            and (stop.side is Side.SELL) == (held[key] > 0)
        ]
        assert position.stops == tuple(stop.client_order_id for stop in mine)
        size = abs(held[key])
        bare = (
            Decimal(0) if any(stop.close_position for stop in mine) else max(size - sum(stop.quantity for stop in mine), Decimal(0))
        )
        assert position.unprotected == bare
        assert not {*position.others} & {*position.stops, *doubted}


def test_a_position_says_where_it_is() -> None:
    made = {"strategy": "a", "symbol": S, "quantity": Decimal(1)}
    assert OpenPosition(position_side=PositionSide.BOTH, **made).where == S  # type: ignore[arg-type]
    assert OpenPosition(position_side=PositionSide.SHORT, **made).where == f"{S} SHORT"  # type: ignore[arg-type]


ONE, TWO = Decimal(1), Decimal(2)


@pytest.mark.parametrize(
    ("old", "others", "quantity", "gone"),
    [
        ({}, [], ONE, False),
        ({}, [{}], ONE, True),
        ({}, [{"quantity": Decimal("0.5")}], ONE, False),
        ({}, [{"quantity": Decimal("0.5")}, {"quantity": Decimal("0.5")}], ONE, True),
        ({"quantity": TWO}, [{}], ONE, True),
        ({"quantity": ONE}, [{}], TWO, True),
        ({"quantity": TWO}, [{}], TWO, False),
        ({"close_position": True, "quantity": ONE}, [{}], TWO, False),
        ({"close_position": True, "quantity": ONE}, [{"quantity": TWO}], TWO, True),
        ({}, [{"close_position": True, "quantity": Decimal("0.1")}], ONE, True),
        ({}, [{"type": OrderType.TAKE_PROFIT_MARKET}], ONE, False),
        ({"type": OrderType.LIMIT, "state": OrderState.ACCEPTED}, [{"type": OrderType.TAKE_PROFIT_MARKET}], ONE, True),
        ({}, [{"state": OrderState.SUBMITTED}], ONE, False),
        ({}, [{"overlay": Overlay.CANCEL_SENT}], ONE, False),
        ({}, [{"symbol": "ETHUSDT"}], ONE, False),
        ({}, [{"position_side": PositionSide.LONG}], ONE, False),
        ({}, [{"side": Side.BUY}], ONE, False),
        ({}, [{"reduce_only": False}], ONE, False),
    ],
)
def test_what_replaces_a_stop(old: dict[str, Any], others: list[dict[str, Any]], quantity: Decimal, gone: bool) -> None:
    assert replaced(order(**old), [order(**values) for values in others], quantity) is gone


def test_many_orders_are_not_all_named() -> None:
    orders = [order(client_order_id=f"n{number}") for number in range(6)]
    assert _names(orders[:5]) == "n0, n1, n2, n3, n4"
    assert _names(orders) == "n0, n1, n2, n3, n4 ..."
