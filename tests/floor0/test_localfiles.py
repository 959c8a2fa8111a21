"""Files are read with a bound, and what is not a file is not waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.localfiles import lines_of, read_file


@pytest.mark.parametrize("size", [0, 1, 9, 10])
def test_a_file_up_to_the_bound_is_read_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(range(size)))
    assert read_file(path, 10) == bytes(range(size))


def test_a_larger_one_is_refused_in_words(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(bytes(11))
    with pytest.raises(OSError, match="larger than 10 bytes: damaged, or another file") as caught:
        read_file(path, 10)
    assert caught.value.filename == str(path)


@pytest.mark.parametrize("read", [read_file, lambda path: list(lines_of(path))])
def test_what_is_not_a_file_is_refused_at_once(tmp_path: Path, read: object) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (pipe, tmp_path, Path("/dev/zero")):
        with pytest.raises(OSError, match="not a file"):
            read(path)  # type: ignore[operator]
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "nothing")  # type: ignore[operator]


def test_a_device_that_a_person_names_is_read_up_to_the_bound() -> None:
    with pytest.raises(OSError, match="larger than 100 bytes"):
        read_file(Path("/dev/zero"), 100, regular=False)
    assert read_file(Path("/dev/null"), 100, regular=False) == b""


@given(st.binary(max_size=60))
def test_lines_are_those_of_the_whole(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    path = tmp_path_factory.mktemp("lines") / "file"
    path.write_bytes(body)
    expected = [line + b"\n" for line in body.split(b"\n")]
    expected[-1] = expected[-1][:-1]
    assert list(lines_of(path)) == [line for line in expected if line]


@pytest.mark.parametrize("end", [b"", b"\n"])
def test_a_line_that_is_too_long_is_refused(tmp_path: Path, end: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"a\n" + b"b" * 12 + end)
    lines = lines_of(path, 11)
    assert next(lines) == b"a\n"
    with pytest.raises(OSError, match="longer than 11 bytes"):
        next(lines)
