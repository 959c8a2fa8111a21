"""The keys of the venue's accounts: made at start and never sent anywhere.

With a directory they are kept there (files of mode 0600) and used again; without one they live as long as the process.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, load_pem_private_key

from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.keys import AccountKeys
from coldframe.localfiles import read_file
from coldframe.wire.strict import read_as

_PRIVATE: Final = 0o600
_KEY_BYTES: Final = 32


class _Stored(msgspec.Struct):
    """The file that holds an account's keys, all but the private one, which has a file of its own."""

    hmac_api_key: str
    hmac_secret: str
    ed25519_api_key: str


def keys_for(accounts: Sequence[str], directory: str | None) -> tuple[AccountKeys, ...]:
    """The keys of the named accounts: those in `directory` where they exist, new ones otherwise.

    Raises `ConfigError` when the directory cannot be used or what is in it are not keys.
    """
    if directory is None:
        return tuple(_made(account) for account in accounts)
    folder = Path(directory)
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tuple(_kept(account, folder) for account in accounts)
    except (OSError, ValueError) as error:
        raise ConfigError(f"{folder}: venue.embedded.keys_dir: keys cannot be kept here: {error}") from None


def _made(account: str) -> AccountKeys:
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return AccountKeys(account, token(), token(), token(), pem, None)


def token() -> str:
    """A name that no other client can guess."""
    return secrets.token_hex(_KEY_BYTES)


def _kept(account: str, folder: Path) -> AccountKeys:
    stored_file, pem_file = folder / f"{account}.json", folder / f"{account}.ed25519.pem"
    if not (stored_file.exists() and pem_file.exists()):
        made = _made(account)
        _write(stored_file, msgspec.json.encode(_Stored(made.hmac_api_key, made.hmac_secret, made.ed25519_api_key)))
        _write(pem_file, made.ed25519_private_pem)
    pem = read_file(pem_file)
    try:
        stored = read_as(_Stored, read_file(stored_file))
    except DecodeError as error:
        raise ValueError(f"{stored_file.name} does not hold keys: {error}") from None
    try:
        private = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):  # a TypeError tells that it is encrypted
        raise ValueError(f"{pem_file.name} does not hold a private key that can be read") from None
    if not isinstance(private, Ed25519PrivateKey):
        raise ValueError(f"{pem_file.name} is not an Ed25519 key")
    return AccountKeys(account, stored.hmac_api_key, stored.hmac_secret, stored.ed25519_api_key, pem, str(pem_file))


def _write(path: Path, body: bytes) -> None:
    path.touch(mode=_PRIVATE)
    path.chmod(_PRIVATE)
    path.write_bytes(body)
