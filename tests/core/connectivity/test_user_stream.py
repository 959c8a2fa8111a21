"""The user-data stream: its key asked for, kept alive, replaced when it is worthless, its link rotated without a hole."""

from __future__ import annotations

import json

import pytest

from coldframe.core.connectivity.unreadable import BAD_FRAMES_PER_MINUTE
from coldframe.core.connectivity.user_stream import UserStreamLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.model.effects import CallRest, LinkKind, OpenLink
from coldframe.model.events import LinkChanged, LinkState
from coldframe.model.inputs import LinkLost, RestAnswered, TimeReached
from coldframe.model.intents import VerdictCode
from coldframe.wire.rest import Answer
from tests.core.scripted import Actor, Scripted
from tests.core.told import place

MINUTE_MS = 60_000
#: Shorter than the bot's own: a minute of a market costs as much as many keep-alives.
KEEP_ALIVE_MS = 5 * MINUTE_MS
PRIVATE = LinkKind.PRIVATE
EXPIRED = json.dumps({"e": "listenKeyExpired", "E": 1_700_000_000_000, "listenKey": "secret-listen-key"}).encode()


def world(limits: UserStreamLimits | None = None) -> tuple[Scripted, Actor]:
    actor = Actor()
    trading = OrderSideLimits(user_stream=limits or UserStreamLimits(keep_alive_ms=KEEP_ALIVE_MS))
    return Scripted(actor, trading=trading).ready(), actor


def asked(made: Scripted, method: str) -> int:
    """How often that was asked for, by either way."""
    return len(made.sent(method)) + len(made.by_rest(method))


def private_news(actor: Actor) -> list[LinkState]:
    return [effect.state for effect in actor.told(LinkChanged) if effect.link == "private"]


def shut(made: Scripted, actor: Actor) -> bool:
    """Whether new risk is refused because reports may be missing."""
    before = made.verdicts(actor).get(VerdictCode.STALE_USER_STREAM, 0)
    made.want(actor, place(quantity="0.001"))
    return made.verdicts(actor).get(VerdictCode.STALE_USER_STREAM, 0) > before


def test_listen_key_is_requested_after_log_on_and_opens_the_link() -> None:
    actor = Actor()
    made = Scripted(actor).start()
    assert [request.method for request in made.sent("session.logon") + made.sent("userDataStream.start")] == [
        "session.logon",
        "userDataStream.start",
    ]
    (link,) = [effect for effect in made.effects if isinstance(effect, OpenLink) and effect.kind is PRIVATE]
    assert link.path == "/private/ws/secret-listen-key"
    assert "secret-listen-key" not in made.said()
    assert "no room in the rate limits" not in made.said()
    assert private_news(actor) == [LinkState.UP]


def test_while_the_link_stands_no_other_key_is_asked_for() -> None:
    made, _ = world()
    assert made.engine.trading is not None
    made.engine.trading.user_stream.step(TimeReached("user:open"))
    made.beat()
    assert asked(made, "userDataStream.start") == 0
    made.holds.update(("userDataStream.start", "/fapi/v1/listenKey"))
    made.lose(PRIVATE)
    made.run(1_000)
    assert asked(made, "userDataStream.start") == 1
    made.engine.trading.user_stream.step(TimeReached("user:open"))
    made.beat()
    assert asked(made, "userDataStream.start") == 1


def test_without_room_in_the_limits_the_key_is_asked_for_later() -> None:
    made, _ = world()
    made.engine._ctx.rate_limits.ban(made.venue_ms + 20_000)
    made.lose(PRIVATE)
    made.run(10_000)
    assert asked(made, "userDataStream.start") == 0
    assert "user stream: no room in the rate limits for a listen key" in made.said()
    made.run(60_000)
    assert made.engine.trading is not None
    assert made.engine.trading.user_stream.up


def test_before_it_is_reconciled_no_new_risk_is_taken() -> None:
    actor = Actor()
    made = Scripted(actor)
    made.holds.add("/fapi/v1/openOrders")
    made.start()
    made.book("BTCUSDT", [("99", "1")], [("101", "1")])
    made.book("BTCUSDT")
    made.mark("BTCUSDT", "100")
    assert shut(made, actor)
    made.holds.clear()
    made.release()
    assert not shut(made, actor)


def test_a_key_of_an_hour_is_kept_alive_twice_in_it() -> None:
    assert UserStreamLimits().keep_alive_ms == 25 * MINUTE_MS


def test_the_key_is_kept_alive_while_it_is_answered() -> None:
    made, _ = world()
    made.run(3 * KEEP_ALIVE_MS + MINUTE_MS)
    assert len(made.sent("userDataStream.ping")) == 3
    assert len(made.sent("userDataStream.start")) == 0


