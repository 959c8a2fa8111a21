"""An order that nothing could prove is settled by a person, in the engine and over a restart."""

from __future__ import annotations

import pytest

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.state.journal_codec import fold
from coldframe.enums import Side
from coldframe.model.effects import CommandAnswered
from coldframe.model.inputs import ResolveAsked
from coldframe.model.orders import OrderState
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place


def given_up() -> tuple[Scripted, Actor, str]:
    """A venue that never says what became of an order: after ten minutes a person is asked for."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.swallows.update(("order.place", "order.status", "/fapi/v1/openOrders"))
    made.silent = True
    made.want(actor, place(price="98"))
    (name,) = made.exchange.orders
    made.run(620_000)
    order = made.engine.orders.get(name)
    assert order is not None
    assert order.state is OrderState.NEEDS_OPERATOR
    assert "manual check needed" in made.said()
    return made, actor, name


def answers(made: Scripted) -> list[tuple[bool, str]]:
    return [(effect.accepted, effect.text) for effect in made.effects if isinstance(effect, CommandAnswered)]


@pytest.mark.parametrize(
    ("outcome", "state"),
    [
        (ManualResolution.NEVER_ACCEPTED, OrderState.NEVER_ACCEPTED),
        (ManualResolution.CANCELED, OrderState.CANCELED),
        (ManualResolution.EXPIRED, OrderState.EXPIRED),
        (ManualResolution.FILLED, OrderState.FILLED),
    ],
)
def test_o25_a_person_settles_what_could_not_be_proved(outcome: ManualResolution, state: OrderState) -> None:
    made, _, name = given_up()
    made.give(ResolveAsked(name, outcome.value, "n"))
    order = made.engine.orders.get(name)
    assert order is not None
    assert (order.state, answers(made)) == (state, [(True, "")])
    assert fold(made.rows).orders[name].state is state


def test_its_fills_are_booked_when_they_come_all_the_same() -> None:
    made, _, name = given_up()
    made.give(ResolveAsked(name, "filled", "n"))
    made.swallows.clear()
    made.silent = False
    made.fill(name, "1")
    made.run(10_000)
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D(1)


@pytest.mark.parametrize(
    ("name", "outcome", "text"),
    [("cf.mm.x.9", "filled", "this run knows no order cf.mm.x.9"), (None, "lost", "is not a valid ManualResolution")],
)
def test_what_cannot_be_settled_is_said(name: str | None, outcome: str, text: str) -> None:
    made, _, known = given_up()
    made.give(ResolveAsked(name or known, outcome, "n"))
    ((accepted, said),) = answers(made)
    assert not accepted
    assert text in said


def test_an_order_whose_state_is_known_is_not_resolved() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(Side.BUY, "1", "98"))
    (order,) = made.engine.orders.live
    made.give(ResolveAsked(order.client_order_id, "canceled", "n"))
    assert order.state is OrderState.ACCEPTED
    ((accepted, said),) = answers(made)
    assert not accepted
    assert "(only NEEDS_OPERATOR orders can)" in said
