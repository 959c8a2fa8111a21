"""An end that is not settled says so: fills that are owed, positions in dispute, an account that was not compared."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from coldframe import CancelAll, Intent, OrderType, Place, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.enums import TimeInForce
from coldframe.exits import Exit
from coldframe.model.effects import LinkKind
from coldframe.model.inputs import TimeReached
from tests.simulation.ends import COUNTDOWN, LOT, B, at_venue, bid, code, end_row, holding, protected, report, world
from tests.simulation.pump import Pump

# -- what is not settled ------------------------------------------------------------------------------------------------


def silenced() -> tuple[Pump, Any]:
    """User events never come, and the list of trades is empty whatever has traded."""
    settings = EmbeddedVenue(faults=VenueFaults(events_dropped=Decimal(1)))
    pump, puppet = world(settings=settings)
    pump.venue.finds_nothing.add("GET /fapi/v1/userTrades")
    return pump, puppet


@pytest.mark.parametrize("form", ["market", "resting", "ioc"])
def test_p18_fills_that_are_owed_are_no_clean_end(form: str) -> None:
    pump, puppet = silenced()
    best = pump.market.best(B, Side.BUY)
    wanted: dict[str, Sequence[Intent]] = {
        "market": [Place(symbol=B, side=Side.BUY, type=OrderType.MARKET, quantity=LOT)],
        "ioc": [Place(symbol=B, side=Side.BUY, quantity=LOT, price=best + 100, time_in_force=TimeInForce.IOC)],
        "resting": [bid(pump)],
    }
    puppet.wanted = list(wanted[form])
    pump.until(lambda: pump.engine.state.tally.sent == 1)
    pump.run(2)
    pump.market.move(B, best - 200)
    pump.run(3)
    assert pump.venue.position(B) == LOT
    pump.stop()
    (owed,) = report(pump).owed
    assert owed.seen_filled - owed.filled == LOT
    assert code(pump) is Exit.UNSETTLED
    assert end_row(pump)["owed"] == [owed.client_order_id]


def test_p18_a_disputed_symbol_is_no_clean_end() -> None:
    settings = EmbeddedVenue(faults=VenueFaults(events_dropped=Decimal(1)))
    pump, _ = world(settings=settings)
    pump.run(3)
    pump.venue.finds_nothing.add("GET /fapi/v1/userTrades")
    order = {"symbol": B, "side": "BUY", "type": "MARKET", "quantity": "0.010"}
    pump.venue.by_hand("POST", "/fapi/v1/order", order)
    pump.until(lambda: bool(pump.engine.state.trading.breaks))
    pump.venue.busy.add("GET /fapi/v3/positionRisk")
    pump.stop()
    assert report(pump).position_breaks == (B,)
    assert code(pump) is Exit.UNPROTECTED


def test_what_the_end_books_is_an_adjustment_and_told() -> None:
    """The rounds that a dispute waits for are through before the grace is over: what nothing explains is booked as it always is."""
    pump, _ = world(settings=EmbeddedVenue(faults=VenueFaults(events_dropped=Decimal(1))))
    pump.run(3)
    pump.venue.finds_nothing.add("GET /fapi/v1/userTrades")
    pump.venue.by_hand("POST", "/fapi/v1/order", {"symbol": B, "side": "BUY", "type": "MARKET", "quantity": "0.010"})
    pump.until(lambda: bool(pump.engine.state.trading.breaks))
    pump.stop()
    assert report(pump).position_breaks == ()
    assert pump.told("adjustment: BUY 0.010 BTCUSDT booked to external")
    assert pump.told("BTCUSDT is halted: no new risk there until it is resumed")


@pytest.mark.parametrize("begin", [protected, holding])
def test_p18_an_end_that_could_not_compare_says_so(begin: Callable[[], tuple[Pump, Any]]) -> None:
    pump, _ = begin()
    pump.venue.refuses.add(LinkKind.PRIVATE)
    pump.venue.cut(LinkKind.PRIVATE)
    pump.run(1)
    pump.stop()
    assert not report(pump).compared
    assert pump.told("the account could not be compared at the end")
    assert code(pump) is Exit.UNSETTLED


def test_p18_a_flat_end_has_nothing_to_compare() -> None:
    pump, _ = world()
    pump.run(3)
    pump.venue.refuses.add(LinkKind.PRIVATE)
    pump.venue.cut(LinkKind.PRIVATE)
    pump.run(1)
    began_ms = pump.now_ms
    pump.stop()
    assert pump.now_ms - began_ms < 200
    assert code(pump) is Exit.DONE


def test_p18_a_bot_that_waits_for_fills_says_so_once() -> None:
    pump, puppet = silenced()
    puppet.wanted = [Target(B, LOT)]
    pump.until(lambda: pump.engine.state.tally.sent == 1)
    pump.run(120)
    assert pump.position("mm") == 0
    (line,) = pump.told("BTCUSDT: no new risk")
    assert line.startswith("warning: BTCUSDT: no new risk: the venue reports 0.010 of BUY 0.010 BTCUSDT")
    assert "new risk again when the user stream or the list of trades, which is asked for every 5 s, brings the trade" in line
    assert pump.engine.state.tally.sent == 1
    pump.venue.finds_nothing.clear()
    pump.until(lambda: pump.position("mm") == LOT, 10)
    pump.until(lambda: bool(pump.told("BTCUSDT: new risk again: every fill of the bot's orders there is known again")), 2)
    pump.stop()
    assert report(pump).owed == ()


def test_fills_that_are_only_late_are_not_worth_a_line() -> None:
    settings = EmbeddedVenue(faults=VenueFaults(events_delayed=Decimal(1), event_delay_ms=3_000))
    pump, puppet = world(settings=settings)
    puppet.wanted = [Target(B, LOT)]
    pump.until(lambda: pump.position("mm") == LOT)
    pump.run(20)
    assert not pump.told("BTCUSDT: no new risk")


def test_p18_a_stop_that_went_unheard_is_not_called_kept() -> None:
    """Another client cancels the stop, and the event of it is lost: the end asks before it calls anything protected."""
    pump, _ = protected(settings=EmbeddedVenue(faults=VenueFaults(events_dropped=Decimal("0.000001"))))
    (stop,) = at_venue(pump)
    pump.venue.faults.settings = attrs.evolve(pump.venue.faults.settings, events_dropped=Decimal(1))
    pump.venue.by_hand("DELETE", "/fapi/v1/algoOrder", {"clientAlgoId": stop})
    assert report(pump).positions[0].stops == (stop,)
    pump.stop()
    assert (report(pump).kept, at_venue(pump)) == ((), set())
    assert report(pump).unprotected[0].quantity == LOT
    assert code(pump) in (Exit.UNSETTLED, Exit.UNPROTECTED)


def test_nothing_is_kept_before_the_end() -> None:
    pump, _ = protected()
    assert report(pump).kept == ()
    assert len(report(pump).left) == 1
    logged = len(pump.log)
    pump.engine.ending.step(TimeReached("stop:check"))
    pump.run(1)
    assert pump.engine.ending.over is None
    assert pump.engine.trading is not None
    assert pump.engine.trading.reports_complete, "and nothing is compared for it"
    assert pump.log[logged:] == []


def test_what_is_over_is_concluded_once() -> None:
    pump, _ = protected()
    pump.stop()
    logged, ended = list(pump.log), report(pump)
    pump.engine.ending.step(TimeReached("stop:check"))
    pump.run(1)
    assert report(pump) is ended
    assert pump.log == logged


def test_a_countdown_without_orders_holds_no_end_up() -> None:
    """Its symbol has no order left: a countdown that cannot be switched off does no harm there."""
    pump, stopper = protected(trading=OrderSideLimits(dead_man_ms=20_000))
    stopper.wanted = [CancelAll(B)]
    pump.until(lambda: not at_venue(pump))
    stopper.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: pump.position("mm") == 0)
    pump.venue.busy.add(COUNTDOWN)
    began_ms = pump.now_ms
    pump.stop()
    assert pump.now_ms - began_ms < 500
    assert code(pump) is Exit.DONE
