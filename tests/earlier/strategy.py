# mypy: ignore-errors
"""A strategy as it was written for version 0.1, in that version's words: it must work unchanged."""

from collections import Counter

from coldframe import Cancel, OrderState, Place, Side, hookimpl

ALIVE = {OrderState.SENT, OrderState.OPEN, OrderState.PARTIAL}
DONE = {"FILLED", "CANCELED", "EXPIRED", "REJECTED", "DENIED"}
WORKING = {"PREPARED", "SENT", "OPEN", "PARTIAL"}
NEWS = {"OPEN": "rests", "PARTIAL": "trades", "FILLED": "done"}


class Strategy:
    """One bid, cancelled and placed again when the price leaves it."""

    def __init__(self):
        self.news, self.counted = [], Counter()

    @hookimpl
    def on_book(self, event, view):
        bid = view.book(event.symbol).best_bid
        if bid is None or not view.trading_allowed(event.symbol):
            return None
        mine = [order for order in view.orders(event.symbol) if order.state in WORKING and order.state not in DONE]
        if not mine:
            return Place(symbol=event.symbol, side=Side.BUY, quantity=view.instrument(event.symbol).step, price=bid)
        stale = [order for order in mine if order.state in ("OPEN", "PARTIAL") and order.price < bid]
        return [Cancel(order.client_order_id) for order in stale]

    @hookimpl
    def on_order(self, event):
        if event.state == OrderState.OPEN or event.state == "PARTIAL" or event.state in ALIVE:
            self.counted["alive"] += 1
        if event.state != "OPEN" and event.state in DONE:
            self.counted["done"] += 1
        match event.state:
            case "OPEN" | "PARTIAL":
                self.counted["resting"] += 1
            case OrderState.SENT:
                self.counted["sent"] += 1
        self.news.append(NEWS.get(event.state, OrderState[event.state.value].value))
