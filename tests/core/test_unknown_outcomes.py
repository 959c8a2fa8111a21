"""Orders, cancels and amendments of unknown outcome: asked for, proved, repeated where that is safe, and never forgotten."""

from __future__ import annotations

from itertools import pairwise

from coldframe.core.state.orders import Order
from coldframe.enums import OrderStatus
from coldframe.model.effects import Level, LinkKind, SendRequest
from coldframe.model.events import BookChanged, BookState, OrderFilled
from coldframe.model.inputs import FramesReceived, Lane, RequestNotWritten, RequestWritten, ResumeAsked
from coldframe.model.intents import Cancel
from coldframe.model.orders import OrderState
from coldframe.wire.codes import CODES
from tests.core.ordering import QUERY, accept_quietly, placed, queries, state, states, world
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

S = OrderState


# -- unknown fates ----------------------------------------------------------------------------------------------------


def test_o1_a_timeout_of_an_accepted_order_is_resolved_by_asking() -> None:
    """O1: -1007, and the order exists."""
    made, actor, order = placed("order.place", QUERY)
    accept_quietly(made)
    made.refuse(-1007)
    assert state(order) is S.UNKNOWN
    made.run(1_000)
    made.holds.clear()
    made.release()
    assert state(order) is S.ACCEPTED
    assert len(made.sent("order.place")) == 1
    assert states(actor) == [S.SUBMITTED, S.UNKNOWN, S.ACCEPTED]


def test_o2_timed_out_order_that_never_arrived_is_proved_absent() -> None:
    """O2: not found twice, some seconds apart, dead, and not on the list of open orders asked for after that."""
    made, actor, order = placed("order.place")
    made.refuse(-1007)
    made.run(7_000)
    assert state(order) is S.UNKNOWN
    made.run(8_000)
    assert state(order) is S.NEVER_ACCEPTED
    assert states(actor)[-1] == S.NEVER_ACCEPTED
    asked = len(made.sent(QUERY))
    assert asked >= 3
    made.run(60_000)
    assert len(made.sent(QUERY)) == asked
    assert len(made.sent("order.place")) == 1


def test_o14_trade_after_an_absence_proof_suspends_the_symbol() -> None:
    made, actor, order = placed("order.place", quantity="2")
    made.refuse(-1007)
    made.run(15_000)
    assert state(order) is S.NEVER_ACCEPTED
    made.exchange.carry_out("order.place", made.sent("order.place")[0].params)
    made.fill(order.client_order_id, "1")
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 1
    assert made.engine.orders.incidents == 1
    made.want(actor, place())
    assert made.verdicts(actor)["HALTED"] == 1
    assert "is halted: no new risk there until it is resumed" in made.said()
    accepted = made.verdicts(actor)["ACCEPTED"]
    made.give(ResumeAsked())
    made.want(actor, place())
    assert made.verdicts(actor)["ACCEPTED"] == accepted + 1


def test_o2_absence_proof_takes_no_longer_than_it_must() -> None:
    """Five seconds between two answers that count, and the receive window with its margin."""
    made, _, order = placed("order.place")
    made.refuse(-1007)
    made.run(6_000)
    assert order.not_found == 2
    made.run(1_700)
    assert state(order) is S.NEVER_ACCEPTED


def test_two_quick_answers_count_as_a_single_answer() -> None:
    made, _, order = placed("order.place")
    made.refuse(-1007)
    made.run(4_500)
    assert len(made.sent(QUERY)) >= 2
    assert order.not_found == 1
    made.run(5_000)
    assert order.not_found >= 2


def test_the_pauses_between_questions_grow() -> None:
    made, _, order = placed("order.place")
    made.swallows.add(QUERY)
    made.refuse(-1007)
    times = []
    for _ in range(240):
        before = queries(made)
        made.run(250)
        times += [made.now_ns] * (queries(made) - before)
    gaps = [(later - earlier) / 1e9 for earlier, later in pairwise(times)]
    assert gaps[0] < 3
    assert 7 <= max(gaps) <= 9
    assert len(times) <= 14
    assert state(order) is S.UNKNOWN


def test_o15_a_duplicate_id_shows_that_the_order_exists() -> None:
    """O15: -4116."""
    made, _, order = placed("order.place")
    accept_quietly(made)
    made.refuse(-4116, CODES[-4116].text())
    assert state(order) is S.UNKNOWN
    made.run(1_000)
    assert state(order) is S.ACCEPTED


def test_w18_timeout_is_no_refusal_and_a_late_answer_counts() -> None:
    """W18 and W19."""
    made, _, order = placed("order.place", QUERY)
    made.run(2_300)
    assert state(order) is S.UNKNOWN
    assert order.reason == "no answer within 2000 ms"
    made.holds.clear()
    made.release()
    assert state(order) is S.ACCEPTED


