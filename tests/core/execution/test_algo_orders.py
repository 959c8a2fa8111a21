"""Conditional orders from their request to the end of the ordinary order they become, whatever order the news come in."""

from __future__ import annotations

import attrs
import pytest
from msgspec import UNSET, UnsetType, structs

from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.orders import Order
from coldframe.enums import AlgoStatus, OrderType, Side, TimeInForce, WorkingType
from coldframe.model.effects import CallRest, Fail, Level, LinkKind, SendRequest
from coldframe.model.events import OrderChanged
from coldframe.model.intents import Cancel, CancelAll, Place
from coldframe.model.orders import OrderState, Overlay
from coldframe.wire.account import AlgoUpdate
from tests.core.algos import AtAlgo
from tests.core.ordering import accept_quietly, state, states, world
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

S = OrderState
T = OrderType
PLACE, CANCEL, QUERY, LIST = "algoOrder.place", "algoOrder.cancel", "/fapi/v1/algoOrder", "/fapi/v1/openAlgoOrders"
BUY, SELL = Side.BUY, Side.SELL


def stop(**more: object) -> Place:
    """A protective-looking stop that adds risk, so that it needs no position."""
    return attrs.evolve(place(price=None), type=T.STOP_MARKET, trigger_price=D(105), **more)  # type: ignore[arg-type]


def waiting(*holds: str, wanted: Place | None = None) -> tuple[Scripted, Actor, Order]:
    made, actor = world(*holds)
    made.want(actor, wanted or stop())
    (order,) = made.engine.orders.live
    return made, actor, order


def calls(made: Scripted, path: str) -> list[CallRest]:
    return made.called(path)


# -- requests ---------------------------------------------------------------------------------------------------------

BARE = {"algoType": "CONDITIONAL", "symbol": "BTCUSDT", "workingType": "CONTRACT_PRICE", "side": "BUY", "quantity": "1"}


@pytest.mark.parametrize(
    ("wanted", "sent"),
    [
        (
            attrs.evolve(place(price="106"), type=T.STOP, trigger_price=D(105), time_in_force=TimeInForce.IOC),
            {"type": "STOP", "price": "106", "triggerPrice": "105", "timeInForce": "IOC"},
        ),
        (stop(), {"type": "STOP_MARKET", "triggerPrice": "105"}),
        (
            attrs.evolve(place(price="95"), type=T.TAKE_PROFIT, trigger_price=D("95.0")),
            {"type": "TAKE_PROFIT", "price": "95", "triggerPrice": "95.0", "timeInForce": "GTC"},
        ),
        (
            stop(working_type=WorkingType.MARK_PRICE, price_protect=True),
            {"type": "STOP_MARKET", "triggerPrice": "105", "workingType": "MARK_PRICE", "priceProtect": "true"},
        ),
        (attrs.evolve(stop(), type=T.TAKE_PROFIT_MARKET), {"type": "TAKE_PROFIT_MARKET", "triggerPrice": "105"}),
        (
            attrs.evolve(place(price=None), type=T.TRAILING_STOP_MARKET, callback_rate=D("0.5"), activate_price=D(99)),
            {"type": "TRAILING_STOP_MARKET", "callbackRate": "0.5", "activatePrice": "99"},
        ),
    ],
    ids=lambda argument: argument.type.value if isinstance(argument, Place) else "",
)
def test_o27_each_conditional_type_sends_its_algo_parameters(wanted: Place, sent: dict[str, str]) -> None:
    made, actor, order = waiting(wanted=wanted)
    assert made.verdicts(actor) == {"ACCEPTED": 1}
    (request,) = made.sent(PLACE)
    assert dict(request.params) == BARE | sent | {"clientAlgoId": order.client_order_id}
    assert made.sent("order.place") == []
    assert state(order) is S.UNTRIGGERED
    assert made.engine.state.tally.acked == 1


# -- from trigger to end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("status", "ends"), [(AlgoStatus.REJECTED, S.REJECTED), (AlgoStatus.EXPIRED, S.EXPIRED)])
def test_order_refused_at_its_trigger_ends_with_the_reason(status: AlgoStatus, ends: OrderState) -> None:
    made, actor, order = waiting()
    made.exchange.algos.end(order.client_order_id, AlgoStatus.TRIGGERING)
    made.exchange.algos.end(order.client_order_id, status, "Margin is insufficient.")
    made.release()
    assert (state(order), order.reason) == (ends, "Margin is insufficient.")
    assert states(actor) == [S.SUBMITTED, S.UNTRIGGERED, ends]
    assert actor.told(OrderChanged)[-1].reason == "Margin is insufficient."


