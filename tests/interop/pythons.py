"""Other Pythons on this machine, and environments in which one of them has a package."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

INSTALL_S = 240


def interpreter(versions: tuple[str, ...]) -> str | None:
    """A Python of one of these versions that really runs: on the path, or installed beside this one."""
    for version in versions:
        beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/python3"))
        for candidate in (shutil.which(f"python{version}"), *map(str, beside)):
            if candidate is not None and _says(candidate) == version:
                return candidate
    return None


def _says(candidate: str) -> str:
    command = [candidate, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    return subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, env=bare()).stdout.strip()


def bare(**more: str) -> dict[str, str]:
    """This process's environment without what would make another Python import our packages."""
    return {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")} | more


def install(python: str, package: str, folder: Path) -> str:
    """Makes an environment with a package in it. Gives what went wrong, or nothing."""
    commands = (
        [python, "-m", "venv", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--no-compile", package],
    )
    for command in commands:
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=INSTALL_S, check=False, env=bare())
        except subprocess.TimeoutExpired:
            return f"not installed within {INSTALL_S} s"
        if done.returncode:
            return done.stderr.strip()[-300:] or "pip failed without a word"
    return ""
