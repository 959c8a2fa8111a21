"""A running bot is halted, by the verb, by a signal, by a file: also while a plugin stands still, and across a restart."""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenes.support import (
    CONFIGS,
    Running,
    VenueProcess,
    coldframe,
    document,
    live_config,
    run_until,
    started,
    venue,
    wait_until,
)

STRATEGY = '''"""Buys once, lets an order rest, then stands still until a file is there, and wants one more."""

from decimal import Decimal
from pathlib import Path

from coldframe import OrderType, Place, Side, hookimpl


class Stuck:
    def __init__(self):
        self.books = 0

    @hookimpl
    def on_book(self, event, view):
        if not view.trading_allowed(event.symbol):
            return []
        self.books += 1
        low = (view.book(event.symbol).best_bid * Decimal("0.98")).quantize(Decimal("0.1"))
        if self.books == 1:
            return [
                Place(symbol=event.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.010")),
                Place(symbol=event.symbol, side=Side.BUY, price=low, quantity=Decimal("0.005")),
            ]
        if self.books != 8:
            return []
        while not Path(__file__).with_name("go on").exists():
            for _ in range(100_000):
                pass
        return [Place(symbol=event.symbol, side=Side.BUY, price=low, quantity=Decimal("0.007"))]
'''
TABLE = """id = "mm"
plugin = "stuck.py:Stuck"
symbols = ["BTCUSDT"]
hook_limit_ms = 0
budget = { max_position = "1", max_notional = "20000" }
"""


def stuck(folder: Path, served: VenueProcess) -> Path:
    (folder / "stuck.py").write_text(STRATEGY)
    return live_config(folder, served, strategy=TABLE)


#: A quickstart that may trade does so within a moment of both.
SYNCED = ["book BTCUSDT: synced", "book ETHUSDT: synced"]


def after_s(seconds: float) -> Callable[[], bool]:
    """Whether so much time has passed since it was first asked for."""
    end_s: list[float] = []
    return lambda: time.monotonic() >= (end_s or end_s.append(time.monotonic() + seconds) or end_s)[0]


def halted(config: Path, *args: object, env: dict[str, str]) -> dict[str, Any]:
    return document(coldframe("halt", config, "--json", *args, env=env))


def halt_file(bot: Running) -> Path:
    """The file that a running bot says it heeds."""
    found = re.search(r"halt file: (.*)", bot.log)
    assert found, bot.log
    return Path(found[1])


def open_orders(served: VenueProcess) -> list[Any]:
    """Asked for by symbol, which costs little: these scenes ask often."""
    return [row for symbol in ("BTCUSDT", "ETHUSDT") for row in served.ask("/fapi/v1/openOrders", symbol=symbol)]


def symbols(served: VenueProcess) -> set[str]:
    return {row["symbol"] for row in open_orders(served)}


def position(served: VenueProcess, symbol: str = "BTCUSDT") -> float:
    rows = served.ask("/fapi/v3/positionRisk", symbol=symbol)
    return sum(float(row["positionAmt"]) for row in rows)


def seen_after_s(said: str) -> float:
    found = re.search(r"no orders of ours are open at the venue, ([0-9.]+) s after", said)
    assert found, said
    return float(found[1])


# -- while a plugin stands still --------------------------------------------------------------------------------------


