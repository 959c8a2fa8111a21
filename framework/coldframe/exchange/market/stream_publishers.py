"""The streams of books and trades: each channel turns changes of public data into the payloads of one stream name."""

from __future__ import annotations

from collections.abc import Callable

from coldframe.exchange.market.public_market_data import DepthChange, PublicMarketData
from coldframe.exchange.market.public_trades import Aggregate, MarketTrade
from coldframe.units import scaled
from coldframe.wire.codec import encode
from coldframe.wire.names import StreamName
from coldframe.wire.streams import BookTicker, Bracket, DepthUpdate, Level, LiquidationOrder, Trade

Publish = Callable[[str, bytes], None]
#: What partial depth shows before any book is known.
_NO_LEVEL: Level = ("0", "0")


class Channel:
    """One open stream. A channel with a period speaks in `tick`, the others when something happens."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        self.name = name
        self.wire_name = str(name)
        self.period_ms = name.period_ms
        self.due_ms = 0
        self._publish = publish

    def emit(self, message: object) -> None:
        """Publishes one message, or a list of them."""
        self._publish(self.wire_name, encode(message))

    def joined(self, public_data: PublicMarketData) -> None:
        """Called once for each contract's public data that this channel watches, before anything else."""

    def tick(self, now_ms: int) -> None:
        """Called on whole multiples of the period."""

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None: ...

    def on_trade(self, public_data: PublicMarketData, trade: MarketTrade) -> None: ...

    def on_aggregate(self, public_data: PublicMarketData, aggregate: Aggregate) -> None: ...

    def on_liquidation(self, public_data: PublicMarketData, order: LiquidationOrder) -> None: ...

    def on_contract(self, public_data: PublicMarketData, brackets: list[Bracket] | None) -> None: ...


class DiffDepth(Channel):
    """`<symbol>@depth`: levels that changed since the last message; `rpiDepth` looks the same."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._bids: dict[str, str] = {}
        self._asks: dict[str, str] = {}
        self._first_id = 0
        self._previous_id = 0
        self._latest: DepthChange | None = None
        self._symbol = ""

    def joined(self, public_data: PublicMarketData) -> None:
        self._previous_id = public_data.streamed_id or public_data.book.last_id
        self._symbol = public_data.symbol

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None:
        if self._latest is None:
            self._first_id = change.first_id
        self._latest = change
        self._bids.update(change.bids)
        self._asks.update(change.asks)
        if not self.period_ms:
            self.tick(change.event_ms)

    def tick(self, now_ms: int) -> None:
        change = self._latest
        if change is None:
            return
        self.emit(
            DepthUpdate(
                event="depthUpdate",
                event_ms=max(change.event_ms, now_ms),
                traded_ms=change.traded_ms,
                symbol=self._symbol,
                pair=self._symbol,
                first_id=self._first_id,
                last_id=change.last_id,
                previous_id=self._previous_id,
                bids=sorted(self._bids.items(), key=_price, reverse=True),
                asks=sorted(self._asks.items(), key=_price),
                product=1,
            )
        )
        self._previous_id = change.last_id
        self._latest = None
        self._bids.clear()
        self._asks.clear()


def _price(level: Level) -> int:
    return scaled(level[0])


class PartialDepth(Channel):
    """`<symbol>@depth5|10|20`: the best levels, whenever the book has changed."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._public_data: PublicMarketData | None = None
        self._first_id = 0
        self._previous_id = 0
        self._dirty = False

    def joined(self, public_data: PublicMarketData) -> None:
        self._public_data = public_data
        self._previous_id = self._first_id = public_data.book.last_id
        self._dirty = public_data.book.known

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None:
        if not self._dirty:
            self._first_id = change.first_id
        self._dirty = True
        if not self.period_ms:
            self.tick(change.event_ms)

    def tick(self, now_ms: int) -> None:
        public_data = self._public_data
        if public_data is None or not self._dirty or not public_data.book.known:
            return
        self.emit(
            DepthUpdate(
                event="depthUpdate",
                event_ms=max(public_data.book.event_ms, now_ms),
                traded_ms=public_data.book.traded_ms,
                symbol=public_data.symbol,
                pair=public_data.symbol,
                first_id=self._first_id,
                last_id=public_data.book.last_id,
                previous_id=self._previous_id,
                bids=public_data.book.bids.top(self.name.levels),
                asks=public_data.book.asks.top(self.name.levels),
                product=1,
            )
        )
        self._previous_id = public_data.book.last_id
        self._dirty = False


class BestPrices(Channel):
    """`<symbol>@bookTicker` at once, `!bookTicker` every five seconds: both best levels, when one of them changed."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._all_public_data: list[PublicMarketData] = []
        self._said: dict[str, tuple[Level | None, Level | None]] = {}

    def joined(self, public_data: PublicMarketData) -> None:
        self._all_public_data.append(public_data)

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None:
        if not self.period_ms:
            self._emit_best(public_data, change.event_ms)

    def tick(self, now_ms: int) -> None:
        for public_data in self._all_public_data:
            self._emit_best(public_data, now_ms)

    def _emit_best(self, public_data: PublicMarketData, event_ms: int) -> None:
        bid, ask = best = public_data.book.best()
        if not public_data.book.known or self._said.get(public_data.symbol) == best:
            return
        self._said[public_data.symbol] = best
        bid, ask = bid or _NO_LEVEL, ask or _NO_LEVEL
        self.emit(
            BookTicker(
                event="bookTicker",
                update_id=public_data.book.last_id,
                event_ms=max(event_ms, public_data.book.event_ms),
                traded_ms=public_data.book.traded_ms,
                symbol=public_data.symbol,
                pair=public_data.symbol,
                bid=bid[0],
                bid_quantity=bid[1],
                ask=ask[0],
                ask_quantity=ask[1],
                product=1,
            )
        )


class Trades(Channel):
    """`<symbol>@trade`: every single trade."""

    def on_trade(self, public_data: PublicMarketData, trade: MarketTrade) -> None:
        self.emit(
            Trade(
                event="trade",
                event_ms=trade.at_ms,
                trade_ms=trade.at_ms,
                symbol=public_data.symbol,
                trade_id=trade.trade_id,
                price=trade.price_text,
                quantity=trade.quantity_text,
                origin="MARKET",
                buyer_is_maker=trade.buyer_is_maker,
                product=1,
            )
        )


class AggTrades(Channel):
    """`<symbol>@aggTrade`: trades of one price and side within 100 ms, as one."""

    def on_aggregate(self, public_data: PublicMarketData, aggregate: Aggregate) -> None:
        self.emit(aggregate.message(public_data.symbol, max(public_data.now_ms, aggregate.at_ms)))
