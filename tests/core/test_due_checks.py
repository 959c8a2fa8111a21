"""Checks on those beats alone on which something is due do what checks on every beat do, at the same moments.

The oracle is the polling way: a check at every 100 ms. What a machine asks for itself must leave out nothing but idle checks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.api_session import (
    Answered,
    ApiFrame,
    Session,
    SessionEvent,
    SessionLimits,
    SessionReady,
    Unanswered,
)
from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.connectivity.request_ways import RequestWays, as_event
from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.user_stream import UserStream, UserStreamLimits
from coldframe.core.marketdata.links import Feed, FeedEffect
from coldframe.core.marketdata.shards import FeedLimits, plan
from coldframe.model.effects import CallRest, CloseLink, Effect, LinkKind, OpenLink, SendRequest, WakeAt
from coldframe.model.inputs import LinkLost, LinkOpened, RequestNotWritten, RestAnswered, TimeReached
from coldframe.units import NS_PER_MS
from coldframe.wire.account import ListenKeyExpired
from coldframe.wire.names import StreamName, parse
from coldframe.wire.rest import Answer
from tests.core.made import START_NS, delta, mark_price
from tests.core.wires import Wires

BEAT_MS: Final = 100
#: A script: so many beats pass, then that happens, with a number that chooses among what is there.
Script = list[tuple[int, str, int]]
#: Pauses: mostly short ones, and some that outlast every limit below.
BEATS: Final = st.sampled_from((0, 1, 1, 2, 3, 7, 20, 40, 99, 101, 320, 650))


def scripts(*actions: str) -> st.SearchStrategy[Script]:
    return st.lists(st.tuples(BEATS, st.sampled_from(actions), st.integers(0, 3)), min_size=1, max_size=40)


# -- when a check is asked for ----------------------------------------------------------------------------------------


def test_a_check_falls_on_the_first_beat_after_its_due_time() -> None:
    checks = DueChecks("k", BEAT_MS)
    checks.begin(7 * NS_PER_MS)
    assert checks.at(1_000 * NS_PER_MS, 7 * NS_PER_MS) == [WakeAt("k", 1_007 * NS_PER_MS)]
    assert checks.at(1_007 * NS_PER_MS, 8 * NS_PER_MS) == []
    assert checks.at(907 * NS_PER_MS, 8 * NS_PER_MS) == [WakeAt("k", 907 * NS_PER_MS)]
    assert checks.at(907 * NS_PER_MS + 1, 8 * NS_PER_MS) == []
    assert checks.at(None, 8 * NS_PER_MS) == []


def test_what_is_due_already_is_checked_at_the_next_beat() -> None:
    checks = DueChecks("k", BEAT_MS)
    checks.begin(0)
    assert checks.at(0, 100 * NS_PER_MS) == [WakeAt("k", 200 * NS_PER_MS)]
    checks.taken()
    assert checks.at(0, 200 * NS_PER_MS + 1) == [WakeAt("k", 300 * NS_PER_MS)]


# -- the links of the order side --------------------------------------------------------------------------------------

SESSION: Final = SessionLimits(answer_ms=1_000, logon_ms=3_000, rotate_after_ms=30_000, retire_ms=2_000, check_ms=BEAT_MS)
USER: Final = UserStreamLimits(keep_alive_ms=10_000, rotate_after_ms=30_000, overlap_ms=2_000, check_ms=BEAT_MS)
ORDER_ACTIONS: Final = (
    "live",
    "live",
    "live",
    "open",
    "open",
    "answer",
    "answer",
    "answer",
    "lose",
    "ask",
    "ask",
    "not written",
    "shutdown",
    "expire",
)


class OrderLinks:
    """Session and user stream as the order side puts them together, and the other end of their links."""

    def __init__(self, *, polled: bool) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.session = Session(self.ctx, can_log_on=True, limits=SESSION)
        self.calls = RestQueue(self.ctx)
        self.user = UserStream(self.ctx, RequestWays(self.ctx, self.session, self.calls), USER)
        self.polled = polled
        self.timers: dict[str, int] = {}
        self.opening: dict[str, LinkKind] = {}
        self.links: dict[str, LinkKind] = {}
        self.unanswered: list[SendRequest | CallRest] = []
        #: What was done and said, and when: all but the asking for checks.
        self.done: list[tuple[int, object]] = []
        self.checks = 0
        self.session.start()
        self.take()

    def take(self, events: Iterable[SessionEvent] = ()) -> None:
        for event in events:
            self.done.append((self.ctx.now_ns, event))
            if isinstance(event, SessionReady | Answered | Unanswered):
                self.done.append((self.ctx.now_ns, self.user.step(event)))
        for effect in self.ctx.take_effects():
            self.effect(effect)

    def effect(self, effect: Effect) -> None:
        if isinstance(effect, WakeAt):
            assert effect.at_ns > self.ctx.now_ns
            self.timers[effect.key] = effect.at_ns
            if effect.key.endswith(":check"):
                return
        match effect:
            case OpenLink(link, kind):
                self.opening[link] = kind
            case CloseLink(link):
                self.opening.pop(link, None)
                self.links.pop(link, None)
            case SendRequest() | CallRest():
                self.unanswered.append(effect)
            case _:
                pass
        self.done.append((self.ctx.now_ns, effect))

    def woken(self, key: str) -> None:
        self.checks += key.endswith(":check")
        if key.startswith("session"):
            self.take(self.session.step(TimeReached(key)))
        elif key.startswith("user"):
            self.user.step(TimeReached(key))
        else:
            self.calls.step(TimeReached(key))
        self.take()

    def pass_time(self, beats: int) -> None:
        for beat_ns in range(self.ctx.now_ns, self.ctx.now_ns + beats * BEAT_MS * NS_PER_MS, BEAT_MS * NS_PER_MS):
            end_ns = beat_ns + BEAT_MS * NS_PER_MS
            while self.timers and min(self.timers.values()) <= end_ns:
                key = min(self.timers, key=lambda key: (self.timers[key], key))
                self.ctx.now_ns = self.timers.pop(key)
                if not (self.polled and key.endswith(":check")):
                    self.woken(key)
            self.ctx.now_ns = end_ns
            for key in ("session:check", "user:check") if self.polled else ():
                self.woken(key)

    def act(self, action: str, number: int) -> None:
        links = [*self.opening, *self.links]
        match action:
            case "open" if self.opening:
                self.open(list(self.opening)[number % len(self.opening)])
            case "lose" if links:
                self.lose(links[number % len(links)])
            case "answer" if self.unanswered:
                self.answer(self.unanswered.pop(number % len(self.unanswered)))
            case "live":
                for _ in range(30 * (number + 1)):
                    for link in list(self.opening):
                        self.open(link)
                    while self.unanswered:
                        self.answer(self.unanswered.pop())
                    self.pass_time(2)
            case "ask" if self.session.ready:
                self.session.request("order.status", {}, number)
            case "not written" if self.unanswered:
                if isinstance(asked := self.unanswered[-1], SendRequest):
                    self.take(self.session.step(RequestNotWritten(asked.link, asked.request_id, "no")))
            case "shutdown" if LinkKind.API in self.links.values():
                link = next(link for link, kind in self.links.items() if kind is LinkKind.API)
                self.take(self.session.step(ApiFrame(link, b'{"event":"serverShutdown"}')))
            case "expire" if self.user.up:
                self.done.append((self.ctx.now_ns, self.user.step(ListenKeyExpired(event="listenKeyExpired", event_ms=1))))
            case _:
                pass
        self.take()

    def open(self, link: str) -> None:
        kind = self.links[link] = self.opening.pop(link)
        if kind is LinkKind.API:
            self.take(self.session.step(LinkOpened(link)))
        else:
            self.done.append((self.ctx.now_ns, self.user.step(LinkOpened(link))))
        self.take()

    def lose(self, link: str) -> None:
        kind = self.opening.pop(link, None) or self.links.pop(link)
        if kind is LinkKind.API:
            self.take(self.session.step(LinkLost(link, "gone")))
        else:
            self.done.append((self.ctx.now_ns, self.user.step(LinkLost(link, "gone"))))

    def answer(self, asked: SendRequest | CallRest) -> None:
        key = {"listenKey": "key"}
        if isinstance(asked, CallRest):
            answer = Answer(200, {}, json.dumps(key).encode())
            self.take(as_event(back) for back in self.calls.step(RestAnswered(asked.call_id, answer, self.ctx.now_ns)))
        elif asked.link in self.links:
            body = {"id": asked.request_id, "status": 200, "result": key}
            self.take(self.session.step(ApiFrame(asked.link, json.dumps(body).encode())))


def order_links(script: Script, *, polled: bool) -> OrderLinks:
    made = OrderLinks(polled=polled)
    for beats, action, number in script:
        made.pass_time(beats)
        made.act(action, number)
    made.pass_time(700)
    return made


@given(script=scripts(*ORDER_ACTIONS))
def test_the_order_links_are_checked_in_time(script: Script) -> None:
    polled, asked = order_links(script, polled=True), order_links(script, polled=False)
    assert asked.done == polled.done
    assert asked.checks <= polled.checks // 4


def test_order_links_that_stand_are_left_alone() -> None:
    made = OrderLinks(polled=False)
    for action in ("open", "answer", "answer", "open"):
        made.act(action, 0)
    made.pass_time(50)
    assert set(made.links.values()) == {LinkKind.API, LinkKind.PRIVATE}
    assert made.checks <= 2, "the answers came, so nothing is due for ten seconds"


# -- the market links -------------------------------------------------------------------------------------------------

FEED: Final = FeedLimits(
    rotate_after_ms=40_000, overlap_ms=2_000, acknowledge_ms=5_000, check_ms=BEAT_MS, streams_per_link=2, names_per_request=1
)
STREAMS: Final = [parse(f"{symbol}@{kind}") for symbol in ("btcusdt", "ethusdt") for kind in ("depth@100ms", "markPrice@1s")]
FEED_ACTIONS: Final = (
    "live",
    "live",
    "live",
    "open",
    "open",
    "acknowledge",
    "acknowledge",
    "say",
    "say",
    "say",
    "lose",
    "rotate",
    "add",
)


class MarketLinks(Wires):
    """The links of a feed, which is checked on every beat or when it asks for it."""

    def __init__(self, *, polled: bool) -> None:
        self.polled, self.checks = polled, 0
        self.done: list[tuple[int, FeedEffect]] = []
        super().__init__(Feed(plan(STREAMS[:3], FEED), FEED, lambda: 0.5))

    def do(self, effects: Iterable[FeedEffect]) -> None:
        made = list(effects)
        super().do(made)
        self.done += [(self.now_ns, effect) for effect in made if not (isinstance(effect, WakeAt) and effect.key == "feed:check:")]

    def pass_time(self, ms: int) -> None:
        for _ in range(ms // BEAT_MS):
            end_ns = self.now_ns + BEAT_MS * NS_PER_MS
            while self.timers and min(self.timers.values()) <= end_ns:
                key = min(self.timers, key=lambda key: (self.timers[key], key))
                self.now_ns = self.timers.pop(key)
                if not (self.polled and key == "feed:check:"):
                    self.woken(key)
            self.now_ns = end_ns
            if self.polled:
                self.woken("feed:check:")

    def woken(self, key: str) -> None:
        self.checks += key == "feed:check:"
        self.do(self.feed.step(TimeReached(key), self.now_ns))

    def act(self, action: str, number: int) -> None:
        waiting = [wire.id for wire in self.wires.values() if not wire.open]
        there = [wire.id for wire in self.wires.values() if wire.open]
        match action:
            case "open" if waiting:
                self.open(waiting[number % len(waiting)])
            case "lose" if self.wires:
                self.fall(list(self.wires)[number % len(self.wires)])
            case "rotate" if there:
                self.do(self.feed.rotate(there[number % len(there)], self.now_ns, "asked for"))
            case "add" if number == 3 and not any(str(STREAMS[3]) in wire.subscribed for wire in self.wires.values()):
                self.do(self.feed.add(STREAMS[3], self.now_ns))
            case "say":
                self.speak(STREAMS[number])
            case "acknowledge":
                self.acknowledge()
            case "live":
                for _ in range(30 * (number + 1)):
                    self.open_all()
                    self.acknowledge()
                    for name in STREAMS[:number]:
                        self.speak(name)
                    self.pass_time(3 * BEAT_MS)
            case _:
                pass

    def speak(self, name: StreamName) -> None:
        message = mark_price() if "markPrice" in str(name) else delta(self.now_ns, self.now_ns + 1)
        for wire in [wire for wire in self.wires.values() if wire.open and str(name) in wire.subscribed]:
            self.say(wire.id, name, message)


def market_links(script: Script, *, polled: bool) -> MarketLinks:
    made = MarketLinks(polled=polled)
    for beats, action, number in script:
        made.pass_time(beats * BEAT_MS)
        made.act(action, number)
    made.pass_time(700 * BEAT_MS)
    return made


@given(script=scripts(*FEED_ACTIONS))
def test_the_market_links_are_checked_in_time(script: Script) -> None:
    polled, asked = market_links(script, polled=True), market_links(script, polled=False)
    assert asked.done == polled.done
    assert asked.checks <= polled.checks // 4
