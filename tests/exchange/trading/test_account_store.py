"""What an account store remembers of contracts that are not listed any more, or not yet."""

from __future__ import annotations

from decimal import Decimal

from coldframe.config.venue import VenueChange
from coldframe.enums import Side
from coldframe.exchange.trading.account_store import MemoryAccountStore
from tests.exchange.rig import Rig, symbol_market


def test_a_contract_that_is_listed_no_more_stands_still() -> None:
    store, other = MemoryAccountStore(), "ETHUSDT"
    before = Rig(symbol_market(), symbol_market(other), store=store)
    before.add_liquidity(Side.SELL, "1000.1", "100", other)
    dated = {"timeInForce": "GTD", "goodTillDate": before.now_ms + 700_000}
    before.call("POST /fapi/v1/order", symbol=other, side="BUY", type="MARKET", quantity="1")
    before.call("POST /fapi/v1/order", symbol=other, side="BUY", type="LIMIT", quantity="1", price="900", **dated)
    stop = {"algoType": "CONDITIONAL", "side": "SELL", "type": "STOP_MARKET", "quantity": "1", "triggerPrice": "500"}
    before.call("POST /fapi/v1/algoOrder", symbol=other, **stop)

    after = Rig(symbol_market(), store=store)
    (notice,) = after.exchange.take_notices()
    assert notice.startswith("the accounts hold positions or orders in ETHUSDT, which this venue does not list")
    after.book()
    for name in (
        "v3/account",
        "v2/account",
        "v3/positionRisk",
        "v2/positionRisk",
        "v3/balance",
        "v1/openOrders",
        "v1/openAlgoOrders",
    ):
        assert not isinstance(after.call(f"GET /fapi/{name}"), int)
    (algo,) = after.exchange.state.books("a").algos
    assert after.call("GET /fapi/v1/algoOrder", algoId=algo) == -2013
    assert after.call("DELETE /fapi/v1/algoOrder", algoId=algo) == -2011
    assert after.call("GET /fapi/v1/forceOrders") == []
    after.pass_ms(1000)
    assert isinstance(after.place("BUY", "1"), dict)
    after.pass_ms(28_800_000)
    assert after.position(symbol=other) == 1
    assert len(after.exchange.state.books("a").open) == 1


def test_a_contract_that_is_listed_later_gets_its_orders_back() -> None:
    store, other = MemoryAccountStore(), "ETHUSDT"
    before = Rig(symbol_market(), symbol_market(other), store=store)
    before.call("POST /fapi/v1/order", symbol=other, side="BUY", type="LIMIT", quantity="1", price="900", timeInForce="GTC")
    after = Rig(symbol_market(), store=store)
    listed = symbol_market(other)
    after.exchange._introduce = lambda symbol, now_ms: listed
    after.exchange.change(VenueChange(at_s=Decimal(0), what="listing", value="listed", symbol=other), after.now_ms)
    after.markets[other] = listed
    after.public_takes(Side.SELL, "1", "900", other)
    assert after.position(symbol=other) == 1
