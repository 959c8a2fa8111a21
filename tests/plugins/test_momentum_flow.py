"""The rolling window of trades, against a list that is summed up anew every time."""

from __future__ import annotations

from decimal import Decimal

import attrs
from hypothesis import given
from hypothesis import strategies as st

from coldframe import Side, TradePrinted
from coldframe_momentum.flow import Flow

D = Decimal
WINDOW_MS = 1_000


def trade(at_ms: int, quantity: str, side: Side, *, aggregated: bool = True) -> TradePrinted:
    return TradePrinted(
        symbol="BTCUSDT",
        at_ns=0,
        event_ms=at_ms,
        trade_id=1,
        price=D(100),
        quantity=D(quantity),
        taker_side=side,
        trade_ms=at_ms,
        aggregated=aggregated,
    )


def flow_of(*trades: TradePrinted) -> Flow:
    flow = Flow(WINDOW_MS)
    for trade in trades:
        flow.add(trade)
    return flow


def test_nothing_yet() -> None:
    flow = Flow(WINDOW_MS)
    assert (len(flow), flow.imbalance, flow.direction(D("0.1"))) == (0, D(0), None)


def test_imbalance_is_signed_volume_over_volume() -> None:
    flow = flow_of(trade(1, "3", Side.BUY), trade(2, "1", Side.SELL))
    assert flow.imbalance == D("0.5")
    assert flow.direction(D("0.5")) is Side.BUY
    assert flow.direction(D("0.51")) is None


def test_sellers_count_the_other_way() -> None:
    assert flow_of(trade(1, "1", Side.SELL)).direction(D(1)) is Side.SELL


def test_a_trade_leaves_when_the_window_has_passed_over_it() -> None:
    assert len(flow_of(trade(5, "1", Side.BUY), trade(5 + WINDOW_MS - 1, "1", Side.BUY))) == 2
    assert len(flow_of(trade(5, "1", Side.BUY), trade(5 + WINDOW_MS, "1", Side.BUY))) == 1


def test_a_late_trade_leaves_with_those_before_it() -> None:
    late = trade(5_000, "1", Side.BUY), trade(10, "1", Side.SELL)
    assert len(flow_of(*late, trade(5_999, "1", Side.BUY))) == 3
    assert len(flow_of(*late, trade(6_000, "1", Side.BUY))) == 1


def test_trades_of_size_zero_say_nothing() -> None:
    assert len(flow_of(trade(1, "0", Side.BUY))) == 0


def test_a_market_that_is_heard_twice_is_counted_once() -> None:
    whole, single = trade(1, "2", Side.BUY), trade(1, "2", Side.BUY, aggregated=False)
    assert flow_of(whole, single, whole).volume == 4
    assert flow_of(single, whole, single).volume == 4


trades = st.lists(
    st.builds(
        trade,
        st.integers(0, 5_000),
        st.integers(0, 10**9).map(lambda number: str(D(number) / 10**6)),
        st.sampled_from([Side.BUY, Side.SELL]),
    ),
    max_size=60,
)


@given(trades)
def test_it_says_what_the_naive_sum_says(seen: list[TradePrinted]) -> None:
    flow, kept, latest = Flow(WINDOW_MS), [], 0
    for event in seen:
        flow.add(event)
        if event.quantity:
            latest = max(latest, event.trade_ms)
            kept.append(attrs.evolve(event, trade_ms=latest))
        kept = [old for old in kept if old.trade_ms > latest - WINDOW_MS]
        assert len(flow) == len(kept)
        assert flow.volume == sum(old.quantity for old in kept)
        assert flow.signed_volume == sum(old.quantity * old.taker_side.sign for old in kept)
        assert -1 <= flow.imbalance <= 1


@given(trades)
def test_it_is_symmetric_under_an_exchange_of_sides(seen: list[TradePrinted]) -> None:
    plain = flow_of(*seen)
    mirror = flow_of(*(attrs.evolve(event, taker_side=event.taker_side.opposite) for event in seen))
    assert mirror.imbalance == -plain.imbalance
    direction, mirrored = plain.direction(D("0.3")), mirror.direction(D("0.3"))
    assert (direction and direction.opposite) == mirrored
