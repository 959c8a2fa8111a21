"""Pre-trade risk of conditional orders and in hedge mode: every refusal by its code, exposure per side."""

from __future__ import annotations

import attrs
import pytest

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.risk.conditional_rules import broken_rule, worth_of
from coldframe.core.risk.pre_trade import RiskInputs, check
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Order, Orders, Origin
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import OrderType, PositionSide, PriceMatch, Side
from coldframe.model.events import BookState
from coldframe.model.instruments import Instruments
from coldframe.model.intents import Place, Verdict, VerdictCode
from coldframe.model.orders import OrderEvent
from coldframe.testing import instrument
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import CALM, D, place

BUY, SELL = Side.BUY, Side.SELL
BOTH, LONG, SHORT = PositionSide
T, V = OrderType, VerdictCode
STALE = attrs.evolve(CALM, book_state=BookState.BUFFERING)


class RiskRig:
    """Pre-trade risk over a state."""

    def __init__(
        self,
        limits: RiskLimits | None = None,
        budget: Budget | None = None,
        *,
        hedge: bool = False,
        others: bool = False,
        min_notional: str = "0",
        order_types: frozenset[str] = frozenset(),
    ) -> None:
        self.orders = Orders(START_MS)
        self.account = StrategyAccount("mm", frozenset({SYMBOL}), budget or Budget())
        traders = {"mm": self.account} | ({"other": StrategyAccount("other", frozenset({SYMBOL}), Budget())} if others else {})
        listed = attrs.evolve(instrument(SYMBOL, min_notional=min_notional), order_types=order_types)
        ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.state = EngineState(ctx, self.orders, traders, instruments=Instruments([listed]), limits=limits, hedge=hedge)
        self.state.prices.mark_price_told(SYMBOL, D(100))

    def check(self, wanted: Place, facts: RiskInputs = CALM) -> Verdict:
        return check(self.state, self.account, wanted, facts)

    def code(self, wanted: Place, facts: RiskInputs = CALM) -> VerdictCode:
        return self.check(wanted, facts).code

    def wait(self, wanted: Place) -> Order:
        """A conditional order that waits at the venue, or an ordinary one that rests there."""
        order = self.orders.prepare("mm", wanted, Origin.PLACE, START_NS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.orders.apply(order, OrderEvent.SEEN_WAITING if wanted.type.conditional else OrderEvent.SEEN_NEW, START_NS)
        return order

    def hold(self, quantity: str, side: PositionSide = BOTH) -> None:
        self.account.holdings.position(SYMBOL, side).fill(BUY if D(quantity) > 0 else SELL, abs(D(quantity)), D(100))


def stop(side: Side = BUY, trigger: str = "105", **more: object) -> Place:
    wanted = attrs.evolve(place(side, price=None), type=T.STOP_MARKET, trigger_price=D(trigger))
    return attrs.evolve(wanted, **more)  # type: ignore[arg-type]


def trailing(**more: object) -> Place:
    wanted = attrs.evolve(place(price=None), type=T.TRAILING_STOP_MARKET, callback_rate=D(1))
    return attrs.evolve(wanted, **more)  # type: ignore[arg-type]


# -- form -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (attrs.evolve(place(), type=T.LIQUIDATION), "cannot be placed"),
        (stop(trigger_price=None), "needs a trigger_price"),
        (stop(price=D(105)), "takes no price"),
        (stop(type=T.STOP), "needs a price"),
        (stop(callback_rate=D(1)), "takes no callback_rate"),
        (stop(activate_price=D(1)), "takes no activate_price"),
        (trailing(callback_rate=None), "needs a callback_rate"),
        (trailing(trigger_price=D(105)), "takes no trigger_price"),
        (trailing(callback_rate=D("0.05")), "0.1 to 20"),
        (trailing(callback_rate=D("20.1")), "0.1 to 20"),
        (trailing(callback_rate=D("NaN")), "finite"),
        (trailing(close_position=True), "cannot close a whole position"),
        (attrs.evolve(place(), trigger_price=D(105)), "takes no trigger_price"),
        (attrs.evolve(place(), close_position=True), "cannot close a whole position"),
        (attrs.evolve(place(), price_protect=True), "takes no price_protect"),
        (stop(close_position=True), "neither quantity nor reduce_only"),
        (stop(close_position=True, quantity=D(0), reduce_only=True), "neither quantity nor reduce_only"),
    ],
)
def test_what_does_not_go_together_is_named(wanted: Place, says: str) -> None:
    verdict = RiskRig().check(wanted)
    assert verdict.code is V.MALFORMED
    assert says in verdict.text


