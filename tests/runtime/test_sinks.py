"""Sinks of an installed plugin, in a run: they hear orders, fills and log lines; a sink that raises does not end the run."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest

from coldframe.commands import verbs
from coldframe.errors import ConfigError
from coldframe.model.effects import Log, Told
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.plug.loader import GROUP, PluginRegistry
from coldframe.runtime import build
from tests.runtime.scene import CONFIG, STRATEGIES, play

#: Each run takes seconds of real time.
pytestmark = pytest.mark.scene

SINKS = """

heard = []
broken = []

def breaks(news):
    broken.append(news)
    raise RuntimeError("the disk is full")

@hookimpl
def provide_strategies():
    return {"busy": Busy, "broken": Broken}

@hookimpl
def provide_sinks():
    return [breaks, heard.append]
"""


def test_sinks_hear_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "heard_by_sinks.py").write_text(STRATEGIES + SINKS)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint(name, "heard_by_sinks", GROUP) for name in ("busy", "broken")]
    monkeypatch.setattr(build, "PluginRegistry", lambda: PluginRegistry(points))
    config = CONFIG.replace("strategies.py:Busy", "busy").replace("strategies.py:Broken", "broken")
    scene = play(tmp_path, config=config)
    module = sys.modules["heard_by_sinks"]

    told = [event for event in module.heard if isinstance(event, Told)]
    assert {effect.strategy for effect in told} == {"busy"}
    fills = [effect.event for effect in told if isinstance(effect.event, OrderFilled)]
    assert sum(fill.quantity for fill in fills) == scene.engine.runtimes.get("busy").account.holdings.net("BTCUSDT")
    states = [effect.event.state for effect in told if isinstance(effect.event, OrderChanged)]
    assert {"FILLED", "CANCELED"} <= {str(state).upper() for state in states}
    assert any(isinstance(event, Log) and "broken muted" in event.text for event in module.heard)

    assert len(module.broken) == 1
    assert "a sink failed: RuntimeError: the disk is full" in scene.log
    assert "it is not called any more" in scene.log


ALERTS = """
from coldframe import hookimpl

heard = []


@hookimpl
def provide_sinks():
    return [heard.append]


@hookimpl
def provide_checks():
    return [lambda document: ["no bot may be called scene"] if document["name"] == "refused" else []]
"""


@pytest.mark.parametrize("form", ["entry point", "file"])
def test_a_plugin_without_strategies_hears_what_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    module = f"alerts_by_{form.replace(' ', '_')}"
    (tmp_path / f"{module}.py").write_text(ALERTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(build, "PluginRegistry", lambda: PluginRegistry([EntryPoint("alerts", module, GROUP)]))
    named = "alerts" if form == "entry point" else f"{module}.py"
    play(tmp_path, config=f'{CONFIG}\n[[plugins]]\nplugin = "{named}"\n')
    heard = next(loaded.heard for name, loaded in sys.modules.items() if name.startswith((module, f"coldframe_user_{module}")))
    assert any(isinstance(effect, Told) and isinstance(effect.event, OrderFilled) for effect in heard)
    assert any(isinstance(effect, Log) for effect in heard)


def test_a_plugin_that_is_not_named_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alerts_not_named.py").write_text("raise RuntimeError('never imported')")
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(build, "PluginRegistry", lambda: PluginRegistry([EntryPoint("alerts", "alerts_not_named", GROUP)]))
    play(tmp_path, seconds=1)


def test_checks_and_mistakes_of_plugins_are_findings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alerts_that_check.py").write_text(ALERTS)
    (tmp_path / "bot.toml").write_text(
        'config_version = 1\nname = "refused"\n[[plugins]]\nplugin = "alerts"\n[[plugins]]\nplugin = "alarms"\n'
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(build, "PluginRegistry", lambda: PluginRegistry([EntryPoint("alerts", "alerts_that_check", GROUP)]))
    with pytest.raises(ConfigError) as refused:
        build.build(build.read(tmp_path / "bot.toml"), ("BTCUSDT",))
    wrong, checked = refused.value.findings
    assert wrong.startswith(f"{tmp_path}/bot.toml:6: plugins[1].plugin: no plugin 'alarms' (did you mean 'alerts'?)")
    assert checked == "no bot may be called scene"


def test_the_list_says_which_are_active(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "alerts_that_are_listed.py").write_text(ALERTS)
    monkeypatch.syspath_prepend(str(tmp_path))
    points = [EntryPoint("alerts", "alerts_that_are_listed", GROUP), EntryPoint("maker", "coldframe_maker", GROUP)]
    for module in (build, verbs):
        monkeypatch.setattr(module, "PluginRegistry", lambda: PluginRegistry(points))
    path = tmp_path / "bot.toml"
    head = 'config_version = 1\nname = "bot"\n'
    said: list[tuple[Any, Any]] = []
    verbs.list_plugins(lambda *printed: said.append(printed))
    for text in (head, f'{head}[[plugins]]\nplugin = "alerts"\n'):
        path.write_text(text)
        verbs.list_plugins(lambda *printed: said.append(printed), path)
    assert [{module["name"]: module["active"] for module in document["modules"]} for document, _ in said] == [
        {"alerts": None, "maker": None},
        {"alerts": False, "maker": False},
        {"alerts": True, "maker": False},
    ]
    how = 'active with a strategy of its own, or by [[plugins]] plugin = "alerts"'
    assert f"alerts       provides checks, sinks (alerts_that_are_listed): {how}" in said[0][1]
    assert f"alerts       provides checks, sinks (alerts_that_are_listed): active in {path}" in said[2][1]
    assert f"maker        provides strategies (coldframe_maker): not active in {path}" in said[2][1]
