"""When the markets behind TradFi contracts are open: by their calendar, or in turns."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.market.sessions import CLOSED, Calendar

DAY, HOUR = 86_400_000, 3_600_000
MONDAY = 1_699_833_600_000  # 2023-11-13
MARKETS = ("EQUITY", "COMMODITY", "KR_EQUITY", "HK_EQUITY", "CN_EQUITY", "FX")


@pytest.mark.parametrize(("day", "open_"), [(0, True), (4, True), (5, False), (6, False), (7, True)])
def test_weekends_are_closed(day: int, open_: bool) -> None:
    calendar = Calendar()
    assert calendar.open("EQUITY", MONDAY + day * DAY + 15 * HOUR) is open_
    assert calendar.open("FX", MONDAY + day * DAY + 15 * HOUR) is open_
    assert calendar.open("COIN", MONDAY + day * DAY)


@pytest.mark.parametrize(("market", "hour"), [("FX", 21), ("COMMODITY", 22), ("KR_EQUITY", 7), ("HK_EQUITY", 8), ("CN_EQUITY", 0)])
def test_markets_close_within_the_week(market: str, hour: int) -> None:
    assert not Calendar().open(market, MONDAY + hour * HOUR)


def test_the_fx_session_has_an_event_and_a_schedule() -> None:
    running = {session.event: session for session in Calendar().running(MONDAY)}
    assert (running["FXUpdate"].session, running["FXUpdate"].end_ms) == ("REGULAR", MONDAY + 21 * HOUR)
    assert set(Calendar().schedule(MONDAY)) == set(MARKETS)


@given(st.integers(0, 4 * 10**12), st.sampled_from([0, 1, 30, 3600]))
def test_each_market_has_exactly_one_session(now_ms: int, session_s: int) -> None:
    calendar = Calendar(session_s)
    running = calendar.running(now_ms)
    assert len(running) == len(MARKETS) == len({session.event for session in running})
    for market, rows in calendar.schedule(now_ms).items():
        assert all(earlier[1] == later[0] for earlier, later in pairwise(rows))
        (session,) = [name for start, end, name in rows if start <= now_ms < end]
        assert calendar.open(market, now_ms) is (session != CLOSED)


@pytest.mark.parametrize("day", range(7))
def test_a_schedule_reaches_a_week_each_way_from_yesterday(day: int) -> None:
    now_ms = MONDAY + day * DAY + 15 * HOUR
    yesterday = MONDAY + (day - 1) * DAY
    for rows in Calendar().schedule(now_ms).values():
        assert (rows[0][0], rows[-1][1]) == (yesterday - 7 * DAY, yesterday + 8 * DAY)


def test_a_session_over_midnight_is_one() -> None:
    saturday = MONDAY + 5 * DAY
    rows = Calendar().schedule(MONDAY + 2 * DAY)
    assert (saturday, saturday + 2 * DAY, CLOSED) in rows["EQUITY"]
    assert (saturday - 2 * HOUR, saturday + 2 * DAY + 21 * HOUR, CLOSED) not in rows["FX"]
    assert (saturday - 17 * HOUR, saturday + 2 * DAY, CLOSED) in rows["KR_EQUITY"]  # Friday's close runs into the weekend
    for market in rows.values():
        assert all(earlier[2] != later[2] for earlier, later in pairwise(market))
    running = {session.event: session for session in Calendar().running(saturday + 30 * HOUR)}
    assert (running["EquityUpdate"].start_ms, running["EquityUpdate"].end_ms) == (saturday, saturday + 2 * DAY)


@given(st.integers(0, 10**9))
def test_alternating_sessions_follow_one_another(number: int) -> None:
    calendar = Calendar(30)
    opened = [calendar.open("EQUITY", (number + step) * 30_000) for step in range(3)]
    assert opened[0] is opened[2] is not opened[1]
