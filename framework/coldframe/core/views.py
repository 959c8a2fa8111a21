"""What a strategy sees, put together from the machines that know it. Read only, and only its own."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import attrs

from coldframe.core.book import Book
from coldframe.core.market import Market
from coldframe.core.orders import Order, Orders
from coldframe.core.risk import Gate, Trader
from coldframe.model.events import BookState
from coldframe.model.instruments import Instrument
from coldframe.terms import PositionMode, PositionSide, Side
from coldframe.units import unscaled


@attrs.frozen
class LocalBookView:
    """One book at this moment. While it is not synced it shows nothing but its state."""

    symbol: str
    state: BookState
    _book: Book | None

    @property
    def synced(self) -> bool:
        return self._book is not None

    @property
    def update_id(self) -> int:
        return self._book.update_id if self._book else 0

    @property
    def best_bid(self) -> Decimal | None:
        return self._book.best(Side.BUY) if self._book else None

    @property
    def best_ask(self) -> Decimal | None:
        return self._book.best(Side.SELL) if self._book else None

    @property
    def best_bid_quantity(self) -> Decimal | None:
        return self._book.best_quantity(Side.BUY) if self._book else None

    @property
    def best_ask_quantity(self) -> Decimal | None:
        return self._book.best_quantity(Side.SELL) if self._book else None

    @property
    def mid(self) -> Decimal | None:
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else (bid + ask) / 2

    @property
    def micro_price(self) -> Decimal | None:
        bid, ask = self.best_bid, self.best_ask
        bid_quantity, ask_quantity = self.best_bid_quantity, self.best_ask_quantity
        if bid is None or ask is None or bid_quantity is None or ask_quantity is None:
            return None
        return (bid * ask_quantity + ask * bid_quantity) / (bid_quantity + ask_quantity)

    def bids(self, levels: int) -> Sequence[tuple[Decimal, Decimal]]:
        return self._book.levels(Side.BUY, levels) if self._book else []

    def asks(self, levels: int) -> Sequence[tuple[Decimal, Decimal]]:
        return self._book.levels(Side.SELL, levels) if self._book else []

    def known_to(self, side: Side) -> Decimal | None:
        if self._book is None:
            return None
        edge = self._book.bid_edge if side is Side.BUY else self._book.ask_edge
        return None if edge is None else unscaled(edge)


class StrategyView:
    """The world of one strategy."""

    def __init__(self, trader: Trader, symbols: Sequence[str], market: Market, orders: Orders, gate: Gate) -> None:
        self._trader = trader
        self._symbols = tuple(symbols)
        self._market = market
        self._orders = orders
        self._gate = gate
        self._now_ms = 0
        self._allowed = False

    def at(self, now_ms: int, allowed: bool) -> StrategyView:
        """This view at a moment; `allowed` when links and user stream would let new risk through."""
        self._now_ms, self._allowed = now_ms, allowed
        return self

    @property
    def now_ms(self) -> int:
        return self._now_ms

    @property
    def symbols(self) -> Sequence[str]:
        return self._symbols

    @property
    def position_mode(self) -> PositionMode:
        return PositionMode.HEDGE if self._gate.hedge else PositionMode.ONE_WAY

    def instrument(self, symbol: str) -> Instrument:
        if symbol not in self._gate.instruments:
            raise KeyError(f"the venue does not list {symbol!r}")
        return self._gate.instruments[symbol]

    def book(self, symbol: str, *, rpi: bool = False) -> LocalBookView:
        if symbol not in self._gate.instruments:
            raise KeyError(f"the venue does not list {symbol!r}")
        one = self._market.book(symbol, rpi)
        state = one.sync.state if one is not None else BookState.BUFFERING
        return LocalBookView(symbol, state, self._market.synced_book(symbol, rpi))

    def mark_price(self, symbol: str) -> Decimal | None:
        return self._gate.marks.get(symbol)

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal:
        account = self._trader.account
        return account.net(symbol) if side is PositionSide.BOTH else account.position(symbol, side).quantity

    def entry_price(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal | None:
        return self._trader.account.entry_price(symbol, side)

    def realized_pnl(self) -> Decimal:
        return self._trader.account.realized

    def unrealized_pnl(self) -> Decimal:
        return self._trader.account.unrealized(self._gate.marks)

    def fees(self) -> Decimal:
        return self._trader.account.fees_paid(self._gate.prices)

    def funding(self) -> Decimal:
        return self._gate.prices.worth(self._trader.account.funding)

    def orders(self, symbol: str | None = None) -> Sequence[Order]:
        return tuple(self._orders.of(self._trader.id, symbol))

    def trading_allowed(self, symbol: str) -> bool:
        fresh = self._market.book_age_ms(symbol) <= self._gate.limits.stale_book_ms
        halted = self._gate.latched or self._gate.latches.against(self._trader.id, symbol, self._now_ms)
        return (
            self._allowed
            and fresh
            and halted is None
            and not self._orders.doubtful_in(symbol)
            and self._market.synced_book(symbol) is not None
        )
