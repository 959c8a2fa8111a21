"""The table of docs/misbehaviour.md: what a plugin does with an order open, and what becomes of it, its order and the run."""

from __future__ import annotations

import gc
import locale
import os
import random
import re
import sys
import warnings
from collections.abc import Callable, Iterator
from decimal import Decimal, getcontext
from pathlib import Path
from typing import Any

import pytest

from coldframe import Place, Side, hookimpl
from coldframe.core.state.limits import Budget
from coldframe.plug.hookspecs import EVENT_HOOKS
from coldframe.plug.strategy_plugin import StrategyPlugin
from tests.simulation.misbehaving import ENDURED, MUTED, RAISED, Misdeed
from tests.simulation.pump import Pump, Trader

PAGE = Path(__file__).resolve().parents[2] / "docs" / "misbehaviour.md"
D = Decimal


class Resting:
    """Rests one order far below the market, and when it is let loose misbehaves in one of its hooks."""

    def __init__(self, misdeed: Misdeed | None = None, hook: str = "on_mark") -> None:
        self.misdeed, self.hook = misdeed, hook
        self.loose = self.placed = False
        self.events = self.misdeeds = 0

    def hears(self, hook: str, event: Any, view: Any) -> object:
        self.events += 1
        if self.loose and self.misdeed is not None and hook == self.hook:
            self.misdeeds += 1
            return self.misdeed(event, view)
        if hook == "on_book" and not self.placed and view.trading_allowed(event.symbol):
            self.placed = True
            low = view.instrument(event.symbol).price_down(view.book(event.symbol).best_bid * D("0.97"))
            return Place(symbol=event.symbol, side=Side.BUY, quantity=D("0.02"), price=low)
        return None


def _hook(name: str) -> Callable[..., object]:
    def hook(self: Resting, event: object, view: object) -> object:
        return self.hears(name, event, view)

    hook.__name__ = name
    return hook


for _name in EVENT_HOOKS:
    setattr(Resting, _name, hookimpl(_hook(_name)))


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    """What the whole process shares is put back, so that the next test finds it as this one did."""
    folder, home, filters = os.getcwd(), os.environ.get("XDG_STATE_HOME"), warnings.filters[:]
    spoken, chance = locale.setlocale(locale.LC_ALL), random.getstate()
    yield
    locale.setlocale(locale.LC_ALL, spoken)
    random.setstate(chance)
    gc.enable()
    os.chdir(folder)
    os.environ.pop("XDG_STATE_HOME", None)
    if home is not None:
        os.environ["XDG_STATE_HOME"] = home
    warnings.filters[:] = filters  # type: ignore[index]


def world(bad: Resting, make: Callable[[], object] | None = None, overlays: tuple[object, ...] = ()) -> tuple[Pump, Resting]:
    """The plugin beside a well-behaved one; both have their order in the book."""
    good = Resting()
    limits = Budget(max_position=D("0.03"))
    trader = Trader(id="bad", make=make or (lambda: bad), plugged=make is not None, budget=limits, overlays=lambda: overlays)
    pump = Pump([trader, Trader(id="good", make=lambda: good, symbols=("ETHUSDT",))])
    pump.until(lambda: len(pump.venue.open_orders()) == 2)
    pump.run(1)
    return pump, good


def open_of(pump: Pump, strategy: str) -> int:
    return sum(f".{strategy}." in name for name in pump.venue.open_orders())


def check_the_rest_goes_on(pump: Pump, good: Resting) -> None:
    """The other strategy and the run do not notice, and the run comes to its end."""
    heard, digits = good.events, getcontext().prec
    pump.run(3)
    assert good.events > heard
    assert open_of(pump, "good") == 1
    assert pump.failed is None
    assert digits == 28
    pump.stop()
    assert pump.finished == "duration"
    assert pump.venue.open_orders() == {}


def check_muted(pump: Pump, bad: Resting, good: Resting) -> None:
    bad.loose = True
    pump.until(lambda: pump.engine.runtimes.get("bad").muted, 10)
    pump.until(lambda: open_of(pump, "bad") == 0, 30)
    assert len(pump.told("strategy bad muted: ")) == 1
    heard = bad.events
    pump.run(2)
    assert bad.events == heard
    check_the_rest_goes_on(pump, good)


