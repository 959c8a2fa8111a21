"""Two thousand worlds in which everything about orders goes wrong; `python -m tests.campaigns.orders` makes more of them."""

from __future__ import annotations

import pytest

from tests.examples import first
from tests.simulation.orderworlds import World, lived

#: The suite's worlds are in trouble for three seconds at most; those of the campaign for longer.
LONGEST_S = 3
PART = 100


@pytest.mark.parametrize("begin", first(range(0, 2_000, PART)))
def test_in_every_world_a_listed_order_is_alive(begin: int) -> None:
    """And the worst position is within its limit, nothing is sent twice, nothing is left open."""
    outcomes = [lived(seed, LONGEST_S) for seed in range(begin, begin + PART)]
    assert {outcome.seed: list(outcome.violations) for outcome in outcomes if outcome.violations} == {}
    assert sum(outcome.orders for outcome in outcomes) > PART
    assert sum(outcome.conditional for outcome in outcomes) > PART // 10
    assert sum(outcome.hidden for outcome in outcomes) > PART // 4


@pytest.mark.parametrize("seed", [404_670, 411_849])
def test_a_start_waits_for_conditional_orders_that_traded(seed: int) -> None:
    """Hidden ones: two whose trades came to nothing together, and one that had been waiting when the journal ended."""
    assert not lived(seed).violations


@pytest.mark.parametrize("seed", [675, 50_550])
def test_what_was_triggered_while_off_is_never_external(seed: int) -> None:
    """Worlds in which the order's id was found before what it had traded, and the start was refused for a position of others."""
    assert not lived(seed).violations


def test_an_exit_that_is_not_answered_may_have_traded_first() -> None:
    """A reduce-only order on its way closed the position before a quote was filled whose fill was told first."""
    assert not lived(948_514).violations


def test_the_journal_knows_the_terms_that_a_late_trade_brings() -> None:
    """The stream told of a trade that a query had brought already, with a later time of the order's terms; nothing else was new."""
    assert not lived(70_154).violations


def one_way() -> World:
    """The first world in one-way mode."""
    return next(world for world in map(World, range(20)) if not world.hedge)


def test_the_worlds_have_every_kind_of_bot() -> None:
    worlds = [World(seed) for seed in range(90)]
    assert {(world.hedge, len(world.hands), len(world.contracts)) for world in worlds} >= {
        (hedge, *counts) for hedge in (False, True) for counts in ((1, 1), (2, 1), (2, 2))
    }
    assert {hand.conditional for world in worlds for hand in world.hands.values()} == {False, True}


def test_the_oracle_sees_an_order_that_the_bot_has_forgotten() -> None:
    world = World(0)
    pump = world.pump
    pump.until(lambda: bool(pump.venue.open_orders()), 60)
    orders = pump.engine.orders
    for order in list(orders.live):
        orders._live.keep(order, wanted=False)
        del orders._by_client_id[order.client_order_id]
    world._check()
    assert any("stands at the exchange and is forgotten here" in text for text in world.outcome.violations)


def test_the_oracle_sees_a_position_over_the_limit() -> None:
    world = one_way()
    pump = world.pump
    pump.run(2)
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "MARKET", "quantity": "0.5"}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 200
    world._check()
    assert any("the worst position of" in text for text in world.outcome.violations)
