"""What really happened, as the venue's own accounts tell it: read from its file while the venue writes it, never from the bot."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path

import attrs

from coldframe.enums import Side
from coldframe.exchange.trading.entities import Account, Order, Traded, read_entity
from coldframe.ids import parse_own
from coldframe.units import ZERO
from coldframe.wire.replies import UserTrade

#: What makes a fill this fill.
FillKey = tuple[str, int, int]


def strategy_of(client_order_id: str) -> str:
    """The strategy that an order's id names; empty for an external order."""
    own = parse_own(client_order_id)
    return own.strategy if own else ""


@attrs.define
class _Exposure:
    """What one strategy's orders in one symbol have done to its position, and may still do."""

    position: Decimal = ZERO
    open: dict[int, Order] = attrs.field(factory=dict)

    def take(self, order: Order, before: Order | None) -> None:
        """A new form of an order. Its own count of fills is used: order and fill are written down one after the other."""
        self.position += order.side.sign * (order.filled - (before.filled if before else ZERO))
        self.open.pop(order.order_id, None)
        if order.open:
            self.open[order.order_id] = order

    @property
    def worst(self) -> Decimal:
        """The larger of what all buys and all sells could make of the position; reduce-only orders go no further than flat."""
        return max(abs(self.position), *(self._worst_of(side) for side in Side))

    def _worst_of(self, side: Side) -> Decimal:
        adding = sum((order.left for order in self.open.values() if order.side is side and not order.reduce_only), ZERO)
        reducing = sum((order.left for order in self.open.values() if order.side is side and order.reduce_only), ZERO)
        closing = min(reducing, max(-side.sign * self.position, ZERO))
        return abs(self.position + side.sign * (closing + adding))


@attrs.define
class History:
    """The accounts of a venue that was started with `--state DIRECTORY`, and must not be started again on it meanwhile."""

    directory: Path
    orders: dict[int, Order] = attrs.field(factory=dict)
    trades: dict[FillKey, UserTrade] = attrs.field(factory=dict)
    #: Signed positions as the account itself says.
    positions: dict[str, Decimal] = attrs.field(factory=dict)
    #: Orders that the venue took under one and the same client order id.
    by_client_id: dict[str, list[int]] = attrs.field(factory=lambda: defaultdict(list))
    #: The worst position that could have come about, at the worst moment, by strategy and symbol.
    worst: dict[tuple[str, str], Decimal] = attrs.field(factory=dict)
    _read: int = 0
    _exposures: dict[tuple[str, str], _Exposure] = attrs.field(factory=lambda: defaultdict(_Exposure))

    def read(self) -> None:
        """Takes in what has been written since the last time."""
        path = self.directory / "ledger.jsonl"
        with path.open("rb") as file:
            file.seek(self._read)
            text = file.read()
        whole = text[: text.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.splitlines():
            self._take(read_entity(line))

    def _take(self, record: object) -> None:
        match record:
            case Order():
                self._take_order(record)
            case Traded(trade=trade):
                self.trades[trade.symbol, trade.id, trade.order_id] = trade
            case Account():
                self.positions = defaultdict(Decimal)
                for position in record.positions.values():
                    self.positions[position.symbol] += position.quantity

    def _take_order(self, order: Order) -> None:
        if order.order_id not in self.orders:
            self.by_client_id[order.client_id].append(order.order_id)
        key = (strategy_of(order.client_id), order.symbol)
        self._exposures[key].take(order, self.orders.get(order.order_id))
        self.worst[key] = max(self.worst.get(key, ZERO), self._exposures[key].worst)
        self.orders[order.order_id] = order

    # -- questions ----------------------------------------------------------------------------------------------------

    @property
    def double_orders(self) -> list[str]:
        """Client order ids of the bot that the venue took more than once."""
        return [name for name, ids in self.by_client_id.items() if len(ids) > 1 and strategy_of(name)]

    def fills_of(self, strategy: str, epoch_ms: int | None = None) -> dict[FillKey, UserTrade]:
        """The fills of a strategy's orders; with an epoch, of those of one run."""
        found = {}
        for key, trade in self.trades.items():
            own = parse_own(self.orders[trade.order_id].client_id)
            if own is not None and own.strategy == strategy and epoch_ms in (None, own.epoch_ms):
                found[key] = trade
        return found

    def open_orders(self, strategy: str) -> list[Order]:
        """The orders of a strategy that rest at the venue."""
        return [order for order in self.orders.values() if order.open and strategy_of(order.client_id) == strategy]


def position_of(trades: Iterable[UserTrade]) -> dict[str, Decimal]:
    """The signed positions that fills add up to; flat ones are left out."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for trade in trades:
        sums[trade.symbol] += Side(trade.side).sign * Decimal(trade.qty)
    return {symbol: quantity for symbol, quantity in sums.items() if quantity}
