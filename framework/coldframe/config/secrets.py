"""Secrets by reference: a configuration names where a secret is kept, never the secret itself.

`env:NAME` an environment variable, `file:PATH` a file that only its owner can read, `cred:NAME` a systemd credential,
`keyring:NAME` an entry of the system's keyring (with the package `keyring` installed). Relative paths count from the
configuration file.
"""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Final

from coldframe.errors import ConfigError
from coldframe.localfiles import read_file
from coldframe.os_specific import MODES_TELL
from coldframe.secret import Secret

#: No secret is larger; what a device gives has no end.
_LARGEST: Final = 64_000
REFERENCE: Final = re.compile(r"(env|file|cred|keyring):(.+)")
#: The service name under which keyring entries are looked up.
KEYRING_SERVICE: Final = "coldframe"


def resolve(reference: str, base: Path, what: str) -> Secret:
    """The secret that `reference` names. Raises `ConfigError` that names the place and never the content."""
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise ConfigError(f"{what}: write a reference such as env:NAME or file:PATH, never the secret itself")
    kind, name = match[1], match[2]
    match kind:
        case "env":
            value = os.environ.get(name)
            if not value:
                raise ConfigError(f"{what}: the environment variable {name} is not set")
        case "file":
            value = _read_private(_found(base, name, what), what)
        case "cred":
            folder = os.environ.get("CREDENTIALS_DIRECTORY")
            if folder is None:
                raise ConfigError(f"{what}: no systemd credentials here (CREDENTIALS_DIRECTORY is not set)")
            value = _read(Path(folder) / name, what)
        case _:
            value = _from_keyring(name, what)
    if not value.strip():
        raise ConfigError(f"{what}: {reference} is empty")
    return Secret(value.strip())


def _found(base: Path, name: str, what: str) -> Path:
    try:
        return base / Path(name).expanduser()
    except RuntimeError:
        raise ConfigError(f"{what}: {name} names a home folder that does not exist") from None


def _read_private(path: Path, what: str) -> str:
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):
        raise ConfigError(f"{what}: no file {path}") from None
    if MODES_TELL and mode & 0o077:
        raise ConfigError(f"{what}: {path} can be read by others; say chmod 600 {path}")
    return _read(path, what)


def _read(path: Path, what: str) -> str:
    try:
        return read_file(path, _LARGEST, regular=False).decode().replace("\r\n", "\n")
    except (OSError, ValueError) as error:
        why = f": {error.strerror}" if isinstance(error, OSError) and error.errno == errno.EFBIG else ""
        raise ConfigError(f"{what}: {path} cannot be read{why}") from None


def _from_keyring(name: str, what: str) -> str:
    try:
        import keyring
    except ImportError:
        raise ConfigError(f"{what}: keyring:{name} needs the package keyring (python -m pip install keyring)") from None
    value: str | None = keyring.get_password(KEYRING_SERVICE, name)
    if value is None:
        raise ConfigError(f"{what}: the keyring has no entry {name} of the service {KEYRING_SERVICE}")
    return value
