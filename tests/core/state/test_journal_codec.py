"""What stands in the journal is what the engine holds: at every moment, after a crash at any moment, and however long it gets."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import json

from coldframe.core.engine import Engine
from coldframe.core.execution.absence_proof import BLIND_MARGIN_MS
from coldframe.core.execution.inquiry import OPERATOR_AFTER_MS
from coldframe.core.lifecycle.kill_switch import emergency_order
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.external import ExternalPolicy
from coldframe.core.state.journal_codec import RestoredState, fold, order_body
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.positions import EXTERNAL
from coldframe.enums import PositionSide, Side
from coldframe.errors import JournalDamaged
from coldframe.ids import KILL_SWITCH_COUNT, OwnId
from coldframe.model.effects import AppendJournal, SendRequest
from coldframe.model.inputs import EmergencyOrderSent, JournalChanged
from coldframe.model.intents import CancelAll, SaveState
from coldframe.model.journal import Row, RowKind
from coldframe.model.orders import OrderState
from coldframe.model.saved_state import frozen_of, text_of
from coldframe.testing import instrument
from coldframe.units import NS_PER_MS
from tests.core.exchange import ALIVE
from tests.core.scripted import Actor, Scripted
from tests.core.strategies.test_desired_state import apply, behave, some_quotes, standing, traded
from tests.core.told import D, place
from tests.examples import examples

MOST = D(4)
SAVED: tuple[Any, ...] = (
    None,
    1,
    True,
    {},
    {"ladder": [{"at": D("99.50"), "left": D(2)}], "since": "2024-01-01"},
    ["x" * 8_000],
    1.5,
)
TAGS = ("", "edge", "~" * 64)


def troubled(chance: random.Random, actor: Actor, turns: int, *, saves: bool = False, **more: Any) -> Scripted:
    """A run in which everything may go wrong, stopped in the midst of it. `saves`: the strategy saves values, too."""
    made = Scripted(actor, **setup(), **more).ready()
    for number in range(turns):
        made.exchange.fee = (("0.02", "USDT"), ("0.01", "BNB"), ("0.03", "XYZ"))[number % 3]
        made.exchange.prices = {"BNBUSD": str(500 + 37 * number % 200)}
        if chance.random() < 0.2:
            made.want(actor, attrs.evolve(some_quotes(chance), tag=TAGS[number % 3]))
        if chance.random() < 0.1:
            wanted = place(chance.choice(list(Side)), "0.5", chance.choice(["99.4", "100.6", None]), tag=TAGS[number % 3])
            made.want(actor, wanted)
        if chance.random() < 0.05:
            made.exchange.fill(made.external_order(f"by-hand-{number}", quantity="1").client_order_id, "1")
            made._work()
        if saves and chance.random() < 0.2:
            made.want(actor, SaveState(chance.choice(SAVED)))
        apply(made, chance)
        made.run(chance.choice((5, 50, 300, 1_500)))
    return made


def setup() -> dict[str, Any]:
    risk = RiskLimits(max_gross_notional=D(1_200), max_drawdown=D(10_000))
    return {
        "budgets": {"mm": Budget(max_position=MOST)},
        "risk": risk,
        "instruments": [instrument("BTCUSDT", min_notional="5")],
        # What is done by hand while no bot runs stands on the account when the next run begins.
        "trading": OrderSideLimits(external=ExternalPolicy.IGNORE),
    }


def state(past: RestoredState) -> dict[str, Any]:
    return {
        "orders": {name: order_body(order) for name, order in past.orders.items()},
        "fills": {name: fills for name, fills in past.fills.items() if fills},
        "accounts": {name: account for name, account in past.accounts.items() if account.fills},
        "marks": past.trade_cursors,
        "prices": past.prices,
        "losses": past.losses,
        "payments": [(payment.symbol, payment.asset, payment.amount, payment.at_ms) for payment in past.payments],
        "executions": [attrs.asdict(execution) for execution in past.executions],
        "settled": past.executions.settled,
        "states": {name: text_of(frozen_of(json.encode(value))) for name, value in past.states.items()},
    }


def state_of(engine: Engine) -> dict[str, Any]:
    """The same of an engine that lives."""
    orders = engine.orders.worth_keeping(1_000_000)
    assert engine.trading is not None
    return {
        "orders": {order.client_order_id: order_body(order) for order in orders},
        "fills": {order.client_order_id: engine.orders.fills_of(order) for order in orders if order.fill_keys},
        "accounts": {name: account for name, account in engine.accounts.items() if account.fills},
        "marks": engine.orders.trade_cursors,
        "prices": engine.trading.assets.recorded,
        "losses": engine._rows.counted,
        "payments": [
            (payment.symbol, payment.asset, payment.amount, payment.at_ms) for payment in engine.trading.account.payments.latest
        ],
        "executions": [attrs.asdict(execution) for execution in engine.state.holdings.executions],
        "settled": engine.state.holdings.executions.settled,
        "states": {name: engine.state.saved.text(name) for name in engine.state.saved.everything()},
    }


@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(40))
def test_p15_i9_the_folded_journal_is_the_live_state(seed: int) -> None:
    made = troubled(random.Random(seed), Actor(), 25, saves=True)
    assert state(fold(made.rows)) == state_of(made.engine)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(40))
def test_p1_p2_crash_at_any_moment_doubles_no_order_keeps_fills(seed: int) -> None:
    chance, actor = random.Random(seed), Actor()
    made = troubled(chance, actor, chance.randrange(1, 15))
    for effect in made.held:
        if isinstance(effect, SendRequest) and chance.random() < 0.5:
            made.exchange.carry_out(effect.method, effect.params)  # it had left, and arrives
    cuts = [end for end in made.steps if end >= made.durable]
    past = fold(made.rows[: chance.choice(cuts)])
    again = made.restarted(actor, past=past, keep_orders=chance.random() < 0.5, **setup())
    again.run(1_000)
    for _ in range(5):
        apply(again, chance)
        again.run(chance.choice((50, 1_500)))
    again.silent = False
    behave(again)
    again.run(100_000)
    account = again.engine.runtimes.get("mm").account.holdings
    ours = [(order, trade) for order, trade in made.exchange.trades if order.client_order_id.startswith("cf.")]
    assert account.net("BTCUSDT") + again.engine.state.external.account.net("BTCUSDT") == traded(made)
    assert account.fills == len(ours)
    assert again.engine.orders.doubtful == 0
    sent = [request.params["newClientOrderId"] for request in made.sent("order.place") + again.sent("order.place")]
    assert len(sent) == len(set(sent))
    again.want(actor, CancelAll())
    again.run(3_000)
    assert {name for name, order in made.exchange.orders.items() if order.status in ALIVE and name.startswith("cf.")} == set()


def test_p1_order_prepared_at_a_crash_is_proved_absent_by_query() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.stuck.add("order.place")
    made.want(actor, place())
    past = fold(made.rows)
    (order,) = past.live
    assert (order.state, order.sent_ms) == (OrderState.PENDING_SUBMIT, 0)
    again = made.restarted(actor, past=past)
    (live,) = again.engine.orders.live
    assert live.state is OrderState.UNKNOWN
    again.run(15_000 + BLIND_MARGIN_MS)
    assert list(again.engine.orders.live) == []
    known = again.engine.orders.get(order.client_order_id)
    assert known is not None
    assert known.state is OrderState.NEVER_ACCEPTED
    assert again.sent("order.place") == []


def test_p2_fills_counted_by_an_answer_before_a_crash_stay_own() -> None:
    """The order had ended for us, its fills had not been told: the position that they make is ours."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("order.place")
    made.want(actor, place(price=None))
    made.silent = True
    (request,) = made.sent("order.place")
    _, body = made.exchange.carry_out("order.place", request.params)
    assert isinstance(body, dict)
    made.reply(request, {"status": 200, "result": {**body, "status": "FILLED", "executedQty": "1"}})
    made._work()
    past = fold(made.rows)
    (order,) = past.orders.values()
    assert (order.state, order.fills_missing) == (OrderState.FILLED, True)
    assert past.held() == {}
    again = made.restarted(actor, past=past)
    again.run(5_000)
    assert again.ended is None
    assert again.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D(1)


