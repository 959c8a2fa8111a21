"""Locks between processes: one holder at a time, which the refusal names, and none after the holder has ended, however it ended."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from coldframe.filelocks import FileLock, LockTaken, holder_of

HOLDING = """
import sys
from pathlib import Path
from coldframe.filelocks import FileLock
lock = FileLock(Path(sys.argv[1]), "bot other of other.toml")
print("held", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


@contextmanager
def another(path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Another process that holds the lock until it is killed."""
    command = [sys.executable, "-c", HOLDING, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield process
        process.kill()


def test_another_process_is_named_and_goes_with_its_lock(path: Path) -> None:
    with another(path) as process:
        told = f"pid {process.pid}, bot other of other.toml"
        for _ in range(2):  # a refusal leaves the words of the holder as they are
            with pytest.raises(LockTaken) as refused:
                FileLock(path, "bot mine of mine.toml")
            assert str(refused.value) == told
            assert holder_of(path) == told
    assert holder_of(path) is None, "killed, it holds nothing any more"
    FileLock(path).release()


def test_in_one_process_too(path: Path) -> None:
    first = FileLock(path, "first")
    with pytest.raises(LockTaken, match=f"^pid {os.getpid()}, first$"):
        FileLock(path)
    first.release()
    first.release()
    second = FileLock(path, "second")
    assert holder_of(path) == f"pid {os.getpid()}, second"
    second.release()
    assert holder_of(path) is None


def test_the_mark_stays_over_holders(path: Path) -> None:
    first = FileLock(path, "a long description of the first holder")
    assert first.mark == ""
    first.set_mark("made")
    first.release()
    second = FileLock(path, "b")
    assert second.mark == "made"
    assert holder_of(path) == f"pid {os.getpid()}, b"
    second.release()


@pytest.mark.parametrize(("body", "mark"), [(b"made\n", "made"), (b"", ""), (b"-\npid 1, gone\n", ""), (b"\xff\n", "\ufffd")])
def test_files_of_before_and_damaged_ones_are_taken(path: Path, body: bytes, mark: str) -> None:
    path.write_bytes(body)
    assert holder_of(path) is None
    lock = FileLock(path, "new\nest")
    assert lock.mark == mark
    assert holder_of(path) == f"pid {os.getpid()}, new est"
    lock.release()


def test_what_is_not_there_is_free_and_stays_away(path: Path) -> None:
    assert holder_of(path) is None
    assert not path.exists()
    FileLock(path).release(remove=True)
    assert not path.exists()


def test_it_is_its_owners_alone(path: Path) -> None:
    FileLock(path).release()
    assert path.stat().st_mode & 0o777 == 0o600


def test_a_place_without_files_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(IsADirectoryError):
        FileLock(tmp_path)
    assert holder_of(tmp_path) is None


def test_the_file_may_vanish_and_there_is_still_one_holder(path: Path) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        done = 0
        while done < 50:
            try:
                held = FileLock(path)
            except LockTaken:
                continue
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1
            held.release(remove=True)
            done += 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert most == 1
