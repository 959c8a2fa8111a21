"""Recordings of any size and shape: known by what they begin with, read in bounded memory and linear time, refused with a line."""

from __future__ import annotations

import gzip
import struct
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.compression import zstd_module
from coldframe.data.lines import USUAL_BOUNDS, LineBounds
from coldframe.data.recordings import MOST_NAMES, read_recording
from coldframe.errors import ConfigError
from coldframe.exchange_server.recording import read_recording_info
from coldframe.runtime.recordings import describe_recording, verify_recording
from coldframe.wire.recording import LONGEST_LINE

LINES = [b'{"t":%d,"stream":"btcusdt@x%d","data":{"n":%d}}' % (number, number % 7, number) for number in range(300)]
BODY = b"\n".join(LINES) + b"\n"


def zstd(body: bytes) -> bytes:
    packed: bytes = zstd_module("").compress(body)
    return packed


def skipped(kind: int, content: bytes) -> bytes:
    """A frame of zstd that says nothing."""
    return struct.pack("<II", 0x184D2A50 + kind, len(content)) + content


def at(folder: Path, body: bytes, name: str = "recording.jsonl") -> Path:
    path = folder / name
    path.write_bytes(body)
    return path


def numbers(path: Path, bounds: LineBounds = USUAL_BOUNDS) -> list[int]:
    return [line.t for line in read_recording(path, bounds)]


# -- what it is -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", range(16))
@pytest.mark.parametrize("name", ["recording.jsonl.zst", "recording.jsonl"])
def test_zstd_may_begin_with_a_frame_that_is_skipped(tmp_path: Path, kind: int, name: str) -> None:
    assert numbers(at(tmp_path, skipped(kind, b"") + zstd(BODY), name)) == list(range(300))


def test_frames_each_behind_a_skippable_frame_are_read(tmp_path: Path) -> None:
    parts = [BODY[begin : begin + 1000] for begin in range(0, len(BODY), 1000)]
    written = b"".join(skipped(0, struct.pack("<I", len(zstd(part)))) + zstd(part) for part in parts)
    assert numbers(at(tmp_path, written)) == list(range(300))
    assert numbers(at(tmp_path, written + skipped(3, b"the end"))) == list(range(300))


def test_several_gzip_members_are_one_recording(tmp_path: Path) -> None:
    assert numbers(at(tmp_path, gzip.compress(BODY[:5000]) + gzip.compress(BODY[5000:]))) == list(range(300))


def test_skipped_frames_alone_are_an_empty_recording(tmp_path: Path) -> None:
    assert numbers(at(tmp_path, skipped(0, b"x" * 100))) == []


@pytest.mark.parametrize("magic", [b"\x50\x2a\x4d\x19", b"\x4f\x2a\x4d\x18", b"\x60\x2a\x4d\x18", b"\x28\xb5\x2f\xfc"])
def test_what_only_looks_like_zstd_is_no_recording(tmp_path: Path, magic: bytes) -> None:
    with pytest.raises(ConfigError, match=r"recording\.jsonl:1: not a line of a recording"):
        numbers(at(tmp_path, magic + BODY))


# -- an oracle --------------------------------------------------------------------------------------------------------


ROWS = [b"", b"  ", b"\r", b'{"t":1,"stream":"a","data":"%b"}' % (b"x" * 40), b'{"t":2,"snapshot":"B","data":[]}']


@given(
    st.lists(st.sampled_from(ROWS)),
    st.integers(1, 50),
    st.sampled_from([bytes, gzip.compress, zstd]),
)
def test_lines_come_as_a_plain_split_gives_them(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], chunk: int, pack: Callable[[bytes], bytes]
) -> None:
    path = at(tmp_path_factory.mktemp("recording"), pack(b"\n".join(lines)))
    reading = read_recording(path, LineBounds(chunk=chunk))
    given_ = [(reading.line, line.t) for line in reading]
    assert given_ == [(number, 1 if b'"t":1' in line else 2) for number, line in enumerate(lines, 1) if line.strip()]
    assert reading.count == len(given_)
    assert reading.tear is None


