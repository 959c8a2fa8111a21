"""When the server turns the exchange, and how much time it leaves to others."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.exchange_server import EmbeddedVenue

BEGAN_MS = 1_700_000_000_000


@pytest.mark.parametrize("took_ms", [0, 49, 50, 5_000])
async def test_a_turn_leaves_time_however_long_it_took(took_ms: int, autojump_clock: MockClock) -> None:
    """A market that takes all the time that there is would otherwise starve every reader."""
    venue = EmbeddedVenue(Settings(), wall_ms=lambda: BEGAN_MS + took_ms)
    began_s = trio.current_time()
    await venue._wait_for_turn(BEGAN_MS, BEGAN_MS + 50)
    assert trio.current_time() - began_s == pytest.approx(0.05)
