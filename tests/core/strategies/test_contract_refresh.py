"""The rules of contracts change while we trade: asked for again when there is reason to, taken over, quotes looked at again."""

from __future__ import annotations

import json

import pytest

from coldframe.core.strategies.contract_refresh import APART_MS, rows_of
from coldframe.enums import Side
from coldframe.errors import DecodeError
from coldframe.model.effects import CallRest
from coldframe.model.instruments import Instrument
from coldframe.model.intents import Quote, Quotes, Target
from coldframe.testing import instrument
from coldframe.wire.codec import Census, decode
from coldframe.wire.streams import ContractInfo
from tests.core.exchange import listed
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

INFO = "/fapi/v1/exchangeInfo"
CHANNELS = ("depth@100ms", "markPrice@1s", "!contractInfo")
WANTED = Quotes("BTCUSDT", [Quote(D("99.7"), D(1)), Quote(D("99.5"), D(1))], [Quote(D("100.5"), D("1.5"))])


def world() -> tuple[Scripted, Actor]:
    actor = Actor()
    return Scripted(actor, channels=CHANNELS).ready(), actor


def contract(status: str = "TRADING", symbol: str = "BTCUSDT") -> ContractInfo:
    body = {"e": "contractInfo", "E": 1, "s": symbol, "ps": symbol, "ct": "PERPETUAL", "dt": 1, "ot": 1, "cs": status}
    return decode(ContractInfo, json.dumps(body).encode(), Census())


def asked(made: Scripted) -> int:
    return sum(isinstance(effect, CallRest) and effect.path == INFO for effect in made.effects)


def live(made: Scripted) -> set[str]:
    return {str(order.price) for order in made.engine.orders.live}


def test_b11_contract_notice_rereads_rules_twice_a_minute_apart() -> None:
    made, _ = world()
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.5", "0.1")
    made.say("!contractInfo", contract())
    assert asked(made) == 1
    assert made.engine.state.instruments["BTCUSDT"] == instrument("BTCUSDT", tick="0.5", step="0.1")
    assert "BTCUSDT has new rules: tick 0.1 is 0.5, lot min 0.001 is 0.1, lot step 0.001 is 0.1" in made.said()
    # The list may have lagged behind the word.
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.5", "0.5")
    made.run(APART_MS + 1_000)
    assert asked(made) == 2
    assert made.engine.state.instruments["BTCUSDT"].step == D("0.5")
    made.run(10 * APART_MS)
    assert asked(made) == 2


def test_b11_quotes_that_break_new_rules_are_left_out() -> None:
    made, actor = world()
    made.want(actor, WANTED)
    assert live(made) == {"99.7", "99.5", "100.5"}
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.5", "0.001")
    made.say("!contractInfo", contract())
    made.run(100)
    assert live(made) == {"99.5", "100.5"}
    assert "1 quotes in BTCUSDT do not fit its new rules and are left out" in made.said()
    made.want(actor, place(price="99.9"), place(price="99"))
    assert made.verdicts(actor)["FILTER"] == 1
    assert live(made) == {"99.5", "100.5", "99"}


@pytest.mark.parametrize("code", [-4014, -1111, -1013])
def test_b11_rule_refusals_reread_rules_at_most_once_a_minute(code: int) -> None:
    made, actor = world()
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.5", "0.001")
    made.exchange.refuses["order.place"] = (code, "no")
    made.want(actor, WANTED)
    assert asked(made) == 1
    assert made.engine.state.instruments["BTCUSDT"].tick == D("0.5")
    made.run(10 * APART_MS)
    assert 8 <= asked(made) <= 11
    del made.exchange.refuses["order.place"]
    made.run(9_000)
    assert live(made) == {"99.5", "100.5"}


def test_b11_when_the_rules_are_known_what_fits_is_tried_at_once() -> None:
    """Whatever pause the refusals had brought."""
    made, actor = world()
    made.exchange.refuses["order.place"] = (-4014, "no")
    made.want(actor, WANTED)
    made.run(APART_MS - 500)
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.5", "0.001")
    del made.exchange.refuses["order.place"]
    made.effects.clear()
    made.run(1_000, alive=False)
    assert asked(made) == 1
    assert live(made) == {"99.5", "100.5"}


