"""Rounds that compare our orders and fills with the venue's: when they run, what they find, and that they never stop running."""

from __future__ import annotations

import pytest

from coldframe.core.reconciliation.order_side import LIGHT_SYMBOLS
from coldframe.core.reconciliation.rounds import LIGHT, LIGHT_ROUND_MS, OWNERS_PER_ROUND
from coldframe.core.reconciliation.trade_scan import TRADES_PAGE
from coldframe.core.state.orders import Fill
from coldframe.enums import OrderStatus, Side
from coldframe.model.effects import Level, LinkKind
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.model.orders import OrderState
from tests.core.ordering import accept_quietly, placed, state, world
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, Trade, place

OPEN_ORDERS, POSITIONS, TRADES = "/fapi/v1/openOrders", "/fapi/v3/positionRisk", "/fapi/v1/userTrades"
S = OrderState


def rounds(made: Scripted) -> int:
    assert made.engine.trading is not None
    return made.engine.trading.reconciler.rounds


def done(made: Scripted) -> bool:
    assert made.engine.trading is not None
    return made.engine.trading.reconciler.done


# -- when -------------------------------------------------------------------------------------------------------------


def test_round_runs_after_the_start_and_every_half_minute() -> None:
    made, _ = world()
    assert rounds(made) == 1
    made.run(LIGHT_ROUND_MS)
    assert rounds(made) == 2
    made.run(10 * LIGHT_ROUND_MS)
    assert rounds(made) == 12


def test_a_light_round_does_not_shut_new_risk() -> None:
    made, actor = world(OPEN_ORDERS)
    made.run(LIGHT_ROUND_MS + 1_000)
    assert made.held
    made.want(actor, place())
    assert made.verdicts(actor) == {"ACCEPTED": 1}


@pytest.mark.parametrize("kind", [LinkKind.API, LinkKind.PRIVATE])
def test_a_round_runs_after_either_link_was_opened_again(kind: LinkKind) -> None:
    made, _ = world()
    made.lose(kind)
    assert not done(made)
    made.run(2_000)
    assert done(made)
    assert rounds(made) == 2


@pytest.mark.parametrize("path", [OPEN_ORDERS, POSITIONS, TRADES])
@pytest.mark.parametrize("how", ["refused", "unanswered", "unreadable"])
def test_a_round_that_fails_is_repeated_with_growing_pauses(path: str, how: str) -> None:
    made, _, _ = placed()
    made.lose(LinkKind.PRIVATE)
    if how == "unanswered":
        made.swallows.add(path)
    elif how == "refused":
        made.exchange.refuses[path] = (-1001, "Internal error")
    else:
        made.exchange.rest = lambda *_: [{"nothing": "useful"}]  # type: ignore[method-assign]
    made.run(60_000)
    assert not done(made)
    asked = len(made.called(path))
    assert 4 <= asked <= 14
    made.swallows.clear()
    made.exchange.refuses.clear()
    if how == "unreadable":
        del made.exchange.rest
    made.run(31_000)
    assert done(made)


def test_rounds_go_on_after_a_slow_round() -> None:
    made, _ = world(OPEN_ORDERS)
    made.run(LIGHT_ROUND_MS + 1_000)
    made.run(LIGHT_ROUND_MS * 2)
    made.holds.clear()
    made.release()
    before = rounds(made)
    made.run(5 * LIGHT_ROUND_MS)
    assert rounds(made) >= before + 4


def test_what_happens_during_a_round_makes_another_one_due() -> None:
    made, _ = world(OPEN_ORDERS)
    made.lose(LinkKind.PRIVATE)
    made.run(1_000)
    made.lose(LinkKind.PRIVATE)
    made.run(1_500)
    made.release()
    assert not done(made)
    made.release()
    assert done(made)


def test_a_round_that_is_not_urgent_leaves_new_risk_open() -> None:
    made, _ = world(OPEN_ORDERS)
    assert made.engine.trading is not None
    made.lose(LinkKind.PRIVATE)
    made.run(1_000)
    made.engine.trading.reconciler.begin("by the way", (), urgent=False)
    assert not done(made)
    made.release()
    assert made.held, "the second round is running"
    assert done(made)


