"""Liquidation: positions whose margin no longer covers their maintenance are closed by the venue.

All open orders of the concerned positions are cancelled, then an `autoclose-` order takes what the book offers, and the insurance
fund takes over the rest at the mark price. The market sees a forced order.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from coldframe.enums import AccountReason, OrderStatus, OrderType, PriceMatch, SelfTradePrevention, Side, TimeInForce
from coldframe.exchange.contracts import money, to_scaled
from coldframe.exchange.market.symbol_market import TradeExecution
from coldframe.exchange.matching import BACKGROUND, BACKGROUND_ID, MatchedFill
from coldframe.exchange.trading.clearing import Clearing
from coldframe.exchange.trading.entities import Account, Order
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.margin import Exposure, MarginAccount
from coldframe.exchange.trading.order_checks import OrderRequest
from coldframe.exchange.trading.order_entry import OrderEntry
from coldframe.exchange.trading.order_events import account_event
from coldframe.units import ZERO, plain
from coldframe.wire.account import MarginCall, MarginCallPosition
from coldframe.wire.streams import LiquidationOrder

#: A margin call goes out when maintenance has eaten this share of the margin balance.
_CALL_AT = Decimal("0.8")


class Liquidator:
    """Looks after accounts whose margin runs out."""

    def __init__(self, state: ExchangeState, order_entry: OrderEntry, clearing: Clearing) -> None:
        self._state = state
        self._order_entry = order_entry
        self._clearing = clearing
        self._called: set[str] = set()

    def check(self, now_ms: int) -> None:
        """Liquidates what has to be, and calls for margin where it is close."""
        for name, books in self._state.store.books.items():
            if any(position.quantity for position in books.account.positions.values()):
                self._check_account(self._state.margin_account(name), now_ms)

    def _check_account(self, whole: MarginAccount, now_ms: int) -> None:
        for exposure in whole.exposures:
            if exposure.isolated and exposure.position.quantity:
                behind = exposure.position.isolated_wallet + exposure.unrealized
                if behind <= exposure.maintenance:
                    self._liquidate(whole.account, [exposure], now_ms)
        crossed = [exposure for exposure in whole.exposures if not exposure.isolated and exposure.position.quantity]
        if not crossed:
            return
        if whole.cross_balance <= whole.cross_maintenance:
            self._liquidate(whole.account, crossed, now_ms)
        elif whole.cross_maintenance >= whole.cross_balance * _CALL_AT:
            self._call(whole, crossed, now_ms)
        else:
            self._called.discard(whole.account.name)

    # -- margin call --------------------------------------------------------------------------------------------------

    def _call(self, whole: MarginAccount, exposures: Sequence[Exposure], now_ms: int) -> None:
        name = whole.account.name
        if name in self._called:
            return
        self._called.add(name)
        rows = [
            MarginCallPosition(
                symbol=exposure.position.symbol,
                position_side=exposure.position.side,
                quantity=plain(exposure.position.quantity),
                margin_type="CROSSED",
                isolated_wallet="0",
                mark_price=plain(exposure.mark),
                unrealized_pnl=money(exposure.unrealized),
                maintenance_margin=money(exposure.maintenance),
            )
            for exposure in exposures
        ]
        wallet = money(whole.account.cross_wallet)
        self._state.emit(name, MarginCall(event="MARGIN_CALL", event_ms=now_ms, cross_wallet_balance=wallet, positions=rows))

    # -- liquidation --------------------------------------------------------------------------------------------------

    def _liquidate(self, account: Account, exposures: Sequence[Exposure], now_ms: int) -> None:
        books = self._state.books(account.name)
        symbols = {exposure.position.symbol for exposure in exposures}
        for order in list(books.open.values()):
            if order.symbol in symbols:
                self._state.pull(order, OrderStatus.CANCELED, now_ms, expiry_reason="5")
        for exposure in sorted(exposures, key=lambda exposure: exposure.unrealized):
            self._close(account, exposure, now_ms)
        if account.wallet < 0:
            missing, account.wallet = -account.wallet, ZERO
            self._state.store.note(account)
            self._clearing.earn(account, "INSURANCE_CLEAR", missing, "", now_ms)
            self._state.emit(
                account.name,
                account_event(account, AccountReason.INSURANCE_CLEAR, now_ms, now_ms, self._state.mark, change=missing),
            )

    def _close(self, account: Account, exposure: Exposure, now_ms: int) -> None:
        side = Side.SELL if exposure.position.quantity > 0 else Side.BUY
        order = self._order_entry.accept(account.name, _forced(exposure, side, self._state.small_id()), now_ms)
        self._order_entry.execute(order, now_ms, insured=True)
        if order.left:
            self._take_over(order, exposure, now_ms)
            self._clearing.follow_position(account.name, order.symbol, order.position_side, now_ms)
        self._publish(order, exposure, now_ms)

    def _take_over(self, order: Order, exposure: Exposure, now_ms: int) -> None:
        """The insurance fund becomes the counterparty of what the book did not take, at the mark price."""
        price, quantity = to_scaled(exposure.mark.quantize(Decimal(1).scaleb(-8))), to_scaled(order.left)
        fill = MatchedFill(price, quantity, order.side, order.order_id, order.account, BACKGROUND_ID, BACKGROUND)
        self._clearing.book(order.symbol, TradeExecution(self._state.small_id(), fill), now_ms)

    def _publish(self, order: Order, exposure: Exposure, now_ms: int) -> None:
        contract, public_data = exposure.contract, self._state.market(order.symbol).public_data
        public_data.liquidated(
            LiquidationOrder(
                symbol=order.symbol,
                side=order.side,
                type=OrderType.LIMIT,
                time_in_force=TimeInForce.IOC,
                quantity=contract.quantity_text(order.quantity),
                price=contract.price_text(order.price),
                average_price=contract.price_text(order.average.quantize(Decimal(1).scaleb(-contract.price_digits))),
                status=OrderStatus.FILLED,
                last_quantity=contract.quantity_text(order.filled),
                filled_quantity=contract.quantity_text(order.filled),
                trade_ms=now_ms,
            )
        )


def _forced(exposure: Exposure, side: Side, number: int) -> OrderRequest:
    """The order that closes a position against anything within the market's bounds: an IOC limit order beyond the mark price."""
    tick = exposure.contract.filters.tick or Decimal(1).scaleb(-8)
    beyond = exposure.mark * (1 + exposure.contract.take_bound * side.sign)
    price = max((beyond // tick) * tick, tick)
    return OrderRequest(
        symbol=exposure.position.symbol,
        side=side,
        type=OrderType.LIMIT,
        time_in_force=TimeInForce.IOC,
        position_side=exposure.position.side,
        quantity=abs(exposure.position.quantity),
        price=price,
        reduce_only=False,
        client_id=f"autoclose-{number}",
        price_match=PriceMatch.NONE,
        prevention=SelfTradePrevention.NONE,
        good_till_ms=0,
    )
