"""What the exchange's own books say about the orders of the bot's strategies: whose they are, and what they can still do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache

import attrs

from coldframe.enums import PositionSide, Side
from coldframe.exchange.trading.entities import Algo, Order
from coldframe.ids import parse_own
from coldframe.units import ZERO
from tests.simulation.venue import VirtualVenue

#: Strategy, symbol, position side.
Where = tuple[str, str, PositionSide]


@attrs.define
class Reach:
    """What the open orders of a strategy can do to one of its positions: what only closes, and what may open as well."""

    buys: Decimal = ZERO
    sells: Decimal = ZERO
    closing_buys: Decimal = ZERO
    closing_sells: Decimal = ZERO

    def add(self, side: Side, left: Decimal, *, closing: bool) -> None:
        match side, closing:
            case Side.BUY, False:
                self.buys += left
            case Side.BUY, True:
                self.closing_buys += left
            case Side.SELL, False:
                self.sells += left
            case _:
                self.closing_sells += left

    def worst(self, held: Decimal) -> Decimal:
        """The largest position that may come about: what only closes ends at zero."""
        buys = self.buys + min(self.closing_buys, max(-held, ZERO))
        sells = self.sells + min(self.closing_sells, max(held, ZERO))
        return max(held + buys, sells - held)


class Books:
    """The exchange's books by strategy. Trades are read once each."""

    def __init__(self, venue: VirtualVenue) -> None:
        self._books = venue.books()
        self._read = 0
        self.held: defaultdict[Where, Decimal] = defaultdict(Decimal)

    def read(self) -> None:
        """Takes in what has traded since the last look. The exchange keeps far more trades than a world has."""
        trades = self._books.trades
        while self._read < len(trades):
            trade = trades[self._read].trade
            self._read += 1
            strategy = _owner(self._books.orders[trade.order_id].client_id)
            sign = 1 if trade.side is Side.BUY else -1
            self.held[strategy, trade.symbol, trade.position_side] += sign * Decimal(trade.qty)

    def open(self) -> Iterator[Order | Algo]:
        """All that stands: orders, and conditional ones that wait."""
        yield from self._books.open.values()
        yield from self._books.open_algos.values()

    def reach(self) -> dict[Where, Reach]:
        """What the open orders can do, by position; with those positions that have none."""
        found = {where: Reach() for where in self.held}
        for order in self.open():
            where = (_owner(order.client_id), order.symbol, order.position_side)
            closing = order.reduce_only or order.close_position or order.position_side.closed_by(order.side)
            left = order.quantity - order.filled if isinstance(order, Order) else order.quantity
            found.setdefault(where, Reach()).add(order.side, left, closing=closing)
        return found


@lru_cache(4_096)  # asked for every open order after every step
def _owner(client_id: str) -> str:
    own = parse_own(client_id)
    return own.strategy if own is not None else ""
