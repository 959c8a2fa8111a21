"""A strategy that lives at a limit is told so once, with what to change; a strategy that meets it now and then is not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.strategies.limit_strain import SECONDS, WITHIN_S, Strain
from coldframe.model.intents import Quote, Quotes, Verdict, VerdictCode
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

RATE = Verdict(VerdictCode.ORDER_RATE, "21 orders in 10 s would go out, budget.orders_per_10s of strategy mm allows 20")


def lines(made: Scripted) -> list[str]:
    return [line.text for line in made.log if "is at its limit" in line.text]


@given(st.lists(st.integers(0, 60_000), max_size=80))
def test_it_is_said_when_enough_seconds_of_the_window_met_it(times: list[int]) -> None:
    strain, said_at = Strain(), None
    for at_ms in sorted(times):
        if strain.met(RATE, at_ms):
            assert said_at is None, "once"
            said_at = at_ms // 1000
    seconds = sorted({at_ms // 1000 for at_ms in times})
    due = [last for first, last in zip(seconds, seconds[SECONDS - 1 :], strict=False) if last - first < WITHIN_S]
    assert said_at == (due[0] if due else None)


@pytest.mark.parametrize(("last_s", "said"), [(WITHIN_S - 1, True), (WITHIN_S, False)])
def test_the_window_has_an_end(last_s: int, said: bool) -> None:
    strain = Strain()
    for second in (0, 5, 10, 15):
        assert not strain.met(RATE, second * 1000)
    assert bool(strain.met(RATE, last_s * 1000)) is said


def test_other_refusals_are_no_strain() -> None:
    strain = Strain()
    for code in (VerdictCode.POSITION, VerdictCode.STALE_BOOK, VerdictCode.HALTED, VerdictCode.DRAWDOWN):
        assert not any(strain.met(Verdict(code, "x"), second * 1000) for second in range(60))


def test_each_limit_is_told_once() -> None:
    strain = Strain()
    other = Verdict(VerdictCode.OPEN_ORDERS, "4 orders would be open, risk.max_open_orders allows 3")
    told = [strain.met(verdict, second * 1000) for second in range(60) for verdict in (RATE, other)]
    assert sum(bool(text) for text in told) == 2
    assert set(strain.said) == {"ORDER_RATE", "OPEN_ORDERS"}


def quoting(budget: Budget, risk: RiskLimits | None = None) -> tuple[Scripted, Actor]:
    """A strategy that moves its quote at every look at the book."""
    actor = Actor()
    made = Scripted(actor, budgets={"mm": budget}, risk=risk).ready()
    number = iter(range(10_000))
    actor.acts["on_book"] = lambda *_: Quotes("BTCUSDT", [Quote(D("99") - D(next(number) % 9) / 10, D(1))])
    return made, actor


@pytest.mark.parametrize(
    ("budget", "risk", "advice"),
    [
        (
            Budget(orders_per_10s=4),
            None,
            "5 orders in 10 s would go out, budget.orders_per_10s of strategy mm allows 4): its orders come late; raise budget",
        ),
        (
            Budget(messages_per_10s=4),
            None,
            "5 messages in 10 s would go out, budget.messages_per_10s of strategy mm allows 4): its orders come late; raise",
        ),
        (Budget(), RiskLimits(messages_per_10s=4), "5 messages in 10 s would go out, risk.messages_per_10s allows 4)"),
    ],
    ids=["orders", "messages", "all messages"],
)
def test_a_quote_that_moves_too_often_is_told_once(budget: Budget, risk: RiskLimits | None, advice: str) -> None:
    made, _ = quoting(budget, risk)
    made.run(60_000)
    (line,) = lines(made)
    assert line.startswith("strategy mm is at its limit most of the time (")
    assert advice in line
    assert made.engine.runtimes.get("mm").strain.said


def test_a_strategy_with_room_is_told_nothing() -> None:
    made, _ = quoting(Budget(orders_per_10s=60))
    made.run(60_000)
    assert lines(made) == []


def test_orders_that_are_placed_past_the_limit_are_told_as_well() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(max_open_orders=1)}).ready()
    made.want(actor, place(price="95"))
    actor.acts["on_book"] = lambda *_: place(price="94")
    made.run(20_000)
    (line,) = lines(made)
    assert "raise max_open_orders (of its budget or under [risk])" in line
