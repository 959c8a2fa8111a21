"""An order that may only reduce is refused because others were faster: who hears of what first, and what the end says of it."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Target
from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueFaults
from coldframe.enums import PositionSide, Side
from coldframe.exits import Exit
from tests.simulation.ends import LOT, B, code, report, world
from tests.simulation.pump import Pump

ORDER = "/fapi/v1/order"
TRAVEL_MS = 40
LATE_MS = 300


def overtaken(hedge: bool, side: Side, faults: VenueFaults | None = None) -> Pump:
    """Another client closes the position while the bot's own close is on its way; the close is refused with -2022."""
    account = VenueAccount(name="bot", balance=Decimal(100_000), leverage=20, hedge_mode=hedge)
    settings = EmbeddedVenue(accounts=[account], faults=faults or VenueFaults())
    pump, puppet = world(settings=settings, hedge=hedge, travel_ms=TRAVEL_MS)
    puppet.wanted = [Target(B, LOT * side.sign)]
    pump.until(lambda: pump.position("mm") == LOT * side.sign)
    pump.run(3)
    sent = len(pump.sent)
    puppet.wanted = [Target(B, Decimal(0))]
    pump.until(lambda: any(method == "order.place" for method, _ in pump.sent[sent:]))
    order = {"symbol": B, "side": (Side.SELL if side is Side.BUY else Side.BUY).value, "type": "MARKET", "quantity": f"{LOT}"}
    if hedge:
        order["positionSide"] = (PositionSide.LONG if side is Side.BUY else PositionSide.SHORT).value
    assert pump.venue.by_hand("POST", ORDER, order).status == 200
    pump.until(lambda: bool(pump.told("REDUCE_ONLY_REJECT")), 1)
    return pump


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("hedge", [False, True], ids=["one-way", "hedge"])
def test_a_refusal_that_was_explained_before_disputes_nothing(hedge: bool, side: Side) -> None:
    pump = overtaken(hedge, side)
    assert pump.position("mm") == 0, "the other client's trade has come before the refusal"
    assert not pump.engine.state.trading.breaks
    pump.stop()
    assert (report(pump).position_breaks, code(pump)) == ((), Exit.DONE)
    assert not pump.told("asking for the position")


@pytest.mark.parametrize("side", list(Side))
@pytest.mark.parametrize("hedge", [False, True], ids=["one-way", "hedge"])
def test_the_end_waits_until_a_dispute_is_settled(hedge: bool, side: Side) -> None:
    """The refusal comes first, the run is to end, and only then comes the trade that explains the refusal."""
    pump = overtaken(hedge, side, VenueFaults(events_delayed=Decimal(1), event_delay_ms=LATE_MS))
    assert pump.engine.state.trading.breaks
    pump.stop()
    assert pump.position("mm") == 0
    assert (report(pump).position_breaks, code(pump)) == ((), Exit.DONE)
    assert pump.told("agrees again")
    assert not pump.told("adjustment")


def test_a_dispute_that_stays_is_named_when_the_grace_is_over() -> None:
    pump = overtaken(False, Side.BUY, VenueFaults(events_delayed=Decimal(1), event_delay_ms=60_000))
    pump.venue.busy.add("GET /fapi/v3/positionRisk")
    began_ms = pump.now_ms
    pump.stop()
    assert pump.now_ms - began_ms >= 3_000
    assert report(pump).position_breaks == (B,)
    assert code(pump) is not Exit.DONE
    (line,) = pump.told("do not add up at the end")
    assert line.endswith(f"manual check needed: {B}")
