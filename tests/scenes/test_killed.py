"""The bot dies without a word and is started again: its journal and the venue tell it everything, and it goes on."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

from coldframe.core.state.journal_codec import fold
from coldframe.trio_io.journalfile import read_rows
from tests.scenes.support import CONFIGS, VenueProcess, coldframe, live_config, started, venue, wait_until

#: Longer than the proof of an order whose report may have been lost: one may be under way at the kill.
_PROOF_S = 90


def positions(there: VenueProcess) -> dict[str, Decimal]:
    rows = there.ask("/fapi/v3/positionRisk")
    return {row["symbol"]: Decimal(row["positionAmt"]) for row in rows if Decimal(row["positionAmt"])}


def ours(there: VenueProcess) -> list[dict[str, Any]]:
    """All orders that the venue has had of the account."""
    return [order for symbol in ("BTCUSDT", "ETHUSDT") for order in there.ask("/fapi/v1/allOrders", symbol=symbol)]


def held(summary: dict[str, Any]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = {}
    for strategy in summary["strategies"].values():
        for symbol, size in strategy["position"].items():
            sums[symbol] = sums.get(symbol, Decimal(0)) + Decimal(size)
    return {symbol: size for symbol, size in sums.items() if size}


def test_p2_a_killed_bot_goes_on_where_it_was(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--state", tmp_path / "ledger", env=home) as there:
        config = live_config(tmp_path, there)
        env = {**home, "SCENE_KEY": there.api_key}
        with started(tmp_path, "run", config, "--live", env=env) as first:
            first.wait_for("fill: ")
            wait_until(lambda: there.ask("/fapi/v1/openOrders", symbol="BTCUSDT"), "quoting")
            first.process.kill()
            first.process.wait(10)
        left = there.ask("/fapi/v1/openOrders")
        (journal,) = Path(home["XDG_STATE_HOME"]).rglob("journal.db")
        before = fold(read_rows(journal))
        assert {order.client_order_id for order in before.live} >= {name["clientOrderId"] for name in left}
        placed_before = {our["clientOrderId"] for our in ours(there)}
        with started(tmp_path, "run", config, "--live", env=env) as second:
            second.wait_for("book ETHUSDT: synced")
            wait_until(lambda: {our["clientOrderId"] for our in ours(there)} - placed_before, "it trades on")
            second.stop()
            summary, err = second.end(_PROOF_S), second.log
        assert there.ask("/fapi/v1/openOrders") == []
        assert held(summary) == positions(there)
        trades = {symbol: there.ask("/fapi/v1/userTrades", symbol=symbol, limit=1000) for symbol in ("BTCUSDT", "ETHUSDT")}
        assert sum(strategy["fills"] for strategy in summary["strategies"].values()) == sum(map(len, trades.values()))
        placed = ours(there)
    assert re.search(rf"journal {journal}: 1 earlier runs; the last one has left {len(before.live)} orders to ask for", err)
    assert summary["orders"]["unknown"] == 0
    assert summary["orders"]["sent"] > 0, "it traded on"
    after = fold(read_rows(journal))
    assert (after.ended, after.runs, after.live) == (True, 2, [])
    assert {order["clientOrderId"] for order in placed} <= set(after.orders)


def test_p8_a_second_bot_on_the_account_is_refused(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        env = {**home, "SCENE_KEY": there.api_key}
        with started(tmp_path, "run", config, "--live", env=env) as first:
            first.wait_for("logged on")
            other = tmp_path / "other.toml"
            other.write_text(config.read_text() + '\n[journal]\nfile = "other.db"\n')
            second = coldframe("run", other, "--live", "--for", "60s", env=env)
            assert second.returncode == 78
            assert "another bot trades on this account" in second.stderr
            assert f"pid {first.process.pid}, bot " in second.stderr, "it says which one"
            assert str(config) in second.stderr
            assert "Traceback" not in second.stderr
            first.stop()
            first.end()


def test_p8_another_key_of_the_same_account_is_the_same_account(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", env=home) as there:
        config = live_config(tmp_path, there)
        other = tmp_path / "other.toml"
        hmac = there.said["keys"]["hmac"]
        keys = f'private_key = "file:{there.key_file}"'
        other.write_text(config.read_text().replace(keys, 'secret = "env:SCENE_SECRET"') + '\n[journal]\nfile = "other.db"\n')
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": there.api_key}) as first:
            first.wait_for("logged on")
            env = {**home, "SCENE_KEY": hmac["api_key"], "SCENE_SECRET": hmac["secret"]}
            second = coldframe("run", other, "--live", "--for", "60s", env=env)
            assert second.returncode == 78
            assert "another bot trades on this account" in second.stderr
            wait_until(lambda: there.ask("/fapi/v1/openOrders", symbol="BTCUSDT"), "the first one goes on")
            first.stop()
            first.end()
