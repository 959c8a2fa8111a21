"""The halt file: what it says is read back, whole, private, by several processes; what cannot be understood halts."""

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
def halt_file(tmp_path: Path) -> HaltFile:
    return HaltFile(tmp_path / "deep" / "down" / "halt.json")


def write(halt_file: HaltFile, *halts: Halt, revision: str = "r") -> HaltFileContent:
    return halt_file.change(lambda _: halts, revision)


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


def test_without_a_file_nothing_holds(halt_file: HaltFile) -> None:
    assert halt_file.read() == HaltFileContent()
    assert halt_file.stamp() is None
    halt_file.clear("")


def test_a_halt_is_read_back(halt_file: HaltFile) -> None:
    halts = (Halt(FLATTEN, None, 'a "reason"\n', 5), Halt(PAUSE, "mm", "", 6))
    assert write(halt_file, *halts) == HaltFileContent("r", halts)
    assert halt_file.read() == HaltFileContent("r", halts)
    before = halt_file.stamp()
    assert before is not None
    write(halt_file, Halt(CANCEL), revision="s")
    assert halt_file.stamp() != before
    assert halt_file.read().revision == "s"


def test_x17_it_is_private_and_leaves_nothing_half_written(halt_file: HaltFile) -> None:
    write(halt_file, Halt(PAUSE))
    assert sorted(path.name for path in halt_file.path.parent.iterdir()) == ["halt.json", "halt.json.lock"]
    assert halt_file.path.parent.stat().st_mode & 0o077 == 0
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in halt_file.path.parent.iterdir())


def test_it_goes_only_when_nothing_holds_and_nothing_changed(halt_file: HaltFile) -> None:
    write(halt_file, Halt(PAUSE))
    halt_file.clear("r")
    assert halt_file.path.exists()
    write(halt_file, revision="empty")
    write(halt_file, Halt(PAUSE), revision="faster")
    halt_file.clear("empty")
    assert halt_file.path.exists()
    write(halt_file, revision="last")
    halt_file.clear("last")
    assert not halt_file.path.exists()


def nonsense() -> Iterator[bytes]:
    yield from (b"", b"halt!", b"[]", b"{", b"\xff", b'{"version":1,"revision":"x"}', b"[" * 100_000)
    yield b'{"version":1,"revision":"x","halts":[{"level":"gently"}]}'


@pytest.mark.parametrize("body", list(nonsense()), ids=lambda body: f"{len(body)} bytes")
def test_what_cannot_be_understood_halts_everything(halt_file: HaltFile, body: bytes) -> None:
    write(halt_file)
    halt_file.path.write_bytes(body)
    (halt,) = halt_file.read().halts
    assert (halt.level, halt.strategy) == (CANCEL, None)
    assert str(halt_file.path) in halt.reason
    # A halt on top of it keeps it; a resumption takes it away.
    assert {halt.level for halt in halt_file.change(lambda halts: raised(halts, Halt(PAUSE)), "t").halts} == {CANCEL}
    assert halt_file.change(lambda halts: lifted(halts, None), "u").halts == ()


def test_p5_on_a_full_disk_the_empty_file_halts_everything(halt_file: HaltFile, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("coldframe.trio_io.halt_file.os.fsync", full)
    with pytest.raises(ConfigError, match="No space left on device"):
        write(halt_file, Halt(PAUSE, "mm"))
    assert [path.name for path in halt_file.path.parent.iterdir()] == ["halt.json.lock"]
    (halt,) = halt_file.touch().halts
    assert (halt.level, halt.strategy) == (CANCEL, None)
    assert halt_file.path.stat().st_mode & 0o777 == 0o600


def test_what_cannot_be_read_halts_everything(tmp_path: Path) -> None:
    (tmp_path / "halt.json").mkdir()
    halt_file = HaltFile(tmp_path / "halt.json")
    (halt,) = halt_file.read().halts
    assert halt.level is CANCEL
    with pytest.raises(ConfigError, match=r"halt\.json: the halt file cannot be kept here: Is a directory"):
        write(halt_file, Halt(PAUSE))


def test_a_process_that_never_ends_its_change_is_named(halt_file: HaltFile) -> None:
    hasty = HaltFile(halt_file.path, editing_s=0.01)
    write(halt_file, Halt(PAUSE))
    held = FileLock(halt_file.path.with_name("halt.json.lock"), "changing it")
    with pytest.raises(ConfigError, match=f"changed for 0.01 s by pid {os.getpid()}, changing it: end that process"):
        write(hasty, Halt(CANCEL))
    held.release()
    assert write(halt_file, Halt(CANCEL)).halts == (Halt(CANCEL),)


def test_nothing_is_lost_between_many_hands(halt_file: HaltFile) -> None:
    names = [f"s{number}" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: halt_file.change(lambda halts: raised(halts, Halt(PAUSE, name)), name), names))
    assert sorted(halt.strategy or "" for halt in halt_file.read().halts) == sorted(names)
