#!/usr/bin/env bash
# freqtrade 2026.9 (PyPI): freqtrade.data.metrics, the figures of its backtests.
#
# A reasonable guess: the Sharpe and Sortino ratios of an account depend on what the account was worth on each day. It does not
# matter whether a profit was made in one trade or in ten parts that close in the same second.
#
# What happens: the mean is taken by day and the deviation by trade. Ten parts are each a tenth of the profit, so the deviation is
# a tenth, and both ratios are ten times as large: 7.48 becomes 74.76. SQN, of the same module, grows with the square root.
# Without a losing trade, Sortino is -100: the best possible bot sorts below all others.
#
# Why it matters for a bot: scaling in and out, or a grid, looks better than the same result in one piece, and a search for
# parameters with the Sharpe ratio as its aim finds small trades. The figures of two bots of a different style cannot be compared.
#
# What to do instead: compute the ratio from the equity by day. The module has calculate_sharpe_from_balance and its siblings for
# that.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
# Of its many packages, those that its figures need.
venv/bin/pip install -q -q --no-compile --no-deps freqtrade==2026.9 pandas==3.1.1 numpy==2.4.6 scipy==1.17.1 ccxt==4.5.90 pyarrow==26.0.1 \
  python-dateutil six pytz python-rapidjson jsonschema jsonschema-specifications referencing rpds-py attrs typing-extensions rich \
  pygments markdown-it-py mdurl humanize cachetools schedule orjson requests urllib3 idna charset-normalizer certifi cryptography \
  cffi pycparser

timeout 60 venv/bin/python -I -W ignore - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
import pandas as pd
from freqtrade.data.metrics import calculate_sharpe, calculate_sortino

START = 1000.0
days = pd.date_range("2026-01-01 12:00", periods=10, freq="D", tz="UTC")
span = days[0], days[-1] + pd.Timedelta(days=1)
profits = np.array([30.0, -20, 40, 10, -30, 25, -5, 15, -10, 35])


def ratios(parts, kept=profits > -np.inf):
    trades = pd.DataFrame({"profit_abs": np.repeat(profits[kept] / parts, parts), "close_date": np.repeat(days[kept], parts)})
    return tuple(round(float(figure(trades, *span, START)), 2) for figure in (calculate_sharpe, calculate_sortino))


seen = {f"each profit in {parts} part(s)": ratios(parts) for parts in (1, 2, 10)}
seen["the winning trades alone"] = ratios(1, profits > 0)
print(f"freqtrade {version('freqtrade')}, pandas {pd.__version__}")
print("expected: the first three lines are equal; without losses Sortino is undefined or very large")
for name, (sharpe, sortino) in seen.items():
    print(f"  {name}: Sharpe {sharpe}, Sortino {sortino}")
was = {
    "each profit in 1 part(s)": (7.48, 17.91),
    "each profit in 2 part(s)": (14.95, 35.82),
    "each profit in 10 part(s)": (74.76, 179.08),
    "the winning trades alone": (28.01, -100.0),
}
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