def test_a_keep_alive_without_an_answer_is_tried_again_soon() -> None:
    made, _ = world()
    made.swallows.add("userDataStream.ping")
    made.run(KEEP_ALIVE_MS + 3 * MINUTE_MS)
    assert 3 <= len(made.sent("userDataStream.ping")) <= 4
    made.swallows.clear()
    made.run(5 * MINUTE_MS)
    assert len(made.sent("userDataStream.ping")) <= 5
    assert made.of_kind(PRIVATE) == ["private.1"]


def test_o8_listen_key_unknown_to_the_venue_is_replaced() -> None:
    """O8: -1125."""
    made, actor = world()
    made.exchange.refuses["userDataStream.ping"] = (-1125, "This listenKey does not exist.")
    made.exchange.listen_key = "another-key"
    made.run(KEEP_ALIVE_MS + MINUTE_MS)
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert made.links["private.2"].path.endswith("another-key")
    assert private_news(actor) == [LinkState.UP, LinkState.DOWN, LinkState.UP]
    assert not shut(made, actor)


def test_o8_an_expired_key_is_replaced_although_its_link_stands() -> None:
    made, actor = world()
    made.exchange.listen_key = "another-key"
    made.holds.add("userDataStream.start")
    made.tell(EXPIRED)
    made.beat()
    assert made.of_kind(PRIVATE) == []
    assert shut(made, actor)
    made.holds.clear()
    made.release()
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert not shut(made, actor)
    assert len(made.called("/fapi/v1/openOrders")) == 1


def test_o7_lost_user_stream_is_reopened_and_all_is_reconciled() -> None:
    """O7."""
    made, actor = world()
    made.lose(PRIVATE)
    assert shut(made, actor)
    made.run(1_000)
    assert private_news(actor) == [LinkState.UP, LinkState.DOWN, LinkState.UP]
    assert len(made.called("/fapi/v1/openOrders")) == 1
    assert not shut(made, actor)
    assert made.engine.reconnects == 1


def test_a_link_that_does_not_open_is_tried_ever_more_seldom() -> None:
    made, _ = world()
    made.unopened.add(PRIVATE)
    made.lose(PRIVATE)
    for _ in range(200):
        made.run(1_000)
        if made.of_kind(PRIVATE):
            made.lose(PRIVATE, "refused")
    opened = sum(isinstance(effect, OpenLink) and effect.kind is PRIVATE for effect in made.effects)
    assert 6 <= opened <= 14
    made.unopened.clear()
    made.run(61_000)
    assert made.of_kind(PRIVATE)


@pytest.mark.parametrize("body", [{}, {"listenKey": 5}, [], "x"])
def test_an_unreadable_key_is_no_crash_and_asked_for_again(body: object) -> None:
    made, _ = world()
    made.holds.add("userDataStream.start")
    made.lose(PRIVATE)
    made.run(1_000)
    request = made.held.pop(0)
    made.reply(request, {"status": 200, "result": body})  # type: ignore[arg-type]
    made.beat()
    made.holds.clear()
    made.run(5_000)
    assert made.of_kind(PRIVATE)


def test_a_key_that_is_not_answered_is_asked_for_again() -> None:
    made, _ = world()
    made.swallows.add("userDataStream.start")
    made.lose(PRIVATE)
    made.run(10_000)
    assert asked(made, "userDataStream.start") >= 2
    made.swallows.clear()
    made.run(10_000)
    assert made.of_kind(PRIVATE)


def test_same_listen_key_opens_no_second_link_on_session_return() -> None:
    made, actor = world()
    made.lose(LinkKind.API)
    made.run(3_000)
    assert asked(made, "userDataStream.start") == 1
    assert made.of_kind(PRIVATE) == ["private.1"]
    assert private_news(actor) == [LinkState.UP]


def test_o40_listen_key_is_renewed_by_rest_without_an_order_link() -> None:
    made, actor = world()
    made.unopened.add(LinkKind.API)
    made.lose(LinkKind.API)
    made.run(3 * KEEP_ALIVE_MS + MINUTE_MS)
    assert made.sent("userDataStream.ping") == []
    assert len(made.by_rest("userDataStream.ping")) == 3
    assert made.of_kind(PRIVATE) == ["private.1"]
    assert private_news(actor) == [LinkState.UP]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_keep_alive_that_meets_a_busy_venue_is_repeated(status: int) -> None:
    """The key may be as good as before, so that its link stays; a refusal says that it is not."""
    made, _ = world()
    made.holds.add("userDataStream.ping")
    made.run(KEEP_ALIVE_MS + 1_500)
    made.refuse(-1003, status=status)
    made.holds.clear()
    made.run(2 * MINUTE_MS)
    assert made.of_kind(PRIVATE) == ["private.1"]
    assert len(made.sent("userDataStream.ping")) == 2
    assert f"keep-alive answered with status {status}" in made.said()


