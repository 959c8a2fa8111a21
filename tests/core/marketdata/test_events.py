"""Every kind of stream reaches a strategy as its typed event, exactly and whole, and no strategy that did not ask for it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, get_args, get_type_hints

import attrs
import msgspec
import pytest

from coldframe.core.marketdata.events import HOOK_OF, event_of, symbol_of
from coldframe.core.strategies import listening as news
from coldframe.enums import ContractStatus, ContractType, Side
from coldframe.model import events as e
from coldframe.model.inputs import FramesReceived, Lane
from coldframe.plug.hookspecs import EVENT_HOOKS, StrategyHooks
from coldframe.wire.codec import Census, decode_stream, encode
from coldframe.wire.frames import envelope
from coldframe.wire.names import StreamKind, StreamName, parse
from tests.core.scripted import Actor, Scripted

D = Decimal
T = 1_700_000_050_000
BOOK_KINDS = (StreamKind.DIFF_DEPTH, StreamKind.RPI_DEPTH)


@attrs.frozen
class Case:
    """A stream of one subject, what the venue says on it, and the event that a strategy of that subject gets."""

    channel: str
    payload: dict[str, Any]
    event: type[Any]
    fields: dict[str, Any]
    symbol: str = "BTCUSDT"
    #: The stream of the whole market with the same payloads, if there is one, and whether they come as an array.
    market: str = ""
    array: bool = False


BAR = {
    "t": T - 50_000, "T": T + 9_999, "s": "BTCUSDT", "i": "1m", "f": 100, "L": 200, "o": "1.1", "c": "1.2", "h": "1.4", "l": "1.0",
    "v": "30.5", "n": 77, "x": True, "q": "36.25", "V": "20.5", "Q": "24.5", "B": "0",
}  # fmt: skip
CANDLE = {
    "interval": "1m", "open_ms": T - 50_000, "close_ms": T + 9_999, "open": D("1.1"), "high": D("1.4"), "low": D("1.0"),
    "close": D("1.2"), "volume": D("30.5"), "quote_volume": D("36.25"), "taker_buy_volume": D("20.5"), "trades": 77, "closed": True,
    "warmup": False,
}  # fmt: skip
DEPTH = {"e": "depthUpdate", "E": T, "T": T - 5, "s": "BTCUSDT", "U": 157, "u": 160, "pu": 149,
         "b": [["99.90", "10"], ["99.80", "1.5"]], "a": [["100.10", "7"]]}  # fmt: skip
LIQUIDATION = {"s": "BTCUSDT", "S": "SELL", "o": "LIMIT", "f": "IOC", "q": "0.014", "p": "9910", "ap": "9912.5", "X": "FILLED",
               "l": "0.004", "z": "0.012", "T": T - 7}  # fmt: skip

CASES: dict[StreamKind, Case] = {
    StreamKind.AGG_TRADE: Case(
        "aggTrade",
        {"e": "aggTrade", "E": T, "s": "BTCUSDT", "a": 5933014, "p": "0.001", "q": "100", "f": 100, "l": 105, "T": T - 3,
         "m": True},
        e.TradePrinted,
        {"trade_id": 5933014, "price": D("0.001"), "quantity": D(100), "taker_side": Side.SELL, "trade_ms": T - 3,
         "aggregated": True},
    ),
    StreamKind.TRADE: Case(
        "trade",
        {"e": "trade", "E": T, "s": "BTCUSDT", "t": 42, "p": "99.5", "q": "0.5", "T": T - 2, "m": False, "X": "MARKET"},
        e.TradePrinted,
        {"trade_id": 42, "price": D("99.5"), "quantity": D("0.5"), "taker_side": Side.BUY, "trade_ms": T - 2, "aggregated": False},
    ),
    StreamKind.MARK_PRICE: Case(
        "markPrice@1s",
        {"e": "markPriceUpdate", "E": T, "s": "BTCUSDT", "p": "11794.15", "i": "11784.62", "P": "11700", "r": "-0.00038167",
         "T": T + 9},
        e.MarkPriceChanged,
        {"mark_price": D("11794.15"), "index_price": D("11784.62"), "funding_rate": D("-0.00038167"), "next_funding_ms": T + 9},
        market="!markPrice@arr@1s",
        array=True,
    ),
    StreamKind.KLINE: Case(
        "kline_1m", {"e": "kline", "E": T, "s": "BTCUSDT", "k": BAR}, e.CandleChanged, {**CANDLE, "contract_type": None}
    ),
    StreamKind.CONTINUOUS_KLINE: Case(
        "perpetual@continuousKline_1m",
        {"e": "continuous_kline", "E": T, "ps": "BTCUSDT", "ct": "PERPETUAL", "k": {k: v for k, v in BAR.items() if k != "s"}},
        e.CandleChanged,
        {**CANDLE, "contract_type": ContractType.PERPETUAL},
    ),
    StreamKind.MINI_TICKER: Case(
        "miniTicker",
        {"e": "24hrMiniTicker", "E": T, "s": "BTCUSDT", "c": "25", "o": "10", "h": "26", "l": "9", "v": "1000", "q": "18.5"},
        e.DaySummaryChanged,
        {"open": D(10), "high": D(26), "low": D(9), "close": D(25), "volume": D(1000), "quote_volume": D("18.5")},
        market="!miniTicker@arr",
        array=True,
    ),
    StreamKind.TICKER: Case(
        "ticker",
        {"e": "24hrTicker", "E": T, "s": "BTCUSDT", "p": "-0.0015", "P": "250.00", "w": "0.0018", "c": "0.0025", "Q": "11",
         "o": "0.001",
         "h": "0.003", "l": "0.0009", "v": "10000", "q": "18", "O": 0, "C": T, "F": 0, "L": 18150, "n": 18151},
        e.DayStatsChanged,
        {"open": D("0.001"), "high": D("0.003"), "low": D("0.0009"), "close": D("0.0025"), "volume": D(10000),
         "quote_volume": D(18),
         "change": D("-0.0015"), "change_percent": D(250), "weighted_average": D("0.0018"), "last_quantity": D(11),
         "trades": 18151},
        market="!ticker@arr",
        array=True,
    ),
    StreamKind.BOOK_TICKER: Case(
        "bookTicker",
        {"e": "bookTicker", "E": T, "T": T - 1, "u": 400900217, "s": "BTCUSDT", "b": "25.35", "B": "31.21", "a": "25.36",
         "A": "40.66"},
        e.BestPriceChanged,
        {"update_id": 400900217, "bid": D("25.35"), "bid_quantity": D("31.21"), "ask": D("25.36"), "ask_quantity": D("40.66")},
        market="!bookTicker",
    ),
    StreamKind.FORCE_ORDER: Case(
        "forceOrder",
        {"e": "forceOrder", "E": T, "o": LIQUIDATION},
        e.LiquidationPrinted,
        {"side": Side.SELL, "price": D(9910), "average_price": D("9912.5"), "quantity": D("0.014"), "filled_quantity": D("0.012"),
         "status": "FILLED"},
        market="!forceOrder@arr",
    ),
    StreamKind.PARTIAL_DEPTH: Case(
        "depth5@100ms",
        DEPTH,
        e.PartialBookChanged,
        {"update_id": 160, "bids": ((D("99.9"), D(10)), (D("99.8"), D("1.5"))), "asks": ((D("100.1"), D(7)),)},
    ),
    StreamKind.DIFF_DEPTH: Case("depth@100ms", {}, e.BookChanged, {"rpi": False, "state": e.BookState.SYNCED}),
    StreamKind.RPI_DEPTH: Case("rpiDepth@500ms", {}, e.BookChanged, {"rpi": True, "state": e.BookState.SYNCED}),
    StreamKind.COMPOSITE_INDEX: Case(
        "compositeIndex",
        {"e": "compositeIndex", "E": T, "s": "DEFIUSDT", "p": "554.41604065", "C": "baseAsset", "c": [
            {"b": "BAL", "q": "USDT", "w": "1.04884844", "W": "0.01457800", "i": "24.33521021"},
            {"b": "BAND", "q": "USDT", "w": "3.53782729", "W": "0.03935200", "i": "7.26420084"}]},
        e.CompositeIndexChanged,
        {"price": D("554.41604065"), "components": (
            e.IndexWeight("BAL", "USDT", D("1.04884844"), D("0.014578"), D("24.33521021")),
            e.IndexWeight("BAND", "USDT", D("3.53782729"), D("0.039352"), D("7.26420084")))},
        symbol="DEFIUSDT",
    ),
    StreamKind.CONTRACT_INFO: Case(
        "",
        {"e": "contractInfo", "E": T, "s": "BTCUSDT", "ps": "BTCUSDT", "ct": "PERPETUAL", "dt": T + 90, "ot": T - 90,
         "cs": "TRADING",
         "bks": [{"bs": 1, "bnf": 0, "bnc": 5000, "mmr": 0.01, "cf": 0.5, "mi": 21, "ma": 50}]},
        e.ContractChanged,
        {"contract_type": ContractType.PERPETUAL, "status": ContractStatus.TRADING, "delivery_ms": T + 90, "onboard_ms": T - 90,
         "brackets": (e.LeverageBracket(D(0), D(5000), D("0.01"), D("0.5"), 21, 50),)},
        market="!contractInfo",
    ),
    StreamKind.ASSET_INDEX: Case(
        "assetIndex",
        {"e": "assetIndexUpdate", "E": T, "s": "ADAUSD", "i": "0.27", "b": "0.1", "a": "0.2", "B": "0.25", "A": "0.29", "q": "0.05",
         "g": "0.06", "Q": "0.26", "G": "0.28"},
        e.AssetIndexChanged,
        {"index_price": D("0.27"), "bid_rate": D("0.25"), "ask_rate": D("0.29"), "auto_bid_rate": D("0.26"),
         "auto_ask_rate": D("0.28")},
        symbol="ADAUSD",
        market="!assetIndex@arr",
        array=True,
    ),
    StreamKind.TRADING_SESSION: Case(
        "",
        {"e": "EquityUpdate", "E": T, "t": T - 60, "T": T + 60, "S": "REGULAR"},
        e.TradingSessionChanged,
        {"market": "EquityUpdate", "session": "REGULAR", "start_ms": T - 60, "end_ms": T + 60},
        market="tradingSession",
    ),
}  # fmt: skip
OF_SYMBOL = [kind for kind in StreamKind if CASES[kind].channel]
OF_MARKET = [kind for kind in StreamKind if CASES[kind].market]


def actors(symbol: str) -> list[Actor]:
    """A strategy that trades the symbol, a second that trades another, a third that trades it and has no hook for anything."""
    return [Actor("mine", (symbol,)), Actor("other", ("ETHUSDT",)), Actor("deaf", (symbol,), hooks=frozenset({"on_stop"}))]


def listening(*cast: Actor, symbol: str, channel: str) -> Scripted:
    made = Scripted(*cast, symbols=(symbol,), channels=(channel,), orders_on=False).start()
    for member in cast:
        member.seen.clear()
    return made


def told(actor: Actor) -> list[Any]:
    return [event for event in actor.seen if not isinstance(event, e.LinkChanged)]


def fields_of(event: Any) -> dict[str, Any]:
    return attrs.asdict(event, recurse=False)


# -- the table --------------------------------------------------------------------------------------------------------


def test_every_kind_has_a_case_a_hook_and_an_event_of_that_hook() -> None:
    assert set(CASES) == set(StreamKind) == set(HOOK_OF)
    for kind, hook in HOOK_OF.items():
        kinds = get_type_hints(getattr(StrategyHooks, hook))["event"]
        assert CASES[kind].event in (get_args(kinds) or (kinds,))
    assert set(OF_SYMBOL) | set(OF_MARKET) == set(StreamKind)


def test_every_stream_of_the_whole_market_has_a_case() -> None:
    """A kind that the grammar knows without a subject must be spoken of above."""
    for kind in StreamKind:
        try:
            name = StreamName(kind)
        except ValueError:
            assert not CASES[kind].market
        else:
            assert parse(CASES[kind].market).kind is name.kind


# -- streams of one symbol --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in OF_SYMBOL if kind not in BOOK_KINDS])
def test_a_stream_of_a_symbol_reaches_who_trades_it_as_its_event(kind: StreamKind) -> None:
    case = CASES[kind]
    mine, other, deaf = cast = actors(case.symbol)
    made = listening(*cast, symbol=case.symbol, channel=case.channel)
    made.say(str(StreamName.of(case.symbol, case.channel)), msgspec.json.encode(case.payload))
    (event,) = told(mine)
    assert type(event) is case.event
    assert fields_of(event) == {"symbol": case.symbol, "at_ns": made.now_ns, "event_ms": T, **case.fields}
    # An asset index is not traded: it is for every strategy that listens.
    assert told(other) == ([event] if kind is StreamKind.ASSET_INDEX else [])
    assert told(deaf) == []


@pytest.mark.parametrize("kind", BOOK_KINDS)
def test_a_diff_depth_reaches_who_trades_the_symbol_as_a_book(kind: StreamKind) -> None:
    case = CASES[kind]
    mine, other, deaf = cast = actors(case.symbol)
    made = listening(*cast, symbol=case.symbol, channel=case.channel)
    name = str(StreamName.of(case.symbol, case.channel))
    for bid in ("99", "98"):
        made.say(name, made.exchange.book(case.symbol, [(bid, "1")], [("101", "1")]))
    made.run(1_000, alive=False)
    made.say(name, made.exchange.book(case.symbol, None, None))
    events = told(mine)
    assert events
    assert {type(event) for event in events} == {case.event}
    assert {name: getattr(events[-1], name) for name in case.fields} == case.fields
    assert events[-1].update_id == made.exchange.books[case.symbol][0]
    assert told(other) == told(deaf) == []


@pytest.mark.parametrize("kind", [kind for kind in OF_SYMBOL if kind not in BOOK_KINDS])
def test_each_hook_alone_hears_its_own_streams_and_no_others(kind: StreamKind) -> None:
    case = CASES[kind]
    cast = [Actor(hook, (case.symbol,), hooks=frozenset({hook})) for hook in sorted(EVENT_HOOKS - {"on_start", "on_link"})]
    made = listening(*cast, symbol=case.symbol, channel=case.channel)
    made.say(str(StreamName.of(case.symbol, case.channel)), msgspec.json.encode(case.payload))
    assert [member.id for member in cast if member.seen] == [HOOK_OF[kind]]


# -- streams of the whole market --------------------------------------------------------------------------------------


def row(case: Case, symbol: str, product: int | None = None) -> dict[str, Any]:
    """The payload of a case about another symbol, of a product if one is named."""
    body = dict(case.payload) | ({} if product is None else {"st": product})
    if "o" in body and isinstance(body["o"], dict):
        return body | {"o": body["o"] | {"s": symbol}}
    return body | ({"s": symbol} if "s" in body else {"e": symbol})


def say_rows(made: Scripted, case: Case, rows: list[dict[str, Any]]) -> None:
    for payload in [rows] if case.array else rows:
        made.say(case.market, msgspec.json.encode(payload))


@pytest.mark.parametrize("kind", OF_MARKET)
def test_whole_market_stream_reaches_all_strategies_with_hooks(kind: StreamKind) -> None:
    case = CASES[kind]
    mine, other, deaf = cast = actors("BTCUSDT")
    made = listening(*cast, symbol="BTCUSDT", channel=case.market)
    say_rows(made, case, [row(case, "XRPUSDT"), row(case, "BTCUSDT", 1), row(case, "币安人生USDT", 1)])
    heard = [getattr(effect, "symbol", None) or effect.market for effect in told(mine)]
    assert heard == ["XRPUSDT", "BTCUSDT", "币安人生USDT"]
    assert {type(effect) for effect in told(mine)} == {case.event}
    assert {name: getattr(told(mine)[1], name) for name in case.fields if name != "market"} == {
        name: value for name, value in case.fields.items() if name != "market"
    }
    assert told(other) == told(mine)
    assert told(deaf) == []


@pytest.mark.parametrize("kind", [kind for kind in OF_MARKET if kind is not StreamKind.TRADING_SESSION])
def test_rows_of_the_other_product_are_left_out(kind: StreamKind) -> None:
    """All-market streams carry COIN-M rows too (protocol.md 3)."""
    case = CASES[kind]
    actor = Actor()
    made = listening(actor, symbol="BTCUSDT", channel=case.market)
    say_rows(made, case, [row(case, "BTCUSD_PERP", 2), row(case, "XRPUSDT", 1), row(case, "ETHUSD_PERP", 2)])
    assert [effect.symbol for effect in told(actor)] == ["XRPUSDT"]
    assert made.engine.market.unreadable == 0


def test_delivery_contracts_without_funding_rate_are_readable() -> None:
    """COIN-M rows print an empty text where theirs would be."""
    actor = Actor()
    case = CASES[StreamKind.MARK_PRICE]
    made = listening(actor, symbol="BTCUSDT", channel=case.market)
    say_rows(made, case, [{**row(case, "BTCUSD_260327", 2), "r": ""}, row(case, "BTCUSDT", 1)])
    assert [effect.symbol for effect in told(actor)] == ["BTCUSDT"]
    assert made.engine.market.unreadable == 0


def test_an_empty_array_says_nothing() -> None:
    actor = Actor()
    made = listening(actor, symbol="BTCUSDT", channel="!ticker@arr")
    made.say("!ticker@arr", b"[]")
    assert told(actor) == []
    assert made.engine.market.unreadable == 0


# -- what is not wanted -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [kind for kind in StreamKind if kind not in BOOK_KINDS])
def test_an_event_without_subscriber_is_never_built(kind: StreamKind, monkeypatch: pytest.MonkeyPatch) -> None:
    case = CASES[kind]
    name = StreamName.of(case.symbol, case.channel) if case.channel else parse(case.market)
    elsewhere = Actor(
        "elsewhere", ("ETHUSDT",), hooks=EVENT_HOOKS if name.subject and kind is not StreamKind.ASSET_INDEX else frozenset()
    )
    deaf = Actor("deaf", (case.symbol,), hooks=EVENT_HOOKS - {HOOK_OF[kind]})
    made = listening(elsewhere, deaf, symbol=case.symbol, channel=case.channel or case.market)
    monkeypatch.setattr(news, "event_of", lambda *_: pytest.fail("built without a subscriber"))
    monkeypatch.setattr(news, "maker_of", lambda _: news.event_of)
    before = made.engine.strategies.dispatched
    made.say(str(name), msgspec.json.encode([case.payload] if case.array and not name.subject else case.payload))
    assert made.engine.market.payloads == 1
    assert made.engine.strategies.dispatched == before


def test_a_mark_price_without_subscriber_still_counts() -> None:
    """What pre-trade risk values positions at does not depend on who listens."""
    made = listening(Actor(hooks=frozenset()), symbol="BTCUSDT", channel="markPrice@1s")
    made.mark("BTCUSDT", "123.5")
    assert made.engine.mark_prices() == {"BTCUSDT": D("123.5")}
    made.mark("BTCUSDT", "0")
    assert made.engine.mark_prices() == {"BTCUSDT": D("123.5")}


def test_mark_prices_of_the_other_product_value_nothing() -> None:
    case = CASES[StreamKind.MARK_PRICE]
    made = listening(Actor(), symbol="BTCUSDT", channel=case.market)
    say_rows(made, case, [row(case, "BTCUSDT", 2)])
    assert made.engine.mark_prices() == {}


# -- leaves -----------------------------------------------------------------------------------------------------------


def test_brackets_that_did_not_change_are_no_brackets() -> None:
    body = {key: value for key, value in CASES[StreamKind.CONTRACT_INFO].payload.items() if key != "bks"}
    name = parse("!contractInfo")
    (message,) = decode_stream(name, msgspec.json.encode(body), Census())
    event = event_of(name.kind, message, 5)
    assert isinstance(event, e.ContractChanged)
    assert event.brackets == ()


def test_a_payload_is_about_its_own_symbol() -> None:
    for kind in (kind for kind in StreamKind if CASES[kind].payload):
        case = CASES[kind]
        name = StreamName.of(case.symbol, case.channel) if case.channel else parse(case.market)
        (message,) = decode_stream(name, msgspec.json.encode(case.payload), Census())
        own = case.symbol if case.channel or kind is StreamKind.CONTRACT_INFO else case.payload["e"]
        assert symbol_of(name, message) == own


def test_frames_come_in_their_order_whatever_their_kind() -> None:
    """Frames of one socket read are told one by one, as they came."""
    actor = Actor()
    made = Scripted(actor, channels=("aggTrade", "kline_1m"), orders_on=False).start()
    actor.seen.clear()
    link = made.of_kind(next(iter(made.links.values())).kind)[0]
    frames = []
    for number in range(4):
        kind = (StreamKind.AGG_TRADE, StreamKind.KLINE)[number % 2]
        case = CASES[kind]
        frames.append(envelope(str(StreamName.of("BTCUSDT", case.channel)), encode(case.payload | {"E": T + number})))
    made.give(FramesReceived(link, tuple(frames)), Lane.MARKET)
    assert [effect.event_ms - T for effect in told(actor)] == [0, 1, 2, 3]
