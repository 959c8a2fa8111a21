"""Strategies in the engine: each told its own, judged by one verdict per intent, muted when they raise while the others go on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from coldframe.core.state.limits import RiskLimits
from coldframe.core.strategies.runtime import INTENTS_PER_CALL, MOST_WAKES, OnError
from coldframe.enums import Side
from coldframe.model.effects import CallRest, Finish, Level, LinkKind, SendRequest
from coldframe.model.events import (
    BookChanged,
    BookState,
    LinkChanged,
    OrderChanged,
    OrderFilled,
    Started,
    Stopped,
    Woken,
)
from coldframe.model.intents import Amend, Cancel, CancelAll, Intent, Place, Quote, Quotes, Target, VerdictCode, WakeMe
from coldframe.model.orders import OrderState
from coldframe.wire.codec import Census, decode
from coldframe.wire.streams import ContractInfo
from tests.core.addingup import profit_of
from tests.core.scripted import Actor, Scripted
from tests.core.strategies.test_intent_validation import GARBAGE
from tests.core.told import D, place

V, S = VerdictCode, OrderState


def boom(*_: object) -> object:
    raise ZeroDivisionError("boom")


def pair(**first: Any) -> tuple[Scripted, Actor, Actor]:
    """Two strategies on the same contract."""
    mine, other = Actor("one", **first), Actor("other")
    return Scripted(mine, other).ready(), mine, other


# -- telling ----------------------------------------------------------------------------------------------------------


def test_strategy_is_told_of_start_links_books_and_end() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.stop("signal")
    kinds = [type(event) for event in actor.seen]
    assert kinds[0] is Started
    assert kinds[-1] is Stopped
    assert {BookChanged, LinkChanged} <= set(kinds)
    assert [effect.reason for effect in actor.told(Stopped)] == ["signal"]
    times = [event.at_ns for event in actor.seen]
    assert times == sorted(times)


def test_only_hooks_that_a_strategy_has_are_called() -> None:
    actor = Actor(hooks=frozenset({"on_mark"}))
    made = Scripted(actor).ready()
    made.run(3_000)
    assert {type(event).__name__ for event in actor.seen} == {"MarkPriceChanged"}
    assert made.engine.strategies.dispatched == len(actor.seen)


def test_news_of_a_symbol_go_to_those_who_trade_it() -> None:
    btc, eth = Actor("btc"), Actor("eth", ("ETHUSDT",))
    made = Scripted(btc, eth, symbols=("BTCUSDT", "ETHUSDT")).ready()
    made.run(2_000)
    for actor in (btc, eth):
        assert {event.symbol for event in actor.seen if hasattr(event, "symbol")} == set(actor.symbols)


def test_news_of_an_order_go_to_its_own_strategy() -> None:
    made, mine, other = pair()
    made.want(mine, place())
    (order,) = made.engine.orders.live
    made.fill(order.client_order_id, "1")
    assert [type(event) for event in mine.seen[-4:]] == [OrderChanged, OrderChanged, OrderFilled, OrderChanged]
    assert not other.told(OrderChanged)
    assert not other.told(OrderFilled)


def test_a_strategy_is_woken_with_its_own_key() -> None:
    made, mine, other = pair()
    made.want(mine, WakeMe(1_000, "a:b"), WakeMe(2_000), WakeMe(700, "c"), WakeMe(3_000, "c"))
    made.run(2_500)
    assert [event.key for event in mine.told(Woken)] == ["", "a:b", ""]
    made.run(1_000)
    assert mine.told(Woken)[-1].key == "c"
    assert other.told(Woken) == []


def test_i7_lost_book_is_reported_before_it_can_be_read() -> None:
    """I7."""
    readable: list[tuple[BookState, object]] = []

    def look(event: BookChanged, view: Any) -> None:
        readable.append((event.state, view.book("BTCUSDT").best_bid))

    made = Scripted(Actor(acts={"on_book": look})).ready()
    made.gap("BTCUSDT")
    made.book("BTCUSDT")
    made.run(1_000)
    assert (BookState.STALE, None) in readable
    assert all((price is not None) == (state is BookState.SYNCED) for state, price in readable)
    assert readable[-1][0] is BookState.SYNCED


# -- judging ----------------------------------------------------------------------------------------------------------


def test_every_intent_ends_in_exactly_one_verdict() -> None:
    made, mine, _ = pair()
    made.want(mine, place(), WakeMe(5), CancelAll(), Quotes("BTCUSDT"), Target("BTCUSDT", D(0)), None, "rubbish")
    runtime = made.engine.runtimes.get("one")
    assert runtime.intents == sum(runtime.verdicts.values()) == 7
    assert runtime.verdicts == {"ACCEPTED": 5, "MALFORMED": 2}


KINDS: list[Intent] = [
    place(),
    Amend("cf.one.0.1", D(1), D(1)),
    Cancel("cf.one.0.1"),
    CancelAll("BTCUSDT"),
    WakeMe(5, "x"),
    Quotes("BTCUSDT", [Quote(D(99), D(1))]),
    Target("BTCUSDT", D(1)),
]


@pytest.mark.parametrize("good", KINDS, ids=lambda mine: type(mine).__name__)
def test_s3_garbage_in_any_field_is_malformed_and_sends_nothing(good: Intent) -> None:
    """S3."""
    made, mine, other = pair()
    made.want(mine, place())
    for field in attrs.fields(type(good)):
        for garbage in GARBAGE:
            intent = attrs.evolve(good)
            object.__setattr__(intent, field.name, garbage)
            before = made.verdicts(mine).get(V.MALFORMED, 0)
            sent = made.want(mine, intent)
            if made.verdicts(mine).get(V.MALFORMED, 0) > before:
                assert not [effect for effect in sent if isinstance(effect, SendRequest)]
    assert made.verdicts(mine)[V.MALFORMED] >= 15 * len(attrs.fields(type(good)))
    assert not made.engine.runtimes.get("one").muted
    made.want(other, place())
    assert made.verdicts(other) == {"ACCEPTED": 1}


def test_o29_intents_of_a_hook_beyond_a_hundred_are_cut_off() -> None:
    """O29."""
    made, mine, _ = pair()
    made.want(mine, *(WakeMe(1_000, str(number)) for number in range(10_000)))
    assert made.verdicts(mine) == {"ACCEPTED": INTENTS_PER_CALL, "MALFORMED": 10_000 - INTENTS_PER_CALL}


def test_o29_a_hundred_intents_at_once_are_not_too_many() -> None:
    made, mine, _ = pair()
    made.want(mine, *(WakeMe(1_000, str(number)) for number in range(INTENTS_PER_CALL)))
    assert made.verdicts(mine) == {"ACCEPTED": INTENTS_PER_CALL}
    assert "intents at once" not in made.said()


def test_only_orders_that_went_out_are_counted() -> None:
    made, mine, other = pair()
    made.want(mine, place(), place(symbol="ETHUSDT"), place(quantity="2"))
    assert made.verdicts(mine) == {"ACCEPTED": 2, "SYMBOL_NOT_ALLOWED": 1}
    assert (made.engine.runtimes.get("one").orders, made.engine.runtimes.get("other").orders) == (2, 0)
    made.want(other, place(symbol="ETHUSDT"))
    assert made.engine.runtimes.get("other").orders == 0


def test_s3_wake_ups_that_are_waited_for_have_a_bound() -> None:
    made, mine, other = pair()
    for start in range(0, MOST_WAKES, INTENTS_PER_CALL):
        made.want(mine, *(WakeMe(500, str(start + number)) for number in range(INTENTS_PER_CALL)))
    made.want(mine, WakeMe(500, "beyond"))
    assert made.verdicts(mine) == {"ACCEPTED": MOST_WAKES, "MALFORMED": 1}
    made.want(mine, WakeMe(500, "7"))
    made.want(other, WakeMe(500, "beyond"))
    assert made.verdicts(mine) == {"ACCEPTED": MOST_WAKES + 1, "MALFORMED": 1}
    assert made.verdicts(other) == {"ACCEPTED": 1}
    made.run(600)
    assert made.engine.runtimes.get("one").wakes == set()
    made.want(mine, WakeMe(500, "beyond"))
    assert made.verdicts(mine)["ACCEPTED"] == MOST_WAKES + 2


@pytest.mark.parametrize("after_ms", [0, 1, 2])
def test_time_passes_between_two_wake_ups(after_ms: int) -> None:
    actor = Actor(acts={"on_wake": lambda *_: WakeMe(after_ms)})
    made = Scripted(actor).ready()
    actor.seen.clear()
    made.wake(actor)
    made.run(100)
    assert len(actor.told(Woken)) == 1 + 100 // max(after_ms, 1)


def test_intent_on_every_event_does_not_hang_the_engine() -> None:
    actor = Actor(acts={"on_order": lambda *_: place(quantity="0.001"), "on_wake": lambda *_: WakeMe(0)})
    made = Scripted(actor).ready()
    made.want(actor, place(quantity="0.001"))
    made.exchange.refuses["order.place"] = (-2019, "Margin is insufficient.")
    made.run(100)
    assert len(made.sent("order.place")) <= 300
    assert made.engine.limit_peaks[1] <= 300


def test_order_intents_are_refused_without_orders_but_wake_works() -> None:
    actor = Actor()
    made = Scripted(actor, orders_on=False).ready()
    made.want(actor, place(), Cancel("x"), CancelAll(), Quotes("BTCUSDT"), Target("BTCUSDT", D(1)), WakeMe(10))
    assert made.verdicts(actor) == {"ORDERS_OFF": 5, "ACCEPTED": 1}
    assert {type(effect) for effect in made.effects if isinstance(effect, SendRequest | CallRest)} == set()
    made.stop()
    assert isinstance(made.ended, Finish)


def test_s11_another_symbol_is_refused_for_every_intent() -> None:
    """S11."""
    actor = Actor(symbols=("BTCUSDT",))
    made = Scripted(actor, symbols=("BTCUSDT", "ETHUSDT")).ready()
    made.want(actor, place(symbol="ETHUSDT"), Quotes("ETHUSDT", [Quote(D(99), D(1))]), Target("ETHUSDT", D(1)))
    assert made.verdicts(actor) == {"SYMBOL_NOT_ALLOWED": 3}
    actor = Actor(symbols=("BTCUSDT", "XYZUSDT"))
    made = Scripted(actor).ready()
    made.want(actor, Target("XYZUSDT", D(1)), place(symbol="XYZUSDT"))
    assert made.verdicts(actor) == {"UNKNOWN_SYMBOL": 2}


# -- overlays ---------------------------------------------------------------------------------------------------------


def test_overlay_may_refuse_new_risk_and_is_not_asked_on_cancels() -> None:
    made, mine, other = pair()
    asked: list[Intent] = []

    def refuse(intent: Intent) -> str:
        asked.append(intent)
        return "not today"

    made.want(mine, place())
    (order,) = made.engine.orders.live
    mine.reviews = refuse
    made.want(
        mine,
        place(),
        Amend(order.client_order_id, D(98)),
        Quotes("BTCUSDT", [Quote(D(99), D(1))]),
        Target("BTCUSDT", D(1)),
        WakeMe(5),
        Cancel(order.client_order_id),
        CancelAll(),
    )
    assert [type(intent) for intent in asked] == [Place, Amend, Quotes, Target]
    assert made.verdicts(mine) == {"ACCEPTED": 4, "OVERLAY": 4}
    assert len(made.sent("order.place")) == 1
    made.want(other, place())
    assert made.verdicts(other) == {"ACCEPTED": 1}


def test_an_overlay_that_raises_mutes_its_strategy_at_once() -> None:
    """What stands behind in the same list must not slip through."""
    made, mine, _other = pair()
    calls = iter([boom])

    def review(intent: Intent) -> str | None:
        next(calls, lambda: None)()
        return None

    mine.reviews = review
    made.want(mine, place(), place(), WakeMe(5))
    assert made.verdicts(mine) == {"MUTED": 3}
    assert made.sent("order.place") == []
    assert not made.engine.runtimes.get("other").muted


# -- a strategy that raises -------------------------------------------------------------------------------------------


def raising(on_error: OnError) -> tuple[Scripted, Actor, Actor]:
    """The first of two strategies has an order and a position, and raises at the next mark price."""
    made, mine, other = pair(on_error=on_error)
    made.want(mine, place(quantity="2"))
    made.want(other, place())
    (order, _) = made.engine.orders.live
    made.fill(order.client_order_id, "0.5")
    mine.acts["on_mark"] = boom
    mine.acts.pop("on_wake")
    made.mark("BTCUSDT", "100")
    return made, mine, other


@pytest.mark.parametrize("on_error", OnError)
def test_s1_raising_strategy_is_suspended_and_orders_cancelled(on_error: OnError) -> None:
    """S1."""
    made, mine, other = raising(on_error)
    runtime = made.engine.runtimes.get("one")
    assert runtime.muted
    assert not list(made.engine.orders.of("one")) or on_error is OnError.FLATTEN
    assert any(entry.level is Level.ERROR and "strategy one muted: on_mark: boom" in entry.text for entry in made.log)
    heard = len(mine.seen)
    made.run(2_000)
    assert len(mine.seen) == heard
    if on_error is not OnError.HALT:
        assert not made.engine.runtimes.get("other").muted
        assert list(made.engine.orders.of("other"))
        assert other.seen[-1].at_ns > mine.seen[-1].at_ns


def test_quarantine_leaves_the_position() -> None:
    made, _, _ = raising(OnError.QUARANTINE)
    made.run(5_000)
    assert made.engine.runtimes.get("one").account.holdings.net("BTCUSDT") == D("0.5")


def test_flatten_brings_the_position_to_zero() -> None:
    made, _, _other = raising(OnError.FLATTEN)
    made.run(2_000)
    assert made.engine.runtimes.get("one").account.holdings.net("BTCUSDT") == 0
    assert made.engine.runtimes.get("other").account.holdings.net("BTCUSDT") == 0
    assert list(made.engine.orders.of("other"))


def test_flatten_survives_the_loss_of_a_book_and_the_drawdown() -> None:
    mine = Actor("one", on_error=OnError.FLATTEN)
    made = Scripted(mine, risk=RiskLimits(max_drawdown=D(1))).ready()
    made.want(mine, place(quantity="2"))
    (order,) = made.engine.orders.live
    made.fill(order.client_order_id, "2")
    mine.acts = {"on_trade": boom, "on_mark": boom}
    made.gap("BTCUSDT")
    made.holds.add("/fapi/v1/depth")
    made.book("BTCUSDT")
    made.mark("BTCUSDT", "90")
    made.run(1_500)
    assert made.engine.state.trading.account is not None
    assert made.engine.runtimes.get("one").account.holdings.net("BTCUSDT") == 2
    made.holds.clear()
    made.release()
    made.run(3_000)
    assert made.engine.runtimes.get("one").account.holdings.net("BTCUSDT") == 0


def test_flatten_closes_what_a_pending_order_fills_afterwards() -> None:
    made, mine, _ = pair(on_error=OnError.FLATTEN)
    made.holds.add("order.place")
    made.want(mine, place(quantity="2"))
    (order,) = made.engine.orders.live
    mine.acts = {"on_mark": boom}
    made.mark("BTCUSDT", "100")
    made.holds.clear()
    made.holds.add("order.cancel")
    made.release()
    made.fill(order.client_order_id, "2")
    made.holds.clear()
    made.run(3_000)
    assert made.engine.runtimes.get("one").account.holdings.fills == 2
    assert made.engine.runtimes.get("one").account.holdings.net("BTCUSDT") == 0


def test_halt_ends_the_run() -> None:
    made, _, _ = raising(OnError.HALT)
    made.run(1_000)
    assert isinstance(made.ended, Finish)
    assert made.ended.reason == "halt: strategy one: on_mark: boom"
    assert list(made.engine.orders.live) == []


def test_orders_of_a_suspended_strategy_are_cancelled_at_last() -> None:
    """An order is on its way when the strategy raises, and then the order link is down."""
    made, mine, _ = pair()
    made.want(mine, place())
    made.holds.add("order.place")
    made.want(mine, place())
    mine.acts = {"on_mark": boom}
    made.unopened.add(LinkKind.API)
    made.exchange.refuses["/fapi/v1/order"] = (-1001, "Internal error")
    made.lose(LinkKind.API)
    made.mark("BTCUSDT", "100")
    assert made.engine.runtimes.get("one").muted
    assert len(list(made.engine.orders.of("one"))) == 2
    made.run(20_000)
    made.exchange.carry_out("order.place", made.sent("order.place")[-1].params)
    made.unopened.clear()
    made.exchange.refuses.clear()
    made.lose(LinkKind.API, "refused")
    made.run(40_000)
    assert list(made.engine.orders.of("one")) == []
    assert {order.status.value for order in made.exchange.orders.values()} == {"CANCELED"}


@pytest.mark.parametrize("hook", ["on_start", "on_book", "on_mark", "on_link", "on_order", "on_fill", "on_wake", "on_stop"])
def test_s1_i13_whichever_hook_raises_the_others_do_not_notice(hook: str) -> None:
    """I13."""

    def life(acts: dict[str, Callable[..., object]]) -> tuple[list[Any], Scripted]:
        mine, other = Actor("one", acts=dict(acts)), Actor("other")
        made = Scripted(mine, other).ready()
        made.want(mine, place())
        mine.acts |= acts
        made.wake(mine)
        made.want(other, place())
        for order in list(made.engine.orders.live):
            made.fill(order.client_order_id, "1")
        made.run(500)
        made.stop()
        made.run(1_000)
        quiet = [event for event in other.seen if not isinstance(event, OrderChanged | OrderFilled)]
        return quiet, made

    undisturbed, _ = life({})
    disturbed, made = life({hook: boom})
    assert disturbed == undisturbed
    assert made.engine.runtimes.get("one").muted
    assert isinstance(made.ended, Finish)


# -- the contract and the account -------------------------------------------------------------------------------------


def contract(status: str) -> ContractInfo:
    body = f'{{"e":"contractInfo","E":1,"s":"BTCUSDT","ps":"BTCUSDT","ct":"PERPETUAL","dt":1,"ot":1,"cs":"{status}"}}'
    return decode(ContractInfo, body.encode(), Census())


def test_b10_contract_leaving_trading_cancels_and_refuses_orders() -> None:
    """B10."""
    mine = Actor("one")
    made = Scripted(mine, channels=("depth@100ms", "markPrice@1s", "!contractInfo")).ready()
    made.want(mine, place(), Quotes("BTCUSDT", [Quote(D(99), D(1))]))
    assert len(list(made.engine.orders.live)) == 2
    made.say("!contractInfo", contract("SETTLING"))
    assert list(made.engine.orders.live) == []
    made.want(mine, place(), Quotes("BTCUSDT", [Quote(D(99), D(1))]))
    assert made.verdicts(mine)["NOT_TRADING"] == 2
    made.say("!contractInfo", contract("TRADING"))
    made.want(mine, place())
    assert len(list(made.engine.orders.live)) == 1


def test_a_drawdown_ends_new_risk_for_the_whole_run() -> None:
    mine = Actor("one")
    made = Scripted(mine, risk=RiskLimits(max_drawdown=D(10))).ready()
    made.want(mine, place(quantity="2"))
    (order,) = made.engine.orders.live
    made.fill(order.client_order_id, "2")
    made.mark("BTCUSDT", "104")
    made.run(300, alive=False)
    made.mark("BTCUSDT", "99.1")
    made.run(300, alive=False)
    assert made.engine.state.trading.account is None
    made.mark("BTCUSDT", "98.9")
    made.run(300, alive=False)
    verdict = made.engine.state.trading.account
    assert verdict is not None
    assert (verdict.code, verdict.value, verdict.limit) == (V.DRAWDOWN, D("10.2"), D(10))
    assert profit_of(made.engine.accounts["one"], made.engine.state.prices) == D("-2.2") - D("0.02")
    made.mark("BTCUSDT", "120")
    made.want(mine, place(quantity="0.1"), place(Side.SELL, "1"))
    assert made.verdicts(mine) == {"ACCEPTED": 2, "DRAWDOWN": 1}


def test_b9_a_mark_price_of_zero_is_none() -> None:
    """B9: printed before the first trade of a contract; a price divided by it would end the run."""
    mine = Actor("one")
    made = Scripted(mine, risk=RiskLimits(price_collar_pct=D(5)))
    made.start()
    for _ in range(2):
        made.book("BTCUSDT", [("99", "1")], [("101", "1")])
    made.mark("BTCUSDT", "0.00000000")
    made.run(300, alive=False)
    made.book("BTCUSDT")
    made.want(mine, place())
    assert made.verdicts(mine) == {"NO_MARK_PRICE": 1}
    made.mark("BTCUSDT", "100")
    made.want(mine, place())
    assert made.verdicts(mine)["ACCEPTED"] == 1
