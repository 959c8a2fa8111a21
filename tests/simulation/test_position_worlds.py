"""Two thousand worlds in which others change the account; `python -m tests.campaigns.positions` makes more of them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest

from coldframe.enums import PositionSide
from tests.examples import first
from tests.simulation.positionworlds import World, lived
from tests.simulation.sharing import OTHERS, share_out

#: The suite's worlds are shorter than those of the campaign.
LONGEST = 4
PART = 50
BTC = ("BTCUSDT", PositionSide.BOTH)


@pytest.mark.parametrize("begin", first(range(0, 2_000, PART)))
def test_in_every_world_all_shares_are_the_account(begin: int) -> None:
    """And each share is the oracle's, nothing is turned over, the summary and the journal agree."""
    outcomes = [lived(seed, LONGEST) for seed in range(begin, begin + PART)]
    assert {outcome.seed: list(outcome.violations) for outcome in outcomes if outcome.violations} == {}
    assert sum(outcome.trades for outcome in outcomes) > PART // 4
    assert sum(outcome.of_others for outcome in outcomes) > PART
    assert sum(outcome.restarts for outcome in outcomes) > PART // 4


@pytest.mark.parametrize("seed", [203_780, 205_440, 215_161])
def test_worlds_of_the_campaign_that_went_wrong_once(seed: int) -> None:
    """Closed at another entry price; a trade from before one that was known; a report that came while the start was waiting."""
    assert not lived(seed).violations


def test_the_oracle_sees_a_share_that_is_not_its_own() -> None:
    world = World(3)
    world.pump.run(2)
    assert world._differences() == []
    account = next(iter(world.pump.engine.accounts.values()))
    account.position(*BTC).change(Decimal("0.001"), Decimal(60_000))
    assert any("on the account" in text for text in world._differences())
    assert any("0.001, not 0" in text for text in world._differences())


@pytest.mark.parametrize("asked", [True, False], ids=["asked for zero", "not asked yet"])
def test_the_oracle_sees_an_order_that_turns_a_position_over(asked: bool) -> None:
    world = World(3)
    world.pump.run(2)
    world.oracle.update()
    world.closing = True
    world.traders = world.traders[:1]
    name = world.traders[0].id
    if asked:
        world.closing_since[name] = len(world.pump.sent)
    order = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": "0.002", "newClientOrderId": "own"}
    world.owners["own"] = name
    world.pump.sent.append(("order.place", dict(order)))
    world.pump.venue.by_hand("POST", "/fapi/v1/order", order)
    world.oracle.update()
    assert any("on the way to zero" in text for text in world.outcome.violations) is asked


@pytest.mark.parametrize(
    ("held", "signed", "parts"),
    [
        ({"a": 10}, -10, {"a": -10}),
        ({"a": 10}, -15, {"a": -10, OTHERS: -5}),
        ({"a": 10}, 10, {OTHERS: 10}),
        ({"a": 1, OTHERS: 1}, -1, {OTHERS: -1}),
        ({"a": 2, OTHERS: -1}, -1, {"a": -2, OTHERS: 1}),
        ({"a": 300, "b": 100}, -100, {"a": -75, "b": -25}),
        ({"a": 1, "b": 1}, -1, {"a": -1}),
        ({"a": 1, "b": -1}, -1, {OTHERS: -1}),
    ],
)
def test_the_oracle_shares_out_as_the_documents_say(held: dict[str, int], signed: int, parts: dict[str, int]) -> None:
    """The table in docs/orders.md, in whole lots."""
    found = share_out(Fraction(signed), {owner: Fraction(lots) for owner, lots in held.items()}, Fraction(1))
    assert found == parts
