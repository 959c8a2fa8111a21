"""A journal is pruned by the verb: what is old goes, what stays is proved and comes to the same, and it says from where."""

from __future__ import annotations

import json
import random
import sqlite3
from collections import deque
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.state.journal_codec import RestoredState, fold
from coldframe.model.journal import Row, RowKind
from coldframe.trio_io.clock import epoch_ns
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journal_rotation import Retention, kept_bounded, pruned
from coldframe.trio_io.journal_segments import segments_of
from coldframe.trio_io.journalfile import JournalFile
from tests.commands.here import coldframe
from tests.core.scripted import Actor
from tests.core.state.test_journal_codec import state, state_of
from tests.core.state.test_journal_codec import troubled as troubled_run
from tests.examples import examples

DAY_NS = 86_400_000_000_000
#: How long the run of these tests lasted (days); it has just ended.
LASTED = 100


@attrs.frozen
class Made:
    """A journal on the disk, with all that was written to it, and the state of the engine at its end."""

    path: Path
    rows: list[Row]
    past: RestoredState
    live: dict[str, Any]

    @property
    def checkpoints(self) -> list[int]:
        return [row.seq for row in self.rows if row.kind == RowKind.CHECKPOINT]

    def checkpoint_before(self, days: float) -> int:
        """The last checkpoint that is older than so many days."""
        return max(seq for seq in self.checkpoints if self.rows[seq - 1].at_ns < epoch_ns() - days * DAY_NS)


