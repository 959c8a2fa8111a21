"""A journal on disk gives back exactly what was written, or says where it does not: never anything else."""

from __future__ import annotations

import os
import random
import shutil
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from coldframe.errors import JournalDamaged, JournalUnwritable
from coldframe.model.journal import Row, RowKind
from coldframe.trio_io.journal_chain import Entry
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journalfile import JournalFile
from tests.examples import examples

FLIPS = examples(10_000)


def entries(count: int, first: int = 0) -> list[Entry]:
    chance = random.Random(first)
    return [
        (
            1_700_000_000_000_000_000 + number,
            RowKind.ORDER,
            f"cf.mm.x.{number}",
            {"price": f"{chance.random():.8f}", "name": "市" * (number % 5)},
        )
        for number in range(first, first + count)
    ]


def plain(rows: list[Row]) -> list[Entry]:
    return [(row.at_ns, RowKind(row.kind), row.ref, row.body) for row in rows]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kept" / "journal.db"


def written(path: Path, count: int = 60) -> list[Entry]:
    """A journal of a few transactions, closed."""
    file, wanted = JournalFile(path), entries(count)
    for begin in range(0, count, 7):
        file.write(wanted[begin : begin + 7])
    file.close()
    return wanted


# -- what was written is read ------------------------------------------------------------------------------------------


def test_rows_come_back_as_they_were_written(path: Path) -> None:
    wanted = written(path)
    rows = list(read_rows(path))
    assert plain(rows) == wanted
    assert [row.seq for row in rows] == list(range(1, 61))
    assert plain(list(read_rows(path, first=51))) == wanted[50:]


def test_it_goes_on_after_it_was_closed(path: Path) -> None:
    wanted = written(path)
    file = JournalFile(path)
    assert plain(list(file.state_rows())) == wanted
    assert file.write(entries(3, first=60)) == 63
    file.close()
    assert len(list(read_rows(path))) == 63


def test_a_restart_reads_from_the_last_checkpoint_on(path: Path) -> None:
    written(path)
    file = JournalFile(path)
    file.write([(5, RowKind.CHECKPOINT, "a", {})])
    file.write(entries(2, first=60))
    assert [row.seq for row in file.state_rows()] == [61, 62, 63]
    file.close()


def test_it_can_be_read_while_it_is_written(path: Path) -> None:
    file = JournalFile(path)
    file.write(entries(5))
    assert len(list(read_rows(path))) == 5
    file.write(entries(5, first=5))
    assert len(list(read_rows(path))) == 10
    file.close()


