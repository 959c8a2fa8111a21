"""Where things are kept on this machine that outlive a run: one folder of the user's, which other users cannot read."""

from __future__ import annotations

import os
from pathlib import Path


def state_home() -> Path:
    """The folder for journals, locks and keys (`$XDG_STATE_HOME/coldframe`); it need not exist yet."""
    home = os.environ.get("XDG_STATE_HOME") or (Path.home() / ".local" / "state")
    return Path(home) / "coldframe"


def private_folder(path: Path) -> None:
    """Makes a folder, and those above it that are missing, for the user alone. Raises `OSError`."""
    missing = []
    while not path.exists():
        missing.append(path)
        if path.parent == path:
            break
        path = path.parent
    for folder in reversed(missing):
        folder.mkdir(mode=0o700, exist_ok=True)
