"""A judgement costs the same however many orders are live: counted in Python calls, not in time."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType

import pytest

from coldframe.core.risk.pre_trade import check
from coldframe.core.risk.suspended import suspension
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Origin
from coldframe.core.strategies.desired_state import DesiredState
from coldframe.core.strategies.runtime import StrategyRuntimes
from coldframe.enums import OrderStatus, Side, TimeInForce
from coldframe.model.inputs import TimeReached
from coldframe.model.intents import Quote, Quotes
from coldframe.model.orders import OrderEvent
from tests.core.made import START_NS, SYMBOL
from tests.core.risk.test_pre_trade import RiskRig
from tests.core.told import CALM, D, place
from tests.core.trace import OrderWorld

MUCH = D(10) ** 9
LEVELS = 20


class LiveOrders(RiskRig):
    """So many live orders of two strategies in one symbol, every limit set; and the first one's quotes as two of them stand."""

    def __init__(self, live: int) -> None:
        limits = RiskLimits(max_order_notional=MUCH, max_gross_notional=MUCH, price_collar_pct=D(90), max_open_orders=10**6)
        super().__init__(limits, Budget(max_position=MUCH, max_notional=MUCH, max_open_orders=10**6))
        for number in range(live):
            side, price = (Side.BUY, "90") if number % 2 else (Side.SELL, "110")
            wanted = place(side, "1", price, time_in_force=TimeInForce.GTX)
            origin = Origin.QUOTE if number % 4 < 2 else Origin.PLACE
            order = self.orders.prepare("other" if number % 3 else "mm", wanted, origin, START_NS)
            self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
            self.orders.see(order, OrderStatus.NEW, D(0), START_NS)
        self.desired = DesiredState(self.state, self.ctx, StrategyRuntimes(()), None, lambda symbol: CALM)
        self.runtime = Runtime(self)

    def quote(self, price: int = 90) -> None:
        bids = [Quote(D(price - level), D(1)) for level in range(LEVELS)]
        asks = [Quote(D(200 - price + level), D(1)) for level in range(LEVELS)]
        assert self.desired.want_quotes(self.runtime, Quotes(SYMBOL, bids, asks)).accepted  # type: ignore[arg-type]

    def quote_anew(self, prices: Iterator[int]) -> None:
        self.quote(next(prices))


class Runtime:
    """What judging quotes asks of a strategy at run time."""

    def __init__(self, live_orders: RiskRig) -> None:
        self.id, self.account = "mm", live_orders.account


def calls_of(what: Callable[[], object]) -> int:
    """How many calls it takes, those of C functions too."""
    count = 0

    def counted(frame: FrameType, event: str, arg: object) -> None:
        nonlocal count
        count += event in ("call", "c_call")

    what()  # what has changed before is added up once
    before = sys.getprofile()
    sys.setprofile(counted)
    try:
        what()
    finally:
        sys.setprofile(before)
    return count


def lines_of(what: Callable[[], object]) -> int:
    """How many lines of code it runs: a loop that calls nothing shows as well."""
    count = 0

    def counted(frame: FrameType, event: str, arg: object) -> Callable[..., object]:
        nonlocal count
        count += event == "line"
        return counted

    what()  # what the first time imports or keeps does not count
    before = sys.gettrace()
    gc.disable()  # a test library listens to each collection of garbage, in Python
    sys.settrace(counted)
    try:
        what()
    finally:
        sys.settrace(before)
        gc.enable()
    return count


WAYS: dict[str, Callable[[LiveOrders], object]] = {
    "place": lambda live_orders: check(live_orders.state, live_orders.account, place(price="95"), CALM),
    "amend": lambda live_orders: check(
        live_orders.state, live_orders.account, place(price="95"), CALM, replaces=[next(iter(live_orders.orders.of("mm")))]
    ),
    "trading_allowed": lambda live_orders: suspension(live_orders.state, CALM, "mm", SYMBOL),
    "quotes unchanged": lambda live_orders: live_orders.quote(),
}


CROWDS = {live: LiveOrders(live) for live in (10, 1_000)}


@pytest.mark.parametrize("way", WAYS)
def test_a_judgement_is_flat_in_live_orders(way: str) -> None:
    few, many = (calls_of(partial(WAYS[way], CROWDS[live])) for live in (10, 1_000))
    assert few > 0
    assert many <= 2 * few


def test_a_tick_looks_at_no_order_that_is_in_order() -> None:
    """What waits for something is looked at, not what just rests."""
    lines = []
    for live in (1, 300):
        world = OrderWorld()
        for number in range(live):
            world.stand(place(Side.BUY, "1", "90", time_in_force=TimeInForce.GTX), order_id=number + 1)
        lines.append(lines_of(partial(world.executor.step, TimeReached("orders:tick"))))
    assert lines[1] == lines[0] > 0


def test_quotes_that_move_are_flat_in_live_orders() -> None:
    few, many = (calls_of(partial(CROWDS[live].quote_anew, iter(range(91, 93)))) for live in (10, 1_000))
    assert many <= 2 * few


def test_an_unchanged_ladder_is_not_judged_level_by_level() -> None:
    live_orders = LiveOrders(10)
    live_orders.quote()
    unchanged = calls_of(live_orders.quote) - calls_of(lambda: [Quote(D(1), D(1)) for _ in range(2 * LEVELS)])
    assert unchanged < 10 * calls_of(lambda: WAYS["place"](live_orders))
