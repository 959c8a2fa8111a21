"""Orders that live with a position: closePosition and GTE_GTC. They need one, and end with it (protocol.md 7.5)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe.config.venue import VenueAccount, VenueFaults
from coldframe.enums import Side
from coldframe.wire.account import AlgoUpdate
from tests.exchange.rig import SYMBOL, Rig, algo_states, order_events

BUY, SELL = Side.BUY, Side.SELL
PLACE = "POST /fapi/v1/algoOrder"
STOP, PROFIT = ("STOP_MARKET", "980.0"), ("TAKE_PROFIT_MARKET", "1020.0")


def made(*, hedge: bool = False, lag_ms: int = 0) -> Rig:
    accounts = (VenueAccount(name="a", hedge_mode=hedge), VenueAccount(name="b"))
    rig = Rig(accounts=accounts, faults=VenueFaults(close_position_lag_ms=lag_ms))
    rig.book()
    rig.public_takes(BUY, "0.001", "1000.1")
    rig.pass_ms(1)
    return rig


@pytest.fixture
def rig() -> Rig:
    return made()


def closer(rig: Rig, side: str, kind: tuple[str, str] = STOP, **more: object) -> dict | int:
    params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": side, "type": kind[0], "triggerPrice": kind[1], **more}
    return rig.call(PLACE, closePosition="true", **params)  # type: ignore[return-value]


def open_algos(rig: Rig) -> list[str]:
    return [row["orderType"] for row in rig.call("GET /fapi/v1/openAlgoOrders")]  # type: ignore[attr-defined]


# -- what they need -----------------------------------------------------------------------------------------------------


def test_without_a_position_there_is_nothing_to_close(rig: Rig) -> None:
    assert closer(rig, "SELL") == -4509
    rig.place("BUY", "1")
    assert isinstance(closer(rig, "SELL"), dict)


@pytest.mark.parametrize(("opening", "wrong", "kind"), [("BUY", "BUY", ("STOP_MARKET", "1020.0")), ("SELL", "SELL", STOP)])
def test_an_order_in_the_positions_direction_cannot_close_it(rig: Rig, opening: str, wrong: str, kind: tuple[str, str]) -> None:
    rig.place(opening, "1")
    assert closer(rig, wrong, kind) == -4509


def test_one_way_out_in_each_direction_and_of_each_kind(rig: Rig) -> None:
    rig.place("BUY", "1")
    first = closer(rig, "SELL")
    assert closer(rig, "SELL", PROFIT) == -4130
    assert rig.call("DELETE /fapi/v1/algoOrder", algoId=first["algoId"])["code"] == "200"
    assert isinstance(closer(rig, "SELL", PROFIT), dict)


def test_a_closing_order_says_that_it_lives_with_the_position(rig: Rig) -> None:
    rig.place("BUY", "1")
    rig.events()
    row = closer(rig, "SELL")
    assert (row["timeInForce"], row["reduceOnly"], row["closePosition"]) == ("GTE_GTC", True, True)
    report = next(event.order for event in rig.events() if isinstance(event, AlgoUpdate))
    assert (str(report.time_in_force), report.reduce_only, report.close_position) == ("GTE_GTC", True, True)


def test_in_hedge_mode_each_side_has_its_own() -> None:
    rig = made(hedge=True)
    rig.place("BUY", "1", positionSide="LONG")
    assert closer(rig, "BUY", ("STOP_MARKET", "1020.0"), positionSide="SHORT") == -4509
    rig.place("SELL", "1", positionSide="SHORT")
    assert closer(rig, "BUY", ("STOP_MARKET", "1020.0"), positionSide="LONG") == -4509
    assert isinstance(closer(rig, "BUY", ("STOP_MARKET", "1020.0"), positionSide="SHORT"), dict)
    assert isinstance(closer(rig, "SELL", positionSide="LONG"), dict)


@pytest.mark.parametrize("kind", ["LIMIT", "STOP", "STOP_MARKET"])
def test_gte_gtc_needs_a_position_in_every_call(rig: Rig, kind: str) -> None:
    def sent() -> dict | int:
        if kind == "LIMIT":
            return rig.place("SELL", "1", "1010.0", timeInForce="GTE_GTC")
        more = {"price": "980.0"} if kind == "STOP" else {}
        params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": kind, "triggerPrice": "985.0", **more}
        return rig.call(PLACE, quantity="1", timeInForce="GTE_GTC", **params)  # type: ignore[return-value]

    assert sent() == -4509
    rig.place("SELL", "1")
    assert sent() == -4509
    rig.place("BUY", "3")
    assert sent()["timeInForce"] == "GTE_GTC"  # type: ignore[index]


# -- how they end -------------------------------------------------------------------------------------------------------


def test_they_end_in_the_moment_in_which_the_position_does(rig: Rig) -> None:
    rig.place("BUY", "1")
    closer(rig, "SELL")
    rig.call(PLACE, algoType="CONDITIONAL", symbol=SYMBOL, side="SELL", type="STOP_MARKET", triggerPrice="970.0", quantity="1")
    rest = rig.place("SELL", "1", "1010.0", timeInForce="GTE_GTC")
    rig.events()
    rig.place("SELL", "0.4", reduceOnly="true")
    assert algo_states(rig.events()) == []
    rig.place("SELL", "0.6")
    events = rig.events()  # before any time has passed
    assert algo_states(events) == ["EXPIRED"]
    assert order_events(events)[-1] == ("EXPIRED", "EXPIRED")
    assert rig.query(rest["orderId"])["status"] == "EXPIRED"
    assert open_algos(rig) == ["STOP_MARKET"]  # the one with a quantity stays


def test_they_end_when_the_position_turns(rig: Rig) -> None:
    rig.place("BUY", "1")
    closer(rig, "SELL")
    rig.place("SELL", "3")
    assert open_algos(rig) == []
    assert isinstance(closer(rig, "BUY", ("STOP_MARKET", "1020.0")), dict)


def test_a_resting_order_of_ours_that_is_met_ends_them_too(rig: Rig) -> None:
    rig.place("BUY", "1")
    closer(rig, "SELL")
    rig.place("SELL", "1", "1000.0", timeInForce="GTX")
    rig.events()
    rig.public_takes(BUY, "1", "1000.0")
    assert rig.position() == 0
    assert algo_states(rig.events()) == ["EXPIRED"]


def test_a_liquidation_ends_them() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", balance=Decimal(100), leverage=100), VenueAccount(name="b")))
    rig.book(bid="999.9", ask="1000.1", quantity="5")
    rig.public_takes(BUY, "0.001", "1000.1")
    rig.place("BUY", "5")
    closer(rig, "SELL", ("STOP_MARKET", "900.0"))
    rig.mark("980.0")
    rig.pass_ms(1000)
    assert rig.position() == 0
    assert open_algos(rig) == []


def test_the_one_that_was_triggered_ends_as_an_order() -> None:
    rig = made()
    rig.place("BUY", "1")
    closer(rig, "SELL")
    rig.events()
    rig.add_liquidity(BUY, "975.0", "5")
    rig.symbol_market.leave(BUY, 9999 * 10**11, 10**18, rig.now_ms)
    rig.public_takes(SELL, "0.001", "975.0")
    rig.pass_ms(50)
    events = rig.events()
    assert algo_states(events) == ["TRIGGERING", "TRIGGERED", "FINISHED"]
    assert rig.position() == 0


def test_restored_close_position_order_ends_with_the_position(rig: Rig) -> None:
    rig.place("BUY", "1")
    closer(rig, "SELL")
    again = Rig(rig.symbol_market, store=rig.exchange.store)
    assert open_algos(again) == ["STOP_MARKET"]
    again.place("SELL", "1")
    assert open_algos(again) == []


# -- checks that lag ------------------------------------------------------------------------------------------------------


def test_the_checks_may_lag_behind() -> None:
    rig = made(lag_ms=1000)
    rig.place("BUY", "1")
    assert closer(rig, "SELL") == -4509
    rig.pass_ms(1000)
    first = closer(rig, "SELL")
    rig.call("DELETE /fapi/v1/algoOrder", algoId=first["algoId"])
    assert closer(rig, "SELL") == -4130
    rig.pass_ms(1000)
    assert isinstance(closer(rig, "SELL"), dict)


# -- what closing orders of hedge mode say ------------------------------------------------------------------------------------


def test_closing_orders_of_hedge_mode_report_reduce_only() -> None:
    rig = made(hedge=True)
    opening = rig.place("BUY", "1", positionSide="LONG", newOrderRespType="RESULT")
    closing = rig.place("SELL", "0.5", "1010.0", positionSide="LONG")
    assert (opening["reduceOnly"], closing["reduceOnly"], rig.query(closing["orderId"])["reduceOnly"]) == (False, True, True)
    tested = {"symbol": SYMBOL, "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": "1010.0", "side": "SELL"}
    assert rig.call("POST /fapi/v1/order/test", positionSide="LONG", **tested)["reduceOnly"] is True
    stop = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "SELL", "type": "STOP_MARKET", "triggerPrice": "980.0"}
    assert rig.call(PLACE, quantity="1", positionSide="LONG", **stop)["reduceOnly"] is True
    assert rig.call(PLACE, quantity="1", positionSide="SHORT", **stop)["reduceOnly"] is False
