"""`Quotes` and `Target` in the engine: made true, kept true through whatever the venue does, and gone when they lapse."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.enums import OrderStatus, Side
from coldframe.model.effects import CallRest, LinkKind, SendRequest
from coldframe.model.events import BookChanged, BookState, OrderChanged, OrderFilled
from coldframe.model.inputs import ResumeAsked
from coldframe.model.intents import CancelAll, Quote, Quotes, Target, VerdictCode
from coldframe.model.orders import OrderState
from coldframe.testing import instrument
from tests.core.exchange import ALIVE
from tests.core.made import delta
from tests.core.ordering import accept_quietly
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place
from tests.examples import examples

BID, ASK = Quote(D("99.5"), D(1)), Quote(D("100.5"), D(1))
BOTH = Quotes("BTCUSDT", [BID], [ASK])


def quoting(wanted: Quotes = BOTH, **setup: object) -> tuple[Scripted, Actor]:
    actor = Actor()
    made = Scripted(actor, **setup).ready()  # type: ignore[arg-type]
    made.want(actor, wanted)
    return made, actor


def standing(made: Scripted, symbol: str = "BTCUSDT") -> dict[tuple[Side, Decimal], Decimal]:
    """What is alive at the venue, by side and price."""
    alive = [order for order in made.exchange.orders.values() if order.status in ALIVE and order.symbol == symbol]
    return {(order.side, D(order.price)): order.quantity - order.filled for order in alive}


def wanted_levels(*quotes: tuple[Side, str, str]) -> dict[tuple[Side, Decimal], Decimal]:
    return {(side, D(price)): D(quantity) for side, price, quantity in quotes}


FULL = wanted_levels((Side.BUY, "99.5", "1"), (Side.SELL, "100.5", "1"))


# -- quotes -----------------------------------------------------------------------------------------------------------


def test_quotes_stand_and_the_same_quotes_change_nothing() -> None:
    made, actor = quoting()
    assert standing(made) == FULL
    assert [request.params["timeInForce"] for request in made.sent("order.place")] == ["GTX", "GTX"]
    assert made.engine.runtimes.get("mm").orders == 2
    sent = len(made.effects)
    made.want(actor, BOTH)
    assert made.verdicts(actor) == {"ACCEPTED": 1, "NO_CHANGE": 1}
    assert len(made.effects) == sent
    made.run(10_000)
    assert len(made.sent("order.place")) == 2


def test_new_quotes_move_the_old_ones() -> None:
    made, actor = quoting()
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.4"), D(1))], [ASK]))
    assert standing(made) == wanted_levels((Side.BUY, "99.4", "1"), (Side.SELL, "100.5", "1"))
    assert (len(made.sent("order.place")), len(made.sent("order.modify")), len(made.sent("order.cancel"))) == (2, 1, 0)


def test_what_has_traded_is_restored() -> None:
    made, actor = quoting()
    bid = next(order for order in made.engine.orders.live if order.side is Side.BUY)
    made.fill(bid.client_order_id, "0.3")
    assert standing(made) == FULL
    made.fill(bid.client_order_id, "1")
    assert standing(made) == FULL
    assert len(actor.told(OrderFilled)) == 2


def test_quotes_are_restored_after_the_open_answer_arrived() -> None:
    made, _ = quoting()
    made.holds.add("order.modify")
    bid = next(order for order in made.engine.orders.live if order.side is Side.BUY)
    made.fill(bid.client_order_id, "0.3")
    made.fill(bid.client_order_id, "0.2")
    assert len(made.sent("order.modify")) == 1
    made.holds.clear()
    made.release()
    assert standing(made) == FULL
    assert len(made.sent("order.modify")) == 2


@pytest.mark.parametrize("how", ["refused", "unknown", "never left"])
def test_failed_amendment_does_not_end_the_desired_state(how: str) -> None:
    made, actor = quoting()
    match how:
        case "refused":
            made.exchange.refuses["order.modify"] = (-5022, "no")
        case "unknown":
            made.exchange.refuses["order.modify"] = (-1007, "Timeout")
        case _:
            made.unwritten.add("order.modify")
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.4"), D(1))], [ASK]))
    made.run(1_500)
    assert standing(made) == FULL
    assert len(made.sent("order.modify")) <= 3
    made.exchange.refuses.clear()
    made.unwritten.clear()
    made.run(9_000)
    assert standing(made) == wanted_levels((Side.BUY, "99.4", "1"), (Side.SELL, "100.5", "1"))


def test_o18_a_refused_quote_is_tried_again_ever_more_seldom() -> None:
    """O18: no storm of orders that the venue refuses."""
    made, _ = quoting(Quotes("BTCUSDT"))
    made.exchange.refuses["order.place"] = (-2019, "Margin is insufficient.")
    actor = Actor()
    made = Scripted(actor).ready()
    made.exchange.refuses["order.place"] = (-2019, "Margin is insufficient.")
    made.want(actor, Quotes("BTCUSDT", [BID]))
    made.run(60_000)
    assert 8 <= len(made.sent("order.place")) <= 14
    made.exchange.refuses.clear()
    made.run(9_000)
    assert standing(made) == wanted_levels((Side.BUY, "99.5", "1"))


def test_an_order_that_the_venue_ends_is_replaced() -> None:
    made, _ = quoting()
    bid = next(order for order in made.exchange.orders.values() if order.side is Side.BUY)
    bid.end(OrderStatus.EXPIRED)
    made.exchange.report(bid, "EXPIRED")  # type: ignore[arg-type]
    made.run(1_000)
    assert standing(made) == FULL


def test_quotes_are_kept_true_over_a_reconnect() -> None:
    made, _ = quoting()
    made.lose(LinkKind.API)
    made.silent = True
    bid = next(order for order in made.exchange.orders.values() if order.side is Side.BUY)
    made.fill(bid.client_order_id, "1")
    made.silent = False
    made.run(40_000)
    assert standing(made) == FULL
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 1


def test_quotes_lapse_with_the_book_and_may_be_wanted_again() -> None:
    made, actor = quoting()
    made.gap("BTCUSDT")
    made.beat()
    assert standing(made) == {}
    made.run(3_000)
    assert standing(made) == {}
    made.want(actor, BOTH)
    assert standing(made) == FULL


def test_the_book_of_another_symbol_is_no_reason_to_lapse() -> None:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    made = Scripted(actor, symbols=actor.symbols).ready()
    made.want(actor, BOTH)
    made.gap("ETHUSDT")
    made.beat()
    made.run(3_000)
    assert standing(made) == FULL


def test_the_book_with_retail_orders_is_no_reason_to_lapse() -> None:
    actor = Actor()
    made = Scripted(actor, channels=("depth@100ms", "markPrice@1s", "rpiDepth@500ms")).ready()
    name, (at, _) = "btcusdt@rpiDepth@500ms", made.exchange.books["BTCUSDT"]
    made.say(name, delta(at - 3, at))
    made.run(400, alive=False)
    made.say(name, delta(at, at + 3))
    made.want(actor, BOTH)
    rpi = made.engine.market.book("BTCUSDT", rpi=True)
    assert rpi is not None
    assert rpi.sync.state is BookState.SYNCED
    made.say(name, delta(at + 10, at + 13))
    assert rpi.sync.resyncs == 1
    assert standing(made) == FULL
    assert [(effect.rpi, effect.state) for effect in actor.told(BookChanged)][-1] == (True, BookState.STALE)


def test_the_quotes_of_a_strategy_that_is_muted_go() -> None:
    made, actor = quoting()
    actor.acts["on_mark"] = lambda *_: 1 // 0
    made.mark("BTCUSDT", "100")
    made.run(3_000)
    assert standing(made) == {}
    assert len(made.sent("order.place")) == 2


def test_cancel_all_withdraws_the_quotes_with_the_orders() -> None:
    made, actor = quoting()
    made.want(actor, CancelAll("BTCUSDT"))
    assert standing(made) == {}
    made.run(5_000)
    assert standing(made) == {}
    assert made.verdicts(actor) == {"ACCEPTED": 2}
    made.want(actor, CancelAll())
    assert made.verdicts(actor)["NO_CHANGE"] == 1


def test_o40_cancel_all_goes_by_rest_while_the_link_is_down() -> None:
    made, actor = quoting()
    made.want(actor, place(price="98"))
    made.unopened.add(LinkKind.API)
    made.lose(LinkKind.API)
    made.want(actor, CancelAll())
    assert made.verdicts(actor)["ACCEPTED"] == 3
    made.run(1_000)
    assert standing(made) == {}
    assert len(made.by_rest("order.cancel")) == 3
    assert made.sent("order.cancel") == []


def test_cancel_all_is_carried_out_when_the_venue_is_back() -> None:
    made, actor = quoting()
    made.want(actor, place(price="98"))
    made.unopened.add(LinkKind.API)
    made.exchange.refuses["/fapi/v1/order"] = (-1001, "Internal error")
    made.lose(LinkKind.API)
    made.want(actor, CancelAll())
    made.run(1_000)
    assert len(standing(made)) == 3
    made.unopened.clear()
    made.exchange.refuses.clear()
    made.lose(LinkKind.API, "refused")
    made.run(5_000)
    assert standing(made) == {}


def test_a_level_that_risk_refuses_is_left_out_and_named() -> None:
    made, actor = quoting(BOTH, budgets={"mm": Budget(max_position=D("1.5"))})
    made.want(actor, Quotes("BTCUSDT", [BID, Quote(D(99), D(1))], [ASK]))
    assert made.verdicts(actor) == {"ACCEPTED": 1, "POSITION": 1}
    assert standing(made) == FULL
    bid = next(order for order in made.engine.orders.live if order.side is Side.BUY)
    made.fill(bid.client_order_id, "1")
    made.run(1_000)
    assert standing(made) == wanted_levels((Side.SELL, "100.5", "1"))
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.5"), D("0.5"))], [Quote(D("100.5"), D(2))]))
    assert standing(made) == wanted_levels((Side.BUY, "99.5", "0.5"), (Side.SELL, "100.5", "2"))


def test_single_orders_and_quotes_do_not_affect_each_other() -> None:
    made, actor = quoting()
    made.want(actor, place(price="98"))
    made.want(actor, Quotes("BTCUSDT"))
    assert standing(made) == wanted_levels((Side.BUY, "98", "1"))


def test_two_strategies_quote_side_by_side() -> None:
    actor, other = Actor("one"), Actor("other")
    made = Scripted(actor, other).ready()
    made.want(actor, BOTH)
    made.want(other, Quotes("BTCUSDT", [Quote(D(99), D(2))]))
    made.want(actor, Quotes("BTCUSDT"))
    assert standing(made) == wanted_levels((Side.BUY, "99", "2"))


# -- targets ----------------------------------------------------------------------------------------------------------


def test_a_target_is_reached_and_kept() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.want(actor, Target("BTCUSDT", D(2)))
    account = made.engine.runtimes.get("mm").account.holdings
    assert account.net("BTCUSDT") == 2
    (request,) = made.sent("order.place")
    assert (request.params["timeInForce"], request.params["price"]) == ("IOC", "100.3")
    made.want(actor, Target("BTCUSDT", D(2)))
    made.run(3_000)
    assert len(made.sent("order.place")) == 1
    made.want(actor, place(Side.SELL, "1", None))
    made.run(1_000)
    assert account.net("BTCUSDT") == 2
    made.want(actor, Target("BTCUSDT", D(-1)))
    assert account.net("BTCUSDT") == -1
    assert made.verdicts(actor) == {"ACCEPTED": 3, "NO_CHANGE": 1}


def test_target_waits_for_a_book_and_follows_the_market() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("/fapi/v1/depth")
    made.gap("BTCUSDT")
    made.beat()
    made.want(actor, Target("BTCUSDT", D(1)))
    assert made.sent("order.place") == []
    made.holds.clear()
    made.run(500)
    made.release()
    made.run(2_000)
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == 1


def test_target_waits_for_fills_that_are_known_but_not_reported() -> None:
    """Else it would be reached twice."""
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.update(("order.place", "/fapi/v1/userTrades"))
    made.want(actor, Target("BTCUSDT", D(2)))
    accept_quietly(made)
    made.refuse(-1007)
    made.silent = False
    made.run(3_000)
    account = made.engine.runtimes.get("mm").account.holdings
    assert (account.net("BTCUSDT"), len(made.sent("order.place"))) == (D(0), 1)
    made.holds.clear()
    made.release()
    made.run(2_000)
    assert (account.net("BTCUSDT"), len(made.sent("order.place"))) == (D(2), 1)


def test_unfilled_target_order_is_sent_again_after_a_pause() -> None:
    actor = Actor()
    made = Scripted(actor).ready()
    made.holds.add("order.place")
    made.want(actor, Target("BTCUSDT", D(1)))
    for _ in range(40):
        made.run(250)
        made.beat()
        for request in made.held:
            _, body = made.exchange.carry_out("order.place", {**request.params, "timeInForce": "GTC"})
            order = list(made.exchange.orders.values())[-1]
            order.end(OrderStatus.EXPIRED)
            made.exchange.report(order, "EXPIRED")  # type: ignore[arg-type]
            made.reply(request, {"status": 200, "result": body})  # type: ignore[arg-type]
        made.held.clear()
    assert 5 <= len(made.sent("order.place")) <= 7
    assert [effect.state for effect in actor.told(OrderChanged)][-1] == OrderState.EXPIRED


def test_quotes_that_wait_are_held_back_beside_a_reached_target() -> None:
    """The buying level no longer fits the budget after its fill; that the target needs nothing does not make it try at once."""
    made, actor = quoting(BOTH, budgets={"mm": Budget(max_position=D("1.5"))})
    made.fill(next(order for order in made.engine.orders.live if order.side is Side.BUY).client_order_id, "1")
    made.run(1_000)
    waits = made.engine.runtimes.get("mm").held_back
    before = waits["POSITION"]
    assert before > 0
    made.want(actor, Target("BTCUSDT", D(1)))
    assert waits["POSITION"] == before + 1


def test_a_target_beyond_the_budget_is_refused_with_both_numbers() -> None:
    actor = Actor()
    made = Scripted(actor, budgets={"mm": Budget(max_position=D(1))}).ready()
    made.want(actor, Target("BTCUSDT", D("-1.5")))
    assert made.verdicts(actor) == {VerdictCode.POSITION: 1}
    assert "-1.5" in made.said() or made.sent("order.place") == []


# -- any venue --------------------------------------------------------------------------------------------------------


def reaches(made: Scripted, held: SendRequest | CallRest) -> bool:
    """Whether an answer to what is held can still arrive."""
    return isinstance(held, CallRest) or held.link in made.links


def behave(made: Scripted, chance: random.Random | None = None) -> None:
    """The venue behaves from now on, and answers what it has held back, in any order."""
    for wrong in (made.exchange.refuses, made.holds, made.swallows, made.unwritten):
        wrong.clear()
    shuffled = chance or random.Random(0)
    made.release(lambda held: [message for message in shuffled.sample(held, len(held)) if reaches(made, message)])


LOT = Decimal("0.001")
HAPPENS = ("fill", "refuse", "hold", "swallow", "unwritten", "lose", "silent", "gap", "calm", "calm")


def apply(made: Scripted, chance: random.Random) -> None:
    """One good or bad thing that a venue may do."""
    match chance.choice(HAPPENS):
        case "fill":
            alive = [order for order in made.exchange.orders.values() if order.status in ALIVE]
            if alive:
                order = chance.choice(alive)
                left = order.quantity - order.filled
                half = max((left / 2).quantize(LOT), LOT)  # an exchange trades whole lots
                made.fill(order.client_order_id, str(chance.choice([left, half])))
        case "refuse":
            method = chance.choice(("order.place", "order.modify", "order.cancel", "order.status"))
            made.exchange.refuses[method] = (chance.choice((-1007, -2010, -1021, -5022)), "no")
        case "hold":
            made.holds.add(chance.choice(("order.place", "order.modify", "order.cancel", "/fapi/v1/openOrders")))
        case "swallow":
            made.swallows.add(chance.choice(("order.place", "order.modify", "order.cancel", "/fapi/v1/userTrades")))
        case "unwritten":
            made.unwritten.add(chance.choice(("order.place", "order.modify", "order.cancel")))
        case "lose":
            kind = chance.choice((LinkKind.API, LinkKind.PRIVATE, LinkKind.MARKET))
            if made.of_kind(kind):
                made.lose(kind)
        case "silent":
            made.silent = not made.silent
        case "gap":
            made.gap("BTCUSDT")
        case _:
            behave(made, chance)


def some_quotes(chance: random.Random) -> Quotes:
    levels = [Quote(D(100) - D(chance.randrange(3, 9)) / 10, D(chance.choice(["0.5", "1", "1.5"]))) for _ in range(2)]
    return Quotes("BTCUSDT", levels[: chance.randrange(3)], [Quote(200 - level.price, level.quantity) for level in levels])


def traded(made: Scripted) -> Decimal:
    """The position as the venue's own list of trades has it."""
    return sum((order.side.sign * D(trade.quantity) for order, trade in made.exchange.trades), D(0))