@pytest.mark.parametrize("body", ["<html>Bad Gateway</html>", '{"code":-1001,"msg":"Internal error"}'])
def test_a_bad_answer_by_rest_is_no_keep_alive(body: str) -> None:
    made, _ = world()
    made.unopened.add(LinkKind.API)
    made.lose(LinkKind.API)
    made.holds.add("/fapi/v1/listenKey")
    made.run(KEEP_ALIVE_MS + MINUTE_MS)
    call = made.held.pop(0)
    assert isinstance(call, CallRest)
    made.give(RestAnswered(call.call_id, Answer(502, {}, body.encode()), made.now_ns, ""))
    made.holds.clear()
    made.run(2 * MINUTE_MS)
    assert made.of_kind(PRIVATE) == ["private.1"]
    assert len(made.by_rest("userDataStream.ping")) == 2


def test_o8_a_key_that_rest_does_not_know_is_replaced_by_rest() -> None:
    made, actor = world()
    made.unopened.add(LinkKind.API)
    made.lose(LinkKind.API)
    made.holds.add("/fapi/v1/listenKey")
    made.run(KEEP_ALIVE_MS + MINUTE_MS)
    call = made.held.pop(0)
    assert isinstance(call, CallRest)
    made.exchange.listen_key = "another-key"
    made.holds.clear()
    refusal = b'{"code":-1125,"msg":"This listenKey does not exist."}'
    made.give(RestAnswered(call.call_id, Answer(400, {}, refusal), made.now_ns, ""))
    made.run(1_000)
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert private_news(actor) == [LinkState.UP, LinkState.DOWN, LinkState.UP]
    assert len(made.by_rest("userDataStream.start")) == 1


def test_a_refused_key_is_asked_for_again() -> None:
    made, _ = world()
    made.exchange.refuses["userDataStream.start"] = (-1007, "Timeout")
    made.lose(PRIVATE)
    made.run(3_000)
    assert made.of_kind(PRIVATE) == []
    made.exchange.refuses.clear()
    made.run(10_000)
    assert made.of_kind(PRIVATE)


def test_o40_user_stream_returns_while_the_order_link_is_down() -> None:
    made, _ = world()
    made.unopened.add(LinkKind.API)
    made.lose(LinkKind.API)
    made.lose(PRIVATE)
    made.run(20_000)
    assert made.sent("userDataStream.start") == []
    assert len(made.by_rest("userDataStream.start")) == 1
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert made.engine.trading is not None
    assert made.engine.trading.reports_complete


def test_before_the_first_log_on_no_key_is_asked_for() -> None:
    made = Scripted(Actor())
    made.unopened.add(LinkKind.API)
    made.start()
    made.run(60_000)
    assert asked(made, "userDataStream.start") == 0


def test_the_link_is_rotated_without_a_hole() -> None:
    """The old link stays until its successor has stood for a while, and no reconciliation is due."""
    made, actor = world(UserStreamLimits(rotate_after_ms=10 * MINUTE_MS))
    made.run(10 * MINUTE_MS - 2_000)
    assert made.of_kind(PRIVATE) == ["private.1"]
    rounds = len(made.called("/fapi/v1/openOrders"))
    made.run(4_000)
    assert made.of_kind(PRIVATE) == ["private.1", "private.2"]
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.fill(order.client_order_id, "0.4")
    assert made.engine.runtimes.get("mm").account.holdings.fills == 1
    made.run(11_000)
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert len(made.called("/fapi/v1/openOrders")) <= rounds + 1
    assert private_news(actor) == [LinkState.UP]
    assert not shut(made, actor)


def test_failed_user_stream_rotation_is_retried_later() -> None:
    made, actor = world(UserStreamLimits(rotate_after_ms=10 * MINUTE_MS))
    made.run(10 * MINUTE_MS - 2_000)
    made.unopened.add(PRIVATE)
    for _ in range(50):
        made.run(1_000)
        if len(made.of_kind(PRIVATE)) > 1:
            made.lose(PRIVATE, "refused")
    opened = sum(isinstance(effect, OpenLink) and effect.kind is PRIVATE for effect in made.effects)
    assert opened == 1
    assert made.of_kind(PRIVATE) == ["private.1"]
    assert not shut(made, actor)
    made.unopened.clear()
    made.run(2 * MINUTE_MS)
    assert made.of_kind(PRIVATE) == ["private.3"]


