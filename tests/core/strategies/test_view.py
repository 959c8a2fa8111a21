"""What a strategy may look at: its own slice of the world, exact, and empty while it cannot be relied on."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.limits import Budget
from coldframe.enums import Side
from coldframe.model.effects import Fail, LinkKind
from coldframe.model.events import BookState, LinkChanged, LinkState
from coldframe.model.view import BookView
from coldframe.testing import StrategyBench
from coldframe.units import scaled
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

BENCH = StrategyBench(object())


def book_of(bids: Sequence[tuple[str, str]], asks: Sequence[tuple[str, str]]) -> BookView:
    """A synced book with these levels."""
    BENCH.book("BTCUSDT", bids, asks)
    return BENCH.view.book("BTCUSDT")


def test_a_book_that_is_not_synced_shows_nothing_but_its_state() -> None:
    bench = StrategyBench(object())
    view = bench.view.book("BTCUSDT")
    assert (view.symbol, view.state, view.synced, view.update_id) == ("BTCUSDT", BookState.BUFFERING, False, 0)
    assert {view.best_bid, view.best_ask, view.best_bid_quantity, view.best_ask_quantity, view.mid, view.micro_price} == {None}
    assert (list(view.bids(5)), list(view.asks(5)), view.known_to(Side.BUY)) == ([], [], None)


def test_a_side_without_levels_has_no_price() -> None:
    view = book_of([("99", "2")], [])
    assert (view.synced, view.update_id > 0, view.best_bid, view.best_bid_quantity) == (True, True, D(99), D(2))
    assert {view.best_ask, view.mid, view.micro_price} == {None}


NUMBERS = st.decimals("0.001", 1000, places=3)


@given(bid=NUMBERS, gap=NUMBERS, bid_quantity=NUMBERS, ask_quantity=NUMBERS)
def test_micro_price_is_nearer_to_the_thinner_side(
    bid: Decimal, gap: Decimal, bid_quantity: Decimal, ask_quantity: Decimal
) -> None:
    view = book_of([(str(bid), str(bid_quantity))], [(str(bid + gap), str(ask_quantity))])
    assert view.mid == bid + gap / 2
    micro = view.micro_price
    assert micro is not None
    assert bid < micro < bid + gap
    if bid_quantity != ask_quantity:
        assert (micro > view.mid) == (bid_quantity > ask_quantity)
    assert abs((micro - bid) * (bid_quantity + ask_quantity) - gap * bid_quantity) < D("1e-15")


def test_a_book_says_how_far_it_is_known() -> None:
    view = book_of([("96", "1")], [])
    local = BENCH._market.synced_book("BTCUSDT")
    assert local is not None
    local.bid_edge = scaled("95.5")
    assert (view.known_to(Side.BUY), view.known_to(Side.SELL)) == (D("95.5"), None)


def test_a_strategy_sees_its_own_slice_of_the_world() -> None:
    mine, other = Actor("one"), Actor("other")
    made = Scripted(mine, other, budgets={"one": Budget(max_position=D(5))}).ready()
    made.want(mine, place(quantity="2"))
    made.want(other, place(Side.SELL, "1", "100.1"))
    (order, _) = made.engine.orders.live
    made.fill(order.client_order_id, "1")
    seen: dict[str, Any] = {}

    def look(event: object, view: Any) -> None:
        seen.update(
            position=view.position("BTCUSDT"),
            entry=view.entry_price("BTCUSDT"),
            orders=[order.client_order_id for order in view.orders()],
            fees=view.fees(),
            symbols=view.symbols,
            mark=view.mark_price("BTCUSDT"),
            now_ms=view.now_ms,
            allowed=view.trading_allowed("BTCUSDT"),
            tick=view.instrument("BTCUSDT").tick,
            unrealized=view.unrealized_pnl(),
        )

    mine.acts["on_mark"] = look
    made.mark("BTCUSDT", "101")
    assert seen == {
        "position": Decimal(1),
        "entry": Decimal(100),
        "orders": [order.client_order_id],
        "fees": D("0.02"),
        "symbols": ("BTCUSDT",),
        "mark": Decimal(101),
        "now_ms": made.now_ns // 1_000_000,
        "allowed": True,
        "tick": D("0.1"),
        "unrealized": Decimal(1),
    }


def test_trading_is_allowed_only_if_nothing_is_stale_or_unknown() -> None:
    mine = Actor("one")
    made = Scripted(mine).ready()

    def allowed() -> bool:
        got: list[bool] = []
        mine.acts["on_wake"] = lambda event, view: got.append(view.trading_allowed("BTCUSDT"))
        made.wake(mine)
        return got[0]

    assert allowed()
    made.holds.add("order.place")
    made.want(mine, place())
    made.refuse(-1007)
    assert not allowed()
    made.run(20_000)
    assert allowed()
    made.run(3_000, alive=False)
    assert not allowed()
    made.beat()
    assert allowed()
    made.gap("BTCUSDT")
    made.beat()
    assert not allowed()
    made.run(1_000)
    assert allowed()
    made.lose(LinkKind.PRIVATE)
    assert not allowed()
    made.run(2_000)
    assert allowed()
    made.lose(LinkKind.API)
    assert not allowed()
    assert not isinstance(made.ended, Fail)
    assert [news.state for news in mine.told(LinkChanged) if news.link == "api"][-1] is LinkState.DOWN


def test_random_numbers_are_drawn_from_the_seed() -> None:
    def drawn(seed: str) -> list[float]:
        view = StrategyBench(object(), seed=seed).view
        return [view.random.random() for _ in range(3)]

    assert drawn("a") == drawn("a") != drawn("b")
    view = StrategyBench(object()).view
    assert view.random.random() != view.random.random()


def test_an_engine_without_random_numbers_says_so() -> None:
    made = Scripted(Actor("one"), random_of=None).ready()
    with pytest.raises(RuntimeError, match="random_of"):
        made.engine.runtimes.get("one").world.lasting(0, allowed=True).random.random()
