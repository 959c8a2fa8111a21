"""Conditional orders of every type over real sockets, in one-way and in hedge mode; and a mode that is not the account's."""

from __future__ import annotations

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from coldframe.model.orders import OrderState
from tests.scenes.drill import STEPS
from tests.scenes.support import VenueProcess, coldframe, started, venue, wait_until

HERE = Path(__file__).resolve().parent
S = OrderState

VENUE = """config_version = 1
name = "exchange"
[venue]
environment = "embedded"
[venue.embedded]
seed = 7
pace = "5"
symbols = ["BTCUSDT"]
[[venue.embedded.accounts]]
name = "main"
balance = "1000000000"
leverage = 20
hedge_mode = {hedge}
"""

BOT = """config_version = 1
name = "drill"
[venue]
environment = "testnet"
rest_url = "{rest}"
streams_url = "{streams}"
api_url = "{api}"
[orders]
mode = "live"
on_end = "cancel"
position_mode = "{mode}"
api_key = "env:SCENE_KEY"
private_key = "file:{key}"
[[strategies]]
id = "drill"
plugin = "{plugin}:Drill"
symbols = ["BTCUSDT"]
budget = {{ max_position = "100000", max_notional = "10000000000" }}
params = {{ told = "{told}" }}
[risk]
max_order_notional = "1000000000"
max_gross_notional = "10000000000"
price_collar_pct = "5"
max_open_orders = 20
max_drawdown = "1000000000"
"""


def bot(folder: Path, served: VenueProcess, mode: str) -> Path:
    path = folder / "bot.toml"
    said = served.said
    path.write_text(
        BOT.format(
            rest=said["rest"],
            streams=said["streams"],
            api=said["api"],
            mode=mode,
            key=served.key_file,
            plugin=HERE / "drill.py",
            told=folder / "told.jsonl",
        )
    )
    return path


def exchange(folder: Path, *, hedge: bool) -> Path:
    path = folder / "exchange.toml"
    path.write_text(VENUE.format(hedge=str(hedge).lower()))
    return path


def at_rest(file: Path) -> bool:
    """Whether the drill has come to its end, and waits with its last stop."""
    told = [json.loads(line) for line in file.read_text().splitlines(keepends=True) if line[-1] == "\n"] if file.exists() else []
    return any(effect.get("step", 0) > len(STEPS) and effect.get("state") == S.UNTRIGGERED for effect in told)


def lives(told: list[dict[str, Any]]) -> dict[str, list[str]]:
    """The states of each conditional order, by its client order id."""
    found: dict[str, list[str]] = {}
    for effect in told:
        if "state" in effect:
            found.setdefault(effect["id"], []).append(effect["state"])
    return found


@pytest.mark.parametrize("mode", ["one_way", "hedge"])
def test_every_conditional_type_is_triggered_filled_and_booked_once(mode: str, tmp_path: Path, home: dict[str, str]) -> None:
    with venue(exchange(tmp_path, hedge=mode == "hedge"), "--port", 0, env=home) as served:
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", bot(tmp_path, served, mode), "--live", env=env) as drilled:
            wait_until(
                lambda: drilled.process.poll() is not None or at_rest(tmp_path / "told.jsonl"), "all steps, and a stop at rest"
            )
            drilled.stop()
            summary = drilled.end()
        trades = served.ask("/fapi/v1/userTrades", symbol="BTCUSDT", limit=1000)
        positions = served.ask("/fapi/v3/positionRisk", symbol="BTCUSDT")
        algos = served.ask("/fapi/v1/allAlgoOrders", symbol="BTCUSDT", limit=100)
        assert served.ask("/fapi/v1/openAlgoOrders") == []
        assert served.ask("/fapi/v1/openOrders") == []
    told = [json.loads(line) for line in (tmp_path / "told.jsonl").read_text().splitlines()]
    assert told[-1]["step"] > len(STEPS), told[-20:]
    check_lives(told)
    # The venue's own history: each order reached it once, each fill was booked once, and the positions agree.
    ids = Counter(algo["clientAlgoId"] for algo in algos)
    assert set(ids.values()) == {1}
    assert set(ids) <= set(lives(told))
    ours = [effect["trade"] for effect in told if "trade" in effect]
    assert sorted(ours) == sorted(trade["id"] for trade in trades)
    check_positions(summary["strategies"]["drill"], positions, hedge=mode == "hedge")
    assert summary["orders"]["unknown"] == 0


def traded(states: list[str]) -> bool:
    """Whether the order did what it was there for; what a market order finds no counterparty for expires."""
    return states[-1] == S.FILLED or (states[-1] == S.EXPIRED and S.PARTIALLY_FILLED in states)


def check_lives(told: list[dict[str, Any]]) -> None:
    kinds = {effect["id"]: effect["type"] for effect in told if "type" in effect}
    full = {kinds[name] for name, states in lives(told).items() if traded(states)}
    assert full == {"STOP_MARKET", "STOP", "TAKE_PROFIT_MARKET", "TAKE_PROFIT", "TRAILING_STOP_MARKET"}
    for states in lives(told).values():
        if traded(states):
            assert states.count(S.TRIGGERED) == 1
            assert states.index(S.UNTRIGGERED) < states.index(S.TRIGGERED) < len(states) - 1
        else:
            assert S.TRIGGERED not in states
    assert [states[-1] for states in lives(told).values()][-1] == S.CANCELED


def check_positions(strategy: dict[str, Any], rows: list[dict[str, Any]], *, hedge: bool) -> None:
    at_venue = {row["positionSide"]: Decimal(row["positionAmt"]) for row in rows}
    if not hedge:
        assert Decimal(strategy["position"]["BTCUSDT"]) == at_venue.get("BOTH", Decimal(0))
        assert "sides" not in strategy
        return
    sides = {side: Decimal(size) for side, size in strategy["sides"]["BTCUSDT"].items()}
    assert sides == {side: at_venue.get(side, Decimal(0)) for side in ("LONG", "SHORT")}
    assert sides["SHORT"] < 0


@pytest.mark.parametrize(("hedge", "mode"), [(True, "one_way"), (False, "hedge")])
def test_o22_a_position_mode_that_is_not_the_account_s_ends_the_start(
    hedge: bool, mode: str, tmp_path: Path, home: dict[str, str]
) -> None:
    with venue(exchange(tmp_path, hedge=hedge), "--port", 0, env=home) as served:
        env = {**home, "SCENE_KEY": served.api_key}
        done = coldframe("run", bot(tmp_path, served, mode), "--live", "--for", "5s", env=env)
    assert done.returncode == 78
    (line,) = [line for line in done.stderr.splitlines() if "position_mode" in line]
    assert "-4061" in line
    assert f'"{mode}"' in line
    assert "Traceback" not in done.stderr
