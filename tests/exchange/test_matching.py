"""The matching engine: priority, prevention, a recorded market, and the whole of it against a naive one."""

from __future__ import annotations

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.enums import SelfTradePrevention, Side
from coldframe.exchange.matching import BACKGROUND_ID, MatchedFill, Matching, Taker, Withdrawn
from tests.examples import examples
from tests.exchange.queues import ahead_of, left_of

BUY, SELL = Side.BUY, Side.SELL


def book(*orders: tuple[Side, int, int, int]) -> Matching:
    """A book with own orders (side, price, quantity, id); id 0 is background liquidity."""
    made = Matching()
    for side, price, quantity, order_id in orders:
        made.rest(side, price, quantity, order_id, f"owner{order_id}" if order_id else "")
    return made


def buy(quantity: int, limit: int | None = None, **more: object) -> Taker:
    return Taker(side=BUY, quantity=quantity, limit=limit, order_id=99, owner="taker", **more)  # type: ignore[arg-type]


# -- priority ---------------------------------------------------------------------------------------------------------


def test_the_better_price_trades_first_and_then_the_older_order() -> None:
    made = book((SELL, 101, 5, 1), (SELL, 100, 2, 2), (SELL, 100, 3, 3))
    taken = made.match_order(buy(7))
    assert [(fill.maker_id, fill.price, fill.quantity) for fill in taken.fills] == [(2, 100, 2), (3, 100, 3), (1, 101, 2)]
    assert taken.left == 0
    assert made.depth(SELL, 5) == [(101, 3)]


def test_limit_stops_the_taker_and_its_rest_is_not_booked() -> None:
    made = book((SELL, 100, 2, 1), (SELL, 102, 5, 2))
    taken = made.match_order(buy(5, 101))
    assert taken.left == 3
    assert made.best(BUY) is None
    assert made.best(SELL) == 102


def test_a_fill_names_both_sides_and_what_is_left_of_the_maker() -> None:
    made = book((SELL, 100, 5, 1))
    assert made.match_order(buy(2)).happened == (MatchedFill(100, 2, BUY, 99, "taker", 1, "owner1"),)
    assert left_of(made, 1) == 3


def test_shrinking_keeps_the_place_and_withdrawing_gives_it_up() -> None:
    made = book((BUY, 100, 4, 0), (BUY, 100, 5, 1), (BUY, 100, 5, 2))
    made.shrink(1, 2)
    assert (ahead_of(made, 1), ahead_of(made, 2), left_of(made, 1)) == (4, 6, 2)
    assert made.withdraw(1) == 2
    assert made.withdraw(1) == 0
    assert (ahead_of(made, 2), made.quantity_at(BUY, 100)) == (4, 9)
    made.shrink(2, 0)
    assert left_of(made, 2) == 0
    assert made.depth(BUY, 9) == [(100, 4)]


def test_crossing_and_fillable_look_without_touching() -> None:
    made = book((SELL, 100, 2, 1), (SELL, 101, 2, 0))
    assert made.crosses(BUY, 100)
    assert not made.crosses(BUY, 99)
    assert made.fillable(buy(9, 100)) == 2
    assert made.fillable(buy(3)) == 3
    assert made.depth(SELL, 9) == [(100, 2), (101, 2)]


@given(prices=st.lists(st.integers(90, 110), unique=True), price=st.integers(89, 111), most=st.integers(0, 30))
def test_better_prices_are_those_of_the_depth_that_are_better(prices: list[int], price: int, most: int) -> None:
    made = book(*((SELL, at, 1, 0) for at in prices), *((BUY, at - 30, 1, 0) for at in prices))
    assert made.better_than(SELL, price, most) == [at for at, _ in made.depth(SELL, most) if at < price]
    assert made.better_than(BUY, price - 30, most) == [at for at, _ in made.depth(BUY, most) if at > price - 30]


# -- self-trade prevention ---------------------------------------------------------------------------------------------


def _against_itself(mode: SelfTradePrevention) -> tuple[Matching, list[MatchedFill | Withdrawn], int, bool]:
    made = Matching()
    made.rest(SELL, 100, 2, 1, "me")
    made.rest(SELL, 100, 3, 2, "other")
    taken = made.match_order(Taker(side=BUY, quantity=4, order_id=9, owner="me", prevention=mode))
    return made, list(taken.happened), taken.left, taken.prevented


def test_without_prevention_an_account_trades_with_itself() -> None:
    _, happened, left, prevented = _against_itself(SelfTradePrevention.NONE)
    assert [event.maker_id for event in happened if isinstance(event, MatchedFill)] == [1, 2]
    assert (left, prevented) == (0, False)


