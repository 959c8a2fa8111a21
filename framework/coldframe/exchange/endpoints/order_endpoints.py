"""Calls about orders: place, modify, cancel, query; single, in batches, and conditional."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from coldframe.enums import OrderType, ResponseType, TimeInForce
from coldframe.errors import DecodeError
from coldframe.exchange.endpoints.history_endpoints import algo_row
from coldframe.exchange.endpoints.requester import EndpointHandlers, Requester, sent
from coldframe.exchange.endpoints.windows import found
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.entities import Order
from coldframe.exchange.trading.order_checks import given
from coldframe.exchange.trading.order_events import acknowledged, algo_reply, modified, queried
from coldframe.wire import requests as ask
from coldframe.wire.replies import AlgoCancelled, ErrorBody, Notice
from coldframe.wire.requests import Fault
from coldframe.wire.strict import check_depth, loosely

_BATCH_PLACE: Final = 5
_BATCH_CANCEL: Final = 10
#: Orders whose answer tells the final state when RESULT was asked for (protocol.md 7.2).
_FINAL: Final = frozenset({TimeInForce.IOC, TimeInForce.FOK})
_ALL_CANCELLED: Final = "The operation of cancel all open order is done."


# -- ordinary orders ----------------------------------------------------------------------------------------------------


def place(exchange: Exchange, requester: Requester, request: ask.PlaceOrder, now_ms: int) -> object:
    """POST order, `order.place`."""
    order = exchange.order_entry.place(requester.account, request, now_ms)
    if isinstance(order, Fault):
        return order
    wants_result = given(request.new_order_resp_type, ResponseType.ACK) is ResponseType.RESULT
    final = wants_result and (order.type is OrderType.MARKET or order.time_in_force in _FINAL)
    return acknowledged(order, exchange.state.contract(order.symbol), accepted_only=not final)


def test_order(exchange: Exchange, requester: Requester, request: ask.PlaceOrder, now_ms: int) -> object:
    """POST order/test: all the checks, and nothing else."""
    order_request = exchange.order_entry.check(requester.account, request, now_ms)
    if isinstance(order_request, Fault):
        return order_request
    order = exchange.order_entry.draft(requester.account, order_request, now_ms, order_id=0, client_id="test")
    return acknowledged(order, exchange.state.contract(order_request.symbol), accepted_only=True)


def modify(exchange: Exchange, requester: Requester, request: ask.ModifyOrder, now_ms: int) -> object:
    """PUT order, `order.modify`: as accepted, or as cancelled when the modification amounts to that."""
    order = exchange.amender.modify(requester.account, request, now_ms)
    if isinstance(order, Fault):
        return order
    return modified(order, exchange.state.contract(order.symbol), accepted_only=order.open and not order.filled)


def cancel(exchange: Exchange, requester: Requester, request: ask.OrderRef, now_ms: int) -> object:
    """DELETE order, `order.cancel`."""
    order_id, client_id = sent(request.order_id), sent(request.orig_client_order_id)
    order = exchange.order_entry.cancel(requester.account, request.symbol, order_id, client_id, now_ms)
    if isinstance(order, Fault):
        return order
    return acknowledged(order, exchange.state.contract(order.symbol), accepted_only=False)


def query(exchange: Exchange, requester: Requester, request: ask.OrderRef, now_ms: int) -> object:
    """GET order, `order.status`."""
    order = _find(exchange, requester, request, now_ms)
    return order if isinstance(order, Fault) else queried(order, exchange.state.contract(order.symbol))


def query_open(exchange: Exchange, requester: Requester, request: ask.OrderRef, now_ms: int) -> object:
    """GET openOrder: only while it is open."""
    order = _find(exchange, requester, request, now_ms)
    if isinstance(order, Fault):
        return order
    return queried(order, exchange.state.contract(order.symbol)) if order.open else refuse(-2013)


def _find(exchange: Exchange, requester: Requester, request: ask.OrderRef, now_ms: int) -> Order | Fault:
    order_id, client_id = sent(request.order_id), sent(request.orig_client_order_id)
    if request.symbol not in exchange.markets:
        return refuse(-1121)
    if order_id is None and not client_id:
        return refuse(-1102, "orderId", "origClientOrderId")
    order = exchange.state.books(requester.account).order_of(request.symbol, order_id, client_id)
    return order if order is not None and found(order, now_ms) else refuse(-2013)


def open_orders(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET openOrders."""
    symbol = sent(request.symbol)
    if symbol is not None and symbol not in exchange.markets:
        return refuse(-1121)
    orders = exchange.state.books(requester.account).open.values()
    return [
        queried(order, exchange.state.contract(order.symbol))
        for order in orders
        if order.symbol in exchange.markets and symbol in (None, order.symbol)
    ]


