"""The dead man's switch: wound up while orders may exist, laid down at the end, and told apart from every other cancel."""

from __future__ import annotations

import pytest

from coldframe import CancelAll, Intent, OrderChanged, Place, Quote, Quotes, Side
from coldframe.core.execution.countdown_cancel import REASON, CountdownCancel
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.orders import POSSIBLE_MS, Order
from coldframe.exchange.faults import FaultDecision
from coldframe.model.effects import LinkKind
from coldframe.model.inputs import TimeReached
from coldframe.model.orders import OrderState
from tests.simulation.ends import COUNTDOWN, LOT, B
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet
from tests.simulation.venue import LOST, refused

E = "ETHUSDT"
LENGTH_MS = 20_000
PERIOD_S = LENGTH_MS / 4_000
REFUSED = refused(-1001, "Internal error")
LATE = FaultDecision(hold_ms=9_000)


def world(length_ms: int = LENGTH_MS, symbols: tuple[str, ...] = (B,)) -> tuple[Pump, Puppet]:
    puppet = Puppet()
    traders = [Trader(id="mm", make=lambda: puppet, symbols=symbols)]
    return Pump(traders, trading=OrderSideLimits(dead_man_ms=length_ms)), puppet


def low(pump: Pump, symbol: str = B) -> Place:
    """A bid that rests."""
    return Place(symbol=symbol, side=Side.BUY, quantity=LOT * 10, price=pump.market.best(symbol, Side.BUY) - 50)


def want(pump: Pump, puppet: Puppet, wanted: Intent) -> None:
    """The strategy wants something, and asks for it."""
    puppet.wanted = [wanted]
    pump.until(lambda: not puppet.wanted)
    pump.run(0.1)


def resting(length_ms: int = LENGTH_MS) -> tuple[Pump, Puppet]:
    """One order rests, and its symbol's switch is armed."""
    pump, puppet = world(length_ms)
    want(pump, puppet, low(pump))
    pump.until(lambda: bool(armed(pump)), 1)
    pump.run(0.1)
    return pump, puppet


def armed(pump: Pump) -> list[str]:
    """The symbols whose countdown runs at the exchange."""
    return sorted(pump.venue.countdowns())


def left_ms(pump: Pump) -> int:
    return pump.venue.countdowns()[B] - pump.now_ms


def beats(pump: Pump) -> list[tuple[object, object]]:
    return [(params["symbol"], params["countdownTime"]) for call, params in pump.sent if call == COUNTDOWN]


def errors(pump: Pump) -> list[str]:
    return [line.removeprefix("error: ") for line in pump.log if line.startswith("error: ")]


def countdown_cancel(pump: Pump) -> CountdownCancel:
    assert pump.engine.trading is not None
    return pump.engine.trading.countdown_cancel


# -- beats ------------------------------------------------------------------------------------------------------------


def test_o30_countdown_is_renewed_each_quarter_with_orders_alive() -> None:
    pump, puppet = world()
    pump.run(20)
    assert beats(pump) == []
    want(pump, puppet, low(pump))
    pump.run(0.3)
    assert beats(pump) == [(B, LENGTH_MS)]
    pump.run(4 * PERIOD_S)
    assert beats(pump) == [(B, LENGTH_MS)] * 5
    assert left_ms(pump) > LENGTH_MS - PERIOD_S * 1000 - 300
    assert errors(pump) == []


def test_each_symbol_has_a_switch_of_its_own() -> None:
    pump, puppet = world(symbols=(B, E))
    puppet.wanted = [low(pump), low(pump, E)]
    pump.until(lambda: armed(pump) == [B, E], 5)


def test_it_is_switched_off_when_no_order_is_left() -> None:
    pump, puppet = resting()
    want(pump, puppet, CancelAll())
    pump.run(PERIOD_S + 0.3)
    assert beats(pump)[-1] == (B, 0)
    assert armed(pump) == []
    sent = len(beats(pump))
    pump.run(LENGTH_MS / 1000)
    assert len(beats(pump)) == sent


