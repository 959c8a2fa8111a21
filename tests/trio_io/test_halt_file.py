"""The halt file: what is latched is read back, whole, private, by several processes; what cannot be understood halts."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import ConfigError
from coldframe.filelocks import FileLock
from coldframe.model.halting import Halt, HaltLevel
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent, lifted, raised

PAUSE, CANCEL, FLATTEN = HaltLevel.PAUSE, HaltLevel.CANCEL, HaltLevel.FLATTEN
STRATEGIES = st.sampled_from([None, "a", "b"])
HALTS = st.builds(Halt, st.sampled_from(HaltLevel), STRATEGIES, st.text(max_size=5), st.integers(0, 10**13))


@pytest.fixture
def sentinel(tmp_path: Path) -> HaltFile:
    return HaltFile(tmp_path / "deep" / "down" / "halt.json")


def write(sentinel: HaltFile, *halts: Halt, revision: str = "r") -> HaltFileContent:
    return sentinel.change(lambda _: halts, revision)


# -- what holds -------------------------------------------------------------------------------------------------------


@given(st.lists(HALTS, max_size=8))
def test_a_halt_is_never_made_a_lesser_one_and_one_of_each_holds(asked: list[Halt]) -> None:
    holds: tuple[Halt, ...] = ()
    for halt in asked:
        holds = raised(holds, halt)
    for strategy in (None, "a", "b"):
        mine = [row for row in asked if row.strategy == strategy]
        (kept,) = [hold for hold in holds if hold.strategy == strategy] or [None]
        if kept is None:
            assert not mine
            continue
        assert kept == attrs.evolve(mine[-1], level=max((order.level for order in mine), key=lambda level: level.rank))


@given(st.lists(HALTS, max_size=5), STRATEGIES)
def test_a_resumption_takes_one_or_all(asked: list[Halt], strategy: str | None) -> None:
    holds: tuple[Halt, ...] = ()
    for row in asked:
        holds = raised(holds, row)
    left = lifted(holds, strategy)
    assert left == (() if strategy is None else tuple(hold for hold in holds if hold.strategy != strategy))


# -- the file ---------------------------------------------------------------------------------------------------------


def test_without_a_file_nothing_holds(sentinel: HaltFile) -> None:
    assert sentinel.read() == HaltFileContent()
    assert sentinel.stamp() is None
    sentinel.clear("")


def test_what_is_latched_is_read_back(sentinel: HaltFile) -> None:
    halts = (Halt(FLATTEN, None, 'a "reason"\n', 5), Halt(PAUSE, "mm", "", 6))
    assert write(sentinel, *halts) == HaltFileContent("r", halts)
    assert sentinel.read() == HaltFileContent("r", halts)
    before = sentinel.stamp()
    assert before is not None
    write(sentinel, Halt(CANCEL), revision="s")
    assert sentinel.stamp() != before
    assert sentinel.read().revision == "s"


def test_x17_it_is_private_and_leaves_nothing_half_written(sentinel: HaltFile) -> None:
    write(sentinel, Halt(PAUSE))
    assert sorted(path.name for path in sentinel.path.parent.iterdir()) == ["halt.json", "halt.json.lock"]
    assert sentinel.path.parent.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in sentinel.path.parent.iterdir())


def test_it_goes_only_when_nothing_holds_and_nothing_changed(sentinel: HaltFile) -> None:
    write(sentinel, Halt(PAUSE))
    sentinel.clear("r")
    assert sentinel.path.exists()
    write(sentinel, revision="empty")
    write(sentinel, Halt(PAUSE), revision="faster")
    sentinel.clear("empty")
    assert sentinel.path.exists()
    write(sentinel, revision="last")
    sentinel.clear("last")
    assert not sentinel.path.exists()


def nonsense() -> Iterator[bytes]:
    yield from (b"", b"halt!", b"[]", b"{", b"\xff", b'{"version":1,"revision":"x"}', b"[" * 100_000)
    yield b'{"version":1,"revision":"x","halts":[{"level":"gently"}]}'


@pytest.mark.parametrize("body", list(nonsense()), ids=lambda body: f"{len(body)} bytes")
def test_what_cannot_be_understood_halts_everything(sentinel: HaltFile, body: bytes) -> None:
    write(sentinel)
    sentinel.path.write_bytes(body)
    (halt,) = sentinel.read().halts
    assert (halt.level, halt.strategy) == (CANCEL, None)
    assert str(sentinel.path) in halt.reason
    # A halt on top of it keeps it; a resumption takes it away.
    assert {halt.level for halt in sentinel.change(lambda halts: raised(halts, Halt(PAUSE)), "t").halts} == {CANCEL}
    assert sentinel.change(lambda halts: lifted(halts, None), "u").halts == ()


def test_p5_on_a_full_disk_the_empty_file_halts_everything(sentinel: HaltFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("coldframe.trio_io.halt_file.os.fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write(sentinel, Halt(PAUSE, "mm"))
    assert [path.name for path in sentinel.path.parent.iterdir()] == ["halt.json.lock"]
    (halt,) = sentinel.touch().halts
    assert (halt.level, halt.strategy) == (CANCEL, None)
    assert sentinel.path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_halts_everything(tmp_path: Path) -> None:
    (tmp_path / "halt.json").mkdir()
    sentinel = HaltFile(tmp_path / "halt.json")
    (halt,) = sentinel.read().halts
    assert halt.level is CANCEL
    with pytest.raises(ConfigError, match=r"halt\.json: the halt file cannot be kept here: Is a directory"):
        write(sentinel, Halt(PAUSE))


def test_a_process_that_never_ends_its_change_is_named(sentinel: HaltFile) -> None:
    hasty = HaltFile(sentinel.path, editing_s=0.01)
    write(sentinel, Halt(PAUSE))
    held = FileLock(sentinel.path.with_name("halt.json.lock"), "changing it")
    with pytest.raises(ConfigError, match=f"changed for 0.01 s by pid {os.getpid()}, changing it: end that process"):
        write(hasty, Halt(CANCEL))
    held.release()
    assert write(sentinel, Halt(CANCEL)).halts == (Halt(CANCEL),)


def test_nothing_is_lost_between_many_hands(sentinel: HaltFile) -> None:
    names = [f"s{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: sentinel.change(lambda halts: raised(halts, Halt(PAUSE, name)), name), names))
    assert sorted(halt.strategy or "" for halt in sentinel.read().halts) == sorted(names)
