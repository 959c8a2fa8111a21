"""A market keeps matching and public data in step, or leaves the public data to the replicated market."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from coldframe.enums import SelfTradePrevention, Side
from coldframe.exchange.matching import Taker
from coldframe.units import scaled
from tests.exchange.rig import symbol_market

BUY, SELL = Side.BUY, Side.SELL
_STEP = st.tuples(
    st.sampled_from(["rest", "take", "leave", "withdraw", "shrink"]), st.booleans(), st.integers(-5, 5), st.integers(1, 9)
)


@given(st.lists(_STEP, max_size=50))
def test_the_published_book_is_always_the_engines(steps: list[tuple[str, bool, int, int]]) -> None:
    made = symbol_market()
    prices: dict[int, tuple[Side, int]] = {}
    for order_id, (what, buys, offset, quantity) in enumerate(steps, start=1):
        side, price, size = BUY if buys else SELL, (10_000 + offset) * 10**11, quantity * 10**9
        match what:
            case "rest" if not made.matching.crosses(side, price):
                made.rest(side, price, size, order_id, order_id if quantity % 2 else 0, "me")
                prices[order_id] = (side, price)
            case "take":
                made.trade_order(Taker(side=side, quantity=size, limit=price), order_id)
            case "leave":
                made.leave(side, price, size, order_id)
            case "withdraw" if quantity in prices:
                made.withdraw(quantity, *prices[quantity], order_id)
            case "shrink" if quantity in prices:
                made.shrink(quantity, size // 2, *prices[quantity], order_id)
        book = made.public_data.book
        for shown, side in ((book.bids, BUY), (book.asks, SELL)):
            assert [(scaled(price), scaled(quantity)) for price, quantity in shown.top(99)] == made.matching.depth(side, 99)


def test_trades_get_growing_ids_and_account_fills_are_returned() -> None:
    made = symbol_market()
    made.rest(SELL, 10**15, 10**12, 1)
    made.rest(SELL, 10**15, 10**12, 1, 7, "me")
    taken, met = made.trade_order(Taker(side=BUY, quantity=2 * 10**12), 2)
    assert [execution.fill.maker_id for execution in met] == [7]
    trades = list(made.public_data.trades.latest)
    assert [trade.trade_id for trade in trades] == [met[0].trade_id - 1, met[0].trade_id]
    assert (trades[0].price_text, trades[0].quantity_text, trades[0].buyer_is_maker) == ("1000.0", "1.000", False)
    assert taken.left == 0


def test_a_hidden_floor_publishes_nothing_of_its_own() -> None:
    made = symbol_market(shows_orders=False)
    made.market_levels([], [(10**15, 10**12)])
    made.rest(BUY, 999 * 10**12, 10**12, 1, 7, "me")
    _, met = made.trade_order(Taker(side=BUY, quantity=10**12, order_id=8, owner="me"), 2)
    assert len(met) == 1
    assert (len(made.public_data.book.bids), len(made.public_data.trades.latest)) == (0, 0)


def test_a_prevented_order_leaves_the_published_book() -> None:
    made = symbol_market()
    made.rest(SELL, 10**15, 10**12, 1, 7, "me")
    made.trade_order(Taker(side=BUY, quantity=10**12, order_id=8, owner="me", prevention=SelfTradePrevention.EXPIRE_MAKER), 2)
    assert made.public_data.book.asks.best() is None
    assert Decimal(made.public_data.last_price).scaleb(-12) == 1000
