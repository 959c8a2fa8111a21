"""What happens when a run breaks: its orders are cancelled at the venue, over a line that shares nothing with what broke.

A bug ends the house, whichever of its tasks it was in, and everything in it. What must not outlive it are orders that nobody looks
after any more (faults.md P11). Positions stay; the journal keeps what was in flight, and the next run asks for it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import trio

from coldframe.core.engine import Engine
from coldframe.errors import ColdframeError, InvariantBroken
from coldframe.model.effects import Level
from coldframe.runtime.braking import brake_work
from coldframe.runtime.build import Bot
from coldframe.runtime.connections import Connections
from coldframe.shell.brakework import BrakeWork
from coldframe.shell.clock import Clock, ThreadClock

#: How long all of it may take.
_RESCUE_S: Final = 8.0
#: Orders that were on their way when the run broke have arrived by then.
_AGAIN_S: Final = 0.5


def broke(error: BaseException) -> bool:
    """Whether a run was ended by a bug, or from outside, rather than by an error that was raised on purpose to end it."""
    if isinstance(error, BaseExceptionGroup):
        return any(broke(one) for one in error.exceptions)
    return isinstance(error, InvariantBroken) or not isinstance(error, ColdframeError)


async def cancel_what_is_left(
    bot: Bot, engine: Engine, connections: Connections, clock: Clock, log: Callable[[Level, str], None]
) -> None:
    """Cancels the orders of all strategies, and says what is left of them. Nothing that goes wrong here is raised."""
    live = [one.client_order_id for one in engine.orders.live]
    if not live:
        return
    log(Level.ERROR, f"the run has broken with {len(live)} orders that may be open: they are cancelled")
    work = brake_work(bot, engine, connections, ThreadClock(clock))
    if work is None:
        return
    with trio.CancelScope(shield=True, deadline=trio.current_time() + _RESCUE_S) as scope:
        try:
            await _clear(work, [one.table.id for one in bot.strategies], log)
        finally:
            await trio.to_thread.run_sync(work.close, abandon_on_cancel=True)
    if scope.cancelled_caught:
        log(Level.ERROR, f"look at the venue yourself: nobody knows what is left after {_RESCUE_S:.0f} s")


async def _clear(work: BrakeWork, strategies: list[str], log: Callable[[Level, str], None]) -> None:
    for last in (False, True):
        troubles: list[str] = []
        for strategy in strategies:
            found = await trio.to_thread.run_sync(work.cancel, strategy, abandon_on_cancel=True)
            troubles += found.troubles
        if not last:
            await trio.sleep(_AGAIN_S)
    left = await trio.to_thread.run_sync(work.look, None, abandon_on_cancel=True)
    for trouble in dict.fromkeys(troubles + left.troubles):
        log(Level.ERROR, f"cancelling failed: {trouble}")
    many = "nobody knows how many" if left.left is None else left.left or "no"
    log(Level.ERROR, f"{many} orders of ours are open at the venue")
