#!/usr/bin/env bash
# backtrader 1.9.78.123, with pandas 3.1.1 and numpy 2.4.6 (PyPI): the broker it comes with.
#
# A reasonable guess: an account of 1000 USDT can be long or short by about 1000 USDT, and by ten times that with a margin of a
# tenth. A percentage that was given as the commission stays one.
#
# What happens: an order to buy for 9000 USDT is refused with the status Margin. An order to sell short for 9000 USDT is
# accepted, as is one of any size, and its proceeds are cash at once, which pays for further orders. When the price doubles the
# account is at -8000 USDT, and the run goes on. Giving a margin, which is the cure, turns the commission of 0.0004 from a share
# of the value into 0.0004 USDT per contract: the fee on 9000 USDT falls from 3.60 to 0.036.
#
# Why it matters for a bot: a strategy that sells, or that runs into a trend with ever more shorts, has credit without end: what
# would be a liquidation at the venue is a drawdown that recovers. After the cure it trades for a hundredth of the fee.
#
# What to do instead: give margin, stocklike=False and commtype=bt.CommInfoBase.COMM_PERC together, and check the fee of the
# first order. Not automargin, a share of the price: the account then takes the margin paid at the old price for one at the new
# price, and a tenth of each loss and each profit is wrong. Stop the run when the account is below the venue's maintenance
# margin.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile backtrader==1.9.78.123 pandas==3.1.1 numpy==2.4.6

timeout 60 venv/bin/python -I -W ignore - <<'PY'
import sys
from importlib.metadata import version

import backtrader as bt
import pandas as pd

PRICES = [100.0, 100.0, 100.0, 120.0, 150.0, 200.0]


class OneOrder(bt.Strategy):
    params = (("size", 0),)

    def __init__(self):
        self.ended = None

    def next(self):
        if len(self) == 1:
            (self.buy if self.p.size > 0 else self.sell)(size=abs(self.p.size))

    def notify_order(self, order):
        if not order.alive():
            self.ended = order


def outcome(size, **commission):
    """How the order ended, its fee, and what the account is worth when the price has doubled."""
    times = pd.date_range("2026-01-05", periods=len(PRICES), freq="1h")
    candles = pd.DataFrame({name: PRICES for name in ("open", "high", "low", "close")} | {"volume": 1e6}, index=times)
    run = bt.Cerebro(stdstats=False)
    run.adddata(bt.feeds.PandasData(dataname=candles))
    run.broker.setcash(1000.0)
    run.broker.setcommission(**commission)
    run.addstrategy(OneOrder, size=size)
    (strategy,) = run.run()
    return strategy.ended.getstatusname(), round(strategy.ended.executed.comm, 4), round(run.broker.getvalue(), 2)


share = bt.CommInfoBase.COMM_PERC
seen = {
    "buy 90, commission": outcome(90, commission=0.0004),
    "sell 90, commission": outcome(-90, commission=0.0004),
    "sell 9000, commission": outcome(-9000, commission=0.0004),
    "sell 90, commission and margin": outcome(-90, commission=0.0004, margin=10.0),
    "sell 9000, commission and margin": outcome(-9000, commission=0.0004, margin=10.0),
    "sell 90, commission, margin and commtype": outcome(-90, commission=0.0004, margin=10.0, commtype=share, stocklike=False),
    "sell 90, commission, automargin and commtype": outcome(-90, commission=0.0004, automargin=0.1, commtype=share, stocklike=False),
}
print(*(f"{name} {version(name)}" for name in ("backtrader", "pandas", "numpy")), sep=", ")
print("expected, with 1000 USDT and a price of 100: 90 refused without a margin, 9000 refused always, a fee of 3.60")
for name, (status, fee, worth) in seen.items():
    print(f"  {name}: {status}, fee {fee}, account {worth} after the price has doubled")
was = dict.fromkeys(seen, ("Margin", 0.0, 1000.0)) | {
    "sell 90, commission": ("Completed", 3.6, -8003.6),
    "sell 9000, commission": ("Completed", 360.0, -899360.0),
    "sell 90, commission and margin": ("Completed", 0.036, -8000.04),
    "sell 90, commission, margin and commtype": ("Completed", 3.6, -8003.6),
    "sell 90, commission, automargin and commtype": ("Completed", 3.6, -7103.6),
}
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
