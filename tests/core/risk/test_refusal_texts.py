"""What a refusal says: of each limit of the configuration the value, the limit, and the setting to change."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal

import attrs
import pytest

from coldframe.config.schema import BudgetTable, OrdersTable, RiskTable
from coldframe.core.risk.pre_trade import duplicate
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.loss_limits import Losses
from coldframe.core.strategies.limit_strain import Strain
from coldframe.enums import OrderStatus, Side
from coldframe.model.intents import Target, Verdict, VerdictCode
from coldframe.model.journal import RowKind
from tests.core.made import START_MS, START_NS
from tests.core.risk.test_pre_trade import RiskRig
from tests.core.scripted import Actor, Scripted
from tests.core.told import CALM, D, place

V = VerdictCode
Refused = Callable[[], Verdict]


def rig_of(**limits: object) -> RiskRig:
    """Pre-trade risk with limits of the account alone."""
    return RiskRig(RiskLimits(**limits))  # type: ignore[arg-type]


def budgeted(**budget: object) -> RiskRig:
    """Pre-trade risk with limits of strategy mm alone."""
    return RiskRig(budget=Budget(**budget))  # type: ignore[arg-type]


def after_orders(rig: RiskRig) -> Verdict:
    """Two orders stand, and went out just now; the third is refused."""
    for _ in range(2):
        rig.stand(place(quantity="0.1"))
        rig.account.ordered(START_MS)
        rig.state.message_sent("mm", START_MS)
    return rig.check(place(quantity="0.1"))


def small(rig: RiskRig) -> RiskRig:
    """The same in its first minutes."""
    rig.state.limits_scaled(D("0.1"))
    return rig


def crossing() -> Verdict:
    rig = rig_of()
    rig.stand(place(Side.SELL, "1", "100"), "other")
    return rig.check(place(Side.BUY, "1", "100"))


def doubled() -> Verdict:
    rig = rig_of(duplicate_ms=100)
    rig.state.order_sent(rig.account, place(), START_MS, adds_risk=True)
    return refusal(duplicate(rig.state, rig.account, place(), START_MS + 40))


def rejected() -> Verdict:
    rig = rig_of(max_rejects=1, rejects_within_ms=60_000)
    orders = [rig.stand(place()) for _ in range(2)]
    for order in orders:
        rig.orders.see(order, OrderStatus.REJECTED, D(0), START_NS)
    assert rig.state.order_rejected(orders[0], START_MS) is None
    return refusal(rig.state.order_rejected(orders[1], START_MS))


def lost(whose: str, **limit: Decimal) -> Verdict:
    losses = Losses(**limit)  # type: ignore[arg-type]
    losses.check(D(0), START_MS, whose)
    return refusal(losses.check(D("-7.25"), START_MS, whose))


def targeted(budget: Budget, scale: str = "1") -> Verdict:
    """A target beyond the largest position, as the journal has its refusal."""
    actor = Actor()
    made = Scripted(actor, budgets={"mm": budget}).ready()
    made.engine.state.limits_scaled(D(scale))
    made.want(actor, Target("BTCUSDT", D("5.5")))
    made.run(2_000)
    (row,) = (row.body for row in made.rows if row.kind == RowKind.REFUSED)
    return Verdict(V(row["verdict"]), row["text"], D(row["value"]), D(row["limit"]))  # type: ignore[arg-type]


def refusal(verdict: Verdict | None) -> Verdict:
    assert verdict is not None
    return verdict


#: A refusal for each limit of the configuration, by the setting to change; where a limit refuses in several ways, each of them.
LIMITS: list[tuple[str, Refused]] = [
    ("risk.max_order_notional", lambda: rig_of(max_order_notional=D(500)).check(place(quantity="5.1"))),
    ("risk.max_gross_notional", lambda: rig_of(max_gross_notional=D(500)).check(place(quantity="5.2"))),
    ("risk.price_collar_pct", lambda: rig_of(price_collar_pct=D(5)).check(place(price="94.5"))),
    ("risk.max_open_orders", lambda: after_orders(rig_of(max_open_orders=2))),
    ("risk.max_drawdown", lambda: lost("", max_drawdown=D(5))),
    ("risk.stale_book_ms", lambda: rig_of(stale_book_ms=700).check(place(), attrs.evolve(CALM, book_age_ms=701))),
    ("risk.max_loss", lambda: lost("", max_loss=D(5))),
    ("risk.messages_per_10s", lambda: after_orders(rig_of(messages_per_10s=2))),
    ("risk.duplicate_ms", doubled),
    ("risk.self_cross", crossing),
    ("risk.max_rejects", rejected),
    ("risk.rejects_within_s", rejected),
    ("risk.first_minutes", lambda: small(rig_of(max_order_notional=D(500))).check(place(quantity="1.1"))),
    ("risk.first_minutes", lambda: small(rig_of(max_gross_notional=D(500))).check(place(quantity="1.2"))),
    ("risk.first_minutes", lambda: small(budgeted(max_position=D(5))).check(place())),
    ("risk.first_minutes", lambda: small(budgeted(max_notional=D(500))).check(place(quantity="1.3"))),
    ("risk.first_minutes", lambda: targeted(Budget(max_position=D(7)), "0.5")),
    ("budget.max_position", lambda: budgeted(max_position=D(3)).check(place(quantity="3.5"))),
    ("budget.max_position", lambda: targeted(Budget(max_position=D(3)))),
    ("budget.max_notional", lambda: budgeted(max_notional=D(500)).check(place(quantity="5.3"))),
    ("budget.orders_per_10s", lambda: after_orders(budgeted(orders_per_10s=2))),
    ("budget.messages_per_10s", lambda: after_orders(budgeted(messages_per_10s=2))),
    ("budget.max_open_orders", lambda: after_orders(budgeted(max_open_orders=2))),
    ("budget.max_loss", lambda: lost(" of strategy mm", max_loss=D(5))),
    ("budget.max_drawdown", lambda: lost(" of strategy mm", max_drawdown=D(5))),
]
#: Settings that say from when on another limit counts, and are met by no order.
COUNTING = {"risk.losses_count"}
#: Refusals that no limit of the configuration brings about, and what does.
OTHERWISE = {
    V.ACCEPTED: "not a refusal",
    V.NO_CHANGE: "not a refusal",
    V.MALFORMED: "the intent itself",
    V.ORDERS_OFF: "the run, by orders.mode",
    V.MUTED: "an error of the strategy",
    V.STOPPING: "the end of the run",
    V.HALTED: "an operator, a journal that fails, orders or positions in doubt",
    V.OVERLAY: "another plugin, in its own words",
    V.UNKNOWN_SYMBOL: "the venue's list of contracts",
    V.SYMBOL_NOT_ALLOWED: "the symbols of the strategy, which the text names",
    V.NOT_TRADING: "the contract's status",
    V.FILTER: "the contract's rules",
    V.NO_MARK_PRICE: "a price that has not come yet",
    V.RATE_LIMIT: "the venue's limits",
    V.STALE_USER_STREAM: "the user-data stream",
    V.ORDER_LINK_DOWN: "the order link",
    V.RISK_MODE: "the venue",
    V.UNKNOWN_ORDER: "the intent itself",
    V.NOT_AMENDABLE: "the order's type and state",
    V.POSITION_SIDE: "the account's position mode",
    V.ORDER_TYPE: "the contract's rules",
    V.BRACKET: "the venue's bracket, which the text names",
    V.ACCOUNT_SETTING: "the account, see tests/core/reconciliation/test_account_settings.py",
    V.NO_ROOM: "the venue, while other orders close the position",
}


def keys(table: type, prefix: str) -> set[str]:
    return {f"{prefix}.{field.name}" for field in attrs.fields(table)}


def names(text: str, number: Decimal) -> bool:
    """Whether a text names a number, to the cent."""
    return any(abs(Decimal(said) - number) < Decimal("0.005") for said in re.findall(r"-?\d+(?:\.\d+)?", text))


@pytest.mark.parametrize(("setting", "refused"), LIMITS, ids=[f"{at} {setting}" for at, (setting, _) in enumerate(LIMITS)])
def test_a_limit_names_value_limit_and_setting(setting: str, refused: Refused) -> None:
    verdict = refused()
    assert not verdict.accepted
    assert re.search(rf"\b{re.escape(setting)}\b", verdict.text), verdict.text
    assert None not in (verdict.value, verdict.limit)
    assert names(verdict.text, verdict.value), verdict.text  # type: ignore[arg-type]
    assert names(verdict.text, verdict.limit), verdict.text  # type: ignore[arg-type]
    named = set(re.findall(r"\b(?:risk|budget|orders)\.\w+", verdict.text))
    assert named <= keys(RiskTable, "risk") | keys(BudgetTable, "budget") | keys(OrdersTable, "orders")
    assert setting.startswith("risk.") or "of strategy mm" in verdict.text


def test_every_limit_of_the_configuration_has_its_refusal() -> None:
    assert {setting for setting, _ in LIMITS} | COUNTING == keys(RiskTable, "risk") | keys(BudgetTable, "budget")


def test_every_code_is_met_here_or_comes_of_something_else() -> None:
    met = {refused().code for _, refused in LIMITS}
    assert met | OTHERWISE.keys() == set(V)
    assert met & OTHERWISE.keys() == set()


def test_a_limit_that_strains_a_strategy_says_what_to_change() -> None:
    """The advice that a strategy hears which lives at a limit goes with the text of the refusal."""
    verdict = after_orders(budgeted(orders_per_10s=2))
    strain = Strain()
    said = [strain.met(verdict, START_MS + second * 1000) for second in range(6)]
    assert [text for text in said if text] == [
        "is at its limit most of the time (3 orders in 10 s would go out, budget.orders_per_10s of strategy mm allows 2): "
        "its orders come late; raise budget.orders_per_10s, or let it move its orders less often"
    ]
