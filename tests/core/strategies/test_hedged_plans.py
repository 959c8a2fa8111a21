"""A target on an account in hedge mode: its orders close one side before they open the other."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.execution.operations import PlaceOperation
from coldframe.core.strategies.planner import Held, plan_hedged_target
from coldframe.enums import PositionSide
from coldframe.model.intents import Place, Target
from coldframe.testing import instrument
from tests.core.told import D
from tests.examples import examples

LONG, SHORT = PositionSide.LONG, PositionSide.SHORT

SIZES = st.integers(0, 6).map(lambda n: Decimal(n) / 2)


@settings(max_examples=examples(300), deadline=None)
@given(st.integers(-6, 6).map(lambda n: Decimal(n) / 2), SIZES, SIZES, st.lists(st.integers(1, 4), min_size=30, max_size=30))
def test_a_hedged_target_is_reached_one_side_after_the_other(
    position: Decimal, held: Decimal, owed: Decimal, parts: list[int]
) -> None:
    """Whatever part of each order trades: never is anything opened while the other side stands, and it ends where it should."""
    listed = instrument("BTCUSDT", step="0.1")
    long, short = held, -owed
    for part in [*parts, 4, 4, 4, 4]:
        sides = [Held(own, own, side=side) for own, side in ((long, LONG), (short, SHORT))]
        operations = plan_hedged_target(Target("BTCUSDT", position), sides[0], sides[1], [], D("99.9"), D("100.1"), listed)
        if not operations:
            break
        ((wanted),) = [operation.place for operation in operations if isinstance(operation, PlaceOperation)]
        assert isinstance(wanted, Place)
        filled = listed.quantity(wanted.quantity * part / 4) or wanted.quantity
        if not wanted.closing:
            assert (short if wanted.position_side is LONG else long) == 0
        if wanted.position_side is LONG:
            long += wanted.side.sign * filled
        else:
            short += wanted.side.sign * filled
        assert long >= 0 >= short
    assert (long, short) == (max(position, D(0)), min(position, D(0)))
