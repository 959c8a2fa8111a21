"""The verbs of CONTRIBUTING.md, and that every command it prints is run: by `.ci/run`, by another test, or here."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
CI = (ROOT / ".ci/run").read_text(encoding="utf-8")
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
TASKS: dict[str, Any] = PROJECT["tool"]["poe"]["tasks"]
HOOKS = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")

#: Commands that CONTRIBUTING.md prints and that something else runs: in which file, and how it stands there.
ELSEWHERE = {
    "python -m venv .venv && . .venv/bin/activate": (".ci/run", "python3 -m venv"),
    "python -m pip install -e '.[test,check,bench]'": (".ci/run", "python -m pip install -e '.[test,interop,check,bench]'"),
    "poe lint": (".ci/run", "poe lint"),
    "poe types": (".ci/run", "poe types"),
    "poe bench": ("tests/docs/test_bench.py", "COMMANDS"),
    "python -m tests.simulation.golden": ("tests/simulation/golden/test_golden.py", '"-m", "tests.simulation.golden"'),
    "python -m tests.simulation.cost": ("tests/simulation/cost/test_cost.py", '"-m", "tests.simulation.cost"'),
    ".ci/run": ("tests/test_suite.py", 'ROOT / ".ci/run"'),
}
#: Those that are run here: the ones that end in pytest, and the others.
COLLECTING = ("poe test", "poe fast", "poe fast --lf")
DOCS, INSTALL = "poe docs", "pre-commit install"
#: The two tools of the extra `check` that the tests do not need themselves; CI has them.
needs_poe = pytest.mark.skipif(not importlib.util.find_spec("poethepoet"), reason="the extra `check` is not installed")
needs_pre_commit = pytest.mark.skipif(not importlib.util.find_spec("pre_commit"), reason="the extra `check` is not installed")


def printed() -> set[str]:
    """The commands in blocks and in backquotes."""
    blocks = re.findall(r"```console\n(.*?)```", TEXT, re.DOTALL)
    lines = {line for block in blocks for line in block.splitlines() if line.strip()}
    return lines | set(re.findall(r"`((?:poe|python|pre-commit|ruff|mypy|coldframe|git) [^`]+|lint-imports|mypy|\.ci/run)`", TEXT))


def commands_of(verb: str) -> list[str]:
    task = TASKS[verb]
    return [task["cmd"]] if "cmd" in task else [part["cmd"] for part in task["sequence"]]


def run(command: str, *more: str, folder: Path = ROOT) -> str:
    """What a command prints that is a Python module of that name."""
    tool, *words = command.split()
    module = {"poe": "poethepoet", "pre-commit": "pre_commit"}[tool]
    done = subprocess.run(
        [sys.executable, "-m", module, *words, *more],
        env={
            **os.environ,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "GIT_CONFIG_GLOBAL": os.devnull,
        },
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_each_printed_command_is_run_somewhere() -> None:
    assert printed() == {*ELSEWHERE, *COLLECTING, DOCS, INSTALL}
    for path, words in ELSEWHERE.values():
        assert words in (ROOT / path).read_text(encoding="utf-8"), path


def test_there_are_the_six_verbs_and_all_are_told() -> None:
    assert list(TASKS) == ["test", "fast", "lint", "types", "docs", "bench"]
    assert all(f"`poe {verb}" in TEXT and TASKS[verb]["help"] for verb in TASKS)


def test_verbs_do_what_ci_and_readme_do() -> None:
    (test,) = commands_of("test")
    (fast,) = commands_of("fast")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert f"&& {test}\n" in readme
    assert f"`{fast}`".replace("'", '"') in readme
    assert f"&& {test} --durations=20 ||" in CI
    assert commands_of("lint") == ["ruff check .", "ruff format --check .", "lint-imports"]
    assert commands_of("types") == ["mypy"]


def test_the_verb_bench_runs_every_benchmark() -> None:
    """Each of them is run with little to do by `test_bench.py`."""
    run = [path.stem for path in (ROOT / "bench").glob("*.py") if "__main__" in path.read_text(encoding="utf-8")]
    assert sorted(commands_of("bench")) == sorted(f"python -m bench.{name}" for name in run)


def test_no_verb_needs_a_dependency_of_the_bot() -> None:
    needed = " ".join(PROJECT["project"]["dependencies"])
    assert not any(tool in needed for tool in ("poethepoet", "pre-commit", "ruff", "mypy"))


def test_hooks_before_a_commit_are_verbs() -> None:
    """None is fetched from anywhere."""
    assert re.findall(r"repo: (.+)", HOOKS) == ["local"]
    assert re.findall(r"entry: (.+)", HOOKS) == ["poe lint", "poe types", "poe docs"]
    assert set(re.findall(r"language: (.+)", HOOKS)) == {"system"}
    assert "://" not in HOOKS


@needs_poe
@pytest.mark.parametrize("command", COLLECTING)
def test_a_verb_hands_its_words_on_to_pytest(tmp_path: Path, command: str) -> None:
    files = ("tests/scenes/test_readme.py", "tests/test_face.py")
    told = run(command, "-n", "0", "--collect-only", "-o", f"cache_dir={tmp_path}", *files)
    assert "tests/test_face.py::" in told
    assert ("tests/scenes/test_readme.py::" in told) is (command == "poe test")


@needs_poe
def test_the_verb_docs_mends_what_is_stale(tmp_path: Path) -> None:
    for name in ("docs", "tests", "framework", "plugins", "pyproject.toml", "CONTRIBUTING.md"):
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, tmp_path / name)  # type: ignore[operator]
    stale = {name: (ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("wire.md", "faults.md", "architecture-core.svg")}
    for name, text in stale.items():
        lines = [line for line in text.splitlines() if not line.startswith(("| `order.", "| N1 ", "<polyline"))]
        assert len(lines) < len(text.splitlines())
        (tmp_path / "docs" / name).write_text("\n".join(lines) + "\n", encoding="utf-8")
    run(DOCS, folder=tmp_path)
    assert {name: (tmp_path / "docs" / name).read_text(encoding="utf-8") for name in stale} == stale


@needs_pre_commit
def test_pre_commit_takes_the_hooks(tmp_path: Path) -> None:
    (tmp_path / ".pre-commit-config.yaml").write_text(HOOKS, encoding="utf-8")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True, timeout=60)
    run("pre-commit validate-config", folder=tmp_path)
    run(INSTALL, folder=tmp_path)
    assert (tmp_path / ".git/hooks/pre-commit").exists()
