"""The recorder: what it writes can be read back, a slow or failing disk hurts no trading, and what is missing is said."""

from __future__ import annotations

import errno
import json
import threading
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from coldframe.data.recordings import read_recording
from coldframe.errors import ConfigError
from coldframe.trio_io.recorder import Recorder
from coldframe.wire.frames import envelope
from tests.examples import examples
from tests.waiting import eventually

START_NS = 1_700_000_000_000_000_000


class Notes:
    """A clock that counts, and what the recorder had to say."""

    def __init__(self) -> None:
        self._ticks = count(START_NS)
        self.said: list[str] = []

    def now_ns(self) -> int:
        return next(self._ticks)

    def recorder(self, path: Path, **limits: Any) -> Recorder:
        return Recorder(path, self.now_ns, self.said.append, **limits)


def lines_of(path: Path) -> list[tuple[int, str, bytes]]:
    """Time, stream or symbol, and payload of every line; the recording must be whole."""
    reading = read_recording(path)
    found = [(line.t, line.stream if isinstance(line.stream, str) else str(line.snapshot), line.payload) for line in reading]
    assert reading.tear is None
    return found


async def test_what_came_is_read_back_in_order(tmp_path: Path) -> None:
    path, notes = tmp_path / "a.jsonl.gz", Notes()
    recorder = notes.recorder(path)
    recorder.frame(b'{"stream":"btcusdt@depth@100ms","data":{"u":1, "b":[["1","2"]]}}')
    recorder.frame(b'{"result":null,"id":1}')
    recorder.snapshot("BTCUSDT", b'{"lastUpdateId":1,"bids":[],"asks":[]}')
    recorder.frame(b"{'stream'")
    recorder.frame(envelope("币安人生usdt@aggTrade", '{"s":"币"}'.encode()))
    await recorder.close()
    assert lines_of(path) == [
        (START_NS, "btcusdt@depth@100ms", b'{"u":1, "b":[["1","2"]]}'),
        (START_NS + 1, "BTCUSDT", b'{"lastUpdateId":1,"bids":[],"asks":[]}'),
        (START_NS + 2, "币安人生usdt@aggTrade", '{"s":"币"}'.encode()),
    ]
    assert notes.said == []


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(50))
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=30).map(lambda body: b'{"stream":"x","data":' + body + b"}"),
            st.sampled_from([b'{"a":\n1}', b"[1,\r\n2]", b"{", b"", b'"a\nb"', b"1}{", b"\xff"]).map(
                lambda body: envelope("x", body)
            ),
            st.integers(0, 9).map(lambda number: envelope("x", b"%d" % number)),
        ),
        max_size=8,
    )
)
def test_whatever_comes_the_recording_stays_readable(tmp_path: Path, frames: list[bytes]) -> None:
    path, notes = tmp_path / "any.jsonl.gz", Notes()
    path.unlink(missing_ok=True)

    async def record() -> int:
        recorder = notes.recorder(path)
        for frame in frames:
            recorder.frame(frame)
        await recorder.close()
        return recorder.left_out

    left_out = trio.run(record)
    payloads = [frame[len(b'{"stream":"x","data":') : -1] for frame in frames]
    kept = [payload.replace(b"\n", b" ").strip() for payload in payloads if is_json(payload)]
    assert [payload for _, _, payload in (lines_of(path) if kept else [])] == kept
    assert path.exists() == bool(kept)
    assert left_out == len(frames) - len(kept)
    assert bool(notes.said) == bool(left_out)


def is_json(payload: bytes) -> bool:
    try:
        json.loads(payload)
    except ValueError:
        return False
    return True


