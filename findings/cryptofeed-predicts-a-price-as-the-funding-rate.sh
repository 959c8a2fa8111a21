#!/usr/bin/env bash
# cryptofeed 2.4.1 (PyPI): its feed of Binance USD-M Futures, funding channel.
#
# A reasonable guess: Funding.predicted_rate is a rate, as on the other exchanges of the library, or None where the exchange
# tells no prediction.
#
# What happens: it is the field P of markPriceUpdate, which is the estimated settle price. For the message of the exchange's own
# documentation, rate is 0.00038167 and predicted_rate is 11784.25641265: a position would pay eleven thousand times its worth
# at the next funding. The type is Decimal both times.
#
# Why it matters for a bot: a rule such as "predicted_rate above 0.0005: be short and earn the funding" is true for every symbol
# at every moment, and a comparison of exchanges always sends the short side here. Stored in a table, the column is a price on
# this exchange and a rate on the others.
#
# What to do instead: take rate, which belongs to next_funding_time. Ignore predicted_rate of this exchange, and refuse any rate
# above a few percent before trading on it.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile cryptofeed==2.4.1 yapic.json==1.9.5 order_book==0.6.1

timeout 60 venv/bin/python -I - <<'PY'
import asyncio
import json
import sys
from decimal import Decimal
from importlib.metadata import version

from cryptofeed.defines import FUNDING
from cryptofeed.exchanges import BinanceFutures
from cryptofeed.symbols import Symbols

# The message of the exchange's documentation of the stream <symbol>@markPrice.
MARK_PRICE = {
    "e": "markPriceUpdate",
    "E": 1562305380000,
    "s": "BTCUSDT",
    "p": "11794.15000000",
    "i": "11784.62659091",
    "P": "11784.25641265",
    "r": "0.00038167",
    "T": 1562306400000,
}
told = []


async def on_funding(funding, _received_at):
    told.append(funding)


# The symbols, which a feed otherwise asks the exchange for.
Symbols.set(BinanceFutures.id, {"BTC-USDT-PERP": "BTCUSDT"}, {})
feed = BinanceFutures(symbols=["BTC-USDT-PERP"], channels=[FUNDING], callbacks={FUNDING: on_funding})
message = json.dumps({"stream": "btcusdt@markPrice", "data": MARK_PRICE})
asyncio.run(feed.message_handler(message, None, 1562305380.1))
(funding,) = told
seen = {"rate": funding.rate, "predicted_rate": funding.predicted_rate, "mark_price": funding.mark_price}
print(f"cryptofeed {version('cryptofeed')}")
print("expected: predicted_rate is about as large as rate, or None")
for name, value in seen.items():
    print(f"  {name}: {value!r}")
was = {"rate": Decimal("0.00038167"), "predicted_rate": Decimal("11784.25641265"), "mark_price": Decimal("11794.15")}
if seen != was:
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
