"""The clerk: rows of a step together, what adds risk only after them, and an honest word when the disk refuses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import attrs
import pytest
import trio
import trio.lowlevel

from coldframe.model.effects import AppendJournal, Level
from coldframe.model.inputs import JournalChanged
from coldframe.model.journal import RowKind
from coldframe.trio_io.journal import WAITING_LIMIT, Journal
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journal_rotation import Retention
from coldframe.trio_io.journal_segments import archive_of, segments_of
from coldframe.trio_io.journalfile import JournalFile
from tests.waiting import eventually


@attrs.define
class Told:
    """What the journal's callers were told, in order."""

    journal: Journal
    said: list[str] = attrs.field(factory=list)

    def order(self, name: str) -> None:
        """An order that must not leave before its row."""
        self.journal.record([AppendJournal(RowKind.ORDER, name, {"name": name})])
        self.journal.when_durable(lambda: self.said.append(f"sent {name}"), lambda fault: self.said.append(f"kept {name}"))


@asynccontextmanager
async def working(path: Path, waiting_limit: int = WAITING_LIMIT, retention: Retention | None = None) -> AsyncIterator[Told]:
    def say(level: Level, text: str) -> None:
        told.said.append(f"{level.name} {text.split(': ', 1)[1]}")

    file = JournalFile(path)
    journal = Journal(file, lambda: 5, retention, say, waiting_limit=waiting_limit, again_s=0.05)
    told = Told(journal)
    journal.changed = lambda event: told.said.append(f"fault {event.fault.split(': ')[-1]}" if event.fault else "well again")
    async with trio.open_nursery() as nursery:
        nursery.start_soon(journal.run)
        nursery.start_soon(journal.keep_bounded)
        yield told
        nursery.cancel_scope.cancel()
    file.close()


def full(file: JournalFile) -> None:
    (pages,) = file._db.execute("PRAGMA page_count").fetchone()
    file._db.execute(f"PRAGMA max_page_count = {pages}")


def refs(path: Path) -> list[str]:
    return [row.ref for row in read_rows(path)]


