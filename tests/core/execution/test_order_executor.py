"""Orders from intent to request and from answer to outcome: as wanted, refused by every code, within the limits, and sent once."""

from __future__ import annotations

import pytest

from coldframe.core.execution.operations import PlaceOperation
from coldframe.core.execution.order_executor import CANCEL_AGAIN_MS, DOUBT_AGAIN_MS, _cancellable
from coldframe.core.state.limits import Budget
from coldframe.core.state.orders import Origin
from coldframe.enums import ExecutionType, OrderStatus, OrderType, PriceMatch, Side, TimeInForce
from coldframe.model.effects import LinkKind
from coldframe.model.events import OrderFilled
from coldframe.model.intents import Amend, Cancel, CancelAll, VerdictCode
from coldframe.model.orders import OrderState, Overlay
from coldframe.units import NS_PER_MS
from coldframe.wire.codes import CODES, CodeClass, classify
from tests.core.ordering import QUERY, placed, queries, state, states, world
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

S = OrderState


# -- the straight way -------------------------------------------------------------------------------------------------


def test_order_is_sent_as_intended_and_its_reports_come_back() -> None:
    made, actor, order = placed(price="99", quantity="0.5", time_in_force=TimeInForce.GTX)
    (request,) = made.sent("order.place")
    assert request.params == {
        "symbol": "BTCUSDT",
        "side": "BUY",
        "type": "LIMIT",
        "timeInForce": "GTX",
        "quantity": "0.5",
        "price": "99",
        "newClientOrderId": order.client_order_id,
    }
    assert state(order) is S.ACCEPTED
    made.fill(order.client_order_id, "0.2")
    made.fill(order.client_order_id, "0.3")
    assert states(actor) == [S.SUBMITTED, S.ACCEPTED, S.PARTIALLY_FILLED, S.FILLED]
    assert [effect.position for effect in actor.told(OrderFilled)] == [D("0.2"), D("0.5")]
    tally = made.engine.state.tally
    assert (tally.sent, tally.acked, tally.filled) == (1, 1, 1)


def test_every_kind_of_order_is_said_as_the_venue_wants_it() -> None:
    made, actor = world()
    made.want(actor, place(Side.BUY, "2", None))
    made.want(actor, place(Side.SELL, "1", None, reduce_only=True))
    made.want(actor, place(time_in_force=TimeInForce.GTD, good_till_ms=1_800_000_000_000))
    market, reduce, dated = (request.params for request in made.sent("order.place"))
    assert {"price", "timeInForce"}.isdisjoint(market)
    assert market["type"] == OrderType.MARKET
    assert reduce["reduceOnly"] == "true"
    assert dated["goodTillDate"] == 1_800_000_000_000
    matched = place(price=None)
    object.__setattr__(matched, "type", OrderType.LIMIT)
    object.__setattr__(matched, "price_match", PriceMatch.QUEUE)
    made.want(actor, matched)
    assert made.sent("order.place")[-1].params["priceMatch"] == "QUEUE"
    assert "price" not in made.sent("order.place")[-1].params


def test_numbers_are_sent_without_exponent_or_extra_digits() -> None:
    made, actor = world()
    made.want(actor, place(quantity="1E+1", price="1.0E+2"))
    assert [(request.params["quantity"], request.params["price"]) for request in made.sent("order.place")] == [("10", "100")]


def test_o10_a_cancel_ends_an_order_and_what_has_traded_stays() -> None:
    """O10."""
    made, actor, order = placed()
    made.fill(order.client_order_id, "0.4")
    made.want(actor, Cancel(order.client_order_id))
    assert (order.state, order.filled) == (S.CANCELED, D("0.4"))
    assert made.verdicts(actor) == {"ACCEPTED": 2}
    made.want(actor, Cancel(order.client_order_id), Cancel("cf.mm.0.9"), Cancel("web_x"))
    assert made.verdicts(actor) == {"ACCEPTED": 2, "UNKNOWN_ORDER": 3}


