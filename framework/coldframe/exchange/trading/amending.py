"""Modifying an open order: new price and quantity, same id, a new place in the queue (protocol.md 7.3)."""

from __future__ import annotations

from decimal import Decimal

import attrs
from msgspec import UNSET

from coldframe.enums import ExecutionType, OrderStatus, OrderType, PriceMatch
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.entities import Amended, Order
from coldframe.exchange.trading.exchange_state import ExchangeState, scaled_price
from coldframe.exchange.trading.order_checks import OrderRequest, check_margin, check_rules, closable, given, matched_price
from coldframe.exchange.trading.order_entry import OrderEntry, check_reference
from coldframe.units import plain
from coldframe.wire.requests import Fault, ModifyOrder


class Amender:
    """Modifies orders. Invalid values leave an order as it is; some valid ones cancel it."""

    def __init__(self, state: ExchangeState, order_entry: OrderEntry) -> None:
        self._state = state
        self._order_entry = order_entry

    def modify(self, account: str, request: ModifyOrder, now_ms: int) -> Order | Fault:
        """Modifies an order. Gives it as it stands afterwards, cancelled perhaps, or why nothing was done."""
        order_id, client_id = given(request.order_id, -1), given(request.orig_client_order_id, "")
        fault = check_reference(self._state, request.symbol, None if order_id == -1 else order_id, client_id)
        if fault:
            return fault
        books = self._state.books(account)
        order = books.order_of(request.symbol, None if order_id == -1 else order_id, client_id)
        if order is None or not order.open:
            return refuse(-2013)
        price = self._price(order, request)
        if isinstance(price, Fault):
            return price
        fault = self._check(order, request, price, Decimal(request.quantity))
        quantity = fault or self._allowed(order, price, Decimal(request.quantity))
        if isinstance(quantity, Fault):
            return quantity
        self._apply(order, request, price, quantity, now_ms)
        return order

    def _price(self, order: Order, request: ModifyOrder) -> Decimal | Fault:
        match = given(request.price_match, PriceMatch.NONE)
        if match in (PriceMatch.OPPONENT_10, PriceMatch.OPPONENT_20):
            return refuse(-5037)
        if match is not PriceMatch.NONE:
            if request.price is not UNSET:
                return refuse(-1106, "price")
            return matched_price(self._state.market(order.symbol), order.side, match)
        return refuse(-1102, "price") if request.price is UNSET else Decimal(request.price)

    def _check(self, order: Order, request: ModifyOrder, price: Decimal, quantity: Decimal) -> Fault | None:
        if order.type is not OrderType.LIMIT:
            return refuse(-5025)
        if request.side is not order.side:
            return refuse(-1130, "side")
        if given(request.reduce_only, False) and not order.reduce_only:
            return refuse(-5047)
        contract = self._state.contract(order.symbol)
        if not contract.trading:
            return refuse(-5024)
        if price == order.price and quantity == order.quantity:
            return refuse(-5027)
        limit = contract.info.max_move_order_limit
        if isinstance(limit, int) and order.modifications >= limit:
            return refuse(-5026)
        spared = given(request.reduce_only, False)  # only the request spares it MIN_NOTIONAL, the order's own flag does not
        fault = check_rules(self._state.market(order.symbol), order.side, quantity, price, reduce_only=spared)
        if fault and fault.code == -4164:
            return refuse(-5029, plain(contract.filters.min_notional))
        return fault or self._check_margin(order, price, quantity)

    def _allowed(self, order: Order, price: Decimal, quantity: Decimal) -> Decimal | Fault:
        """The quantity as it may stand: an order that may only close is cut to its position, as when it was placed."""
        if not order.closing or quantity <= order.filled:
            return quantity
        order_request = attrs.evolve(_order_request(order), quantity=quantity - order.filled)
        left = closable(self._state.books(order.account), order_request, instead_of=order)
        if isinstance(left, Fault):
            return left
        unchanged = order_request.price == price and left == order.left
        return refuse(-5027) if unchanged else order.filled + left

    def _check_margin(self, order: Order, price: Decimal, quantity: Decimal) -> Fault | None:
        if order.closing:
            return None
        left = max(quantity - order.filled, Decimal(0))
        return check_margin(self._state, self._state.books(order.account), _order_request(order), price, left, instead_of=order)

    def _apply(self, order: Order, request: ModifyOrder, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        market = self._state.market(order.symbol)
        market.withdraw(order.order_id, order.side, scaled_price(order), now_ms)
        order.modify_id = given(request.modify_id, -1)
        if order.modify_id == -1:
            order.modify_id = None
        crosses = market.matching.crosses(order.side, to_scaled(price))
        if quantity <= order.filled or (_order_request(order).post_only and crosses):
            self._state.end(order, OrderStatus.CANCELED, now_ms)
            return
        self._remember(order, price, quantity, now_ms)
        order.price, order.quantity = price, quantity
        order.price_match = given(request.price_match, PriceMatch.NONE)
        order.modifications += 1
        self._state.report(order, ExecutionType.AMENDMENT, now_ms)
        self._order_entry.execute(order, now_ms)

    def _remember(self, order: Order, price: Decimal, quantity: Decimal, now_ms: int) -> None:
        self._state.store.note(
            Amended(
                account=order.account,
                amendment_id=self._state.small_id(),
                symbol=order.symbol,
                order_id=order.order_id,
                client_id=order.client_id,
                at_ms=now_ms,
                price_before=order.price,
                price_after=price,
                quantity_before=order.quantity,
                quantity_after=quantity,
                count=order.modifications + 1,
                modify_id=order.modify_id,
            )
        )


def _order_request(order: Order) -> OrderRequest:
    """An order seen as the request it would be now."""
    return OrderRequest(
        symbol=order.symbol,
        side=order.side,
        type=order.type,
        time_in_force=order.time_in_force,
        position_side=order.position_side,
        quantity=order.quantity,
        price=order.price,
        reduce_only=order.reduce_only,
        client_id=order.client_id,
        price_match=order.price_match,
        prevention=order.prevention,
        good_till_ms=order.good_till_ms,
    )
