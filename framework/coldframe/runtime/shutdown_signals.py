"""The signals that end a run: the first one drains, a second one ends at once, or frees the run from a hook that does not return.

Signals are the one thing that reaches a thread in the middle of a plugin's loop: what is raised there ends in the fence round
that plugin, so its strategy is muted and the end that was asked for goes on.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from types import FrameType
from typing import Any, Final

import trio

from coldframe.errors import StrategyFault
from coldframe.os_specific import ending_signals
from coldframe.trio_io.heartbeat import Heartbeat, describe_stack

#: For how long a run must have stood still in a hook before a second signal is meant for that hook.
_STUCK_S: Final = 1.0

Handler = Callable[[int, FrameType | None], Any]


@asynccontextmanager
async def ends(heartbeat: Heartbeat) -> AsyncIterator[AsyncIterator[int]]:
    """The signals that ask for the end, one by one."""
    numbers = ending_signals()
    with trio.open_signal_receiver(*numbers) as signals, _freeing(numbers, heartbeat):
        yield signals


@contextmanager
def _freeing(numbers: list[signal.Signals], heartbeat: Heartbeat) -> Iterator[None]:
    """Lets every signal but the first break into a hook that holds the run up. The handlers go when Trio puts the old ones back."""
    asked = 0

    def wrapped(before: Handler) -> Handler:
        def handler(number: int, frame: FrameType | None) -> None:
            nonlocal asked
            asked += 1
            if asked > 1 and heartbeat.silent_s >= _STUCK_S and describe_stack(frame)[0]:
                raise StrategyFault(f"it did not return until {signal.Signals(number).name} came a second time")
            before(number, frame)

        return handler

    for number in numbers:
        before = signal.getsignal(number)
        if callable(before):
            signal.signal(number, wrapped(before))
    yield
