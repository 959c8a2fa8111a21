"""What is shut stays shut over a restart, until a person opens it."""

from __future__ import annotations

from typing import Any

from coldframe.core.state.journal_codec import fold
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.model.halting import LastingSuspensions
from coldframe.model.inputs import ResumeAsked
from coldframe.model.intents import VerdictCode as V
from coldframe.model.journal import RowKind
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

SETUP: dict[str, Any] = {"budgets": {"one": Budget(max_loss=D(5))}, "risk": RiskLimits(max_loss=D(100))}


def lost(loss_of_all: bool = False) -> tuple[Scripted, Actor, Actor]:
    """One strategy has lost more than it may, or all of them together."""
    mine, other = Actor("one"), Actor("other")
    made = Scripted(mine, other, **SETUP).ready()
    for actor in (mine, other):
        made.want(actor, place(quantity="3"))
    for order in list(made.engine.orders.live):
        made.fill(order.client_order_id, "3")
    made.mark("BTCUSDT", "60" if loss_of_all else "97")
    made.run(300, alive=False)
    return made, mine, other


def test_strategy_over_its_loss_limit_stays_suspended_on_restart() -> None:
    made, mine, other = lost()
    past = fold(made.rows)
    assert past.suspensions == made.engine.state.trading.lasting
    assert set(past.suspensions.strategies) == {"one"}
    again = made.restarted(mine, other, past=past, **SETUP)
    again.book("BTCUSDT", [("96.9", "5")], [("97.1", "5")])
    again.run(2_000)
    for actor in (mine, other):
        again.want(actor, place(quantity="0.5", price="96"))
    assert again.verdicts(mine) == {V.LOSS: 1}
    assert again.verdicts(other) == {V.ACCEPTED: 1}
    assert "no new risk since an earlier run: loss of strategy one" in again.said()
    again.give(ResumeAsked("one", 1))
    again.want(mine, place(quantity="0.4", price="96"))
    assert again.verdicts(mine) == {V.LOSS: 1, V.ACCEPTED: 1}
    assert fold([*made.rows, *again.rows]).suspensions == LastingSuspensions()


def test_the_account_stays_shut_too_and_so_does_a_symbol() -> None:
    made, mine, other = lost(loss_of_all=True)
    made.engine.state.trading.halt_symbol("BTCUSDT", "its position did not add up", 0)
    made.run(300, alive=False)
    past = fold(made.rows)
    assert past.suspensions.account is not None
    assert set(past.suspensions.symbols) == {"BTCUSDT"}
    again = made.restarted(mine, other, past=past, **SETUP)
    again.run(2_000)
    again.want(other, place(quantity="0.5"))
    assert again.verdicts(other) == {V.LOSS: 1}
    again.give(ResumeAsked(None, 1))
    again.want(other, place(quantity="0.4"))
    assert again.verdicts(other) == {V.LOSS: 1, V.ACCEPTED: 1}


def test_a_checkpoint_knows_what_is_shut() -> None:
    made, mine, other = lost()
    again = made.restarted(mine, other, past=fold(made.rows), **SETUP)
    (mark,) = [row for row in again.rows if row.kind == RowKind.CHECKPOINT]
    assert fold([mark]).suspensions == made.engine.state.trading.lasting


def test_what_is_shut_is_recorded_once_for_each_change() -> None:
    made, _, _ = lost()
    made.run(5_000)
    assert sum(row.kind == RowKind.SUSPENSIONS for row in made.rows) == 1
