"""Calls that wait for a book: a recording or a mirror may not have shown it yet."""

from __future__ import annotations

from typing import Final

import trio

from coldframe.exchange.market_source import MarketSource

#: How long a call waits, in seconds.
BOOK_WAIT_S: Final = 10


class BookWaits:
    """One event for each contract whose book was waited for."""

    def __init__(self, source: MarketSource) -> None:
        self._source = source
        self._complete: dict[str, trio.Event] = {}

    async def wait(self, symbol: str) -> None:
        """Returns when the book of a symbol is complete, or after `BOOK_WAIT_S`; at once for a symbol that is not listed."""
        if symbol not in self._source.markets:
            return
        complete = self._complete.get(symbol)
        if complete is None:
            complete = self._complete[symbol] = trio.Event()
            self._source.when_complete(symbol, complete.set)
        with trio.move_on_after(BOOK_WAIT_S):
            await complete.wait()
