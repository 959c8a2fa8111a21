#!/usr/bin/env bash
# hftbacktest 2.4.4 (PyPI), with numpy 2.2.6 and numba 0.68.1; a market of 100.0 / 100.5 with tick 0.5 and lot 1.
#
# A reasonable guess: an order that breaks the tick or the lot is refused, as the venue refuses it; in any case a limit order is
# never filled at a worse price than its limit.
#
# What happens: the price is rounded to the nearest tick, up as well as down. A buy order with limit 100.25 becomes one with limit
# 100.5 and is filled at 100.5. The quantity is not compared with the lot at all: 0.3 lots are filled, and an order for 0.0 is
# reported as filled.
#
# Why it matters for a bot: a strategy that forgets to round, or rounds a sell price as it does a buy price, earns in the backtest
# by taking where it meant to make; at the venue every such order is refused (-4014, -4003, -1111), and it trades nothing.
#
# What to do instead: round down for buying and up for selling before submitting, and let the strategy check tick, lot and minimum
# itself, in the backtest as at the venue.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
# Its packages for charts are not needed here.
venv/bin/pip install -q -q --no-compile --no-deps hftbacktest==2.4.4 numpy==2.2.6 numba==0.68.1 llvmlite==0.50.0

timeout 110 venv/bin/python -I - <<'PY'
import sys
from importlib.metadata import version

import numpy as np
from hftbacktest import BUY_EVENT, DEPTH_EVENT, EXCH_EVENT, GTC, LIMIT, LOCAL_EVENT, SELL_EVENT
from hftbacktest import BacktestAsset, HashMapMarketDepthBacktest
from hftbacktest.types import event_dtype

START_NS, MS = 1_700_000_000_000_000_000, 1_000_000


def level(at_ns, side, price, quantity):
    return (DEPTH_EVENT | EXCH_EVENT | LOCAL_EVENT | side, at_ns, at_ns + MS, price, quantity, 0, 0, 0.0)


events = []
for step in range(10):
    events.append(level(START_NS, BUY_EVENT, 100.0 - 0.5 * step, 5.0))
    events.append(level(START_NS, SELL_EVENT, 100.5 + 0.5 * step, 5.0))
# The deep end of the book moves, so that time passes.
events += [level(START_NS + tenth * 100 * MS, BUY_EVENT, 95.5, 5.0 + tenth) for tenth in range(1, 60)]
market = np.array(events, dtype=event_dtype)


def bought(limit, quantity):
    asset = BacktestAsset().data(market).linear_asset(1.0).constant_order_latency(MS, MS).risk_adverse_queue_model()
    asset = asset.no_partial_fill_exchange().trading_value_fee_model(0.0, 0.0).tick_size(0.5).lot_size(1.0)
    test = HashMapMarketDepthBacktest([asset])
    test.elapse(200 * MS)
    test.submit_buy_order(0, 1, limit, quantity, GTC, LIMIT, False)
    test.elapse(500 * MS)
    order = test.orders(0).get(1)
    status = {1: "resting", 3: "filled"}.get(int(order.status), str(order.status))
    at = float(order.exec_price) if status == "filled" else float(order.price)
    position = float(test.position(0))
    test.close()
    return status, at, position


orders = (100.2, 1.0), (100.25, 1.0), (100.5, 0.3), (100.5, 0.0)
seen = {f"buy {quantity} at {limit}": bought(limit, quantity) for limit, quantity in orders}
print(f"hftbacktest {version('hftbacktest')}, numpy {np.__version__}; best ask 100.5, tick 0.5, lot 1")
print("expected: all four are refused; in no case is a price above the limit paid")
for order, (status, at, position) in seen.items():
    print(f"  {order}: {status} at {at}, position {position}")
was = dict(zip(seen, [("resting", 100.0, 0.0), ("filled", 100.5, 1.0), ("filled", 100.5, 0.3), ("filled", 100.5, 0.0)], strict=True))
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
