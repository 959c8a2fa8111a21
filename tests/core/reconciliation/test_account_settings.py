"""What the start compares is watched afterwards: a contradiction is told with both values, stops new risk, and ends by itself."""

from __future__ import annotations

import json

import pytest

from coldframe.core.reconciliation.account_settings import LOOK_MS, SUSPECT_MS, AccountSettings
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.enums import Side
from coldframe.model.inputs import ResumeAsked
from coldframe.model.intents import Quote, Quotes
from tests.core.looking import view_of
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

CONFIG = "/fapi/v1/accountConfig"


def world() -> tuple[Scripted, Actor]:
    actor = Actor(symbols=("BTCUSDT", "ETHUSDT"))
    wanted = AccountSettings(leverage={"BTCUSDT": 20}, margin="cross")
    return Scripted(actor, symbols=("BTCUSDT", "ETHUSDT"), trading=OrderSideLimits(account=wanted)).ready(), actor


def tell(made: Scripted, **body: object) -> None:
    made.tell(json.dumps({"E": 1, "T": 1, **body}).encode())
    made.beat()


def code(made: Scripted, actor: Actor, symbol: str = "BTCUSDT") -> str:
    """What becomes of an order that adds risk."""
    before = made.verdicts(actor)
    made.want(actor, place(quantity=f"0.{len(made.exchange.orders) + 1}", symbol=symbol))
    return next(code for code, count in made.verdicts(actor).items() if count != before.get(code, 0))


@pytest.mark.parametrize(
    ("event", "what", "where"),
    [({"ac": {"s": "BTCUSDT", "l": 50}}, "leverage", "BTCUSDT"), ({"ai": {"j": True}}, "asset mode", "the account")],
)
def test_g14_a_report_of_it_stops_new_risk_at_once(event: dict, what: str, where: str) -> None:
    made, actor = world()
    tell(made, e="ACCOUNT_CONFIG_UPDATE", **event)
    assert f"{what} of {where} is" in made.said()
    assert code(made, actor) == "ACCOUNT_SETTING"
    assert made.called(CONFIG) == []
    back = {"ac": {"s": "BTCUSDT", "l": 20}} if "ac" in event else {"ai": {"j": False}}
    tell(made, e="ACCOUNT_CONFIG_UPDATE", **back)
    assert code(made, actor) == "ACCEPTED"


@pytest.mark.parametrize("refusal", [-4061, -4060, -4062])
def test_g14_refusal_that_hints_at_another_mode_is_checked_soon(refusal: int) -> None:
    made, actor = world()
    made.exchange.hedge = True
    made.exchange.refuses["order.place"] = (refusal, "Order's position side does not match user's setting.")
    made.want(actor, place())
    made.run(SUSPECT_MS + 1_000)
    assert len(made.called(CONFIG)) == 1
    assert code(made, actor) == "ACCOUNT_SETTING"


def test_g14_repeated_refusals_are_checked_every_few_seconds() -> None:
    made, actor = world()
    made.exchange.refuses["order.place"] = (-4061, "no")
    for number in range(30):
        made.want(actor, place(quantity=f"0.{number + 1}"))
        made.run(600)
    assert 3 <= len(made.called(CONFIG)) <= 4


def row(**more: object) -> dict[str, object]:
    return {"s": "BTCUSDT", "pa": "0", "ep": "0", "cr": "0", "up": "0", "mt": "cross", "iw": "0", "ps": "BOTH", **more}


@pytest.mark.parametrize(
    ("reason", "positions", "asked", "said"),
    [
        ("ORDER", [row()], False, False),
        ("ORDER", [row(ps="LONG")], True, False),
        ("ORDER", [row(mt="isolated")], False, True),
        ("MARGIN_TYPE_CHANGE", [], True, False),
    ],
)
def test_g14_position_reports_give_settings_away(reason: str, positions: list, asked: bool, said: bool) -> None:
    made, _ = world()
    tell(made, e="ACCOUNT_UPDATE", a={"m": reason, "B": [], "P": positions})
    made.run(SUSPECT_MS + 1_000)
    assert bool(made.called(CONFIG)) is asked
    assert ("margin mode of BTCUSDT is isolated" in made.said()) is said


def test_what_only_reduces_passes_and_quotes_go() -> None:
    made, actor = world()
    made.want(actor, place(quantity="2"))
    made.fill(next(iter(made.engine.orders.live)).client_order_id, "2")
    made.want(actor, Quotes("BTCUSDT", bids=[Quote(D(99), D(1))]))
    assert len(list(made.engine.orders.live)) == 1
    tell(made, e="ACCOUNT_CONFIG_UPDATE", ai={"j": True})
    made.run(1_000)
    assert list(made.engine.orders.live) == []
    made.want(actor, place(Side.SELL, "2", "101"))
    assert made.verdicts(actor)["ACCEPTED"] >= 3
    assert not view_of(made.engine).trading_allowed("BTCUSDT")


def test_a_person_cannot_resume_what_the_account_contradicts() -> None:
    made, actor = world()
    tell(made, e="ACCOUNT_CONFIG_UPDATE", ai={"j": True})
    made.give(ResumeAsked(None, 1))
    assert code(made, actor) == "ACCOUNT_SETTING"


def test_a_hedged_bot_is_told_of_an_account_in_one_way_mode() -> None:
    made = Scripted(Actor(), hedge=True).ready()
    made.exchange.hedge = False
    made.run(LOOK_MS + 1_000)
    assert "position mode of the account is one-way mode at the venue, the bot is configured for hedge mode" in made.said()


def test_a_look_that_fails_is_said_once_and_tried_again() -> None:
    made, actor = world()
    made.exchange.refuses[CONFIG] = (-1001, "no")
    made.run(4 * LOOK_MS)
    assert made.said().count("the settings of the account cannot be looked at") == 1
    made.exchange.refuses.clear()
    made.exchange.hedge = True
    made.run(LOOK_MS + 1_000)
    assert code(made, actor) == "ACCOUNT_SETTING"


def test_a_look_takes_eleven_weight_a_minute() -> None:
    made, _ = world()
    before = len(made.effects)
    made.run(LOOK_MS + 1_000)
    looked = [effect.path for effect in made.effects[before:] if getattr(effect, "path", "").startswith("/fapi/v1/")]
    assert {CONFIG, "/fapi/v1/symbolConfig", "/fapi/v1/leverageBracket"} <= set(looked)
    assert looked.count(CONFIG) == 1
