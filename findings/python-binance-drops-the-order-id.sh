#!/usr/bin/env bash
# python-binance 1.0.37 (PyPI), against a server of our own on the loopback.
#
# A reasonable guess: the newClientOrderId that the caller gives is the id of the order, whatever its type; or an error says that
# it is not.
#
# What happens: futures_create_order sends conditional orders (STOP, STOP_MARKET, TAKE_PROFIT, ...) to the venue's service for
# algo orders, whose parameter is called clientAlgoId. stopPrice is translated to triggerPrice. newClientOrderId is not: it is
# taken out, and a random id is sent instead. The same call with type LIMIT keeps the id.
#
# Why it matters for a bot: an id of the bot's own is what makes an order safe to ask for, and safe to send again, after a
# timeout. Here the stop stands at the venue under a name that the bot never saw; asking for its own id says "does not exist", and
# sending again places a second stop. Two stops that are not reduce-only turn a position round.
#
# What to do instead: give clientAlgoId as well as newClientOrderId for conditional orders (as below), and cancel and query them
# by clientAlgoId. futures_cancel_all_open_orders leaves them standing unless it is called a second time with conditional=True.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile python-binance==1.0.37

timeout 60 venv/bin/python -I - <<'PY'
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from binance.client import Client

calls = []


class Venue(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        parts = urlsplit(self.path)
        calls.append((parts.path, dict(parse_qsl(parts.query + "&" + body))))
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Venue)
Thread(target=server.serve_forever, daemon=True).start()
client = Client("key", "secret", ping=False)
client.FUTURES_URL = f"http://127.0.0.1:{server.server_port}/fapi"
stop = {"symbol": "BTCUSDT", "side": "SELL", "type": "STOP_MARKET", "stopPrice": "60000", "quantity": "0.001"}
client.futures_create_order(symbol="BTCUSDT", side="SELL", type="LIMIT", price="70000", quantity="0.001", newClientOrderId="mine-1")
client.futures_create_order(**stop, newClientOrderId="mine-2")
client.futures_create_order(**stop, newClientOrderId="mine-3", clientAlgoId="mine-3")
server.shutdown()

print(f"python-binance {version('python-binance')}")
print("expected: the ids mine-1, mine-2 and mine-3 arrive at the venue")
ids = [sent.get("newClientOrderId") or sent.get("clientAlgoId", "") for _, sent in calls]
for (path, sent), name in zip(calls, ids, strict=True):
    print(f"  {sent['type']} to {path}: id {name}")
strange = ids[1] != "mine-2" and "mine-2" not in calls[1][1].values() and len(ids[1]) > 8
if not (strange and ids[0] == "mine-1" and ids[2] == "mine-3" and calls[1][0] == "/fapi/v1/algoOrder"):
    print("the behaviour has changed: mine-2 was replaced by an id of the library's")
    sys.exit(1)
PY
