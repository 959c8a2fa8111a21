"""Storms of conditional orders: they trigger, trade and end while answers are lost and late, links fall and the bot is killed."""

from __future__ import annotations

from functools import cache

import pytest

from tests.examples import examples
from tests.simulation.orderworlds import World, lived

LONGEST_S = 8
PART = 25


@pytest.mark.scene
@pytest.mark.parametrize("first", range(0, examples(100), PART))
def test_p1_conditional_orders_end_as_the_venue_says(first: int) -> None:
    """Also after a crash that left any part of the journal which the last request did not wait for."""
    outcomes = [lived(seed, LONGEST_S, storm=True) for seed in range(first, first + PART)]
    assert {outcome.seed: list(outcome.violations) for outcome in outcomes if outcome.violations} == {}
    assert sum(outcome.conditional for outcome in outcomes) > PART
    assert sum(outcome.triggered for outcome in outcomes) > PART // 5
    assert sum(outcome.restarts for outcome in outcomes) > 2


def calm() -> World:
    """A storm that is over: a conditional order has triggered, orders have traded, and the bot was never killed."""
    world = World(calm_seed(), LONGEST_S, storm=True)
    world.run()
    return world


@cache
def calm_seed() -> int:
    for seed in range(100):
        outcome = lived(seed, LONGEST_S, storm=True)
        if outcome.triggered and outcome.traded and not outcome.restarts and not outcome.violations:
            return seed
    raise AssertionError("no such world")


def test_the_oracle_sees_another_end() -> None:
    world = calm()
    order = next(order for order in world.pump.venue.books().orders.values() if world.pump.engine.orders.get(order.client_id))
    order.filled += 1
    assert any(f"{order.client_id} is " in text for text in world._told_amiss())


def test_the_oracle_sees_a_journal_that_lacks_a_row() -> None:
    world = calm()
    fills = [row for row in world.pump.rows if row.kind == "fill"]
    world.pump.rows.remove(fills[-1])
    assert any(text.startswith("the journal's ") for text in world._told_amiss())


@pytest.mark.parametrize("kind", ["OrderFilled", "TRIGGERED"])
def test_the_oracle_sees_that_a_strategy_was_not_told(kind: str) -> None:
    world = calm()
    for hand in world.hands.values():
        hand.told[:] = [event for event in hand.told if kind not in (type(event).__name__, getattr(event, "state", ""))]
    said = "fills were told" if kind == "OrderFilled" else "says otherwise of its trigger"
    assert any(said in text for text in world._told_amiss())


def test_the_oracle_sees_that_a_strategy_was_told_twice() -> None:
    world = calm()
    for hand in world.hands.values():
        hand.told += [event for event in hand.told if getattr(event, "state", "") == "TRIGGERED"]
    assert any("was told twice" in text for text in world._told_amiss())
