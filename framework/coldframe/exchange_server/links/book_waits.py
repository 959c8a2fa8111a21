"""What requests wait for: time, and books that a recording or a mirror may not have shown yet."""

from __future__ import annotations

from typing import assert_never

import trio

from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.request_handling import Wait, WaitForBook


class BookWaits:
    """One event for each contract whose book was waited for."""

    def __init__(self, source: MarketSource) -> None:
        self._source = source
        self._complete: dict[str, trio.Event] = {}

    async def pass_time(self, step: Wait | WaitForBook) -> None:
        """Returns when what the step waits for has come."""
        match step:
            case Wait(ms):
                await trio.sleep(ms / 1000)
            case WaitForBook(symbol, at_most_ms):
                with trio.move_on_after(at_most_ms / 1000):
                    await self._of(symbol).wait()
            case unknown:
                assert_never(unknown)

    def _of(self, symbol: str) -> trio.Event:
        complete = self._complete.get(symbol)
        if complete is None:
            complete = self._complete[symbol] = trio.Event()
            self._source.when_complete(symbol, complete.set)
        return complete
