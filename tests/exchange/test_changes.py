"""What changes at the exchange during a run, seen from its calls, its events and its streams."""

from __future__ import annotations

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount, VenueChange
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.exchange.changes import SETTLING_MS
from coldframe.exchange.endpoints.rest import Rest, RestRequest
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange.synthetic import SyntheticMarket
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.wire.account import AlgoUpdate, OrderTradeUpdate
from tests.exchange.endpoints.test_strict_bodies import faults as malformed
from tests.exchange.rig import SYMBOL, Rig, account_updates, order_events, symbol_market
from tests.randomness import randomness

T0 = 1_700_000_000_000
D = Decimal


def change(what: str, value: str, symbol: str = SYMBOL, account: str = "") -> VenueChange:
    return VenueChange(at_s=D(0), what=what, value=value, symbol=symbol, account=account)


def delisted(rig: Rig) -> None:
    assert rig.exchange.change(change("listing", "delisted"), rig.now_ms) is None


def listed(rig: Rig) -> dict[str, str]:
    info = rig.call("GET /fapi/v1/exchangeInfo")
    return {row["symbol"]: row["status"] for row in info["symbols"]}  # type: ignore[call-overload,index]


# -- delisting --------------------------------------------------------------------------------------------------------


def test_open_orders_expire_with_reason_7() -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1", "900.0")
    rig.place("SELL", "1", "1100.0", account="b")
    rig.call("POST /fapi/v1/algoOrder", algoType="CONDITIONAL", symbol=SYMBOL, side="BUY", type="STOP_MARKET", quantity="1",
             triggerPrice="1200.0")  # fmt: skip
    rig.exchange.state.take_events()
    delisted(rig)
    events = rig.exchange.state.take_events()
    ordinary = [event.order for _, event in events if isinstance(event, OrderTradeUpdate)]
    assert [(str(order.status), str(order.execution), order.expiry_reason) for order in ordinary] == [
        ("EXPIRED", "EXPIRED", "7")
    ] * 2
    assert [str(event.order.status) for _, event in events if isinstance(event, AlgoUpdate)] == ["EXPIRED"]
    assert rig.call("GET /fapi/v1/openOrders") == rig.call("GET /fapi/v1/openAlgoOrders") == []
    assert not rig.exchange.state.books("b").open


@pytest.mark.parametrize("side", ["BUY", "SELL"])
def test_a_position_is_settled_at_the_index_price(side: str) -> None:
    rig = Rig()
    rig.book()
    rig.place(side, "2")
    wallet = rig.wallet()
    rig.symbol_market.public_data.prices.index = D("1010")
    rig.events()
    delisted(rig)
    entry, sign = (D("1000.1"), 1) if side == "BUY" else (D("999.9"), -1)
    fee = D("2020") * D("0.0005")
    assert rig.position() == 0
    assert rig.wallet() == wallet + (D("1010") - entry) * 2 * sign - fee
    events = rig.events()
    (filled,) = [event.order for event in events if isinstance(event, OrderTradeUpdate) and str(event.order.status) == "FILLED"]
    assert filled.client_order_id.startswith("settlement_autoclose-")
    assert str(filled.execution) == "TRADE"
    assert order_events(events) == [("NEW", "NEW"), ("TRADE", "FILLED")]
    assert account_updates(events)[-1].change.positions[0].quantity == "0"
    trades = rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL)
    assert trades[-1]["price"] == "1010.0"  # type: ignore[index]


def test_both_sides_of_hedge_mode_are_settled() -> None:
    rig = Rig(accounts=(VenueAccount(name="a", hedge_mode=True),))
    rig.book()
    rig.place("BUY", "2", positionSide="LONG")
    rig.place("SELL", "1", positionSide="SHORT")
    delisted(rig)
    assert rig.position(side="LONG") == rig.position(side="SHORT") == 0


