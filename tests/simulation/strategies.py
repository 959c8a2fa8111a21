"""A strategy that does what a test says, and remembers what it is told."""

from __future__ import annotations

from collections.abc import Callable

from coldframe import Intent, hookimpl
from coldframe.model.events import StrategyEvent
from coldframe.model.view import View


class Puppet:
    """Returns what a test has asked for at the next event of its market, and keeps every event of its own orders.

    A test puts intents into `wanted` (or sets `act`, which is asked at every book event).
    """

    def __init__(self) -> None:
        self.wanted: list[Intent] = []
        self.events: list[StrategyEvent] = []
        self.act: Callable[[View], list[Intent]] = lambda view: []
        #: Whether it waits until new risk is allowed.
        self.patient = True

    @hookimpl
    def on_book(self, event: StrategyEvent, view: View) -> list[Intent]:
        if self.patient and not all(view.trading_allowed(symbol) for symbol in view.symbols):
            return []
        wanted, self.wanted = self.wanted, []
        return [*wanted, *self.act(view)]

    @hookimpl
    def on_order(self, event: StrategyEvent) -> None:
        self.events.append(event)

    @hookimpl
    def on_fill(self, event: StrategyEvent) -> None:
        self.events.append(event)