async def test_what_adds_risk_waits_for_its_row(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with working(path) as told:
        told.order("a")
        told.order("b")
        assert told.said == []
        await eventually(lambda: len(told.said) == 2)
        assert told.said == ["sent a", "sent b"]
        assert refs(path) == ["a", "b"]
        told.journal.when_durable(lambda: told.said.append("at once"), lambda fault: None)
        assert told.said[-1] == "at once"


async def test_rows_of_one_step_are_written_together(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with working(path) as told:
        seen = set()
        for turn in range(60):
            told.journal.record([AppendJournal(RowKind.ORDER, f"{turn}.{number}", {}) for number in range(7)])
            await trio.lowlevel.checkpoint()
            seen.add(len(refs(path)) % 7)
        assert seen == {0}


async def test_what_is_left_is_written_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with working(path) as told:
        told.order("a")
        await eventually(lambda: bool(told.said))
        told.journal.record([AppendJournal(RowKind.END, "", {})])
    assert [row.kind for row in read_rows(path)] == ["order", "end"]


async def test_p5_full_disk_holds_orders_back_and_recovery_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with working(path) as told:
        full(told.journal.file)
        told.journal.record([AppendJournal(RowKind.REPORT, "big", {"text": "x" * 9_000})])
        told.order("a")
        await eventually(lambda: len(told.said) == 2)
        assert told.said == ["fault database or disk is full", "kept a"]
        told.order("b")
        assert told.said[-1] == "kept b"
        told.journal.record([AppendJournal(RowKind.REPORT, "told while it was full", {})])
        told.journal.file._db.execute("PRAGMA max_page_count = 100000")
        await eventually(lambda: told.said[-1] == "well again")
        told.order("c")
        await eventually(lambda: told.said[-1] == "sent c")
    rows = list(read_rows(path))
    assert [row.ref for row in rows if row.kind != RowKind.GAP] == ["big", "a", "b", "c"]
    assert [row.body for row in rows if row.kind == RowKind.GAP] == [{"rows": 1}]


async def test_memory_is_bounded_while_the_disk_refuses(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with working(path, 50) as told:
        full(told.journal.file)
        for number in range(500):
            told.journal.record([AppendJournal(RowKind.ORDER, str(number), {"text": "x" * 900})])
        await eventually(lambda: bool(told.said))
        assert len(told.journal._waiting) == 50
        told.journal.file._db.execute("PRAGMA max_page_count = 100000")
        await eventually(lambda: told.said[-1] == "well again")
    rows = list(read_rows(path))
    assert len(rows) == 51
    assert rows[-1].body == {"rows": 450, "state": 450}


@pytest.mark.parametrize(("rows", "fault"), [(25, ""), (26, "26 rows are waiting for the disk")])
async def test_a_slow_disk_shuts_new_risk_before_rows_are_lost(tmp_path: Path, rows: int, fault: str) -> None:
    path = tmp_path / "j.db"
    async with working(path, 50) as told:
        told.order("first")
        told.journal.record([AppendJournal(RowKind.ORDER, str(number), {}) for number in range(1, rows)])
        assert told.journal.fault == fault
        assert told.said == ([f"fault {fault}", "kept first"] if fault else [])
        await eventually(lambda: told.said[-1:] == ["well again"] or told.said == ["sent first"])
        told.order("last")
        await eventually(lambda: told.said[-1] == "sent last")
    assert len(refs(path)) == rows + 1


async def test_lost_state_rows_are_reported_once_the_disk_recovered(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    heard: list[JournalChanged] = []
    async with working(path, 4) as told:
        told.journal.changed = heard.append
        full(told.journal.file)
        told.journal.record([AppendJournal(RowKind.ORDER, str(number), {"text": "x" * 9_000}) for number in range(7)])
        told.journal.record([AppendJournal(RowKind.REPORT, "for people", {})])
        await eventually(lambda: len(heard) == 1)
        told.journal.file._db.execute("PRAGMA max_page_count = 100000")
        await eventually(lambda: len(heard) == 2)
    assert heard[1] == JournalChanged("", 3)
    assert [row.body for row in read_rows(path) if row.kind == RowKind.GAP] == [{"rows": 4, "state": 3}]
    assert "there was no room for the order" in told.journal.unrecorded


async def test_a_fault_is_told_as_a_change_of_the_journal(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    heard: list[JournalChanged] = []
    async with working(path) as told:
        told.journal.changed = heard.append
        full(told.journal.file)
        told.journal.record([AppendJournal(RowKind.ORDER, "a", {"text": "x" * 9_000})])
        await eventually(lambda: bool(heard))
    assert heard == [JournalChanged(f"{path}: database or disk is full")]


async def ended(told: Told) -> None:
    """The run is over: its last row is handed over, and the clerk has a moment left."""
    told.journal.record([AppendJournal(RowKind.END, "", {"reason": "duration"})])


@pytest.mark.parametrize("disk", ["sound", "full", "failed"])
async def test_p18_whether_the_end_is_on_the_disk_is_known(tmp_path: Path, disk: str) -> None:
    path = tmp_path / "j.db"
    async with working(path) as told:
        if disk == "full":
            full(told.journal.file)
        elif disk == "failed":
            told.journal.file._broken = f"{path}: disk I/O error; the disk has failed: restart on a sound one"
        told.journal.record([AppendJournal(RowKind.ORDER, "a", {"text": "x" * 9_000})])
        await ended(told)
    expected = {"sound": "", "full": f"{path}: database or disk is full", "failed": told.journal.file._broken}
    assert told.journal.unrecorded == expected[disk]
    assert len(refs(path)) == (2 if disk == "sound" else 0)


async def test_p18_an_end_that_found_no_room_in_memory_is_known(tmp_path: Path) -> None:
    """The disk takes the rows that waited, at the last moment; the end was not among them."""
    path = tmp_path / "j.db"
    async with working(path, 3) as told:
        full(told.journal.file)
        for number in range(5):
            told.journal.record([AppendJournal(RowKind.ORDER, str(number), {"text": "x" * 9_000})])
        await eventually(lambda: bool(told.said))
        await ended(told)
        told.journal.file._db.execute("PRAGMA max_page_count = 100000")
        await eventually(lambda: told.said[-1] == "well again")
    assert RowKind.END not in [row.kind for row in read_rows(path)]
    assert told.journal.unrecorded == "3 rows were waiting for the disk, there was no room for the end"


@pytest.mark.parametrize("whole", [True, False])
async def test_what_was_lost_counts_until_the_whole_state_is_written(tmp_path: Path, whole: bool) -> None:
    path = tmp_path / "j.db"
    async with working(path, 3) as told:
        full(told.journal.file)
        for number in range(5):
            told.journal.record([AppendJournal(RowKind.ORDER, str(number), {"text": "x" * 9_000})])
        await eventually(lambda: bool(told.said))
        told.journal.file._db.execute("PRAGMA max_page_count = 100000")
        await eventually(lambda: told.said[-1] == "well again")
        if whole:
            told.journal.record([AppendJournal(RowKind.CHECKPOINT, "", {})])
        await ended(told)
    assert RowKind.END in [row.kind for row in read_rows(path)]
    assert bool(told.journal.unrecorded) is not whole


def checkpoint(told: Told, name: str) -> None:
    told.journal.record([AppendJournal(RowKind.CHECKPOINT, name, {})])


async def test_it_rotates_while_orders_are_written(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    async with working(path, retention=Retention(rotate_mb=0)) as told:
        for name in "abc":
            told.order(name)
            checkpoint(told, name)
            await eventually(lambda name=name: f"sent {name}" in told.said)  # type: ignore[misc]
        await eventually(lambda: segments_of(path)[-1:] != [] and segments_of(path)[-1].last == 5)
    assert refs(path) == ["a", "a", "b", "b", "c", "c"]
    assert any(line.startswith("INFO rows 1 to 1 were moved to the archive") for line in told.said)


async def test_an_archive_that_cannot_be_written_stops_no_order(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    archive_of(path).write_text("")
    async with working(path, retention=Retention(rotate_mb=0)) as told:
        told.order("a")
        checkpoint(told, "a")
        await eventually(lambda: any("its archive cannot be written" in line for line in told.said))
        told.order("b")
        await eventually(lambda: "sent b" in told.said)
        archive_of(path).unlink()
        checkpoint(told, "b")
        await eventually(lambda: any("were moved to the archive" in line for line in told.said))
    assert refs(path) == ["a", "a", "b", "b"]
    assert [line for line in told.said if line.startswith("fault")] == []
