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
            assert time.monotonic() - began_s < 10
        assert open_orders(served) == []
    assert summary["ended"] == "signal"
    assert f"{number.name}: stopping; once more ends at once" in bot.log
    assert summary["orders"]["unknown"] == 0


def test_p10_s2_a_second_signal_frees_a_run_from_a_hook_that_does_not_return(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = stuck(tmp_path, served, 0)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
            bot.wait_for("the run has stood still for")
            bot.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            assert bot.process.poll() is None
            bot.process.send_signal(signal.SIGTERM)
            summary = bot.end()
        assert open_orders(served) == []
    assert "strategy mm muted: it did not return until SIGTERM came a second time" in bot.log
    assert summary["strategies"]["mm"]["state"] == "muted"
    assert "Traceback" not in bot.log
