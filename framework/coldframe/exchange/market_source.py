"""Where the market comes from: a plain object that is told the time, and says when it next has something to do."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from coldframe.errors import ConfigError
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.symbol_market import SymbolMarket, TradeExecution

#: Takes trades that concern accounts: symbol and executions.
Settle = Callable[[str, list[TradeExecution]], None]


class MarketSource(Protocol):
    """A market of contracts. Times are epoch milliseconds of the venue's clock."""

    #: Whether its streams run on the venue's clock, rather than on a recording's.
    follows_clock: bool
    markets: dict[str, SymbolMarket]

    @property
    def ended(self) -> bool:
        """Whether the market has come to its end, as a recording does."""

    @property
    def fault(self) -> ConfigError | None:
        """Why it cannot go on; a venue on it has to end with this error."""

    def bind(self, streams: Streams, settle: Settle) -> None:
        """Connects the market with the venue's streams and its clearing, once, before the first `advance`."""

    def advance(self, now_ms: int) -> None:
        """Brings the market up to the venue's time. It may be called more often than `next_due_ms` asks for."""

    def next_due_ms(self) -> int | None:
        """When `advance` has something to do; a time that has passed means at once, and None when only others move it.

        A market that waits for its readers says None too: the server lets them read, and calls `advance` then.
        """

    def introduce(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """The market of a contract that has not been listed so far; None when the market knows none of that name."""

    def when_complete(self, symbol: str, then: Callable[[], None]) -> None:
        """Calls `then` once when the book of a symbol is complete: now, if it is complete already or the symbol is not listed."""

    def listened_to(self, name: str) -> None:
        """A client has subscribed to the stream `name`."""
