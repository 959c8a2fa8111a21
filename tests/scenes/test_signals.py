"""Ctrl-C, a supervisor's SIGTERM, a terminal that closes: a whole process ends, and its stop stays at the exchange."""

from __future__ import annotations

import signal
from pathlib import Path

from tests.scenes.careful import bids, bot, position, ready, stops
from tests.scenes.support import CONFIGS, started, venue


def test_p10_o38_every_signal_drains_and_keeps_the_stop(tmp_path: Path, home: dict[str, str]) -> None:
    """Three runs, one after another: the bid of the first goes, its stop stays over all of them."""
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = bot(tmp_path, served, 'on_restart = "cancel"\ndead_man_s = 10')
        kept: list[str] = []
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as running:
                if not kept:
                    ready(served, running)
                running.wait_for("reconciled (user stream opened)")
                running.wait_for("book BTCUSDT: synced")
                running.process.send_signal(number)
                summary = running.end(codes=(0,))
            assert "Traceback" not in running.log
            assert f"{number.name}: stopping; once more ends at once" in running.log
            assert summary["ended"] == "signal"
            assert summary["orders"]["unknown"] == 0
            (stop,) = kept = kept or stops(served)
            assert (stops(served), bids(served), position(served)) == ([stop], [], 0.01)
            end = summary["end"]
            assert [(order["order"], order["may_vanish"]) for order in end["kept"]] == [(stop, False)]
            assert end["positions"][0]["stops"] == [stop]
