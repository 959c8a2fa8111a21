"""Mark price, index price, funding rate."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.market.indices import asset_rates, composite
from coldframe.exchange.market.prices import ReferencePrices
from coldframe.exchange.market.public_market_data import Component
from coldframe.exchange.market.sessions import Calendar
from tests.exchange.rig import symbol_market

D = Decimal
DAY = 86_400_000
T0 = 1_700_000_000_000 // DAY * DAY


def test_funding_times_are_whole_multiples_of_the_interval() -> None:
    prices = ReferencePrices(28_800_000)
    assert prices.next_funding_ms(T0) == T0 + 28_800_000
    assert prices.next_funding_ms(T0 + 28_799_999) == T0 + 28_800_000


def test_nothing_is_known_before_a_first_price() -> None:
    prices = ReferencePrices(1)
    assert not prices.known
    prices.begin(100 * 10**12)
    assert (prices.mark, prices.index, prices.average) == (100, 100, 100)


@given(st.lists(st.integers(90, 110), min_size=1, max_size=50))
def test_the_mark_price_stays_among_the_prices_it_follows(middles: list[int]) -> None:
    prices = ReferencePrices(1)
    prices.begin(100 * 10**12)
    for middle in middles:
        prices.follow(middle * 10**12)
        assert min([100, *middles]) <= prices.mark <= max([100, *middles])
        assert abs(prices.funding_rate) <= D("0.003")


def test_a_premium_moves_the_funding_rate_within_its_bounds() -> None:
    prices = ReferencePrices(1)
    prices.begin(100 * 10**12)
    for _ in range(60):
        prices.follow(101 * 10**12, D(100))
    assert prices.funding_rate == D("0.003")
    for _ in range(120):
        prices.follow(100 * 10**12, D(100))
    assert prices.funding_rate == D("0.0001")


def test_the_average_covers_the_last_half_minute() -> None:
    prices = ReferencePrices(1)
    for number in range(100):
        prices.set_mark(D(number))
    assert prices.average == sum(range(70, 100)) / D(30)


def test_a_composite_index_is_the_sum_of_its_parts() -> None:
    public_data = symbol_market("DEFIUSDT").public_data
    assert composite(public_data, T0) is None
    public_data.components = (Component("A", D("0.75"), D(10), D(1000)), Component("B", D("0.25"), D(2), D(1000)))
    public_data.prices.begin(1200 * 10**12)
    made = composite(public_data, T0)
    assert made is not None
    assert made.price == "1200.00000000"
    assert sum(D(row.quantity_weight) * D(row.index_price) for row in made.components) == 1200
    assert [row.percent_weight for row in made.components] == ["0.75000000", "0.25000000"]


def test_asset_rates_keep_their_buffers() -> None:
    rates = asset_rates([symbol_market().public_data], T0)
    assert (rates["BTCUSD"].index_price, rates["BTCUSD"].bid_rate, rates["BTCUSD"].ask_rate) == (
        "1000.00000000",
        "950.00000000",
        "1050.00000000",
    )
    assert rates["USDTUSD"].ask_rate == "1.00010000"


@given(st.integers(0, DAY - 1))
def test_every_market_has_one_session_at_any_time(offset: int) -> None:
    now = T0 + offset
    running = Calendar().running(now)
    assert len({session.event for session in running}) == len(running) == 6
    assert all(candle.start_ms <= now < candle.end_ms for candle in running)
    for rows in Calendar().schedule(now).values():
        assert rows[0][0] == T0 - 8 * DAY
        assert rows[-1][1] == T0 + 7 * DAY
        assert all(earlier[1] == later[0] for earlier, later in pairwise(rows))
