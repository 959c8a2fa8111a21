"""The files that hold the keys of the venue's accounts, and what damaged ones are told."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, PrivateFormat

from coldframe.errors import ConfigError
from coldframe.exchange_server.key_files import keys_for


def test_keys_are_kept_in_private_files_and_used_again(tmp_path: Path) -> None:
    first = keys_for(["main", "other"], str(tmp_path / "keys"))
    again = keys_for(["main", "other"], str(tmp_path / "keys"))
    assert first == again
    assert first[0].hmac_secret != first[1].hmac_secret
    files = list((tmp_path / "keys").iterdir())
    assert len(files) == 4
    assert {stat.S_IMODE(file.stat().st_mode) for file in files} == {0o600}
    assert first[0].ed25519_private_key_file is not None
    assert Path(first[0].ed25519_private_key_file).read_bytes() == first[0].ed25519_private_pem


def test_without_a_directory_keys_are_new_every_time() -> None:
    keys, others = (keys_for(["main"], None)[0] for _ in range(2))
    assert others.hmac_secret != keys.hmac_secret
    assert keys.ed25519_private_key_file is None


_DEEP = b'{"zz":' + b"[" * 20_000 + b"]" * 20_000 + b"}"
_UNKNOWN_KIND = (
    b"-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYD32VwBCI8IHDcGA4Srp7TuEk+WPO2Zf0cPN1gfmxM7Va/T7LoHZTV\n-----END PRIVATE KEY-----\n"
)
_ENCRYPTED = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word"))


@pytest.mark.parametrize(
    ("name", "body"),
    [
        *(("main.json", body) for body in (b"", b"{}", b"\xff", _DEEP, b'{"hmac_api_key":7}')),
        *(("main.ed25519.pem", body) for body in (b"", b"nonsense", _UNKNOWN_KIND, _ENCRYPTED)),
    ],
    ids=["empty", "no keys", "no text", "deep", "a number", "empty key", "no key", "unknown kind", "encrypted"],
)
def test_damaged_keys_are_told_in_one_line(tmp_path: Path, name: str, body: bytes) -> None:
    keys_for(["main"], str(tmp_path))
    (tmp_path / name).write_bytes(body)
    with pytest.raises(ConfigError, match=r"venue\.embedded\.keys_dir: keys cannot be kept here"):
        keys_for(["main"], str(tmp_path))
