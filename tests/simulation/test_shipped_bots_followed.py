"""The shipped strategies follow their true position when others take it away: after a deleveraging, and after a close by hand."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import BookChanged, Side, Target, View, hookimpl
from coldframe_maker import Maker
from coldframe_momentum import Bet, Momentum
from tests.simulation.pump import Pump, Trader

B = "BTCUSDT"
D = Decimal
SIZE = D("0.010")


def close(pump: Pump, side: Side, client_order_id: str, quantity: Decimal = SIZE) -> None:
    """Others close the position: another client, or one of the exchange's engines by its kind of id."""
    order = {"symbol": B, "side": side.value, "type": "MARKET", "quantity": f"{quantity}", "reduceOnly": "true"}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", {**order, "newClientOrderId": client_order_id}).status == 200


def making(hit: Side) -> Pump:
    """A maker of which one quote was hit: it has bought when the public has sold."""
    pump = Pump([Trader(id="mm", make=lambda: Maker(Maker.Params(size=SIZE)))])
    pump.until(lambda: len(pump.venue.open_orders()) == 2)
    pump.market.move(B, pump.market.best(B, Side.BUY) + 60 * hit.sign)
    pump.until(lambda: abs(pump.position("mm")) == SIZE, 5)
    return pump


@pytest.mark.parametrize("hit", list(Side))
def test_o34_the_maker_does_nothing_after_a_deleveraging(hit: Side) -> None:
    """Its quotes go, and none comes while the symbol is halted: the market can run either way."""
    pump = making(hit)
    close(pump, hit, "adl_autoclose")
    pump.until(lambda: pump.position("mm") == 0, 5)
    pump.run(2)
    assert not pump.venue.open_orders()
    for distance in (300, -600, 300):
        pump.market.move(B, pump.market.best(B, Side.BUY) + distance)
        pump.run(2)
    assert pump.venue.position(B) == pump.position("mm") == 0


@pytest.mark.parametrize("hit", list(Side))
def test_o34_the_maker_quotes_for_its_true_position(hit: Side) -> None:
    """After a close by hand both quotes come back, round a position of zero: each opens, neither is meant to close."""
    pump = making(hit)
    close(pump, hit, "by-hand")
    pump.until(lambda: pump.position("mm") == 0, 5)
    pump.until(lambda: len(pump.venue.open_orders()) == 2, 10)
    assert {(order.side, order.quantity, order.reduce_only) for order in pump.venue.open_orders().values()} == {
        (side, SIZE, False) for side in Side
    }
    assert pump.venue.position(B) == 0


class Betting(Momentum):
    """Momentum that has bet on its first book."""

    @hookimpl(tryfirst=True)
    def on_book(self, event: BookChanged, view: View) -> list[Target]:
        market = self._markets[event.symbol]
        if market.asked_ms == 0 and view.trading_allowed(event.symbol):
            market.bet = Bet(Side.BUY, SIZE, view.now_ms)
        return list(super().on_book(event, view))


@pytest.mark.parametrize(("client_order_id", "quantity"), [("adl_autoclose", "0.010"), ("by-hand", "0.010"), ("by-hand", "0.004")])
def test_o34_momentum_forgets_a_bet_that_others_closed(client_order_id: str, quantity: str) -> None:
    made = Betting(Momentum.Params(size=SIZE, stop_bps=D(1_000), take_profit_bps=D(1_000), max_hold_ms=60_000))
    pump = Pump([Trader(id="mm", make=lambda: made)])
    pump.until(lambda: pump.position("mm") == SIZE)
    close(pump, Side.SELL, client_order_id, D(quantity))
    pump.run(5)
    assert pump.venue.position(B) == pump.position("mm") == 0
    assert made._markets[B].bet is None
