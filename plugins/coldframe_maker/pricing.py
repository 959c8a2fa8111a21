"""What the maker wants to quote, as plain arithmetic: the fair price, both quote prices on their ticks, sizes that are legal.

Nothing here knows about events, orders or time; the strategy in `coldframe_maker` does. Basis points are counted from the middle of
the book, so that both sides are treated exactly alike. All numbers are exact decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

from coldframe import BookView, Instrument, Quote, Side

#: How many levels are searched for one that counts.
_DEPTH: Final = 5


def fair_price(book: BookView, ignore: Decimal) -> Decimal | None:
    """The micro-price between the first levels by which more than `ignore` stands on their side. None for an empty side.

    With the size of one quote as `ignore`, a quote of ours that stands alone at the best price does not move our own fair price;
    otherwise the maker would follow its shadow. With `ignore` zero it is `book.micro_price`.
    """
    bid, ask = _first_that_counts(book.bids(_DEPTH), ignore), _first_that_counts(book.asks(_DEPTH), ignore)
    if bid is None or ask is None:
        return None
    return (bid[0] * ask[1] + ask[0] * bid[1]) / (bid[1] + ask[1])


def _first_that_counts(levels: Sequence[tuple[Decimal, Decimal]], ignore: Decimal) -> tuple[Decimal, Decimal] | None:
    """Price of the first level that counts, with all that stands up to it."""
    found, total = None, Decimal(0)
    for price, quantity in levels:
        total += quantity
        found = price, total
        if total > ignore:
            break
    return found


@attrs.frozen(kw_only=True)
class Pricing:
    """Where both quotes belong at one moment: `half` on either side of `centre`, and never across the book.

    `reach` is how far a standing quote may be from where it belongs before it is moved.
    """

    rules: Instrument
    best_bid: Decimal
    best_ask: Decimal
    centre: Decimal
    half: Decimal
    reach: Decimal

    def fresh(self, side: Side) -> Decimal:
        """The price for a new quote: on its tick, rounded away from the market, and inside the other side's best price."""
        return self._behind(side, self._on_tick(side, self.centre - side.sign * self.half))

    def lasts(self, side: Side, price: Decimal) -> bool:
        """Whether a quote that stands at `price` is still good enough to keep its place in the queue."""
        if price != self._behind(side, price):
            return False
        wanted = self._behind(side, self.centre - side.sign * self.half)
        return self._on_tick(side, wanted - self.reach) <= price <= self._on_tick(side, wanted + self.reach)

    def _behind(self, side: Side, price: Decimal) -> Decimal:
        """`price`, or the nearest one on a tick that does not touch the other side. The book may hold prices off the tick."""
        if side is Side.BUY:
            return min(price, self.rules.price_up(self.best_ask) - self.rules.tick)
        return max(price, self.rules.price_down(self.best_bid) + self.rules.tick)

    def _on_tick(self, side: Side, price: Decimal) -> Decimal:
        return self.rules.price_down(price) if side is Side.BUY else self.rules.price_up(price)


def quote(pricing: Pricing, side: Side, standing: Quote | None, size: Decimal, room: Decimal) -> Quote | None:
    """The quote of one side: the standing one if it is good enough, else one at a fresh price; None when none is legal.

    `size` is the full size of a quote, `room` what may be traded on this side before the inventory limit is reached.
    """
    if standing is not None and pricing.lasts(side, standing.price):
        return remainder(pricing.rules, standing, room) or remainder(pricing.rules, attrs.evolve(standing, quantity=size), room)
    return remainder(pricing.rules, Quote(pricing.fresh(side), size), room)


def remainder(rules: Instrument, quote: Quote | None, room: Decimal) -> Quote | None:
    """As much of a quote as there is room for; None when that is not a legal order."""
    if quote is None or quote.price <= 0:
        return None
    if quote.quantity > room:
        quote = attrs.evolve(quote, quantity=rules.quantity(room))
    return quote if quote.quantity >= smallest_order(rules, quote.price) else None


def smallest_order(rules: Instrument, price: Decimal) -> Decimal:
    """The smallest quantity that the contract takes at `price`: its minimum quantity, or what its minimum notional demands."""
    needed = rules.filters.min_notional / price
    quantity = rules.quantity(needed)
    return max(quantity if quantity >= needed else quantity + rules.step, rules.min_quantity)
