"""Strategies on an account in hedge mode: positions per side, targets that cross zero, quotes of one side."""

from __future__ import annotations

from decimal import Decimal

from coldframe import OrderFilled, OrderType, Place, PositionSide, Quote, Quotes, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import PositionMode
from coldframe.model.orders import OrderState
from tests.core.looking import view_of
from tests.simulation.ends import B, reach
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
LONG, SHORT, BOTH = PositionSide.LONG, PositionSide.SHORT, PositionSide.BOTH
BUY, SELL = Side.BUY, Side.SELL
LOT = D("0.010")
HEDGED = EmbeddedVenue(accounts=[VenueAccount(name="main", hedge_mode=True)])


def world(on_error: OnError = OnError.QUARANTINE) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    return Pump([Trader(id="mm", make=lambda: puppet, on_error=on_error)], settings=HEDGED, hedge=True), puppet


def market(side: Side, quantity: str, position_side: PositionSide = BOTH, *, reduce_only: bool = False) -> Place:
    return Place(
        symbol=B, side=side, quantity=D(quantity), type=OrderType.MARKET, position_side=position_side, reduce_only=reduce_only
    )


def sides(pump: Pump) -> tuple[Decimal, Decimal]:
    """What the strategy holds on either side; the exchange says the same."""
    held = [pump.engine.accounts["mm"].position(B, side).quantity for side in (LONG, SHORT)]
    assert held == [pump.venue.position(B, side) for side in (LONG, SHORT)]
    return held[0], held[1]


def until_sides(pump: Pump, long: str, short: str) -> None:
    """Waits until the exchange has both sides so, and the bot a moment later."""
    pump.until(lambda: [pump.venue.position(B, side) for side in (LONG, SHORT)] == [D(long), D(short)], 10)
    pump.run(0.1)
    assert sides(pump) == (D(long), D(short))


def holding(long: str, short: str, on_error: OnError = OnError.QUARANTINE) -> tuple[Pump, Puppet]:
    """So much is held on either side."""
    pump, puppet = world(on_error)
    puppet.wanted = [market(BUY, long, LONG), market(SELL, short.removeprefix("-"), SHORT)]
    until_sides(pump, long, short)
    return pump, puppet


def orders_sent(pump: Pump) -> list[tuple[object, object, Decimal]]:
    sent = [params for method, params in pump.sent if method == "order.place"]
    return [(params["side"], params["positionSide"], D(str(params["quantity"]))) for params in sent]


def verdicts(pump: Pump) -> dict[str, int]:
    return pump.engine.runtimes.get("mm").verdicts


def test_both_sides_are_held_beside_each_other_and_shown_so() -> None:
    pump, puppet = holding("0.020", "-0.005")
    ask, bid = (pump.market.best(B, side) for side in (SELL, BUY))
    view = view_of(pump.engine)
    assert view.position_mode is PositionMode.HEDGE
    assert (view.position(B), view.position(B, LONG), view.position(B, SHORT)) == (D("0.015"), D("0.020"), D("-0.005"))
    assert (view.entry_price(B), view.entry_price(B, LONG), view.entry_price(B, SHORT)) == (None, ask, bid)
    assert {event.position_side for event in puppet.events if isinstance(event, OrderFilled)} == {LONG, SHORT}
    puppet.wanted = [market(SELL, "0.020", LONG, reduce_only=True)]
    until_sides(pump, "0", "-0.005")
    assert view.entry_price(B) == bid
    assert all("reduceOnly" not in params for method, params in pump.sent if method == "order.place")


def test_symbol_with_offsetting_sides_is_still_reconciled() -> None:
    pump, _ = holding("0.010", "-0.010")
    pump.run(35)
    pump.sent.clear()
    pump.run(31)
    assert {params["symbol"] for call, params in pump.sent if call == "GET /fapi/v1/userTrades"} == {B}


def test_o22_orders_without_a_side_are_refused() -> None:
    pump, puppet = world()
    puppet.wanted = [
        Place(symbol=B, side=BUY, quantity=LOT, price=D(59_000)),
        market(SELL, "0.010"),
        Quotes(B, [Quote(D(59_000), LOT)]),
    ]
    pump.until(lambda: bool(verdicts(pump)))
    pump.run(1)
    assert verdicts(pump) == {"POSITION_SIDE": 3}
    assert orders_sent(pump) == []


def test_target_that_changes_sign_closes_its_side_before_opening() -> None:
    pump, puppet = world()
    for target, long, short in (
        ("0.020", "0.020", "0"),
        ("-0.015", "0", "-0.015"),
        ("-0.005", "0", "-0.005"),
        ("0", "0", "0"),
    ):
        puppet.wanted = [Target(B, D(target))]
        until_sides(pump, long, short)
    assert orders_sent(pump) == [
        ("BUY", "LONG", D("0.020")),
        ("SELL", "LONG", D("0.020")),
        ("SELL", "SHORT", D("0.015")),
        ("BUY", "SHORT", D("0.010")),
        ("BUY", "SHORT", D("0.005")),
    ]


def test_a_muted_strategy_is_flattened_on_both_sides() -> None:
    pump, puppet = holding("0.020", "-0.030", OnError.FLATTEN)
    puppet.act = lambda _: 1 // 0  # type: ignore[assignment,return-value]
    until_sides(pump, "0", "0")
    assert pump.engine.runtimes.get("mm").muted


def test_quotes_of_a_side_open_it_and_close_what_there_is() -> None:
    pump, puppet = world()
    bid, ask = pump.market.best(B, BUY) + D("0.1"), D(60_100)
    desired = Quotes(B, [Quote(bid, LOT)], [Quote(ask, LOT)], position_side=LONG)
    puppet.wanted = [desired]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.run(1)
    assert verdicts(pump) == {"POSITION": 1}
    assert orders_sent(pump) == [("BUY", "LONG", LOT)]
    pump.market.trade(B, SELL, LOT, bid)
    until_sides(pump, "0.010", "0")
    puppet.wanted = [desired]
    pump.until(lambda: len(orders_sent(pump)) == 3, 10)
    pump.run(1)
    assert sorted(orders_sent(pump)[1:]) == [("BUY", "LONG", LOT), ("SELL", "LONG", LOT)]
    assert live(pump) == {(BUY, LONG, LOT), (SELL, LONG, LOT)}
    puppet.wanted = [Quotes(B, asks=[Quote(ask, 2 * LOT)], position_side=SHORT)]
    pump.until(lambda: live(pump) == {(SELL, SHORT, 2 * LOT)}, 5)
    puppet.wanted = [Quotes(B)]
    pump.until(lambda: not live(pump), 5)
    assert pump.venue.open_orders() == {}


def live(pump: Pump) -> set[tuple[Side, PositionSide, Decimal]]:
    return {(order.side, order.position_side, order.remaining) for order in pump.engine.orders.live}


def test_a_stop_of_one_side_closes_that_side() -> None:
    pump, puppet = holding("0.020", "-0.010")
    trigger = pump.market.best(B, BUY) - 100
    puppet.wanted = [
        Place(
            symbol=B, side=SELL, quantity=D("0.020"), type=OrderType.STOP_MARKET,
            trigger_price=trigger, position_side=LONG, reduce_only=True,
        )
    ]  # fmt: skip
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    (order,) = pump.engine.orders.live
    (params,) = [params for method, params in pump.sent if method == "algoOrder.place"]
    assert params["positionSide"] == "LONG"
    assert "reduceOnly" not in params
    reach(pump, -150)
    until_sides(pump, "0", "-0.010")
    assert order.state is OrderState.FILLED
