"""Recordings that a whole process plays at a pace and makes: the shipped one, and one of its own."""

from __future__ import annotations

import json
from pathlib import Path

from tests.commands.here import coldframe as here
from tests.scenes.support import CONFIGS, coldframe, document, run_until


def test_the_shipped_recording_is_played_and_a_run_is_recorded(tmp_path: Path, home: dict[str, str]) -> None:
    summary = document(coldframe("run", CONFIGS / "recorded.toml", "--speed", "4", "--json", env=home))
    assert summary["ended"] == "recording_end"
    assert all(book["state"] == "synced" and book["resyncs"] == 0 for book in summary["books"].values())
    assert summary["strategies"]["maker"]["fills"] >= 1
    assert summary["orders"]["unknown"] == 0
    recording = tmp_path / "mine.jsonl.gz"
    run = ("run", CONFIGS / "quickstart.toml", "--record", recording)
    run_until(tmp_path, *run, env=home, said=["fill: "], true=lambda: recording.stat().st_size > 4_000)
    assert json.loads(here("recording", "info", recording, "--json").stdout)["lines"] > 50
    said = json.loads(here("recording", "verify", recording, "--json").stdout)
    assert said["comparisons"] > 100
    assert said["gaps"] == said["mismatches"] == 0
    played = json.loads(here("run", CONFIGS / "recorded.toml", "--recording", recording, "--speed", "max", "--json").stdout)
    assert played["ended"] == "recording_end"