def test_order_in_flight_is_queried_first_after_a_long_pause() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.stuck.add("order.place")
    made.want(actor, place())
    past = fold(made.rows)
    (order,) = past.live
    order.created_ns -= 2 * OPERATOR_AFTER_MS * NS_PER_MS
    again = made.restarted(actor, past=past)
    again.run(1_000)
    (live,) = again.engine.orders.live
    assert live.state is OrderState.UNKNOWN
    again.run(15_000 + BLIND_MARGIN_MS)
    assert live.state is OrderState.NEVER_ACCEPTED
    assert not any("yourself" in line.text for line in again.log)


def test_order_of_an_earlier_run_goes_on_with_its_strategy() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"))
    again = made.restarted(actor, past=fold(made.rows), keep_orders=True)
    again.run(2_000)
    (order,) = again.engine.orders.live
    assert (order.state, order.strategy) == (OrderState.ACCEPTED, "mm")
    again.fill(order.client_order_id, "0.4")
    assert again.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D("0.4")
    assert standing(again) == {(Side.BUY, D("98")): D("0.6")}


def test_killed_runs_orders_are_cancelled_unless_kept() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"), place(price="97"))
    again = made.restarted(actor, past=fold(made.rows))
    again.run(2_000)
    assert standing(again) == {}
    assert list(again.engine.orders.live) == []


