"""The TradFi contract: an agreement before its first order, and sessions in which it is halted."""

from __future__ import annotations

from random import Random

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueAccount
from coldframe.enums import ContractStatus
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.synthetic import SyntheticMarket
from tests.exchange.rig import Rig, algo_states

SYMBOL = "TSLAUSDT"
START = 1_700_000_000_000 // 60_000 * 60_000  # the beginning of an open session of 30 s


class Ear:
    """Hears contract changes."""

    def __init__(self) -> None:
        self.states: list[str] = []

    def on_contract(self, public_data: PublicMarketData, brackets: object) -> None:
        self.states.append(str(public_data.contract.info.status))

    def on_depth(self, *_: object) -> None: ...
    def on_trade(self, *_: object) -> None: ...
    def on_aggregate(self, *_: object) -> None: ...
    def on_liquidation(self, *_: object) -> None: ...


class Stage:
    """A synthetic market with the contract, its sessions 30 s long, and an account on it."""

    def __init__(self, *, signed: bool) -> None:
        accounts = (VenueAccount(name="a", tradfi_agreement=signed),)
        self.market = SyntheticMarket(Settings(symbols=[SYMBOL, "BTCUSDT"]), START, {}, Random)
        self.rig = Rig(*self.market.markets.values(), accounts=accounts, session_s=30)
        self.rig.now_ms = START
        self.market.bind(self.rig.exchange.streams, lambda symbol, met: None)
        self.symbol_market = self.market.markets[SYMBOL]
        self.rig.pass_ms(0)

    def until(self, second: int) -> None:
        """Lets the market and the exchange live up to a second after the start."""
        while self.rig.now_ms < START + second * 1000:
            self.rig.now_ms += 50
            self.market.advance(self.rig.now_ms)
            self.rig.exchange.advance(self.rig.now_ms)

    def price(self, factor: str = "1") -> str:
        contract = self.symbol_market.contract
        tick = contract.filters.tick
        return contract.price_text((self.symbol_market.public_data.prices.mark * type(tick)(factor)) // tick * tick)

    def bid(self, factor: str = "0.97") -> dict | int:
        return self.rig.place("BUY", "1", self.price(factor), symbol=SYMBOL)

    def stop(self) -> dict | int:
        params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": "STOP_MARKET", "quantity": "1"}
        return self.rig.call("POST /fapi/v1/algoOrder", triggerPrice=self.price("1.01"), **params)  # type: ignore[return-value]


def test_an_agreement_comes_before_the_first_order() -> None:
    stage = Stage(signed=False)
    assert (stage.bid(), stage.stop()) == (-4411, -4411)
    assert isinstance(stage.rig.place("BUY", "0.01", "59000", symbol="BTCUSDT"), dict)
    for _ in range(2):
        assert stage.rig.call("POST /fapi/v1/stock/contract") == {"code": 200, "msg": "success"}
    assert isinstance(stage.bid(), dict)
    assert isinstance(stage.stop(), dict)


def test_who_has_signed_may_trade_from_the_start() -> None:
    assert isinstance(Stage(signed=True).bid(), dict)


def test_an_agreement_outlives_the_process() -> None:
    stage = Stage(signed=False)
    stage.rig.call("POST /fapi/v1/stock/contract")
    again = Rig(*stage.market.markets.values(), accounts=(VenueAccount(name="a"),), store=stage.rig.exchange.store, session_s=30)
    assert isinstance(again.place("BUY", "1", stage.price("0.97"), symbol=SYMBOL), dict)


def test_session_end_halts_the_contract_and_its_start_opens_it() -> None:
    stage = Stage(signed=True)
    ear = Ear()
    stage.symbol_market.public_data.watchers.append(ear)  # type: ignore[arg-type]
    resting = stage.bid()
    stage.until(29)
    assert stage.symbol_market.contract.info.status is ContractStatus.TRADING
    stage.until(32)
    assert stage.symbol_market.contract.info.status is ContractStatus.TRADING_HALT
    halted = ear.states[-1]
    trades = stage.symbol_market.public_data.trades.last
    assert (stage.bid(), stage.rig.modify(resting["orderId"], "BUY", "2", stage.price("0.96"), symbol=SYMBOL)) == (-4140, -5024)
    listed = stage.rig.call("GET /fapi/v1/exchangeInfo")["symbols"]  # type: ignore[index]
    assert [row["status"] for row in listed] == ["TRADING_HALT", "TRADING"]
    assert stage.rig.call("GET /fapi/v1/openInterest", symbol=SYMBOL)["symbol"] == SYMBOL  # type: ignore[index]
    stage.until(58)
    assert stage.symbol_market.public_data.trades.last is trades
    cancelled = stage.rig.call("DELETE /fapi/v1/order", symbol=SYMBOL, orderId=resting["orderId"])
    assert cancelled["status"] == "CANCELED"  # type: ignore[index]
    stage.until(63)
    assert (halted, ear.states[-1]) == ("TRADING_HALT", "TRADING")
    assert isinstance(stage.bid(), dict)
    assert stage.symbol_market.public_data.trades.last is not trades


def test_the_calendar_alone_halts_nothing() -> None:
    saturday = 1_700_265_600_000
    market = SyntheticMarket(Settings(symbols=[SYMBOL]), saturday, {}, Random)
    rig = Rig(*market.markets.values())
    rig.now_ms = saturday
    rig.pass_ms(1000)
    assert not rig.exchange.calendar.open("EQUITY", rig.now_ms)
    assert market.markets[SYMBOL].contract.trading


def test_nothing_is_triggered_while_the_contract_is_halted() -> None:
    stage = Stage(signed=True)
    params = {"algoType": "CONDITIONAL", "symbol": SYMBOL, "side": "BUY", "type": "STOP_MARKET", "quantity": "1"}
    stage.rig.call("POST /fapi/v1/algoOrder", triggerPrice=stage.price("1.04"), workingType="MARK_PRICE", **params)
    stage.until(31)
    stage.rig.events()
    stage.symbol_market.public_data.prices.set_mark(stage.symbol_market.public_data.prices.mark * 2)
    stage.until(40)
    assert algo_states(stage.rig.events()) == []
    stage.until(62)
    assert algo_states(stage.rig.events())[:1] == ["TRIGGERING"]


def test_the_streams_and_the_schedule_tell_the_same_session() -> None:
    stage = Stage(signed=True)
    for second, session in ((0, "REGULAR"), (35, "NO_TRADING")):
        stage.until(second)
        rows = stage.rig.call("GET /fapi/v1/tradingSchedule")["marketSchedules"]["EQUITY"]["sessions"]  # type: ignore[index]
        assert rows[0]["type"] == session
        running = stage.rig.exchange.calendar.running(stage.rig.now_ms)
        assert {row.session for row in running} == {session}
