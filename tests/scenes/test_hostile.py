"""The hostile configuration: a venue that does wrong, and a bot that ends knowing exactly what the venue knows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.campaigns.history import History, position_of
from tests.scenes.support import CONFIGS, started


def test_o1_o2_o6_o7_the_bot_knows_at_the_end_what_a_hostile_venue_knows(tmp_path: Path) -> None:
    """With the venue's ledger on disk, so that it can be compared; otherwise the file is run as it ships."""
    shipped = (CONFIGS / "hostile.toml").read_text()
    config = tmp_path / "hostile.toml"
    config.write_text(shipped.replace("[venue.embedded]\n", f'[venue.embedded]\nstate_dir = "{tmp_path / "ledger"}"\n'))
    with started(tmp_path, "run", config, env={}) as bot:
        bot.wait_for("execution status unknown")
        bot.wait_for("fill: mm-btc")
        bot.wait_until(lambda log: log.count("again in ") >= 4, "that links are lost")
        bot.stop()
        summary = bot.end(90)
    assert "Traceback" not in bot.log
    history = History(tmp_path / "ledger")
    history.read()
    assert summary["orders"]["unknown"] == 0
    assert summary["links"]["reconnects"] >= 2
    assert not history.double_orders
    assert summary["orders"]["sent"] >= len(history.orders) >= summary["orders"]["acked"] > 0
    for name, one in summary["strategies"].items():
        fills = history.fills_of(name)
        assert one["fills"] == len(fills)
        assert {symbol: Decimal(size) for symbol, size in one["position"].items() if size != "0"} == position_of(fills.values())
        assert history.open_orders(name) == []
    assert summary["strategies"]["mm-btc"]["fills"] >= 1
    held = {symbol: size for symbol, size in history.positions.items() if size}
    assert held == position_of(history.trades.values())
