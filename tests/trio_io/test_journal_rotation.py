"""A journal is kept within bounds; what is left is a proved chain from a checkpoint on, wherever a rotation was cut off."""

from __future__ import annotations

import gzip
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import attrs
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.errors import JournalDamaged, JournalUnwritable
from coldframe.model.journal import Row, RowKind
from coldframe.trio_io import journal_rotation
from coldframe.trio_io.journal_chain import Entry
from coldframe.trio_io.journal_history import open_history, read_rows
from coldframe.trio_io.journal_rotation import Retention, kept_bounded, pruned
from coldframe.trio_io.journal_segments import archive_of, segments_of
from coldframe.trio_io.journalfile import JournalFile

DAY_NS = 86_400_000_000_000
#: Whatever is larger than nothing is rotated out, and kept.
ALL = Retention(rotate_mb=0)
NONE = Retention(rotate_mb=0, archive_mb=0)


@pytest.fixture(scope="module", autouse=True)
def _small_steps() -> Iterator[None]:
    """A rotation of a few rows has many steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(journal_rotation, "_ROWS", 4)
        yield


@attrs.define
class World:
    """A journal in a folder, and all that was ever written to it: what is read must be the end of that, from a checkpoint on."""

    folder: Path
    written: list[Entry] = attrs.field(factory=list)
    _file: JournalFile | None = None

    @property
    def path(self) -> Path:
        return self.folder / "journal.db"

    @property
    def file(self) -> JournalFile:
        if self._file is None:
            self._file = JournalFile(self.path)
        return self._file

    @property
    def checkpoints(self) -> list[int]:
        return [seq for seq, entry in enumerate(self.written, 1) if entry[1] == RowKind.CHECKPOINT]

    def write(self, count: int, *, checkpoint: bool = False, body: object = None) -> None:
        first = len(self.written) + 1
        rows: list[Entry] = [(seq * DAY_NS, RowKind.ORDER, f"o{seq}", body or {"n": seq}) for seq in range(first, first + count)]
        if checkpoint:
            rows.append(((first + count) * DAY_NS, RowKind.CHECKPOINT, "account", {"at": "市"}))
        self.file.write(rows)
        self.written += rows

    def bound(self, retention: Retention, now_days: int = 0) -> Iterator[str]:
        return kept_bounded(self.file, retention, now_days * DAY_NS)

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def copied(self, folder: Path) -> World:
        """What a kill at this moment would leave."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("*-shm"))
        return World(folder, list(self.written))

    def check(self) -> int:
        """Reads everything as the verbs and a restart do, and returns the first row that is there."""
        with open_history(self.path) as history:
            rows = list(history.rows())
            first, last = history.first, history.last
        assert first == 1 or first in self.checkpoints
        assert (entries(rows), last) == (self.written[first - 1 :], len(self.written))
        assert entries(list(self.file.state_rows())) == self.written[max([*self.checkpoints, 1]) - 1 :]
        return first

    def settled(self) -> None:
        """No row stands in two places, and nothing unfinished lies about."""
        db = sqlite3.connect(self.path)
        assert db.execute("SELECT min(seq) FROM journal").fetchone()[0] in (self.file.head.first, None)
        db.close()
        assert [file for file in archive_of(self.path).glob("*") if file.suffix != ".gz"] == []


def entries(rows: list[Row]) -> list[Entry]:
    return [(row.at_ns, RowKind(row.kind), row.ref, row.body) for row in rows]


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path / "kept")
    yield made
    made.close()


def rotated_twice(world: World) -> None:
    for _ in range(2):
        world.write(9, checkpoint=True)
        list(world.bound(ALL))
    world.write(3)


# -- what is kept, and what is not --------------------------------------------------------------------------------------


def test_rows_before_the_checkpoint_move_and_are_read_from_there(world: World) -> None:
    rotated_twice(world)
    assert world.check() == 1
    assert [(segment.first, segment.last) for segment in segments_of(world.path)] == [(1, 9), (10, 19)]
    assert world.file.head.first == 20
    world.settled()


def test_journal_rotates_only_when_large_and_with_a_checkpoint(world: World) -> None:
    world.write(40, body={"text": "x" * 40_000})
    assert list(world.bound(Retention(rotate_mb=1))) == []  # no checkpoint
    world.write(0, checkpoint=True)
    assert list(world.bound(Retention(rotate_mb=3))) == []  # not large
    (told,) = [line for line in world.bound(Retention(rotate_mb=1)) if line]
    assert "rows 1 to 40 were moved to the archive; it begins with a checkpoint now" in told
    assert list(world.bound(Retention(rotate_mb=1))) == []  # room that is free again does not count
    assert world.check() == 1


