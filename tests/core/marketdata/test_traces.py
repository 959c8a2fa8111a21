"""Each machine of the market side, alone, as a trace: at a moment this comes, and that goes out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.marketdata.book_sync import BookSync, RequestSnapshot, StreamLost
from coldframe.core.marketdata.links import ControlReplied, Feed, LinkEnded, StreamsLost
from coldframe.core.marketdata.market import Market, PendingSnapshot
from coldframe.core.marketdata.rotation import StreamSequence
from coldframe.core.marketdata.shards import FeedLimits, plan
from coldframe.model.effects import CallRest, CloseLink, LinkKind, Log, OpenLink, SendControl
from coldframe.model.engine_events import BookLost, BookMoved, BookReady, BookUpdate, StreamMessage
from coldframe.model.inputs import LinkLost, LinkOpened, TimeReached
from coldframe.testing import Playbook
from coldframe.wire.codec import encode
from coldframe.wire.frames import ControlReply, control_frame, envelope
from coldframe.wire.names import parse
from coldframe.wire.rest import Answer
from tests.core.made import START_NS, SYMBOL, agg_trade, delta, depth
from tests.core.trace import Alone, at, context, wake

DEPTH, TRADES = "btcusdt@depth@100ms", "btcusdt@aggTrade"
BIDS, ASKS = [("99", "1")], [("101", "1")]
#: Nothing is rotated in the middle: the chance is, and shortens the age by half of a twentieth.
LIMITS = FeedLimits(rotate_after_ms=100_000, overlap_ms=2_000)


def subscribe(request_id: int, *names: str) -> bytes:
    return control_frame("SUBSCRIBE", names, request_id)


def test_trace_of_the_feed() -> None:
    ctx = context()
    names = (parse(DEPTH),)
    feed = Feed(plan(names, LIMITS), LIMITS, ctx.chance)
    assert (
        Playbook(Alone(ctx, lambda event: feed.step(event, ctx.now_ns), "feed:check:"), ignore=(Log,))
        >> at(0, lambda: feed.start(ctx.now_ns))
        << OpenLink("public-1.1", LinkKind.MARKET, "/public/stream")
        >> at(50, LinkOpened("public-1.1"))
        << SendControl("public-1.1", subscribe(1, DEPTH))
        >> at(80, ControlReplied("public-1.1", ControlReply(1)))
        >> at(900, LinkEnded("public-1.1", "reset by peer"))
        << StreamsLost(names, "link lost: reset by peer")
        << wake("feed:open:public-1", 1_150)
        >> at(1_150, TimeReached("feed:open:public-1"))
        << OpenLink("public-1.2", LinkKind.MARKET, "/public/stream")
        >> at(1_200, LinkOpened("public-1.2"))
        << SendControl("public-1.2", subscribe(2, DEPTH))
        # Deaf: what it was asked for is not acknowledged.
        >> at(11_300, TimeReached("feed:check:"))
        << CloseLink("public-1.2", "no acknowledgement of a request")
        << StreamsLost(names, "link lost: no acknowledgement of a request")
        << wake("feed:open:public-1", 11_550)
    )


def test_trace_of_a_rotation() -> None:
    """Make before break: the successor is there, and has been heard, before the old link goes."""
    ctx = context()
    feed = Feed(plan((parse(TRADES),), LIMITS), LIMITS, ctx.chance)

    def route(link: str, number: int) -> tuple[object, ...]:
        return tuple(feed.route(link, parse(TRADES), agg_trade(number), ctx.now_ns)[0])

    assert (
        Playbook(Alone(ctx, lambda event: feed.step(event, ctx.now_ns), "feed:check:"), ignore=(Log,))
        >> at(0, lambda: feed.start(ctx.now_ns))
        << OpenLink("market-1.1", LinkKind.MARKET, "/market/stream")
        >> at(50, LinkOpened("market-1.1"))
        << SendControl("market-1.1", subscribe(1, TRADES))
        >> at(80, ControlReplied("market-1.1", ControlReply(1)))
        >> at(97_500, lambda: route("market-1.1", 1))
        << agg_trade(1)
        >> at(97_550, TimeReached("feed:check:"))
        << OpenLink("market-1.2", LinkKind.MARKET, "/market/stream")
        >> at(97_600, LinkOpened("market-1.2"))
        << SendControl("market-1.2", subscribe(2, TRADES))
        >> at(97_650, ControlReplied("market-1.2", ControlReply(2)))
        # The successor speaks first: what it says is held back until the old link has told everything before it.
        >> at(97_700, lambda: route("market-1.2", 3))
        >> at(97_710, lambda: route("market-1.1", 2))
        << agg_trade(2)
        << agg_trade(3)
        >> at(97_720, lambda: route("market-1.1", 3))
        >> at(97_730, lambda: route("market-1.2", 4))
        << agg_trade(4)
        >> at(99_650, TimeReached("feed:check:"))
        << CloseLink("market-1.1", "rotated")
    )


def test_trace_of_a_stream_over_two_links() -> None:
    sequence = StreamSequence(owner="old")
    first, second, third, fourth = (agg_trade(number) for number in range(1, 5))
    assert (
        Playbook(lambda given: [sequence.step(*given)])
        >> ("old", None, first)
        << ((first,), -1)
        >> ("new", "new", third)
        << ((), -1)
        >> ("old", "new", second)
        << ((second, third), 1)
        >> ("old", "new", third)
        << ((), -1)
        >> ("new", "new", fourth)
        << ((fourth,), -1)
    )


def test_trace_of_a_book() -> None:
    sync = BookSync(SYMBOL)
    assert (
        Playbook(sync)
        >> delta(0, 10)
        << RequestSnapshot(SYMBOL, 250)
        >> delta(10, 20, [("98", "2")])
        << RequestSnapshot(SYMBOL, 0)
        >> depth(15, BIDS, ASKS)
        << BookReady(SYMBOL)
        >> delta(20, 30)
        << BookMoved(SYMBOL)
        >> delta(35, 40)
        << BookLost(SYMBOL, "gap: event follows on 35, book is at 30")
        << RequestSnapshot
        >> StreamLost("the link fell")
    )


def test_trace_of_the_market_side() -> None:
    ctx = context()
    market = Market(ctx, RestQueue(ctx), [parse(DEPTH)], LIMITS)
    snapshot = PendingSnapshot(SYMBOL, rpi=False)
    link = "public-1.1"

    def frame(message: object) -> Callable[[], None]:
        return partial(market.take_frame, link, envelope(DEPTH, encode(message)))

    assert (
        Playbook(Alone(ctx, market.step, "feed:check:"), ignore=(Log,))
        >> at(0, market.start)
        << OpenLink(link, LinkKind.MARKET, "/public/stream")
        >> at(50, LinkOpened(link))
        << SendControl(link, subscribe(1, DEPTH))
        >> at(80, partial(market.take_frame, link, b'{"result":null,"id":1}'))
        >> at(100, frame(delta(0, 10)))
        << wake("book:diff:BTCUSDT", 350)
        >> at(350, TimeReached("book:diff:BTCUSDT"))
        << CallRest(1, "GET", "/fapi/v1/depth", {"symbol": SYMBOL, "limit": 1000})
        >> at(390, Returned(snapshot, Answer(200, {}, encode(depth(8, BIDS, ASKS))), "", START_NS))
        << BookUpdate(SYMBOL, False, BookReady(SYMBOL))
        >> at(400, frame(delta(10, 20)))
        << BookUpdate(SYMBOL, False, BookMoved(SYMBOL))
        >> at(500, LinkLost(link, "reset by peer"))
        << BookUpdate(SYMBOL, False, BookLost(SYMBOL, "link lost: reset by peer"))
        << wake("feed:open:public-1", 750)
        >> at(750, TimeReached("feed:open:public-1"))
        << OpenLink("public-1.2", LinkKind.MARKET, "/public/stream")
    )


def test_trace_of_a_plain_stream() -> None:
    """What is not a book is told as it comes, and only over the link in charge."""
    ctx = context()
    market = Market(ctx, RestQueue(ctx), [parse(TRADES)], LIMITS)
    first, second = (envelope(TRADES, encode(agg_trade(number))) for number in (1, 2))
    assert (
        Playbook(Alone(ctx, market.step, "feed:check:"), ignore=(Log,))
        >> at(0, market.start)
        << OpenLink
        >> at(50, LinkOpened("market-1.1"))
        << SendControl
        >> at(90, partial(market.take_frame, "market-1.1", first))
        << StreamMessage(parse(TRADES), agg_trade(1))
        >> at(90, partial(market.take_frame, "market-1.1", second))
        << StreamMessage(parse(TRADES), agg_trade(2))
        # Over a link that is not in charge nothing is told.
        >> at(95, partial(market.take_frame, "market-1.9", first))
    )