def test_isolated_margin_comes_back() -> None:
    rig = Rig()
    rig.call("POST /fapi/v1/marginType", symbol=SYMBOL, marginType="ISOLATED")
    rig.book()
    rig.place("BUY", "2")
    delisted(rig)
    account = rig.exchange.state.books("a").account
    assert account.cross_wallet == account.wallet


def test_a_delisted_contract_settles_a_minute_then_closes() -> None:
    rig = Rig()
    rig.book()
    delisted(rig)
    assert listed(rig) == {SYMBOL: "SETTLING"}
    assert rig.place("BUY", "1", "900.0") == -4108
    assert rig.call("GET /fapi/v1/openInterest", symbol=SYMBOL) == -4108
    rig.pass_ms(SETTLING_MS - 1)
    assert listed(rig) == {SYMBOL: "SETTLING"}
    rig.pass_ms(1)
    assert listed(rig) == {}
    assert rig.place("BUY", "1", "900.0") == -4141
    assert rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL) == []


def test_a_contract_that_has_ended_pays_no_funding() -> None:
    rig = Rig(symbol_market(), symbol_market("ETHUSDT"))
    rig.book()
    rig.pass_ms(0)
    ear = Ear()
    rig.exchange.streams.subscriptions.add("!markPrice@arr", ear)
    delisted(rig)
    row = rig.call("GET /fapi/v1/premiumIndex", symbol=SYMBOL)
    assert (row["nextFundingTime"], row["lastFundingRate"]) == (0, "0.00000000")  # type: ignore[call-overload,index]
    rig.exchange.streams.tick(rig.now_ms)
    (rows,) = [body for _, body in ear.heard]
    assert {row["s"]: row["T"] > 0 for row in rows} == {SYMBOL: False, "ETHUSDT": True}  # type: ignore[attr-defined]
    rig.pass_ms(28_800_000)
    rig.pass_ms(28_800_000)
    rates = rig.call("GET /fapi/v1/fundingRate")
    assert {row["symbol"] for row in rates} == {"ETHUSDT"}  # type: ignore[union-attr,call-overload]
    assert rig.exchange.state.books("a").incomes == rig.exchange.state.books("b").incomes


@pytest.mark.parametrize("name", ["premiumIndex", "ticker/price", "ticker/bookTicker", "ticker/24hr", "symbolAdlRisk"])
def test_a_closed_contract_stands_in_no_list(name: str) -> None:
    rig = Rig(symbol_market(), symbol_market("ETHUSDT"))
    rig.book()
    delisted(rig)
    rig.pass_ms(SETTLING_MS)
    ear = Ear()
    rig.exchange.streams.subscriptions.add("!markPrice@arr", ear)
    rig.exchange.streams.tick(rig.now_ms)
    assert [row["s"] for row in ear.heard[-1][1]] == ["ETHUSDT"]  # type: ignore[attr-defined]
    assert [row["symbol"] for row in rig.call(f"GET /fapi/v1/{name}")] == ["ETHUSDT"]  # type: ignore[union-attr,call-overload]


def test_contract_with_simulated_sessions_refuses_status_changes() -> None:
    market, made = exchange(symbols=["TSLAUSDT"], session_s=60)
    live(market, made, T0, T0 + 1000)
    halted = change("status", "PRE_SETTLE", "TSLAUSDT")
    assert made.change(halted, T0 + 1000) == "its sessions decide whether TSLAUSDT trades (venue.embedded.session_s = 60)"
    assert made.change(change("listing", "delisted", "TSLAUSDT"), T0 + 1000) is None


def test_a_halt_leaves_orders_and_positions() -> None:
    rig = Rig()
    rig.book()
    rig.place("BUY", "1")
    rig.place("BUY", "1", "900.0")
    for word in ("TRADING_HALT", "PRE_SETTLE", "PENDING_TRADING"):
        assert rig.exchange.change(change("status", word), rig.now_ms) is None
    assert rig.position() == 1
    assert len(rig.exchange.state.books("a").open) == 1


