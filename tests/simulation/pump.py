"""The pump: engine and embedded exchange in one plain loop over a heap of times.

What takes a campaign minutes takes seconds here, and the same arguments give the same world. A test makes a `Pump`, lets virtual
time pass (`run`, `until`), does what another client would (`venue.by_hand`), moves the market (`market`), cuts links
(`venue.cut`), kills and restarts the bot, and looks at both sides' books.
"""

from __future__ import annotations

import heapq
import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from itertools import count
from pathlib import Path
from random import Random
from typing import Any, Final

import attrs

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.connectivity.signing import sign_api, stamp
from coldframe.core.engine import Engine, EngineSetup
from coldframe.core.state.journal_codec import RestoredState, fold
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import PositionMode
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange_server.recording import recorded_market
from coldframe.model import effects as do
from coldframe.model import inputs as told
from coldframe.model.instruments import Instruments
from coldframe.model.journal import Row
from coldframe.plug.slots import StrategyPlugin
from coldframe.runtime.build import build, read
from coldframe.runtime.engine_setup import budget, feed_limits, first_minutes, risk_limits, trading_limits
from coldframe.runtime.venues import listed_symbols
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire.api import METHODS, Security, request_frame
from coldframe.wire.codec import Census, decode
from coldframe.wire.names import StreamName
from coldframe.wire.reference import ExchangeInfo
from tests.simulation.still import StillMarket
from tests.simulation.venue import VirtualVenue, as_answer, rest_request

START_MS: Final = 1_700_000_000_000
#: How often the exchange turns without being asked, and how long anything travels one way (milliseconds).
TURN_MS: Final = 50
TRAVEL_MS: Final = 5
RECV_WINDOW_MS: Final = 5_000


@attrs.frozen(kw_only=True)
class Trader:
    """A strategy of the bot; `make` makes the plugin anew for every run."""

    id: str
    make: Callable[[], object]
    symbols: Sequence[str] = ("BTCUSDT",)
    budget: Budget = Budget()
    on_error: OnError = OnError.QUARANTINE
    overlays: Callable[[], Sequence[object]] = tuple
    #: Whether `make` makes the whole slot, as a configuration describes it.
    plugged: bool = False

    def slot(self) -> StrategyPlugin:
        made = self.make()
        if self.plugged:
            assert isinstance(made, StrategyPlugin)
            return made
        return StrategyPlugin(self.id, self.symbols, self.on_error, made, self.overlays())


def market_of(settings: Settings) -> MarketSource:
    """The market that the settings of an embedded venue name, from its beginning."""
    if settings.market == "recording":
        return recorded_market(settings, START_MS)
    return SyntheticMarket(settings, START_MS, {}, Random)


