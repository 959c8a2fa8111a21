"""The bench and the playbook as a writer of plugins uses them, rightly and wrongly."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe import (
    BookChanged,
    BookState,
    CancelAll,
    CandleChanged,
    Intent,
    MarkPriceChanged,
    OrderChanged,
    OrderFilled,
    Place,
    Quote,
    Quotes,
    SaveState,
    Side,
    TradePrinted,
    View,
    WakeMe,
    hookimpl,
)
from coldframe.errors import PluginError, StrategyFault
from coldframe.testing import BENCH_START_MS, Playbook, StrategyBench, instrument

D = Decimal
A, B = "BTCUSDT", "ETHUSDT"
BIDS, ASKS = [("99", "1"), ("98", "2")], [("101", "3")]


class Maker:
    """Quotes one tick inside the best prices, and says what it sees."""

    def __init__(self) -> None:
        self.seen: list[object] = []

    @hookimpl
    def on_start(self, event: object) -> object:
        self.seen.append(event)
        return WakeMe(1_000, "tick")

    @hookimpl
    def on_book(self, event: BookChanged, view: View) -> object:
        self.seen.append(event)
        book = view.book(event.symbol)
        if book.best_bid is None or book.best_ask is None:
            return None
        tick = view.instrument(event.symbol).filters.tick
        return Quotes(event.symbol, [Quote(book.best_bid + tick, D(1))], [Quote(book.best_ask - tick, D(1))])

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> object:
        self.seen.append((event, view.position(event.symbol), [order.filled for order in view.orders(event.symbol)]))
        return [CancelAll(event.symbol)]

    @hookimpl
    def on_order(self, event: OrderChanged) -> None:
        self.seen.append(event)

    @hookimpl
    def on_mark(self, event: MarkPriceChanged, view: View) -> None:
        self.seen.append((view.mark_price(event.symbol), view.unrealized_pnl(), view.now_ms))

    @hookimpl
    def on_trade(self, event: TradePrinted) -> None:
        self.seen.append(event)


class Guard:
    """Refuses to buy."""

    @hookimpl
    def review_intent(self, intent: Intent, view: View) -> str | None:
        return "no buying" if isinstance(intent, Place) and intent.side is Side.BUY else None


def bench(**more: Any) -> tuple[Maker, StrategyBench]:
    maker = Maker()
    return maker, StrategyBench(maker, (A, B), **more)


# -- the bench --------------------------------------------------------------------------------------------------------


def test_what_is_fed_and_what_comes_back() -> None:
    maker, rig = bench()
    assert rig.start() == [WakeMe(1_000, "tick")]
    (wanted,) = rig.book(A, BIDS, ASKS)
    assert wanted == Quotes(A, [Quote(D("99.1"), D(1))], [Quote(D("100.9"), D(1))])
    assert rig.wake("tick") == rig.stop() == []
    event = maker.seen[1]
    assert isinstance(event, BookChanged)
    assert (event.symbol, event.state, event.event_ms) == (A, BookState.SYNCED, BENCH_START_MS)


def test_a_book_holds_exactly_the_levels_it_is_given() -> None:
    _, rig = bench()
    rig.book(A, BIDS, ASKS)
    rig.book(A, [("97.05", "0.5")], [("100", "1"), ("102", "0.001")])
    book = rig.view.book(A)
    assert book.bids(9) == [(D("97.05"), D("0.5"))]
    assert book.asks(9) == [(D(100), D(1)), (D(102), D("0.001"))]
    assert not rig.view.book(B).synced
    rig.book(A, [], [])
    assert book.synced
    assert (rig.view.book(A).best_bid, rig.view.book(A).mid) == (None, None)


def test_update_ids_grow_and_a_fresh_book_allows_trading() -> None:
    maker, rig = bench()
    assert not rig.view.trading_allowed(A)
    for _ in range(3):
        rig.book(A, BIDS, ASKS)
    ids = [event.update_id for event in maker.seen if isinstance(event, BookChanged)]
    assert ids == sorted(set(ids))
    assert rig.view.trading_allowed(A)
    rig.advance(3_000)
    assert not rig.view.trading_allowed(A)


def test_a_book_that_is_lost_shows_nothing() -> None:
    maker, rig = bench()
    rig.book(A, BIDS, ASKS)
    rig.book(B, BIDS, ASKS)
    assert rig.lose_book(A) == []
    event = maker.seen[-1]
    assert isinstance(event, BookChanged)
    assert event.state is not BookState.SYNCED
    assert rig.view.book(A).best_bid is None
    assert rig.view.book(B).best_bid == D(99)
    assert rig.book(A, BIDS, ASKS)


def test_time_passes_only_when_it_is_told_to() -> None:
    maker, rig = bench()
    assert rig.now_ms == BENCH_START_MS
    rig.advance(1_500)
    rig.mark(A, "100")
    assert maker.seen == [(D(100), D(0), BENCH_START_MS + 1_500)]


def test_an_order_rests_and_trades_in_parts() -> None:
    maker, rig = bench()
    rig.rest(A, Side.BUY, "99", "2")
    (order,) = rig.view.orders(A)
    assert (order.side, order.price, order.quantity, order.state) == (Side.BUY, D(99), D(2), "ACCEPTED")
    assert rig.view.orders(B) == ()
    assert rig.fill(A, Side.BUY, "99.0", "0.5") == [CancelAll(A)]
    assert rig.fill(A, Side.BUY, "99", "1.5", maker=False) == [CancelAll(A)]
    fills = [seen for seen in maker.seen if isinstance(seen, tuple)]
    assert [(event.quantity, event.maker, position, filled) for event, position, filled in fills] == [
        (D("0.5"), True, D("0.5"), [D("0.5")]),
        (D("1.5"), False, D(2), []),
    ]
    assert len({event.trade_id for event, _, _ in fills}) == 2
    assert [event.state for event in maker.seen if isinstance(event, OrderChanged)] == ["ACCEPTED", "PARTIALLY_FILLED", "FILLED"]
    assert rig.view.orders() == ()
    assert rig.view.entry_price(A) == D(99)


def test_a_fill_without_a_resting_order_brings_its_own() -> None:
    _, rig = bench()
    rig.fill(A, Side.BUY, "100", "2")
    rig.fill(A, Side.SELL, "103", "3")
    assert rig.view.position(A) == D(-1)
    assert rig.view.realized_pnl() == D(6)
    assert rig.view.fees() == 0
    rig.mark(A, "104")
    assert rig.view.unrealized_pnl() == D(-1)


def test_an_order_on_its_way_is_seen_and_not_heard() -> None:
    maker, rig = bench()
    order = rig.prepare(A, Side.SELL, "105", "1")
    assert [seen.client_order_id for seen in rig.view.orders(A)] == [order.client_order_id]
    assert maker.seen == []


def test_a_trade_of_the_market() -> None:
    maker, rig = bench()
    for number in (1, 2):
        rig.trade(B, "50.5", "0.1", Side.SELL)
        event = maker.seen[-1]
        assert isinstance(event, TradePrinted)
        assert (event.symbol, event.price, event.quantity, event.taker_side) == (B, D("50.5"), D("0.1"), Side.SELL)
        assert event.trade_id == number


def test_overlays_review_what_the_strategy_wants() -> None:
    _, rig = bench(overlays=[Guard()])
    place = Place(symbol=A, side=Side.BUY, quantity=D(1), price=D(99))
    assert rig.refusal(place) == "no buying"
    assert rig.refusal(Place(symbol=A, side=Side.SELL, quantity=D(1), price=D(99))) is None
    assert bench()[1].refusal(place) is None


def test_contracts_with_rules_of_their_own() -> None:
    listed = [instrument(A, tick="0.5", step="0.01", min_notional="5"), instrument(B, min_quantity="0.1")]
    _, rig = bench(instruments=listed)
    assert rig.view.instrument(A) == listed[0]
    assert (listed[0].filters.tick, listed[0].filters.lot.step, listed[0].filters.min_notional) == (D("0.5"), D("0.01"), D(5))
    assert (listed[0].base_asset, listed[0].quote_asset) == ("BTC", "USDT")
    assert listed[1].filters.lot.min == D("0.1")
    (wanted,) = rig.book(A, BIDS, ASKS)
    assert wanted.bids[0].price == D("99.5")


def test_a_hook_that_is_not_there_brings_nothing() -> None:
    rig = StrategyBench(Guard())
    assert rig.start() == rig.book(A, BIDS, ASKS) == rig.mark(A, "1") == rig.trade(A, "1", "1", Side.BUY) == []
    assert rig.rest(A, Side.BUY, "1", "1") == rig.fill(A, Side.BUY, "1", "1") == rig.wake() == rig.stop() == []


PRICES = st.integers(1, 50).map(str)


@given(st.lists(st.tuples(st.sampled_from(Side), PRICES, PRICES), max_size=20))
def test_position_and_profit_are_those_of_the_fills(fills: list[tuple[Side, str, str]]) -> None:
    rig = StrategyBench(Guard())
    position, cash = D(0), D(0)
    for side, price, quantity in fills:
        rig.fill(A, side, price, quantity)
        position += side.sign * D(quantity)
        cash -= side.sign * D(quantity) * D(price)
    rig.mark(A, "17")
    assert rig.view.position(A) == position
    assert abs(rig.view.realized_pnl() + rig.view.unrealized_pnl() - (cash + 17 * position)) < D("1e-15")


class Counter:
    """Counts its wake-ups over all its lives."""

    @hookimpl
    def on_wake(self, view: View) -> SaveState:
        return SaveState((view.state or 0) + 1)

    @hookimpl
    def on_stop(self) -> SaveState:
        return SaveState(1.5)  # type: ignore[arg-type]


def test_what_a_hook_saves_is_in_the_view_of_the_next_call() -> None:
    rig = StrategyBench(Counter())
    assert rig.view.state is None
    assert [rig.wake(), rig.wake()] == [[SaveState(1)], [SaveState(2)]]
    assert rig.view.state == 2
    again = StrategyBench(Counter(), state=rig.view.state)
    assert again.wake() == [SaveState(3)]
    with pytest.raises(ValueError, match=r"^value must be None, a bool, int, str, Decimal, list or dict, not the float 1\.5$"):
        again.stop()
    assert again.view.state == 3
    assert StrategyBench(Counter(), state={"n": [1]}).view.state == {"n": (1,)}


def minute(number: int, *, closed: bool = True) -> CandleChanged:
    prices: dict[str, Any] = dict.fromkeys(("open", "high", "low", "close", "volume", "quote_volume", "taker_buy_volume"), D(1))
    spans: dict[str, Any] = {"open_ms": number * 60_000, "close_ms": number * 60_000 + 59_999}
    return CandleChanged(symbol=A, at_ns=0, event_ms=0, interval="1m", trades=number, closed=closed, **prices, **spans)


def test_closed_candles_that_were_sent_are_in_the_view() -> None:
    class Averaging:
        @hookimpl
        def on_candle(self, event: CandleChanged, view: View) -> WakeMe:
            return WakeMe(len(view.candles(event.symbol, event.interval)))

    rig = StrategyBench(Averaging(), (A, B))
    with pytest.raises(KeyError, match="add the channel kline_1m"):
        rig.view.candles(A, "1m")
    wanted = [rig.send("on_candle", sent) for sent in (minute(1), minute(2), minute(3, closed=False))]
    assert wanted == [[WakeMe(1)], [WakeMe(2)], [WakeMe(2)]]
    assert [candle.trades for candle in rig.view.candles(A, "1m")] == [1, 2]
    with pytest.raises(KeyError):
        rig.view.candles(A, "5m")


class Listener:
    """Notes the tags of what it hears of its orders."""

    def __init__(self) -> None:
        self.tags: list[str] = []

    @hookimpl
    def on_order(self, event: OrderChanged) -> None:
        self.tags.append(event.tag)

    @hookimpl
    def on_fill(self, event: OrderFilled) -> None:
        self.tags.append(event.tag)


def test_an_order_on_the_bench_may_have_a_tag() -> None:
    listener = Listener()
    rig = StrategyBench(listener)
    rig.rest("BTCUSDT", Side.BUY, "99", "1", tag="dip")
    assert [order.tag for order in rig.view.orders()] == ["dip"]
    rig.fill("BTCUSDT", Side.BUY, "99", "1")
    assert listener.tags == ["dip"] * 3


# -- the bench used wrongly -------------------------------------------------------------------------------------------


class Misspelt:
    @hookimpl
    def on_bok(self, event: object) -> None: ...


class Raises:
    @hookimpl
    def on_wake(self, event: object) -> None:
        raise ValueError("too early")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (lambda: StrategyBench(Misspelt()), "plugin Misspelt: there is no hook on_bok (did you mean on_book?)"),
        (lambda: StrategyBench(Guard(), overlays=[Misspelt()]), "plugin Misspelt: there is no hook on_bok (did you mean on_book?)"),
        (lambda: StrategyBench(Guard), "plugin Guard is a class: an instance of it is needed"),
        (lambda: StrategyBench(Guard(), overlays=[Guard]), "plugin Guard is a class: an instance of it is needed"),
    ],
)
def test_what_does_not_fit_is_refused_as_at_load(made: Callable[[], object], said: str) -> None:
    with pytest.raises(PluginError) as refused:
        made()
    assert str(refused.value) == said


def test_a_hook_that_raises_says_where() -> None:
    with pytest.raises(StrategyFault, match=r"^on_wake: ValueError: too early \(test_testing\.py:\d+\)$"):
        StrategyBench(Raises()).wake()


NO_SYMBOL = "no symbol 'XRPUSDT' on this bench: it has BTCUSDT, ETHUSDT"
TOO_MUCH = "3 cannot trade: 2 of the order is left"
CROSSED = "a book whose best bid is not below its best ask: [('101', '3')], [('99', '1')]"
FLOAT = 'a number must be a text so that it stays exact: "100.1"'


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (lambda rig: rig.book("XRPUSDT", BIDS, ASKS), NO_SYMBOL),
        (lambda rig: rig.lose_book("XRPUSDT"), NO_SYMBOL),
        (lambda rig: rig.mark("XRPUSDT", "1"), NO_SYMBOL),
        (lambda rig: rig.trade("XRPUSDT", "1", "1", Side.BUY), NO_SYMBOL),
        (lambda rig: rig.rest("XRPUSDT", Side.BUY, "1", "1"), NO_SYMBOL),
        (lambda rig: rig.fill("XRPUSDT", Side.BUY, "1", "1"), NO_SYMBOL),
        (lambda rig: rig.book(A, [(100.1, "1")], []), FLOAT),
        (lambda rig: rig.mark(A, 100.1), FLOAT),
        (lambda rig: rig.trade(A, 100.1, "1", Side.BUY), FLOAT),
        (lambda rig: rig.fill(A, Side.BUY, "1", 100.1), FLOAT),
        (lambda rig: instrument(A, tick=100.1), FLOAT),  # type: ignore[arg-type]
        (lambda rig: rig.mark(A, "dear"), "not a plain decimal number: 'dear'"),
        (lambda rig: rig.book(A, [("1e2", "1")], []), "not a plain decimal number: '1e2'"),
        (lambda rig: rig.book(A, ASKS, BIDS), CROSSED),
        (lambda rig: rig.advance(-5), "time does not go back: -5 ms"),
        (lambda rig: rig.fill(A, Side.BUY, "99", "0"), "0 cannot trade"),
        (lambda rig: rig.fill(A, Side.BUY, "99", "-1"), "-1 cannot trade"),
        (lambda rig: rig.rest(A, Side.BUY, "99", "2") or rig.fill(A, Side.BUY, "99", "3"), TOO_MUCH),
        (lambda rig: StrategyBench(Guard(), A), "symbols are a list: ['BTCUSDT']"),
    ],
)  # fmt: skip
def test_what_no_venue_could_say_is_refused_in_one_line(wrong: Callable[[StrategyBench], object], said: str) -> None:
    with pytest.raises(ValueError, match=r".") as refused:
        wrong(bench()[1])
    assert str(refused.value) == said


def test_a_misspelt_hook_is_not_silently_fed() -> None:
    with pytest.raises(ValueError, match=r"^there is no hook on_bok: one of on_book, "):
        bench()[1].send("on_bok", None)  # type: ignore[arg-type]


# -- the playbook -----------------------------------------------------------------------------------------------------


class Doubling:
    """Gives every number back twice, and a word for zero."""

    def step(self, event: int, /) -> list[object]:
        return [event, event] if event else ["nothing"]


def test_a_trace_that_is_right() -> None:
    assert Playbook(Doubling()) >> 1 << 1 << 1 >> 0 << "nothing" >> 2 << int << 2
    assert Playbook(Doubling().step) >> 3 << 3 << 3
    assert Playbook(Doubling(), ignore=(int,)) >> 3 >> 0 << "nothing" >> 4
    assert Playbook(Doubling())


@pytest.mark.parametrize(
    ("trace", "story"),
    [
        (lambda book: book >> 1 << 1, ">> 1\n<< 1\n<< 1   (not asked for)"),
        (lambda book: book >> 1 >> 2, ">> 1\n<< 1   (not asked for)\n<< 1   (not asked for)"),
        (lambda book: book >> 1 << 1 << 1 << 1, ">> 1\n<< 1\n<< 1\n<< 1\nbut nothing (more) came"),
        (lambda book: book << 1, "<< 1\nbut nothing (more) came"),
        (lambda book: book >> 0 << 5, ">> 0\n<< 5\nbut this came: nothing"),
        (lambda book: book >> 0 << int, ">> 0\n<< <class 'int'>\nbut this came: nothing"),
        (lambda book: book >> 1 << True << 2, ">> 1\n<< 1\n<< 2\nbut this came: 1"),
    ],
)
def test_a_trace_that_is_wrong_tells_its_story(trace: Callable[[Playbook], object], story: str) -> None:
    with pytest.raises(AssertionError) as failed:
        assert trace(Playbook(Doubling()))
    assert str(failed.value) == story


def test_what_is_no_machine() -> None:
    with pytest.raises(TypeError, match=r"^object is not a machine: it has no step, and cannot be called itself$"):
        Playbook(object())  # type: ignore[arg-type]


def test_what_a_machine_raises_passes() -> None:
    def step(event: object) -> list[object]:
        raise KeyError(event)

    with pytest.raises(KeyError):
        Playbook(step) >> 1
