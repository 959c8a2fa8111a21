#!/usr/bin/env bash
# binance-sdk-derivatives-trading-usds-futures 18.1.0 with binance-common 4.7.0 (PyPI), against a server of our own on the
# loopback.
#
# A reasonable guess: an exception carries the venue's code (-1008, -1001, -1000), as it does for an ordinary refusal, where
# status_code is the venue's code and not the status of HTTP.
#
# What happens: for every 5xx the body is thrown away. "Overloaded" (-1008: surely not executed), "internal error, try again"
# (-1001: surely not executed) and "unknown error" (the order may stand) are one and the same ServerError(503). HTTP 408 with
# -1007 ("execution status unknown") is a ClientError whose status_code is None: only the English sentence is left.
#
# Why it matters for a bot: after "surely not executed" it sends the order again; after "unknown" it must not, it has to ask for
# the order by its client id first. With this exception a bot can only treat every overload as an unknown outcome (slow, in the
# very minutes that count) or send twice.
#
# What to do instead: give every order a newClientOrderId, and after any ServerError or a code of None query that id before
# anything else. A bot that needs the difference has to read the body itself.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

"${PYTHON:-python3.11}" -m venv venv
venv/bin/pip install -q -q --no-compile binance-sdk-derivatives-trading-usds-futures==18.1.0 binance-common==4.7.0

timeout 60 venv/bin/python -I - <<'PY'
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from threading import Thread

from binance_common.configuration import ConfigurationRestAPI
from binance_sdk_derivatives_trading_usds_futures.derivatives_trading_usds_futures import DerivativesTradingUsdsFutures

ANSWERS = [
    (503, -1008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
    (503, -1001, "Internal error; unable to process your request. Please try again."),
    (503, -1000, "Unknown error, please check your request or try again later."),
    (408, -1007, "Timeout waiting for response from backend server. Send status unknown; execution status unknown."),
    (400, -2019, "Margin is insufficient."),
]


class Venue(BaseHTTPRequestHandler):
    calls = 0

    def do_POST(self):
        status, code, text = ANSWERS[Venue.calls]
        Venue.calls += 1
        body = json.dumps({"code": code, "msg": text}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


server = ThreadingHTTPServer(("127.0.0.1", 0), Venue)
Thread(target=server.serve_forever, daemon=True).start()
where = ConfigurationRestAPI(api_key="key", api_secret="secret", base_path=f"http://127.0.0.1:{server.server_port}")
orders = DerivativesTradingUsdsFutures(config_rest_api=where).rest_api

seen = []
for _ in ANSWERS:
    try:
        orders.new_order(symbol="BTCUSDT", side="BUY", type="MARKET", quantity=0.001)
    except Exception as error:
        seen.append((type(error).__name__, error.status_code, error.error_message))
server.shutdown()

names = ("binance-sdk-derivatives-trading-usds-futures", "binance-common")
print(*(f"{name} {version(name)}" for name in names), sep=", ")
print("expected: each exception carries the venue's code")
for (status, code, _), said in zip(ANSWERS, seen, strict=True):
    print(f"  HTTP {status} with {code}: {said}")
was = [("ServerError", 503, "Server error: 503")] * 3
was += [("ClientError", None, ANSWERS[3][2]), ("BadRequestError", -2019, "Margin is insufficient.")]
if seen != was or Venue.calls != len(ANSWERS):
    print(f"the behaviour has changed, it was {was}")
    sys.exit(1)
PY
