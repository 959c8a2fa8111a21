"""Calls about what was: orders, changes of orders, fills, income, liquidations, isolated margin. Each row once, oldest first."""

from __future__ import annotations

from typing import Any, Final

from coldframe.exchange.endpoints.requester import EndpointHandlers, Requester, sent
from coldframe.exchange.endpoints.windows import ALGOS, AMENDMENTS, FORCED, INCOME, MARGIN, ORDERS, TRADES, found, window
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.entities import Algo, Amended
from coldframe.exchange.trading.order_events import algo_reply, listed
from coldframe.wire import requests as ask
from coldframe.wire.replies import MarginChange
from coldframe.wire.requests import Fault

#: What `autoCloseType` names, by how the client ids of the orders begin (protocol.md 8.2).
_CLOSED_BY: Final = {"LIQUIDATION": ("autoclose-",), "ADL": ("adl_autoclose",)}
#: Words of `incomeType` (protocol.md 6.6, and the enumeration of the exchange's clients).
_INCOME_TYPES: Final = frozenset(
    {
        *("TRANSFER", "WELCOME_BONUS", "REALIZED_PNL", "FUNDING_FEE", "SPECIAL_FUNDING_FEE", "COMMISSION", "INSURANCE_CLEAR"),
        *("REFERRAL_KICKBACK", "COMMISSION_REBATE", "API_REBATE", "CONTEST_REWARD", "CROSS_COLLATERAL_TRANSFER"),
        *("OPTIONS_PREMIUM_FEE", "OPTIONS_SETTLE_PROFIT", "INTERNAL_TRANSFER", "AUTO_EXCHANGE", "DELIVERED_SETTELMENT"),
        *("COIN_SWAP_DEPOSIT", "COIN_SWAP_WITHDRAW", "POSITION_LIMIT_INCREASE_FEE", "STRATEGY_UMFUTURES_TRANSFER", "FEE_RETURN"),
        "BFUSD_REWARD",
    }
)


def _unlisted(exchange: Exchange, symbol: str | None) -> bool:
    return symbol is not None and symbol not in exchange.markets


def all_orders(exchange: Exchange, requester: Requester, request: ask.OrdersQuery, now_ms: int) -> object:
    """GET allOrders: from an id on, or in a window of time, or the latest."""
    symbol, first = sent(request.symbol), sent(request.order_id)
    if _unlisted(exchange, symbol):
        return refuse(-1121)
    view = window(ORDERS, request, now_ms, by_id=first is not None)
    if isinstance(view, Fault):
        return view
    rows = [
        order
        for order in exchange.state.books(requester.account).orders.values()
        if symbol in (None, order.symbol)
        and order.symbol in exchange.markets
        and (first is None or order.order_id >= first)
        and view.holds(order.created_ms)
        and found(order, now_ms)
    ]
    rows.sort(key=lambda order: (order.created_ms, order.order_id))
    return [listed(order, exchange.state.contract(order.symbol)) for order in view.page(rows)]


def amendments(exchange: Exchange, requester: Requester, request: ask.AmendmentsQuery, now_ms: int) -> object:
    """GET orderAmendment: the modifications of a symbol's orders, or of one order by either of its ids."""
    if _unlisted(exchange, request.symbol):
        return refuse(-1121)
    view = window(AMENDMENTS, request, now_ms)
    if isinstance(view, Fault):
        return view
    order_id, client_id = sent(request.order_id), sent(request.orig_client_order_id)
    rows = [
        change
        for change in exchange.state.books(requester.account).amendments
        if change.symbol == request.symbol
        and order_id in (None, change.order_id)
        and (client_id is None or order_id is not None or client_id == change.client_id)
        and view.holds(change.at_ms)
    ]
    return [_amendment(exchange, change) for change in view.page(rows)]


def _amendment(exchange: Exchange, change: Amended) -> dict[str, object]:
    contract = exchange.state.contract(change.symbol)
    price = {"before": contract.price_text(change.price_before), "after": contract.price_text(change.price_after)}
    quantity = {
        "before": contract.quantity_text(change.quantity_before),
        "after": contract.quantity_text(change.quantity_after),
    }
    changes: dict[str, object] = {"price": price, "origQty": quantity, "count": change.count}
    if change.modify_id is not None:
        changes["modifyId"] = change.modify_id
    return {
        "amendmentId": change.amendment_id,
        "symbol": change.symbol,
        "pair": contract.info.pair,
        "orderId": change.order_id,
        "clientOrderId": change.client_id,
        "time": change.at_ms,
        "amendment": changes,
    }


