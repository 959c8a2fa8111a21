"""A whole virtual run while the wall clock steps: timers keep their pace, requests carry the right time, orders stay."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import attrs
import pytest
import trio

from coldframe.core.engine import Engine
from coldframe.model.effects import Level
from coldframe.model.orders import OrderState
from coldframe.runtime.build import build, read
from coldframe.runtime.run import RunOptions, run
from coldframe.runtime.venues import listed_symbols
from tests.virtual_time import run_virtually
from tests.waiting import eventually

#: A real run of two seconds.
pytestmark = pytest.mark.scene

STRATEGY = '''"""Lets six orders rest far below the market, and wants to be woken ten times a second: an intent each."""

from decimal import Decimal

from coldframe import Place, Side, WakeMe, hookimpl


class Six:
    def __init__(self):
        self.placed = False

    @hookimpl
    def on_start(self, event, view):
        return [WakeMe(100)]

    @hookimpl
    def on_wake(self, event, view):
        return [WakeMe(100)]

    @hookimpl
    def on_book(self, event, view):
        if self.placed or not view.trading_allowed(event.symbol):
            return []
        self.placed = True
        low = (view.book(event.symbol).best_bid * Decimal("0.98")).quantize(Decimal("0.1"))
        return [Place(symbol=event.symbol, side=Side.BUY, price=low - 10 * at, quantity=Decimal("0.005")) for at in range(6)]
'''
CONFIG = """config_version = 1
name = "steps"
[venue.embedded]
seed = 7
symbols = ["BTCUSDT"]
[orders]
recv_window_ms = 20_000
grace_ms = 60_000
[[strategies]]
id = "mm"
plugin = "six.py:Six"
symbols = ["BTCUSDT"]
budget = { max_position = "1", max_notional = "20000" }
"""
#: How far the wall clock steps, one after another: forward and back, and behind where it was.
STEPS_S = (0, 60, -60, -60, 60)
WOKEN = 5


@attrs.define
class Watched:
    """A run in this process: its engine, and what it has said."""

    engine: Engine | None = None
    lines: list[str] = attrs.field(factory=list)

    def log(self, at_ns: int, level: Level, text: str) -> None:
        self.lines.append(text)

    def started(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def states(self) -> list[OrderState]:
        return [order.state for order in self.engine.orders.live] if self.engine is not None else []


def test_c3_a_run_does_not_notice_that_the_system_clock_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "six.py").write_text(STRATEGY)
    (tmp_path / "bot.toml").write_text(CONFIG)
    shift, real_ns, real_s = [0], time.time_ns, time.time
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + shift[0] * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: real_s() + shift[0])
    #: How often the strategy was woken, and in how many seconds.
    paces: list[tuple[int, float]] = []
    watched = Watched()

    async def steps() -> None:
        await eventually(lambda: watched.states == [OrderState.ACCEPTED] * 6)
        assert watched.engine is not None
        runtime = watched.engine.runtimes.get("mm")
        for step_s in STEPS_S:
            shift[0] += step_s
            before, offset_ms, began_s = runtime.intents, watched.engine.clock_offset_ms, trio.current_time()
            await eventually(lambda least=before + WOKEN: runtime.intents >= least)
            paces.append((runtime.intents - before, trio.current_time() - began_s))
            assert abs(watched.engine.clock_offset_ms - offset_ms) < 20_000
        assert watched.states == [OrderState.ACCEPTED] * 6

    async def life() -> None:
        loaded = read(tmp_path / "bot.toml")
        bot = build(loaded, listed_symbols(loaded.config.venue.embedded))
        async with trio.open_nursery() as nursery:

            async def then_end() -> None:
                await steps()
                signal.raise_signal(signal.SIGTERM)

            nursery.start_soon(then_end)
            await run(bot, RunOptions(), watched)

    run_virtually(life)
    assert not any("-1021" in line for line in watched.lines)
    # Ten times a second were asked for. A timer that noticed would wait for a minute more, or go off at once again and again.
    assert all(10 * seconds - 1 <= woken <= 10 * seconds + 1 for woken, seconds in paces), paces
