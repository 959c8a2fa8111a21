"""A market that comes from outside: its payloads go on word for word, its books and trades meet the accounts' orders.

Recording and mirror share this. The book is complete once a snapshot has been seen; what came before is kept and applied behind it
(protocol.md 5.1). Own orders never show in the published market.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from random import Random
from typing import Final

import msgspec
import trio

from coldframe.units import exact, scaled
from coldframe.venue.contracts import Contract
from coldframe.venue.market.board import Board, DepthChange
from coldframe.venue.market.floor import Execution, Floor, UpdateIds
from coldframe.venue.market.prints import Aggregate, Print
from coldframe.venue.market.streams import Streams
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.reference import Depth
from coldframe.wire.streams import AggTrade, DepthUpdate, Level, MarkPrice, Trade

#: Updates kept of a book whose snapshot has not come yet.
_MOST_PENDING: Final = 5000
_UPDATE: Final = msgspec.json.Decoder(DepthUpdate)
_TRADE: Final = msgspec.json.Decoder(Trade)
_AGGREGATE: Final = msgspec.json.Decoder(AggTrade)
_MARK: Final = msgspec.json.Decoder(MarkPrice)
_MARKS: Final = msgspec.json.Decoder(list[MarkPrice])
_SNAPSHOT: Final = msgspec.json.Decoder(Depth)

#: Takes trades that concern accounts: symbol and executions.
Settle = Callable[[str, list[Execution]], None]


class _Sync:
    """The book of one contract on its way to being complete."""

    def __init__(self) -> None:
        self.pending: list[DepthUpdate] = []
        self.known = trio.Event()


class OutsideMarket:
    """Floors that follow payloads. `bind` must be called before the first payload."""

    def __init__(self, contracts: Iterable[Contract], funding_interval_ms: int, start_ms: int) -> None:
        self.floors: dict[str, Floor] = {}
        self._syncs: dict[str, _Sync] = {}
        ids = UpdateIds(start_ms * 1000, Random(0))
        for contract in contracts:
            board = Board(contract, funding_interval_ms, start_ms)
            self.floors[contract.symbol] = Floor(board, ids, start_ms, shows_orders=False)
            self._syncs[contract.symbol] = _Sync()
        #: For each contract the streams that its book and its trades are taken from; None takes the first that comes.
        self._book_stream: dict[str, str | None] = dict.fromkeys(self.floors)
        self._trade_stream: dict[str, str | None] = dict.fromkeys(self.floors)
        self._streams: Streams | None = None
        self._settle: Settle | None = None

    def bind(self, streams: Streams, settle: Settle) -> None:
        """Connects the market with the venue's streams and its clearing."""
        self._streams, self._settle = streams, settle

    async def wait_book(self, symbol: str) -> None:
        """Returns when the book of a symbol is complete."""
        sync = self._syncs.get(symbol)
        if sync is None:
            await trio.lowlevel.checkpoint()
        else:
            await sync.known.wait()

    # -- payloads -----------------------------------------------------------------------------------------------------

    def take_payload(self, name_text: str, payload: bytes) -> None:
        """Passes one payload on and lets the floors follow it. Raises `msgspec.MsgspecError` for one of the wrong shape."""
        assert self._streams is not None
        self._streams.relay(name_text, payload)
        try:
            name = parse(name_text)
        except ValueError:
            return
        match name.kind:
            case StreamKind.DIFF_DEPTH if self._is_source(self._book_stream, name):
                self._take_update(name.symbol, _UPDATE.decode(payload))
            case StreamKind.TRADE if self._is_source(self._trade_stream, name):
                self._take_trade(name.symbol, _TRADE.decode(payload))
            case StreamKind.AGG_TRADE if self._is_source(self._trade_stream, name):
                self._take_aggregate(name.symbol, _AGGREGATE.decode(payload))
            case StreamKind.MARK_PRICE:
                self._take_marks(_MARKS.decode(payload) if payload[:1] == b"[" else [_MARK.decode(payload)])

    def take_snapshot(self, symbol: str, body: bytes) -> None:
        """Takes a whole book. Raises `msgspec.MsgspecError` for a body of the wrong shape."""
        floor, snapshot = self.floors.get(symbol), _SNAPSHOT.decode(body)
        if floor is None:
            return
        sync, book = self._syncs[symbol], floor.board.book
        if book.known and snapshot.last_update_id < book.last_id:
            return
        book.replace(snapshot.bids, snapshot.asks)
        book.stamp(snapshot.last_update_id, _ms(snapshot.event_ms), _ms(snapshot.traded_ms))
        met = floor.market_book(_scaled(snapshot.bids), _scaled(snapshot.asks))
        for update in sync.pending:
            if update.last_id > book.last_id:
                book.apply(update.bids, update.asks)
                book.stamp(update.last_id, update.event_ms, update.traded_ms)
                met += floor.market_levels(_scaled(update.bids).items(), _scaled(update.asks).items())
        sync.pending.clear()
        sync.known.set()
        middle = book.middle()
        if not floor.board.prices.known and middle:
            floor.board.prices.begin(middle)
        self._settled(symbol, met)

    def _is_source(self, sources: dict[str, str | None], name: StreamName) -> bool:
        """Whether a stream is the one that this contract follows; the first that comes is, unless it was decided before."""
        if name.symbol not in sources:
            return False
        if sources[name.symbol] is None:
            sources[name.symbol] = str(name)
        return sources[name.symbol] == str(name)

    def _take_update(self, symbol: str, update: DepthUpdate) -> None:
        floor, sync = self.floors[symbol], self._syncs[symbol]
        board = floor.board
        change = DepthChange(update.first_id, update.last_id, update.event_ms, update.traded_ms, update.bids, update.asks)
        if not board.book.known:
            sync.pending = [*sync.pending[-_MOST_PENDING:], update]
            board.depth_passed(change)
        elif update.last_id <= board.book.last_id:
            board.depth_passed(change)
        else:
            board.depth_changed(change)
            self._settled(symbol, floor.market_levels(_scaled(update.bids).items(), _scaled(update.asks).items()))

    def _take_trade(self, symbol: str, trade: Trade) -> None:
        made = Print(
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
        made = Print(
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

    def _traded(self, symbol: str, made: Print, whole: Aggregate | None) -> None:
        floor = self.floors[symbol]
        # Trades of size zero occur on the wire (insurance fund entries); nobody was met by them.
        if made.quantity:
            floor.board.traded(made, whole)
            self._settled(symbol, floor.market_trade(made))

    def _take_marks(self, marks: list[MarkPrice]) -> None:
        for one in marks:
            floor = self.floors.get(one.symbol)
            if floor is not None:
                floor.board.adopts_prices = True
                floor.board.prices.adopt(exact(one.mark_price), exact(one.index_price), exact(one.funding_rate or "0"))

    def _settled(self, symbol: str, executions: list[Execution]) -> None:
        if executions and self._settle is not None:
            self._settle(symbol, executions)


def _scaled(levels: Iterable[Level]) -> dict[int, int]:
    return {scaled(price): scaled(quantity) for price, quantity in levels}


def _ms(value: object) -> int:
    return value if isinstance(value, int) else 0


def begin_at(floor: Floor, price: Decimal | None) -> None:
    """Gives a floor a mark price before its book is known."""
    if price is not None:
        floor.board.prices.begin(scaled(format(price, "f")))
