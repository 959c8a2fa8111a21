"""Recordings of the real exchange: every book of theirs is true, and a bot that plays them keeps its books synced and trades."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.commands.here import CONFIGS, coldframe
from tests.conftest import SHARED, needs_shared
from tests.examples import sample

#: The shortest first.
RECORDINGS = sorted((SHARED / "data").glob("capture_*.jsonl.gz"), key=lambda path: path.stat().st_size)


def document(*args: object) -> dict[str, Any]:
    """The document of a command that has gone well; a bot without stops may be left with a position (exit code 4)."""
    done = coldframe(*args, "--json")
    assert done.returncode in (0, 4), done.stderr
    assert "Traceback" not in done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told


@pytest.mark.scene
@needs_shared
@pytest.mark.parametrize("recording", sample(RECORDINGS), ids=lambda path: path.name)
def test_a_bot_keeps_its_books_synced_over_a_recording(recording: Path) -> None:
    summary = document("run", CONFIGS / "recorded.toml", "--recording", recording, "--speed", "max")
    assert summary["ended"] == "recording_end"
    assert summary["books"]
    assert all(book["state"] == "synced" and book["resyncs"] == 0 for book in summary["books"].values())
    assert summary["orders"]["sent"] > 0
    assert summary["orders"]["unknown"] == 0


@needs_shared
@pytest.mark.parametrize("recording", RECORDINGS, ids=lambda path: path.name)
def test_verify_finds_every_book_true(recording: Path) -> None:
    said = document("recording", "verify", recording)
    assert said["gaps"] == said["mismatches"] == 0
    assert said["comparisons"] > 1000
    assert {"depth_events", "snapshots", "gaps", "comparisons", "mismatches"} == set(next(iter(said["symbols"].values())))
