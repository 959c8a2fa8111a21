"""Orders of others: shared out, told by kind, and what the venue's own engines do shuts the symbol."""

from __future__ import annotations

import pytest

from coldframe.core.execution.execution_reports import AMENDED_ACROSS, AMENDED_AWAY
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.limits import RiskLimits
from coldframe.enums import ExecutionType, OrderStatus, Side, TimeInForce
from coldframe.model.effects import Level
from coldframe.model.events import OrderChanged, OrderFilled, PositionChanged
from coldframe.model.intents import Amend, Cancel
from coldframe.model.orders import OrderState
from tests.core.looking import view_of
from tests.core.ordering import placed, world
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place


def said_at(made: Scripted, level: Level) -> str:
    return "\n".join(line.text for line in made.log if line.level is level)


@pytest.mark.parametrize(
    ("client_order_id", "kind"),
    [
        ("autoclose-1700", "liquidation"),
        ("adl_autoclose", "auto-deleveraging"),
        ("settlement_autoclose-7", "settlement"),
        ("delivery_autoclose-9", "delivery"),
    ],
)
def test_o20_venue_closures_are_booked_and_suspend_the_symbol(client_order_id: str, kind: str) -> None:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    made.want(actor, place(quantity="2"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2")
    made.external_order(client_order_id, Side.SELL, "0.5", "90")
    made.fill(client_order_id, "0.5")
    assert made.engine.state.external.account.net("BTCUSDT") == 0
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D("1.5")
    assert [event.cause for event in actor.told(PositionChanged)] == [kind]
    assert kind in said_at(made, Level.ERROR)
    assert f"BTCUSDT is halted: {kind} by the venue" in made.engine.state.trading.symbols["BTCUSDT"].text
    assert len(actor.told(OrderFilled)) == 1
    made.want(actor, place(), place(symbol="ETHUSDT"), place(Side.SELL, "1", "101"))
    assert made.verdicts(actor) == {"ACCEPTED": 3, "HALTED": 1}
    assert not view_of(made.engine).trading_allowed("BTCUSDT")
    made.run(60_000)
    assert made.engine.state.holdings.adjustments == []


def test_o21_an_order_by_hand_is_external_and_shuts_nothing() -> None:
    made, actor = world()
    made.external_order("web_1", Side.BUY, "0.5")
    assert [order.remaining for order in made.engine.state.external.orders.values()] == [D("0.5")]
    made.fill("web_1", "0.2")
    made.fill("web_1", "0.3")
    assert made.engine.state.external.account.net("BTCUSDT") == D("0.5")
    assert made.engine.state.external.orders == {}
    assert "an order of no strategy: BTCUSDT BUY" in said_at(made, Level.WARNING)
    assert said_at(made, Level.ERROR) == ""
    made.want(actor, place())
    assert made.verdicts(actor) == {"ACCEPTED": 1}


def test_external_positions_and_orders_count_into_the_gross() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_gross_notional=D(300))).ready()
    made.external_order("web_1", Side.BUY, "1", "95")
    made.external_order("web_2", Side.BUY, "1", "95")
    made.fill("web_2", "1")
    made.want(actor, place(quantity="1"), place(quantity="1.1"))
    assert made.verdicts(actor) == {"ACCEPTED": 1, "GROSS_NOTIONAL": 1}


def test_o21_external_cancel_of_an_own_order_is_reported() -> None:
    made, actor, order = placed()
    venue = made.exchange.orders[order.client_order_id]
    venue.end(OrderStatus.CANCELED)
    made.exchange.report(venue, ExecutionType.CANCELED)
    made.beat()
    assert (order.state, order.reason) == (OrderState.CANCELED, "cancelled from outside")
    assert actor.told(OrderChanged)[-1].reason == "cancelled from outside"
    assert "cancelled from outside" in said_at(made, Level.WARNING)


def test_o21_external_cancel_seen_only_by_a_query_is_reported() -> None:
    made, _, order = placed()
    made.exchange.orders[order.client_order_id].end(OrderStatus.CANCELED)
    made.run(35_000)
    assert (order.state, order.reason) == (OrderState.CANCELED, "cancelled from outside")


def test_our_own_cancels_and_amendments_are_not_from_outside() -> None:
    made, actor, order = placed(quantity="2")
    made.fill(order.client_order_id, "1")
    made.want(actor, Amend(order.client_order_id, price=D("99")))
    made.want(actor, Amend(order.client_order_id, quantity=D("1")))
    assert order.state is OrderState.CANCELED
    made.want(actor, place(quantity="3"))
    (other,) = made.engine.orders.live
    made.swallows.add("order.cancel")
    made.want(actor, Cancel(other.client_order_id))
    made.run(10_000)
    assert other.state is OrderState.CANCELED
    assert "from outside" not in made.said()


@pytest.mark.parametrize("answer_first", [True, False])
@pytest.mark.parametrize(
    ("time_in_force", "reason"), [(TimeInForce.GTX, AMENDED_ACROSS), (TimeInForce.GTC, AMENDED_AWAY)], ids=["GTX", "GTC"]
)
def test_an_amendment_that_ends_an_order_is_our_own_doing(answer_first: bool, time_in_force: TimeInForce, reason: str) -> None:
    made, actor, order = placed("order.modify", time_in_force=time_in_force)
    made.want(actor, Amend(order.client_order_id, price=D("100.5")))
    (request,) = made.held
    venue = made.exchange.orders[order.client_order_id]
    venue.end(OrderStatus.CANCELED)
    venue.at_ms = made.venue_ms
    if not answer_first:
        made.exchange.report(venue, ExecutionType.CANCELED)
        made.beat()
    made.reply(request, {"status": 200, "result": made.exchange._printed(venue)})
    made.beat()
    assert (order.state, order.reason) == (OrderState.CANCELED, reason)
    assert "from outside" not in made.said()


def test_o21_external_amendment_of_an_own_order_is_reported() -> None:
    made, _, order = placed()
    venue = made.exchange.orders[order.client_order_id]
    venue.amend("97", "0.5")
    made.exchange.report(venue, ExecutionType.AMENDMENT)
    made.beat()
    assert (order.price, order.quantity, order.state) == (D("97"), D("0.5"), OrderState.ACCEPTED)
    assert "amended from outside" in said_at(made, Level.WARNING)
    assert "is now 0.5 @ 97" in said_at(made, Level.WARNING)


def test_what_is_found_at_the_start_is_followed_to_its_end() -> None:
    made = Scripted(Actor(), trading=OrderSideLimits(external=ExternalPolicy.IGNORE))
    made.exchange.external_order("web_1", "BTCUSDT", Side.BUY, "1", "95")
    made.ready()
    assert "order BUY 1 BTCUSDT @ 95 (web_1) belongs to no strategy: left alone" in made.said()
    made.exchange.orders["web_1"].end(OrderStatus.CANCELED)
    made.exchange.report(made.exchange.orders["web_1"], ExecutionType.CANCELED)
    made.beat()
    assert made.engine.state.external.orders == {}
