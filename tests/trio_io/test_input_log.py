"""The writer of input logs: readable after a kill, and a disk that fails ends the log and not the run."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from coldframe.data.input_log import InputLogReading
from coldframe.errors import ConfigError
from coldframe.model.inputs import Lane, Stamped, TimeReached
from coldframe.trio_io.input_log import InputLog
from tests.waiting import eventually

NS = 1_700_000_000_000_000_000


def step(log: InputLog, seq: int) -> None:
    log.stepped(Stamped(seq, NS, Lane.CONTROL, TimeReached(f"key {seq}")), [])


def begun(folder: Path, said: list[str], **bounds: int) -> InputLog:
    log = InputLog(folder, "bot-1", said.append, **bounds)
    log.begin(NS, {"seed": "7"})
    log.started(NS, [])
    return log


async def test_what_was_flushed_is_readable_without_a_close(tmp_path: Path) -> None:
    log = begun(tmp_path / "logs", [])
    for seq in (1, 2, 3):
        step(log, seq)
        await log.flush()
    step(log, 4)
    assert [found.seq for found in InputLogReading(log.path)] == [0, 1, 2, 3]
    await log.close()
    assert [found.seq for found in InputLogReading(log.path)] == [0, 1, 2, 3, 4]


async def test_its_task_flushes_again_and_again(tmp_path: Path) -> None:
    log = begun(tmp_path, [])
    async with trio.open_nursery() as nursery:
        nursery.start_soon(log.run)
        await eventually(lambda: log.path.stat().st_size)
        nursery.cancel_scope.cancel()
    await log.close()


async def test_lines_that_pile_up_end_the_log_with_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    log = begun(tmp_path, said, byte_limit=2_000)
    for seq in range(1, 100):
        step(log, seq)
    await log.close()
    assert [line.count("ends here: more than") for line in said] == [1]
    assert "the run goes on" in said[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
async def test_a_full_disk_ends_the_log_with_one_line(tmp_path: Path) -> None:
    said: list[str] = []
    log = begun(tmp_path, said)
    log._file.close()
    log._file = open("/dev/full", "wb", buffering=0)  # noqa: SIM115, ASYNC230
    await log.flush()
    step(log, 1)
    await log.close()
    assert len(said) == 1
    assert "No space left on device; the run goes on" in said[0]


async def test_a_log_is_never_written_over(tmp_path: Path) -> None:
    log = begun(tmp_path, [])
    await log.close()
    with pytest.raises(ConfigError, match=r"the input log .* cannot be written: File exists"):
        InputLog(tmp_path, "bot-1", [].append)
    with pytest.raises(ConfigError, match="cannot be written"):
        InputLog(log.path, "bot-1", [].append)
