"""How long it takes until it is known what became of an order, or what has traded, while a part of the venue does not work."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Place, Quote, Quotes, Side
from coldframe.config.venue import VenueFaults
from coldframe.model.effects import LinkKind
from coldframe.model.orders import OrderState
from tests.simulation.ends import LOT, B, bid, world
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

ETH = "ETHUSDT"
#: The answer that does not come, the time until the request is dead, two queries five seconds apart, and a round.
PROVED_S = 16
#: A light round every thirty seconds, and what it takes.
TOLD_S = 32
NEVER = VenueFaults(orders_doubtful=Decimal(1), doubtful_answers=["-1006"], doubtful_accepted=Decimal(0), doubtful_calls=["place"])


@pytest.mark.parametrize("later_s", [60, 67, 75, 83, 90])
def test_a_second_doubt_waits_for_no_pause_of_the_first(later_s: int) -> None:
    """An order that the venue can neither list nor find is compared ever more seldom; another doubt is not."""
    puppet = Puppet()
    puppet.patient = False
    pump = Pump([Trader(id="mm", make=lambda: puppet, symbols=(B, ETH))])
    pump.until(lambda: pump.engine.trading.reports_complete)
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    missing = next(iter(pump.venue.open_orders()))
    pump.venue.faults._hidden[missing] = (pump.now_ms, pump.now_ms + 900_000)
    pump.run(later_s)
    assert pump.engine.orders.get(missing).state is OrderState.NEEDS_OPERATOR
    pump.venue.faults.settings = NEVER
    puppet.wanted = [Place(symbol=ETH, side=Side.BUY, quantity=Decimal("0.1"), price=pump.market.best(ETH, Side.BUY) - 10)]
    pump.until(lambda: pump.engine.orders.doubtful_in(ETH) == 1, 5)
    pump.until(lambda: pump.engine.orders.doubtful_in(ETH) == 0, PROVED_S)
    assert len(pump.told("was never accepted")) == 1


def test_an_order_in_doubt_is_compared_ever_more_seldom() -> None:
    """Rounds for it are two seconds apart at first, and at last no more frequent than those that come anyway."""
    pump, puppet = world()
    puppet.wanted = [bid(pump)]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.venue.faults._hidden[next(iter(pump.venue.open_orders()))] = (pump.now_ms, pump.now_ms + 900_000)
    pump.run(90)
    began = len(pump.venue.carried_out)
    pump.run(120)
    lists = [call for call, _ in pump.venue.carried_out[began:] if call == "GET /fapi/v1/openOrders"]
    assert 4 <= len(lists) <= 10


@pytest.mark.parametrize("refused", [{LinkKind.PRIVATE}, {LinkKind.PRIVATE, LinkKind.API}])
def test_fills_are_told_however_long_the_user_stream_is_away(refused: set[LinkKind]) -> None:
    pump, puppet = world()
    price = pump.market.best(B, Side.BUY) - 100
    puppet.wanted = [Quotes(B, bids=[Quote(price, LOT)])]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.venue.refuses |= refused
    for kind in refused:
        pump.venue.cut(kind)
    pump.run(1)
    pump.market.move(B, price - 50)
    pump.until(lambda: pump.position("mm") == pump.venue.position(B) == LOT, TOLD_S)
    assert not pump.engine.trading.user_stream.up
    pump.market.move(B, price + 50)
    pump.venue.refuses.clear()
    pump.until(lambda: pump.engine.trading.reports_complete, 120)
    assert pump.engine.orders.incidents == 0


def test_the_first_round_waits_for_the_user_stream() -> None:
    pump, _ = world()
    pump.venue.refuses.add(LinkKind.PRIVATE)
    pump.run(100)
    assert not pump.told("reconciled")
    pump.venue.refuses.clear()
    pump.until(lambda: bool(pump.told("reconciled")), 60)
