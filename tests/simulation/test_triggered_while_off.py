"""A conditional order is triggered while the bot is off: what it trades is the strategy's, also when its order is hard to find."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import OrderType, Place, Side
from tests.simulation.ends import LOT, B, holding, reach


@pytest.mark.parametrize("hidden_s", [0, 5, 15, 22, 24])
@pytest.mark.parametrize(("kind", "side"), [(OrderType.STOP_MARKET, Side.BUY), (OrderType.TAKE_PROFIT_MARKET, Side.SELL)])
def test_what_it_trades_is_not_foreign(kind: OrderType, side: Side, hidden_s: int) -> None:
    pump, puppet = holding()
    pump.run(35)  # a round of comparison has brought every trade so far
    trigger = pump.market.best(B, Side.SELL) + 50
    puppet.wanted = [Place(symbol=B, side=side, type=kind, quantity=LOT, trigger_price=trigger)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    pump.run(1)
    name = next(iter(pump.venue.waiting_orders()))
    pump.kill()
    reach(pump, 100)
    pump.run(1)
    assert pump.venue.position(B) == LOT + side.sign * LOT
    pump.venue.faults._hidden[name] = (pump.now_ms, pump.now_ms + hidden_s * 1000)
    pump.restart()
    pump.until(lambda: pump.failed is not None or pump.engine.trading.reports_complete, 60)
    assert pump.failed is None
    assert pump.position("mm") == LOT + side.sign * LOT
    assert pump.engine.state.external.account.net(B) == Decimal(0)
