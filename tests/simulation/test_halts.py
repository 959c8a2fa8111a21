"""Halts of a run that trades, across restarts, and what the dead man's switch does when a run has died or ended."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pytest

from coldframe import OrderType, Place, Quote, Quotes, Side, Target, hookimpl
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.exits import Exit
from coldframe.model.events import BookState, StrategyEvent
from coldframe.model.halting import Halt, HaltLevel
from coldframe.model.inputs import HaltAsked, ResumeAsked
from coldframe.model.intents import Intent
from coldframe.model.view import View
from tests.simulation.ends import B, code
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
E = "ETHUSDT"
SIZES = {B: D("0.005"), E: D("0.050")}


class Quoter(Puppet):
    """Quotes both sides far enough away that nothing is met, and wants a position of two sizes from the first moment."""

    @hookimpl
    def on_book(self, event: StrategyEvent, view: View) -> Sequence[Intent]:
        wanted: list[Intent] = list(super().on_book(event, view))
        for symbol in view.symbols:
            book, rules, size = view.book(symbol), view.instrument(symbol), SIZES[symbol]
            assert book.mid is not None
            low, high = (rules.price(book.mid * away) for away in (D("0.98"), D("1.02")))
            wanted.append(Quotes(symbol, [Quote(low, size)], [Quote(high, size)]))
        return wanted


def world(**more: Any) -> tuple[Pump, dict[str, Quoter]]:
    """Two strategies, each quoting its contract and holding a position in it."""
    quoters = {"mm": Quoter(), "other": Quoter()}

    def maker(name: str) -> Any:
        return lambda: quoters[name]

    traders = [Trader(id=name, make=maker(name), symbols=(symbol,)) for name, symbol in (("mm", B), ("other", E))]
    pump = Pump(traders, **more)
    for quoter, symbol in zip(quoters.values(), (B, E), strict=True):
        quoter.wanted = [Target(symbol, 2 * SIZES[symbol])]
    pump.until(lambda: all(pump.venue.position(symbol) == 2 * SIZES[symbol] for symbol in (B, E)))
    pump.until(lambda: quoting(pump) == {"mm": 2, "other": 2})
    return pump, quoters


def quoting(pump: Pump) -> dict[str, int]:
    """How many orders of each strategy stand at the venue."""
    names = [name.split(".")[1] for name in pump.venue.open_orders()]
    return {name: names.count(name) for name in ("mm", "other")}


@pytest.mark.parametrize("level", [HaltLevel.CANCEL, HaltLevel.FLATTEN])
def test_p10_a_halt_of_all_stays_across_restarts_until_resumed(level: HaltLevel) -> None:
    pump, _ = world()
    flat = level is HaltLevel.FLATTEN
    pump.give(HaltAsked(level, None, "SIGUSR1"))
    pump.until(lambda: quoting(pump) == {"mm": 0, "other": 0}, 5)
    pump.until(lambda: [pump.venue.position(symbol) for symbol in (B, E)] == ([0, 0] if flat else [D("0.010"), D("0.100")]), 5)
    assert len(pump.told(f"halted: all strategies: {level.value} (SIGUSR1)")) == 1
    pump.stop()
    sent = len(pump.sent)
    pump.restart(halts=[Halt(level, None, "SIGUSR1")])
    pump.run(30)
    assert pump.told(f"starts halted: all strategies: {level.value} (SIGUSR1)")
    assert pump.engine.market.books[B, False].sync.state is BookState.SYNCED
    placed = [params for method, params in pump.sent[sent:] if method == "order.place"]
    assert {params["side"] for params in placed} == (set() if flat else {"SELL"}), "what reduces is allowed, and nothing else"
    pump.give(ResumeAsked())
    pump.until(lambda: quoting(pump) == {"mm": 2, "other": 2})
    assert pump.told("resumed: all strategies")
    pump.stop()
    assert quoting(pump) == {"mm": 0, "other": 0}
    assert code(pump) is (Exit.DONE if flat else Exit.UNPROTECTED)


def test_one_of_two_strategies_is_halted() -> None:
    pump, _ = world()
    pump.give(HaltAsked(HaltLevel.FLATTEN, "mm", "drill"))
    pump.until(lambda: pump.venue.position(B) == 0, 5)
    pump.run(10)
    assert quoting(pump) == {"mm": 0, "other": 2}, "the other quotes on"
    assert pump.venue.position(E) == pump.position("other", E) == D("0.100")
    assert pump.told("halted: strategy mm: flatten (drill)")
    assert not pump.told("halted: all strategies")
    pump.give(ResumeAsked("mm"))
    pump.until(lambda: quoting(pump) == {"mm": 2, "other": 2})


def test_a_halt_is_carried_out_within_a_second() -> None:
    """All its orders are gone from the venue by then, though the way there and back takes a fifth of one."""
    pump, _ = world(travel_ms=100)
    pump.give(HaltAsked(HaltLevel.CANCEL, None, "drill"))
    pump.until(lambda: quoting(pump) == {"mm": 0, "other": 0}, 1)


# -- the dead man's switch --------------------------------------------------------------------------------------------

SWITCH = OrderSideLimits(dead_man_ms=10_000)


def test_o30_the_venue_cancels_the_orders_of_a_killed_bot() -> None:
    pump, _ = world(trading=SWITCH)
    pump.until(lambda: all(pump.told(f"dead man's switch of {symbol}: armed, 10 s") for symbol in (B, E)))
    pump.run(30)
    assert quoting(pump) == {"mm": 2, "other": 2}, "while it lives its orders stand"
    pump.kill()
    pump.run(7)
    assert quoting(pump) == {"mm": 2, "other": 2}, "three quarters of the countdown are left at least"
    pump.run(4)
    assert pump.venue.open_orders() == {}


def test_o30_a_clean_end_leaves_no_countdown_behind() -> None:
    pump, _ = world(trading=SWITCH)
    pump.run(30)
    pump.stop()
    assert not pump.told("beat missed")
    order = {"symbol": B, "side": "BUY", "type": "LIMIT", "timeInForce": "GTC", "quantity": "0.002", "price": "58000"}
    assert pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 200
    pump.run(60)
    assert len(pump.venue.open_orders()) == 1, "a switch that was left armed would have taken it"


def test_o30_a_kept_order_outlives_the_next_start_too() -> None:
    """The end lays the switch down, and a start whose strategy places nothing arms none."""
    pump, quoters = world(trading=SWITCH)
    low = pump.market.best(B, Side.BUY) - 900
    stop = Place(symbol=B, side=Side.SELL, type=OrderType.STOP_MARKET, quantity=D("0.010"), trigger_price=low, reduce_only=True)
    quoters["mm"].wanted = [stop]
    pump.until(lambda: len(pump.venue.waiting_orders()) == 1)
    pump.stop()
    pump.restart(halts=[Halt(HaltLevel.PAUSE)], keep_orders=False)
    pump.run(30)
    pump.stop()
    assert len(pump.venue.waiting_orders()) == 1
