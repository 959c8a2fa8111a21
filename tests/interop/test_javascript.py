"""Two clients in JavaScript, unmodified but for their addresses: the exchange's own, and `binance`."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from coldframe.exchange_server import Address

pytestmark = pytest.mark.interop

SCRIPT_S = 90
STEPS = {
    "official.mjs": [
        "market data",
        "an order over REST, its id intact",
        "a fill, a position, a stop that lives with it",
        "the WebSocket API",
        "streams and user events",
    ],
    "sieblyio.mjs": [
        "market data",
        "an order by its numeric id",
        "a reduce-only order that is modified",
        "streams on the routes",
        "streams on the old path",
        "user events",
        "the WebSocket API",
    ],
}


@pytest.mark.parametrize("script", STEPS)
def test_a_javascript_client_takes_all_its_steps(address: Address, node_modules: Path, script: str) -> None:
    keys = address.accounts[0]
    scene = {
        "rest": address.rest,
        "streams": address.streams,
        "api": address.api,
        "hmac": {"key": keys.hmac_api_key, "secret": keys.hmac_secret},
    }
    environment = {**os.environ, "SCENE": json.dumps(scene), "NODE_NO_WARNINGS": "1"}
    done = subprocess.run(
        ["node", script], cwd=node_modules, env=environment, capture_output=True, text=True, timeout=SCRIPT_S, check=False
    )
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert json.loads(done.stdout.strip().splitlines()[-1]) == STEPS[script]
