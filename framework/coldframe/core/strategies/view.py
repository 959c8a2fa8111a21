"""What a strategy sees, put together from the machines that know it: read only, only its own, and only while its hook runs.

A view holds nothing but the number of the call it was made for; what it shows is looked up by that number and is gone when the
hook returns. So there is no way from a view to the orders, limits or books behind it, and a view that was kept shows nothing old.
Orders and instruments are handed out as frozen copies; a book is read where it stands, without a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from decimal import Decimal
from itertools import count
from typing import Any, Final
from weakref import finalize

import attrs
import msgspec

from coldframe.core.marketdata.book import Book
from coldframe.core.marketdata.market import Market
from coldframe.core.risk.suspended import trading_state
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.core.state.trading_state import TradingState
from coldframe.core.strategies.moment import risk_inputs
from coldframe.enums import OrderType, PositionMode, PositionSide, Side, TimeInForce
from coldframe.model.events import BookState, CandleChanged
from coldframe.model.instruments import Instrument
from coldframe.model.saved_state import frozen_of
from coldframe.model.view import Randomness
from coldframe.units import ZERO, arithmetic, calculated, unscaled

#: The calls that are going on, by their numbers.
_OPEN: Final[dict[int, StrategyWorld]] = {}
_NUMBERS: Final = count(1)
#: In this views calculate, whatever a hook has set for itself; never given away.
_OWN: Final = arithmetic()

_OVER: Final = "this view was made for a call that is over: use the view of the running call, and keep values instead of views"

BookKey = tuple[str, bool]


@attrs.frozen
class OrderSnapshot:
    """One of the strategy's own orders as it stood when it was asked for."""

    client_order_id: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    position_side: PositionSide
    price: Decimal | None
    trigger_price: Decimal | None
    activate_price: Decimal | None
    quantity: Decimal
    filled: Decimal
    remaining: Decimal
    reduce_only: bool
    close_position: bool
    state: str
    tag: str

    @classmethod
    def of(cls, order: Order) -> OrderSnapshot:
        return cls(
            order.client_order_id,
            order.symbol,
            order.side,
            order.type,
            order.time_in_force,
            order.position_side,
            order.price,
            order.trigger_price,
            order.activate_price,
            order.quantity,
            order.filled,
            order.remaining,
            order.reduce_only,
            order.close_position,
            order.state,
            order.tag,
        )


class LocalBookView(msgspec.Struct, frozen=True):
    """One book, during one call. While it is not synced it shows nothing but its state."""

    _key: BookKey
    _view: StrategyView

    @property
    def symbol(self) -> str:
        return self._key[0]

    @property
    def state(self) -> BookState:
        return _world(self._view).books[self._key][0]

    @property
    def synced(self) -> bool:
        return _book(self) is not None

    @property
    def update_id(self) -> int:
        book = _book(self)
        return book.update_id if book else 0

    @property
    def best_bid(self) -> Decimal | None:
        book = _book(self)
        return book.best(Side.BUY) if book else None

    @property
    def best_ask(self) -> Decimal | None:
        book = _book(self)
        return book.best(Side.SELL) if book else None

    @property
    def best_bid_quantity(self) -> Decimal | None:
        book = _book(self)
        return book.best_quantity(Side.BUY) if book else None

    @property
    def best_ask_quantity(self) -> Decimal | None:
        book = _book(self)
        return book.best_quantity(Side.SELL) if book else None

    @property
    def mid(self) -> Decimal | None:
        bid, ask = self.best_bid, self.best_ask
        return None if bid is None or ask is None else _OWN.divide(_OWN.add(bid, ask), 2)

    @property
    def micro_price(self) -> Decimal | None:
        bid, ask = self.best_bid, self.best_ask
        bid_quantity, ask_quantity = self.best_bid_quantity, self.best_ask_quantity
        if bid is None or ask is None or bid_quantity is None or ask_quantity is None:
            return None
        weighed = _OWN.add(_OWN.multiply(bid, ask_quantity), _OWN.multiply(ask, bid_quantity))
        return _OWN.divide(weighed, _OWN.add(bid_quantity, ask_quantity))

    def bids(self, levels: int) -> Sequence[tuple[Decimal, Decimal]]:
        book = _book(self)
        return book.levels(Side.BUY, levels) if book else []

    def asks(self, levels: int) -> Sequence[tuple[Decimal, Decimal]]:
        book = _book(self)
        return book.levels(Side.SELL, levels) if book else []

    def known_to(self, side: Side) -> Decimal | None:
        book = _book(self)
        if book is None:
            return None
        edge = book.bid_edge if side is Side.BUY else book.ask_edge
        return None if edge is None else unscaled(edge)


