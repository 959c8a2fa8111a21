"""Paper on live data: a second process plays the exchange; our orders go to an embedded venue that mirrors it."""

from __future__ import annotations

from pathlib import Path

from tests.scenes.support import CONFIGS, live_config, run_until, venue


def test_paper_orders_meet_the_mirrored_market(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as exchange:
        config = live_config(tmp_path, exchange, environment="mainnet", mode="paper")
        summary, _ = run_until(tmp_path, "run", config, env=home, said=["fill: mm"])
        # Nothing of it reached the exchange itself.
        assert exchange.ask("/fapi/v1/allOrders", symbol="BTCUSDT") == []
        assert exchange.ask("/fapi/v3/positionRisk") == []
    assert summary["environment"] == "mainnet"
    assert summary["orders_mode"] == "paper"
    assert all(book["state"] == "synced" for book in summary["books"].values())
    assert summary["orders"]["acked"] > 0
    assert summary["strategies"]["mm"]["fills"] > 0
    assert summary["orders"]["unknown"] == 0