def test_s2_a_plugin_in_an_endless_loop_is_named_and_its_orders_are_cancelled(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = stuck(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("the run has stood still for")
            assert re.search(r"stood still for [0-9.]+ s in strategy mm in on_book: .*\bstuck\.py:[0-9]+ on_book < ", bot.log)
            assert len(open_orders(served)) == 1
            sentinel = halt_file(bot)
            sentinel.touch()  # nothing stands in it: everything is halted, all orders go
            wait_until(lambda: open_orders(served) == [], "cancelled")
            bot.wait_for("no orders of ours are open at the venue")
            assert seen_after_s(bot.log) < 1
            assert position(served) == pytest.approx(0.010)
            # Asked to end, it cannot; so that a restart does not trade on, the file still says what holds.
            bot.process.kill()
        assert sentinel.exists()


def test_s2_a_stuck_bot_is_flattened_by_the_brake_and_only_once(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = stuck(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("the run has stood still for")
            done = coldframe("halt", config, "--level", "flatten", "--reason", "drill", env=home)
            # On a machine that is busy with other things the answer may come after the verb has stopped waiting for it.
            assert done.returncode in (0, 75), done.stderr
            assert done.returncode == 75 or "the kill switch has ordered: SELL 0.010 BTCUSDT for mm" in done.stdout
            bot.wait_for("the kill switch has ordered: SELL 0.010 BTCUSDT for mm")
            assert "the bot does not answer (it is in strategy mm in on_book)" in bot.log
            assert position(served) == 0
            assert "the run goes on" not in bot.log
            (tmp_path / "go on").touch()
            bot.wait_for("the run goes on")
            bot.wait_for("halted: all strategies: flatten (drill)")
            bot.stop()
            summary = bot.end()
        assert position(served) == 0
        rows = served.ask("/fapi/v1/allOrders", symbol="BTCUSDT")
    # What the hook wanted after its sleep was never written, and nobody sold a second time.
    assert [(row["side"], float(row["origQty"])) for row in rows] == [("BUY", 0.010), ("BUY", 0.005), ("SELL", 0.010)]
    assert summary["strategies"]["mm"]["position"] == {"BTCUSDT": "0"}
    assert summary["strategies"]["mm"]["fills"] == 2
    assert "an order that is not ours" not in bot.log


def test_p13_what_was_decided_before_a_stall_is_not_written_after_it(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = stuck(tmp_path, served)
        config.write_text(config.read_text().replace("[orders]", "[orders]\nmax_age_ms = 2000"))
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("the run has stood still for")
            time.sleep(2)  # what it decides is older than that when it returns
            (tmp_path / "go on").touch()
            bot.wait_for("the run goes on")
            bot.stop()
            summary = bot.end()
        rows = served.ask("/fapi/v1/allOrders", symbol="BTCUSDT")
    assert [float(row["origQty"]) for row in rows] == [0.010, 0.005]
    assert summary["orders"]["unknown"] == 0
    assert {book["state"] for book in summary["books"].values()} == {"synced"}


# -- while all is well ------------------------------------------------------------------------------------------------


def test_p10_sigusr1_cancels_and_stays_across_a_restart_until_resume(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served)
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", config, "--live", env=env) as bot:
            wait_until(lambda: len(open_orders(served)) >= 2, "quoting")
            bot.process.send_signal(signal.SIGUSR1)
            wait_until(lambda: open_orders(served) == [], "cancelled")
            bot.wait_for("halted: all strategies: cancel (SIGUSR1)")
            bot.process.send_signal(signal.SIGTERM)
            bot.end()
        with started(tmp_path, "run", config, "--live", env=env) as bot:
            bot.wait_for("starts halted: all strategies: cancel (SIGUSR1)")
            bot.wait_for("synced at")
            assert open_orders(served) == []
            resumed = document(coldframe("resume", config, "--json", env=home))
            assert resumed["halts"] == []
            assert resumed["answers"][0]["lines"] == ["all strategies: resumed"]
            wait_until(lambda: len(open_orders(served)) >= 2, "quoting again")
            bot.process.send_signal(signal.SIGTERM)
            bot.end()
        assert open_orders(served) == []
    assert not list((Path(home["XDG_STATE_HOME"]) / "coldframe" / "scene").rglob("halt.json"))


def test_c4_a_bot_that_was_stopped_and_continued_is_not_halted(tmp_path: Path, home: dict[str, str]) -> None:
    """What waits for a signal with a time limit is told of one that nobody sent when the process was stopped meanwhile."""
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            wait_until(lambda: len(open_orders(served)) >= 2, "quoting")
            for _ in range(3):
                bot.process.send_signal(signal.SIGSTOP)
                time.sleep(0.3)
                bot.process.send_signal(signal.SIGCONT)
                time.sleep(0.3)
            bot.process.send_signal(signal.SIGTERM)
            bot.end()
            assert "halted" not in bot.log


def test_halting_a_bot_that_does_not_run(tmp_path: Path, home: dict[str, str]) -> None:
    config = CONFIGS / "quickstart.toml"
    done = coldframe("halt", config, "--level", "pause", "--reason", "a look\x1b[2J", env=home)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "no bot is running: the next start begins halted"
    done = coldframe("halt", config, "--strategy", "nobody", env=home)
    assert done.returncode == 2
    assert "there is no strategy 'nobody'; there is mm-btc, mom-eth" in done.stderr
    summary, _ = run_until(tmp_path, "run", config, env=home, said=SYNCED, true=after_s(1))
    assert summary["orders"]["sent"] == 0
    done = coldframe("resume", config, env=home)
    assert done.stdout.splitlines() == ["quickstart: nothing is halted", "no bot is running: the next start trades"]
    folder = Path(home["XDG_STATE_HOME"]) / "coldframe" / "quickstart"
    assert folder.stat().st_mode & 0o077 == 0
    assert [path.name for path in folder.rglob("*") if path.stat().st_mode & 0o077] == []


def test_p16_two_copies_of_a_bot_halt_for_themselves(tmp_path: Path, home: dict[str, str]) -> None:
    copies = []
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        copies.append(tmp_path / name / "quickstart.toml")
        copies[-1].write_text((CONFIGS / "quickstart.toml").read_text())
    with (
        started(tmp_path, "run", copies[0], env=home) as first,
        started(tmp_path, "run", copies[1], env=home) as second,
    ):
        for bot in (first, second):
            bot.wait_for("fill: ")
        answer = halted(copies[0], "--level", "flatten", "--reason", "only this one", env=home)
        assert (len(answer["answers"]), answer["configuration"]) == (1, str(copies[0].resolve()))
        first.wait_for("halted: all strategies: flatten (only this one)")
        assert "all strategies: cancel" not in first.log, "what was asked is said"
        fills = second.log.count("fill: ")
        wait_until(lambda: second.log.count("fill: ") > fills, "the other trades on")
        assert "halted" not in second.log
        for bot in (first, second):
            bot.process.send_signal(signal.SIGTERM)
            assert bot.end()["exit_code"] == 0
    moved = tmp_path / "moved.toml"
    copies[0].rename(moved)
    summary, _ = run_until(tmp_path, "run", moved, env=home, said=SYNCED, true=after_s(1))
    assert summary["orders"]["sent"] == 0, "moving the file lifts no halt"
    document(coldframe("resume", moved, "--json", env=home))
    summary, _ = run_until(tmp_path, "run", moved, env=home, said=["fill: "])
    assert summary["orders"]["sent"] > 0


def test_where_nothing_can_be_latched_paper_runs_and_live_does_not(tmp_path: Path, home: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    nowhere = {**home, "XDG_STATE_HOME": str(tmp_path / "file")}
    summary, log = run_until(tmp_path, "run", CONFIGS / "quickstart.toml", env=nowhere, said=["fill: "])
    assert summary["orders"]["acked"] > 0
    assert "the halt file cannot be kept here: Not a directory: SIGUSR1 halts, `coldframe halt` does not" in log
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served)
        config.write_text(config.read_text() + f'[halt]\nfile = "{tmp_path}/file/halt.json"\n')
        done = coldframe("run", config, "--live", "--for", "4s", env={**home, "SCENE_KEY": served.api_key})
        assert served.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []
    assert done.returncode == 78
    assert "the halt file cannot be kept here" in done.stderr
    assert "Traceback" not in done.stderr