def test_o14_a_forgetful_query_does_not_bury_a_living_order() -> None:
    """O14: -2013 for a while, and the order lives."""
    made, actor, order = placed("order.place")
    accept_quietly(made)
    made.exchange.refuses[QUERY] = (-2013, "Order does not exist.")
    made.refuse(-1007)
    made.run(40_000)
    assert order.live
    del made.exchange.refuses[QUERY]
    made.run(10_000)
    assert state(order) is S.ACCEPTED
    assert S.NEVER_ACCEPTED not in states(actor)


def test_list_requested_before_the_order_was_dead_proves_nothing() -> None:
    made, _, order = placed("order.place")
    made.refuse(-1007)
    made.run(3_000)
    made.holds.update(("/fapi/v1/openOrders", QUERY))
    made.lose(LinkKind.PRIVATE)
    made.run(1_000)
    assert made.held
    early = [order for order in made.held if getattr(order, "path", "") == "/fapi/v1/openOrders"]
    assert early
    made.holds.clear()
    order.not_found = 2
    made.now_ns += 9_000_000_000
    made.release(lambda held: [order for order in held if order in early])
    assert state(order) is S.UNKNOWN


def test_o3_lost_link_leaves_orders_unknown_until_queried() -> None:
    """O3."""
    made, _, order = placed("order.place")
    accept_quietly(made)
    made.lose(LinkKind.API, "reset by peer")
    assert (order.state, order.reason) == (S.UNKNOWN, "reset by peer")
    made.holds.clear()
    made.run(2_000)
    assert state(order) is S.ACCEPTED
    assert len(made.sent("order.place")) == 1


def test_an_order_that_certainly_never_left_is_denied() -> None:
    made, actor = world()
    made.unwritten.add("order.place")
    made.want(actor, place())
    assert states(actor) == [S.DENIED]
    assert list(made.engine.orders.live) == []


def revoked(made: Scripted) -> None:
    """The session ends while a request still waits to be written."""
    frame = b'{"id":null,"status":401,"error":{"code":-2015,"msg":"Invalid API-key"}}'
    made.give(FramesReceived(made.of_kind(LinkKind.API)[-1], (frame,)), Lane.PRIVATE)


def test_o32_revoked_session_leaves_orders_unknown_market_runs() -> None:
    made, actor, order = placed("order.place")
    accept_quietly(made)
    made.unopened.add(LinkKind.API)
    revoked(made)
    assert (order.state, order.reason) == (S.UNKNOWN, "session revoked")
    assert "session revoked by the venue: -2015" in made.said()
    actor.seen.clear()
    made.run(1_500)
    assert {effect.state for effect in actor.told(BookChanged)} == {BookState.SYNCED}
    made.want(actor, place(price="98"))
    assert len(made.sent("order.place")) == 1, "nothing new while it is logged off"
    made.unopened.clear()
    made.holds.clear()
    made.lose(LinkKind.API, "refused")
    made.run(30_000)
    assert state(order) is S.ACCEPTED


def test_o33_no_order_is_sent_on_a_new_link_before_its_log_on() -> None:
    made, actor = world("session.logon")
    made.lose(LinkKind.API, "reset by peer")
    made.run(3_000)
    assert made.of_kind(LinkKind.API), "the connection stands, the log-on is not answered"
    made.want(actor, place())
    assert made.sent("order.place") == []
    assert made.verdicts(actor) == {"ORDER_LINK_DOWN": 1}
    made.holds.clear()
    made.release()
    made.run(2_000)
    made.want(actor, place())
    assert len(made.sent("order.place")) == 1
    (sent,) = made.sent("order.place")
    logged_on = next(effect for effect in made.effects if isinstance(effect, SendRequest) and effect.method == "session.logon")
    assert (sent.link, made.effects.index(logged_on) < made.effects.index(sent)) == (logged_on.link, True)


def stuck() -> tuple[Scripted, Actor, Order, SendRequest]:
    """An order of unknown fate: whether its request was written is not known."""
    made, actor = world()
    made.stuck.add("order.place")
    made.want(actor, place())
    (order,) = made.engine.orders.live
    assert order.state is S.PENDING_SUBMIT
    revoked(made)
    return made, actor, order, made.sent("order.place")[0]


def test_that_an_order_never_left_may_become_known_late() -> None:
    made, actor, order, request = stuck()
    assert state(order) is S.UNKNOWN
    made.give(RequestNotWritten(request.link, request.request_id, "the link ended before it was written"))
    assert state(order) is S.DENIED
    assert states(actor) == [S.UNKNOWN, S.DENIED]


