"""Strategies on an account in hedge mode: positions per side, targets that cross zero, quotes of one side."""

from __future__ import annotations

from decimal import Decimal

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.execution.operations import PlaceOperation
from coldframe.core.strategies.planner import Held, plan_hedged_target
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import AlgoStatus, OrderType, PositionMode, PositionSide, Side
from coldframe.model.events import OrderFilled
from coldframe.model.intents import Place, Quote, Quotes, Target
from coldframe.model.orders import OrderState
from coldframe.testing import instrument
from tests.core.looking import view_of
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place
from tests.examples import examples

LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH
BUY, SELL = Side.BUY, Side.SELL


def world(**more: object) -> tuple[Scripted, Actor]:
    actor = Actor(**more)  # type: ignore[arg-type]
    return Scripted(actor, hedge=True).ready(), actor


def sides(made: Scripted) -> tuple[Decimal, Decimal]:
    account = made.engine.runtimes.get("mm").account.holdings
    return account.position("BTCUSDT", LONG).quantity, account.position("BTCUSDT", SHORT).quantity


def orders_sent(made: Scripted) -> list[tuple[str, str, Decimal]]:
    sent = [request.params for request in made.sent("order.place")]
    return [(str(request["side"]), str(request["positionSide"]), D(str(request["quantity"]))) for request in sent]


def test_both_sides_are_held_beside_each_other_and_shown_so() -> None:
    made, actor = world()
    made.want(actor, place(BUY, "2", None, position_side=LONG), place(SELL, "0.5", None, position_side=SHORT))
    assert sides(made) == (D(2), D("-0.5"))
    view = view_of(made.engine)
    assert view.position_mode is PositionMode.HEDGE
    assert (view.position("BTCUSDT"), view.position("BTCUSDT", LONG), view.position("BTCUSDT", SHORT)) == (
        D("1.5"),
        D(2),
        D("-0.5"),
    )
    assert (view.entry_price("BTCUSDT"), view.entry_price("BTCUSDT", SHORT)) == (None, D(100))
    assert {effect.position_side for effect in actor.told(OrderFilled)} == {LONG, SHORT}
    made.want(actor, place(SELL, "2", None, position_side=LONG, reduce_only=True))
    assert sides(made) == (D(0), D("-0.5"))
    assert view.entry_price("BTCUSDT") == D(100)
    assert all("reduceOnly" not in request.params for request in made.sent("order.place"))


def test_symbol_with_offsetting_sides_is_still_reconciled() -> None:
    made, actor = world()
    made.want(actor, place(BUY, "1", None, position_side=LONG), place(SELL, "1", None, position_side=SHORT))
    made.run(35_000)
    made.effects.clear()
    made.run(31_000)
    assert {call.params["symbol"] for call in made.called("/fapi/v1/userTrades")} == {"BTCUSDT"}


def test_o22_orders_without_a_side_are_refused() -> None:
    made, actor = world()
    made.want(actor, place(), place(SELL, price=None), Quotes("BTCUSDT", [Quote(D(99), D(1))]))
    assert made.verdicts(actor) == {"POSITION_SIDE": 3}
    assert made.sent("order.place") == []


def test_target_that_changes_sign_closes_its_side_before_opening() -> None:
    made, actor = world()
    made.want(actor, Target("BTCUSDT", D(2)))
    assert sides(made) == (D(2), D(0))
    made.want(actor, Target("BTCUSDT", D("-1.5")))
    made.run(2_000)
    assert sides(made) == (D(0), D("-1.5"))
    made.want(actor, Target("BTCUSDT", D("-0.5")))
    made.run(2_000)
    made.want(actor, Target("BTCUSDT", D(0)))
    made.run(2_000)
    assert sides(made) == (D(0), D(0))
    assert orders_sent(made) == [
        ("BUY", "LONG", D(2)),
        ("SELL", "LONG", D(2)),
        ("SELL", "SHORT", D("1.5")),
        ("BUY", "SHORT", D("1.0")),
        ("BUY", "SHORT", D("0.5")),
    ]


