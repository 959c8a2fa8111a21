"""Rows of the table of faults that a broken implementation could pass: each part of a rule is held up by a test of its own."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.state.order import Fill
from coldframe.core.state.orders import Orders
from coldframe.enums import ExecutionType, OrderStatus, Side
from coldframe.model.effects import LinkKind
from coldframe.model.orders import OrderState
from tests.core.made import START_MS, START_NS
from tests.core.ordering import QUERY, accept_quietly, placed, state, states
from tests.core.scripted import Scripted
from tests.core.told import D, Trade, place

S = OrderState
OPEN_ORDERS = "/fapi/v1/openOrders"


def begin(made: Scripted) -> None:
    """A round of comparison begins now."""
    assert made.engine.trading is not None
    made.engine.trading.reconciler.begin("test", ("BTCUSDT",))
    made.beat()


# -- O14 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("asked_ms", "ends"), [(3_000, S.UNKNOWN), (6_900, S.UNKNOWN), (7_200, S.NEVER_ACCEPTED)])
def test_o14_list_must_be_younger_than_the_death_of_the_request(asked_ms: int, ends: OrderState) -> None:
    """Everything else is proved; the list was asked for while the request could still arrive, or just after."""
    made, _, order = placed("order.place")
    made.refuse(-1007)
    made.swallows.add(QUERY)
    made.run(asked_ms)
    made.holds.add(OPEN_ORDERS)
    begin(made)
    order.not_found, order.not_found_ns, order.not_found_dead = 2, made.now_ns, True
    made.run(9_000 - asked_ms, alive=False)
    order.not_found, order.not_found_dead = 2, True
    made.release(lambda held: held[:1])
    assert state(order) is ends


@pytest.mark.parametrize(
    ("times", "dead", "ends"),
    [(1, True, S.UNKNOWN), (2, False, S.UNKNOWN), (0, False, S.UNKNOWN), (2, True, S.NEVER_ACCEPTED), (3, True, S.NEVER_ACCEPTED)],
)
def test_o14_two_queries_must_not_have_found_it(times: int, dead: bool, ends: OrderState) -> None:
    """One of them after the death of the request; the list does not hold it either way."""
    made, _, order = placed("order.place")
    made.refuse(-1007)
    made.swallows.add(QUERY)
    made.run(9_000)
    order.not_found, order.not_found_ns, order.not_found_dead = times, made.now_ns, dead
    begin(made)
    assert state(order) is ends


# -- O3 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accepted", [True, False])
def test_o3_a_cut_before_the_answer_leaves_one_order_in_doubt(accepted: bool) -> None:
    """It counts in full, shuts its symbol, is never sent again, and what became of it is found out."""
    made, actor, order = placed("order.place", quantity="2")
    made.silent = True
    if accepted:
        accept_quietly(made)
    made.lose(LinkKind.API, "reset by peer")
    assert (order.state, order.exposure, order.reason) == (S.UNKNOWN, D(2), "reset by peer")
    made.holds.clear()
    made.held.clear()
    made.want(actor, place(price="98"))
    assert made.verdicts(actor).get("ACCEPTED") == 1
    made.run(LIGHT_ROUND_MS)
    assert state(order) is (S.ACCEPTED if accepted else S.NEVER_ACCEPTED)
    assert order.exposure == (D(2) if accepted else D(0))
    assert len(made.sent("order.place")) == 1


# -- O9 ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.EXPIRED])
@pytest.mark.parametrize("parts", [("0.4",), ("0.1", "0.3")])
def test_o9_trades_that_are_told_after_the_end_are_booked(status: OrderStatus, parts: tuple[str, ...]) -> None:
    """The end is told first, with what had traded; the trades follow, and change neither state nor reason."""
    made, actor, order = placed()
    venue = made.exchange.orders[order.client_order_id]
    reports = []
    for number, part in enumerate(parts):
        trade = Trade(500 + number, part, "100")
        venue.trade(trade)
        reports.append(venue.report(ExecutionType.TRADE, trade))
    venue.end(status)
    made.exchange.report(venue, ExecutionType.CANCELED if status is OrderStatus.CANCELED else ExecutionType.EXPIRED)
    made.beat()
    ended = S.CANCELED if status is OrderStatus.CANCELED else S.EXPIRED
    assert (state(order), order.exposure, order.fills_missing) == (ended, D("0.4"), True)
    for report in reports:
        made.engine.reports.step(report)
    assert (state(order), order.filled, order.exposure) == (ended, D("0.4"), D(0))
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D("0.4")
    assert states(actor)[-1] == ended
    assert made.engine.orders.incidents == 0


# -- O6 ---------------------------------------------------------------------------------------------------------------


def one_fill(symbol: str = "BTCUSDT", trade_id: int = 7, order_id: int = 5) -> Fill:
    return Fill(symbol, trade_id, order_id, Side.BUY, D(100), D("0.1"), True, START_MS)


def test_o6_a_fill_is_this_fill_by_symbol_trade_and_order() -> None:
    """All three: both orders of a trade with ourselves share its id, and ids of two symbols may be equal."""
    orders = Orders(START_MS)
    order = orders.prepare("mm", place(), origin="place", now_ns=START_NS)  # type: ignore[arg-type]
    assert orders.book(order, one_fill(), START_NS) is not None
    assert orders.book(order, one_fill(), START_NS) is None
    for other in (one_fill(trade_id=8), one_fill(order_id=6), one_fill("ETHUSDT")):
        assert orders.book(order, other, START_NS) is not None
    assert order.filled == Decimal("0.4")


@pytest.mark.parametrize("told", ["report", "lite", "query"])
@pytest.mark.parametrize("again", ["report", "lite", "query"])
def test_o6_a_fill_that_is_told_twice_is_booked_once(told: str, again: str) -> None:
    """From whatever source it comes first and again, also after the order has ended."""
    made, _, order = placed()
    venue = made.exchange.orders[order.client_order_id]
    trade = Trade(500, "1", "100")
    venue.trade(trade)
    reports, engine_state = made.engine.reports, made.engine.state
    say = {
        "report": lambda: reports.step(venue.report(ExecutionType.TRADE, trade)),
        "lite": lambda: reports.step(venue.lite(trade)),
        "query": lambda: reports.trades([venue.row(trade)]),
    }
    say[told]()
    for _ in range(2):
        say[again]()
    assert (state(order), order.filled) == (S.FILLED, D(1))
    account = made.engine.runtimes.get("mm").account.holdings
    assert (account.net("BTCUSDT"), account.fills, engine_state.external.account.fills) == (D(1), 1, 0)
