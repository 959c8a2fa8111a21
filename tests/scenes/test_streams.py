"""Every stream there is travels from the venue's socket to a strategy, as its typed event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

from coldframe.enums import CONTINUOUS_CONTRACTS, INTERVALS
from coldframe.model import events
from coldframe.wire.names import StreamKind, StreamName, parse
from tests.scenes.support import coldframe, document

SYMBOL_CHANNELS = [
    "depth@0ms", "depth5", "depth5@100ms", "depth10@500ms", "depth20@0ms", "rpiDepth@500ms", "aggTrade", "trade",
    "markPrice", "miniTicker", "ticker", "bookTicker", "forceOrder",
    *(f"kline_{interval}" for interval in INTERVALS),
    *(f"{CONTINUOUS_CONTRACTS[0]}@continuousKline_{interval}" for interval in INTERVALS),
]  # fmt: skip
MARKET_CHANNELS = [
    "!markPrice@arr", "!markPrice@arr@1s", "!miniTicker@arr", "!ticker@arr", "!bookTicker", "!forceOrder@arr",
    "!contractInfo", "!assetIndex@arr", "tradingSession",
]  # fmt: skip

WITNESS = '''
import json
from pathlib import Path
from coldframe import hookimpl


class Witness:
    """Notes the kinds of events it hears."""

    def __init__(self):
        self.heard = {}

    def note(self, event):
        name = type(event).__name__
        self.heard[name] = self.heard.get(name, 0) + 1

    @hookimpl
    def on_stop(self, event):
        self.note(event)
        Path(__file__).with_name("heard.json").write_text(json.dumps(self.heard))
'''
HOOKS = ["start", "book", "trade", "ticker", "mark", "candle", "liquidation", "contract", "index", "link", "wake"]


def witness(folder: Path) -> None:
    methods = "".join(f"\n    @hookimpl\n    def on_{hook}(self, event):\n        self.note(event)\n" for hook in HOOKS)
    (folder / "witness.py").write_text(WITNESS + methods)


def configuration(folder: Path) -> Path:
    path = folder / "all.toml"
    path.write_text(
        f"""config_version = 1
name = "all-streams"
[venue]
environment = "embedded"
[venue.embedded]
pace = "12"
[orders]
mode = "off"
[[streams]]
symbols = ["BTCUSDT"]
channels = {json.dumps(SYMBOL_CHANNELS)}
[[streams]]
channels = {json.dumps(MARKET_CHANNELS)}
[[streams]]
symbols = ["DEFIUSDT"]
channels = ["compositeIndex", "depth@500ms"]
[[streams]]
symbols = ["BTCUSD"]
channels = ["assetIndex"]
[[streams]]
symbols = ["ETHUSDT"]
channels = ["depth", "markPrice@1s"]
[[streams]]
symbols = ["BNBUSDT", "币安人生USDT"]
channels = ["depth@100ms"]
[[strategies]]
id = "witness"
plugin = "witness.py:Witness"
symbols = ["BTCUSDT", "DEFIUSDT"]
"""
    )
    return path


def wanted() -> set[StreamName]:
    names = {StreamName.of("BTCUSDT", channel) for channel in SYMBOL_CHANNELS}
    names |= {StreamName.of("", channel) for channel in MARKET_CHANNELS}
    names |= {StreamName.of("DEFIUSDT", "compositeIndex"), StreamName.of("BTCUSD", "assetIndex")}
    names |= {StreamName.of("ETHUSDT", "depth"), StreamName.of("币安人生USDT", "depth@100ms")}
    # Only when BTCUSDT itself is liquidated, which may take longer than a test: the stream of the whole market stands for it.
    return names - {StreamName.of("BTCUSDT", "forceOrder")}


def test_every_stream_arrives_and_every_event_is_heard(tmp_path: Path) -> None:
    witness(tmp_path)
    tape = tmp_path / "all.jsonl.gz"
    done = coldframe("run", configuration(tmp_path), "--for", "14s", "--record", tape, "--json")
    summary = document(done)
    assert "unreadable" not in done.stderr
    assert all(book["state"] == "synced" for book in summary["books"].values())
    arrived = {parse(name) for name in document(coldframe("tape", "info", tape, "--json"))["streams"]}
    assert not wanted() - arrived
    heard = json.loads((tmp_path / "heard.json").read_text())
    market = {event.__name__ for event in get_args(events.StrategyEvent)} - {
        "OrderChanged",
        "OrderFilled",
        "PositionChanged",
        "Woken",
    }
    assert not market - set(heard)


def test_the_list_above_is_complete() -> None:
    assert {name.kind for name in wanted()} | {StreamKind.FORCE_ORDER} == set(StreamKind)