def test_refusal_by_price_distance_or_elsewhere_rereads_no_rules() -> None:
    made, actor = world()
    for code in (-4016, -4131, -2019, -5022):
        made.exchange.refuses["order.place"] = (code, "no")
        made.want(actor, place())
    made.say("!contractInfo", contract(symbol="ETHUSDT"))
    assert asked(made) == 0


def test_many_words_about_a_contract_make_one_question_a_minute() -> None:
    made, _ = world()
    for _ in range(299):
        made.say("!contractInfo", contract())
        made.run(1_000)
    assert asked(made) == 5


def test_targets_are_reached_by_the_new_rules() -> None:
    made, actor = world()
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.1", "0.5")
    made.say("!contractInfo", contract())
    made.want(actor, Target("BTCUSDT", D("1.2")))
    assert [request.params["quantity"] for request in made.sent("order.place")] == ["1.0"]


def test_cautious_opinion_on_a_contract_holds_for_a_minute() -> None:
    made, actor = world()
    made.want(actor, WANTED)
    made.say("!contractInfo", contract("SETTLING"))
    assert asked(made) == 1
    assert live(made) == set()
    assert not made.engine.state.instruments["BTCUSDT"].trading
    made.run(APART_MS + 1_000)
    assert asked(made) == 2
    assert made.engine.state.instruments["BTCUSDT"].trading
    assert "BTCUSDT is TRADING, says the venue's list; it was SETTLING" in made.said()


@pytest.mark.parametrize("gone", [False, True])
def test_a_contract_that_the_list_shuts_or_lists_no_more_is_left(gone: bool) -> None:
    made, actor = world()
    made.want(actor, WANTED)
    if gone:
        del made.exchange.rules["BTCUSDT"]
    else:
        made.exchange.rules["BTCUSDT"] = ("CLOSE", "0.1", "0.001")
    made.say("!contractInfo", contract())
    assert live(made) == set()
    made.want(actor, place(Side.BUY))
    assert made.verdicts(actor)["NOT_TRADING"] == 1


@pytest.mark.parametrize("how", ["refused", "unanswered", "unreadable"])
def test_a_list_that_does_not_come_is_asked_for_again(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    made, _ = world()
    made.exchange.rules["BTCUSDT"] = ("TRADING", "0.5", "0.001")
    rest = made.exchange.rest
    if how == "refused":
        made.exchange.refuses[INFO] = (-1001, "no")
    elif how == "unanswered":
        made.swallows.add(INFO)
    else:
        monkeypatch.setattr(made.exchange, "rest", lambda path, params: {} if path == INFO else rest(path, params))
    made.say("!contractInfo", contract())
    made.run(5 * APART_MS)
    assert 4 <= asked(made) <= 6
    assert "the venue's list of contracts could not be read again" in made.said()
    assert made.engine.state.instruments["BTCUSDT"].tick == D("0.1")
    made.exchange.refuses.clear()
    made.swallows.clear()
    monkeypatch.undo()
    made.run(2 * APART_MS)
    assert made.engine.state.instruments["BTCUSDT"].tick == D("0.5")


def test_only_own_rows_are_read_and_a_non_list_is_a_decode_error() -> None:
    """The row of a symbol that is not traded may look as it likes; a traded symbol's may not."""
    ours, broken = listed("BTCUSDT", "TRADING", "0.5", "0.1"), {"symbol": "ETHUSDT", "filters": 5}
    body = json.dumps({"serverTime": 1, "rateLimits": [], "symbols": [broken, ours]}).encode()
    assert [Instrument.of(row) for row in rows_of(body, {"BTCUSDT"})] == [instrument("BTCUSDT", tick="0.5", step="0.1")]
    for symbols, text in (({"ETHUSDT"}, body), ({"BTCUSDT"}, b"{}"), ({"BTCUSDT"}, b'{"symbols":[5]}'), ({"BTCUSDT"}, b"\xff")):
        with pytest.raises(DecodeError):
            rows_of(text, symbols)
