"""Opens a position, protects it with a stop, a take-profit or a trailing stop, and turns round after a while."""

from __future__ import annotations

from decimal import Decimal

from coldframe import CancelAll, Intent, OrderType, Place, Side, Target, hookimpl
from coldframe.model.events import BookChanged
from coldframe.model.view import View

_KINDS = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET, OrderType.TRAILING_STOP_MARKET, OrderType.STOP)


class Swing:
    """Every twelve seconds another direction and another protection."""

    def __init__(self) -> None:
        self._turn = -1

    @hookimpl
    def on_book(self, event: BookChanged, view: View) -> list[Intent]:
        turn = view.now_ms // 12_000
        mid = view.book(event.symbol).mid
        if mid is None or not view.trading_allowed(event.symbol):
            return []
        wanted = Decimal("0.004") * (1 if turn % 2 else -1)
        if view.position(event.symbol) == wanted and self._turn != turn:
            self._turn = turn
            return [self._protection(event.symbol, wanted, mid, _KINDS[turn % len(_KINDS)], view)]
        return [CancelAll(event.symbol), Target(event.symbol, wanted)] if self._turn != turn else []

    @staticmethod
    def _protection(symbol: str, held: Decimal, mid: Decimal, kind: OrderType, view: View) -> Place:
        rules, side = view.instrument(symbol), Side.SELL if held > 0 else Side.BUY
        away = mid * Decimal("0.0005") * side.sign
        loses = rules.price_up(mid + away) if side is Side.BUY else rules.price_down(mid + away)
        gains = rules.price_down(mid - away) if side is Side.BUY else rules.price_up(mid - away)
        common = {"symbol": symbol, "side": side, "quantity": abs(held), "reduce_only": True, "type": kind}
        match kind:
            case OrderType.TAKE_PROFIT_MARKET:
                return Place(**common, trigger_price=gains)
            case OrderType.TRAILING_STOP_MARKET:
                return Place(**common, callback_rate=Decimal("0.1"))
            case OrderType.STOP:
                return Place(**common, trigger_price=loses, price=rules.price_up(loses * (1 + side.sign * Decimal("0.001"))))
            case _:
                return Place(**common, trigger_price=loses)
