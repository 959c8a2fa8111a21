"""What a machine does to a bot: names that do not resolve, a clock that jumps, a long way, no descriptors, another time zone."""

from __future__ import annotations

import datetime
import os
import resource
import signal
import socket
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

from coldframe.core.engine import Engine
from coldframe.model.effects import Level
from coldframe.model.orders import OrderState
from coldframe.runtime.build import build, read
from coldframe.runtime.run import Result, RunOptions, run
from tests.scenes.canary import SCENE
from tests.scenes.support import CONFIGS, acknowledged, coldframe, live_config, run_until, started, venue, wait_until

SIX = '''"""Lets six orders rest far below the market, and wants to be woken ten times a second: an intent each."""

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
TABLE = 'id = "mm"\nplugin = "six.py:Six"\nsymbols = ["BTCUSDT"]\nbudget = { max_position = "1", max_notional = "20000" }\n'


def faulty(folder: Path, faults: str) -> Path:
    """A venue that does wrong."""
    path = folder / "venue.toml"
    path.write_text((CONFIGS / "quickstart.toml").read_text().replace("seed = 7", f"seed = 7\nfaults = {{ {faults} }}", 1))
    return path


@attrs.define
class Watched:
    """A run in this process: its engine, and what it has said."""

    engine: Engine | None = None
    lines: list[str] = attrs.field(factory=list)

    def log(self, at_ns: int, level: Level, text: str) -> None:
        self.lines.append(text)
        SCENE.heard("log", text)

    def started(self, engine: Engine) -> None:
        self.engine = engine

    @property
    def states(self) -> list[OrderState]:
        return [order.state for order in self.engine.orders.live] if self.engine is not None else []

    @property
    def complete(self) -> bool:
        return self.engine is not None and self.engine.trading is not None and self.engine.trading.reports_complete


async def until(true: Callable[[], object], seconds: float = 60) -> None:
    with trio.fail_after(seconds):
        while not true():  # noqa: ASYNC110  (nobody there could set an event)
            await trio.sleep(0.02)


def lived(config: Path, during: Callable[[Watched], Awaitable[None]], before: Callable[[], None] = lambda: None) -> Watched:
    """Runs a live bot until `during` has come to its end and it has cleared up."""
    watched = Watched()

    async def life() -> Result:
        before()
        bot = build(read(config), None, live_allowed=True)
        async with trio.open_nursery() as nursery:

            async def then_end() -> None:
                await during(watched)
                signal.raise_signal(signal.SIGTERM)

            nursery.start_soon(then_end)
            result = await run(bot, RunOptions(), watched)
            nursery.cancel_scope.cancel()
        return result

    result = trio.run(life)
    assert list(result.engine.orders.live) == [], watched.lines
    return watched


class Resolver(trio.abc.HostnameResolver):
    """Knows where everybody lives, or nothing."""

    def __init__(self) -> None:
        self.fails = False
        self.asked = 0

    async def getaddrinfo(self, host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        self.asked += self.fails
        if self.fails:
            raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", int(port)))]

    async def getnameinfo(self, sockaddr: Any, flags: int) -> Any:
        raise NotImplementedError


def test_n2_orders_outlive_a_resolver_that_fails_and_are_compared_when_it_is_back(
    tmp_path: Path, home: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "six.py").write_text(SIX)
    resolver = Resolver()
    cuts = 'private_cut_s = "5", api_cut_s = "5", market_cut_s = "5", interval_growth = "1.3"'
    with venue(faulty(tmp_path, cuts), env=home) as there:
        config = live_config(tmp_path, there, strategy=TABLE, orders="grace_ms = 15_000")
        config.write_text(config.read_text().replace("127.0.0.1", "localhost"))
        monkeypatch.setenv("SCENE_KEY", there.api_key)

        def listed() -> list[Any]:
            rows: list[Any] = there.ask("/fapi/v1/openOrders")
            return rows

        async def during(watched: Watched) -> None:
            await until(lambda: watched.states == [OrderState.OPEN] * 6 and watched.complete)
            resolver.fails = True
            await until(lambda: not watched.complete)
            await until(lambda: resolver.asked >= 6 or len(watched.states) != 6)
            assert len(watched.states) == 6
            assert not watched.complete
            resolver.fails = False
            await until(lambda: watched.complete)
            assert watched.states == [OrderState.OPEN] * 6
            assert len(await trio.to_thread.run_sync(listed)) == 6

        def use_it() -> None:
            trio.socket.set_custom_hostname_resolver(resolver)

        watched = lived(config, during, use_it)
        assert listed() == []
        assert len(there.ask("/fapi/v1/allOrders", symbol="BTCUSDT")) == 6, "none was sent again"
    assert any("Temporary failure in name resolution" in line for line in watched.lines)


@pytest.mark.parametrize("steps_s", [(60, -60), (-60, 60)], ids=["forward and back", "back and forward"])
def test_c3_timers_and_requests_do_not_notice_that_the_system_clock_steps(
    tmp_path: Path, home: dict[str, str], monkeypatch: pytest.MonkeyPatch, steps_s: tuple[int, int]
) -> None:
    (tmp_path / "six.py").write_text(SIX)
    shift, real_ns, real_s = [0], time.time_ns, time.time
    monkeypatch.setattr(time, "time_ns", lambda: real_ns() + shift[0] * 1_000_000_000)
    monkeypatch.setattr(time, "time", lambda: real_s() + shift[0])
    #: How often the strategy was woken, and in how many seconds.
    paces: list[tuple[int, float]] = []

    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there, strategy=TABLE, orders="recv_window_ms = 20_000\ngrace_ms = 60_000")
        monkeypatch.setenv("SCENE_KEY", there.api_key)

        async def during(watched: Watched) -> None:
            await until(lambda: watched.states == [OrderState.OPEN] * 6)
            assert watched.engine is not None
            slot = watched.engine.slots.get("mm")
            for step in (0, *steps_s):
                shift[0] += step
                before, offset_ms, began_s = slot.intents, watched.engine.clock_offset_ms, time.monotonic()
                await until(lambda least=before + 15: slot.intents >= least)
                paces.append((slot.intents - before, time.monotonic() - began_s))
                assert abs(watched.engine.clock_offset_ms - offset_ms) < 20_000
            await until(lambda: watched.complete)
            assert watched.states == [OrderState.OPEN] * 6

        watched = lived(config, during)
        shift[0] = 0
        assert {order["status"] for order in there.ask("/fapi/v1/allOrders", symbol="BTCUSDT")} == {"CANCELED"}
    # Ten times a second were asked for. A timer that noticed would wait for a minute more, or go off at once again and again.
    assert all(woken <= 10 * seconds + 2 and seconds < 50 for woken, seconds in paces), paces
    assert not any("-1021" in line for line in watched.lines)


def test_c5_logs_speak_utc_and_the_journal_counts_from_the_epoch_wherever_the_machine_is(
    tmp_path: Path, home: dict[str, str]
) -> None:
    began_ns = time.time_ns()
    journal = tmp_path / "run.db"
    env = {**home, "TZ": "XYZ-05:45ABC-06:45"}
    _, log = run_until(tmp_path, "run", CONFIGS / "quickstart.toml", "--journal", journal, env=env, said=["fill: "])
    ended_ns = time.time_ns()
    today = datetime.datetime.fromtimestamp(began_ns // 10**9, datetime.UTC).date()
    for line in log.splitlines():
        at = datetime.datetime.combine(today, datetime.time.fromisoformat(line.split(" ")[0]), datetime.UTC).timestamp()
        since = (at - began_ns / 1e9) % 86_400
        assert since <= (ended_ns - began_ns) / 1e9 or since > 86_399, line
    rows = sqlite3.connect(journal).execute("SELECT at_ns FROM journal").fetchall()
    assert len(rows) > 10
    assert all(began_ns <= at_ns <= ended_ns for (at_ns,) in rows)
    there = coldframe("journal", "tail", journal, env=env).stdout
    assert there == coldframe("journal", "tail", journal, env={**home, "TZ": "UTC0"}).stdout


def test_c6_a_receive_window_too_small_for_the_way_ends_the_start_with_its_key(tmp_path: Path, home: dict[str, str]) -> None:
    config = faulty(tmp_path, "latency_ms = 3000")
    config.write_text(config.read_text().replace("[orders]", "[orders]\nrecv_window_ms = 1000", 1))
    done = coldframe("run", config, "--for", "5s", env=home)
    assert done.returncode == 78
    last = done.stderr.splitlines()[-1]
    assert last.startswith("coldframe: orders.recv_window_ms: the way to the venue and back takes 3.")
    assert last.endswith("set it to 7000")
    assert "-1021" in last
    assert "Traceback" not in done.stderr


def test_c6_a_bot_far_away_logs_on_trades_and_says_which_key_would_help(tmp_path: Path, home: dict[str, str]) -> None:
    """Every answer comes later than the fate of an order may be open: each is in doubt for a moment, and none is lost."""
    config = faulty(tmp_path, "latency_ms = 1500")
    config.write_text(config.read_text().replace("[orders]", "[orders]\nanswer_ms = 1000\ngrace_ms = 15_000", 1))
    run = ("run", config, "--journal", tmp_path / "run.db")
    told = ["logged on", "set [orders] answer_ms = 4000"]
    summary, _ = run_until(tmp_path, *run, env=home, said=told, true=lambda: acknowledged(tmp_path / "run.db"))
    assert summary["orders"]["acked"] > 0
    assert summary["orders"]["unknown"] == summary["orders"]["rejected"] == 0


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process is set where the system can")
def test_p12_without_descriptors_links_wait_and_come_back(tmp_path: Path, home: dict[str, str]) -> None:
    """First with 32 from the start, which suffices; then not a single one more for a while, and its links are cut."""
    (tmp_path / "six.py").write_text(SIX)
    with venue(faulty(tmp_path, 'private_cut_s = "6", market_cut_s = "7", interval_growth = "1.3"'), env=home) as there:
        config = live_config(tmp_path, there, strategy=TABLE, orders="grace_ms = 15_000")
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": there.api_key}) as bot:
            pid, limit = bot.process.pid, resource.RLIMIT_NOFILE
            _, hard = resource.prlimit(pid, limit)
            resource.prlimit(pid, limit, (32, hard))
            bot.wait_for("book BTCUSDT: synced")
            wait_until(lambda: len(there.ask("/fapi/v1/openOrders", symbol="BTCUSDT")) == 6, "six orders rest")
            assert len(os.listdir(f"/proc/{pid}/fd")) < 32
            resource.prlimit(pid, limit, (3, hard))
            bot.wait_until(
                lambda log: log.count("Too many open files") >= 4, "that there are no descriptors, for each link and again"
            )
            said = len(bot.log)
            assert len(there.ask("/fapi/v1/openOrders")) == 6
            resource.prlimit(pid, limit, (32, hard))
            wait_until(lambda: "reconciled" in bot.log[said:] and "synced" in bot.log[said:], "it comes back")
            bot.stop()
            summary = bot.end()
            assert "Traceback" not in bot.log
        assert there.ask("/fapi/v1/openOrders") == []
    assert summary["orders"]["unknown"] == 0
    assert summary["orders"]["sent"] == 6


@pytest.mark.parametrize("after_bytes", [720, 760])
def test_o3_a_connection_cut_after_so_many_bytes_leaves_one_order_and_no_doubt(
    tmp_path: Path, home: dict[str, str], after_bytes: int
) -> None:
    """Every connection of the WebSocket API ends so, in the midst of whatever is asked behind the log-on.

    With much fewer there would be no room for a question and a cancel on one connection, and no bot could ever end its order.
    """
    (tmp_path / "six.py").write_text(SIX.replace("range(6)", "range(1)"))
    with venue(faulty(tmp_path, f"api_cut_after_bytes = {after_bytes}"), env=home) as there:
        config = live_config(tmp_path, there, strategy=TABLE, orders="grace_ms = 30_000")
        env = {**home, "SCENE_KEY": there.api_key}
        with started(tmp_path, "run", config, "--live", env=env) as bot:
            # What it ends with, a cancel or a question, is cut off at the latest.
            arrived = lambda: there.ask("/fapi/v1/allOrders", symbol="BTCUSDT")  # noqa: E731
            wait_until(lambda: "logged on again" in bot.log or arrived(), "its order was sent")
            bot.stop()
            summary = bot.end()
        placed = there.ask("/fapi/v1/allOrders", symbol="BTCUSDT")
        assert there.ask("/fapi/v1/openOrders") == []
    assert summary["links"]["reconnects"] >= 1
    assert summary["orders"]["unknown"] == 0
    assert len(placed) <= summary["orders"]["sent"] <= 1, "whatever the venue has had of it, it was sent once"
