"""The environments of the peers: made by one command, found again by the benches, and never needed by anything else."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
import venv
from collections.abc import Mapping
from pathlib import Path
from typing import Final

PINS: Final = Path(__file__).with_name("pins.toml")
#: Where the environments are, unless this variable of the environment names another folder.
VARIABLE: Final = "COLDFRAME_PEERS"
_DEFAULT: Final = Path.home() / ".cache" / "coldframe-peers"


def folder() -> Path:
    return Path(os.environ.get(VARIABLE, _DEFAULT))


def pins() -> Mapping[str, list[str]]:
    """The packages of each peer, with their versions."""
    return {peer: table["packages"] for peer, table in tomllib.loads(PINS.read_text(encoding="utf-8")).items()}


def python_of(peer: str) -> Path | None:
    """The interpreter of a peer's environment; None while it is not installed as pinned."""
    home = folder() / peer
    written = home / "installed.txt"
    if not written.is_file() or written.read_text(encoding="utf-8").split() != pins()[peer]:
        return None
    return _python(home)


def install(peer: str) -> None:
    """Makes a peer's environment anew. Raises CalledProcessError when a package cannot be had."""
    home = folder() / peer
    venv.create(home, with_pip=True, clear=True)
    subprocess.run([_python(home), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *pins()[peer]], check=True)
    (home / "installed.txt").write_text("\n".join(pins()[peer]) + "\n", encoding="utf-8")


def _python(home: Path) -> Path:
    return home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