def test_the_answer_to_a_cancel_is_enough() -> None:
    """No report comes, and nothing has to be asked for."""
    made, actor, order = placed()
    made.silent = True
    made.want(actor, Cancel(order.client_order_id))
    assert state(order) is S.CANCELED
    assert queries(made) == 0


def test_of_several_refusals_the_first_is_named() -> None:
    made, _ = world()
    assert made.engine.trading is not None
    executor, account, facts = (
        made.engine.trading.executor,
        made.engine.state.accounts["mm"],
        made.engine.strategies._risk_inputs("BTCUSDT"),
    )
    wanted = [place(), place(symbol="NOUSDT"), place(quantity="2"), place(quantity="0.00001")]
    verdict = executor.perform(account, [PlaceOperation(order) for order in wanted], Origin.QUOTE, facts)
    assert verdict.code is VerdictCode.SYMBOL_NOT_ALLOWED
    assert executor.perform(account, [PlaceOperation(wanted[3])], Origin.QUOTE, facts).code is VerdictCode.FILTER
    assert executor.perform(account, [PlaceOperation(place(quantity="3"))], Origin.QUOTE, facts).accepted


def test_an_amendment_changes_price_and_quantity() -> None:
    made, actor, order = placed(price="99")
    made.want(actor, Amend(order.client_order_id, D(98), D(2)))
    assert (order.price, order.quantity, order.overlay) == (D(98), D(2), Overlay.NONE)
    made.want(actor, Amend(order.client_order_id), Amend(order.client_order_id, D(98), D(2)))
    made.want(actor, Amend("cf.mm.0.9", D(98)))
    assert made.verdicts(actor) == {"ACCEPTED": 2, "NO_CHANGE": 2, "UNKNOWN_ORDER": 1}
    assert len(made.sent("order.modify")) == 1


def test_only_an_order_that_rests_undisturbed_is_amended() -> None:
    made, actor, order = placed("order.cancel")
    made.want(actor, Cancel(order.client_order_id))
    made.want(actor, Amend(order.client_order_id, D(98)))
    assert made.verdicts(actor)["NOT_AMENDABLE"] == 1


def test_a_strategy_reaches_its_own_orders_only() -> None:
    mine, other = Actor("mm"), Actor("other")
    made = Scripted(mine, other).ready()
    made.want(mine, place())
    (order,) = made.engine.orders.live
    made.want(other, Cancel(order.client_order_id), Amend(order.client_order_id, D(98)), CancelAll())
    assert made.verdicts(other) == {"UNKNOWN_ORDER": 2, "NO_CHANGE": 1}
    assert state(order) is S.ACCEPTED


# -- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CODES, reverse=True))
def test_o18_every_error_code_rejects_or_leaves_order_unknown(code: int) -> None:
    """O18, over the whole table: definite codes reject, all others are asked about."""
    made, actor, order = placed("order.place")
    made.refuse(code, CODES[code].text())
    unknown = classify(code) in (CodeClass.UNKNOWN, CodeClass.DUPLICATE)
    assert state(order) is (S.UNKNOWN if unknown else S.REJECTED)
    assert states(actor)[-1] == order.state
    assert str(code) in order.reason
    made.run(2_000)
    assert bool(made.sent(QUERY)) is unknown
    assert len(made.sent("order.place")) == 1


@pytest.mark.parametrize("code", [-987654, -4999, -1, -2006])
def test_w12_an_unlisted_code_with_status_400_is_a_refusal(code: int) -> None:
    """W12: the answer names the fault of this very request; it is told in the venue's words, and counted."""
    made, actor, order = placed("order.place")
    made.refuse(code, "Please sign the agreement first.")
    assert state(order) is S.REJECTED
    assert states(actor)[-1] == S.REJECTED
    assert order.reason == f"{code} (not in the table): Please sign the agreement first."
    assert "Please sign the agreement first." in made.said()
    assert made.engine.state.tally.rejected == 1
    made.run(9_000)
    assert not made.sent(QUERY)


