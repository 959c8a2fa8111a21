"""`coldframe venue`, as it is shipped, in a process of its own; and the runtimes of clients in other languages, where they are."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from coldframe.exchange_server import AccountKeys, Address
from tests.interop.pythons import install, interpreter

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = Path(__file__).parent / "js"
#: What starting, ending and installing may take, in seconds.
START_S, INSTALL_S = 30, 120
#: Pinned versions of NautilusTrader by the Pythons that they run on.
NAUTILUS = {"1.221.0": ("3.11",), "1.231.0": ("3.14", "3.13", "3.12")}
#: The environment of each version whose Python is there, and what will have gone wrong with it.
Installing = Mapping[str, tuple[Path, Future[str]]]


def pytest_ignore_collect(config: pytest.Config) -> bool | None:
    """Only `-m interop` collects these: importing the clients of others takes seconds."""
    return None if "interop" in config.option.markexpr else True


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Where the venue listens while the tests run: nothing about it is set but where its keys are kept."""
    folder = tmp_path_factory.mktemp("venue")
    (folder / "bot.toml").write_text('config_version = 1\nname = "interop"\n\n[venue]\nenvironment = "embedded"\n')
    command = [sys.executable, "-m", "coldframe.cli", "venue", "bot.toml", "--keys", "keys", "--json"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=_environment())
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert line, (folder / "log").read_text()
        yield _address(json.loads(line), folder)
    finally:
        process.terminate()
        process.wait(START_S)
        process.stdout.close()


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "framework"), str(ROOT / "plugins")])}


def _address(said: dict[str, object], folder: Path) -> Address:
    accounts = []
    for name, keys in said["accounts"].items():  # type: ignore[attr-defined]
        file = str(folder / keys["ed25519"]["private_key_file"])
        accounts.append(
            AccountKeys(
                account=name,
                hmac_api_key=keys["hmac"]["api_key"],
                hmac_secret=keys["hmac"]["secret"],
                ed25519_api_key=keys["ed25519"]["api_key"],
                ed25519_private_pem=Path(file).read_bytes(),
                ed25519_private_key_file=file,
            )
        )
    rest = str(said["rest"])
    return Address(rest, str(said["streams"]), str(said["api"]), tuple(accounts), int(rest.rpartition(":")[2]))


@pytest.fixture(scope="session", autouse=True)
def _javascript(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Future[str]]]:
    """A folder in which the pinned JavaScript clients are installed while the tests of other clients run."""
    wanted = any(item.path.name == "test_javascript.py" for item in request.session.items)
    folder = tmp_path_factory.mktemp("javascript")
    with ThreadPoolExecutor() as pool:
        yield folder, pool.submit(_install_javascript, folder) if wanted else Future()


def _install_javascript(folder: Path) -> str:
    """Installs them. Gives what went wrong, or nothing."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            return f"no {program} on this machine: the JavaScript clients cannot run"
    shutil.copytree(SCRIPTS, folder, dirs_exist_ok=True)
    command = ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=INSTALL_S, check=False)
    except subprocess.TimeoutExpired:
        return f"npm did not install the JavaScript clients within {INSTALL_S} s"
    return f"npm could not install the JavaScript clients: {done.stderr.strip()[-300:]}" if done.returncode else ""


@pytest.fixture(scope="session")
def node_modules(_javascript: tuple[Path, Future[str]]) -> Path:
    """A folder with the pinned JavaScript clients installed in it."""
    folder, installed = _javascript
    if installed.result():
        pytest.skip(installed.result())
    return folder


@pytest.fixture(scope="session", autouse=True)
def nautilus(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installing]:
    """Environments with NautilusTrader, made while the other clients' tests run, and gone afterwards: they are large."""
    wanted = any(item.path.name == "test_trader_node.py" for item in request.session.items)
    folder = tmp_path_factory.mktemp("nautilus")
    found = {version: interpreter(pythons) for version, pythons in NAUTILUS.items()} if wanted else {}
    with ThreadPoolExecutor() as pool:
        yield {
            version: (folder / version, pool.submit(install, python, f"nautilus_trader=={version}", folder / version))
            for version, python in found.items()
            if python is not None
        }
    shutil.rmtree(folder, ignore_errors=True)
