"""What every link needs of the venue: the exchange, its market, the time, and the faults that are meant to happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import attrs

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultDecision, FaultPlan
from coldframe.exchange.market.subscriptions import Subscriptions
from coldframe.exchange.market.symbol_market import Execution
from coldframe.exchange.market_source import MarketSource


@attrs.define(eq=False)
class Context:
    """The venue as its links see it."""

    settings: Settings
    exchange: Exchange
    source: MarketSource
    now_ms: Callable[[], int]
    faults: FaultPlan
    #: Takes a sentence for the operator's log.
    notice: Callable[[str], None] = lambda text: None
    #: Listeners under listen keys.
    private: Subscriptions = attrs.field(factory=lambda: Subscriptions(_ignore, _ignore))

    def turn(self) -> int:
        """Brings everything up to the present and hands out what that brought about. Gives the time."""
        now_ms = self.now_ms()
        self.source.advance(now_ms)
        self.exchange.advance(now_ms)
        for text in self.exchange.take_notices():
            self.notice(text)
        if self.source.follows_clock:
            self.exchange.streams.tick(now_ms)
        self.deliver()
        return now_ms

    def settle(self, symbol: str, executions: list[Execution]) -> None:
        """Clears trades in which the market met resting orders, and tells the accounts at once."""
        self.exchange.clearing.settle(symbol, executions, self.now_ms())
        self.exchange.ledger.commit()
        self.deliver()

    def deliver(self) -> None:
        """Hands private events to whoever listens."""
        for event in self.faults.passing(self.exchange.take_private(), self.now_ms()):
            self.private.publish(event.listen_key, event.payload, event.kind)

    def course(self, call: str, params: Mapping[str, Any]) -> FaultDecision:
        """Which course a request takes that has just come in."""
        now_ms = self.now_ms()
        if self.faults.blocks():
            settings = self.faults.settings
            status = 418 if settings.blocked_is_ban else 429
            self.exchange.counters.block(status, now_ms + settings.blocked_for_s * 1000)
        return self.faults.course(call, params, now_ms)


def _ignore(name: str) -> None:
    """Private streams exist without anybody making them."""