def test_a_change_that_is_no_change_is_refused() -> None:
    rig = Rig()
    delisted(rig)
    again = rig.exchange.change(change("listing", "delisted"), rig.now_ms)
    assert again == f"{SYMBOL} is SETTLING already"
    assert rig.exchange.change(change("listing", "listed"), rig.now_ms) == f"{SYMBOL} is listed already: it is SETTLING"
    unknown = rig.exchange.change(change("fee_burn", "on", "", "z"), rig.now_ms)
    assert unknown == "there is no account 'z'; there is a, b"


# -- listing ----------------------------------------------------------------------------------------------------------


class Ear:
    """A listener that keeps what it hears."""

    backlog = 0

    def __init__(self) -> None:
        self.heard: list[tuple[str, object]] = []

    def offer(self, publication: Publication) -> None:
        self.heard.append((publication.name, json.loads(publication.payload)))

    def names(self) -> set[str]:
        return {name for name, _ in self.heard}


def exchange(**settings: object) -> tuple[SyntheticMarket, Exchange]:
    wanted = Settings(**settings)  # type: ignore[arg-type]
    market = SyntheticMarket(wanted, T0, {}, Random)
    made = Exchange(
        wanted, market.markets, keys_for(["main"], None), MemoryAccountStore(), T0, randomness(), introduce=market.introduce
    )
    market.bind(made.streams, lambda symbol, executions: made.clearing.clear_executions(symbol, executions, T0))
    return market, made


def live(market: SyntheticMarket, made: Exchange, from_ms: int, to_ms: int) -> None:
    for now_ms in range(from_ms, to_ms, 50):
        market.advance(now_ms)
        made.advance(now_ms)
        made.streams.tick(now_ms)


def test_streams_of_a_new_contract_speak_to_those_who_wait() -> None:
    market, made = exchange(symbols=["BTCUSDT"])
    ear, names = Ear(), {"solusdt@depth@100ms", "solusdt@aggTrade", "solusdt@markPrice@1s", "solusdt@kline_1m", "!contractInfo"}
    for name in (*names, "!miniTicker@arr", "nothing@depth"):
        made.streams.subscriptions.add(name, ear)
    live(market, made, T0, T0 + 2000)
    assert ear.names() == {"!miniTicker@arr"}
    assert made.change(change("listing", "listed", "SOLUSDT"), T0 + 2000) is None
    live(market, made, T0 + 2000, T0 + 6000)
    assert ear.names() >= names
    assert "nothing@depth" not in ear.names()
    (first, *_) = [body for name, body in ear.heard if name == "!contractInfo"]
    assert first["s"] == "SOLUSDT"
    assert first["cs"] == "TRADING"
    assert first["ot"] == first["E"] == T0 + 2000
    assert first["bks"]
    both = [body for name, body in ear.heard if name == "!miniTicker@arr"]
    assert any(row["s"] == "SOLUSDT" for rows in both for row in rows)  # type: ignore[attr-defined]


def test_a_new_contract_has_no_past() -> None:
    market, made = exchange(symbols=["BTCUSDT"])
    assert made.change(change("listing", "listed", "SOLUSDT"), T0) is None
    assert made.markets["SOLUSDT"].public_data.candles.page("1m", 10) == []
    live(market, made, T0, T0 + 2000)
    assert len(made.markets["SOLUSDT"].public_data.candles.page("1m", 10)) == 1
    assert len(made.markets["BTCUSDT"].public_data.candles.page("1m", 10)) == 10


