"""A market maker: quotes both sides around the micro-price and leans against its inventory.

It says with `Quotes` what shall stand, and asks for something else only when that matters, so that quotes keep their place in the
queue. It never quotes across the book, and never for more than its inventory limit allows. New prices come from new books only: a
book that was there before a fill does not know of the trade. How quotes become orders, and stay true, is the framework's part.
"""

from __future__ import annotations

from collections import defaultdict
from decimal import Decimal
from typing import Final

import attrs
from attrs import validators

from coldframe import BookChanged, BookView, OrderFilled, PartialBookChanged, PositionChanged, Quote, Quotes, Side, View, hookimpl
from coldframe_maker.pricing import Pricing, fair_price, quote, remainder, smallest_order

#: A quote that should stand but has no order (it was refused, or cancelled from outside) is asked for again after so long.
ASK_AGAIN_MS: Final = 1_000

_POSITIVE: Final = validators.gt(Decimal(0))
_NOT_NEGATIVE: Final = validators.ge(Decimal(0))


@attrs.frozen
class Pair:
    """The quotes of one symbol; None on a side where none shall stand."""

    bid: Quote | None = None
    ask: Quote | None = None

    def of(self, side: Side) -> Quote | None:
        return self.bid if side is Side.BUY else self.ask

    def put(self, side: Side, quote: Quote | None) -> Pair:
        """The same pair with another quote on one side."""
        return attrs.evolve(self, bid=quote) if side is Side.BUY else attrs.evolve(self, ask=quote)

    def after_fill(self, side: Side, price: Decimal, quantity: Decimal) -> Pair:
        """What is left of the quotes after one of our orders has traded."""
        filled = self.of(side)
        if filled is None or filled.price != price:
            return self
        return self.put(side, attrs.evolve(filled, quantity=filled.quantity - quantity))

    @property
    def meets(self) -> bool:
        """Whether our own bid and ask would trade with each other."""
        return self.bid is not None and self.ask is not None and self.bid.price >= self.ask.price

    def intent(self, symbol: str) -> Quotes:
        return Quotes(symbol, bids=[self.bid] if self.bid else [], asks=[self.ask] if self.ask else [])


@attrs.define
class Market:
    """What the maker knows about one symbol."""

    #: What was last asked for, and when.
    asked: Pair = Pair()
    asked_ms: int = 0
    #: The largest position, long or short.
    limit: Decimal = Decimal(0)
    size_fits: bool = False


