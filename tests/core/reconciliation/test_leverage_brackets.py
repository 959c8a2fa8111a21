"""What the venue allows at the leverage that is set: asked for at the start, followed through the reports, unknown is unlimited."""

from __future__ import annotations

import json

import pytest

from coldframe.core.state.leverage_caps import Cap
from coldframe.model.intents import Target
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

BRACKETS, CONFIG = "/fapi/v1/leverageBracket", "/fapi/v1/symbolConfig"
TIERS = [
    {"bracket": 1, "initialLeverage": 50, "notionalCap": 100, "notionalFloor": 0, "maintMarginRatio": 0.01, "cum": 0},
    {"bracket": 2, "initialLeverage": 20, "notionalCap": 500, "notionalFloor": 100, "maintMarginRatio": 0.02, "cum": 1},
    {"bracket": 3, "initialLeverage": 5, "notionalCap": 9000, "notionalFloor": 500, "maintMarginRatio": 0.05, "cum": 2},
]


def world(leverage: int = 20) -> tuple[Scripted, Actor]:
    actor = Actor()
    made = Scripted(actor)
    honest = made.exchange.rest
    said: dict[str, object] = {
        BRACKETS: [{"symbol": "BTCUSDT", "brackets": TIERS}],
        CONFIG: [{"symbol": "BTCUSDT", "marginType": "CROSSED", "leverage": leverage}],
    }
    made.exchange.rest = lambda path, params: said[path] if path in said else honest(path, params)  # type: ignore[method-assign]
    return made.ready(), actor


@pytest.mark.parametrize(("leverage", "cap"), [(50, 100), (21, 100), (20, 500), (6, 500), (5, 9000), (1, 9000)])
def test_cap_is_that_of_the_largest_bracket_for_the_leverage(leverage: int, cap: int) -> None:
    made, _ = world(leverage)
    assert made.engine.state.caps == {"BTCUSDT": Cap(D(cap), leverage)}


def test_order_beyond_the_bracket_is_refused_with_both_numbers() -> None:
    made, actor = world()
    made.want(actor, place(quantity="5.001"), place(quantity="5"))
    assert made.verdicts(actor) == {"BRACKET": 1, "ACCEPTED": 1}


def test_a_changed_leverage_changes_the_cap() -> None:
    made, actor = world()
    event = {"e": "ACCOUNT_CONFIG_UPDATE", "E": 1, "T": 1, "ac": {"s": "BTCUSDT", "l": 50}}
    made.tell(json.dumps(event).encode())
    made.beat()
    made.want(actor, place(quantity="2"))
    assert made.verdicts(actor) == {"BRACKET": 1}


def test_a_target_beyond_the_bracket_goes_nowhere() -> None:
    made, actor = world()
    made.want(actor, Target("BTCUSDT", D(6)))
    assert made.sent("order.place") == []


@pytest.mark.parametrize("path", [BRACKETS, CONFIG])
def test_without_an_answer_nothing_is_limited_and_it_is_said(path: str) -> None:
    actor = Actor()
    made = Scripted(actor)
    made.exchange.refuses[path] = (-1001, "not now")
    made.ready()
    assert "leverage brackets are not known: not now" in made.said()
    made.want(actor, place(quantity="50"))
    assert made.verdicts(actor) == {"ACCEPTED": 1}