class StrategyView(msgspec.Struct, frozen=True, weakref=True):
    """The world of one strategy, during one call."""

    _number: int

    @property
    def now_ms(self) -> int:
        return _world(self).now_ms

    @property
    def random(self) -> Randomness:
        randomness = _world(self).randomness
        if randomness is None:
            raise RuntimeError("this engine was made without random numbers: give EngineSetup its random_of")
        return randomness

    @property
    def state(self) -> Any:
        return _world(self).saved()

    @property
    def symbols(self) -> Sequence[str]:
        return _world(self).symbols

    @property
    def position_mode(self) -> PositionMode:
        return PositionMode.HEDGE if _world(self).state.hedge else PositionMode.ONE_WAY

    def instrument(self, symbol: str) -> Instrument:
        return _world(self).instrument(symbol)

    def book(self, symbol: str, *, rpi: bool = False) -> LocalBookView:
        key = symbol, rpi
        _world(self).find_book(key)
        return LocalBookView(key, self)

    def candles(self, symbol: str, interval: str) -> Sequence[CandleChanged]:
        return _world(self).candles(symbol, interval)

    def mark_price(self, symbol: str) -> Decimal | None:
        return _world(self).state.mark_prices.get(symbol)

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal:
        account = _world(self).account.holdings
        if side is PositionSide.BOTH:
            return calculated(account.net, symbol)
        held = account.positions.get((symbol, side))
        return ZERO if held is None else held.quantity

    def entry_price(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal | None:
        return _world(self).account.holdings.entry_price(symbol, side)

    def realized_pnl(self) -> Decimal:
        account = _world(self).account.holdings
        return calculated(lambda: account.realized)

    def unrealized_pnl(self) -> Decimal:
        world = _world(self)
        return calculated(world.account.holdings.unrealized, world.state.mark_prices)

    def fees(self) -> Decimal:
        world = _world(self)
        return calculated(world.account.holdings.fees_paid, world.state.prices)

    def funding(self) -> Decimal:
        world = _world(self)
        return calculated(world.state.prices.worth, world.account.holdings.funding)

    def orders(self, symbol: str | None = None) -> Sequence[OrderSnapshot]:
        world = _world(self)
        return calculated(lambda: tuple(OrderSnapshot.of(order) for order in world.state.orders.of(world.account.id, symbol)))

    def trading_allowed(self, symbol: str) -> bool:
        return _world(self).trading_allowed(symbol)


class StrategyWorld:
    """What one strategy may look at, for as long as the run lasts. `open` and `close` enclose one call of it."""

    def __init__(
        self,
        state: EngineState,
        account: StrategyAccount,
        symbols: Sequence[str],
        market: Market,
        randomness: Randomness | None = None,
    ) -> None:
        self.state = state
        self.account = account
        #: The strategy's own random numbers: the one thing in a view that is not a snapshot.
        self.randomness = randomness
        self.symbols = tuple(symbols)
        self.now_ms = 0
        #: Tells whether links and user stream would let new risk through.
        self.allowed: Callable[[], bool] = bool
        #: The books that were asked for, as they stand in the running call.
        self.books: dict[BookKey, tuple[BookState, Book | None]] = {}
        self._market = market
        #: What the strategy has saved: its text, and the value as it was handed out.
        self._saved: tuple[bytes, Any] = (b"null", None)
        #: Instruments as they were handed out, each with the one that it is a copy of.
        self._copies: dict[str, tuple[Instrument, Instrument]] = {}

    def open(self, now_ms: int, allowed: Callable[[], bool]) -> StrategyView:
        """The view of a call that begins; `allowed` is asked when the strategy asks."""
        self.now_ms, self.allowed = now_ms, allowed
        number = next(_NUMBERS)
        _OPEN[number] = self
        return StrategyView(number)

    def lasting(self, now_ms: int, *, allowed: bool) -> StrategyView:
        """A view outside of all calls, for benches and tests: valid for as long as it is kept."""
        view = self.open(now_ms, lambda: allowed)
        finalize(view, _OPEN.pop, view._number, None)
        return view

    def close(self, view: StrategyView) -> None:
        """The call that a view was made for is over."""
        _OPEN.pop(view._number, None)

    def find_book(self, key: BookKey) -> None:
        """Looks a book up for the views of it in this call. Raises `KeyError` for a symbol the venue does not list."""
        if key[0] not in self.state.instruments:
            raise KeyError(f"the venue does not list {key[0]!r}")
        found = self._market.book(*key)
        state = found.sync.state if found is not None else BookState.BUFFERING
        self.books[key] = (state, self._market.synced_book(*key))

    def candles(self, symbol: str, interval: str) -> tuple[CandleChanged, ...]:
        """The closed candles that are known. Raises `KeyError` where no stream brings such candles."""
        return self._market.candles.of(symbol, interval)

    def instrument(self, symbol: str) -> Instrument:
        """The rules of a contract, as a copy that belongs to this strategy."""
        found = self.state.instruments.get(symbol)
        if found is None:
            raise KeyError(f"the venue does not list {symbol!r}")
        known = self._copies.get(symbol)
        if known is None or known[0] is not found:
            known = self._copies[symbol] = (found, deepcopy(found))
        return known[1]

    def saved(self) -> Any:
        """What the strategy has saved, as a copy that belongs to it."""
        text = self.state.saved.text(self.account.id)
        if text != self._saved[0]:
            self._saved = (text, frozen_of(text))
        return self._saved[1]

    def trading_allowed(self, symbol: str) -> bool:
        """Whether an order of the strategy that adds risk in a symbol would be let through: asked of what refuses orders."""
        if symbol not in self.account.symbols:
            return False
        allowed = self.allowed()
        now = risk_inputs(self.state, self._market, self.now_ms, symbol, order_link_up=allowed, user_stream_up=allowed)
        return trading_state(self.state, now, self.account.id, symbol) is TradingState.ACTIVE


def _world(view: StrategyView) -> StrategyWorld:
    """What a view shows. Raises `RuntimeError` when the call that it was made for is over."""
    try:
        return _OPEN[view._number]
    except KeyError:
        raise RuntimeError(_OVER) from None


def _book(view: LocalBookView) -> Book | None:
    return _world(view._view).books[view._key][1]
