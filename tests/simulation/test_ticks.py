"""The order side ticks while something is under way, and else only when something is due.

The oracle is the way before: a tick on every beat of 250 ms, whatever there is to do.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

import pytest

from coldframe import Place, Side
from coldframe.core.execution.countdown_cancel import BeatsDue
from coldframe.core.reconciliation.account_settings import LOOK_MS
from coldframe.core.reconciliation.due_work import DueWork
from coldframe.core.reconciliation.order_side import OrderSide, OrderSideLimits
from coldframe.core.state.limits import RiskLimits
from coldframe.core.state.loss_limits import LossPeriod
from coldframe.core.state.order import Order, Origin
from coldframe.enums import PositionSide
from coldframe.model import inputs as told
from coldframe.model.engine_events import NothingToReduce, SettingsDoubted
from coldframe.model.orders import OrderEvent
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire.names import StreamName
from tests.examples import first
from tests.simulation import orderworlds, positionworlds
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

DAY_MS: Final = 86_400_000
#: Forced liquidations: none happens, so that the stream says nothing.
SILENT: Final = [StreamName.of("BTCUSDT", "forceOrder")]


class Counted(Pump):
    """Counts the steps that are there because time has passed."""

    timer_steps = 0

    def _step(self, event: told.Input, lane: told.Lane) -> None:
        self.timer_steps += isinstance(event, told.TimeReached)
        super()._step(event, lane)


def idle() -> Counted:
    """A bot that has logged on, listens to one silent stream, and has nothing to do."""
    trading = OrderSideLimits(dead_man_ms=20_000)
    risk = RiskLimits(losses_count=LossPeriod.DAY)
    pump = Counted([Trader(id="mm", make=Puppet)], streams=SILENT, trading=trading, risk=risk)
    pump.run(5)
    return pump


def order_side(pump: Pump) -> OrderSide:
    assert pump.engine.trading is not None
    return pump.engine.trading


def test_an_idle_hour_has_fewer_than_400_timer_steps() -> None:
    pump = idle()
    before = pump.timer_steps
    pump.run(3_600)
    assert pump.timer_steps - before < 400
    assert order_side(pump).reports_complete


# -- the same as with a tick on every beat ----------------------------------------------------------------------------


def outcome(world: Any) -> tuple[object, ...]:
    """What a world's bot sends, records and logs, and when."""
    pump: Pump = world.pump
    moments: dict[tuple[int, int, int], int] = {}

    def look() -> None:
        moments.setdefault((len(pump.sent), len(pump.rows), len(pump.log)), pump.now_ns)

    pump.watchers.append(look)
    world.run()
    return pump.sent, pump.rows, pump.log, moments


