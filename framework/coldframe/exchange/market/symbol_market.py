"""One contract's market: its matching engine and its public data, kept in step.

In a simulated market own orders and trades are shown to every client, since there is no other book. In a recorded or mirrored
market the published market stays as it came, and own orders trade beside it.
"""

from __future__ import annotations

from collections.abc import Iterable

import attrs

from coldframe.enums import Side
from coldframe.exchange.contracts import Contract
from coldframe.exchange.market.public_market_data import DepthChange, PublicMarketData
from coldframe.exchange.market.public_trades import MarketTrade
from coldframe.exchange.matching import BACKGROUND_ID, MatchedFill, Matching, QueueModel, Taken, Taker
from coldframe.exchange.randomness import RandomSource
from coldframe.wire.streams import Level

#: How far two update ids of one contract may lie apart because of other contracts.
_WIDEST_JUMP = 60


class UpdateIds:
    """The venue's update ids: one growing sequence for all contracts, so that those of one contract have gaps.

    Without an `rng` it has none: a replicated market brings ids of its own.
    """

    def __init__(self, first: int, rng: RandomSource | None = None) -> None:
        self._last = first
        self._rng = rng

    def next(self) -> int:
        self._last += self._rng.randint(1, _WIDEST_JUMP) if self._rng is not None else 1
        return self._last


@attrs.frozen
class TradeExecution:
    """A trade that concerns own orders, with its id."""

    trade_id: int
    fill: MatchedFill


class SymbolMarket:
    """Where orders of one contract meet."""

    def __init__(
        self,
        public_data: PublicMarketData,
        ids: UpdateIds,
        first_trade_id: int,
        *,
        shows_orders: bool,
        queue_model: QueueModel = QueueModel.BEHIND,
    ) -> None:
        self.public_data = public_data
        self.matching = Matching(queue_model)
        self.shows_orders = shows_orders
        self._ids = ids
        self._next_trade_id = first_trade_id

    @property
    def contract(self) -> Contract:
        return self.public_data.contract

    # -- orders of accounts and background liquidity --------------------------------------------------------------------

    def trade_order(self, taker: Taker, now_ms: int) -> tuple[Taken, list[TradeExecution]]:
        """Trades an order. The executions are those that concern an account."""
        taken = self.matching.match_order(taker)
        executions = self._traded(taken.fills, now_ms)
        self._show(taker.side.opposite, {event.price for event in taken.happened}, now_ms)
        return taken, executions

    def rest(self, side: Side, price: int, quantity: int, now_ms: int, order_id: int = BACKGROUND_ID, owner: str = "") -> None:
        """Puts an order, or background liquidity, into the book."""
        self.matching.rest(side, price, quantity, order_id, owner)
        self._show(side, {price}, now_ms)

    def withdraw(self, order_id: int, side: Side, price: int, now_ms: int) -> None:
        """Takes an order out of the book."""
        if self.matching.withdraw(order_id):
            self._show(side, {price}, now_ms)

    def shrink(self, order_id: int, left: int, side: Side, price: int, now_ms: int) -> None:
        """Cuts a resting order, which keeps its place."""
        self.matching.shrink(order_id, left)
        self._show(side, {price}, now_ms)

    def leave(self, side: Side, price: int, quantity: int, now_ms: int) -> None:
        """Cancels background liquidity at a price."""
        if self.matching.leave(side, price, quantity):
            self._show(side, {price}, now_ms)

    # -- a replicated market --------------------------------------------------------------------------------------------

    def market_trade(self, trade: MarketTrade) -> list[TradeExecution]:
        """The replicated market traded: resting orders are met by their place in the queue."""
        taker_side = Side.SELL if trade.buyer_is_maker else Side.BUY
        return self._named(self.matching.apply_market_trade(trade.price, trade.quantity, taker_side))

    def market_levels(self, bids: Iterable[tuple[int, int]], asks: Iterable[tuple[int, int]]) -> list[TradeExecution]:
        """The replicated market's book changed: absolute scaled quantities by price."""
        fills: list[MatchedFill] = []
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            for price, quantity in levels:
                fills += self.matching.set_background(side, price, quantity)
        return self._named(fills)

    def market_book(self, bids: dict[int, int], asks: dict[int, int]) -> list[TradeExecution]:
        """The replicated market published its whole book."""
        return self._named(self.matching.replace_background(bids, asks))

    # -- parts --------------------------------------------------------------------------------------------------------

    def _traded(self, fills: Iterable[MatchedFill], now_ms: int) -> list[TradeExecution]:
        executions: list[TradeExecution] = []
        for fill in fills:
            trade_id = self._trade_id()
            if fill.maker_id != BACKGROUND_ID or fill.taker_id != BACKGROUND_ID:
                executions.append(TradeExecution(trade_id, fill))
            if self.shows_orders:
                self.public_data.traded(self._market_trade(trade_id, fill, now_ms))
        return executions

    def _named(self, fills: Iterable[MatchedFill]) -> list[TradeExecution]:
        return [TradeExecution(self._trade_id(), fill) for fill in fills]

    def _trade_id(self) -> int:
        self._next_trade_id += 1
        return self._next_trade_id

    def _market_trade(self, trade_id: int, fill: MatchedFill, now_ms: int) -> MarketTrade:
        contract = self.contract
        return MarketTrade(
            trade_id,
            fill.price,
            fill.quantity,
            contract.price_text(fill.price),
            contract.quantity_text(fill.quantity),
            now_ms,
            buyer_is_maker=fill.taker_side is Side.SELL,
        )

    def _show(self, side: Side, prices: set[int], now_ms: int) -> None:
        if not self.shows_orders or not prices:
            return
        update_id = self._ids.next()
        levels: list[Level] = [
            (self.contract.price_text(price), self.contract.quantity_text(self.matching.quantity_at(side, price)))
            for price in sorted(prices)
        ]
        bids, asks = (levels, []) if side is Side.BUY else ([], levels)
        self.public_data.depth_changed(DepthChange(update_id, update_id, now_ms, now_ms, bids, asks))