def test_the_old_link_may_fall_during_a_rotation() -> None:
    made, actor = world(UserStreamLimits(rotate_after_ms=10 * MINUTE_MS))
    made.run(10 * MINUTE_MS + 2_000)
    assert len(made.of_kind(PRIVATE)) == 2
    del made.links["private.1"]
    made.give(LinkLost("private.1", "24 hours"))
    assert not shut(made, actor)
    assert private_news(actor) == [LinkState.UP]


def test_an_announced_shutdown_opens_another_link() -> None:
    made, actor = world()
    made.tell(b'{"e":"serverShutdown","E":1700000000000}')
    made.beat()
    made.run(2_000)
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert not shut(made, actor)


@pytest.mark.parametrize("frame", [b"", b"{", b"[]", b'{"e":5}', b'{"e":"ORDER_TRADE_UPDATE"}', b"\xff\xfe"])
def test_unreadable_user_event_starts_a_full_reconciliation(frame: bytes) -> None:
    made, actor = world()
    made.holds.add("/fapi/v1/openOrders")
    made.tell(frame)
    made.beat()
    assert shut(made, actor)
    made.holds.clear()
    made.release()
    assert not shut(made, actor)


def test_a_user_stream_that_brings_only_rubbish_is_opened_anew() -> None:
    made, actor = world()
    for _ in range(BAD_FRAMES_PER_MINUTE):
        made.tell(b"rubbish")
    assert made.of_kind(PRIVATE) == ["private.1"]
    made.tell(b"rubbish")
    made.tell(b"rubbish")  # nothing listens any more
    made.beat()
    assert private_news(actor)[-1] is LinkState.DOWN
    made.run(5_000)
    assert made.of_kind(PRIVATE) == ["private.2"]
    assert not shut(made, actor)
    # Whatever closes the link by itself does not close it a second time.
    for _ in range(BAD_FRAMES_PER_MINUTE + 1):
        made.tell(EXPIRED)
        made.tell(b"rubbish")
    made.run(5_000)
    assert not shut(made, actor)


def test_w11_unknown_user_event_is_counted_and_changes_nothing() -> None:
    """W11."""
    made, actor = world()
    made.tell(b'{"e":"SOMETHING_NEW","E":1,"x":[1,2]}')
    made.beat()
    assert not shut(made, actor)
    assert made.engine.trading is not None
    assert made.engine.trading.census.unknown["event SOMETHING_NEW"] == 1


def test_o23_balances_are_kept_and_what_is_no_trade_is_said() -> None:
    made, _ = world()
    change = {"m": "FUNDING_FEE", "B": [{"a": "USDT", "wb": "99.5", "cw": "99.5", "bc": "-0.5"}], "P": []}
    made.tell(json.dumps({"e": "ACCOUNT_UPDATE", "E": 1, "T": 1, "a": change}).encode())
    made.beat()
    assert made.engine.trading is not None
    assert str(made.engine.trading.account.balances["USDT"]) == "99.5"
    assert "funding: -0.5 USDT (external -0.5)" in made.said()


# -- the moments of a rotation ----------------------------------------------------------------------------------------


def rotating(*, opens: bool = True) -> tuple[Scripted, Actor]:
    """The successor of the link has just been opened, or (not `opens`) is still to open."""
    made, actor = world(UserStreamLimits(rotate_after_ms=10 * MINUTE_MS))
    made.run(10 * MINUTE_MS - 2_000)
    if not opens:
        made.unopened.add(PRIVATE)
    while len(made.of_kind(PRIVATE)) < 2:
        made.run(100)
    return made, actor


def test_the_old_link_goes_as_soon_as_the_overlap_is_over() -> None:
    made, _ = rotating()
    overlap_ms = UserStreamLimits().overlap_ms
    made.run(overlap_ms - 200)
    assert made.of_kind(PRIVATE) == ["private.1", "private.2"]
    made.run(200)
    assert made.of_kind(PRIVATE) == ["private.2"]


def test_a_successor_that_does_not_open_changes_nothing() -> None:
    made, actor = rotating(opens=False)
    made.lose(PRIVATE, "refused")
    assert made.of_kind(PRIVATE) == ["private.1"]
    assert "could not be opened" not in made.said()
    assert not shut(made, actor)


def test_a_lone_successor_that_does_not_open_is_said() -> None:
    made, actor = rotating(opens=False)
    del made.links["private.1"]
    made.give(LinkLost("private.1", "gone"))
    made.lose(PRIVATE, "refused")
    assert "user stream: could not be opened: refused; trying again" in made.said()
    assert shut(made, actor)
    made.unopened.clear()
    made.run(5_000)
    assert made.of_kind(PRIVATE) == ["private.3"]
    assert not shut(made, actor)
