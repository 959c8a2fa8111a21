#!/usr/bin/env bash
# pandas-ta-classic 0.8.32, ta 0.11.0, finta 1.3 and talipp 2.7.0, with pandas 3.1.1 and numpy 2.4.6 (PyPI): the VWAP of the
# same hourly candles.
#
# A reasonable guess: the volume-weighted average price is that of the day so far, as on a chart; it starts anew at midnight
# UTC, and the four agree.
#
# What happens: pandas-ta-classic starts anew at midnight. ta takes the last 14 candles, whatever the day. finta and talipp take
# all candles that they were given, and never start anew. After five rising days the price stands 1.2 % above one VWAP, 3 %
# above the next, 22 % above the other two. Given the last day alone, finta and talipp say what pandas-ta-classic says: the
# value depends on how much history was loaded.
#
# Why it matters for a bot: a rule that sells above VWAP plus 2 % never sells with one library, sells now with the next, and
# with the others sold days ago. With finta or talipp a restart that loads a day of candles in place of a week moves the line by
# tens of percent, and the bot that was tested is not the bot that runs.
#
# What to do instead: compute it from two running sums that are set to zero when the day of the candle changes (as below), and
# compare the value with the chart once before trusting a library's.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile pandas==3.1.1 numpy==2.4.6
# None of their other packages is needed for this indicator.
venv/bin/pip install -q -q --no-compile --no-deps pandas-ta-classic==0.8.32 ta==0.11.0 finta==1.3 talipp==2.7.0

timeout 60 venv/bin/python -I -W ignore - <<'PY'
import random
import sys
from importlib.metadata import version

import pandas as pd
import pandas_ta_classic
from finta import TA
from ta.volume import VolumeWeightedAveragePrice
from talipp.indicators import VWAP
from talipp.ohlcv import OHLCV

chance = random.Random(5)
price, rows = 60_000.0, []
for _ in range(5 * 24):
    path = [price]
    for _ in range(10):
        path.append(path[-1] * (1 + chance.gauss(0.0004, 0.002)))
    price = path[-1]
    rows.append((path[0], max(path), min(path), price, chance.uniform(10, 100)))
hours = pd.date_range("2026-01-05", periods=len(rows), freq="1h")
week = pd.DataFrame(rows, columns=["open", "high", "low", "close", "volume"], index=hours)


def by_hand(candles):
    worth = volume = 0.0
    day = None
    for at, candle in candles.iterrows():
        if at.date() != day:
            day, worth, volume = at.date(), 0.0, 0.0
        worth += (candle.high + candle.low + candle.close) / 3 * candle.volume
        volume += candle.volume
    return worth / volume


def last_values(candles):
    series = candles.high, candles.low, candles.close, candles.volume
    values = {
        "by hand, since midnight": by_hand(candles),
        "pandas-ta-classic": pandas_ta_classic.vwap(*series).iloc[-1],
        "ta": VolumeWeightedAveragePrice(*series).volume_weighted_average_price().iloc[-1],
        "finta": TA.VWAP(candles).iloc[-1],
        "talipp": VWAP([OHLCV(*row) for row in candles.itertuples(index=False)])[-1],
    }
    return {name: round(float(value)) for name, value in values.items()}


whole, day = last_values(week), last_values(week.iloc[-24:])
seen = {name: (whole[name], day[name]) for name in whole}
print(*(f"{name} {version(name)}" for name in ("pandas-ta-classic", "ta", "finta", "talipp", "pandas", "numpy")), sep=", ")
print(f"expected: the same VWAP from all, whether five days were loaded or the last one; the price is {week.close.iloc[-1]:.0f}")
for name, (of_five, of_one) in seen.items():
    print(f"  {name}: {of_five} with five days loaded, {of_one} with one")
was = dict(zip(seen, [(92230, 92230), (92230, 92230), (93904, 93904), (78082, 92230), (78082, 92230)], strict=True))
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
