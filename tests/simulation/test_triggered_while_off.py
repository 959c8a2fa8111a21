"""A conditional order is triggered while the bot is off: what it trades is the strategy's, also when its order is hard to find."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import OrderType, Place, Side
from coldframe.model.orders import OrderState
from tests.simulation.ends import LOT, B, holding, reach, world


@pytest.mark.parametrize("hidden_s", [0, 5, 15, 24, 40])
@pytest.mark.parametrize(("kind", "side"), [(OrderType.STOP_MARKET, Side.BUY), (OrderType.TAKE_PROFIT_MARKET, Side.SELL)])
def test_what_it_trades_is_not_external(kind: OrderType, side: Side, hidden_s: int) -> None:
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
    pump.until(lambda: pump.failed is not None or pump.engine.trading.reports_complete, 90)
    assert pump.failed is None
    assert pump.position("mm") == LOT + side.sign * LOT
    assert pump.engine.state.external.account.net(B) == Decimal(0)


@pytest.mark.parametrize("hidden_s", [5, 31, 40])
def test_what_an_unanswered_order_trades_is_not_external(hidden_s: int) -> None:
    """The bot dies before it hears of its order, and then neither query nor list shows it: only the trade and the position do."""
    pump, puppet = holding()
    pump.run(35)
    puppet.wanted = [Place(symbol=B, side=Side.SELL, type=OrderType.MARKET, quantity=2 * LOT)]
    pump.until(lambda: pump.venue.position(B) == -LOT)
    pump.kill()
    (name,) = [order.client_order_id for order in pump.engine.orders.live]
    pump.venue.faults._hidden[name] = (pump.now_ms, pump.now_ms + hidden_s * 1000)
    pump.restart()
    pump.until(lambda: pump.failed is not None or pump.engine.trading.reports_complete, 90)
    assert pump.failed is None
    assert pump.position("mm") == -LOT
    assert pump.engine.state.external.account.net(B) == Decimal(0)


def test_a_refused_start_names_the_order_in_doubt() -> None:
    pump, puppet = holding()
    pump.run(35)
    puppet.wanted = [Place(symbol=B, side=Side.SELL, type=OrderType.MARKET, quantity=2 * LOT)]
    pump.until(lambda: pump.venue.position(B) == -LOT)
    pump.kill()
    (name,) = [order.client_order_id for order in pump.engine.orders.live]
    pump.venue.faults._hidden[name] = (pump.now_ms, pump.now_ms + 600_000)
    pump.restart()
    pump.until(lambda: pump.failed is not None, 120)
    assert pump.failed is not None
    assert f"the outcome of SELL {2 * LOT} BTCUSDT ({name}, UNKNOWN, CANCEL_UNKNOWN) is not known" in pump.failed.text


@pytest.mark.parametrize("hidden_s", [0, 20])
def test_o24_an_order_that_waits_excuses_a_position_until_found(hidden_s: int) -> None:
    """It may be what has traded: nothing is called external until the exchange names it as waiting still."""
    pump, puppet = world()
    trigger = pump.market.best(B, Side.SELL) + 500
    puppet.wanted = [Place(symbol=B, side=Side.BUY, type=OrderType.STOP_MARKET, quantity=LOT, trigger_price=trigger)]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    pump.run(1)
    (order,) = pump.engine.orders.live
    assert (order.state, order.order_id) == (OrderState.UNTRIGGERED, None)
    pump.kill()
    bought = {"symbol": B, "side": "BUY", "type": "MARKET", "quantity": str(LOT)}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", bought).status == 200
    pump.venue.faults._hidden[order.client_order_id] = (pump.now_ms, pump.now_ms + hidden_s * 1000)
    pump.restart(keep_orders=True)
    pump.run(3)
    assert (pump.failed is None) is (hidden_s > 0)
    pump.until(lambda: pump.failed is not None, 60)
    assert pump.failed is not None
    assert "position of 0.010 BTCUSDT" in pump.failed.text
