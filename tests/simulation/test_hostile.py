"""The hostile configuration as it ships, and its neighbours: a bot that ends knowing exactly what such a venue knows."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path

import pytest

from coldframe.ids import parse_own
from tests.simulation.pump import Pump

SHIPPED = Path(__file__).resolve().parents[2] / "configs" / "hostile.toml"
SEED = "seed = 48 "
#: At the end, long enough to prove what became of the last orders.
PROOF_MS = 90_000
D = Decimal
SYMBOLS = ("BTCUSDT", "ETHUSDT")


def owner(client_id: str) -> str:
    own = parse_own(client_id)
    assert own is not None, f"{client_id} is not an order of the bot"
    return own.strategy


@pytest.mark.scene
@pytest.mark.parametrize("seed", [48, 2])
def test_o1_o2_o6_o7_the_bot_knows_what_a_hostile_venue_knows(tmp_path: Path, seed: int) -> None:
    """Outcomes unknown, fills told twice, answers late, user streams cut: at the end both sides' books are the same."""
    text = SHIPPED.read_text()
    assert SEED in text
    config = tmp_path / "hostile.toml"
    config.write_text(text.replace(SEED, f"seed = {seed} "))
    pump = Pump.of_config(config, grace_ms=PROOF_MS)
    pump.until(lambda: bool(pump.told("execution status unknown") and pump.told("fill: mm-btc")), 600)
    pump.until(lambda: len(pump.told("again in ")) >= 4, 120)
    pump.stop(within_s=120)
    assert pump.engine.orders.doubtful == len(list(pump.engine.orders.live)) == 0
    books = pump.venue.books()
    assert pump.venue.open_orders() == pump.venue.waiting_orders() == {}
    assert max(Counter(order.client_id for order in books.orders.values()).values()) == 1, "no order was placed twice"
    fills = Counter[str]()
    held: dict[tuple[str, str], Decimal] = {}
    names = {order.order_id: owner(order.client_id) for order in books.orders.values()}
    for row in books.trades:
        trade = row.trade
        name = names[trade.order_id]
        fills[name] += 1
        held[name, trade.symbol] = held.get((name, trade.symbol), D(0)) + trade.side.sign * D(trade.qty)
    assert fills["mm-btc"] >= 1
    for name, account in pump.engine.accounts.items():
        assert account.fills == fills[name]
        assert {symbol: account.net(symbol) for symbol in SYMBOLS} == {symbol: held.get((name, symbol), D(0)) for symbol in SYMBOLS}
    for symbol in SYMBOLS:
        assert pump.venue.position(symbol) == sum(account.net(symbol) for account in pump.engine.accounts.values())
