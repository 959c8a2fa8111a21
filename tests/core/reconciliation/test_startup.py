"""What stands on the account before the first order: refused by default, each thing on its own line, or ignored, or adopted."""

from __future__ import annotations

import pytest

from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.reconciliation.startup import StartCheck
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.journal_codec import fold
from coldframe.core.state.orders import Fill
from coldframe.core.state.shares import execution_of
from coldframe.enums import OrderStatus, PositionSide, Side
from coldframe.ids import OwnId
from coldframe.model.effects import Fail
from coldframe.model.events import OrderChanged, OrderFilled, PositionCause
from coldframe.model.intents import CancelAll, Quote, Quotes
from coldframe.model.orders import OrderState
from tests.core.made import START_MS
from tests.core.scripted import Actor, Scripted
from tests.core.told import AtVenue, D, Trade, place

EARLIER = str(OwnId("mm", START_MS - 86_400_000, 7))


def found(rule: ExternalPolicy, *actors: Actor, symbols: tuple[str, ...] = ("BTCUSDT", "ETHUSDT")) -> Scripted:
    """An engine before its start, on an account that is not empty: a short position and an order, neither of them ours."""
    made = Scripted(*(actors or (Actor(),)), symbols=symbols, trading=OrderSideLimits(external=rule))
    sold = made.exchange.external_order("web_1", "BTCUSDT", Side.SELL, "0.5", "101")
    made.exchange.fill("web_1", "0.5", "101")
    assert sold.status is OrderStatus.FILLED
    made.exchange.external_order("web_2", "BTCUSDT", Side.BUY, "0.25", "90")
    made.now_ns += 60_000_000_000
    return made


def test_o24_external_items_are_refused_by_default_line_by_line() -> None:
    made = found(OrderSideLimits().external).start()
    assert isinstance(made.ended, Fail)
    assert made.ended.kind == "ConfigError"
    position, order = made.ended.text.split("\n")
    assert position.startswith(
        "orders.external: position of -0.5 BTCUSDT (the account holds -0.5, the strategies 0; entry price 100)"
        " belongs to no strategy: close it, or set"
    )
    assert order.startswith("orders.external: order BUY 0.25 BTCUSDT @ 90 (web_2) belongs to no strategy: cancel it, or set")
    assert made.sent("order.place") == []


def test_o24_an_empty_account_is_no_reason_to_refuse() -> None:
    made = Scripted(Actor()).ready()
    assert made.ended is None


def test_o24_ignored_things_are_external_and_left_alone() -> None:
    actor = Actor()
    made = found(ExternalPolicy.IGNORE, actor).ready()
    state = made.engine.state
    assert state.external.account.net("BTCUSDT") == D("-0.5")
    assert [order.client_order_id for order in state.external.orders.values()] == ["web_2"]
    made.want(actor, place(), CancelAll())
    made.run(3 * LIGHT_ROUND_MS)
    assert made.exchange.orders["web_2"].status is OrderStatus.NEW
    assert state.holdings.adjustments == []
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 0
    made.fill("web_2", "0.25")
    assert state.external.account.net("BTCUSDT") == D("-0.25")
    assert actor.told(OrderFilled) == []


def test_o24_external_items_are_adopted_by_the_only_strategy() -> None:
    actor, other = Actor("mm"), Actor("other", symbols=("ETHUSDT",))
    made = found(ExternalPolicy.ADOPT, actor, other).ready()
    account = made.engine.runtimes.get("mm").account.holdings
    assert account.net("BTCUSDT") == D("-0.5")
    assert account.position("BTCUSDT").entry_price == 100
    (order,) = made.engine.orders.live
    assert (order.strategy, order.client_order_id, order.state) == ("mm", "web_2", OrderState.ACCEPTED)
    made.fill("web_2", "0.1", "90")
    assert account.net("BTCUSDT") == D("-0.4")
    assert account.realized == D(1)
    made.want(actor, CancelAll())
    assert made.exchange.orders["web_2"].status is OrderStatus.CANCELED
    made.run(3 * LIGHT_ROUND_MS)
    assert made.engine.state.holdings.adjustments == []
    assert made.engine.state.external.account.net("BTCUSDT") == 0


@pytest.mark.parametrize("actors", [(Actor("a"), Actor("b")), (Actor("a", symbols=("ETHUSDT",)),)], ids=["two", "none"])
def test_o24_items_without_a_single_adopter_are_refused(actors: tuple[Actor, ...]) -> None:
    made = found(ExternalPolicy.ADOPT, *actors).start()
    assert isinstance(made.ended, Fail)
    lines = made.ended.text.split("\n")
    assert len(lines) == 2
    assert all("cannot be adopted: not exactly one strategy trades BTCUSDT" in line for line in lines)


