#!/usr/bin/env bash
# backtrader 1.9.78.123, with pandas 3.1.1 and numpy 2.4.6 (PyPI): resampledata, from hourly candles as Binance gives them,
# named by the time at which they open.
#
# A reasonable guess: four hourly candles make the four-hour candle of the exchange, 00:00 to 04:00, and 24 make its day. If the
# library took the stamps for something else, both would be wrong.
#
# What happens: the days are right. The four-hour candles are not: the first is made of one hour, and each that follows goes
# from 01:00 to 05:00, 05:00 to 09:00 and so on. A stamp counts as the end of its candle when minutes are put together, and as
# its beginning when days are. A day written as 1440 minutes is an hour late too. In a random walk, none of the candles is one
# of the exchange's, and more than a fifth point the other way.
#
# Why it matters for a bot: an indicator on four-hour candles was tested on candles that exist nowhere. Live, on those of the
# exchange, it crosses on other candles, at other prices, and levels such as the last high differ from the chart.
#
# What to do instead: name the candles by the time at which they close, as the exchange does with its closeTime: a millisecond
# before the hour. Then both are right. Compare one candle with the exchange's before anything is tested on it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile backtrader==1.9.78.123 pandas==3.1.1 numpy==2.4.6

timeout 60 venv/bin/python -I -W ignore - <<'PY'
import random
import sys
from importlib.metadata import version

import backtrader as bt
import pandas as pd

DAYS = 50
chance = random.Random(11)
price, rows = 1000.0, []
for _ in range(DAYS * 24):
    path = [price]
    for _ in range(10):
        path.append(path[-1] + chance.gauss(0, 1))
    price = path[-1]
    rows.append((path[0], max(path), min(path), price, 1.0))
opens = pd.date_range("2026-01-05", periods=len(rows), freq="1h")
names = ["open", "high", "low", "close", "volume"]


class Watch(bt.Strategy):
    def __init__(self):
        self.candles = []

    def next(self):
        large = self.data1
        if len(large) > len(self.candles):
            self.candles.append(tuple(line[0] for line in (large.open, large.high, large.low, large.close)))


def large_candles(stamps, unit, count):
    run = bt.Cerebro(stdstats=False)
    hours = bt.feeds.PandasData(
        dataname=pd.DataFrame(rows, columns=names, index=stamps), timeframe=bt.TimeFrame.Minutes, compression=60
    )
    run.adddata(hours)
    run.resampledata(hours, timeframe=unit, compression=count)
    run.addstrategy(Watch)
    (strategy,) = run.run()
    return strategy.candles


def of_exchange(count):
    parts = [rows[at : at + count] for at in range(0, len(rows), count)]
    return [(part[0][0], max(row[1] for row in part), min(row[2] for row in part), part[-1][3]) for part in parts]


def compared(stamps, unit, count, hours):
    """How many candles there are, how many are the exchange's, and how many point the other way."""
    ours, theirs = large_candles(stamps, unit, count), of_exchange(hours)
    right = sum(candle in theirs for candle in ours)
    # Where a first candle of one hour is too many, the second is the one that shares most of its hours with the exchange's first.
    pairs = zip(ours[len(ours) - len(theirs) :], theirs, strict=True)
    other_way = sum((mine[3] > mine[0]) != (real[3] > real[0]) for mine, real in pairs)
    return len(ours), right, other_way


minutes, days, closes = bt.TimeFrame.Minutes, bt.TimeFrame.Days, opens + pd.Timedelta(hours=1, milliseconds=-1)
seen = {
    "by the opening, four hours": compared(opens, minutes, 240, 4),
    "by the opening, one day": compared(opens, days, 1, 24),
    "by the opening, 1440 minutes": compared(opens, minutes, 1440, 24),
    "by the close, four hours": compared(closes, minutes, 240, 4),
    "by the close, one day": compared(closes, days, 1, 24),
}
print(*(f"{name} {version(name)}" for name in ("backtrader", "pandas", "numpy")), sep=", ")
print("expected: the candles of the exchange in each case")
for name, (count, right, other_way) in seen.items():
    print(f"  {name}: {right} of {count} candles are the exchange's, {other_way} point the other way")
was = dict(zip(seen, [(301, 0, 66), (50, 50, 0), (51, 0, 4), (300, 300, 0), (50, 50, 0)], strict=True))
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
