#!/usr/bin/env bash
# quantstats 0.0.86 (PyPI), with pandas 3.1.1 and numpy 2.4.6.
#
# A reasonable guess: the functions of quantstats.stats take returns or an equity curve; the unit of the curve does not matter,
# because every figure asked for here is relative.
#
# What happens: each function decides by the size of the numbers whether it was given prices or returns. A curve that never
# exceeds 1 is taken for returns. A bot that falls from 1.00 to 0.70 and never sees its start again is such a curve: win rate 100
# %, Sharpe ratio above +100. The same curve in USDT (1000 to 700): win rate 14 %, Sharpe ratio below -10. The maximum drawdown
# has a rule of its own: it is right for the curve that starts at 1, and 0 % for the same account counted in BTC (0.50 to 0.35).
#
# Why it matters for a bot: the worse the bot, the better the report. Normalised curves and accounts in BTC are ordinary, and the
# figures of a winning bot are right, so the comparison of the two looks plausible.
#
# What to do instead: give quantstats returns that you have computed yourself (equity.pct_change().dropna()), and look at one
# figure that you know, such as the last value divided by the first.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile quantstats==0.0.86 pandas==3.1.1 numpy==2.4.6

MPLBACKEND=Agg timeout 60 venv/bin/python -I -W ignore - <<'PY'
import sys

import pandas as pd
import quantstats as qs

days = pd.date_range("2026-01-01", periods=8, freq="D")
losing = pd.Series([1.00, 0.97, 0.95, 0.96, 0.90, 0.85, 0.80, 0.70], index=days)
curves = {"from 1.00 to 0.70": losing, "from 1000 to 700 USDT": losing * 1000, "from 0.50 to 0.35 BTC": losing / 2}
seen = {}
print(f"quantstats {qs.__version__}, pandas {pd.__version__}")
print("expected: the same three figures for each of the three curves")
for name, curve in curves.items():
    figures = qs.stats.win_rate(curve), qs.stats.sharpe(curve), qs.stats.max_drawdown(curve)
    seen[name] = tuple(round(float(figure), 2) for figure in figures)
    print("  {}: win rate {}, Sharpe ratio {}, maximum drawdown {}".format(name, *seen[name]))
returns = losing.pct_change().dropna()
print(f"  Sharpe ratio of the returns: {qs.stats.sharpe(returns):.2f}")
was = {
    "from 1.00 to 0.70": (1.0, 138.65, -0.3),
    "from 1000 to 700 USDT": (0.14, -18.27, -0.3),
    "from 0.50 to 0.35 BTC": (1.0, 138.65, 0.0),
}
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
