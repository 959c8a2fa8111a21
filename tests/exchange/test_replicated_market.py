"""A market that comes from outside: books, trades and prices follow the payloads, own orders trade beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
import pytest

from coldframe.enums import Side
from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.mirror import Mirror, MirroredMarket
from coldframe.model.instruments import Instruments
from coldframe.wire.reference import ExchangeInfo
from tests.exchange.queues import ahead_of
from tests.exchange.rig import SYMBOL, Rig, Settings, order_events, symbol_market

T0 = 1_600_000_000_000


def update(first: int, last: int, previous: int, bids: dict[str, str], asks: dict[str, str]) -> bytes:
    body = {
        "e": "depthUpdate",
        "E": T0 + last,
        "T": T0 + last,
        "s": SYMBOL,
        "U": first,
        "u": last,
        "pu": previous,
        "b": list(bids.items()),
        "a": list(asks.items()),
    }
    return msgspec.json.encode(body)


def snapshot(last_id: int, bids: dict[str, str], asks: dict[str, str]) -> bytes:
    return msgspec.json.encode({"lastUpdateId": last_id, "E": T0, "T": T0, "bids": list(bids.items()), "asks": list(asks.items())})


def trade(number: int, price: str, quantity: str, *, buyer_is_maker: bool) -> bytes:
    body = {"e": "trade", "E": T0, "T": T0, "s": SYMBOL, "t": number, "p": price, "q": quantity, "m": buyer_is_maker}
    return msgspec.json.encode(body)


class Inlet:
    """A mirror with an exchange on it."""

    def __init__(self) -> None:
        self.mirror = Mirror()
        info = ExchangeInfo(
            server_time=0, rate_limits=[], symbols=[symbol_market().contract.info, symbol_market("ETHUSDT").contract.info]
        )
        self.mirror.feed_info(info)
        self.market: MirroredMarket = self.mirror.open(Settings(symbols=[SYMBOL]), T0)
        self.rig = Rig(*self.market.markets.values())
        self.market.bind(self.rig.exchange.streams, self._settle)
        self.symbol_market = self.market.markets[SYMBOL]

    def _settle(self, symbol: str, executions: list[Any]) -> None:
        self.rig.exchange.clearing.clear_executions(symbol, executions, self.rig.now_ms)

    def depth(self, *args: Any) -> None:
        self.mirror.feed("btcusdt@depth@100ms", update(*args))

    def snapshot(self, *args: Any) -> None:
        self.mirror.feed_snapshot(SYMBOL, snapshot(*args))

    def trade(self, number: int, price: str, quantity: str, *, buyer_is_maker: bool) -> None:
        self.mirror.feed("btcusdt@trade", trade(number, price, quantity, buyer_is_maker=buyer_is_maker))

    def book(self) -> tuple[dict[str, str], dict[str, str]]:
        book = self.symbol_market.public_data.book
        return dict(book.bids.top(100)), dict(book.asks.top(100))


@pytest.fixture
def inlet() -> Inlet:
    made = Inlet()
    made.depth(1, 10, 0, {"999.0": "1"}, {})
    made.snapshot(20, {"999.0": "2.000", "998.0": "3.000"}, {"1001.0": "4.000"})
    made.depth(15, 25, 10, {"999.0": "2.500"}, {})
    return made


# -- books --------------------------------------------------------------------------------------------------------------


def test_the_book_is_unknown_until_a_snapshot_and_then_complete() -> None:
    inlet = Inlet()
    inlet.depth(1, 10, 0, {"999.0": "1"}, {"1001.0": "1"})
    inlet.depth(11, 22, 10, {"999.0": "7"}, {})
    assert not inlet.symbol_market.public_data.book.known
    assert inlet.rig.call("GET /fapi/v1/depth", symbol=SYMBOL) == -1001
    inlet.snapshot(20, {"999.0": "2", "998.0": "3"}, {"1001.0": "4"})
    assert inlet.book() == ({"999.0": "7", "998.0": "3"}, {"1001.0": "4"})
    assert inlet.rig.call("GET /fapi/v1/depth", symbol=SYMBOL)["lastUpdateId"] == 22


def test_updates_within_the_snapshot_are_not_applied_again(inlet: Inlet) -> None:
    inlet.depth(18, 19, 17, {"999.0": "99"}, {})
    assert inlet.book()[0]["999.0"] == "2.500"
    inlet.depth(26, 30, 25, {"999.0": "0.000"}, {"1000.5": "1.000"})
    assert inlet.book() == ({"998.0": "3.000"}, {"1001.0": "4.000", "1000.5": "1.000"})
    assert inlet.symbol_market.public_data.book.last_id == 30


def test_an_older_snapshot_changes_nothing(inlet: Inlet) -> None:
    inlet.snapshot(21, {"1.0": "1"}, {"2.0": "1"})
    assert inlet.book()[0]["999.0"] == "2.500"


def test_a_newer_snapshot_replaces_the_book(inlet: Inlet) -> None:
    inlet.snapshot(40, {"997.0": "1"}, {"1003.0": "1"})
    assert inlet.book() == ({"997.0": "1"}, {"1003.0": "1"})
    assert inlet.symbol_market.matching.depth(Side.BUY, 9) == [(997 * 10**12, 10**12)]


def test_first_depth_stream_keeps_the_book_others_are_passed_on(inlet: Inlet) -> None:
    inlet.mirror.feed("btcusdt@depth@500ms", update(26, 40, 20, {"999.0": "77"}, {}))
    assert inlet.book()[0]["999.0"] == "2.500"


# -- own orders -----------------------------------------------------------------------------------------------------------


def test_a_passive_order_fills_by_its_place_in_the_queue(inlet: Inlet) -> None:
    order_id = inlet.rig.place("BUY", "1", "999.0")["orderId"]
    assert ahead_of(inlet.symbol_market.matching, order_id) == to_scaled(Decimal("2.5"))
    inlet.trade(1, "999.0", "2.000", buyer_is_maker=True)
    inlet.rig.events()
    inlet.trade(2, "999.0", "1.000", buyer_is_maker=True)
    assert order_events(inlet.rig.events()) == [("TRADE", "PARTIALLY_FILLED")]
    assert inlet.rig.query(order_id)["executedQty"] == "0.500"
    inlet.trade(3, "998.5", "9.000", buyer_is_maker=True)
    assert inlet.rig.query(order_id)["status"] == "FILLED"
    assert inlet.rig.call("GET /fapi/v1/userTrades", symbol=SYMBOL)[0]["maker"] is True


def test_an_aggressive_order_takes_the_depth_once(inlet: Inlet) -> None:
    inlet.rig.place("BUY", "3", "1001.0", timeInForce="IOC")
    assert inlet.rig.position() == 3
    inlet.depth(26, 27, 25, {}, {"1001.0": "4.000"})
    inlet.rig.place("BUY", "3", "1001.0", timeInForce="IOC")
    assert inlet.rig.position() == 4
    inlet.depth(28, 29, 27, {}, {"1001.0": "5.000"})
    inlet.rig.place("BUY", "3", "1001.0", timeInForce="IOC")
    assert inlet.rig.position() == 7


def test_own_orders_do_not_show_in_the_published_market(inlet: Inlet) -> None:
    inlet.rig.place("BUY", "1", "1000.0")
    inlet.rig.place("BUY", "1")
    assert inlet.book() == ({"999.0": "2.500", "998.0": "3.000"}, {"1001.0": "4.000"})
    assert len(inlet.symbol_market.public_data.trades.latest) == 0


def test_a_market_that_moves_over_an_order_takes_it(inlet: Inlet) -> None:
    order_id = inlet.rig.place("BUY", "1", "1000.0")["orderId"]
    inlet.depth(26, 27, 25, {"999.0": "0"}, {"999.5": "3.000"})
    assert inlet.rig.query(order_id)["status"] == "FILLED"
    assert inlet.rig.query(order_id)["avgPrice"] == "1000.0"


# -- trades and prices ------------------------------------------------------------------------------------------------------


def test_aggregates_of_single_trades_are_not_counted_again(inlet: Inlet) -> None:
    inlet.trade(1, "1001.0", "1.000", buyer_is_maker=False)
    aggregate = {"e": "aggTrade", "E": T0, "a": 5, "s": SYMBOL, "p": "1001.0", "q": "1.000", "f": 1, "l": 1, "T": T0, "m": False}
    inlet.mirror.feed("btcusdt@aggTrade", msgspec.json.encode(aggregate))
    assert len(inlet.symbol_market.public_data.trades.latest) == 1


def test_aggregates_keep_their_own_ids() -> None:
    inlet = Inlet()
    aggregate = {"e": "aggTrade", "E": T0, "a": 5, "s": SYMBOL, "p": "1001.0", "q": "1.000", "f": 1, "l": 3, "T": T0, "m": False}
    inlet.mirror.feed("btcusdt@aggTrade", msgspec.json.encode(aggregate))
    (row,) = inlet.rig.call("GET /fapi/v1/aggTrades", symbol=SYMBOL)
    assert (row["a"], row["f"], row["l"]) == (5, 1, 3)


def test_mark_prices_are_adopted_alone_and_in_arrays(inlet: Inlet) -> None:
    mark = {"e": "markPriceUpdate", "E": T0, "s": SYMBOL, "p": "1000.5", "i": "1000.4", "P": "0", "r": "0.0002", "T": 0}
    inlet.mirror.feed("btcusdt@markPrice@1s", msgspec.json.encode(mark))
    prices = inlet.symbol_market.public_data.prices
    assert (prices.mark, prices.index, prices.funding_rate) == (Decimal("1000.5"), Decimal("1000.4"), Decimal("0.0002"))
    inlet.mirror.feed("!markPrice@arr@1s", msgspec.json.encode([mark | {"p": "1000.7"}, mark | {"s": "OTHER"}]))
    assert prices.mark == Decimal("1000.7")
    inlet.symbol_market.public_data.follow_prices(0)
    assert prices.mark == Decimal("1000.7")


def test_without_mark_prices_the_middle_of_the_book_has_to_do(inlet: Inlet) -> None:
    assert inlet.symbol_market.public_data.prices.mark == Decimal(1000)


def test_unknown_streams_and_symbols_pass_without_harm(inlet: Inlet) -> None:
    inlet.mirror.feed("something@new", b'{"e":"new"}')
    inlet.mirror.feed("ethusdt@depth@100ms", update(1, 2, 0, {"1.0": "1"}, {}))
    inlet.mirror.feed_snapshot("ETHUSDT", snapshot(1, {}, {}))


def test_a_payload_of_the_wrong_shape_is_a_decode_error(inlet: Inlet) -> None:
    with pytest.raises(DecodeError):
        inlet.mirror.feed("btcusdt@depth@100ms", b"{}")
    with pytest.raises(DecodeError):
        inlet.mirror.feed_snapshot(SYMBOL, b"[]")


NO_PRICE = ["1" * 19, "9" * 24, "0." + "1" * 13, "-1", "1e5", "NaN", "[" * 5000]


@pytest.mark.parametrize("number", NO_PRICE, ids=lambda number: number[:20])
def test_a_number_that_no_book_could_hold_is_a_decode_error(inlet: Inlet, number: str) -> None:
    """And changes nothing."""
    before = inlet.book(), inlet.symbol_market.public_data.prices.mark
    with pytest.raises(DecodeError):
        inlet.depth(26, 27, 25, {"999.0": "1", number: "1"}, {})
    with pytest.raises(DecodeError):
        inlet.depth(26, 27, 25, {}, {"1001.0": number})
    with pytest.raises(DecodeError):
        inlet.snapshot(30, {number: "1"}, {})
    for price, quantity in ((number, "1"), ("1000.0", number)):
        with pytest.raises(DecodeError):
            inlet.trade(1, price, quantity, buyer_is_maker=True)
    mark = {"e": "markPriceUpdate", "E": T0, "s": SYMBOL, "p": number, "i": "1000.4", "P": "0", "r": "", "T": 0}
    for body in (mark, mark | {"p": "1000.4", "i": number}):
        with pytest.raises(DecodeError):
            inlet.mirror.feed("btcusdt@markPrice@1s", msgspec.json.encode(body))
    assert (inlet.book(), inlet.symbol_market.public_data.prices.mark) == before
    with pytest.raises(DecodeError):
        inlet.mirror.feed("btcusdt@trade", trade(1, "1", "1", buyer_is_maker=True)[:-1] + b',"zz":%b}' % (b"[" * 5000))


# -- rules --------------------------------------------------------------------------------------------------------------


def test_the_mirrored_venues_rules_are_listed_and_may_change(inlet: Inlet) -> None:
    info = inlet.symbol_market.contract.info
    fields = {name: getattr(info, name) for name in info.__struct_fields__}
    heard: list[object] = []
    inlet.symbol_market.public_data.watchers.append(_Ear(heard))  # type: ignore[arg-type]
    inlet.mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[info]))
    assert heard == []
    halted = type(info)(**(fields | {"status": type(info.status)("SETTLING")}))
    inlet.mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[halted]))
    assert heard == [None]
    assert inlet.rig.place("BUY", "1", "999.0") == -4108


class _Ear:
    def __init__(self, heard: list[object]) -> None:
        self._heard = heard

    def on_contract(self, public_data: object, brackets: object) -> None:
        self._heard.append(brackets)

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


@pytest.mark.parametrize(
    "change",
    [
        {"price_precision": 2**62},
        {"quantity_precision": -1},
        {"trigger_protect": "1e999999"},
        {"market_take_bound": "NaN"},
        {"filters": [{"filterType": "PRICE_FILTER", "tickSize": "-0.1"}]},
        {"filters": [{"filterType": "LOT_SIZE", "stepSize": [1]}]},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_contract_whose_rules_cannot_be_read_is_left_out(inlet: Inlet, change: dict[str, Any]) -> None:
    info = inlet.symbol_market.contract.info
    broken = msgspec.structs.replace(info, **change)
    mirror = Mirror()
    mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[broken]))
    with pytest.raises(ConfigError, match="no contract at all"):
        mirror.open(Settings(), T0)
    assert len(Instruments.of([broken, info])) == 1 or "filters" not in change
    inlet.mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[broken]))
    assert inlet.symbol_market.contract.info == info


def test_symbols_unknown_to_the_mirrored_venue_are_refused() -> None:
    mirror = Mirror()
    with pytest.raises(ConfigError, match="no contract at all"):
        mirror.open(Settings(), T0)
    mirror.feed_info(ExchangeInfo(server_time=0, rate_limits=[], symbols=[symbol_market().contract.info]))
    with pytest.raises(ConfigError, match="lists no DOGEUSDT"):
        mirror.open(Settings(symbols=["DOGEUSDT"]), T0)


def test_what_comes_before_the_venue_is_built_is_let_go() -> None:
    mirror = Mirror()
    mirror.feed("btcusdt@depth@100ms", b"{}")
    mirror.feed_snapshot(SYMBOL, b"{}")
