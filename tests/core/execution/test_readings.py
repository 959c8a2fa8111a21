"""Fills and orders as the venue tells them: what counts as a fill, and what each kind of message knows of it."""

from __future__ import annotations

import attrs
import msgspec
import pytest

from coldframe.core.execution.readings import change_of, fill_of, fill_of_lite, fill_of_row, filled_of, traded
from coldframe.core.state.orders import Orders
from coldframe.enums import ExecutionType, PositionSide, Side
from tests.core.made import START_MS, START_NS
from tests.core.told import AtVenue, D, Trade, place, prepared

E = ExecutionType


def venue(**more: object) -> AtVenue:
    return AtVenue("x", 7, side=Side.SELL, quantity=D(3), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("execution", "quantity", "trade_id", "is_fill"),
    [
        (E.TRADE, "1", 5, True),
        (E.TRADE, "1", 0, True),
        (E.TRADE, "0", 5, False),
        (E.CALCULATED, "1", 5, True),
        (E.CALCULATED, "1", 1, True),
        (E.CALCULATED, "1", 0, False),
        (E.CALCULATED, "0", 5, False),
        (E.NEW, "0", 0, False),
    ],
)
def test_a_fill_has_a_quantity_and_is_a_trade(execution: ExecutionType, quantity: str, trade_id: int, is_fill: bool) -> None:
    assert traded(venue().report(execution, Trade(trade_id, quantity))) is is_fill


def test_the_filled_quantity_is_the_whole_of_it() -> None:
    order = venue()
    order.trade(Trade(1, "1"))
    order.trade(Trade(2, "0.5"))
    assert filled_of(order.reply()) == D("1.5")
    assert filled_of(order.report(E.TRADE, order.trades[-1])) == D("1.5")


def test_a_report_tells_the_fee_and_may_not_know_it_yet() -> None:
    report = venue(position_side=PositionSide.SHORT).report(E.TRADE, Trade(5, "1", "101", "0.03", "BNB"))
    fill = fill_of(report)
    assert (fill.trade_id, fill.order_id, fill.side, fill.price, fill.quantity) == (5, 7, Side.SELL, D(101), D(1))
    assert (fill.fee, fill.fee_asset, fill.maker, fill.position_side) == (D("0.03"), "BNB", True, PositionSide.SHORT)
    unset = msgspec.structs.replace(report, commission=None, commission_asset=None)
    assert (fill_of(unset).fee, fill_of(unset).fee_asset) == (0, "")


def test_a_short_report_is_the_same_fill_without_its_fee() -> None:
    trade = Trade(5, "1", "101")
    early, late = fill_of_lite(venue().lite(trade), PositionSide.BOTH), fill_of(venue().report(E.TRADE, trade))
    assert attrs.evolve(late, fee=early.fee, fee_asset=early.fee_asset) == early


@pytest.mark.parametrize("side", [PositionSide.BOTH, PositionSide.SHORT])
def test_a_row_is_the_same_fill_with_its_fee(side: PositionSide) -> None:
    trade, order = Trade(5, "1", "101"), venue(position_side=side)
    assert fill_of_row(order.row(trade)) == fill_of(order.report(E.TRADE, trade))
    without = msgspec.structs.replace(order.row(trade), position_side=msgspec.UNSET)
    assert fill_of_row(without).position_side is PositionSide.BOTH


def test_a_change_is_the_order_as_it_stands() -> None:
    order = prepared(Orders(START_MS), place(Side.SELL, "2", "101"))
    event = change_of(order, START_NS + 5)
    assert (event.at_ns, event.client_order_id, event.side) == (START_NS + 5, order.client_order_id, Side.SELL)
    assert (event.price, event.quantity, event.filled, event.state) == (D(101), D(2), D(0), order.state)
