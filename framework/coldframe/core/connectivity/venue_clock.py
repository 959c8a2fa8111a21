"""Keeps the venue's time: asked for at the start, every five minutes, and whenever an answer doubts our clock.

What is asked is `GET time`; what comes of it is the offset that every request carries (`coldframe.core.connectivity.clock_offset`).
"""

from __future__ import annotations

from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.latency_check import too_near
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rest_queue import RestQueue, Returned, clock_sample
from coldframe.core.connectivity.step_context import StepContext
from coldframe.model.effects import Level, ShiftClock
from coldframe.model.engine_events import ClockDoubted
from coldframe.model.inputs import TimeReached

#: Quick questions for the time at the start, then one every five minutes (milliseconds after the start).
_QUICK_MS: Final = (200, 1_000, 3_000)
_PERIOD_MS: Final = 300_000


@attrs.frozen
class PendingTime(RequestPurpose):
    """The purpose of a GET time."""


@attrs.frozen
class Windows:
    """What has to allow for the way to the venue: how old a request may be, and how long its answer may take (milliseconds)."""

    recv_window_ms: int
    answer_ms: int


class VenueClock:
    """Asks for the time. `windows` are those of a run with orders; None: there are none to look at."""

    def __init__(self, ctx: StepContext, calls: RestQueue, windows: Windows | None) -> None:
        self._ctx = ctx
        self._calls = calls
        self._windows = windows
        self._doubted = False
        self._said_too_near = False

    def start(self) -> None:
        """The run begins."""
        for after_ms in _QUICK_MS:
            self._ctx.wake(f"clock:quick:{after_ms}", after_ms)
        self._ctx.wake("clock:ask", _PERIOD_MS)

    def step(self, event: TimeReached | ClockDoubted | Returned) -> None:
        """Takes in that the time for a question has come (`clock:…`), a doubt of our clock, or what a question has brought."""
        match event:
            case TimeReached(key):
                self._ask()
                if key == "clock:ask":
                    self._ctx.wake(key, _PERIOD_MS)
            case ClockDoubted():
                self._doubted = True
            case Returned():
                self._returned(event)
            case unknown:
                assert_never(unknown)

    def ask_if_doubted(self) -> None:
        """At the end of a step: asks if something has happened in it that makes the clock doubtful."""
        if self._doubted:
            self._doubted = False
            self._ctx.clock.forget()
            self._ask()

    def _ask(self) -> None:
        if not self._calls.busy(PendingTime()):
            self._calls.call("GET", "/fapi/v1/time", {}, PendingTime())

    def _returned(self, returned: Returned) -> None:
        sample = clock_sample(returned, self._ctx.now_ns)
        if sample is None:
            return
        before = self._ctx.clock.offset_ms
        self._ctx.clock.sampled(sample)
        after = self._ctx.clock.offset_ms
        if after != before:
            self._ctx.emit(ShiftClock(after))
        if abs(after - before) >= 1_000:
            moved = f"the venue's clock is now {after / 1000:+.1f} s from this machine's (before: {before / 1000:+.1f} s)"
            self._ctx.log(Level.WARNING, f"{moved}: requests carry its time; set your clock")
        self._check_latency()

    def _check_latency(self) -> None:
        """Says once which keys are too small for the way to the venue."""
        trip_ms, windows = self._ctx.clock.round_trip_ms, self._windows
        if windows is None or trip_ms is None or self._said_too_near:
            return
        for line in too_near(trip_ms, windows.recv_window_ms, windows.answer_ms):
            self._said_too_near = True
            self._ctx.log(Level.ERROR, line)
