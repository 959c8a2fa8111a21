"""Margin calls and liquidations: crossed and isolated, filled by the book or taken over."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import VenueAccount
from coldframe.enums import Side
from coldframe.wire.account import MarginCall, OrderTradeUpdate
from coldframe.wire.streams import LiquidationOrder
from tests.exchange.rig import SYMBOL, Rig, account_updates

BUY, SELL = Side.BUY, Side.SELL


@pytest.fixture
def rig() -> Rig:
    made = Rig(accounts=(VenueAccount(name="a", balance=Decimal(1000), leverage=50), VenueAccount(name="b")))
    made.book()
    return made


class _Forced:
    """A watcher of the public data that keeps what it hears of liquidations."""

    def __init__(self, rig: Rig) -> None:
        self.orders: list[LiquidationOrder] = []
        rig.symbol_market.public_data.watchers.append(self)  # type: ignore[arg-type]

    def on_liquidation(self, public_data: object, order: LiquidationOrder) -> None:
        self.orders.append(order)

    def __getattr__(self, name: str) -> object:
        return lambda *args: None


def test_a_margin_call_goes_out_once_before_the_end(rig: Rig) -> None:
    rig.place("BUY", "40")
    rig.mark("980.0")
    rig.events()
    rig.pass_ms(1000)
    (call,) = [event for event in rig.events() if isinstance(event, MarginCall)]
    assert (call.positions[0].symbol, call.positions[0].quantity) == (SYMBOL, "40")
    rig.pass_ms(1000)
    assert rig.events() == []


def test_a_position_below_its_maintenance_is_closed_by_the_venue(rig: Rig) -> None:
    forced = _Forced(rig)
    rig.place("BUY", "40")
    resting = rig.place("SELL", "1", "1010.0")["orderId"]
    rig.mark("978.0")  # 96.0 left behind a maintenance of 156.5
    rig.events()
    rig.pass_ms(1000)
    events = rig.events()
    assert rig.position() == 0
    assert rig.query(resting)["status"] == "CANCELED"
    closing = [
        event.order for event in events if isinstance(event, OrderTradeUpdate) and "autoclose-" in event.order.client_order_id
    ]
    assert [str(order.execution) for order in closing] == ["NEW", "CALCULATED"]
    assert [(str(order.side), order.quantity) for order in forced.orders] == [("SELL", "40.000")]
    assert rig.call("GET /fapi/v1/forceOrders")[0]["status"] == "FILLED"


def test_what_the_book_does_not_take_the_insurance_fund_does(rig: Rig) -> None:
    rig.place("BUY", "40")
    rig.symbol_market.leave(BUY, 9999 * 10**11, 10**18, rig.now_ms)
    rig.add_liquidity(BUY, "960.0", "1")
    rig.mark("970.0")
    rig.pass_ms(1000)
    assert rig.position() == 0
    assert rig.wallet() == 0
    reasons = [str(update.change.reason) for update in account_updates(rig.events())]
    assert reasons[-1] == "INSURANCE_CLEAR"


def test_an_isolated_position_goes_down_alone(rig: Rig) -> None:
    rig.call("POST /fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED")
    rig.place("BUY", "10")
    rig.mark("983.0")
    rig.pass_ms(1000)
    assert rig.position() == 0
    assert rig.wallet() > Decimal(700)


def test_a_healthy_account_is_left_alone(rig: Rig) -> None:
    rig.place("BUY", "10")
    rig.mark("990.0")
    rig.events()
    rig.pass_ms(1000)
    assert rig.events() == []
