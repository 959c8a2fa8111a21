"""From quotes to operations: the fewest of them, never too much alive, and true in the end whatever the venue does on the way."""

from __future__ import annotations

import random
from collections.abc import Iterable
from decimal import Decimal
from itertools import permutations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.execution.operations import AmendOperation, CancelOperation, Operation, PlaceOperation
from coldframe.core.state.orders import Fill, Order, Orders, Origin
from coldframe.core.strategies.planner import Held, plan_quotes, plan_target, target_order
from coldframe.enums import OrderStatus, Side, TimeInForce
from coldframe.model.intents import Place, Quote, Quotes, Target
from coldframe.model.orders import Attempt, OrderEvent, OrderState, Overlay
from coldframe.testing import instrument
from coldframe.wire.filters import check_order
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import D, place
from tests.examples import examples

BUY, SELL = Side.BUY, Side.SELL


def desired(bids: Iterable[tuple[str, str]] = (), asks: Iterable[tuple[str, str]] = (), **more: bool) -> Quotes:
    return Quotes(SYMBOL, [Quote(D(p), D(q)) for p, q in bids], [Quote(D(p), D(q)) for p, q in asks], **more)


class Hand:
    """Carries out operations on real orders, and lets the venue answer as a test wants."""

    def __init__(self) -> None:
        self.orders = Orders(START_MS)
        self.trades = 0
        self.done = 0
        #: How many of ten orders the venue does not amend.
        self.unamendable = 0

    def fixed(self, order: Order, *_: Decimal) -> bool:
        return random.Random(order.client_order_id).randrange(10) < self.unamendable

    def plan(self, wanted: Quotes) -> list[Operation]:
        return plan_quotes(wanted, self.live, self.fixed)

    @property
    def live(self) -> list[Order]:
        return list(self.orders.of("mm", SYMBOL))

    def alive(self, side: Side) -> Decimal:
        """What may be alive of a side at worst."""
        return sum((order.remaining for order in self.live if order.side is side), D(0))

    def standing(self, side: Side) -> dict[Decimal | None, Decimal]:
        return {order.price: order.remaining for order in self.live if order.side is side}

    def rest(self, side: Side, price: str, quantity: str) -> Order:
        """An order that rests, acknowledged."""
        order = self.orders.prepare("mm", place(side, quantity, price), Origin.QUOTE, START_NS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        return order

    def send(self, operations: Iterable[Operation]) -> None:
        """The requests leave; nothing is answered yet."""
        for operation in operations:
            self.done += 1
            match operation:
                case PlaceOperation(wanted):
                    order = self.orders.prepare("mm", wanted, Origin.QUOTE, START_NS)
                    self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
                case CancelOperation(order):
                    assert order.confirmed
                    assert self.orders.attempt(order, Attempt.CANCEL_WANTED)
                case AmendOperation(order, price, quantity):
                    assert order.confirmed
                    assert not self.fixed(order)
                    assert (price, quantity) != (order.price, order.quantity)
                    order.amending_price, order.amending_quantity = price, quantity
                    assert self.orders.attempt(order, Attempt.AMEND_WANTED)

    def answer(self, order: Order) -> None:
        """The venue did what was asked."""
        if order.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
            self.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        match order.overlay:
            case Overlay.CANCEL_SENT | Overlay.CANCEL_UNKNOWN:
                self.orders.see(order, OrderStatus.CANCELED, order.filled, START_NS)
            case Overlay.AMEND_SENT | Overlay.AMEND_UNKNOWN:
                order.price, order.quantity = order.amending_price, order.amending_quantity or D(0)
                self.orders.attempt(order, Attempt.AMEND_DONE)
            case _:
                pass

    def refuse(self, order: Order) -> None:
        """The venue refused what was asked."""
        if order.state in (OrderState.SUBMITTED, OrderState.UNKNOWN):
            self.orders.apply(order, OrderEvent.REJECTED_BY_VENUE, START_NS)
        self.orders.attempt(order, Attempt.AMEND_REFUSED)
        self.orders.attempt(order, Attempt.CANCEL_REFUSED)

    def lose_answer(self, order: Order) -> None:
        self.orders.apply(order, OrderEvent.OUTCOME_UNKNOWN, START_NS)
        self.orders.attempt(order, Attempt.AMEND_UNKNOWN)
        self.orders.attempt(order, Attempt.CANCEL_UNKNOWN)

    def fill(self, order: Order, quantity: Decimal) -> None:
        self.trades += 1
        fill = Fill(SYMBOL, self.trades, self.trades, order.side, order.price or D(0), quantity, True, START_MS)
        self.orders.book(order, fill, START_NS)

    def settle(self, wanted: Quotes) -> None:
        """The venue does everything at once, until nothing is left to do."""
        for _ in range(20):
            operations = self.plan(wanted)
            if not operations:
                return
            self.send(operations)
            for order in self.live:
                self.answer(order)
        raise AssertionError(f"never comes to rest: {self.plan(wanted)}")


# -- single cases -----------------------------------------------------------------------------------------------------


def test_initial_quotes_are_post_only_unless_told_otherwise() -> None:
    wanted = desired([("99", "1"), ("98", "2")], [("101", "1")])
    places = [quote.place for quote in plan_quotes(wanted, []) if isinstance(quote, PlaceOperation)]
    assert {(sent.side, sent.price, sent.quantity) for sent in places} == {
        (BUY, D(99), D(1)),
        (BUY, D(98), D(2)),
        (SELL, D(101), D(1)),
    }
    assert {sent.time_in_force for sent in places} == {TimeInForce.GTX}
    (free,) = plan_quotes(desired([("99", "1")], post_only=False), [])
    assert isinstance(free, PlaceOperation)
    assert free.place.time_in_force is TimeInForce.GTC


def test_matching_order_keeps_its_place_in_the_queue() -> None:
    hand = Hand()
    hand.rest(BUY, "99", "1")
    assert plan_quotes(desired([("99", "1")]), hand.live) == []
    assert plan_quotes(desired([("99.0", "1.00")]), hand.live) == []


def test_misplaced_orders_are_moved_after_excess_is_cancelled() -> None:
    hand = Hand()
    near, far = hand.rest(BUY, "99", "1"), hand.rest(BUY, "90", "1")
    assert plan_quotes(desired([("98", "1"), ("99", "1")]), hand.live) == [AmendOperation(far, D(98), D(1))]
    assert plan_quotes(desired([("98", "1")]), hand.live) == [CancelOperation(far), AmendOperation(near, D(98), D(1))]


def test_cancels_precede_amendments_and_those_precede_new_orders() -> None:
    hand = Hand()
    hand.rest(BUY, "97", "1")
    hand.rest(SELL, "103", "1")
    hand.rest(SELL, "104", "1")
    kinds = [type(quote) for quote in plan_quotes(desired([("99", "1"), ("98", "1")], [("101", "1")]), hand.live)]
    assert kinds == [CancelOperation, AmendOperation, AmendOperation, PlaceOperation]


def test_what_has_traded_is_restored_on_top_of_it() -> None:
    hand = Hand()
    order = hand.rest(BUY, "99", "1")
    hand.fill(order, D("0.4"))
    assert plan_quotes(desired([("99", "1")]), hand.live) == [AmendOperation(order, D(99), D("1.4"))]


def test_a_smaller_size_is_reached_by_shrinking() -> None:
    hand = Hand()
    order = hand.rest(BUY, "99", "2")
    assert plan_quotes(desired([("99", "0.5")]), hand.live) == [AmendOperation(order, D(99), D("0.5"))]


def test_an_order_that_cannot_be_amended_makes_way_for_another() -> None:
    hand = Hand()
    hand.unamendable = 10
    order = hand.rest(BUY, "99", "1")
    assert hand.plan(desired([("99", "1")])) == []
    for wanted in (desired([("98", "1")]), desired([("99", "0.5")]), desired([("99", "2")])):
        assert hand.plan(wanted) == [CancelOperation(order)]
    hand.send(hand.plan(desired([("98", "1")])))
    assert hand.plan(desired([("98", "1")])) == []
    assert hand.plan(desired([("98", "1"), ("97", "1")])) != []
    hand.answer(order)
    (placed,) = hand.plan(desired([("98", "1")]))
    assert isinstance(placed, PlaceOperation)


def test_an_order_that_should_grow_is_not_cancelled_without_room() -> None:
    hand = Hand()
    hand.unamendable = 10
    hand.rest(BUY, "99", "1")
    leaving = hand.rest(BUY, "98", "1")
    hand.orders.attempt(leaving, Attempt.CANCEL_WANTED)
    assert hand.plan(desired([("99", "2")])) == []


def test_no_new_quote_is_added_beside_an_order_being_cancelled() -> None:
    hand = Hand()
    leaving = hand.rest(BUY, "98", "1")
    hand.orders.attempt(leaving, Attempt.CANCEL_WANTED)
    assert plan_quotes(desired([("99", "1")]), hand.live) == []
    hand.orders.attempt(leaving, Attempt.CANCEL_UNKNOWN)
    assert plan_quotes(desired([("99", "1")]), hand.live) == []
    assert plan_quotes(desired([("98", "1")]), hand.live) == []
    hand.answer(leaving)
    assert len(plan_quotes(desired([("99", "1")]), hand.live)) == 1


@pytest.mark.parametrize("event", [None, OrderEvent.OUTCOME_UNKNOWN])
def test_order_in_flight_counts_for_its_price_and_is_left_alone(event: OrderEvent | None) -> None:
    hand = Hand()
    hand.send(plan_quotes(desired([("99", "1")]), []))
    if event:
        hand.orders.apply(hand.live[0], event, START_NS)
    assert plan_quotes(desired([("99", "1")]), hand.live) == []
    assert plan_quotes(desired([("98", "1")]), hand.live) == []
    assert plan_quotes(desired(), hand.live) == []
    assert len(plan_quotes(desired([("99", "1"), ("98", "1")]), hand.live)) == 1


def test_an_amendment_in_flight_counts_for_where_it_goes() -> None:
    hand = Hand()
    order = hand.rest(BUY, "98", "1")
    hand.send([AmendOperation(order, D(99), D(1))])
    assert plan_quotes(desired([("99", "1")]), hand.live) == []
    (missing,) = plan_quotes(desired([("99", "1"), ("98", "1")]), hand.live)
    assert isinstance(missing, PlaceOperation)
    assert missing.place.price == 98


def test_an_order_that_is_leaving_serves_no_quote() -> None:
    hand = Hand()
    leaving = hand.rest(BUY, "98", "1")
    hand.orders.attempt(leaving, Attempt.CANCEL_WANTED)
    (missing,) = plan_quotes(desired([("98", "1"), ("97", "1")]), hand.live)
    assert isinstance(missing, PlaceOperation)
    assert missing.place.price == 98


def test_orders_move_as_little_as_possible_furthest_first() -> None:
    hand = Hand()
    near, far = hand.rest(BUY, "99", "1"), hand.rest(BUY, "92", "1")
    assert plan_quotes(desired([("95", "1"), ("98", "1")]), hand.live) == [
        AmendOperation(far, D(95), D(1)),
        AmendOperation(near, D(98), D(1)),
    ]


def test_orders_find_their_levels_whichever_was_placed_first() -> None:
    hand = Hand()
    far, near = hand.rest(BUY, "92", "1"), hand.rest(BUY, "99", "1")
    assert plan_quotes(desired([("95", "1"), ("98", "1")]), hand.live) == [
        AmendOperation(far, D(95), D(1)),
        AmendOperation(near, D(98), D(1)),
    ]


def test_room_for_one_amendment_goes_to_the_order_furthest_off() -> None:
    hand = Hand()
    hand.rest(BUY, "99", "1")
    far = hand.rest(BUY, "92", "1")
    hand.orders.attempt(hand.rest(BUY, "90", "1"), Attempt.CANCEL_WANTED)
    assert plan_quotes(desired([("98", "2"), ("95", "2")]), hand.live) == [AmendOperation(far, D(95), D(2))]


def test_quotes_at_a_price_are_merged_and_empty_quotes_dropped() -> None:
    (only,) = plan_quotes(desired([("99", "1"), ("99.0", "0.5"), ("98", "0")]), [])
    assert isinstance(only, PlaceOperation)
    assert only.place.quantity == D("1.5")


# -- properties -------------------------------------------------------------------------------------------------------

LEVELS = st.lists(
    st.tuples(st.integers(90, 99).map(str), st.sampled_from(["0.5", "1", "2"])), max_size=4, unique_by=lambda level: level[0]
)


def fewest(standing: dict[Decimal | None, Decimal], wanted: dict[Decimal, Decimal]) -> int:
    """By trying everything: every order is kept, amended to some level, or cancelled; what no order serves is placed."""
    orders, levels = list(standing.items()), list(wanted.items())
    best = len(orders) + len(levels)
    for chosen in permutations(range(-len(orders), len(levels)), len(orders)):
        served = [number for number in chosen if number >= 0]
        cost = len(levels) - len(served)
        for (price, quantity), number in zip(orders, chosen, strict=True):
            cost += number < 0 or levels[number] != (price, quantity)
        best = min(best, cost)
    return best


@given(standing=LEVELS, wanted=LEVELS, asks=LEVELS)
@settings(max_examples=examples(300))
def test_obedient_venue_gets_no_more_requests_than_needed(
    standing: list[tuple[str, str]], wanted: list[tuple[str, str]], asks: list[tuple[str, str]]
) -> None:
    hand = Hand()
    for price, quantity in standing:
        hand.rest(BUY, price, quantity)
    before = hand.standing(BUY)
    raised = [(str(int(price) + 20), quantity) for price, quantity in asks]
    hand.settle(desired(wanted, raised))
    assert hand.standing(BUY) == {D(price): D(quantity) for price, quantity in wanted}
    assert hand.standing(SELL) == {D(price): D(quantity) for price, quantity in raised}
    assert hand.done == fewest(before, {D(price): D(quantity) for price, quantity in wanted}) + len(asks)


@given(seed=st.integers(0, 2**32), ladders=st.lists(LEVELS, min_size=1, max_size=5), unamendable=st.sampled_from([0, 5, 10]))
@settings(max_examples=examples(400))
def test_unreliable_venue_never_holds_too_much_and_converges(
    seed: int, ladders: list[list[tuple[str, str]]], unamendable: int
) -> None:
    chance, hand = random.Random(seed), Hand()
    hand.unamendable = unamendable
    for number, levels in enumerate(ladders):
        wanted = desired(levels, [(str(int(price) + 20), quantity) for price, quantity in levels])
        allowed = sum((D(quantity) for _, quantity in levels), D(0))
        for _ in range(12):
            worst = {side: hand.alive(side) for side in (BUY, SELL)}
            hand.send(hand.plan(wanted))
            for side in (BUY, SELL):
                assert hand.alive(side) <= max(allowed, worst[side])
            for order in chance.sample(hand.live, len(hand.live)):
                kind = chance.choice(("answer", "answer", "later", "refuse", "lose", "fill"))
                if kind == "answer":
                    hand.answer(order)
                elif kind == "refuse" and order.overlay not in (Overlay.CANCEL_UNKNOWN, Overlay.AMEND_UNKNOWN):
                    hand.refuse(order)
                elif kind == "lose":
                    hand.lose_answer(order)
                elif kind == "fill" and order.state.resting:
                    hand.fill(order, order.remaining / 2)
        if number + 1 == len(ladders):
            for order in hand.live:
                hand.answer(order)
            hand.settle(wanted)
            assert hand.standing(BUY) == {D(price): D(quantity) for price, quantity in levels}
            assert hand.plan(wanted) == []


# -- targets ----------------------------------------------------------------------------------------------------------

RULES = instrument(SYMBOL, tick="0.1", step="0.001", min_notional="50")


def held(own: str, account: str | None = None, **more: bool) -> Held:
    """A position, and what the account has: the same unless it is named."""
    return Held(D(own), D(own if account is None else account), **more)


def target(position: str, have: str = "0", live: Iterable[Order] = (), slippage: str = "10") -> list[Operation]:
    return plan_target(Target(SYMBOL, D(position), D(slippage)), held(have), live, D("99.9"), D("100.1"), RULES)


def only_place(operations: list[Operation]) -> Place:
    (operation,) = operations
    assert isinstance(operation, PlaceOperation)
    return operation.place


def test_a_target_is_reached_by_one_order_within_its_slippage() -> None:
    buy, sell = only_place(target("1.5")), only_place(target("-1.6", "-1"))
    assert (buy.side, buy.quantity, buy.price, buy.time_in_force) == (BUY, D("1.5"), D("100.3"), TimeInForce.IOC)
    assert (sell.side, sell.quantity, sell.price, sell.reduce_only) == (SELL, D("0.6"), D("99.8"), False)


def test_on_the_way_through_zero_a_position_is_closed_first() -> None:
    """An order that reduces goes out reduce-only, and an order that opens does nothing else."""
    close = only_place(target("-1", "0.5"))
    assert (close.side, close.quantity, close.reduce_only) == (SELL, D("0.5"), True)


@pytest.mark.parametrize(
    ("own", "account", "quantity", "reduce_only"),
    [("1", "1", "1", True), ("1", "3", "1", True), ("3", "1", "1", True), ("1", "-2", "1", False), ("1", "0", "1", False)],
)
def test_a_close_takes_no_more_than_the_account_has(own: str, account: str, quantity: str, reduce_only: bool) -> None:
    """What others hold against it is theirs: then a close adds to the account's position, and is new risk like any other."""
    (order,) = plan_target(Target(SYMBOL, D(0)), held(own, account), [], D("99.9"), D("100.1"), RULES)
    assert isinstance(order, PlaceOperation)
    assert (order.place.quantity, order.place.reduce_only) == (D(quantity), reduce_only)


@pytest.mark.parametrize("account", ["0", "-2"])
def test_a_flatten_sends_nothing_that_does_not_reduce(account: str) -> None:
    mine = held("1", account, only_reduce=True)
    why = target_order(Target(SYMBOL, D(0)), mine, D("99.9"), D("100.1"), RULES)
    assert why == f"the account holds {account}: there is nothing to reduce for a position of 1"


@pytest.mark.parametrize(("own", "account"), [("0.2", "-1"), ("0.2", "0"), ("-0.2", "1")])
def test_dust_is_not_sent_where_the_account_could_not_reduce(own: str, account: str) -> None:
    for decides in (True, False):
        mine = held(own, account, account_decides=decides)
        why = target_order(Target(SYMBOL, D(0)), mine, D("99.9"), D("100.1"), RULES)
        assert why == "0.2 is worth less than the smallest order of 50, and does not only reduce the account's position"


def test_one_of_several_closes_its_own_without_reduce_only() -> None:
    mine = held("1", "0", account_decides=False, only_reduce=True)
    (order,) = plan_target(Target(SYMBOL, D(0)), mine, [], D("99.9"), D("100.1"), RULES)
    assert isinstance(order, PlaceOperation)
    assert (order.place.quantity, order.place.reduce_only) == (D(1), False)


def test_a_target_too_large_for_one_order_is_reached_by_several() -> None:
    """A position may have grown larger than one order may be, and must be flattened all the same."""
    rules = instrument("BTCUSDT")
    rules = attrs.evolve(rules, filters=attrs.evolve(rules.filters, lot=attrs.evolve(rules.filters.lot, max=D("0.4"))))
    (operation,) = plan_target(Target("BTCUSDT", D(0)), held("1"), [], D("99"), D("101"), rules)
    assert isinstance(operation, PlaceOperation)
    assert operation.place.quantity == D("0.4")
    assert check_order(rules.filters, operation.place.side, operation.place.quantity, operation.place.price, None) is None


def test_target_plans_nothing_for_dust_no_book_or_pending_order() -> None:
    assert target("1", "1") == []
    assert target("1.0004", "1") == []
    assert target("1.4", "1") == []  # 40 are below the smallest notional
    assert plan_target(Target(SYMBOL, D(1)), held("0"), [], None, None, RULES) == []
    coarse = instrument(SYMBOL, min_quantity="0.01")
    assert plan_target(Target(SYMBOL, D("0.005")), held("0"), [], D(99), D(101), coarse) == []
    hand = Hand()
    hand.send([PlaceOperation(only_place(target("1")))])
    assert target("2", live=hand.live) == []


@pytest.mark.parametrize(("missing", "sent"), [("0.0099", None), ("0.01", "0.01"), ("0.0101", "0.0101")])
def test_the_smallest_order_is_sent_and_nothing_smaller(missing: str, sent: str | None) -> None:
    rules = instrument(SYMBOL, step="0.0001", min_quantity="0.01")
    operations = plan_target(Target(SYMBOL, D(missing)), held("0"), [], D(99), D(101), rules)
    assert [operation.place.quantity for operation in operations if isinstance(operation, PlaceOperation)] == (
        [D(sent)] if sent else []
    )


def test_a_target_waits_for_its_order_that_is_in_flight() -> None:
    hand = Hand()
    hand.send([PlaceOperation(place(BUY, "1", "100"))])
    assert target("1", live=hand.live) == []
    hand.orders.see(hand.live[0], OrderStatus.NEW, D(0), START_NS)
    assert target("1", live=hand.live) == [CancelOperation(hand.live[0])]
    at_once = Hand()
    at_once.send([PlaceOperation(only_place(target("1")))])
    at_once.orders.see(at_once.live[0], OrderStatus.NEW, D(0), START_NS)
    assert target("1", live=at_once.live) == []


def test_dust_of_a_position_is_closed_reduce_only() -> None:
    close = only_place(target("0", "0.2"))
    assert (close.side, close.quantity, close.reduce_only) == (SELL, D("0.2"), True)
    assert only_place(target("-0.1", "0.1")).reduce_only


def test_resting_order_of_a_target_is_cancelled_first() -> None:
    hand = Hand()
    order = hand.rest(BUY, "100", "1")
    assert target("1", live=hand.live) == [CancelOperation(order)]


@given(
    wanted=st.decimals(-5, 5, places=4),
    have=st.decimals(-5, 5, places=3),
    slippage=st.decimals(0, 100, places=1),
)
def test_target_order_never_overshoots_or_overpays(wanted: Decimal, have: Decimal, slippage: Decimal) -> None:
    for operation in target(str(wanted), str(have), slippage=str(slippage)):
        assert isinstance(operation, PlaceOperation)
        order = operation.place
        after = have + order.side.sign * order.quantity
        nearest = D(0) if wanted * have < 0 else wanted
        assert abs(nearest - after) < min(abs(nearest - have), D("0.001"))
        assert (nearest - after) * (nearest - have) >= 0
        best = D("100.1") if order.side is BUY else D("99.9")
        assert order.price is not None
        assert (order.price - best) * order.side.sign <= best * slippage / 10_000 + RULES.tick
        assert RULES.filters.check_price(order.price) is None
        assert RULES.filters.check_quantity(order.quantity) is None
        assert order.reduce_only or order.quantity * order.price >= 50
