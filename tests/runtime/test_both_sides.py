"""Positions of an account in hedge mode, as they are shown: in the summary, in its lines, and in the live view."""

from __future__ import annotations

import copy
import io

from rich.console import Console

from coldframe.enums import PositionSide, Side
from coldframe.runtime.liveview import LiveView
from coldframe.runtime.report import run_summary, summary_lines
from tests.core.scripted import Actor, Scripted
from tests.core.told import place
from tests.runtime.scene import Scene, rendered

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT


def hedged(scene: Scene) -> tuple[Scripted, dict[str, object]]:
    """An engine that holds both sides, and the summary of a bot like the one of the scene with it."""
    actor = Actor("busy")
    made = Scripted(actor, hedge=True).ready()
    made.want(actor, place(Side.BUY, "2", None, position_side=LONG), place(Side.SELL, "0.50", None, position_side=SHORT))
    return made, run_summary(scene.bot, made.engine, scene.result.ended)


def test_the_summary_names_each_side(scene: Scene) -> None:
    _, summary = hedged(scene)
    strategy = summary["strategies"]["busy"]  # type: ignore[index]
    assert strategy["sides"] == {"BTCUSDT": {"LONG": "2", "SHORT": "-0.5"}}
    assert strategy["position"] == {"BTCUSDT": "1.5"}
    (line,) = [line for line in summary_lines(summary) if line.startswith("  busy")]
    assert "2 fills, BTCUSDT LONG 2, BTCUSDT SHORT -0.5;" in line
    flat = copy.deepcopy(summary)
    flat["strategies"]["busy"]["sides"] = {"BTCUSDT": {"LONG": "0", "SHORT": "0"}}  # type: ignore[index]
    assert any("2 fills, flat;" in line for line in summary_lines(flat))


def test_the_live_view_names_each_side(scene: Scene) -> None:
    made, _ = hedged(scene)
    view = LiveView("bot", console=Console(file=io.StringIO()))
    view.started(made.engine)
    assert "BTCUSDT LONG 2, BTCUSDT SHORT -0.5" in rendered(view)
