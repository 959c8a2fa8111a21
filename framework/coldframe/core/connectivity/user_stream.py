"""The user-data stream: its listen key asked for, kept alive and replaced, its link opened, rotated and opened again.

An open link proves nothing: a bogus key connects as well, and an expired one leaves the link open and silent (protocol.md 4.1
and 8.1). So the key is kept alive by answered requests, and every (re)opening is followed by a reconciliation of its owner's. Key
and keep-alive go by REST while the order link is down, so that it does not take the reports with it.
"""

from __future__ import annotations

from itertools import count
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.api_session import Answered, SessionReady, Unanswered
from coldframe.core.connectivity.backoff import Backoff
from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.request_ways import RequestWays
from coldframe.core.connectivity.step_context import StepContext
from coldframe.errors import DecodeError
from coldframe.model.effects import CloseLink, Level, LinkKind, OpenLink
from coldframe.model.inputs import LinkLost, LinkOpened, TimeReached
from coldframe.secret import Secret
from coldframe.units import NS_PER_MS
from coldframe.wire.account import ListenKeyExpired
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import describe
from coldframe.wire.replies import ErrorBody, ListenKey
from coldframe.wire.routes import private_path

#: Statuses of a refusal; with others the venue was busy, and the key may be as good as before.
_REFUSED: Final = (400, 401, 403)
#: When a keep-alive or a rotation has come to nothing, how long until the next try (milliseconds).
_TRY_AGAIN_MS: Final = 60_000


@attrs.frozen
class StartKey(RequestPurpose):
    """The purpose of a userDataStream.start."""


@attrs.frozen
class KeepKey(RequestPurpose):
    """The purpose of a userDataStream.ping."""


@attrs.frozen
class UserStreamLimits:
    """Times in milliseconds. The venue's listen keys live an hour."""

    keep_alive_ms: int = 25 * 60_000
    rotate_after_ms: int = 23 * 3_600_000
    overlap_ms: int = 10_000
    check_ms: int = 1_000


@attrs.frozen
class ReportsBegin:
    """Reports come from now on, and what was missed before is asked for."""


@attrs.frozen
class ReportsMissing:
    """From now on reports may be missing, and why."""

    reason: str


UserStreamEvent = ReportsBegin | ReportsMissing
#: What the user stream takes in: that requests may be sent, answers to its own, its links' fate, the end of its key, its times.
UserStreamInput = SessionReady | Answered | Unanswered | LinkOpened | LinkLost | ListenKeyExpired | TimeReached


@attrs.define
class _UserLink:
    id: str
    opened_ns: int | None = None
    close_at_ns: int | None = None


