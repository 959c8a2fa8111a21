"""Fees in BNB: charged with a discount while there is enough, told in every place that tells of a fee or a balance."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import VenueAccount
from coldframe.enums import Side
from coldframe.wire.account import OrderTradeUpdate
from tests.exchange.rig import SYMBOL, Rig, account_updates, symbol_market

D = Decimal


def rig_of(bnb: str = "5", *, fee_burn: bool = True, maker_bps: str = "2", listed: bool = False) -> Rig:
    account = VenueAccount(name="a", bnb_balance=D(bnb), fee_burn=fee_burn, maker_fee_bps=D(maker_bps))
    markets = (symbol_market(), symbol_market("BNBUSDT", "500.0")) if listed else (symbol_market(),)
    made = Rig(*markets, accounts=(account, VenueAccount(name="b")))
    made.book()
    return made


def bnb_of(rig: Rig) -> Decimal:
    return rig.exchange.state.books("a").account.bnb


@pytest.mark.parametrize(("listed", "price"), [(False, 600), (True, 500)])
def test_a_fee_in_bnb_is_a_tenth_cheaper_at_the_index_price(listed: bool, price: int) -> None:
    rig = rig_of(listed=listed)
    before = rig.wallet()
    rig.place("BUY", "1")
    fee = (D("1000.1") * D("0.0005") * D("0.9") / price).quantize(D("0.00000001"))
    assert 5 - bnb_of(rig) == fee
    assert rig.wallet() == before


def test_every_place_that_tells_of_a_fee_names_bnb() -> None:
    rig = rig_of()
    rig.place("BUY", "1")
    paid = 5 - bnb_of(rig)
    events = rig.events()
    (trade,) = [event.order for event in events if isinstance(event, OrderTradeUpdate) and event.order.execution == "TRADE"]
    assert (trade.commission_asset, D(str(trade.commission))) == ("BNB", paid)
    (row,) = rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL)
    assert (row["commissionAsset"], D(row["commission"])) == ("BNB", paid)
    (income,) = rig.call("GET /fapi/v1/income", incomeType="COMMISSION")
    assert (income["asset"], D(income["income"])) == ("BNB", -paid)
    (change,) = [update.change for update in account_updates(events)]
    assert [(balance.asset, D(balance.wallet_balance)) for balance in change.balances] == [("BNB", bnb_of(rig))]


def test_a_fill_that_realises_profit_changes_both_balances() -> None:
    rig = rig_of()
    rig.place("BUY", "1")
    rig.events()
    rig.place("SELL", "1")
    (change,) = [update.change for update in account_updates(rig.events())]
    assert {balance.asset: D(balance.wallet_balance) for balance in change.balances} == {"BNB": bnb_of(rig), "USDT": rig.wallet()}


@pytest.mark.parametrize("bnb", ["0", "0.0001"])
def test_without_enough_bnb_the_whole_fee_is_paid_in_usdt(bnb: str) -> None:
    rig = rig_of(bnb)
    before = rig.wallet()
    rig.place("BUY", "1")
    assert bnb_of(rig) == D(bnb)
    assert before - rig.wallet() == D("1000.1") * D("0.0005")


def test_a_rebate_comes_in_usdt() -> None:
    rig = rig_of(maker_bps="-1")
    before = rig.wallet()
    rig.place("BUY", "1", "1000.0")
    rig.public_takes(Side.SELL, "1", "1000.0")
    assert bnb_of(rig) == 5
    assert rig.wallet() > before


def test_fee_burn_is_read_and_set() -> None:
    rig = rig_of(fee_burn=False)
    assert rig.call("GET /fapi/v1/feeBurn") == {"feeBurn": False}
    rig.place("BUY", "1")
    assert bnb_of(rig) == 5
    assert rig.call("POST /fapi/v1/feeBurn", feeBurn="true") == {"code": 200, "msg": "success"}
    assert rig.call("GET /fapi/v1/feeBurn") == {"feeBurn": True}
    assert rig.call("GET /fapi/v1/feeBurn", "b") == {"feeBurn": False}
    rig.place("SELL", "1")
    assert bnb_of(rig) < 5
    assert rig.call("POST /fapi/v1/feeBurn", feeBurn="perhaps") == -1102


@pytest.mark.parametrize("call", ["GET /fapi/v2/balance", "GET /fapi/v3/balance"])
def test_balances_show_bnb_where_there_is_any(call: str) -> None:
    assert [row["asset"] for row in rig_of().call(call)] == ["USDT", "BNB"]
    assert [row["asset"] for row in rig_of().call(call, "b")] == ["USDT"]


@pytest.mark.parametrize("version", ["v2", "v3"])
def test_the_account_shows_bnb_beside_its_margin(version: str) -> None:
    body = rig_of().call(f"GET /fapi/{version}/account")
    assert [(row["asset"], row["walletBalance"]) for row in body["assets"]] == [("USDT", "10000.00000000"), ("BNB", "5.00000000")]
    assert body["totalWalletBalance"] == "10000.00000000"
    assert body.get("feeBurn", True) is True


@pytest.mark.parametrize("listed", [True, False])
def test_the_price_of_bnb_can_be_asked_for(listed: bool) -> None:
    rig = rig_of(listed=listed)
    assert D(rig.call("GET /fapi/v1/assetIndex", symbol="BNBUSD")["index"]) == (500 if listed else 600)
    mark = rig.call("GET /fapi/v1/premiumIndex", symbol="BNBUSDT")
    assert mark == -1121 or D(mark["markPrice"]) == 500
