"""The venue cannot be reached for twenty minutes, with orders open: nothing is taken for ended, afterwards everything is known."""

from __future__ import annotations

import pytest

from coldframe.model.effects import CallRest, LinkKind
from coldframe.model.inputs import LinkLost, RestAnswered
from coldframe.model.orders import OrderState
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

S = OrderState
NO_NAME = "fapi.binance.com:443: Temporary failure in name resolution"
PRICES = ("95", "96", "97", "98", "99")


def six_orders() -> tuple[Scripted, Actor]:
    """Five orders that rest, and one whose answer is still to come; the venue has taken it, but the bot has not heard so."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, *(place(price=price, quantity="0.5") for price in PRICES))
    made.holds.add("order.place")
    made.want(actor, place(price="94", quantity="0.5"))
    made.silent = True
    made.exchange.carry_out("order.place", made.sent("order.place")[-1].params)
    made.held.clear()
    return made, actor


def unreachable(made: Scripted, minutes: int) -> None:
    """Nothing can be resolved: links fall and do not open, calls fail, as the Trio tasks report it."""
    made.unopened = set(LinkKind)
    made.holds.update(effect.path for effect in made.effects if isinstance(effect, CallRest))
    made.holds.update(
        ("/fapi/v1/openOrders", "/fapi/v3/positionRisk", "/fapi/v1/userTrades", "/fapi/v1/time", "/fapi/v1/depth", "/fapi/v1/order")
    )
    made.lose_all()
    for _ in range(minutes * 60):
        made.run(1_000, alive=False)
        for name in [name for name, link in made.links.items() if not link.open]:
            del made.links[name]
            made.give(LinkLost(name, NO_NAME))
        for call in [order for order in made.held if isinstance(order, CallRest)]:
            made.held.remove(call)
            made.give(RestAnswered(call.call_id, None, made.now_ns, NO_NAME))


def resolved(made: Scripted) -> None:
    made.unopened.clear()
    made.holds.clear()
    made.silent = False
    made.run(90_000)


@pytest.mark.parametrize("traded", [False, True])
def test_n2_no_order_ends_while_the_host_name_is_unresolved(traded: bool) -> None:
    made, actor = six_orders()
    orders = list(made.engine.orders.live)
    sent = len(made.sent("order.place"))
    unreachable(made, 20)
    assert len(orders) == 6
    assert {order.state for order in orders[:5]} == {S.ACCEPTED}
    assert orders[5].state in (S.UNKNOWN, S.NEEDS_OPERATOR), (
        "ten minutes without proof: an operator may look, it counts all the same"
    )
    assert all(order.live for order in orders), "silence proves nothing"
    assert made.engine.trading is not None
    assert not made.engine.trading.reports_complete
    made.want(actor, place(price="93"))
    assert len(made.sent("order.place")) == sent, "no new risk while nothing is known"
    if traded:
        for order in orders[3:]:
            made.exchange.fill(order.client_order_id, "0.5")
    resolved(made)
    assert [order.state for order in orders[:3]] == [S.ACCEPTED] * 3
    assert {order.state for order in orders[3:]} == {S.FILLED if traded else S.ACCEPTED}
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == (D("1.5") if traded else 0)
    assert made.engine.trading.reports_complete
    assert len(made.sent("order.place")) == sent, "none was sent again"
    assert "Temporary failure in name resolution" in made.said()


def test_n2_lost_order_is_proved_absent_when_the_venue_returns() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("order.place")
    made.want(actor, place())
    made.held.clear()
    (order,) = made.engine.orders.live
    unreachable(made, 5)
    assert order.state is S.UNKNOWN
    resolved(made)
    assert order.state is S.NEVER_ACCEPTED
