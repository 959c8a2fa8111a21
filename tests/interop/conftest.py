"""A venue in a thread of its own, so that clients on asyncio can talk to it."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Iterator

import pytest
import trio

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.venue import Address, EmbeddedVenue


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Address]:
    """Where a synthetic venue listens while the tests run."""
    settings = Settings(keys_dir=str(tmp_path_factory.mktemp("keys")))
    ready: queue.Queue[tuple[Address, trio.lowlevel.TrioToken, trio.CancelScope]] = queue.Queue()

    async def serve() -> None:
        venue = EmbeddedVenue(settings, wall_ms=lambda: time.time_ns() // 1_000_000)
        async with trio.open_nursery() as nursery:
            where = await nursery.start(venue.serve)
            ready.put((where, trio.lowlevel.current_trio_token(), nursery.cancel_scope))

    thread = threading.Thread(target=trio.run, args=(serve,), daemon=True)
    thread.start()
    where, token, scope = ready.get(timeout=10)
    yield where
    trio.from_thread.run_sync(scope.cancel, trio_token=token)
    thread.join(timeout=10)
