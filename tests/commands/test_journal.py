"""What the verbs about journals print of orders: every field that the journal has, and in a line what matters."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path

import attrs
import pytest

from coldframe import Target
from coldframe.commands import journal as journalverbs
from coldframe.core.state.journal_codec import order_body, order_defaults
from coldframe.core.state.orders import Order
from coldframe.enums import OrderType, PositionSide, Side, TimeInForce
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.trio_io.journalfile import JournalFile
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

PLAIN = Order(
    client_order_id="cf.mm.a.1",
    strategy="mm",
    symbol="BTCUSDT",
    side=Side.BUY,
    type=OrderType.LIMIT,
    time_in_force=TimeInForce.GTX,
    quantity=Decimal("0.002"),
    price=Decimal(60_000),
    state=OrderState.ACCEPTED,
)
STOP = attrs.evolve(
    PLAIN,
    client_order_id="cf.mm.a.2",
    side=Side.SELL,
    type=OrderType.STOP_MARKET,
    time_in_force=TimeInForce.GTC,
    price=None,
    trigger_price=Decimal(59_000),
    reduce_only=True,
    state=OrderState.UNTRIGGERED,
    algo_id=17,
)
WHOLE = attrs.evolve(
    STOP,
    client_order_id="cf.mm.a.3",
    reduce_only=False,
    close_position=True,
    position_side=PositionSide.LONG,
    tag='exit, "all"',
)


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    path = tmp_path / "run.db"
    file = JournalFile(path)
    file.write(
        [(1_700_000_000_000_000_000, RowKind.ORDER, order.client_order_id, order_body(order)) for order in (PLAIN, STOP, WHOLE)]
    )
    file.close()
    return path


def said(journal: Path, *export: str) -> list[str]:
    lines: list[str] = []

    def out(document: object, text: Sequence[str]) -> None:
        lines.extend(text)

    if export:
        journalverbs.export(journal, *export, out)
    else:
        journalverbs.orders(journal, out)
    return lines


def test_a_line_names_strategy_type_trigger_and_reduce_only(journal: Path) -> None:
    lines = [" ".join(line.split()[1:]) for line in said(journal)]
    assert lines == [
        "cf.mm.a.1 mm LIMIT BUY 0.002 BTCUSDT @ 60000 GTX, filled 0, ACCEPTED",
        "cf.mm.a.2 mm STOP_MARKET at 59000 SELL 0.002 BTCUSDT GTC reduce-only, filled 0, UNTRIGGERED",
        'cf.mm.a.3 mm STOP_MARKET at 59000 SELL 0.002 BTCUSDT LONG GTC close-position, filled 0, UNTRIGGERED, tag exit, "all"',
    ]


def test_csv_has_every_field_that_the_journal_keeps(journal: Path) -> None:
    rows = list(csv.DictReader(said(journal, "orders", "csv")))
    left_out = {"fill_keys", "not_found", "not_found_ns", "not_found_dead", "unreported", "doubted_ns", "cancel_sent_ns"}
    left_out |= {"amended", "failed_amendments", "unamendable", "before", "amend_sent_ms"}
    assert set(rows[0]) == {field.name for field in attrs.fields(Order)} - left_out
    assert [(row["trigger_price"], row["reduce_only"], row["close_position"], row["algo_id"], row["tag"]) for row in rows] == [
        ("", "False", "False", "", ""),
        ("59000", "True", "False", "17", ""),
        ("59000", "False", "True", "17", 'exit, "all"'),
    ]


def test_fills_of_others_say_whose_position_they_changed(tmp_path: Path) -> None:
    """Two strategies give what another client sells; the second trade goes past zero, and what is left of it is external."""
    puppets = {name: Puppet() for name in ("a", "b")}
    pump = Pump([Trader(id="a", make=lambda: puppets["a"]), Trader(id="b", make=lambda: puppets["b"])])
    for name, quantity in (("a", "0.030"), ("b", "0.010")):
        puppets[name].wanted = [Target("BTCUSDT", Decimal(quantity))]
        pump.until(lambda name=name, quantity=quantity: pump.position(name) == Decimal(quantity))  # type: ignore[misc]
    for number, quantity in enumerate(("0.010", "0.040", "0.002")):
        order = {"symbol": "BTCUSDT", "side": "SELL", "type": "MARKET", "quantity": quantity}
        pump.venue.by_hand("POST", "/fapi/v1/order", {**order, "newClientOrderId": f"{'adl_autoclose' if number == 1 else 'x'}"})
        pump.run(1)
    path = tmp_path / "run.db"
    file = JournalFile(path)
    file.write([(row.at_ns, row.kind, row.ref, row.body) for row in pump.rows])
    file.close()
    lines: list[str] = []
    journalverbs.fills(path, lambda document, text: lines.extend(text))
    assert [line.split("as taker")[1].split(" USDT")[-1] for line in lines[2:]] == [
        ", another client, a's position -0.008, b's position -0.002",
        ", auto-deleveraging, a's position -0.022, b's position -0.008",
        ", another client",
    ]
    rows = list(csv.DictReader(said(path, "fills", "csv")))
    assert [(row["strategy"], row["cause"], row["shares"]) for row in rows] == [
        ("a", "", "{}"),
        ("b", "", "{}"),
        ("", "another client", '{"a": "-0.008", "b": "-0.002"}'),
        ("", "auto-deleveraging", '{"a": "-0.022", "b": "-0.008"}'),
        ("", "another client", "{}"),
    ]


def test_the_fields_left_out_of_a_row_have_their_defaults() -> None:
    body = {**order_defaults(), **order_body(PLAIN)}
    assert (body["filled"], body["overlay"], body["amending_price"]) == ("0", str(PLAIN.overlay), None)
    assert body.keys() >= order_body(STOP).keys()
