"""What only some systems have stands in one module, and a bot runs without it: each such name is taken away from the package."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import pytest

from tests.floor0.bare_system import ATTRIBUTES, MODULES
from tests.sources import nodes_of
from tests.test_tidy import ROOT, SOURCES, name
from tests.waiting import stand_until

HERE: Final = ROOT / "framework/coldframe/os_specific.py"
NAMES: Final = frozenset[str]().union(*ATTRIBUTES.values())


def named(nodes: Iterable[ast.AST]) -> set[str]:
    """The names of `ATTRIBUTES` and `MODULES` that code uses, imports or asks for by getattr and hasattr."""
    found: set[str] = set()
    for node in nodes:
        match node:
            case ast.Attribute(value=ast.Name(id=module), attr=attribute) if attribute in ATTRIBUTES.get(module, ()):
                found.add(f"{module}.{attribute}")
            case ast.ImportFrom(module=str(module), names=imported):
                found |= {module} & MODULES
                found |= {f"{module}.{alias.name}" for alias in imported if alias.name in ATTRIBUTES.get(module, ())}
            case ast.Import(names=imported):
                found |= {alias.name for alias in imported} & MODULES
            case ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str(text)), *_]) if text in NAMES:
                found.add(text)
    return found


def test_one_module_knows_what_only_some_systems_have() -> None:
    assert {name(path): found for path in SOURCES if path != HERE and (found := named(nodes_of(path)))} == {}


def test_the_search_finds_what_it_is_for() -> None:
    assert {"signal.pthread_sigmask", "signal.sigpending", "signal.sigwait", "os.geteuid", "AF_UNIX"} <= named(nodes_of(HERE))
    lines = "import fcntl\nfrom os import fork\nimport os\nos.getuid()\ngetattr(os, 'O_NOFOLLOW')\n"
    assert named(ast.walk(ast.parse(lines))) == {"fcntl", "os.fork", "os.getuid", "O_NOFOLLOW"}


@pytest.mark.scene
def test_paper_trading_runs_on_a_system_that_has_none_of_it(tmp_path: Path) -> None:
    """The whole package is imported, quickstart trades and is halted, with every such name missing for all code of the project."""
    command = [sys.executable, "-m", "tests.floor0.bare_system"]
    config, log = str(ROOT / "configs/quickstart.toml"), tmp_path / "log"
    env = {"XDG_STATE_HOME": str(tmp_path), "HOME": str(tmp_path), "PYTHONPATH": ":".join(sys.path)}
    with log.open("w") as err:
        run = [*command, "run", config, "--for", "60s", "--json"]
        bot = subprocess.Popen(run, stdout=subprocess.PIPE, stderr=err, text=True, cwd=ROOT, env=env)
    with bot:
        try:
            stand_until(lambda: "fill: " in log.read_text() or bot.poll() is not None)
            assert "fill: " in log.read_text()
            assert [path.suffix for path in tmp_path.rglob("runs/*/*") if path.suffix != ".lock"] == [".port"]
            asked = [*command, "halt", config]
            halt = subprocess.run(asked, capture_output=True, text=True, cwd=ROOT, env=env, timeout=60, check=False)
            assert (halt.returncode, halt.stderr) == (0, "")
            assert f"bot {bot.pid}: no orders of the bot are open at the venue" in halt.stdout
            bot.terminate()
            said, _ = bot.communicate(timeout=60)
        finally:
            bot.kill()
    assert "Traceback" not in log.read_text()
    summary = json.loads(said)
    assert summary["ended"] == "signal"
    assert summary["orders"]["acked"] > 0


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("import os; os.getuid()", "AttributeError: module 'os' has no attribute 'getuid' on this system"),
        ("from signal import SIGUSR1", "ImportError: cannot import name 'SIGUSR1' from 'signal'"),
        ("import fcntl", "ModuleNotFoundError: No module named 'fcntl' on this system"),
    ],
)
def test_a_name_that_was_taken_away_is_missing(line: str, said: str) -> None:
    """So that the test above would fail if the package used such a name; code of others keeps it."""
    took = f"from tests.floor0.bare_system import take_away; take_away(); {line}"
    own = f"exec(compile({line!r}, 'own', 'exec'), {{'__name__': 'coldframe.own'}})"
    for code, wanted in ((took, ""), (f"{took}; {own}", said)):
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, cwd=ROOT, check=False)
        assert wanted in done.stderr
        assert bool(wanted) is bool(done.returncode)
