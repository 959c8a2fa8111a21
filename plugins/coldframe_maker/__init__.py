"""A market maker: quotes both sides around the micro-price and leans against its inventory."""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe import BookChanged, BookView, Quote, Quotes, View, hookimpl


def _positive(_: object, field: attrs.Attribute[Decimal], value: Decimal) -> None:
    if value <= 0:
        raise ValueError(f"{field.name} must be greater than 0, not {value}")


class Maker:
    """Quotes both sides around the micro-price, with inventory skew."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Parameters of the maker."""

        #: Distance between our bid and our ask, in basis points of the price.
        spread_bps: Decimal = attrs.field(default=Decimal(4), validator=_positive)
        #: Quantity on each side, in the base asset.
        size: Decimal = attrs.field(validator=_positive)
        #: Position at which the quotes are shifted by a whole spread against it, in the base asset.
        skew_position: Decimal | None = None
        #: The quotes stand until they are this far from where they should be, in basis points.
        requote_bps: Decimal = Decimal(1)

    def __init__(self, params: Params) -> None:
        self.params = params
        self._standing: dict[str, tuple[Decimal, Decimal]] = {}

    @hookimpl
    def on_book(self, event: BookChanged, view: View) -> Quotes | None:
        book = view.book(event.symbol)
        fair = book.micro_price
        if fair is None:
            self._standing.pop(event.symbol, None)
            return None
        if not view.trading_allowed(event.symbol):
            return None
        bid, ask = self._prices(event.symbol, fair, book, view)
        if self._close_enough(event.symbol, bid, ask):
            return None
        self._standing[event.symbol] = (bid, ask)
        size = view.instrument(event.symbol).quantity(self.params.size)
        return Quotes(event.symbol, bids=[Quote(bid, size)], asks=[Quote(ask, size)])

    def _prices(self, symbol: str, fair: Decimal, book: BookView, view: View) -> tuple[Decimal, Decimal]:
        """Both prices on their ticks, shifted against the position, never across the book."""
        rules = view.instrument(symbol)
        half = fair * self.params.spread_bps / 20_000
        full = self.params.skew_position or self.params.size * 10
        shift = -2 * half * max(min(view.position(symbol) / full, Decimal(1)), Decimal(-1))
        bid, ask = rules.price_down(fair + shift - half), rules.price_up(fair + shift + half)
        assert book.best_bid is not None
        assert book.best_ask is not None
        return min(bid, book.best_ask - rules.tick), max(ask, book.best_bid + rules.tick)

    def _close_enough(self, symbol: str, bid: Decimal, ask: Decimal) -> bool:
        standing = self._standing.get(symbol)
        if standing is None:
            return False
        allowed = bid * self.params.requote_bps / 10_000
        return max(abs(standing[0] - bid), abs(standing[1] - ask)) <= allowed


@hookimpl
def provide_strategies() -> dict[str, type]:
    return {"maker": Maker}
