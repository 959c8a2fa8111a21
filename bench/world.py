"""A whole bot on virtual time, with its session and its orders, to which market traffic of our making is given frame by frame.

Venue and links are the embedded exchange's; its own market frames do not arrive, and a call for a snapshot brings the traffic's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from random import Random
from typing import Final

import msgspec

from bench.listener import Idle, Listener
from bench.traffic import CHANNELS, SYMBOLS, Traffic
from coldframe import Place
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.engine import EngineSetup
from coldframe.core.state.limits import RiskLimits
from coldframe.core.state.orders import Origin
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import OrderStatus, Side, TimeInForce
from coldframe.model import effects as do
from coldframe.model import inputs as told
from coldframe.model.effects import LinkKind
from coldframe.model.events import BookState
from coldframe.model.instruments import Instruments
from coldframe.model.journal import Row
from coldframe.model.orders import OrderEvent
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.runtime.pump import Pump, market_of
from coldframe.testing import instrument
from coldframe.units import NS_PER_MS
from coldframe.wire.codec import Census, decode
from coldframe.wire.names import StreamName
from coldframe.wire.reference import ExchangeInfo
from coldframe.wire.rest import Answer
from coldframe.wire.routes import route_of

_START_S: Final = 5
_ENVELOPE: Final = len(b'{"stream":"')

Group = tuple[str, tuple[bytes, ...]]
Step = Callable[[told.Stamped], Sequence[do.Effect]]


class World(Pump):
    """`take` gives frames to the bot; a step of the engine that brings market frames goes through `step`, which may look at it."""

    def __init__(self, traffic: Traffic, listening: int = 1, others: int = 0, *, orders_on: bool = True) -> None:
        """So many strategies that listen to all symbols, and others that only hear of themselves."""
        self.traffic, self._paths, self.rows = traffic, dict[str, str](), list[Row]()
        symbols = list(traffic.snapshots)
        settings = Settings(seed=7, symbols=[symbol for symbol in symbols if symbol in SYMBOLS])
        super().__init__(settings, market_of(settings))
        self.listeners = [Listener() for _ in range(listening)]
        self.later(self._turn_ms, self.turn)
        self.begin(self._setup(symbols, others, orders_on))
        self.passed(lambda: False, _START_S)
        #: By which link each stream comes.
        links = {path.split("/")[1]: link for link, path in self._paths.items()}
        names = [StreamName.of(symbol, channel) for symbol in symbols for channel in CHANNELS]
        self._link_of = {str(name).encode(): links[route_of(name)] for name in names}
        self.step: Step = self.engine.step

    def _setup(self, symbols: Sequence[str], others: int, orders_on: bool) -> EngineSetup:
        info = decode(ExchangeInfo, self.venue.ask("GET", "/fapi/v1/exchangeInfo").body, Census())
        made = [*self.listeners, *(Idle() for _ in range(others))]
        return EngineSetup(
            streams=[StreamName.of(symbol, channel) for symbol in symbols for channel in CHANNELS],
            instruments=Instruments.of(info.symbols) if orders_on else Instruments(map(instrument, symbols)),
            plugins=[StrategyPlugin(f"s{number}", symbols, OnError.HALT, each) for number, each in enumerate(made)],
            budgets={},
            risk=RiskLimits(),
            rate_limits=info.rate_limits,
            chance=Random(7).random,
            epoch_ms=self.now_ms,
            orders_on=orders_on,
        )

    # -- what the bot does ----------------------------------------------------------------------------------------------

    def _open(self, effect: do.OpenLink) -> None:
        if effect.kind is LinkKind.MARKET:
            self._paths[effect.link] = effect.path
        super()._open(effect)

    def recorded(self, row: do.AppendJournal) -> None:
        body = msgspec.json.decode(msgspec.json.encode(row.body))
        self.rows.append(Row(len(self.rows) + 1, self.now_ns, row.kind, row.ref, body))

    def received(self, link: str, frame: bytes) -> None:
        if link not in self._paths or not frame.startswith(b'{"stream"'):
            super().received(link, frame)

    def _call(self, effect: do.CallRest) -> None:
        if not effect.path.endswith("/depth"):
            super()._call(effect)
            return
        answer = Answer(200, {}, self.traffic.snapshots[str(effect.params["symbol"])])
        self.give(told.RestAnswered(effect.call_id, answer, self.now_ns), after_ms=self.latency.answer_ms)

    # -- what it is given -----------------------------------------------------------------------------------------------

    @property
    def synced(self) -> bool:
        """Whether every book follows its stream."""
        return all(book.sync.state is BookState.SYNCED for book in self.engine.market.books.values())

    def groups(self, frames: Sequence[bytes], at_once: int) -> Iterable[Group]:
        """The frames as their links bring them, so many in one read at most."""
        for begin in range(0, len(frames), at_once):
            by_link: dict[str, list[bytes]] = {}
            for frame in frames[begin : begin + at_once]:
                by_link.setdefault(self._link_of[frame[_ENVELOPE : frame.index(b'"', _ENVELOPE)]], []).append(frame)
            yield from ((link, tuple(taken)) for link, taken in by_link.items())

    def stamped(self, frames: Sequence[bytes], at_once: int = 1) -> list[told.Stamped]:
        """The same frames as inputs that are not given yet, a millisecond apart."""
        made = []
        for number, (link, taken) in enumerate(self.groups(frames, at_once), 1):
            received = told.FramesReceived(link, taken)
            made.append(told.Stamped(next(self._seq), self.now_ns + number * NS_PER_MS, told.Lane.MARKET, received))
        return made

    def rest(self, symbol: str, price: Decimal, count: int) -> None:
        """So many orders of the first strategy rest at the venue, as far as the bot knows."""
        orders, now_ns = self.engine.orders, self.now_ns
        place = Place(symbol=symbol, side=Side.BUY, quantity=Decimal("0.01"), price=price, time_in_force=TimeInForce.GTX)
        for _ in range(count):
            order = orders.prepare("s0", place, Origin.PLACE, now_ns)
            orders.apply(order, OrderEvent.WRITTEN, now_ns)
            orders.see(order, OrderStatus.NEW, Decimal(0), now_ns)

    def take(self, frames: Sequence[bytes], at_once: int = 1) -> None:
        """Gives frames to the bot, a millisecond after each other or in reads of so many."""
        for link, taken in self.groups(frames, at_once):
            self.passed(lambda: False, len(taken) / 1_000)
            effects = self.step(told.Stamped(next(self._seq), self.now_ns, told.Lane.MARKET, told.FramesReceived(link, taken)))
            for effect in effects:
                self.perform(effect)
