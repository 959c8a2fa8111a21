"""Conditional orders at the tiny exchange: accepted, triggered on demand, then ordinary orders under the same client id."""

from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import count
from typing import TYPE_CHECKING

import attrs

from coldframe.enums import (
    AlgoStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from coldframe.wire.account import AlgoReport, AlgoUpdate
from coldframe.wire.codec import encode
from coldframe.wire.replies import AlgoReply

if TYPE_CHECKING:
    from tests.core.exchange import Exchange

Params = Mapping[str, str | int]


@attrs.frozen
class No:
    """What REST refuses."""

    code: int
    msg: str


@attrs.define
class AtAlgo:
    """One conditional order as the venue has it."""

    client_id: str
    algo_id: int
    symbol: str
    side: Side
    type: OrderType
    quantity: str
    price: str
    trigger_price: str
    position_side: PositionSide = PositionSide.BOTH
    status: AlgoStatus = AlgoStatus.NEW
    reason: str = ""
    close_position: bool = False

    def reply(self) -> AlgoReply:
        """The answer to a request, a query, a row of a list."""
        return AlgoReply(
            algo_id=self.algo_id,
            client_algo_id=self.client_id,
            symbol=self.symbol,
            side=self.side,
            order_type=self.type,
            algo_status=self.status,
            quantity=self.quantity,
            actual_order_id="",
            trigger_price=self.trigger_price,
            price=self.price,
        )

    def report(self) -> AlgoReport:
        """ALGO_UPDATE."""
        return AlgoReport(
            client_algo_id=self.client_id,
            algo_id=self.algo_id,
            algo_type="CONDITIONAL",
            type=self.type,
            symbol=self.symbol,
            side=self.side,
            position_side=self.position_side,
            time_in_force=TimeInForce.GTC,
            quantity=self.quantity,
            status=self.status,
            actual_order_id="",
            trigger_price=self.trigger_price,
            price=self.price,
            self_trade_prevention=SelfTradePrevention.NONE,
            working_type=WorkingType.CONTRACT_PRICE,
            price_match=PriceMatch.NONE,
            close_position=self.close_position,
            price_protect=False,
            reduce_only=False,
            trigger_ms=0,
            good_till_ms=0,
            reject_reason=self.reason,
        )


class Algos:
    """All conditional orders of the account."""

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._ids = count(1_000_000_013_499_160)
        self.all: dict[str, AtAlgo] = {}

    def carry_out(self, method: str, params: Params) -> tuple[int, object]:
        """`algoOrder.place` and `algoOrder.cancel`."""
        name = str(params["clientAlgoId"])
        if method == "algoOrder.cancel":
            algo = self.all.get(name)
            if algo is None or algo.status is not AlgoStatus.NEW:
                return 400, {"code": -2011, "msg": "Unknown order sent."}
            self.end(name, AlgoStatus.CANCELED)
            return 200, {"algoId": algo.algo_id, "clientAlgoId": name, "code": "200", "msg": "success"}
        if name in self.all:
            return 400, {"code": -4116, "msg": "clientOrderId is duplicated"}
        algo = self.all[name] = AtAlgo(
            client_id=name,
            algo_id=next(self._ids),
            symbol=str(params["symbol"]),
            side=Side(str(params["side"])),
            type=OrderType(str(params["type"])),
            quantity=str(params.get("quantity", "0")),
            price=str(params.get("price", "0")),
            trigger_price=str(params.get("triggerPrice", "0")),
            position_side=PositionSide(str(params.get("positionSide", "BOTH"))),
            close_position=params.get("closePosition") == "true",
        )
        self.report(algo)
        return 200, json.loads(encode(algo.reply()))

    def rest(self, path: str, params: Params) -> object:
        """GET openAlgoOrders and GET algoOrder."""
        if path == "/fapi/v1/algoOrder":
            algo = self.all.get(str(params["clientAlgoId"]))
            return No(-2013, "Order does not exist.") if algo is None else json.loads(encode(algo.reply()))
        wanted = params.get("symbol")
        alive = [algo for algo in self.all.values() if algo.status is AlgoStatus.NEW and wanted in (None, algo.symbol)]
        return [json.loads(encode(order.reply())) for order in alive]

    # -- what happens -------------------------------------------------------------------------------------------------

    def report(self, algo: AtAlgo) -> None:
        now_ms = self._exchange.now_ms
        self._exchange.tell(AlgoUpdate(event="ALGO_UPDATE", event_ms=now_ms, transaction_ms=now_ms, order=algo.report()))

    def end(self, client_id: str, status: AlgoStatus, reason: str = "") -> None:
        """It ends without an ordinary order, or when that has ended (FINISHED)."""
        algo = self.all[client_id]
        algo.status, algo.reason = status, reason
        self.report(algo)
