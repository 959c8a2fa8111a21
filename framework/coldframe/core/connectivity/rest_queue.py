"""REST calls of the engine: numbered, reserved in the rate limits, matched with what comes back.

A call that does not fit the limits now waits in a bounded queue; nothing is sent while we are banned. Calls that are needed go
before those that can wait, and only they may use the share of the limits that is kept back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from itertools import count
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.clock_offset import ClockSample
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.step_context import StepContext
from coldframe.errors import DecodeError
from coldframe.model.effects import CallRest, Level
from coldframe.model.engine_events import ClockDoubted
from coldframe.model.inputs import RestAnswered, TimeReached
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import CodeClass, classify
from coldframe.wire.reference import ServerTime
from coldframe.wire.rest import ENDPOINTS, Answer, ban_end_ms
from coldframe.wire.weights import Pool

#: How many calls may wait for room in the limits.
_QUEUE_LIMIT: Final = 2_000


@attrs.frozen
class Returned:
    """A call came back: with an answer, or without one and with the reason why."""

    purpose: RequestPurpose
    answer: Answer | None
    reason: str
    sent_ns: int


@attrs.frozen
class _Call:
    verb: str
    path: str
    params: Mapping[str, str | int]
    purpose: RequestPurpose

    @property
    def weight(self) -> int:
        """What it takes from the request weight; calls of other pools take nothing."""
        cost = ENDPOINTS[self.verb, self.path].cost
        return cost.weight({name: str(value) for name, value in self.params.items()}) if cost.pool is Pool.WEIGHT else 0


class RestQueue:
    """All REST calls of a run."""

    def __init__(self, ctx: StepContext) -> None:
        self._ctx = ctx
        self._ids = count(1)
        self._pending: dict[int, RequestPurpose] = {}
        self._queues: dict[Priority, deque[_Call]] = {Priority.NEEDED: deque(), Priority.NEW_RISK: deque()}

    def call(
        self,
        verb: str,
        path: str,
        params: Mapping[str, str | int],
        purpose: RequestPurpose,
        priority: Priority = Priority.NEEDED,
    ) -> None:
        """Makes a call, now or as soon as the limits allow it. What comes of it is returned by `step`."""
        queue = self._queues[priority]
        if len(queue) >= _QUEUE_LIMIT:
            self._ctx.log(Level.ERROR, f"too many REST calls are waiting; {verb} {path} is left out")
            return
        queue.append(_Call(verb, path, params, purpose))
        self._send()

    def busy(self, purpose: RequestPurpose) -> bool:
        """Whether a call for this purpose is waiting or under way."""
        waiting = (call.purpose for queue in self._queues.values() for call in queue)
        return purpose in self._pending.values() or purpose in waiting

    def step(self, event: RestAnswered | TimeReached) -> list[Returned]:
        """Takes in an answer, or that the time has come for which the queue waited (key `rest:queue`).

        Returns the call that came back; none for an answer that is not waited for.
        """
        match event:
            case RestAnswered():
                return self._answered(event)
            case TimeReached():
                self._send()
                return []
            case unknown:
                assert_never(unknown)

    def _answered(self, event: RestAnswered) -> list[Returned]:
        """Adopts the server's counts and heeds bans."""
        purpose = self._pending.pop(event.call_id, None)
        if event.answer is not None:
            self._heed(event.answer)
        if purpose is None:
            return []
        return [Returned(purpose, event.answer, event.reason, event.sent_ns)]

    def _heed(self, answer: Answer) -> None:
        rate_limits, now_ms = self._ctx.rate_limits, self._ctx.venue_ms
        rate_limits.adopt_weight(answer.used_weight_1m, now_ms)
        until_ms = ban_end_ms(answer, now_ms)
        if until_ms is not None:
            rate_limits.ban(until_ms)
            self._ctx.log(Level.ERROR, f"banned or throttled by the venue (418/429) for {(until_ms - now_ms) / 1000:.1f} s")
        fault = answer.fault
        if fault is not None and classify(fault.code) is CodeClass.CLOCK:
            self._ctx.publish(ClockDoubted())

    def _send(self) -> None:
        waits = [until for priority in self._queues if (until := self._drain(priority))]
        if waits:
            self._ctx.wake("rest:queue", max(min(waits) - self._ctx.venue_ms, 10))

    def _drain(self, priority: Priority) -> int:
        """Sends what fits of one queue. Returns the venue time at which to try again; 0 when nothing waits."""
        queue = self._queues[priority]
        while queue:
            call = queue[0]
            wait_until = self._ctx.rate_limits.reserve(call.weight, 0, 0, self._ctx.venue_ms, priority)
            if wait_until:
                return wait_until
            queue.popleft()
            call_id = next(self._ids)
            self._pending[call_id] = call.purpose
            self._ctx.emit(CallRest(call_id, call.verb, call.path, call.params))
        return 0


def clock_sample(returned: Returned, now_ns: int) -> ClockSample | None:
    """The clock sample in an answer to GET time; None when it does not tell the time."""
    if returned.answer is None or returned.answer.status != 200:
        return None
    try:
        return ClockSample(returned.sent_ns, now_ns, decode(ServerTime, returned.answer.body, Census()).server_time)
    except DecodeError:
        return None
