"""The whole engine: how it starts, keeps its links and clock, survives the venue, and ends without an open order."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.model.effects import (
    CallRest,
    CloseLink,
    Fail,
    Finish,
    LinkKind,
    OpenLink,
    SendControl,
    SendRequest,
    ShiftClock,
    WakeAt,
)
from coldframe.model.events import BookChanged, BookState, LinkChanged, LinkState, Stopped
from coldframe.model.inputs import (
    FramesDropped,
    FramesReceived,
    Lane,
    LinkLost,
    LinkOpened,
    RequestNotWritten,
    RequestWritten,
    RestAnswered,
    TimeReached,
)
from coldframe.model.intents import Cancel, CancelAll, Quote, Quotes, Target
from coldframe.model.orders import OrderState
from coldframe.wire.rest import Answer
from tests.core.made import START_NS
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

API, MARKET, PRIVATE = LinkKind.API, LinkKind.MARKET, LinkKind.PRIVATE
BOTH = Quotes("BTCUSDT", [Quote(D("99.5"), D(1))], [Quote(D("100.5"), D(1))])


def world(*actors: Actor, **setup: Any) -> tuple[Scripted, Actor]:
    actor = actors[0] if actors else Actor()
    return Scripted(*(actors or (actor,)), **setup).ready(), actor


# -- the beginning ----------------------------------------------------------------------------------------------------


def test_it_opens_its_links_asks_for_the_time_and_logs_on() -> None:
    made = Scripted(Actor())
    made.unopened.update(LinkKind)
    made.start()
    assert [(effect.kind, effect.path) for effect in made.effects if isinstance(effect, OpenLink)] == [
        (MARKET, "/public/stream"),
        (MARKET, "/market/stream"),
        (API, ""),
    ]
    made.run(4_000, alive=False)
    assert len(made.called("/fapi/v1/time")) == 3
    made.run(301_000, alive=False)
    assert len(made.called("/fapi/v1/time")) == 4


def test_a_wrong_key_ends_the_run() -> None:
    made = Scripted(Actor())
    made.exchange.refuses["session.logon"] = (-2015, "Invalid API-key, IP, or permissions for action.")
    made.start()
    assert isinstance(made.ended, Fail)
    assert made.ended.kind == "AuthenticationRefused"
    assert "-2015 REJECTED_MBX_KEY" in made.ended.text


def test_without_orders_only_the_market_is_opened() -> None:
    made, _ = world(orders_on=False)
    assert {link.kind for link in made.links.values()} == {MARKET}
    made.run(60_000)
    assert made.sent("session.logon") == []


def test_keys_that_cannot_log_on_sign_every_request() -> None:
    made, actor = world(can_log_on=False)
    assert made.sent("session.logon") == []
    made.want(actor, place())
    assert len(made.sent("order.place")) == 1


# -- the clock --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("offset_ms", [5_000, -5_000])
def test_c1_a_clock_that_is_off_is_noticed_said_and_made_up_for(offset_ms: int) -> None:
    """C1."""
    made = Scripted(Actor())
    made.offset_ms = offset_ms
    made.start()
    made.run(4_000)
    assert ShiftClock(offset_ms) in made.effects
    assert made.engine.clock_offset_ms == offset_ms
    assert "set your clock" in made.said()


def test_a_log_on_that_is_refused_for_its_time_asks_for_the_time() -> None:
    made = Scripted(Actor())
    made.exchange.refuses["session.logon"] = (-1021, "Timestamp for this request was 1000ms ahead of the server's time.")
    made.offset_ms = -7_000
    made.start()
    assert len(made.called("/fapi/v1/time")) == 1
    assert ShiftClock(-7_000) in made.effects
    made.exchange.refuses.clear()
    made.run(2_000)
    assert made.engine.trading is not None
    assert made.engine.trading.session.ready


@pytest.mark.parametrize("body", [b"", b"{}", b'{"serverTime":"x"}', b"[]", b'{"serverTime":1.5}', b"\xff", b"[" * 5000])
def test_a_time_that_cannot_be_read_changes_nothing(body: bytes) -> None:
    made, _ = world()
    made.holds.add("/fapi/v1/time")
    made.run(3_000)
    call = made.held[0]
    assert isinstance(call, CallRest)
    made.give(RestAnswered(call.call_id, Answer(200, {}, body), made.now_ns))
    assert made.engine.clock_offset_ms == 0


# -- links that fall --------------------------------------------------------------------------------------------------


def test_n11_all_links_fall_and_everything_comes_back() -> None:
    """N11, and an order with every kind of fate on the way."""
    made, actor = world()
    made.want(actor, BOTH, place(price="98"))
    made.lose_all()
    assert {effect.state for effect in actor.told(LinkChanged)[-4:]} == {LinkState.DOWN}
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.STALE
    made.run(10_000)
    assert {link.kind for link in made.links.values()} == set(LinkKind)
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.SYNCED
    assert [order.price for order in made.engine.orders.live] == [D(98)]
    assert made.engine.reconnects == 4


def test_a_link_that_goes_up_and_down_is_told() -> None:
    made, actor = world()
    made.lose(MARKET)
    made.run(1_000)
    news = [(effect.link, effect.state) for effect in actor.told(LinkChanged) if effect.link.startswith("market")]
    assert news == [("market-1.2", LinkState.UP), ("market-1.2", LinkState.DOWN), ("market-1.3", LinkState.UP)]


def test_the_resync_of_one_book_disturbs_no_other() -> None:
    symbols = ("BTCUSDT", "ETHUSDT", "BNBUSDT")
    actor = Actor(symbols=symbols)
    made, _ = world(actor, symbols=symbols)
    made.gap("ETHUSDT")
    made.run(5_000)
    states = {symbol: [effect.state for effect in actor.told(BookChanged) if effect.symbol == symbol] for symbol in symbols}
    assert BookState.STALE in states["ETHUSDT"]
    assert states["ETHUSDT"][-1] is BookState.SYNCED
    assert set(states["BTCUSDT"]) == set(states["BNBUSDT"]) == {BookState.SYNCED}
    assert [call.params["symbol"] for call in made.called("/fapi/v1/depth")] == ["ETHUSDT"]
    assert not [effect for effect in made.effects if isinstance(effect, CloseLink)]


def test_dropped_frames_are_a_gap_in_the_books_of_their_link() -> None:
    made, actor = world(channels=("depth@100ms", "markPrice@1s", "aggTrade"))
    made.give(FramesDropped(made.of_kind(MARKET)[0], 17))
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.STALE
    made.run(1_000)
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.SYNCED
    made.give(FramesDropped(made.of_kind(MARKET)[1], 17))
    made.give(FramesDropped("gone.1", 17))
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.SYNCED
    assert "17 frames dropped" in made.said()


def test_r2_a_ban_stops_everything_until_it_ends() -> None:
    """R2: no call, no request, no connection."""
    made, actor = world()
    made.want(actor, place())
    end_ms = made.venue_ms + 120_000
    name = made.of_kind(MARKET)[0]
    del made.links[name]
    made.give(LinkLost(name, "418", banned_until_ms=end_ms))
    made.effects.clear()
    made.lose(PRIVATE)
    made.lose(API)
    (order,) = made.engine.orders.live
    made.want(actor, Cancel(order.client_order_id))
    made.run(119_000, alive=False)
    sent = [effect for effect in made.effects if isinstance(effect, SendRequest | CallRest | OpenLink | SendControl)]
    assert sent == []
    made.run(62_000)
    assert {link.kind for link in made.links.values()} == set(LinkKind)


def test_market_link_stays_closed_during_a_ban() -> None:
    made, _ = world()
    made.engine._ctx.rate_limits.ban(made.venue_ms + 60_000)
    made.lose(MARKET)
    made.run(59_000, alive=False)
    assert made.of_kind(MARKET) == []
    made.run(2_000, alive=False)
    assert len(made.of_kind(MARKET)) == 2, "both: the other one had fallen silent"


@pytest.mark.scene
def test_w1_all_links_rotate_without_a_hole_or_a_stale_moment() -> None:
    """W1, on a short day."""
    minutes = 60_000
    made, actor = world(
        feed=FeedLimits(rotate_after_ms=20 * minutes),
        trading=OrderSideLimits(session=SessionLimits(rotate_after_ms=20 * minutes)),
    )
    made.want(actor, place())
    actor.seen.clear()
    made.run(65 * minutes)
    assert {effect.state for effect in actor.told(BookChanged)} == {BookState.SYNCED}
    assert not [effect for effect in actor.told(LinkChanged) if effect.state is LinkState.DOWN]
    assert made.engine.reconnects == 0
    links = [effect.link.split(".")[0] for effect in made.effects if isinstance(effect, OpenLink)]
    assert {kind: links.count(kind) for kind in ("public-1", "market-1", "api")} == {"public-1": 3, "market-1": 3, "api": 3}
    ids = [effect.update_id for effect in actor.told(BookChanged)]
    assert ids == sorted(set(ids))
    (order,) = made.engine.orders.live
    assert order.state is OrderState.ACCEPTED


def test_an_announced_shutdown_of_a_market_link_rotates_it() -> None:
    made, actor = world()
    first = made.of_kind(MARKET)[0]
    made.give(FramesReceived(first, (b'{"event":{"e":"serverShutdown","E":1700000000000}}',)), Lane.MARKET)
    assert len(made.of_kind(MARKET)) == 3
    made.run(40_000)
    assert first not in made.links
    assert {effect.state for effect in actor.told(BookChanged)} == {BookState.SYNCED}


# -- input that fits nowhere ------------------------------------------------------------------------------------------

UNFITTING = [
    LinkOpened("absent.1"),
    LinkLost("absent.1", "gone"),
    FramesReceived("absent.1", (b"{}",)),
    FramesDropped("absent.1", 5),
    RequestWritten("absent.1", 9_999, 0),
    RequestNotWritten("absent.1", 9_999, "full"),
    RestAnswered(9_999, None, START_NS, "no answer"),
    RestAnswered(9_999, Answer(200, {}, b"\xff"), START_NS),
    TimeReached("feed:control:absent.1"),
    TimeReached("rest:queue"),
    TimeReached("stop:check"),
]


@pytest.mark.parametrize("event", UNFITTING, ids=lambda event: type(event).__name__)
@pytest.mark.parametrize("orders_on", [True, False])
def test_an_input_that_fits_nowhere_is_harmless(event: Any, orders_on: bool) -> None:
    made, actor = world(orders_on=orders_on)
    made.give(event)
    made.run(1_000)
    assert made.ended is None
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.SYNCED


@pytest.mark.parametrize("kind", LinkKind)
@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\xff\xfe",
        b"{",
        b"[" * 100_000,
        b'{"stream":"btcusdt@depth@100ms","data":{}}',
        b'{"stream":"btcusdt@depth@100ms","data":{"e":"depthUpdate"',
        b'{"stream":"absent@depth","data":[]}',
        b'{"id":1e999,"status":200,"result":{}}',
        b'{"id":null,"status":500,"error":{"code":-1000,"msg":"x"}}',
        b'{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{"s":null}}',
        b'{"e":"listenKeyExpired"}',
        json.dumps({"result": None, "id": "abc"}).encode(),
    ],
)
def test_w7_w8_w14_any_bytes_on_any_link_are_survived(kind: LinkKind, frame: bytes) -> None:
    """W8 to W14."""
    made, actor = world()
    for _ in range(30):
        names = made.of_kind(kind)
        if names:
            made.give(FramesReceived(names[0], (frame, frame)), Lane.MARKET if kind is MARKET else Lane.PRIVATE)
    made.run(70_000)
    assert made.ended is None
    assert {link.kind for link in made.links.values()} == set(LinkKind)
    assert [effect.state for effect in actor.told(BookChanged)][-1] is BookState.SYNCED
    made.want(actor, place())
    assert made.verdicts(actor) == {"ACCEPTED": 1}


# -- the end ----------------------------------------------------------------------------------------------------------


def test_a_run_without_orders_ends_at_once() -> None:
    made, actor = world()
    made.stop("duration")
    assert made.ended == Finish("duration")
    assert [effect.reason for effect in actor.told(Stopped)] == ["duration"]
    assert made.of_kind(PRIVATE) == []


def test_p10_a_stop_cancels_everything_and_ends_when_it_is_gone() -> None:
    """P10."""
    made, actor = world()
    made.want(actor, BOTH, place(price="98"))
    made.stop("signal")
    made.run(100)
    assert made.ended == Finish("signal")
    assert {order.status.value for order in made.exchange.orders.values()} == {"CANCELED"}
    assert len(made.sent("order.cancel")) == 3


def test_strategy_may_only_cancel_at_its_end() -> None:
    actor = Actor(acts={"on_stop": lambda *_: [place(), BOTH, Target("BTCUSDT", D(1)), CancelAll()]})
    made, _ = world(actor)
    made.want(actor, place(price="98"))
    made.stop()
    assert made.verdicts(actor) == {"ACCEPTED": 2, "STOPPING": 3}
    assert len(made.sent("order.place")) == 1
    made.run(100)
    assert isinstance(made.ended, Finish)


def test_after_the_stop_was_asked_for_nothing_new_is_sent() -> None:
    made, actor = world()
    actor.acts["on_mark"] = lambda *_: [place(), BOTH, Target("BTCUSDT", D(1))]
    made.want(actor, place(price="98"))
    made.holds.add("order.cancel")
    made.stop()
    made.effects.clear()
    made.run(2_000)
    assert made.sent("order.place") == []
    assert made.verdicts(actor)["STOPPING"] >= 3


def test_an_order_on_its_way_is_waited_for_and_then_cancelled() -> None:
    made, actor = world()
    made.holds.add("order.place")
    made.want(actor, place())
    made.stop()
    made.run(500)
    assert made.ended is None
    made.holds.clear()
    made.release()
    made.run(300)
    assert made.ended == Finish("signal")
    assert {order.status.value for order in made.exchange.orders.values()} == {"CANCELED"}


def test_a_fill_in_the_last_moment_is_booked() -> None:
    made, actor = world()
    made.want(actor, place())
    made.holds.add("order.cancel")
    made.stop()
    (order,) = made.engine.orders.live
    made.fill(order.client_order_id, "1")
    made.run(100)
    assert made.ended == Finish("signal")
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 1


def test_o7_fill_whose_report_was_lost_is_fetched_before_the_end() -> None:
    made, actor = world()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.silent = True
    made.fill(order.client_order_id, "1")
    made.stop()
    made.run(2_900)
    assert made.ended == Finish("signal")
    assert order.state is OrderState.FILLED
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 1


def test_fills_that_cannot_be_fetched_are_named_after_the_grace() -> None:
    made, actor = world()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    made.silent = True
    made.holds.add("/fapi/v1/userTrades")
    made.fill(order.client_order_id, "1")
    made.stop()
    made.run(2_900)
    assert (made.ended, order.state) == (None, OrderState.FILLED)
    made.run(200)
    assert made.ended == Finish("signal")
    assert "the fills of 1 orders are not known in full" in made.said()


@pytest.mark.parametrize("trouble", ["swallow", "refuse", "lose", "unwritten"])
def test_orders_that_cannot_be_ended_are_named_after_the_grace(trouble: str) -> None:
    made, actor = world()
    made.want(actor, place())
    (order,) = made.engine.orders.live
    match trouble:
        case "swallow":
            made.holds.update(("order.cancel", "order.status"))
        case "refuse":
            made.exchange.refuses["order.cancel"] = (-1102, "no")
        case "unwritten":
            made.unwritten.add("order.cancel")
        case _:
            made.unopened.add(API)
            made.exchange.refuses["/fapi/v1/order"] = (-1001, "Internal error")
            made.lose(API)
    made.stop()
    made.run(2_900)
    assert made.ended is None
    made.run(200)
    assert made.ended == Finish("signal")
    assert f"1 orders could not be brought to an end in time: {order.client_order_id}" in made.said()
    assert len(made.sent("order.cancel")) <= 5


def test_a_second_stop_ends_at_once() -> None:
    made, actor = world()
    made.want(actor, place())
    made.holds.add("order.cancel")
    made.stop()
    assert made.ended is None
    made.stop()
    assert made.ended == Finish("asked again: not waiting for open orders")


def test_a_stop_before_the_links_stand_ends_at_once() -> None:
    made = Scripted(Actor())
    made.unopened.update(LinkKind)
    made.start()
    made.stop()
    assert made.ended == Finish("signal")


# -- two runs are one -------------------------------------------------------------------------------------------------


def story(made: Scripted, actor: Actor) -> None:
    """A little of everything."""
    made.want(actor, BOTH, place(price="98"), Target("ETHUSDT", D(1)))
    made.run(1_000)
    made.fill(next(iter(made.exchange.orders)), "0.4")
    made.gap("ETHUSDT")
    made.silent = True
    for order in list(made.engine.orders.live)[:2]:
        made.fill(order.client_order_id, "0.2")
    made.silent = False
    made.lose(PRIVATE)
    made.run(3_000)
    made.lose(API)
    made.run(40_000)
    made.exchange.refuses["order.place"] = (-1007, "Timeout")
    made.want(actor, place(), place(symbol="ETHUSDT"), place(symbol="BNBUSDT"))
    made.run(20_000)
    made.lose_all()
    made.run(20_000)
    made.stop()
    made.run(5_000)


def told(made: Scripted) -> list[str]:
    return [repr(effect) for effect in made.effects if not isinstance(effect, WakeAt)]


def run_story() -> list[str]:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT", "BNBUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    story(made, actor)
    assert isinstance(made.ended, Finish)
    assert len(told(made)) > 100
    return told(made)


def test_the_same_inputs_give_the_same_effects() -> None:
    story, again = run_story(), run_story()
    assert story == again


@pytest.mark.scene
def test_the_effects_do_not_depend_on_the_hash_seed(in_another_process: Callable[[str, str], str]) -> None:
    """Promise 2: two processes with different hash seeds."""
    code = "from tests.core.test_engine import run_story\nprint('\\n'.join(run_story()))"
    assert in_another_process(code, "1") == in_another_process(code, "2") == "\n".join(run_story()) + "\n"
