"""Sinks of plugins: they hear what happens in a run, and can neither hold it up nor end it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from coldframe.errors import PluginError
from coldframe.model.effects import Log, Told
from coldframe.plug.fence import fenced
from coldframe.plug.hookspecs import Sink


class Sinks:
    """All sinks of a run. One that raises is dropped with a line, given to `complain`; the run goes on without it."""

    def __init__(self, sinks: Iterable[Sink], complain: Callable[[str], None]) -> None:
        self._sinks = list(sinks)
        self._complain = complain

    def hear(self, news: Told | Log) -> None:
        """Tells every sink."""
        for sink in tuple(self._sinks):
            try:
                fenced(_raised, sink, news)
            except PluginError as error:
                self._sinks.remove(sink)
                self._complain(f"{error}; it hears nothing more")


def _raised(line: str) -> PluginError:
    return PluginError(f"a sink failed: {line}")
