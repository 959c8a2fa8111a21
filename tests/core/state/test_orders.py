"""The book of our own orders: ids, states through the table, fills once, memory bounded."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.orders import ENDED_LIMIT, Fill, Order, Orders, Origin
from coldframe.enums import OrderStatus, Side
from coldframe.ids import parse_own
from coldframe.model.orders import Attempt, OrderEvent, OrderState, Overlay
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import D, place, prepared

S, H, A = OrderState, OrderEvent, Attempt


def fill(order: Order, trade_id: int, quantity: str, fee: str | None = "0.01", order_id: int = 5) -> Fill:
    known = None if fee is None else D(fee)
    return Fill(SYMBOL, trade_id, order_id, order.side, D(100), D(quantity), True, START_MS, fee=known, fee_asset="USDT")


def opened(orders: Orders, **wanted: object) -> Order:
    order = prepared(orders, place(**wanted))  # type: ignore[arg-type]
    orders.apply(order, H.WRITTEN, START_NS)
    orders.identify(order, 5)
    orders.see(order, OrderStatus.NEW, D(0), START_NS)
    return order


def test_o16_every_order_id_is_unique_and_names_strategy_and_run() -> None:
    orders = Orders(START_MS)
    ids = [prepared(orders, strategy=strategy).client_order_id for strategy in ("mm", "mm", "other")]
    owns = [parse_own(number) for number in ids]
    assert [(own.strategy, own.epoch_ms, own.count) for own in owns if own] == [
        ("mm", START_MS, 1),
        ("mm", START_MS, 2),
        ("other", START_MS, 3),
    ]
    assert len(set(ids)) == 3


def test_a_prepared_order_is_alive_and_counts() -> None:
    orders = Orders(START_MS)
    order = prepared(orders, origin=Origin.QUOTE)
    assert (order.state, order.origin, order.remaining) == (S.PENDING_SUBMIT, Origin.QUOTE, D(1))
    assert list(orders.live) == [order]
    assert orders.get(order.client_order_id) is order
    assert len(orders) == 1


def test_orders_are_found_by_either_id() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    assert orders.find(SYMBOL, "", 5) is order
    assert orders.find(SYMBOL, order.client_order_id, 77) is order
    assert orders.find("ETHUSDT", "", 5) is None
    assert orders.find(SYMBOL, "autoclose-1", 6) is None
    orders.identify(order, 6)
    assert order.order_id == 5


def test_the_live_orders_of_a_strategy_are_its_own_oldest_first() -> None:
    orders = Orders(START_MS)
    first, _, third = prepared(orders), prepared(orders, strategy="other"), prepared(orders, place(symbol="ETHUSDT"))
    assert list(orders.of("mm")) == [first, third]
    assert list(orders.of("mm", "ETHUSDT")) == [third]
    assert list(orders.everywhere("ETHUSDT")) == [third]
    assert len(list(orders.everywhere("BTCUSDT"))) == 2
    orders.apply(first, H.REJECTED_BY_VENUE, START_NS)
    assert list(orders.of("mm")) == [third]


@pytest.mark.parametrize(
    ("status", "seen", "state"),
    [
        (OrderStatus.NEW, "0", S.ACCEPTED),
        (OrderStatus.NEW, "0.4", S.PARTIALLY_FILLED),
        (OrderStatus.PARTIALLY_FILLED, "0.4", S.PARTIALLY_FILLED),
        (OrderStatus.FILLED, "1", S.FILLED),
        (OrderStatus.CANCELED, "0.4", S.CANCELED),
        (OrderStatus.EXPIRED_IN_MATCH, "0", S.EXPIRED),
        (OrderStatus("SOMETHING_NEW"), "0", S.UNKNOWN),
    ],
)
def test_what_is_seen_of_an_order_decides_its_state(status: OrderStatus, seen: str, state: OrderState) -> None:
    orders = Orders(START_MS)
    order = prepared(orders)
    orders.apply(order, H.WRITTEN, START_NS)
    assert orders.see(order, status, D(seen), START_NS + 1, "why")
    assert (order.state, order.seen_filled, order.reason) == (state, D(seen), "why")
    assert order.fills_missing is (D(seen) > 0)
    assert order.ended_ns == (START_NS + 1 if state.terminal else 0)


def test_w10_unknown_status_leaves_a_resting_order_unchanged() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    assert not orders.see(order, OrderStatus("SOMETHING_NEW"), D(0), START_NS)
    assert order.state is S.ACCEPTED


def test_seeing_an_order_ends_the_doubt_about_it() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    order.not_found = 3
    orders.see(order, OrderStatus.NEW, D(0), START_NS)
    assert order.not_found == 0


def test_o6_a_fill_is_booked_once_by_whatever_way() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    assert orders.book(order, fill(order, 1, "0.4"), START_NS) is not None
    assert orders.book(order, fill(order, 1, "0.4"), START_NS) is None
    assert (order.filled, order.remaining, order.state) == (D("0.4"), D("0.6"), S.PARTIALLY_FILLED)
    assert orders.book(order, fill(order, 2, "0.6"), START_NS) is not None
    assert (order.filled, order.remaining, order.state) == (D(1), D(0), S.FILLED)


def test_self_trade_books_both_orders_under_the_same_trade_id() -> None:
    orders = Orders(START_MS)
    buy, sell = opened(orders), opened(orders, side=Side.SELL)
    assert orders.book(buy, fill(buy, 1, "1", order_id=5), START_NS) is not None
    assert orders.book(sell, fill(sell, 1, "1", order_id=6), START_NS) is not None


@pytest.mark.parametrize("status", [OrderStatus.CANCELED, OrderStatus.EXPIRED])
def test_fill_beyond_the_reported_end_is_booked_as_an_incident(status: OrderStatus) -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    orders.see(order, status, D("0.4"), START_NS, at_ms=2 * START_MS)
    ended = order.state
    assert orders.book(order, fill(order, 1, "0.4"), START_NS) is not None
    assert (order.state, order.filled, orders.incidents) == (ended, D("0.4"), 0)
    assert orders.book(order, fill(order, 2, "0.6"), START_NS) is not None
    assert (order.state, orders.incidents) == (S.FILLED, 1)


def test_an_order_that_was_given_up_and_lives_is_alive_again() -> None:
    orders = Orders(START_MS)
    order = prepared(orders)
    orders.apply(order, H.REJECTED_BY_VENUE, START_NS)
    assert list(orders.live) == []
    orders.see(order, OrderStatus.NEW, D(0), START_NS)
    assert list(orders.live) == [order]
    assert orders.incidents == 1


def test_a_fee_that_becomes_known_later_is_learnt_once() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    assert orders.learn_fee(fill(order, 1, "0.4")) is None
    orders.book(order, fill(order, 1, "0.4", fee=None), START_NS)
    assert orders.learn_fee(fill(order, 1, "0.4", fee=None)) is None
    assert orders.learn_fee(fill(order, 1, "0.4", fee="0.03")) == D("0.03")
    assert orders.learn_fee(fill(order, 1, "0.4", fee="0.03")) is None


def test_open_amendment_counts_at_its_worst_until_it_ends() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    orders.attempt(order, A.AMEND_WANTED)
    order.amending_price, order.amending_quantity = D(90), D(3)
    assert (order.remaining, order.worst_price, order.confirmed) == (D(3), D(100), False)
    order.amending_price, order.amending_quantity = D(110), D("0.5")
    assert (order.remaining, order.worst_price) == (D(1), D(110))
    orders.attempt(order, A.AMEND_REFUSED)
    assert order.amending_price is None
    assert order.amending_quantity is None
    assert order.confirmed


def test_an_amendment_may_fill_what_was_not_there_before() -> None:
    """A fill of the amended quantity may come before the amendment's own answer."""
    orders = Orders(START_MS)
    order = opened(orders)
    orders.attempt(order, A.AMEND_WANTED)
    order.amending_price, order.amending_quantity = D(100), D(3)
    states = []
    for trade_id, quantity in ((1, "1"), (2, "2")):
        orders.book(order, fill(order, trade_id, quantity), START_NS)
        states.append(order.state)
    assert states == [S.PARTIALLY_FILLED, S.FILLED]


