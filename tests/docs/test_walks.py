"""The walks of docs/flows.md, walked: each passes fewer than 12 files, and the document names just the ones that it passes."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.pump import Pump, Trader
from tests.walks.passed import Walks, files
from tests.walks.routes import FILE_TO_NURSERIES, INTENT_AND_BACK, MESSAGE_TO_FILL, Bot

ROOT = Path(__file__).parents[2]
FLOWS = ROOT / "docs" / "flows.md"
LIMIT = 12


def section(number: int) -> str:
    """One of the walks of the document."""
    parts = re.split(r"^## ", FLOWS.read_text(encoding="utf-8"), flags=re.MULTILINE)
    return next(part for part in parts if part.startswith(f"{number}. "))


def named(number: int) -> set[str]:
    """The modules that a walk of the document names."""
    return {module_of(name) for name in re.findall(r"`(coldframe(?:\.\w+)+)`", section(number))}


def module_of(name: str) -> str:
    """The module in which a name of the document is defined."""
    parts = name.split(".")
    while not (ROOT / "framework" / Path(*parts)).with_suffix(".py").exists():
        parts.pop()
    return ".".join(parts)


def agrees(number: int, passed: set[str]) -> None:
    assert len(passed) < LIMIT
    assert named(number) == passed


def test_a_message_to_a_fill_passes_few_files() -> None:
    walks = Walks(MESSAGE_TO_FILL)
    try:
        Pump([Trader(id="walker", make=Bot)]).until(lambda: len(walks.ways) == len(MESSAGE_TO_FILL), 30)
    finally:
        walks.end()
    agrees(1, files(walks.ways, MESSAGE_TO_FILL))


@pytest.mark.scene
def test_a_file_and_an_intent_pass_few_files() -> None:
    """A bot, run by the command line in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.walks", str(ROOT / "tests" / "walks" / "walk.toml")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert told["exit_code"] == 0, done.stderr[-2_000:]
    agrees(2, files(told["ways"], FILE_TO_NURSERIES))
    agrees(3, files(told["ways"], INTENT_AND_BACK))


def test_every_walk_of_the_text_names_few_files() -> None:
    numbers = [int(found) for found in re.findall(r"^## (\d)\. ", FLOWS.read_text(encoding="utf-8"), flags=re.MULTILINE)]
    assert {1, 2, 3} <= set(numbers)
    assert all(len(named(number)) < LIMIT for number in numbers)
