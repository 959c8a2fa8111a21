"""How a test waits in real time: for a condition and with a bound, where a thread, a file or a process has no event to set."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

import trio

#: Longer than a busy machine takes for anything.
PATIENCE_S: Final = 60.0
_LOOK_AGAIN_S: Final = 0.005


async def eventually(true: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Waits until something holds. Raises `trio.TooSlowError` when it does not in time."""
    with trio.fail_after(within_s):
        while not true():  # noqa: ASYNC110  (see above)
            await trio.sleep(_LOOK_AGAIN_S)


def stand_until(true: Callable[[], object], within_s: float = PATIENCE_S) -> None:
    """Holds this thread up until something holds, as a hook does that does not return; or until the time is over."""
    until_s = time.monotonic() + within_s
    while not true() and time.monotonic() < until_s:
        time.sleep(_LOOK_AGAIN_S)