def test_the_end_of_an_order_ends_its_cancel_and_its_amendment() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    orders.attempt(order, A.CANCEL_WANTED)
    assert not order.confirmed
    orders.see(order, OrderStatus.CANCELED, D(0), START_NS)
    assert (order.overlay, order.remaining) == (Overlay.NONE, D(0))


def test_ended_order_with_missing_fills_still_counts() -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    orders.see(order, OrderStatus.CANCELED, D("0.4"), START_NS, at_ms=2 * START_MS)
    assert (order.remaining, order.exposure) == (D(0), D("0.4"))
    assert list(orders.owing("mm", SYMBOL)) == list(orders.exposed("mm")) == [order]
    assert list(orders.owing("other")) == list(orders.owing("mm", "ETHUSDT")) == []
    living = opened(orders)
    assert list(orders.exposed("mm", SYMBOL)) == [living, order]
    orders.book(order, fill(order, 1, "0.3"), START_NS)
    assert order.exposure == D("0.1")
    orders.book(order, fill(order, 2, "0.1"), START_NS)
    assert list(orders.owing("mm")) == []
    orders.see(living, OrderStatus.PARTIALLY_FILLED, D("0.5"), START_NS)
    assert (living.exposure, list(orders.owing("mm"))) == (D(1), [])
    orders.apply(living, H.SEEN_EXPIRED, START_NS)
    assert list(orders.owing("mm")) == [living]


