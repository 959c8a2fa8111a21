"""The newcomer's first minute: one command, a fill, a clean end, an honest summary."""

from __future__ import annotations

import datetime
import sqlite3
import time
from pathlib import Path
from typing import Any

from tests.scenes.support import CONFIGS, coldframe, run_until

SUMMARY = {
    "schema_version", "verb", "name", "environment", "orders_mode", "ended", "elapsed_s", "books", "events", "strategies",
    "orders", "limits", "links", "external", "end", "exit_code",
}  # fmt: skip
STRATEGY = {
    "state", "intents", "verdicts", "orders", "fills", "position", "realized_pnl", "unrealized_pnl", "fees", "fees_by_asset",
    "funding",
}  # fmt: skip


def test_c5_quickstart_trades_and_says_so_in_any_time_zone(tmp_path: Path, home: dict[str, str]) -> None:
    """Logs speak UTC and journals count from the epoch, whatever the time zone."""
    journal, elsewhere = tmp_path / "run.db", {**home, "TZ": "XYZ-05:45ABC-06:45"}
    began_ns = time.time_ns()
    run = ("run", CONFIGS / "quickstart.toml", "--journal", journal)
    summary, log = run_until(tmp_path, *run, env=elsewhere, said=["fill: "])
    check_summary(summary)
    check_times(log, journal, began_ns, time.time_ns())
    told = coldframe("journal", "tail", journal, env=elsewhere).stdout
    assert told == coldframe("journal", "tail", journal, env={**home, "TZ": "UTC0"}).stdout


def check_summary(summary: dict[str, Any]) -> None:
    assert set(summary) == SUMMARY
    assert summary["ended"] == "signal"
    assert summary["exit_code"] == 0, "it ends flat"
    assert all(set(strategy["position"].values()) <= {"0"} for strategy in summary["strategies"].values())
    # What was refused while it ended is told as well.
    assert all(STRATEGY <= set(strategy) <= STRATEGY | {"refusals", "held_back"} for strategy in summary["strategies"].values())
    assert all(book["state"] == "synced" for book in summary["books"].values())
    assert sum(strategy["fills"] for strategy in summary["strategies"].values()) >= 1
    assert summary["orders"]["unknown"] == 0
    assert summary["external"] == {"fills": 0, "position": {}, "funding": "0", "adjustments": [], "halted": {}, "settings": []}
    assert summary["orders"]["sent"] == summary["orders"]["acked"] + summary["orders"]["rejected"]
    assert all(sum(strategy["verdicts"].values()) == strategy["intents"] for strategy in summary["strategies"].values())


def check_times(log: str, journal: Path, began_ns: int, ended_ns: int) -> None:
    """Every line and every row lies between these moments."""
    today = datetime.datetime.fromtimestamp(began_ns // 10**9, datetime.UTC).date()
    for line in log.splitlines():
        at = datetime.datetime.combine(today, datetime.time.fromisoformat(line.split(" ")[0]), datetime.UTC).timestamp()
        since = (at - began_ns / 1e9) % 86_400
        assert since <= (ended_ns - began_ns) / 1e9 or since > 86_399, line
    rows = sqlite3.connect(journal).execute("SELECT at_ns FROM journal").fetchall()
    assert len(rows) > 10
    assert all(began_ns <= at_ns <= ended_ns for (at_ns,) in rows)
