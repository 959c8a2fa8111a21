"""Canary secrets: what a scene's venue has for keys must stand in nothing that a bot prints or leaves behind.

Every output of a process and every file of a scene is searched for any twelve characters in a row of any key; only the keys' own
files and what the venue prints about its own keys are left out, because that is what they are for.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import attrs

#: So many characters in a row of a secret are a leak; fewer may be chance.
SLICE = 12
_KEY_FOLDERS = ("venue-keys", "keys")


@attrs.define
class Canaries:
    """The secrets and the outputs of one scene."""

    secrets: set[str] = attrs.field(factory=set)
    outputs: list[tuple[str, str]] = attrs.field(factory=list)

    def learn(self, said: dict[str, Any]) -> None:
        """The keys that a venue has said it has."""
        keys = said["keys"]
        self.secrets |= {keys["hmac"]["api_key"], keys["hmac"]["secret"], keys["ed25519"]["api_key"]}
        pem = Path(keys["ed25519"]["private_key_file"]).read_text()
        self.secrets |= {line for line in pem.splitlines() if line and not line.startswith("-----")}

    def heard(self, label: str, text: str | None) -> None:
        self.outputs.append((label, text or ""))

    def leaks(self, folder: Path) -> Iterator[str]:
        """Where a secret, or a signature, stands that must not."""
        for label, text in [*self.outputs, *_files(folder)]:
            for secret in self.secrets:
                if any(part in text for part in _slices(secret)):
                    yield f"{label}: a secret of the venue"
            if "signature=" in text or '"signature"' in text:
                yield f"{label}: a signature"


def _slices(secret: str) -> Iterable[str]:
    return (secret[at : at + SLICE] for at in range(len(secret) - SLICE + 1))


def _files(folder: Path) -> Iterator[tuple[str, str]]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(part in _KEY_FOLDERS for part in path.parts) and path.suffix != ".pem":
            body = path.read_bytes()
            if path.suffix == ".gz":
                body = _unpacked(body)
            yield str(path), body.decode("utf-8", "replace")


def _unpacked(body: bytes) -> bytes:
    """As much of a gzip file as can be read: a bot that was killed leaves it without its end."""
    try:
        return gzip.decompress(body)
    except (OSError, EOFError, zlib.error):
        return zlib.decompressobj(31).decompress(body)


#: The scene that is being played.
SCENE = Canaries()