def test_o16_a_later_run_never_uses_an_id_again() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"))
    again = made.restarted(actor, past=fold(made.rows), keep_orders=True)
    again.run(2_000)
    again.want(actor, place(price="98"))
    assert len({order.client_order_id for order in again.engine.orders.live}) == 2


def test_p15_a_checkpoint_holds_everything_that_a_restart_needs() -> None:
    made = troubled(random.Random(7), Actor(), 40, checkpoint_rows=30)
    marks = [at for at, row in enumerate(made.rows) if row.kind == RowKind.CHECKPOINT]
    assert len(marks) > 3
    whole, short = fold(made.rows), fold(made.rows[marks[-1] :])
    assert state(short) == state(whole) == state_of(made.engine)


def test_kill_switch_order_before_a_checkpoint_breaks_nothing() -> None:
    """The kill switch's row is on the disk at once, while the engine is stuck in a step whose checkpoint comes after it."""
    made = Scripted(Actor(), checkpoint_rows=1).ready()
    (at,) = [at for at, row in enumerate(made.rows) if row.kind == RowKind.CHECKPOINT][:1]
    name = str(OwnId("mm", made.engine.orders.epoch_ms, KILL_SWITCH_COUNT))
    told = EmergencyOrderSent("mm", name, "BTCUSDT", Side.SELL, D(1), PositionSide.BOTH, made.venue_ms)
    order = emergency_order(told, 1)
    order.state = OrderState.SUBMITTED
    past = fold([*made.rows[:at], Row(at + 1, 0, RowKind.ORDER, name, order_body(order)), *made.rows[at:]])
    assert [order.client_order_id for order in past.live] == [name]
    order.client_order_id = other = str(OwnId("mm", made.engine.orders.epoch_ms, 7))
    with pytest.raises(JournalDamaged, match="is not what the rows before it come to"):
        fold([*made.rows[:at], Row(at + 1, 0, RowKind.ORDER, other, order_body(order)), *made.rows[at:]])


def _another_position(body: Any) -> None:
    body["accounts"]["mm"]["positions"][0]["position"]["quantity"] = "17"


def _an_order_more(body: Any) -> None:
    body["orders"].append({**body["orders"][-1], "client_order_id": "cf.mm.x.99", "state": "OPEN"})


def _a_mark_less(body: Any) -> None:
    body["marks"].popitem()


def _another_saved_value(body: Any) -> None:
    body["states"]["mm"] = "another"


@pytest.mark.parametrize("differs", [_another_position, _an_order_more, _a_mark_less, _another_saved_value])
def test_p15_checkpoint_that_differs_from_its_rows_is_refused(differs: Callable[[Any], None]) -> None:
    """Whichever of the two is wrong: what the engine held, or what its rows say it did."""
    rows = troubled(random.Random(1), Actor(), 40, checkpoint_rows=30, saves=True).rows
    fold(rows)
    last = [row for row in rows if row.kind == RowKind.CHECKPOINT][-1]
    differs(last.body)
    with pytest.raises(JournalDamaged, match=rf"row {last.seq} \(checkpoint\).*not what the rows before it come to"):
        fold(rows)


def test_p15_missing_fill_row_is_found_at_the_next_checkpoint() -> None:
    rows = troubled(random.Random(1), Actor(), 40, checkpoint_rows=30, saves=True).rows
    last = max(at for at, row in enumerate(rows) if row.kind == RowKind.CHECKPOINT)
    fill = max(at for at, row in enumerate(rows[:last]) if row.kind == RowKind.FILL)
    with pytest.raises(JournalDamaged, match="not what the rows before it come to"):
        fold(rows[:fill] + rows[fill + 1 :])


