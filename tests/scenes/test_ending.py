"""A run is asked to end: every signal drains it, a second one does not wait, also when a plugin does not return."""

from __future__ import annotations

import signal
import time
from pathlib import Path

import pytest

from tests.scenes.support import CONFIGS, live_config, started, venue, wait_until
from tests.scenes.test_halting import open_orders, stuck


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_p10_each_signal_drains(tmp_path: Path, home: dict[str, str], number: signal.Signals) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            wait_until(lambda: len(open_orders(served)) >= 2, "quoting")
            began_s = time.monotonic()
            bot.process.send_signal(number)
            summary = bot.end()
            assert time.monotonic() - began_s < 30
        assert open_orders(served) == []
    assert summary["ended"] == "signal"
    assert f"{number.name}: stopping; once more ends at once" in bot.log
    assert summary["orders"]["unknown"] == 0


BUG = '''"""Lets two orders rest, then breaks the engine itself: a bug that no fence is there for."""

from decimal import Decimal

from coldframe import Place, Side, hookimpl
from coldframe.core.engine import Engine


def broken(engine, stamped):
    raise RuntimeError("a bug of ours")


class Bug:
    def __init__(self):
        self.open = set()

    @hookimpl
    def on_book(self, event, view):
        if view.trading_allowed(event.symbol) and not self.open:
            self.open.add("")
            low = (view.book(event.symbol).best_bid * Decimal("0.98")).quantize(Decimal("0.1"))
            return [Place(symbol=event.symbol, side=Side.BUY, price=low - more, quantity=Decimal("0.005")) for more in (0, 1)]

    @hookimpl
    def on_order(self, event, view):
        if event.state == "ACCEPTED":
            self.open.add(event.client_order_id)
        if len(self.open) == 3:
            Engine.step = broken
'''


def test_p11_after_a_bug_no_order_is_left_behind(tmp_path: Path, home: dict[str, str]) -> None:
    table = 'id = "mm"\nplugin = "bug.py:Bug"\nsymbols = ["BTCUSDT"]\nbudget = { max_position = "1", max_notional = "20000" }\n'
    (tmp_path / "bug.py").write_text(BUG)
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served, strategy=table)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            assert bot.process.wait(60) == 1, bot.log
        assert open_orders(served) == []
        assert len(served.ask("/fapi/v1/allOrders", symbol="BTCUSDT")) == 2
    assert "coldframe: a bug: RuntimeError: a bug of ours" in bot.log
    assert "the run has broken off: its orders are cancelled, no orders of ours are still open at the venue" in bot.log


def test_p10_s2_a_second_signal_frees_a_run_from_a_hook_that_does_not_return(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = stuck(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("the run has stood still for")
            bot.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert bot.process.poll() is None
            bot.process.send_signal(signal.SIGTERM)
            summary = bot.end(codes=(4,))
        assert open_orders(served) == []
    assert "strategy mm muted: it did not return until SIGTERM came a second time" in bot.log
    assert summary["end"]["muted"] == ["mm"]
    assert summary["strategies"]["mm"]["state"] == "muted"
    assert "Traceback" not in bot.log