def cancel_all(exchange: Exchange, requester: Requester, request: ask.SymbolOnly, now_ms: int) -> object:
    """DELETE allOpenOrders: ordinary orders only."""
    if request.symbol not in exchange.markets:
        return refuse(-1121)
    exchange.order_entry.cancel_all(requester.account, request.symbol, now_ms)
    return Notice(code=200, msg=_ALL_CANCELLED)


def countdown(exchange: Exchange, requester: Requester, request: ask.Countdown, now_ms: int) -> object:
    """POST countdownCancelAll: winds up the dead man's switch of a symbol."""
    if request.symbol not in exchange.markets:
        return refuse(-1121)
    if request.countdown_time < 0:
        return refuse(-1130, "countdownTime")
    exchange.countdown_timers.set(requester.account, request, now_ms)
    return {"symbol": request.symbol, "countdownTime": str(request.countdown_time)}


# -- batches ----------------------------------------------------------------------------------------------------------


def place_batch(exchange: Exchange, requester: Requester, request: ask.BatchPlace, now_ms: int) -> object:
    """POST batchOrders: each order succeeds or fails by itself."""
    return _each(request.batch_orders, ask.PlaceOrder, lambda order: place(exchange, requester, order, now_ms))


def modify_batch(exchange: Exchange, requester: Requester, request: ask.BatchPlace, now_ms: int) -> object:
    """PUT batchOrders."""
    return _each(request.batch_orders, ask.ModifyOrder, lambda change: modify(exchange, requester, change, now_ms))


def _each(text: str, kind: type[Any], carry_out: Any) -> object:
    rows = _list(text, dict)
    if rows is None:
        return refuse(-1130, "batchOrders")
    if not 1 <= len(rows) <= _BATCH_PLACE:
        return refuse(-4082, len(rows))
    results: list[object] = []
    for row in rows:
        request = ask.read(kind, row)
        result = request if isinstance(request, Fault) else carry_out(request)
        results.append(ErrorBody(result.code, result.msg) if isinstance(result, Fault) else result)
    return results


def cancel_batch(exchange: Exchange, requester: Requester, request: ask.BatchCancel, now_ms: int) -> object:
    """DELETE batchOrders: by ids or by client ids."""
    ids, client_ids = sent(request.order_id_list), sent(request.orig_client_order_id_list)
    if not ids and not client_ids:
        return refuse(-1102, "orderIdList", "origClientOrderIdList")
    if ids and client_ids:
        return refuse(-1128)
    chosen = _list(ids, int) if ids else _list(client_ids or "", str)
    if chosen is None:
        return refuse(-1130, "orderIdList" if ids else "origClientOrderIdList")
    if not 1 <= len(chosen) <= _BATCH_CANCEL:
        return refuse(-4032, variant=0)
    results: list[object] = []
    for item in chosen:
        given_id = {"orderId": item} if ids else {"origClientOrderId": item}
        reference = ask.read(ask.OrderRef, {"symbol": request.symbol, **given_id})
        result = reference if isinstance(reference, Fault) else cancel(exchange, requester, reference, now_ms)
        results.append(ErrorBody(result.code, result.msg) if isinstance(result, Fault) else result)
    return results


def _list(text: str, kind: type[Any]) -> list[Any] | None:
    """A JSON list of `kind` as clients write it; some leave the quotes of client ids out of mind and send bare words."""
    try:
        rows = loosely(text.encode())
        check_depth(rows)
    except (DecodeError, ValueError):
        return None
    if not isinstance(rows, list):
        return None
    return rows if all(isinstance(row, Mapping if kind is dict else kind) for row in rows) else None


