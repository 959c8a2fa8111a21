"""Files that are kept between runs and are not what they should be: one clear line each, nothing hangs, nothing else is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from coldframe.config.secrets import resolve
from coldframe.core.state.journal_codec import fold
from coldframe.errors import ConfigError, JournalDamaged
from coldframe.exchange_server.account_file import FileAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.model.halting import Halt, HaltLevel
from coldframe.model.journal import Row, RowKind
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import known, standing_halts
from coldframe.trio_io.bans import Bans
from coldframe.trio_io.halt_file import HaltFile, raised
from coldframe.trio_io.journal_chain import link
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journalfile import JournalFile

NESTED = b"[" * 100_000
HOST = "https://fapi.binance.com"


def put(body: bytes) -> Callable[[Path], None]:
    return lambda path: path.write_bytes(body) and None


#: What a file may have become.
DAMAGES: dict[str, Callable[[Path], None]] = {
    "nested": put(NESTED),
    "nested objects": put(b'{"a":' * 100_000),
    "nested in a field": put(b'{"halts": ' + NESTED),
    "garbage": put(bytes(range(256)) * 8),
    "not text": put(b"\xff\xfe{}"),
    "a number without end": put(b"1" * 100_000),
    "huge": put(b" " * (1 << 24) + b"{}"),
    "a pipe": os.mkfifo,
    "a folder": Path.mkdir,
    "a device": lambda path: path.symlink_to("/dev/zero"),
}


@pytest.fixture(params=DAMAGES)
def damage(request: pytest.FixtureRequest) -> Callable[[Path], None]:
    """Puts something else where a file was."""

    def damaged(path: Path) -> None:
        path.unlink(missing_ok=True)
        DAMAGES[request.param](path)

    return damaged


def one_line(text: str, *parts: str) -> None:
    """A line that names the file and what to do is short and has no trace in it."""
    assert "\n" not in text
    assert len(text) < 400
    assert "Traceback" not in text
    for part in parts:
        assert part in text


def test_a_halt_file_halts_whatever_it_holds(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "halt.json"
    damage(path)
    (halt,) = HaltFile(path).read().halts
    assert (halt.level, halt.strategy) == (HaltLevel.CANCEL, None)
    one_line(halt.reason, str(path))


def test_a_damaged_entry_of_the_register_is_named(
    tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A start says which, and goes on; the entries beside it count as ever."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    path = tmp_path / "bot.toml"
    path.write_text('config_version = 1\nname = "scene"\n')
    loaded = read(path)
    known(loaded)
    entry = tmp_path / "state" / "coldframe" / "halts" / "0.json"
    damage(entry)
    said: list[str] = []
    assert standing_halts(loaded, "", said.append).halts == ()
    (line,) = said
    one_line(line, str(entry), "delete this file")


def test_damaged_bans_are_told_and_later_ones_remembered(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "bans.json"
    damage(path)
    bans = Bans(path, HOST)
    assert bans.until_ms() == 0
    one_line(bans.fault, str(path), "delete the file")
    bans.remember(9_000, 1_000)
    if not path.is_dir():
        assert Bans(path, HOST).until_ms() == 9_000


@pytest.mark.parametrize("name", ["main.json", "main.ed25519.pem"])
def test_damaged_keys_are_named(tmp_path: Path, damage: Callable[[Path], None], name: str) -> None:
    keys_for(["main"], str(tmp_path))
    other = keys_for(["other"], str(tmp_path))
    damage(tmp_path / name)
    with pytest.raises(ConfigError) as caught:
        keys_for(["main"], str(tmp_path))
    one_line(str(caught.value), str(tmp_path), "venue.embedded.keys_dir", name)
    assert keys_for(["other"], str(tmp_path)) == other


def test_a_damaged_account_file_is_named_and_let_go(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    FileAccountStore(tmp_path).close()
    (path,) = tmp_path.glob("*.jsonl")
    damage(path)
    if path.is_file():
        with path.open("ab") as file:
            file.write(b"\n")
    for _ in range(2):  # a lock that were kept would be named instead
        with pytest.raises(ConfigError) as caught:
            FileAccountStore(tmp_path)
        one_line(str(caught.value), str(path), "venue.embedded.state_dir")


def test_a_secret_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "key"
    path.write_bytes(b"x" * 100_000)
    path.chmod(0o600)
    with pytest.raises(ConfigError) as caught:
        resolve(f"file:{path}", tmp_path, "account.api_key")
    one_line(str(caught.value), str(path), "account.api_key", "larger than 64000 bytes")
    path.write_bytes(b"secret\r\n")
    assert resolve(f"file:{path}", tmp_path, "account.api_key").reveal() == "secret"


# -- journals ----------------------------------------------------------------------------------------------------------


def written(path: Path, *bodies: object) -> None:
    file = JournalFile(path)
    file.write([(5, RowKind.RUN, "a", body) for body in bodies])
    file.close()


def forged(path: Path, text: str) -> None:
    """The last row holds another text, and the chain says that it is right."""
    with sqlite3.connect(path) as db:
        (seq,) = db.execute("SELECT seq FROM head").fetchone()
        before = db.execute("SELECT hash FROM journal WHERE seq = ?", (seq - 1,)).fetchone()[0]
        at_ns, kind, ref = db.execute("SELECT at_ns, kind, ref FROM journal WHERE seq = ?", (seq,)).fetchone()
        proof = link(before, seq, at_ns, kind, ref, text)
        db.execute("UPDATE journal SET body = ?, hash = ? WHERE seq = ?", (text, proof, seq))
        db.execute("UPDATE head SET hash = ?", (proof,))
    db.close()


@pytest.mark.parametrize("text", [NESTED.decode(), '{"a":' * 100_000, "{", "1e999999999999", '"\\ud800"'])
def test_a_row_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "j.db"
    written(path, {"account": "a", "epoch_ms": 1}, {"account": "b", "epoch_ms": 2})
    forged(path, text)
    with pytest.raises(JournalDamaged) as caught:
        fold(read_rows(path))
    one_line(str(caught.value), "row 2")


def test_a_row_without_end_is_named(tmp_path: Path) -> None:
    path = tmp_path / "j.db"
    written(path, {"account": "a"}, {"account": "x" * 40_000})
    assert len(list(read_rows(path))) == 2
    with pytest.raises(JournalDamaged) as caught:
        list(read_rows(path, largest_row=20_000))
    one_line(str(caught.value), str(path), "too big")


def test_a_body_nested_as_deep_as_rows_may_be_is_folded_or_named() -> None:
    for depth in (10, 100, 500, 900):
        body = msgspec.json.decode(b'{"account": ' + b"[" * depth + b"]" * depth + b', "epoch_ms": 1}')
        for kind in RowKind:
            try:
                fold([Row(1, 5, kind, "a", body)])
            except JournalDamaged as error:
                one_line(str(error)[:300], "row 1")


def test_a_halt_beside_damaged_files_still_halts(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    path = tmp_path / "halt.json"
    HaltFile(path).change(lambda halts: raised(halts, Halt(HaltLevel.FLATTEN, None, "odd", 5)), "r")
    damage(tmp_path / f"{path.name}.77")  # the answer of a run of an earlier build
    assert [halt.level for halt in HaltFile(path).read().halts] == [HaltLevel.FLATTEN]
    shutil.rmtree(tmp_path)
