"""Pages of trades: a round waits for the last one, and a trade at or below a symbol's mark is never news."""

from __future__ import annotations

from decimal import Decimal

import attrs
import pytest

from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.order import Order
from coldframe.enums import ExecutionType, Side
from coldframe.model.effects import CallRest, LinkKind
from coldframe.model.events import OrderFilled
from coldframe.model.intents import Cancel
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from tests.core.ordering import state
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, Trade, place

TRADES = "/fapi/v1/userTrades"
S = OrderState


def world(**trading: object) -> tuple[Scripted, Actor]:
    actor = Actor()
    return Scripted(actor, trading=OrderSideLimits(**trading)).ready(), actor  # type: ignore[arg-type]


def resting(made: Scripted, actor: Actor, quantity: str = "10") -> Order:
    made.want(actor, place(quantity=quantity))
    (order,) = made.engine.orders.live
    return order


def unheard(made: Scripted, order: Order, *trade_ids: int) -> None:
    """Trades that the user stream does not bring."""
    venue = made.exchange.orders[order.client_order_id]
    for trade_id in trade_ids:
        trade = Trade(trade_id, "1", "100")
        venue.trade(trade)
        venue.at_ms = made.venue_ms
        made.exchange.trades.append((venue, trade))


def net(made: Scripted) -> Decimal:
    return made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT")


def external(made: Scripted) -> Decimal:
    return made.engine.state.external.account.net("BTCUSDT")


def done(made: Scripted) -> bool:
    assert made.engine.trading is not None
    return made.engine.trading.reconciler.done


def later_pages(made: Scripted) -> list[CallRest]:
    return [effect for effect in made.held if isinstance(effect, CallRest) and effect.path == TRADES]


# -- a round is done when its last page is done -----------------------------------------------------------------------


def held_at_second_page() -> tuple[Scripted, Actor, Order]:
    """After the user stream was away: the first page of a round has come, the second one has not."""
    made, actor = world(trades_page=3)
    order = resting(made, actor)
    unheard(made, order, 101, 102, 103, 104, 105)
    made.holds.add(TRADES)
    made.lose(LinkKind.PRIVATE)
    made.run(2_000)
    made.release()
    assert order.filled == 3
    assert [call.params["fromId"] for call in later_pages(made)] == [103]
    return made, actor, order


def test_o37_a_round_waits_for_its_last_page() -> None:
    """O37: until then the position is not known, and no new risk is taken."""
    made, actor, order = held_at_second_page()
    made.beat()
    assert not done(made)
    made.want(actor, place(quantity="2", price="99"))
    assert made.verdicts(actor)["STALE_USER_STREAM"] == 1
    assert "reconciled (user stream opened)" not in made.said().split("recovered that")[-1]
    made.release()
    made.release()
    assert done(made)
    assert (order.filled, net(made)) == (D(5), D(5))
    made.want(actor, place(quantity="2", price="99"))
    assert made.verdicts(actor)["ACCEPTED"] == 2


@pytest.mark.parametrize("how", ["refused", "unanswered", "unreadable"])
def test_o37_a_page_that_fails_fails_its_round(how: str) -> None:
    made, _, order = held_at_second_page()
    rest = made.exchange.rest
    if how == "refused":
        made.exchange.refuses[TRADES] = (-1001, "Internal error")
    elif how == "unanswered":
        made.swallows.add(TRADES)
    else:
        made.exchange.rest = lambda *_: [{"nothing": "useful"}]  # type: ignore[method-assign]
    made.release()
    assert not done(made)
    assert "reconciliation failed" in made.said()
    made.exchange.refuses.clear()
    made.swallows.clear()
    made.exchange.rest = rest  # type: ignore[method-assign]
    made.holds.clear()
    made.run(3_000)
    assert done(made)
    assert (order.filled, net(made)) == (D(5), D(5))


def test_o37_the_fills_of_one_order_come_page_by_page_too() -> None:
    made, actor = world(trades_page=3)
    order = resting(made, actor)
    unheard(made, order, *range(101, 108))
    made.fill(order.client_order_id, "1")
    assert order.fills_missing
    made.run(2_000)
    assert (order.filled, order.fills_missing) == (D(8), False)
    asked = [call.params.get("fromId") for call in made.called(TRADES) if "orderId" in call.params]
    assert asked == [None, 103, 105, 107]


def test_page_of_a_single_self_trade_is_not_requested_for_ever() -> None:
    made, actor = world(trades_page=2)
    order = resting(made, actor)
    unheard(made, order, 101, 101, 102)
    made.lose(LinkKind.PRIVATE)
    made.run(2_000)
    assert done(made)
    assert made.engine.orders.trade_cursors["BTCUSDT"] >= 102