def test_without_an_archive_the_rows_are_deleted(world: World) -> None:
    rotated_twice(world)
    world.write(0, checkpoint=True)
    told = [line for line in world.bound(NONE) if line]
    assert told == [f"journal {world.path}: rows 20 to 23 were deleted, [journal] archive_mb is 0; it begins with a checkpoint now"]
    assert (world.check(), segments_of(world.path)) == (24, [])


@pytest.mark.parametrize(("now_days", "first"), [(8 + 9, 1), (9 + 9, 1), (9 + 10, 10), (19 + 9, 10), (19 + 10, 20)])
def test_segments_are_deleted_by_age_whole_ones_only(world: World, now_days: int, first: int) -> None:
    """The first segment ends on day 9, the second on day 19."""
    rotated_twice(world)
    told = [line for line in world.bound(Retention(archive_days=9), now_days) if line]
    assert world.check() == first
    assert ("rows 1 to 9 were deleted from the archive, [journal] archive_days is 9" in "".join(told)) is (first > 1)


def test_the_oldest_segments_go_when_the_archive_is_too_large(world: World) -> None:
    chance = random.Random(1)
    for _ in range(4):
        world.write(5, checkpoint=True, body={"noise": chance.randbytes(40_000).hex()})
        list(world.bound(ALL))
    size = max(segment.path.stat().st_size for segment in segments_of(world.path))
    assert 200_000 < size < 250_000
    told = [line for line in world.bound(Retention(archive_mb=1)) if line]
    assert told == []
    for _ in range(2):
        world.write(5, checkpoint=True, body={"noise": chance.randbytes(40_000).hex()})
        told = [line for line in world.bound(Retention(rotate_mb=0, archive_mb=1)) if line]
    assert told[-1].endswith("were deleted from the archive, [journal] archive_mb is 1")
    assert sum(segment.path.stat().st_size for segment in segments_of(world.path)) <= 1_000_000
    assert world.check() > 1


def test_the_room_of_deleted_rows_is_used_again(world: World) -> None:
    """The file stays about as large as its bound, however much is written."""
    for _ in range(30):
        world.write(20, checkpoint=True, body={"text": "x" * 5_000})
        list(world.bound(NONE))
    world.close()
    assert world.path.stat().st_size < 600_000  # of three million


def test_a_prune_keeps_what_is_younger_than_it_says(world: World) -> None:
    rotated_twice(world)
    for days, first in ((8, 1), (9, 10), (18, 10), (19, 20)):
        list(pruned(world.file, days * DAY_NS))
        assert world.check() == first
    world.write(5, checkpoint=True)
    world.write(5, checkpoint=True)
    list(pruned(world.file, 29 * DAY_NS))
    assert world.check() == 29
    list(pruned(world.file, 1_000 * DAY_NS))
    assert world.check() == 35
    world.settled()


def test_a_pruned_journal_that_grows_is_proved_from_its_anchor(world: World) -> None:
    world.write(9, checkpoint=True)
    before = world.file.hash_of(9)
    list(pruned(world.file, 10 * DAY_NS))
    world.write(7)
    with open_history(world.path) as history:
        assert (history.first, history.before) == (10, before)
    world.close()
    db = sqlite3.connect(world.path)
    db.execute("UPDATE head SET before = ?", (bytes(16),))
    db.commit()
    db.close()
    with pytest.raises(JournalDamaged, match="row 10 is damaged: its hash is another one"):
        list(read_rows(world.path))


