"""The streams of books and trades: each channel turns what happens on boards into the payloads of one stream name."""

from __future__ import annotations

from collections.abc import Callable

from coldframe.exchange.market.public_market_data import DepthChange, PublicMarketData
from coldframe.exchange.market.public_trades import Aggregate, Print
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

    def joined(self, board: PublicMarketData) -> None:
        """Called once for each board that this channel watches, before anything else."""

    def tick(self, now_ms: int) -> None:
        """Called on whole multiples of the period."""

    def on_depth(self, board: PublicMarketData, change: DepthChange) -> None: ...

    def on_trade(self, board: PublicMarketData, trade: Print) -> None: ...

    def on_aggregate(self, board: PublicMarketData, aggregate: Aggregate) -> None: ...

    def on_liquidation(self, board: PublicMarketData, order: LiquidationOrder) -> None: ...

    def on_contract(self, board: PublicMarketData, brackets: list[Bracket] | None) -> None: ...


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

    def joined(self, board: PublicMarketData) -> None:
        self._previous_id = board.streamed_id or board.book.last_id
        self._symbol = board.symbol

    def on_depth(self, board: PublicMarketData, change: DepthChange) -> None:
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
        self._board: PublicMarketData | None = None
        self._first_id = 0
        self._previous_id = 0
        self._dirty = False

    def joined(self, board: PublicMarketData) -> None:
        self._board = board
        self._previous_id = self._first_id = board.book.last_id
        self._dirty = board.book.known

    def on_depth(self, board: PublicMarketData, change: DepthChange) -> None:
        if not self._dirty:
            self._first_id = change.first_id
        self._dirty = True
        if not self.period_ms:
            self.tick(change.event_ms)

    def tick(self, now_ms: int) -> None:
        board = self._board
        if board is None or not self._dirty or not board.book.known:
            return
        self.emit(
            DepthUpdate(
                event="depthUpdate",
                event_ms=max(board.book.event_ms, now_ms),
                traded_ms=board.book.traded_ms,
                symbol=board.symbol,
                pair=board.symbol,
                first_id=self._first_id,
                last_id=board.book.last_id,
                previous_id=self._previous_id,
                bids=board.book.bids.top(self.name.levels),
                asks=board.book.asks.top(self.name.levels),
                product=1,
            )
        )
        self._previous_id = board.book.last_id
        self._dirty = False


class BestPrices(Channel):
    """`<symbol>@bookTicker` at once, `!bookTicker` every five seconds: both best levels, when one of them changed."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._boards: list[PublicMarketData] = []
        self._said: dict[str, tuple[Level | None, Level | None]] = {}

    def joined(self, board: PublicMarketData) -> None:
        self._boards.append(board)

    def on_depth(self, board: PublicMarketData, change: DepthChange) -> None:
        if not self.period_ms:
            self._say(board, change.event_ms)

    def tick(self, now_ms: int) -> None:
        for board in self._boards:
            self._say(board, now_ms)

    def _say(self, board: PublicMarketData, event_ms: int) -> None:
        bid, ask = best = board.book.best()
        if not board.book.known or self._said.get(board.symbol) == best:
            return
        self._said[board.symbol] = best
        bid, ask = bid or _NO_LEVEL, ask or _NO_LEVEL
        self.emit(
            BookTicker(
                event="bookTicker",
                update_id=board.book.last_id,
                event_ms=max(event_ms, board.book.event_ms),
                traded_ms=board.book.traded_ms,
                symbol=board.symbol,
                pair=board.symbol,
                bid=bid[0],
                bid_quantity=bid[1],
                ask=ask[0],
                ask_quantity=ask[1],
                product=1,
            )
        )


class Trades(Channel):
    """`<symbol>@trade`: every single print."""

    def on_trade(self, board: PublicMarketData, trade: Print) -> None:
        self.emit(
            Trade(
                event="trade",
                event_ms=trade.at_ms,
                trade_ms=trade.at_ms,
                symbol=board.symbol,
                trade_id=trade.trade_id,
                price=trade.price_text,
                quantity=trade.quantity_text,
                origin="MARKET",
                buyer_is_maker=trade.buyer_is_maker,
                product=1,
            )
        )


class AggTrades(Channel):
    """`<symbol>@aggTrade`: prints of one price and side within 100 ms, as one."""

    def on_aggregate(self, board: PublicMarketData, aggregate: Aggregate) -> None:
        self.emit(aggregate.message(board.symbol, max(board.now_ms, aggregate.at_ms)))
