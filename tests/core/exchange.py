"""A tiny exchange without sockets: it carries out requests, answers REST calls, and reports what happens to orders.

It knows no links and no time of its own; its owner says what time it is and passes its reports on.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from decimal import Decimal
from itertools import count
from typing import Protocol

import attrs

from coldframe.enums import ExecutionType, OrderStatus, PositionSide, Side, TimeInForce
from coldframe.wire.account import OrderTradeUpdate, UserEvent
from coldframe.wire.codec import encode
from coldframe.wire.streams import DepthUpdate
from tests.core.made import delta, depth
from tests.core.told import AtVenue, Trade

Params = Mapping[str, str | int]
ALIVE = (OrderStatus.NEW, OrderStatus.PARTIALLY_FILLED)


@attrs.frozen
class No:
    """What REST refuses."""

    code: int
    msg: str


class Owner(Protocol):
    """The side that holds the exchange: it says what time it is, and passes on what the user-data stream says."""

    @property
    def venue_ms(self) -> int: ...
    def tell(self, message: object) -> None: ...


class Exchange:
    """Orders, trades and books of one account. Codes in `refuses` are answered to the method or path they stand under."""

    def __init__(self, symbols: Iterable[str], owner: Owner) -> None:
        self.owner = owner
        self.orders: dict[str, AtVenue] = {}
        self.trades: list[tuple[AtVenue, Trade]] = []
        self.refuses: dict[str, tuple[int, str]] = {}
        self.listen_key = "secret-listen-key"
        self.hedge = False
        #: The fee of every trade, and its asset.
        self.fee = ("0.02", "USDT")
        #: Prices that REST names: of contracts (`BNBUSDT`) and of assets (`BNBUSD`).
        self.prices: dict[str, str] = {}
        self.books: dict[str, tuple[int, dict[Side, dict[str, str]]]] = {
            symbol: (10, {Side.BUY: {}, Side.SELL: {}}) for symbol in symbols
        }
        self._ids = count(8_389_765_500_000_000_001)
        self._trade_ids = count(100)

    # -- the WebSocket API --------------------------------------------------------------------------------------------

    def carry_out(self, method: str, params: Params) -> tuple[int, object]:
        if method in self.refuses:
            code, msg = self.refuses[method]
            return 400, {"code": code, "msg": msg}
        match method:
            case "session.logon":
                at = self.now_ms
                return 200, {
                    "apiKey": "k",
                    "authorizedSince": at,
                    "connectedSince": at,
                    "returnRateLimits": False,
                    "serverTime": at,
                }
            case "userDataStream.start":
                return 200, {"listenKey": self.listen_key}
            case "userDataStream.ping":
                return 200, {"listenKey": self.listen_key}
            case "order.place":
                return self._place(params)
            case "algoOrder.cancel":  # there are no conditional orders here
                return 400, {"code": -2011, "msg": "Unknown order sent."}
            case "order.cancel" | "order.modify" | "order.status":
                return self._about(method, params)
            case _:
                raise AssertionError(method)

    def _place(self, params: Params) -> tuple[int, object]:
        order = AtVenue(
            str(params["newClientOrderId"]),
            next(self._ids),
            Side(str(params["side"])),
            str(params["symbol"]),
            Decimal(str(params["quantity"])),
            str(params.get("price", "0")),
            at_ms=self.now_ms,
            position_side=PositionSide(str(params.get("positionSide", "BOTH"))),
        )
        if order.client_order_id in self.orders:
            return 400, {"code": -4116, "msg": "clientOrderId is duplicated"}
        self.orders[order.client_order_id] = order
        self.report(order, ExecutionType.NEW)
        answer = self._printed(order)
        if params.get("timeInForce") == TimeInForce.IOC or params["type"] == "MARKET":
            self.fill(order.client_order_id, str(order.quantity), str(params.get("price", "100")))
        return 200, answer

    def by_client_id(self, params: Params) -> Params:
        """A request that names an order by the venue's id, as the same request with the client order id."""
        named = [order.client_order_id for order in self.orders.values() if order.order_id == params.get("orderId")]
        return {**params, "origClientOrderId": named[0]} if named else params

    def _about(self, method: str, params: Params) -> tuple[int, object]:
        order = self.orders.get(str(params["origClientOrderId"]))
        alive = order is not None and order.status in ALIVE
        if order is None or (not alive and method != "order.status"):
            return 400, {"code": -2011 if method == "order.cancel" else -2013, "msg": "Unknown order sent."}
        if method == "order.cancel":
            order.end(OrderStatus.CANCELED)
            order.at_ms = self.now_ms
            self.report(order, ExecutionType.CANCELED)
        elif method == "order.modify":
            order.amend(str(params["price"]), str(params["quantity"]))
            order.at_ms = max(self.now_ms, order.at_ms)
            if order.quantity <= order.filled:
                # Amended to no more than has traded, an order is cancelled (protocol.md 7.3).
                order.status = OrderStatus.CANCELED
            self.report(order, ExecutionType.AMENDMENT if order.status in ALIVE else ExecutionType.CANCELED)
        return 200, self._printed(order)

    @staticmethod
    def _printed(order: AtVenue) -> object:
        return json.loads(encode(order.reply()))

    # -- REST ---------------------------------------------------------------------------------------------------------

    def rest(self, path: str, params: Params) -> object:
        match path:
            case "/fapi/v1/time":
                return {"serverTime": self.now_ms}
            case "/fapi/v1/exchangeInfo":
                return No(-1001, "Internal error; unable to process your request.")
            case "/fapi/v1/depth" | "/fapi/v1/rpiDepth":
                at, levels = self.books[str(params["symbol"])]
                return json.loads(encode(depth(at, levels[Side.BUY].items(), levels[Side.SELL].items())))
            case "/fapi/v1/order":
                found = (self._printed(order) for order in self.orders.values() if order.order_id == params["orderId"])
                return next(found, No(-2013, "Order does not exist."))
            case "/fapi/v1/openOrders":
                return [self._printed(order) for order in self.orders.values() if order.status in ALIVE]
            case "/fapi/v3/positionRisk":
                net: dict[tuple[str, str], Decimal] = defaultdict(Decimal)
                for order, trade in self.trades:
                    net[order.symbol, order.position_side] += order.side.sign * Decimal(trade.quantity)
                return [
                    {"symbol": symbol, "positionSide": side, "positionAmt": str(amount), "entryPrice": "100"}
                    for (symbol, side), amount in net.items()
                    if amount
                ]
            case "/fapi/v1/userTrades":
                return self._user_trades(params)
            case "/fapi/v1/premiumIndex" | "/fapi/v1/assetIndex":
                price, key = self.prices.get(str(params["symbol"])), "markPrice" if path.endswith("premiumIndex") else "index"
                return {"symbol": params["symbol"], key: price} if price else No(-1121, "Invalid symbol.")
            case "/fapi/v1/commissionRate":
                return {"symbol": params["symbol"], "makerCommissionRate": "0.0002", "takerCommissionRate": "0.0004"}
            case "/fapi/v1/accountConfig":
                return {"canTrade": True, "dualSidePosition": self.hedge, "multiAssetsMargin": False}
            case "/fapi/v1/openAlgoOrders" | "/fapi/v1/symbolConfig" | "/fapi/v1/leverageBracket" | "/fapi/v1/income":
                return []
            case _:
                raise AssertionError(path)

    def _user_trades(self, params: Params) -> object:
        rows = [
            json.loads(encode(order.row(trade)))
            for order, trade in self.trades
            if order.symbol == params["symbol"]
            and order.order_id == params.get("orderId", order.order_id)
            and trade.id >= int(params.get("fromId", 0))
            and order.at_ms >= int(params.get("startTime", 0))
        ]
        return rows[: int(params["limit"])]

    # -- what happens -------------------------------------------------------------------------------------------------

    @property
    def now_ms(self) -> int:
        return self.owner.venue_ms

    def tell(self, event: UserEvent) -> None:
        self.owner.tell(event)

    def report(self, order: AtVenue, execution: ExecutionType, trade: Trade | None = None) -> None:
        report = order.report(execution, trade)
        self.tell(OrderTradeUpdate(event="ORDER_TRADE_UPDATE", event_ms=self.now_ms, transaction_ms=order.at_ms, order=report))

    def fill(self, client_order_id: str, quantity: str, price: str | None = None) -> None:
        """One of the orders trades."""
        order = self.orders[client_order_id]
        trade = Trade(next(self._trade_ids), quantity, price or order.price, *self.fee)
        order.trade(trade)
        order.at_ms = max(order.at_ms, self.now_ms)
        self.trades.append((order, trade))
        self.tell(order.lite(trade))
        self.report(order, ExecutionType.TRADE, trade)

    def external_order(self, client_order_id: str, symbol: str, side: Side, quantity: str, price: str) -> AtVenue:
        """Another client places an order on the same account."""
        order = AtVenue(client_order_id, next(self._ids), side, symbol, Decimal(quantity), price, at_ms=self.now_ms)
        self.orders[client_order_id] = order
        self.report(order, ExecutionType.NEW)
        return order

    def book(self, symbol: str, bids: Iterable[tuple[str, str]] | None, asks: Iterable[tuple[str, str]] | None) -> DepthUpdate:
        """The book of a symbol now holds these levels (None: as before). Returns what the stream says of it."""
        at, levels = self.books[symbol]
        after = {
            Side.BUY: dict(levels[Side.BUY] if bids is None else bids),
            Side.SELL: dict(levels[Side.SELL] if asks is None else asks),
        }
        said = {
            side: [*((price, "0") for price in levels[side] if price not in after[side]), *after[side].items()] for side in after
        }
        self.books[symbol] = (at + 3, after)
        return delta(at, at + 3, said[Side.BUY], said[Side.SELL], symbol=symbol, event_ms=self.now_ms)