@pytest.mark.parametrize(
    ("meanwhile", "follows", "urgently"),
    [
        ([(LIGHT, False)], None, False),
        ([("a", False)], "a", False),
        ([("a", False), ("b", False)], "a", False),
        ([("a", False), (LIGHT, False)], "a", False),
        ([("a", True), ("b", False)], "a", True),
        ([("a", False), ("b", True)], "b", True),
    ],
)
def test_what_follows_a_running_round(meanwhile: list[tuple[str, bool]], follows: str | None, urgently: bool) -> None:
    """The first reason stands, an urgent one goes before it; the round of every half a minute does not ask for another."""
    made, _ = world(OPEN_ORDERS)
    assert made.engine.trading is not None
    reconciler = made.engine.trading.reconciler
    reconciler.begin("first", (), urgent=False)
    for reason, urgent in meanwhile:
        reconciler.begin(reason, (), urgent=urgent)
    made.beat()
    before = rounds(made)
    made.release()
    assert rounds(made) == before + 1
    assert bool(made.held) is (follows is not None)
    assert done(made) is not urgently
    made.release()
    assert (rounds(made), done(made), made.held) == (before + 1 + (follows is not None), True, [])
    assert ("reconciled (a)" in made.said(), "reconciled (b)" in made.said()) == (follows == "a", follows == "b")


def test_orders_that_the_venue_has_not_named_are_asked_for_last() -> None:
    made, _ = world()
    assert made.engine.trading is not None
    others, reconciler = made.engine.state.external, made.engine.trading.reconciler
    for number in range(1, OWNERS_PER_ROUND + 3):
        fill = Fill("BTCUSDT", number, number, Side.BUY, D(100), D(1), False, made.venue_ms)
        others.unmatched[fill.key] = fill
    for number in (1, 4):
        others.not_named("BTCUSDT", number)
    reconciler._ask_for_owners()
    made.beat()
    asked = [call.params["orderId"] for call in made.called("/fapi/v1/order")]
    assert asked == [2, 3, *range(5, OWNERS_PER_ROUND + 3)]


def test_nothing_is_queried_during_a_ban_but_afterwards() -> None:
    made, _ = world()
    made.engine._ctx.rate_limits.ban(made.venue_ms + 120_000)
    made.lose(LinkKind.PRIVATE)
    made.effects.clear()
    made.run(119_000)
    assert made.called(OPEN_ORDERS) == []
    assert made.sent("userDataStream.start") == []
    made.run(62_000)
    assert done(made)


# -- what -------------------------------------------------------------------------------------------------------------


def test_the_symbols_of_orders_and_positions_are_looked_at() -> None:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT", "BNBUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    made.want(actor, place(), place(symbol="ETHUSDT"))
    eth = next(order for order in made.engine.orders.live if order.symbol == "ETHUSDT")
    made.fill(eth.client_order_id, "1")
    made.run(2 * LIGHT_ROUND_MS + 1_000)
    asked = [str(call.params["symbol"]) for call in made.called(TRADES)]
    assert set(asked) == {"BTCUSDT", "ETHUSDT"}


def test_light_rounds_look_at_a_doubted_order_every_time() -> None:
    """The symbols of orders that rest undoubted take turns beside it."""
    symbols = tuple(f"S{number:02}USDT" for number in range(2 * LIGHT_SYMBOLS + 1))
    actor = Actor(symbols=symbols)
    made = Scripted(actor, symbols=symbols).ready()
    made.want(actor, *(place(symbol=symbol) for symbol in symbols))
    *_, last = made.engine.orders.live
    made.engine.orders.doubted(last, made.now_ns)
    trading = made.engine.trading
    assert trading is not None
    first, second = trading._light_symbols(), trading._light_symbols()
    assert first & second == {last.symbol}
    assert first | second == set(symbols)


def test_o7_fills_during_an_outage_are_booked_in_their_order() -> None:
    made, actor, order = placed()
    made.unopened.add(LinkKind.PRIVATE)
    made.lose(LinkKind.PRIVATE)
    for part in ("0.1", "0.2", "0.3"):
        made.fill(order.client_order_id, part)
    made.unopened.clear()
    made.lose(LinkKind.PRIVATE, "refused") if made.of_kind(LinkKind.PRIVATE) else None
    made.run(61_000)
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D("0.1"), D("0.2"), D("0.3")]
    assert (state(order), order.filled) == (S.PARTIALLY_FILLED, D("0.6"))
    assert any(line.level is Level.WARNING and "3 fills of BTCUSDT recovered" in line.text for line in made.log)


def test_a_fill_on_a_full_page_is_followed_by_the_next_page() -> None:
    made, actor, order = placed(quantity="700")
    made.silent = True
    venue = made.exchange.orders[order.client_order_id]
    for number in range(TRADES_PAGE + 50):
        trade = Trade(1_000 + number, "1", "100")
        venue.trade(trade)
        made.exchange.trades.append((venue, trade))
    made.silent = False
    made.run(LIGHT_ROUND_MS + 5_000)
    assert order.filled == TRADES_PAGE + 50
    assert len(actor.told(OrderFilled)) == TRADES_PAGE + 50
    pages = [call for call in made.called(TRADES) if "orderId" not in call.params]
    assert [page.params.get("fromId") for page in pages[:2]] == [None, 1_000 + TRADES_PAGE - 1]