def test_the_doubtful_are_counted() -> None:
    orders = Orders(START_MS)
    first, second, third = opened(orders), prepared(orders), prepared(orders)
    orders.apply(second, H.OUTCOME_UNKNOWN, START_NS)
    orders.apply(third, H.OUTCOME_UNKNOWN, START_NS)
    orders.apply(third, H.UNPROVABLE, START_NS)
    assert orders.doubtful == 2
    assert first.state is S.ACCEPTED


@given(
    st.lists(
        st.tuples(st.sampled_from(OrderStatus), st.decimals(0, 1, places=1), st.integers(1, 4), st.booleans()),
        max_size=12,
    )
)
def test_what_has_been_seen_and_booked_only_grows(reports: list[tuple[OrderStatus, Decimal, int, bool]]) -> None:
    orders = Orders(START_MS)
    order = opened(orders)
    filled, seen = order.filled, order.seen_filled
    for status, quantity, trade_id, traded in reports:
        if traded:
            orders.book(order, fill(order, trade_id, "0.25"), START_NS)
        else:
            orders.see(order, status, quantity, START_NS)
        assert order.filled >= filled
        assert order.seen_filled >= max(seen, order.filled)
        assert (order in list(orders.live)) == order.live
        filled, seen = order.filled, order.seen_filled
    assert order.filled <= 1


def traded(orders: Orders, number: int) -> Order:
    """An order that is filled by one trade."""
    order = prepared(orders)
    orders.identify(order, 1_000 + number)
    orders.book(order, Fill(SYMBOL, number, 1_000 + number, Side.BUY, D(1), D(1), True, 0), START_NS)
    assert order.state is S.FILLED
    return order


