"""A venue that is far away: what it needs is said with the key that is too small, and the bot can log on all the same."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.connectivity.latency_check import enough_ms, too_near
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.model.effects import CallRest, Level
from coldframe.model.inputs import RestAnswered
from coldframe.units import NS_PER_MS
from coldframe.wire.rest import Answer
from tests.core.scripted import Actor, Scripted


@given(st.integers(0, 60_000), st.integers(100, 60_000), st.integers(100, 60_000))
def test_c6_too_small_settings_are_named_with_a_sufficient_value(trip: int, window: int, answer: int) -> None:
    lines = list(too_near(trip, window, answer))
    assert [key for key in ("recv_window_ms", "answer_ms") if any(f"[orders] {key} = " in line for line in lines)] == [
        key for key, value in (("recv_window_ms", window), ("answer_ms", answer)) if value <= trip
    ]
    named = {line.split("[orders] ")[1].split(" = ")[0]: int(line.rsplit(" ", 1)[1]) for line in lines}
    assert list(too_near(min(trip, 59_000), named.get("recv_window_ms", window), named.get("answer_ms", answer))) == []
    assert enough_ms(trip) >= 5_000


def far(trip_ms: int, **limits: int) -> Scripted:
    """A run in which every question for the time takes that long."""
    window_ms, answer_ms = limits.get("recv_window_ms", 5_000), limits.get("answer_ms", 2_000)
    trading = OrderSideLimits(recv_window_ms=window_ms, session=SessionLimits(answer_ms=answer_ms))
    made = Scripted(Actor(), trading=trading)
    made.holds.add("/fapi/v1/time")
    made.ready()
    for _ in range(3):
        made.run(5_000)
        asked = next(order for order in made.held if isinstance(order, CallRest))
        made.held.clear()
        body = json.dumps({"serverTime": made.venue_ms - trip_ms // 2}).encode()
        made.give(RestAnswered(asked.call_id, Answer(200, {}, body), made.now_ns - trip_ms * NS_PER_MS))
        made.engine._clock._ask()
        made._work()
    return made


@pytest.mark.parametrize(
    ("limits", "keys"),
    [
        ({"recv_window_ms": 1_000, "answer_ms": 10_000}, ["recv_window_ms = 6000"]),
        ({"recv_window_ms": 1_000}, ["recv_window_ms = 6000", "answer_ms = 6000"]),
        ({}, ["answer_ms = 6000"]),
        ({"answer_ms": 4_000}, []),
    ],
)
def test_c6_three_second_latency_is_explained_once_with_the_keys(limits: dict[str, int], keys: list[str]) -> None:
    made = far(3_000, **limits)
    said = [line.text for line in made.log if line.level is Level.ERROR and "round trip to the venue is 3.0 s" in line.text]
    assert [text.split("[orders] ")[1] for text in said] == keys


def test_c6_one_slow_answer_is_no_long_way() -> None:
    made = far(20)
    made.held.clear()
    made.run(300_000)
    asked = next(order for order in made.held if isinstance(order, CallRest))
    made.give(RestAnswered(asked.call_id, Answer(200, {}, b'{"serverTime":1}'), made.now_ns - 9_000 * NS_PER_MS))
    assert "the way to the venue" not in made.said()


def test_c6_a_log_on_may_take_longer_than_an_order() -> None:
    """Otherwise a bot whose way to the venue is longer than `orders.answer_ms` could never log on."""
    made = Scripted(Actor(), trading=OrderSideLimits(session=SessionLimits(answer_ms=500)))
    made.holds.add("session.logon")
    made.start()
    made.run(3_000)
    assert made.engine.trading is not None
    assert not made.engine.trading.session.ready
    made.release()
    assert made.engine.trading.session.ready
    assert len(made.sent("session.logon")) == 1
