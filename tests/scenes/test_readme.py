"""The README keeps its word: every command it prints is run here, and its bot and its strategy work as they stand."""

from __future__ import annotations

import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path

import pytest

from tests.commands.here import coldframe as here
from tests.scenes.support import COLDFRAME, CONFIGS, PATIENCE_S, ROOT, coldframe, environment, venue
from tests.simulation.pump import Pump

README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def commands() -> list[str]:
    return [line for block in blocks("sh") for line in block.splitlines() if line.strip()]


#: The two lines of the set-up: installing is done before any test runs, the rest is run below.
SETUP = [
    "python -m pip install -e . && coldframe run configs/quickstart.toml",
    "python -m pip install -e '.[test]' && python -m pytest",
]
#: Needs packages that these tests do not: `.ci/run` runs it.
INTEROP = "python -m pip install -e '.[test,interop]' && python -m pytest -n 0 -m interop tests/interop"
#: What a command of the README that does not end soon by itself has to say before it is interrupted here.
UNTIL_INTERRUPTED = {
    "coldframe run configs/quickstart.toml": "fill: ",
    "coldframe run configs/hostile.toml": "fill: ",
    "coldframe run configs/recorded.toml": "fill: ",
    "coldframe venue configs/quickstart.toml --port 9000 --json": "{",
}


#: What changes a venue that runs: a venue is started beside these.
NEEDS_A_VENUE = "coldframe venue-change "


def commands_of(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines() if line.strip()]


#: Other documents that print commands, which are run in their order.
PAGES = [path for path in sorted((ROOT / "docs").glob("*.md")) if commands_of(path)]


@pytest.fixture
def workplace(tmp_path: Path, home: dict[str, str]) -> tuple[Path, Mapping[str, str]]:
    """A folder that looks like a clone, so that files a command writes do not land in the real one."""
    for name in ("configs", "plugins"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path, home


def test_the_set_up_commands_stand_near_the_top() -> None:
    assert commands()[:2] == SETUP
    assert README.index(SETUP[1]) < 2_000


def block_commands() -> list[list[str]]:
    """The commands of each block, which are run one after another; the set-up's second half is the first."""
    found = [[line for line in block.splitlines() if line.strip()] for block in blocks("sh")]
    assert [lines[0] for lines in found[:2]] == SETUP
    return [[SETUP[0].split(" && ")[1]], *(lines for lines in found[2:] if lines != [INTEROP])]


@pytest.mark.parametrize("lines", block_commands(), ids=lambda lines: lines[0])
def test_every_command_runs(lines: list[str], workplace: tuple[Path, Mapping[str, str]]) -> None:
    folder, home = workplace
    beside = any(line.startswith(NEEDS_A_VENUE) for line in lines)
    with venue(CONFIGS / "quickstart.toml", env=home) if beside else nullcontext():
        for line in lines:
            run_line(line, folder, home)


def run_line(line: str, folder: Path, home: Mapping[str, str]) -> None:
    words = words_of(line)
    assert words[0] == "coldframe", f"not run: {line}"
    if line in UNTIL_INTERRUPTED:
        interrupt_when_said([*COLDFRAME, *words[1:]], UNTIL_INTERRUPTED[line], folder, home)
        return
    done = here(*words[1:], env=home, cwd=folder)
    assert done.returncode == 0, f"{line}: {done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_of_the_documents_runs(page: Path, workplace: tuple[Path, Mapping[str, str]]) -> None:
    folder, home = workplace
    for line in commands_of(page):
        run_line(line, folder, home)


def words_of(line: str) -> list[str]:
    """A command, in words; it runs for a shorter time than where it is printed."""
    return shlex.split(re.sub(r"--for \d+s", "--for 4s", line))


def interrupt_when_said(command: list[str], text: str, folder: Path, home: Mapping[str, str]) -> None:
    """Runs a command until it has said something, then presses Ctrl-C."""
    process = subprocess.Popen(
        command, cwd=folder, env=environment(home), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if text in line:
                break
        else:
            raise AssertionError(f"{command} ended without saying {text!r}")
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.wait()


def test_the_bot_and_the_strategy_of_the_readme_work(tmp_path: Path) -> None:
    (config,) = blocks("toml")
    (strategy,) = blocks("python")
    assert len(strategy.strip().splitlines()) <= 31
    (tmp_path / "bot.toml").write_text(config)
    (tmp_path / "scalp.py").write_text(strategy)
    pump = Pump.of_config(tmp_path / "bot.toml")
    pump.until(lambda: any(method == "order.place" for method, _ in pump.venue.carried_out))
    runtime = pump.engine.runtimes.get("scalp")
    assert runtime.orders > 0
    assert not runtime.muted
    assert not pump.told("rejected")


def test_ci_runs_what_is_not_run_here() -> None:
    script = (ROOT / ".ci/run").read_text()
    assert SETUP[1] in script
    assert INTEROP in script


def test_what_it_links_to_is_there() -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_version_is_said_once() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert coldframe("--version").stdout.strip() == f"coldframe {project['version']}"


def test_help_is_quick_to_come() -> None:
    """What `--help` imports is what it costs: nothing of the Trio tasks, the venue or the terminal."""
    code = "import sys; sys.argv = ['coldframe', '--help']; from coldframe.cli import main\ntry: main()\nexcept SystemExit: pass\n"
    heavy = ("trio", "httpx2", "rich", "cattrs", "coldframe.exchange_server", "coldframe.runtime")
    code += f"print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=dict(os.environ), check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_configs_named_in_the_readme_exist() -> None:
    for name in set(re.findall(r"configs/([\w.]+\.toml)", README)):
        assert (CONFIGS / name).exists()