# -- cut off anywhere ---------------------------------------------------------------------------------------------------


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20)
def test_p1_histories_that_are_cut_off_anywhere_lose_nothing(seed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Random writing, rotating, pruning; each rotation and prune may stop after any of its steps, in the process or with it."""
    chance, folder = random.Random(seed), tmp_path_factory.mktemp("world")
    world, least, now_days = World(folder / "0"), 1, 0
    for number in range(1, 10):
        world.write(chance.randrange(9), checkpoint=chance.random() < 0.5)
        now_days = len(world.written)
        retention = Retention(0, *chance.choice([(2_000, 0), (2_000, 0), (2_000, chance.randrange(1, 40)), (0, 0)]))
        lossy = retention != ALL
        prune = chance.random() < 0.15
        until = chance.randrange(now_days + 1)
        steps = pruned(world.file, until * DAY_NS) if prune else world.bound(retention, now_days)
        for _ in range(chance.choice([0, 1, 2, 3, 5, 8, 1_000])):
            if next(steps, None) is None:
                world.settled()
                break
        if chance.random() < 0.4:
            killed, world = world, world.copied(folder / str(number))
            killed.close()
        else:
            steps.close()  # type: ignore[attr-defined]
        first = world.check()
        assert first >= least
        if not lossy and not prune:
            assert first == least or world.file.head.first == first
        least = first
    list(world.bound(ALL))
    world.check()
    world.settled()
    world.close()


@pytest.mark.parametrize("how", ["archive", "delete", "prune"])
def test_p1_a_kill_at_each_step_leaves_a_valid_journal(world: World, tmp_path: Path, how: str) -> None:
    rotated_twice(world)
    world.write(9, checkpoint=True)
    world.write(2)
    made = {"archive": world.bound(ALL), "delete": world.bound(NONE), "prune": pruned(world.file, 10_000 * DAY_NS)}
    firsts = []
    for number, _ in enumerate(made[how]):
        killed = world.copied(tmp_path / str(number))
        firsts.append(killed.check())
        killed.write(2, checkpoint=True)
        killed.check()
        list(killed.bound(ALL))
        assert killed.check() >= firsts[-1]
        killed.settled()
        killed.close()
    assert len(firsts) > 8
    assert firsts == sorted(firsts)
    assert set(firsts) == ({1} if how == "archive" else {10, 20, 33})


KILLED = """
import os, sys
from pathlib import Path
from coldframe.trio_io import journal_rotation
from coldframe.trio_io.journal_rotation import Retention, kept_bounded
from coldframe.trio_io.journalfile import JournalFile
journal_rotation._ROWS = 4
file = JournalFile(Path(sys.argv[1]))
for number, _ in enumerate(kept_bounded(file, Retention(rotate_mb=0), 0)):
    if number == int(sys.argv[2]):
        os._exit(9)
"""


@pytest.mark.parametrize("step", [0, 3, 8, 12])
def test_p1_a_process_that_dies_while_it_rotates_loses_nothing(world: World, step: int) -> None:
    world.write(29, checkpoint=True)
    world.write(2)
    world.close()
    done = subprocess.run([sys.executable, "-c", KILLED, str(world.path), str(step)], timeout=30, check=False)
    assert done.returncode == 9
    assert world.check() == 1
    list(world.bound(ALL))
    assert world.check() == 1
    world.settled()


# -- what does not fit together -----------------------------------------------------------------------------------------


def test_a_segment_that_is_missing_in_the_midst_is_named(world: World) -> None:
    rotated_twice(world)
    segments_of(world.path)[1].path.unlink()
    with pytest.raises(JournalDamaged, match=r"rows 10 to 19 are missing; put their segment back"):
        list(read_rows(world.path))
    segments_of(world.path)[0].path.unlink()
    assert world.check() == 20


def test_oldest_segments_may_be_moved_elsewhere_and_read_there(world: World, tmp_path: Path) -> None:
    rotated_twice(world)
    oldest = segments_of(world.path)[0]
    elsewhere = tmp_path / oldest.path.name
    shutil.move(oldest.path, elsewhere)
    assert world.check() == 10
    assert entries(list(read_rows(elsewhere))) == world.written[:9]


@pytest.mark.parametrize("damage", ["shorter", "flipped", "another row", "another time", "of another journal", "empty"])
def test_p4_a_damaged_segment_is_refused_with_its_name(world: World, tmp_path: Path, damage: str) -> None:
    rotated_twice(world)
    path = segments_of(world.path)[0].path
    body = path.read_bytes()
    lines = gzip.decompress(body).splitlines(keepends=True)
    if damage == "another row":
        lines[4] = lines[4].replace(b'"o4"', b'"o5"')
    elif damage == "another time":
        lines.pop()
    elif damage == "of another journal":
        other = World(tmp_path / "other")
        other.write(9, checkpoint=True, body={"n": 0})
        list(other.bound(ALL))
        other.close()
        lines = gzip.decompress(segments_of(other.path)[0].path.read_bytes()).splitlines(keepends=True)
    made = {"shorter": body[:-20], "flipped": body[:60] + bytes([body[60] ^ 4]) + body[61:], "empty": b""}
    path.write_bytes(made.get(damage, gzip.compress(b"".join(lines))))
    with pytest.raises(JournalDamaged, match=r"000000000001-000000000009\.jsonl\.gz|does not follow"):
        list(read_rows(world.path))
    world.file.write([])  # a run does not depend on its archive
    assert len(list(world.file.state_rows())) == 4


def test_p4_damaged_rows_are_not_moved(world: World) -> None:
    world.write(9, checkpoint=True)
    world.close()
    db = sqlite3.connect(world.path)
    db.execute("UPDATE journal SET ref = 'x' WHERE seq = 3")
    db.commit()
    db.close()
    for steps in (world.bound(ALL), world.bound(NONE), pruned(world.file, 1_000 * DAY_NS)):
        with pytest.raises(JournalDamaged, match="row 3 is damaged"):
            list(steps)
    assert (world.file.head.first, segments_of(world.path)) == (1, [])


def test_an_older_copy_beside_a_newer_archive_is_told(world: World, tmp_path: Path) -> None:
    """Its orders would be sent a second time."""
    world.write(4, checkpoint=True)
    older = world.copied(tmp_path / "older")
    world.write(9, checkpoint=True)
    list(world.bound(ALL))
    shutil.copytree(archive_of(world.path), archive_of(older.path))
    with pytest.raises(JournalDamaged, match=r"the archive knows rows up to 14, .* the journal is an older copy"):
        list(older.bound(ALL))
    assert len(segments_of(older.path)) == 1
    older.close()


def test_p5_unwritable_archive_leaves_the_journal_unchanged(world: World) -> None:
    world.write(9, checkpoint=True)
    archive_of(world.path).write_text("")
    with pytest.raises(JournalUnwritable, match=r"its archive cannot be written: (File exists|Not a directory)"):
        list(world.bound(ALL))
    archive_of(world.path).unlink()
    list(world.bound(ALL))
    assert world.check() == 1


def test_x17_only_its_owner_can_read_the_archive(world: World) -> None:
    rotated_twice(world)
    assert archive_of(world.path).stat().st_mode & 0o777 == 0o700
    assert {segment.path.stat().st_mode & 0o777 for segment in segments_of(world.path)} == {0o600}


# -- formats ------------------------------------------------------------------------------------------------------------

FORMER = """
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY, at_ns INTEGER NOT NULL, kind TEXT NOT NULL, ref TEXT NOT NULL, body TEXT NOT NULL, hash BLOB NOT NULL
) STRICT;
CREATE TABLE head (
    one INTEGER PRIMARY KEY CHECK (one = 1), seq INTEGER NOT NULL, hash BLOB NOT NULL, checkpoint INTEGER NOT NULL
) STRICT;
"""


def as_the_former_format(path: Path) -> None:
    """The same journal as a build before archives has left it."""
    old = path.with_name("old.db")
    db = sqlite3.connect(old)
    db.execute("PRAGMA journal_mode = WAL")
    db.executescript(FORMER)
    db.execute("ATTACH ? AS new", (str(path),))
    db.execute("INSERT INTO journal SELECT * FROM new.journal")
    db.execute("INSERT INTO head SELECT one, seq, hash, checkpoint FROM new.head")
    db.commit()
    db.execute("PRAGMA user_version = 1")
    db.close()
    os.replace(old, path)


def test_p14_a_journal_of_the_former_format_is_read_and_goes_on(world: World) -> None:
    world.write(9, checkpoint=True)
    world.write(3)
    world.close()
    as_the_former_format(world.path)
    assert entries(list(read_rows(world.path))) == world.written
    db = sqlite3.connect(world.path)
    assert db.execute("PRAGMA user_version").fetchone() == (1,)
    db.close()
    assert world.check() == 1
    world.write(3, checkpoint=True)
    list(world.bound(NONE))
    assert world.check() == 17


def test_a_segment_is_json_lines_with_their_bodies_readable(world: World) -> None:
    world.write(2, checkpoint=True)
    list(world.bound(ALL))
    head, *rows = gzip.decompress(segments_of(world.path)[0].path.read_bytes()).splitlines()
    told = msgspec.json.decode(head)
    assert {name: told[name] for name in ("format", "first", "last", "until_ns")} == {
        "format": 1,
        "first": 1,
        "last": 2,
        "until_ns": 2 * DAY_NS,
    }
    assert msgspec.json.decode(rows[1])[:5] == [2, 2 * DAY_NS, "order", "o2", {"n": 2}]
    assert msgspec.json.decode(rows[1])[5] == told["after"]


# -- copies -------------------------------------------------------------------------------------------------------------


def test_copies_made_while_a_bot_writes_can_be_read(world: World, tmp_path: Path) -> None:
    """SQLite's own backup, and a plain copy of the file with its write-ahead log; each with the archive beside it."""
    rotated_twice(world)
    plain = world.copied(tmp_path / "plain")
    backup = World(tmp_path / "backup", list(world.written))
    backup.folder.mkdir()
    shutil.copytree(archive_of(world.path), archive_of(backup.path))
    source, target = sqlite3.connect(world.path), sqlite3.connect(backup.path)
    source.backup(target)
    source.close()
    target.close()
    assert (plain.check(), backup.check()) == (1, 1)
    plain.close()
    backup.close()
