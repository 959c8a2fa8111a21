"""The live view at every stage of a run, and what it does with texts from outside."""

from __future__ import annotations

import io
import re

import pytest
import trio
from rich.console import Console
from trio.testing import MockClock

from coldframe.core.connectivity.connect_budget import ConnectBudget
from coldframe.model.effects import Level, LinkKind
from coldframe.runtime.liveview import LiveView
from tests.runtime.scene import Scene, rendered


def rows(picture: str, first: str) -> list[list[str]]:
    """The cells of the rows of a table whose head begins with a word."""
    lines = picture.splitlines()
    begin = next(number for number, line in enumerate(lines) if line.startswith(first + " "))
    return [re.split(r" {2,}", line.strip()) for line in lines[begin + 1 : begin + 4]]


def test_there_is_a_picture_at_every_stage(scene: Scene) -> None:
    pictures = [picture for picture in scene.pictures if not picture.startswith("scene: starting")]
    assert scene.pictures[0] == "scene: starting\n"
    assert len(pictures) > 20
    for picture in pictures:
        assert [row[0] for row in rows(picture, "book")] == ["SOLUSDT (rpi)", "BTCUSDT", "ETHUSDT"]
        assert "; Ctrl-C ends the run" in picture
    first, last = pictures[0], pictures[-1]
    assert {row[1] for row in rows(first, "book")} == {"buffering"}
    assert {row[2] for row in rows(first, "book")} == {"-"}
    assert "orders down, reports incomplete; weight 0/2400, orders 0/300 in 10 s; 0 messages" in first
    assert {row[1] for row in rows(last, "book")} == {"synced"}
    bid, ask = (float(row) for row in rows(last, "book")[1][2:4])
    assert bid < ask


def test_strategies_and_orders_are_in_it(scene: Scene) -> None:
    working = [picture for picture in scene.pictures if "1 open of 2" in picture][-1]
    assert rows(working, "strategy")[0][:4] == ["busy", "BTCUSDT 0.01", "1 open of 2", "1"]
    assert rows(working, "strategy")[1][:4] == ["broken (muted)", "flat", "0 open of 0", "0"]
    assert "orders ready, reports complete" in working
    assert re.search(r"weight \d+/2400, orders 2/300 in 10 s; \d+ messages, 0 reconnects", working)
    assert rows(scene.pictures[-1], "strategy")[0][2] == "0 open of 2"


def test_links_over_the_connect_budget_are_shown_with_their_wait(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = scene.engine._ctx
    monkeypatch.setattr(ctx, "connects", ConnectBudget(1))
    ctx.connects.reserve(LinkKind.API, ctx.now_ns)
    console = Console(record=True, width=400, file=io.StringIO())
    view = LiveView("bot", Level.INFO, console)
    view.started(scene.engine)
    console.print(view.picture())
    assert "0 reconnects; no api link for 300 s; Ctrl-C" in console.export_text()


def test_what_comes_from_outside_is_shown_and_not_obeyed(scene: Scene) -> None:
    assert r"strategy broken muted: on_trade: ValueError: a bell \x07 and a jump \x1b[2J" in scene.log
    assert "\x1b" not in scene.log
    assert "\x07" not in scene.log


def test_log_lines() -> None:
    console = Console(record=True, width=120, file=io.StringIO())
    view = LiveView("bot", Level.INFO, console)
    view.log(0, Level.DEBUG, "not shown")
    view.log(61_001_000_000, Level.WARNING, "line one\nforged line \x1b[31m\u202e [bold]no markup[/bold] 币")
    assert console.export_text() == "00:01:01.001 line one\\x0aforged line \\x1b[31m\\x202e [bold]no markup[/bold] 币\n"


async def test_the_engine_is_only_looked_at_by_the_task_beside_it(scene: Scene, autojump_clock: MockClock) -> None:
    view = LiveView("bot", console=Console(file=io.StringIO()))
    before = view._live.get_renderable()
    view.started(scene.engine)
    assert view._live.get_renderable() is before
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.keep_current)
        await trio.sleep(0.1)
        shown = view._live.get_renderable()
        assert shown is not before
        assert view._live.get_renderable() is shown
        await trio.sleep(0.25)
        assert view._live.get_renderable() is not shown
        nursery.cancel_scope.cancel()
    assert "busy" in rendered(view)


def test_on_a_terminal_the_picture_goes_and_the_log_stays() -> None:
    screen = io.StringIO()
    console = Console(file=screen, force_terminal=True, width=80, legacy_windows=False)
    with LiveView("bot", console=console) as view:
        view.log(0, Level.ERROR, "it happened")
    assert "bot: starting" in screen.getvalue()
    assert "it happened" in screen.getvalue()
    assert screen.getvalue().rstrip("\r\n").endswith(("\x1b[2K", "\x1b[?25h"))
