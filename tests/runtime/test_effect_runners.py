"""The two effect runners keep one contract: each takes every effect, and brings back the same kinds of inputs."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from types import UnionType
from typing import Any, Final, cast, get_args, get_origin

import attrs
import pytest
from trio.testing import wait_all_tasks_blocked

import coldframe
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.engine import Engine
from coldframe.errors import ColdframeError
from coldframe.model import effects as do
from coldframe.model import inputs as told
from coldframe.runtime.pump import Pump, market_of
from coldframe.trio_io.effects import TrioEffectRunner
from tests.trio_io.effects_rig import Script, running_effects

EFFECTS: Final[tuple[type[Any], ...]] = get_args(do.Effect)
#: What comes back where nothing gets through to an exchange; all other effects are done and say nothing.
ANSWERS: Final[Mapping[type[Any], type[Any]]] = {
    do.OpenLink: told.LinkLost,
    do.SendRequest: told.RequestNotWritten,
    do.CallRest: told.RestAnswered,
    do.WakeAt: told.TimeReached,
}
#: An address at which nothing listens.
NOWHERE: Final = "ws://127.0.0.1:9"


def sample(kind: Any) -> Any:
    """A value of a field's type."""
    if isinstance(kind, UnionType):
        return sample(get_args(kind)[0])
    if get_origin(kind) is not None:
        return {}
    if issubclass(kind, Enum):
        return next(iter(kind))
    if attrs.has(kind):
        return effect_of(kind)
    return kind()


def effect_of(kind: type[Any]) -> Any:
    """An effect of a class, or another value that one holds; a call asks for something that exists."""
    named = {"verb": "GET", "path": "/fapi/v1/time"}
    return kind(**{field.name: named.get(field.name, sample(field.type)) for field in attrs.fields(attrs.resolve_types(kind))})


async def on_trio(effect: do.Effect) -> tuple[list[type[Any]], bool]:
    """The kinds of the inputs that the runner of a live run brings back, and whether the run has ended."""
    async with running_effects(NOWHERE, NOWHERE) as (runner, _, _):
        try:
            runner.perform(effect)
        except ColdframeError:
            return [], True
        heard = await runner.inbox.receive() if type(effect) in ANSWERS else []
        await wait_all_tasks_blocked()
        assert runner.inbox.empty
        return [type(stamped.event) for stamped in heard], runner.finished is not None


async def on_virtual_time(effect: do.Effect) -> tuple[list[type[Any]], bool]:
    """The same of the pump."""
    settings, engine = Settings(symbols=["BTCUSDT"]), Script([])
    pump = Pump(settings, market_of(settings))
    pump.engine = cast("Engine", engine)
    pump.venue.unreachable = "connection refused"
    pump.perform(effect)
    assert engine.heard == [], "an answer comes in later"
    pump.passed(lambda: False, within_s=1)
    return [type(event) for event in engine.events], not pump.running


Runner = Callable[[do.Effect], Awaitable[tuple[list[type[Any]], bool]]]
RUNNERS: Final[Mapping[type[do.EffectRunner], Runner]] = {TrioEffectRunner: on_trio, Pump: on_virtual_time}


@pytest.mark.parametrize("run", RUNNERS.values(), ids=lambda run: run.__name__)
@pytest.mark.parametrize("kind", EFFECTS, ids=lambda kind: kind.__name__)
async def test_a_runner_takes_every_effect_and_answers(kind: type[Any], run: Runner) -> None:
    answers = [ANSWERS[kind]] if kind in ANSWERS else []
    assert await run(effect_of(kind)) == (answers, kind in (do.Finish, do.Fail))


@pytest.mark.parametrize("run", RUNNERS.values(), ids=lambda run: run.__name__)
async def test_what_is_not_an_effect_is_refused(run: Runner) -> None:
    """So that the test above would notice an effect without a case."""
    with pytest.raises((AssertionError, ExceptionGroup)) as refused:
        await run(cast("do.Effect", told.StopAsked("not an effect")))
    assert (
        refused.group_contains(AssertionError) if isinstance(refused.value, ExceptionGroup) else "StopAsked" in str(refused.value)
    )


def test_these_two_are_all_effect_runners() -> None:
    modules = [importlib.import_module(found.name) for found in pkgutil.walk_packages(coldframe.__path__, "coldframe.")]
    classes = {made for module in modules for _, made in inspect.getmembers(module, inspect.isclass)}
    found = {made for made in classes if do.EffectRunner in made.__bases__}
    assert found == set(RUNNERS)
