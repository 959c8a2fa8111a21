"""A tag goes the whole way of its order: views, events, rows, a checkpoint, the next run; and never to the venue."""

from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from coldframe import OrderChanged, OrderFilled, OrderType, Place, Quote, Quotes, Side, Target, View
from coldframe.commands import journal as journalverbs
from coldframe.core.state.journal_codec import fold, order_body
from coldframe.model.intents import Intent
from coldframe.model.journal import Row, RowKind
from coldframe.trio_io.journalfile import JournalFile
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

SYMBOL = "BTCUSDT"
SIZE = Decimal("0.010")
OPEN = "opening range, 15m"


class Watched(Puppet):
    """Keeps what its views show of its orders."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: dict[str, str] = {}
        self.act = self.look

    def look(self, view: View) -> list[Intent]:
        self.seen |= {order.client_order_id: order.tag for order in view.orders()}
        return []


def world() -> tuple[Pump, Watched]:
    puppet = Watched()
    return Pump([Trader(id="mm", make=lambda: puppet)]), puppet


def below(pump: Pump, ticks: int = 500) -> Decimal:
    return pump.market.best(SYMBOL, Side.BUY) - ticks * Decimal("0.1")


def quotes(price: Decimal, tag: str) -> Quotes:
    return Quotes(SYMBOL, [Quote(price, SIZE)], tag=tag)


def tags(puppet: Watched, kind: type[OrderChanged | OrderFilled]) -> set[str]:
    return {event.tag for event in puppet.events if isinstance(event, kind)}


def orders_sent(pump: Pump) -> list[str]:
    return [call for call, _ in pump.sent if call.startswith(("order.", "algoOrder."))]


def wanted(pump: Pump, name: str, tag: str) -> Intent:
    """An intent of each kind that brings an order, tagged."""
    price = below(pump)
    return {
        "place": Place(symbol=SYMBOL, side=Side.BUY, quantity=SIZE, price=price, tag=tag),
        "market": Place(symbol=SYMBOL, side=Side.BUY, quantity=SIZE, type=OrderType.MARKET, tag=tag),
        "stop": Place(symbol=SYMBOL, side=Side.SELL, quantity=SIZE, type=OrderType.STOP_MARKET, trigger_price=price, tag=tag),
        "quotes": quotes(price, tag),
        "target": Target(SYMBOL, SIZE, tag=tag),
    }[name]


@pytest.mark.parametrize("tag", ["", OPEN])
@pytest.mark.parametrize("kind", ["place", "market", "stop", "quotes", "target"])
def test_orders_of_every_intent_carry_its_tag(kind: str, tag: str) -> None:
    pump, puppet = world()
    puppet.wanted = [wanted(pump, kind, tag)]
    pump.until(lambda: bool(puppet.events))
    pump.run(2)
    assert tags(puppet, OrderChanged) == {tag}
    trades = kind in ("market", "target")
    assert tags(puppet, OrderFilled) == ({tag} if trades else set())
    assert trades or set(puppet.seen.values()) == {tag}
    orders = [row.body for row in pump.rows if row.kind == RowKind.ORDER]
    fills = [row.body for row in pump.rows if row.kind == RowKind.FILL]
    assert {body.get("tag", "") for body in orders} == {tag}
    assert {body.get("tag", "") for body in fills} == ({tag} if trades else set())
    assert tag or not any("tag" in body for body in (*orders, *fills))  # what has its default is left out
    assert OPEN not in json.dumps([params for _, params in pump.sent])


def test_quotes_that_differ_by_their_tag_alone_send_nothing() -> None:
    pump, puppet = world()
    price = below(pump)
    puppet.wanted = [quotes(price, "a")]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    pump.run(2)
    before = orders_sent(pump)
    puppet.wanted = [quotes(price, "b")]
    pump.run(2)
    assert orders_sent(pump) == before
    assert set(puppet.seen.values()) == {"a"}
    # What was wanted last is what the next order is placed for: one more level, and what has traded is restored.
    puppet.wanted = [Quotes(SYMBOL, [Quote(price, SIZE), Quote(price - 10, SIZE)], tag="b")]
    pump.until(lambda: len(pump.venue.open_orders()) == 2)
    pump.run(1)
    assert sorted(puppet.seen.values()) == ["a", "b"]


def test_an_order_keeps_its_tag_when_it_is_amended() -> None:
    pump, puppet = world()
    price = below(pump)
    puppet.wanted = [quotes(price, "a")]
    pump.until(lambda: len(pump.venue.open_orders()) == 1)
    (name,) = pump.venue.open_orders()
    pump.run(1)
    puppet.wanted = [quotes(price - 10, "b")]
    pump.until(lambda: pump.venue.open_orders()[name].price == price - 10)
    pump.run(1)
    assert puppet.seen == {name: "a"}


def test_a_target_that_differs_by_its_tag_alone_sends_nothing() -> None:
    pump, puppet = world()
    puppet.wanted = [Target(SYMBOL, SIZE, tag="a")]
    pump.until(lambda: pump.position("mm") == SIZE)
    pump.run(1)
    before = orders_sent(pump)
    puppet.wanted = [Target(SYMBOL, SIZE, tag="b")]
    pump.run(2)
    assert orders_sent(pump) == before
    puppet.wanted = [Target(SYMBOL, SIZE * 2, tag="b")]
    pump.until(lambda: pump.position("mm") == SIZE * 2)
    assert [event.tag for event in puppet.events if isinstance(event, OrderFilled)] == ["a", "b"]


@pytest.mark.parametrize("checkpoint", [False, True])
def test_a_tag_outlives_a_restart(checkpoint: bool) -> None:
    pump, puppet = world()
    puppet.wanted = [wanted(pump, "place", OPEN)]
    pump.until(lambda: bool(puppet.seen))
    name = next(iter(puppet.seen))
    if checkpoint:
        pump.engine._rows.need_checkpoint()
        pump.until(lambda: any(row.kind == RowKind.CHECKPOINT for row in pump.rows))
    kept: list[Row] = pump.rows[-1:] if checkpoint and pump.rows[-1].kind == RowKind.CHECKPOINT else pump.rows
    assert fold(kept).orders[name].tag == OPEN
    puppet.seen.clear()
    pump.restart(keep_orders=True)
    pump.until(lambda: name in puppet.seen)
    assert puppet.seen == {name: OPEN}


def test_rows_of_before_are_orders_without_a_tag() -> None:
    pump, puppet = world()
    puppet.wanted = [wanted(pump, "place", OPEN)]
    pump.until(lambda: bool(puppet.seen))
    row = next(row for row in pump.rows if row.kind == RowKind.ORDER)
    assert isinstance(row.body, dict)
    old = attrs.evolve(row, body={name: value for name, value in row.body.items() if name != "tag"})
    order = fold([old]).orders[row.ref]
    assert order.tag == ""
    assert order_body(order).keys() == old.body.keys()  # type: ignore[attr-defined]


def test_lists_and_exports_show_the_tags(tmp_path: Path) -> None:
    pump, puppet = world()
    puppet.wanted = [Target(SYMBOL, SIZE, tag=OPEN)]
    pump.until(lambda: pump.position("mm") == SIZE)
    puppet.wanted = [wanted(pump, "place", "")]
    pump.until(lambda: bool(puppet.seen))
    path = tmp_path / "run.db"
    file = JournalFile(path)
    file.write([(row.at_ns, row.kind, row.ref, row.body) for row in pump.rows])
    file.close()
    lines: list[str] = []
    journalverbs.orders(path, lambda document, text: lines.extend(text))
    assert [line.endswith(f", tag {OPEN}") for line in lines] == [True, False]
    assert "tag" not in lines[1]
    for what in ("orders", "fills"):
        found: list[object] = []
        journalverbs.export(path, what, "json", lambda document, text, found=found: found.append(document))  # type: ignore[misc]
        (document,) = found
        assert isinstance(document, dict)
        assert [row["tag"] for row in document[what]] == ([OPEN, ""] if what == "orders" else [OPEN])
