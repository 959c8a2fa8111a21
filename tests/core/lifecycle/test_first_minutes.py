"""A run begins with a fraction of its limits, says so, and has the whole of them when its first minutes are over."""

from __future__ import annotations

import pytest

from coldframe.core.lifecycle.first_minutes import FirstMinutes
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.enums import Side
from coldframe.model.intents import Quote, Quotes, Target
from coldframe.testing import instrument
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

TENTH = FirstMinutes(3, D("0.1"))
WHOLE_MS = 3 * 60_000


def world(first: FirstMinutes = TENTH, **more: object) -> tuple[Scripted, Actor]:
    actor = Actor()
    return Scripted(actor, first_minutes=first, **more).ready(), actor  # type: ignore[arg-type]


def verdict(made: Scripted, actor: Actor, wanted: object) -> str:
    before = made.verdicts(actor)
    made.want(actor, wanted)
    after = made.verdicts(actor)
    return next(code for code, count in after.items() if count != before.get(code, 0))


LIMITS = [
    ("ORDER_NOTIONAL", {"risk": RiskLimits(max_order_notional=D(1_000))}),
    ("GROSS_NOTIONAL", {"risk": RiskLimits(max_gross_notional=D(1_000))}),
    ("POSITION", {"budgets": {"mm": Budget(max_position=D(10))}}),
    ("STRATEGY_NOTIONAL", {"budgets": {"mm": Budget(max_notional=D(1_000))}}),
]


@pytest.mark.parametrize(("code", "limits"), LIMITS)
def test_size_limits_are_a_tenth_at_first_and_full_afterwards(code: str, limits: dict) -> None:
    made, actor = world(**limits)
    assert verdict(made, actor, place(quantity="1.001")) == code
    assert "in the first minutes of a run (risk.first_minutes)" in made.said()
    assert verdict(made, actor, place(quantity="1")) == "ACCEPTED"
    made.run(WHOLE_MS)
    assert verdict(made, actor, place(quantity="8.9")) == "ACCEPTED"
    assert verdict(made, actor, place(quantity="10.1")) == code


@pytest.mark.parametrize(("code", "limits"), LIMITS)
def test_without_the_setting_limits_are_whole_from_the_start(code: str, limits: dict) -> None:
    made, actor = world(FirstMinutes(), **limits)
    assert verdict(made, actor, place(quantity="10.001")) == code
    assert verdict(made, actor, place(quantity="10")) == "ACCEPTED"
    assert "first_minutes" not in made.said()


def test_it_is_told_when_it_begins_and_ends() -> None:
    made, _ = world()
    begins = "risk.first_minutes: for 3 min this run may use 0.1 of max_position, max_notional"
    assert begins in made.said()
    made.run(WHOLE_MS - 5_000)
    assert "are over" not in made.said()
    made.run(5_000)
    assert made.said().count("risk.first_minutes: 3 min are over, this run may use its whole limits") == 1


def test_targets_and_quotes_stay_small_too() -> None:
    made, actor = world(budgets={"mm": Budget(max_position=D(10))})
    assert verdict(made, actor, Target("BTCUSDT", D(2))) == "POSITION"
    assert verdict(made, actor, Quotes("BTCUSDT", bids=[Quote(D(99), D(2))])) == "POSITION"
    assert verdict(made, actor, Target("BTCUSDT", D(1))) == "ACCEPTED"


def test_restored_position_may_be_reduced_whatever_its_size() -> None:
    made, actor = world(FirstMinutes(), budgets={"mm": Budget(max_position=D(10))})
    made.want(actor, place(quantity="8"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "8")
    again = made.restarted(actor, past=fold(made.rows), first_minutes=TENTH, budgets={"mm": Budget(max_position=D(10))})
    for _ in range(2):
        again.book("BTCUSDT", [("99.9", "5")], [("100.1", "5")])
    again.run(1_000)
    assert verdict(again, actor, place(quantity="0.5")) == "POSITION"
    assert verdict(again, actor, place(Side.SELL, "5", "101")) == "ACCEPTED"


@pytest.mark.parametrize(("least", "said"), [("101", True), ("100", False)])
def test_a_fraction_below_the_venues_least_order_is_said(least: str, said: bool) -> None:
    listed = [instrument("BTCUSDT", min_notional=least)]
    made, _ = world(risk=RiskLimits(max_order_notional=D(1_000)), instruments=listed)
    assert ("the venue takes none below" in made.said()) is said
    assert ("BTCUSDT: an order may come to 100 until then, and the venue takes none below 101" in made.said()) is said


def test_rates_and_loss_limits_are_not_scaled() -> None:
    made, actor = world(budgets={"mm": Budget(max_open_orders=10, max_loss=D(100), orders_per_10s=10)})
    for number in range(5):
        assert verdict(made, actor, place(quantity=f"0.{number + 1}")) == "ACCEPTED"
    assert made.engine.runtimes.get("mm").account.losses.max_loss == 100
