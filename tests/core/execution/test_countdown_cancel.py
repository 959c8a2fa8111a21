"""The dead man's switch: wound up while orders may exist, laid down at the end, and told apart from every other cancel."""

from __future__ import annotations

from typing import Any

import pytest

from coldframe.core.execution.countdown_cancel import REASON
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.enums import Side
from coldframe.model.effects import CallRest, Finish, Level
from coldframe.model.events import OrderChanged
from coldframe.model.inputs import TimeReached
from coldframe.model.intents import CancelAll, Quote, Quotes
from coldframe.model.orders import OrderState
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

PATH = "/fapi/v1/countdownCancelAll"
LENGTH_MS = 20_000
PERIOD_MS = LENGTH_MS // 4
LOW = place(Side.BUY, "1", "95")


def world(length_ms: int = LENGTH_MS, symbols: tuple[str, ...] = ("BTCUSDT",)) -> tuple[Scripted, Actor]:
    actor = Actor(symbols=symbols)
    return Scripted(actor, symbols=symbols, trading=OrderSideLimits(dead_man_ms=length_ms)).ready(), actor


def resting(**setup: Any) -> tuple[Scripted, Actor]:
    """One order rests, and its symbol's switch is armed."""
    made, actor = world(**setup)
    made.want(actor, LOW)
    made.run(300)
    assert armed(made) == ["BTCUSDT"]
    return made, actor


def armed(made: Scripted) -> list[str]:
    """The symbols whose countdown runs at the exchange."""
    return list(made.exchange.countdowns)


def beats(made: Scripted) -> list[tuple[object, object]]:
    return [(call.params["symbol"], call.params["countdownTime"]) for call in made.called(PATH)]


def errors(made: Scripted) -> list[str]:
    return [line.text for line in made.log if line.level is Level.ERROR]


# -- beats ------------------------------------------------------------------------------------------------------------


def test_o30_countdown_is_renewed_each_quarter_with_orders_alive() -> None:
    made, actor = world()
    made.run(20_000)
    assert beats(made) == []
    made.want(actor, LOW)
    made.run(300)
    assert beats(made) == [("BTCUSDT", LENGTH_MS)]
    made.run(4 * PERIOD_MS)
    assert beats(made) == [("BTCUSDT", LENGTH_MS)] * 5
    assert made.exchange.countdowns["BTCUSDT"] > made.venue_ms + LENGTH_MS - PERIOD_MS - 300
    assert errors(made) == []


def test_each_symbol_has_a_switch_of_its_own() -> None:
    made, actor = world(symbols=("BTCUSDT", "ETHUSDT"))
    made.want(actor, LOW, place(Side.BUY, "1", "95", symbol="ETHUSDT"))
    made.run(300)
    assert sorted(armed(made)) == ["BTCUSDT", "ETHUSDT"]


def test_it_is_switched_off_when_no_order_is_left() -> None:
    made, actor = resting()
    made.want(actor, CancelAll())
    made.run(PERIOD_MS + 300)
    assert beats(made)[-1] == ("BTCUSDT", 0)
    assert armed(made) == []
    assert made.exchange.countdowns == {}
    sent = len(beats(made))
    made.run(LENGTH_MS)
    assert len(beats(made)) == sent


def test_order_placed_while_the_countdown_is_disarmed_rearms_it() -> None:
    made, actor = resting()
    made.want(actor, CancelAll())
    made.holds.add(PATH)
    made.run(PERIOD_MS)
    made.want(actor, LOW)
    made.holds.clear()
    made.release()
    made.run(600)
    assert armed(made) == ["BTCUSDT"]
    assert list(made.exchange.countdowns) == ["BTCUSDT"]


def test_it_is_laid_down_at_a_clean_end() -> None:
    made, _ = resting()
    made.stop("signal")
    made.run(1_000)
    assert isinstance(made.ended, Finish)
    assert made.exchange.countdowns == {}
    assert beats(made)[-1] == ("BTCUSDT", 0)


def test_it_stays_armed_when_the_end_leaves_orders_behind() -> None:
    made, _ = resting()
    made.exchange.refuses["order.cancel"] = (-1001, "Internal error")
    made.stop("signal")
    made.run(30_000)
    assert isinstance(made.ended, Finish)
    assert list(made.exchange.countdowns) == ["BTCUSDT"]


def test_an_end_does_not_wait_for_ever_for_it() -> None:
    made, _ = resting()
    made.swallows.add(PATH)
    made.holds.add(PATH)
    made.stop("signal")
    made.run(30_000)
    assert isinstance(made.ended, Finish)


def test_without_a_length_there_is_none() -> None:
    made, actor = world(length_ms=0)
    made.want(actor, LOW)
    made.run(60_000)
    assert beats(made) == []
    made.stop()
    made.run(1_000)
    assert isinstance(made.ended, Finish)


