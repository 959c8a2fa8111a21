"""Halting in the engine: what each level forbids and does, for one strategy or all, from the start or later, and its end."""

from __future__ import annotations

import json
from typing import Any

import pytest

from coldframe.core.strategies.runtime import OnError
from coldframe.enums import PositionSide, Side
from coldframe.ids import KILL_SWITCH_COUNT, OwnId
from coldframe.model.effects import HaltTaken, SendRequest
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.model.halting import Halt, HaltLevel, gravest
from coldframe.model.inputs import EmergencyOrderAnswered, EmergencyOrderSent, HaltAsked, ResumeAsked, WeightSpent
from coldframe.model.intents import Amend, CancelAll, Quote, Quotes, Target, Verdict, VerdictCode
from coldframe.model.orders import OrderState
from coldframe.wire.rest import Answer
from tests.core.exchange import ALIVE
from tests.core.made import START_MS
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

PAUSE, CANCEL, FLATTEN = HaltLevel.PAUSE, HaltLevel.CANCEL, HaltLevel.FLATTEN
BOTH = Quotes("BTCUSDT", [Quote(D("99.5"), D(1))], [Quote(D("100.5"), D(1))])


def world(*actors: Actor, **setup: Any) -> tuple[Scripted, Actor]:
    first = actors[0] if actors else Actor()
    return Scripted(*(actors or (first,)), **setup).ready(), first


def alive(made: Scripted) -> list[str]:
    """The client order ids that are alive at the venue."""
    return [order.client_order_id for order in made.exchange.orders.values() if order.status in ALIVE]


def net(made: Scripted, strategy: str = "mm") -> object:
    return made.engine.runtimes.get(strategy).account.holdings.net("BTCUSDT")


def bought(made: Scripted, actor: Actor, quantity: str = "2") -> None:
    made.want(actor, place(Side.BUY, quantity, None))
    assert net(made, actor.id) == D(quantity)


def last_verdict(made: Scripted, actor: Actor, intent: object) -> str:
    """How an intent ends now."""
    before = made.verdicts(actor)
    made.want(actor, intent)
    after = made.verdicts(actor)
    (code,) = [code for code in after if after[code] != before.get(code, 0)]
    return code


# -- levels -----------------------------------------------------------------------------------------------------------


def test_levels_contain_the_ones_before_them() -> None:
    assert [level.rank for level in HaltLevel] == [1, 2, 3]
    assert [level.cancels for level in HaltLevel] == [False, True, True]
    assert [level.flattens for level in HaltLevel] == [False, False, True]


def test_the_gravest_halt_holds() -> None:
    halts = [Halt(PAUSE), Halt(FLATTEN, "a"), Halt(CANCEL, "b")]
    assert [gravest(halts, name) for name in "abc"] == [halts[1], halts[2], halts[0]]
    assert gravest([], "a") is None


def test_a_pause_refuses_risk_leaves_orders_and_lets_reduce() -> None:
    made, actor = world()
    bought(made, actor)
    made.want(actor, place(Side.BUY, "1", "95"))
    made.want(actor, BOTH)
    resting = alive(made)
    assert len(resting) == 3
    made.give(HaltAsked(PAUSE, None, "lunch"))
    # What stood to keep a desired state true has gone with it; the order that was placed by itself stays.
    assert alive(made) == resting[:1]
    assert last_verdict(made, actor, place(Side.BUY, "1", "95")) == "HALTED"
    assert last_verdict(made, actor, Quotes("BTCUSDT", BOTH.bids)) == "HALTED"
    assert last_verdict(made, actor, Target("BTCUSDT", D(3))) == "HALTED"
    assert last_verdict(made, actor, Target("BTCUSDT", D(-1))) == "HALTED"
    assert last_verdict(made, actor, Amend(resting[0], quantity=D(2))) == "HALTED"
    assert last_verdict(made, actor, place(Side.SELL, "1", None)) == "ACCEPTED"
    assert net(made) == D(1)
    assert last_verdict(made, actor, Target("BTCUSDT", D(0))) == "ACCEPTED"
    made.run(2_000)
    assert net(made) == 0
    assert last_verdict(made, actor, CancelAll()) == "ACCEPTED"
    assert alive(made) == []


def test_halted_strategy_sees_why_its_trading_is_not_allowed() -> None:
    seen: list[bool] = []
    actor = Actor(acts={"on_mark": lambda event, view: seen.append(view.trading_allowed(event.symbol))})
    made, _ = world(actor)
    made.beat()
    made.give(HaltAsked(PAUSE, "mm", "a fat finger"))
    made.beat()
    assert seen[-2:] == [True, False]
    held = made.engine.state.trading.by_kill_switch("mm")
    assert held is not None
    assert held.verdict.text == "halted (pause, strategy mm): a fat finger"
    made.give(ResumeAsked("mm"))
    made.beat()
    assert seen[-1]