class Maker:
    """Quotes both sides around the micro-price, with inventory skew."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Parameters of the maker: `size` or `notional` must be given, the rest has defaults."""

        #: Distance between our bid and our ask, in basis points of the price.
        spread_bps: Decimal = attrs.field(default=Decimal(4), validator=_POSITIVE)
        #: Quantity of each quote, in the base asset.
        size: Decimal | None = attrs.field(default=None, validator=validators.optional(_POSITIVE))
        #: Worth of each quote, in the quote asset.
        notional: Decimal | None = attrs.field(default=None, validator=validators.optional(_POSITIVE))
        #: The largest position, long or short, in quotes of full size.
        max_inventory_quotes: int = attrs.field(default=5, validator=validators.ge(1))
        #: How far both quotes are shifted against the largest position, in basis points; against a smaller one in proportion.
        skew_bps: Decimal = attrs.field(default=Decimal(4), validator=_NOT_NEGATIVE)
        #: How far a quote may be from where it belongs before it is moved, in basis points; half a tick if that is more.
        #: Not given: a quarter of `spread_bps`.
        requote_bps: Decimal | None = attrs.field(default=None, validator=validators.optional(_NOT_NEGATIVE))

        def __attrs_post_init__(self) -> None:
            if (self.size is None) == (self.notional is None):
                raise ValueError("needs either size (in the base asset) or notional (in the quote asset)")
            if self.tolerance_bps * 2 >= self.spread_bps:
                raise ValueError(f"requote_bps must be less than half of spread_bps, {self.spread_bps / 2}, not {self.requote_bps}")

        @property
        def tolerance_bps(self) -> Decimal:
            return self.spread_bps / 4 if self.requote_bps is None else self.requote_bps

        def quantity(self, price: Decimal) -> Decimal:
            """The size of one quote at `price`, before the contract's rules."""
            if self.size is not None:
                return self.size
            assert self.notional is not None
            return self.notional / price

    def __init__(self, params: Params) -> None:
        self.params = params
        self._markets: defaultdict[str, Market] = defaultdict(Market)

    @hookimpl
    def on_book(self, event: BookChanged | PartialBookChanged, view: View) -> Quotes | None:
        if isinstance(event, PartialBookChanged) or event.rpi:
            return None
        symbol, market, book = event.symbol, self._markets[event.symbol], view.book(event.symbol)
        if not book.synced or not view.instrument(symbol).trading:
            market.asked = Pair()  # the framework has withdrawn them
            return None
        if not view.trading_allowed(symbol):
            return None
        missing = self._missing(symbol, market, view)
        wanted = self._wanted(symbol, market, missing, book, view)
        return self._ask(symbol, market, wanted, view, again=bool(missing))

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> Quotes | None:
        """What is left stays where it is, as far as the limit allows; what is gone comes back with the next book."""
        market, rules, position = self._markets[event.symbol], view.instrument(event.symbol), view.position(event.symbol)
        if not view.trading_allowed(event.symbol):
            return None
        left = market.asked.after_fill(event.side, event.price, event.quantity)
        bid, ask = remainder(rules, left.bid, market.limit - position), remainder(rules, left.ask, market.limit + position)
        return self._ask(event.symbol, market, Pair(bid, ask), view)

    @hookimpl
    def on_position(self, event: PositionChanged, view: View) -> Quotes:
        """Others have changed the position: what was asked for belongs to the old one. New quotes come with the next book."""
        self._markets[event.symbol].asked = Pair()
        return Pair().intent(event.symbol)

    @staticmethod
    def _ask(symbol: str, market: Market, wanted: Pair, view: View, *, again: bool = False) -> Quotes | None:
        """Asks for what shall stand from now on, unless it was asked for already."""
        if wanted == market.asked and not again:
            return None
        market.asked, market.asked_ms = wanted, view.now_ms
        return wanted.intent(symbol)

    @staticmethod
    def _missing(symbol: str, market: Market, view: View) -> list[Side]:
        """Sides that were asked for a while ago, and have no order all the same."""
        if view.now_ms - market.asked_ms < ASK_AGAIN_MS:
            return []
        there = {order.side for order in view.orders(symbol)}
        return [side for side in (Side.BUY, Side.SELL) if market.asked.of(side) is not None and side not in there]

    def _wanted(self, symbol: str, market: Market, missing: list[Side], book: BookView, view: View) -> Pair:
        pricing = self._pricing(symbol, book, view)
        if pricing is None:
            return Pair()
        size, position = self._size(symbol, market, pricing), view.position(symbol)
        market.limit = size * self.params.max_inventory_quotes
        standing = market.asked
        for side in missing:
            standing = standing.put(side, None)

        def pair(standing: Pair) -> Pair:
            bid = quote(pricing, Side.BUY, standing.bid, size, market.limit - position)
            return Pair(bid, quote(pricing, Side.SELL, standing.ask, size, market.limit + position))

        kept = pair(standing)
        return pair(Pair()) if kept.meets else kept

    def _pricing(self, symbol: str, book: BookView, view: View) -> Pricing | None:
        """Where quotes belong now; None while a side of the book is empty."""
        if book.best_bid is None or book.best_ask is None:
            return None
        middle = (book.best_bid + book.best_ask) / 2
        size = self.params.quantity(middle)
        fair = fair_price(book, ignore=size)
        if fair is None:
            return None
        bp, rules = middle / 10_000, view.instrument(symbol)
        inventory = view.position(symbol) / (size * self.params.max_inventory_quotes)
        return Pricing(
            rules=rules,
            best_bid=book.best_bid,
            best_ask=book.best_ask,
            centre=fair - self.params.skew_bps * bp * max(min(inventory, Decimal(1)), Decimal(-1)),
            half=self.params.spread_bps * bp / 2,
            reach=max(self.params.tolerance_bps * bp, rules.tick / 2),
        )

    def _size(self, symbol: str, market: Market, pricing: Pricing) -> Decimal:
        """The full size of a quote. A `notional` is raised to what the contract takes; a `size` must fit when trading begins."""
        rules = pricing.rules
        price = max(pricing.fresh(Side.BUY), rules.tick)
        size, smallest = rules.quantity(self.params.quantity(price)), smallest_order(rules, price)
        if self.params.size is None:
            return max(size, smallest)
        if size < smallest and not market.size_fits:
            least = f"at {price:f} the smallest order is {smallest:f} {rules.base_asset}"
            raise ValueError(f"size {self.params.size:f} is too small for {symbol}: {least}")
        market.size_fits = True
        return size


@hookimpl
def provide_strategies() -> dict[str, type]:
    return {"maker": Maker}
