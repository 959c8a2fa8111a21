"""The signed session on the WebSocket API: opened, logged on, requests matched to answers by id, rotated, opened again.

A request is written at most once. Whatever ends it other than its own answer (deadline, lost link, revoked key) is reported as
`Unanswered`: what that means for an order is decided elsewhere. Keys that cannot log on (HMAC, RSA) sign every request instead.
Source: `seeds/004`, "WebSocket API General Info"; protocol.md 7; faults.md W16 to W19, O32, O33.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from itertools import count
from typing import Final, assert_never

import attrs
from msgspec import UnsetType

from coldframe.core.connectivity.backoff import Backoff
from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.unreadable import TOO_MANY, Unreadable
from coldframe.errors import DecodeError, LocalProtocolError
from coldframe.model.effects import CloseLink, Fail, Level, LinkKind, OpenLink, SendRequest
from coldframe.model.engine_events import ClockDoubted, RulesDoubted
from coldframe.model.inputs import LinkLost, LinkOpened, RequestNotWritten, TimeReached
from coldframe.model.journal import RowKind
from coldframe.units import NS_PER_MS
from coldframe.wire.api import METHODS, ApiReply, parse_reply
from coldframe.wire.codec import Census
from coldframe.wire.codes import CodeClass, classify, describe
from coldframe.wire.filters import RULE_CODES
from coldframe.wire.replies import ErrorBody
from coldframe.wire.rest import Answer, ban_end_ms
from coldframe.wire.weights import HANDSHAKE_WEIGHT

#: Requests that the journal keeps: those about orders. Others carry session secrets.
_JOURNALED: Final = ("order.", "algoOrder.")


class SessionState(StrEnum):
    DOWN = "down"
    LOGGING_ON = "logging on"
    READY = "ready"
    REVOKED = "revoked"


@attrs.frozen
class Answered:
    """The venue answered a request. Exactly one of result (raw JSON) and error is set."""

    purpose: RequestPurpose
    status: int
    result: bytes | None
    error: ErrorBody | None


@attrs.frozen
class Unanswered:
    """No answer will come: the outcome of the request is unknown, unless `written` is false, when no byte of it left."""

    purpose: RequestPurpose
    reason: str
    written: bool = True


@attrs.frozen
class SessionReady:
    """Requests may be sent."""


@attrs.frozen
class SessionDown:
    """Requests cannot be sent for now, and why."""

    reason: str


SessionEvent = Answered | Unanswered | SessionReady | SessionDown


@attrs.frozen
class ApiFrame:
    """One frame of an API link."""

    link: str
    frame: bytes


#: What the session takes in: what became of its links and requests, and its own times (`session:…`).
SessionInput = LinkOpened | LinkLost | ApiFrame | RequestNotWritten | TimeReached


@attrs.frozen
class _Logon(RequestPurpose):
    """The purpose of a session.logon."""

    link: str


@attrs.define
class _Pending:
    purpose: RequestPurpose
    link: str
    deadline_ns: int


@attrs.define
class _ApiLink:
    id: str
    opened_ns: int
    ready: bool = False
    #: When the successor has taken over, this link is closed as soon as its last answer is in, or at this time.
    retire_ns: int | None = None


@attrs.frozen
class SessionLimits:
    """Times in milliseconds, and a bound. The answer deadline is how long an order's fate may be open before we start to ask."""

    answer_ms: int = 2_000
    #: The log-on decides nothing about an order: on a long way it may take its time.
    logon_ms: int = 10_000
    rotate_after_ms: int = 23 * 3_600_000
    retire_ms: int = 10_000
    check_ms: int = 250
    #: How many requests without an answer in time are remembered, in case the answer still comes.
    overdue: int = 1_000


