"""A strategy with a stop on the bench: what it is told from the order to the fill, in one-way and in hedge mode."""

from __future__ import annotations

from decimal import Decimal

from coldframe import OrderChanged, OrderFilled, OrderType, Place, PositionMode, PositionSide, Side, View, hookimpl
from coldframe.testing import StrategyBench

D = Decimal


class Protected:
    """Protects what it bought, and says what it is told."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> Place | None:
        self.told.append(f"fill {event.quantity} {event.position_side}")
        if event.side is Side.SELL:
            return None
        hedge = view.position_mode is PositionMode.HEDGE
        return Place(
            symbol=event.symbol,
            side=Side.SELL,
            quantity=event.quantity,
            type=OrderType.STOP_MARKET,
            trigger_price=event.price - 5,
            reduce_only=not hedge,
            position_side=PositionSide.LONG if hedge else PositionSide.BOTH,
        )

    @hookimpl
    def on_order(self, event: OrderChanged) -> None:
        self.told.append(event.state)


def test_a_stop_waits_is_triggered_and_trades() -> None:
    strategy = Protected()
    bench = StrategyBench(strategy)
    (stop,) = bench.fill("BTCUSDT", Side.BUY, "100", "2")
    assert (stop.trigger_price, stop.reduce_only) == (D(95), True)
    order, wants = bench.wait(stop)
    assert wants == []
    assert [order.trigger_price for order in bench.view.orders()] == [D(95)]
    bench.trigger(order)
    bench.fill_order(order, "94.9", "2")
    assert strategy.told == ["fill 2 BOTH", "FILLED", "UNTRIGGERED", "TRIGGERED", "ACCEPTED", "fill 2 BOTH", "FILLED"]
    assert bench.view.position("BTCUSDT") == 0
    assert list(bench.view.orders()) == []


def test_in_hedge_mode_it_is_the_side_that_closes() -> None:
    strategy = Protected()
    bench = StrategyBench(strategy, hedge=True)
    opening = Place(symbol="BTCUSDT", side=Side.BUY, quantity=D(2), price=D(100), position_side=PositionSide.LONG)
    order, _ = bench.wait(opening)
    (stop,) = bench.fill_order(order, "100", "2")
    assert (stop.position_side, stop.reduce_only, stop.closing) == (PositionSide.LONG, False, True)
    order, _ = bench.wait(stop)
    bench.trigger(order)
    bench.fill_order(order, "94", "2")
    assert bench.view.position("BTCUSDT", PositionSide.LONG) == 0
    assert bench.view.realized_pnl() == D(-12)
