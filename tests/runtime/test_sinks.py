"""Sinks of an installed plugin, in a run: they hear orders, fills and log lines; one that raises does not end the run."""

from __future__ import annotations

import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from coldframe.model.effects import Log, Told
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.plug.loader import GROUP, House
from coldframe.runtime import build
from tests.runtime.scene import CONFIG, STRATEGIES, play

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
    monkeypatch.setattr(build, "House", lambda: House(points))
    config = CONFIG.replace("strategies.py:Busy", "busy").replace("strategies.py:Broken", "broken")
    scene = play(tmp_path, config=config)
    module = sys.modules["heard_by_sinks"]

    told = [one for one in module.heard if isinstance(one, Told)]
    assert {one.strategy for one in told} == {"busy"}
    fills = [one.event for one in told if isinstance(one.event, OrderFilled)]
    assert sum(fill.quantity for fill in fills) == scene.engine.slots.get("busy").trader.account.net("BTCUSDT")
    states = [one.event.state for one in told if isinstance(one.event, OrderChanged)]
    assert {"FILLED", "CANCELED"} <= {str(state).upper() for state in states}
    assert any(isinstance(one, Log) and "broken muted" in one.text for one in module.heard)

    assert len(module.broken) == 1
    assert "a sink failed: RuntimeError: the disk is full" in scene.log
    assert "it hears nothing more" in scene.log
