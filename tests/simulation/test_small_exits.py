"""A reduce-only exit that is amended below the minimum notional: the bot says so, and the exchange lets it pass."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

import pytest

from coldframe import Amend, Place, Side, Target
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

#: The contract's minimum notional is 20 USDT: about 0.007.
SYMBOL, SMALL = "ETHUSDT", Decimal("0.005")


def amended(to: Decimal, *, reduce_only: bool) -> tuple[Decimal, list[Mapping[str, object]]]:
    """A long position of 0.050 and a resting sell of it, or a resting bid, amended. Gives the quantity there and what was sent."""
    puppet = Puppet()
    pump = Pump([Trader(id="mm", make=lambda: puppet, symbols=(SYMBOL,))])
    puppet.wanted = [Target(SYMBOL, Decimal("0.050"))]
    pump.until(lambda: pump.venue.position(SYMBOL) == Decimal("0.050"))
    side = Side.SELL if reduce_only else Side.BUY
    price = pump.market.best(SYMBOL, side) - side.sign * 20
    puppet.wanted = [Place(symbol=SYMBOL, side=side, quantity=Decimal("0.050"), price=price, reduce_only=reduce_only)]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    (name,) = pump.venue.open_orders()
    puppet.wanted = [Amend(name, price, to)]
    pump.run(3)
    sent = [params for call, params in pump.venue.carried_out if call == "order.modify"]
    return pump.venue.open_orders()[name].quantity, sent


def test_a_reduce_only_exit_may_be_amended_below_the_minimum() -> None:
    quantity, (sent,) = amended(SMALL, reduce_only=True)
    assert quantity == SMALL
    assert sent["reduceOnly"] == "true"


@pytest.mark.parametrize(("to", "sent", "stands"), [(SMALL, 0, "0.050"), (Decimal("0.020"), 1, "0.020")])
def test_an_ordinary_order_keeps_to_the_minimum(to: Decimal, sent: int, stands: str) -> None:
    quantity, requests = amended(to, reduce_only=False)
    assert (len(requests), quantity) == (sent, Decimal(stands))
    assert all("reduceOnly" not in request for request in requests)
