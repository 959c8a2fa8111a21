"""A TradFi contract on the bot's side: its agreement, a session that closes, and one that opens again."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import OrderChanged, Place, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueChange
from coldframe.core.state.orders import OrderState
from coldframe.enums import ContractStatus
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

T = "TSLAUSDT"
D = Decimal
#: How long a session lasts where they alternate.
SESSION_S = 120


def world(*changes: VenueChange, session_s: int = 0, signed: bool = True) -> tuple[Pump, Puppet]:
    account = VenueAccount(name="main", tradfi_agreement=signed)
    settings = EmbeddedVenue(accounts=[account], changes=list(changes), session_s=session_s)
    puppet = Puppet()
    channels = ("depth@100ms", "markPrice@1s", "!contractInfo")
    trader = Trader(id="mm", make=lambda: puppet, symbols=(T,))
    return Pump([trader], settings=settings, channels=channels), puppet


def status(pump: Pump) -> ContractStatus:
    return pump.engine.state.instruments[T].status


def bid() -> Place:
    return Place(symbol=T, side=Side.BUY, quantity=D(1), price=D(390))


def to_trading(pump: Pump) -> None:
    """An open session, whichever the start lies in."""
    pump.until(lambda: status(pump) is ContractStatus.TRADING, SESSION_S + 70)
    pump.run(1)


@pytest.mark.parametrize("by_plan", [False, True])
def test_b10_a_close_takes_orders_and_an_opening_takes_new_ones(by_plan: bool) -> None:
    if by_plan:
        halts = [VenueChange(at_s=D(at), what="status", value=to, symbol=T) for at, to in ((40, "TRADING_HALT"), (100, "TRADING"))]
        pump, puppet = world(*halts)
    else:
        pump, puppet = world(session_s=SESSION_S)
    to_trading(pump)
    puppet.wanted = [Target(T, D("0.5"))]
    pump.until(lambda: pump.position("mm", T) == D("0.5"), 10)
    puppet.wanted = [bid()]
    pump.until(lambda: bool(pump.venue.open_orders()), 10)
    pump.until(lambda: status(pump) is ContractStatus.TRADING_HALT, SESSION_S + 5)
    pump.until(lambda: not pump.venue.open_orders(), 10)
    pump.run(1)
    ended = [event for event in puppet.events if isinstance(event, OrderChanged) and event.state == OrderState.CANCELED]
    assert len(ended) == 1
    assert pump.position("mm", T) == pump.venue.position(T) == D("0.5")
    sent = len(pump.sent)
    puppet.wanted = [bid()]
    pump.run(5)
    assert "order.place" not in [method for method, _ in pump.sent[sent:]]
    pump.until(lambda: status(pump) is ContractStatus.TRADING, SESSION_S + 130)
    puppet.wanted = [bid()]
    pump.until(lambda: bool(pump.venue.open_orders()), 20)


def test_o39_agreement_signed_during_the_run_opens_the_contract() -> None:
    pump, puppet = world(VenueChange(at_s=D(30), what="agreement", value="signed"), signed=False)
    puppet.wanted = [bid()]
    pump.until(lambda: bool(pump.told("-4411")), 20)
    pump.run(30)
    puppet.wanted = [bid()]
    pump.until(lambda: bool(pump.venue.open_orders()), 20)


def test_o39_an_agreement_taken_back_is_told() -> None:
    pump, puppet = world(VenueChange(at_s=D(20), what="agreement", value="unsigned"))
    puppet.wanted = [bid()]
    pump.until(lambda: bool(pump.venue.open_orders()), 10)
    pump.run(20)
    puppet.wanted = [bid()]
    pump.until(lambda: bool(pump.told("-4411")), 10)
    assert len(pump.venue.open_orders()) == 1
