"""When the order budgets do not do for everything: what is furthest from what is wanted goes first, cancels before all of it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.execution.operations import AmendOperation, CancelOperation, PlaceOperation
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Order
from coldframe.core.strategies.planner import distance, plan_quotes
from coldframe.enums import Side
from coldframe.model.intents import Quote, Quotes, Target
from tests.core.exchange import ALIVE
from tests.core.scripted import Actor, Scripted
from tests.core.strategies.test_planner import Hand, desired
from tests.core.told import D
from tests.examples import examples

BUY, SELL = Side.BUY, Side.SELL
LEVELS = st.lists(st.tuples(st.integers(90, 99), st.sampled_from(["0.5", "1", "2"])), max_size=4, unique_by=lambda level: level[0])


def test_amendments_of_both_sides_go_by_how_far_they_are_off() -> None:
    hand = Hand()
    bid, ask = hand.rest(BUY, "98", "1"), hand.rest(SELL, "110", "1")
    operations = plan_quotes(desired([("99", "1")], [("101", "1")]), hand.live)
    assert operations == [AmendOperation(ask, D(101), D(1)), AmendOperation(bid, D(99), D(1))]


def test_new_orders_of_both_sides_go_nearest_to_the_market_first() -> None:
    bids, asks = [("97", "1"), ("99", "1"), ("98", "1")], [("102", "1"), ("101", "1")]
    prices = [quote.place.price for quote in plan_quotes(desired(bids, asks), []) if isinstance(quote, PlaceOperation)]
    assert [set(prices[:2]), set(prices[2:4]), prices[4]] == [{D(99), D(101)}, {D(98), D(102)}, D(97)]


def test_budget_of_two_places_best_bid_and_ask_then_the_rest() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(orders_per_10s=2)}).ready()
    made.want(actor, Quotes("BTCUSDT", [Quote(D(p), D(1)) for p in ("99", "98")], [Quote(D(p), D(1)) for p in ("101", "102")]))
    assert {order.price for order in made.exchange.orders.values()} == {"99", "101"}
    made.run(30_000)
    assert {order.price for order in made.exchange.orders.values() if order.status in ALIVE} == {"98", "99", "101", "102"}


def test_cancels_go_although_the_budget_is_used_up() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(orders_per_10s=2, messages_per_10s=2)}).ready()
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99"), D(1))], [Quote(D("101"), D(1))]))
    made.want(actor, Quotes("BTCUSDT"))
    assert not list(made.engine.orders.live)


def test_strategy_further_from_its_target_goes_first() -> None:
    near, far = Actor("near"), Actor("far")
    made = Scripted(near, far, risk=RiskLimits(messages_per_10s=1)).ready()
    made.holds.add("/fapi/v1/openOrders")
    made.engine._ctx.rate_limits.ban(made.venue_ms + 1_000)
    made.want(near, Quotes("BTCUSDT", [Quote(D("99"), D(1))]))
    made.want(far, Quotes("BTCUSDT", [Quote(D("98"), D(5))]))
    assert made.sent("order.place") == []
    made.engine._ctx.rate_limits.banned_until_ms = 0
    for actor in (near, far):
        made.engine.strategies._store.touch(actor.id, "BTCUSDT")
        made.engine.strategies._store._patience.clear()
    made.beat()
    assert [order.strategy for order in made.engine.orders.live] == ["far"]


def test_the_distance_is_what_is_missing_and_what_is_too_much() -> None:
    hand = Hand()
    right, wrong = hand.rest(BUY, "99", "1"), hand.rest(SELL, "101", "2")
    orders: list[Order] = [right, wrong]
    wanted = desired([("99", "1"), ("98", "0.5")])
    assert distance(wanted, None, orders, D(0)) == D("2.5")
    assert distance(None, Target("BTCUSDT", D(-3)), orders, D(1)) == 4
    assert distance(wanted, Target("BTCUSDT", D(1)), orders, D(0)) == D("3.5")
    assert distance(None, None, orders, D(7)) == 0


@settings(max_examples=examples(200))
@given(LEVELS, LEVELS, LEVELS, LEVELS, st.integers(0, 8))
def test_any_prefix_of_the_plan_improves_and_stays_within_bounds(
    bids: list[tuple[int, str]],
    asks: list[tuple[int, str]],
    had: list[tuple[int, str]],
    had_asks: list[tuple[int, str]],
    budget: int,
) -> None:
    """Whatever the budget lets through: cancels first, nothing too much alive, and never further away than before."""
    hand = Hand()
    for price, quantity in had:
        hand.rest(BUY, str(price), quantity)
    for price, quantity in had_asks:
        hand.rest(SELL, str(price + 20), quantity)
    wanted = desired([(str(p), q) for p, q in bids], [(str(p + 20), q) for p, q in asks])
    off: Decimal = distance(wanted, None, hand.live, D(0))
    for _ in range(30):
        operations = plan_quotes(wanted, hand.live)
        ranks = [(CancelOperation, AmendOperation, PlaceOperation).index(type(operation)) for operation in operations]
        assert ranks == sorted(ranks)
        if not operations:
            break
        before = {side: hand.alive(side) for side in (BUY, SELL)}
        hand.send(operations[: max(budget, 1)])
        for side, levels in ((BUY, wanted.bids), (SELL, wanted.asks)):
            assert hand.alive(side) <= max(sum(level.quantity for level in levels), before[side])
        for order in hand.live:
            hand.answer(order)
        now_off = distance(wanted, None, hand.live, D(0))
        assert now_off <= off
        off = now_off
    assert off == 0