# -- conditional orders -------------------------------------------------------------------------------------------------


def place_algo(exchange: Exchange, requester: Requester, request: ask.PlaceAlgo, now_ms: int) -> object:
    """POST algoOrder, `algoOrder.place`."""
    algo = exchange.conditionals.place(requester.account, request, now_ms)
    return algo if isinstance(algo, Fault) else algo_reply(algo, exchange.state.contract(algo.symbol), query=False)


def cancel_algo(exchange: Exchange, requester: Requester, request: ask.AlgoRef, now_ms: int) -> object:
    """DELETE algoOrder, `algoOrder.cancel`; the code in the answer is a text."""
    algo = exchange.conditionals.cancel(requester.account, sent(request.algo_id), sent(request.client_algo_id), now_ms)
    if isinstance(algo, Fault):
        return algo
    return AlgoCancelled(algo_id=algo.algo_id, client_algo_id=algo.client_id, code="200", msg="success")


def query_algo(exchange: Exchange, requester: Requester, request: ask.AlgoRef, now_ms: int) -> object:
    """GET algoOrder."""
    algo_id, client_id = sent(request.algo_id), sent(request.client_algo_id)
    if algo_id is None and not client_id:
        return refuse(-1102, "algoId", "clientAlgoId")
    algo = exchange.state.books(requester.account).algo_of(algo_id, client_id)
    return refuse(-2013) if algo is None or algo.symbol not in exchange.markets else algo_row(exchange, algo)


def open_algos(exchange: Exchange, requester: Requester, request: ask.OpenAlgosQuery, now_ms: int) -> object:
    """GET openAlgoOrders: all of them, those of a symbol, or one."""
    symbol, algo_id = sent(request.symbol), sent(request.algo_id)
    if sent(request.algo_type) not in (None, "CONDITIONAL"):
        return refuse(-1130, "algoType")
    if symbol is not None and symbol not in exchange.markets:
        return refuse(-1121)
    algos = [algo for algo in exchange.state.books(requester.account).open_algos.values() if algo.symbol in exchange.markets]
    return [algo_row(exchange, algo) for algo in algos if symbol in (None, algo.symbol) and algo_id in (None, algo.algo_id)]


def cancel_all_algos(exchange: Exchange, requester: Requester, request: ask.SymbolOnly, now_ms: int) -> object:
    """DELETE algoOpenOrders."""
    if request.symbol not in exchange.markets:
        return refuse(-1121)
    exchange.conditionals.cancel_all(requester.account, request.symbol, now_ms)
    return Notice(code=200, msg=_ALL_CANCELLED)


REST: Final[EndpointHandlers] = {
    "POST /fapi/v1/order": place,
    "POST /fapi/v1/order/test": test_order,
    "PUT /fapi/v1/order": modify,
    "DELETE /fapi/v1/order": cancel,
    "GET /fapi/v1/order": query,
    "POST /fapi/v1/batchOrders": place_batch,
    "PUT /fapi/v1/batchOrders": modify_batch,
    "DELETE /fapi/v1/batchOrders": cancel_batch,
    "DELETE /fapi/v1/allOpenOrders": cancel_all,
    "POST /fapi/v1/countdownCancelAll": countdown,
    "GET /fapi/v1/openOrder": query_open,
    "GET /fapi/v1/openOrders": open_orders,
    "POST /fapi/v1/algoOrder": place_algo,
    "DELETE /fapi/v1/algoOrder": cancel_algo,
    "GET /fapi/v1/algoOrder": query_algo,
    "DELETE /fapi/v1/algoOpenOrders": cancel_all_algos,
    "GET /fapi/v1/openAlgoOrders": open_algos,
}
METHODS: Final[EndpointHandlers] = {
    "order.place": place,
    "order.modify": modify,
    "order.cancel": cancel,
    "order.status": query,
    "algoOrder.place": place_algo,
    "algoOrder.cancel": cancel_algo,
}