def test_later_pages_begin_at_the_last_query_not_at_the_stream() -> None:
    made, _, order = placed()
    made.fill(order.client_order_id, "0.1")
    made.run(LIGHT_ROUND_MS + 1_000)
    made.silent = True
    made.fill(order.client_order_id, "0.2")
    made.silent = False
    made.fill(order.client_order_id, "0.1")
    made.run(LIGHT_ROUND_MS)
    (first, second) = [call.params.get("fromId") for call in made.called(TRADES) if "orderId" not in call.params]
    assert (first, second) == (None, 100)
    assert order.filled == D("0.4")


def test_an_order_that_ended_unnoticed_is_asked_for_and_told() -> None:
    made, actor, order = placed()
    made.exchange.orders[order.client_order_id].end(OrderStatus.EXPIRED)
    made.run(LIGHT_ROUND_MS + 2_000)
    assert state(order) is S.EXPIRED
    assert actor.told(OrderChanged)[-1].state == S.EXPIRED


def test_an_order_of_unknown_fate_that_is_on_the_list_is_open() -> None:
    made, _, order = placed("order.place")
    made.swallows.add("order.status")
    accept_quietly(made)
    made.refuse(-1007)
    made.run(LIGHT_ROUND_MS + 1_000)
    assert state(order) is S.ACCEPTED


def test_order_sent_during_a_round_may_be_absent_from_its_answer() -> None:
    made, actor = world(OPEN_ORDERS)
    made.run(LIGHT_ROUND_MS + 1_000)
    listed = made.exchange.rest
    made.exchange.rest = lambda path, params: [] if path == OPEN_ORDERS else listed(path, params)  # type: ignore[method-assign]
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.release()
    made.run(2_000)
    assert made.sent("order.status") == []
    assert state(order) is S.ACCEPTED


def test_o21_orders_of_others_are_counted_and_left_alone() -> None:
    """O21."""
    made, actor = world()
    made.external_order("web_manual")
    made.external_order("cf.gone.0.1")
    made.run(LIGHT_ROUND_MS + 1_000)
    made.lose(LinkKind.PRIVATE)
    made.run(2_000)
    assert "2 open orders at the venue, 2 of no strategy" in made.said()
    assert made.sent("order.cancel") == []
    assert actor.told(OrderChanged) == []


def test_the_venues_positions_are_remembered_side_by_side() -> None:
    made, _ = world()
    rows = [
        {"symbol": "BTCUSDT", "positionSide": side, "positionAmt": amount, "entryPrice": "1"}
        for side, amount in (("LONG", "2"), ("SHORT", "-0.5"))
    ]
    made.exchange.rest = lambda path, params: rows if path == POSITIONS else []  # type: ignore[method-assign]
    made.run(LIGHT_ROUND_MS + 1_000)
    assert made.engine.trading is not None
    assert made.engine.trading.reconciler.positions == {"BTCUSDT": D("1.5")}


def test_o6_a_fill_is_never_counted_twice_by_whatever_way() -> None:
    made, _, order = placed()
    made.fill(order.client_order_id, "0.4")
    for _ in range(3):
        made.lose(LinkKind.PRIVATE)
        made.run(5_000)
    account = made.engine.runtimes.get("mm").account.holdings
    assert (account.net("BTCUSDT"), account.fills, account.fees) == (D("0.4"), 1, {"USDT": D("0.02")})


def test_a_round_says_how_many_orders_are_of_unknown_fate() -> None:
    made, actor = world()
    made.want(actor, place(), place(Side.SELL, price="101"))
    made.holds.add("order.place")
    made.swallows |= {"order.status", "/fapi/v1/order"}
    made.want(actor, place(price="99"))
    made.run(2_500)
    assert [order.state for order in made.engine.orders.live] == [S.ACCEPTED, S.ACCEPTED, S.UNKNOWN]
    made.lose(LinkKind.PRIVATE)
    made.run(1_000)
    assert "2 open orders at the venue, 1 of unknown fate" in made.said()


def test_a_round_without_doubt_says_nothing_of_unknown_fates() -> None:
    made, _, _ = placed()
    made.lose(LinkKind.PRIVATE)
    made.run(1_000)
    assert "1 open orders at the venue" in made.said()
    assert "unknown fate" not in made.said()
