"""Closed candles are kept once each, in their order, as many as fit, and only where a stream brings them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.marketdata.candles import CANDLES_KEPT, ClosedCandles
from coldframe.core.strategies.view import StrategyView
from coldframe.model.effects import LinkKind
from coldframe.model.events import CandleChanged
from coldframe.model.inputs import FramesReceived, Lane
from coldframe.wire.codec import encode
from coldframe.wire.frames import envelope
from coldframe.wire.names import StreamKind, StreamName, parse
from tests.core.marketdata.test_events import BAR, CANDLE, CASES, T
from tests.core.scripted import Actor, Scripted

MINUTE_MS = 60_000


def candle(number: int, *, closed: bool = True, interval: str = "1m", **more: Any) -> CandleChanged:
    made = CandleChanged(symbol="BTCUSDT", at_ns=number, event_ms=T, **{**CANDLE, "interval": interval, "closed": closed, **more})
    return attrs.evolve(made, open_ms=number * MINUTE_MS, close_ms=(number + 1) * MINUTE_MS - 1)


def names(*texts: str) -> list[StreamName]:
    return [parse(text) for text in texts]


@given(told=st.lists(st.builds(candle, st.integers(0, 12), closed=st.booleans(), interval=st.sampled_from(["1m", "3m", "1h"]))))
def test_what_is_kept_is_what_was_closed_in_its_order(told: list[CandleChanged]) -> None:
    kept = ClosedCandles(names("btcusdt@kline_1m", "btcusdt@kline_1h", "btcusdt_perpetual@continuousKline_3m", "btcusdt@aggTrade"))
    for event in told:
        kept.add(event)
    for interval in ("1m", "1h"):
        wanted: list[CandleChanged] = []
        for event in (event for event in told if event.closed and event.interval == interval):
            if all(event.open_ms > before.open_ms for before in wanted):
                wanted.append(event)
        assert kept.of("BTCUSDT", interval) == tuple(wanted)
    with pytest.raises(KeyError):
        kept.of("BTCUSDT", "3m")


def test_the_oldest_candles_make_room() -> None:
    kept = ClosedCandles(names("btcusdt@kline_1m"))
    for number in range(CANDLES_KEPT + 7):
        kept.add(candle(number))
    found = kept.of("BTCUSDT", "1m")
    assert (len(found), found[0].at_ns, found[-1].at_ns) == (CANDLES_KEPT, 7, CANDLES_KEPT + 6)


def test_the_first_word_on_a_candle_counts() -> None:
    kept = ClosedCandles(names("btcusdt@kline_1m"))
    for event in (candle(1, trades=5), candle(1, trades=6), candle(0), candle(2, closed=False), candle(2)):
        kept.add(event)
    assert kept.of("BTCUSDT", "1m") == (candle(1, trades=5), candle(2))


@pytest.mark.parametrize(("symbol", "interval"), [("BTCUSDT", "5m"), ("ETHUSDT", "1m"), ("btcusdt", "1m"), ("BTCUSDT", "")])
def test_candles_that_no_stream_brings_are_an_error(symbol: str, interval: str) -> None:
    kept = ClosedCandles(names("btcusdt@kline_1m"))
    assert kept.of("BTCUSDT", "1m") == ()
    with pytest.raises(KeyError) as refused:
        kept.of(symbol, interval)
    (text,) = refused.value.args
    assert text == f"no candles of {symbol!r} by {interval!r} come in: add the channel kline_{interval} to its [[streams]]"


# -- as a strategy sees them ------------------------------------------------------------------------------------------


def link_of(made: Scripted, name: str) -> str:
    return next(link for link in made.of_kind(LinkKind.MARKET) if made.engine.market.feed.in_charge(parse(name), link))


def fed(made: Scripted, *bars: Mapping[str, Any], channel: str = "kline_1m") -> None:
    """One socket read with these bars."""
    name = str(StreamName.of("BTCUSDT", channel))
    link = link_of(made, name)
    payload = CASES[StreamKind.KLINE].payload
    frames = tuple(envelope(name, encode({**payload, "k": {**BAR, **bar}})) for bar in bars)
    made.give(FramesReceived(link, frames), Lane.MARKET)


def bar(number: int, *, closed: bool = True) -> dict[str, Any]:
    return {"t": T + number * MINUTE_MS, "T": T + (number + 1) * MINUTE_MS - 1, "x": closed, "n": number}


def test_a_hook_finds_the_candle_that_it_is_told_of() -> None:
    actor = Actor()
    found: list[tuple[int, bool, list[int]]] = []

    def look(event: CandleChanged, view: StrategyView) -> None:
        assert event.warmup is False
        assert all(candle.closed for candle in view.candles("BTCUSDT", "1m"))
        found.append((event.trades, event.closed, [candle.trades for candle in view.candles("BTCUSDT", "1m")]))

    actor.acts["on_candle"] = look
    made = Scripted(actor, channels=("kline_1m",), orders_on=False).start()
    fed(made, bar(0, closed=False), bar(0), bar(1, closed=False), bar(1))
    fed(made, bar(2))
    assert found == [(0, False, []), (0, True, [0]), (1, False, [0]), (1, True, [0, 1]), (2, True, [0, 1, 2])]


def test_candles_are_kept_for_strategies_without_that_hook() -> None:
    actor = Actor(hooks=frozenset({"on_wake"}))
    made = Scripted(actor, channels=("kline_1m",), orders_on=False).start()
    fed(made, bar(0), bar(1))
    seen: list[Any] = []
    actor.acts["on_wake"] = lambda event, view: seen.append(view.candles("BTCUSDT", "1m"))
    made.wake(actor)
    ((first, second),) = seen
    assert (first.open_ms, second.open_ms) == (T, T + MINUTE_MS)
    assert (first.high, first.volume, first.symbol) == (CANDLE["high"], CANDLE["volume"], "BTCUSDT")


def test_a_strategy_that_asks_for_candles_of_no_stream_is_told() -> None:
    actor = Actor()
    made = Scripted(actor, channels=("kline_1m",), orders_on=False).start()
    actor.acts["on_wake"] = lambda event, view: view.candles("BTCUSDT", "5m")
    with pytest.raises(KeyError, match="add the channel kline_5m"):
        made.wake(actor)


def test_a_candle_of_a_continuous_contract_is_another_thing() -> None:
    actor = Actor()
    channel = "perpetual@continuousKline_1m"
    made = Scripted(actor, channels=(channel, "kline_1m"), orders_on=False).start()
    name = str(StreamName.of("BTCUSDT", channel))
    frame = envelope(name, encode(CASES[StreamKind.CONTINUOUS_KLINE].payload))
    made.give(FramesReceived(link_of(made, name), (frame,)), Lane.MARKET)
    assert [event.contract_type for event in actor.told(CandleChanged)] == ["PERPETUAL"]
    assert made.engine.market.candles.of("BTCUSDT", "1m") == ()


def test_candles_stand_for_themselves_in_json() -> None:
    """What an input log or a sink writes of an event has the new field too."""
    assert msgspec.json.decode(msgspec.json.encode(candle(1)))["warmup"] is False
