"""Starts against a real venue process that end in one clear line, each with its exit code; and what a start says beforehand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.here import Done, coldframe
from tests.scenes.canary import SCENE
from tests.scenes.support import CONFIGS, VenueProcess, live_config, venue


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VenueProcess]:
    """A venue that grants weight for all these starts within a minute."""
    folder = tmp_path_factory.mktemp("venue")
    config = folder / "venue.toml"
    text = (CONFIGS / "quickstart.toml").read_text()
    config.write_text(text.replace("[venue.embedded]", "[venue.embedded]\nlimits = { weight_1m = 100_000 }", 1))
    with venue(config, env={"XDG_STATE_HOME": str(folder), "HOME": str(folder)}) as there:
        yield there


@pytest.fixture
def env(served: VenueProcess, home: dict[str, str]) -> dict[str, str]:
    SCENE.learn(served.said)
    return {**home, "SCENE_KEY": served.api_key}


def start(config: Path, env: dict[str, str], *args: str, seconds: int = 5) -> Done:
    done = coldframe("run", config, *args, "--for", f"{seconds}s", env=env)
    SCENE.heard("stdout", done.stdout)
    SCENE.heard("stderr", done.stderr)
    assert "Traceback" not in done.stderr
    return done


def last_lines(done: Done) -> list[str]:
    """What it ends with, a line for each reason."""
    return [line for line in done.stderr.splitlines() if line.startswith("coldframe: ")]


@pytest.mark.parametrize(("environment", "made_for"), [("testnet", "mainnet"), ("mainnet", "testnet")])
def test_g4_a_key_that_is_not_known_here(
    tmp_path: Path, served: VenueProcess, env: dict[str, str], environment: str, made_for: str
) -> None:
    done = start(live_config(tmp_path, served, environment=environment), {**env, "SCENE_KEY": "0" * 64}, "--live")
    assert done.returncode == 77
    (line,) = last_lines(done)
    assert "-2015" in line
    assert line.endswith(f"(this is {environment}: a key made for {made_for} is not known here)")
    assert "0" * 64 not in done.stderr


def test_g5_without_the_flag_nothing_is_traded_live(tmp_path: Path, served: VenueProcess, env: dict[str, str]) -> None:
    done = start(live_config(tmp_path, served), env)
    assert done.returncode == 78
    (line,) = last_lines(done)
    assert "live trading also needs --live on the command line" in line


def test_g3_contracts_that_the_venue_does_not_list(tmp_path: Path, served: VenueProcess, env: dict[str, str]) -> None:
    extra = '[[streams]]\nsymbols = ["DOGEUSDT", "BTCUSDT"]\nchannels = ["aggTrade", "perpetual@continuousKline_1m"]'
    config = live_config(tmp_path, served, mode="off", extra=extra)
    config.write_text(config.read_text().replace('"ETHUSDT"]', '"XRPUSDT"]'))
    done = start(config, env)
    assert done.returncode == 78
    assert [line.partition(": the venue")[2] for line in last_lines(done)] == [" does not list DOGEUSDT", " does not list XRPUSDT"]


def test_g10_leverage_and_margin_mode_are_compared(tmp_path: Path, served: VenueProcess, env: dict[str, str]) -> None:
    served.do("POST", "/fapi/v1/leverage", symbol="ETHUSDT", leverage=50)
    served.do("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="ISOLATED")
    config = live_config(tmp_path, served, orders='leverage = { BTCUSDT = 20, ETHUSDT = 5 }\nmargin = "cross"')
    done = start(config, env, "--live")
    served.do("POST", "/fapi/v1/marginType", symbol="BTCUSDT", marginType="CROSSED")
    assert served.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []
    lines = config.read_text().splitlines()
    at = {name: number for number, line in enumerate(lines, 1) for name in ("leverage", "margin") if name in line}
    assert done.returncode == 78
    assert [line.removeprefix(f"coldframe: {config}:") for line in last_lines(done)] == [
        f"{at['leverage']}: orders.leverage.ETHUSDT: the configuration says 5, at the venue ETHUSDT has leverage 50",
        f"{at['margin']}: orders.margin: the configuration says cross, at the venue BTCUSDT has margin mode isolated",
    ]


def test_p10_a_live_run_needs_a_place_for_its_halt_file(tmp_path: Path, served: VenueProcess, env: dict[str, str]) -> None:
    (tmp_path / "file").touch()
    config = live_config(tmp_path, served)
    config.write_text(config.read_text() + f'[halt]\nfile = "{tmp_path}/file/halt.json"\n')
    done = start(config, env, "--live")
    assert done.returncode == 78
    assert "the halt file cannot be kept here" in done.stderr
    assert served.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []


@pytest.mark.parametrize("environment", ["testnet", "mainnet"])
def test_observing_needs_no_keys_and_says_so(tmp_path: Path, served: VenueProcess, home: dict[str, str], environment: str) -> None:
    done = start(live_config(tmp_path, served, environment=environment, mode="off"), home, seconds=1)
    assert done.returncode == 0
    assert f"observing {environment}: no keys, no orders" in done.stderr
    assert served.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []


def test_o24_what_is_already_there_is_said(tmp_path: Path, served: VenueProcess, env: dict[str, str]) -> None:
    order = {"symbol": "BTCUSDT", "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002", "price": "58000"}
    served.do("POST", "/fapi/v1/order", **order)
    served.do("POST", "/fapi/v1/order", symbol="ETHUSDT", side="BUY", type="MARKET", quantity="0.050")
    done = start(live_config(tmp_path, served), env, "--live")
    served.do("DELETE", "/fapi/v1/allOpenOrders", symbol="BTCUSDT")
    served.do("POST", "/fapi/v1/order", symbol="ETHUSDT", side="SELL", type="MARKET", quantity="0.050")
    assert done.returncode == 78
    assert "at the venue: 1 open orders, 0 of them the bot's; positions: ETHUSDT 0.05" in done.stderr
    assert len([line for line in last_lines(done) if "belongs to no strategy" in line]) == 2


def test_r2_n3_after_a_ban_a_restarted_bot_sends_nothing(tmp_path: Path, home: dict[str, str]) -> None:
    """The venue is gone by the second run: a bot that sent anything would find that out, as another bot does."""
    text = (CONFIGS / "quickstart.toml").read_text()
    (tmp_path / "banning.toml").write_text(text.replace("seed = 7", "seed = 7\nfaults = { banned_for_s = 3600 }"))
    with venue(tmp_path / "banning.toml", env=home) as there:
        config = live_config(tmp_path, there)
        env = {**home, "SCENE_KEY": there.api_key}
        first = start(config, env, "--live")
    assert first.returncode == 75
    assert "banned for another" in first.stderr
    second = start(config, env, "--live")
    assert second.returncode == 75
    assert "as an earlier run was told" in second.stderr
    assert len(second.stderr.splitlines()) == 1
    elsewhere = start(config, {**env, "XDG_STATE_HOME": str(tmp_path / "elsewhere")}, "--live")
    assert elsewhere.returncode == 69
    assert "Connection refused" in elsewhere.stderr