def test_order_placed_while_the_countdown_is_disarmed_rearms_it() -> None:
    pump, puppet = resting()
    want(pump, puppet, CancelAll())
    pump.venue.fates[COUNTDOWN] = FaultDecision(wait_ms=1_000)
    pump.until(lambda: beats(pump)[-1] == (B, 0), PERIOD_S + 1)
    pump.venue.fates.clear()
    want(pump, puppet, low(pump))
    assert len(pump.venue.open_orders()) == 1
    pump.until(lambda: armed(pump) == [], 1)
    pump.until(lambda: armed(pump) == [B], 0.6)


def test_it_is_laid_down_at_a_clean_end() -> None:
    pump, _ = resting()
    pump.stop("signal", within_s=1)
    assert armed(pump) == []
    assert beats(pump)[-1] == (B, 0)


def test_it_stays_armed_when_the_end_leaves_orders_behind() -> None:
    pump, _ = resting()
    cancels = ("order.cancel", "DELETE /fapi/v1/order", "DELETE /fapi/v1/batchOrders", "DELETE /fapi/v1/allOpenOrders")
    pump.venue.fates |= dict.fromkeys(cancels, REFUSED)
    pump.stop("signal", within_s=30)
    assert len(pump.venue.open_orders()) == 1
    assert armed(pump) == [B]


def test_an_end_does_not_wait_for_ever_for_it() -> None:
    pump, _ = resting()
    pump.venue.fates[COUNTDOWN] = LOST
    pump.stop("signal", within_s=30)
    assert armed(pump) == [B]


def test_without_a_length_there_is_none() -> None:
    pump, puppet = world(length_ms=0)
    want(pump, puppet, low(pump))
    pump.run(60)
    assert len(pump.venue.open_orders()) == 1
    assert beats(pump) == []
    pump.stop(within_s=1)


# -- missed beats -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fate", [REFUSED, LOST, LATE], ids=["refused", "lost", "late"])
def test_o31_missed_renewal_is_an_alert_that_names_the_outcome(fate: FaultDecision) -> None:
    pump, _ = resting()
    pump.venue.fates[COUNTDOWN] = fate
    pump.run(2 * PERIOD_S + 0.5)
    first = errors(pump)[0]
    assert first.startswith("dead man's switch of BTCUSDT: beat missed (")
    assert "the venue cancels the bot's orders there in" in first
    seconds = float(first.rsplit(" in ", 1)[1].removesuffix(" s"))
    assert 0 < seconds <= LENGTH_MS / 1000


def test_o31_after_a_missed_beat_it_is_tried_again_soon() -> None:
    pump, _ = resting()
    pump.venue.fates[COUNTDOWN] = REFUSED
    pump.run(PERIOD_S)
    pump.venue.fates.clear()
    pump.run(3)
    assert pump.told("dead man's switch of BTCUSDT: beats again")
    assert left_ms(pump) > LENGTH_MS - PERIOD_S * 1000


def test_a_switch_that_was_never_armed_says_so() -> None:
    pump, puppet = world()
    pump.venue.fates[COUNTDOWN] = REFUSED
    want(pump, puppet, low(pump))
    pump.run(0.3)
    assert errors(pump) == ["dead man's switch of BTCUSDT: beat missed (-1001: Internal error): it is not armed"]


# -- its cancels ------------------------------------------------------------------------------------------------------


def cut_off(pump: Pump) -> None:
    """No beat gets through until the venue has cancelled."""
    pump.venue.fates[COUNTDOWN] = LOST
    pump.until(lambda: not pump.venue.open_orders(), LENGTH_MS / 1000 + 1)
    pump.run(0.3)


def test_o31_what_it_cancelled_is_told_as_such() -> None:
    pump, puppet = resting()
    cut_off(pump)
    assert last_of(puppet) == (OrderState.CANCELED, REASON)
    assert any(text.startswith("dead man's switch of BTCUSDT has run out: the venue has cancelled cf.mm.") for text in errors(pump))
    assert countdown_cancel(pump).cancelled == 1


def last_of(puppet: Puppet) -> tuple[OrderState, str]:
    """What the strategy was told of an order last."""
    told = [event for event in puppet.events if isinstance(event, OrderChanged)][-1]
    return told.state, told.reason


