"""What part of a history each call shows: seven days from a start, seven days to an end, the last seven days without times."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.config.venue import VenueAccount
from coldframe.exchange.endpoints.windows import (
    DAY_MS,
    FORCED,
    FUNDING,
    INCOME,
    MARGIN,
    ORDERS,
    STATISTICS,
    HistoryLimits,
    HistoryWindow,
    window,
)
from coldframe.wire.requests import Fault, Span
from tests.exchange.rig import START_MS, SYMBOL, Rig

HISTORIES = (ORDERS, INCOME, MARGIN, FORCED, FUNDING, STATISTICS)
NOW = START_MS + 200 * DAY_MS
ORDER_DAYS = (0, 2, 5, 8, 12)


@pytest.fixture
def rig() -> Rig:
    """A rig in which something was bought on five days, the last of them today."""
    made = Rig(funding_interval_s=10**9)
    made.book()
    for day in ORDER_DAYS:
        made.now_ms = START_MS + day * DAY_MS
        made.place("BUY", "0.1")
    return made


def days(rows: object, key: str = "time") -> list[int]:
    return [(row[key] - START_MS) // DAY_MS for row in rows]  # type: ignore[attr-defined]


CALLS = {
    "GET /fapi/v1/userTrades": {"symbol": SYMBOL},
    "GET /fapi/v1/allOrders": {"symbol": SYMBOL},
    "GET /fapi/v1/income": {"incomeType": "COMMISSION"},
}


@pytest.mark.parametrize("call", CALLS)
def test_without_times_the_last_seven_days_are_shown(rig: Rig, call: str) -> None:
    assert days(rig.call(call, **CALLS[call])) == [5, 8, 12]


@pytest.mark.parametrize(("start", "shown"), [(0, [0, 2, 5]), (1, [2, 5, 8]), (5, [5, 8, 12]), (9, [12])])
def test_a_start_spans_seven_days(rig: Rig, start: int, shown: list[int]) -> None:
    for call in ("GET /fapi/v1/userTrades", "GET /fapi/v1/allOrders"):
        assert days(rig.call(call, symbol=SYMBOL, startTime=START_MS + start * DAY_MS)) == shown


def test_income_has_no_such_span(rig: Rig) -> None:
    assert days(rig.call("GET /fapi/v1/income", incomeType="COMMISSION", startTime=START_MS)) == list(ORDER_DAYS)


@pytest.mark.parametrize(("end", "shown"), [(0, [0]), (8, [2, 5, 8]), (12, [5, 8, 12])])
def test_an_end_spans_the_seven_days_before(rig: Rig, end: int, shown: list[int]) -> None:
    for call in ("GET /fapi/v1/userTrades", "GET /fapi/v1/allOrders"):
        assert days(rig.call(call, symbol=SYMBOL, endTime=START_MS + end * DAY_MS)) == shown


def test_a_page_begins_at_the_start_or_ends_at_the_end(rig: Rig) -> None:
    for call in ("GET /fapi/v1/userTrades", "GET /fapi/v1/allOrders"):
        assert days(rig.call(call, symbol=SYMBOL, startTime=START_MS, limit=2)) == [0, 2]
        assert days(rig.call(call, symbol=SYMBOL, endTime=START_MS + 8 * DAY_MS, limit=2)) == [5, 8]
        assert days(rig.call(call, symbol=SYMBOL, limit=1)) == [12]


def test_ids_reach_beyond_the_seven_days(rig: Rig) -> None:
    rows = rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL, startTime=START_MS)
    assert days(rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL, fromId=rows[0]["id"])) == list(ORDER_DAYS)
    assert days(rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL, fromId=rows[0]["id"], limit=2)) == [0, 2]
    assert days(rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL, orderId=rows[0]["orderId"])) == [0]
    assert days(rig.call("GET /fapi/v1/allOrders", symbol=SYMBOL, orderId=rows[1]["orderId"])) == [2, 5, 8, 12]
    assert rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL, fromId=1, startTime=START_MS) == -1128


def test_an_order_that_ended_unfilled_is_found_for_three_days(rig: Rig) -> None:
    resting, filled = rig.place("BUY", "1", "990.0"), rig.place("BUY", "0.1")
    rig.cancel(resting["orderId"])
    still_open = rig.place("BUY", "1", "991.0")
    for passed, known in ((3, (True, True, True)), (4, (False, True, True)), (91, (False, False, True))):
        rig.now_ms = START_MS + (ORDER_DAYS[-1] + passed) * DAY_MS
        answers = [rig.query(order["orderId"]) for order in (resting, filled, still_open)]
        assert tuple(answer != -2013 for answer in answers) == known
        rows = rig.call("GET /fapi/v1/allOrders", symbol=SYMBOL, orderId=resting["orderId"])
        listed = {row["orderId"] for row in rows}
        assert tuple(order["orderId"] in listed for order in (resting, filled)) == known[:2]


def test_margin_changes_are_listed_with_their_cause() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", balance=Decimal(10_000)), VenueAccount(name="b")))
    rig.book()
    rig.call("POST /fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED")
    rig.place("BUY", "1")
    rig.call("POST /fapi/v1/positionMargin", symbol=SYMBOL, amount="10", type=1)
    rig.call("POST /fapi/v1/positionMargin", symbol=SYMBOL, amount="4", type=2)
    rows = rig.call("GET /fapi/v1/positionMargin/history", symbol=SYMBOL)
    assert [(row["type"], row["deltaType"], row["amount"]) for row in rows] == [  # type: ignore[attr-defined]
        (1, "TRADE", "50.00500000"),
        (1, "USER_ADJUST", "10.00000000"),
        (2, "USER_ADJUST", "4.00000000"),
    ]
    assert {(row["symbol"], row["asset"], row["positionSide"]) for row in rows} == {(SYMBOL, "USDT", "BOTH")}  # type: ignore[attr-defined]
    assert len(rig.call("GET /fapi/v1/positionMargin/history", symbol=SYMBOL, type=2)) == 1  # type: ignore[arg-type]
    assert rig.call("GET /fapi/v1/positionMargin/history", symbol=SYMBOL, type=3) == -1130
    assert rig.call("GET /fapi/v1/positionMargin/history", symbol=SYMBOL, startTime=1, endTime=31 * DAY_MS) == -4165


# -- the rule itself ------------------------------------------------------------------------------------------------------

TIMES = st.none() | st.integers(0, NOW + DAY_MS)


@given(st.sampled_from(HISTORIES), TIMES, TIMES, st.none() | st.integers(-1, 1100), st.booleans())
def test_a_window_never_shows_more_than_its_history(
    history: HistoryLimits, start: int | None, end: int | None, limit: int | None, by_id: bool
) -> None:
    given_ = {"start_time": start, "end_time": end, "limit": limit}
    asked = Span(**{name: value for name, value in given_.items() if value is not None})
    view = window(history, asked, NOW, by_id=by_id)
    if isinstance(view, Fault):
        wrong_limit = limit is not None and not 1 <= limit <= history.longest
        both = start is not None and end is not None
        too_wide = both and history.widest is not None and end - start > history.widest * DAY_MS  # type: ignore[operator]
        assert {-1130: wrong_limit, -1023: both and start > end, -4165: too_wide}[view.code]  # type: ignore[operator]
        return
    assert view.limit == (limit or history.usual)
    if history.kept is not None:
        assert view.start_ms >= NOW - history.kept * DAY_MS
    if start is not None:
        assert view.start_ms >= start
    if end is not None:
        assert view.end_ms == end
    if history.widest is not None and (start is not None or end is not None):
        assert view.end_ms - view.start_ms <= history.widest * DAY_MS


@given(st.lists(st.integers(), max_size=20), st.integers(1, 10), st.booleans())
def test_a_page_is_one_end_of_the_rows(rows: list[int], limit: int, from_oldest: bool) -> None:
    page = HistoryWindow(0, 0, limit, from_oldest).page(rows)
    assert len(page) == min(limit, len(rows))
    assert page == (rows[: len(page)] if from_oldest else rows[len(rows) - len(page) :])