def test_a_reason_beside_good_news_means_nothing() -> None:
    made, _, order = waiting(PLACE)
    made.release()
    algo = made.exchange.algos.all[order.client_order_id]
    algo.reason = "Reduce Only reject"
    made.exchange.algos.report(algo)
    made.release()
    assert (state(order), order.reason) == (S.UNTRIGGERED, "")


@pytest.mark.parametrize("code", [-2021, -4130, -4411, -4509])
def test_o39_a_refusal_is_final_and_names_the_code(code: int) -> None:
    made, actor, order = waiting(PLACE)
    made.refuse(code, "the exchange's words")
    assert state(order) is S.REJECTED
    assert order.reason.startswith(f"{code} ")
    assert order.reason.endswith("the exchange's words")
    assert made.engine.state.tally.rejected == 1
    assert states(actor) == [S.SUBMITTED, S.REJECTED]
    assert not made.engine.orders.doubtful
    made.holds.clear()
    made.run(20_000)
    assert len(made.sent(PLACE)) == 1


# -- amendments and cancels -------------------------------------------------------------------------------------------


def test_the_answer_to_the_cancel_of_a_waiting_order_is_enough() -> None:
    """No report comes, and nothing has to be asked for."""
    made, actor, order = waiting()
    made.silent = True
    made.want(actor, Cancel(order.client_order_id))
    assert state(order) is S.CANCELED
    assert calls(made, QUERY) == []


def test_an_unanswered_cancel_is_asked_for_and_repeated() -> None:
    made, actor, order = waiting(CANCEL)
    made.want(actor, Cancel(order.client_order_id))
    made.run(2_300)
    assert order.overlay is Overlay.CANCEL_UNKNOWN
    made.holds.clear()
    made.drop()
    made.run(6_000)
    assert state(order) is S.CANCELED
    assert (len(made.sent(CANCEL)), len(made.by_rest(CANCEL))) == (1, 2)


def test_o35_acknowledged_algo_order_no_query_finds_stays_alive() -> None:
    made, actor, order = waiting(CANCEL)
    made.want(actor, Cancel(order.client_order_id))
    made.silent = True
    made.exchange.algos.end(order.client_order_id, AlgoStatus.CANCELED)
    made.exchange.refuses[QUERY] = (-2013, "Order does not exist.")
    made.refuse(-1007)
    made.run(5_000)
    assert state(order) is S.UNTRIGGERED
    made.run(20_000)
    assert state(order) is S.NEEDS_OPERATOR
    assert states(actor) == [S.SUBMITTED, S.UNTRIGGERED, S.NEEDS_OPERATOR]
    assert "was acknowledged, and the venue neither lists nor finds it" in made.said()


@pytest.mark.parametrize("how", ["refused", "unanswered"])
def test_o26_round_without_the_list_of_algo_orders_is_incomplete(how: str) -> None:
    made, _, order = waiting()
    made.lose(LinkKind.PRIVATE)
    if how == "refused":
        made.exchange.refuses[LIST] = (-1001, "Internal error")
    else:
        made.swallows.add(LIST)
    made.run(20_000)
    assert made.engine.trading is not None
    assert not made.engine.trading.reports_complete
    made.exchange.refuses.clear()
    made.swallows.clear()
    made.run(31_000)
    assert made.engine.trading.reports_complete
    assert state(order) is S.UNTRIGGERED


def test_cancel_all_and_the_end_of_a_run_cover_orders_that_wait() -> None:
    made, actor, order = waiting()
    made.want(actor, CancelAll())
    assert state(order) is S.CANCELED
    made.want(actor, stop(), stop(quantity=D(2)))
    made.stop()
    made.run(500)
    assert made.ended is not None
    assert list(made.engine.orders.live) == []
    assert {algo.status for algo in made.exchange.algos.all.values()} == {AlgoStatus.CANCELED}


# -- unknown fates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-1007, -1006, -1000, -4116])
def test_o1_accepted_algo_order_of_unknown_outcome_is_queried(code: int) -> None:
    made, actor, order = waiting(PLACE)
    accept_quietly(made, PLACE)
    made.refuse(code)
    assert state(order) is S.UNKNOWN
    made.run(1_000)
    assert state(order) is S.UNTRIGGERED
    assert len(made.sent(PLACE)) == 1
    assert made.sent("order.status") == []
    assert [dict(call.params) for call in calls(made, QUERY)] == [{"clientAlgoId": order.client_order_id}]
    assert states(actor) == [S.SUBMITTED, S.UNKNOWN, S.UNTRIGGERED]