def test_expire_maker_takes_the_resting_order_out_and_goes_on() -> None:
    made, happened, left, prevented = _against_itself(SelfTradePrevention.EXPIRE_MAKER)
    assert happened[0] == Withdrawn(1, "me", 100, 2)
    assert (left, prevented, left_of(made, 1)) == (1, False, 0)


def test_expire_taker_stops_the_taker_and_leaves_the_maker() -> None:
    made, happened, left, prevented = _against_itself(SelfTradePrevention.EXPIRE_TAKER)
    assert happened == []
    assert (left, prevented, left_of(made, 1)) == (4, True, 2)


def test_expire_both_takes_both_out() -> None:
    made, happened, left, prevented = _against_itself(SelfTradePrevention.EXPIRE_BOTH)
    assert happened == [Withdrawn(1, "me", 100, 2)]
    assert (left, prevented, left_of(made, 1)) == (4, True, 0)


def test_fillable_does_not_count_what_prevention_would_take_out() -> None:
    made = book((SELL, 100, 2, 1))
    mine = Taker(side=BUY, quantity=2, order_id=9, owner="owner1", prevention=SelfTradePrevention.EXPIRE_MAKER)
    assert made.fillable(mine) == 0


# -- a simulated market --------------------------------------------------------------------------------------------------


def test_leaving_background_orders_leave_from_the_back_alone() -> None:
    made = book((BUY, 100, 3, 0), (BUY, 100, 2, 1), (BUY, 100, 4, 0))
    assert made.leave(BUY, 100, 5) == 5
    assert ahead_of(made, 1) == 2
    assert made.leave(BUY, 100, 99) == 2
    assert made.depth(BUY, 1) == [(100, 2)]
    assert made.leave(BUY, 7, 1) == 0


# -- a recorded market ---------------------------------------------------------------------------------------------------


def test_background_orders_join_and_leave_behind_own_orders() -> None:
    made = book((BUY, 100, 5, 0), (BUY, 100, 2, 1))
    made.set_background(BUY, 100, 9)
    assert ahead_of(made, 1) == 5
    made.set_background(BUY, 100, 6)
    assert ahead_of(made, 1) == 5
    made.set_background(BUY, 100, 4)
    assert ahead_of(made, 1) == 4
    made.set_background(BUY, 100, 0)
    assert (ahead_of(made, 1), made.quantity_at(BUY, 100)) == (0, 2)


def test_printed_trade_fills_the_queue_from_the_front() -> None:
    made = book((BUY, 100, 5, 0), (BUY, 100, 4, 1), (BUY, 100, 5, 0))
    assert made.apply_market_trade(100, 3, SELL) == ()
    fills = made.apply_market_trade(100, 4, SELL)
    assert [(fill.maker_id, fill.quantity, left_of(made, 1)) for fill in fills] == [(1, 2, 2)]
    assert made.depth(BUY, 1) == [(100, 7)]


def test_a_trade_beyond_an_own_order_had_to_meet_it_first() -> None:
    made = book((BUY, 101, 4, 1), (BUY, 100, 5, 0))
    fills = made.apply_market_trade(100, 6, SELL)
    assert [(fill.maker_id, fill.price, fill.quantity) for fill in fills] == [(1, 101, 4)]
    assert made.quantity_at(BUY, 100) == 3


def test_printed_trade_elsewhere_does_not_fill_the_order() -> None:
    made = book((BUY, 100, 4, 1))
    assert made.apply_market_trade(101, 9, SELL) == ()
    assert made.apply_market_trade(100, 9, BUY) == ()
    assert left_of(made, 1) == 4


def test_background_orders_crossing_an_own_order_trade_with_it() -> None:
    made = book((BUY, 100, 4, 1))
    fills = made.set_background(SELL, 99, 6)
    assert [(fill.maker_id, fill.price, fill.quantity) for fill in fills] == [(1, 100, 4)]
    assert made.depth(SELL, 1) == [(99, 2)]
    assert made.set_background(SELL, 99, 6) == ()
    assert made.depth(SELL, 1) == [(99, 2)]


def test_consumed_depth_is_not_sold_again_until_it_changes() -> None:
    made = Matching()
    made.set_background(SELL, 100, 5)
    assert made.match_order(buy(3)).left == 0
    made.set_background(SELL, 100, 5)
    assert made.match_order(buy(5, 100)).left == 3
    made.set_background(SELL, 100, 5)
    assert made.best(SELL) is None
    made.set_background(SELL, 100, 4)
    assert made.quantity_at(SELL, 100) == 4


def test_a_whole_new_book_removes_what_it_does_not_name() -> None:
    made = book((BUY, 100, 2, 1))
    made.replace_background({100: 5, 99: 1}, {102: 3})
    made.replace_background({98: 2}, {101: 1})
    assert made.depth(BUY, 9) == [(100, 2), (98, 2)]
    assert made.depth(SELL, 9) == [(101, 1)]


