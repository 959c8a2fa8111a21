"""Telling strategies what the market says: who hears a stream, and by which event.

Most of what the market says concerns nothing but the strategies that listen. Such a stream is told straight from its handler
(`coldframe.core.marketdata.handlers`): hook, strategies and the making of the event are bound when the first message comes, because
who implements a hook and trades a symbol does not change in a run. What something else follows from (mark prices, candles that
close, contracts, books) is published into the step instead, like everything that happens.
"""

from __future__ import annotations

from collections.abc import Callable
from operator import attrgetter
from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.events import HOOK_OF, candle_of, event_of, maker_of, symbol_of
from coldframe.core.marketdata.market import Market
from coldframe.core.state.engine_state import EngineState
from coldframe.core.strategies.runtime import StrategyRuntime, StrategyRuntimes
from coldframe.model.engine_events import StreamMessage
from coldframe.model.events import StrategyEvent
from coldframe.units import exact
from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.streams import Kline, MarketMessage, MarkPrice

#: Streams that concern nothing but strategies.
TOLD_AT_ONCE: Final = frozenset(
    {
        StreamKind.AGG_TRADE,
        StreamKind.TRADE,
        StreamKind.BOOK_TICKER,
        StreamKind.TICKER,
        StreamKind.MINI_TICKER,
        StreamKind.PARTIAL_DEPTH,
    }
)

#: The symbol that a message of these streams names.
_symbol: Final[Callable[[MarketMessage], str]] = attrgetter("symbol")
#: Calls a hook of a strategy with an event.
Call = Callable[[StrategyRuntime, str, StrategyEvent], None]


class MarketNews:
    """What strategies hear of the market. `call` calls a hook of one of them."""

    def __init__(self, state: EngineState, ctx: StepContext, runtimes: StrategyRuntimes, market: Market, call: Call) -> None:
        self._state = state
        self._ctx = ctx
        self._runtimes = runtimes
        self._market = market
        self._call = call

    def listeners(self, name: StreamName) -> Callable[[MarketMessage], None] | None:
        """What tells the strategies of messages of a stream at once; None where they have to be published."""
        if name.kind not in TOLD_AT_ONCE or name in self._market.unasked:
            return None
        return StreamListeners(self._ctx, name, self._runtimes, self._call).tell_message

    def tell_message(self, update: StreamMessage) -> None:
        """A message of any other stream has come."""
        message = update.message
        if isinstance(message, MarkPrice):
            self._state.prices.mark_price_told(message.symbol, exact(message.mark_price))
        elif isinstance(message, Kline) and message.bar.closed:
            self._market.candles.add(candle_of(message, self._ctx.now_ns))
        if update.name in self._market.unasked:
            return
        hook = HOOK_OF[update.name.kind]
        # An asset index is not traded: like a stream of the whole market it goes to every strategy that listens.
        if update.name.subject and update.name.kind is not StreamKind.ASSET_INDEX:
            runtimes = self._runtimes.of_symbol(hook, symbol_of(update.name, message))
        else:
            runtimes = self._runtimes.of_market(hook)
        if not runtimes:
            return  # an event that no strategy wants is never made
        event = event_of(update.name.kind, message, self._ctx.now_ns)
        for runtime in runtimes:
            if runtime.throttles is None or runtime.throttles.passes(hook, event, None, self._ctx):
                self._call(runtime, hook, event)


class StreamListeners:
    """The strategies that hear one stream of a symbol, and how its events are made."""

    def __init__(self, ctx: StepContext, name: StreamName, runtimes: StrategyRuntimes, call: Call) -> None:
        self._ctx = ctx
        self._name = name
        self._symbol = name.symbol
        self._hook = HOOK_OF[name.kind]
        self._runtimes = runtimes.of_symbol(self._hook, name.symbol)
        self._make = maker_of(name.kind)
        self._call = call

    def tell_message(self, message: MarketMessage) -> None:
        """Tells them of a message of the stream."""
        if _symbol(message) != self._symbol:
            self._ctx.publish(StreamMessage(self._name, message))  # it goes to the strategies of the symbol that it names
        elif self._runtimes:
            event, hook, ctx = self._make(message, self._ctx.now_ns), self._hook, self._ctx
            for runtime in self._runtimes:
                if runtime.throttles is None or runtime.throttles.passes(hook, event, None, ctx):
                    self._call(runtime, hook, event)
