"""A live run begins only where everything is as the configuration says; an observing one needs no keys and says what it does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenes.support import CONFIGS, coldframe, live_config, run_until, venue


def test_g4_a_key_of_another_environment_is_named(tmp_path: Path, home: dict[str, str]) -> None:
    elsewhere = {**home, "XDG_STATE_HOME": str(tmp_path / "elsewhere")}
    with (
        venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served,
        venue(CONFIGS / "quickstart.toml", "--port", 0, env=elsewhere) as other,
    ):
        for environment, made_for in (("testnet", "mainnet"), ("mainnet", "testnet")):
            config = live_config(tmp_path, served, environment=environment)
            config.write_text(config.read_text().replace(served.key_file, other.key_file))
            done = coldframe("run", config, "--live", "--for", "5s", env={**home, "SCENE_KEY": other.api_key})
            assert done.returncode == 77
            (line,) = [line for line in done.stderr.splitlines() if line.startswith("coldframe: ")]
            assert "-2015" in line
            assert line.endswith(f"(this is {environment}: a key made for {made_for} is not known here)")
            assert "Traceback" not in done.stderr


def test_g5_without_the_flag_nothing_is_connected(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served)
    done = coldframe("run", config, "--for", "5s", env={**home, "SCENE_KEY": "x"})
    assert done.returncode == 78
    assert "live trading also needs --live on the command line" in done.stderr


def test_g10_leverage_and_margin_mode_are_compared(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        served.do("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=50)
        served.do("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
        settings = 'leverage = { BTCUSDT = 20, ETHUSDT = 5 }\nmargin = "cross"'
        config = live_config(tmp_path, served, orders=settings)
        done = coldframe("run", config, "--live", "--for", "5s", env={**home, "SCENE_KEY": served.api_key})
        assert served.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []
    at = {
        name: number
        for number, line in enumerate(config.read_text().splitlines(), 1)
        for name in ("leverage", "margin")
        if name in line
    }
    assert done.returncode == 78
    assert [line.removeprefix(f"coldframe: {config}:") for line in done.stderr.splitlines() if line.startswith("coldframe: ")] == [
        f"{at['leverage']}: orders.leverage.ETHUSDT: the configuration says 5, at the venue ETHUSDT has leverage 50",
        f"{at['margin']}: orders.margin: the configuration says cross, at the venue BTCUSDT has margin mode isolated",
    ]


def test_what_is_already_there_is_said(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        by_hand = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002", "price": "58000"}
        served.do("POST", "/fapi/v1/order", **by_hand)
        served.do("POST", "/fapi/v1/order", symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.050")
        config = live_config(tmp_path, served)
        done = coldframe("run", config, "--live", "--for", "5s", env={**home, "SCENE_KEY": served.api_key})
    assert "at the venue: 1 open orders, 0 of them ours; positions: ETHUSDT 0.05" in done.stderr


@pytest.mark.parametrize("environment", ["testnet", "mainnet"])
def test_observing_needs_no_keys_and_says_so(tmp_path: Path, home: dict[str, str], environment: str) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = live_config(tmp_path, served, environment=environment, mode="off")
        synced = ["book BTCUSDT: synced", "book ETHUSDT: synced"]
        summary, log = run_until(tmp_path, "run", config, env=home, said=synced)
        assert served.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []
    assert f"observing {environment}: no keys, no orders" in log
    assert summary["orders_mode"] == "off"
    assert summary["orders"]["sent"] == 0
    assert {book["state"] for book in summary["books"].values()} == {"synced"}
    assert set(summary["strategies"]["mm"]["verdicts"]) <= {"ORDERS_OFF"}
