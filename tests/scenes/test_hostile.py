"""The hostile configuration: a venue that does wrong, and a bot that ends knowing exactly what the venue knows."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from tests.campaigns.history import History, position_of
from tests.scenes.support import CONFIGS, coldframe, document


def test_o1_o2_o6_o7_the_bot_knows_at_the_end_what_a_hostile_venue_knows(tmp_path: Path) -> None:
    """With the venue's ledger on disk, so that it can be compared; otherwise the file is run as it ships."""
    shipped = (CONFIGS / "hostile.toml").read_text()
    config = tmp_path / "hostile.toml"
    config.write_text(shipped.replace("[venue.embedded]\n", f'[venue.embedded]\nstate_dir = "{tmp_path / "ledger"}"\n'))
    done = coldframe("run", config, "--for", "25s", "--json", timeout_s=90)
    summary = document(done)
    history = History(tmp_path / "ledger")
    history.read()
    assert summary["orders"]["unknown"] == 0
    assert "execution status unknown" in done.stderr
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
