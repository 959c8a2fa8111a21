"""One contract's public state: book, trades, candles, reference prices; its watcher is told of each change."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final, Protocol

import attrs

from coldframe.enums import ContractStatus
from coldframe.exchange.contracts import Contract, to_scaled
from coldframe.exchange.market.candles import Candles
from coldframe.exchange.market.prices import ReferencePrices
from coldframe.exchange.market.public_book import PublicBook
from coldframe.exchange.market.public_trades import Aggregate, MarketTrade, TradeLog
from coldframe.units import scaled
from coldframe.wire.streams import Bracket, Level, LiquidationOrder

_NO_RATE: Final = Decimal("0.00000000")


@attrs.frozen
class DepthChange:
    """Levels that changed, as the market prints them, and the update ids that this covers."""

    first_id: int
    last_id: int
    event_ms: int
    traded_ms: int
    bids: Sequence[Level]
    asks: Sequence[Level]


class Watcher(Protocol):
    """A receiver of every change of one contract's public data."""

    def on_depth(self, public_data: PublicMarketData, change: DepthChange) -> None: ...

    def on_trade(self, public_data: PublicMarketData, trade: MarketTrade) -> None: ...

    def on_aggregate(self, public_data: PublicMarketData, aggregate: Aggregate) -> None: ...

    def on_liquidation(self, public_data: PublicMarketData, order: LiquidationOrder) -> None: ...

    def on_contract(self, public_data: PublicMarketData, brackets: list[Bracket] | None) -> None: ...


@attrs.frozen
class Component:
    """One asset of a composite index: its share of the index, and its price when the index stood at `index_at`."""

    base: str
    share: Decimal
    price: Decimal
    index_at: Decimal


class PublicMarketData:
    """The public state of one contract. `now_ms` is the market's time of the latest thing that happened here."""

    def __init__(self, contract: Contract, funding_interval_ms: int, first_aggregate_id: int) -> None:
        self.contract = contract
        self.book = PublicBook()
        self.trades = TradeLog(contract.quantity_digits, first_aggregate_id)
        self.candles = Candles()
        #: Candles of the premium of the mark over the index price, one value a second.
        self.premiums = Candles()
        self.prices = ReferencePrices(funding_interval_ms)
        self.components: tuple[Component, ...] = ()
        self.now_ms = 0
        #: The market's own idea of what the contract is worth; None where the middle of the book has to do.
        self.fair: Decimal | None = None
        #: Whether the market prints mark prices itself, so that the venue must not.
        self.adopts_prices = False
        #: Last update id that went by on the depth streams; a snapshot may be ahead of it.
        self.streamed_id = 0
        self.watchers: list[Watcher] = []

    @property
    def symbol(self) -> str:
        return self.contract.symbol

    @property
    def last_price(self) -> int:
        """The last traded price, or else the mark price; scaled, 0 while neither is known."""
        last = self.trades.last
        return last.price if last else scaled(format(self.prices.mark, "f"))

    def coming_funding(self, now_ms: int) -> tuple[Decimal, int]:
        """Rate and time of the next funding; noughts when none is scheduled: before a contract trades, and once it has ended."""
        if self.contract.ended or self.contract.info.status is ContractStatus.PENDING_TRADING:
            return _NO_RATE, 0
        return self.prices.funding_rate, self.prices.next_funding_ms(now_ms)

    def depth_changed(self, change: DepthChange) -> None:
        """Takes a change of the book that the book has not seen yet, and passes it on."""
        self.book.apply(change.bids, change.asks)
        self.book.stamp(change.last_id, change.event_ms, change.traded_ms)
        self.depth_passed(change)

    def depth_passed(self, change: DepthChange) -> None:
        """Passes a change on that the book already contains, or does not want."""
        self.now_ms = change.event_ms
        for watcher in self.watchers:
            watcher.on_depth(self, change)
        self.streamed_id = change.last_id

    def traded(self, trade: MarketTrade, whole: Aggregate | None = None) -> None:
        """Takes a public trade, and its aggregate from a market that aggregates by itself."""
        self.now_ms = max(self.now_ms, trade.at_ms)
        closed = self.trades.add(trade, whole)
        self.candles.trade(trade.trade_id, trade.at_ms, trade.price, trade.quantity, taker_buys=not trade.buyer_is_maker)
        if closed:
            self._aggregated(closed)
        for watcher in self.watchers:
            watcher.on_trade(self, trade)

    def follow_prices(self, now_ms: int) -> None:
        """Moves mark and index price by one second, and notes the premium of the one over the other."""
        middle = self.book.middle()
        if middle is not None and not self.adopts_prices:
            self.prices.follow(middle, self.fair)
        premium = self.prices.premium
        if premium is not None:
            self.premiums.trade(0, now_ms, to_scaled(premium), 0, taker_buys=False)

    def close_aggregate(self, at_ms: int) -> None:
        """Ends the open aggregate when its 100 ms are over."""
        closed = self.trades.close_before(at_ms)
        if closed:
            self._aggregated(closed)

    def liquidated(self, order: LiquidationOrder) -> None:
        """Tells of a liquidation."""
        for watcher in self.watchers:
            watcher.on_liquidation(self, order)

    def contract_changed(self, contract: Contract, *, new_brackets: bool) -> None:
        """Takes a changed contract and tells of it."""
        self.contract = contract
        brackets = contract.brackets() if new_brackets else None
        for watcher in self.watchers:
            watcher.on_contract(self, brackets)

    def _aggregated(self, aggregate: Aggregate) -> None:
        for watcher in self.watchers:
            watcher.on_aggregate(self, aggregate)
