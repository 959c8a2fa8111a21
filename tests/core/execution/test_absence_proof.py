"""The proof that an order is not there has five parts, and each of them alone holds it up (faults.md 3)."""

from __future__ import annotations

import pytest

from coldframe.core.execution.absence_proof import BLIND_MARGIN_MS, FORGOTTEN_AFTER_MS, ManualResolution
from coldframe.core.execution.inquiry import OPERATOR_AFTER_MS
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.state.orders import Order, Orders
from coldframe.enums import Side
from coldframe.model.effects import Level, LinkKind
from coldframe.model.events import OrderChanged
from coldframe.model.intents import VerdictCode
from coldframe.model.orders import OrderState
from tests.core.ordering import QUERY, accept_quietly, placed, state
from tests.core.reconciliation.test_position_breaks import invent
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

OPEN_ORDERS, TRADES = "/fapi/v1/openOrders", "/fapi/v1/userTrades"
S = OrderState


def vanished() -> tuple[Scripted, Actor, Order]:
    """An order that never reached the venue, and of which neither bot nor venue knows anything."""
    made, actor, order = placed("order.place")
    made.refuse(-1007)
    made.holds.clear()
    return made, actor, order


def test_o2_absence_proof_completes_soon_after_the_order_is_dead() -> None:
    made, actor, order = vanished()
    made.run(6_900)
    assert state(order) is S.UNKNOWN
    made.run(3_100)
    assert state(order) is S.NEVER_ACCEPTED
    assert actor.told(OrderChanged)[-1].state == S.NEVER_ACCEPTED
    assert len(made.sent("order.place")) == 1