def test_a_muted_strategy_is_flattened_on_both_sides() -> None:
    made, actor = world(on_error=OnError.FLATTEN)
    made.want(actor, place(BUY, "2", None, position_side=LONG), place(SELL, "3", None, position_side=SHORT))
    actor.acts["on_mark"] = lambda *_: 1 // 0
    made.run(5_000)
    assert sides(made) == (D(0), D(0))


def test_quotes_of_a_side_open_it_and_close_what_there_is() -> None:
    made, actor = world()
    desired = Quotes("BTCUSDT", [Quote(D(99), D(1))], [Quote(D(101), D(1))], position_side=LONG)
    made.want(actor, desired)
    assert made.verdicts(actor) == {"POSITION": 1}
    assert orders_sent(made) == [("BUY", "LONG", D(1))]
    (bid,) = made.engine.orders.live
    made.fill(bid.client_order_id, "1", "99")
    made.want(actor, desired)
    assert orders_sent(made)[-2:] == [("BUY", "LONG", D(1)), ("SELL", "LONG", D(1))]
    assert {(order.side, order.position_side) for order in made.engine.orders.live} == {(BUY, LONG), (SELL, LONG)}
    made.want(actor, Quotes("BTCUSDT", asks=[Quote(D(101), D(2))], position_side=SHORT))
    made.run(1_000)
    assert [(order.side, order.position_side, order.remaining) for order in made.engine.orders.live] == [(SELL, SHORT, D(2))]
    made.want(actor, Quotes("BTCUSDT"))
    made.run(1_000)
    assert list(made.engine.orders.live) == []


def test_a_stop_of_one_side_closes_that_side() -> None:
    made, actor = world()
    made.want(actor, place(BUY, "2", None, position_side=LONG), place(SELL, "1", None, position_side=SHORT))
    stop = attrs.evolve(
        place(SELL, "2", None, position_side=LONG), type=OrderType.STOP_MARKET, trigger_price=D(95), reduce_only=True
    )
    made.want(actor, stop)
    (order,) = made.engine.orders.live
    (params,) = [request.params for request in made.sent("algoOrder.place")]
    assert params["positionSide"] == "LONG"
    assert "reduceOnly" not in params
    made.trigger(order.client_order_id)
    made.fill(order.client_order_id, "2", "94.9")
    made.exchange.algos.end(order.client_order_id, AlgoStatus.FINISHED)
    made.run(1_000)
    assert order.state is OrderState.FILLED
    assert sides(made) == (D(0), D(-1))


# -- planning ---------------------------------------------------------------------------------------------------------

SIZES = st.integers(0, 6).map(lambda n: Decimal(n) / 2)


@settings(max_examples=examples(300), deadline=None)
@given(st.integers(-6, 6).map(lambda n: Decimal(n) / 2), SIZES, SIZES, st.lists(st.integers(1, 4), min_size=30, max_size=30))
def test_a_hedged_target_is_reached_one_side_after_the_other(
    position: Decimal, held: Decimal, owed: Decimal, parts: list[int]
) -> None:
    """Whatever part of each order trades: never is anything opened while the other side stands, and it ends where it should."""
    listed = instrument("BTCUSDT", step="0.1")
    long, short = held, -owed
    for part in [*parts, 4, 4, 4, 4]:
        sides = [Held(own, own, side=side) for own, side in ((long, LONG), (short, SHORT))]
        operations = plan_hedged_target(Target("BTCUSDT", position), sides[0], sides[1], [], D("99.9"), D("100.1"), listed)
        if not operations:
            break
        ((wanted),) = [operation.place for operation in operations if isinstance(operation, PlaceOperation)]
        assert isinstance(wanted, Place)
        filled = listed.quantity(wanted.quantity * part / 4) or wanted.quantity
        if not wanted.closing:
            assert (short if wanted.position_side is LONG else long) == 0
        if wanted.position_side is LONG:
            long += wanted.side.sign * filled
        else:
            short += wanted.side.sign * filled
        assert long >= 0 >= short
    assert (long, short) == (max(position, D(0)), min(position, D(0)))
