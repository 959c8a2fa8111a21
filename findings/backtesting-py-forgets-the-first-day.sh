#!/usr/bin/env bash
# backtesting 0.6.6 (PyPI, backtesting.py), with pandas 3.1.1, numpy 2.4.6 and bokeh 3.9.2.
#
# A reasonable guess: "Return (Ann.)" is the return of the run, brought to a year, and the Sharpe and Calmar ratios follow from
# it. The size of the candles does not matter.
#
# What happens: they are computed from the changes between the last values of the days, so what happened on the first day is not
# in them. A bot on hourly candles that loses 50 % on its first day and wins a little on the nine that follow has a return of
# -42 %, an annual return of +8829 % and a Sharpe ratio of 111. And every change between two values that exist is a day: with
# candles of three days, a size the venue offers, a return is raised to the power of 365 in place of 122. A year of +187 % is
# shown as +2366 %. Daily and weekly candles are right, and CAGR, a line further, is right in all cases.
#
# Why it matters for a bot: short runs on small candles are how a strategy is tried first, and the loss of the first hours is
# left out. A search for the best Sharpe ratio finds bots that lose at once, and one for the best annual return candles of three
# days.
#
# What to do instead: look at Return, CAGR and the maximum drawdown, which count every bar. Take the equity from _equity_curve,
# put the initial cash in front, and compute the ratios with the days per candle of your own.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile backtesting==0.6.6 pandas==3.1.1 numpy==2.4.6 bokeh==3.9.2

timeout 60 venv/bin/python -I -W ignore - <<'PY'
import sys
from importlib.metadata import version

import pandas as pd
from backtesting import Backtest, Strategy


class Hold(Strategy):
    def init(self):
        pass

    def next(self):
        if len(self.data) == 2:
            self.buy(size=0.99)


def figures(closes, size):
    closes = pd.Series(closes, index=pd.date_range("2026-01-05", periods=len(closes), freq=size))
    opens = closes.shift(1, fill_value=closes.iloc[0])
    pair = pd.concat([opens, closes], axis=1)
    candles = pd.DataFrame({"Open": opens, "High": pair.max(axis=1), "Low": pair.min(axis=1), "Close": closes, "Volume": 1.0})
    stats = Backtest(candles, Hold, cash=1_000_000, finalize_trades=True).run()
    asked = "Return [%]", "CAGR [%]", "Return (Ann.) [%]", "Sharpe Ratio"
    return tuple(round(float(stats[name])) for name in asked)


fall = [1000 - 500 * hour / 23 for hour in range(24)]
rise = [500 + 60 * hour / 215 for hour in range(216)]
growth = [1000 * 1.003**day * (1.001 if day % 2 else 1) for day in range(361)]
seen = {"hours, -50 % on the first of ten days": figures(fall + rise, "1h")}
seen |= {f"candles of {days} day{'s' * (days > 1)}, 0.3 % a day": figures(growth[::days], f"{days}D") for days in (1, 3, 7)}
print(*(f"{name} {version(name)}" for name in ("backtesting", "pandas", "numpy", "bokeh")), sep=", ")
print("expected: an annual return about as large as CAGR, and the same for one market in candles of any size")
for name, (total, growth_rate, annual, sharpe) in seen.items():
    print(f"  {name}: return {total} %, CAGR {growth_rate} %, annual return {annual} %, Sharpe ratio {sharpe}")
was = dict(zip(seen, [(-42, -100, 8829, 111), (190, 195, 195, 34), (187, 191, 2366, 33), (177, 184, 183, 22)], strict=True))
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
