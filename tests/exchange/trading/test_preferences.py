"""What an account may set, and when it may not."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import VenueAccount
from coldframe.wire.account import AccountConfigUpdate
from tests.exchange.rig import SYMBOL, Rig, account_updates

LEVERAGE, MARGIN, MOVE = "POST /fapi/v1/leverage", "POST /fapi/v1/marginType", "POST /fapi/v1/positionMargin"


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.book()
    return made


def test_leverage_changes_and_is_told(rig: Rig) -> None:
    answer = rig.call(LEVERAGE, symbol=SYMBOL, leverage=100)
    assert answer == {"leverage": 100, "maxNotionalValue": "800000", "symbol": SYMBOL}
    (event,) = rig.events()
    assert isinstance(event, AccountConfigUpdate)
    assert (event.leverage.symbol, event.leverage.leverage) == (SYMBOL, 100)
    assert rig.call("GET /fapi/v1/symbolConfig", symbol=SYMBOL)[0]["leverage"] == 100


@pytest.mark.parametrize(("leverage", "code"), [(0, -4028), (126, -4028), ("x", -1102)])
def test_leverage_has_bounds(rig: Rig, leverage: object, code: int) -> None:
    assert rig.call(LEVERAGE, symbol=SYMBOL, leverage=leverage) == code


def test_leverage_must_allow_what_is_held_and_be_covered() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", balance=Decimal(20_000)),))
    rig.book(quantity="1000")
    rig.place("BUY", "350")
    assert rig.call(LEVERAGE, symbol=SYMBOL, leverage=125) == -2027
    assert rig.call(LEVERAGE, symbol=SYMBOL, leverage=10) == -2028
    assert rig.call("GET /fapi/v1/symbolConfig", symbol=SYMBOL)[0]["leverage"] == 20


def test_margin_mode_changes_only_with_nothing_there(rig: Rig) -> None:
    assert rig.call(MARGIN, symbol=SYMBOL, marginType="CROSSED") == -4046
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    assert rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED") == -4047
    rig.cancel(order_id)
    rig.place("BUY", "1")
    assert rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED") == -4048
    rig.place("SELL", "1")
    rig.events()
    assert rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED")["msg"] == "success"
    assert [str(update.change.reason) for update in account_updates(rig.events())] == ["MARGIN_TYPE_CHANGE"]
    assert rig.call("GET /fapi/v1/symbolConfig", symbol=SYMBOL)[0]["marginType"] == "ISOLATED"


def test_isolated_margin_is_refused_where_there_is_none(rig: Rig) -> None:
    assert rig.call(MOVE, symbol=SYMBOL, amount="10", type=1) == -4049
    rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED")
    assert rig.call(MOVE, symbol=SYMBOL, amount="10", type=1) == -4054
    assert rig.call(MOVE, symbol=SYMBOL, amount="10", type=3) == -1130
    assert rig.call(MOVE, symbol=SYMBOL, amount="0", type=1) == -4055


def test_isolated_position_refuses_a_lower_leverage(rig: Rig) -> None:
    rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED")
    rig.place("BUY", "1")
    assert rig.call(LEVERAGE, symbol=SYMBOL, leverage=10) == -4161


def test_asset_mode_and_isolated_symbols_exclude_each_other(rig: Rig) -> None:
    change = "POST /fapi/v1/multiAssetsMargin"
    assert rig.call(change, multiAssetsMargin="false") == -4171
    rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED")
    assert rig.call(change, multiAssetsMargin="true") == -4167
    rig.call(MARGIN, symbol=SYMBOL, marginType="CROSSED")
    order_id = rig.place("BUY", "1", "990.0")["orderId"]
    assert rig.call(change, multiAssetsMargin="true") == -4170
    rig.cancel(order_id)
    assert rig.call(change, multiAssetsMargin="true")["code"] == 200
    assert rig.call(MARGIN, symbol=SYMBOL, marginType="ISOLATED") == -4168
    assert rig.call("GET /fapi/v1/multiAssetsMargin") == {"multiAssetsMargin": True}
