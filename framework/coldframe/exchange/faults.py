"""What the venue does wrong on purpose: one plan that is asked at the few points where something can go wrong.

Before a request is carried out it decides what becomes of the request; before private events leave it says which of them leave now,
twice, later or never; and at times it names a fault that is due. It knows neither sockets nor the exchange. Every draw comes
from the seed, each kind of fault from a sequence of its own, so that switching one on does not move the others. Its meanings stand
at `coldframe.exchange.settings.VenueFaults`; faults.md 1.4 names what each of them does to a bot.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import Enum
from itertools import count
from typing import Any, Final, TypeVar

import attrs
import msgspec

from coldframe.exchange.exchange import PrivateEvent
from coldframe.exchange.randomness import RandomSource, Seeded
from coldframe.exchange.refusals import refuse, status_of
from coldframe.exchange.settings import VenueFaults
from coldframe.wire.requests import Fault

#: Which requests are of which kind, by method of the WebSocket API and by verb and path of REST.
_KINDS: Final = {
    "order.place": "place",
    "algoOrder.place": "place",
    "order.modify": "modify",
    "order.cancel": "cancel",
    "algoOrder.cancel": "cancel",
    "order.status": "query",
    "POST /fapi/v1/order": "place",
    "POST /fapi/v1/algoOrder": "place",
    "PUT /fapi/v1/order": "modify",
    "DELETE /fapi/v1/order": "cancel",
    "DELETE /fapi/v1/algoOrder": "cancel",
    "GET /fapi/v1/order": "query",
    "GET /fapi/v1/openOrder": "query",
    "GET /fapi/v1/algoOrder": "query",
}
#: Lists of open orders, and the key of a row that names its order.
_LISTS: Final = {"GET /fapi/v1/openOrders": "clientOrderId", "GET /fapi/v1/openAlgoOrders": "clientAlgoId"}
#: Answers that say for certain that nothing was done (protocol.md 6.2).
_NEVER_ACCEPTED: Final = frozenset({"-1001", "-1008", "503-unavailable"})
#: `protocol.md` 6.2, the variants of a 503 without a code of their own (0 stands in no table): the outcome of the first is open,
#: the second was never carried out.
_503: Final = {
    "503": Fault(0, "Unknown error, please check your request or try again later."),
    "503-unavailable": Fault(0, "Service Unavailable."),
}
#: How many new orders are remembered for queries that forget them.
_REMEMBERED: Final = 10_000


T = TypeVar("T")


class ResponseMode(Enum):
    """How a request ends."""

    ANSWERED = "answered"
    SILENT = "silent"
    CUT = "cut"


@attrs.frozen
class FaultDecision:
    """What becomes of one request: carried out or not, after a while or at once, and what the client gets to hear of it."""

    #: How long it waits before it is carried out, and its answer after that.
    wait_ms: int = 0
    hold_ms: int = 0
    carried_out: bool = True
    #: What is answered instead of the truth, and with which status.
    instead: Fault | None = None
    status: int = 200
    #: The form of that answer on REST.
    form: str = "json"
    ending: ResponseMode = ResponseMode.ANSWERED


#: The decision about a request with which nothing goes wrong.
NO_FAULT: Final = FaultDecision()


class InjectedFault(Enum):
    """What goes wrong every so many seconds."""

    CUT_PRIVATE = "private_cut_s"
    CUT_MARKET = "market_cut_s"
    CUT_API = "api_cut_s"
    REVOKE_SESSIONS = "sessions_revoked_s"
    EXPIRE_LISTEN_KEYS = "listen_keys_expire_s"


class ConnectionKind(Enum):
    """What a connection carries: a user-data stream, market streams only, or the WebSocket API."""

    PRIVATE = "private"
    MARKET = "market"
    API = "api"


#: The faults that cut connections, and which.
CUTS: Final = {
    InjectedFault.CUT_PRIVATE: ConnectionKind.PRIVATE,
    InjectedFault.CUT_MARKET: ConnectionKind.MARKET,
    InjectedFault.CUT_API: ConnectionKind.API,
}


class FaultPlan:
    """All faults of one venue; `seeded` makes the sequences that it draws from."""

    def __init__(self, settings: VenueFaults, seed: int, start_ms: int, seeded: Seeded) -> None:
        self.settings = settings
        self._seed, self._seeded = seed, seeded
        self._chances: dict[str, RandomSource] = {}
        #: How long each injected fault waits from one time to the next, and when the next one is.
        self._wait_ms = {fault: wait_ms for fault in InjectedFault if (wait_ms := _interval_ms(settings, fault))}
        self._due_ms = {fault: start_ms + wait_ms for fault, wait_ms in self._wait_ms.items()}
        self._requests = 0
        #: New orders that queries forget, by client order id, and when they were placed.
        self._forgotten: dict[str, int] = {}
        #: New orders that are hidden, by client order id: from when, and until when.
        self._hidden: dict[str, tuple[int, int]] = {}
        #: Events on their way, by the time at which they leave and the order in which they came.
        self._held: list[tuple[int, int, PrivateEvent]] = []
        self._numbers = count()
        self._latest_ms = 0
        self._troubles_events = any((settings.fills_duplicated, settings.events_delayed, settings.events_dropped))

    # -- requests -----------------------------------------------------------------------------------------------------

    def blocks(self) -> bool:
        """Counts one request. Whether it is the one after which every client is blocked."""
        self._requests += 1
        return self._requests == self.settings.blocked_after_requests

    def decide(self, call: str, params: Mapping[str, Any], now_ms: int) -> FaultDecision:
        """What becomes of a request; `call` is a method of the WebSocket API, or verb and path of REST."""
        kind = _KINDS.get(call)
        decision = NO_FAULT
        if kind == "query":
            decision = self._decide_query(params, now_ms)
        elif kind is not None:
            if kind == "place":
                self._note_new(params, now_ms)
            decision = self._decide_order(kind, params)
        latency_ms = self.settings.latency_ms
        return attrs.evolve(decision, wait_ms=decision.wait_ms + latency_ms) if latency_ms else decision

    def _decide_order(self, kind: str, params: Mapping[str, Any]) -> FaultDecision:
        settings = self.settings
        if kind in settings.doubtful_calls and self._drawn("doubtful", settings.orders_doubtful):
            answer = self._chance("answers").choice(settings.doubtful_answers)
            if answer != "-1008" or _throttled(kind, params):
                return self._doubtful(answer)
        if self._drawn("delay", settings.answers_delayed):
            return FaultDecision(hold_ms=self._up_to("delays", settings.answer_delay_ms))
        return NO_FAULT

    def _doubtful(self, answer: str) -> FaultDecision:
        late_ms = self.settings.late_ms
        match answer:
            case "late-answer":
                return FaultDecision(hold_ms=late_ms)
            case "late-request":
                return FaultDecision(wait_ms=late_ms)
            case _:
                pass  # the request is carried out or not, and its own answer never comes
        accepted = answer not in _NEVER_ACCEPTED and self._drawn("accepted", self.settings.doubtful_accepted)
        match answer:
            case "silence":
                return FaultDecision(carried_out=accepted, ending=ResponseMode.SILENT)
            case "cut":
                return FaultDecision(carried_out=accepted, ending=ResponseMode.CUT)
            case _:
                pass  # a code of the venue comes instead
        fault = _503.get(answer) or refuse(int(answer))
        form = self._chance("bodies").choice(self.settings.error_bodies)
        return FaultDecision(carried_out=accepted, instead=fault, status=503 if answer in _503 else status_of(fault), form=form)

    # -- queries that forget ------------------------------------------------------------------------------------------

    def _note_new(self, params: Mapping[str, Any], now_ms: int) -> None:
        name = params.get("newClientOrderId") or params.get("clientAlgoId")
        if not isinstance(name, str):
            return
        if self._drawn("forget", self.settings.orders_forgotten):
            _remember(self._forgotten, name, now_ms)
        if self._drawn("hide", self.settings.orders_hidden):
            from_ms = now_ms + self._up_to("hidden_after", int(self.settings.hidden_after_s * 1000))
            lasts_s = self._chance("hidden_for").choice(self.settings.hidden_for_s)
            _remember(self._hidden, name, (from_ms, from_ms + int(Decimal(lasts_s) * 1000)))

    def _hides(self, name: object, where: str, now_ms: int) -> bool:
        """Whether an order stands and is not to be seen now, in a `query` or a `list`."""
        from_ms, until_ms = self._hidden.get(name, (0, 0)) if isinstance(name, str) else (0, 0)
        return where in self.settings.hidden_from and from_ms <= now_ms < until_ms

    def _forgets(self, name: object, for_s: Decimal, now_ms: int) -> bool:
        placed_ms = self._forgotten.get(name) if isinstance(name, str) else None
        return placed_ms is not None and now_ms - placed_ms < for_s * 1000

    def _decide_query(self, params: Mapping[str, Any], now_ms: int) -> FaultDecision:
        name = params.get("origClientOrderId") or params.get("clientAlgoId")
        if self._forgets(name, self.settings.forgotten_by_query_s, now_ms) or self._hides(name, "query", now_ms):
            return FaultDecision(carried_out=False, instead=refuse(-2013), status=400)
        return NO_FAULT

    def listed(self, call: str, body: bytes, now_ms: int) -> bytes:
        """The answer to a call as the client gets it: a list of open orders without those that it forgets or hides."""
        key = _LISTS.get(call)
        if key is None or not (self._forgotten or self._hidden):
            return body
        rows = msgspec.json.decode(body)
        if not isinstance(rows, list):
            return body
        for_s = self.settings.forgotten_by_list_s
        shown = (row for row in rows if not self._hides(row[key], "list", now_ms))
        return msgspec.json.encode([row for row in shown if not self._forgets(row[key], for_s, now_ms)])

    # -- private events -----------------------------------------------------------------------------------------------

    def passing(self, events: list[PrivateEvent], now_ms: int) -> list[PrivateEvent]:
        """Which private events leave now: of those that have just come about, and of those that were held back."""
        if not self._troubles_events:
            return events
        for event in events:
            self._hold(event, now_ms)
        return list(self._ripe(now_ms))

    def _hold(self, event: PrivateEvent, now_ms: int) -> None:
        settings = self.settings
        if self._drawn("drop", settings.events_dropped):
            return
        late = self._drawn("late", settings.events_delayed)
        leaves_ms = now_ms + (self._up_to("lateness", settings.event_delay_ms) if late else 0)
        if not settings.events_reordered:
            leaves_ms = self._latest_ms = max(leaves_ms, self._latest_ms)
        self._push(event, leaves_ms)
        if event.fill and self._drawn("duplicate", settings.fills_duplicated):
            self._push(event, leaves_ms + self._up_to("duplicates", settings.duplicate_delay_ms))

    def _push(self, event: PrivateEvent, leaves_ms: int) -> None:
        heapq.heappush(self._held, (leaves_ms, next(self._numbers), event))

    def _ripe(self, now_ms: int) -> Iterator[PrivateEvent]:
        while self._held and self._held[0][0] <= now_ms:
            yield heapq.heappop(self._held)[2]

    # -- injected faults ------------------------------------------------------------------------------------------------------

    def due(self, now_ms: int) -> list[InjectedFault]:
        """The faults whose time has come; each comes once, however late it is asked for."""
        found = [fault for fault, at_ms in self._due_ms.items() if now_ms >= at_ms]
        for fault in found:
            self._wait_ms[fault] = int(self._wait_ms[fault] * self.settings.interval_growth)
            self._due_ms[fault] = now_ms + self._wait_ms[fault]
        return found

    # -- chance -------------------------------------------------------------------------------------------------------

    def _chance(self, name: str) -> RandomSource:
        found = self._chances.get(name)
        if found is None:
            found = self._chances[name] = self._seeded(f"{self._seed}:faults:{name}")
        return found

    def _drawn(self, name: str, share: Decimal) -> bool:
        return bool(share) and self._chance(name).random() < share

    def _up_to(self, name: str, most_ms: int) -> int:
        return self._chance(name).randint(0, most_ms)


def _remember(known: dict[str, T], name: str, value: T) -> None:
    known[name] = value
    if len(known) > _REMEMBERED:
        del known[next(iter(known))]


def _interval_ms(settings: VenueFaults, fault: InjectedFault) -> int:
    return int(getattr(settings, fault.value) * 1000)


def _throttled(kind: str, params: Mapping[str, Any]) -> bool:
    """Whether -1008 may meet it: cancels and orders that reduce are exempt (protocol.md 6.2)."""
    return kind == "place" and str(params.get("reduceOnly", "")).lower() != "true" and not params.get("closePosition")