# -- bounds -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd])
def test_a_line_beyond_the_longest_names_file_line_and_limit(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    bounds = LineBounds(chunk=64, longest_line=500)
    fits = b'{"t":1,"stream":"a","data":"%b"}' % (b"x" * 400)
    assert numbers(at(tmp_path, pack(b"\n".join([*LINES, fits, *LINES]))), bounds).count(1) == 3
    too_long = b'{"t":1,"stream":"a","data":"%b"}' % (b"x" * 600)
    for end in (b"", b"\n", b"\n" + BODY):
        with pytest.raises(
            ConfigError, match=r"recording\.jsonl:301: a line of more than 500 bytes|jsonl:300: a line of more than 500"
        ):
            numbers(at(tmp_path, pack(BODY + too_long + end)), bounds)


def test_a_file_without_an_end_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match=f"/dev/zero:1: a line of more than {LONGEST_LINE} bytes"):
        numbers(Path("/dev/zero"))


@pytest.mark.scene
@pytest.mark.parametrize("pack", [gzip.compress, zstd])
def test_decompression_bomb_is_refused_when_it_exceeds_the_bound(tmp_path: Path, pack: Callable[[bytes], bytes]) -> None:
    bomb = pack(b"\n" * (1 << 24))
    assert len(bomb) * 250 < 1 << 23
    with pytest.raises(ConfigError, match=r"recording\.jsonl:[0-9]+: more than [0-9]+ bytes come out of this file"):
        numbers(at(tmp_path, bomb), LineBounds(always_allowed=1 << 20))


@pytest.mark.scene
def test_more_streams_than_there_are_is_no_recording(tmp_path: Path) -> None:
    rows = [b'{"t":1,"stream":"s%d@trade","data":{}}' % number for number in range(MOST_NAMES + 1)]
    assert len(numbers(at(tmp_path, b"\n".join([*rows[:-1], *rows[:9]])))) == MOST_NAMES + 9
    for use in (numbers, read_recording_info, describe_recording, verify_recording):
        with pytest.raises(
            ConfigError, match=rf"recording\.jsonl:{MOST_NAMES + 1}: more than {MOST_NAMES} different streams|recording\.jsonl:1: "
        ):
            use(at(tmp_path, b"\n".join(rows)))


@pytest.mark.parametrize("name", ["stream", "snapshot"])
def test_a_name_beyond_all_names_is_no_line(tmp_path: Path, name: str) -> None:
    row = b'{"t":1,"%b":"%b","data":{}}' % (name.encode(), b"x" * 201)
    with pytest.raises(ConfigError, match=r"recording\.jsonl:301: not a line of a recording"):
        numbers(at(tmp_path, BODY + row + b"\n" + BODY))


@pytest.mark.scene
def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = at(tmp_path, gzip.compress((b'{"t":1,"stream":"a","data":"%b"}\n' % (b"x" * 1000)) * 60_000, 1))
    tracemalloc.start()
    try:
        assert sum(line.t for line in read_recording(path)) == 60_000
        assert tracemalloc.get_traced_memory()[1] < 4 * USUAL_BOUNDS.chunk + 1_000_000
    finally:
        tracemalloc.stop()


def test_a_long_line_takes_time_in_proportion(tmp_path: Path) -> None:
    """Joined chunk by chunk, the line of sixteen times the length would take 256 times as long."""

    def seconds(length: int) -> float:
        path = at(tmp_path, b'{"t":1,"stream":"a","data":"%b"}' % (b"x" * length))
        began = time.process_time()
        assert numbers(path, LineBounds(chunk=512)) == [1]
        return time.process_time() - began

    short = max(min(seconds(1 << 19) for _ in range(3)), 0.001)
    assert seconds(1 << 23) < 100 * short