def test_late_notice_of_writing_sets_the_sent_time() -> None:
    made, _, order, request = stuck()
    stamped_ms = made.venue_ms + 3_000
    made.give(RequestWritten(request.link, request.request_id, stamped_ms))
    assert (state(order), order.sent_ms) == (S.UNKNOWN, stamped_ms)


def test_order_with_unknown_writing_is_resolved_all_the_same() -> None:
    made, _, order, _ = stuck()
    made.run(40_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_order_is_dead_only_after_its_receive_window_and_margin() -> None:
    made, _, order = placed("order.place")
    made.refuse(-1007)
    assert order.sent_ms == made.venue_ms
    assert not made.engine.trading.executor.proof.dead(order, made.venue_ms + 7_000)  # type: ignore[union-attr]
    assert made.engine.trading.executor.proof.dead(order, made.venue_ms + 9_000)  # type: ignore[union-attr]


def test_unresolvable_order_needs_an_operator_and_still_counts() -> None:
    made, actor, order = placed("order.place", quantity="3")
    made.swallows.add(QUERY)
    made.refuse(-1007)
    made.run(610_000)
    assert state(order) is S.NEEDS_OPERATOR
    assert order.remaining == 3
    assert any(line.level is Level.ERROR and "manual check needed" in line.text for line in made.log)
    made.want(actor, place())
    assert made.verdicts(actor)["HALTED"] == 1
    made.swallows.clear()
    made.run(70_000)
    assert state(order) is S.NEVER_ACCEPTED


def test_an_answer_that_cannot_be_read_is_none() -> None:
    made, _, order = placed("order.place")
    request = made.held.pop()
    made.reply(request, {"status": 200, "result": {"orderId": "?"}})  # type: ignore[arg-type]
    made.run(0)
    made.beat()
    assert state(order) is S.UNKNOWN


def test_a_resting_order_that_is_gone_is_found_out() -> None:
    """Its end was reported while the stream was silent."""
    made, actor, order = placed()
    made.silent = True
    venue = made.exchange.orders[order.client_order_id]
    venue.end(OrderStatus.CANCELED)
    made.silent = False
    made.run(40_000)
    assert states(actor)[-1] == S.CANCELED


def test_o35_a_resting_order_that_the_venue_cannot_find_is_alive() -> None:
    made, _actor, order = placed()
    made.exchange.orders.clear()
    made.run(29_000)
    assert state(order) is S.ACCEPTED
    made.run(30_000)
    assert state(order) is S.NEEDS_OPERATOR
    assert order.reason == "acknowledged, and not to be found at the venue"
    assert order.exposure == 1


def test_o7_a_fill_that_was_not_reported_is_recovered() -> None:
    """O7 and N10."""
    made, actor, order = placed()
    made.silent = True
    made.fill(order.client_order_id, "0.4")
    made.silent = False
    made.run(35_000)
    assert (order.state, order.filled) == (S.PARTIALLY_FILLED, D("0.4"))
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D("0.4")]
    assert "recovered" in made.said()


def test_all_fills_of_a_never_acknowledged_order_are_recovered() -> None:
    """Rows of a query name the venue's id alone, and they must not be stepped over while that is unknown."""
    made, _, order = placed("order.place", QUERY)
    accept_quietly(made)
    for part in ("0.1", "0.2", "0.7"):
        made.fill(order.client_order_id, part)
    made.swallows.add("/fapi/v1/order")
    made.refuse(-1007)
    made.silent = False
    made.lose(LinkKind.PRIVATE)
    made.run(3_000)
    assert order.filled == 0
    made.holds.clear()
    made.release()
    made.run(5_000)
    assert (order.state, order.filled, order.fills_missing) == (S.FILLED, D(1), False)


def test_a_fill_left_out_between_two_others_is_recovered() -> None:
    made, actor, order = placed()
    made.fill(order.client_order_id, "0.1")
    made.silent = True
    made.fill(order.client_order_id, "0.2")
    made.silent = False
    made.fill(order.client_order_id, "0.3")
    assert order.fills_missing
    made.run(2_000)
    assert (order.filled, order.fills_missing) == (D("0.6"), False)
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == D("0.6")
    assert len(actor.told(OrderFilled)) == 3


def test_fills_are_asked_for_until_they_have_come() -> None:
    """The order has ended, the position is flat again: nothing else would ever look."""
    made, actor, order = placed()
    made.silent = True
    made.fill(order.client_order_id, "1")
    made.swallows.add("/fapi/v1/userTrades")
    made.want(actor, Cancel(order.client_order_id))
    made.run(60_000)
    assert (order.state, order.filled) == (S.FILLED, D(0))
    made.swallows.clear()
    made.run(7_000)
    assert order.filled == 1
    asked = [call for call in made.called("/fapi/v1/userTrades") if "orderId" in call.params]
    assert 5 <= len(asked) <= 15
