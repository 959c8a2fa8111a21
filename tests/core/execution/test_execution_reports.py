"""What the venue says about orders, in any order, more than once, and with gaps: it always adds up to the same."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from decimal import Decimal
from itertools import pairwise

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.external import FILLS_LIMIT, VENUE_PREFIXES
from coldframe.core.state.limits import Budget
from coldframe.core.state.orders import Order, Orders
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import ExecutionType, OrderStatus, Side
from coldframe.model.effects import Level, Log
from coldframe.model.engine_events import AttemptEnded, OrderCameBack, StrategyTold
from coldframe.model.events import OrderChanged, OrderFilled, PositionCause, PositionChanged
from coldframe.model.orders import Attempt, OrderEvent, OrderState, Overlay
from coldframe.wire.account import EXPIRY_REASONS
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import AtVenue, D, Trade, place, prepared
from tests.examples import examples

S, X = OrderState, ExecutionType


class World:
    """One strategy with one order, written to the venue, and another strategy that must not notice."""

    def __init__(self, side: Side = Side.BUY, quantity: str = "1") -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.orders = Orders(START_MS)
        self.account = StrategyAccount("mm", frozenset({SYMBOL}), Budget())
        self.other = StrategyAccount("other", frozenset({SYMBOL}), Budget())
        self.state = EngineState(self.ctx, self.orders, {"mm": self.account, "other": self.other})
        self.state.account_compared(START_MS)
        self.reports = ExecutionReports(self.state, self.ctx)
        self.order: Order = prepared(self.orders, place(side, quantity))
        self.reports.apply(self.order, OrderEvent.WRITTEN)

    @property
    def events(self) -> list[OrderChanged | OrderFilled | PositionChanged]:
        return [happened.event for happened in self.ctx.events if isinstance(happened, StrategyTold)]

    def ended(self) -> list[AttemptEnded]:
        """The cancels and amendments that have come to their end since this was last asked."""
        return [happened for happened in self.ctx.take_events() if isinstance(happened, AttemptEnded)]

    def outcome(self) -> tuple[object, ...]:
        """Everything that must not depend on who said what first."""
        account = self.account.holdings
        position = account.position(SYMBOL)
        return (
            self.order.state,
            self.order.filled,
            self.order.seen_filled,
            self.order.order_id,
            position.quantity,
            sorted(account.fees.items()),
            account.fills,
            position.realized - position.cost,
            self.other.holdings,
            self.state.external.account,
        )


# -- one life, told in every way --------------------------------------------------------------------------------------

Told = Callable[[World], object]


@attrs.frozen
class Life:
    """What the venue could say about one order, in the order in which it happened; `whole` is said by queries at the end."""

    said: Sequence[Told]
    whole: Sequence[Told]


def life_of(client_order_id: str, side: Side, parts: Sequence[str], amended: str | None, end: OrderStatus | None) -> Life:
    """An order of 1.0 that trades in these parts and then ends, or rests on."""
    venue = AtVenue(client_order_id, 77, side)
    said: list[Told] = []

    def tell(*now: Told) -> None:
        said.extend(now)

    def reported(execution: ExecutionType, trade: Trade | None = None) -> Told:
        report = venue.report(execution, trade)
        return lambda world: world.reports.step(report)

    def replied() -> Told:
        reply = venue.reply()
        return lambda world: world.reports.reply(world.order, reply)

    tell(replied(), reported(X.NEW))
    if amended is not None:
        venue.amend("101", amended)
        tell(reported(X.AMENDMENT), replied())
    for number, part in enumerate(parts, 1):
        trade = Trade(number, part, str(100 + number))
        venue.trade(trade)
        lite = venue.lite(trade)
        tell(lambda world, lite=lite: world.reports.step(lite), reported(X.TRADE, trade), replied())  # type: ignore[misc]
    if end is not None and venue.status is not OrderStatus.FILLED:
        venue.end(end)
        tell(reported(X.CANCELED if end is OrderStatus.CANCELED else X.EXPIRED), replied())
    rows = [venue.row(trade) for trade in venue.trades]
    return Life(said, [replied(), lambda world: world.reports.trades(rows)])


PARTS = st.lists(st.sampled_from(["0.1", "0.2", "0.3", "0.5", "1"]), max_size=5).map(
    lambda parts: [part for number, part in enumerate(parts) if sum(map(Decimal, parts[: number + 1])) <= 1]
)
ENDS = st.sampled_from([None, OrderStatus.CANCELED, OrderStatus.EXPIRED, OrderStatus.EXPIRED_IN_MATCH])


@given(
    parts=PARTS,
    end=ENDS,
    side=st.sampled_from([Side.BUY, Side.SELL]),
    amended=st.sampled_from([None, "1", "1.5"]),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=examples(400))
def test_repeated_shuffled_reports_end_like_the_ordered_ones(
    parts: list[str], end: OrderStatus | None, side: Side, amended: str | None, seed: int
) -> None:
    chance = random.Random(seed)
    straight = World(side)
    life = life_of(straight.order.client_order_id, side, parts, amended, end)
    for tell in (*life.said, *life.whole):
        tell(straight)

    told = [tell for tell in life.said for _ in range(chance.choice((0, 1, 1, 2)))] + list(life.whole)
    chance.shuffle(told)
    # A query finds the fills of an order by its id: a query made before the id was known is repeated.
    told.append(life.whole[1])
    crooked = World(side)
    before = Decimal(0)
    for tell in told:
        tell(crooked)
        assert crooked.order.seen_filled >= before
        before = crooked.order.seen_filled
    assert crooked.outcome() == straight.outcome()
    assert crooked.order.price == straight.order.price
    assert crooked.order.quantity == straight.order.quantity
    assert sum(isinstance(event, OrderFilled) for event in crooked.events) == len(parts)
    assert crooked.reports.trades([]) == 0


@given(parts=PARTS, seed=st.integers(0, 2**32))
def test_the_news_of_a_strategy_add_up_to_its_position(parts: list[str], seed: int) -> None:
    world = World()
    life = life_of(world.order.client_order_id, Side.BUY, parts, None, OrderStatus.CANCELED)
    told = list(life.said)
    random.Random(seed).shuffle(told)
    for tell in told:
        tell(world)
    fills = [event for event in world.events if isinstance(event, OrderFilled)]
    assert sum((fill.quantity for fill in fills), D(0)) == world.account.holdings.net(SYMBOL)
    positions = [D(0), *(fill.position for fill in fills)]
    assert [after - before for before, after in pairwise(positions)] == [fill.quantity for fill in fills]


# -- single rules -----------------------------------------------------------------------------------------------------


def test_o4_o5_fill_before_its_acknowledgement_is_booked_once() -> None:
    """O4 and O5."""
    world = World()
    venue = AtVenue.of(world.order)
    early = venue.reply()
    trade = Trade(1, "1")
    venue.trade(trade)
    world.reports.step(venue.lite(trade))
    assert (world.order.state, world.account.holdings.net(SYMBOL)) == (S.FILLED, D(1))
    world.reports.reply(world.order, early)
    assert world.order.state is S.FILLED
    assert [type(event) for event in world.events] == [OrderChanged, OrderFilled, OrderChanged]
    assert world.account.holdings.fees == {}
    world.reports.step(venue.report(X.TRADE, trade))
    assert world.account.holdings.fees == {"USDT": D("0.02")}
    assert world.account.holdings.fills == 1


def test_o9_a_late_fill_of_an_ended_order_is_booked() -> None:
    """O9: the cancel is reported before the fill that came first."""
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.reply(world.order, venue.reply())
    trade = Trade(1, "0.4")
    venue.trade(trade)
    report = venue.report(X.TRADE, trade)
    venue.end(OrderStatus.CANCELED)
    world.reports.step(venue.report(X.CANCELED))
    assert world.order.state is S.CANCELED
    assert world.order.fills_missing
    world.reports.step(report)
    assert (world.order.state, world.account.holdings.net(SYMBOL)) == (S.CANCELED, D("0.4"))
    assert not world.order.fills_missing
    assert world.orders.incidents == 0


def test_the_venue_may_cut_a_quantity_and_choose_a_price() -> None:
    world = World(quantity="1")
    venue = AtVenue.of(world.order)
    venue.quantity = D("0.6")
    world.reports.reply(world.order, venue.reply())
    assert world.order.remaining == D("0.6")
    venue.trade(Trade(1, "0.6"))
    world.reports.step(venue.report(X.TRADE, venue.trades[0]))
    assert world.order.state is S.FILLED


def test_older_terms_do_not_undo_newer_ones() -> None:
    world = World()
    venue = AtVenue.of(world.order)
    first = venue.reply()
    venue.amend("90", "2")
    world.reports.step(venue.report(X.AMENDMENT))
    world.reports.reply(world.order, first)
    assert (world.order.price, world.order.quantity) == (D(90), D(2))


def test_external_amendment_is_known_before_its_first_fill() -> None:
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.reply(world.order, venue.reply())
    venue.amend("100", "3")
    trade = Trade(1, "1")
    venue.trade(trade)
    world.reports.step(venue.lite(trade))
    assert (world.order.state, world.order.remaining) == (S.PARTIALLY_FILLED, D(2))


@pytest.mark.parametrize("kind", ["reply", "report", "lite"])
def test_whatever_names_an_order_tells_the_venues_id_of_it(kind: str) -> None:
    """Rows of a query name nothing but that id."""
    world = World()
    venue = AtVenue.of(world.order)
    first, second = Trade(1, "0.2"), Trade(2, "0.3")
    venue.trade(first)
    match kind:
        case "reply":
            world.reports.reply(world.order, venue.reply())
        case "report":
            world.reports.step(venue.report(X.TRADE, first))
        case _:
            world.reports.step(venue.lite(first))
    venue.trade(second)
    world.reports.trades([venue.row(first), venue.row(second)])
    assert world.order.filled == D("0.5")


@pytest.mark.parametrize(("digit", "words"), list(EXPIRY_REASONS.items()))
def test_o17_an_expiry_reason_is_passed_on(digit: str, words: str) -> None:
    """O17: each of the ten."""
    world = World()
    venue = AtVenue.of(world.order)
    venue.end(OrderStatus.EXPIRED)
    world.reports.step(venue.report(X.EXPIRED, expiry_reason=digit))
    (event,) = [event for event in world.events if isinstance(event, OrderChanged) and event.state == S.EXPIRED]
    assert event.reason == ("" if digit == "0" else words)


def test_end_of_a_cancel_or_amendment_is_noted_with_its_reason() -> None:
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.reply(world.order, venue.reply())
    world.reports.attempt(world.order, Attempt.AMEND_WANTED)
    assert world.ended() == []
    world.reports.attempt(world.order, Attempt.AMEND_REFUSED)
    assert world.ended() == [AttemptEnded("mm", SYMBOL, waits=True)]
    amend(world, "99")
    venue.amend("99", "1")
    world.reports.step(venue.report(X.AMENDMENT))
    assert world.ended() == [AttemptEnded("mm", SYMBOL, waits=False, amended=True)]
    assert world.order.overlay is Overlay.NONE


def amend(world: World, price: str) -> None:
    """An amendment of the order is on its way."""
    world.reports.attempt(world.order, Attempt.AMEND_WANTED)
    world.order.amending_price, world.order.amending_quantity = D(price), D(1)


def test_report_of_an_earlier_amendment_keeps_the_pending_state() -> None:
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.reply(world.order, venue.reply())
    amend(world, "98")
    venue.amend("99", "1")
    world.reports.step(venue.report(X.AMENDMENT))
    assert world.order.overlay is Overlay.AMEND_SENT
    assert (world.order.price, world.order.amending_price) == (D(99), D(98))


def test_the_tally_counts_every_order_once() -> None:
    world = World()
    venue = AtVenue.of(world.order)
    for _ in range(2):
        world.reports.reply(world.order, venue.reply())
        world.reports.step(venue.report(X.NEW))
    trade = Trade(1, "1")
    venue.trade(trade)
    for _ in range(2):
        world.reports.step(venue.lite(trade))
        world.reports.step(venue.report(X.TRADE, trade))
    refused = prepared(world.orders)
    world.reports.apply(refused, OrderEvent.REJECTED_BY_VENUE, "-2019")
    tally = world.state.tally
    assert (tally.acked, tally.filled, tally.rejected, tally.cancelled) == (1, 1, 1, 0)


def test_an_order_that_comes_back_to_life_is_said_loudly() -> None:
    world = World()
    world.reports.apply(world.order, OrderEvent.REJECTED_BY_VENUE, "-2019")
    world.reports.reply(world.order, AtVenue.of(world.order).reply())
    assert world.order.live
    assert any(line.level is Level.ERROR and "was REJECTED" in line.text for line in logged(world))


def logged(world: World) -> list[Log]:
    return [effect for effect in world.ctx.take_effects() if isinstance(effect, Log)]


# -- orders of others -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_order_id", ["autoclose-1700", "adl_autoclose", "settlement_autoclose-7", "web_x1", "cf.gone.0.1"])
@pytest.mark.parametrize("execution", [X.TRADE, X.CALCULATED])
def test_o20_o21_what_takes_nothing_from_a_strategy_is_external(client_order_id: str, execution: ExecutionType) -> None:
    world = World()
    venue = AtVenue(client_order_id, 999, Side.SELL)
    world.reports.step(venue.report(X.NEW))
    trade = Trade(50, "0.5", "90")
    venue.trade(trade)
    assert world.reports.step(venue.lite(trade)) is None
    for _ in range(2):
        assert world.reports.step(venue.report(execution, trade)) is None
    assert world.reports.trades([venue.row(trade)]) == 0
    assert world.account.holdings.net(SYMBOL) == world.other.holdings.net(SYMBOL) == 0
    assert world.state.external.account.net(SYMBOL) == D("-0.5")
    assert world.state.external.account.fees == {"USDT": D("0.02")}
    assert world.state.external.account.fills == 1
    assert [event for event in world.events if not isinstance(event, OrderChanged)] == []
    said = next((text for prefix, text in VENUE_PREFIXES.items() if client_order_id.startswith(prefix)), "of no strategy")
    level = Level.WARNING if said == "of no strategy" else Level.ERROR
    assert any(line.level is level and said in line.text for line in logged(world))


@pytest.mark.parametrize(
    ("client_order_id", "cause"),
    [*((f"{prefix}7", cause) for prefix, cause in VENUE_PREFIXES.items()), ("web_x1", PositionCause.OTHER_CLIENT)],
)
def test_o20_o34_what_others_close_is_the_strategys_up_to_zero(client_order_id: str, cause: PositionCause) -> None:
    """Position, entry price, profit and fee follow; what goes past zero is external, and the other strategy notices nothing."""
    world = World()
    mine = AtVenue.of(world.order)
    mine.trade(Trade(49, "1", "100", fee="0"))
    world.reports.step(mine.report(X.TRADE, mine.trades[0]))
    venue = AtVenue(client_order_id, 8_389_765_500_000_000_999, Side.SELL, quantity=D("1.6"))
    for trade in (Trade(50, "0.5", "90", fee="0.5"), Trade(51, "1.1", "80", fee="1.1")):
        venue.trade(trade)
        world.reports.step(venue.report(X.TRADE, trade))
    first, second = [event for event in world.events if isinstance(event, PositionChanged)]
    assert (first.quantity, first.price, first.position, first.realized_pnl) == (D("-0.5"), D(90), D("0.5"), D(-5))
    assert (second.quantity, second.price, second.position, second.realized_pnl) == (D("-0.5"), D(80), D(0), D(-10))
    assert (first.cause, first.trade_id, first.fee, first.fee_asset) == (cause, 50, D("0.5"), "USDT")
    account = world.account.holdings
    assert (account.net(SYMBOL), account.realized, account.fees["USDT"], account.fills) == (0, D(-15), D(1), 1)
    assert world.state.external.account.net(SYMBOL) == D("-0.6")
    assert world.state.external.account.entry_price(SYMBOL) == 80
    assert world.state.external.account.fees["USDT"] == D("0.6")
    assert world.other.holdings.net(SYMBOL) == 0


def test_liquidation_notice_without_a_fill_books_nothing() -> None:
    world = World()
    world.reports.step(AtVenue("autoclose-1", 999, Side.SELL).report(X.CALCULATED))
    assert world.state.external.account.fills == 0


def others_trade(world: World, number: int) -> None:
    venue = AtVenue("web_x", number, Side.BUY)
    venue.trades.append(Trade(number, "1"))
    world.reports.step(venue.report(X.TRADE, venue.trades[0]))
    world.ctx.take_effects()


@pytest.mark.parametrize("limit", [10, FILLS_LIMIT])
def test_o36_external_fills_are_remembered_within_bounds(limit: int) -> None:
    """O36: and what memory has forgotten is not booked again, from whatever source it comes."""
    world = World()
    world.state.external.fills_limit = limit
    for number in range(1, limit + 51):
        others_trade(world, number)
        world.orders.trade_cursors[SYMBOL] = number
    assert len(world.state.external._fills) == limit
    for number in (1, limit, limit + 50):
        others_trade(world, number)
    assert world.state.external.account.net(SYMBOL) == limit + 50


def test_o36_external_fills_above_the_mark_are_never_forgotten() -> None:
    world = World()
    world.state.external.fills_limit = 10
    for number in range(1, 61):
        others_trade(world, number)
    for number in range(1, 61):
        others_trade(world, number)
    assert world.state.external.account.net(SYMBOL) == 60


@pytest.mark.parametrize(("later_ms", "price"), [(-1, "100"), (0, "101"), (1, "101")])
def test_terms_of_the_same_millisecond_are_taken_over(later_ms: int, price: str) -> None:
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.step(venue.report(X.NEW))
    venue.price, venue.at_ms = "101", venue.at_ms + later_ms
    world.reports.reply(world.order, venue.reply())
    assert world.order.price == D(price)


def test_a_missing_order_comes_back_only_when_it_is_seen() -> None:
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.reply(world.order, venue.reply())
    came_back = OrderCameBack(world.order.client_order_id)
    world.reports.missing(world.order)
    assert (world.order.state, world.order.missing) == (S.NEEDS_OPERATOR, True)
    assert came_back not in world.ctx.events
    world.reports.reply(world.order, venue.reply())
    assert (world.order.state, world.order.missing) == (S.ACCEPTED, False)
    assert world.ctx.events.count(came_back) == 1


@pytest.mark.parametrize("event", [None, OrderEvent.OUTCOME_UNKNOWN])
def test_an_order_in_flight_may_have_traded(event: OrderEvent | None) -> None:
    world = World()
    if event is not None:
        world.reports.apply(world.order, event)
    assert world.order.state in (S.SUBMITTED, S.UNKNOWN)
    assert world.reports.unsettled(SYMBOL)
    assert not world.reports.unsettled("ETHUSDT")


def test_an_open_order_alone_leaves_nothing_unsettled() -> None:
    world = World()
    world.reports.reply(world.order, AtVenue.of(world.order).reply())
    assert world.order.state is S.ACCEPTED
    assert not world.reports.unsettled(SYMBOL)


def test_a_trade_without_an_owner_is_unsettled() -> None:
    world = World()
    world.reports.reply(world.order, AtVenue.of(world.order).reply())
    world.state.baseline_ms = START_MS
    world.reports.trades([AtVenue("web_1", 78).row(Trade(1, "0.5"))])
    assert world.reports.unsettled(SYMBOL)
    assert not world.reports.unsettled("ETHUSDT")


@pytest.mark.parametrize("traded", ["0.4", "1"])
@pytest.mark.parametrize(("later_ms", "recorded"), [(5, True), (1, True), (0, False), (-1, False)])
def test_terms_of_a_trade_known_already_are_written_down(traded: str, later_ms: int, recorded: bool) -> None:
    """TRADE_LITE comes after a query has brought its fill, and only the time of the order's terms is news: a restart finds it."""
    world = World()
    venue = AtVenue.of(world.order)
    world.reports.reply(world.order, venue.reply())
    acknowledged_ms = venue.at_ms
    trade = Trade(1, traded)
    venue.trade(trade)
    assert world.reports.trades([venue.row(trade)]) == 1
    world.orders.take_changed()
    venue.at_ms = acknowledged_ms + later_ms
    world.reports.step(venue.lite(trade))
    assert (world.order.client_order_id in world.orders.take_changed()) is recorded
