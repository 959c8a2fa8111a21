"""Cancels and amendments of unknown outcome: asked about, repeated where that is safe, counted at their worst."""

from __future__ import annotations

import pytest

from coldframe.core.state.journal_codec import fold
from coldframe.model.effects import LinkKind
from coldframe.model.intents import Amend, Cancel, CancelAll
from coldframe.model.orders import Attempt, OrderState, Overlay
from tests.core.ordering import QUERY, cancels, placed, state
from tests.core.told import D, place

S = OrderState


# -- cancels and amendments in doubt ----------------------------------------------------------------------------------


def test_o11_a_cancel_that_meets_a_fill_is_no_error() -> None:
    """O11: -2011."""
    made, actor, order = placed("order.cancel")
    made.want(actor, Cancel(order.client_order_id))
    made.fill(order.client_order_id, "1")
    made.release()
    assert state(order) is S.FILLED
    made.silent = True
    made.want(actor, place())
    (second,) = made.engine.orders.live
    made.want(actor, Cancel(second.client_order_id))
    made.fill(second.client_order_id, "1")
    made.release()
    assert second.overlay is Overlay.CANCEL_UNKNOWN
    made.run(3_000)
    assert (second.state, second.filled) == (S.FILLED, D(1))


@pytest.mark.parametrize("how", ["timeout", "-1007", "lost link"])
def test_o12_cancel_of_unknown_outcome_is_queried_and_repeated(how: str) -> None:
    """O12: still open exposure, and cancelled in the end."""
    made, actor, order = placed("order.cancel")
    made.want(actor, Cancel(order.client_order_id))
    match how:
        case "timeout":
            made.run(2_300)
        case "-1007":
            made.refuse(-1007)
        case _:
            made.lose(LinkKind.API)
    assert order.overlay is Overlay.CANCEL_UNKNOWN
    assert order.remaining == 1
    made.holds.clear()
    made.drop()
    made.run(7_000)
    assert state(order) is S.CANCELED
    assert cancels(made) == (3 if how == "timeout" else 2)


def test_a_cancel_that_never_left_is_repeated() -> None:
    made, actor, order = placed()
    made.unwritten.add("order.cancel")
    made.want(actor, Cancel(order.client_order_id))
    assert order.overlay is Overlay.NONE
    made.unwritten.clear()
    made.run(2_000)
    assert state(order) is S.CANCELED


def test_a_cancel_that_is_refused_is_repeated_calmly() -> None:
    made, actor, order = placed()
    made.exchange.refuses["order.cancel"] = (-1102, "no")
    made.want(actor, CancelAll())
    made.run(10_000)
    assert state(order) is S.ACCEPTED
    assert 5 <= len(made.sent("order.cancel")) <= 10
    made.exchange.refuses.clear()
    made.run(1_500)
    assert state(order) is S.CANCELED


def test_new_order_is_cancelled_once_answered_or_overdue() -> None:
    """A cancel might overtake it, and find nothing."""
    made, actor, order = placed("order.place")
    made.want(actor, CancelAll())
    made.run(500)
    assert made.sent("order.cancel") == []
    made.release()
    made.run(300)
    assert state(order) is S.CANCELED
    made.holds.add("order.place")
    made.want(actor, place(), CancelAll())
    made.run(1_300)
    assert len(made.sent("order.cancel")) == 2


def test_unknown_cancel_is_not_repeated_before_a_query() -> None:
    made, actor, _order = placed("order.cancel", QUERY)
    made.want(actor, CancelAll())
    made.refuse(-1007)
    made.run(3_000)
    made.want(actor, CancelAll())
    assert len(made.sent("order.cancel")) == 1


def test_a_cancel_on_its_way_is_not_sent_again() -> None:
    made, actor, order = placed("order.cancel")
    made.want(actor, Cancel(order.client_order_id), Cancel(order.client_order_id))
    assert made.verdicts(actor) == {"ACCEPTED": 2, "NO_CHANGE": 1}
    assert len(made.sent("order.cancel")) == 1


def test_an_amendment_that_never_left_leaves_the_order_as_it_was() -> None:
    made, actor, order = placed(price="99")
    made.unwritten.add("order.modify")
    made.want(actor, Amend(order.client_order_id, D(98)))
    assert (order.overlay, order.price, order.remaining) == (Overlay.NONE, D(99), D(1))


def test_o12_an_unreadable_answer_to_a_cancel_leaves_it_in_doubt() -> None:
    made, actor, order = placed("order.cancel")
    made.want(actor, Cancel(order.client_order_id))
    made.reply(made.held.pop(), {"status": 200, "result": [1]})  # type: ignore[arg-type]
    made.run(0)
    made.beat()
    assert order.overlay is Overlay.CANCEL_UNKNOWN
    made.holds.clear()
    made.run(3_000)
    assert state(order) is S.CANCELED


