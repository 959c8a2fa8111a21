"""A side of quotes judged at once: what passes so, passes level by level."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.risk.pre_trade import RiskInputs, check
from coldframe.core.risk.quote_side import passes, well_formed
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Origin
from coldframe.enums import OrderStatus, OrderType, Side, TimeInForce
from coldframe.model.events import BookState
from coldframe.model.intents import Place
from coldframe.model.orders import Attempt, OrderEvent
from tests.core.made import START_NS, SYMBOL
from tests.core.risk.test_pre_trade import RiskRig
from tests.core.told import CALM, D, place
from tests.examples import examples

SIZES = [D(text) for text in ("0.5", "1", "2", "7")]


def any_rig(chance: Random) -> RiskRig:
    """Orders and positions of two strategies under limits that are near."""
    near = [None, D(5), D(10), D(20)]
    rig = RiskRig(
        RiskLimits(
            max_order_notional=chance.choice([None, D(150), D(800)]),
            max_gross_notional=chance.choice([None, D(2_000), D(5_000)]),
            price_collar_pct=chance.choice([None, D(3), D(50)]),
            max_open_orders=chance.choice([None, 3, 8]),
        ),
        Budget(max_position=chance.choice(near), max_notional=chance.choice([None, D(700), D(3_000)])),
    )
    for _ in range(chance.randrange(8)):
        kind = chance.choice((OrderType.LIMIT, OrderType.MARKET, OrderType.STOP_MARKET))
        wanted = place(chance.choice(list(Side)), str(chance.choice(SIZES)), "100" if kind is OrderType.LIMIT else None)
        wanted = attrs.evolve(wanted, type=kind, trigger_price=D(100) if kind.conditional else None)
        wanted = attrs.evolve(wanted, reduce_only=chance.random() < 0.3)
        origin = Origin.QUOTE if kind is OrderType.LIMIT and chance.random() < 0.5 else Origin.PLACE
        order = rig.orders.prepare(chance.choice(("mm", "other")), wanted, origin, START_NS)
        rig.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        rig.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        if chance.random() < 0.3:
            rig.orders.attempt(order, Attempt.CANCEL_WANTED)
            rig.orders.attempt(order, Attempt.CANCEL_UNKNOWN)
    if chance.random() < 0.6:
        rig.hold(f"{chance.choice((1, -1)) * chance.choice(SIZES)}")
    return rig


def any_side(chance: Random) -> list[Place]:
    side = chance.choice(list(Side))
    far = chance.choice((2, 20))
    return [
        place(side, str(chance.choice(SIZES)), str(100 - far + chance.randrange(2 * far)), time_in_force=TimeInForce.GTX)
        for _ in range(chance.randrange(1, 5))
    ]


def each_passes(rig: RiskRig, places: list[Place], now: RiskInputs) -> bool:
    """The plain way: each level by itself, beside the ones before it."""
    beside = Decimal(0)
    for level in places:
        quotes = list(rig.orders.quotes("mm", SYMBOL))
        if not check(rig.state, rig.account, level, now, replaces=quotes, beside=beside, sending=False).accepted:
            return False
        beside += level.quantity
    return True


def side_passes(rig: RiskRig, places: list[Place], now: RiskInputs = CALM) -> bool:
    quote_side = well_formed(rig.state, rig.account, places, now)
    return quote_side is not None and passes(rig.state, rig.account, quote_side, now, rig.orders.replacing_quotes("mm", SYMBOL))


@settings(max_examples=examples(2_000))
@given(st.integers(0, 2**32))
def test_what_passes_at_once_passes_level_by_level(seed: int) -> None:
    chance = Random(seed)
    rig, places = any_rig(chance), any_side(chance)
    now = attrs.evolve(CALM, book_state=chance.choice((BookState.SYNCED, BookState.SYNCED, BookState.BUFFERING)))
    if side_passes(rig, places, now):
        assert each_passes(rig, places, now)


def test_judging_at_once_spares_most_that_pass() -> None:
    """It errs on the side of no: of a thousand sides that pass in random worlds under near limits, few are judged one by one."""
    sides = [(any_rig(chance), any_side(chance)) for chance in map(Random, range(1_000))]
    passing = [(rig, places) for rig, places in sides if each_passes(rig, places, CALM)]
    assert len(passing) > 200
    assert sum(side_passes(rig, places) for rig, places in passing) > 0.5 * len(passing)


@pytest.mark.parametrize(("quantities", "fits"), [(("2", "3"), True), (("2", "3.001"), False), (("5",), True), (("5.001",), False)])
def test_the_levels_of_a_side_count_together(quantities: tuple[str, ...], fits: bool) -> None:
    rig = RiskRig(budget=Budget(max_position=D(5)))
    places = [place(quantity=quantity, price=str(99 - at)) for at, quantity in enumerate(quantities)]
    assert side_passes(rig, places) is each_passes(rig, places, CALM) is fits


@pytest.mark.parametrize(("price", "passing"), [("100", True), ("97.1", True), ("96.9", False), ("103.5", False)])
def test_no_level_is_beyond_the_collar(price: str, passing: bool) -> None:
    rig = RiskRig(RiskLimits(price_collar_pct=D(3)))
    places = [place(price="100"), place(price=price), place(price="99")]
    assert side_passes(rig, places) is each_passes(rig, places, CALM) is passing


@pytest.mark.parametrize("wrong", ["NaN", "0", "-1", "0.00001"])
def test_a_level_that_is_malformed_is_judged_by_itself(wrong: str) -> None:
    rig = RiskRig()
    assert well_formed(rig.state, rig.account, [place(), place(quantity=wrong)], CALM) is None
