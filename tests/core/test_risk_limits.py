"""Pre-trade risk, second part: doubles, self-trades, message rates, brackets, suspensions and breakers, each with both numbers."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.risk.pre_trade import duplicate, prevention
from coldframe.core.state.limits import Budget, RiskLimits, SelfCross
from coldframe.core.state.trading_state import FIRST_PROBE_MS
from coldframe.enums import PositionSide, SelfTradePrevention, Side, TimeInForce
from coldframe.model.effects import Level
from coldframe.model.intents import Amend, Cancel, Quote, Quotes, VerdictCode
from coldframe.model.orders import OrderState
from coldframe.units import NS_PER_MS
from tests.core.risk.test_pre_trade import RiskRig, refused
from tests.core.scripted import Actor, Scripted
from tests.core.told import CALM, D, place

BUY, SELL = Side.BUY, Side.SELL
V = VerdictCode


def later(ms: int) -> object:
    return attrs.evolve(CALM, now_ms=CALM.now_ms + ms)


def verdicts(made: Scripted, actor: Actor) -> dict[str, int]:
    return made.verdicts(actor)


# -- doubles ----------------------------------------------------------------------------------------------------------


def test_o29_the_very_same_order_again_is_a_mistake_for_a_while() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(duplicate_ms=100)).ready()
    made.want(actor, place(), place(), place(quantity="2"))
    assert verdicts(made, actor) == {"ACCEPTED": 2, "DUPLICATE": 1}
    made.run(99, alive=False)
    made.want(actor, place())
    assert verdicts(made, actor) == {"ACCEPTED": 2, "DUPLICATE": 2}
    made.run(1, alive=False)
    made.want(actor, place())
    assert verdicts(made, actor) == {"ACCEPTED": 3, "DUPLICATE": 2}


@pytest.mark.parametrize(("first", "second"), [("", "a"), ("a", "b"), ("a", "")])
def test_a_tag_does_not_make_another_order_of_a_double(first: str, second: str) -> None:
    rig = RiskRig(RiskLimits(duplicate_ms=100))
    rig.state.order_sent(rig.account, place(tag=first), 1_000, adds_risk=True)
    assert duplicate(rig.state, rig.account, place(tag=second), 1_040) is not None
    assert duplicate(rig.state, rig.account, place(quantity="2", tag=second), 1_040) is None


def test_a_double_is_told_with_both_numbers() -> None:
    rig = RiskRig(RiskLimits(duplicate_ms=100))
    rig.state.order_sent(rig.account, place(), 1_000, adds_risk=True)
    verdict = duplicate(rig.state, rig.account, place(), 1_040)
    assert verdict is not None
    assert refused(verdict, V.DUPLICATE, "40", "100")
    assert duplicate(rig.state, rig.other, place(), 1_040) is None


def test_refused_orders_and_quotes_are_no_duplicates() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(duplicate_ms=60_000, max_order_notional=D(150))).ready()
    made.want(actor, place(quantity="2"))
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.5"), D(1))]))
    made.want(actor, Quotes("BTCUSDT"))
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.5"), D(1))]))
    assert "DUPLICATE" not in verdicts(made, actor)
    assert len(made.sent("order.place")) == 2


@given(st.lists(st.tuples(st.integers(0, 60), st.sampled_from(["1", "2"])), max_size=30))
def test_o29_no_two_equal_orders_ever_go_out_within_the_window(steps: list[tuple[int, str]]) -> None:
    rig = RiskRig(RiskLimits(duplicate_ms=100))
    now_ms, out = 0, list[tuple[int, str]]()
    for wait, quantity in steps:
        now_ms += wait
        recent = [at for at, what in out if what == quantity and now_ms - at < 100]
        verdict = duplicate(rig.state, rig.account, place(quantity=quantity), now_ms)
        assert (verdict is not None) == bool(recent)
        if verdict is None:
            rig.state.order_sent(rig.account, place(quantity=quantity), now_ms, adds_risk=True)
            out.append((now_ms, quantity))


# -- trades with oneself ----------------------------------------------------------------------------------------------


def test_o28_order_that_would_cross_an_own_strategy_is_refused() -> None:
    rig = RiskRig()
    rig.stand(place(SELL, "1", "100.5"), "other")
    assert rig.check(place(BUY, "1", "100.4")).accepted
    assert refused(rig.check(place(BUY, "1", "100.5")), V.SELF_CROSS, "100.5", "100.5")
    assert rig.check(place(BUY, "1", None)).code is V.SELF_CROSS
    assert rig.check(place(BUY, "1", "100.5", time_in_force=TimeInForce.GTX)).accepted
    assert rig.check(place(SELL, "1", "99")).accepted


def test_o28_reducing_order_passes_and_the_resting_order_expires() -> None:
    rig = RiskRig()
    rig.hold("-1")
    rig.stand(place(SELL, "1", "100.5"), "other")
    wanted = place(BUY, "1", "101")
    assert rig.check(wanted).accepted
    assert prevention(rig.state, rig.account, wanted) is SelfTradePrevention.EXPIRE_MAKER
    assert prevention(rig.state, rig.account, place(BUY, "1", "100")) is None


def test_o28_amendment_crossing_an_own_strategy_is_refused() -> None:
    mine, other = Actor("one"), Actor("other")
    made = Scripted(mine, other).ready()
    made.want(mine, place(BUY, "1", "99"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "1")
    made.want(mine, place(SELL, "1", "103"))
    made.want(other, place(BUY, "1", "98"))
    (order,) = made.engine.orders.of("one")
    made.want(mine, Amend(order.client_order_id, price=D("98")))
    assert verdicts(made, mine) == {"ACCEPTED": 2, "SELF_CROSS": 1}
    assert made.sent("order.modify") == []


def test_o28_orders_can_carry_self_trade_prevention_instead() -> None:
    mine, other = Actor("one"), Actor("other")
    made = Scripted(mine, other, risk=RiskLimits(self_cross=SelfCross.EXPIRE_TAKER)).ready()
    made.want(mine, place(SELL, "1", "100.5"))
    made.want(other, place(BUY, "1", "100.5"))
    assert verdicts(made, other) == {"ACCEPTED": 1}
    modes = [sent.params["selfTradePreventionMode"] for sent in made.sent("order.place")]
    assert modes == ["EXPIRE_TAKER", "EXPIRE_TAKER"]


# -- message rates and open orders ------------------------------------------------------------------------------------


def test_messages_count_with_cancels_and_cancels_always_pass() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(messages_per_10s=3)}).ready()
    made.want(actor, place(), place(quantity="2"))
    first, second = made.engine.orders.live
    made.want(actor, Cancel(first.client_order_id))
    made.want(actor, place(quantity="3"), Amend(second.client_order_id, price=D("99")))
    assert verdicts(made, actor) == {"ACCEPTED": 3, "MESSAGE_RATE": 2}
    made.want(actor, Cancel(second.client_order_id))
    assert not list(made.engine.orders.live)
    made.run(10_001)
    made.want(actor, place(quantity="3"))
    assert verdicts(made, actor)["ACCEPTED"] == 5


def test_messages_of_the_account_are_counted_over_all_strategies() -> None:
    rig = RiskRig(RiskLimits(messages_per_10s=3))
    for strategy in ("mm", "other", "other"):
        assert rig.check(place()).accepted
        rig.state.message_sent(strategy, CALM.now_ms)
    assert refused(rig.check(place()), V.MESSAGE_RATE, "4", "3")
    assert rig.check(place(), later(10_000)).accepted  # type: ignore[arg-type]


def test_open_orders_of_a_strategy_are_its_own() -> None:
    rig = RiskRig(budget=Budget(max_open_orders=2))
    rig.stand(place(), "other")
    rig.stand(place())
    assert rig.check(place()).accepted
    rig.stand(place())
    assert refused(rig.check(place()), V.OPEN_ORDERS, "3", "2")


# -- prices and brackets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("price", ["94", "106"])
def test_g11_price_far_from_the_book_is_refused_despite_the_mark(price: str) -> None:
    rig = RiskRig(RiskLimits(price_collar_pct=D(5)))
    facts = attrs.evolve(CALM, mark=D(price))
    verdict = rig.check(place(price=price), facts)
    assert refused(verdict, V.PRICE_COLLAR, "6", "5")
    assert "middle of the book 100.0" in verdict.text
    assert rig.check(place(price=price), attrs.evolve(facts, best_bid=None)).accepted


def test_the_bracket_counts_the_account_at_worst() -> None:
    rig = RiskRig()
    rig.state.caps.tiers("BTCUSDT", [(20, D(1000))])
    rig.state.caps.leverage("BTCUSDT", 20)
    rig.hold("3")
    rig.other.holdings.position("BTCUSDT").fill(BUY, D(2), D(100))
    rig.stand(place(BUY, "2"), "other")
    assert rig.check(place(BUY, "3")).accepted
    verdict = rig.check(place(BUY, "3.1"))
    assert refused(verdict, V.BRACKET, "1010", "1000")
    assert "leverage 20" in verdict.text
    assert rig.check(place(SELL, "3")).accepted


# -- risk modes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [-4400, -4401, -4105, -4189, -4087])
def test_o19_risk_mode_refuses_new_risk_but_lets_reductions_pass(code: int) -> None:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    made.want(actor, place())
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "1")
    made.holds.add("order.place")
    made.want(actor, place(quantity="2"))
    made.refuse(code)
    made.want(actor, place(quantity="3"), place(SELL, "1", "101", reduce_only=True))
    assert verdicts(made, actor) == {"ACCEPTED": 3, "RISK_MODE": 1}
    assert any(line.level is Level.ERROR and str(code) in line.text for line in made.log)
    made.want(actor, place(symbol="ETHUSDT"))
    assert verdicts(made, actor)["RISK_MODE"] == 1 + (code == -4087)


def test_o19_trial_order_after_a_pause_ends_or_extends_risk_mode() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("order.place")
    made.want(actor, place())
    made.refuse(-4400)
    made.run(60_001)
    made.want(actor, place(quantity="1"), place(quantity="2"))
    assert verdicts(made, actor) == {"ACCEPTED": 2, "RISK_MODE": 1}
    made.refuse(-4400)
    made.run(60_001)
    made.want(actor, place(quantity="3"))
    assert verdicts(made, actor)["RISK_MODE"] == 2
    made.run(60_000)
    made.holds.clear()
    made.want(actor, place(quantity="4"))
    made.want(actor, place(quantity="5"))
    assert verdicts(made, actor) == {"ACCEPTED": 4, "RISK_MODE": 2}
    assert "takes new risk in BTCUSDT again" in made.said()


@pytest.mark.parametrize(
    ("hedge", "more", "ends"),
    [
        (False, {"side": SELL, "reduce_only": True}, False),
        (False, {"side": BUY}, True),
        (True, {"side": SELL, "position_side": PositionSide.LONG}, False),
        (True, {"side": BUY, "position_side": PositionSide.LONG}, True),
    ],
    ids=["reduce-only", "new risk", "closes its side", "opens its side"],
)
def test_o19_only_new_risk_that_is_taken_ends_a_mode(hedge: bool, more: dict[str, Any], ends: bool) -> None:
    """While a probe is under way the venue takes an order that closes: that says nothing about new risk."""
    actor = Actor()
    made = Scripted(actor, hedge=hedge).ready()
    opening = {"position_side": PositionSide.LONG} if hedge else {}
    made.want(actor, place(**opening))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "1")
    trading, now_ms = made.engine.state.trading, made.now_ns // NS_PER_MS
    trading.mode_on("BTCUSDT", -4400, "only reducing orders", now_ms)
    trading.probe("BTCUSDT", now_ms - FIRST_PROBE_MS)
    made.want(actor, place(**{"price": "101" if more["side"] is SELL else "99", **more}))
    assert verdicts(made, actor) == {"ACCEPTED": 2}
    assert trading.mode_off("BTCUSDT") is not ends
    assert ("takes new risk in BTCUSDT again" in made.said()) is ends


def test_o19_orders_pending_together_are_refused_together() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("order.place")
    made.want(actor, place(), place(quantity="2"))
    made.refuse(-4400)
    made.run(1_000)
    made.refuse(-4400)
    made.run(59_100)
    made.want(actor, place(quantity="3"))
    assert verdicts(made, actor) == {"ACCEPTED": 3}


def test_o19_a_refused_amendment_tells_of_a_risk_mode_as_well() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.exchange.refuses["order.modify"] = (-4400, "only reduceOnly order is allowed")
    made.want(actor, Amend(order.client_order_id, price=D("99")))
    made.want(actor, place(quantity="2"))
    assert verdicts(made, actor) == {"ACCEPTED": 2, "RISK_MODE": 1}


# -- breakers ---------------------------------------------------------------------------------------------------------


def test_o18_too_many_rejects_suspend_a_strategy_until_resumed() -> None:
    mine, other = Actor("one"), Actor("other")
    made = Scripted(mine, other, risk=RiskLimits(max_rejects=2, rejects_within_ms=10_000)).ready()
    made.exchange.refuses["order.place"] = (-2019, "Margin is insufficient.")
    for number in range(1, 5):
        made.want(mine, place(quantity=str(number)))
    made.want(other, place(SELL, "1", "101"))
    del made.exchange.refuses["order.place"]
    assert verdicts(made, mine) == {"ACCEPTED": 3, "REJECTS": 1}
    made.run(60_000)
    made.want(mine, place())
    made.want(other, place())
    assert (verdicts(made, mine)["REJECTS"], verdicts(made, other)["ACCEPTED"]) == (2, 2)
    made.engine.state.resumed(made.venue_ms, "one")
    made.want(mine, place())
    assert verdicts(made, mine)["ACCEPTED"] == 4
    (said,) = [line.text for line in made.log if line.level is Level.ERROR]
    assert "3 orders rejected within 10000 ms (risk.rejects_within_s), risk.max_rejects allows 2" in said


def test_o18_ordinary_outcomes_and_slow_rejects_suspend_nothing() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_rejects=2, rejects_within_ms=10_000)).ready()
    for number, code in enumerate([-5022] * 5 + [-2019] * 2, 1):
        made.exchange.refuses["order.place"] = (code, "no")
        made.want(actor, place(quantity=str(number)))
    made.run(10_001)
    for number in (8, 9):
        made.want(actor, place(quantity=str(number)))
    assert verdicts(made, actor) == {"ACCEPTED": 9}


def test_a_strategy_that_has_lost_too_much_is_shut_alone() -> None:
    mine, other = Actor("one"), Actor("other")
    made = Scripted(mine, other, budgets={"one": Budget(max_loss=D(5))}).ready()
    for actor in (mine, other):
        made.want(actor, place(quantity="2"))
    for order in list(made.engine.orders.live):
        made.fill(order.client_order_id, "2")
    made.mark("BTCUSDT", "97")
    made.run(300, alive=False)
    for actor in (mine, other):
        made.want(actor, place(quantity="0.5"), place(SELL, "1", "101"))
    assert verdicts(made, mine) == {"ACCEPTED": 2, "LOSS": 1}
    assert verdicts(made, other) == {"ACCEPTED": 3}
    verdict = made.engine.state.trading.strategies["one"]
    assert (verdict.value, verdict.limit) == (D("6.02"), D(5))
    made.engine.state.resumed(made.venue_ms, "one")
    made.run(1_000, alive=False)
    assert made.engine.state.trading.strategies == {}


def test_the_quotes_of_a_strategy_that_has_lost_too_much_go() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(max_drawdown=D(5))}).ready()
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99"), D(1))], [Quote(D("101"), D(1))]))
    made.want(actor, place(quantity="2"))
    made.fill(next(order for order in made.engine.orders.live if order.quantity == 2).client_order_id, "2")
    made.mark("BTCUSDT", "90")
    made.run(500, alive=False)
    assert all(
        order.state is OrderState.CANCELED for order in map(made.engine.orders.get, made.exchange.orders) if order.quantity == 1
    )  # type: ignore[union-attr]


def test_resuming_everything_opens_the_account_as_well() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_loss=D(5))).ready()
    made.want(actor, place(quantity="2"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2")
    made.mark("BTCUSDT", "90")
    made.run(300, alive=False)
    assert made.engine.state.trading.account is not None
    assert made.engine.state.trading.account.code is V.LOSS
    made.engine.state.resumed(made.venue_ms)
    made.run(300, alive=False)
    assert made.engine.state.trading.account is None
    made.mark("BTCUSDT", "87")
    made.run(300, alive=False)
    assert made.engine.state.trading.account.value == D(6)  # type: ignore[union-attr]
