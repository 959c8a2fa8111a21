"""Events that read their fields when they are looked at: in every other respect they are like any other event."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.marketdata.events import maker_of
from coldframe.enums import Side
from coldframe.model.events import BestPriceChanged, StrategyEvent, TradePrinted
from coldframe.wire.names import StreamKind
from coldframe.wire.streams import AggTrade, BookTicker
from tests.core.made import agg_trade

TRADE = TradePrinted("BTCUSDT", 5, 1_700_000_000_000, 7, Decimal("1.50"), Decimal(2), Side.BUY, 1_700_000_000_001, True)
BEST = BestPriceChanged("BTCUSDT", 5, 1_700_000_000_000, 9, Decimal("1.10"), Decimal(3), Decimal("1.20"), Decimal(4))


def trade(**extra: object) -> TradePrinted:
    message = AggTrade(
        event="aggTrade",
        event_ms=TRADE.event_ms,
        symbol="BTCUSDT",
        trade_id=7,
        price="1.50",
        quantity="2",
        first_id=1,
        last_id=1,
        trade_ms=TRADE.trade_ms,
        buyer_is_maker=False,
        extra=extra or None,
    )
    event = maker_of(StreamKind.AGG_TRADE)(message, 5)
    assert isinstance(event, TradePrinted)
    return event


def best() -> BestPriceChanged:
    message = BookTicker(
        event="bookTicker",
        event_ms=BEST.event_ms,
        symbol="BTCUSDT",
        update_id=9,
        bid="1.10",
        bid_quantity="3",
        ask="1.20",
        ask_quantity="4",
        traded_ms=1,
    )
    event = maker_of(StreamKind.BOOK_TICKER)(message, 5)
    assert isinstance(event, BestPriceChanged)
    return event


CASES = pytest.mark.parametrize(("make", "other"), [(trade, TRADE), (best, BEST)])


@CASES
def test_it_equals_the_event_that_is_made_at_once(make: Callable[[], StrategyEvent], other: StrategyEvent) -> None:
    assert make() == other
    assert hash(make()) == hash(other)
    assert repr(make()) == repr(other)
    assert attrs.asdict(make()) == attrs.asdict(other)
    assert attrs.evolve(make(), symbol="X") == attrs.evolve(other, symbol="X")
    assert type(make()) is type(other)


@CASES
def test_copies_of_it_are_whole(make: Callable[[], StrategyEvent], other: StrategyEvent) -> None:
    assert copy.copy(make()) == copy.deepcopy(make()) == pickle.loads(pickle.dumps(make())) == other


@given(st.permutations([field.name for field in attrs.fields(TradePrinted)]))
def test_fields_are_read_in_any_order(names: list[str]) -> None:
    event = trade()
    for name in (*names, *reversed(names)):
        assert getattr(event, name) == getattr(TRADE, name)
    assert event.price is event.price


@CASES
def test_it_is_frozen_before_and_after_a_look(make: Callable[[], StrategyEvent], other: StrategyEvent) -> None:
    event = make()
    for name in ("symbol", "symbol", "at_ns", "anything"):
        with pytest.raises((attrs.exceptions.FrozenInstanceError, AttributeError)):
            setattr(event, name, None)
        assert event.symbol == other.symbol


@CASES
def test_what_it_has_not_is_named(make: Callable[[], StrategyEvent], other: StrategyEvent) -> None:
    for event in (make(), other):
        with pytest.raises(AttributeError, match=f"'{type(other).__name__}' object has no attribute 'prise'"):
            event.prise  # type: ignore[union-attr]  # noqa: B018


def test_unknown_keys_of_a_message_are_not_reached_from_it() -> None:
    event = trade(zz=[1])
    assert event == TRADE
    with pytest.raises(AttributeError):
        event._late  # noqa: B018


def test_a_match_sees_its_fields() -> None:
    event = maker_of(StreamKind.AGG_TRADE)(agg_trade(4, price="2.5"), 8)
    match event:
        case TradePrinted(symbol=symbol, price=price, at_ns=8):
            assert (symbol, price) == ("BTCUSDT", Decimal("2.5"))
        case _:
            pytest.fail("not matched")
