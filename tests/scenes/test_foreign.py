"""Somebody trades on the bot's account, before its start and while it runs: refused, ignored or adopted; it always adds up."""

from __future__ import annotations

import time
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from coldframe.core.connectivity.signing import HmacSigner, sign_query
from coldframe.secret import Secret
from tests.scenes.support import CONFIGS, VenueProcess, coldframe, live_config, run_until, started, venue


def by_hand(served: VenueProcess, side: str, quantity: str, **more: str) -> dict[str, Any]:
    """An order that no bot has made, over REST."""
    hmac = served.said["keys"]["hmac"]
    signer = HmacSigner(Secret(hmac["api_key"]), Secret(hmac["secret"]))
    params = {"symbol": "BTCUSDT", "side": side, "type": "MARKET", "quantity": quantity, **more}
    query = sign_query(params, signer, int(time.time() * 1000), 5000)
    with httpx2.Client(trust_env=False, timeout=10) as http:
        answer = http.post(f"{served.said['rest']}/fapi/v1/order?{query}", headers={"X-MBX-APIKEY": hmac["api_key"]})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def configured(folder: Path, served: VenueProcess, foreign: str | None) -> Path:
    path = live_config(folder, served)
    if foreign is not None:
        path.write_text(path.read_text().replace('mode = "live"\n', f'mode = "live"\nforeign = "{foreign}"\n'))
    return path


def held(served: VenueProcess, symbol: str = "BTCUSDT") -> Decimal:
    """The account's position as the venue has it."""
    rows = served.ask("/fapi/v3/positionRisk")
    return sum((Decimal(row["positionAmt"]) for row in rows if row["symbol"] == symbol), Decimal(0))


def told(summary: dict[str, Any], symbol: str = "BTCUSDT") -> Decimal:
    """The same from the bot's summary: everybody's together."""
    parts = [*(strategy["position"] for strategy in summary["strategies"].values()), summary["external"]["position"]]
    return sum((Decimal(part.get(symbol, "0")) for part in parts), Decimal(0))


@pytest.fixture
def served(home: dict[str, str]) -> Iterator[VenueProcess]:
    with venue(CONFIGS / "quickstart.toml", env=home) as one:
        deadline = time.monotonic() + 20
        while not one.ask("/fapi/v1/depth", symbol="BTCUSDT")["bids"]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        yield one


def test_o24_what_stood_there_before_is_refused_ignored_or_adopted(
    tmp_path: Path, home: dict[str, str], served: VenueProcess
) -> None:
    env = {**home, "SCENE_KEY": served.api_key}
    by_hand(served, "BUY", "0.010")
    bid = Decimal(str(served.ask("/fapi/v1/ticker/price", symbol="BTCUSDT")["price"])) * Decimal("0.9")
    by_hand(served, "BUY", "0.010", type="LIMIT", price=f"{bid:.1f}", timeInForce="GTC", newClientOrderId="web_by_hand")

    done = coldframe("run", configured(tmp_path, served, None), "--live", "--for", "3s", "--json", env=env)
    assert done.returncode == 78, done.stderr
    assert done.stdout == ""
    refused = [line for line in done.stderr.splitlines() if "is not ours" in line]
    assert len(refused) == 2, done.stderr
    assert "position of 0.010 BTCUSDT" in refused[0]
    assert "web_by_hand" in refused[1]
    assert held(served) == Decimal("0.010")

    def quoting() -> bool:
        return any(order["clientOrderId"].startswith("cf.") for order in served.ask("/fapi/v1/openOrders", symbol="BTCUSDT"))

    run = ("run", configured(tmp_path, served, "ignore"), "--live")
    summary, _ = run_until(tmp_path, *run, env=env, true=quoting)
    assert summary["external"]["position"]["BTCUSDT"] == "0.01"
    assert (summary["external"]["adjustments"], summary["external"]["halted"]) == ([], {})
    assert told(summary) == held(served)
    assert [order["clientOrderId"] for order in served.ask("/fapi/v1/openOrders")] == ["web_by_hand"]

    before = held(served)
    env["XDG_STATE_HOME"] = str(tmp_path / "another journal")  # the first one knows by now whose the position is
    run = ("run", configured(tmp_path, served, "adopt"), "--live")
    summary, _ = run_until(tmp_path, *run, env=env, true=quoting)
    assert summary["external"]["position"].get("BTCUSDT", "0") == "0"
    assert told(summary) == held(served)
    assert before != 0
    assert served.ask("/fapi/v1/openOrders") == []  # taken over, and cancelled at the end of the run


def test_o21_orders_by_hand_during_a_run_are_external_and_everything_adds_up(
    tmp_path: Path, home: dict[str, str], served: VenueProcess
) -> None:
    config = configured(tmp_path, served, None)
    with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as bot:
        bot.wait_for("book BTCUSDT: synced")
        by_hand(served, "BUY", "0.020")
        bot.wait_for("an order that is not ours: BTCUSDT BUY 0.020")
        by_hand(served, "SELL", "0.005")
        bot.wait_for("an order that is not ours: BTCUSDT SELL 0.005")
        bot.stop()
        summary, err = bot.end(), bot.log
    assert summary["external"]["fills"] >= 2
    assert summary["external"]["position"]["BTCUSDT"] == "0.015"
    assert (summary["external"]["adjustments"], summary["external"]["halted"]) == ([], {})
    assert told(summary) == held(served)
    assert "an order that is not ours: BTCUSDT BUY 0.020" in err
