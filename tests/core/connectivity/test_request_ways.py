"""Cancels and queries go by REST where the order link is down or leaves requests unanswered. New orders never do."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from coldframe.core.connectivity.request_ways import AVOID_MS, BY_REST
from coldframe.core.connectivity.user_stream import KeepKey, StartKey
from coldframe.core.execution.purposes import PendingCancel, PendingQuery
from coldframe.core.state.order import Order
from coldframe.enums import OrderStatus
from coldframe.model.effects import CallRest, Finish, LinkKind, SendRequest
from coldframe.model.inputs import LinkLost
from coldframe.model.intents import Amend, Cancel
from coldframe.model.orders import OrderState, Overlay
from coldframe.wire.api import METHODS
from coldframe.wire.rest import ENDPOINTS
from tests.core.ordering import QUERY, accept_quietly, cancels, placed, state
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

S = OrderState
CANCEL, ALGO_CANCEL = "order.cancel", "algoOrder.cancel"


def down(made: Scripted) -> None:
    """The order link is gone, and does not come back."""
    made.unopened.add(LinkKind.API)
    made.lose(LinkKind.API)


def never_new_risk_by_rest(made: Scripted) -> bool:
    calls = [(effect.verb, effect.path) for effect in made.effects if isinstance(effect, CallRest)]
    return not any(verb in ("POST", "PUT") and "rder" in path for verb, path in calls)


# -- the link is down -------------------------------------------------------------------------------------------------


def test_o40_a_cancel_goes_by_rest_while_the_link_is_down() -> None:
    made, actor, order = placed()
    down(made)
    made.want(actor, Cancel(order.client_order_id))
    assert state(order) is S.CANCELED
    (call,) = made.by_rest(CANCEL)
    assert (call.verb, call.path) == ("DELETE", "/fapi/v1/order")
    assert call.params == {"symbol": "BTCUSDT", "origClientOrderId": order.client_order_id}
    assert never_new_risk_by_rest(made)


def test_o40_an_order_of_unknown_fate_is_asked_for_by_rest() -> None:
    made, _, order = placed("order.place")
    accept_quietly(made)
    down(made)
    assert state(order) is S.UNKNOWN
    made.run(1_000)
    assert state(order) is S.ACCEPTED
    assert len(made.by_rest(QUERY)) == 1
    assert made.sent(QUERY) == []


@pytest.mark.parametrize("wanted", [lambda _: place(quantity="2"), lambda order: Amend(order.client_order_id, D(99))])
def test_new_orders_and_amendments_never_go_by_rest(wanted: Callable[[Order], object]) -> None:
    made, actor, order = placed()
    down(made)
    made.want(actor, wanted(order))
    made.run(5_000)
    assert made.verdicts(actor)["ORDER_LINK_DOWN"] == 1
    assert never_new_risk_by_rest(made)
    assert state(order) is S.ACCEPTED


def test_what_rest_refuses_is_told_as_the_link_would_tell_it() -> None:
    made, actor, order = placed()
    down(made)
    made.exchange.refuses["/fapi/v1/order"] = (-1102, "Mandatory parameter missing.")
    made.want(actor, Cancel(order.client_order_id))
    assert (state(order), order.overlay) == (S.ACCEPTED, Overlay.NONE)
    assert "cancel refused" in made.said()
    assert "Mandatory parameter missing." in made.said()
    made.exchange.refuses.clear()
    made.run(1_500)
    assert state(order) is S.CANCELED


def test_a_cancel_by_rest_that_meets_a_fill_is_no_error() -> None:
    made, actor, order = placed()
    down(made)
    made.silent = True
    made.fill(order.client_order_id, "1")
    made.silent = False
    made.want(actor, Cancel(order.client_order_id))
    assert order.overlay is Overlay.CANCEL_UNKNOWN
    made.run(3_000)
    assert (state(order), order.filled) == (S.FILLED, D(1))


# -- the link does not answer -----------------------------------------------------------------------------------------


def test_o40_cancel_unanswered_for_a_second_goes_by_rest() -> None:
    made, actor, order = placed()
    link = set(made.of_kind(LinkKind.API))
    made.stuck.add(CANCEL)
    made.want(actor, Cancel(order.client_order_id))
    made.run(900)
    assert state(order) is S.ACCEPTED
    made.run(400)
    assert state(order) is S.CANCELED
    assert (len(made.sent(CANCEL)), len(made.by_rest(CANCEL))) == (1, 1)
    assert set(made.of_kind(LinkKind.API)) == link


def test_link_is_avoided_for_a_while_after_an_unanswered_request() -> None:
    made, actor, order = placed()
    made.stuck.add("order.modify")
    made.want(actor, Amend(order.client_order_id, D(99)))
    made.run(2_300)
    made.want(actor, place(quantity="2"))
    (_, second) = made.engine.orders.live
    made.want(actor, Cancel(second.client_order_id))
    assert (len(made.sent(CANCEL)), len(made.by_rest(CANCEL))) == (0, 1)
    made.run(AVOID_MS)
    made.want(actor, place(quantity="3"))
    third = list(made.engine.orders.live)[-1]
    made.want(actor, Cancel(third.client_order_id))
    assert (len(made.sent(CANCEL)), len(made.by_rest(CANCEL))) == (1, 1)


@pytest.mark.parametrize("link_up", [True, False])
def test_a_cancel_is_paid_for_once_whichever_way_it_goes(link_up: bool) -> None:
    made, actor, order = placed()
    made.counts = None
    if not link_up:
        down(made)
    rate_limits = made.engine._ctx.rate_limits
    before = rate_limits.weight.used(made.venue_ms)
    made.want(actor, Cancel(order.client_order_id))
    assert state(order) is S.CANCELED
    cost = ENDPOINTS["DELETE", "/fapi/v1/order"].cost
    assert rate_limits.weight.used(made.venue_ms) - before == cost.weight({}) == 1
    assert cancels(made) == 1


#: What each is sent for.
PURPOSES: dict[str, Callable[[Order], object]] = {
    CANCEL: PendingCancel,
    QUERY: PendingQuery,
    ALGO_CANCEL: lambda order: PendingCancel(order, algo=True),
    "userDataStream.start": lambda _: StartKey(),
    "userDataStream.ping": lambda _: KeepKey(),
}


@pytest.mark.parametrize("method", BY_REST)
@pytest.mark.parametrize("by_rest", [True, False])
def test_o40_each_request_is_paid_for_once(method: str, by_rest: bool) -> None:
    made, _, order = placed()
    made.counts = None
    made.stuck.add(method)
    rate_limits = made.engine._ctx.rate_limits
    cost = (ENDPOINTS[BY_REST[method]] if by_rest else METHODS[method]).cost.weight({})
    before = rate_limits.weight.used(made.venue_ms)
    assert made.engine.trading is not None
    params = {"symbol": "BTCUSDT", "origClientOrderId": order.client_order_id, "clientAlgoId": order.client_order_id}
    made.engine.trading.executor.ways.send(method, params, PURPOSES[method](order), by_rest=by_rest)
    made.beat()
    assert rate_limits.weight.used(made.venue_ms) - before == cost


# -- the end of a run -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("every", [1, 2, 3, 5])
def test_o40_run_with_a_repeatedly_cut_link_ends_without_orders(every: int) -> None:
    """O40: the link stands again after each cut, and falls with one of the next cancels, which is lost."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, *(place(price=str(90 + number)) for number in range(8)))
    assert len(list(made.engine.orders.live)) == 8
    carry_out, written = made._request, [0]

    def cut(request: SendRequest) -> None:
        written[0] += request.method != "session.logon"
        if request.link not in made.links:
            return  # it fell with one of the requests before
        if request.method != "session.logon" and written[0] % every == 0:
            del made.links[request.link]
            made._queue(LinkLost(request.link, "cut"))
        else:
            carry_out(request)

    made._request = cut  # type: ignore[method-assign]
    made.stop()
    made.run(3_000)
    assert isinstance(made.ended, Finish)
    assert {order.status for order in made.exchange.orders.values()} == {OrderStatus.CANCELED}
    assert list(made.engine.orders.live) == []
    assert never_new_risk_by_rest(made)


def test_o40_run_with_a_silent_link_ends_without_open_orders() -> None:
    made, _, order = placed()
    made.stuck.update((CANCEL, QUERY))
    made.stop()
    made.run(1_500)
    assert isinstance(made.ended, Finish)
    assert state(order) is S.CANCELED


def test_the_link_is_avoided_for_ten_seconds_and_not_longer() -> None:
    made = Scripted(Actor()).ready()
    made.beat()
    assert made.engine.trading is not None
    ways = made.engine.trading.executor.ways
    ways.unanswered()
    made.run(AVOID_MS - 1)
    made.beat()
    assert not ways.link_works
    made.run(1)
    made.beat()
    assert ways.link_works
