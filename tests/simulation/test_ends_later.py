"""After an error, and at the next start: what protects a position stays until its strategy has seen to it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from coldframe import Cancel, OrderType, Side, Target
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.strategies.runtime import OnError
from coldframe.exits import Exit
from tests.simulation.ends import (
    LOT,
    B,
    at_venue,
    bid,
    code,
    protected,
    reach,
    report,
    stop_at,
)
from tests.simulation.pump import Pump

# -- strategies that raise ----------------------------------------------------------------------------------------------


def broken() -> tuple[Pump, Any]:
    """A strategy with a position, its stop and a resting bid raises."""
    pump, stopper = protected()
    stopper.wanted = [bid(pump), bid(pump, below=200)]
    pump.until(lambda: len(at_venue(pump)) == 3)
    stopper.fails = True
    pump.market.trade(B, Side.SELL, Decimal(20_000), pump.market.best(B, Side.BUY) - 100)
    pump.until(lambda: pump.engine.runtimes.get("mm").muted)
    return pump, stopper


def test_o38_a_quarantine_keeps_the_stop() -> None:
    pump, _ = broken()
    pump.run(3)
    assert [algo.type for algo in pump.venue.waiting_orders().values()] == [OrderType.STOP_MARKET]
    assert pump.venue.open_orders() == {}
    pump.stop()
    assert len(report(pump).kept) == 1
    assert report(pump).muted == ("mm",)
    # The fill that met the error has no stop: it could not be asked for any more.
    assert report(pump).unprotected[0].unprotected == LOT
    assert code(pump) is Exit.UNPROTECTED


def test_a_muted_strategy_alone_is_an_exit_code() -> None:
    pump, stopper = protected()
    stopper.act = lambda view: 1 / 0
    pump.until(lambda: pump.engine.runtimes.get("mm").muted)
    pump.run(2)
    pump.stop()
    assert len(report(pump).kept) == 1
    assert code(pump) is Exit.MUTED


def test_what_a_quarantine_keeps_goes_with_its_position() -> None:
    pump, stopper = protected()
    take = stop_at(pump.market.best(B, Side.BUY) + 500, type=OrderType.TAKE_PROFIT_MARKET)
    stopper.wanted = [take]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 2)
    stopper.act = lambda view: 1 / 0
    pump.until(lambda: pump.engine.runtimes.get("mm").muted)
    reach(pump, 700)
    pump.until(lambda: pump.position("mm") == 0, 10)
    pump.until(lambda: not at_venue(pump), 5)


@pytest.mark.parametrize(
    ("own", "on_error"), [(OnError.FLATTEN, OrderPolicy.KEEP_PROTECTIVE), (OnError.QUARANTINE, OrderPolicy.FLATTEN)]
)
def test_an_error_flattens_where_that_is_said(own: OnError, on_error: OrderPolicy) -> None:
    pump, stopper = protected(own=own, on_error=on_error)
    stopper.act = lambda view: 1 / 0
    pump.until(lambda: pump.position("mm") == 0, 10)
    pump.until(lambda: not at_venue(pump), 5)
    assert pump.venue.position(B) == 0


def test_an_error_cancels_where_that_is_said() -> None:
    pump, stopper = protected(on_error=OrderPolicy.CANCEL)
    stopper.act = lambda view: 1 / 0
    pump.until(lambda: not at_venue(pump), 10)
    assert pump.venue.position(B) == LOT


def test_o38_an_error_that_ends_the_run_keeps_the_stop() -> None:
    pump, stopper = protected(own=OnError.HALT)
    stopper.act = lambda view: 1 / 0
    pump.until(lambda: pump.finished is not None)
    assert pump.finished is not None
    assert pump.finished.startswith("halt: strategy mm:")
    assert len(report(pump).kept) == len(at_venue(pump)) == 1
    assert code(pump) is Exit.MUTED


# -- the next start -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ended", [True, False], ids=["ended", "killed"])
def test_o38_the_next_start_keeps_the_stop(ended: bool) -> None:
    pump, stopper = protected()
    stop = at_venue(pump)
    stopper.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    if ended:
        pump.stop()
    pump.restart()
    pump.until(lambda: at_venue(pump) == stop, 20)
    pump.run(40)
    assert at_venue(pump) == stop
    stopper.wanted = [bid(pump)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.run(5)
    assert len(at_venue(pump)) == 2, "an order that opens says nothing about the stop"


def test_o38_a_new_stop_takes_the_place_of_the_old_one() -> None:
    pump, stopper = protected()
    (old,) = at_venue(pump)
    pump.stop()
    pump.restart()
    pump.run(3)
    stopper.wanted = [stop_at(pump.market.best(B, Side.BUY) - 700, Decimal("0.004"))]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.run(3)
    assert old in at_venue(pump), "a stop for a part of the position does not replace one for all of it"
    stopper.wanted = [stop_at(pump.market.best(B, Side.BUY) - 800, Decimal("0.006"))]
    pump.until(lambda: old not in at_venue(pump))
    assert len(at_venue(pump)) == 2


def test_a_take_profit_does_not_take_the_place_of_a_stop() -> None:
    pump, stopper = protected()
    (old,) = at_venue(pump)
    pump.stop()
    pump.restart()
    pump.run(3)
    stopper.wanted = [stop_at(pump.market.best(B, Side.BUY) + 700, type=OrderType.TAKE_PROFIT_MARKET)]
    pump.until(lambda: len(at_venue(pump)) == 2)
    pump.run(5)
    assert old in at_venue(pump)


def test_o38_a_stop_without_its_position_goes_at_the_next_start() -> None:
    pump, stopper = protected()
    pump.stop()
    pump.restart()
    pump.run(3)
    assert len(at_venue(pump)) == 1
    stopper.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: pump.position("mm") == 0)
    pump.until(lambda: not at_venue(pump), 5)


def test_a_kept_order_may_be_cancelled_by_its_strategy() -> None:
    pump, stopper = protected()
    (old,) = at_venue(pump)
    pump.stop()
    pump.restart()
    pump.run(3)
    stopper.wanted = [Cancel(old)]
    pump.until(lambda: not at_venue(pump), 5)


def test_what_is_kept_may_trade_while_the_bot_is_off() -> None:
    pump, _ = protected()
    pump.stop()
    reach(pump, -700)
    pump.run(5)
    assert pump.venue.position(B) == 0
    pump.restart()
    pump.until(lambda: pump.position("mm") == 0, 20)
    assert pump.failed is None
    pump.stop()
    assert code(pump) is Exit.DONE
