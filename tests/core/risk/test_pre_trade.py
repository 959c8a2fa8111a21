"""Pre-trade risk: every refusal by its code with both numbers, and the promise that what it lets pass never exceeds a limit."""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.risk.pre_trade import RiskInputs, check
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Fill, Order, Orders, Origin
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import ContractStatus, OrderStatus, OrderType, PriceMatch, Side, TimeInForce
from coldframe.model.events import BookState
from coldframe.model.instruments import Instrument, Instruments
from coldframe.model.intents import Place, Verdict, VerdictCode
from coldframe.model.orders import Attempt, OrderEvent, OrderState, Overlay
from coldframe.testing import instrument
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import CALM, D, place
from tests.examples import examples

BUY, SELL = Side.BUY, Side.SELL
V = VerdictCode


class RiskRig:
    """Pre-trade risk over a state in which orders are filled and moved."""

    def __init__(
        self,
        limits: RiskLimits | None = None,
        budget: Budget | None = None,
        listed: Sequence[Instrument] = (),
    ) -> None:
        self.orders = Orders(START_MS)
        self.account = StrategyAccount("mm", frozenset({SYMBOL, "ETHUSDT"}), budget or Budget())
        self.other = StrategyAccount("other", frozenset({SYMBOL}), Budget())
        instruments = Instruments(listed or [instrument(SYMBOL), instrument("ETHUSDT")])
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.state = EngineState(
            self.ctx,
            self.orders,
            {"mm": self.account, "other": self.other},
            instruments=instruments,
            limits=limits,
        )
        self.state.prices.mark_price_told(SYMBOL, D(100))
        self.trades = 0

    def check(self, wanted: Place, facts: RiskInputs = CALM, **more: object) -> Verdict:
        return check(self.state, self.account, wanted, facts, **more)  # type: ignore[arg-type]

    def stand(self, wanted: Place, strategy: str = "mm") -> Order:
        """An order that rests at the venue."""
        order = self.orders.prepare(strategy, wanted, Origin.PLACE, START_NS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        return order

    def fill(self, order: Order, quantity: Decimal, price: Decimal | None = None) -> None:
        """A fill; the mark price goes where it traded."""
        self.trades += 1
        at = price or order.price or D(100)
        account = self.account if order.strategy == "mm" else self.other
        self.orders.book(order, Fill(order.symbol, self.trades, self.trades, order.side, at, quantity, True, START_MS), START_NS)
        account.holdings.position(order.symbol).fill(order.side, quantity, at)
        self.state.prices.mark_price_told(order.symbol, at)

    def hold(self, quantity: str, symbol: str = SYMBOL, price: str = "100") -> None:
        """A position, negative for a short one."""
        side = BUY if D(quantity) > 0 else SELL
        self.account.holdings.position(symbol).fill(side, abs(D(quantity)), D(price))


def refused(verdict: Verdict, code: VerdictCode, value: str | None = None, limit: str | None = None) -> bool:
    """Whether a verdict refuses with this code, these numbers, and a text that holds both."""
    assert verdict.code is code, verdict
    assert verdict.text
    assert (verdict.value, verdict.limit) == (None if value is None else D(value), None if limit is None else D(limit)), verdict
    return not verdict.accepted


# -- one refusal after the other --------------------------------------------------------------------------------------


def test_an_order_that_breaks_nothing_passes() -> None:
    assert RiskRig().check(place()).code is V.ACCEPTED
    assert RiskRig().check(place(price=None)).code is V.ACCEPTED


def test_a_symbol_must_be_the_strategys_listed_and_trading() -> None:
    rig = RiskRig(listed=[instrument(SYMBOL)])
    assert refused(rig.check(place(symbol="XYZUSDT")), V.SYMBOL_NOT_ALLOWED)
    assert refused(rig.check(place(symbol="ETHUSDT")), V.UNKNOWN_SYMBOL)
    rig.state.contract_status(SYMBOL, ContractStatus.SETTLING)
    verdict = rig.check(place())
    assert refused(verdict, V.NOT_TRADING)
    assert "SETTLING" in verdict.text


@pytest.mark.parametrize(
    "wanted",
    [
        attrs.evolve(place(), quantity=D("NaN")),
        attrs.evolve(place(), quantity=D("Infinity")),
        attrs.evolve(place(), price=D("sNaN")),
        attrs.evolve(place(), price=1.5),  # type: ignore[arg-type]
        attrs.evolve(place(), price=None),
        attrs.evolve(place(price=None), price=D(5)),
        attrs.evolve(place(), type=OrderType.STOP_MARKET),
        attrs.evolve(place(), time_in_force=TimeInForce.GTD),
    ],
)
def test_what_is_no_order_is_malformed(wanted: Place) -> None:
    assert refused(RiskRig().check(wanted), V.MALFORMED)


def test_a_price_match_stands_for_a_price() -> None:
    assert RiskRig().check(attrs.evolve(place(), price=None, price_match=PriceMatch.QUEUE)).accepted


def test_filter_refusal_names_the_code_and_nearest_legal_value() -> None:
    verdict = RiskRig(listed=[instrument(SYMBOL, tick="0.5")]).check(place(price="100.2"))
    assert refused(verdict, V.FILTER, "100.2", "0.5")
    assert "-4014" in verdict.text
    assert "nearest legal 100.0" in verdict.text


def test_without_the_order_link_nothing_passes() -> None:
    rig = RiskRig()
    rig.hold("1")
    down = attrs.evolve(CALM, order_link_up=False)
    assert refused(rig.check(place(), down), V.ORDER_LINK_DOWN)
    assert refused(rig.check(place(SELL), down), V.ORDER_LINK_DOWN)


STALE = [
    (attrs.evolve(CALM, user_stream_up=False), V.STALE_USER_STREAM, None, None),
    (attrs.evolve(CALM, book_state=BookState.STALE), V.STALE_BOOK, None, None),
    (attrs.evolve(CALM, book_state=BookState.BUFFERING), V.STALE_BOOK, None, None),
    (attrs.evolve(CALM, book_age_ms=2_001), V.STALE_BOOK, "2001", "2000"),
]


@pytest.mark.parametrize(("facts", "code", "value", "limit"), STALE)
def test_what_is_stale_shuts_new_risk_and_lets_pass_what_reduces(
    facts: RiskInputs, code: VerdictCode, value: str | None, limit: str | None
) -> None:
    rig = RiskRig()
    rig.hold("1")
    assert refused(rig.check(place(), facts), code, value, limit)
    assert refused(rig.check(place(SELL, "1.5"), facts), code, value, limit)
    assert rig.check(place(SELL, "1"), facts).accepted
    assert rig.check(place(SELL, "1", reduce_only=True), facts).accepted


def test_unknown_order_stops_new_risk_and_lets_reductions_pass() -> None:
    rig = RiskRig()
    rig.hold("1")
    order = rig.orders.prepare("other", place(), Origin.PLACE, START_NS)
    rig.orders.apply(order, OrderEvent.OUTCOME_UNKNOWN, START_NS)
    assert refused(rig.check(place()), V.HALTED, "1", "0")
    assert rig.check(place(SELL)).accepted
    rig.orders.apply(order, OrderEvent.PROVED_ABSENT, START_NS)
    assert rig.check(place()).accepted


def test_g11_a_price_too_far_from_the_mark_is_refused() -> None:
    """G11: a digit too many."""
    rig = RiskRig(RiskLimits(price_collar_pct=D(5)))
    assert refused(rig.check(place(price="1000", quantity="0.01")), V.PRICE_COLLAR, "900", "5")
    assert refused(rig.check(place(SELL, price="94.9")), V.PRICE_COLLAR, "5.1", "5")
    assert rig.check(place(price="105")).accepted
    assert refused(rig.check(place(), attrs.evolve(CALM, mark=None)), V.NO_MARK_PRICE)
    assert rig.check(place(price=None), attrs.evolve(CALM, mark=None)).accepted


def test_order_rate_is_kept_except_when_only_judging() -> None:
    rig = RiskRig(budget=Budget(orders_per_10s=2))
    for at in (0, 4_000):
        rig.account.ordered(START_MS + at)
    at_five = attrs.evolve(CALM, now_ms=START_MS + 5_000)
    assert refused(rig.check(place(), at_five), V.ORDER_RATE, "3", "2")
    assert rig.check(place(), at_five, sending=False).accepted
    assert rig.check(place(), attrs.evolve(CALM, now_ms=START_MS + 10_000)).accepted


def test_open_orders_are_limited_by_account_and_by_contract() -> None:
    rig = RiskRig(RiskLimits(max_open_orders=2))
    rig.stand(place())
    rig.stand(place(), "other")
    assert refused(rig.check(place()), V.OPEN_ORDERS, "3", "2")
    few = attrs.evolve(instrument(SYMBOL), filters=attrs.evolve(instrument(SYMBOL).filters, max_orders=1))
    rig = RiskRig(listed=[few, instrument("ETHUSDT")])
    rig.stand(place(symbol="ETHUSDT"))
    assert rig.check(place()).accepted
    standing = rig.stand(place())
    assert refused(rig.check(place()), V.OPEN_ORDERS, "2", "1")
    assert rig.check(place(), replaces=(standing,)).accepted
    assert rig.check(place(symbol="ETHUSDT"), attrs.evolve(CALM, mark=D(100))).accepted


def test_the_notional_of_one_order_is_limited() -> None:
    rig = RiskRig(RiskLimits(max_order_notional=D(500)))
    assert refused(rig.check(place(quantity="5.1")), V.ORDER_NOTIONAL, "510", "500")
    assert refused(rig.check(place(quantity="5.1", price=None)), V.ORDER_NOTIONAL, "510", "500")
    no_mark = attrs.evolve(CALM, mark=None)
    assert refused(rig.check(place(quantity="5", price=None), no_mark), V.ORDER_NOTIONAL, "500.5", "500")
    nothing = attrs.evolve(no_mark, best_ask=None)
    assert refused(rig.check(place(quantity="5", price=None), nothing), V.NO_MARK_PRICE)


def test_a_position_is_limited_at_its_worst() -> None:
    rig = RiskRig(budget=Budget(max_position=D(3)))
    rig.hold("1")
    rig.stand(place(quantity="1"))
    assert refused(rig.check(place(quantity="1.5")), V.POSITION, "3.5", "3")
    assert rig.check(place(quantity="1")).accepted
    assert refused(rig.check(place(SELL, "4.5")), V.POSITION, "3.5", "3")
    assert rig.check(place(quantity="3", symbol="ETHUSDT")).accepted
    assert refused(rig.check(place(quantity="1"), beside=D("0.5")), V.POSITION, "3.5", "3")


def test_a_reduce_only_order_may_trade_first_and_then_counts() -> None:
    """Long 1, a reduce-only sell of 1 stands: a plain sell of 3.5 can end up 3.5 short."""
    rig = RiskRig(budget=Budget(max_position=D(3)))
    rig.other.symbols = frozenset()
    rig.hold("1")
    rig.stand(place(SELL, "1", reduce_only=True))
    assert refused(rig.check(place(SELL, "3.5")), V.POSITION, "3.5", "3")
    assert rig.check(place(SELL, "3")).accepted
    rig.hold("-0.6")
    assert rig.check(place(SELL, "3")).accepted


DOUBTS = ["none", "not answered", "unknown", "passing", "market", "listed no more", "cancel unknown", "amendment unknown", "ended"]


@pytest.mark.parametrize("doubt", DOUBTS)
def test_a_reduce_only_order_in_doubt_may_have_traded_before(doubt: str) -> None:
    """Of two orders over one position the plain one is told first: the other one may have closed the position before it."""
    rig, alone = RiskRig(budget=Budget(max_position=D(10))), "ETHUSDT"
    rig.hold("10", alone)
    price = None if doubt == "market" else "100"
    force = TimeInForce.IOC if doubt == "passing" else TimeInForce.GTC
    closing = rig.stand(place(SELL, "10", price, alone, reduce_only=True, time_in_force=force))
    plain = rig.stand(place(SELL, "10", symbol=alone))
    match doubt:
        case "not answered":
            closing.state = OrderState.SUBMITTED
        case "unknown":
            closing.state = OrderState.UNKNOWN
        case "listed no more":
            rig.orders.doubted(closing, START_NS)
        case "cancel unknown":
            closing.overlay = Overlay.CANCEL_UNKNOWN
        case "amendment unknown":
            closing.overlay = Overlay.AMEND_UNKNOWN
        case "ended":
            rig.orders.apply(closing, OrderEvent.SEEN_CANCELED, START_NS)
    rig.fill(plain, D(10))
    verdict = rig.check(place(SELL, "6", symbol=alone))
    if doubt in ("none", "ended"):
        assert verdict.accepted
    else:
        assert refused(verdict, V.POSITION, "16", "10")
        assert rig.check(place(BUY, "10", symbol=alone)).accepted


def test_where_others_trade_a_reduce_only_order_counts_whole() -> None:
    """Long 0.4, a reduce-only sell of 1 stands: the venue lets it go on with what others hold, once the 0.4 are closed."""
    rig = RiskRig(budget=Budget(max_position=D(3)))
    rig.hold("1")
    rig.stand(place(SELL, "1", reduce_only=True))
    rig.hold("-0.6")
    assert refused(rig.check(place(SELL, "3")), V.POSITION, "3.6", "3")
    assert rig.check(place(SELL, "2.4")).accepted
    assert rig.check(place(SELL, "0.4")).accepted


def test_fills_that_are_known_of_and_not_told_yet_count() -> None:
    """The position that is booked is not the one at the venue."""
    rig = RiskRig(RiskLimits(max_gross_notional=D(500)), Budget(max_position=D(3)))
    order = rig.stand(place(quantity="2"))
    rig.orders.see(order, OrderStatus.FILLED, D(2), START_NS)
    assert refused(rig.check(place(quantity="1.5")), V.POSITION, "3.5", "3")
    assert refused(rig.check(place(SELL, "3", "110")), V.GROSS_NOTIONAL, "530", "500")
    rig.hold("-2")
    assert refused(rig.check(place(BUY, "2", reduce_only=True)), V.POSITION)


def test_an_unknown_or_amending_order_counts_at_its_worst() -> None:
    rig = RiskRig(RiskLimits(max_gross_notional=D(1_000)), Budget(max_position=D(5)))
    order = rig.stand(place(quantity="1"))
    rig.orders.attempt(order, Attempt.AMEND_WANTED)
    rig.orders.amendment_requested(order, D(110), D(3))
    assert refused(rig.check(place(quantity="2.5")), V.POSITION, "5.5", "5")
    assert refused(rig.check(place(SELL, quantity="4", price="200")), V.GROSS_NOTIONAL, "1130", "1000")


def test_notional_of_a_strategy_counts_positions_and_orders() -> None:
    rig = RiskRig(budget=Budget(max_notional=D(500)))
    rig.hold("-2", "ETHUSDT", "50")
    rig.stand(place(quantity="1"))
    assert refused(rig.check(place(quantity="3.5")), V.STRATEGY_NOTIONAL, "550", "500")
    rig.state.prices.mark_price_told("ETHUSDT", D(150))
    assert refused(rig.check(place(quantity="1.5")), V.STRATEGY_NOTIONAL, "550", "500")
    assert rig.check(place(quantity="1")).accepted
    assert refused(rig.check(place(quantity="1"), beside=D("0.5")), V.STRATEGY_NOTIONAL, "550", "500")


def test_what_closes_or_makes_way_adds_nothing_to_the_notional() -> None:
    rig = RiskRig(budget=Budget(max_notional=D(500)))
    rig.hold("2")
    rig.stand(place(SELL, "2", price="101", reduce_only=True))
    old = rig.stand(place(quantity="1"))
    assert refused(rig.check(place(quantity="2.5")), V.STRATEGY_NOTIONAL, "550", "500")
    assert rig.check(place(quantity="2")).accepted
    assert rig.check(place(quantity="3"), replaces=(old,)).accepted
    assert refused(rig.check(place(quantity="3.5"), replaces=(old,)), V.STRATEGY_NOTIONAL, "550", "500")


def test_the_gross_notional_counts_all_strategies() -> None:
    rig = RiskRig(RiskLimits(max_gross_notional=D(500)))
    rig.stand(place(quantity="3"), "other")
    rig.other.holdings.position(SYMBOL).fill(SELL, D(1), D(100))
    assert refused(rig.check(place(quantity="2")), V.GROSS_NOTIONAL, "600", "500")
    assert rig.check(place(quantity="1")).accepted


def test_a_limit_that_was_hit_refuses_new_risk_for_good() -> None:
    rig = RiskRig()
    rig.hold("1")
    rig.state.trading.halt_account(Verdict(V.DRAWDOWN, "lost too much", D(101), D(100)), START_MS)
    assert refused(rig.check(place()), V.DRAWDOWN, "101", "100")
    assert rig.check(place(SELL)).accepted


# -- what reduces -----------------------------------------------------------------------------------------------------


def test_a_reduce_only_order_needs_something_to_reduce() -> None:
    rig = RiskRig()
    assert refused(rig.check(place(SELL, "1", reduce_only=True)), V.POSITION)
    rig.hold("1")
    assert refused(rig.check(place(BUY, "1", reduce_only=True)), V.POSITION)
    assert refused(rig.check(place(SELL, "1.1", reduce_only=True)), V.POSITION)
    rig.stand(place(SELL, "0.4"))
    assert refused(rig.check(place(SELL, "0.7", reduce_only=True)), V.POSITION)
    assert rig.check(place(SELL, "0.6", reduce_only=True)).accepted


def test_replaced_order_does_not_count_against_its_successor() -> None:
    rig = RiskRig(budget=Budget(max_position=D(1)))
    rig.hold("1")
    standing = rig.stand(place(SELL, "1", price="105", reduce_only=True))
    assert rig.check(place(SELL, "1", price="104", reduce_only=True), replaces=(standing,)).accepted
    buying = rig.stand(place(SELL, "1", price="106"))
    assert rig.check(place(SELL, "1", price="104"), replaces=(standing, buying)).accepted


def test_two_reducing_quotes_may_not_reverse_together() -> None:
    rig = RiskRig(budget=Budget(max_position=D("0.1")))
    rig.hold("1")
    assert rig.check(place(SELL, "0.6"), beside=D("0.4")).accepted
    assert refused(rig.check(place(SELL, "0.6"), beside=D("0.6")), V.POSITION, "0.2", "0.1")


# -- the promise ------------------------------------------------------------------------------------------------------


@given(
    seed=st.integers(0, 2**32),
    max_position=st.sampled_from(["0.5", "2", "5"]),
    max_notional=st.sampled_from(["100", "400", "900"]),
    gross=st.sampled_from(["150", "500", "1200"]),
)
@settings(max_examples=examples(300))
def test_fills_in_any_order_exceed_no_limit(seed: int, max_position: str, max_notional: str, gross: str) -> None:
    chance = random.Random(seed)
    budget = Budget(max_position=D(max_position), max_notional=D(max_notional))
    rig = RiskRig(RiskLimits(max_gross_notional=D(gross)), budget)
    passed: list[Order] = []
    for _ in range(25):
        wanted = place(
            chance.choice([BUY, SELL]),
            str(chance.choice(["0.1", "0.4", "0.5", "1", "2"])),
            str(chance.choice(["99", "100", "101"])),
            reduce_only=chance.random() < 0.3,
        )
        replaced = tuple(order for order in passed if order.live and chance.random() < 0.2 and order.side is wanted.side)[:1]
        if rig.check(wanted, replaces=replaced).accepted:
            for order in replaced:
                rig.orders.see(order, OrderStatus.CANCELED, D(0), START_NS)
            passed.append(rig.stand(wanted))
        for order in chance.sample(passed, len(passed)):
            if order.live and chance.random() < 0.3:
                at_most = order.remaining
                if order.reduce_only:
                    # The venue never lets such an order do more than bring a position to its end.
                    net = rig.account.holdings.net(SYMBOL)
                    at_most = min(at_most, max(-net * order.side.sign, D(0)))
                if at_most:
                    rig.fill(order, chance.choice([at_most, at_most / 2]))
                else:
                    rig.orders.see(order, OrderStatus.EXPIRED, D(0), START_NS)
        net = rig.account.holdings.net(SYMBOL)
        assert abs(net) <= budget.max_position  # type: ignore[operator]
        assert abs(rig.account.holdings.position(SYMBOL).cost) <= min(D(max_notional), D(gross)) * D("1.03")