def user_trades(exchange: Exchange, requester: Requester, request: ask.UserTradesQuery, now_ms: int) -> object:
    """GET userTrades: fills of a symbol: from an id on, or in a window of seven days; of one order whenever they were."""
    if _unlisted(exchange, request.symbol):
        return refuse(-1121)
    order_id, from_id = sent(request.order_id), sent(request.from_id)
    if from_id is not None and (sent(request.start_time) is not None or sent(request.end_time) is not None):
        return refuse(-1128)
    view = window(TRADES, request, now_ms, by_id=from_id is not None or order_id is not None)
    if isinstance(view, Fault):
        return view
    rows = [
        fill.trade
        for fill in exchange.state.books(requester.account).trades
        if fill.trade.symbol == request.symbol
        and order_id in (None, fill.trade.order_id)
        and (from_id is None or fill.trade.id >= from_id)
        and view.holds(fill.trade.time)
    ]
    return view.page(rows)


def all_algos(exchange: Exchange, requester: Requester, request: ask.AlgosQuery, now_ms: int) -> object:
    """GET allAlgoOrders: from an id on, or in a window of time, or the latest."""
    if _unlisted(exchange, request.symbol):
        return refuse(-1121)
    first = sent(request.algo_id)
    view = window(ALGOS, request, now_ms, by_id=first is not None)
    if isinstance(view, Fault):
        return view
    rows = [
        algo
        for algo in exchange.state.books(requester.account).algos.values()
        if algo.symbol == request.symbol and (first is None or algo.algo_id >= first) and view.holds(algo.created_ms)
    ]
    return [algo_row(exchange, algo) for algo in view.page(rows)]


def algo_row(exchange: Exchange, algo: Algo) -> object:
    """A conditional order as queries and lists print it."""
    became = exchange.state.books(algo.account).orders.get(algo.order_id or 0)
    contract = exchange.state.contract(algo.symbol)
    return algo_reply(algo, contract, query=True, average=became.average if became else None)


def income(exchange: Exchange, requester: Requester, request: ask.IncomeQuery, now_ms: int) -> object:
    """GET income: of a symbol or of all, of one kind or of all."""
    symbol, kind = sent(request.symbol), sent(request.income_type)
    if _unlisted(exchange, symbol):
        return refuse(-1121)
    if kind is not None and kind not in _INCOME_TYPES:
        return refuse(-1130, "incomeType")
    view = window(INCOME, request, now_ms)
    if isinstance(view, Fault):
        return view
    rows = [
        change.income
        for change in exchange.state.books(requester.account).incomes
        if symbol in (None, change.income.symbol) and kind in (None, change.income.income_type) and view.holds(change.income.time)
    ]
    return view.page(rows)


def force_orders(exchange: Exchange, requester: Requester, request: ask.ForceOrdersQuery, now_ms: int) -> object:
    """GET forceOrders: the account's liquidations and deleveragings."""
    symbol, closed_by = sent(request.symbol), sent(request.auto_close_type)
    if _unlisted(exchange, symbol):
        return refuse(-1121)
    if closed_by is not None and closed_by not in _CLOSED_BY:
        return refuse(-1130, "autoCloseType")
    view = window(FORCED, request, now_ms)
    if isinstance(view, Fault):
        return view
    prefixes = tuple(prefix for name, some in _CLOSED_BY.items() if closed_by in (None, name) for prefix in some)
    rows = [
        order
        for order in exchange.state.books(requester.account).orders.values()
        if order.symbol in exchange.markets
        and order.client_id.startswith(prefixes)
        and symbol in (None, order.symbol)
        and view.holds(order.created_ms)
    ]
    return [listed(order, exchange.state.contract(order.symbol)) for order in view.page(rows)]


def margin_changes(exchange: Exchange, requester: Requester, request: ask.MarginHistoryQuery, now_ms: int) -> object:
    """GET positionMargin/history: what was added to isolated margin and what was taken, by hand and by fills."""
    kind = sent(request.type)
    if _unlisted(exchange, request.symbol):
        return refuse(-1121)
    if kind not in (None, 1, 2):
        return refuse(-1130, "type")
    view = window(MARGIN, request, now_ms)
    if isinstance(view, Fault):
        return view
    rows: list[Any] = [
        moved.change
        for moved in exchange.state.books(requester.account).margin_changes
        if moved.change.symbol == request.symbol and kind in (None, moved.change.type) and view.holds(moved.change.time)
    ]
    page: list[MarginChange] = view.page(rows)
    return page


REST: Final[EndpointHandlers] = {
    "GET /fapi/v1/allOrders": all_orders,
    "GET /fapi/v1/orderAmendment": amendments,
    "GET /fapi/v1/userTrades": user_trades,
    "GET /fapi/v1/allAlgoOrders": all_algos,
    "GET /fapi/v1/income": income,
    "GET /fapi/v1/forceOrders": force_orders,
    "GET /fapi/v1/positionMargin/history": margin_changes,
}