async def test_white_space_over_lines_becomes_one_line(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    recorder = Notes().recorder(path)
    recorder.frame(b'{"stream":"x","data":{"a":\n1}}')
    await recorder.close()
    assert lines_of(path) == [(START_NS, "x", b'{"a": 1}')]


async def test_a_slow_disk_delays_no_stream(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, go_on, notes = tmp_path / "a.jsonl.gz", threading.Event(), Notes()
    recorder = notes.recorder(path, flush_period_s=0.01)
    write = recorder._file.write
    waiting = threading.Event()

    def slow(block: bytes) -> int:
        waiting.set()
        assert go_on.wait(5)
        return write(block)

    monkeypatch.setattr(recorder._file, "write", slow)
    with trio.fail_after(15):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            for number in range(1_000):
                recorder.frame(envelope("x", b"%d" % number))
                if number == 10:
                    await trio.to_thread.run_sync(waiting.wait)
                await trio.lowlevel.checkpoint()
            go_on.set()
            nursery.cancel_scope.cancel()
        await recorder.close()
    assert [payload for _, _, payload in lines_of(path)] == [b"%d" % number for number in range(1_000)]


async def test_what_does_not_fit_is_left_out_and_said(tmp_path: Path) -> None:
    path, notes = tmp_path / "a.jsonl.gz", Notes()
    recorder = notes.recorder(path, line_limit=10)
    for number in range(25):
        recorder.frame(envelope("x", b"%d" % number))
    await recorder.close()
    assert recorder.left_out == 15
    assert [payload for _, _, payload in lines_of(path)] == [b"%d" % number for number in range(15, 25)]
    assert notes.said == [f"15 lines were left out of the recording {path}"]


async def test_lines_that_wait_are_bounded_in_bytes_too(tmp_path: Path) -> None:
    path, notes = tmp_path / "a.jsonl.gz", Notes()
    recorder = notes.recorder(path, byte_limit=10_000)
    for number in range(25):
        recorder.frame(envelope("x", b'"%d%b"' % (number % 10, b"x" * 1_900)))
    recorder.frame(envelope("x", b'"%b"' % (b"x" * 20_000)))
    for number in range(7):
        recorder.frame(envelope("x", b"%d" % number))
    await recorder.close()
    assert [payload for _, _, payload in lines_of(path)] == [b"%d" % number for number in range(7)]
    assert recorder.left_out == 26


async def test_a_disk_that_fails_ends_the_recording_and_not_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, notes = tmp_path / "a.jsonl.gz", Notes()
    recorder = notes.recorder(path, flush_period_s=0.01)

    def full(block: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(recorder._file, "write", full)
    with trio.fail_after(15):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(recorder.run)
            for number in range(5):
                recorder.frame(envelope("x", b"%d" % number))
                await trio.lowlevel.checkpoint()
            await eventually(lambda: notes.said)
            nursery.cancel_scope.cancel()
        monkeypatch.undo()
        await recorder.close()
    assert notes.said == [
        f"the recording {path} ends here: No space left on device",
        f"5 lines were left out of the recording {path}",
    ]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no device that is always full")
async def test_a_full_disk() -> None:
    notes = Notes()
    recorder = notes.recorder(Path("/dev/full"))
    for number in range(100):
        recorder.frame(envelope("x", b"%d" % number))
    await recorder.close()
    assert notes.said[0] == "the recording /dev/full ends here: No space left on device"


async def test_closing_is_not_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    recorder = Notes().recorder(path)
    recorder.frame(envelope("x", b"1"))
    with trio.CancelScope() as scope:
        scope.cancel()
        await recorder.close()
    assert len(lines_of(path)) == 1


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
@pytest.mark.parametrize("before", [b"", b"a recording of last night"])
def test_p17_an_existing_file_is_never_written_over(tmp_path: Path, name: str, before: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(before)
    with pytest.raises(ConfigError, match="exists already: name another file, or move that one away"):
        Notes().recorder(path)
    assert path.read_bytes() == before


async def test_p17_a_second_run_does_not_write_over_the_first(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    recorder = Notes().recorder(path)
    recorder.frame(envelope("x", b"1"))
    await recorder.close()
    with pytest.raises(ConfigError):
        Notes().recorder(path)
    assert [payload for _, _, payload in lines_of(path)] == [b"1"]


async def test_a_recording_of_nothing_leaves_its_name_free(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.gz"
    for _ in range(2):
        recorder = Notes().recorder(path)
        recorder.frame(b'{"result":null,"id":1}')
        await recorder.close()
        assert not path.exists()


@pytest.mark.parametrize("name", ["no/such/folder.jsonl.gz", "."])
def test_a_path_that_cannot_be_written_is_one_sentence(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError) as refused:
        Notes().recorder(tmp_path / name)
    (line,) = refused.value.findings
    assert line.startswith(f"the recording {tmp_path / name} cannot be written: ")
    assert "\n" not in line
