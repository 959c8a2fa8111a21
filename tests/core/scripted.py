"""A whole engine against a tiny venue that performs every effect, answers like the exchange, and misbehaves on demand.

Time is a plain number. Nothing happens by itself: `run(ms)` lets time pass, every other method does one thing and lets the engine
work off what follows from it.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import count
from random import Random
from typing import Any, Final

import attrs
import msgspec

from coldframe.core.connectivity.request_ways import BY_REST
from coldframe.core.engine import Engine, EngineSetup
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.journal_codec import RestoredState
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.strategies.runtime import OnError
from coldframe.core.strategies.view import StrategyView
from coldframe.enums import Side
from coldframe.errors import StrategyFault
from coldframe.model.effects import (
    AppendJournal,
    CallRest,
    CloseLink,
    Effect,
    Fail,
    Finish,
    LinkKind,
    Log,
    OpenLink,
    SendControl,
    SendRequest,
    WakeAt,
)
from coldframe.model.events import StrategyEvent
from coldframe.model.inputs import (
    FramesReceived,
    Input,
    Lane,
    LinkLost,
    LinkOpened,
    RequestNotWritten,
    RequestWritten,
    RestAnswered,
    Stamped,
    StopAsked,
    TimeReached,
)
from coldframe.model.instruments import Instrument, Instruments
from coldframe.model.intents import Intent
from coldframe.model.journal import Row
from coldframe.model.wants import Wants
from coldframe.plug.hookspecs import EVENT_HOOKS
from coldframe.testing import instrument
from coldframe.units import NS_PER_MS
from coldframe.wire.codec import encode
from coldframe.wire.frames import envelope
from coldframe.wire.names import StreamName, is_all_market
from coldframe.wire.rest import USED_WEIGHT_HEADER, Answer
from tests.core.exchange import Exchange, No
from tests.core.made import START_MS, START_NS, mark_price
from tests.core.told import AtVenue

Levels = Iterable[tuple[str, str]]
#: What an answer says about limits: the usual ones, of which the venue has counted hardly anything.
COUNTS: Final = [
    {"rateLimitType": kind, "interval": interval, "intervalNum": number, "limit": limit, "count": 1}
    for kind, interval, number, limit in (
        ("REQUEST_WEIGHT", "MINUTE", 1, 2400),
        ("ORDERS", "SECOND", 10, 300),
        ("ORDERS", "MINUTE", 1, 1200),
    )
]
#: What may go by REST, and what it is on the WebSocket API.
BY_METHOD: Final = {call: method for method, call in BY_REST.items()}


@attrs.define(eq=False)
class Actor:
    """A strategy made of functions; what it is told gathers in `seen`. What a hook returns, or a list of it, is what it wants."""

    id: str = "mm"
    symbols: Sequence[str] = ("BTCUSDT",)
    on_error: OnError = OnError.QUARANTINE
    wants: Wants = Wants()
    acts: dict[str, Callable[[Any, StrategyView], object]] = attrs.field(factory=dict)
    reviews: Callable[[Intent], str | None] = lambda _: None
    hooks: frozenset[str] = EVENT_HOOKS
    seen: list[StrategyEvent] = attrs.field(factory=list)

    def call(self, hook: str, event: StrategyEvent, view: StrategyView) -> Sequence[object]:
        self.seen.append(event)
        try:
            wanted = self.acts[hook](event, view) if hook in self.acts else None
        except ArithmeticError as error:
            raise StrategyFault(f"{hook}: {error}") from error
        return wanted if isinstance(wanted, list) else [] if wanted is None else [wanted]

    def review(self, intent: Intent, view: StrategyView) -> str | None:
        try:
            return self.reviews(intent)
        except ArithmeticError as error:
            raise StrategyFault(f"review_intent: {error}") from error

    def told(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.seen if isinstance(event, kind)]


@attrs.define
class Link:
    kind: LinkKind
    path: str
    open: bool = False
    subscribed: dict[str, None] = attrs.field(factory=dict)


class Scripted:
    """The engine, its venue, and what the venue does wrong.

    What stands in `holds` (a method or a path) is carried out and answered only by `release`; what stands in `swallows` is carried
    out and never answered; what stands in `unwritten` never leaves, in `stuck` may have left or not. While `silent`, the user-data
    stream says nothing.
    """

    #: What answers of the WebSocket API say about limits, and REST about weight; None: nothing.
    counts: list[dict[str, Any]] | None = COUNTS

    def __init__(
        self,
        *actors: Actor,
        symbols: Sequence[str] = ("BTCUSDT",),
        channels: Sequence[str] = ("depth@100ms", "markPrice@1s"),
        instruments: Sequence[Instrument] = (),
        budgets: Mapping[str, Budget] | None = None,
        risk: RiskLimits | None = None,
        trading: OrderSideLimits | None = None,
        feed: FeedLimits | None = None,
        orders_on: bool = True,
        can_log_on: bool = True,
        past: RestoredState | None = None,
        **more: Any,
    ) -> None:
        self.now_ns = START_NS
        self.offset_ms = 0
        self.symbols = symbols
        self.effects: list[Effect] = []
        self.log: list[Log] = []
        self.links: dict[str, Link] = {}
        self.timers: dict[str, int] = {}
        self.ended: Fail | Finish | None = None
        self.exchange = Exchange(symbols, self)
        self.exchange.hedge = bool(more.get("hedge"))
        self.holds: set[str] = set()
        self.held: list[SendRequest | CallRest] = []
        self.swallows: set[str] = set()
        self.unwritten: set[str] = set()
        self.stuck: set[str] = set()
        self.unopened: set[LinkKind] = set()
        self.silent = False
        #: What a journal would hold, how much of it must be on the disk by now, and where each step ended.
        self.rows: list[Row] = []
        self.durable = 0
        self.steps: list[int] = []
        self._inbox: deque[tuple[Lane, Input]] = deque()
        self._seq = count(1)
        names = [(symbol, channel) for channel in channels for symbol in (symbols[:1] if is_all_market(channel) else symbols)]
        self.engine = Engine(
            EngineSetup(
                streams=[StreamName.of(symbol, channel) for symbol, channel in names],
                instruments=Instruments(instruments or [instrument(symbol) for symbol in symbols]),
                plugins=actors,
                budgets=budgets or {},
                risk=risk or RiskLimits(),
                rate_limits=[],
                chance=lambda: 0.5,
                epoch_ms=max(START_MS, past.epoch_ms + 1 if past else 0),
                past=past or RestoredState(),
                orders_on=orders_on,
                can_log_on=can_log_on,
                feed=feed or FeedLimits(),
                trading=trading or OrderSideLimits(),
                **{"random_of": Random, **more},
            )
        )

    # -- running ------------------------------------------------------------------------------------------------------

    def start(self) -> Scripted:
        self._perform(self.engine.start(self.now_ns))
        self._work()
        return self

    def ready(self) -> Scripted:
        """Started, logged on, reconciled, every book synced and every mark price known; effects so far are forgotten."""
        self.start()
        for symbol in self.symbols:
            for _ in range(2):
                self.book(symbol, [("99.9", "5")], [("100.1", "5")])
        self.run(600)
        assert self.engine.trading is None or self.engine.trading.reports_complete
        self.effects.clear()
        return self

    def give(self, event: Input, lane: Lane = Lane.CONTROL) -> list[Effect]:
        """Feeds one input and works off what follows. Returns all effects it brought."""
        before = len(self.effects)
        self._inbox.append((lane, event))
        self._work()
        return self.effects[before:]

    def run(self, ms: int, *, alive: bool = True) -> None:
        """Lets time pass. While `alive`, the market says something twice a second."""
        end_ns = self.now_ns + ms * NS_PER_MS
        beat_ns = self.now_ns + 500 * NS_PER_MS if alive else end_ns + 1
        while self.ended is None:
            due = min(self.timers, key=lambda key: self.timers[key], default="")
            due_ns = self.timers.get(due, end_ns + 1)
            if min(due_ns, beat_ns) > end_ns:
                break
            self.now_ns = max(self.now_ns, min(due_ns, beat_ns))
            if beat_ns <= due_ns:
                beat_ns += 500 * NS_PER_MS
                self.beat()
            else:
                del self.timers[due]
                self.give(TimeReached(due))
        self.now_ns = max(self.now_ns, end_ns)

    def beat(self) -> None:
        """The market moves a little."""
        for symbol in self.symbols:
            self.book(symbol)
            self.mark(symbol, "100")

    def want(self, actor: Actor, *intents: object) -> list[Effect]:
        """A strategy wants something, now and once."""
        wanted = [list(intents)]
        actor.acts["on_wake"] = lambda *_: wanted.pop() if wanted else None
        return self.wake(actor)

    def wake(self, actor: Actor) -> list[Effect]:
        return self.give(TimeReached(f"wake:{actor.id}:"))

    def verdicts(self, actor: Actor) -> dict[str, int]:
        """How the intents of a strategy ended so far."""
        return dict(self.engine.runtimes.get(actor.id).verdicts)

    def stop(self, reason: str = "signal") -> list[Effect]:
        return self.give(StopAsked(reason))

    def _work(self) -> None:
        while self._inbox and self.ended is None:
            lane, event = self._inbox.popleft()
            self._perform(self.engine.step(Stamped(next(self._seq), self.now_ns, lane, event)))

    def _perform(self, effects: Iterable[Effect]) -> None:
        effects = list(effects)
        self._record(effects)
        for effect in effects:
            self.effects.append(effect)
            match effect:
                case OpenLink(link, kind, path):
                    assert link not in self.links
                    self.links[link] = Link(kind, path, open=kind not in self.unopened)
                    if self.links[link].open:
                        self._queue(LinkOpened(link))
                case CloseLink(link):
                    del self.links[link]
                case SendControl(link, frame):
                    self._control(link, json.loads(frame))
                case SendRequest():
                    self._request(effect)
                case CallRest():
                    self._call(effect)
                case WakeAt(key, at_ns):
                    self.timers[key] = at_ns
                case Log():
                    self.log.append(effect)
                case Finish() | Fail():
                    self.ended = effect

    def _record(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, AppendJournal):
                body = msgspec.json.decode(msgspec.json.encode(effect.body))
                self.rows.append(Row(len(self.rows) + 1, self.now_ns, effect.kind, effect.ref, body))
        self.steps.append(len(self.rows))
        if any(isinstance(effect, SendRequest) and effect.risky for effect in effects):
            self.durable = len(self.rows)

    def restarted(self, *actors: Actor, past: RestoredState, **setup: Any) -> Scripted:
        """Another process goes on at the same venue, a moment later."""
        again = Scripted(*actors, symbols=self.symbols, past=past, **setup)
        again.exchange, again.exchange.owner = self.exchange, again
        again.now_ns = self.now_ns + 1_000 * NS_PER_MS
        return again.start()

    def _queue(self, event: Input, lane: Lane = Lane.CONTROL) -> None:
        self._inbox.append((lane, event))

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def venue_ms(self) -> int:
        """The venue's time."""
        return self.now_ns // NS_PER_MS + self.offset_ms

    def sent(self, method: str) -> list[SendRequest]:
        return [effect for effect in self.effects if isinstance(effect, SendRequest) and effect.method == method]

    def called(self, path: str) -> list[CallRest]:
        return [effect for effect in self.effects if isinstance(effect, CallRest) and effect.path == path]

    def by_rest(self, method: str) -> list[CallRest]:
        """The cancels or queries of that method that went by REST."""
        return [effect for effect in self.effects if isinstance(effect, CallRest) and self._named(effect) == method]

    def of_kind(self, kind: LinkKind) -> list[str]:
        """The links of a kind, oldest first."""
        return [name for name, link in self.links.items() if link.kind is kind]

    def said(self) -> str:
        return "\n".join(line.text for line in self.log)

    # -- links --------------------------------------------------------------------------------------------------------

    def lose(self, kind: LinkKind, reason: str = "gone") -> list[Effect]:
        """The newest link of a kind ends."""
        name = self.of_kind(kind)[-1]
        del self.links[name]
        return self.give(LinkLost(name, reason))

    def lose_all(self) -> None:
        for name in list(self.links):
            del self.links[name]
            self.give(LinkLost(name, "gone"))

    def _control(self, link: str, request: dict[str, Any]) -> None:
        opened = self.links[link]
        for name in request["params"]:
            if request["method"] == "SUBSCRIBE":
                opened.subscribed[name] = None
            else:
                opened.subscribed.pop(name, None)
        self._queue(FramesReceived(link, (json.dumps({"result": None, "id": request["id"]}).encode(),)), Lane.MARKET)

    # -- the market ---------------------------------------------------------------------------------------------------

    def say(self, name: str, payload: object) -> list[Effect]:
        """A payload of a stream, over every link that asked for it."""
        body = payload if isinstance(payload, bytes) else encode(payload)
        before = len(self.effects)
        for link, opened in list(self.links.items()):
            if name in opened.subscribed:
                self.give(FramesReceived(link, (envelope(name, body),)), Lane.MARKET)
        return self.effects[before:]

    def mark(self, symbol: str, price: str) -> list[Effect]:
        return self.say(f"{symbol.lower()}@markPrice@1s", mark_price(price, symbol=symbol, event_ms=self.venue_ms))

    def book(self, symbol: str, bids: Levels | None = None, asks: Levels | None = None) -> list[Effect]:
        """The book of a symbol now holds these levels (None: as before), and the stream says so."""
        return self.say(f"{symbol.lower()}@depth@100ms", self.exchange.book(symbol, bids, asks))

    def gap(self, symbol: str) -> None:
        """An event of the book is lost on the way."""
        self.exchange.book(symbol, None, None)

    # -- requests and calls -------------------------------------------------------------------------------------------

    def _request(self, request: SendRequest) -> None:
        assert self.links[request.link].open, "written to a link that does not stand"
        if request.method in self.unwritten:
            self._queue(RequestNotWritten(request.link, request.request_id, "the link is full"))
            return
        if request.method in self.stuck:
            return
        self._queue(RequestWritten(request.link, request.request_id, self.venue_ms))
        if request.method in self.holds:
            self.held.append(request)
        else:
            self._answer(request)

    def _answer(self, request: SendRequest) -> None:
        status, body = self.exchange.carry_out(request.method, request.params)
        if request.method not in self.swallows:
            self.reply(request, {"status": status, ("result" if status == 200 else "error"): body})

    def reply(self, request: SendRequest, body: Mapping[str, object]) -> None:
        """Any answer to a request, with the counts of the venue."""
        counted = {} if self.counts is None else {"rateLimits": self.counts}
        body = {"id": request.request_id, **body, **counted}
        self._queue(FramesReceived(request.link, (json.dumps(body).encode(),)), Lane.PRIVATE)

    def _call(self, call: CallRest) -> None:
        if self.holds & {call.path, self._named(call)}:
            self.held.append(call)
        else:
            self._answer_call(call)

    @staticmethod
    def _named(call: CallRest) -> str:
        """The method of the WebSocket API that a call stands for, where that goes by REST; else empty."""
        named = "origClientOrderId" in call.params or "clientAlgoId" in call.params or call.path.endswith("/listenKey")
        return BY_METHOD.get((call.verb, call.path), "") if named else ""

    def _answer_call(self, call: CallRest) -> None:
        answer: Answer | None = None
        headers = {} if self.counts is None else {USED_WEIGHT_HEADER: "1"}
        method = self._named(call)
        if call.path in self.exchange.refuses:
            code, msg = self.exchange.refuses[call.path]
            answer = Answer(400, headers, json.dumps({"code": code, "msg": msg}).encode())
        elif method or call.verb == "DELETE":
            status, told = self.exchange.carry_out(method or "order.cancel", self.exchange.by_client_id(call.params))
            answer = None if self.swallows & {call.path, method} else Answer(status, headers, json.dumps(told).encode())
        elif call.path not in self.swallows:
            body = self.exchange.rest(call.path, call.params)
            if isinstance(body, No):
                answer = Answer(400, headers, json.dumps({"code": body.code, "msg": body.msg}).encode())
            else:
                answer = Answer(200, headers, json.dumps(body).encode())
        self._queue(RestAnswered(call.call_id, answer, self.now_ns, "" if answer else "no answer in time"))

    def release(self, arrange: Callable[[list[Any]], Iterable[Any]] = list) -> None:
        """Carries out and answers everything that was held, in the given order."""
        held, self.held = self.held, []
        for message in arrange(held):
            if isinstance(message, SendRequest):
                self._answer(message)
            else:
                self._answer_call(message)
        self._work()

    def drop(self) -> None:
        """Everything that was held is lost: nothing is carried out, and no answer comes."""
        held, self.held = self.held, []
        for effect in held:
            if isinstance(effect, CallRest):
                self._queue(RestAnswered(effect.call_id, None, self.now_ns, "no answer in time"))
        self._work()

    def refuse(self, code: int, msg: str = "no", *, status: int = 400) -> None:
        """Answers the oldest held request with an error, without carrying it out."""
        request = self.held.pop(0)
        assert isinstance(request, SendRequest)
        self.reply(request, {"status": status, "error": {"code": code, "msg": msg}})
        self._work()

    # -- reports ------------------------------------------------------------------------------------------------------

    def tell(self, message: object) -> None:
        """An event on the user-data stream."""
        body = message if isinstance(message, bytes) else encode(message)
        for name in [] if self.silent else self.of_kind(LinkKind.PRIVATE):
            if self.links[name].open:
                self._queue(FramesReceived(name, (body,)), Lane.PRIVATE)

    def fill(self, client_order_id: str, quantity: str, price: str | None = None) -> None:
        """One of the orders at the venue trades."""
        self.exchange.fill(client_order_id, quantity, price)
        self._work()

    def external_order(self, client_order_id: str, side: Side = Side.BUY, quantity: str = "1", price: str = "95") -> AtVenue:
        """Another client places an order on the account."""
        order = self.exchange.external_order(client_order_id, self.symbols[0], side, quantity, price)
        self._work()
        return order
