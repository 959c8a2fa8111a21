"""Secrets by reference: found where they are kept, private or refused, and never part of any sentence."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import ModuleType

import pytest

from coldframe.config.secrets import REFERENCE, resolve
from coldframe.errors import ConfigError

CANARY = "CANARY-vX9"


def refusal(reference: str, base: Path) -> str:
    with pytest.raises(ConfigError) as refused:
        resolve(reference, base, "orders.api_key")
    (said,) = refused.value.findings
    assert CANARY not in said
    assert len(said.splitlines()) == 1
    assert said.startswith("orders.api_key: ")
    return said.removeprefix("orders.api_key: ")


def kept(path: Path, mode: int = 0o600, text: str | bytes = f"{CANARY}\n") -> Path:
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    path.chmod(mode)
    return path


# -- the form ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reference", ["", CANARY, "env:", f"environ:{CANARY}", f"ENV:{CANARY}", f" env:{CANARY}", f"env:A\n{CANARY}"]
)
def test_what_is_no_reference(tmp_path: Path, reference: str) -> None:
    assert REFERENCE.fullmatch(reference) is None
    assert refusal(reference, tmp_path) == "write a reference such as env:NAME or file:PATH, never the secret itself"


# -- the environment --------------------------------------------------------------------------------------------------


def test_a_variable_of_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDFRAME_TEST", f"  {CANARY}\n")
    secret = resolve("env:COLDFRAME_TEST", tmp_path, "x")
    assert secret.reveal() == CANARY
    assert CANARY not in f"{secret} {secret!r}"


def test_a_variable_that_is_not_set_or_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLDFRAME_TEST", raising=False)
    assert refusal("env:COLDFRAME_TEST", tmp_path) == "the environment variable COLDFRAME_TEST is not set"
    monkeypatch.setenv("COLDFRAME_TEST", "")
    assert refusal("env:COLDFRAME_TEST", tmp_path) == "the environment variable COLDFRAME_TEST is not set"
    monkeypatch.setenv("COLDFRAME_TEST", " \n")
    assert refusal("env:COLDFRAME_TEST", tmp_path) == "env:COLDFRAME_TEST is empty"


# -- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o700])
def test_a_file_that_only_its_owner_can_read(tmp_path: Path, mode: int) -> None:
    kept(tmp_path / "key.pem", mode)
    assert resolve("file:key.pem", tmp_path, "x").reveal() == CANARY
    assert resolve(f"file:{tmp_path}/key.pem", Path("elsewhere"), "x").reveal() == CANARY


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o610, 0o601, 0o644, 0o777])
def test_g7_a_file_that_others_can_reach(tmp_path: Path, mode: int) -> None:
    path = kept(tmp_path / "key.pem", mode)
    assert refusal("file:key.pem", tmp_path) == f"{path} can be read by others; say chmod 600 {path}"


def test_the_mode_of_what_a_link_leads_to_counts(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(kept(tmp_path / "key.pem", 0o644))
    assert "can be read by others" in refusal("file:link", tmp_path)
    (tmp_path / "key.pem").chmod(0o600)
    assert resolve("file:link", tmp_path, "x").reveal() == CANARY


@pytest.mark.parametrize("name", ["gone.pem", "a\0b", "x" * 300, "no/such/folder"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    assert refusal(f"file:{name}", tmp_path) == f"no file {tmp_path / name}"


def test_files_that_hold_no_text(tmp_path: Path) -> None:
    kept(tmp_path / "binary", text=b"\xff\xfe" + CANARY.encode())
    assert refusal("file:binary", tmp_path) == f"{tmp_path / 'binary'} cannot be read"
    kept(tmp_path / "empty", text=" \n")
    assert refusal("file:empty", tmp_path) == "file:empty is empty"
    (tmp_path / "folder").mkdir(mode=0o700)
    assert refusal("file:folder", tmp_path) == f"{tmp_path / 'folder'} cannot be read"


def test_a_file_below_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    kept(tmp_path / "key.pem")
    assert resolve("file:~/key.pem", Path("elsewhere"), "x").reveal() == CANARY
    assert refusal("file:~nosuchuser/key.pem", tmp_path) == "~nosuchuser/key.pem names a home folder that does not exist"


# -- systemd and the keyring ------------------------------------------------------------------------------------------


def test_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert refusal("cred:hmac", tmp_path) == "no systemd credentials here (CREDENTIALS_DIRECTORY is not set)"
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    assert refusal("cred:hmac", tmp_path) == f"{tmp_path / 'hmac'} cannot be read"
    # systemd keeps the folder private; the mode of a file in it says nothing.
    kept(tmp_path / "hmac", 0o444)
    assert resolve("cred:hmac", tmp_path, "x").reveal() == CANARY


def test_an_entry_of_the_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ring = ModuleType("keyring")
    entries = {("coldframe", "main"): CANARY}
    ring.get_password = lambda service, name: entries.get((service, name))  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "keyring", ring)
    assert resolve("keyring:main", tmp_path, "x").reveal() == CANARY
    assert refusal("keyring:other", tmp_path) == "the keyring has no entry other of the service coldframe"


def test_without_the_package_there_is_no_keyring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)
    assert refusal("keyring:main", tmp_path) == "keyring:main needs the package keyring (python -m pip install keyring)"


def test_nothing_is_left_in_the_environment(tmp_path: Path) -> None:
    kept(tmp_path / "key.pem")
    before = dict(os.environ)
    resolve("file:key.pem", tmp_path, "x")
    assert dict(os.environ) == before