def test_several_threads_may_write(path: Path) -> None:
    file = JournalFile(path)
    threads = [threading.Thread(target=lambda: [file.write(entries(1)) for _ in range(20)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    file.close()
    assert len(list(read_rows(path))) == 80


def test_x17_only_its_owner_can_read_it(path: Path) -> None:
    """X17."""
    written(path)
    assert {file.name: file.stat().st_mode & 0o777 for file in path.parent.iterdir()} == {
        "journal.db": 0o600,
        "journal.db.lock": 0o600,
    }
    assert path.parent.stat().st_mode & 0o777 == 0o700


# -- who may write -----------------------------------------------------------------------------------------------------


def test_p8_a_second_bot_on_the_same_journal_is_refused(path: Path) -> None:
    file = JournalFile(path, "bot mm of mm.toml")
    with pytest.raises(JournalUnwritable, match=rf"another bot is writing this journal \(pid {os.getpid()}, bot mm of mm.toml\)"):
        JournalFile(path)
    file.close()
    JournalFile(path).close()


def test_p7_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(JournalUnwritable, match=r"file/journal.db: the journal cannot be written here: File exists"):
        JournalFile(tmp_path / "file" / "journal.db")


def test_p7_there_is_no_such_journal(path: Path) -> None:
    with pytest.raises(JournalUnwritable, match="there is no such journal"):
        list(read_rows(path))


def test_p14_another_format_is_refused(path: Path) -> None:
    written(path)
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA user_version = 3")
    db.close()
    with pytest.raises(JournalDamaged, match=r"not a journal of format 2: it says format 3"):
        JournalFile(path)


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with sqlite3.connect(path) as db:
        db.execute("CREATE TABLE notes (text)")
    db.close()
    with pytest.raises(JournalDamaged, match="another program's database"):
        JournalFile(path)


# -- a disk that fails -------------------------------------------------------------------------------------------------


def test_p5_full_disk_refuses_the_transaction_until_it_has_room(path: Path) -> None:
    file = JournalFile(path)
    file.write(entries(5))
    (pages,) = file._db.execute("PRAGMA page_count").fetchone()
    file._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(JournalUnwritable, match="disk is full"):
        file.write(entries(500, first=5))
    file._db.execute("PRAGMA max_page_count = 100000")
    assert file.write(entries(500, first=5)) == 505
    file.close()
    assert plain(list(read_rows(path))) == [*entries(5), *entries(500, first=5)]


IO_ERROR = """
import resource, signal, sys
from pathlib import Path
from coldframe.errors import JournalUnwritable
from coldframe.trio_io.journalfile import JournalFile
file = JournalFile(Path(sys.argv[1]))
file.write([(1, "order", "a", {})])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, resource.RLIM_INFINITY))
for _ in range(2):
    try:
        file.write([(2, "order", "b", {"text": "x" * 200_000})])
    except JournalUnwritable as error:
        print(error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
"""


def test_p6_after_an_io_error_nothing_more_is_written(path: Path) -> None:
    """A real one: the kernel refuses the write. That there is room again later does not help."""
    done = subprocess.run([sys.executable, "-c", IO_ERROR, str(path)], capture_output=True, text=True, timeout=30, check=True)
    first, second = done.stdout.splitlines()
    assert "restart on a sound one" in first
    assert first == second
    assert [row.ref for row in read_rows(path)] == ["a"]


# -- what is damaged is found ------------------------------------------------------------------------------------------


def opened(path: Path) -> list[Entry]:
    file = JournalFile(path)
    try:
        return plain(list(file.state_rows()))
    finally:
        file.close()


def verdict(path: Path, wanted: list[Entry]) -> str:
    """`whole`, `shorter` (the end is missing) or `refused`; anything else is wrong."""
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    try:
        rows = opened(path)
    except (JournalDamaged, JournalUnwritable) as refusal:
        return "refused" if str(path) in str(refusal) else f"refused without its place: {refusal}"
    assert rows == wanted[: len(rows)]
    return "whole" if len(rows) == len(wanted) else "shorter"


@pytest.mark.scene
def test_p3_truncated_at_every_byte_it_is_refused(path: Path, tmp_path: Path) -> None:
    wanted = written(path, 12)
    whole = path.read_bytes()
    assert verdict(path, wanted) == "whole"
    assert path.read_bytes() == whole
    # Cut shorter and shorter: to write it anew each time costs more than to read it, because the disk is waited for.
    for size in reversed(range(len(whole))):
        os.truncate(path, size)
        assert verdict(path, wanted) == "refused", size
        assert path.read_bytes() == whole[:size], size


def test_p3_torn_tail_of_the_write_ahead_log_is_cut_off(path: Path, tmp_path: Path) -> None:
    """The write-ahead log of a process that was killed, cut at every frame's edge and in between: a prefix, never anything else."""
    file, wanted = JournalFile(path), entries(12)
    for begin in range(0, 12, 3):
        file.write(wanted[begin : begin + 3])
    copy = tmp_path / "copy.db"
    base, log = path.read_bytes(), Path(f"{path}-wal").read_bytes()
    lengths = set()
    frame = 24 + 4096
    ends = [end + nudge for end in range(32, len(log) + 1, frame) for nudge in (-1, 0, 1)]
    for size in sorted({0, *ends, *random.Random(1).sample(range(len(log)), 120)}):
        copy.write_bytes(base)
        Path(f"{copy}-wal").write_bytes(log[:size])
        Path(f"{copy}-shm").unlink(missing_ok=True)
        try:
            rows = plain(list(read_rows(copy)))
        except JournalDamaged:
            continue
        assert rows == wanted[: len(rows)]
        lengths.add(len(rows))
    file.close()
    assert {0, 3, 6, 9, 12} >= lengths >= {3, 6, 9}


def test_p4_ten_thousand_flipped_bits_are_found_or_harmless(path: Path) -> None:
    wanted = written(path, 40)
    whole = path.read_bytes()
    chance = random.Random(0)
    seen = {"whole": 0, "shorter": 0, "refused": 0}
    for _ in range(FLIPS):
        place, bit = chance.randrange(len(whole)), 1 << chance.randrange(8)
        with path.open("r+b") as raw:
            raw.seek(place)
            raw.write(bytes([whole[place] ^ bit]))
        seen[verdict(path, wanted)] += 1
        with path.open("r+b") as raw:
            raw.write(whole)
            raw.truncate()
    assert seen["shorter"] == 0
    assert seen["refused"] > FLIPS // 10
    assert seen["whole"] > 0  # free space, and what nothing depends on


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE journal SET body = '{}' WHERE seq = 9",
        "UPDATE journal SET at_ns = at_ns + 1 WHERE seq = 9",
        "UPDATE journal SET kind = 'fill' WHERE seq = 9",
        "DELETE FROM journal WHERE seq = 9",
        "DELETE FROM journal WHERE seq = 60",
        "INSERT INTO journal SELECT 61, at_ns, kind, ref, body, hash FROM journal WHERE seq = 60",
        "UPDATE head SET seq = 59",
        "UPDATE head SET checkpoint = 9",
        "DELETE FROM head",
        "DROP TABLE head",
    ],
)
def test_p4_what_was_changed_is_refused_with_its_place(path: Path, damage: str) -> None:
    written(path)
    db = sqlite3.connect(path)
    db.execute(damage)
    db.commit()
    db.close()
    with pytest.raises(JournalDamaged, match=r"row (9|60|61)|ends with row|its head cannot be read|row 9 is not a checkpoint"):
        list(read_rows(path))


def test_an_emptied_journal_is_no_new_one(path: Path) -> None:
    written(path)
    os.truncate(path, 0)
    with pytest.raises(JournalDamaged, match="it is empty, or no journal"):
        JournalFile(path)
    shutil.rmtree(path.parent)
    JournalFile(path).close()