def test_o13_unknown_amendment_counts_at_its_worst_until_known() -> None:
    """O13."""
    made, actor, order = placed("order.modify", QUERY, price="99")
    made.want(actor, Amend(order.client_order_id, D("99.5"), D(3)))
    made.refuse(-1007)
    assert (order.overlay, order.remaining, order.worst_price) == (Overlay.AMEND_UNKNOWN, D(3), D("99.5"))
    made.holds.clear()
    made.run(2_000)
    made.release()
    assert (order.overlay, order.remaining, order.price) == (Overlay.NONE, D(1), D(99))


def test_o13_an_amendment_that_may_still_arrive_counts() -> None:
    """A query finds the old terms; until its request is dead (window and margin) the amendment may be made all the same."""
    made, actor, order = placed("order.modify", price="99")
    made.want(actor, Amend(order.client_order_id, D("99.5"), D(3)))
    made.refuse(-1007)
    made.run(2_000)
    assert (order.overlay, order.remaining, order.price) == (Overlay.NONE, D(1), D(99))
    assert (order.exposure, order.worst_price, order.meets) == (D(3), D("99.5"), D("99.5"))
    restored = fold(made.rows).orders[order.client_order_id]
    assert (restored.exposure, restored.late) == (D(3), order.late)
    assert list(made.engine.orders.late) == [order]
    made.run(5_500)
    assert (order.exposure, order.worst_price, order.meets, order.late) == (D(1), D(99), D(99), None)
    assert list(made.engine.orders.late) == []


@pytest.mark.parametrize("how", ["refused", "not written"])
def test_o13_failed_cancel_does_not_settle_an_amendment(how: str) -> None:
    """A cancel overtakes an amendment and comes to nothing: what the amendment asks for counts until its own fate is known."""
    made, actor, order = placed("order.modify", QUERY, price="99")
    made.want(actor, Amend(order.client_order_id, D("99.5"), D(3)))
    if how == "refused":
        made.exchange.refuses["order.cancel"] = (-1102, "no")
    else:
        made.unwritten.add("order.cancel")
    made.want(actor, Cancel(order.client_order_id))
    assert (order.overlay, order.remaining, order.worst_price) == (Overlay.AMEND_UNKNOWN, D(3), D("99.5"))
    assert fold(made.rows).orders[order.client_order_id].remaining == D(3)
    made.release()
    assert (order.quantity, order.price, order.amending_quantity) == (D(3), D("99.5"), None)


def test_o13_a_query_about_a_cancel_leaves_an_amendment_counted() -> None:
    """The query finds the old terms: the amendment may be made all the same until its request is dead."""
    made, actor, order = placed("order.modify", "order.cancel", price="99")
    made.want(actor, Amend(order.client_order_id, D("99.5"), D(3)))
    made.want(actor, Cancel(order.client_order_id))
    made.refuse(-1007)
    made.refuse(-1007)
    assert (order.overlay, order.remaining) == (Overlay.CANCEL_UNKNOWN, D(3))
    made.run(2_000)
    assert (order.quantity, order.price, order.exposure) == (D(1), D(99), D(3))
    made.run(6_000)
    assert (order.live, order.exposure) == (True, D(1))


def test_an_amendment_that_never_left_leaves_a_cancel_on_its_way() -> None:
    made, actor, order = placed("order.cancel", price="99")
    made.unwritten.add("order.modify")
    made.want(actor, Cancel(order.client_order_id))
    made.engine.orders.amendment_requested(order, D(98), D(3))
    made.engine.orders.attempt(order, Attempt.AMEND_NOT_WRITTEN)
    assert (order.overlay, order.remaining) == (Overlay.CANCEL_SENT, D(1))


@pytest.mark.parametrize("code", [-5026, -5027, -2010, -4014, -5029, -5047])
def test_o13_o39_a_refused_amendment_leaves_the_order_as_it_was(code: int) -> None:
    made, actor, order = placed("order.modify", price="99")
    made.want(actor, Amend(order.client_order_id, D(98)))
    made.refuse(code)
    assert (order.overlay, order.state, order.price) == (Overlay.NONE, S.ACCEPTED, D(99))


def test_o13_amendment_of_an_order_that_is_gone_is_queried() -> None:
    made, actor, order = placed("order.modify", price="99")
    made.want(actor, Amend(order.client_order_id, D(98)))
    made.silent = True
    made.fill(order.client_order_id, "1")
    made.silent = False
    made.refuse(-2013)
    made.run(3_000)
    assert state(order) is S.FILLED