@pytest.mark.parametrize("status", [408, 418, 429, 500, 502, 503, 504, 599])
def test_w12_an_unlisted_code_with_another_status_says_nothing(status: int) -> None:
    """W12: a server error, or one on the way, says nothing about the order: only asking does."""
    made, _, order = placed("order.place")
    made.refuse(-987654, status=status)
    assert state(order) is S.UNKNOWN


def test_w12_a_code_that_is_not_negative_says_nothing() -> None:
    made, _, order = placed("order.place")
    made.refuse(987654)
    assert state(order) is S.UNKNOWN


@pytest.mark.parametrize("code", [-1021, -5028])
def test_a_refusal_for_the_time_asks_the_venue_for_it_once(code: int) -> None:
    made, actor = world("order.place", "/fapi/v1/time")
    made.want(actor, place(), place(), place())
    before = len(made.called("/fapi/v1/time"))
    made.held.reverse()
    for _ in range(3):
        made.refuse(code)
    assert len(made.called("/fapi/v1/time")) == before + 1
    made.offset_ms = 5_000
    made.holds.clear()
    made.release()
    assert made.engine.clock_offset_ms == 5_000


def test_o17_taking_post_only_order_is_rejected_or_expires() -> None:
    """O17: -5022 at once, or accepted and then EXPIRED."""
    made, actor, order = placed("order.place", time_in_force=TimeInForce.GTX)
    made.refuse(-5022, CODES[-5022].text())
    assert state(order) is S.REJECTED
    made.holds.clear()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    venue = made.exchange.orders[order.client_order_id]
    venue.end(OrderStatus.EXPIRED)
    made.exchange.report(venue, ExecutionType.EXPIRED)
    made.run(0)
    made.beat()
    assert state(order) is S.EXPIRED


# -- limits -----------------------------------------------------------------------------------------------------------


def test_orders_over_the_rate_limit_are_refused_but_cancels_go() -> None:
    made, actor = world()
    made.want(actor, *(place(quantity="0.01") for _ in range(100)))
    made.want(actor, *(place(quantity="0.01") for _ in range(100)))
    made.want(actor, *(place(quantity="0.01") for _ in range(100)))
    assert made.verdicts(actor) == {"ACCEPTED": 240, "RATE_LIMIT": 60}
    order = next(iter(made.engine.orders.live))
    made.want(actor, Cancel(order.client_order_id), Amend(order.client_order_id, D(98)))
    assert made.verdicts(actor)["ACCEPTED"] == 241
    assert state(order) is S.CANCELED


def test_o29_an_order_rate_of_its_own_holds_a_strategy_back() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(orders_per_10s=3)}).ready()
    made.want(actor, place(), place())
    (first, _) = made.engine.orders.live
    made.want(actor, Amend(first.client_order_id, D(98)), place(), Cancel(first.client_order_id))
    assert made.verdicts(actor) == {"ACCEPTED": 4, "ORDER_RATE": 1}
    made.run(10_000)
    made.want(actor, place())
    assert made.verdicts(actor)["ACCEPTED"] == 5


def test_i1_every_client_order_id_reaches_the_venue_once() -> None:
    """I1."""
    made, actor, order = placed("order.place")
    made.swallows.add(QUERY)
    made.run(30_000)
    made.lose(LinkKind.API)
    made.run(30_000)
    ids = [request.params["newClientOrderId"] for request in made.sent("order.place")]
    assert ids == [order.client_order_id]
    assert made.verdicts(actor) == {"ACCEPTED": 1}


@pytest.mark.parametrize(
    ("overlay", "pause_ms"), [(Overlay.CANCEL_SENT, CANCEL_AGAIN_MS), (Overlay.CANCEL_UNKNOWN, DOUBT_AGAIN_MS)]
)
def test_a_cancel_is_repeated_once_its_pause_is_over(overlay: Overlay, pause_ms: int) -> None:
    made, _, order = placed()
    order.overlay, order.cancel_sent_ns = overlay, made.now_ns
    over_ns = made.now_ns + pause_ms * NS_PER_MS
    assert [_cancellable(order, at_ns) for at_ns in (over_ns - 1, over_ns, over_ns + 1)] == [False, True, True]
