"""Orders of an earlier run, read from what the venue says of them."""

from __future__ import annotations

import msgspec
import pytest

from coldframe.core.execution.earlier_orders import taken_algo
from coldframe.enums import OrderType, Side
from coldframe.model.orders import OrderState
from coldframe.wire.codec import Census, decode
from coldframe.wire.replies import AlgoReply
from tests.core.told import D

STOP = {
    "algoId": 7,
    "clientAlgoId": "cf.mm.1.1",
    "symbol": "BTCUSDT",
    "side": "SELL",
    "orderType": "STOP_MARKET",
    "algoStatus": "NEW",
    "triggerPrice": "90",
    "updateTime": 5,
}


@pytest.mark.parametrize(
    ("named", "quantity"),
    [({"quantity": "0.5"}, "0.5"), ({"quantity": "0.001"}, "0.001"), ({"quantity": "0"}, "0"), ({"closePosition": True}, "0")],
    ids=["half", "least", "zero", "whole position"],
)
def test_a_stop_of_an_earlier_run_keeps_its_quantity(named: dict[str, object], quantity: str) -> None:
    order = taken_algo(decode(AlgoReply, msgspec.json.encode(STOP | named), Census()), "mm")
    assert (order.quantity, order.trigger_price) == (D(quantity), D(90))
    assert (order.strategy, order.side, order.type) == ("mm", Side.SELL, OrderType.STOP_MARKET)
    assert (order.state, order.algo_id, order.close_position) == (OrderState.UNTRIGGERED, 7, "closePosition" in named)
