"""The embedded venue as a whole: one listener on the loopback interface over an exchange and its market."""

from __future__ import annotations

import errno
import ssl
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Final

import attrs
import trio

from coldframe.errors import ConfigError, VenueUnavailable
from coldframe.exchange.context import Context
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultPlan
from coldframe.exchange.handshakes import API_PATH
from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.mirror import Mirror
from coldframe.exchange.randomness import Randomness
from coldframe.exchange.recorded_market import RecordedMarket
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.exchange.settings import VenueChange
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange.trading.account_store import AccountStore, MemoryAccountStore
from coldframe.exchange_server.account_file import FileAccountStore
from coldframe.exchange_server.key_files import keys_for, token
from coldframe.exchange_server.links.http_server import HttpServer
from coldframe.exchange_server.recording import recorded_market

_HOST: Final = "127.0.0.1"
#: How often the venue turns without being asked, and how often it writes down where the market stands; milliseconds.
_TURN_MS: Final = 50
_LAST_PRICES_MS: Final = 2000


@attrs.frozen
class Address:
    """Where the venue listens, and the keys of its accounts."""

    rest: str
    streams: str
    api: str
    accounts: tuple[AccountKeys, ...]
    port: int


class EmbeddedVenue:
    """The exchange inside.

    `wall_ms` (epoch milliseconds) is the only clock that it ever reads. With a `mirror` its market is the one that is fed there,
    whatever the settings say. `notice` takes sentences for the operator's log. Raises `ConfigError` when its settings cannot be
    carried out.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        wall_ms: Callable[[], int],
        mirror: Mirror | None = None,
        notice: Callable[[str], None] = lambda text: None,
    ) -> None:
        skew_ms = settings.faults.clock_skew_ms
        self._settings = settings
        self._tls = _tls_context(settings)
        self._keys = keys_for([account.name for account in settings.accounts], settings.keys_dir)

        def now_ms() -> int:
            return wall_ms() + skew_ms

        self._now_ms = now_ms
        start_ms = self._now_ms()
        recorded = recorded_market(settings, start_ms) if mirror is None and settings.market == "recording" else None
        self._store = _account_store(settings)
        self._source: MarketSource = _source(settings, mirror, recorded, start_ms, self._store)
        markets, introduce = self._source.markets, self._source.introduce
        randomness = Randomness(Random, token)
        self._exchange = Exchange(settings, markets, self._keys, self._store, start_ms, randomness, introduce)
        faults = FaultPlan(settings.faults, settings.seed, start_ms, Random)
        self._context = Context(settings, self._exchange, self._source, self._now_ms, faults, notice)
        self._source.bind(self._exchange.streams, self._context.clear_trades)
        self._http_server = HttpServer(self._context, secure=self._tls is not None)
        self._recorded = recorded
        self._last_prices_due_ms = 0
        #: Set when a recording has been played to its end.
        self.recording_ended = trio.Event()

    @property
    def recording_note(self) -> str | None:
        """What is wrong with the end of the recording (a torn last line), in one sentence; None when nothing is."""
        return self._recorded.note if self._recorded else None

    async def serve(self, *, task_status: trio.TaskStatus[Address] = trio.TASK_STATUS_IGNORED) -> None:
        """Listens until cancelled. Reports the address when it is ready. Raises `VenueUnavailable` when the port is taken."""
        listeners = await self._listen()
        port = int(listeners[0].socket.getsockname()[1])
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._keep_turning)
                nursery.start_soon(trio.serve_listeners, self._accept, listeners)
                task_status.started(self._address(port))
        finally:
            self._exchange.note_last_prices(self._now_ms())
            self._store.close()

    async def serve_connection(self, stream: trio.abc.Stream, peer: str = "") -> None:
        """Serves one connection from its beginning to its end; raises nothing because of what it brings.

        The listener does this with every connection that it accepts; `peer` is the address it comes from.
        """
        if self._tls is not None:
            stream = trio.SSLStream(stream, self._tls, server_side=True, https_compatible=True)
        await self._http_server.serve(stream, peer)

    def symbols(self) -> tuple[str, ...]:
        """The contracts that the venue lists."""
        return tuple(self._exchange.markets)

    def change(self, change: VenueChange) -> str | None:
        """Changes something now, as the plan in `changes` does at its time. Gives why it is refused, or None when it is done."""
        refusal = self._exchange.change(change, self._context.turn())
        self._context.deliver()
        return refusal

    # -- parts --------------------------------------------------------------------------------------------------------

    async def _listen(self) -> list[trio.SocketListener]:
        try:
            return await trio.open_tcp_listeners(self._settings.port, host=_HOST)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise VenueUnavailable(f"port {self._settings.port} is already in use on {_HOST}") from None
            raise VenueUnavailable(f"the venue cannot listen on {_HOST}:{self._settings.port}: {error.strerror}") from None

    async def _accept(self, stream: trio.SocketStream) -> None:
        try:
            peer = str(stream.socket.getpeername()[0])
        except OSError:  # gone already
            peer = ""
        await self.serve_connection(stream, peer)

    async def _keep_turning(self) -> None:
        """Turns at every step of the grid, and lets the market move whenever it is due in between."""
        turn_ms = 0
        while True:
            now_ms = self._now_ms()
            if turn_ms - _TURN_MS <= now_ms < turn_ms:
                self._source.advance(now_ms)
            else:  # a turn is due, or the clock was set back
                self._turn()
                turn_ms = now_ms - now_ms % _TURN_MS + _TURN_MS
            if self._source.fault is not None:
                raise self._source.fault
            if self._source.ended:
                self.recording_ended.set()
            await self._wait_for_turn(now_ms, turn_ms)

    def _turn(self) -> None:
        now_ms = self._context.turn()
        if not self._last_prices_due_ms - _LAST_PRICES_MS <= now_ms < self._last_prices_due_ms:
            self._last_prices_due_ms = now_ms + _LAST_PRICES_MS
            self._exchange.note_last_prices(now_ms)

    async def _wait_for_turn(self, now_ms: int, turn_ms: int) -> None:
        """Waits for the next turn, or less: until the market has something to do, or listeners that it waits for have read.

        As long as lay between the beginning of this turn and the next one, however long this one took: a market that takes all
        the time that there is must leave some to those who read.
        """
        due_ms = self._source.next_due_ms()
        left_s = ((turn_ms if due_ms is None else min(turn_ms, due_ms)) - now_ms) / 1000
        if left_s <= 0:
            await trio.lowlevel.checkpoint()
        elif due_ms is None:
            with trio.move_on_after(left_s):
                await self._http_server.wait_read()
        else:
            await trio.sleep(left_s)

    def _address(self, port: int) -> Address:
        secure = "s" if self._tls is not None else ""
        place = f"{_HOST}:{port}"
        return Address(
            rest=f"http{secure}://{place}",
            streams=f"ws{secure}://{place}",
            api=f"ws{secure}://{place}{API_PATH}",
            accounts=self._keys,
            port=port,
        )


def _account_store(settings: Settings) -> AccountStore:
    return MemoryAccountStore() if settings.state_dir is None else FileAccountStore(Path(settings.state_dir))


def _source(
    settings: Settings, mirror: Mirror | None, recorded: RecordedMarket | None, start_ms: int, store: AccountStore
) -> MarketSource:
    if mirror is not None:
        return mirror.open(settings, start_ms)
    return recorded or SyntheticMarket(settings, start_ms, store.last_prices, Random)


def _tls_context(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None or settings.tls_key is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"{settings.tls_certificate}: venue.embedded.tls_certificate: cannot be used: {error}") from None
    return context
