"""What the bot heard, recorded and tested again: it decides the same, until the exchange does something else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from coldframe.data.recordings import read_recording
from coldframe.model.journal import Row
from coldframe.runtime.backtest import BacktestObserver, BacktestOptions, read_backtest
from coldframe.runtime.compare import ReadRun, compare, told_by
from tests.commands.here import CONFIGS, coldframe
from tests.runtime.test_backtest import Noted

QUICKSTART = CONFIGS / "quickstart.toml"


def run_of(config: Path, recording: Path | None = None, **options: Any) -> ReadRun:
    given = BacktestOptions(**options)
    backtest = Noted(read_backtest(config, recording, given.for_s), given, BacktestObserver())
    backtest.play()
    rows = (Row(nth, at_ms * 1_000_000, row.kind, row.ref, row.body) for nth, (at_ms, row) in enumerate(backtest.rows, start=1))
    return told_by("run", rows)


@pytest.mark.parametrize("name", ["quickstart.toml", "hostile.toml"])
def test_on_its_own_recording_a_bot_decides_the_same(name: str, tmp_path: Path) -> None:
    """Up to the first fill that another queue or another latency gives: then what it wants may differ, and not before."""
    recording = tmp_path / "heard.jsonl.gz"
    first = run_of(CONFIGS / name, for_s=60, record=recording)
    found = compare(first, run_of(CONFIGS / name, recording))
    assert found.happened is not None
    ours, theirs = found.happened
    assert "fill" in {each.kind for each in found.happened if each is not None}
    at_ns = min(each.at_ns for each in found.happened if each is not None)
    same = [event for event in first.events if event.at_ns < at_ns]
    assert sum(event.kind == "decision" for event in same) > 2
    assert ours != theirs


def test_what_is_recorded_is_what_was_heard(tmp_path: Path) -> None:
    recording = tmp_path / "heard.jsonl.gz"
    run_of(QUICKSTART, for_s=20, record=recording)
    lines = list(read_recording(recording))
    assert sum(line.snapshot == "BTCUSDT" for line in lines if isinstance(line.snapshot, str)) == 1
    assert [line.t for line in lines] == sorted(line.t for line in lines)
    done = coldframe("recording", "verify", recording, "--json")
    said = json.loads(done.stdout)
    assert said["comparisons"] > 500
    assert said["gaps"] == said["mismatches"] == 0


def test_from_a_recording_to_a_backtest_in_three_commands(tmp_path: Path) -> None:
    recording = tmp_path / "made.jsonl.gz"
    given = ("backtest", QUICKSTART, "--for", "20s", "--record", recording)
    assert coldframe(*given).returncode == 0
    assert coldframe("recording", "verify", recording).returncode == 0
    summary = json.loads(coldframe("backtest", CONFIGS / "recorded.toml", "--recording", recording, "--json").stdout)
    assert summary["strategies"]["maker"]["fills"] > 0
    again = coldframe(*given)
    assert again.returncode == 78
    assert "exists already: name another file, or move that one away" in again.stderr


def test_a_recording_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    done = coldframe("backtest", QUICKSTART, "--for", "2s", "--record", tmp_path / "no" / "made.jsonl")
    assert done.returncode == 78
    assert "made.jsonl cannot be written: " in done.stderr
    assert "Traceback" not in done.stderr
