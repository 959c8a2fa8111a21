"""The engine's end: only when it is asked for, and once."""

from __future__ import annotations

from coldframe.model.effects import Finish
from coldframe.model.inputs import TimeReached
from tests.core.scripted import Actor, Scripted


def test_an_end_that_is_not_asked_for_does_not_come() -> None:
    made = Scripted(Actor()).ready()
    made.engine.ending.step(TimeReached("stop:check"))
    made.run(1_000)
    assert (made.ended, made.engine.ending.over) == (None, None)
    made.stop("signal")
    made.run(5_000)
    assert isinstance(made.ended, Finish)
    made.engine._ctx.take_effects()
    made.engine.ending.step(TimeReached("stop:check"))
    assert made.engine._ctx.take_effects() == []
