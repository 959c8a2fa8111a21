"""Which streams share a connection: the fewest, one route each, within the limits; and how long each may be silent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.marketdata.shards import FeedLimits, plan, silence_ms
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.routes import MAX_STREAMS_PER_LINK, Route, route_of

NAMES = st.lists(
    st.builds(
        StreamName.of,
        st.integers(0, 400).map(lambda number: f"s{number}usdt"),
        st.sampled_from(["depth@100ms", "bookTicker", "aggTrade", "kline_1m", "markPrice@1s", "rpiDepth@500ms"]),
    )
    | st.sampled_from(["!ticker@arr", "!bookTicker", "!contractInfo", "tradingSession"]).map(parse),
    max_size=60,
)


@given(NAMES, st.integers(1, 20))
def test_every_stream_is_carried_once_on_the_fewest_links(names: list[StreamName], most: int) -> None:
    shards = plan(names, FeedLimits(streams_per_link=most))
    carried = [name for shard in shards for name in shard.names]
    assert sorted(map(str, carried)) == sorted({str(name) for name in names})
    for shard in shards:
        assert 1 <= len(shard.names) <= most
        assert {route_of(name) for name in shard.names} == {shard.route}
        assert shard.route in (Route.PUBLIC, Route.MARKET)
    for route in (Route.PUBLIC, Route.MARKET):
        wanted = len({name for name in names if route_of(name) is route})
        assert sum(shard.route is route for shard in shards) == -(-wanted // most)
    assert len({shard.id for shard in shards}) == len(shards)


def test_default_is_200_streams_per_link_and_1024_is_the_limit() -> None:
    names = [StreamName.of(f"s{number}usdt", "bookTicker") for number in range(1025)]
    assert [len(shard.names) for shard in plan(names, FeedLimits())] == [200] * 5 + [25]
    assert [len(shard.names) for shard in plan(names, FeedLimits(streams_per_link=MAX_STREAMS_PER_LINK))] == [1024, 1]
    assert plan([], FeedLimits()) == ()


@pytest.mark.parametrize("most", [0, -1, 1025])
def test_a_limit_that_the_venue_does_not_grant_is_refused(most: int) -> None:
    with pytest.raises(ValueError, match="1024"):
        FeedLimits(streams_per_link=most)


def test_the_pace_is_within_what_the_venue_allows() -> None:
    """5 a second are safe, and 200 names in one request were accepted (protocol.md 2)."""
    assert FeedLimits().control_per_s <= 5
    assert FeedLimits().names_per_request <= 200
    assert FeedLimits().rotate_after_ms < 24 * 3_600_000


@pytest.mark.parametrize(
    "name", ["btcusdt@aggTrade", "btcusdt@trade", "btcusdt@forceOrder", "!forceOrder@arr", "!contractInfo", "btcusdt@kline_1m"]
)
def test_event_driven_stream_has_no_silence_timeout(name: str) -> None:
    assert silence_ms(parse(name)) is None


@pytest.mark.parametrize("name", ["btcusdt@depth@100ms", "btcusdt@markPrice", "!bookTicker", "!ticker@arr", "!assetIndex@arr"])
def test_a_steady_stream_has_a_deadline_well_above_its_period(name: str) -> None:
    allowed = silence_ms(parse(name))
    assert allowed is not None
    assert allowed >= 3 * parse(name).period_ms
    assert allowed >= 10_000


def test_every_kind_of_stream_was_thought_of() -> None:
    quiet = {StreamKind.AGG_TRADE, StreamKind.TRADE, StreamKind.KLINE, StreamKind.CONTINUOUS_KLINE}
    quiet |= {StreamKind.FORCE_ORDER, StreamKind.CONTRACT_INFO}
    examples = {
        StreamKind.CONTINUOUS_KLINE: "btcusdt_perpetual@continuousKline_1m",
        StreamKind.KLINE: "btcusdt@kline_1m",
        StreamKind.PARTIAL_DEPTH: "btcusdt@depth5",
        StreamKind.RPI_DEPTH: "btcusdt@rpiDepth@500ms",
        StreamKind.CONTRACT_INFO: "!contractInfo",
        StreamKind.TRADING_SESSION: "tradingSession",
    }
    for kind in StreamKind:
        name = parse(examples.get(kind, f"btcusdt@{kind}"))
        assert name.kind is kind
        assert (silence_ms(name) is None) == (kind in quiet)
