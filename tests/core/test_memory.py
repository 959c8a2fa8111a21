"""A run that goes on and on holds no more than a run that has gone on for a while."""

from __future__ import annotations

import gc
import sys
from decimal import Decimal
from types import FunctionType, ModuleType

import pytest

from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.engine import Engine
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.model.effects import LinkKind
from coldframe.model.intents import Quote, Quotes, WakeMe
from tests.core.exchange import ALIVE
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

#: Rounds of ten virtual seconds until every bounded memory is full, and as many again for each look at it.
ROUNDS = 60


def busy(made: Scripted, actor: Actor, first: int) -> None:
    """Ten virtual seconds each: quotes that move and trade, orders of unknown fate, refusals, external orders, links that fall."""
    for at in range(first, first + ROUNDS):
        middle = Decimal(100) + Decimal(at % 7) / 10
        made.beat()
        made.want(actor, Quotes("BTCUSDT", [Quote(middle - 2, D(1))], [Quote(middle + 2, D(1))]), WakeMe(5, f"key {at % 3}"))
        made.run(2_000)
        for order in [order for order in made.exchange.orders.values() if order.client_order_id.startswith("cf.mm")][-2:]:
            if order.status in ALIVE:
                made.fill(order.client_order_id, str(order.quantity - order.filled))
        if at % 5 == 0:
            made.holds.add("order.place")
            made.want(actor, place(price="90", quantity="0.5"))
            if made.held:
                made.refuse(-1007)
            made.holds.clear()
            made.release()
        if at % 6 == 0:
            made.fill(made.external_order(f"hand-{at}", quantity="0.1").client_order_id, "0.1")
        if at % 11 == 0:
            made.lose((LinkKind.API, LinkKind.PRIVATE, LinkKind.MARKET)[at % 3])
        made.run(8_000)
        for held in (made.effects, made.log, made.rows, made.steps, actor.seen):
            held.clear()


def held_kb(engine: Engine) -> float:
    """The size of everything that can be reached from the engine, but for code and strategies."""
    seen: dict[int, object] = {}
    found: list[object] = [engine]
    while found:
        reached = found.pop()
        if id(reached) not in seen and not isinstance(reached, type | ModuleType | FunctionType | Actor):
            seen[id(reached)] = reached
            found += gc.get_referents(reached)
    return sum(sys.getsizeof(reached) for reached in seen.values()) / 1024


@pytest.mark.scene
def test_p9_what_a_run_holds_does_not_grow_with_its_age() -> None:
    """Not RSS over an hour of sockets, but every byte that the engine holds over virtual hours full of trouble."""
    actor = Actor()
    # Bounds that are thousands of orders wide would take days to be reached: here they are a few dozen.
    limits = OrderSideLimits(ended_orders=60, external_fills=20, session=SessionLimits(overdue=20))
    budgets = {"mm": Budget(max_position=D(20))}
    made = Scripted(actor, budgets=budgets, risk=RiskLimits(), trading=limits, checkpoint_rows=500).ready()
    busy(made, actor, 0)
    sizes = [held_kb(made.engine)]
    for turn in range(1, 4):
        busy(made, actor, turn * ROUNDS)
        sizes.append(held_kb(made.engine))
    orders = made.engine.orders
    assert len(orders._by_client_id) <= 60 + len(orders._live)
    runtime = made.engine.runtimes.get("mm")
    assert runtime.account.holdings.fills > 4 * ROUNDS, "it has really traded"
    growth = sizes[-1] - sizes[1]
    assert growth < 0.05 * sizes[1] + 20, f"kilobytes held after each turn: {[round(size) for size in sizes]}"
