"""Losses and drawdown over any number of runs: counted from one place, whatever dies and is started again in between."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.lifecycle.risk_rows import RiskRows
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import RestoredState, fold
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.loss_limits import Counted, Losses, LossPeriod
from coldframe.core.state.orders import Orders
from coldframe.core.state.positions import EXTERNAL
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import Side
from coldframe.model.effects import AppendJournal
from coldframe.model.inputs import ResumeAsked
from coldframe.model.intents import VerdictCode as V
from coldframe.model.journal import Row, RowKind
from coldframe.units import NS_PER_MS
from tests.core.made import START_MS, START_NS
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place
from tests.examples import examples

DAY_MS = 86_400_000
PNL = st.decimals(-50, 50, places=2)
LIMIT = st.decimals(1, 60, places=1)


class Bot:
    """Pre-trade risk of one strategy, and the journal that its losses are written into."""

    def __init__(self, loss: Decimal, drawdown: Decimal, period: LossPeriod) -> None:
        self.limits = RiskLimits(losses_count=period)
        self.budget = Budget(max_loss=loss, max_drawdown=drawdown)
        self.rows: list[Row] = []
        self.start()

    def start(self) -> None:
        """A run begins on what the journal holds."""
        past = fold(self.rows)
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        account = StrategyAccount("mm", frozenset(), self.budget)
        self.state = EngineState(self.ctx, Orders(1), {"mm": account}, limits=self.limits)
        self.state.restore_suspensions(past.suspensions, START_MS)
        self.writer = RiskRows(self.state, self.ctx, past.suspensions, past.losses)

    @property
    def losses(self) -> Losses:
        return self.state.accounts["mm"].losses

    def see(self, pnl: Decimal, at_ms: int) -> str:
        verdict = self.losses.check(pnl, at_ms, " of strategy mm")
        if verdict is not None:
            self.state.trading.halt_strategy("mm", verdict, at_ms)
        self.record()
        return verdict.code if verdict is not None else ""

    def resume(self, at_ms: int) -> None:
        self.state.resumed(at_ms, "mm")
        self.record()

    def record(self) -> None:
        self.writer.record()
        for effect in self.ctx.take_effects():
            if isinstance(effect, AppendJournal):
                body = json.loads(json.dumps(effect.body))
                self.rows.append(Row(len(self.rows) + 1, 0, effect.kind, effect.ref, body))


class Oracle:
    """The same, naively: all profits since counting began."""

    def __init__(self, loss: Decimal, drawdown: Decimal, period: LossPeriod) -> None:
        self.loss, self.drawdown, self.period = loss, drawdown, period
        self.seen: list[tuple[int, Decimal]] = []
        self.shut = False

    def see(self, pnl: Decimal, at_ms: int) -> str:
        if self.period is LossPeriod.DAY and self.seen and self.seen[0][0] // DAY_MS < at_ms // DAY_MS:
            self.seen = []
        self.seen.append((at_ms, pnl))
        profits = [profit for _, profit in self.seen]
        if self.shut or (profits[0] - pnl <= self.loss and max(profits) - pnl <= self.drawdown):
            return ""
        self.shut = True
        return "LOSS" if profits[0] - pnl > self.loss else "DRAWDOWN"

    def resume(self, at_ms: int) -> None:
        self.shut = False
        self.seen = [(at_ms, self.seen[-1][1])] if self.seen else []


STEPS = st.lists(st.one_of(st.tuples(st.just("see"), PNL), st.sampled_from([("restart",), ("resume",), ("hours", 7)])), max_size=60)


@given(steps=STEPS, loss=LIMIT, drawdown=LIMIT, period=st.sampled_from(LossPeriod))
@settings(max_examples=examples(300))
def test_losses_over_any_number_of_runs_are_those_of_one(
    steps: list[tuple], loss: Decimal, drawdown: Decimal, period: LossPeriod
) -> None:
    bot, oracle = Bot(loss, drawdown, period), Oracle(loss, drawdown, period)
    at_ms, unseen = START_MS, True
    for kind, *given_ in steps:
        match kind:
            case "see":
                assert bot.see(given_[0], at_ms) == oracle.see(given_[0], at_ms)
                unseen = False
            case "restart":
                bot.start()
                unseen = True
            case "resume" if not unseen:  # a run resumes what it has seen; see below for one that has seen nothing yet
                bot.resume(at_ms)
                oracle.resume(at_ms)
            case "hours":
                at_ms += given_[0] * 3_600_000
        assert (bot.losses.hit is not None) == oracle.shut
        assert fold(bot.rows).losses.get("mm") == bot.losses.counted


def test_run_resumed_without_profit_counts_from_its_first_figure() -> None:
    bot = Bot(D(10), D(10), LossPeriod.SINCE_RESUME)
    bot.see(D(0), START_MS)
    assert bot.see(D(-11), START_MS) == V.LOSS
    bot.start()
    bot.resume(START_MS)
    bot.start()  # and it dies at once
    assert fold(bot.rows).losses == {}
    assert bot.see(D(-15), START_MS) == ""
    assert bot.see(D("-25.1"), START_MS) == V.LOSS


@pytest.mark.parametrize(("hours", "period", "shut"), [(23, "day", True), (25, "day", False), (25, "since_resume", True)])
def test_a_new_day_grants_a_new_allowance_only_by_setting(hours: int, period: str, shut: bool) -> None:
    bot = Bot(D(10), D(100), LossPeriod(period))
    midnight = START_MS // DAY_MS * DAY_MS
    bot.see(D(0), midnight)
    bot.see(D(-8), midnight)
    bot.start()
    bot.see(D(-8), midnight + hours * 3_600_000)
    assert (bot.see(D(-12), midnight + hours * 3_600_000) == V.LOSS) is shut


def test_what_was_shut_on_one_day_stays_shut_on_the_next() -> None:
    bot = Bot(D(10), D(100), LossPeriod.DAY)
    bot.see(D(0), START_MS)
    bot.see(D(-11), START_MS)
    bot.start()
    bot.see(D(-11), START_MS + DAY_MS)
    assert bot.losses.hit is not None


def test_without_a_drawdown_limit_a_new_peak_writes_no_rows() -> None:
    bot = Bot(D(10), D(100), LossPeriod.SINCE_RESUME)
    bot.losses.max_drawdown = None
    for pnl in range(10):
        bot.see(D(pnl), START_MS)
    assert len(bot.rows) == 1


def test_old_journals_begin_to_count_with_the_first_profit() -> None:
    assert fold([]).losses == RestoredState().losses == {}
    bot = Bot(D(10), D(10), LossPeriod.SINCE_RESUME)
    bot.see(D(-40), START_MS)
    assert bot.losses.counted == Counted(D(-40), D(-40), START_MS // DAY_MS)


# -- in a whole engine --------------------------------------------------------------------------------------------------


def losing(period: LossPeriod = LossPeriod.SINCE_RESUME, **more: object) -> tuple[Scripted, Actor, dict]:
    """A strategy that holds 2 at 100."""
    actor = Actor()
    setup = {"risk": RiskLimits(max_loss=D(10), losses_count=period), **more}
    made = Scripted(actor, **setup).ready()  # type: ignore[arg-type]
    made.want(actor, place(quantity="2"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2")
    made.run(500)
    return made, actor, setup


def fall(made: Scripted, price: str) -> None:
    made.mark("BTCUSDT", price)
    made.run(300, alive=False)


def again(made: Scripted, actor: Actor, setup: dict, price: str) -> Scripted:
    """The process dies and is started again; the first mark price that it hears is this one."""
    new = made.restarted(actor, past=fold(made.rows), **setup)
    new.rows[:0] = made.rows
    for _ in range(2):
        new.book("BTCUSDT", [("99.9", "5")], [("100.1", "5")])
    fall(new, price)
    return new


def test_a_crash_loop_does_not_get_the_allowance_again() -> None:
    made, actor, setup = losing()
    for price in ("98", "97", "96"):
        made = again(made, actor, setup, price)
        assert made.engine.state.trading.account is None
    made = again(made, actor, setup, "94")
    assert made.engine.state.trading.account is not None
    assert made.engine.state.trading.account.code is V.LOSS
    assert "loss 12.02 exceeds risk.max_loss 10: no new risk until `coldframe resume`" in made.said()


@pytest.mark.parametrize(
    "limits", [{"risk": RiskLimits(max_drawdown=D(10))}, {"risk": RiskLimits(), "budgets": {"mm": Budget(max_drawdown=D(10))}}]
)
def test_a_start_without_a_mark_price_counts_nothing_yet(limits: dict) -> None:
    """The position would count as nothing, and its loss as a gain."""
    made, actor, setup = losing(**limits)
    fall(made, "96")
    made.give(ResumeAsked(None, 1))
    fall(made, "96")
    new = made.restarted(actor, past=fold(made.rows), **setup)
    before = dict(new.engine._rows.counted)
    assert set(before) == {EXTERNAL, "mm"}
    new.run(3_000, alive=False)
    assert new.engine.trading.reports_complete  # type: ignore[union-attr]
    assert new.engine._rows.counted == before
    assert new.engine.state.trading.account is None


@pytest.mark.parametrize("price", ["95.5", "94.5"])
def test_a_mark_price_that_no_stream_brings_is_asked_for(price: str) -> None:
    made, actor, setup = losing()
    made.exchange.prices = {"BTCUSDT": price}
    new = made.restarted(actor, past=fold(made.rows), **setup)
    new.run(3_000, alive=False)
    assert new.engine.state.mark_prices == {"BTCUSDT": D(price)}
    assert (new.engine.state.trading.account is not None) == (price == "94.5")


def test_fills_while_the_bot_was_off_count_before_losses() -> None:
    """Sold at 90 while nothing ran, and back at 100 when it starts: no peak that never was."""
    made, actor, setup = losing(risk=RiskLimits(max_drawdown=D(15), max_loss=D(100)))
    fall(made, "99")
    made.want(actor, place(Side.SELL, "2", "89"))
    past = fold(made.rows)
    made.silent = True
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2", "95")
    new = Scripted(actor, past=past, **setup)
    new.exchange, new.exchange.owner = made.exchange, new
    new.now_ns = made.now_ns + 1_000 * NS_PER_MS
    new.holds |= {"/fapi/v1/openOrders", "/fapi/v1/userTrades", "order.status"}
    new.start()
    new.mark("BTCUSDT", "200")
    new.run(1_000, alive=False)
    assert new.engine.state.mark_prices
    assert not new.engine.trading.reports_complete  # type: ignore[union-attr]
    new.holds.clear()
    new.release()
    new.run(5_000, alive=False)
    assert new.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 0
    assert new.engine.state.losses.counted.peak < 1  # type: ignore[union-attr]
    assert new.engine.state.trading.account is None


def test_a_resume_counts_from_there_on_in_the_next_run_too() -> None:
    made, actor, setup = losing()
    fall(made, "94")
    made.give(ResumeAsked(None, 1))
    made = again(made, actor, setup, "91")
    assert made.engine.state.trading.account is None
    fall(made, "88")
    assert made.engine.state.trading.account is not None


def test_removed_strategy_leaves_its_losses_with_the_account() -> None:
    removed, other = Actor("one"), Actor("two")
    setup = {"risk": RiskLimits(max_loss=D(10))}
    made = Scripted(removed, other, **setup).ready()  # type: ignore[arg-type]
    made.want(removed, place(quantity="2"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2")
    made.want(removed, place(Side.SELL, "2", "96"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2", "96")
    made.run(500)
    alone = made.restarted(other, past=fold(made.rows), **setup)
    alone.rows[:0] = made.rows
    alone.run(1_000)
    alone.want(other, place(quantity="2"))
    alone.fill(next(iter(alone.engine.orders.live)).client_order_id, "2")
    fall(alone, "98.5")
    assert alone.engine.state.trading.account is not None
    assert alone.engine.state.trading.account.value == D("11.06")
    past = fold(alone.rows)
    assert set(past.accounts) == {"one", "two", ""}
    checkpoints = [row for row in alone.rows if row.kind == RowKind.CHECKPOINT]
    assert set(fold(checkpoints[-1:]).accounts) == {"one", "two", ""}


def test_days_are_the_venues() -> None:
    made, actor, setup = losing(LossPeriod.DAY)
    fall(made, "96")
    made.now_ns += DAY_MS * NS_PER_MS
    made = again(made, actor, setup, "96")
    made.book("BTCUSDT")
    fall(made, "92")
    assert made.engine.state.trading.account is None
    fall(made, "90")
    assert made.engine.state.trading.account is not None


@pytest.mark.parametrize(("lost", "hit"), [("9.99", False), ("10", False), ("10.01", True)])
def test_a_limit_is_exceeded_by_more_than_it(lost: str, hit: bool) -> None:
    for limits in (Losses(max_loss=D(10)), Losses(max_drawdown=D(10))):
        limits.check(D(0), START_MS)
        limits.check(-D(lost), START_MS)
        assert (limits.hit is not None) is hit
