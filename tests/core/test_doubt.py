"""Refusals and doubt stay where they belong: to one order, and to the symbol of that order."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise

import pytest

from coldframe.core.strategies.view import StrategyView
from coldframe.model.effects import Level, SendRequest
from coldframe.model.intents import Target
from coldframe.model.orders import OrderState
from tests.core.scripted import Actor, Scripted
from tests.core.told import place

S = OrderState
PLACE = "order.place"
AGREEMENT = "Please sign TradFi-Perps agreement contract"


def two() -> tuple[Scripted, Actor, Actor]:
    """A strategy in BTCUSDT and another one in ETHUSDT."""
    btc, eth = Actor("btc"), Actor("eth", symbols=("ETHUSDT",))
    return Scripted(btc, eth, symbols=("BTCUSDT", "ETHUSDT")).ready(), btc, eth


def allowed(made: Scripted, actor: Actor, symbol: str) -> bool:
    """What the strategy's view says about new risk at this moment."""
    asked: list[bool] = []

    def ask(_: object, view: StrategyView) -> None:
        asked.append(view.trading_allowed(symbol))

    actor.acts["on_wake"] = ask
    made.wake(actor)
    return asked[-1]


@pytest.mark.parametrize("code", [-1000, -1006, -1007, -1016, -4116])
def test_the_doubt_of_one_symbol_never_stops_another(code: int) -> None:
    made, btc, eth = two()
    made.holds.add(PLACE)
    made.want(eth, place(symbol="ETHUSDT"))
    made.refuse(code)
    made.holds.clear()
    (doubtful,) = made.engine.orders.live
    assert doubtful.state is S.UNKNOWN
    assert allowed(made, btc, "BTCUSDT")
    assert not allowed(made, eth, "ETHUSDT")
    made.want(btc, place())
    assert made.verdicts(btc) == {"ACCEPTED": 1}
    made.want(eth, place(symbol="ETHUSDT", quantity="2"))
    assert made.verdicts(eth) == {"ACCEPTED": 1, "HALTED": 1}
    assert "1 of the orders in ETHUSDT are of unknown fate" in made.said()


@pytest.mark.parametrize("code", [-4411, -4509, -4130, -4108, -1001, -1008, -4412])
def test_o39_a_refusal_leaves_no_doubt_at_all(code: int) -> None:
    made, btc, eth = two()
    made.exchange.refuses[PLACE] = (code, AGREEMENT)
    made.want(eth, place(symbol="ETHUSDT"))
    assert not list(made.engine.orders.live)
    assert AGREEMENT in made.said()
    made.exchange.refuses.clear()
    made.want(btc, place())
    made.want(eth, place(symbol="ETHUSDT", quantity="2"))
    assert (made.verdicts(btc)["ACCEPTED"], made.verdicts(eth)["ACCEPTED"]) == (1, 2)


def test_o39_a_refused_desired_state_waits_longer_each_time() -> None:
    made, btc, eth = two()
    made.exchange.refuses[PLACE] = (-4411, AGREEMENT)
    times: list[int] = []
    perform = made._perform

    def note(effects: object) -> None:
        effects = list(effects)  # type: ignore[call-overload]
        times.extend(made.now_ns for effect in effects if isinstance(effect, SendRequest) and effect.method == PLACE)
        perform(effects)

    made._perform = note  # type: ignore[method-assign,assignment]
    made.want(eth, Target("ETHUSDT", Decimal(1)))
    made.run(40_000)
    pauses = [later - earlier for earlier, later in pairwise(times)]
    assert 5 <= len(pauses) <= 12
    assert pauses[0] < 1e9
    assert pauses == sorted(pauses)
    assert pauses[-1] >= 8e9
    told = [line for line in made.log if AGREEMENT in line.text]
    assert len(told) == len(times)
    assert sum(line.level is Level.WARNING for line in told) == 1
    assert not made.engine.orders.doubtful
    made.want(btc, place())
    assert made.engine.state.tally.rejected == len(times)