def test_o14_two_queries_before_its_death_prove_nothing() -> None:
    """Part one and two: both answers came while the request could still have arrived."""
    actor = Actor()
    made = Scripted(actor, trading=OrderSideLimits(recv_window_ms=30_000)).ready()
    made.holds.add("order.place")
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.refuse(-1007)
    made.run(20_000)
    assert order.not_found >= 2
    assert not order.not_found_dead
    made.swallows.add(QUERY)
    made.run(60_000)
    assert state(order) is S.UNKNOWN
    made.swallows.clear()
    made.run(20_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_o14_one_query_is_not_enough() -> None:
    made, _, order = vanished()
    made.holds.add(QUERY)
    made.run(30_000)
    made.release(lambda held: held[:1])
    assert order.not_found <= 1
    made.run(3_000)
    assert state(order) is S.UNKNOWN


def test_it_must_be_missing_from_the_list_of_open_orders() -> None:
    """Part three: queries forget it, the list does not."""
    made, _, order = placed("order.place")
    accept_quietly(made)
    made.silent = False
    made.holds.clear()
    made.exchange.refuses[QUERY] = (-2013, "Order does not exist.")
    made.refuse(-1007) if made.held else None
    made.run(40_000)
    assert state(order) is S.ACCEPTED


def test_no_report_may_have_escaped_us() -> None:
    """Part four: the user stream was away since it was sent, and no trades were looked at."""
    made, _, order = vanished()
    made.run(1_000)
    made.holds.add(TRADES)
    made.lose(LinkKind.PRIVATE)
    made.run(60_000)
    assert state(order) is S.UNKNOWN
    made.holds.clear()
    made.release()
    made.run(35_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_where_a_report_may_be_lost_hiding_is_outlasted() -> None:
    """Part four once more: with the stream away, queries and lists alone must have been blind for 45 s longer."""
    made, _, order = vanished()
    made.run(1_000)
    made.lose(LinkKind.PRIVATE)
    made.run(6_900 + BLIND_MARGIN_MS - 1_000)
    assert order.not_found >= 2
    assert state(order) is S.UNKNOWN
    made.run(9_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_stream_lost_after_a_request_is_dead_changes_nothing() -> None:
    made, _, order = placed()
    made.lose(LinkKind.PRIVATE)
    assert not order.unreported


def test_o14_a_round_without_trades_proves_nothing() -> None:
    """Part four again: a round does come through, but reports were missed and its trades were not scanned."""
    made, _, order = vanished()
    made.run(1_000)
    made.swallows.add(TRADES)
    made.lose(LinkKind.PRIVATE)
    made.run(9_000 + BLIND_MARGIN_MS)
    assert made.engine.trading is not None
    trading = made.engine.trading
    assert trading.executor.proof.provable(order)
    before = trading.reconciler.rounds
    trading.reconciler.begin("without trades", (), urgent=False)
    made.beat()
    assert trading.reconciler.rounds == before + 1
    assert state(order) is S.UNKNOWN
    made.swallows.clear()
    made.run(35_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_o14_the_position_must_be_the_sum_of_the_fills() -> None:
    """Part five: the venue has more than we know of, so perhaps the order has traded."""
    made, _, order = vanished()
    extra = ["0.3"] * 3
    invent(made, lambda: extra.pop() if extra else "0")
    made.run(8_200)
    assert made.engine.trading is not None
    assert made.engine.trading.executor.proof.provable(order)
    assert state(order) is S.UNKNOWN
    made.run(30_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_order_older_than_three_days_is_never_proved_absent() -> None:
    made, _, order = placed()
    order.sent_ms -= FORGOTTEN_AFTER_MS
    del made.exchange.orders[order.client_order_id]
    made.run(LIGHT_ROUND_MS + 60_000)
    assert len(made.sent(QUERY)) > 2
    assert (order.not_found, state(order)) == (0, S.ACCEPTED)
    made.run(OPERATOR_AFTER_MS)
    assert state(order) is S.NEEDS_OPERATOR


def test_o35_a_younger_order_that_is_gone_needs_a_person() -> None:
    made, _, order = placed()
    del made.exchange.orders[order.client_order_id]
    made.run(LIGHT_ROUND_MS + 20_000)
    assert state(order) is S.NEEDS_OPERATOR
    assert any("manual check needed" in line.text for line in made.log if line.level is Level.ERROR)


# -- the operator -----------------------------------------------------------------------------------------------------


def unprovable() -> tuple[Scripted, Actor, Order]:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    made.holds.add("order.place")
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.refuse(-1007)
    made.holds.clear()
    made.swallows.add(QUERY)
    made.run(OPERATOR_AFTER_MS + 1_000)
    made.swallows.clear()
    return made, actor, order


def test_o25_unprovable_order_suspends_its_symbol_and_no_other() -> None:
    made, actor, order = unprovable()
    assert state(order) is S.NEEDS_OPERATOR
    assert any(line.level is Level.ERROR and "manual check needed" in line.text for line in made.log)
    made.want(actor, place(quantity="2"), place(symbol="ETHUSDT"))
    assert made.verdicts(actor) == {"ACCEPTED": 2, "HALTED": 1}


@pytest.mark.parametrize(
    ("outcome", "after"),
    [
        (ManualResolution.NEVER_ACCEPTED, S.NEVER_ACCEPTED),
        (ManualResolution.CANCELED, S.CANCELED),
        (ManualResolution.EXPIRED, S.EXPIRED),
        (ManualResolution.FILLED, S.FILLED),
    ],
)
def test_a_human_being_resolves_it(outcome: ManualResolution, after: OrderState) -> None:
    made, actor, order = unprovable()
    assert made.engine.trading is not None
    assert made.engine.trading.executor.resolve(order, outcome).accepted
    assert state(order) is after
    assert order.exposure == (1 if outcome is ManualResolution.FILLED else 0)
    made.want(actor, place(quantity="2"))
    assert made.verdicts(actor)["ACCEPTED"] == 2
    assert f"resolved by hand: BUY 1 BTCUSDT @ 100 ({order.client_order_id}, {after})" in made.said()


def test_only_what_needs_a_human_being_is_resolved_by_one() -> None:
    made, _, order = placed()
    assert made.engine.trading is not None
    verdict = made.engine.trading.executor.resolve(order, ManualResolution.CANCELED)
    assert verdict.code is VerdictCode.NOT_AMENDABLE
    assert state(order) is S.ACCEPTED


def test_a_fill_still_counts_after_a_human_being_was_wrong() -> None:
    made, _, order = unprovable()
    assert made.engine.trading is not None
    made.engine.trading.executor.resolve(order, ManualResolution.NEVER_ACCEPTED)
    made.exchange.carry_out("order.place", made.sent("order.place")[0].params)
    made.fill(order.client_order_id, "1")
    assert state(order) is S.FILLED
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D(1)
    assert order.side is Side.BUY


def test_rounds_for_an_order_that_cannot_be_proved_grow_rarer(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until another order can be proved: then one comes soon."""
    made, actor, _ = placed()
    assert made.engine.trading is not None
    trading = made.engine.trading
    monkeypatch.setattr(trading.executor.proof, "provable", lambda order: True)
    monkeypatch.setattr(Orders, "unsettled", Orders.live)
    before = trading.reconciler.rounds
    made.run(8_000)
    assert 3 <= trading.reconciler.rounds - before <= 4
    made.run(60_000)
    assert trading.reconciler.rounds - before <= 10
    made.want(actor, place(quantity="2"))
    before = trading.reconciler.rounds
    made.run(3_000)
    assert trading.reconciler.rounds - before >= 1
    made.run(5_000)
    assert trading.reconciler.rounds - before >= 3