# -- missed beats -----------------------------------------------------------------------------------------------------


def refusing(made: Scripted) -> None:
    made.exchange.refuses[PATH] = (-1001, "Internal error")


def swallowing(made: Scripted) -> None:
    made.swallows.add(PATH)


def holding(made: Scripted) -> None:
    made.holds.add(PATH)


@pytest.mark.parametrize("fail", [refusing, swallowing, holding])
def test_o31_missed_renewal_is_an_alert_that_names_the_outcome(fail: Any) -> None:
    made, _ = resting()
    fail(made)
    made.run(2 * PERIOD_MS + 500)
    first = errors(made)[0]
    assert first.startswith("dead man's switch of BTCUSDT: beat missed (")
    assert "the venue cancels the bot's orders there in" in first
    seconds = float(first.rsplit(" in ", 1)[1].removesuffix(" s"))
    assert 0 < seconds <= LENGTH_MS / 1000


def test_o31_after_a_missed_beat_it_is_tried_again_soon() -> None:
    made, _ = resting()
    refusing(made)
    made.run(PERIOD_MS)
    del made.exchange.refuses[PATH]
    made.run(3_000)
    assert "dead man's switch of BTCUSDT: beats again" in made.said()
    assert made.exchange.countdowns["BTCUSDT"] > made.venue_ms + LENGTH_MS - PERIOD_MS


def test_a_switch_that_was_never_armed_says_so() -> None:
    made, actor = world()
    refusing(made)
    made.want(actor, LOW)
    made.run(300)
    assert errors(made) == ["dead man's switch of BTCUSDT: beat missed (-1001: Internal error): it is not armed"]


# -- its cancels ------------------------------------------------------------------------------------------------------


def cut_off(made: Scripted) -> None:
    """No beat gets through until the venue has cancelled."""
    swallowing(made)
    left_ms = made.exchange.countdowns["BTCUSDT"] - made.venue_ms
    made.run(left_ms)
    made.exchange.run_out("BTCUSDT")
    made.give(TimeReached("orders:tick"))


def test_o31_what_it_cancelled_is_told_as_such() -> None:
    made, actor = resting()
    cut_off(made)
    told = actor.told(OrderChanged)[-1]
    assert (told.state, told.reason) == (OrderState.CANCELED, REASON)
    assert any(text.startswith("dead man's switch of BTCUSDT has run out: the venue has cancelled cf.mm.") for text in errors(made))
    assert made.engine.trading is not None
    assert made.engine.trading.countdown_cancel.cancelled == 1


def test_o31_quotes_whose_orders_it_took_are_placed_again() -> None:
    made, actor = world()
    made.want(actor, Quotes("BTCUSDT", [Quote(D("99.5"), D(1))]))
    made.run(300)
    cut_off(made)
    made.swallows.clear()
    made.run(3_000)
    assert [order.state for order in made.engine.orders.live] == [OrderState.ACCEPTED]
    assert armed(made) == ["BTCUSDT"]


def by_hand(made: Scripted) -> None:
    (order,) = made.engine.orders.live
    made.exchange.carry_out("order.cancel", {"origClientOrderId": order.client_order_id})
    made.give(TimeReached("orders:tick"))


@pytest.mark.parametrize("by", ["bot", "hand"])
def test_other_cancels_are_not_taken_for_its(by: str) -> None:
    made, actor = resting()
    if by == "bot":
        made.want(actor, CancelAll())
    else:
        by_hand(made)
    told = actor.told(OrderChanged)[-1]
    assert (told.state, told.reason) == (OrderState.CANCELED, "" if by == "bot" else "cancelled from outside")


def test_beats_are_paid_for() -> None:
    made, _ = resting()
    used = made.engine.limits_used[0]
    made.run(PERIOD_MS)
    assert made.engine.limits_used[0] - used >= 10
    assert all(isinstance(call, CallRest) and call.verb == "POST" for call in made.called(PATH))


# -- laid down --------------------------------------------------------------------------------------------------------


def test_while_a_beat_is_under_way_no_other_lays_it_down() -> None:
    made, _ = resting()
    made.holds.add(PATH)
    made.run(PERIOD_MS)
    sent = beats(made)
    disarm(made)
    assert beats(made) == sent
    made.release()
    disarm(made)
    assert beats(made) == [*sent, ("BTCUSDT", 0)]


def test_a_switch_that_could_not_be_laid_down_pauses_first() -> None:
    made, _ = resting()
    made.exchange.refuses[PATH] = (-1001, "Internal error")
    disarm(made)
    sent = beats(made)
    disarm(made)
    assert beats(made) == sent
    made.run(600)
    disarm(made)
    assert len(beats(made)) > len(sent)


def disarm(made: Scripted) -> None:
    assert made.engine.trading is not None
    made.engine.trading.countdown_cancel.disarm(["BTCUSDT"])
    made.beat()
