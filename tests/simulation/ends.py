"""A bot with a position, its stop and whatever else: what the tests of ends begin with."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from coldframe import Cancel, Intent, OrderType, Place, Side, Target, hookimpl
from coldframe.core.lifecycle.shutdown import EndReport
from coldframe.core.strategies.runtime import OnError
from coldframe.exits import Exit
from coldframe.model.events import OrderFilled
from coldframe.model.journal import RowKind
from coldframe.model.view import View
from coldframe.runtime.report import exit_code
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

B = "BTCUSDT"
LOT = Decimal("0.010")
COUNTDOWN = "POST /fapi/v1/countdownCancelAll"


class Stopper(Puppet):
    """Protects what it has bought: every fill is followed by one stop over the whole position."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.stop: Place | None = None
        self.stops = True

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> list[Intent]:
        self.events.append(event)
        if self.fails:
            raise ValueError("a bug of the strategy")
        if not self.stops or event.position <= 0:
            return []
        old = [Cancel(order.client_order_id) for order in view.orders(event.symbol) if order.reduce_only]
        return [*old, stop_at(event.price - 500, event.position)]


def stop_at(at: Decimal, quantity: Decimal = LOT, **more: Any) -> Place:
    trigger = at.quantize(Decimal("0.1"))
    return Place(**{
        "symbol": B, "side": Side.SELL, "type": OrderType.STOP_MARKET, "quantity": quantity, "trigger_price": trigger,
        "reduce_only": True, **more,
    })  # fmt: skip


def bid(pump: Pump, quantity: Decimal = LOT, below: int = 100) -> Place:
    price = pump.market.best(B, Side.BUY) - below
    return Place(symbol=B, side=Side.BUY, quantity=quantity, price=price)


def world(strategy: Puppet | None = None, own: OnError = OnError.QUARANTINE, **setup: Any) -> tuple[Pump, Any]:
    """A bot with one strategy; `own` is what the strategy itself says about its errors, `on_error` what `[orders]` says."""
    made = strategy or Puppet()
    return Pump([Trader(id="mm", make=lambda: made, on_error=own)], **setup), made


def holding(strategy: Puppet | None = None, **setup: Any) -> tuple[Pump, Any]:
    """A position of one lot, reached by a target."""
    pump, made = world(strategy, **setup)
    made.wanted = [Target(B, LOT)]
    pump.until(lambda: pump.position("mm") == LOT)
    return pump, made


def protected(**setup: Any) -> tuple[Pump, Any]:
    """A position of one lot and its stop."""
    pump, made = holding(Stopper(), **setup)
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    pump.run(1)
    return pump, made


def report(pump: Pump) -> EndReport:
    return pump.engine.ending.report()


def code(pump: Pump) -> Exit:
    return exit_code(report(pump))


def reach(pump: Pump, distance: int) -> None:
    """The market trades so far away from where it is."""
    pump.market.move(B, pump.market.best(B, Side.BUY) + distance)
    best = pump.market.best(B, Side.SELL)
    pump.market.trade(B, Side.BUY, Decimal(1), best)


def at_venue(pump: Pump) -> set[str]:
    return {*pump.venue.open_orders(), *pump.venue.waiting_orders()}


def end_row(pump: Pump) -> Any:
    return next(row.body for row in reversed(pump.rows) if row.kind == RowKind.END)
