"""Sinks of plugins: they hear what happens in a run, and can neither hold it up nor end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from coldframe.errors import PluginError
from coldframe.model.effects import Log, Told
from coldframe.plug.fence import fenced
from coldframe.plug.hookspecs import Sink

#: Nanoseconds after which a sink has held the run up.
SINK_LIMIT_NS: Final = 1_000_000_000


class Sinks:
    """All sinks of a run. A sink that raises, or holds the run up, is dropped with a line, given to `complain`.

    `stopwatch` reads a monotonic clock in nanoseconds.
    """

    def __init__(self, sinks: Iterable[Sink], complain: Callable[[str], None], stopwatch: Callable[[], int] = lambda: 0) -> None:
        self._sinks = list(sinks)
        self._complain = complain
        self._stopwatch = stopwatch

    def deliver(self, notice: Told | Log) -> None:
        """Tells every sink."""
        for sink in tuple(self._sinks):
            began_ns = self._stopwatch()
            try:
                fenced(_raised, sink, notice)
            except PluginError as error:
                self._drop(sink, str(error))
                continue
            took_ns = self._stopwatch() - began_ns
            if took_ns > SINK_LIMIT_NS:
                self._drop(sink, f"a sink took {took_ns // 1_000_000} ms, and has to return at once")

    def _drop(self, dropped: Sink, why: str) -> None:
        self._sinks = [sink for sink in self._sinks if sink is not dropped]
        self._complain(f"{why}; it is not called any more")


def _raised(line: str) -> PluginError:
    return PluginError(f"a sink failed: {line}")
