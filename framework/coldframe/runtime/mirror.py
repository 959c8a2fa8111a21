"""Paper trading on live data: a second engine, without strategies and orders, brings a real venue's streams into the embedded one.

What it hears goes word for word into the mirror, whose books and trades the paper orders then meet. It has links of its own, so
that the bot itself sees the real venue's streams exactly as it would live.
"""

from __future__ import annotations

import random
import ssl
from collections.abc import AsyncIterator, Callable, Collection, Iterable
from contextlib import asynccontextmanager, suppress
from typing import Final

import attrs
import trio

from coldframe.core.engine import Engine
from coldframe.errors import DecodeError, VenueUnavailable
from coldframe.exchange_server import EmbeddedVenue, Mirror
from coldframe.model.effects import Level
from coldframe.runtime.build import Bot
from coldframe.runtime.engine_setup import listening_setup
from coldframe.runtime.startup import ask_until_answered, venue_offset_ms
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.effects import TrioEffectRunner
from coldframe.trio_io.rest import RestClient
from coldframe.wire.codec import Census, decode
from coldframe.wire.frames import cut_envelope
from coldframe.wire.names import StreamName
from coldframe.wire.reference import ExchangeInfo
from coldframe.wire.routes import Endpoints

#: What the paper venue has to hear of a symbol to match orders in it.
_CHANNELS: Final = ("depth@100ms", "aggTrade", "markPrice@1s")

LogLine = Callable[[int, Level, str], None]


@asynccontextmanager
async def open_mirror(
    bot: Bot, there: Endpoints, tls: ssl.SSLContext, rest: RestClient, clock: Clock, log: LogLine
) -> AsyncIterator[EmbeddedVenue]:
    """An embedded venue that lists the bot's symbols and whose market is the one at `there`."""
    offset_ms = await venue_offset_ms(rest, clock)
    answer = await ask_until_answered(rest, clock, "/fapi/v1/exchangeInfo")
    try:
        info = decode(ExchangeInfo, answer.body, Census())
    except DecodeError as error:
        raise VenueUnavailable(f"the server at the venue's address does not answer as an exchange: {error}") from None
    mirror = Mirror()
    mirror.feed_info(info)
    symbols = _mirrored(bot, {row.symbol for row in info.symbols})
    settings = attrs.evolve(bot.config.venue.embedded, symbols=symbols)
    venue = EmbeddedVenue(
        settings,
        wall_ms=lambda: clock.now_ms() + offset_ms,
        mirror=mirror,
        notice=lambda text: log(clock.now_ns(), Level.WARNING, f"venue: {text}"),
    )
    connections = Connections(rest, rest, there, there, tls, None, bot.config.orders.recv_window_ms, "mirror")
    async with trio.open_nursery() as nursery:
        runner = TrioEffectRunner(nursery, clock, connections, lambda level, text: log(clock.now_ns(), level, f"mirror: {text}"))
        runner.links.taps.append(lambda frame: _feed(mirror, frame))
        rest.snapshot_taps.append(lambda symbol, body: _feed_snapshot(mirror, symbol, body))
        nursery.start_soon(runner.drive, _listener(bot, info, symbols, clock, offset_ms))
        yield venue
        nursery.cancel_scope.cancel()


def _mirrored(bot: Bot, listed: Collection[str]) -> list[str]:
    """The contracts of the paper venue: what the bot trades, and the price of BNB where an account pays its fees in it."""
    traded = {symbol for strategy in bot.strategies for symbol in strategy.symbols}
    burning = any(account.fee_burn for account in bot.config.venue.embedded.accounts)
    return sorted(traded | ({"BNBUSDT"} & set(listed) if burning else set()))


def _listener(bot: Bot, info: ExchangeInfo, symbols: Iterable[str], clock: Clock, offset_ms: int) -> Engine:
    """An engine that only listens."""
    streams = [StreamName.of(symbol, channel) for symbol in symbols for channel in _CHANNELS]
    setup = listening_setup(bot.config, info, streams, chance=random.random, epoch_ms=clock.now_ms(), clock_offset_ms=offset_ms)
    return Engine(setup)


def _feed(mirror: Mirror, frame: bytes) -> None:
    cut = cut_envelope(frame)
    if cut is not None:
        with suppress(DecodeError):  # the listening engine counts and reports what cannot be read
            mirror.feed(*cut)


def _feed_snapshot(mirror: Mirror, symbol: str, body: bytes) -> None:
    with suppress(DecodeError):  # likewise
        mirror.feed_snapshot(symbol, body)