def test_a_contract_without_a_trade_answers_in_the_usual_form() -> None:
    _, made = exchange(symbols=["BTCUSDT"])
    made.change(change("listing", "pending", "SOLUSDT"), T0)
    ask = Rest(made)

    def body(path: str, query: bytes = b"symbol=SOLUSDT") -> Any:
        return json.loads(ask.answer(RestRequest("GET", f"/fapi/v1/{path}", query, {}, b""), T0).body)

    ticker = body("ticker/24hr")
    assert (ticker["symbol"], ticker["lastPrice"], ticker["count"], ticker["volume"]) == ("SOLUSDT", "0.0000", 0, "0.00")
    assert [row["symbol"] for row in body("ticker/24hr", b"")] == ["BTCUSDT", "SOLUSDT"]
    assert list(malformed("GET /fapi/v1/ticker/24hr", ticker)) == []
    assert set(ticker) == set(body("ticker/24hr", b"symbol=BTCUSDT"))
    for path in ("ticker/price", "ticker/bookTicker", "premiumIndex", "depth"):
        assert list(malformed(f"GET /fapi/v1/{path}", body(path))) == []
    assert body("openInterest")["code"] == -4108
    for path in ("trades", "aggTrades", "klines"):
        assert body(path, b"symbol=SOLUSDT&interval=1m") == []


def test_a_pending_contract_trades_when_it_opens() -> None:
    market, made = exchange(symbols=["BTCUSDT"])
    made.change(change("listing", "pending", "SOLUSDT"), T0)
    live(market, made, T0, T0 + 2000)
    assert made.markets["SOLUSDT"].public_data.trades.last is None
    made.change(change("status", "TRADING", "SOLUSDT"), T0 + 2000)
    live(market, made, T0 + 2000, T0 + 4000)
    assert made.markets["SOLUSDT"].public_data.trades.last is not None


def test_a_contract_that_is_listed_later_is_not_there_before() -> None:
    later = [VenueChange(at_s=D(3), what="listing", value="listed", symbol="SOLUSDT")]
    market, made = exchange(symbols=["BTCUSDT", "SOLUSDT"], changes=later)
    assert set(made.markets) == {"BTCUSDT"}
    live(market, made, T0, T0 + 3100)
    assert set(made.markets) == {"BTCUSDT", "SOLUSDT"}
    assert made.take_notices() == []


def test_no_contract_from_the_start_is_refused() -> None:
    later = [VenueChange(at_s=D(3), what="listing", value="listed", symbol="SOLUSDT")]
    with pytest.raises(ConfigError, match="at least 1 must be listed from the start"):
        SyntheticMarket(Settings(symbols=["SOLUSDT"], changes=later), T0, {}, Random)


# -- rules ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tick", ["0.50", "0.01", "1", "0.30"])
def test_background_liquidity_quotes_on_a_new_tick(tick: str) -> None:
    market, made = exchange(symbols=["BTCUSDT"])
    live(market, made, T0, T0 + 1000)
    symbol_market = made.markets["BTCUSDT"]
    before = symbol_market.public_data.prices.mark
    assert made.change(change("tick", tick, "BTCUSDT"), T0 + 1000) is None
    live(market, made, T0 + 1000, T0 + 3000)
    for side in (Side.BUY, Side.SELL):
        levels = symbol_market.matching.depth(side, 1000)
        assert len(levels) > 20
        assert all(price % int(D(tick).scaleb(12)) == 0 for price, _ in levels)
    assert abs(symbol_market.public_data.prices.mark / before - 1) < D("0.01")


@pytest.mark.parametrize("step", ["0.01", "0.0001", "1"])
def test_background_liquidity_trades_in_a_new_step(step: str) -> None:
    market, made = exchange(symbols=["BTCUSDT"])
    live(market, made, T0, T0 + 1000)
    assert made.change(change("step", step, "BTCUSDT"), T0 + 1000) is None
    live(market, made, T0 + 1000, T0 + 3000)
    sizes = [size for side in (Side.BUY, Side.SELL) for _, size in made.markets["BTCUSDT"].matching.depth(side, 1000)]
    assert sizes
    assert all(size % int(D(step).scaleb(12)) == 0 for size in sizes)
