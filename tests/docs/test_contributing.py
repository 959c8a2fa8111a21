"""CONTRIBUTING.md names what is there: files, folders, commands."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
PACKAGE = ROOT / "framework/coldframe"
#: Names in backquotes that look like a path of ours.
PATHS = sorted(set(re.findall(r"`((?:[\w.-]+/)+[\w.-]*|[\w-]+\.(?:py|md))`", TEXT)))
COMMANDS = sorted(set(re.findall(r"`python (?:-m )?([\w./]+)", TEXT)) - {"pytest", "venv", "pip"})


def found(path: str) -> bool:
    return any((base / path).exists() for base in (ROOT, PACKAGE))


def test_it_names_paths_and_commands() -> None:
    assert len(PATHS) > 20
    assert COMMANDS
    assert not found("wire/nowhere.py")


#: Stands for a name, and may be absent beside a clone.
NOT_OURS = {"docs/decisions/NNN-title.md", "../shared/data"}


@pytest.mark.parametrize("path", [path for path in PATHS if path not in NOT_OURS])
def test_every_path_is_there(path: str) -> None:
    assert found(path)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_there(command: str) -> None:
    assert found(command) or any((ROOT / command.replace(".", "/") / name).exists() for name in ("__main__.py", "__init__.py"))


def test_its_extras_are_those_of_the_project() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (named,) = re.findall(r"-e '\.\[([\w,]+)\]'", TEXT)
    assert set(named.split(",")) <= set(extras)


def test_every_name_in_code_is_there() -> None:
    for name in ("StreamKind", "HOOK_OF", "VerdictCode", "VenueFaults", "EngineState"):
        assert name in TEXT
        assert any(re.search(rf"\b{name}\b", path.read_text(encoding="utf-8")) for path in PACKAGE.rglob("*.py"))
