"""Small files are read within bounds, and each of their readers says what it says of any file that it cannot read."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from coldframe.config.secrets import resolve
from coldframe.errors import ConfigError
from coldframe.exchange_server.key_files import keys_for
from coldframe.localfiles import SMALL as LARGEST
from coldframe.localfiles import read_file as read_small
from coldframe.model.halting import HaltLevel
from coldframe.runtime.haltfiles import _Register
from coldframe.trio_io.bans import Bans
from coldframe.trio_io.halt_file import HaltFile

ENDLESS = Path("/dev/zero")


@pytest.mark.parametrize("size", [0, 1, LARGEST - 1, LARGEST])
def test_a_small_file_is_read_whole(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    assert read_small(path) == b"x" * size


def test_a_larger_one_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * (LARGEST + 1))
    with pytest.raises(OSError, match="larger than"):
        read_small(path)
    assert len(read_small(path, 2 * LARGEST)) == LARGEST + 1


def test_a_device_without_an_end_takes_no_memory() -> None:
    tracemalloc.start()
    try:
        with pytest.raises(OSError, match="larger than"):
            read_small(ENDLESS, regular=False)
        assert tracemalloc.get_traced_memory()[1] < 4 * LARGEST
    finally:
        tracemalloc.stop()


def _halt(path: Path) -> None:
    (halt,) = HaltFile(path).read().halts
    assert halt.level is HaltLevel.CANCEL
    assert "not a file" in halt.reason


def _ban(path: Path) -> None:
    assert Bans(path, "https://venue").until_ms() == 0


def _entry(path: Path) -> None:
    assert _Register()._read(path) is None


def _secret(path: Path) -> None:
    large = path.parent / "large"
    large.write_bytes(b"x" * (LARGEST + 1))
    large.chmod(0o600)
    with pytest.raises(ConfigError, match="cannot be read"):
        resolve(f"file:{large}", path.parent, "orders.secret")


def _keys(path: Path) -> None:
    keys_for(["main"], str(path.parent))
    for name in ("main.json", "main.ed25519.pem"):
        (path.parent / name).unlink()
        (path.parent / name).symlink_to(path)
        with pytest.raises(ConfigError, match=r"keys cannot be kept here: .*not a file"):
            keys_for(["main"], str(path.parent))


@pytest.mark.parametrize("reader", [_halt, _ban, _entry, _secret, _keys])
def test_no_reader_of_small_files_reads_without_end(tmp_path: Path, reader: Callable[[Path], None]) -> None:
    path = tmp_path / "endless"
    path.symlink_to(ENDLESS)
    reader(path)
