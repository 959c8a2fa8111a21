"""The pump: a bot's engine and the embedded exchange in one plain loop over a heap of times.

What takes a run minutes takes seconds here, and the same arguments give the same world: time is a number, and all chance comes from
seeds. Signatures are real, nothing else leaves the process.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from random import Random
from types import MappingProxyType
from typing import Any, Final, assert_never

import attrs

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.connectivity.signing import sign_api, stamp
from coldframe.core.engine import Engine, EngineSetup
from coldframe.core.strategies.runtime import PluggedStrategy
from coldframe.errors import ConfigError
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange_server.recording import recorded_market
from coldframe.model import effects as do
from coldframe.model import inputs as told
from coldframe.runtime.build import Bot
from coldframe.runtime.engine_setup import RunFacts, engine_setup
from coldframe.runtime.virtual_venue import VirtualVenue, as_answer, rest_request
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire.api import METHODS, Security, request_frame
from coldframe.wire.rest import Answer

START_MS: Final = 1_700_000_000_000
#: How often the exchange turns without being asked, and how long anything travels one way (milliseconds).
TURN_MS: Final = 50
TRAVEL_MS: Final = 5
RECV_WINDOW_MS: Final = 5_000


def market_of(settings: Settings) -> MarketSource:
    """The market that the settings of an embedded venue name, from its beginning."""
    if settings.market == "recording":
        return recorded_market(settings, START_MS)
    return SyntheticMarket(settings, START_MS, {}, Random)


@attrs.frozen(kw_only=True)
class Latency:
    """How long everything travels between bot and exchange, one way, in milliseconds."""

    #: A market event, from the exchange to the bot.
    feed_ms: int = TRAVEL_MS
    #: A request or a frame of control, from the bot to the exchange.
    entry_ms: int = TRAVEL_MS
    #: An answer or an event of the account, from the exchange to the bot.
    answer_ms: int = TRAVEL_MS


class Pump(do.EffectRunner):
    """A world on virtual time: its venue, the links to it, and the bot whose engine `begin` starts."""

    engine: Engine
    venue: VirtualVenue

    def __init__(
        self,
        settings: Settings,
        market: MarketSource,
        *,
        start_ms: int = START_MS,
        latency: Latency = Latency(),
        turn_ms: int = TURN_MS,
    ) -> None:
        self.now_ns = start_ms * NS_PER_MS
        self.settings, self.market = settings, market
        self.latency, self._turn_ms = latency, turn_ms
        #: What is to come: its time, its lane, the key of a timer (or nothing), in which order it was asked for, and what it does.
        self._heap: list[tuple[int, int, str, int, Callable[[], None]]] = []
        self._order, self._seq = count(), count(1)
        self._offset_ms = 0
        self.venue = self._venue()
        #: Which run of the bot this is: what was on its way to an earlier one does not arrive.
        self.life = 0
        self.finished: str | None = None
        self.failed: do.Fail | None = None
        self._timers: dict[str, int] = {}
        #: Frames that a link has brought and the bot has not taken in yet.
        self._arriving: dict[str, list[bytes]] = {}

    def _venue(self) -> VirtualVenue:
        return VirtualVenue(self.settings, self.market, lambda: self.now_ms, self.later)

    # -- what a subclass is told ----------------------------------------------------------------------------------------

    def stepped(self, stamped: told.Stamped | None, effects: Sequence[do.Effect]) -> None:
        """The engine has taken a step (None: its start); its effects are about to be performed."""

    def asked(self, what: str, params: Mapping[str, str | int]) -> None:
        """The bot sends a request: a method, or verb and path, with its parameters."""

    def recorded(self, row: do.AppendJournal) -> None:
        """The bot has recorded something."""

    def logged(self, line: do.Log) -> None:
        """The bot has logged a line."""

    def arrived(self, link: str, frames: Sequence[bytes]) -> None:
        """Frames of a link are about to be taken in by the bot."""

    def answered(self, path: str, params: Mapping[str, str | int], answer: Answer) -> None:
        """The answer to a REST call is on its way to the bot."""

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

    def _at(self, at_ns: int, lane: int, step: Callable[[], None], key: str = "") -> None:
        """Of what comes at the same moment in one lane, timers come last, by their keys: not by when each was asked for."""
        heapq.heappush(self._heap, (at_ns, lane, key, next(self._order), step))

    def passed(self, condition: Callable[[], bool], within_s: float) -> bool:
        """Lets virtual time pass until the condition holds. Returns whether it came to hold."""
        end_ns = self.now_ns + int(within_s * NS_PER_S)
        while not condition():
            if not self._heap or self._heap[0][0] > end_ns:
                self.now_ns = end_ns
                return False
            self.now_ns, *_, step = heapq.heappop(self._heap)
            step()
        return True

    @property
    def running(self) -> bool:
        """Whether the bot still takes inputs."""
        return self.finished is None and self.failed is None

    def turn(self) -> None:
        """The exchange turns, now and from now on."""
        self.venue.turn()
        self.later(self._turn_ms, self.turn)

    def start(self, bot: Bot, plugins: Sequence[PluggedStrategy], about: Mapping[str, object] = MappingProxyType({})) -> None:
        """Asks the venue what a run asks before it begins, and begins; `about` is what the journal is to say of this run.

        Raises `ConfigError` for contracts that the venue does not list.
        """
        while (answer := self.venue.ask("GET", "/fapi/v1/exchangeInfo")).status != 200:  # a start may be asked to wait
            self.passed(lambda: False, int(answer.headers.get("retry-after", "1")))
        seed = str(self.settings.seed)
        facts = RunFacts(exchange_info=answer.body, epoch_ms=self.now_ms, seed=seed, can_log_on=True, about=about)
        setup = engine_setup(bot, facts, plugins)
        missing = [symbol for symbol in bot.contracts if symbol not in setup.instruments]
        if missing:
            raise ConfigError(*(f"{bot.loaded.source.path}: the venue does not list {symbol}" for symbol in missing))
        self.turn()
        self.begin(setup)

    def begin(self, setup: EngineSetup) -> None:
        """Starts a run of the bot."""
        self.life += 1
        self._offset_ms = setup.clock_offset_ms
        self.finished = self.failed = None
        self.engine = Engine(setup)
        effects = self.engine.start(self.now_ns)
        self.stepped(None, effects)
        self._perform_all(effects)

    # -- inputs -------------------------------------------------------------------------------------------------------

    def give(self, event: told.Input, lane: told.Lane = told.Lane.CONTROL, after_ms: int = 0) -> None:
        """An input for the bot of this life, after so many milliseconds."""
        life = self.life

        def step() -> None:
            if self.life == life and self.running:
                self._step(event, lane)

        self._at(self.now_ns + after_ms * NS_PER_MS, lane, step)

    def _step(self, event: told.Input, lane: told.Lane) -> None:
        stamped = told.Stamped(next(self._seq), self.now_ns, lane, event)
        effects = self.engine.step(stamped)
        self.stepped(stamped, effects)
        self._perform_all(effects)

    def received(self, link: str, frame: bytes) -> None:
        """The exchange has written a frame: it travels, together with what else is written at this moment."""
        if link in self._arriving:
            self._arriving[link].append(frame)
            return
        self._arriving[link] = [frame]
        socket = self.venue.sockets.get(link)
        market = socket is not None and socket.kind is do.LinkKind.MARKET
        lane, life = told.Lane.MARKET if market else told.Lane.PRIVATE, self.life
        travel_ms = self.latency.feed_ms if market else self.latency.answer_ms

        def arrive() -> None:
            frames = self._arriving.pop(link, None) if self.life == life else None
            if frames and self.running:
                self.arrived(link, frames)
                self._step(told.FramesReceived(link, tuple(frames)), lane)

        self._at(self.now_ns + travel_ms * NS_PER_MS, lane, arrive)

    def backlog(self, link: str) -> int:
        """How many frames are on their way to the bot."""
        return len(self._arriving.get(link, ()))

    def lost(self, link: str, reason: str) -> None:
        """The exchange has cut a link."""
        self.give(told.LinkLost(link, reason), after_ms=self.latency.answer_ms)

    # -- effects ------------------------------------------------------------------------------------------------------

    def _perform_all(self, effects: Sequence[do.Effect]) -> None:
        for effect in effects:
            self.perform(effect)

    def perform(self, effect: do.Effect) -> None:
        """Does what the engine wants done, or has it happen later on virtual time."""
        match effect:
            case do.OpenLink():
                self._open(effect)
            case do.CloseLink(link):
                self.venue.close(link)
            case do.SendControl(link, frame):
                self.later(self.latency.entry_ms, lambda: self.venue.control(link, frame))
            case do.SendRequest():
                self._send(effect)
            case do.CallRest():
                self._call(effect)
            case do.WakeAt(key, at_ns):
                self._wake(key, at_ns)
            case do.AppendJournal():
                self.recorded(effect)
            case do.Log():
                self.logged(effect)
            case do.Finish(reason):
                self.finished = reason
            case do.Fail():
                self.failed = effect
            case do.ShiftClock(offset_ms):
                self._offset_ms = offset_ms
            case do.Told() | do.StayAway() | do.CommandAnswered() | do.HaltTaken():
                pass  # there is no sink, no file of bans, no control channel and no kill switch beside it
            case unknown:
                assert_never(unknown)

    def _open(self, effect: do.OpenLink) -> None:
        link = effect.link
        taken = self.venue.connect(link, effect.kind, effect.path, self)
        opened = told.LinkOpened(link) if taken else told.LinkLost(link, self.venue.unreachable or "connection refused")
        self.give(opened, after_ms=self.latency.answer_ms)

    def _wake(self, key: str, at_ns: int) -> None:
        self._timers[key] = at_ns
        life = self.life

        def ring() -> None:
            if self.life == life and self._timers.get(key) == at_ns and self.running:
                del self._timers[key]
                self._step(told.TimeReached(key), told.Lane.CONTROL)

        self._at(max(at_ns, self.now_ns), told.Lane.CONTROL, ring, key)

    def _send(self, effect: do.SendRequest) -> None:
        link, request_id, method = effect.link, effect.request_id, effect.method
        if link not in self.venue.sockets:
            self.give(told.RequestNotWritten(link, request_id, "the link is gone"))
            return
        self.asked(method, effect.params)
        frame = request_frame(request_id, method, self._signed(method, effect.params))
        self.give(told.RequestWritten(link, request_id, self.stamp_ms))
        self.later(self.latency.entry_ms, lambda: self.venue.request(link, frame))

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
        self.asked(f"{effect.verb} {effect.path}", effect.params)
        request = rest_request(effect.verb, effect.path, effect.params, self.venue.signer(), self.stamp_ms)
        sent_ns, call_id, life = self.now_ns, effect.call_id, self.life

        def back(answer: Any) -> None:
            if self.life == life:
                reason = "" if answer else self.venue.unreachable or "no answer"
                read = as_answer(answer) if answer else None
                if read is not None:
                    self.answered(effect.path, effect.params, read)
                said = told.RestAnswered(call_id, read, sent_ns, reason)
                self.give(said, after_ms=self.latency.answer_ms)

        self.later(self.latency.entry_ms, lambda: self.venue.call(request, back))
