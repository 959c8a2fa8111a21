"""Receive, decode, book, hook: CPU time per message of the whole path, beside plain trio-websocket with json and cattrs.

A second process serves the same frames to both over loopback sockets, in one run; only the receiving process is measured. The
frames are depth events of forty levels, trades and best prices, in the proportion of a busy symbol.

Usage: python bench/hotpath.py [--messages N]
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import random
import ssl
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from decimal import Decimal
from multiprocessing.connection import Connection

import attrs
import cattrs
import msgspec
import trio
import trio_websocket

from books import events as depth_events
from coldframe import Instrument, hookimpl
from coldframe.core.engine import Engine, EngineSetup
from coldframe.core.state.limits import RiskLimits
from coldframe.core.strategies.runtime import OnError
from coldframe.model.inputs import RestAnswered
from coldframe.model.instruments import Instruments
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.testing import instrument
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.effects import TrioEffectRunner
from coldframe.trio_io.rest import RestClient
from coldframe.wire.names import StreamName
from coldframe.wire.rest import Answer
from coldframe.wire.routes import Endpoints

SYMBOL = "BTCUSDT"


# -- the frames -------------------------------------------------------------------------------------------------------


def frames(count: int) -> list[str]:
    """Combined frames: of ten messages four are depth events, three trades, three best prices."""
    chance = random.Random(7)
    made: list[str] = []
    depths = iter(depth_events(count))
    last, trade = 1_000, 1
    for number in range(count):
        kind = number % 10
        at = 1_700_000_000_000 + number
        if kind < 4:
            bids, asks = next(depths)
            first, previous, last = last + 1, last, last + chance.randint(2, 50)
            data = {"e": "depthUpdate", "E": at, "T": at, "s": SYMBOL, "U": first, "u": last, "pu": previous, "b": bids, "a": asks}
            name = "btcusdt@depth@100ms"
        elif kind < 7:
            trade += 1
            data = {
                "e": "aggTrade",
                "E": at,
                "s": SYMBOL,
                "a": trade,
                "p": "60000.1",
                "q": "0.010",
                "f": trade,
                "l": trade,
                "T": at,
                "m": True,
            }
            name = "btcusdt@aggTrade"
        else:
            data = {
                "e": "bookTicker",
                "u": last,
                "E": at,
                "T": at,
                "s": SYMBOL,
                "b": "60000.0",
                "B": "1.000",
                "a": "60000.1",
                "A": "2.000",
            }
            name = "btcusdt@bookTicker"
        made.append(f'{{"stream":"{name}","data":{json.dumps(data, separators=(",", ":"))}}}')
    return made


def routed(frame: str, path: str) -> bool:
    """Whether a frame belongs on a path: all of them where no route is named."""
    if path.startswith("/market"):
        return "aggTrade" in frame
    return "aggTrade" not in frame if path.startswith("/public") else True


def serve(count: int, pipe: Connection) -> None:
    """The other process: sends all frames to the client that connects, then closes."""
    made = frames(count)

    async def handle(request: trio_websocket.WebSocketRequest) -> None:
        socket = await request.accept()
        mine = [frame for frame in made if routed(frame, request.path)]
        await socket.send_message(mine[0])
        await trio.sleep(1.0)  # time to subscribe, and to fetch a snapshot
        with suppress(trio_websocket.ConnectionClosed):
            for frame in mine[1:]:
                await socket.send_message(frame)
        await socket.aclose()

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            server = await nursery.start(trio_websocket.serve_websocket, handle, "127.0.0.1", 0, None)
            pipe.send(server.port)
            await trio.to_thread.run_sync(pipe.recv)
            nursery.cancel_scope.cancel()

    trio.run(run)


# -- the plain way ----------------------------------------------------------------------------------------------------


@attrs.define
class Depth:
    e: str
    E: int
    T: int
    s: str
    U: int
    u: int
    pu: int
    b: list[list[str]]
    a: list[list[str]]


@attrs.define
class Trade:
    e: str
    E: int
    s: str
    a: int
    p: str
    q: str
    f: int
    l: int  # noqa: E741
    T: int
    m: bool


@attrs.define
class Best:
    e: str
    u: int
    E: int
    T: int
    s: str
    b: str
    B: str
    a: str
    A: str


async def plainly(url: str, count: int) -> float:
    """trio-websocket, json, cattrs, a dict of decimals a side, a callback. Returns the CPU seconds."""
    kinds = {"depthUpdate": Depth, "aggTrade": Trade, "bookTicker": Best}
    converter = cattrs.Converter()
    bids: dict[Decimal, Decimal] = {}
    asks: dict[Decimal, Decimal] = {}
    heard = 0

    def callback(message: object) -> None:
        nonlocal heard
        heard += 1
        if isinstance(message, Depth) and bids and asks:
            _ = max(bids), min(asks)

    began = time.process_time()
    async with trio_websocket.open_websocket_url(url) as socket:
        for _ in range(count):
            body = json.loads(await socket.get_message())["data"]
            message = converter.structure(body, kinds[body["e"]])
            if isinstance(message, Depth):
                for side, levels in ((bids, message.b), (asks, message.a)):
                    for price, quantity in levels:
                        if Decimal(quantity):
                            side[Decimal(price)] = Decimal(quantity)
                        else:
                            side.pop(Decimal(price), None)
            callback(message)
    assert heard == count
    return time.process_time() - began


# -- ours -------------------------------------------------------------------------------------------------------------


class Listener:
    """A strategy that looks at what it hears."""

    heard = 0

    @hookimpl
    def on_book(self, event, view) -> None:  # type: ignore[no-untyped-def]
        self.heard += 1
        book = view.book(event.symbol)
        _ = book.best_bid, book.best_ask

    @hookimpl
    def on_trade(self, event, view) -> None:  # type: ignore[no-untyped-def]
        self.heard += 1

    @hookimpl
    def on_ticker(self, event, view) -> None:  # type: ignore[no-untyped-def]
        self.heard += 1


async def through_coldframe(url: str, count: int) -> float:
    """Links, inbox, engine, book sync, hooks. Returns the CPU seconds."""
    strategy = Listener()
    rules: Instrument = instrument(SYMBOL)
    channels = ("depth@100ms", "aggTrade", "bookTicker")
    clock = Clock()
    nowhere = Endpoints("http://127.0.0.1:9", url, url)
    tls = ssl.create_default_context()
    async with RestClient(nowhere.rest, tls, clock.now_ns, None, 5000) as rest, trio.open_nursery() as nursery:
        connections = Connections(rest, rest, nowhere, nowhere, tls, None, 5000, "bench")
        runner = TrioEffectRunner(nursery, clock, connections, lambda level, text: None)
        engine = Engine(
            EngineSetup(
                streams=[StreamName.of(SYMBOL, channel) for channel in channels],
                instruments=Instruments([rules]),
                plugins=[StrategyPlugin("bench", [SYMBOL], OnError.HALT, strategy)],
                budgets={},
                risk=RiskLimits(),
                rate_limits=(),
                chance=random.random,
                epoch_ms=1,
                orders_on=False,
            )
        )
        began = time.process_time()
        for effect in engine.start(clock.now_ns()):
            runner.perform(effect)
        while engine.market.payloads < count:
            for stamped in await runner.inbox.receive():
                for effect in engine.step(answer_snapshot(stamped)):
                    runner.perform(effect)
        spent = time.process_time() - began
        nursery.cancel_scope.cancel()
    assert strategy.heard > count * 0.99, strategy.heard
    return spent


def answer_snapshot(stamped):  # type: ignore[no-untyped-def]
    """There is no REST here: a call for a snapshot is answered with an empty book at the beginning of the stream."""
    if isinstance(stamped.event, RestAnswered) and stamped.event.answer is None:
        body = msgspec.json.encode({"lastUpdateId": 1_000, "bids": [], "asks": []})
        return attrs.evolve(stamped, event=attrs.evolve(stamped.event, answer=Answer(200, {}, body)))
    return stamped


# -- the run ----------------------------------------------------------------------------------------------------------


def measure(way: Callable[[str, int], Awaitable[float]], port: int, count: int) -> float:
    """CPU microseconds per message."""
    return trio.run(way, f"ws://127.0.0.1:{port}", count) / count * 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=30_000)
    count = parser.parse_args().messages
    here, there = multiprocessing.Pipe()
    process = multiprocessing.Process(target=serve, args=(count, there), daemon=True)
    process.start()
    port = here.recv()
    try:
        plain = min(measure(plainly, port, count) for _ in range(2))
        own = min(measure(through_coldframe, port, count) for _ in range(2))
    finally:
        here.send(None)
        process.join(5)
        process.terminate()
    print(f"{count} messages, four of ten of them depth events of forty levels")
    print(f"coldframe: link, inbox, engine, book, hook      {own:7.1f} us CPU per message")
    print(f"trio-websocket, json, cattrs, dicts of Decimal  {plain:7.1f} us CPU per message")
    print(f"ratio                                           {plain / own:7.1f}")


if __name__ == "__main__":
    main()
