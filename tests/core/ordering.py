"""One strategy with one order at the tiny venue: how most tests of the order side begin."""

from __future__ import annotations

from coldframe.core.state.orders import Order
from coldframe.model.events import OrderChanged
from coldframe.model.orders import OrderState
from tests.core.scripted import Actor, Scripted
from tests.core.told import place

QUERY = "order.status"


def world(*holds: str) -> tuple[Scripted, Actor]:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.update(holds)
    return made, actor


def placed(*holds: str, **wanted: object) -> tuple[Scripted, Actor, Order]:
    """One order of a strategy."""
    made, actor = world(*holds)
    made.want(actor, place(**wanted))  # type: ignore[arg-type]
    (order,) = made.engine.orders.live
    return made, actor, order


def accept_quietly(made: Scripted, method: str = "order.place") -> None:
    """The venue takes the order that is held, and the bot does not hear of it."""
    made.silent = True
    made.exchange.carry_out(method, made.sent(method)[0].params)


def queries(made: Scripted) -> int:
    """How often orders have been asked for, by either way."""
    return len(made.sent(QUERY)) + len(made.by_rest(QUERY))


def cancels(made: Scripted) -> int:
    """How many cancels have gone out, by either way."""
    return len(made.sent("order.cancel")) + len(made.by_rest("order.cancel"))


def state(order: Order) -> OrderState:
    return order.state


def states(actor: Actor) -> list[str]:
    return [effect.state for effect in actor.told(OrderChanged)]
