"""The heartbeat of a run: what the kill switch's thread may know of the engine without touching it.

Written on the thread of the run, read on that of the kill switch. Every value is replaced as a whole, so that no lock is needed,
and nothing here is ever a way for the kill switch to change something.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from types import CodeType, FrameType

from coldframe.enums import PositionSide
from coldframe.model.effects import Told
from coldframe.model.events import OrderFilled, PositionChanged
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.trio_io.clock import monotonic_s

#: How many frames of a stack a line names, the innermost first.
_FRAMES = 6

PositionKey = tuple[str, str, PositionSide]


class Heartbeat:
    """Made on the thread whose heartbeat it is."""

    def __init__(self) -> None:
        self._thread = threading.get_ident()
        self._beat_s = monotonic_s()
        self._positions: dict[PositionKey, Decimal] = {}

    # -- written by the run -------------------------------------------------------------------------------------------

    def beat(self) -> None:
        """The run goes on."""
        self._beat_s = monotonic_s()

    def holds(self, positions: Mapping[PositionKey, Decimal]) -> None:
        """All positions as they are now, of every strategy."""
        self._positions = dict(positions)

    def note_position(self, effect: Told) -> None:
        """A position as a strategy has just been told of it."""
        event = effect.event
        if isinstance(event, OrderFilled | PositionChanged):
            self._positions[effect.strategy, event.symbol, event.position_side] = event.position

    # -- read by the kill switch --------------------------------------------------------------------------------------------

    @property
    def silent_s(self) -> float:
        """For how long the run has not gone on."""
        return monotonic_s() - self._beat_s

    def positions(self, strategy: str | None) -> dict[PositionKey, Decimal]:
        """The positions of one strategy, or all, that are not zero."""
        held = dict(self._positions)
        return {key: amount for key, amount in held.items() if amount and strategy in (None, key[0])}

    def whereabouts(self) -> tuple[str, str]:
        """Which plugin the run is in (empty for none), and its stack in one line, innermost first."""
        return describe_stack(sys._current_frames().get(self._thread))


_PLUGIN_CALLS: dict[CodeType, str] = {StrategyPlugin.call.__code__: "hook", StrategyPlugin.review.__code__: ""}


def describe_stack(innermost: FrameType | None) -> tuple[str, str]:
    """The plugin call in a stack, such as `strategy mm in on_book`, and the stack itself."""
    who, frame = "", innermost
    lines: list[str] = []
    while frame is not None:
        code = frame.f_code
        if len(lines) < _FRAMES:
            lines.append(f"{Path(code.co_filename).name}:{frame.f_lineno} {code.co_name}")
        if not who and code in _PLUGIN_CALLS:
            hook = frame.f_locals.get(_PLUGIN_CALLS[code]) or "review_intent"
            who = f"strategy {frame.f_locals['self'].id} in {hook}"
        frame = frame.f_back
    return who, " < ".join(lines)