def test_a_cancel_takes_all_orders_away_also_one_in_flight() -> None:
    made, actor = world()
    made.want(actor, place(Side.BUY, "1", "95"))
    made.holds.add("order.place")
    made.want(actor, place(Side.BUY, "1", "94"))
    made.give(HaltAsked(CANCEL, None, ""))
    made.holds.clear()
    made.release()
    made.run(3_000)
    assert alive(made) == []
    assert list(made.engine.orders.live) == []
    assert made.exchange.trades == []


def test_flatten_uses_reduce_only_orders_after_all_cancels() -> None:
    made, actor = world()
    bought(made, actor)
    made.want(actor, place(Side.SELL, "1", "105"))
    made.effects.clear()
    made.give(HaltAsked(FLATTEN, None, "enough"))
    made.run(1_000)
    assert net(made) == 0
    assert alive(made) == []
    requests = [effect for effect in made.effects if isinstance(effect, SendRequest)]
    assert [request.method for request in requests][:2] == ["order.cancel", "order.place"]
    assert len(made.sent("order.place")) == 1
    assert requests[1].params["reduceOnly"] == "true"
    assert D(str(requests[1].params["quantity"])) == 2
    for intent in (place(Side.BUY, "1", "95"), place(Side.SELL, "1", None), BOTH, Target("BTCUSDT", D(0))):
        assert last_verdict(made, actor, intent) == "HALTED"


def test_flatten_survives_cancel_all_and_a_lost_book() -> None:
    made, actor = world()
    bought(made, actor)
    made.holds.add("order.place")
    made.give(HaltAsked(FLATTEN))
    made.want(actor, CancelAll())
    made.refuse(-2019, "Margin is insufficient.")
    made.gap("BTCUSDT")
    made.holds.clear()
    made.run(5_000)
    assert net(made) == 0


def test_opposed_strategies_are_flattened_without_reduce_only() -> None:
    long, short = Actor("long"), Actor("short")
    made, _ = world(long, short)
    bought(made, long, "3")
    made.want(short, place(Side.SELL, "1", None))
    made.effects.clear()
    made.give(HaltAsked(FLATTEN))
    made.run(1_000)
    assert (net(made, "long"), net(made, "short")) == (0, 0)
    # The venue sees 2 long: selling 3 would turn that position over.
    assert "reduceOnly" not in made.sent("order.place")[0].params or made.sent("order.place")[0].params["reduceOnly"] == "false"
    assert sum(order.side.sign * D(trade.quantity) for order, trade in made.exchange.trades) == 0


def test_a_fill_that_comes_after_the_flatten_is_flattened_too() -> None:
    made, actor = world()
    made.want(actor, place(Side.BUY, "1", "95"))
    (name,) = alive(made)
    made.holds.add("order.cancel")
    made.give(HaltAsked(FLATTEN))
    made.fill(name, "1", "95")
    made.holds.clear()
    made.release()
    made.run(2_000)
    assert net(made) == 0


# -- whom -------------------------------------------------------------------------------------------------------------


def test_one_strategy_is_halted_and_the_other_trades_on() -> None:
    mine, other = Actor("one"), Actor("other")
    made, _ = world(mine, other)
    for actor in (mine, other):
        made.want(actor, place(Side.BUY, "1", "95"))
    made.give(HaltAsked(CANCEL, "one", "its own fault"))
    made.run(500)
    assert [name.split(".")[1] for name in alive(made)] == ["other"]
    assert last_verdict(made, mine, place(Side.BUY, "1", "95")) == "HALTED"
    assert last_verdict(made, other, place(Side.BUY, "1", "94")) == "ACCEPTED"


def test_a_halt_of_all_outlives_the_end_of_the_halt_of_one() -> None:
    mine, other = Actor("one"), Actor("other")
    made, _ = world(mine, other)
    made.give(HaltAsked(PAUSE))
    made.give(HaltAsked(FLATTEN, "one"))
    made.give(ResumeAsked("one"))
    assert last_verdict(made, mine, place(Side.BUY, "1", "95")) == "HALTED"
    made.give(ResumeAsked(None))
    for actor in (mine, other):
        assert last_verdict(made, actor, place(Side.BUY, "1", "95")) == "ACCEPTED"


