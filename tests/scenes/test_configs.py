"""Every configuration that ships: `check` is happy with each, and the embedded ones run."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import SHARED, needs_shared
from tests.scenes.support import CONFIGS, coldframe, document

RECORDINGS = sorted((SHARED / "data").glob("capture_*.jsonl.gz"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("*.toml")), ids=lambda path: path.name)
def test_check_passes(path: Path) -> None:
    done = coldframe("check", path, "--json")
    assert document(done)["ok"] is True
    assert done.stderr == ""


def test_the_shipped_recording_runs_to_its_end() -> None:
    summary = document(coldframe("run", CONFIGS / "recorded.toml", "--speed", "4", "--json"))
    assert summary["ended"] == "tape_end"
    assert all(book["state"] == "synced" and book["resyncs"] == 0 for book in summary["books"].values())
    assert summary["strategies"]["maker"]["fills"] >= 1
    assert summary["orders"]["unknown"] == 0


@needs_shared
@pytest.mark.parametrize("tape", RECORDINGS, ids=lambda path: path.name)
@pytest.mark.parametrize("speed", ["8", "max"])
def test_real_recordings_keep_their_books_synced_and_the_maker_trades(tape: Path, speed: str) -> None:
    summary = document(coldframe("run", CONFIGS / "recorded.toml", "--tape", tape, "--speed", speed, "--json", timeout_s=120))
    assert summary["ended"] == "tape_end"
    assert summary["books"]
    assert all(book["state"] == "synced" and book["resyncs"] == 0 for book in summary["books"].values())
    assert summary["orders"]["sent"] > 0
    assert summary["orders"]["unknown"] == 0
    if speed == "8":
        assert summary["strategies"]["maker"]["fills"] >= 1


@needs_shared
@pytest.mark.parametrize("tape", RECORDINGS, ids=lambda path: path.name)
def test_verify_finds_every_book_true(tape: Path) -> None:
    said = document(coldframe("tape", "verify", tape, "--json"))
    assert said["gaps"] == said["mismatches"] == 0
    assert said["comparisons"] > 1000
    assert {"depth_events", "snapshots", "gaps", "comparisons", "mismatches"} == set(next(iter(said["symbols"].values())))


def test_a_run_can_be_recorded_and_played_again(tmp_path: Path) -> None:
    tape = tmp_path / "mine.jsonl.gz"
    document(coldframe("run", CONFIGS / "quickstart.toml", "--for", "4s", "--record", tape, "--json"))
    assert document(coldframe("tape", "info", tape, "--json"))["lines"] > 50
    said = document(coldframe("tape", "verify", tape, "--json"))
    assert said["comparisons"] > 100
    assert said["gaps"] == said["mismatches"] == 0
    played = document(coldframe("run", CONFIGS / "recorded.toml", "--tape", tape, "--speed", "max", "--json"))
    assert played["ended"] == "tape_end"
