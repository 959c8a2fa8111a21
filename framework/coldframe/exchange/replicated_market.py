"""A market that comes from outside: its payloads go on word for word, its books and trades meet the accounts' orders.

A recording and a mirror share this. The book is complete once a snapshot has been seen; what came before is kept and applied
behind it (protocol.md 5.1). Own orders never show in the published market.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

from coldframe.errors import DecodeError
from coldframe.exchange.contracts import Contract
from coldframe.exchange.market.public_market_data import DepthChange, PublicMarketData
from coldframe.exchange.market.public_trades import Aggregate, MarketTrade
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.symbol_market import SymbolMarket, TradeExecution, UpdateIds
from coldframe.exchange.market_source import Settle
from coldframe.exchange.matching import QueueModel
from coldframe.units import check_scalable, exact, scaled
from coldframe.wire.codec import Census, decode, decode_stream
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.reference import Depth
from coldframe.wire.streams import AggTrade, DepthUpdate, Level, MarkPrice, Trade

#: Updates kept of a book whose snapshot has not come yet.
_MOST_PENDING: Final = 5000


class _Sync:
    """The book of one contract on its way to being complete."""

    def __init__(self) -> None:
        self.pending: deque[DepthUpdate] = deque(maxlen=_MOST_PENDING)
        self.waiting: list[Callable[[], None]] = []


class ReplicatedMarket:
    """Markets of contracts that follow payloads. `bind` must be called before the first payload."""

    def __init__(
        self,
        contracts: Iterable[Contract],
        funding_interval_ms: int,
        start_ms: int,
        queue_model: QueueModel = QueueModel.BEHIND,
    ) -> None:
        self.markets: dict[str, SymbolMarket] = {}
        self._syncs: dict[str, _Sync] = {}
        ids = UpdateIds(start_ms * 1000)
        for contract in contracts:
            public_data = PublicMarketData(contract, funding_interval_ms, start_ms)
            self.markets[contract.symbol] = SymbolMarket(public_data, ids, start_ms, shows_orders=False, queue_model=queue_model)
            self._syncs[contract.symbol] = _Sync()
        #: For each contract the streams that its book and its trades are taken from; None takes the first that comes.
        self._book_stream: dict[str, str | None] = dict.fromkeys(self.markets)
        self._trade_stream: dict[str, str | None] = dict.fromkeys(self.markets)
        self._streams: Streams | None = None
        self._settle: Settle | None = None
        self._census = Census()

    def bind(self, streams: Streams, settle: Settle) -> None:
        """Connects the market with the venue's streams and its clearing."""
        self._streams, self._settle = streams, settle

    def introduce(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """None: a recording or a mirror lists what it has from the beginning."""
        return None

    def when_complete(self, symbol: str, then: Callable[[], None]) -> None:
        """Calls `then` once when the book of a symbol is complete: now, if it is complete already or the symbol is not listed."""
        market = self.markets.get(symbol)
        if market is None or market.public_data.book.known:
            then()
        else:
            self._syncs[symbol].waiting.append(then)

    # -- payloads -----------------------------------------------------------------------------------------------------

    def take_payload(self, name_text: str, payload: bytes) -> None:
        """Passes one payload on and lets the markets follow it. Raises `DecodeError` for one that is not of its stream."""
        assert self._streams is not None
        self._streams.relay(name_text, payload)
        try:
            name = parse(name_text)
        except ValueError:
            return
        if not self._follows(name):
            return
        for message in decode_stream(name, payload, self._census):
            match message:
                case DepthUpdate():
                    self._take_update(name.symbol, message)
                case Trade():
                    _check_numbers(payload, message.price, message.quantity)
                    self._take_trade(name.symbol, message)
                case AggTrade():
                    _check_numbers(payload, message.price, message.quantity)
                    self._take_aggregate(name.symbol, message)
                case MarkPrice():
                    _check_numbers(payload, message.mark_price, message.index_price)
                    self._take_mark(message)
                case _:
                    pass  # `_follows` lets no other message through

    def _follows(self, name: StreamName) -> bool:
        """Whether a contract's market has to follow this stream."""
        match name.kind:
            case StreamKind.DIFF_DEPTH:
                return self._is_source(self._book_stream, name)
            case StreamKind.TRADE | StreamKind.AGG_TRADE:
                return self._is_source(self._trade_stream, name)
            case StreamKind.MARK_PRICE:
                return True
            case _:  # relayed, and no part of the market here
                return False

    def take_snapshot(self, symbol: str, body: bytes) -> None:
        """Takes a whole book. Raises `DecodeError` for a malformed body."""
        market, snapshot = self.markets.get(symbol), decode(Depth, body, self._census)
        if market is None:
            return
        sync, book = self._syncs[symbol], market.public_data.book
        if book.known and snapshot.last_update_id < book.last_id:
            return
        book.replace(snapshot.bids, snapshot.asks)
        book.stamp(snapshot.last_update_id, _ms(snapshot.event_ms), _ms(snapshot.traded_ms))
        met = market.market_book(_scaled(snapshot.bids), _scaled(snapshot.asks))
        for update in sync.pending:
            if update.last_id > book.last_id:
                book.apply(update.bids, update.asks)
                book.stamp(update.last_id, update.event_ms, update.traded_ms)
                met += market.market_levels(_scaled(update.bids).items(), _scaled(update.asks).items())
        sync.pending.clear()
        middle = book.middle()
        if not market.public_data.prices.known and middle:
            market.public_data.prices.begin(middle)
        self._settled(symbol, met)
        waiting, sync.waiting = sync.waiting, []
        for then in waiting:
            then()

    def _is_source(self, sources: dict[str, str | None], name: StreamName) -> bool:
        """Whether a stream is the one that this contract follows; the first that comes is, unless it was decided before."""
        if name.symbol not in sources:
            return False
        if sources[name.symbol] is None:
            sources[name.symbol] = str(name)
        return sources[name.symbol] == str(name)

    def _take_update(self, symbol: str, update: DepthUpdate) -> None:
        market, sync = self.markets[symbol], self._syncs[symbol]
        public_data = market.public_data
        change = DepthChange(update.first_id, update.last_id, update.event_ms, update.traded_ms, update.bids, update.asks)
        if not public_data.book.known:
            sync.pending.append(update)
            public_data.depth_passed(change)
        elif update.last_id <= public_data.book.last_id:
            public_data.depth_passed(change)
        else:
            public_data.depth_changed(change)
            self._settled(symbol, market.market_levels(_scaled(update.bids).items(), _scaled(update.asks).items()))

    def _take_trade(self, symbol: str, trade: Trade) -> None:
        made = MarketTrade(
            trade.trade_id,
            scaled(trade.price),
            scaled(trade.quantity),
            trade.price,
            trade.quantity,
            trade.trade_ms,
            trade.buyer_is_maker,
        )
        self._traded(symbol, made, None)

    def _take_aggregate(self, symbol: str, trade: AggTrade) -> None:
        made = MarketTrade(
            trade.last_id,
            scaled(trade.price),
            scaled(trade.quantity),
            trade.price,
            trade.quantity,
            trade.trade_ms,
            trade.buyer_is_maker,
        )
        whole = Aggregate(
            trade.trade_id,
            trade.price,
            trade.quantity,
            trade.first_id,
            trade.last_id,
            trade.trade_ms,
            trade.buyer_is_maker,
        )
        self._traded(symbol, made, whole)

    def _traded(self, symbol: str, made: MarketTrade, whole: Aggregate | None) -> None:
        market = self.markets[symbol]
        # Trades of size zero occur on the wire (insurance fund entries); no order was met by them.
        if made.quantity:
            market.public_data.traded(made, whole)
            self._settled(symbol, market.market_trade(made))

    def _take_mark(self, mark: MarkPrice) -> None:
        market = self.markets.get(mark.symbol)
        if market is not None:
            market.public_data.adopts_prices = True
            market.public_data.prices.adopt(exact(mark.mark_price), exact(mark.index_price), exact(mark.funding_rate or "0"))

    def _settled(self, symbol: str, executions: list[TradeExecution]) -> None:
        if executions and self._settle is not None:
            self._settle(symbol, executions)


def _check_numbers(payload: bytes, *numbers: str) -> None:
    """Raises `DecodeError` for a price or quantity that no book could hold."""
    try:
        check_scalable(numbers)
    except ValueError as error:
        raise DecodeError(str(error), payload) from None


def _scaled(levels: Iterable[Level]) -> dict[int, int]:
    return {scaled(price): scaled(quantity) for price, quantity in levels}


def _ms(value: object) -> int:
    return value if isinstance(value, int) else 0


def begin_at(market: SymbolMarket, price: Decimal | None) -> None:
    """Gives a market a mark price before its book is known."""
    if price is not None:
        market.public_data.prices.begin(scaled(format(price, "f")))
