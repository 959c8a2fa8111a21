"""One short run on virtual time with all in it: fills, refusals, an order that rests until the end, a strategy that raises."""

from __future__ import annotations

import io
from pathlib import Path

import attrs
import trio
from rich.console import Console

from coldframe.core.engine import Engine
from coldframe.model.effects import Level
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.liveview import LiveView
from coldframe.runtime.run import Result, RunOptions, run
from coldframe.runtime.venues import listed_symbols
from tests.virtual_time import run_virtually

STRATEGIES = r'''
"""Two strategies: the first trades, the second breaks."""

from decimal import Decimal

from coldframe import OrderType, Place, Side, WakeMe, hookimpl


class Busy:
    """Buys once, leaves an order far below the market, and asks for too much."""

    def __init__(self):
        self.placed = False

    @hookimpl
    def on_book(self, event, view):
        if self.placed or not view.trading_allowed(event.symbol):
            return []
        book = view.book(event.symbol)
        self.placed = True
        low = (book.best_bid * Decimal("0.98")).quantize(Decimal("0.1"))
        return [
            Place(symbol=event.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.010")),
            Place(symbol=event.symbol, side=Side.BUY, price=low, quantity=Decimal("0.005")),
            Place(symbol=event.symbol, side=Side.BUY, price=low, quantity=Decimal("5")),
        ]


class Broken:
    """Raises at its first trade."""

    @hookimpl
    def on_trade(self, event, view):
        raise ValueError("a bell \a and a jump \x1b[2J")
'''

CONFIG = """\
config_version = 1
name = "scene"
[venue.embedded]
seed = 11
pace = "3"
symbols = ["BTCUSDT", "ETHUSDT", "SOLUSDT"]
[[streams]]
symbols = ["ETHUSDT"]
channels = ["aggTrade"]
[[streams]]
symbols = ["SOLUSDT"]
channels = ["rpiDepth@500ms"]
[[strategies]]
id = "busy"
plugin = "strategies.py:Busy"
symbols = ["BTCUSDT"]
[[strategies]]
id = "broken"
plugin = "strategies.py:Broken"
symbols = ["ETHUSDT"]
[risk]
max_order_notional = "10000"
"""


@attrs.define
class Scene:
    """The run: its bot, what it came to, the pictures that the view would have shown, and the log as the view printed it."""

    bot: Bot
    result: Result
    pictures: list[str]
    log: str

    @property
    def engine(self) -> Engine:
        return self.result.engine


def rendered(view: LiveView) -> str:
    """What the view shows now, as text."""
    console = Console(record=True, width=160, file=io.StringIO())
    console.print(view.picture())
    return console.export_text()


class Watched(LiveView):
    """A view that keeps what it would have shown at the very beginning."""

    def __init__(self, console: Console) -> None:
        super().__init__("scene", Level.DEBUG, console)
        self.pictures = [rendered(self)]

    def started(self, engine: Engine) -> None:
        super().started(engine)
        self.pictures.append(rendered(self))


def play(folder: Path, seconds: float = 3.0, config: str = CONFIG, *, looked_at: bool = False) -> Scene:
    """Plays the scene; looked at, its view makes a picture every 50 ms."""
    (folder / "strategies.py").write_text(STRATEGIES)
    (folder / "bot.toml").write_text(config)
    loaded = read(folder / "bot.toml")
    bot = build(loaded, listed_symbols(loaded.config.venue.embedded))
    console = Console(record=True, width=160, file=io.StringIO())
    view = Watched(console)

    async def look() -> None:
        while looked_at:
            await trio.sleep(0.05)
            view.pictures.append(rendered(view))

    async def lived() -> Result:
        with trio.fail_after(seconds + 15):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(look)
                result = await run(bot, RunOptions(for_s=seconds, signals=False), view)
                nursery.cancel_scope.cancel()
        view.pictures.append(rendered(view))
        return result

    return Scene(bot, run_virtually(lived), view.pictures, console.export_text())
