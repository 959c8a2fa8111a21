"""Every stream there is travels from the exchange to a strategy, as its typed event."""

from __future__ import annotations

import json
from pathlib import Path
from typing import get_args

import pytest

from coldframe.enums import CONTINUOUS_CONTRACTS, INTERVALS
from coldframe.model import events
from coldframe.model.events import BookState
from coldframe.wire.names import StreamKind, StreamName
from tests.simulation.pump import Pump

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
        self.heard = set()

    def note(self, event):
        self.heard.add(type(event).__name__)

    @hookimpl
    def on_stop(self, event):
        self.note(event)
        Path(__file__).with_name("heard.json").write_text(json.dumps(sorted(self.heard)))
'''
HOOKS = ["start", "book", "trade", "ticker", "mark", "candle", "liquidation", "contract", "index", "link", "wake"]
#: What a strategy that places nothing and asks for nothing never hears.
OF_ORDERS = {"OrderChanged", "OrderFilled", "PositionChanged", "Woken"}


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


@pytest.mark.scene
def test_every_stream_arrives_and_every_event_is_heard(tmp_path: Path) -> None:
    witness(tmp_path)
    pump = Pump.of_config(configuration(tmp_path), orders_on=False)
    arrived, received = set[str](), pump.received

    def listening(link: str, frame: bytes) -> None:
        arrived.add(json.loads(frame).get("stream", ""))
        received(link, frame)

    pump.received = listening  # type: ignore[method-assign]
    missing = {str(name) for name in wanted()}
    pump.until(lambda: not missing - arrived, 120)
    pump.run(5)  # what came last is on its way
    pump.stop()
    assert all(book.sync.state is BookState.SYNCED for book in pump.engine.market.books.values())
    assert not pump.told("unreadable")
    heard = set(json.loads((tmp_path / "heard.json").read_text()))
    assert {event.__name__ for event in get_args(events.StrategyEvent)} - heard == OF_ORDERS


def test_the_list_above_is_complete() -> None:
    assert {name.kind for name in wanted()} | {StreamKind.FORCE_ORDER} == set(StreamKind)
