"""Until when a REST connection is waited for, as a trace."""

from __future__ import annotations

import pytest

from coldframe.exchange.endpoints.rest_patience import IDLE_MS, REQUEST_MS, RestPatience


def test_a_new_connection_has_to_speak_and_come_to_an_end() -> None:
    patience = RestPatience(1_000)
    assert patience.ends_ms == 1_000 + REQUEST_MS
    patience.begin_head(5_000)
    assert patience.ends_ms == 1_000 + REQUEST_MS, "a drop at a time wins nothing"
    patience.begin_body(9_000)
    assert patience.ends_ms == 9_000 + REQUEST_MS


@pytest.mark.parametrize("speaks_ms", [0, 100_000, IDLE_MS - REQUEST_MS, IDLE_MS - 1])
def test_a_second_request_may_be_late_and_not_slow(speaks_ms: int) -> None:
    patience = RestPatience(0)
    patience.begin_idling(2_000)
    assert patience.ends_ms == 2_000 + IDLE_MS
    for drop_ms in (0, 1, 5_000):
        patience.begin_head(2_000 + speaks_ms + drop_ms)
        assert patience.ends_ms == 2_000 + min(IDLE_MS, speaks_ms + REQUEST_MS)