def test_after_a_resumption_only_new_desired_states_count() -> None:
    made, actor = world()
    made.want(actor, BOTH)
    made.give(HaltAsked(FLATTEN))
    made.give(ResumeAsked())
    made.run(2_000)
    assert alive(made) == []
    assert last_verdict(made, actor, BOTH) == "ACCEPTED"
    assert len(alive(made)) == 2


def test_each_halt_and_resumption_is_confirmed_by_its_number() -> None:
    made, _ = world()
    assert HaltTaken(7) in made.give(HaltAsked(PAUSE, None, "", 7))
    assert HaltTaken(8) in made.give(ResumeAsked("mm", 8))
    assert HaltTaken(9) in made.give(HaltAsked(CANCEL, "absent", "", 9))


def test_p10_a_run_begins_halted_when_it_ended_so() -> None:
    actor = Actor()
    actor.acts["on_start"] = lambda *_: place(Side.BUY, "1", "95")
    made = Scripted(actor, halts=[Halt(CANCEL, None, "yesterday")]).ready()
    assert "starts halted: all strategies: cancel (yesterday); `coldframe resume` ends it" in made.said()
    assert made.sent("order.place") == []
    assert last_verdict(made, actor, place(Side.BUY, "1", "95")) == "HALTED"
    made.give(ResumeAsked())
    assert last_verdict(made, actor, place(Side.BUY, "1", "95")) == "ACCEPTED"


def test_a_run_without_orders_halts_too() -> None:
    made, actor = world(orders_on=False)
    assert HaltTaken(1) in made.give(HaltAsked(FLATTEN, None, "", 1))
    assert last_verdict(made, actor, place()) == "ORDERS_OFF"


# -- what the kill switch did -----------------------------------------------------------------------------------------------

NAME = str(OwnId("mm", START_MS, KILL_SWITCH_COUNT))


def send_emergency_order(made: Scripted, quantity: str = "2") -> None:
    """The kill switch sells, and the engine hears of it before the venue's own word."""
    made.give(EmergencyOrderSent("mm", NAME, "BTCUSDT", Side.SELL, D(quantity), PositionSide.BOTH, made.venue_ms))


def at_venue(made: Scripted, quantity: str = "2") -> Answer:
    """The venue takes the kill switch's order and fills it."""
    params = {"newClientOrderId": NAME, "side": "SELL", "symbol": "BTCUSDT", "quantity": quantity, "type": "MARKET"}
    _, _ = made.exchange.carry_out("order.place", params)
    return Answer(200, {}, json.dumps(made.exchange._printed(made.exchange.orders[NAME])).encode())


def sells(made: Scripted) -> list[str]:
    return [name for name, order in made.exchange.orders.items() if order.side is Side.SELL]


@pytest.mark.parametrize("heard", ["report first", "answer first", "answer only"])
def test_s2_what_emergency_orders_closed_is_not_closed_again(heard: str) -> None:
    made, actor = world()
    bought(made, actor)
    send_emergency_order(made)
    made.silent = heard == "answer only"
    answer = at_venue(made)
    if heard == "report first":
        made.run(0)
        made.give(EmergencyOrderAnswered(NAME, answer))
    else:
        made.give(EmergencyOrderAnswered(NAME, answer))
    made.give(HaltAsked(FLATTEN))
    made.run(8_000)
    assert sells(made) == [NAME]
    assert net(made) == 0
    assert made.engine.state.external.account.fills == 0
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D(2), D(2)]
    assert [effect.state for effect in actor.told(OrderChanged)][-1] == OrderState.FILLED


def test_refused_kill_switch_order_leaves_the_rest_to_the_engine() -> None:
    made, actor = world()
    bought(made, actor)
    send_emergency_order(made)
    refused = Answer(400, {}, b'{"code":-2022,"msg":"ReduceOnly Order is rejected."}')
    made.give(EmergencyOrderAnswered(NAME, refused))
    made.give(HaltAsked(FLATTEN))
    made.run(2_000)
    assert net(made) == 0
    assert len(sells(made)) == 1
    assert NAME not in sells(made)


@pytest.mark.parametrize("arrived", [True, False])
def test_unknown_kill_switch_order_is_queried_before_the_rest(arrived: bool) -> None:
    made, actor = world()
    bought(made, actor)
    send_emergency_order(made)
    made.silent = True
    if arrived:
        at_venue(made)
    made.give(EmergencyOrderAnswered(NAME, None, "no answer in time"))
    order = made.engine.orders.get(NAME)
    assert order is not None
    assert order.state is OrderState.UNKNOWN
    made.give(HaltAsked(FLATTEN))
    assert len(sells(made)) == arrived
    made.silent = False
    made.run(60_000)
    assert net(made) == 0
    assert sum(trade_sign(made)) == 0


