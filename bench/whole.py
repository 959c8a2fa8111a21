"""Whole clients as processes on one core, beside the feed on the other: the bot by its verb `run`, peers as scripts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import MappingProxyType
from typing import Final

import attrs

from bench.feed import PATIENCE_S, Answers
from bench.peers.environments import python_of
from bench.traffic import CHANNELS
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.runtime.pump import Pump, market_of

ROOT: Final = Path(__file__).resolve().parents[1]
PEERS: Final = ROOT / "bench" / "peers"
#: Every client, with the environment that it needs beyond this one (empty: this one).
CLIENTS: Final = {
    "coldframe": "",
    "trio-websocket + json + cattrs": "",
    "bare Trio reader": "",
    "aiohttp + json": "aiohttp",
    "picows + msgspec": "picows",
    "python-binance": "python-binance",
    "ccxt.pro": "ccxt",
    "nautilus_trader": "nautilus",
}
SCRIPTS: Final = {
    "trio-websocket + json + cattrs": "receive_trio.py",
    "bare Trio reader": "receive_bare.py",
    "aiohttp + json": "receive_aiohttp.py",
    "picows + msgspec": "receive_picows.py",
    "python-binance": "receive_python_binance.py",
    "ccxt.pro": "receive_ccxt.py",
    "nautilus_trader": "receive_nautilus.py",
}
_CONFIG: Final = """
config_version = 1
name = "bench"

[venue]
environment = "testnet"
rest_url = "{http}://localhost:{port}"
streams_url = "{ws}://localhost:{port}"
api_url = "{ws}://localhost:{port}"
{ca}

[orders]
mode = "off"

[[streams]]
symbols = {symbols}
channels = {channels}

[[strategies]]
id = "listener"
plugin = "{plugin}:Measured"
symbols = {symbols}

[strategies.params]
marks = "{marks}"
out = "{out}"
"""


class NoResult(Exception):
    """A client has ended early, or measured nothing in time."""


def present(names: Sequence[str]) -> tuple[list[str], list[str]]:
    """Which of the clients can run here, and which are absent."""
    there = [name for name in names if not CLIENTS[name] or python_of(CLIENTS[name]) is not None]
    return there, [name for name in names if name not in there]


def exchange_info(symbols: Sequence[str]) -> bytes:
    """The contracts as the embedded exchange describes them."""
    settings = Settings(seed=7, symbols=list(symbols))
    return Pump(settings, market_of(settings)).venue.ask("GET", "/fapi/v1/exchangeInfo").body


def answering(snapshots: Mapping[str, bytes]) -> Answers:
    """The REST answers of the feed."""
    info = exchange_info(list(snapshots))

    def answer(path: str, params: Mapping[str, str]) -> bytes:
        if path.endswith("/depth"):
            return snapshots[params["symbol"]]
        if path.endswith("/account"):
            return b'{"feeTier":0,"canTrade":true,"canDeposit":true,"canWithdraw":true,"updateTime":0,"assets":[]}'
        if path.endswith("/positionRisk"):
            return b"[]"
        return info if path.endswith("/exchangeInfo") else b'{"serverTime":%d}' % (time.time() * 1000)

    return answer


def cores() -> tuple[int, int] | None:
    """One core for the server and one for the client, where the system lets a process be kept on one."""
    if not hasattr(os, "sched_setaffinity") or len(os.sched_getaffinity(0)) < 2:
        return None
    first, second, *_ = sorted(os.sched_getaffinity(0))
    return first, second


@attrs.frozen
class Where:
    """What a client is told: where the feed is, what to listen to, and what is measured."""

    port: int
    symbols: Sequence[str]
    marks: str
    folder: Path
    ca: Path | None = None

    @property
    def out(self) -> Path:
        return self.folder / "measured.jsonl"


@contextmanager
def running(line: Sequence[str], folder: Path, more: Mapping[str, str] = MappingProxyType({})) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a client on its core until the block ends; what it says goes to a file in the folder."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
    env |= {"XDG_STATE_HOME": str(folder), "NO_PROXY": "*", **more}
    with (folder / "said.txt").open("wb") as file:
        process = subprocess.Popen(line, stdout=file, stderr=file, stdin=subprocess.DEVNULL, env=env, cwd=folder)
    try:
        if (pair := cores()) is not None:
            os.sched_setaffinity(process.pid, {pair[1]})
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(5)
        process.kill()
        process.wait()


def said(folder: Path) -> list[str]:
    """The last lines of the client that has run."""
    return (folder / "said.txt").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]


@contextmanager
def client(name: str, where: Where) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a client of market streams until the block ends."""
    where.out.unlink(missing_ok=True)
    with running(_bot(where) if name == "coldframe" else _peer(name, where), where.folder) as process:
        yield process


def _peer(name: str, where: Where) -> list[str]:
    python = python_of(CLIENTS[name]) if CLIENTS[name] else Path(sys.executable)
    words = [str(python), str(PEERS / SCRIPTS[name]), "--port", str(where.port), "--symbols", ",".join(where.symbols)]
    words += ["--channels", ",".join(CHANNELS), "--marks", where.marks, "--out", str(where.out)]
    return words + (["--ca", str(where.ca)] if where.ca else [])


def _bot(where: Where) -> list[str]:
    tls = "s" if where.ca else ""
    text = _CONFIG.format(
        http=f"http{tls}",
        ws=f"ws{tls}",
        port=where.port,
        ca=f'ca_file = "{where.ca.as_posix()}"' if where.ca else "",
        symbols=json.dumps(list(where.symbols)),
        channels=json.dumps(CHANNELS),
        plugin=(ROOT / "bench" / "measured.py").as_posix(),
        marks=where.marks,
        out=where.out.as_posix(),
    )
    config = where.folder / "bot.toml"
    config.write_text(text, encoding="utf-8")
    return [sys.executable, "-m", "coldframe.cli", "run", str(config), "--plain"]


def measured(process: subprocess.Popen[bytes], where: Where, part: str, within_s: float = PATIENCE_S) -> float:
    """The CPU seconds that a client has written down for a part. Raises `NoResult`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        lines = where.out.read_text(encoding="utf-8").splitlines(keepends=True) if where.out.exists() else []
        found = dict(json.loads(line) for line in lines if line.endswith("\n"))
        if part in found:
            return float(found[part])
        if process.poll() is not None:
            break
        time.sleep(0.02)
    raise NoResult(f"{part}: nothing measured; its last lines: {said(where.folder)}")