def test_o31_quotes_whose_orders_it_took_are_placed_again() -> None:
    pump, puppet = world()
    want(pump, puppet, Quotes(B, [Quote(low(pump).price, LOT)]))  # type: ignore[arg-type]
    pump.until(lambda: armed(pump) == [B], 1)
    cut_off(pump)
    pump.venue.fates.clear()
    pump.run(3)
    assert [order.state for order in pump.engine.orders.live] == [OrderState.ACCEPTED]
    assert len(pump.venue.open_orders()) == 1
    pump.until(lambda: armed(pump) == [B], PERIOD_S)


@pytest.mark.parametrize("by", ["bot", "hand"])
def test_other_cancels_are_not_taken_for_its(by: str) -> None:
    pump, puppet = resting()
    if by == "bot":
        want(pump, puppet, CancelAll())
    else:
        (name,) = pump.venue.open_orders()
        assert pump.venue.by_hand("DELETE", "/fapi/v1/order", {"symbol": B, "origClientOrderId": name}).status == 200
        pump.run(0.1)
    assert last_of(puppet) == (OrderState.CANCELED, "" if by == "bot" else "cancelled from outside")


def test_beats_are_paid_for() -> None:
    pump, _ = resting()
    used, sent = pump.engine.limits_used[0], len(beats(pump))
    pump.run(PERIOD_S)
    assert len(beats(pump)) == sent + 1
    assert pump.engine.limits_used[0] - used >= 10


# -- an order that may come back --------------------------------------------------------------------------------------


def lost(length_ms: int) -> tuple[Pump, Puppet, Order]:
    """An order that no answer came to, that did not arrive, and that was proved absent."""
    pump, puppet = world(length_ms)
    pump.venue.fates["order.place"] = refused(-1007, "Timeout", 408)
    want(pump, puppet, low(pump))
    (order,) = pump.engine.orders.live
    pump.run(12)
    assert (order.state, order.ended_ms) == (OrderState.NEVER_ACCEPTED, 0)
    assert list(pump.engine.orders.live) == []
    pump.venue.fates.clear()
    return pump, puppet, order


def test_the_switch_stays_armed_while_an_order_may_come_back() -> None:
    pump, _, order = lost(120_000)
    pump.sent.clear()
    pump.run(POSSIBLE_MS / 1_000 - 20)
    assert armed(pump) == [B]
    assert len(beats(pump)) >= 18
    pump.run(60)
    assert armed(pump) == []
    assert order.inferred


def test_run_ending_with_a_missing_order_keeps_the_countdown() -> None:
    """It arrives after all, and no report of it gets through."""
    pump, _, order = lost(120_000)
    pump.venue.refuses.add(LinkKind.PRIVATE)
    pump.venue.cut(LinkKind.PRIVATE)
    wanted = {"symbol": B, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.1", "price": str(order.price)}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", {**wanted, "newClientOrderId": order.client_order_id}).status == 200
    pump.stop(within_s=1)
    assert list(pump.venue.open_orders()) == [order.client_order_id]
    assert armed(pump) == [B]
    pump.run(120)
    assert pump.venue.open_orders() == {}


# -- laid down --------------------------------------------------------------------------------------------------------


def test_while_a_beat_is_under_way_no_other_lays_it_down() -> None:
    pump, _ = resting()
    pump.venue.fates[COUNTDOWN] = FaultDecision(hold_ms=1_000)
    sent = beats(pump)
    pump.until(lambda: beats(pump) != sent, PERIOD_S)
    sent = beats(pump)
    disarm(pump)
    assert beats(pump) == sent
    pump.run(1)
    disarm(pump)
    assert beats(pump) == [*sent, (B, 0)]


def test_a_switch_that_could_not_be_laid_down_pauses_first() -> None:
    pump, _ = resting()
    pump.venue.fates[COUNTDOWN] = REFUSED
    disarm(pump)
    sent = beats(pump)
    assert sent[-1] == (B, 0)
    disarm(pump)
    assert beats(pump) == sent
    pump.run(0.6)
    disarm(pump)
    assert len(beats(pump)) > len(sent)


def disarm(pump: Pump) -> None:
    """The end of a run wants it off: the answer would be there by now."""
    countdown_cancel(pump).disarm([B])
    pump.give(TimeReached("orders:tick"))
    pump.run(0.02)
