"""The running sums over orders: after whatever has happened they are what adding up all orders comes to."""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.state.exposures import NOTHING, SideKey
from coldframe.core.state.journal_codec import fold, order_body
from coldframe.core.state.orders import Fill, Order, Orders, Origin
from coldframe.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from coldframe.model.intents import Place
from coldframe.model.journal import Row, RowKind
from coldframe.model.orders import Attempt, OrderEvent
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.state.exposureoracle import assert_in_step, exposure_at, largest_closer, met, worth_of
from tests.core.told import D, place, prepared
from tests.examples import examples

STRATEGIES, SYMBOLS = ("a", "b", "gone"), (SYMBOL, "ETHUSDT")
BUY, SELL = Side.BUY, Side.SELL
KEYS = list(product(STRATEGIES, SYMBOLS, PositionSide, (BUY, SELL)))
MARKS = {SYMBOL: D("100.5")}

QUANTITIES = [D(text) for text in ("0.001", "0.4", "1", "1.70", "25", "123456789.123456789")]
PRICES = [D(text) for text in ("0.01", "99.9", "100", "100.10", "60000.123456789")]


def any_place(chance: Random) -> Place:
    kind = chance.choice((OrderType.LIMIT, OrderType.MARKET, OrderType.STOP, OrderType.STOP_MARKET))
    whole = kind is OrderType.STOP_MARKET and chance.random() < 0.5
    return Place(
        symbol=chance.choice(SYMBOLS),
        side=chance.choice((BUY, SELL)),
        quantity=chance.choice(QUANTITIES),
        type=kind,
        price=chance.choice(PRICES) if kind in (OrderType.LIMIT, OrderType.STOP) else None,
        trigger_price=chance.choice(PRICES) if kind.conditional else None,
        time_in_force=chance.choice((TimeInForce.GTC, TimeInForce.GTX, TimeInForce.IOC)),
        position_side=chance.choice(list(PositionSide)),
        close_position=whole,
        reduce_only=not whole and chance.random() < 0.5,
    )


class Told:
    """A book of orders to which anything may happen, also in an order that makes no sense."""

    def __init__(self, chance: Random) -> None:
        self.chance = chance
        self.book = Orders(START_MS)
        self.known: list[Order] = []
        self.now_ns = START_NS
        self.trades = 0

    def prepare(self) -> None:
        self.known.append(self.book.prepare(self.chance.choice(STRATEGIES), any_place(self.chance), Origin.PLACE, self.now_ns))

    def apply(self, order: Order) -> None:
        at_ms = self.chance.choice((0, START_MS, START_MS + self.trades))
        self.book.apply(order, self.chance.choice(list(OrderEvent)), self.now_ns, at_ms=at_ms)

    def see(self, order: Order) -> None:
        seen = min(self.chance.choice(QUANTITIES), order.quantity)
        self.book.see(order, self.chance.choice(list(OrderStatus)), seen, self.now_ns, at_ms=START_MS + self.trades)

    def fill(self, order: Order) -> None:
        self.trades += 1
        quantity = self.chance.choice(QUANTITIES)
        fill = Fill(order.symbol, self.trades, 5, order.side, D(100), quantity, True, START_MS + self.trades)
        (self.book.pass_over if self.chance.randrange(10) == 0 else lambda o, f: self.book.book(o, f, self.now_ns))(order, fill)

    def attempt(self, order: Order) -> None:
        self.book.attempt(order, self.chance.choice(list(Attempt)))

    def amend(self, order: Order) -> None:
        if order.type is OrderType.LIMIT:
            self.book.amendment_requested(order, self.chance.choice(PRICES), self.chance.choice(QUANTITIES))
            self.book.attempt(order, Attempt.AMEND_WANTED)

    def terms(self, order: Order) -> None:
        self.book.terms_reported(
            order, self.chance.choice(QUANTITIES), self.chance.choice(PRICES), START_MS + self.chance.randrange(10)
        )

    def doubt(self, order: Order) -> None:
        self.book.doubted(order, self.now_ns)

    def trigger(self, order: Order) -> None:
        self.book.triggered(order, START_MS)

    def report_filled(self, order: Order) -> None:
        self.book.filled_by_report(order)

    def restart(self) -> None:
        """The process ends; the next one folds the journal's rows."""
        rows = [Row(at, 0, RowKind.ORDER, order.client_order_id, order_body(order)) for at, order in enumerate(self.known)]
        fills = {order.client_order_id: self.book.fills_of(order) for order in self.known}
        past = fold(rows)
        again = Orders(self.book.epoch_ms + 1)
        for name, order in past.orders.items():
            again.restore(order, fills[name], self.now_ns)
        self.book, self.known = again, list(past.orders.values())

    def happen(self) -> None:
        self.now_ns += 1
        what = self.chance.randrange(20)
        if not self.known or what < 5:
            self.prepare()
        elif what == 5:
            self.restart()
        else:
            self.chance.choice(ANYTHING)(self, self.chance.choice(self.known))