def test_p2_a_checkpoint_says_whose_it_is_and_of_which_run() -> None:
    """A restart reads from the last one on, not from where its run began."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"))
    past = fold(made.rows)
    past.account = "live-1"
    again = made.restarted(actor, past=past)
    again.run(1_000)
    (begun,) = [row.body["epoch_ms"] for row in again.rows if row.kind == RowKind.RUN]
    first = next(at for at, row in enumerate(again.rows) if row.kind == RowKind.CHECKPOINT)
    short = fold(again.rows[first:])
    assert (short.account, short.epoch_ms, short.runs, short.ended) == ("live-1", begun, 2, False)


def test_orders_of_another_account_are_no_concern_of_this_one() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"))
    other = {"account": "another", "epoch_ms": 5}
    past = fold([*made.rows, Row(len(made.rows) + 1, 0, RowKind.RUN, "another", other)])
    assert (past.live, past.accounts, past.account) == ([], {}, "another")


def test_fills_of_others_are_kept_apart() -> None:
    made = Scripted(Actor()).ready()
    made.exchange.fill(made.external_order("by-hand", quantity="2").client_order_id, "2")
    made._work()
    assert fold(made.rows).held() == {(EXTERNAL, "BTCUSDT"): D(2)}


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (RowKind.ORDER, {}),
        (RowKind.ORDER, {"client_order_id": "x", "state": "NOWHERE"}),
        (RowKind.FILL, {"strategy": "mm", "order": "x", "fill": {"symbol": "BTCUSDT"}}),
        (RowKind.FEE, {"strategy": "absent", "order": "x", "fill": {}}),
        (RowKind.TRADE_CURSOR, {"trade_id": "soon"}),
        (RowKind.CHECKPOINT, {"orders": 5}),
        (RowKind.RUN, []),
    ],
)
def test_a_row_that_makes_no_sense_is_named(kind: str, body: Any) -> None:
    with pytest.raises(JournalDamaged, match=rf"row 17 \({kind}\) cannot be read"):
        fold([Row(17, 0, kind, "x", body)])


def test_p5_only_cancels_are_sent_while_the_journal_fails() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"))
    made.give(JournalChanged("disk full"))
    made.effects.clear()
    made.want(actor, place(price="97"), CancelAll())
    assert made.verdicts(actor) == {"ACCEPTED": 2, "HALTED": 1}
    assert (made.sent("order.place"), len(made.sent("order.cancel"))) == ([], 1)
    assert "cannot be written: disk full" in made.said()
    made.give(JournalChanged(""))
    made.want(actor, place(price="97"))
    assert len(made.sent("order.place")) == 1


@pytest.mark.parametrize("lost", ["order", "fill", "mark"])
def test_p5_rows_that_were_lost_are_made_good_by_a_checkpoint(lost: str) -> None:
    """The rows before it come to something else; without the gap that would be damage."""
    actor = Actor()
    made = Scripted(actor).ready()
    begun = len(made.rows)
    made.want(actor, place(price="98"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "0.4")
    made.run(31_000)
    kept = [*made.rows[:begun], *(row for row in made.rows[begun:] if row.kind != lost)]
    gap = len(made.rows) - len(kept)
    assert gap
    before = len(made.rows)
    made.give(JournalChanged("", gap))
    assert f"{gap} journal rows were dropped meanwhile" in made.said()
    after = made.rows[before:]
    assert [row.kind for row in after].count(RowKind.CHECKPOINT) == 1
    whole = fold([*kept, Row(before, 0, RowKind.GAP, "", {"rows": gap, "state": gap}), *after])
    assert not whole.gap
    assert (whole.held(), whole.trade_cursors, list(whole.orders)) == (
        fold(made.rows).held(),
        made.engine.orders.trade_cursors,
        list(fold(made.rows).orders),
    )
    with pytest.raises(JournalDamaged):
        fold([*kept, Row(before, 0, RowKind.GAP, "", {"rows": gap}), *after])


def test_p5_a_start_on_a_journal_with_a_gap_says_so() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="98"))
    past = fold([*made.rows, Row(99, 0, RowKind.GAP, "", {"rows": 2, "state": 1})])
    again = made.restarted(actor, past=past)
    assert "the journal lacks rows that were dropped" in again.said()
    assert not fold(again.rows, past).gap


def test_every_order_has_its_row_before_it_leaves() -> None:
    """I1: in the effects of one step the Trio tasks take the rows first, and there every order that is sent must be found."""
    made = troubled(random.Random(3), Actor(), 40)
    recorded: set[str] = set()
    for effect in made.effects:
        if isinstance(effect, AppendJournal) and effect.kind is RowKind.ORDER:
            recorded.add(effect.ref)
    sent = {str(request.params["newClientOrderId"]) for request in made.sent("order.place")}
    assert sent
    assert sent <= recorded


def test_x4_neither_signatures_nor_session_secrets_are_recorded() -> None:
    made = troubled(random.Random(5), Actor(), 40)
    text = repr(made.rows)
    for secret in ("secret-listen-key", "signature", "apiKey"):
        assert secret not in text


def test_a_long_and_a_short_position_do_not_add_up_to_none() -> None:
    actor = Actor()
    made = Scripted(actor, hedge=True).ready()
    long, short = PositionSide.LONG, PositionSide.SHORT
    made.want(actor, place(Side.BUY, "1", None, position_side=long), place(Side.SELL, "1", None, position_side=short))
    assert fold(made.rows).held() == {("mm", "BTCUSDT LONG"): D(1), ("mm", "BTCUSDT SHORT"): D(-1)}
