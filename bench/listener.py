"""A strategy that reads what it is given and wants nothing: what a bot costs that only looks."""

from __future__ import annotations

from decimal import Decimal

from coldframe import BestPriceChanged, BookChanged, OrderChanged, TradePrinted, View, hookimpl


class Idle:
    """Hears of its own orders, of which there are none."""

    @hookimpl
    def on_order(self, event: OrderChanged) -> None:
        return None


class Listener:
    """Looks at the prices of each event, and at both best prices of the book that has changed."""

    def __init__(self) -> None:
        self.heard = 0
        self.last: Decimal | None = None

    @hookimpl
    def on_book(self, event: BookChanged, view: View) -> None:
        book = view.book(event.symbol)
        self.heard += 1
        self.last = book.best_bid if book.best_ask is not None else None

    @hookimpl
    def on_trade(self, event: TradePrinted) -> None:
        self.heard += 1
        self.last = event.price * event.quantity

    @hookimpl
    def on_ticker(self, event: BestPriceChanged) -> None:
        self.heard += 1
        self.last = event.bid + event.ask