ANYTHING: tuple[Callable[[Told, Order], None], ...] = (
    Told.apply,
    Told.see,
    Told.fill,
    Told.attempt,
    Told.amend,
    Told.terms,
    Told.doubt,
    Told.trigger,
    Told.report_filled,
)


def by_side(orders: list[Order]) -> dict[SideKey, list[Order]]:
    """The orders of each side: the oracle need not walk over all others once more for each."""
    sides: dict[SideKey, list[Order]] = {key: [] for key in KEYS}
    for order in orders:
        sides[order.strategy, order.symbol, order.position_side, order.side].append(order)
    return sides


def assert_sums(told: Told, replaced: list[Order]) -> None:
    """Every sum, of all orders and of all but some, is the plain one."""
    others = [order for order in told.known if order not in replaced]
    without = told.book.replacing(replaced)
    every_side, other_sides = by_side(told.known), by_side(others)
    for key in KEYS:
        assert told.book.exposures.at(key) == exposure_at(every_side[key], key)
        assert told.book.exposures.largest_closer(key) == largest_closer(every_side[key], key)
        assert without.others(key) == exposure_at(other_sides[key], key)
    for strategy in STRATEGIES:
        assert told.book.exposures.worth(strategy, MARKS) == worth_of(told.known, strategy, MARKS)
        assert without.worth_of_others(strategy, MARKS) == worth_of(others, strategy, MARKS)


@settings(max_examples=examples(400))
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_sums_are_what_all_orders_add_up_to(seed: int, steps: int) -> None:
    chance = Random(seed)
    told = Told(chance)
    for _ in range(steps):
        told.happen()
        if chance.random() < 0.3:  # also several changes between two looks
            assert_in_step(told.book, told.known, SYMBOLS)
            assert_sums(told, chance.sample(told.known, min(len(told.known), 3)))


@settings(max_examples=examples(400))
@given(st.integers(0, 2**32), st.integers(1, 40))
def test_resting_prices_meet_what_all_orders_would(seed: int, steps: int) -> None:
    chance = Random(seed)
    told = Told(chance)
    for _ in range(steps):
        told.happen()
        wanted = (chance.choice(STRATEGIES), chance.choice(SYMBOLS), chance.choice((BUY, SELL)), chance.choice((None, *PRICES)))
        assert told.book.exposures.met(*wanted) == bool(met(told.known, *wanted))


@pytest.mark.parametrize("digits", ["0.000000000000000001", "999999999999999999999999", "1"])
def test_what_comes_and_goes_leaves_nothing(digits: str) -> None:
    """Sums beyond 28 digits are not rounded: what is taken out is what was put in."""
    orders = Orders(START_MS)
    stays = prepared(orders, place(quantity="3", price="7"))
    key = ("mm", SYMBOL, PositionSide.BOTH, BUY)
    before = orders.exposures.at(key)
    goes = [prepared(orders, place(quantity=digits, price="999999999999.000000000001")) for _ in range(3)]
    assert orders.exposures.at(key) != before
    for order in goes:
        orders.apply(order, OrderEvent.REJECTED_BY_VENUE, START_NS)
    assert orders.exposures.at(key) == before == exposure_at([stays], key)


def test_the_last_order_leaves_no_row_behind() -> None:
    orders = Orders(START_MS)
    order = prepared(orders, place(price=None))
    assert orders.exposures.worth("mm", {SYMBOL: D(9)}) == 9
    orders.apply(order, OrderEvent.REJECTED_BY_VENUE, START_NS)
    assert orders.exposures.worth("mm", {SYMBOL: D(9)}) == 0
    assert orders.exposures.at(("mm", SYMBOL, PositionSide.BOTH, BUY)) == NOTHING
    assert not orders.exposures._counted
    assert not orders.exposures._unpriced["mm"]
    assert not list(orders.live.symbols)
