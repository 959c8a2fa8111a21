#!/usr/bin/env bash
# python-binance 1.0.37 (PyPI): binance.ws.depthcache.DepthCache, the class behind its managers of order books.
#
# A reasonable guess: a level whose quantity is zero leaves the book.
#
# What happens: it leaves the book only if the quantity is written "0.00000000", as the spot market writes it. USD-M Futures write
# as many decimals as the symbol has: "0.000", "0.00", "0.0" or "0". Such a level stays, with quantity 0.0, at the top of the book
# as soon as the price has moved away from it. conv_type=Decimal does not help: the text is compared.
#
# Why it matters for a bot: get_bids()[0] is not the best bid any more. In a recording of BTCUSDT (August 2024) it was 174 USDT
# above the market 15 seconds after the snapshot. Below are four updates of the same kind.
#
# What to do instead: drop levels with quantity 0 from get_bids() and get_asks() (they grow without bound all the same), or apply
# the updates with code of your own, which compares numbers. FuturesDepthCacheManager is not affected, since it reads another
# stream: ten levels, replaced as a whole, whatever its limit says.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile python-binance==1.0.37

timeout 60 venv/bin/python -I - <<'PY'
import sys
from importlib.metadata import version

from binance.ws.depthcache import DepthCache

SNAPSHOT = [["61800.20", "2.909"], ["61800.10", "0.696"], ["61799.90", "0.140"]]
seen = {}
for market, zero in (("spot", "0.00000000"), ("futures, 3 decimals", "0.000"), ("futures, no decimals", "0")):
    book = DepthCache("BTCUSDT")
    for level in SNAPSHOT:
        book.add_bid(level)
    for price in ("61800.20", "61800.10"):
        book.add_bid([price, zero])
    seen[market] = book.get_bids()[0]

print(f"python-binance {version('python-binance')}")
print("expected: the best bid is [61799.9, 0.14] each time, since the two better ones were taken away")
for market, best in seen.items():
    print(f"  {market}: {best}")
was = {"spot": [61799.9, 0.14], "futures, 3 decimals": [61800.2, 0.0], "futures, no decimals": [61800.2, 0.0]}
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