def test_known_position_is_own_despite_a_fill_in_the_first_round() -> None:
    made = Scripted(Actor())
    made.exchange.external_order("cf.mm.1.1", "BTCUSDT", Side.BUY, "0.5", "100")
    made.exchange.fill("cf.mm.1.1", "0.5")
    made.engine.state.holdings.hold("mm", ("BTCUSDT", PositionSide.BOTH), D("0.5"), D(100), PositionCause.ADOPTED)
    made.holds.add("/fapi/v1/openOrders")
    made.start()
    made.run(1_000)
    made.engine.state.holdings.hold("mm", ("BTCUSDT", PositionSide.BOTH), D("0.2"), D(100), PositionCause.ADOPTED)
    made.release()
    assert made.ended is None
    assert made.engine.trading is not None
    assert made.engine.trading.reports_complete
    assert made.engine.state.external.account.net("BTCUSDT") == 0


@pytest.mark.parametrize(
    ("rule", "said"),
    [(ExternalPolicy.IGNORE, "counted as external and left alone"), (ExternalPolicy.ADOPT, "adopted by strategy mm")],
)
def test_o24_what_becomes_of_an_external_position_is_said(rule: ExternalPolicy, said: str) -> None:
    made = found(rule, Actor("mm"), symbols=("BTCUSDT",)).ready()
    (line,) = [line.text for line in made.log if line.text.startswith("position of -0.5 BTCUSDT")]
    assert line.endswith(f"belongs to no strategy: {said}")


# -- orders of an earlier run -----------------------------------------------------------------------------------------


def left_over(made: Scripted, *, filled: str = "0", client_order_id: str = EARLIER) -> AtVenue:
    """An order with the tag of strategy mm that this run has not made."""
    order = made.exchange.external_order(client_order_id, "BTCUSDT", Side.BUY, "1", "99")
    if D(filled):
        order.trade(Trade(55, filled, "99"))
    return order


def test_p8_bot_gives_way_to_a_later_bot_with_the_same_names() -> None:
    """Two runs that take each other's orders for their own would both count every fill."""
    actor = Actor()
    made = Scripted(actor).ready()
    later = made.external_order(str(OwnId("mm", made.engine.orders.epoch_ms + 1, 1)))
    made.exchange.fill(later.client_order_id, "0.4")
    made.run(LIGHT_ROUND_MS)
    assert list(made.engine.orders.live) == []
    assert made.engine.runtimes.get("mm").account.holdings.fills == 0
    assert made.engine.state.external.account.net("BTCUSDT") == D("0.4")
    made.want(actor, place())
    assert made.verdicts(actor)["HALTED"] == 1
    assert made.said().count("trades on this account (" + later.client_order_id + "); stop one of the two") == 1


def test_o16_an_order_of_an_earlier_run_is_known_by_its_id() -> None:
    actor = Actor()
    made = Scripted(actor)
    left_over(made)
    made.ready()
    (order,) = made.engine.orders.live
    assert (order.strategy, order.client_order_id, order.state) == ("mm", EARLIER, OrderState.ACCEPTED)
    assert [effect.state for effect in actor.told(OrderChanged)] == [OrderState.ACCEPTED]
    made.fill(EARLIER, "0.4")
    account = made.engine.runtimes.get("mm").account.holdings
    assert account.net("BTCUSDT") == D("0.4")
    made.run(3 * LIGHT_ROUND_MS)
    assert account.fills == 1
    assert made.engine.state.holdings.adjustments == []
    made.want(actor, CancelAll())
    assert made.exchange.orders[EARLIER].status is OrderStatus.CANCELED


def test_o16_quotes_of_an_earlier_run_are_replaced_by_new_ones() -> None:
    actor = Actor()
    made = Scripted(actor)
    left_over(made)
    made.ready()
    made.want(actor, Quotes("BTCUSDT", [Quote(D("98"), D(1))]))
    alive = [order for order in made.exchange.orders.values() if order.status is OrderStatus.NEW]
    assert [(order.client_order_id, order.price) for order in alive] == [(EARLIER, "98")]


def test_o16_order_of_an_earlier_run_may_appear_by_report_alone() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.silent = True
    left_over(made)
    made.silent = False
    made.fill(EARLIER, "0.4")
    account = made.engine.runtimes.get("mm").account.holdings
    assert account.net("BTCUSDT") == D("0.4")
    assert made.engine.state.external.account.net("BTCUSDT") == 0
    made.run(2 * LIGHT_ROUND_MS)
    assert account.fills == 1
    assert made.engine.state.holdings.adjustments == []


