"""What every link needs of the venue: the exchange, the time, and a turn of the wheel before and after each request."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import attrs
import trio

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultDecision, FaultPlan
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.subscriptions import Subscriptions
from coldframe.exchange.market.symbol_market import Execution, SymbolMarket

#: How long a call may wait for a book that a recording has not shown yet, in seconds.
BOOK_WAIT_S = 10


class Source(Protocol):
    """Where the market comes from."""

    #: Whether its streams run on the venue's clock, rather than on a recording's.
    follows_clock: bool
    floors: dict[str, SymbolMarket]

    def bind(self, streams: Streams, settle: Callable[[str, list[Execution]], None]) -> None:
        """Connects the market with the venue's streams and its clearing, once."""

    def advance(self, now_ms: int) -> None:
        """Brings the market up to the venue's time."""

    def introduce(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """The floor of a contract that has not been listed so far; None when the market knows none of that name."""

    async def run(self) -> None:
        """Whatever the market does beside `advance`, until it is cancelled."""

    async def wait_book(self, symbol: str) -> None:
        """Returns when the book of a symbol is complete; at once for one that is not listed."""

    def listened_to(self, name: str) -> None:
        """Somebody has subscribed to the stream `name`."""


@attrs.define(eq=False)
class Context:
    """The venue as its links see it."""

    settings: Settings
    exchange: Exchange
    source: Source
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

    async def wait_book(self, symbol: str) -> None:
        """Waits for a book, within bounds."""
        with trio.move_on_after(BOOK_WAIT_S):
            await self.source.wait_book(symbol)


def _ignore(name: str) -> None:
    """Private streams exist without anybody making them."""