# -- against a naive engine ----------------------------------------------------------------------------------------------


@attrs.define
class _Naive:
    """The same rules in the plainest form: one list of single orders, sorted anew for every question."""

    orders: list[list[object]] = attrs.field(factory=list)  # [side, price, left, id, owner]

    def match_order(
        self, side: Side, quantity: int, limit: int | None, owner: str, mode: str
    ) -> tuple[list[tuple[int, int, int]], int]:
        fills: list[tuple[int, int, int]] = []
        sign = 1 if side is BUY else -1
        for order in sorted((order for order in self.orders if order[0] is not side), key=lambda order: sign * order[1]):
            if not quantity or (limit is not None and sign * order[1] > sign * limit):
                break
            if mode != "NONE" and order[4] == owner:
                if mode != "EXPIRE_TAKER":
                    order[2] = 0
                if mode != "EXPIRE_MAKER":
                    break
                continue
            part = min(quantity, order[2])
            order[2] -= part
            quantity -= part
            fills.append((order[3], order[1], part))
        self.orders = [order for order in self.orders if order[2]]
        return _merged(fills), quantity

    def depth(self, side: Side) -> list[tuple[int, int]]:
        levels: dict[int, int] = {}
        for order in self.orders:
            if order[0] is side:
                levels[order[1]] = levels.get(order[1], 0) + order[2]
        return sorted(levels.items(), reverse=side is BUY)


def _merged(fills: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Fills with neighbouring pieces of background liquidity at one price as one."""
    merged: list[tuple[int, int, int]] = []
    for order_id, price, quantity in fills:
        if merged and order_id == BACKGROUND_ID == merged[-1][0] and merged[-1][1] == price:
            merged[-1] = (order_id, price, merged[-1][2] + quantity)
        else:
            merged.append((order_id, price, quantity))
    return merged


_SIDES = st.sampled_from([BUY, SELL])
_OWNERS = st.sampled_from(["", "a", "b"])
_MODES = st.sampled_from(["NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"])
_ORDER = st.tuples(_SIDES, st.integers(95, 105), st.integers(1, 9), _OWNERS, _MODES, st.booleans())


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.one_of(_ORDER, st.integers(1, 40)), max_size=40))
def test_random_orders_and_cancels_end_as_in_the_naive_engine(steps: list[object]) -> None:
    fast, naive = Matching(), _Naive()
    for order_id, step in enumerate(steps, start=1):
        if isinstance(step, int):
            naive.orders = [order for order in naive.orders if order[3] != step]
            fast.withdraw(step)
            continue
        side, price, quantity, owner, mode, market = step  # type: ignore[misc]
        limit = None if market else price
        taker = Taker(
            side=side, quantity=quantity, limit=limit, order_id=order_id, owner=owner, prevention=SelfTradePrevention(mode)
        )
        taken = fast.match_order(taker)
        expected = naive.match_order(side, quantity, limit, owner, mode if owner else "NONE")
        assert _merged([(fill.maker_id, fill.price, fill.quantity) for fill in taken.fills]) == expected[0]
        assert taken.left == expected[1]
        if limit is not None and taken.left and not taken.prevented:
            own_id = order_id if owner else BACKGROUND_ID
            fast.rest(side, price, taken.left, own_id, owner)
            naive.orders.append([side, price, taken.left, own_id, owner])
        assert fast.depth(BUY, 99) == naive.depth(BUY)
        assert fast.depth(SELL, 99) == naive.depth(SELL)
    assert all(left_of(fast, order[3]) == order[2] for order in naive.orders if order[3])


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["set", "print"]), _SIDES, st.integers(97, 103), st.integers(0, 9)), min_size=1, max_size=60)
)
def test_recorded_market_never_overfills_and_keeps_its_totals(
    steps: list[tuple[str, Side, int, int]],
) -> None:
    made = Matching()
    made.rest(BUY, 100, 20, 1, "me")
    filled = 0
    for kind, side, price, quantity in steps:
        if kind == "print" and quantity:
            fills = made.apply_market_trade(price, quantity, side)
            assert sum(fill.quantity for fill in fills) <= quantity
        elif kind == "set":
            fills = made.set_background(side, price, quantity)
            used = sum(fill.quantity for fill in fills)
            assert made.background_at(side, price) <= quantity
            assert used <= quantity
        else:
            continue
        filled += sum(fill.quantity for fill in fills)
        assert all(fill.price == 100 for fill in fills if fill.maker_id)
        assert left_of(made, 1) == 20 - filled


@pytest.mark.parametrize("side", [BUY, SELL])
def test_best_is_none_on_an_empty_side(side: Side) -> None:
    made = Matching()
    assert made.best(side) is None
    assert made.depth(side, 3) == []
    assert ahead_of(made, 5) == 0
