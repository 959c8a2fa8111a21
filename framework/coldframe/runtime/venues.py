"""Which venue a bot trades on, and where its market comes from: the exchange itself, the embedded one, or one of each.

On paper the orders go to the embedded venue over a real loopback socket, with the same signing, log-on and limits as live. Its
market is synthetic, a recording, or, for a bot on a real venue, that venue's own streams.
"""

from __future__ import annotations

import secrets
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager

import attrs
import trio

from coldframe.config.schema import Config
from coldframe.core.connectivity.signing import Signer, signer_of_pem
from coldframe.errors import Banned
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.exchange_server import AccountKeys, Address, EmbeddedVenue
from coldframe.model.effects import Level
from coldframe.runtime.build import Bot, endpoints
from coldframe.runtime.mirror import open_mirror
from coldframe.runtime.startup import signer_of, tls_context
from coldframe.secret import Secret
from coldframe.trio_io.bans import Bans
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.paths import state_home
from coldframe.trio_io.rest import RestClient
from coldframe.wire.routes import Endpoints

LogLine = Callable[[int, Level, str], None]


@asynccontextmanager
async def open_venues(bot: Bot, clock: Clock, log: LogLine) -> AsyncIterator[Connections]:
    """Starts the embedded venue where one is needed, and opens REST connections. The venue ends after everything inside."""
    config = bot.config
    async with AsyncExitStack() as stack:
        if config.venue.environment == "embedded":
            yield await _embedded(config, clock, log, stack)
        elif config.orders.mode == "paper":
            yield await _paper_on_real(bot, clock, log, stack)
        else:
            yield await _real(bot, clock, log, stack)


async def _embedded(config: Config, clock: Clock, log: LogLine, stack: AsyncExitStack) -> Connections:
    settings = config.venue.embedded
    venue = EmbeddedVenue(settings, wall_ms=clock.now_ms, notice=_noticing(clock, log))
    address = await stack.enter_async_context(_serving(venue))
    log(clock.now_ns(), Level.INFO, f"embedded venue: {settings.market} market on {address.rest}")
    if venue.recording_note:
        log(clock.now_ns(), Level.WARNING, venue.recording_note)
    here = Endpoints(address.rest, address.streams, address.api)
    tls = tls_context(settings.tls_certificate)
    signer = None if config.orders.mode == "off" else signer_of_account(address.accounts[0])
    rest = await stack.enter_async_context(_rest(here, tls, clock, signer, config))
    ended = venue.recording_ended if settings.market == "recording" else None
    return Connections(rest, rest, here, here, tls, signer, config.orders.recv_window_ms, str(settings.seed), ended)


async def _real(bot: Bot, clock: Clock, log: LogLine, stack: AsyncExitStack) -> Connections:
    config = bot.config
    there, tls = endpoints(config), tls_context(config.venue.ca_file)
    signer = signer_of(config, bot.loaded.source.base) if config.orders.mode == "live" else None
    bans = _refuse_banned(there, clock, log)
    rest = await stack.enter_async_context(_rest(there, tls, clock, signer, config))
    return Connections(rest, rest, there, there, tls, signer, config.orders.recv_window_ms, secrets.token_hex(16), bans=bans)


async def _paper_on_real(bot: Bot, clock: Clock, log: LogLine, stack: AsyncExitStack) -> Connections:
    """Market data from the exchange, orders to an embedded venue whose market is a mirror of it."""
    config = bot.config
    there, tls = endpoints(config), tls_context(config.venue.ca_file)
    bans = _refuse_banned(there, clock, log)
    market_rest = await stack.enter_async_context(_rest(there, tls, clock, None, config))
    venue = await stack.enter_async_context(open_mirror(bot, there, tls, market_rest, clock, log))
    address = await stack.enter_async_context(_serving(venue))
    log(clock.now_ns(), Level.INFO, f"paper venue on {address.rest}, mirroring {config.venue.environment}")
    paper = Endpoints(address.rest, address.streams, address.api)
    signer = signer_of_account(address.accounts[0])
    order_rest = await stack.enter_async_context(_rest(paper, tls, clock, signer, config))
    window_ms = config.orders.recv_window_ms
    return Connections(market_rest, order_rest, there, paper, tls, signer, window_ms, secrets.token_hex(16), bans=bans)


def _refuse_banned(there: Endpoints, clock: Clock, log: LogLine) -> Bans:
    """What is known of bans by this venue. Raises `Banned`, before anything is sent, while one lasts."""
    bans = Bans(state_home() / "bans.json", there.rest, there.streams, there.api)
    left_ms = bans.until_ms() - clock.now_ms()
    if bans.fault:
        log(clock.now_ns(), Level.WARNING, bans.fault)
    if left_ms > 0:
        text = f"the venue has banned this address for another {left_ms / 1000:.0f} s, as an earlier run was told"
        raise Banned(f"{text}; try again after that", bans.until_ms())
    return bans


def _noticing(clock: Clock, log: LogLine) -> Callable[[str], None]:
    """Takes the sentences of the venue inside to the log."""
    return lambda text: log(clock.now_ns(), Level.WARNING, f"venue: {text}")


@asynccontextmanager
async def _serving(venue: EmbeddedVenue) -> AsyncIterator[Address]:
    async with trio.open_nursery() as neighbours:
        yield await neighbours.start(venue.serve)
        neighbours.cancel_scope.cancel()


@asynccontextmanager
async def _rest(
    there: Endpoints, tls: ssl.SSLContext, clock: Clock, signer: Signer | None, config: Config
) -> AsyncIterator[RestClient]:
    async with RestClient(there.rest, tls, clock.now_ns, signer, config.orders.recv_window_ms) as rest:
        yield rest


def listed_symbols(settings: Settings) -> tuple[str, ...]:
    """The contracts that an embedded venue would list, without starting it. Raises `ConfigError`."""
    return EmbeddedVenue(attrs.evolve(settings, state_dir=None, keys_dir=None), wall_ms=lambda: 0).symbols()


def signer_of_account(keys: AccountKeys) -> Signer:
    """The signer of an account of the embedded venue: its Ed25519 key, which can log on."""
    return signer_of_pem(Secret(keys.ed25519_api_key), Secret(keys.ed25519_private_pem.decode()))
