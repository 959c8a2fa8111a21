#!/usr/bin/env bash
# TA-Lib 0.8.2 (PyPI), with numpy 2.4.6.
#
# A reasonable guess: one missing price (NaN) makes the indicator NaN, either for as long as the window covers it or for ever. In
# both cases a strategy can see that there is no value.
#
# What happens: that depends on the function, and for some of them the rest of the series is a number that looks right.
#   SMA(3)      NaN for ever: the window has passed the gap long since, but the running sum has not.
#   RSI(14)     exactly 0.0 for ever, here in a market that only rises. 0 means "oversold as never before".
#   ADX(14)     stands still for ever on the last value before the gap.
#   MAX(3)      passes over the gap: a value on every bar.
#
# Why it matters for a bot: candles with holes are ordinary (an outage, a new listing, two tables joined by time). A rule such as
# "RSI below 30: buy" buys on every bar from then on, and a test for NaN does not notice.
#
# What to do instead: let no NaN into these functions. Cut the series behind the last gap and start the indicator anew, and take
# its values only when it has seen enough bars.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile TA-Lib==0.8.2 numpy==2.4.6

timeout 60 venv/bin/python -I - <<'PY'
import sys

import numpy as np
import talib

rising = 100.0 + np.arange(300.0)
close = rising.copy()
close[100] = np.nan

rsi_whole, rsi = (talib.RSI(prices, timeperiod=14) for prices in (rising, close))
sma = talib.SMA(close, timeperiod=3)
highest = talib.MAX(close, timeperiod=3)
waves = 100.0 + np.sin(np.arange(300.0) / 9) * np.linspace(1, 20, 300)
high, low = waves + 0.5, waves - 0.5
adx_whole = talib.ADX(high, low, waves, timeperiod=14)
high[100] = np.nan
adx = talib.ADX(high, low, waves, timeperiod=14)

seen = {
    "RSI without a gap, last value": float(rsi_whole[-1]),
    "RSI, different values after the gap": sorted(set(rsi[100:].tolist())),
    "SMA(3), values that are not NaN after the gap": int(np.isfinite(sma[100:]).sum()),
    "MAX(3), values that are not NaN after the gap": int(np.isfinite(highest[100:]).sum()),
    "ADX without a gap, different values": len(set(adx_whole[100:].round(6).tolist())),
    "ADX, different values after the gap": len(set(adx[100:].round(6).tolist())),
    "ADX stands on the last value before the gap": bool(adx[-1] == adx[99]),
}
was = {
    "RSI without a gap, last value": 100.0,
    "RSI, different values after the gap": [0.0],
    "SMA(3), values that are not NaN after the gap": 0,
    "MAX(3), values that are not NaN after the gap": 200,
    "ADX without a gap, different values": 200,
    "ADX, different values after the gap": 1,
    "ADX stands on the last value before the gap": True,
}
print(f"TA-Lib {talib.__version__}, numpy {np.__version__}; one NaN at bar 100 of 300")
print("expected: NaN, until the window has passed the gap or for ever")
for name, value in seen.items():
    print(f"  {name}: {value}")
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
