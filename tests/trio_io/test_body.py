"""The body of an answer: whole, unpacked, and never longer than an answer may be, packed or not, in however many parts."""

from __future__ import annotations

import gzip
import tracemalloc
import zlib

import pytest

from coldframe.errors import LinkRefused
from coldframe.trio_io.body import LONGEST_ANSWER, Body


def taken(encoding: str, data: bytes, part: int = 1 << 16, longest: int = LONGEST_ANSWER) -> bytes:
    body = Body(encoding, longest)
    for at in range(0, len(data), part):
        body.append(data[at : at + part])
    return body.whole()


@pytest.mark.parametrize("part", [1, 7, 1 << 16])
@pytest.mark.parametrize("size", [0, 1, 5000])
def test_a_body_comes_out_as_it_was_sent(size: int, part: int) -> None:
    said = bytes(range(256)) * 20
    for encoding in ("", "identity", " Identity"):
        assert taken(encoding, said[:size], part) == said[:size]
    for encoding in ("gzip", "GZIP", "x-gzip"):
        assert taken(encoding, gzip.compress(said[:size]), part) == said[:size]


def test_a_packed_body_that_never_begins_is_empty() -> None:
    assert taken("gzip", b"") == b""


PACKED = gzip.compress(b"x" * 100, mtime=0)
BROKEN = {
    "no gzip": ("gzip", b"abc"),
    "no end": ("gzip", PACKED[:-1]),
    "no middle": ("gzip", PACKED[:12]),
    "more behind the end": ("gzip", PACKED + b"more"),
    "deflate": ("deflate", zlib.compress(b"{}")),
    "brotli": ("br", b"{}"),
    "zstd": ("zstd", b"\x28\xb5\x2f\xfd"),
    "packed twice": ("gzip, gzip", gzip.compress(PACKED, mtime=0)),
}


@pytest.mark.parametrize("case", BROKEN)
@pytest.mark.parametrize("part", [1, 1 << 16])
def test_what_cannot_be_unpacked_is_no_answer(case: str, part: int) -> None:
    with pytest.raises(LinkRefused, match="unknown or damaged compression"):
        taken(*BROKEN[case], part)


def test_the_longest_answer_is_taken_and_one_byte_more_is_not() -> None:
    for encoding, pack in (("", bytes), ("gzip", gzip.compress)):
        for part in (1000, 1 << 20):
            assert len(taken(encoding, pack(b"x" * 100_000), part, 100_000)) == 100_000
            with pytest.raises(LinkRefused, match="longer than 100000 bytes"):
                taken(encoding, pack(b"x" * 100_001), part, 100_000)


@pytest.mark.scene
def test_a_bomb_costs_no_more_than_the_longest_answer() -> None:
    packing = zlib.compressobj(9, zlib.DEFLATED, 31)
    bomb = b"".join(packing.compress(bytes(1 << 20)) for _ in range(300)) + packing.flush()
    assert len(bomb) < 1 << 19
    tracemalloc.start()
    try:
        with pytest.raises(LinkRefused, match="longer than"):
            taken("gzip", bomb)
        assert tracemalloc.get_traced_memory()[1] < 4 * LONGEST_ANSWER
    finally:
        tracemalloc.stop()