def trade_sign(made: Scripted) -> list[Any]:
    return [order.side.sign * D(trade.quantity) for order, trade in made.exchange.trades]


def test_what_the_kill_switch_spent_counts_against_the_limits() -> None:
    made, _ = world()
    before = made.engine.limits_used[0]
    made.give(WeightSpent(7))
    assert made.engine.limits_used[0] == before + 7
    made.give(WeightSpent(1, 1_500))
    assert made.engine.limits_used[0] == 1_500
    made.give(WeightSpent(0, None, made.venue_ms + 60_000))
    assert made.engine.banned_until_ms == made.venue_ms + 60_000


def test_what_was_asked_is_said_once() -> None:
    """A flatten comes in two steps, and the first of them is not what was asked for."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.give(HaltAsked(CANCEL, None, "enough", 1, FLATTEN))
    made.give(HaltAsked(FLATTEN, None, "enough", 2, FLATTEN))
    assert [line.text for line in made.log if "halted" in line.text] == ["halted: all strategies: flatten (enough)"]
    made.give(ResumeAsked(None, 3))
    made.give(HaltAsked(FLATTEN, None, "enough", 4, FLATTEN))
    assert sum("halted: all strategies: flatten" in line.text for line in made.log) == 2


# -- what a halt and its end leave alone ------------------------------------------------------------------------------


def test_desired_states_of_a_strategy_not_halted_stay() -> None:
    halted, other = Actor("mm"), Actor("other")
    made, _ = world(halted, other)
    made.want(other, BOTH)
    standing = alive(made)
    made.give(HaltAsked(PAUSE, "mm", ""))
    made.run(2_000)
    assert (len(standing), alive(made)) == (2, standing)


def test_the_same_halt_once_more_takes_no_reducing_target() -> None:
    made, actor = world()
    bought(made, actor)
    made.give(HaltAsked(PAUSE, None, ""))
    made.holds.add("order.place")
    made.want(actor, Target("BTCUSDT", D(0)))
    made.give(HaltAsked(PAUSE, None, ""))
    made.refuse(-1001)
    made.holds.clear()
    made.run(60_000)
    assert net(made) == 0


def test_what_was_wanted_during_a_halt_lapses_with_it() -> None:
    made, actor = world()
    bought(made, actor)
    made.give(HaltAsked(PAUSE))
    made.want(actor, Target("BTCUSDT", D(1)))
    assert net(made) == 1
    made.give(ResumeAsked())
    made.want(actor, place(Side.BUY, "3", None))
    made.run(2_000)
    assert net(made) == 4


def test_a_resumption_leaves_a_muted_strategy_flat() -> None:
    """A strategy that has raised and shall be flat is not let go by the end of a halt."""

    def boom(*_: object) -> object:
        raise ZeroDivisionError("boom")

    made, actor = world(Actor(on_error=OnError.FLATTEN))
    bought(made, actor)
    made.holds.add("order.place")
    actor.acts["on_mark"] = boom
    made.mark("BTCUSDT", "100")
    made.give(HaltAsked(PAUSE))
    made.give(ResumeAsked())
    made.refuse(-1001)
    made.holds.clear()
    made.run(10_000)
    assert (made.engine.runtimes.get("mm").muted, net(made)) == (True, 0)


def test_a_resumption_names_what_it_opens_and_nothing_else() -> None:
    made, _ = world(Actor("mm"), Actor("other"))
    trading = made.engine.state.trading
    for strategy in ("mm", "other"):
        trading.halt_strategy(strategy, Verdict(VerdictCode.LOSS, f"{strategy} has lost too much"), START_MS)
    made.give(ResumeAsked("mm"))
    assert opened(made) == ["mm has lost too much"]
    made.give(ResumeAsked())
    assert opened(made) == ["mm has lost too much", "other has lost too much"]


def opened(made: Scripted) -> list[str]:
    return [line.text.removeprefix("opened again: ") for line in made.log if line.text.startswith("opened again: ")]


@pytest.mark.parametrize(
    ("reason", "told"), [("no answer within 2 s", "no answer within 2 s"), ("", "the kill switch's order was not answered")]
)
def test_why_an_order_of_the_kill_switch_is_in_doubt_is_told(reason: str, told: str) -> None:
    made, actor = world()
    bought(made, actor)
    send_emergency_order(made)
    made.silent = True
    made.give(EmergencyOrderAnswered(NAME, None, reason))
    order = made.engine.orders.get(NAME)
    assert order is not None
    assert (order.state, order.reason) == (OrderState.UNKNOWN, told)
