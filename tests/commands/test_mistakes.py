"""Bad input gets one clear line and the right exit code, and no traceback."""

from __future__ import annotations

import gzip
import json
import socket
from pathlib import Path

import pytest

from tests.commands.here import CONFIGS, coldframe
from tests.conftest import SHARED, needs_shared

QUICKSTART = (CONFIGS / "quickstart.toml").read_text()


def changed(folder: Path, old: str, new: str) -> Path:
    assert old in QUICKSTART, old
    path = folder / "bot.toml"
    path.write_text(QUICKSTART.replace(old, new, 1))
    return path


def line_of(path: Path, text: str) -> int:
    return next(number for number, line in enumerate(path.read_text().splitlines(), 1) if text in line)


@pytest.mark.parametrize(
    ("old", "new", "at", "said"),
    [
        ("seed = 7", "sed = 7", "sed = 7", "unknown key (did you mean seed?)"),
        ("seed = 7", 'seed = "7"', 'seed = "7"', "must be a whole number, not '7'"),
        ("seed = 7", "seed = -7", "seed = -7", "must not be negative"),
        ("BTCUSDT", "BTCUSD", '"BTCUSD"', "unknown symbol 'BTCUSD' (did you mean BTCUSDT?)"),
        ('plugin = "maker"', 'plugin = "makr"', 'plugin = "makr"', "no plugin 'makr' (did you mean 'maker'?)"),
        ('plugin = "maker"', 'plugin = "no/such.py:Maker"', 'plugin = "no/such.py', "no plugin file"),
        ('config_version = 1', "config_version = 2", "config_version = 2", "must be between 1 and 1"),
    ],
)  # fmt: skip
def test_g1_g2_mistakes_in_the_configuration(tmp_path: Path, old: str, new: str, at: str, said: str) -> None:
    path = changed(tmp_path, old, new)
    for verb in ("check", "run"):
        done = coldframe(verb, path)
        assert done.returncode == 78
        assert f"{path}:{line_of(path, at)}: " in done.stderr
        assert said in done.stderr
        assert "Traceback" not in done.stderr
        assert done.stdout == ""


def test_a_negative_size(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(
        QUICKSTART.replace("[strategies.params]", '[strategies.params]\nspread_bps = "-4"', 1).replace(
            'spread_bps = "', '# spread_bps = "', 0
        )
    )
    text = "\n".join(line for line in path.read_text().splitlines() if not (line.startswith("spread_bps") and '"-4"' not in line))
    path.write_text(text)
    done = coldframe("check", path)
    assert done.returncode == 78
    assert f"{path}:{line_of(path, '-4')}: " in done.stderr


def test_all_mistakes_come_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "bot.toml"
    path.write_text(
        QUICKSTART.replace("seed = 7", "sed = 7")
        .replace('plugin = "maker"', 'plugin = "makr"')
        .replace("stale_book_ms = 2000", 'stale_book_ms = "x"')
    )
    done = coldframe("check", path)
    assert done.returncode == 78
    assert len([line for line in done.stderr.splitlines() if str(path) in line]) >= 3


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    for args in (("run", tmp_path / "no.toml"), ("check", tmp_path / "no.toml"), ("recording", "verify", tmp_path / "no.gz")):
        done = coldframe(*args)
        assert done.returncode == 78
        assert len(done.stderr.splitlines()) == 1
        assert "no." in done.stderr


def test_a_file_name_that_moves_the_cursor(tmp_path: Path) -> None:
    done = coldframe("check", tmp_path / "no\x1b[2J\rsuch.toml")
    assert done.returncode == 78
    assert r"no\x1b[2J\x0dsuch.toml" in done.stderr
    assert "\x1b" not in done.stderr


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = coldframe("venue", CONFIGS / "quickstart.toml", "--port", taken.getsockname()[1])
    assert done.returncode == 69
    assert "already in use" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@needs_shared
def test_a_torn_recording(tmp_path: Path) -> None:
    whole = (SHARED / "data/capture_2021-07-22_sushi-akro-keep-ctk_30s.jsonl.gz").read_bytes()
    torn = tmp_path / "torn.jsonl.gz"
    torn.write_bytes(whole[: len(whole) // 2])
    done = coldframe("recording", "verify", torn, "--json")
    assert json.loads(done.stdout)["mismatches"] == 0
    assert "torn" in done.stderr or "cut off" in done.stderr
    run = coldframe("run", CONFIGS / "recorded.toml", "--recording", torn, "--speed", "max", "--json")
    assert json.loads(run.stdout)["ended"] == "recording_end"
    assert "torn" in run.stderr or "cut off" in run.stderr
    broken = tmp_path / "broken.jsonl.gz"
    lines = gzip.decompress(whole).splitlines(keepends=True)
    lines[100] = b'{"t": 1, "stream": "x", "data": \n'
    broken.write_bytes(gzip.compress(b"".join(lines)))
    done = coldframe("recording", "verify", broken)
    assert done.returncode == 78
    assert f"{broken}:101: " in done.stderr