class Session:
    """The order side's connection. What follows from an input comes back from `step`, for its owner."""

    def __init__(self, ctx: StepContext, can_log_on: bool, limits: SessionLimits) -> None:
        self._ctx = ctx
        self._can_log_on = can_log_on
        self._limits = limits
        self._backoff = Backoff(ctx.chance)
        self._ids = count(1)
        self._generation = count(1)
        self._pending: dict[int, _Pending] = {}
        self._overdue: dict[int, RequestPurpose] = {}
        self._links: dict[str, _ApiLink] = {}
        self._opening: str | None = None
        self._current: _ApiLink | None = None
        self._was_ready = False
        self._retry_rotation_ns = 0
        self._checks = DueChecks("session:check", limits.check_ms)
        self._unreadable = Unreadable()
        self.census = Census()
        self.state = SessionState.DOWN
        self.reconnects = 0

    # -- life of the connection ---------------------------------------------------------------------------------------

    def start(self) -> None:
        """Opens the connection as soon as one more may be opened, and the rate limits have room for handshake and log-on."""
        if self._opening is not None:
            return
        held_ms = self._ctx.connect(LinkKind.API)
        if held_ms:
            self._ctx.wake("session:open", held_ms)
            return
        weight = HANDSHAKE_WEIGHT + (METHODS["session.logon"].cost.weight({}) if self._can_log_on else 0)
        wait_until = self._ctx.rate_limits.reserve(weight, 0, 0, self._ctx.venue_ms, Priority.NEEDED)
        if wait_until:
            self._ctx.connects.give_back(LinkKind.API)
            self._ctx.wake("session:open", max(wait_until - self._ctx.venue_ms, 1))
            return
        self._opening = f"api.{next(self._generation)}"
        self._ctx.emit(OpenLink(self._opening, LinkKind.API, ""))

    def owns(self, link: str) -> bool:
        return link == self._opening or link in self._links

    def step(self, event: SessionInput) -> list[SessionEvent]:
        """Takes in one input."""
        events = self._take_in(event)
        self._ask_for_check()
        return events

    def _take_in(self, event: SessionInput) -> list[SessionEvent]:
        match event:
            case ApiFrame(link, frame):
                return self._received(link, frame)
            case LinkOpened(link):
                return self._opened(link)
            case LinkLost(link, reason):
                return self._lost(link, reason, event.banned_until_ms or 0)
            case RequestNotWritten(_, request_id, reason):
                return self._not_written(request_id, reason)
            case TimeReached(key):
                return self._woken(key)
            case unknown:
                assert_never(unknown)

    def _opened(self, link: str) -> list[SessionEvent]:
        self._opening = None
        connection = self._links[link] = _ApiLink(link, self._ctx.now_ns)
        self._checks.begin(self._ctx.now_ns)
        if not self._can_log_on:
            return self._ready(connection)
        if self._current is None:
            self.state = SessionState.LOGGING_ON
        self._write(connection, "session.logon", {}, _Logon(link))
        return []

    def _lost(self, link: str, reason: str, not_before_ms: int = 0) -> list[SessionEvent]:
        """A link ended or could not be opened: everything that waited on it stays unanswered."""
        if link == self._opening:
            self._opening = None
        self._unreadable.forget(link)
        connection = self._links.pop(link, None)
        events = self._abandon(link, reason)
        if connection is not None and connection.retire_ns is not None:
            return events
        if self._current is not None and connection is not self._current:
            return events  # only a successor: the current link goes on, and rotation is tried again later
        if connection is not None and connection is self._current:
            self._current = None
            self.reconnects += 1
            events.append(SessionDown(reason))
        self.state = SessionState.DOWN
        delay_ms = max(self._backoff.next_delay_ms(self._ctx.now_ns), not_before_ms - self._ctx.venue_ms)
        self._ctx.log(Level.WARNING, f"order link lost: {reason}; opening it again in {delay_ms / 1000:.1f} s")
        self._ctx.wake("session:open", delay_ms)
        return events

    def _woken(self, key: str) -> list[SessionEvent]:
        if key == "session:open":
            if self._current is None:
                self.start()
            return []
        self._checks.taken()
        return self._check()

    def _ask_for_check(self) -> None:
        self._ctx.check(self._checks, self.next_due_ns())

    def next_due_ns(self) -> int | None:
        """When there is something to check next: an answer that is late, a link that is old; None while there is nothing."""
        current, retiring = self._current, [link for link in self._links.values() if link.retire_ns is not None]
        due = [request.deadline_ns for request in self._pending.values()]
        due += [link.retire_ns or 0 if self._busy(link) else self._ctx.now_ns for link in retiring]
        if current is not None and len(self._links) == 1:
            due.append(max(self._rotate_at_ns(current), self._retry_rotation_ns))
        return min(due, default=None)

    def _busy(self, link: _ApiLink) -> bool:
        return any(waiting.link == link.id for waiting in self._pending.values())

    def _check(self) -> list[SessionEvent]:
        now = self._ctx.now_ns
        late = [request_id for request_id, request in self._pending.items() if now >= request.deadline_ns]
        events: list[SessionEvent] = []
        for request_id in late:
            request = self._pending.pop(request_id)
            if isinstance(request.purpose, _Logon):
                events += self._drop(request.link, "no answer to session.logon")
            else:
                self._remember_overdue(request_id, request.purpose)
                events.append(Unanswered(request.purpose, f"no answer within {self._limits.answer_ms} ms"))
        current = self._current
        if current and now >= max(self._rotate_at_ns(current), self._retry_rotation_ns):
            self._rotate("its planned end is near")
        for link in [link for link in self._links.values() if link.retire_ns is not None]:
            if not self._busy(link) or now >= (link.retire_ns or 0):
                events += self._drop(link.id, "rotated")
        return events

    def _rotate(self, reason: str) -> None:
        """Opens a successor of the current link, unless one is on its way."""
        if self._current is None or len(self._links) > 1:
            return
        self._ctx.log(Level.INFO, f"order link: rotating ({reason})")
        self._retry_rotation_ns = self._ctx.now_ns + 60_000 * NS_PER_MS
        self.start()

    def _rotate_at_ns(self, link: _ApiLink) -> int:
        return link.opened_ns + self._limits.rotate_after_ms * NS_PER_MS

    def _remember_overdue(self, request_id: int, purpose: RequestPurpose) -> None:
        self._overdue[request_id] = purpose
        if len(self._overdue) > self._limits.overdue:
            del self._overdue[next(iter(self._overdue))]

    def _drop(self, link: str, reason: str) -> list[SessionEvent]:
        self._ctx.emit(CloseLink(link, reason))
        return self._lost(link, reason)

    def _ready(self, link: _ApiLink) -> list[SessionEvent]:
        link.ready = True
        old, self._current = self._current, link
        if old is not None:
            old.retire_ns = self._ctx.now_ns + self._limits.retire_ms * NS_PER_MS
        self._backoff.succeeded(self._ctx.now_ns)
        self.state = SessionState.READY
        self._was_ready = True
        return [] if old is not None else [SessionReady()]

    # -- requests -----------------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        return self.state is SessionState.READY and self._current is not None

    def request(self, method: str, params: Mapping[str, str | int], purpose: RequestPurpose) -> None:
        """Writes one request on the current link; its fate comes back as an event with the same `purpose`.

        The caller has reserved its cost and made sure that the session is ready.
        """
        if self._current is None:
            raise LocalProtocolError(f"{method}: the order session is not ready")
        self._write(self._current, method, params, purpose)

    def cost_fits(self, method: str, params: Mapping[str, str | int], priority: Priority) -> int:
        """Reserves the cost of a request: 0 when it may be sent now, else the venue time at which to try again."""
        cost = METHODS[method].cost
        weight = cost.weight({name: str(value) for name, value in params.items()})
        return self._ctx.rate_limits.reserve(weight, cost.orders_10s, cost.orders_1m, self._ctx.venue_ms, priority)

    def _write(self, link: _ApiLink, method: str, params: Mapping[str, str | int], purpose: RequestPurpose) -> None:
        request_id = next(self._ids)
        limits = self._limits
        allowed_ms = max(limits.logon_ms, limits.answer_ms) if isinstance(purpose, _Logon) else limits.answer_ms
        deadline_ns = self._ctx.now_ns + allowed_ms * NS_PER_MS
        self._pending[request_id] = _Pending(purpose, link.id, deadline_ns)
        self._ask_for_check()
        request = SendRequest(link.id, request_id, method, params)
        self._ctx.emit(request)
        if method.startswith(_JOURNALED):
            self._ctx.record(RowKind.REQUEST, str(request_id), {"link": link.id, "method": method, "params": dict(params)})

    def _not_written(self, request_id: int, reason: str) -> list[SessionEvent]:
        """A request could not be written, and certainly no byte of it left: good to know however late it comes."""
        request = self._pending.pop(request_id, None)
        purpose = request.purpose if request else self._overdue.pop(request_id, None)
        if purpose is None or isinstance(purpose, _Logon):
            return []  # a log-on decides nothing about an order: its link ends, or it is late
        return [Unanswered(purpose, reason, written=False)]

    def purpose_of(self, request_id: int) -> RequestPurpose | None:
        """What a request is for, also after its deadline; None when it is not known."""
        request = self._pending.get(request_id)
        return request.purpose if request else self._overdue.get(request_id)

    # -- answers ------------------------------------------------------------------------------------------------------

    def _received(self, link: str, frame: bytes) -> list[SessionEvent]:
        """One frame of the API link. An answer without an id speaks of the session as a whole."""
        if b'"serverShutdown"' in frame:
            self._rotate("the venue announced a shutdown")
            return []
        try:
            reply = parse_reply(frame, self.census)
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"order link: unreadable frame: {error}")
            return self._drop(link, TOO_MANY) if self._unreadable.too_many(link, self._ctx.now_ns) else []
        counts = () if isinstance(reply.rate_limits, UnsetType) else reply.rate_limits
        if counts or reply.id is not None:
            self._ctx.rate_limits.adopt_rows(counts, self._ctx.venue_ms)
        if reply.id is None:
            return self._session_error(link, reply)
        purpose = self._purpose_of_answer(reply.id)
        fault = reply.error if isinstance(reply.error, ErrorBody) else None
        if fault is not None:
            self._heed(reply.status, fault)
        if isinstance(purpose, _Logon):
            return self._logged_on(purpose.link, fault)
        if purpose is None:
            return []
        result = None if isinstance(reply.result, UnsetType) else bytes(reply.result)
        self._record_answer(reply, fault, result)
        return [Answered(purpose, reply.status, result, fault)]

    def _record_answer(self, reply: ApiReply, fault: ErrorBody | None, result: bytes | None) -> None:
        """Journals an answer about an order. Answers about listen keys are not journaled: they carry a secret."""
        said: dict[str, object] = {"status": reply.status}
        if fault is not None:
            said |= {"code": fault.code, "msg": fault.msg}
        elif result is not None and b'"listenKey"' not in result:
            said["result"] = result.decode(errors="replace")
        self._ctx.record(RowKind.ANSWER, str(reply.id), said)

    def _purpose_of_answer(self, request_id: object) -> RequestPurpose | None:
        """What an answer is for. An answer after its deadline is evidence all the same."""
        if not isinstance(request_id, int):
            return None
        request = self._pending.pop(request_id, None)
        if request is not None:
            return request.purpose
        return self._overdue.pop(request_id, None)

    def _heed(self, status: int, error: ErrorBody) -> None:
        """What an error says beyond its own request: a ban, a clock that is off, rules that are not ours."""
        if classify(error.code) is CodeClass.CLOCK:
            self._ctx.publish(ClockDoubted())
        if error.code in RULE_CODES:
            self._ctx.publish(RulesDoubted())
        as_rest = Answer(429 if error.code == -1003 and status != 418 else status, {}, error.msg.encode())
        until_ms = ban_end_ms(as_rest, self._ctx.venue_ms)
        if until_ms is not None:
            self._ctx.rate_limits.ban(until_ms)

    def _logged_on(self, link: str, error: ErrorBody | None) -> list[SessionEvent]:
        connection = self._links.get(link)
        if connection is None:
            return []
        if error is None:
            self._ctx.log(Level.INFO, "order link: logged on" + (" again" if self._was_ready else ""))
            return self._ready(connection)
        text = f"log-on refused: {describe(error.code)}: {error.msg}"
        kind = classify(error.code)
        if not self._was_ready and kind in (CodeClass.FATAL, CodeClass.LOG_ON, CodeClass.OUR_BUG, CodeClass.REJECT):
            self._ctx.emit(Fail("AuthenticationRefused", f"{text} Check the API key, its private key and its permissions."))
            return []
        self._ctx.log(Level.ERROR, f"order link: {text}")
        return self._drop(link, text)

    def _session_error(self, link: str, reply: ApiReply) -> list[SessionEvent]:
        error = reply.error if isinstance(reply.error, ErrorBody) else ErrorBody(0, "answer without an id")
        if reply.status != 401:
            self._ctx.log(Level.WARNING, f"order link: {describe(error.code)}: {error.msg}")
            return []
        self._ctx.log(Level.ERROR, f"order link: session revoked by the venue: {describe(error.code)}: {error.msg}")
        events = self._drop(link, "session revoked")
        if self._current is None:
            self.state = SessionState.REVOKED
        return events

    def _abandon(self, link: str, reason: str) -> list[SessionEvent]:
        """What waited on a link stays unanswered. It is remembered all the same: that it was written, or was not, may come late."""
        gone = {request_id: request.purpose for request_id, request in self._pending.items() if request.link == link}
        for request_id, purpose in gone.items():
            del self._pending[request_id]
            self._remember_overdue(request_id, purpose)
        return [Unanswered(purpose, reason) for purpose in gone.values() if not isinstance(purpose, _Logon)]
