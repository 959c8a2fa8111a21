"""The newcomer's first minute: one command, a fill, a clean end, an honest summary."""

from __future__ import annotations

import signal
import time
from pathlib import Path

from tests.scenes.support import CONFIGS, coldframe, document, live_config, started, venue, wait_until

SUMMARY = {
    "schema_version", "verb", "name", "environment", "orders_mode", "ended", "elapsed_s", "books", "events", "strategies",
    "orders", "limits", "links", "external", "end", "exit_code",
}  # fmt: skip
STRATEGY = {
    "state", "intents", "verdicts", "orders", "fills", "position", "realized_pnl", "unrealized_pnl", "fees", "fees_by_asset",
    "funding",
}  # fmt: skip


def test_quickstart_trades_and_says_so() -> None:
    done = coldframe("run", CONFIGS / "quickstart.toml", "--for", "10s", "--json")
    summary = document(done)
    assert set(summary) == SUMMARY
    assert summary["ended"] == "duration"
    assert summary["exit_code"] == 0, "it ends flat"
    assert all(set(strategy["position"].values()) <= {"0"} for strategy in summary["strategies"].values())
    # What was refused while it ended is told as well.
    assert all(STRATEGY <= set(strategy) <= STRATEGY | {"refusals", "held_back"} for strategy in summary["strategies"].values())
    assert all(book["state"] == "synced" for book in summary["books"].values())
    assert sum(strategy["fills"] for strategy in summary["strategies"].values()) >= 1
    assert summary["orders"]["unknown"] == 0
    assert summary["external"] == {"fills": 0, "position": {}, "funding": "0", "adjustments": [], "halted": {}, "settings": []}
    assert summary["orders"]["sent"] == summary["orders"]["acked"] + summary["orders"]["rejected"]
    assert "fill: " in done.stderr
    assert all(sum(strategy["verdicts"].values()) == strategy["intents"] for strategy in summary["strategies"].values())


def test_ctrl_c_ends_it_cleanly_within_five_seconds(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served)
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}, json=False) as bot:
            wait_until(lambda: served.ask("/fapi/v1/openOrders", symbol="BTCUSDT"), "quoting")
            began_s = time.monotonic()
            bot.process.send_signal(signal.SIGINT)
            code = bot.process.wait(60)
            assert time.monotonic() - began_s < 5
        out = bot.out_file.read_text()
        assert code == (4 if "UNPROTECTED" in out else 0), bot.log
        assert "ended by signal" in out
        assert "0 unknown" in out
        assert served.ask("/fapi/v1/openOrders") == []


def test_help_and_version_are_there() -> None:
    assert "run a bot" in coldframe("--help").stdout
    assert coldframe("--version").stdout.startswith("coldframe ")
    assert coldframe().returncode == 2
    assert coldframe("fly").returncode == 2
    assert coldframe("run", CONFIGS / "quickstart.toml", "--for", "soon").returncode == 2


def test_plugins_are_listed() -> None:
    listed = document(coldframe("plugins", "list", "--json"))
    assert {plugin["name"] for plugin in listed["plugins"]} >= {"maker", "momentum", "guard"}
    assert all(plugin["summary"] for plugin in listed["plugins"])