# -- the mark ---------------------------------------------------------------------------------------------------------


def test_o36_the_mark_moves_with_what_has_been_brought() -> None:
    made, actor = world(trades_page=3)
    order = resting(made, actor)
    unheard(made, order, 101, 102, 103)
    made.holds.add(TRADES)
    made.lose(LinkKind.PRIVATE)
    made.run(2_000)
    made.release()
    assert made.engine.orders.trade_cursors["BTCUSDT"] == 102, (
        "the last trade of a full page may have a second side on the next one"
    )
    made.release()
    made.release()
    assert made.engine.orders.trade_cursors["BTCUSDT"] == 103
    assert [row.body["trade_id"] for row in made.rows if row.kind is RowKind.TRADE_CURSOR] == [102, 103]


def test_both_sides_of_a_self_trade_are_booked_across_pages() -> None:
    """The page ends between them: they share symbol and trade id, the order tells them apart."""
    actor = Actor()
    made = Scripted(actor, trading=OrderSideLimits(trades_page=2)).ready()
    made.want(actor, place(quantity="3"), place(side=Side.SELL, quantity="3", price="101"))
    bid, ask = made.engine.orders.live
    unheard(made, bid, 101, 102)
    unheard(made, ask, 102)
    made.lose(LinkKind.PRIVATE)
    made.run(3_000)
    assert (bid.filled, ask.filled, net(made)) == (D(2), D(1), D(1))
    assert external(made) == 0


def many(made: Scripted, actor: Actor, count: int) -> list[Order]:
    """Orders that are filled at once, the stream telling of it."""
    orders = []
    for _ in range(count):
        order = resting(made, actor, "1")
        made.fill(order.client_order_id, "1")
        assert state(order) is S.FILLED
        orders.append(order)
    return orders


def told_again(made: Scripted, order: Order, trade: Trade) -> None:
    venue = made.exchange.orders[order.client_order_id]
    made.exchange.report(venue, ExecutionType.TRADE, trade)
    made.beat()


@pytest.mark.parametrize("count", [5, 12])
def test_o36_the_last_fill_of_a_symbol_is_never_booked_again(count: int) -> None:
    """O36: memory has forgotten its order, and a query and a report tell it once more."""
    made, actor = world(ended_orders=3)
    orders = many(made, actor, count)
    made.run(2 * LIGHT_ROUND_MS)
    assert made.engine.orders.trade_cursors["BTCUSDT"] == made.exchange.trades[-1][1].id
    for _ in range(15):
        made.want(actor, place(price="90"))
        (other,) = made.engine.orders.live
        made.want(actor, Cancel(other.client_order_id))
    assert made.engine.orders.get(orders[-1].client_order_id) is None
    made.run(2 * LIGHT_ROUND_MS)
    for order in (orders[0], orders[-1]):
        trade = next(trade for venue, trade in made.exchange.trades if venue.client_order_id == order.client_order_id)
        told_again(made, order, trade)
    assert (net(made), external(made)) == (D(count), D(0))
    assert "is halted" not in made.said()
    assert "of no strategy" not in made.said()
    assert len(actor.told(OrderFilled)) == count


def test_o36_orders_with_fills_above_the_mark_are_remembered() -> None:
    made, actor = world(ended_orders=3)
    made.holds.add(TRADES)
    orders = many(made, actor, 12)
    assert all(made.engine.orders.get(order.client_order_id) is order for order in orders)
    made.holds.clear()
    made.release()
    made.run(2 * LIGHT_ROUND_MS)
    assert (net(made), external(made)) == (D(12), D(0))


def test_o36_mark_survives_a_restart_from_a_checkpoint() -> None:
    made, actor = world(ended_orders=3)
    many(made, actor, 6)
    made.run(2 * LIGHT_ROUND_MS)
    mark = made.exchange.trades[-1][1].id
    past = fold(made.rows)
    assert past.trade_cursors == {"BTCUSDT": mark}
    past.orders.clear()
    past.fills.clear()
    again = made.restarted(actor, past=past)
    again.run(2 * LIGHT_ROUND_MS)
    venue, trade = made.exchange.trades[-1]
    again.exchange.report(venue, ExecutionType.TRADE, trade)
    again.beat()
    assert (net(again), external(again)) == (D(6), D(0))
    assert "is halted" not in again.said()


