#!/usr/bin/env bash
# unicorn-fy 0.17.2 (PyPI): UnicornFy.binance_com_futures_websocket, which gives the fields of a message readable names.
#
# A reasonable guess: a message that the library does not know is raised, or handed back as it came.
#
# What happens: the answer is {"unicorn_fied": [...]}: a dictionary without one word of the message. That is what becomes of
#   - listenKeyExpired (the stream of the account has ended),
#   - ALGO_UPDATE (what became of a stop order),
#   - CONDITIONAL_ORDER_TRIGGER_REJECT (a stop was triggered and refused),
#   - !markPrice@arr in its envelope {"stream": ..., "data": [...]}, though the bare array is understood.
# In a candle, the ids of the first and the last trade come back as False.
#
# Why it matters for a bot: it waits for the end of a stop order, or of its own stream, which was told and thrown away. Nothing is
# raised, and a handler that looks for event_type skips the message like any other.
#
# What to do instead: ask for the raw message and decode it yourself, or treat an answer with the single key unicorn_fied as an
# error.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile unicorn-fy==0.17.2

timeout 60 venv/bin/python -I - 2>/dev/null <<'PY'
import contextlib
import io
import json
import sys
from importlib.metadata import version

from unicorn_fy.unicorn_fy import UnicornFy

T = 1700000000000
MARK = {"e": "markPriceUpdate", "E": T, "s": "BTCUSDT", "p": "60000.1", "P": "60000.2", "i": "60000.3", "r": "0.0001", "T": T}
STOP = {"caid": "mine-1", "aid": 7, "at": "CONDITIONAL", "o": "STOP_MARKET", "s": "BTCUSDT", "S": "SELL", "X": "TRIGGERED", "ai": "8"}
REFUSED = {"s": "BTCUSDT", "i": 9, "r": "Due to the order could not be filled immediately, the FOK order has been rejected."}
CANDLE = {"t": T, "T": T + 59999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "1", "c": "2", "h": "3", "l": "1", "v": "9"}
CANDLE |= {"n": 101, "x": True, "q": "18", "V": "4", "Q": "8", "B": "0"}
MESSAGES = {
    "TRADE_LITE": {"e": "TRADE_LITE", "E": T, "T": T, "s": "BTCUSDT", "q": "1", "p": "2", "m": False, "c": "mine-2", "S": "BUY",
                   "L": "2", "l": "1", "t": 5, "i": 6},
    "listenKeyExpired": {"e": "listenKeyExpired", "E": T, "listenKey": "key"},
    "ALGO_UPDATE": {"e": "ALGO_UPDATE", "T": T, "E": T, "o": STOP},
    "CONDITIONAL_ORDER_TRIGGER_REJECT": {"e": "CONDITIONAL_ORDER_TRIGGER_REJECT", "E": T, "T": T, "or": REFUSED},
    "!markPrice@arr, bare": [MARK],
    "!markPrice@arr, in its envelope": {"stream": "!markPrice@arr", "data": [MARK]},
}


def readable(message):
    with contextlib.redirect_stdout(io.StringIO()):
        return UnicornFy.binance_com_futures_websocket(json.dumps(message))


seen = {name: len(set(readable(message)) - {"unicorn_fied"}) for name, message in MESSAGES.items()}
candle = readable({"stream": "btcusdt@kline_1m", "data": {"e": "kline", "E": T, "s": "BTCUSDT", "k": CANDLE}})["kline"]
ids = candle["first_trade_id"], candle["last_trade_id"]

print(f"unicorn-fy {version('unicorn-fy')}")
print("expected: the fields of every message, or an error; the ids 100 and 200 in the candle")
for name, fields in seen.items():
    print(f"  {name}: {fields} fields are left")
print(f"  candle: the ids of the first and last trade are {ids}")
lost = {name for name, fields in seen.items() if not fields}
was = set(MESSAGES) - {"TRADE_LITE", "!markPrice@arr, bare"}
if lost != was or ids != (False, False):
    print(f"the behaviour has changed: lost were {sorted(was)}, the ids were False")
    sys.exit(1)
PY