@given(seed=st.integers(0, 2**32))
@settings(max_examples=examples(60))
def test_desired_state_is_reached_within_limits_at_any_venue(seed: int) -> None:
    chance, actor, most = random.Random(seed), Actor(), D(4)
    small = instrument("BTCUSDT", min_notional="5")
    risk = RiskLimits(max_gross_notional=D(1_200))
    made = Scripted(actor, budgets={"mm": Budget(max_position=most)}, risk=risk, instruments=[small]).ready()
    for _ in range(25):
        if chance.random() < 0.1:
            made.want(actor, some_quotes(chance))
        apply(made, chance)
        made.run(chance.choice((50, 300, 1_500)))
        worst = {side: sum((q for (at, _), q in standing(made).items() if at is side), D(0)) for side in Side}
        assert traded(made) - worst[Side.SELL] >= -most
        assert traded(made) + worst[Side.BUY] <= most
    made.silent = False
    behave(made)
    made.run(100_000)
    account = made.engine.runtimes.get("mm").account.holdings
    assert account.net("BTCUSDT") == traded(made)
    assert account.fills == len(made.exchange.trades)
    assert made.engine.state.holdings.adjustments == []
    assert made.engine.state.external.account.fills == 0
    made.want(actor, CancelAll())
    made.run(3_000)
    assert standing(made) == {}
    made.give(ResumeAsked())  # an order that was proved absent and stood there after all has shut the symbol
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.4"), D("0.1"))], [Quote(D("100.6"), D("0.1"))]))
    made.run(10_000)
    room = {(Side.BUY, D("99.4")): most - traded(made), (Side.SELL, D("100.6")): most + traded(made)}
    assert standing(made) == {where: D("0.1") for where, left in room.items() if left >= D("0.1")}
    ids = [request.params["newClientOrderId"] for request in made.sent("order.place")]
    assert len(ids) == len(set(ids))
    assert made.engine.orders.doubtful == 0
