"""The page of hooks: every event has its hook, every hook its signature and its sentence."""

from __future__ import annotations

import inspect
from collections import Counter
from types import UnionType
from typing import Any, get_args, get_type_hints

import pluggy
import pytest

from coldframe.core.marketdata.events import HOOK_OF
from coldframe.model.events import StrategyEvent
from coldframe.plug.hookspecs import EVENT_HOOKS, PROJECT, BotHooks, StrategyHooks, hookimpl

HOOKS = [*sorted(EVENT_HOOKS), "review_intent"]


def events_of(hook: str) -> tuple[Any, ...]:
    kind = get_type_hints(getattr(StrategyHooks, hook))["event"]
    return get_args(kind) if isinstance(kind, UnionType) else (kind,)


def test_every_event_goes_to_exactly_one_hook() -> None:
    told = Counter(event for hook in EVENT_HOOKS for event in events_of(hook))
    assert told == Counter(get_args(StrategyEvent))


def test_every_stream_goes_to_a_hook_that_is_there() -> None:
    assert set(HOOK_OF.values()) < EVENT_HOOKS


@pytest.mark.parametrize("hook", sorted(EVENT_HOOKS))
def test_a_hook_takes_an_event_and_a_view(hook: str) -> None:
    assert list(inspect.signature(getattr(StrategyHooks, hook)).parameters) == ["self", "event", "view"]


@pytest.mark.parametrize("hook", HOOKS)
def test_a_hook_says_when_it_is_called(hook: str) -> None:
    assert (inspect.getdoc(getattr(StrategyHooks, hook)) or "").endswith(".")


def test_every_hook_is_registered_and_only_review_stops_at_first() -> None:
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(StrategyHooks)
    manager.add_hookspecs(BotHooks)
    first = {name for name, caller in vars(manager.hook).items() if caller.spec and caller.spec.opts["firstresult"]}
    assert first == {"review_intent"}
    assert {*HOOKS, "provide_strategies", "provide_checks", "provide_sinks"} <= set(vars(manager.hook))


def test_the_mark_is_the_one_that_pluggy_looks_for() -> None:
    @hookimpl(tryfirst=True)
    def on_book() -> None: ...

    assert on_book.coldframe_impl["tryfirst"]  # type: ignore[attr-defined]
