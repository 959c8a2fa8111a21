"""The bot dies without a word and is started again: its journal and the venue tell it everything, and it goes on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

from coldframe.core.state.journal_codec import fold
from coldframe.trio_io.journal_history import read_rows
from tests.scenes.support import CONFIGS, VenueProcess, coldframe, live_config, started, venue, wait_until


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


def others(folder: Path, config: Path, there: VenueProcess, env: dict[str, str]) -> Iterator[tuple[Path, dict[str, str]]]:
    """Two more bots on the account, with journals of their own: one with the same key, one with another."""
    (folder / "same.toml").write_text(config.read_text() + '\n[journal]\nfile = "same.db"\n')
    yield folder / "same.toml", env
    text = config.read_text().replace(f'private_key = "file:{there.key_file}"', 'secret = "env:SCENE_SECRET"')
    (folder / "other.toml").write_text(text + '\n[journal]\nfile = "other.db"\n')
    hmac = there.said["keys"]["hmac"]
    yield folder / "other.toml", {**env, "SCENE_KEY": hmac["api_key"], "SCENE_SECRET": hmac["secret"]}


def test_p2_p8_a_killed_bot_goes_on_and_stays_alone(tmp_path: Path, home: dict[str, str]) -> None:
    """It goes on where it was; while it lives, no second one may trade on its account, with its key or with another."""
    with venue(CONFIGS / "quickstart.toml", "--state", tmp_path / "accounts", env=home) as there:
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
            for path, keys in others(tmp_path, config, there, env):
                refused = coldframe("run", path, "--live", "--for", "60s", env=keys)
                assert refused.returncode == 78, refused.stderr
                assert "another bot trades on this account" in refused.stderr
                assert "Traceback" not in refused.stderr
            wait_until(lambda: {our["clientOrderId"] for our in ours(there)} - placed_before, "it trades on")
            second.stop()
            summary, err = second.end(), second.log
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
