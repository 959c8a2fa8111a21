"""Streams over one market: what each publishes, when, and how its update ids chain."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

import msgspec
import pytest

from coldframe.enums import Side
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange.matching import Taker
from coldframe.wire.codec import Census, decode_stream
from coldframe.wire.names import parse
from coldframe.wire.streams import DepthUpdate
from tests.exchange.rig import symbol_market

BUY, SELL = Side.BUY, Side.SELL
T0 = 1_700_000_000_000


class Ear:
    """A listener that keeps everything."""

    def __init__(self) -> None:
        self.heard: list[Publication] = []

    @property
    def backlog(self) -> int:
        return 0

    def offer(self, publication: Publication) -> None:
        self.heard.append(publication)

    def bodies(self, name: str | None = None) -> list[dict]:  # type: ignore[type-arg]
        return [msgspec.json.decode(event.payload) for event in self.heard if name in (None, event.name)]

    def messages(self, name: str) -> list[object]:
        census = Census()
        made = [
            message for event in self.heard if event.name == name for message in decode_stream(parse(name), event.payload, census)
        ]
        assert census.unknown == {}
        return made


class Stage:
    """Two markets, their streams, and one ear."""

    def __init__(self) -> None:
        self.markets = {market.contract.symbol: market for market in (symbol_market(), symbol_market("ETHUSDT"))}
        self.streams = Streams(market.public_data for market in self.markets.values())
        self.ear = Ear()
        self.now_ms = T0

    def listen(self, *names: str) -> Ear:
        for name in names:
            self.streams.subscriptions.add(name, self.ear)
        return self.ear

    def rest(self, side: Side, price: str, quantity: str, symbol: str = "BTCUSDT") -> None:
        self.markets[symbol].rest(side, to_scaled(Decimal(price)), to_scaled(Decimal(quantity)), self.now_ms)

    def take(self, side: Side, quantity: str, symbol: str = "BTCUSDT") -> None:
        self.markets[symbol].trade_order(Taker(side=side, quantity=to_scaled(Decimal(quantity))), self.now_ms)

    def until(self, offset_ms: int) -> None:
        """Ticks every 50 ms up to an offset from the beginning."""
        while self.now_ms < T0 + offset_ms:
            self.now_ms += 50
            self.streams.tick(self.now_ms)


@pytest.fixture
def stage() -> Stage:
    made = Stage()
    made.rest(BUY, "999.9", "5")
    made.rest(SELL, "1000.1", "5")
    return made


# -- depth --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "period"), [("btcusdt@depth@100ms", 100), ("btcusdt@depth", 250), ("btcusdt@depth@500ms", 500)])
def test_diff_depth_is_batched_and_its_ids_chain(stage: Stage, name: str, period: int) -> None:
    ear = stage.listen(name)
    stage.until(period)
    before = stage.markets["BTCUSDT"].public_data.book.last_id
    for number in range(6):
        stage.rest(BUY, f"99{number}.0", "1")
        stage.until(period + (number + 1) * period // 2)
    stage.until(period * 6)
    messages = ear.messages(name)
    assert len(messages) in (3, 4)
    previous = before
    for message in messages:
        assert isinstance(message, DepthUpdate)
        assert message.previous_id == previous
        assert previous < message.first_id <= message.last_id
        previous = message.last_id
    assert sum(len(message.bids) for message in messages) == 6  # type: ignore[attr-defined]


def test_zero_milliseconds_means_at_once(stage: Stage) -> None:
    ear = stage.listen("btcusdt@depth@0ms")
    stage.rest(BUY, "990.0", "1")
    stage.rest(BUY, "990.0", "1")
    assert [body["b"] for body in ear.bodies()] == [[["990.0", "1.000"]], [["990.0", "2.000"]]]


def test_a_removed_level_is_printed_with_quantity_zero(stage: Stage) -> None:
    ear = stage.listen("btcusdt@depth@0ms")
    stage.take(BUY, "5")
    assert ear.bodies()[-1]["a"] == [["1000.1", "0.000"]]


@pytest.mark.parametrize("levels", [5, 10, 20])
def test_partial_depth_prints_the_best_levels_when_they_changed(stage: Stage, levels: int) -> None:
    for number in range(30):
        stage.rest(BUY, f"{900 + number}.0", "1")
    ear = stage.listen(f"btcusdt@depth{levels}@100ms")
    stage.until(300)
    assert len(ear.bodies()) == 1
    assert len(ear.bodies()[0]["b"]) == levels
    stage.rest(BUY, "999.0", "1")
    stage.until(500)
    first, second = ear.bodies()
    assert second["pu"] == first["u"]
    assert second["b"][1] == ["999.0", "1.000"]


def test_a_book_ticker_agrees_with_a_book_of_the_same_id(stage: Stage) -> None:
    ear = stage.listen("btcusdt@depth@0ms", "btcusdt@bookTicker")
    for step in range(40):
        stage.rest((BUY, SELL)[step % 2], ("997.0", "1001.0", "998.0", "1000.0")[step % 4], "1")
        stage.take((SELL, BUY, SELL)[step % 3], "0.7")
    bids, asks, books = {"999.9": "5.000"}, {"1000.1": "5.000"}, {}
    for body in ear.bodies("btcusdt@depth@0ms"):
        bids.update(body["b"])
        asks.update(body["a"])
        books[body["u"]] = (_best(bids, max), _best(asks, min))
    tickers = ear.bodies("btcusdt@bookTicker")
    assert len(tickers) > 20
    for body in tickers:
        assert books[body["u"]] == ((body["b"], body["B"]), (body["a"], body["A"]))


def _best(levels: dict[str, str], pick: Callable[..., str]) -> tuple[str, str]:
    price = pick((price for price, quantity in levels.items() if Decimal(quantity)), key=Decimal)
    return price, levels[price]


def test_rpi_depth_comes_every_half_second(stage: Stage) -> None:
    ear = stage.listen("btcusdt@rpiDepth@500ms")
    stage.until(500)
    stage.rest(BUY, "990.0", "1")
    stage.until(950)
    assert ear.heard == []
    stage.until(1000)
    assert isinstance(ear.messages("btcusdt@rpiDepth@500ms")[0], DepthUpdate)


def test_changed_book_tickers_are_published_every_five_seconds(stage: Stage) -> None:
    ear = stage.listen("!bookTicker")
    stage.rest(BUY, "990.0", "1", "ETHUSDT")
    stage.until(5000)
    assert sorted(body["s"] for body in ear.bodies()) == ["BTCUSDT", "ETHUSDT"]
    stage.rest(BUY, "991.0", "1", "ETHUSDT")
    stage.until(10_000)
    assert [body["s"] for body in ear.bodies()][2:] == ["ETHUSDT"]


# -- trades -------------------------------------------------------------------------------------------------------------


def test_trades_of_a_price_and_side_within_100_ms_are_aggregated(stage: Stage) -> None:
    ear = stage.listen("btcusdt@aggTrade", "btcusdt@trade")
    stage.take(BUY, "1")
    stage.take(BUY, "1.5")
    stage.take(SELL, "1")
    stage.until(200)
    stage.take(SELL, "1")
    stage.until(400)
    single, whole = ear.bodies("btcusdt@trade"), ear.bodies("btcusdt@aggTrade")
    assert [trade["q"] for trade in single] == ["1.000", "1.500", "1.000", "1.000"]
    assert [(item["q"], item["m"], item["l"] - item["f"]) for item in whole] == [
        ("2.500", False, 1),
        ("1.000", True, 0),
        ("1.000", True, 0),
    ]
    assert [item["a"] for item in whole] == list(range(whole[0]["a"], whole[0]["a"] + 3))
    assert [item["f"] for item in whole] == [single[0]["t"], single[2]["t"], single[3]["t"]]
    assert whole[0]["nq"] == "2.500"
    ear.messages("btcusdt@aggTrade")


# -- candles and tickers --------------------------------------------------------------------------------------------------


def test_candle_is_published_on_change_and_again_on_close(stage: Stage) -> None:
    stage.take(BUY, "1")
    ear = stage.listen("btcusdt@kline_1m")
    stage.until(250)
    stage.until(1000)
    assert [body["k"]["x"] for body in ear.bodies()] == [False]
    stage.take(BUY, "0.5")
    stage.until(2000)
    assert ear.bodies()[-1]["k"]["v"] == "1.500"
    close_ms = ear.bodies()[-1]["k"]["T"]
    stage.until(close_ms - T0 + 1000)
    closed = [body["k"] for body in ear.bodies() if body["k"]["x"]]
    assert len(closed) == 1
    stage.take(SELL, "1")
    stage.until(close_ms - T0 + 2000)
    assert ear.bodies()[-1]["k"]["t"] == close_ms + 1
    ear.messages("btcusdt@kline_1m")


def test_a_candle_closes_when_the_next_trade_comes_late(stage: Stage) -> None:
    stage.take(BUY, "1")
    ear = stage.listen("btcusdt@kline_1m")
    stage.until(250)
    stage.now_ms += 120_000
    stage.take(BUY, "1")
    assert [body["k"]["x"] for body in ear.bodies()] == [False, True]


def test_continuous_candles_name_pair_and_contract(stage: Stage) -> None:
    stage.take(BUY, "1")
    ear = stage.listen("btcusdt_perpetual@continuousKline_5m", "btcusdt_next_quarter@continuousKline_5m")
    stage.until(500)
    (body,) = ear.bodies()
    assert (body["ps"], body["ct"], "s" in body["k"]) == ("BTCUSDT", "PERPETUAL", False)
    ear.messages("btcusdt_perpetual@continuousKline_5m")


@pytest.mark.parametrize("channel", ["ticker", "miniTicker"])
def test_tickers_name_only_what_changed(stage: Stage, channel: str) -> None:
    stage.take(BUY, "1")
    ear = stage.listen(f"!{channel}@arr", f"btcusdt@{channel}", f"ethusdt@{channel}")
    stage.until(4000)
    assert [[row["s"] for row in body] for body in ear.bodies(f"!{channel}@arr")] == [["BTCUSDT"]]
    assert len(ear.bodies(f"btcusdt@{channel}")) == 1
    assert ear.bodies(f"ethusdt@{channel}") == []
    ear.messages(f"!{channel}@arr")
    ear.messages(f"btcusdt@{channel}")


def test_the_full_ticker_reckons_change_and_average(stage: Stage) -> None:
    stage.take(BUY, "1")
    stage.take(SELL, "3")
    ear = stage.listen("btcusdt@ticker")
    stage.until(2000)
    (body,) = ear.bodies()
    assert (body["o"], body["c"], body["p"], body["P"], body["w"], body["n"]) == ("1000.1", "999.9", "-0.2", "-0.020", "1000.0", 2)


# -- prices and the rest --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("suffix", "count"), [("", 1), ("@1s", 3)])
def test_mark_prices_come_every_third_or_every_second(stage: Stage, suffix: str, count: int) -> None:
    ear = stage.listen(f"btcusdt@markPrice{suffix}", f"!markPrice@arr{suffix}")
    stage.until(3000 - T0 % 3000 + 3000)
    bodies = ear.bodies(f"btcusdt@markPrice{suffix}")
    assert len(bodies) >= count
    assert bodies[0]["T"] % 28_800_000 == 0
    assert [row["s"] for row in ear.bodies(f"!markPrice@arr{suffix}")[0]] == ["BTCUSDT", "ETHUSDT"]
    ear.messages(f"btcusdt@markPrice{suffix}")
    ear.messages(f"!markPrice@arr{suffix}")


def test_the_mark_price_follows_the_middle_of_the_book(stage: Stage) -> None:
    public_data = stage.markets["BTCUSDT"].public_data
    stage.take(BUY, "5")
    stage.rest(BUY, "1009.9", "1")
    stage.rest(SELL, "1010.1", "1")
    marks = []
    for second in range(1, 40):
        stage.until(second * 1000)
        marks.append(public_data.prices.mark)
    assert marks == sorted(marks)
    assert Decimal(1009) < marks[-1] <= Decimal(1010)


def test_contract_changes_carry_brackets_only_when_those_changed(stage: Stage) -> None:
    ear = stage.listen("!contractInfo")
    public_data = stage.markets["BTCUSDT"].public_data
    public_data.contract_changed(public_data.contract, new_brackets=False)
    public_data.contract_changed(public_data.contract, new_brackets=True)
    plain, full = ear.bodies()
    assert "bks" not in plain
    assert full["bks"][0] == {"bs": 1, "bnf": 0, "bnc": 300000, "mmr": 0.004, "cf": 0, "mi": 101, "ma": 125}
    ear.messages("!contractInfo")


def test_asset_rates_and_sessions_come_every_second(stage: Stage) -> None:
    ear = stage.listen("!assetIndex@arr", "btcusd@assetIndex", "nosuch@assetIndex", "tradingSession")
    stage.until(1000)
    assert {row["s"] for row in ear.bodies("!assetIndex@arr")[0]} == {"USDTUSD", "BTCUSD", "ETHUSD"}
    assert ear.bodies("btcusd@assetIndex")[0]["s"] == "BTCUSD"
    assert ear.bodies("nosuch@assetIndex") == []
    assert {body["e"] for body in ear.bodies("tradingSession")} == {
        "EquityUpdate",
        "CommodityUpdate",
        "KR_EquityUpdate",
        "HK_EquityUpdate",
        "CN_EquityUpdate",
        "FXUpdate",
    }
    for name in ("!assetIndex@arr", "btcusd@assetIndex", "tradingSession"):
        ear.messages(name)


# -- subscriptions --------------------------------------------------------------------------------------------------------


def test_streams_that_are_not_served_stay_silent(stage: Stage) -> None:
    ear = stage.listen("BTCUSDT@aggTrade", "nosuch@depth", "btcusdt@depth@250ms", "nonsense", "")
    stage.take(BUY, "1")
    stage.until(2000)
    assert ear.heard == []


def test_a_stream_without_listeners_is_not_made(stage: Stage) -> None:
    ear = stage.listen("btcusdt@depth@0ms")
    stage.streams.subscriptions.add("btcusdt@depth@0ms", ear)
    stage.streams.subscriptions.remove("btcusdt@depth@0ms", ear)
    stage.streams.subscriptions.remove("btcusdt@depth@0ms", ear)
    assert stage.markets["BTCUSDT"].public_data.watchers == []
    stage.rest(BUY, "990.0", "1")
    assert ear.heard == []


def test_a_payload_is_enveloped_once_for_all(stage: Stage) -> None:
    other = Ear()
    ear = stage.listen("btcusdt@depth@0ms")
    stage.streams.subscriptions.add("btcusdt@depth@0ms", other)
    stage.rest(BUY, "990.0", "1")
    assert ear.heard[0] is other.heard[0]
    assert ear.heard[0].enveloped.startswith('{"stream":"btcusdt@depth@0ms","data":{"e":"depthUpdate"')


def test_a_relayed_name_is_left_to_the_market_it_comes_from(stage: Stage) -> None:
    ear = stage.listen("btcusdt@depth@0ms")
    stage.streams.relay("btcusdt@depth@0ms", b'{"as":"it came"}')
    stage.rest(BUY, "990.0", "1")
    assert [event.payload for event in ear.heard] == [b'{"as":"it came"}']
