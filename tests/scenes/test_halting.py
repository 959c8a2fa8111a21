"""A plugin stands still in an endless loop: its bot is halted all the same, by the file, by the verb, and by signals."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenes.support import CONFIGS, Running, VenueProcess, coldframe, live_config, started, venue, wait_until

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


def halt_file(bot: Running) -> Path:
    """The file that a running bot says it heeds."""
    found = re.search(r"halt file: (.*)", bot.log)
    assert found, bot.log
    return Path(found[1])


def open_orders(served: VenueProcess) -> list[str]:
    """Asked for by symbol, which costs little: these scenes ask often."""
    return [row["clientOrderId"] for row in served.ask("/fapi/v1/openOrders", symbol="BTCUSDT")]


def position(served: VenueProcess, symbol: str = "BTCUSDT") -> float:
    rows = served.ask("/fapi/v3/positionRisk", symbol=symbol)
    return sum(float(row["positionAmt"]) for row in rows)


def computing(pid: int, seconds: float) -> Callable[[], bool]:
    """Whether a process has computed for so long since it was first asked for."""
    hertz, began = os.sysconf("SC_CLK_TCK"), list[int]()

    def computed() -> bool:
        user, system = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
        began.append(int(user) + int(system))
        return began[-1] - began[0] >= seconds * hertz

    return computed


def test_s2_p10_a_stuck_plugin_is_named_halted_and_freed(tmp_path: Path, home: dict[str, str]) -> None:
    """An endless loop in a hook: the halt file cancels all the same; asked to end once it cannot, asked twice it does."""
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = stuck(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("the run has stood still for")
            assert re.search(r"stood still for [0-9.]+ s in strategy mm in on_book: .*\bstuck\.py:[0-9]+ on_book < ", bot.log)
            assert len(open_orders(served)) == 1
            file = halt_file(bot)
            file.touch()  # nothing stands in it: everything is halted, all orders go
            wait_until(lambda: open_orders(served) == [], "cancelled")
            bot.wait_for("no orders of the bot are open at the venue")
            assert position(served) == pytest.approx(0.010)
            bot.stop()
            wait_until(computing(bot.process.pid, 0.5), "the first signal has reached it")
            assert bot.process.poll() is None
            bot.stop()
            summary = bot.end(codes=(4,))
        assert file.exists(), "so that a restart does not trade on, the file still says what holds"
        assert open_orders(served) == []
    assert "strategy mm muted: it did not return until SIGTERM came a second time" in bot.log
    assert summary["end"]["muted"] == ["mm"]
    assert summary["strategies"]["mm"]["state"] == "muted"
    assert "Traceback" not in bot.log


def test_s2_a_stuck_bot_is_flattened_by_the_kill_switch_once(tmp_path: Path, home: dict[str, str]) -> None:
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
            wait_until(lambda: position(served) == 0, "flat")
            assert "the run goes on" not in bot.log
            (tmp_path / "go on").touch()
            bot.wait_for("the run goes on")
            bot.wait_for("halted: all strategies: flatten (drill)")
            bot.stop()
            summary = bot.end()
        assert position(served) == 0
        rows = served.ask("/fapi/v1/allOrders", symbol="BTCUSDT")
    # What the hook wanted after its sleep was never written, and nothing was sold a second time.
    assert [(row["side"], float(row["origQty"])) for row in rows] == [("BUY", 0.010), ("BUY", 0.005), ("SELL", 0.010)]
    assert summary["strategies"]["mm"]["position"] == {"BTCUSDT": "0"}
    assert summary["strategies"]["mm"]["fills"] == 2
    assert "an order of no strategy" not in bot.log