@pytest.mark.parametrize(
    "wanted",
    [
        stop(),
        stop(type=T.TAKE_PROFIT_MARKET, trigger="95"),
        stop(type=T.STOP, price=D(106)),
        stop(type=T.TAKE_PROFIT, price=D(95), trigger="95"),
        stop(type=T.STOP, price_match=PriceMatch.QUEUE),
        trailing(),
        trailing(activate_price=D(99), callback_rate=D(20)),
        trailing(callback_rate=D("0.1")),
    ],
    ids=lambda wanted: wanted.type.value,
)
def test_every_conditional_type_passes(wanted: Place) -> None:
    assert RiskRig().check(wanted).accepted


def test_o27_order_type_not_allowed_for_a_symbol_is_refused() -> None:
    rig = RiskRig(order_types=frozenset({"LIMIT", "MARKET", "STOP_MARKET"}))
    assert rig.code(stop()) is V.ACCEPTED
    verdict = rig.check(trailing())
    assert verdict.code is V.ORDER_TYPE
    assert "TRAILING_STOP_MARKET" in verdict.text


# -- filters, collar, counts ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "value"),
    [
        (stop(trigger="105.05"), "105.05"),
        (stop(trigger="0"), "0"),
        (stop(trigger="-1"), "-1"),
        (trailing(activate_price=D("99.99")), "99.99"),
        (stop(type=T.STOP, price=D("106.01")), "106.01"),
        (stop(quantity=D("0.0001")), "0.0001"),
        (stop(quantity=D(0)), "0"),
    ],
)
def test_every_number_keeps_to_the_rules_of_the_symbol(wanted: Place, value: str) -> None:
    verdict = RiskRig().check(wanted)
    assert (verdict.code, verdict.value) == (V.FILTER, D(value))


def test_order_too_small_at_the_trigger_is_refused_if_it_opens() -> None:
    rig = RiskRig(min_notional="200")
    verdict = rig.check(stop())
    assert (verdict.code, verdict.value, verdict.limit) == (V.FILTER, D(105), D(200))
    assert rig.code(stop(quantity=D(2))) is V.ACCEPTED
    assert rig.code(trailing()) is V.FILTER
    rig.hold("1")
    assert rig.code(stop(SELL, "95", reduce_only=True)) is V.ACCEPTED


@pytest.mark.parametrize(
    ("wanted", "away"),
    [
        (stop(trigger="106"), "6"),
        (stop(SELL, "94"), "6"),
        (trailing(activate_price=D(94)), "6"),
        (stop(type=T.STOP, trigger="100", price=D(106)), "6"),
        (stop(trigger="105"), None),
        # Five percent from the trigger, and nearly ten from where the market is now: it is the former that counts.
        (stop(type=T.STOP, trigger="105", price=D("109.9")), None),
        (trailing(), None),
    ],
)
def test_g11_collar_checks_the_trigger_and_from_it_the_price(wanted: Place, away: str | None) -> None:
    rig = RiskRig(RiskLimits(price_collar_pct=D(5)))
    verdict = rig.check(wanted)
    if away is None:
        assert verdict.accepted
    else:
        assert (verdict.code, verdict.value, verdict.limit) == (V.PRICE_COLLAR, D(away), D(5))
        assert rig.code(wanted, attrs.evolve(CALM, mark=None)) is V.NO_MARK_PRICE


def test_conditional_orders_are_limited_to_what_the_venue_keeps() -> None:
    rig = RiskRig()
    orders = [rig.wait(stop(quantity=D("0.001"))) for _ in range(200)]
    verdict = rig.check(stop())
    assert (verdict.code, verdict.value, verdict.limit) == (V.OPEN_ORDERS, D(201), D(200))
    assert rig.code(place()) is V.ACCEPTED
    rig.orders.triggered(orders[0], START_MS)
    assert rig.code(stop()) is V.ACCEPTED


# -- exposure ---------------------------------------------------------------------------------------------------------


