"""A market that stands still unless a test moves it: quick to make, and nothing in it happens by chance.

Each contract has levels of background liquidity round a price. A far level breathes twice a second, so that books stay fresh.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from random import Random
from typing import Final

from coldframe.enums import Side
from coldframe.exchange.contracts import contract, to_scaled
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.symbol_market import SymbolMarket, TradeExecution, UpdateIds
from coldframe.exchange.market_source import Settle
from coldframe.exchange.matching import Taker
from coldframe.exchange.synthetic_symbols import SYNTHETIC_SYMBOLS, SyntheticSymbol
from coldframe.units import unscaled

#: How often the far level breathes (milliseconds), and how many levels a side has.
BREATH_MS: Final = 500
LEVELS: Final = 8
#: What stands at each level, in steps of the contract.
DEPTH_STEPS: Final = 1_000_000


class StillMarket:
    """Contracts of the synthetic market's list, without its life. `bind` must be called before the first `advance`."""

    follows_clock = True
    ended = False
    fault = None

    def __init__(self, symbols: Iterable[str], start_ms: int, funding_interval_s: int = 28_800) -> None:
        self._ids, self._funding_interval_s = UpdateIds(start_ms * 1000, Random(0)), funding_interval_s
        self._known = {parameters.listing.symbol: parameters for parameters in SYNTHETIC_SYMBOLS}
        self._books = {symbol: self._levels(symbol, start_ms) for symbol in symbols}
        self.markets = {symbol: book.symbol_market for symbol, book in self._books.items()}
        self._settle: Settle | None = None
        self._now_ms = self._breathed_ms = start_ms

    def bind(self, streams: Streams, settle: Settle) -> None:
        """Connects the market with the exchange's clearing."""
        self._settle = settle

    def advance(self, now_ms: int) -> None:
        """Lets the far levels breathe when it is time."""
        self._now_ms = now_ms
        if now_ms - self._breathed_ms >= BREATH_MS:
            self._breathed_ms = now_ms
            for book in self._books.values():
                book.breathe(now_ms)

    def introduce(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """The market of a contract of the list that is new here."""
        if symbol not in self._known or symbol in self._books:
            return None
        self._books[symbol] = self._levels(symbol, now_ms)
        return self._books[symbol].symbol_market

    def _levels(self, symbol: str, now_ms: int) -> _Levels:
        return _Levels(self._known[symbol], self._ids, now_ms, self._funding_interval_s)

    def best(self, symbol: str, side: Side) -> Decimal:
        """The best price of the background liquidity."""
        return self._books[symbol].best(side)

    def move(self, symbol: str, middle: Decimal) -> None:
        """Moves a contract to another price; resting orders in between are met. Once mark and index follow, at the next second."""
        book = self._books[symbol]
        assert self._settle is not None
        self._settle(symbol, book.move(middle, self._now_ms))

    def trade(self, symbol: str, side: Side, quantity: Decimal, limit: Decimal) -> None:
        """A taker of the public: buys or sells up to `quantity`, no further than `limit`; own orders are met in turn."""
        assert self._settle is not None
        taker = Taker(side=side, quantity=to_scaled(quantity), limit=to_scaled(limit))
        _, met = self._books[symbol].symbol_market.trade_order(taker, self._now_ms)
        self._settle(symbol, met)

    def next_due_ms(self) -> None:
        """It moves with the exchange's own turns."""

    def when_complete(self, symbol: str, then: Callable[[], None]) -> None:
        """Its books are complete from the beginning."""
        then()

    def listened_to(self, name: str) -> None:
        """It goes on whether a client listens or not."""


class _Levels:
    """One contract: its market, and the background liquidity on it."""

    def __init__(self, parameters: SyntheticSymbol, ids: UpdateIds, start_ms: int, funding_interval_s: int) -> None:
        listing = parameters.listing
        self._spacing = to_scaled(listing.tick) * parameters.spacing
        self._lot = to_scaled(listing.step)
        self._deep = False
        first = start_ms // 10
        public_data = PublicMarketData(contract(listing), funding_interval_s * 1000, first // 2)
        public_data.components = parameters.parts()
        public_data.book.known = True
        self.symbol_market = SymbolMarket(public_data, ids, first, shows_orders=True)
        self._middle = 0
        self._put(to_scaled(parameters.price), start_ms)
        public_data.prices.begin(self._middle)

    def best(self, side: Side) -> Decimal:
        level = self.symbol_market.public_data.book.best()[0 if side is Side.BUY else 1]
        assert level is not None
        return Decimal(level[0])

    def breathe(self, now_ms: int) -> None:
        """A lot more, then a lot less, at the farthest bid."""
        price = self._prices(Side.BUY)[-1]
        if self._deep:
            self.symbol_market.leave(Side.BUY, price, self._lot, now_ms)
        else:
            self.symbol_market.rest(Side.BUY, price, self._lot, now_ms)
        self._deep = not self._deep

    def move(self, middle: Decimal, now_ms: int) -> list[TradeExecution]:
        """Takes the liquidity away, sweeps to the new price, and quotes round it."""
        for side in (Side.BUY, Side.SELL):
            for price in self._prices(side):
                self.symbol_market.leave(side, price, self.symbol_market.matching.background_at(side, price), now_ms)
        self._deep = False
        target = to_scaled(middle)
        side = Side.BUY if target > self._middle else Side.SELL
        reached = Taker(side=side, quantity=10**30, limit=target)
        quantity = self.symbol_market.matching.fillable(reached)
        met: list[TradeExecution] = []
        if quantity:
            _, met = self.symbol_market.trade_order(Taker(side=side, quantity=quantity, limit=target), now_ms)
        self._put(target, now_ms)
        return met

    def _put(self, middle: int, now_ms: int) -> None:
        self._middle = middle // self._spacing * self._spacing
        for side in (Side.BUY, Side.SELL):
            for price in self._prices(side):
                self.symbol_market.rest(side, price, DEPTH_STEPS * self._lot, now_ms)
        self.symbol_market.public_data.fair = unscaled(self._middle)

    def _prices(self, side: Side) -> list[int]:
        return [self._middle - side.sign * (number + 1) * self._spacing for number in range(LEVELS)]
