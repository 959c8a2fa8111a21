"""A contract leaves the exchange: its open orders expire, and its positions are settled at the index price.

Orders end EXPIRED with reason 7, positions with a `settlement_autoclose-` order (protocol.md 8.2). The insurance fund is the
counterparty, since the contract is traded no more; the settlement costs the fee of a taker.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from coldframe.enums import AlgoStatus, OrderStatus, OrderType, PriceMatch, SelfTradePrevention, Side, TimeInForce
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.market.symbol_market import TradeExecution
from coldframe.exchange.matching import BACKGROUND, BACKGROUND_ID, MatchedFill
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.exchange.trading.clearing import Clearing
from coldframe.exchange.trading.entities import Position
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.order_checks import OrderRequest
from coldframe.exchange.trading.order_entry import OrderEntry
from coldframe.units import ZERO

_REASON: Final = "7"
_EIGHT: Final = Decimal("0.00000001")


class Delisting:
    """Ends what accounts have in a contract that is traded no more."""

    def __init__(self, state: ExchangeState, order_entry: OrderEntry, clearing: Clearing) -> None:
        self._state = state
        self._order_entry = order_entry
        self._clearing = clearing

    def settle_contract(self, symbol: str, now_ms: int) -> None:
        """Ends every order and every position in a contract, if there are any."""
        for books in self._state.store.books.values():
            for order in books.of_symbol(symbol):
                self._state.pull(order, OrderStatus.EXPIRED, now_ms, expiry_reason=_REASON)
            for algo in [algo for algo in books.open_algos.values() if algo.symbol == symbol]:
                self._state.end_algo(algo, AlgoStatus.EXPIRED, now_ms, reason="symbol delisted")
            for position in [held for held in books.account.positions.values() if held.symbol == symbol and held.quantity]:
                self._close(books, position, now_ms)

    def _close(self, books: AccountBooks, position: Position, now_ms: int) -> None:
        state, prices = self._state, self._state.market(position.symbol).public_data.prices
        price = (prices.index or prices.mark or position.entry).quantize(_EIGHT)
        order = self._order_entry.accept(books.account.name, _settling(position, state.small_id()), now_ms)
        quantity = to_scaled(order.quantity)
        fill = MatchedFill(to_scaled(price), quantity, order.side, order.order_id, order.account, BACKGROUND_ID, BACKGROUND)
        self._clearing.book(order.symbol, TradeExecution(state.small_id(), fill), now_ms)


def _settling(position: Position, number: int) -> OrderRequest:
    """The order that takes a whole position off its account."""
    return OrderRequest(
        symbol=position.symbol,
        side=Side.SELL if position.quantity > 0 else Side.BUY,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        position_side=position.side,
        quantity=abs(position.quantity),
        price=ZERO,
        reduce_only=False,
        client_id=f"settlement_autoclose-{number}",
        price_match=PriceMatch.NONE,
        prevention=SelfTradePrevention.NONE,
        good_till_ms=0,
    )