class UserStream:
    """The machine of the user-data stream. `up` is true while reports are believed to arrive."""

    def __init__(self, ctx: StepContext, ways: RequestWays, limits: UserStreamLimits) -> None:
        self._ctx = ctx
        self._ways = ways
        self._limits = limits
        self._backoff = Backoff(ctx.chance)
        self._generation = count(1)
        self._key: Secret | None = None
        self._keep_at_ns = 0
        self._rotate_at_ns = 0
        self._asking = False
        self._links: dict[str, _UserLink] = {}
        self._current: _UserLink | None = None
        self._checking = False
        self._checks = DueChecks("user:check", limits.check_ms)
        self.reconnects = 0
        #: Since when reports have come without a gap; 0 while they do not.
        self.since_ns = 0

    @property
    def up(self) -> bool:
        return self._current is not None and self._current.opened_ns is not None

    def suspended(self) -> None:
        """Nothing ran for a while: only from now on reports come without a gap."""
        self.since_ns = self._ctx.now_ns

    def owns(self, link: str) -> bool:
        return link in self._links

    def step(self, event: UserStreamInput) -> list[UserStreamEvent]:
        """Takes in one input. Returns what that means for the reports."""
        events = self._take_in(event)
        if self._checking:
            self._ctx.check(self._checks, self.next_due_ns())
        return events

    def _take_in(self, event: UserStreamInput) -> list[UserStreamEvent]:
        match event:
            case SessionReady():
                self._session_ready()
            case Answered() | Unanswered():
                return self._apply_answer(event)
            case LinkOpened(link):
                return [ReportsBegin()] if self._opened(link) else []
            case LinkLost(link, reason):
                return [ReportsMissing(reason)] if self._lost(link, reason) else []
            case ListenKeyExpired():
                was_up = self.up
                self._renew("listen key expired")
                return [ReportsMissing("listen key expired")] if was_up else []
            case TimeReached(key):
                self._woken(key)
            case unknown:
                assert_never(unknown)
        return []

    def _session_ready(self) -> None:
        """The order link stands: ask for a listen key, which also extends one that exists."""
        if not self._checking:
            self._checking = True
            self._checks.begin(self._ctx.now_ns)
        if not self._asking:
            self._ask()

    def _apply_answer(self, event: Answered | Unanswered) -> list[UserStreamEvent]:
        """An answer to one of this machine's own requests."""
        was_up = self.up
        match event:
            case Answered(StartKey(), _, result, error):
                self._asking = False
                self._started(result, error)
            case Answered(KeepKey(), 200, _, None):
                self._keep_after(self._limits.keep_alive_ms)
            case Answered(KeepKey(), status, _, ErrorBody(code=code)) if status in _REFUSED:
                self._renew(f"listen key not kept alive: {describe(code)}")
            case Unanswered(StartKey(), reason):
                self._asking = False
                self._failed(f"no listen key: {reason}")
            case Answered(KeepKey(), status):
                self._ctx.log(Level.WARNING, f"user stream: keep-alive answered with status {status}; trying again")
            case Unanswered(KeepKey(), reason):
                self._ctx.log(Level.WARNING, f"user stream: keep-alive unanswered: {reason}; trying again")
            case _:
                pass  # an answer to a request of another machine
        return [ReportsMissing("the listen key is worthless")] if was_up and not self.up else []

    def _started(self, result: bytes | None, error: ErrorBody | None) -> None:
        if error is not None:
            self._failed(f"no listen key: {describe(error.code)}")
            return
        try:
            self._keyed(Secret(decode(ListenKey, result or b"", Census()).listen_key))
        except DecodeError as broken:
            self._failed(f"no listen key: unreadable answer: {broken}")

    def _opened(self, link: str) -> bool:
        """A link stands. Returns whether a reconciliation is due: always, unless it only replaces one that was up."""
        connection = self._links[link]
        connection.opened_ns = self._ctx.now_ns
        self._backoff.succeeded(self._ctx.now_ns)
        replaced = self._current
        self._current = connection
        self._rotate_at_ns = self._ctx.now_ns + self._limits.rotate_after_ms * NS_PER_MS
        if replaced is None or replaced is connection or replaced.opened_ns is None:
            self.since_ns = self._ctx.now_ns
            return True
        replaced.close_at_ns = self._ctx.now_ns + self._limits.overlap_ms * NS_PER_MS
        return False

    def _lost(self, link: str, reason: str) -> bool:
        """A link ended or could not be opened. Returns whether reports are missing from now on."""
        connection = self._links.pop(link)
        if connection.close_at_ns is not None or connection is not self._current:
            if connection.opened_ns is None and self._current is None:
                self._failed(f"could not be opened: {reason}")
            return False
        was_up = connection.opened_ns is not None
        self._current = None
        self.reconnects += was_up
        self._failed(reason)
        return was_up

    def _woken(self, key: str) -> None:
        if key == "user:open":
            if self._current is None and self._checking and not self._asking:
                self._ask()
            return
        self._checks.taken()
        self._check()

    def next_due_ns(self) -> int | None:
        """When there is something to check next: a key or link that is old, a link that is replaced; None: there is nothing."""
        due = [link.close_at_ns for link in self._links.values() if link.close_at_ns is not None]
        if self.up and self._key is not None:
            due.append(self._keep_at_ns)
            due += [self._rotate_at_ns] if len(self._links) == 1 else []
        return min(due, default=None)

    def stop(self) -> None:
        """Closes the stream at the end of a run."""
        for link in list(self._links):
            self._close(link, "the run ends")
        self._current = None

    def _check(self) -> None:
        now = self._ctx.now_ns
        for link in [link for link in self._links.values() if link.close_at_ns is not None and now >= link.close_at_ns]:
            self._close(link.id, "rotated")
        current = self._current
        if current is None or current.opened_ns is None or self._key is None:
            return
        if now >= self._keep_at_ns:
            self._keep_after(_TRY_AGAIN_MS)
            self._send("userDataStream.ping", KeepKey())
        if now >= self._rotate_at_ns and len(self._links) == 1:
            self._rotate_at_ns = now + _TRY_AGAIN_MS * NS_PER_MS
            self._ctx.log(Level.INFO, "user stream: rotating before its planned end")
            self._open(self._key)

    def _keep_after(self, ms: int) -> None:
        self._keep_at_ns = self._ctx.now_ns + ms * NS_PER_MS

    def _ask(self) -> None:
        if self._send("userDataStream.start", StartKey()):
            self._asking = True
        else:
            self._failed("no room in the rate limits for a listen key")

    def _send(self, method: str, purpose: RequestPurpose) -> bool:
        return not self._ways.send(method, {}, purpose)

    def _keyed(self, key: Secret) -> None:
        self._keep_after(self._limits.keep_alive_ms)
        if key == self._key and self.up:
            return
        self._key = key
        self._open(key)

    def _open(self, key: Secret) -> None:
        held_ms = self._ctx.connect(LinkKind.PRIVATE)
        if held_ms:
            self._ctx.wake("user:open", held_ms)
            return
        connection = _UserLink(f"private.{next(self._generation)}")
        self._links[connection.id] = connection
        if self._current is None:
            self._current = connection
        self._ctx.emit(OpenLink(connection.id, LinkKind.PRIVATE, private_path(key.reveal())))

    def _renew(self, reason: str) -> None:
        """The key is worthless: close its links and ask for another one."""
        self._ctx.log(Level.WARNING, f"user stream: {reason}; asking for another one")
        for link in list(self._links):
            self._close(link, reason)
        self._key = self._current = None
        self.reconnects += 1
        if not self._asking:
            self._ask()

    def _close(self, link: str, reason: str) -> None:
        self._links.pop(link, None)
        self._ctx.emit(CloseLink(link, reason))

    def _failed(self, reason: str) -> None:
        delay_ms = self._backoff.next_delay_ms(self._ctx.now_ns)
        self._ctx.log(Level.WARNING, f"user stream: {reason}; trying again in {delay_ms / 1000:.1f} s")
        self._ctx.wake("user:open", delay_ms)
