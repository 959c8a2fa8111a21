"""The public face: each name is there once, can be imported, says what it is, and the rest stays inside."""

from __future__ import annotations

import inspect
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType, UnionType
from typing import Any, get_args

import attrs
import pytest

import coldframe
from coldframe import testing
from coldframe.model import events, intents, view
from coldframe.plug.hookspecs import StrategyHooks

ROOT = Path(__file__).resolve().parents[1]
NAMES = coldframe.__all__
#: Lists of words that say all there is to say.
PLAIN = {"LinkState", "OrderType", "Side"}
#: What `coldframe.testing` offers; everything else in it is only used there.
TESTING = ["Machine", "Playbook", "StrategyBench", "instrument"]


def test_each_name_stands_once_and_in_its_place() -> None:
    assert [name for name, times in Counter(NAMES).items() if times > 1] == []
    assert sorted(NAMES) == NAMES
    assert not set(NAMES) & set(TESTING)


def test_nothing_else_shows() -> None:
    """Modules below the face are reachable, as of every package; no other name is."""
    visible = {name for name, value in vars(coldframe).items() if not name.startswith("_") and not isinstance(value, ModuleType)}
    assert visible == set(NAMES)


def test_the_testing_module_defines_what_it_offers() -> None:
    own = {name for name, value in vars(testing).items() if getattr(value, "__module__", None) == testing.__name__}
    public = {name for name in own if not name.startswith("_") and callable(getattr(testing, name)) and len(name) > 1}
    assert public == set(TESTING)


@pytest.mark.parametrize("name", NAMES)
def test_each_name_says_what_it_is(name: str) -> None:
    found: Any = getattr(coldframe, name)
    if isinstance(found, UnionType):
        assert {member.__name__ for member in get_args(found)} <= set(NAMES)
    elif isinstance(found, type):
        assert found.__doc__ or name in PLAIN
        assert not str(found.__doc__).startswith(f"{name}(")
        assert found.__name__ == name
    else:
        assert found is coldframe.hookimpl


@pytest.mark.parametrize("name", TESTING)
def test_each_name_for_tests_says_what_it_is(name: str) -> None:
    found = getattr(testing, name)
    assert inspect.getdoc(found)
    methods = [member for key, member in vars(found).items() if not key.startswith("_") and inspect.isfunction(member)]
    assert all(inspect.getdoc(method) or len(inspect.getsource(method).splitlines()) <= 2 for method in methods)


def test_every_event_and_intent_is_there() -> None:
    told = {member.__name__ for member in get_args(events.StrategyEvent)}
    assert told <= set(NAMES)
    assert {member.__name__ for member in get_args(intents.Intent)} <= set(NAMES)
    own = {name for name, value in vars(view).items() if getattr(value, "__module__", None) == view.__name__}
    assert {name for name in own if not name.startswith("_")} <= set(NAMES)


def test_every_event_is_frozen_and_carries_its_time() -> None:
    for member in get_args(events.StrategyEvent):
        assert member.__setattr__ is not object.__setattr__
        assert "at_ns" in {field.name for field in attrs.fields(member)}
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        coldframe.Started(5).at_ns = 6  # type: ignore[misc]


def test_hooks_name_nothing_that_a_plugin_cannot_import() -> None:
    for name, hook in vars(StrategyHooks).items():
        if not name.startswith("_"):
            for annotation in inspect.get_annotations(hook, eval_str=True).values():
                for member in get_args(annotation) if isinstance(annotation, UnionType) else [annotation]:
                    if getattr(member, "__module__", "").startswith("coldframe"):
                        assert member.__name__ in NAMES


@pytest.mark.parametrize("name", [*NAMES, *TESTING])
def test_each_name_is_imported_by_itself(name: str) -> None:
    space: dict[str, object] = {}
    exec(f"from coldframe{'.testing' if name in TESTING else ''} import {name}", space)
    assert name in space


def test_the_face_loads_no_network_and_no_terminal() -> None:
    """A plugin, and `coldframe --help`, pay for neither."""
    code = "import sys, coldframe; print(*sorted({'trio', 'httpx2', 'rich', 'cryptography', 'trio_websocket'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("Verdict", "VerdictCode")])
def test_each_name_is_spoken_of_where_plugins_are_explained(name: str) -> None:
    """In the documents, in the page of hooks, or as the type of a field of something else."""
    texts = [path.read_text(encoding="utf-8") for path in [*(ROOT / "docs").glob("*.md"), ROOT / "README.md"]]
    texts += [inspect.getsource(module) for module in (events, intents, view)]
    assert sum(text.count(name) for text in texts) > 1