@pytest.mark.parametrize("world", [orderworlds.World, positionworlds.World])
@pytest.mark.parametrize("seed", first(range(1, 9)))
def test_a_tick_on_every_beat_changes_nothing(world: Callable[[int], Any], seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    ticked = outcome(world(seed))
    monkeypatch.setattr(DueWork, "_under_way", lambda _: True)
    assert outcome(world(seed)) == ticked


# -- what is under way ------------------------------------------------------------------------------------------------


def placed(pump: Pump, *events: OrderEvent) -> Order:
    """An order to which this has happened."""
    place = Place(symbol="BTCUSDT", side=Side.BUY, quantity=Decimal("0.01"), price=Decimal(60_000))
    order = pump.engine.orders.prepare("mm", place, Origin.PLACE, pump.now_ns)
    for event in events:
        pump.engine.orders.apply(order, event, pump.now_ns)
    return order


def owing(pump: Pump) -> None:
    order = placed(pump)
    order.seen_filled = Decimal("0.01")
    pump.engine.orders.apply(order, OrderEvent.SEEN_CANCELED, pump.now_ns, at_ms=pump.now_ms)


def named(pump: Pump) -> None:
    now, key = pump.now_ns, ("BTCUSDT", PositionSide.BOTH)
    pump.engine.state.holdings.history.venue_named({key: Decimal(1)}, now, now, 1, all_of_them=False)


def nothing_to_reduce(pump: Pump) -> None:
    """Of a position that is closed by now."""
    external = pump.engine.state.external.account
    external.filled("BTCUSDT", PositionSide.BOTH, Side.BUY, Decimal(1), Decimal(60_000))
    order_side(pump).mismatches.step(NothingToReduce("BTCUSDT", PositionSide.BOTH, Side.SELL))
    external.filled("BTCUSDT", PositionSide.BOTH, Side.SELL, Decimal(1), Decimal(60_000))


def held(pump: Pump) -> None:
    pump.engine.accounts["mm"].filled("BTCUSDT", PositionSide.BOTH, Side.BUY, Decimal(1), Decimal(60_000))


UNDER_WAY: Final[dict[str, Callable[[Pump], object]]] = {
    "a live order": placed,
    "an order that owes fills": owing,
    "an order given up": lambda pump: placed(pump, OrderEvent.WRITTEN, OrderEvent.OUTCOME_UNKNOWN, OrderEvent.PROVED_ABSENT),
    "an order to cancel": lambda pump: order_side(pump).executor.depart("cf.mm.1.1"),
    "an order to ask for": lambda pump: order_side(pump).executor.inquiry.suspect(placed(pump)),
    "a countdown": lambda pump: order_side(pump).countdown_cancel.step(BeatsDue(("BTCUSDT",))),
    "a position to compare": named,
    "a position that cannot be reduced": nothing_to_reduce,
    "payments that may have been missed": lambda pump: order_side(pump).account.away(),
    "a position": held,
    "a fee that has a price": lambda pump: pump.engine.accounts["mm"].pay(Decimal("0.001"), "BNB", Decimal(600)),
    "funding that has a price": lambda pump: pump.engine.accounts["mm"].fund(Decimal("0.001"), "BNB"),
}


@pytest.mark.parametrize("what", UNDER_WAY)
def test_what_is_under_way_is_looked_at_on_the_next_beat(what: str) -> None:
    pump = idle()
    assert order_side(pump).due_work.next_due_ns() > pump.now_ns + 10 * NS_PER_S
    UNDER_WAY[what](pump)
    assert order_side(pump).due_work.next_due_ns() <= pump.now_ns


# -- what is due later ------------------------------------------------------------------------------------------------


def asked(pump: Pump, what: str, symbol: str | None = None) -> int:
    return sum(call == f"GET /fapi/v1/{what}" and params.get("symbol") == symbol for call, params in pump.sent)


def test_the_account_is_looked_at_every_minute_or_in_doubt() -> None:
    pump = idle()
    pump.run(180)
    assert asked(pump, "accountConfig") == 3
    assert order_side(pump).due_work.next_due_ns() <= pump.now_ns + LOOK_MS * NS_PER_MS
    pump.run(20)
    order_side(pump).watch.step(SettingsDoubted())
    pump.give(told.Suspended(0))
    pump.run(1)
    assert asked(pump, "accountConfig") == 4


def test_a_day_that_begins_is_noticed() -> None:
    pump = idle()
    pump.run(DAY_MS / 1_000 - pump.now_ms % DAY_MS / 1_000 - 20)
    counted = pump.engine.state.losses.counted
    assert counted is not None
    until_midnight_ms = DAY_MS - pump.now_ms % DAY_MS
    assert order_side(pump).due_work.next_due_ns() <= pump.now_ns + until_midnight_ms * NS_PER_MS
    pump.run(until_midnight_ms / 1_000 + 0.25)
    after = pump.engine.state.losses.counted
    assert after is not None
    assert after.day == counted.day + 1


def test_a_price_that_grows_old_is_asked_for_again() -> None:
    pump = idle()
    order_side(pump).account.balances["BNB"] = Decimal(1)
    pump.run(60)
    assert asked(pump, "assetIndex", "BNBUSD") == 1
    pump.run(300)
    assert asked(pump, "assetIndex", "BNBUSD") == 1
    order_side(pump).assets._watched["BNB"].heard_ns = pump.now_ns - 130 * NS_PER_S
    assert order_side(pump).due_work.next_due_ns() <= pump.now_ns
