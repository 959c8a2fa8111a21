"""Notes from a person to a running bot: one small file each, and the bot's answer in another file beside it.

A note is written whole (under another name, then renamed) and read once. Notes that were written while no bot ran are thrown
away: what somebody wanted then may be wrong by now.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from coldframe.localfiles import read_file
from coldframe.trio_io.paths import private_folder

#: An answer may list thousands of orders.
_LARGEST: Final = 1 << 24
_ASKED: Final = ".ask"
_ANSWERED: Final = ".answer"


class OperatorCommands:
    """The folder of one bot's notes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def leave(self, name: str, body: Mapping[str, object]) -> None:
        """Leaves a note. Raises `OSError`."""
        private_folder(self._folder)
        _write(self._folder / f"{name}{_ASKED}", body)

    def answer_to(self, name: str) -> dict[str, Any] | None:
        """The answer to a note, taken away; None while there is none."""
        path = self._folder / f"{name}{_ANSWERED}"
        found = _read(path)
        if found is not None:
            path.unlink(missing_ok=True)
        return found

    def withdraw(self, name: str) -> None:
        """Takes a note back that nobody has answered."""
        (self._folder / f"{name}{_ASKED}").unlink(missing_ok=True)

    def take(self) -> list[tuple[str, dict[str, Any]]]:
        """The notes that wait, oldest first; they are gone from the folder."""
        taken = []
        for path in sorted(self._folder.glob(f"*{_ASKED}")):
            body = _read(path)
            with suppress(OSError):  # not a file at all, perhaps
                path.unlink(missing_ok=True)
            if body is not None:
                taken.append((path.stem, body))
        return taken

    def answer(self, name: str, body: Mapping[str, object]) -> None:
        """Answers a note; if that cannot be written, whoever waits will say that no answer came."""
        with suppress(OSError):
            _write(self._folder / f"{name}{_ANSWERED}", body)


def _write(path: Path, body: Mapping[str, object]) -> None:
    spare = path.with_suffix(".new")
    spare.touch(mode=0o600)
    spare.write_text(json.dumps(body))
    spare.replace(path)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        body = json.loads(read_file(path, _LARGEST))
    except (OSError, ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None
