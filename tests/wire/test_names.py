"""Stream names: every one that the venue serves is built and read, every other one is refused with a reason."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.enums import CONTINUOUS_CONTRACTS, INTERVALS
from coldframe.wire.names import StreamKind, StreamName, is_all_market, lower, parse, upper

K = StreamKind

#: Written by hand from the "Stream Name" and "Update Speed" sections of the seeds and from protocol.md 4.1: the name, its
#: stream, and the milliseconds between two of its messages.
DEPTH_SPEEDS = {"": 250, "500ms": 500, "100ms": 100, "0ms": 0}
NAMES: list[tuple[str, StreamName, int]] = [
    ("btcusdt@aggTrade", StreamName(K.AGG_TRADE, "btcusdt"), 100),
    ("btcusdt@trade", StreamName(K.TRADE, "btcusdt"), 0),
    ("btcusdt@markPrice", StreamName(K.MARK_PRICE, "btcusdt"), 3000),
    ("btcusdt@markPrice@1s", StreamName(K.MARK_PRICE, "btcusdt", "1s"), 1000),
    ("!markPrice@arr", StreamName(K.MARK_PRICE), 3000),
    ("!markPrice@arr@1s", StreamName(K.MARK_PRICE, speed="1s"), 1000),
    *((f"btcusdt@kline_{length}", StreamName(K.KLINE, "btcusdt", interval=length), 250) for length in INTERVALS),
    *(
        (f"btcusdt_{contract}@continuousKline_{interval}", StreamName(K.CONTINUOUS_KLINE, "btcusdt", "", interval, contract), 250)
        for contract, interval in itertools.product(CONTINUOUS_CONTRACTS, INTERVALS)
    ),
    ("btcusdt@miniTicker", StreamName(K.MINI_TICKER, "btcusdt"), 2000),
    ("!miniTicker@arr", StreamName(K.MINI_TICKER), 1000),
    ("btcusdt@ticker", StreamName(K.TICKER, "btcusdt"), 2000),
    ("!ticker@arr", StreamName(K.TICKER), 1000),
    ("btcusdt@bookTicker", StreamName(K.BOOK_TICKER, "btcusdt"), 0),
    ("!bookTicker", StreamName(K.BOOK_TICKER), 5000),
    ("btcusdt@forceOrder", StreamName(K.FORCE_ORDER, "btcusdt"), 1000),
    ("!forceOrder@arr", StreamName(K.FORCE_ORDER), 1000),
    *(
        (f"btcusdt@depth{levels}{'@' + speed if speed else ''}", StreamName(K.PARTIAL_DEPTH, "btcusdt", speed, levels=levels), ms)
        for levels, (speed, ms) in itertools.product((5, 10, 20), DEPTH_SPEEDS.items())
    ),
    *(
        (f"btcusdt@depth{'@' + speed if speed else ''}", StreamName(K.DIFF_DEPTH, "btcusdt", speed), ms)
        for speed, ms in DEPTH_SPEEDS.items()
    ),
    ("btcusdt@rpiDepth@500ms", StreamName(K.RPI_DEPTH, "btcusdt", "500ms"), 500),
    ("defiusdt@compositeIndex", StreamName(K.COMPOSITE_INDEX, "defiusdt"), 1000),
    ("!contractInfo", StreamName(K.CONTRACT_INFO), 0),
    ("!assetIndex@arr", StreamName(K.ASSET_INDEX), 1000),
    ("adausd@assetIndex", StreamName(K.ASSET_INDEX, "adausd"), 1000),
    ("tradingSession", StreamName(K.TRADING_SESSION), 1000),
]


@pytest.mark.parametrize(("written", "stream", "period_ms"), NAMES, ids=[row[0] for row in NAMES])
def test_a_served_name_is_built_and_read(written: str, stream: StreamName, period_ms: int) -> None:
    assert str(stream) == written
    assert parse(written) == stream
    assert stream.period_ms == period_ms


def test_every_kind_is_in_the_list_and_no_name_stands_twice() -> None:
    assert {stream.kind for _, stream, _ in NAMES} == set(StreamKind)
    assert len({written for written, _, _ in NAMES}) == len(NAMES) == len({stream for _, stream, _ in NAMES})


@pytest.mark.parametrize(
    "name",
    [
        "",
        "btcusdt",
        "@aggTrade",
        "btcusdt@",
        "btcusdt@aggtrade",
        "BTCUSDT@aggTrade",
        "btcusdT@aggTrade",
        "btcusdt@aggTrade@100ms",
        "btcusdt@aggTrade@",
        "btcusdt@aggTrade ",
        " btcusdt@aggTrade",
        "btc/usdt@aggTrade",
        "btcusdt@aggTrade/ethusdt@aggTrade",
        "btcusdt@kline",
        "btcusdt@kline_",
        "btcusdt@kline_1s",
        "btcusdt@kline_1M ",
        "btcusdt@kline_1m@1s",
        "btcusdt@kline_1m@",
        "btcusdt@continuousKline_1m",
        "_perpetual@continuousKline_1m",
        "btcusdt_perpetual@continuousKline_1s",
        "btcusdt_next_month@continuousKline_1m",
        "BTCUSDT_PERPETUAL@continuousKline_1m",
        "btcusdt@depth1",
        "btcusdt@depth05",
        "btcusdt@depth٥",
        "btcusdt@depth50",
        "btcusdt@depth-5",
        "btcusdt@depth@1000ms",
        "btcusdt@depth@100MS",
        "btcusdt@depth@",
        "btcusdt@rpiDepth",
        "btcusdt@rpiDepth@100ms",
        "btcusdt@markPrice@3s",
        "!markPrice",
        "!markPrice@arr@3s",
        "!ticker",
        "!ticker@arr@",
        "!bookTicker@arr",
        "!aggTrade",
        "!contractInfo@arr",
        "btcusdt@contractInfo",
        "btcusdt@tradingSession",
        "tradingsession",
        "btcusdt@userData",
    ],
)
def test_a_name_that_the_venue_would_only_acknowledge_is_refused(name: str) -> None:
    with pytest.raises(ValueError):
        parse(name)


@pytest.mark.parametrize("name", ["btcusdt@depth@250ms", "btcusdt@depth5@250ms"])
def test_the_silent_speed_is_refused_with_the_way_out(name: str) -> None:
    with pytest.raises(ValueError, match="250 ms is the speed without a suffix"):
        parse(name)


@pytest.mark.parametrize(
    ("symbol", "channel", "hint"),
    [
        ("BTCUSDT", "depth@50ms", "@500ms, @100ms, @0ms"),
        ("BTCUSDT", "kline_2m", "one of 1m, 3m, 5m"),
        ("BTCUSDT", "continuousKline_1m", "perpetual@continuousKline_1m"),
        ("BTCUSDT", "perpetual@aggTrade", "no channel 'perpetual'"),
        ("BTCUSDT", "depth7", "5, 10 or 20"),
        ("BTCUSDT", "rpiDepth", "@500ms"),
        ("BTCUSDT", "bookticker", "no channel 'bookticker'"),
        ("", "aggTrade", "<symbol>@<channel>"),
        ("BTC USDT", "aggTrade", "cannot be the subject"),
        ("BTCUSDT", "depth05", "did you mean 'btcusdt@depth5'"),
    ],
)
def test_a_refusal_helps(symbol: str, channel: str, hint: str) -> None:
    with pytest.raises(ValueError, match=hint.replace("<", r"\<")):
        StreamName.of(symbol, channel)


@pytest.mark.parametrize(
    "fields",
    [
        {"subject": "BTCUSDT"},
        {"subject": "btc@usdt"},
        {"subject": "!btcusdt"},
        {"subject": "btcusdt", "levels": 7},
        {"subject": "btcusdt", "levels": 5},
        {"subject": "btcusdt", "interval": "1m"},
        {"subject": "btcusdt", "interval": "9m"},
        {"subject": "btcusdt", "contract": "perpetual"},
        {"subject": "btcusdt", "contract": "foo"},
        {"subject": "btcusdt", "speed": "100ms"},
        {},
    ],
)
def test_stream_with_fields_its_kind_does_not_have_is_refused(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError):
        StreamName(K.AGG_TRADE, **fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", [K.CONTRACT_INFO, K.TRADING_SESSION])
def test_an_all_market_stream_takes_no_symbol(kind: StreamKind) -> None:
    with pytest.raises(ValueError, match="cannot be the subject"):
        StreamName(kind, "btcusdt")


# -- from configurations ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symbol", ["BTCUSDT", "btcusdt", "BtcUsdt"])
@pytest.mark.parametrize(("written", "stream"), [(row[0], row[1]) for row in NAMES if row[0].startswith("btcusdt")])
def test_a_configured_channel_takes_the_symbol_in_any_case(symbol: str, written: str, stream: StreamName) -> None:
    subject, _, channel = written.partition("@")
    contract = subject.removeprefix("btcusdt").lstrip("_")
    assert StreamName.of(symbol, f"{contract}@{channel}" if contract else channel) == stream


def test_an_all_market_channel_needs_no_symbol() -> None:
    for written, stream, _ in NAMES:
        if not stream.subject:
            assert is_all_market(written)
            assert StreamName.of("", written) == stream
    assert not is_all_market("aggTrade")


def test_symbols_beyond_ascii_are_left_as_they_are() -> None:
    stream = StreamName.of("币安人生USDT", "aggTrade")
    assert str(stream) == "币安人生usdt@aggTrade"
    assert stream.symbol == "币安人生USDT"
    # Letters that Unicode would lower or raise are not the venue's business.
    assert lower("ÄßİBTC\u212a") == "Äßİbtc\u212a"
    assert upper("äßıſbtc") == "äßıſBTC"


# -- properties -------------------------------------------------------------------------------------------------------

SUBJECTS = st.text(st.characters(exclude_characters="@!/,?&= ", exclude_categories=("Cs", "Zs", "Zl", "Zp", "Cc")), min_size=1)


@given(SUBJECTS, st.sampled_from([row for row in NAMES if row[1].subject]))
def test_any_subject_makes_a_lower_case_name_that_reads_back(subject: str, row: tuple[str, StreamName, int]) -> None:
    _, like, period_ms = row
    stream = StreamName(like.kind, lower(subject), like.speed, like.interval, like.contract, like.levels)
    written = str(stream)
    assert written.partition("@")[0] == written.partition("@")[0].translate(
        {ord(c): c.lower() for c in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"}
    )
    assert parse(written) == stream
    assert stream.period_ms == period_ms


@given(
    st.text(max_size=30)
    | st.sampled_from([row[0] for row in NAMES]).flatmap(lambda name: st.text(max_size=2).map(lambda t: name + t))
)
def test_whatever_is_read_is_printed_the_same(name: str) -> None:
    try:
        stream = parse(name)
    except ValueError:
        return
    assert str(stream) == name


@given(st.text(max_size=12), st.text(max_size=20) | st.sampled_from([row[0].partition("@")[2] for row in NAMES]))
def test_a_configured_stream_is_legal_or_refused(symbol: str, channel: str) -> None:
    try:
        stream = StreamName.of(symbol, channel)
    except ValueError:
        return
    assert parse(str(stream)) == stream
