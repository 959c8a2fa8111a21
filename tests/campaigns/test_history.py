"""The reader of the venue's accounts: it must see what the campaigns are there to find."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

from coldframe.enums import OrderStatus, OrderType, PositionSide, Side, TimeInForce
from coldframe.exchange.trading.entities import Account, Entity, Order, Position, Traded, write_entity
from coldframe.ids import OwnId
from coldframe.wire.replies import UserTrade
from tests.campaigns.history import History, position_of

MM = "mm"


def own(count: int, epoch_ms: int = 1) -> str:
    return str(OwnId(MM, epoch_ms, count))


def order(order_id: int, client_id: str, side: Side, quantity: str, filled: str = "0", **more: object) -> Order:
    done = Decimal(filled) == Decimal(quantity)
    return Order(
        order_id=order_id,
        account="main",
        symbol="BTCUSDT",
        client_id=client_id,
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.GTC,
        position_side=PositionSide.BOTH,
        price=Decimal(100),
        quantity=Decimal(quantity),
        filled=Decimal(filled),
        created_ms=1,
        updated_ms=1,
        status=more.pop("status", OrderStatus.FILLED if done else OrderStatus.NEW),  # type: ignore[arg-type]
        **more,  # type: ignore[arg-type]
    )


def trade(trade_id: int, order_id: int, side: Side, quantity: str) -> Traded:
    row = UserTrade(
        id=trade_id,
        order_id=order_id,
        symbol="BTCUSDT",
        side=side,
        price="100",
        qty=quantity,
        realized_pnl="0",
        commission="0",
        commission_asset="USDT",
        maker=True,
        time=1,
    )
    return Traded(account="main", trade=row)


def written(folder: Path, *records: Entity) -> History:
    with (folder / "ledger.jsonl").open("ab") as file:
        file.write(b"".join(write_entity(record) for record in records))
    return History(folder)


def test_a_client_order_id_that_was_taken_twice_is_found(tmp_path: Path) -> None:
    history = written(tmp_path, order(1, own(1), Side.BUY, "1"), order(2, own(2), Side.BUY, "1"), order(3, "manual", Side.BUY, "1"))
    history.read()
    assert history.double_orders == []
    written(tmp_path, order(4, own(1), Side.BUY, "1"), order(5, "manual", Side.BUY, "1"))
    history.read()
    assert history.double_orders == [own(1)]


def test_a_changed_order_is_no_second_one(tmp_path: Path) -> None:
    history = written(tmp_path, order(1, own(1), Side.BUY, "1"), order(1, own(1), Side.BUY, "1", "0.4"))
    history.read()
    assert history.double_orders == []
    assert history.open_orders(MM)[0].filled == Decimal("0.4")


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path) -> None:
    line = write_entity(order(1, own(1), Side.BUY, "1"))
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(line[:20])
    history = History(tmp_path)
    history.read()
    assert not history.orders
    with path.open("ab") as file:
        file.write(line[20:])
    history.read()
    assert list(history.orders) == [1]


def test_worst_position_counts_open_orders_and_never_shrinks(tmp_path: Path) -> None:
    history = written(tmp_path, order(1, own(1), Side.BUY, "2"), order(2, own(2), Side.BUY, "3"), order(3, own(3), Side.SELL, "1"))
    history.read()
    assert history.worst == {(MM, "BTCUSDT"): Decimal(5)}
    cancelled = order(2, own(2), Side.BUY, "3", status=OrderStatus.CANCELED)
    written(tmp_path, order(1, own(1), Side.BUY, "2", "2"), cancelled, order(4, own(4), Side.SELL, "9"))
    history.read()
    assert history.worst == {(MM, "BTCUSDT"): Decimal(8)}, "long 2, and 10 on sale"


def test_orders_that_only_reduce_go_no_further_than_flat(tmp_path: Path) -> None:
    held = order(1, own(1), Side.BUY, "2", "2")
    history = written(tmp_path, held, *(order(number, own(number), Side.SELL, "2", reduce_only=True) for number in (2, 3)))
    history.read()
    assert history.worst == {(MM, "BTCUSDT"): Decimal(2)}


def test_fills_are_found_by_strategy_and_run_and_add_up(tmp_path: Path) -> None:
    account = Account(name="main", wallet=Decimal(1), default_leverage=1)
    account.positions["BTCUSDT/BOTH"] = Position(symbol="BTCUSDT", side=PositionSide.BOTH, quantity=Decimal("-0.5"))
    history = written(
        tmp_path,
        account,
        order(1, own(1), Side.BUY, "1", "1"),
        order(2, own(1, epoch_ms=2), Side.SELL, "1.5", "1.5"),
        order(3, "manual", Side.BUY, "1", "1"),
        trade(1, 1, Side.BUY, "1"),
        trade(2, 2, Side.SELL, "1.5"),
        trade(2, 2, Side.SELL, "1.5"),
        trade(3, 3, Side.BUY, "1"),
    )
    history.read()
    assert set(history.fills_of(MM)) == {("BTCUSDT", 1, 1), ("BTCUSDT", 2, 2)}
    assert set(history.fills_of(MM, 2)) == {("BTCUSDT", 2, 2)}
    assert position_of(history.fills_of(MM).values()) == {"BTCUSDT": Decimal("-0.5")} == dict(history.positions)
