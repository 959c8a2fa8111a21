#!/usr/bin/env bash
# nautilus_trader 1.221.0 (PyPI): a backtest on candles, with bracket orders (entry, stop and target).
#
# A reasonable guess: a candle that touches the stop as well as the target is decided in the same way for both directions: the
# stop first, to be careful, or by chance. A strategy and its mirror image then have the same result.
#
# What happens: a candle is played as open, high, low, close. The target of a long position lies at the high and is reached
# first, always; at the high lies also the stop of a short position. One candle from 10000 up to 10600, down to 9400 and back to
# 10000 earns 500 USDT less the fees for a long position of one contract, and costs a short one 500. With
# bar_adaptive_high_low_ordering=True the nearer end is played first; where both are equally near, it is the other way round.
#
# Why it matters for a bot: the wider the candles are compared with the brackets, the more a long strategy earns in a market
# that goes nowhere, and the more its mirror image loses. The search for parameters then finds narrow brackets for longs.
#
# What to do instead: use candles that are small compared with the brackets, or trades. Count the candles that touch both ends,
# and run the mirrored strategy on the mirrored market: its result has to be the same.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile nautilus_trader==1.221.0

timeout 120 venv/bin/python -I -W ignore - <<'PY'
import sys
from decimal import Decimal
from importlib.metadata import version

from nautilus_trader.backtest.config import BacktestEngineConfig
from nautilus_trader.backtest.engine import BacktestEngine
from nautilus_trader.config import LoggingConfig
from nautilus_trader.model.currencies import USDT
from nautilus_trader.model.data import Bar, BarType
from nautilus_trader.model.enums import AccountType, OmsType, OrderSide
from nautilus_trader.model.identifiers import Venue
from nautilus_trader.model.objects import Money
from nautilus_trader.test_kit.providers import TestInstrumentProvider
from nautilus_trader.trading.strategy import Strategy

BINANCE, HOUR_NS, CASH = Venue("BINANCE"), 3_600_000_000_000, 100_000
CONTRACT = TestInstrumentProvider.btcusdt_perp_binance()
HOURLY = BarType.from_str(f"{CONTRACT.id}-1-HOUR-LAST-EXTERNAL")
FLAT, BOTH = (10_000, 10_000, 10_000, 10_000), (10_000, 10_600, 9_400, 10_000)


class OneBracket(Strategy):
    """After the first candle: a market order for one contract, with stop and target 500 away."""

    def __init__(self, side):
        super().__init__()
        self.side, self.exits = side, []

    def on_start(self):
        self.subscribe_bars(HOURLY)

    def on_bar(self, _bar):
        if self.cache.orders_total_count():
            return
        stop, target = (9_500, 10_500) if self.side is OrderSide.BUY else (10_500, 9_500)
        orders = self.order_factory.bracket(
            CONTRACT.id,
            self.side,
            CONTRACT.make_qty(1),
            sl_trigger_price=CONTRACT.make_price(stop),
            tp_price=CONTRACT.make_price(target),
        )
        self.submit_order_list(orders)

    def on_position_closed(self, event):
        self.exits.append(event.avg_px_close)


def outcome(side, adaptive):
    engine = BacktestEngine(BacktestEngineConfig(logging=LoggingConfig(bypass_logging=True)))
    engine.add_venue(
        BINANCE,
        oms_type=OmsType.NETTING,
        account_type=AccountType.MARGIN,
        base_currency=None,
        starting_balances=[Money(CASH, USDT)],
        bar_adaptive_high_low_ordering=adaptive,
    )
    engine.add_instrument(CONTRACT)
    played = enumerate((FLAT, FLAT, BOTH, FLAT), 1)
    engine.add_data(
        [Bar(HOURLY, *map(CONTRACT.make_price, row), CONTRACT.make_qty(1000), at * HOUR_NS, at * HOUR_NS) for at, row in played]
    )
    strategy = OneBracket(side)
    engine.add_strategy(strategy)
    engine.run()
    change = engine.cache.account_for_venue(BINANCE).balance_total(USDT).as_decimal() - CASH
    engine.dispose()
    return *strategy.exits, change


seen = {
    f"{name}, {order}": outcome(side, adaptive)
    for order, adaptive in (("as it comes", False), ("adaptive order", True))
    for name, side in (("long", OrderSide.BUY), ("short", OrderSide.SELL))
}
print(f"nautilus_trader {version('nautilus_trader')}")
print("expected: both stopped, or both at their target, by a candle that touches 9400 and 10600")
for name, (exit_price, change) in seen.items():
    print(f"  {name}: out at {exit_price:.0f}, the account changes by {change:+.2f} USDT")
changes = map(Decimal, ("496.10", "-503.69", "-503.51", "496.30"))
was = dict(zip(seen, zip((10_500, 10_500, 9_500, 9_500), changes, strict=True), strict=True))
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