@pytest.mark.parametrize("limit", [5, 100, ENDED_LIMIT])
def test_memory_is_bounded_and_the_living_are_kept(limit: int) -> None:
    orders = Orders(START_MS, limit)
    living = opened(orders)
    for number in range(1, limit + 501):
        orders.trade_cursors[SYMBOL] = number
        traded(orders, number)
    assert len(orders) == limit + 1
    assert orders.get(living.client_order_id) is living
    assert orders.find(SYMBOL, "", 1_001) is None
    assert orders.find(SYMBOL, "", 1_000 + limit + 500) is not None
    assert len(orders._fills) == limit


def test_o36_order_above_the_scan_mark_is_never_forgotten() -> None:
    """O36: the bound on memory gives way, and holds again as soon as the mark has moved."""
    orders = Orders(START_MS, 5)
    orders.trade_cursors[SYMBOL] = 10
    for number in range(1, 101):
        traded(orders, number)
    assert [orders.find(SYMBOL, "", 1_000 + number) is None for number in (10, 11)] == [True, False]
    assert len(orders) == 90
    assert orders.unscanned == {SYMBOL}
    orders.trade_cursors[SYMBOL] = 200
    for number in range(101, 201):
        traded(orders, number)
    assert len(orders) == 5
    assert orders.unscanned == set()


def test_o36_an_order_that_owes_fills_is_never_forgotten() -> None:
    orders = Orders(START_MS, 5)
    owing = opened(orders)
    orders.see(owing, OrderStatus.CANCELED, D("0.4"), START_NS, at_ms=2 * START_MS)
    orders.trade_cursors[SYMBOL] = 1_000
    for number in range(1, 101):
        traded(orders, number)
    assert orders.get(owing.client_order_id) is owing
    assert list(orders.owed) == [owing]
    assert len(orders) <= 6


@pytest.mark.parametrize(("ended", "kept"), [(1, [2, 3]), (2, [1, 2, 3]), (10, [0, 1, 2, 3])])
def test_a_checkpoint_holds_what_lives_and_what_ended_last(ended: int, kept: list[int]) -> None:
    orders = Orders(START_MS)
    every = [prepared(orders) for _ in range(4)]
    for order in every[:3]:
        orders.apply(order, H.REJECTED_BY_VENUE, START_NS)
    assert [every.index(order) for order in orders.worth_keeping(ended)] == kept


def test_fills_from_before_an_adoption_count_once_and_unbooked() -> None:
    """Of 0.6 that have traded, 0.2 had when the order was taken over: each trade that a query names counts once."""
    orders = Orders(START_MS)
    order = opened(orders)
    order.filled = order.seen_filled = D("0.2")
    orders.see(order, OrderStatus.CANCELED, D("0.6"), START_NS)
    assert order.fills_missing
    first, second = fill(order, 1, "0.2"), fill(order, 2, "0.3")
    for known in (first, first, second, first, second):
        orders.pass_over(order, known)
    assert (order.filled, order.fills_missing, order.fill_keys) == (D("0.5"), True, [])
    assert orders.book(order, fill(order, 3, "0.1"), START_NS)
    orders.pass_over(order, fill(order, 3, "0.1"))
    assert (order.filled, order.fills_missing, orders.fills_owed) == (D("0.6"), False, 0)


@pytest.mark.parametrize(("price", "reported", "after"), [("100", "99", "99"), ("100", "0", "100"), (None, "99", None)])
def test_a_reported_price_is_that_of_a_priced_order(price: str | None, reported: str, after: str | None) -> None:
    """The exchange reports a price of zero where there is none, and an average where a market order has traded."""
    order = prepared(Orders(START_MS), place(price=None if price is None else D(price)))
    order.terms_reported(D(2), D(reported), START_MS)
    assert (order.quantity, order.price) == (D(2), None if after is None else D(after))


def test_terms_of_before_an_amendment_do_not_undo_it() -> None:
    order = prepared(Orders(START_MS), place(price=D(100)))
    order.terms_reported(D(2), D(99), START_MS)
    order.terms_reported(D(3), D(98), START_MS - 1)
    assert (order.quantity, order.price) == (D(2), D(99))