class Pump:
    """One world: a bot, its venue, and the time. `setup` are further fields of `EngineSetup` (risk, trading, hedge, ...)."""

    def __init__(
        self,
        traders: Sequence[Trader],
        *,
        settings: Settings | None = None,
        market: MarketSource | None = None,
        channels: Sequence[str] = ("depth@100ms", "markPrice@1s"),
        streams: Sequence[StreamName] | None = None,
        seed: int = 7,
        travel_ms: int = TRAVEL_MS,
        turn_ms: int = TURN_MS,
        **setup: Any,
    ) -> None:
        symbols = sorted({symbol for trader in traders for symbol in trader.symbols})
        self.now_ns = START_MS * NS_PER_MS
        self.traders, self._setup, self._streams = traders, setup, streams
        self._channels, self._symbols = channels, symbols
        self._seed, self._travel_ms, self._turn_ms = seed, travel_ms, turn_ms
        self._heap: list[tuple[int, int, int, Callable[[], None]]] = []
        self._order, self._seq = count(), count(1)
        self.settings = settings or Settings(seed=seed)
        self.market: Any = market or StillMarket(symbols, START_MS, self.settings.funding_interval_s)
        self.venue = self._venue()
        #: Everything the bot has recorded, over all its runs, as a journal would hold it.
        self.rows: list[Row] = []
        self.log: list[str] = []
        #: What left the bot, in order: method, or verb and path, with parameters.
        self.sent: list[tuple[str, Mapping[str, object]]] = []
        self.steps = 0
        self.life = 0
        self.finished: str | None = None
        self.failed: do.Fail | None = None
        self._timers: dict[str, int] = {}
        #: Frames that a link has brought and the bot has not taken in yet.
        self._arriving: dict[str, list[bytes]] = {}
        #: Called after every step of the engine: where a world's invariants are checked.
        self.watchers: list[Callable[[], None]] = []
        self.engine = self._born(RestoredState())
        self.later(turn_ms, self._turn)

    def _venue(self) -> VirtualVenue:
        return VirtualVenue(self.settings, self.market, lambda: self.now_ms, self.later)

    def forget_everything(self) -> None:
        """The venue's process ends and another one takes its place: every link falls, and its books begin anew."""
        self.venue.vanish("connection refused")
        self.market = StillMarket(self._symbols, self.now_ms, self.settings.funding_interval_s)
        self.venue = self._venue()

    @classmethod
    def of_config(cls, path: Path, **more: Any) -> Pump:
        """The bot of a configuration file for the embedded venue, with the market that it names."""
        loaded = read(path)
        config, settings = loaded.config, loaded.config.venue.embedded
        bot = build(loaded, listed_symbols(settings))
        traders = [
            Trader(
                id=strategy.table.id,
                symbols=strategy.symbols,
                budget=budget(strategy.table.budget),
                make=strategy.slot,
                plugged=True,
            )
            for strategy in bot.strategies
        ]
        given = {
            "settings": settings,
            "market": market_of(settings),
            "streams": bot.streams,
            "seed": settings.seed,
            "risk": risk_limits(config.risk),
            "feed": feed_limits(config),
            "trading": trading_limits(config),
            "hedge": config.orders.position_mode == PositionMode.HEDGE,
            "grace_ms": config.orders.grace_ms,
            "first_minutes": first_minutes(config.risk),
            "keep_orders": config.orders.on_restart == "keep",
            "on_end": OrderPolicy(config.orders.on_end),
            "on_error": OrderPolicy(config.orders.on_error),
        }
        return cls(traders, **{**given, **more})

    # -- time ---------------------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.now_ns // NS_PER_MS

    @property
    def stamp_ms(self) -> int:
        """The time that a request carries: the venue's, as far as the bot knows it."""
        return self.now_ms + self._offset_ms

    def later(self, ms: int, step: Callable[[], None]) -> None:
        """Runs a step after so many milliseconds."""
        self._at(self.now_ns + ms * NS_PER_MS, told.Lane.MARKET, step)

    def _at(self, at_ns: int, lane: int, step: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (at_ns, lane, next(self._order), step))

    def run(self, seconds: float) -> Pump:
        """Lets virtual time pass."""
        self.until(lambda: False, seconds, must=False)
        return self

    def until(self, condition: Callable[[], bool], within_s: float = 60, *, must: bool = True) -> None:
        """Lets virtual time pass until the condition holds; with `must`, it is an error when it never does."""
        end_ns = self.now_ns + int(within_s * NS_PER_S)
        while not condition():
            if not self._heap or self._heap[0][0] > end_ns:
                self.now_ns = end_ns
                assert not must, f"not within {within_s} s; the last lines: {self.log[-8:]}"
                return
            self.now_ns, _, _, step = heapq.heappop(self._heap)
            step()

    def _turn(self) -> None:
        self.venue.turn()
        self.later(self._turn_ms, self._turn)

    # -- the bot's life -----------------------------------------------------------------------------------------------

    def _born(self, past: RestoredState) -> Engine:
        """Makes the engine of one run and starts it."""
        self.life += 1
        self._offset_ms: int = self._setup.get("clock_offset_ms", 0)
        self.finished = self.failed = None
        info = self._exchange_info()
        slots = [trader.slot() for trader in self.traders]
        names = [StreamName.of(symbol, channel) for symbol in self._symbols for channel in self._channels]
        setup = EngineSetup(
            **{
                "streams": self._streams or names,
                "instruments": Instruments.of(info.symbols),
                "ports": slots,
                "budgets": {trader.id: trader.budget for trader in self.traders},
                "risk": RiskLimits(),
                "rate_limits": info.rate_limits,
                "chance": Random(f"{self._seed}:{self.life}").random,
                "epoch_ms": max(self.now_ms, past.epoch_ms + 1),
                "orders_on": True,
                "past": past,
                **self._setup,
            }
        )
        self.engine = Engine(setup)
        self._perform(self.engine.start(self.now_ns))
        return self.engine

    def _exchange_info(self) -> ExchangeInfo:
        """The contracts. A start in a row of many may be asked to wait, and waits."""
        while True:
            answer = self.venue.by_hand("GET", "/fapi/v1/exchangeInfo", {})
            if answer.status == 200:
                return decode(ExchangeInfo, answer.body, Census())
            self.run(int(answer.headers["retry-after"]))

    def stop(self, reason: str = "duration", within_s: float = 60) -> None:
        """Asks the run to end and waits until it has."""
        self.give(told.StopAsked(reason))
        self.until(lambda: self.finished is not None, within_s)

    def kill(self) -> None:
        """The bot's process dies: its links close, its timers and everything on its way to it are gone."""
        self.life += 1
        for link in list(self.venue.sockets):
            self.venue.close(link)
        self._timers.clear()
        self._arriving.clear()

    def restart(self, **setup: Any) -> Engine:
        """Begins another run on the journal of the ones before. `setup` changes fields of `EngineSetup` from here on."""
        self.kill()
        self._setup = {**self._setup, **setup}
        return self._born(fold(self.rows))

    # -- inputs -------------------------------------------------------------------------------------------------------

    def give(self, event: told.Input, lane: told.Lane = told.Lane.CONTROL, after_ms: int = 0) -> None:
        """An input for the bot of this life, after so many milliseconds."""
        life = self.life

        def step() -> None:
            if self.life == life and self.finished is None and self.failed is None:
                self._step(event, lane)

        self._at(self.now_ns + after_ms * NS_PER_MS, lane, step)

    def _step(self, event: told.Input, lane: told.Lane) -> None:
        self.steps += 1
        self._perform(self.engine.step(told.Stamped(next(self._seq), self.now_ns, lane, event)))
        for watch in self.watchers:
            watch()

    def received(self, link: str, frame: bytes) -> None:
        """The exchange has written a frame: it travels, together with what else is written at this moment."""
        if link in self._arriving:
            self._arriving[link].append(frame)
            return
        self._arriving[link] = [frame]
        socket = self.venue.sockets.get(link)
        market = socket is not None and socket.kind is do.LinkKind.MARKET
        lane, life = told.Lane.MARKET if market else told.Lane.PRIVATE, self.life

        def arrive() -> None:
            frames = self._arriving.pop(link, None) if self.life == life else None
            if frames and self.finished is None and self.failed is None:
                self._step(told.FramesReceived(link, tuple(frames)), lane)

        self._at(self.now_ns + self._travel_ms * NS_PER_MS, lane, arrive)

    def backlog(self, link: str) -> int:
        """How many frames are on their way to the bot."""
        return len(self._arriving.get(link, ()))

    def lost(self, link: str, reason: str) -> None:
        """The exchange has cut a link."""
        self.give(told.LinkLost(link, reason), after_ms=self._travel_ms)

    # -- effects ------------------------------------------------------------------------------------------------------

    def _perform(self, effects: Sequence[do.Effect]) -> None:
        for effect in effects:
            match effect:
                case do.OpenLink(link, kind, path):
                    taken = self.venue.connect(link, kind, path, self)
                    opened = told.LinkOpened(link) if taken else told.LinkLost(link, self.venue.unreachable or "connection refused")
                    self.give(opened, after_ms=self._travel_ms)
                case do.CloseLink(link):
                    self.venue.close(link)
                case do.SendControl(link, frame):
                    self.later(self._travel_ms, lambda link=link, frame=frame: self.venue.control(link, frame))  # type: ignore[misc]
                case do.SendRequest():
                    self._send(effect)
                case do.CallRest():
                    self._call(effect)
                case do.WakeAt(key, at_ns):
                    self._wake(key, at_ns)
                case do.Record(kind, ref, body):
                    self.rows.append(Row(len(self.rows) + 1, self.now_ns, kind, ref, json.loads(json.dumps(body))))
                case do.Log(level, text):
                    self.log.append(f"{level}: {text}")
                case do.Finish(reason):
                    self.finished = reason
                case do.Fail():
                    self.failed = effect
                case do.ShiftClock(offset_ms):
                    self._offset_ms = offset_ms
                case do.Told() | do.StayAway() | do.NoteAnswered() | do.HaltTaken():
                    pass

    def _wake(self, key: str, at_ns: int) -> None:
        self._timers[key] = at_ns
        life = self.life

        def ring() -> None:
            if self.life == life and self._timers.get(key) == at_ns and self.finished is None and self.failed is None:
                del self._timers[key]
                self._step(told.TimeReached(key), told.Lane.CONTROL)

        self._at(max(at_ns, self.now_ns), told.Lane.CONTROL, ring)

    def _send(self, effect: do.SendRequest) -> None:
        link, request_id, method = effect.link, effect.request_id, effect.method
        if link not in self.venue.sockets:
            self.give(told.RequestNotWritten(link, request_id, "the link is gone"))
            return
        self.sent.append((method, dict(effect.params)))
        frame = request_frame(request_id, method, self._signed(method, effect.params))
        self.give(told.RequestWritten(link, request_id, self.stamp_ms))
        self.later(self._travel_ms, lambda: self.venue.request(link, frame))

    def _signed(self, method: str, params: Mapping[str, str | int]) -> Mapping[str, str | int]:
        signer, security = self.venue.signer(), METHODS[method].security
        if security is Security.NONE:
            return params
        if security is Security.KEY:
            return {**params, "apiKey": signer.api_key.reveal()}
        if method == "session.logon":
            return sign_api(params, signer, self.stamp_ms, RECV_WINDOW_MS)
        return stamp(params, self.stamp_ms, RECV_WINDOW_MS)

    def _call(self, effect: do.CallRest) -> None:
        self.sent.append((f"{effect.verb} {effect.path}", dict(effect.params)))
        request = rest_request(effect.verb, effect.path, effect.params, self.venue.signer(), self.stamp_ms)
        sent_ns, call_id, life = self.now_ns, effect.call_id, self.life

        def back(answer: Any) -> None:
            if self.life == life:
                reason = "" if answer else self.venue.unreachable or "no answer"
                said = told.RestAnswered(call_id, as_answer(answer) if answer else None, sent_ns, reason)
                self.give(said, after_ms=self._travel_ms)

        self.later(self._travel_ms, lambda: self.venue.call(request, back))

    # -- what both sides hold -----------------------------------------------------------------------------------------

    def position(self, strategy: str, symbol: str = "BTCUSDT") -> Decimal:
        """What a strategy believes to hold."""
        return self.engine.accounts[strategy].net(symbol)

    def told(self, text: str) -> list[str]:
        """The lines of the log that contain a text."""
        return [line for line in self.log if text in line]
