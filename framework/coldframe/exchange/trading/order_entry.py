"""Order entry: orders are placed, modified, cancelled; each goes through the checks, the book and the clearing, in this order."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from decimal import Decimal

import attrs
from msgspec import UNSET

from coldframe.enums import ExecutionType, OrderStatus, OrderType, PositionSide, PriceMatch, SelfTradePrevention, Side, TimeInForce
from coldframe.errors import ConfigError
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.market.symbol_market import SymbolMarket, TradeExecution
from coldframe.exchange.matching import MatchedFill, Taken, Taker
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.exchange.trading.clearing import Clearing
from coldframe.exchange.trading.entities import Order
from coldframe.exchange.trading.exchange_state import ExchangeState, scaled_price
from coldframe.exchange.trading.order_checks import (
    POST_ONLY,
    OrderRequest,
    check_count,
    check_lives_with_position,
    check_margin,
    check_mode,
    check_rules,
    check_symbol,
    closable,
    is_closing,
    matched_price,
    order_request_of,
)
from coldframe.ids import base36
from coldframe.units import ZERO, ceil_to, floor_to
from coldframe.wire.requests import Fault, PlaceOrder

#: Times in force for which self-trade prevention works (protocol.md 7.2).
_PREVENTABLE = frozenset({TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTD})


class OrderEntry:
    """Takes orders of accounts to their markets."""

    def __init__(self, state: ExchangeState, clearing: Clearing) -> None:
        self._state = state
        self._clearing = clearing

    # -- placing ------------------------------------------------------------------------------------------------------

    def place(self, account: str, request: PlaceOrder, now_ms: int) -> Order | Fault:
        """Places an order. Gives it as it stands afterwards, or why it was refused."""
        checked = self.check(account, request, now_ms)
        if isinstance(checked, Fault):
            return checked
        order = self.accept(account, checked, now_ms)
        self.execute(order, now_ms)
        return order

    def check(self, account: str, request: PlaceOrder, now_ms: int) -> OrderRequest | Fault:
        """All that an order has to pass before it is accepted; its quantity and price as they will stand."""
        books = self._state.books(account)
        fault = check_symbol(self._state, books, request.symbol)
        if fault:
            return fault
        order_request = order_request_of(request, now_ms)
        if isinstance(order_request, Fault):
            return order_request
        if order_request.client_id and books.open_with_client_id(order_request.client_id):
            return refuse(-4116)
        fault = check_mode(books, order_request.position_side, reduce_only_sent=request.reduce_only is not UNSET)
        return fault or check_lives_with_position(books, order_request) or self.check_order_request(books, order_request)

    def check_order_request(self, books: AccountBooks, order_request: OrderRequest) -> OrderRequest | Fault:
        """The checks that look at the market and the account; also for orders that a trigger makes."""
        market = self._state.market(order_request.symbol)
        if order_request.price_match is not PriceMatch.NONE:
            price = matched_price(market, order_request.side, order_request.price_match)
            if isinstance(price, Fault):
                return price
            order_request = attrs.evolve(order_request, price=price)
        closing = is_closing(books, order_request.side, order_request.position_side, reduce_only=order_request.reduce_only)
        limit = None if order_request.is_market else order_request.price
        fault = check_rules(market, order_request.side, order_request.quantity, limit, reduce_only=closing)
        fault = fault or check_count(books, market.contract)
        if fault:
            return fault
        if closing:
            quantity = closable(books, order_request)
            if isinstance(quantity, Fault):
                return quantity
            order_request = attrs.evolve(order_request, quantity=quantity)
        else:
            fault = check_margin(
                self._state, books, order_request, self._expected_price(market, order_request), order_request.quantity
            )
        return fault or _check_time_in_force(market, order_request) or order_request

    def _expected_price(self, market: SymbolMarket, order_request: OrderRequest) -> Decimal:
        """What an order is reckoned at: its limit, or for a market order the mark or the best counterparty, whichever is more."""
        if not order_request.is_market:
            return order_request.price
        best = market.matching.best(order_request.side.opposite)
        mark = market.public_data.prices.mark
        return max(mark, Decimal(best).scaleb(-12)) if best is not None else mark

    def accept(self, account: str, order_request: OrderRequest, now_ms: int) -> Order:
        """Makes a checked request an order of the account, without executing it yet."""
        order_id = self._state.order_id(order_request.symbol)
        order = self.draft(account, order_request, now_ms, order_id=order_id, client_id=f"venue{base36(order_id)}")
        self._state.report(order, ExecutionType.NEW, now_ms)
        return order

    def draft(self, account: str, order_request: OrderRequest, now_ms: int, *, order_id: int, client_id: str) -> Order:
        """The order that a checked request makes; `client_id` is for one that names none. The account does not have it yet."""
        books = self._state.books(account)
        closing = is_closing(books, order_request.side, order_request.position_side, reduce_only=order_request.reduce_only)
        return Order(
            order_id=order_id,
            account=account,
            symbol=order_request.symbol,
            client_id=order_request.client_id or client_id,
            side=order_request.side,
            type=order_request.type,
            time_in_force=order_request.time_in_force,
            position_side=order_request.position_side,
            price=order_request.price,
            quantity=order_request.quantity,
            reduce_only=order_request.reduce_only or closing,
            closing=closing,
            price_match=order_request.price_match,
            prevention=order_request.prevention,
            good_till_ms=order_request.good_till_ms,
            original_type=order_request.original_type or order_request.type,
            stop_price=order_request.stop_price,
            close_position=order_request.close_position,
            created_ms=now_ms,
            updated_ms=now_ms,
        )

    # -- executing ----------------------------------------------------------------------------------------------------

    def execute(self, order: Order, now_ms: int, *, insured: bool = False) -> None:
        """Trades what an accepted order can trade, rests what may rest, ends what may not.

        With `insured` the rest is left as it is: the insurance fund takes it over.
        """
        market = self._state.market(order.symbol)
        taken, executions = market.trade_order(self._taker(market, order), now_ms)
        touched = self._book(order, taken, executions, now_ms)
        if taken.left and not insured:
            self._finish(market, order, taken, now_ms)
        touched[(order.account, order.position_side)] = None
        for account, side in touched:
            self._clearing.follow_position(account, order.symbol, side, now_ms)

    def _taker(self, market: SymbolMarket, order: Order) -> Taker:
        is_market = order.type is OrderType.MARKET
        prevention = order.prevention if order.time_in_force in _PREVENTABLE else SelfTradePrevention.NONE
        return Taker(
            side=order.side,
            quantity=to_scaled(order.left),
            limit=_market_bound(market, order.side) if is_market else scaled_price(order),
            order_id=order.order_id,
            owner=order.account,
            prevention=prevention,
        )

    def _book(
        self, order: Order, taken: Taken, executions: Iterable[TradeExecution], now_ms: int
    ) -> dict[tuple[str, PositionSide], None]:
        """Books fills and prevented makers in the order in which they happened. Gives the positions that were touched."""
        touched: dict[tuple[str, PositionSide], None] = {}
        remaining = iter(executions)
        for event in taken.happened:
            if isinstance(event, MatchedFill):
                for concerned in self._clearing.book(order.symbol, next(remaining), now_ms):
                    touched[(concerned.account, concerned.position_side)] = None
            else:
                maker = self._state.books(event.owner).orders[event.order_id]
                self._state.end(maker, OrderStatus.EXPIRED_IN_MATCH, now_ms, expiry_reason="1")
        return touched

    def _finish(self, market: SymbolMarket, order: Order, taken: Taken, now_ms: int) -> None:
        """Rests, expires or cancels the unfilled remainder, by time in force."""
        immediate = order.time_in_force in (TimeInForce.IOC, TimeInForce.FOK)
        if taken.prevented:
            self._state.end(order, OrderStatus.EXPIRED_IN_MATCH, now_ms, expiry_reason="3" if immediate else "1")
        elif order.type is OrderType.MARKET:
            self._state.end(order, OrderStatus.EXPIRED, now_ms, expiry_reason="9")
        elif immediate:
            self._state.end(order, OrderStatus.EXPIRED, now_ms, expiry_reason="2")
        else:
            market.rest(order.side, scaled_price(order), taken.left, now_ms, order.order_id, order.account)

    # -- cancelling ---------------------------------------------------------------------------------------------------

    def cancel(self, account: str, symbol: str, order_id: int | None, client_id: str | None, now_ms: int) -> Order | Fault:
        """Cancels an open order."""
        fault = check_reference(self._state, symbol, order_id, client_id)
        if fault:
            return fault
        order = self._state.books(account).order_of(symbol, order_id, client_id)
        if order is None or not order.open:
            return refuse(-2011)
        self._state.pull(order, OrderStatus.CANCELED, now_ms)
        return order

    def cancel_all(self, account: str, symbol: str, now_ms: int) -> None:
        """Cancels every open order of a symbol."""
        for order in self._state.books(account).of_symbol(symbol):
            self._state.pull(order, OrderStatus.CANCELED, now_ms)

    def expire_dated(self, now_ms: int) -> None:
        """Ends GTD orders whose time has come."""
        for books in self._state.store.books.values():
            for order in list(books.open.values()):
                if 0 < order.good_till_ms <= now_ms and order.symbol in self._state.markets:
                    self._state.pull(order, OrderStatus.EXPIRED, now_ms)

    def restore(self, now_ms: int, symbols: Collection[str]) -> None:
        """Takes the open orders of the account store back to their markets, which may have moved over them meanwhile.

        Raises `ConfigError` for an order that no venue can have written.
        """
        books = self._state.store.books.values()
        remembered = [order for account in books for order in account.open.values() if order.symbol in symbols]
        for order in sorted(remembered, key=lambda order: (order.created_ms, order.order_id)):
            if not order.open:  # an order before it may have closed what it was to close
                continue
            try:
                self._put_back(order, now_ms)
            except ValueError as error:
                store = f"venue.embedded.state_dir: order {order.order_id} of account {order.account}"
                raise ConfigError(f"{store} cannot be put back: {error}; move ledger.jsonl away") from None

    def _put_back(self, order: Order, now_ms: int) -> None:
        market = self._state.market(order.symbol)
        if order.time_in_force in POST_ONLY and market.matching.crosses(order.side, scaled_price(order)):
            self._state.end(order, OrderStatus.EXPIRED, now_ms)
        else:
            self.execute(order, now_ms)


def check_reference(state: ExchangeState, symbol: str, order_id: int | None, client_id: str | None) -> Fault | None:
    """Whether a call names a listed symbol and some order."""
    if symbol not in state.markets:
        return refuse(-1121)
    return refuse(-1102, "orderId", "origClientOrderId") if order_id is None and not client_id else None


def _check_time_in_force(market: SymbolMarket, order_request: OrderRequest) -> Fault | None:
    """Post-only must not trade at once; fill-or-kill must find everything."""
    if order_request.is_market:
        return None
    price = to_scaled(order_request.price)
    if order_request.post_only and market.matching.crosses(order_request.side, price):
        return refuse(-5022)
    if order_request.time_in_force is TimeInForce.FOK:
        wanted = Taker(side=order_request.side, quantity=to_scaled(order_request.quantity), limit=price)
        return refuse(-5021) if market.matching.fillable(wanted) < wanted.quantity else None
    return None


def _market_bound(market: SymbolMarket, side: Side) -> int | None:
    """The worst price at which a market order may trade: the mark price and `marketTakeBound`."""
    contract, mark = market.contract, market.public_data.prices.mark
    if not mark:
        return None
    bound = mark * contract.take_bound
    tick = contract.filters.tick
    limit = floor_to(mark + bound, tick) if side is Side.BUY else ceil_to(mark - bound, tick)
    return to_scaled(max(limit, ZERO))
