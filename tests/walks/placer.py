"""Places one order, as soon as it may, a little below the market."""

from __future__ import annotations

from decimal import Decimal

from coldframe import Place, Side, hookimpl
from coldframe.model.events import BookChanged
from coldframe.model.view import View


class Placer:
    def __init__(self) -> None:
        self._placed = False

    @hookimpl
    def on_book(self, event: BookChanged, view: View) -> Place | None:
        mid = view.book(event.symbol).mid
        if self._placed or mid is None or not view.trading_allowed(event.symbol):
            return None
        self._placed = True
        price = view.instrument(event.symbol).price_down(mid * Decimal("0.99"))
        return Place(symbol=event.symbol, side=Side.BUY, quantity=Decimal("0.01"), price=price)
