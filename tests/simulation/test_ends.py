"""The end of a run and of a strategy: what only reduces an open position stays, all else goes, and what is left is said."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import pytest

from coldframe import Intent, OrderType, Place, Side, Target, hookimpl
from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueFaults
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.limits import Budget
from coldframe.core.state.protection import OrderPolicy
from coldframe.enums import PositionSide
from coldframe.exits import Exit
from coldframe.model.effects import LinkKind
from coldframe.model.inputs import StopAsked
from coldframe.model.view import View
from tests.simulation.ends import (
    COUNTDOWN,
    LOT,
    B,
    Stopper,
    at_venue,
    bid,
    code,
    end_row,
    holding,
    protected,
    report,
    stop_at,
    world,
)
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet
from tests.simulation.venue import UNANSWERED

# -- what stays ---------------------------------------------------------------------------------------------------------

REDUCING: dict[str, Callable[[Decimal], Place]] = {
    "stop": lambda price: stop_at(price - 500),
    "close_position": lambda price: stop_at(price - 500, close_position=True, reduce_only=False, quantity=Decimal(0)),
    "trailing": lambda price: stop_at(
        price - 500, type=OrderType.TRAILING_STOP_MARKET, trigger_price=None, callback_rate=Decimal(1)
    ),
    "take_profit": lambda price: stop_at(price + 500, type=OrderType.TAKE_PROFIT_MARKET),
    "limit": lambda price: Place(symbol=B, side=Side.SELL, quantity=LOT, price=price + 500, reduce_only=True),
}
STOPS = ("stop", "close_position", "trailing")


@pytest.mark.parametrize("kind", REDUCING)
def test_o38_an_end_keeps_what_can_only_reduce(kind: str) -> None:
    pump, puppet = holding()
    puppet.wanted = [REDUCING[kind](pump.market.best(B, Side.BUY)), bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.stop("signal")
    assert pump.finished == "signal"
    (kept,) = report(pump).kept
    assert at_venue(pump) == {kept.client_order_id}
    assert report(pump).left == report(pump).owed == ()
    (position,) = report(pump).positions
    assert position.quantity == LOT
    assert position.stops == ((kept.client_order_id,) if kind in STOPS else ())
    assert code(pump) is (Exit.DONE if kind in STOPS else Exit.UNPROTECTED)
    assert end_row(pump)["kept"] == [kept.client_order_id]
    assert [position["quantity"] for position in end_row(pump)["unprotected"]] == ([] if kind in STOPS else ["0.010"])


def test_o38_in_hedge_mode_the_closing_side_stays() -> None:
    settings = EmbeddedVenue(accounts=[VenueAccount(name="one", hedge_mode=True)])
    pump, puppet = world(settings=settings, hedge=True)
    best = pump.market.best(B, Side.BUY)
    opening = Place(symbol=B, side=Side.BUY, quantity=LOT, price=best - 100, position_side=PositionSide.LONG)
    puppet.wanted = [Place(symbol=B, side=Side.BUY, type=OrderType.MARKET, quantity=LOT, position_side=PositionSide.LONG)]
    pump.until(lambda: pump.position("mm") == LOT)
    closing = Place(symbol=B, side=Side.SELL, quantity=LOT, price=best + 500, position_side=PositionSide.LONG)
    puppet.wanted = [opening, closing, stop_at(best - 500, reduce_only=False, position_side=PositionSide.LONG)]
    pump.until(lambda: len(at_venue(pump)) == 3)
    pump.stop()
    assert sorted(order.type for order in report(pump).kept) == [OrderType.LIMIT, OrderType.STOP_MARKET]
    assert at_venue(pump) == {order.client_order_id for order in report(pump).kept}
    assert code(pump) is Exit.DONE


def test_a_reducing_order_without_its_position_goes() -> None:
    pump, stopper = protected()
    stopper.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: pump.position("mm") == 0)
    assert len(at_venue(pump)) == 1
    pump.stop()
    assert at_venue(pump) == set()
    assert report(pump).positions == report(pump).kept == ()
    assert code(pump) is Exit.DONE


def test_a_stop_for_half_of_a_position_leaves_the_other_half() -> None:
    pump, puppet = holding()
    puppet.wanted = [stop_at(pump.market.best(B, Side.BUY) - 500, Decimal("0.004"))]
    pump.until(lambda: len(at_venue(pump)) == 1)
    pump.stop()
    (position,) = report(pump).positions
    assert (position.covered, position.unprotected) == (Decimal("0.004"), Decimal("0.006"))
    assert code(pump) is Exit.UNPROTECTED
    (stop,) = report(pump).kept
    (line,) = pump.told("mm holds")
    assert line == f"warning: mm holds BTCUSDT 0.010: 0.006 of it unprotected: stops cover 0.004 of it: {stop.client_order_id}"


def test_two_stops_may_share_a_position() -> None:
    pump, puppet = holding()
    best = pump.market.best(B, Side.BUY)
    puppet.wanted = [stop_at(best - 500, Decimal("0.004")), stop_at(best - 600, Decimal("0.006"))]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.stop()
    assert len(report(pump).kept) == 2
    assert code(pump) is Exit.DONE


@pytest.mark.parametrize("reason", ["duration", "signal", "recording_end"])
def test_o38_every_way_to_end_keeps_the_stop(reason: str) -> None:
    pump, _ = protected()
    pump.stop(reason)
    assert len(report(pump).kept) == len(at_venue(pump)) == 1
    assert pump.told("mm holds BTCUSDT 0.010: protected by cf.mm.")


def test_o38_a_second_signal_keeps_the_stop() -> None:
    pump, stopper = protected()
    stopper.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.give(StopAsked("signal"))
    pump.give(StopAsked("signal"))
    pump.until(lambda: pump.finished is not None)
    assert pump.finished == "asked again: not waiting for open orders"
    assert len(report(pump).kept) == 1
    assert [order.side for order in report(pump).left] == [Side.BUY]
    assert code(pump) is Exit.UNSETTLED


# -- other policies -----------------------------------------------------------------------------------------------------


def test_on_end_cancel_takes_the_stop_as_well() -> None:
    pump, _ = protected(on_end=OrderPolicy.CANCEL)
    pump.stop()
    assert at_venue(pump) == set()
    assert pump.venue.position(B) == LOT
    assert code(pump) is Exit.UNPROTECTED


def test_on_end_flatten_brings_positions_to_zero() -> None:
    pump, stopper = protected(on_end=OrderPolicy.FLATTEN)
    stopper.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.stop()
    assert at_venue(pump) == set()
    assert pump.venue.position(B) == pump.position("mm") == 0
    assert (report(pump).positions, code(pump)) == ((), Exit.DONE)


def test_on_end_flatten_within_the_grace_or_it_says_so() -> None:
    settings = EmbeddedVenue(faults=VenueFaults(latency_ms=1_500))
    pump, _ = holding(settings=settings, on_end=OrderPolicy.FLATTEN, grace_ms=1_000)
    pump.stop()
    assert pump.told("positions could not be brought to zero in time: BTCUSDT 0.010 of mm")
    assert code(pump) is Exit.UNSETTLED
    assert report(pump).unprotected[0].quantity == LOT


@pytest.mark.parametrize("on_end", [OrderPolicy.CANCEL, OrderPolicy.FLATTEN])
def test_nothing_new_is_taken_where_nothing_is_kept(on_end: OrderPolicy) -> None:
    class Late(Puppet):
        @hookimpl
        def on_stop(self, event: object, view: View) -> Place:
            return stop_at(Decimal(50_000))

    pump, _ = holding(Late(), on_end=on_end)
    pump.stop()
    assert pump.engine.runtimes.get("mm").verdicts["STOPPING"] == 1


# -- fills while it ends ------------------------------------------------------------------------------------------------


def test_o38_a_fill_while_stopping_gets_its_stop() -> None:
    settings = EmbeddedVenue(faults=VenueFaults(latency_ms=200))
    pump, stopper = world(Stopper(), settings=settings)
    stopper.wanted = [bid(pump, below=100)]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.run(2)
    pump.give(StopAsked("signal"))
    pump.run(0.05)
    pump.market.move(B, pump.market.best(B, Side.BUY) - 150)  # the cancel is on its way
    pump.until(lambda: pump.finished is not None)
    assert pump.venue.position(B) == LOT
    (kept,) = report(pump).kept
    assert list(pump.venue.waiting_orders()) == [kept.client_order_id]
    assert code(pump) is Exit.DONE


def test_o38_a_second_fill_while_stopping_gets_a_larger_stop() -> None:
    settings = EmbeddedVenue(faults=VenueFaults(latency_ms=200))
    pump, stopper = protected(settings=settings)
    stopper.wanted = [bid(pump, Decimal("0.005"))]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.run(2)
    pump.give(StopAsked("signal"))
    pump.run(0.05)
    pump.market.move(B, pump.market.best(B, Side.BUY) - 150)
    pump.until(lambda: pump.finished is not None)
    assert pump.venue.position(B) == Decimal("0.015")
    (kept,) = report(pump).kept
    assert kept.quantity == Decimal("0.015")
    assert list(pump.venue.waiting_orders()) == [kept.client_order_id]


def test_a_stop_asked_for_at_on_stop_is_taken() -> None:
    class Careful(Puppet):
        @hookimpl
        def on_stop(self, event: object, view: View) -> Place:
            mid = view.book(B).mid
            assert mid is not None
            return stop_at(mid - 500)

    pump, _ = holding(Careful())
    pump.stop()
    assert len(report(pump).kept) == 1
    assert code(pump) is Exit.DONE


def test_what_opens_a_position_is_refused_while_stopping() -> None:
    class Greedy(Puppet):
        @hookimpl
        def on_stop(self, event: object, view: View) -> list[Intent]:
            opening = Place(symbol=B, side=Side.BUY, type=OrderType.MARKET, quantity=LOT)
            return [opening, stop_at(Decimal(50_000), side=Side.BUY), Target(B, Decimal(1))]

    pump, _ = holding(Greedy())
    before = pump.engine.state.tally.sent
    pump.stop()
    assert pump.engine.state.tally.sent == before
    assert pump.engine.runtimes.get("mm").verdicts["STOPPING"] == 2
    assert pump.engine.runtimes.get("mm").verdicts["POSITION"] == 1


def no_cancels(pump: Pump) -> None:
    """The exchange cannot be reached for a cancel, by neither way."""
    pump.venue.refuses.add(LinkKind.API)
    pump.venue.cut(LinkKind.API)
    pump.venue.busy |= {"DELETE /fapi/v1/order", "DELETE /fapi/v1/batchOrders", "DELETE /fapi/v1/allOpenOrders"}


# -- the dead man's switch ----------------------------------------------------------------------------------------------


def beats(pump: Pump) -> list[object]:
    return [params["countdownTime"] for call, params in pump.sent if call == COUNTDOWN]


def test_o38_the_switch_is_off_before_the_end() -> None:
    pump, _ = protected(trading=OrderSideLimits(dead_man_ms=20_000))
    assert pump.engine.trading is not None
    assert pump.engine.trading.countdown_cancel.running == {B: False}
    pump.stop()
    assert beats(pump)[-1] == 0
    assert pump.engine.trading.countdown_cancel.running == {}
    assert report(pump).may_vanish == frozenset()
    kept = at_venue(pump)
    pump.run(60)
    assert at_venue(pump) == kept != set()


def test_an_end_without_orders_waits_for_its_countdown() -> None:
    """Else an order that is placed by hand right after the end would be cancelled by it."""
    pump, puppet = world(trading=OrderSideLimits(dead_man_ms=20_000))
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 1)
    pump.run(1)
    pump.stop()
    assert pump.engine.trading is not None
    assert pump.engine.trading.countdown_cancel.running == {}


@pytest.mark.parametrize("how", ["refused", "unanswered"])
def test_o38_without_confirmation_the_end_says_what_may_vanish(how: str) -> None:
    pump, _ = protected(trading=OrderSideLimits(dead_man_ms=20_000))
    if how == "refused":
        pump.venue.busy.add(COUNTDOWN)
    else:
        pump.venue.fates[COUNTDOWN] = UNANSWERED
    began_ms = pump.now_ms
    pump.stop()
    assert 3_000 <= pump.now_ms - began_ms < 3_200
    (kept,) = report(pump).kept
    assert report(pump).may_vanish == {kept.client_order_id} == set(end_row(pump)["may_vanish"])
    assert pump.told("is kept, but may vanish: the dead man's switch of BTCUSDT may still run")
    assert code(pump) is Exit.UNPROTECTED


def test_a_switch_that_was_busy_is_tried_again() -> None:
    pump, _ = protected(trading=OrderSideLimits(dead_man_ms=20_000))
    pump.venue.busy.add(COUNTDOWN)
    pump.give(StopAsked("signal"))
    pump.run(0.3)
    pump.venue.busy.clear()
    pump.until(lambda: pump.finished is not None, 2)
    assert report(pump).may_vanish == frozenset()
    assert code(pump) is Exit.DONE


def test_the_switch_stays_armed_where_an_order_is_left() -> None:
    pump, stopper = protected(trading=OrderSideLimits(dead_man_ms=20_000))
    stopper.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.run(1)
    pump.venue.refuses.add(LinkKind.API)
    pump.venue.busy.add("DELETE /fapi/v1/order")
    pump.venue.cut(LinkKind.API)
    pump.stop()
    assert 0 not in beats(pump)
    assert len(report(pump).left) == 1
    assert len(report(pump).may_vanish) == 1
    assert code(pump) is Exit.UNSETTLED


def test_a_switch_that_stays_armed_on_purpose_is_no_trouble() -> None:
    pump, puppet = world(trading=OrderSideLimits(dead_man_ms=20_000))
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 1)
    pump.run(1)
    no_cancels(pump)
    pump.stop()
    assert 0 not in beats(pump)
    assert not pump.told("is not confirmed to be off")


# -- limits -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("on_end", [OrderPolicy.KEEP_PROTECTIVE, OrderPolicy.FLATTEN])
def test_rates_do_not_keep_an_end_from_protecting(on_end: OrderPolicy) -> None:
    """The strategy has used its budget up; what only reduces at the end passes it."""

    class Careful(Puppet):
        @hookimpl
        def on_stop(self, event: object, view: View) -> Place:
            mid = view.book(B).mid
            assert mid is not None
            return stop_at(mid - 500)

    puppet = Careful()
    budget = Budget(orders_per_10s=3, messages_per_10s=3)
    pump = Pump([Trader(id="mm", make=lambda: puppet, budget=budget)], on_end=on_end)
    bought = Place(symbol=B, side=Side.BUY, type=OrderType.MARKET, quantity=LOT)
    puppet.wanted = [bought, bid(pump), bid(pump, below=200), bid(pump, below=300)]
    pump.until(lambda: pump.position("mm") == LOT)
    assert pump.engine.runtimes.get("mm").verdicts["ORDER_RATE"] == 1
    pump.stop()
    assert code(pump) is Exit.DONE
    assert pump.venue.position(B) == (LOT if on_end is OrderPolicy.KEEP_PROTECTIVE else 0)