@pytest.fixture(params=["whole", "rotated"])
def made(request: pytest.FixtureRequest, tmp_path: Path) -> Made:
    """A run of a hundred days in which everything may go wrong; also as a journal that was rotated twice meanwhile."""
    run = troubled_run(random.Random(7), Actor(), 40, checkpoint_rows=30)
    held = run.rows
    start, step = epoch_ns() - LASTED * DAY_NS, LASTED * DAY_NS // len(held)
    rows = [attrs.evolve(row, seq=seq, at_ns=start + seq * step) for seq, row in enumerate(held, 1)]
    path = tmp_path / "run.db"
    file = JournalFile(path)
    parts = (rows[: len(rows) // 3], rows[len(rows) // 3 : len(rows) // 2], rows[len(rows) // 2 :])
    for number, part in enumerate(parts):
        file.write([(row.at_ns, row.kind, row.ref, row.body) for row in part])
        if number < 2 and request.param == "rotated":
            list(kept_bounded(file, Retention(rotate_mb=0), 0))
    file.close()
    return Made(path, rows, fold(rows), state_of(run.engine))


def told(*args: object) -> dict[str, Any]:
    done = coldframe("journal", *args, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    document: dict[str, Any] = json.loads(done.stdout)
    return document


@pytest.mark.parametrize("days", [0, 10, 40, 80])
def test_what_stays_comes_to_the_same_state(made: Made, days: int) -> None:
    first = made.checkpoint_before(days)
    segments = segments_of(made.path)
    whole = any(segment.first <= first <= segment.last for segment in segments)
    size = made.path.stat().st_size
    said = told("prune", made.path, "--keep-days", days)
    if whole:  # only whole segments go: what is older stays in the midst of one
        assert said["first"] in [segment.first for segment in segments]
    else:
        assert said["first"] == first
        assert made.path.stat().st_size < size
    assert (said["deleted"], said["last"]) == (said["first"] - 1, len(made.rows))
    kept = list(read_rows(made.path))
    assert (kept[0].seq, kept[0].kind) == (said["first"], RowKind.CHECKPOINT if said["deleted"] else RowKind.RUN)
    assert state(fold(kept)) == state(made.past) == made.live
    verified = told("verify", made.path)
    assert [verified[name] for name in ("first", "last", "before", "segments")] == [
        said[name] for name in ("first", "last", "before", "segments")
    ]
    assert (verified["rows"], verified["runs"], verified["ok"]) == (len(kept), made.past.runs, True)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(12))
def test_p15_in_any_history_a_pruned_journal_is_the_live_state(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pruned step by step, at every checkpoint of a run in which everything may go wrong."""
    chance = random.Random(seed)
    run = troubled_run(chance, Actor(), 25, checkpoint_rows=chance.choice([1, 10, 40]), saves=True)
    live, rows = state_of(run.engine), run.rows
    file = JournalFile(tmp_path_factory.mktemp("any") / "run.db")
    file.write([(number, row.kind, row.ref, row.body) for number, row in enumerate(rows, 1)])
    checkpoints = [number for number, row in enumerate(rows, 1) if row.kind == RowKind.CHECKPOINT]
    for number in sorted(chance.sample(checkpoints, min(4, len(checkpoints)))):
        deque(pruned(file, number), maxlen=0)
        assert file.head.first == number
        assert state(fold(read_rows(file.path))) == live
    file.close()


def test_the_hash_before_is_that_of_the_row_that_went(made: Made) -> None:
    """A copy of the rows that went can be shown to belong to those that stay."""
    first, hashes = made.checkpoints[-1], {}
    if not segments_of(made.path):
        with sqlite3.connect(made.path) as db:
            hashes = dict(db.execute("SELECT seq, hash FROM journal"))
        db.close()
    else:
        file = JournalFile(made.path)
        hashes[first - 1] = file.hash_of(first - 1)
        file.close()
    said = told("prune", made.path, "--keep-days", 0)
    assert (said["first"], said["before"], said["segments"]) == (first, hashes[first - 1].hex(), [])
    lines = coldframe("journal", "verify", made.path).stdout.splitlines()
    assert lines[1] == (
        f"proved from row {first} to row {len(made.rows)}: row {first} is a checkpoint;"
        f" the hash of row {first - 1}, which is not here, is {said['before']}"
    )


def test_verify_names_the_segments(made: Made) -> None:
    segments = segments_of(made.path)
    said = told("verify", made.path)
    assert (said["first"], said["last"], said["rows"]) == (1, len(made.rows), len(made.rows))
    assert said["segments"] == [{"file": str(part.path), "first": part.first, "last": part.last} for part in segments]
    line = coldframe("journal", "verify", made.path).stdout.splitlines()[1]
    archived = f"; rows 1 to {segments[-1].last} are in 2 segments" if segments else ""
    assert line == f"proved from row 1 to row {len(made.rows)}: row 1 is the first that was ever written{archived}"


def test_a_prune_says_what_went(made: Made) -> None:
    done = coldframe("journal", "prune", made.path, "--keep-days", 0)
    first = made.checkpoints[-1]
    assert done.returncode == 0
    assert done.stdout.startswith(f"{made.path}: rows 1 to {first - 1} were deleted; the disk has ")
    again = coldframe("journal", "prune", made.path, "--keep-days", 0).stdout
    assert f"no row was deleted: no checkpoint comes after row {first}; the disk has 0.0 MB more" in again
    young = coldframe("journal", "prune", made.path).stdout
    assert "no row was deleted: none that stands before a checkpoint is older than 30 days, see --keep-days" in young


def test_it_refuses_while_a_run_has_the_journal(made: Made) -> None:
    file = JournalFile(made.path, "bot quick")
    try:
        done = coldframe("journal", "prune", made.path, "--keep-days", 0)
    finally:
        file.close()
    assert done.returncode == 78
    assert "another bot is writing this journal" in done.stderr
    assert "bot quick" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert told("verify", made.path)["first"] == 1


def test_a_journal_that_does_not_hold_loses_nothing(made: Made) -> None:
    """The last row is damaged, which no prune would delete: what could explain it stays."""
    with sqlite3.connect(made.path) as db:
        db.execute("UPDATE journal SET ref = 'x' WHERE seq = ?", (len(made.rows),))
    count = db.execute("SELECT count(*) FROM journal").fetchone()
    db.close()
    done = coldframe("journal", "prune", made.path, "--keep-days", 0)
    assert done.returncode == 78
    assert f"row {len(made.rows)} is damaged" in done.stderr
    with sqlite3.connect(made.path) as db:
        assert db.execute("SELECT count(*) FROM journal").fetchone() == count
    db.close()


def test_a_segment_is_not_pruned_by_itself(made: Made) -> None:
    path = made.path.with_name("000000000001-000000000009.jsonl.gz")
    done = coldframe("journal", "prune", path)
    assert done.returncode == 2
    assert done.stderr == f"coldframe: {path} is a segment of an archive: name the journal that it belongs to\n"
    assert not path.exists()


@pytest.mark.parametrize("name", ["none.db", "empty.db", "other.db"])
def test_what_is_not_a_journal_gets_a_line_and_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / "empty.db").write_text("")
    (tmp_path / "other.db").write_text("some notes, longer than the head of any database\n" * 40)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    done = coldframe("journal", "prune", tmp_path / name)
    assert done.returncode == 78
    assert len(done.stderr.splitlines()) == 1
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("days", ["-1", "1.5", "x", "100000", ""])
def test_days_are_a_number(made: Made, days: str) -> None:
    done = coldframe("journal", "prune", made.path, f"--keep-days={days}")
    assert done.returncode == 2
    assert "is not a number of days" in done.stderr
