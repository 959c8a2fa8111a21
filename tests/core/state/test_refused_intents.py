"""Refused intents are counted: what the rows add up to is what was refused, and a second has few of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.state.journal_codec import fold
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Orders
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.state.refused_intents import RefusedIntents
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.model.intents import Amend, Cancel, Quote, Quotes, Verdict, WakeMe
from coldframe.model.intents import VerdictCode as V
from coldframe.model.journal import Row, RowKind
from tests.core.made import START_MS
from tests.core.scripted import Actor, Scripted
from tests.core.state.test_journal_codec import state, state_of
from tests.core.strategies.test_intent_validation import GARBAGE
from tests.core.told import D, place
from tests.examples import examples

TRADERS = [StrategyAccount(name, frozenset({"BTCUSDT", "ETHUSDT"}), Budget(), StrategyPositions()) for name in ("one", "two")]
WANTED = [place(), place(symbol="ETHUSDT"), place(symbol="XYZUSDT"), Cancel("x"), WakeMe(5), None]
CODES = [V.ORDER_RATE, V.POSITION, V.MALFORMED]


def refusals(rows: list[Row]) -> list[Row]:
    return [row for row in rows if row.kind == RowKind.REFUSED]


def counted(rows: list[Row]) -> Counter[str]:
    """How many refusals rows tell of, by verdict."""
    found: Counter[str] = Counter()
    for row in refusals(rows):
        found[str(row.body["verdict"])] += row.body["count"]  # type: ignore[arg-type]
    return found


def refused(made: Scripted, actor: Actor) -> Counter[str]:
    """What the engine's summary says was refused."""
    return Counter({code: count for code, count in made.verdicts(actor).items() if code not in (V.ACCEPTED, V.NO_CHANGE)})


@settings(max_examples=examples(300), deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 900),
            st.sampled_from(TRADERS),
            st.sampled_from(WANTED),
            st.sampled_from(CODES),
            st.integers(1, 3),
            st.booleans(),
        ),
        max_size=40,
    )
)
def test_rows_add_up_to_what_was_refused(steps: list[tuple[int, StrategyAccount, Any, V, int, bool]]) -> None:
    """The oracle keeps every refusal, and counts at the end."""
    counts, now_ms = RefusedIntents(Orders(0)), START_MS
    kept: Counter[tuple[int, str, str, str]] = Counter()
    rows: list[dict[str, Any]] = []
    for after_ms, trader, wanted, code, times, ends in steps:
        now_ms += after_ms
        counts.count(trader, wanted, Verdict(code, "no"), now_ms, times)
        own = getattr(wanted, "symbol", "") if code is not V.MALFORMED else ""
        kept[now_ms // 1000, trader.id, own if own in trader.symbols else "", code.value] += times
        if ends:
            taken = counts.drain(now_ms)
            assert all(row["first_ms"] // 1000 < now_ms // 1000 for row in taken)
            rows += taken
    rows += counts.drain(now_ms, all_of_them=True)
    assert counts.drain(now_ms + 5_000, all_of_them=True) == []
    assert Counter({_key(row): row["count"] for row in rows}) == kept
    assert len(rows) == len(kept)


def _key(row: dict[str, Any]) -> tuple[int, str, str, str]:
    return row["first_ms"] // 1000, row["strategy"], row["symbol"], row["verdict"]


def test_ten_thousand_refusals_in_a_second_are_three_rows() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_order_notional=D(500))).ready()
    made.run(1_000 - made.now_ns // 1_000_000 % 1_000)
    for number in range(100):
        made.want(actor, *([place(quantity="50"), place(symbol="XYZUSDT")] * 49), None, *range(number % 2 + 2))
    made.run(1_100)
    assert refused(made, actor).total() >= 10_000
    assert counted(made.rows) == refused(made, actor)
    assert len(refusals(made.rows)) == 3


def test_a_row_names_the_first_refusal_and_how_many_there_were() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_order_notional=D(500))).ready()
    made.run(1_000 - made.now_ns // 1_000_000 % 1_000)
    first_ms = made.now_ns // 1_000_000
    made.want(actor, place(quantity="50"))
    made.run(300)
    made.want(actor, place(quantity="60"), place(quantity="70"))
    assert refusals(made.rows) == []
    assert made.timers["refused"] == (first_ms + 1_000) * 1_000_000
    made.run(699, alive=False)
    assert refusals(made.rows) == []
    made.run(1, alive=False)
    (row,) = refusals(made.rows)
    assert row.ref == "mm"
    assert row.body == {
        "strategy": "mm",
        "symbol": "BTCUSDT",
        "verdict": "ORDER_NOTIONAL",
        "count": 3,
        "first_ms": first_ms,
        "intent": "Place",
        "terms": {"symbol": "BTCUSDT", "side": "BUY", "quantity": "50", "price": "100"},
        "text": "order notional would be 5000, risk.max_order_notional allows 500",
        "value": "5000",
        "limit": "500",
    }
    made.run(5_000, alive=False)
    assert len(refusals(made.rows)) == 1


def test_what_was_refused_last_stands_before_the_end() -> None:
    actor = Actor()
    actor.acts["on_stop"] = lambda *_: [place(), WakeMe(1), place(reduce_only=True)]
    made = Scripted(actor).ready()
    made.want(actor, place(symbol="XYZUSDT"), place(symbol="XYZUSDT"))
    made.stop()
    made.run(5_000)
    assert made.ended is not None
    assert counted(made.rows) == refused(made, actor)
    assert refused(made, actor)["SYMBOL_NOT_ALLOWED"] == 2
    assert refused(made, actor)["STOPPING"] >= 1
    assert made.rows[-1].kind == RowKind.END


def test_refusals_of_orders_are_counted_in_their_symbol() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_order_notional=D(500))).ready()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.want(actor, Amend(order.client_order_id, D(99), D(70)), Amend("none", D(99), D(1)), Quotes("XYZUSDT", [Quote(D(1), D(1))]))
    made.run(1_100)
    found = {str(row.body["verdict"]): row.body["symbol"] for row in refusals(made.rows)}
    assert found == {"ORDER_NOTIONAL": "BTCUSDT", "UNKNOWN_ORDER": "", "SYMBOL_NOT_ALLOWED": ""}


@pytest.mark.parametrize("garbage", [*GARBAGE, Cancel([]), Cancel({}), object()])  # type: ignore[arg-type]
def test_what_comes_after_a_fault_is_counted_unread(garbage: object) -> None:
    """An overlay raises, the strategy is muted, and what else it wanted in that call may be anything."""

    def fails(_: object) -> str:
        raise ZeroDivisionError("boom")

    actor = Actor(reviews=fails)
    made = Scripted(actor).ready()
    made.want(actor, place(), garbage, garbage)
    made.run(1_100)
    (row,) = refusals(made.rows)
    assert (row.body["verdict"], row.body["symbol"], row.body["count"]) == ("MUTED", "", 3)


def test_a_restart_folds_the_same_with_and_without_these_rows() -> None:
    actor = Actor()
    made = Scripted(actor, risk=RiskLimits(max_order_notional=D(500))).ready()
    for _ in range(5):
        made.want(actor, place(), place(quantity="60"))
        made.run(700)
    assert len(refusals(made.rows)) >= 2
    bare = [row for row in made.rows if row.kind != RowKind.REFUSED]
    assert state(fold(made.rows)) == state(fold(bare)) == state_of(made.engine)
