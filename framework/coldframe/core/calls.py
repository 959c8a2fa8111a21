"""REST calls of the brain: numbered, paid from the ledger, matched with what comes back.

A call that does not fit the limits now waits in a bounded queue; nothing is sent while we are banned.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Final

import attrs

from coldframe.core.clock import ClockSample
from coldframe.core.context import Context
from coldframe.core.limits import Priority
from coldframe.model.effects import CallRest, Level
from coldframe.model.inputs import RestAnswered
from coldframe.wire.rest import ENDPOINTS, Answer, ban_end_ms
from coldframe.wire.weights import Pool

#: How many calls may wait for room in the limits.
_QUEUE_LIMIT: Final = 2_000


@attrs.frozen
class Returned:
    """A call came back: with an answer, or without one and with the reason why."""

    purpose: object
    answer: Answer | None
    reason: str
    sent_ns: int


@attrs.frozen
class _Call:
    verb: str
    path: str
    params: Mapping[str, str | int]
    purpose: object


class Calls:
    """All REST calls of a run."""

    def __init__(self, ctx: Context) -> None:
        self._ctx = ctx
        self._ids = count(1)
        self._pending: dict[int, object] = {}
        self._queue: deque[_Call] = deque()

    def call(self, verb: str, path: str, params: Mapping[str, str | int], purpose: object) -> None:
        """Makes a call, now or as soon as the limits allow it. What comes of it is returned by `answered`."""
        if len(self._queue) >= _QUEUE_LIMIT:
            self._ctx.log(Level.ERROR, f"too many REST calls are waiting; {verb} {path} is left out")
            return
        self._queue.append(_Call(verb, path, params, purpose))
        self._send()

    def woken(self) -> None:
        """The time for which the queue waited has come (key `rest:queue`)."""
        self._send()

    def answered(self, event: RestAnswered) -> Returned | None:
        """What a call brought back; None for one that nobody waits for. Adopts the server's counts and heeds bans."""
        purpose = self._pending.pop(event.call_id, None)
        if event.answer is not None:
            self._heed(event.answer)
        if purpose is None:
            return None
        return Returned(purpose, event.answer, event.reason, event.sent_ns)

    def _heed(self, answer: Answer) -> None:
        ledger, now_ms = self._ctx.ledger, self._ctx.venue_ms
        if answer.used_weight_1m is not None:
            ledger.adopt_weight(answer.used_weight_1m, now_ms)
        until_ms = ban_end_ms(answer, now_ms)
        if until_ms is not None:
            ledger.ban(until_ms)
            self._ctx.log(Level.ERROR, f"the venue asks us to stay away for {(until_ms - now_ms) / 1000:.1f} s")

    def _send(self) -> None:
        while self._queue:
            one = self._queue[0]
            endpoint = ENDPOINTS[one.verb, one.path]
            weight = endpoint.cost.weight({name: str(value) for name, value in one.params.items()})
            charged = weight if endpoint.cost.pool is Pool.WEIGHT else 0
            wait_until = self._ctx.ledger.reserve(charged, 0, 0, self._ctx.venue_ms, Priority.NEEDED)
            if wait_until:
                self._ctx.wake("rest:queue", max(wait_until - self._ctx.venue_ms, 10))
                return
            self._queue.popleft()
            call_id = next(self._ids)
            self._pending[call_id] = one.purpose
            self._ctx.emit(CallRest(call_id, one.verb, one.path, one.params))


def clock_sample(returned: Returned, server_ms: int, now_ns: int) -> ClockSample:
    """The clock sample in an answer that carries the server's time."""
    return ClockSample(returned.sent_ns, now_ns, server_ms)