@pytest.mark.parametrize("misdeed", MUTED.values(), ids=MUTED.keys())
def test_s13_what_mutes_a_plugin(misdeed: Misdeed) -> None:
    bad = Resting(misdeed)
    pump, good = world(bad)
    check_muted(pump, bad, good)


@pytest.mark.parametrize("hook", ["on_book", "on_mark", "on_order", "on_link"])
@pytest.mark.parametrize("error", RAISED, ids=lambda error: getattr(error, "__name__", "ConfigError"))
def test_s1_s13_whatever_a_hook_raises_with_an_order_open(hook: str, error: Callable[[], BaseException]) -> None:
    def misdeed(event: Any, view: Any) -> object:
        raise error()

    bad = Resting(misdeed, hook)
    pump, good = world(bad)
    bad.loose = True
    if hook == "on_order":
        name = next(name for name in pump.venue.open_orders() if ".bad." in name)
        pump.venue.by_hand("DELETE", "/fapi/v1/order", {"symbol": "BTCUSDT", "origClientOrderId": name})
    if hook == "on_link":
        for kind in {socket.kind for socket in pump.venue.sockets.values()}:
            pump.venue.cut(kind)
    check_muted(pump, bad, good)


@pytest.mark.parametrize("misdeed", ENDURED.values(), ids=ENDURED.keys())
def test_s13_what_a_plugin_is_not_muted_for(misdeed: Misdeed) -> None:
    bad = Resting(misdeed)
    pump, good = world(bad)
    limit = sys.getrecursionlimit()
    bad.loose = True
    pump.until(lambda: bad.misdeeds >= 3, 10)
    assert not pump.engine.runtimes.get("bad").muted
    assert open_of(pump, "bad") == 1
    assert sys.getrecursionlimit() == limit
    check_the_rest_goes_on(pump, good)


def test_s13_an_overlay_that_raises_mutes_what_it_watches() -> None:
    """Row 7."""

    class Overlay:
        @hookimpl
        def review_intent(self, intent: object) -> None:
            if bad.loose:
                raise KeyboardInterrupt

    bad = Resting(lambda event, view: Place(symbol="BTCUSDT", side=Side.SELL, quantity=D("0.01"), price=D(90_000)))
    pump, good = world(bad, overlays=(Overlay(),))
    check_muted(pump, bad, good)
    assert pump.told("review_intent: KeyboardInterrupt")


def test_s9_s13_a_hook_that_takes_seconds_is_muted() -> None:
    """Row 12: by a stopwatch that a hook moves, so that nothing really waits."""
    now_ns = [0]

    def sleeps(event: Any, view: Any) -> object:
        now_ns[0] += 3_000_000_000
        return Place(symbol="BTCUSDT", side=Side.BUY, quantity=D("0.001"))

    bad = Resting(sleeps)

    def make() -> StrategyPlugin:
        trader = Trader(id="bad", make=lambda: bad)
        return StrategyPlugin("bad", trader.symbols, trader.on_error, bad, stopwatch=lambda: now_ns[0], limit_ms=2_000)

    pump, good = world(bad, make)
    check_muted(pump, bad, good)
    assert pump.told("on_mark: it took 3000 ms, more than its hook_limit_ms of 2000")


def test_s12_a_view_that_was_kept_mutes_who_asks_it() -> None:
    """Row 19."""
    kept: list[Any] = []

    def keeps(event: Any, view: Any) -> None:
        kept.append(view)
        kept[0].orders()

    bad = Resting(keeps)
    pump, good = world(bad)
    check_muted(pump, bad, good)
    assert pump.told("this view was made for a call that is over")


# -- the page ---------------------------------------------------------------------------------------------------------


def rows() -> dict[int, str]:
    return {int(number): rest for number, rest in re.findall(r"^\| (\d+) \| (.*) \|$", PAGE.read_text(), re.MULTILINE)}


def test_the_page_lists_26_ways_and_each_names_its_test() -> None:
    assert list(rows()) == list(range(1, 27))
    root = PAGE.parents[1] / "tests"
    for number, row in rows().items():
        path, _, name = row.rpartition("`")[0].rpartition("`")[2].partition("::")
        assert f"def {name}(" in (root / path).read_text(), (number, path, name)


def test_the_page_says_of_each_way_whether_it_mutes() -> None:
    for number, row in rows().items():
        said = row.split(" | ")[1]
        assert (number not in MUTED) or said.startswith("muted"), number
        assert (number not in ENDURED) or not said.startswith("muted"), number
