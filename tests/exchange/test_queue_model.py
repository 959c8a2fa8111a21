"""Where cancelled quantity has stood in a queue: three models, beside a little one of the level, and in their order."""

from __future__ import annotations

from math import gcd

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.enums import Side
from coldframe.exchange.matching import Matching, QueueModel
from tests.examples import examples
from tests.exchange.queues import ahead_of, left_of

BUY, SELL = Side.BUY, Side.SELL
OWN = 7


def queued(model: QueueModel, ahead: int, own: int, behind: int) -> Matching:
    """A level of a recorded market: an own order with so much ahead of it and behind it."""
    made = Matching(model)
    made.set_background(BUY, 100, ahead)
    made.rest(BUY, 100, own, OWN, "me")
    made.set_background(BUY, 100, ahead + behind)
    return made


@pytest.mark.parametrize(
    ("model", "cancelled", "left_ahead"),
    [
        (QueueModel.BEHIND, 30, 60),
        (QueueModel.BEHIND, 50, 50),
        (QueueModel.EVENLY, 25, 45),  # of 100: 60 ahead, 40 behind
        (QueueModel.EVENLY, 30, 50),  # in steps of 10: one ahead and two behind
        (QueueModel.EVENLY, 1, 60),  # what cannot be divided was behind
        (QueueModel.AHEAD, 30, 30),
        (QueueModel.AHEAD, 70, 0),
    ],
)
def test_a_model_says_how_much_stays_ahead(model: QueueModel, cancelled: int, left_ahead: int) -> None:
    made = queued(model, 60, 5, 40)
    assert made.set_background(BUY, 100, 100 - cancelled) == ()
    assert ahead_of(made, OWN) == left_ahead
    assert made.background_at(BUY, 100) == 100 - cancelled
    assert left_of(made, OWN) == 5


@settings(max_examples=examples(100), deadline=None)
@given(st.lists(st.integers(1, 50), min_size=2, max_size=8), st.integers(1, 400), st.sampled_from(QueueModel), st.integers(1, 9))
def test_no_quantity_is_finer_than_the_market(pieces: list[int], gone: int, model: QueueModel, step: int) -> None:
    """A recording's quantities are multiples of the contract's step; so is what stays of each piece."""
    made = Matching(model)
    for order_id, quantity in enumerate(pieces, start=1):
        made.set_background(BUY, 100, made.background_at(BUY, 100) + quantity * step)
        made.rest(BUY, 100, step, order_id, "me")
    made.set_background(BUY, 100, max(sum(pieces) - gone, 0) * step)
    assert all(ahead_of(made, order_id) % step == 0 for order_id in range(1, len(pieces) + 1))
    assert made.background_at(BUY, 100) == max(sum(pieces) - gone, 0) * step


STEPS = st.lists(st.tuples(st.sampled_from(["says", "trades"]), st.integers(0, 60)), max_size=30)


@settings(max_examples=examples(200), deadline=None)
@given(STEPS, st.integers(0, 60), st.integers(1, 20), st.sampled_from(QueueModel))
def test_a_level_is_what_a_little_model_says(steps: list[tuple[str, int]], ahead: int, own: int, model: QueueModel) -> None:
    """Two figures, ahead and behind, and the own order between them."""
    made, behind, left = queued(model, ahead, own, 0), 0, own
    for kind, quantity in steps:
        if not left:
            break
        if kind == "says":
            gone = ahead + behind - quantity
            made.set_background(BUY, 100, quantity)
            if gone <= 0:
                behind -= gone
            elif model is QueueModel.BEHIND:
                ahead -= max(gone - behind, 0)
                behind = quantity - ahead
            elif model is QueueModel.AHEAD:
                ahead = max(ahead - gone, 0)
                behind = quantity - ahead
            else:
                step = gcd(ahead, behind, gone)
                parts = [part * gone // (ahead + behind) // step * step for part in (ahead, behind)]
                rest = gone - sum(parts)
                from_behind = min(rest, behind - parts[1])
                ahead, behind = ahead - parts[0] - (rest - from_behind), behind - parts[1] - from_behind
        elif quantity:
            made.apply_market_trade(100, quantity, SELL)
            used = min(quantity, ahead)
            filled = min(quantity - used, left)
            ahead, left, behind = ahead - used, left - filled, max(behind - (quantity - used - filled), 0)
        assert (left_of(made, OWN), made.background_at(BUY, 100)) == (left, ahead + behind)
        if left:
            assert ahead_of(made, OWN) == ahead


@settings(max_examples=examples(200), deadline=None)
@given(STEPS, st.integers(0, 60), st.integers(1, 20))
def test_the_careful_model_never_fills_sooner(steps: list[tuple[str, int]], ahead: int, own: int) -> None:
    """In one market an order that rests has at no moment more filled behind than evenly, nor evenly than ahead."""
    levels = [queued(model, ahead, own, 0) for model in (QueueModel.BEHIND, QueueModel.EVENLY, QueueModel.AHEAD)]
    for kind, quantity in steps:
        for level in levels:
            if kind == "says":
                level.set_background(BUY, 100, quantity)
            elif quantity:
                level.apply_market_trade(100, quantity, SELL)
        left = [left_of(level, OWN) for level in levels]
        assert left == sorted(left, reverse=True)
