"""Tick to order: from the strategy's hook until its order is written to the socket, of the whole bot and of clients by hand.

A venue is a process on one core, the client is one on the other; in every round each client connects anew, and places and cancels
one order after another. The bot writes an order after its row in the journal is on the disk, and its time ends when the strategy
hears that the order was sent. The client by hand does nothing of the sort, and once more with a durable write of its own.

    python -m bench.tick_to_order     about a minute
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from statistics import quantiles
from typing import Any, Final

from bench.rounds import arguments, machine, table
from bench.whole import PEERS, ROOT, NoResult, cores, running, said

ORDERS: Final = 100
PAUSE_MS: Final = 40
PATIENCE_S: Final = 90.0
#: How long the last order may take to be cancelled: an order that is left would belong to no strategy of the bot.
LAST_CANCEL_S: Final = 0.5
BOT: Final = "coldframe"
BY_HAND: Final = "trio-websocket by hand"
DURABLE: Final = "trio-websocket by hand, durable write"
_VENUE: Final = """
config_version = 1
name = "bench-venue"

[venue]
environment = "embedded"

[venue.embedded]
market = "synthetic"
seed = 7
symbols = ["BTCUSDT"]
"""
_BOT: Final = """
config_version = 1
name = "bench"

[venue]
environment = "testnet"
rest_url = "{rest}"
streams_url = "{streams}"
api_url = "{api}"

[orders]
mode = "live"
api_key = "env:BENCH_KEY"
private_key = "file:{key_file}"

[[streams]]
symbols = ["BTCUSDT"]
channels = ["depth@100ms", "bookTicker", "markPrice@1s"]

[[strategies]]
id = "orderer"
plugin = "{plugin}:Orderer"
symbols = ["BTCUSDT"]
budget = {{ max_position = "1", max_notional = "100000", orders_per_10s = 1000, messages_per_10s = 1000 }}

[strategies.params]
orders = {orders}
out = "{out}"
pause_ms = {pause_ms}

[risk]
max_order_notional = "10000"
max_gross_notional = "100000"
price_collar_pct = "10"
max_open_orders = 20
max_drawdown = "10000"
"""


@contextmanager
def venue(folder: Path) -> Iterator[dict[str, Any]]:
    """A `coldframe venue`, and what it says about itself."""
    config = folder / "venue.toml"
    config.write_text(_VENUE, encoding="utf-8")
    line = [sys.executable, "-m", "coldframe.cli", "venue", str(config), "--port", "0", "--keys", str(folder / "keys"), "--json"]
    env = {**os.environ, "XDG_STATE_HOME": str(folder)}
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=env, cwd=ROOT)
    try:
        if (pair := cores()) is not None:
            os.sched_setaffinity(process.pid, {pair[0]})
        assert process.stdout is not None
        yield json.loads(process.stdout.readline())
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(10)
        process.kill()
        process.communicate()


def _bot(at: dict[str, Any], folder: Path, orders: int) -> list[str]:
    keys, config = at["keys"]["ed25519"], folder / "bot.toml"
    places = {"rest": at["rest"], "streams": at["streams"], "api": at["api"], "key_file": keys["private_key_file"]}
    plugin, out = (ROOT / "bench" / "orderer.py").as_posix(), (folder / "samples.json").as_posix()
    config.write_text(_BOT.format(**places, plugin=plugin, orders=orders, out=out, pause_ms=PAUSE_MS), encoding="utf-8")
    return [
        sys.executable,
        "-m",
        "coldframe.cli",
        "run",
        str(config),
        "--live",
        "--plain",
        "--journal",
        str(folder / "bot.journal"),
    ]


def _by_hand(at: dict[str, Any], folder: Path, orders: int) -> list[str]:
    keys = at["keys"]["ed25519"]
    words = ["--streams", at["streams"], "--api", at["api"], "--api-key", keys["api_key"], "--key-file", keys["private_key_file"]]
    words += ["--out", str(folder / "samples.json"), "--orders", str(orders), "--pause-ms", str(PAUSE_MS)]
    return [sys.executable, str(PEERS / "orders_trio.py"), *words, "--journal", str(folder / "by_hand.journal")]


def once(name: str, at: dict[str, Any], folder: Path, orders: int) -> list[float]:
    """The times of one client, in milliseconds. Raises `NoResult`."""
    out = folder / "samples.json"
    out.unlink(missing_ok=True)
    line = _bot(at, folder, orders) if name == BOT else _by_hand(at, folder, orders)
    if name == DURABLE:
        line.append("--durable")
    with running(line, folder, {"BENCH_KEY": at["keys"]["ed25519"]["api_key"]}) as process:
        until = time.monotonic() + PATIENCE_S
        while not out.exists():
            if time.monotonic() > until or process.poll() is not None:
                raise NoResult(f"{name}: no orders measured; its last lines: {said(folder)}")
            time.sleep(0.02)
        time.sleep(LAST_CANCEL_S)
    return [taken / 1e6 for taken in json.loads(out.read_text(encoding="utf-8"))]


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, rounds=3).parse_args(words)
    rounds, orders = (1, 3) if given.quick else (given.rounds, ORDERS)
    names = [BOT, DURABLE] if given.quick else [BOT, BY_HAND, DURABLE]
    found: dict[str, list[float]] = {name: [] for name in names}
    with tempfile.TemporaryDirectory() as folder, venue(Path(folder)) as at:
        for number in range(rounds):
            for name in reversed(names) if number % 2 else names:
                found[name] += once(name, at, Path(folder), orders)
    print(f"{machine()}; {rounds * orders} orders each; ms from hook to written")
    cuts = {name: quantiles(times, n=100, method="inclusive") for name, times in found.items()}
    rows = [[name, cut[49], cut[98], cut[49] / cuts[BOT][49]] for name, cut in cuts.items()]
    print(table(["client", "p50", "p99", "ratio of p50"], rows))


if __name__ == "__main__":
    try:
        main()
    except NoResult as error:
        sys.exit(f"tick_to_order: {error}")