@pytest.mark.parametrize(
    ("days", "asked_days"),
    [(0, None), (1, "1"), (6, "6"), (8, "7"), (400, "7")],
    ids=["first-run", "a-day", "six-days", "eight-days", "a-year"],
)
def test_o24_without_a_mark_the_scan_begins_at_the_first_run(days: int, asked_days: str | None) -> None:
    """Without a beginning the venue brings the latest trades; a beginning further back than seven days leaves those out."""
    made, actor = world()
    resting(made, actor)
    past = fold(made.rows)
    assert (past.trade_cursors, past.since_ms) == ({}, past.epoch_ms)
    past.since_ms = made.venue_ms + 1_000 - days * 86_400_000 if days else 0
    again = made.restarted(actor, past=past, keep_orders=True)
    again.run(500)
    (first, *_) = again.called(TRADES)
    if asked_days is None:
        assert "startTime" not in first.params
    else:
        late_ms = int(first.params["startTime"]) - (made.venue_ms + 1_000 - int(asked_days) * 86_400_000)
        assert -10_000 <= late_ms <= 10_500


def test_o24_the_first_run_of_an_account_is_remembered() -> None:
    """Over further runs and checkpoints; another account begins anew, and an older checkpoint counts from its own run."""
    made, actor = world()
    resting(made, actor)
    first = fold(made.rows).epoch_ms
    again = made.restarted(actor, past=fold(made.rows))
    again.run(500)
    later = fold(again.rows, fold(made.rows))
    second = later.epoch_ms
    alone = fold([row for row in again.rows if row.kind is RowKind.CHECKPOINT])
    assert second > first
    assert (later.since_ms, alone.since_ms) == (first, first)
    (run,) = [row for row in again.rows if row.kind is RowKind.RUN]
    other = fold([attrs.evolve(run, body={**run.body, "account": "another", "epoch_ms": 5})], later)
    assert other.since_ms == 5
    bare = [attrs.evolve(row, body={name: part for name, part in row.body.items() if name != "since_ms"}) for row in again.rows]
    assert fold([row for row in bare if row.kind is RowKind.CHECKPOINT]).since_ms == second


def owner_unknown(*holds: str) -> tuple[Scripted, Order, Order]:
    """Of three trades the one in the middle is that of an order whose id is still to come."""
    made, actor = world()
    known = resting(made, actor)
    made.holds.update(("order.place", "order.status", "/fapi/v1/order", *holds))
    made.want(actor, place(quantity="5"))
    *_, unknown = made.engine.orders.live
    made.silent = True
    made.exchange.carry_out("order.place", made.sent("order.place")[-1].params)
    unheard(made, known, 101)
    unheard(made, unknown, 102)
    unheard(made, known, 103)
    made.silent = False
    made.lose(LinkKind.PRIVATE)
    made.run(3_000)
    assert made.engine.orders.trade_cursors["BTCUSDT"] == 101
    return made, known, unknown


def test_o36_the_mark_does_not_pass_a_trade_without_an_owner() -> None:
    """It may be that of an order whose id is still to come, and a restart must find it again."""
    made, known, unknown = owner_unknown()
    made.holds.clear()
    made.release()
    made.run(LIGHT_ROUND_MS + 2_000)
    assert made.engine.orders.trade_cursors["BTCUSDT"] == 103
    assert (known.filled, unknown.filled, net(made)) == (D(2), D(1), D(3))


def test_o36_the_round_that_finds_the_owner_moves_the_mark() -> None:
    """A list names the order, the end of the next round claims its trade: no page after that has to come."""
    made, _, unknown = owner_unknown("/fapi/v1/openOrders")
    trading = made.engine.trading
    assert trading is not None
    made.holds.remove("/fapi/v1/openOrders")
    made.release(lambda held: [call for call in held if isinstance(call, CallRest) and call.path == "/fapi/v1/openOrders"])
    assert (unknown.filled, made.engine.orders.trade_cursors["BTCUSDT"]) == (0, 101)
    rounds = trading.reconciler.rounds
    trading.compare("a look")
    made.beat()
    assert (trading.reconciler.rounds, unknown.filled) == (rounds + 1, 1)
    assert made.engine.orders.trade_cursors["BTCUSDT"] == 103


def test_flat_symbol_is_scanned_until_its_fills_are_below_mark() -> None:
    """Without that its ended orders could never be forgotten."""
    made, actor = world()
    buy = resting(made, actor, "1")
    made.fill(buy.client_order_id, "1")
    made.want(actor, place(side=Side.SELL, quantity="1"))
    (sell,) = made.engine.orders.live
    made.fill(sell.client_order_id, "1")
    assert net(made) == 0
    assert made.engine.orders.unscanned == {"BTCUSDT"}
    made.run(LIGHT_ROUND_MS + 1_000)
    assert made.engine.orders.unscanned == set()