def test_an_order_that_waits_counts_as_filled_at_the_worst_price() -> None:
    rig = RiskRig(RiskLimits(max_order_notional=D(210)), Budget(max_position=D(3), max_notional=D(310)))
    verdict = rig.check(stop(quantity=D("2.1")))
    assert (verdict.code, verdict.value) == (V.ORDER_NOTIONAL, D("220.5"))
    rig.wait(stop(quantity=D(2)))
    assert rig.code(place(quantity="1.1", price="90")) is V.POSITION
    verdict = rig.check(place(quantity="1", price="100.1"))
    assert (verdict.code, verdict.value) == (V.STRATEGY_NOTIONAL, D("310.1"))
    # A sell is worth what the market is at, not the lower trigger.
    rig = RiskRig(RiskLimits(max_order_notional=D(99)))
    assert rig.check(stop(SELL, "90")).value == D(100)


def test_stop_take_profit_and_exit_of_a_position_do_not_add_up() -> None:
    rig = RiskRig(budget=Budget(max_position=D(2)))
    rig.hold("2")
    protect = stop(SELL, "95", quantity=D(2), reduce_only=True)
    assert rig.code(protect) is V.ACCEPTED
    rig.wait(protect)
    profit = attrs.evolve(protect, type=T.TAKE_PROFIT_MARKET, trigger_price=D(105))
    assert rig.code(profit) is V.ACCEPTED
    rig.wait(profit)
    assert rig.code(place(SELL, "2", price=None, reduce_only=True)) is V.ACCEPTED
    assert rig.code(attrs.evolve(protect, quantity=D("2.1"))) is V.POSITION
    assert rig.code(stop(BUY, "105", reduce_only=True)) is V.POSITION
    # All of it passes while nothing else does.
    assert rig.code(profit, STALE) is V.ACCEPTED
    assert rig.code(stop(), STALE) is V.STALE_BOOK


def test_closing_order_is_refused_only_if_others_go_too_far() -> None:
    rig = RiskRig(budget=Budget(max_position=D(5)))
    rig.hold("2")
    rig.wait(place(SELL, "7", "101"))
    protect = stop(SELL, "95", quantity=D(2), reduce_only=True)
    verdict = rig.check(protect)
    assert (verdict.code, verdict.value, verdict.limit) == (V.POSITION, D(7), D(5))
    assert rig.check(stop(SELL, "95", quantity=D(0), close_position=True)).value == D(7)
    rig = RiskRig(budget=Budget(max_position=D(5)))
    rig.hold("10")
    rig.wait(place(SELL, "5", "101"))
    # Ten are more than is allowed: all the better if there are fewer.
    assert rig.code(protect) is V.ACCEPTED
    assert rig.code(stop(SELL, "95", quantity=D(10), reduce_only=True)) is V.ACCEPTED


def test_close_position_counts_as_the_whole_grown_position() -> None:
    rig = RiskRig(budget=Budget(max_position=D(5)))
    closer = stop(SELL, "95", quantity=D(0), close_position=True)
    assert rig.code(closer) is V.POSITION
    rig.hold("1")
    assert rig.code(closer) is V.ACCEPTED
    rig.wait(attrs.evolve(closer, quantity=D(1)))
    rig.hold("3")
    # The stop may take all four away, and the sale then go on from zero.
    assert rig.code(place(SELL, "5", "101")) is V.ACCEPTED
    verdict = rig.check(place(SELL, "5.1", "101"))
    assert (verdict.code, verdict.value, verdict.limit) == (V.POSITION, D("5.1"), D(5))


def test_no_strategy_closes_what_others_hold() -> None:
    rig = RiskRig(others=True)
    rig.hold("1")
    verdict = rig.check(stop(SELL, "95", quantity=D(0), close_position=True))
    assert verdict.code is V.POSITION
    assert "other" in verdict.text
    assert rig.code(stop(SELL, "95", reduce_only=True)) is V.ACCEPTED


# -- hedge mode -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hedge", "side", "accepted"),
    [(False, BOTH, True), (False, LONG, False), (False, SHORT, False), (True, BOTH, False), (True, LONG, True)],
)
def test_o22_order_names_the_side_that_the_position_mode_wants(hedge: bool, side: PositionSide, accepted: bool) -> None:
    rig = RiskRig(hedge=hedge)
    for wanted in (place(position_side=side), stop(position_side=side)):
        assert rig.code(wanted) is (V.ACCEPTED if accepted else V.POSITION_SIDE)


