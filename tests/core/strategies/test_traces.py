"""Each machine round the strategies, alone, as a trace: at a moment this comes, and that goes out."""

from __future__ import annotations

import json

from coldframe.core.connectivity.rest_queue import Returned
from coldframe.core.strategies.contract_refresh import ContractRefresh, PendingInfo
from coldframe.core.strategies.dispatch import Strategies
from coldframe.enums import OrderStatus
from coldframe.model.effects import CallRest, Log, SendRequest, Told
from coldframe.model.engine_events import (
    AccountSettingDiffers,
    AttemptEnded,
    BookLost,
    BookMoved,
    BookUpdate,
    RulesDoubted,
    StreamMessage,
)
from coldframe.model.events import BookChanged, LinkChanged, LinkState, Woken
from coldframe.model.inputs import TimeReached
from coldframe.model.intents import Quote, Quotes, WakeMe
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderEvent
from coldframe.testing import Playbook
from coldframe.wire.names import StreamName
from coldframe.wire.rest import Answer
from tests.core.made import START_NS, SYMBOL, mark_price
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place
from tests.core.trace import Alone, Like, at, row, wake

INFO = "/fapi/v1/exchangeInfo"


def now_ms(made: Scripted) -> int:
    """How long a world has run."""
    return (made.now_ns - START_NS) // 1_000_000


def rests(made: Scripted) -> None:
    """The order that is out rests at the exchange."""
    (order,) = made.engine.orders.live
    made.engine.orders.apply(order, OrderEvent.WRITTEN, made.now_ns)
    made.engine.orders.see(order, OrderStatus.NEW, D(0), made.now_ns)


def test_trace_of_the_strategies() -> None:
    """A book moves, a strategy quotes; what it wants is judged at once and carried out when desired states are compared."""
    actor = Actor()
    made = Scripted(actor).ready()
    strategies: Strategies = made.engine.strategies
    start = now_ms(made)
    bid = Quotes(SYMBOL, bids=(Quote(D("99.5"), D(1)),), asks=())
    moved = BookUpdate(SYMBOL, False, BookMoved(SYMBOL))
    wanted = [[bid], [place(price="99")], [WakeMe(50, "later")], []]
    actor.acts["on_book"] = lambda *_: wanted.pop(0)
    actor.acts["on_wake"] = lambda *_: []
    actor.seen.clear()
    assert (
        Playbook(Alone(made.engine._ctx, strategies.step), ignore=(Log,))
        >> at(start, moved)
        << row(RowKind.INTENT, "mm")
        >> at(start, strategies.compare_due)
        << Like(SendRequest, method="order.place")
        << row(RowKind.REQUEST)
        >> at(start + 5, lambda: rests(made))
        # An order of its own goes out at once.
        >> at(start + 10, moved)
        << Like(SendRequest, method="order.place")
        << row(RowKind.REQUEST)
        << row(RowKind.INTENT, "mm")
        >> at(start + 20, moved)
        << wake("wake:mm:later", start + 70)
        << row(RowKind.INTENT, "mm")
        >> at(start + 70, TimeReached("wake:mm:later"))
        >> at(start + 80, StreamMessage(StreamName.of(SYMBOL, "markPrice@1s"), mark_price("101")))
        >> at(start + 90, LinkChanged("api", START_NS, LinkState.DOWN, "reset by peer"))
        # A book that is lost takes the desired states in its symbol with it: the quote goes.
        >> at(start + 100, BookUpdate(SYMBOL, False, BookLost(SYMBOL, "gap")))
        >> at(start + 100, strategies.compare_due)
        << Like(SendRequest, method="order.cancel")
        << row(RowKind.REQUEST)
        >> at(start + 110, AccountSettingDiffers(SYMBOL))
        # The cancel has come to nothing: what is wanted there (nothing) is compared again, but not at once.
        >> at(start + 120, AttemptEnded("mm", SYMBOL, waits=True))
        >> at(start + 120, strategies.compare_due)
        << wake("settle:mm:BTCUSDT", start + 370)
    )
    assert [type(event) for event in actor.seen if isinstance(event, BookChanged | Woken)] == [
        *[BookChanged] * 3,
        Woken,
        BookChanged,
    ]


def test_trace_of_news_to_a_strategy() -> None:
    """What has become of an order is told to sinks and to its strategy, which may answer."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, place(price="99.5"))
    (order,) = made.engine.orders.live
    made.engine._ctx.take_effects()
    made.engine.reports.missing(order)
    (told, *_) = made.engine._ctx.take_events()
    made.engine._ctx.take_effects()
    actor.acts["on_order"] = lambda *_: [WakeMe(100, "look")]
    start = now_ms(made)
    assert (
        Playbook(Alone(made.engine._ctx, made.engine.strategies.step), ignore=(Log,))
        >> at(start, told)
        << Like(Told, strategy="mm")
        << wake("wake:mm:look", start + 100)
        << row(RowKind.INTENT, "mm")
    )


def test_trace_of_a_contract_refresh() -> None:
    made = Scripted(Actor()).ready()
    ctx, engine = made.engine._ctx, made.engine
    refresh = ContractRefresh(engine.state, ctx, engine._calls, engine.strategies, [SYMBOL])
    start = now_ms(made)
    nothing = Returned(PendingInfo(), Answer(200, {}, json.dumps({"symbols": []}).encode()), "", START_NS)
    ask = Like(CallRest, path=INFO)
    busy = engine._calls._pending
    assert (
        Playbook(Alone(ctx, refresh.step), ignore=(Log,))
        # A doubt is settled at the end of the step in which it came up.
        >> at(start, RulesDoubted())
        >> at(start, refresh.ask_if_doubted)
        << ask
        >> at(start + 40, lambda: busy.clear())
        # Twice: the first list may be that of before the change. It is long, so not at once.
        >> at(start + 50, nothing)
        << wake("listing:ask", start + 60_000)
        >> at(start + 60_000, TimeReached("listing:ask"))
        << ask
        >> at(start + 60_040, lambda: busy.clear())
        >> at(start + 60_050, nothing)
    )
    assert not engine.state.instruments[SYMBOL].trading
