"""A machine that has no descriptors left, or no room on its disk."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
from pathlib import Path

import pytest

from tests.scenes import careful
from tests.scenes.support import CONFIGS, live_config, started, venue, wait_until

RESTING = '''"""Lets six orders rest far below the market."""

from decimal import Decimal

from coldframe import Place, Side, hookimpl


class Resting:
    def __init__(self):
        self.placed = False

    @hookimpl
    def on_book(self, event, view):
        if self.placed or not view.trading_allowed(event.symbol):
            return []
        self.placed = True
        low = (view.book(event.symbol).best_bid * Decimal("0.98")).quantize(Decimal("0.1"))
        return [Place(symbol=event.symbol, side=Side.BUY, price=low - 10 * at, quantity=Decimal("0.005")) for at in range(6)]
'''
TABLE = 'id = "mm"\nplugin = "resting.py:Resting"\nsymbols = ["BTCUSDT"]\nbudget = { max_position = "1", max_notional = "20000" }\n'


def faulty(folder: Path, faults: str) -> Path:
    """A venue that does wrong."""
    path = folder / "venue.toml"
    path.write_text((CONFIGS / "quickstart.toml").read_text().replace("seed = 7", f"seed = 7\nfaults = {{ {faults} }}", 1))
    return path


@pytest.mark.skipif(not hasattr(resource, "prlimit"), reason="the limit of another process is set where the system can")
def test_p12_without_descriptors_links_wait_and_come_back(tmp_path: Path, home: dict[str, str]) -> None:
    """First with 32 from the start, which suffices; then not a single one more for a while, and its links are cut."""
    (tmp_path / "resting.py").write_text(RESTING)
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


def test_p18_an_end_that_the_journal_does_not_hold(tmp_path: Path, home: dict[str, str]) -> None:
    """The disk takes no more: a limit on the size of files stands in for a full one."""
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config, journal = careful.bot(tmp_path, served), tmp_path / "run.db"
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", config, "--live", "--journal", journal, env=env) as running:
            careful.ready(served, running)
            size = os.path.getsize(f"{journal}-wal")
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, size))
            running.process.send_signal(signal.SIGTERM)
            document = running.end(codes=(3,))
        assert "Traceback" not in running.log
        assert len(careful.stops(served)) == 1
    assert document["end"]["unrecorded"]
    kinds = [kind for (kind,) in sqlite3.connect(journal).execute("SELECT kind FROM journal")]
    assert "end" not in kinds