@pytest.mark.parametrize(("side", "closed_by", "held"), [(LONG, SELL, "2"), (SHORT, BUY, "-2")])
def test_closing_a_hedge_side_is_reduce_only_by_itself(side: PositionSide, closed_by: Side, held: str) -> None:
    rig = RiskRig(hedge=True, min_notional="50")
    close = place(closed_by, "2", price=None, position_side=side)
    assert rig.code(close) is V.POSITION
    rig.hold(held, side)
    assert rig.code(close, STALE) is V.ACCEPTED
    assert rig.code(attrs.evolve(close, reduce_only=True)) is V.ACCEPTED
    assert rig.code(attrs.evolve(close, quantity=D("0.1"))) is V.ACCEPTED
    assert rig.code(attrs.evolve(close, quantity=D("2.1"))) is V.POSITION
    opening = place(closed_by.opposite, "2", position_side=side, reduce_only=True)
    assert rig.code(opening) is V.POSITION_SIDE
    assert rig.code(attrs.evolve(opening, reduce_only=False), STALE) is V.STALE_BOOK


def test_hedge_sides_have_own_positions_and_both_add_notional() -> None:
    rig = RiskRig(budget=Budget(max_position=D(3), max_notional=D(600)), hedge=True)
    rig.hold("2", LONG)
    rig.hold("-2", SHORT)
    assert rig.account.holdings.net(SYMBOL) == 0
    assert rig.code(place(BUY, "1", position_side=LONG)) is V.ACCEPTED
    assert rig.check(place(BUY, "1.1", position_side=LONG)).value == D("3.1")
    assert rig.check(place(SELL, "1.1", position_side=SHORT)).code is V.POSITION
    rig.wait(place(BUY, "1", position_side=LONG))
    assert rig.code(place(SELL, "1", position_side=SHORT)) is V.ACCEPTED
    assert rig.check(place(SELL, "1", "100.1", position_side=SHORT)).code is V.STRATEGY_NOTIONAL


def test_an_order_of_the_other_side_does_not_close_this_one() -> None:
    rig = RiskRig(hedge=True)
    rig.hold("2", LONG)
    rig.wait(place(SELL, "2", "101", position_side=SHORT))
    assert rig.code(place(SELL, "2", "101", position_side=LONG), STALE) is V.ACCEPTED
    rig.wait(place(SELL, "1", "101", position_side=LONG))
    assert rig.code(place(SELL, "2", "101", position_side=LONG), STALE) is V.POSITION


def conditional(kind: OrderType, price: str | None, trigger: str | None, activate: str | None = None) -> Place:
    named = {"trigger_price": trigger, "activate_price": activate}
    prices = {name: D(value) for name, value in named.items() if value is not None}
    return attrs.evolve(place(price=price), type=kind, **prices)


@pytest.mark.parametrize(
    ("wanted", "mark", "worth"),
    [
        (place(price="90"), "100", "90"),
        (place(price="110"), None, "110"),
        (place(price=None), "100", "100"),
        (place(price=None), None, None),
        (place(price=None), "0", None),
        (conditional(T.STOP, "100", "110"), "120", "110"),
        (conditional(T.STOP, "110", "100"), "120", "110"),
        (conditional(T.STOP_MARKET, None, "110"), "100", "110"),
        (conditional(T.STOP_MARKET, None, "90"), "100", "100"),
        (conditional(T.STOP_MARKET, None, "90"), None, "90"),
        (conditional(T.TRAILING_STOP_MARKET, None, None, "130"), "100", "130"),
        (conditional(T.TRAILING_STOP_MARKET, None, None, "90"), "100", "100"),
    ],
)
def test_an_order_is_worth_the_highest_price_it_depends_on(wanted: Place, mark: str | None, worth: str | None) -> None:
    assert worth_of(wanted, None if mark is None else D(mark)) == (None if worth is None else D(worth))


@pytest.mark.parametrize(("kind", "price", "most"), [(T.STOP, "110", "5"), (T.STOP_MARKET, None, "2")])
def test_what_becomes_a_market_order_obeys_the_lot_of_one(kind: OrderType, price: str | None, most: str) -> None:
    rules = instrument(SYMBOL).filters
    rules = attrs.evolve(rules, lot=attrs.evolve(rules.lot, max=D(5)), market_lot=attrs.evolve(rules.lot, max=D(2)))
    wanted = attrs.evolve(conditional(kind, price, "110"), quantity=D(most))
    assert broken_rule(rules, wanted, D(100)) is None
    assert broken_rule(rules, attrs.evolve(wanted, quantity=D(most) + rules.lot.step), D(100)) is not None
