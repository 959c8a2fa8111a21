"""The clock of virtual runs: it jumps when no task can go on, and not while a thread works for one."""

from __future__ import annotations

import threading

import trio

from tests.virtual_time import pass_time, run_virtually


def test_an_hour_passes_at_once() -> None:
    async def main() -> float:
        began_s = trio.current_time()
        await trio.sleep(3_600)
        return trio.current_time() - began_s

    assert run_virtually(main) == 3_600


def test_what_a_thread_does_takes_no_virtual_time() -> None:
    """Beside it a task wants to be woken every second: without patience it would be, again and again."""

    async def main() -> float:
        async def every_second() -> None:
            while True:  # noqa: ASYNC110  (time itself is waited for)
                await trio.sleep(1)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(every_second)
            began_s = trio.current_time()
            await trio.to_thread.run_sync(threading.Event().wait, 0.03)  # longer than the clock waits before it jumps
            took_s = trio.current_time() - began_s
            nursery.cancel_scope.cancel()
        return took_s

    assert run_virtually(main) == 0


def test_a_hook_takes_as_long_as_it_says() -> None:
    async def main() -> float:
        began_s = trio.current_time()
        pass_time(0.04)
        return trio.current_time() - began_s

    assert run_virtually(main) == 0.04
    pass_time(5)  # in a replay there is no clock to move
