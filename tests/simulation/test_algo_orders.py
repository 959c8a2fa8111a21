"""Conditional orders before their trigger: requests, cancels, unknown outcomes, what is told of them by whom."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from msgspec import UNSET, UnsetType, structs

from coldframe import Cancel, CancelAll, OrderChanged, OrderType, Place, Side, TimeInForce
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.order import Order
from coldframe.enums import AlgoStatus, WorkingType
from coldframe.exchange.faults import FaultDecision, ResponseMode
from coldframe.model.effects import LinkKind
from coldframe.model.orders import OrderState, Overlay
from coldframe.wire.account import AlgoUpdate
from coldframe.wire.codec import Census, decode, encode
from coldframe.wire.requests import Fault
from tests.simulation.ends import LOT, B, world
from tests.simulation.pump import Pump
from tests.simulation.strategies import Puppet
from tests.simulation.test_conditional_orders import CANCEL, PLACE, QUERY, sent, states, verdicts, want
from tests.simulation.venue import LOST, UNANSWERED, refused

D = Decimal
S = OrderState
T = OrderType
LIST = "GET /fapi/v1/openAlgoOrders"
CANCEL_BY_REST = "DELETE /fapi/v1/algoOrder"
#: The market stands at 60000.
STOP = Place(symbol=B, side=Side.BUY, type=T.STOP_MARKET, quantity=LOT, trigger_price=D(60_100))
NOT_FOUND = refused(-2013, "Order does not exist.")
WEB = {"algoType": "CONDITIONAL", "symbol": B, "side": "SELL", "type": "STOP_MARKET", "quantity": "0.010", "triggerPrice": "59000"}


def waiting(wanted: Place = STOP, **fates: FaultDecision) -> tuple[Pump, Puppet, Order]:
    """The strategy has placed a conditional order."""
    pump, puppet = world()
    pump.run(1)
    pump.sent.clear()
    pump.venue.fates |= fates
    want(pump, puppet, wanted)
    order = pump.engine.orders.get(next(event for event in puppet.events if isinstance(event, OrderChanged)).client_order_id)
    assert order is not None
    return pump, puppet, order


def unknown(code: int, *, arrives: bool, **fates: FaultDecision) -> tuple[Pump, Puppet, Order]:
    """The answer leaves the outcome open, and no report comes; the order has arrived or not."""
    pump, puppet = world()
    pump.run(1)
    pump.sent.clear()
    pump.venue.fates[PLACE] = FaultDecision(carried_out=arrives, instead=Fault(code, "Timeout"), status=408)
    pump.venue.fates |= fates
    pump.loses = lambda _: True
    want(pump, puppet, STOP)
    (order,) = pump.engine.orders.live
    assert order.state is S.UNKNOWN
    assert (order.client_order_id in pump.venue.waiting_orders()) is arrives
    return pump, puppet, order


def external(pump: Pump) -> None:
    """Another client places a conditional order."""
    assert pump.venue.by_hand("POST", "/fapi/v1/algoOrder", {**WEB, "clientAlgoId": "web_1"}).status == 200


# -- requests ---------------------------------------------------------------------------------------------------------

BARE = {"algoType": "CONDITIONAL", "symbol": B, "workingType": "CONTRACT_PRICE", "side": "BUY", "quantity": "0.010"}


def made(kind: OrderType, trigger: str | None = "60100", **more: Any) -> Place:
    return attrs.evolve(STOP, type=kind, trigger_price=None if trigger is None else D(trigger), **more)


@pytest.mark.parametrize(
    ("wanted", "params"),
    [
        (
            made(T.STOP, price=D(60_110), time_in_force=TimeInForce.IOC),
            {"type": "STOP", "price": "60110", "triggerPrice": "60100", "timeInForce": "IOC"},
        ),
        (STOP, {"type": "STOP_MARKET", "triggerPrice": "60100"}),
        (
            made(T.TAKE_PROFIT, "59900.0", price=D(59_900)),
            {"type": "TAKE_PROFIT", "price": "59900", "triggerPrice": "59900.0", "timeInForce": "GTC"},
        ),
        (
            made(T.STOP_MARKET, working_type=WorkingType.MARK_PRICE, price_protect=True),
            {"type": "STOP_MARKET", "triggerPrice": "60100", "workingType": "MARK_PRICE", "priceProtect": "true"},
        ),
        (made(T.TAKE_PROFIT_MARKET, "59900"), {"type": "TAKE_PROFIT_MARKET", "triggerPrice": "59900"}),
        (
            made(T.TRAILING_STOP_MARKET, None, callback_rate=D("0.5"), activate_price=D(59_900)),
            {"type": "TRAILING_STOP_MARKET", "callbackRate": "0.5", "activatePrice": "59900"},
        ),
    ],
    ids=lambda argument: argument.type.value if isinstance(argument, Place) else "",
)
def test_o27_each_conditional_type_sends_its_algo_parameters(wanted: Place, params: dict[str, str]) -> None:
    pump, _, order = waiting(wanted)
    assert verdicts(pump) == {"ACCEPTED": 1}
    assert sent(pump, PLACE) == [BARE | params | {"clientAlgoId": order.client_order_id}]
    assert sent(pump, "order.place") == []
    assert order.state is S.UNTRIGGERED
    assert pump.engine.state.tally.acked == 1


@pytest.mark.parametrize("code", [-2021, -4130, -4411, -4509])
def test_o39_a_refusal_is_final_and_names_the_code(code: int) -> None:
    pump, puppet, order = waiting(**{PLACE: refused(code, "the exchange's words")})
    assert order.state is S.REJECTED
    assert order.reason.startswith(f"{code} ")
    assert order.reason.endswith("the exchange's words")
    assert pump.engine.state.tally.rejected == 1
    assert states(puppet) == [S.SUBMITTED, S.REJECTED]
    assert not pump.engine.orders.doubtful
    pump.venue.fates.clear()
    pump.run(20)
    assert len(sent(pump, PLACE)) == 1


# -- cancels ----------------------------------------------------------------------------------------------------------


def test_the_answer_to_the_cancel_of_a_waiting_order_is_enough() -> None:
    """No report comes, and nothing has to be asked for."""
    pump, puppet, order = waiting()
    pump.loses = lambda _: True
    want(pump, puppet, Cancel(order.client_order_id))
    assert order.state is S.CANCELED
    assert sent(pump, QUERY) == []


def test_an_unanswered_cancel_is_asked_for_and_repeated() -> None:
    pump, puppet, order = waiting()
    lost_later = FaultDecision(wait_ms=2_500, carried_out=False, ending=ResponseMode.CUT)
    pump.venue.fates |= {CANCEL: LOST, CANCEL_BY_REST: lost_later}
    want(pump, puppet, Cancel(order.client_order_id))
    pump.run(2.2)
    assert order.overlay is Overlay.CANCEL_UNKNOWN
    pump.venue.fates.clear()
    pump.until(lambda: order.state is S.CANCELED, 10)
    assert (len(sent(pump, CANCEL)), len(sent(pump, CANCEL_BY_REST))) == (1, 2)


def test_o40_a_conditional_order_is_cancelled_by_rest_too() -> None:
    """The order link is down."""
    pump, puppet, order = waiting()
    pump.venue.refuses.add(LinkKind.API)
    pump.venue.cut(LinkKind.API)
    puppet.patient = False
    want(pump, puppet, CancelAll())
    assert (order.state, pump.venue.waiting_orders()) == (S.CANCELED, {})
    assert (sent(pump, CANCEL), len(sent(pump, CANCEL_BY_REST))) == ([], 1)


def test_o35_acknowledged_algo_order_no_query_finds_stays_alive() -> None:
    """It was cancelled, and nothing of that is heard."""
    pump, puppet, order = waiting()
    pump.venue.fates |= {CANCEL: FaultDecision(instead=Fault(-1007, "Timeout"), status=408), QUERY: NOT_FOUND}
    pump.loses = lambda _: True
    want(pump, puppet, Cancel(order.client_order_id))
    assert pump.venue.waiting_orders() == {}
    pump.run(5)
    assert order.state is S.UNTRIGGERED
    pump.run(20)
    assert order.state is S.NEEDS_OPERATOR
    assert states(puppet) == [S.SUBMITTED, S.UNTRIGGERED, S.NEEDS_OPERATOR]
    assert pump.told("was acknowledged, and the venue neither lists nor finds it")


@pytest.mark.parametrize("fate", [refused(-1001, "Internal error"), LOST], ids=["refused", "unanswered"])
def test_o26_round_without_the_list_of_algo_orders_is_incomplete(fate: FaultDecision) -> None:
    pump, _, order = waiting()
    trading = pump.engine.trading
    assert trading is not None
    pump.venue.fates[LIST] = fate
    pump.venue.cut(LinkKind.PRIVATE)
    pump.run(20)
    assert not trading.reports_complete
    pump.venue.fates.clear()
    pump.until(lambda: trading.reports_complete, 31)
    assert order.state is S.UNTRIGGERED


def test_cancel_all_and_the_end_of_a_run_cover_orders_that_wait() -> None:
    pump, puppet, order = waiting()
    want(pump, puppet, CancelAll())
    assert order.state is S.CANCELED
    puppet.wanted = [STOP, attrs.evolve(STOP, quantity=LOT * 2)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 2, 5)
    pump.stop(within_s=1)
    assert list(pump.engine.orders.live) == []
    assert pump.venue.waiting_orders() == {}


# -- unknown fates ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-1007, -1006, -1000, -4116])
def test_o1_accepted_algo_order_of_unknown_outcome_is_queried(code: int) -> None:
    pump, puppet, order = unknown(code, arrives=True)
    pump.run(1)
    assert order.state is S.UNTRIGGERED
    assert len(sent(pump, PLACE)) == 1
    assert sent(pump, "order.status") == []
    assert sent(pump, QUERY) == [{"clientAlgoId": order.client_order_id}]
    assert states(puppet) == [S.SUBMITTED, S.UNKNOWN, S.UNTRIGGERED]


def test_o2_algo_order_that_never_arrived_is_proved_absent_late() -> None:
    pump, puppet, order = unknown(-1007, arrives=False)
    pump.run(7)
    assert order.state is S.UNKNOWN
    pump.run(8)
    assert order.state is S.NEVER_ACCEPTED
    assert len(sent(pump, PLACE)) == 1
    assert len(sent(pump, QUERY)) >= 3
    assert {params.get("symbol") for params in sent(pump, LIST)} == {B}
    assert states(puppet) == [S.SUBMITTED, S.UNKNOWN, S.NEVER_ACCEPTED]


def test_o14_listed_algo_order_survives_a_query_that_misses_it() -> None:
    pump, puppet, order = unknown(-1007, arrives=True, **{QUERY: NOT_FOUND})
    pump.run(40)
    assert order.state is S.UNTRIGGERED
    assert S.NEVER_ACCEPTED not in states(puppet)


def test_the_report_of_acceptance_may_come_before_the_answer() -> None:
    """It comes at once, and the wait for the answer ends before that says that the outcome is not known."""
    pump, puppet, order = waiting(**{PLACE: FaultDecision(hold_ms=3_000, instead=Fault(-1007, "Timeout"), status=408)})
    assert order.state is S.UNTRIGGERED
    pump.run(2.5)
    assert order.state is S.UNTRIGGERED
    pump.run(1)
    assert order.state is S.UNTRIGGERED
    assert states(puppet) == [S.SUBMITTED, S.UNTRIGGERED]


def test_no_algo_queries_are_sent_without_conditional_orders() -> None:
    pump, _, order = waiting(attrs.evolve(STOP, type=T.LIMIT, trigger_price=None, price=D(59_000)))
    pump.run(120)
    assert order.state is S.ACCEPTED
    assert sent(pump, LIST) == sent(pump, QUERY) == []


# -- orders of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rule", [ExternalPolicy.REFUSE, ExternalPolicy.ADOPT])
def test_o24_external_conditional_order_is_refused_at_the_start(rule: ExternalPolicy) -> None:
    pump, _ = world(trading=OrderSideLimits(external=rule))
    external(pump)
    pump.until(lambda: pump.failed is not None, 5)
    assert pump.failed is not None
    assert pump.failed.text == (
        "orders.external: conditional order STOP_MARKET SELL BTCUSDT (web_1) belongs to no strategy:"
        ' cancel it, or set external = "ignore" under [orders]'
    )


def test_first_round_lists_all_algo_orders_and_counts_external() -> None:
    pump, _ = world(trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    external(pump)
    pump.run(1)
    assert sent(pump, LIST) == [{}]
    assert pump.told("1 open orders at the venue, 1 of no strategy")


def test_external_conditional_order_is_reported_and_left_alone() -> None:
    pump, _ = world()
    pump.run(1)
    external(pump)
    pump.run(0.1)
    warnings = [line for line in pump.log if line.startswith("warning")]
    assert warnings == ["warning: a conditional order of no strategy: STOP_MARKET BTCUSDT SELL 0.010 NEW"]
    assert list(pump.venue.waiting_orders()) == ["web_1"]


# -- reports that the exchange does not send in these worlds ----------------------------------------------------------


def heard(*, late: bool = False) -> tuple[Pump, Puppet, Order, AlgoUpdate]:
    """An order that waits, and the report of its acceptance; with `late` the bot has heard neither of that nor an answer."""
    frames: list[bytes] = []
    pump, puppet = world()
    pump.run(1)

    def loses(frame: bytes) -> bool:
        frames.append(frame)
        return late

    pump.loses = loses
    pump.venue.fates |= {PLACE: UNANSWERED} if late else {}
    want(pump, puppet, STOP)
    pump.loses = lambda _: False
    (order,) = pump.engine.orders.live
    assert order.state is (S.SUBMITTED if late else S.UNTRIGGERED)
    (update,) = [decode(AlgoUpdate, frame, Census()) for frame in frames if b"ALGO_UPDATE" in frame]
    return pump, puppet, order, update


def report(pump: Pump, update: AlgoUpdate, *, at_ms: int | None = None, **changes: object) -> None:
    """The exchange says this of an order now."""
    link = next(link for link, socket in pump.venue.sockets.items() if socket.kind is LinkKind.PRIVATE)
    changed = structs.replace(update, order=structs.replace(update.order, **changes))
    pump.received(link, encode(structs.replace(changed, transaction_ms=pump.now_ms if at_ms is None else at_ms)))
    pump.run(0.02)


@pytest.mark.parametrize(("status", "ends"), [(AlgoStatus.REJECTED, S.REJECTED), (AlgoStatus.EXPIRED, S.EXPIRED)])
def test_order_refused_at_its_trigger_ends_with_the_reason(status: AlgoStatus, ends: OrderState) -> None:
    pump, puppet, order, update = heard()
    report(pump, update, status=AlgoStatus.TRIGGERING)
    report(pump, update, status=status, reject_reason="Margin is insufficient.")
    assert (order.state, order.reason) == (ends, "Margin is insufficient.")
    assert states(puppet) == [S.SUBMITTED, S.UNTRIGGERED, ends]
    told = puppet.events[-1]
    assert isinstance(told, OrderChanged)
    assert told.reason == "Margin is insufficient."


def test_a_reason_beside_good_news_means_nothing() -> None:
    pump, _, order, update = heard(late=True)
    report(pump, update, reject_reason="Reduce Only reject")
    assert (order.state, order.reason) == (S.UNTRIGGERED, "")


@pytest.mark.parametrize("later_ms", [-1_000, 0, 1])
def test_only_news_from_after_the_end_bring_an_order_back(later_ms: int) -> None:
    pump, puppet, order, update = heard()
    want(pump, puppet, Cancel(order.client_order_id))
    assert order.state is S.CANCELED
    report(pump, update, at_ms=order.ended_ms + later_ms)
    assert bool(pump.told("was CANCELED, and is UNTRIGGERED after all")) is (later_ms > 0)
    assert pump.engine.orders.incidents == (later_ms > 0)


@pytest.mark.parametrize(
    ("became", "order_id"), [("4711", 4711), ("", None), (UNSET, None), ("soon", None), ("\u00b2", None), ("\u0664", None)]
)
def test_a_trigger_names_the_ordinary_order_by_its_number(became: str | UnsetType, order_id: int | None) -> None:
    """The report of the trigger comes alone. Digits of other alphabets are not a valid number."""
    pump, _, order, update = heard()
    report(pump, update, status=AlgoStatus.TRIGGERED, actual_order_id=became)
    assert (order.state, order.order_id) == (S.TRIGGERED, order_id)
    assert not pump.told("unreadable")
