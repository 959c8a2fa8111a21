"""Clearing: every trade becomes bookings and events, reduce-only orders follow their position, funding is exchanged.

Events of one fill, as the exchange sends them: TRADE_LITE, then ORDER_TRADE_UPDATE and ACCOUNT_UPDATE with the same time, these two
in either order (protocol.md 11).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from decimal import Decimal

import attrs

from coldframe.enums import AccountReason, AlgoStatus, ExecutionType, OrderStatus, PositionSide, Side
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.market.symbol_market import TradeExecution
from coldframe.exchange.matching import BACKGROUND_ID, MatchedFill
from coldframe.exchange.randomness import RandomSource
from coldframe.exchange.trading.entities import Account, Earned, Funded, Order, Position, Traded
from coldframe.exchange.trading.exchange_state import ExchangeState, scaled_price
from coldframe.exchange.trading.order_events import ASSET, OwnFill, account_event, lite_event, touched_sides
from coldframe.exchange.trading.settlement import BNB, Booked, book_fill, book_funding
from coldframe.units import ZERO, plain, unscaled
from coldframe.wire.reference import FundingRow
from coldframe.wire.replies import Income, UserTrade

_REMEMBERED_RATES = 1000


class Clearing:
    """Books what happens to accounts."""

    def __init__(self, state: ExchangeState, rng: RandomSource) -> None:
        self._state = state
        self._rng = rng
        #: Rates of the latest funding times, oldest first.
        self.rates: deque[FundingRow] = deque(maxlen=_REMEMBERED_RATES)

    # -- trades -------------------------------------------------------------------------------------------------------

    def clear_executions(self, symbol: str, executions: Iterable[TradeExecution], now_ms: int) -> None:
        """Books trades in which resting orders were met, then lets reduce-only orders follow their positions."""
        touched: dict[tuple[str, PositionSide], None] = {}
        for execution in executions:
            for order in self.book(symbol, execution, now_ms):
                touched[(order.account, order.position_side)] = None
        for account, side in touched:
            self.follow_position(account, symbol, side, now_ms)

    def book(self, symbol: str, execution: TradeExecution, now_ms: int) -> list[Order]:
        """Books one trade for both of its sides, as far as they are accounts. Gives the orders concerned."""
        fill = execution.fill
        orders: list[Order] = []
        for order_id, owner, maker in ((fill.taker_id, fill.taker_owner, False), (fill.maker_id, fill.maker_owner, True)):
            if order_id != BACKGROUND_ID:
                order = self._state.books(owner).orders[order_id]
                own = self._curbed(order, fill, now_ms) if order.closing else fill
                if own is not None:
                    self._book_side(order, own, execution.trade_id, now_ms, maker=maker)
                orders.append(order)
        return orders

    def _curbed(self, order: Order, fill: MatchedFill, now_ms: int) -> MatchedFill | None:
        """A fill of an order that may only close, as far as its position goes; None when nothing is left to close.

        One sweep may meet other orders of the account first, and positions follow trades, not levels. What the order may not trade
        the background has traded in its place.
        """
        position = self._state.books(order.account).account.position(order.symbol, order.position_side)
        held = to_scaled(abs(position.quantity)) if closes(position, order.side) else 0
        if held >= fill.quantity:
            return fill
        if held:
            order.quantity -= unscaled(fill.quantity - held)
            return attrs.evolve(fill, quantity=held)
        if order.open:
            self._state.pull(order, OrderStatus.EXPIRED, now_ms, expiry_reason="4")
        return None

    def _book_side(self, order: Order, fill: MatchedFill, trade_id: int, now_ms: int, *, maker: bool) -> None:
        account = self._state.books(order.account).account
        price, quantity = unscaled(fill.price), unscaled(fill.quantity)
        order.filled += quantity
        order.quote += price * quantity
        order.status = OrderStatus.FILLED if not order.left else OrderStatus.PARTIALLY_FILLED
        position = account.position(order.symbol, order.position_side)
        rate = account.maker_fee if maker else account.taker_fee
        bnb_price = self._state.asset_price(BNB) if account.fee_burn else None
        margin_before = position.isolated_wallet
        booked = book_fill(account, position, order.side, price, quantity, rate, now_ms, bnb_price)
        self._state.note_margin(account, position, position.isolated_wallet - margin_before, "TRADE", now_ms)
        own = OwnFill(
            trade_id=trade_id,
            price=price,
            quantity=quantity,
            maker=maker,
            commission=booked.commission,
            commission_asset=booked.asset,
            realized=booked.realized,
            at_ms=now_ms,
        )
        self._remember(account, order, own, booked, now_ms)
        self._report_fill(account, order, own, booked.assets, now_ms)

    def _report_fill(self, account: Account, order: Order, own: OwnFill, assets: Iterable[str], now_ms: int) -> None:
        state = self._state
        contract = state.contract(order.symbol)
        state.emit(order.account, lite_event(order, contract, own, now_ms))
        order_first = self._rng.random() < 0.5
        execution = ExecutionType.CALCULATED if order.client_id.startswith("autoclose-") else ExecutionType.TRADE
        if order_first:
            state.report(order, execution, now_ms, fill=own)
        positions = touched_sides(account, order.symbol)
        state.emit(
            order.account,
            account_event(account, AccountReason.ORDER, now_ms, now_ms, state.mark, positions=positions, assets=assets),
        )
        if not order_first:
            state.report(order, execution, now_ms, fill=own)

    def _remember(self, account: Account, order: Order, own: OwnFill, booked: Booked, now_ms: int) -> None:
        contract = self._state.contract(order.symbol)
        row = UserTrade(
            id=own.trade_id,
            order_id=order.order_id,
            symbol=order.symbol,
            side=order.side,
            price=contract.price_text(own.price),
            qty=contract.quantity_text(own.quantity),
            quote_qty=plain(own.price * own.quantity),
            base_qty="0",
            pair=contract.info.pair,
            realized_pnl=plain(booked.realized),
            commission=plain(booked.commission),
            commission_asset=booked.asset,
            margin_asset=ASSET,
            maker=own.maker,
            buyer=order.side is Side.BUY,
            position_side=order.position_side,
            time=now_ms,
        )
        self._state.store.note(account)
        self._state.store.note(Traded(account=account.name, trade=row))
        if booked.realized:
            self.earn(account, "REALIZED_PNL", booked.realized, order.symbol, now_ms, trade_id=str(own.trade_id))
        if booked.commission:
            paid, trade_id = -booked.commission, str(own.trade_id)
            self.earn(account, "COMMISSION", paid, order.symbol, now_ms, trade_id=trade_id, asset=booked.asset)

    def earn(
        self, account: Account, kind: str, amount: Decimal, symbol: str, now_ms: int, *, trade_id: str = "", asset: str = ASSET
    ) -> None:
        """Writes a change of a wallet into the account's income history."""
        row = Income(
            symbol=symbol,
            income_type=kind,
            income=plain(amount),
            asset=asset,
            info=trade_id or kind,
            time=now_ms,
            tran_id=self._state.small_id(),
            trade_id=trade_id,
        )
        self._state.store.note(Earned(account=account.name, income=row))

    # -- orders that may only close ----------------------------------------------------------------------------------------

    def follow_position(self, account: str, symbol: str, side: PositionSide, now_ms: int) -> None:
        """Cuts resting orders that may only close to what the position still holds, oldest first; the rest expires.

        A cut is silent: its account finds the new quantity in the order's next report, or when it asks (protocol.md 10, trap 17).
        Orders that live with the position (GTE_GTC) end with it, at once (protocol.md 7.5).
        """
        self._end_with_position(account, symbol, side, now_ms)
        state = self._state
        market = state.market(symbol)
        position = state.books(account).account.position(symbol, side)
        left = abs(position.quantity)
        for order in state.books(account).of_symbol(symbol):
            if not order.closing or order.position_side is not side:
                continue
            allowed = min(left, order.left) if closes(position, order.side) else ZERO
            left -= allowed
            if not allowed:
                state.pull(order, OrderStatus.EXPIRED, now_ms, expiry_reason="4")
            elif allowed < order.left:
                order.quantity, order.updated_ms = order.filled + allowed, now_ms
                state.store.note(order)
                market.shrink(order.order_id, to_scaled(allowed), order.side, scaled_price(order), now_ms)

    def _end_with_position(self, account: str, symbol: str, side: PositionSide, now_ms: int) -> None:
        books = self._state.books(account)
        position = books.account.position(symbol, side)
        for order in books.of_symbol(symbol):
            if order.with_position and order.position_side is side and not closes(position, order.side):
                self._state.pull(order, OrderStatus.EXPIRED, now_ms, expiry_reason="6")
        for algo in list(books.open_algos.values()):
            if algo.with_position and (algo.symbol, algo.position_side) == (symbol, side) and not closes(position, algo.side):
                self._state.end_algo(algo, AlgoStatus.EXPIRED, now_ms)

    # -- funding ------------------------------------------------------------------------------------------------------

    def fund(self, now_ms: int) -> None:
        """Exchanges the funding of each symbol once when a funding time of its own has been passed since the last call."""
        store = self._state.store
        for symbol, market in self._state.markets.items():
            if not market.public_data.coming_funding(now_ms)[1]:
                continue
            interval_ms = market.public_data.prices.interval_ms
            due_ms, settled_ms = now_ms // interval_ms * interval_ms, store.funded_ms(symbol)
            if due_ms > settled_ms:
                store.note(Funded(at_ms=due_ms, symbol=symbol))
                if settled_ms:
                    self._fund_symbol(symbol, due_ms, now_ms)

    def change_interval(self, symbol: str, interval_ms: int, now_ms: int) -> None:
        """From now on the funding times of a symbol lie so far apart; the next one is the next whole multiple."""
        prices = self._state.market(symbol).public_data.prices
        prices.interval_ms = interval_ms
        passed_ms = now_ms // interval_ms * interval_ms
        self._state.store.note(Funded(at_ms=max(passed_ms, self._state.store.funded_ms(symbol)), symbol=symbol))

    def _fund_symbol(self, symbol: str, due_ms: int, now_ms: int) -> None:
        prices = self._state.market(symbol).public_data.prices
        row = FundingRow(
            symbol=symbol,
            funding_rate=plain(prices.funding_rate),
            funding_time=due_ms,
            mark_price=plain(prices.mark),
            rate_type="Regular",
        )
        self.rates.append(row)
        for books in self._state.store.books.values():
            for position in list(books.account.positions.values()):
                if position.symbol == symbol and position.quantity:
                    self._fund_one(books.account, position, due_ms, now_ms)

    def _fund_one(self, account: Account, position: Position, due_ms: int, now_ms: int) -> None:
        state = self._state
        prices = state.market(position.symbol).public_data.prices
        received = book_funding(account, position, prices.mark, prices.funding_rate, now_ms)
        isolated = account.of_symbol(position.symbol).isolated
        state.store.note(account)
        self.earn(account, "FUNDING_FEE", received, position.symbol, now_ms)
        event = account_event(
            account,
            AccountReason.FUNDING_FEE,
            now_ms,
            due_ms,
            state.mark,
            positions=[position] if isolated else (),
            change=received,
            symbol=position.symbol,
        )
        state.emit(account.name, event)


def closes(position: Position, side: Side) -> bool:
    """Whether an order of that side makes the position smaller."""
    return position.quantity * side.sign < 0