def test_o2_algo_order_that_never_arrived_is_proved_absent_late() -> None:
    made, actor, order = waiting(PLACE)
    made.refuse(-1007)
    made.run(7_000)
    assert state(order) is S.UNKNOWN
    made.run(8_000)
    assert state(order) is S.NEVER_ACCEPTED
    assert len(made.sent(PLACE)) == 1
    assert len(calls(made, QUERY)) >= 3
    assert {call.params.get("symbol") for call in calls(made, LIST)} == {"BTCUSDT"}
    assert states(actor) == [S.SUBMITTED, S.UNKNOWN, S.NEVER_ACCEPTED]


def test_o14_listed_algo_order_survives_a_query_that_misses_it() -> None:
    made, actor, order = waiting(PLACE)
    accept_quietly(made, PLACE)
    made.exchange.refuses[QUERY] = (-2013, "Order does not exist.")
    made.refuse(-1007)
    made.run(40_000)
    assert state(order) is S.UNTRIGGERED
    assert S.NEVER_ACCEPTED not in states(actor)


def test_the_report_of_acceptance_may_come_before_the_answer() -> None:
    made, _, order = waiting(PLACE)
    held = list(made.held)
    made.swallows.add(PLACE)
    made.release()
    assert state(order) is S.UNTRIGGERED
    made.swallows.clear()
    made.run(2_300)  # the wait for the answer ends
    assert state(order) is S.UNTRIGGERED
    assert isinstance(held[0], SendRequest)
    made.reply(held[0], {"status": 408, "error": {"code": -1007, "msg": "Timeout"}})
    made.run(10)
    assert state(order) is S.UNTRIGGERED


def test_no_algo_queries_are_sent_without_conditional_orders() -> None:
    made, actor = world()
    made.want(actor, place())
    made.run(120_000)
    assert calls(made, LIST) == calls(made, QUERY) == []


@pytest.mark.parametrize("rule", [ExternalPolicy.REFUSE, ExternalPolicy.ADOPT])
def test_o24_external_conditional_order_is_refused_at_the_start(rule: ExternalPolicy) -> None:
    made = Scripted(Actor(), trading=OrderSideLimits(external=rule))
    made.exchange.algos.all["web_1"] = AtAlgo("web_1", 7, "BTCUSDT", SELL, T.STOP_MARKET, "1", "0", "90")
    made.start()
    made.run(600)
    assert isinstance(made.ended, Fail)
    assert made.ended.text == (
        "orders.external: conditional order STOP_MARKET SELL BTCUSDT (web_1) belongs to no strategy:"
        ' cancel it, or set external = "ignore" under [orders]'
    )


def test_first_round_lists_all_algo_orders_and_counts_external() -> None:
    made = Scripted(Actor(), trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    made.exchange.algos.all["web_1"] = AtAlgo("web_1", 7, "BTCUSDT", SELL, T.STOP_MARKET, "1", "0", "90")
    made.start()
    for _ in range(2):
        made.book("BTCUSDT", [("99.9", "5")], [("100.1", "5")])
    made.run(600)
    assert [dict(call.params) for call in made.called(LIST)] == [{}]
    assert "1 open orders at the venue, 1 of no strategy" in made.said()


def test_external_conditional_order_is_reported_and_left_alone() -> None:
    made, _ = world()
    algo = AtAlgo("web_1", 7, "BTCUSDT", SELL, T.STOP_MARKET, "1", "0", "90")
    made.exchange.algos.report(algo)
    made.release()
    assert [line.text for line in made.log if line.level is Level.WARNING] == [
        "a conditional order of no strategy: STOP_MARKET BTCUSDT SELL 1 NEW"
    ]


# -- what the venue says of the order that it became ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("became", "order_id"), [("4711", 4711), ("", None), (UNSET, None), ("soon", None), ("\u00b2", None), ("\u0664", None)]
)
def test_a_trigger_names_the_ordinary_order_by_its_number(became: str | UnsetType, order_id: int | None) -> None:
    """The report of the trigger comes alone. Digits of other alphabets are not a valid number."""
    made, _, order = waiting()
    report = made.exchange.algos.all[order.client_order_id].report()
    report = structs.replace(report, status=AlgoStatus.TRIGGERED, actual_order_id=became)
    made.tell(AlgoUpdate(event="ALGO_UPDATE", event_ms=made.venue_ms, transaction_ms=made.venue_ms, order=report))
    made.beat()
    assert (state(order), order.order_id) == (S.TRIGGERED, order_id)
    assert "unreadable" not in made.said()