def test_o16_what_had_traded_before_is_not_booked_again() -> None:
    made = found(ExternalPolicy.IGNORE, Actor())
    order = left_over(made, filled="0.3")
    made.exchange.trades.append((order, order.trades[0]))
    made.ready()
    made.run(2 * LIGHT_ROUND_MS)
    account = made.engine.runtimes.get("mm").account.holdings
    (mine,) = made.engine.orders.live
    assert (mine.state, mine.filled, mine.remaining) == (OrderState.PARTIALLY_FILLED, D("0.3"), D("0.7"))
    assert account.net("BTCUSDT") == 0
    assert made.engine.state.external.account.net("BTCUSDT") == D("-0.2")
    made.fill(EARLIER, "0.7")
    made.run(2 * LIGHT_ROUND_MS)
    assert account.net("BTCUSDT") == D("0.7")
    assert made.engine.state.holdings.adjustments == []


def test_o16_order_of_a_strategy_unknown_to_the_bot_is_external() -> None:
    made = Scripted(Actor())
    left_over(made, client_order_id=str(OwnId("gone", START_MS - 5, 1)))
    made.start()
    assert isinstance(made.ended, Fail)
    assert "order BUY 1 BTCUSDT @ 99 (cf.gone." in made.ended.text


def by_hand(made: Scripted, name: str, side: Side, quantity: str) -> None:
    made.exchange.external_order(name, "BTCUSDT", side, quantity, "100")
    made.exchange.fill(name, quantity)
    made._work()


def test_o24_external_position_closed_meanwhile_is_not_refused() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price=None))
    by_hand(made, "web_1", Side.BUY, "2")
    past = fold(made.rows)
    assert past.held() != {}
    made.links.clear()
    by_hand(made, "web_2", Side.SELL, "2")
    again = made.restarted(actor, past=past)
    again.run(2_000)
    assert again.ended is None
    assert "what others had there is gone since the last run" in again.said()
    assert again.engine.state.external.account.net("BTCUSDT") == 0
    assert again.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D(1)


def test_o24_grown_external_position_is_refused_with_its_figures() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price=None))
    by_hand(made, "web_1", Side.BUY, "2")
    past = fold(made.rows)
    made.links.clear()
    by_hand(made, "web_2", Side.BUY, "3")
    again = made.restarted(actor, past=past)
    again.run(2_000)
    assert isinstance(again.ended, Fail)
    assert "position of 5 BTCUSDT (the account holds 6, the strategies 1; entry price" in again.ended.text


def test_o24_an_open_order_excuses_no_external_position() -> None:
    """What it has traded is known at once: its id is."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place())
    past = fold(made.rows)
    made.links.clear()
    by_hand(made, "web_1", Side.BUY, "2")
    again = made.restarted(actor, past=past, keep_orders=True)
    assert [order.state for order in again.engine.orders.live] == [OrderState.ACCEPTED]
    assert isinstance(again.ended, Fail)
    assert "position of 2 BTCUSDT" in again.ended.text


@pytest.mark.parametrize(
    ("settled_ms", "mark", "remembered", "news"),
    [
        (None, None, None, [1, 2, 3]),
        (0, None, None, []),
        (0, 1, None, [2, 3]),
        (0, None, 2, [3]),
        (0, 1, 2, [3]),
        (0, 2, 1, [3]),
        (None, 3, None, []),
        # The position was booked as the account had it between the first trade and the second.
        (START_MS + 1, None, None, [2, 3]),
        (START_MS + 1, None, 3, [2]),
        (START_MS + 1, 2, None, [3]),
        (START_MS + 3, None, None, []),
    ],
)
def test_o24_only_what_the_last_run_did_not_know_is_news(
    settled_ms: int | None, mark: int | None, remembered: int | None, news: list[int]
) -> None:
    """Where executions have been forgotten and no mark says up to where all is known, no trade is taken for news."""
    actor = Actor()
    made = Scripted(actor).ready()
    reports, key = made.engine.reports, ("BTCUSDT", PositionSide.BOTH)
    fills = [Fill("BTCUSDT", number, 90 + number, Side.BUY, D(100), D(1), False, START_MS + number) for number in (1, 2, 3)]
    state = made.engine.state
    for fill in fills:
        state.external.traded_before(fill)
    if settled_ms is not None:
        state.holdings.executions.settled[key] = settled_ms
    if remembered:
        state.holdings.executions.add(execution_of("mm", fills[remembered - 1]))
    check = StartCheck(state, made.engine._ctx, reports, ExternalPolicy.IGNORE)
    check.began_at({"BTCUSDT": mark} if mark else {}, START_MS)
    assert [fill.trade_id for fill in check._trades_since(key)] == news
    check.began_at({}, 0)
    assert check._trades_since(key) == ()
