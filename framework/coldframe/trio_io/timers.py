"""The engine's alarm clock: one task that sends `TimeReached` when a moment that was asked for has come."""

from __future__ import annotations

import heapq
from typing import Final

import trio

from coldframe.model.inputs import Lane, TimeReached
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.inbox import Inbox

#: Moments that were replaced stay in the heap until there are so many of them, and more than there are keys.
_SPARE: Final = 1_000


class Timers:
    """At most one moment per key; asking again for a key replaces the earlier moment."""

    def __init__(self, clock: Clock, inbox: Inbox, spare: int = _SPARE) -> None:
        self._spare = spare
        self._clock = clock
        self._inbox = inbox
        self._heap: list[tuple[int, str]] = []
        self._wanted: dict[str, int] = {}
        self._changed = trio.Event()

    def set(self, key: str, at_ns: int) -> None:
        """Asks for `TimeReached(key)` at `at_ns`."""
        self._wanted[key] = at_ns
        heapq.heappush(self._heap, (at_ns, key))
        if len(self._heap) > self._spare + 2 * len(self._wanted):
            self._heap = sorted((at_ns, key) for key, at_ns in self._wanted.items())
        if self._heap[0][1] == key:
            self._changed.set()

    async def run(self) -> None:
        """Sends what is due, for ever."""
        while True:
            self._send_due()
            self._changed = trio.Event()
            until = self._clock.trio_time(self._heap[0][0]) if self._heap else float("inf")
            with trio.move_on_at(until):
                await self._changed.wait()

    def _send_due(self) -> None:
        now_ns = self._clock.now_ns()
        while self._heap and self._heap[0][0] <= now_ns:
            at_ns, key = heapq.heappop(self._heap)
            if self._wanted.get(key) == at_ns:  # not replaced since
                del self._wanted[key]
                self._inbox.put(Lane.CONTROL, TimeReached(key))
