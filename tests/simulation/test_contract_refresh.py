"""The rules of contracts change while we trade: asked for again when there is reason to, taken over, quotes looked at again."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import attrs
import pytest
from msgspec import structs

from coldframe import Intent, Place, Quote, Quotes, Side, Target
from coldframe.core.strategies.contract_refresh import APART_MS
from coldframe.enums import ContractStatus
from coldframe.exchange.contracts import Contract
from coldframe.exchange.faults import FaultDecision
from coldframe.model.instruments import Instrument
from tests.simulation.ends import LOT, B
from tests.simulation.pump import START_MS, Pump, Trader
from tests.simulation.still import StillMarket
from tests.simulation.strategies import Puppet
from tests.simulation.venue import LOST, refused

D = Decimal
E = "ETHUSDT"
INFO = "GET /fapi/v1/exchangeInfo"
APART_S = APART_MS / 1_000
#: The market stands at 59999.8 and 60000.2.
WANTED = Quotes(B, [Quote(D("59999.7"), LOT), Quote(D("59999.5"), LOT)], [Quote(D("60000.5"), LOT)])


def world() -> tuple[Pump, Puppet]:
    """Both contracts are listed, and the bot trades BTCUSDT."""
    puppet = Puppet()
    channels = ("depth@100ms", "markPrice@1s", "!contractInfo")
    pump = Pump([Trader(id="mm", make=lambda: puppet)], market=StillMarket([B, E], START_MS), channels=channels)
    pump.run(2)
    pump.sent.clear()
    return pump, puppet


def listed(pump: Pump, symbol: str = B) -> Contract:
    return pump.venue.exchange.markets[symbol].contract


def ruled(contract: Contract, *, tick: str = "0.10", step: str = "0.001") -> Contract:
    """The contract with another tick and another lot."""

    def row(rule: dict[str, Any]) -> dict[str, Any]:
        if rule["filterType"] == "PRICE_FILTER":
            return {**rule, "tickSize": tick}
        return {**rule, "minQty": step, "stepSize": step} if rule["filterType"].endswith("LOT_SIZE") else rule

    return attrs.evolve(contract, info=structs.replace(contract.info, filters=[row(rule) for rule in contract.info.filters]))


def change(pump: Pump, contract: Contract) -> None:
    """The exchange changes a contract, and says so."""
    pump.venue.exchange.markets[contract.info.symbol].public_data.contract_changed(contract, new_brackets=False)


def change_quietly(pump: Pump, contract: Contract) -> None:
    """The list says something else from now on, and no stream tells of it."""
    pump.venue.exchange.markets[contract.info.symbol].public_data.contract = contract


def announce(pump: Pump, contract: Contract) -> None:
    """A stream tells of a change; the list lags behind, and says what it said before."""
    before = listed(pump)
    change(pump, contract)
    change_quietly(pump, before)


def want(pump: Pump, puppet: Puppet, *wanted: Intent) -> None:
    puppet.wanted = list(wanted)
    pump.until(lambda: not puppet.wanted, 5)
    pump.run(0.05)


def asked(pump: Pump) -> int:
    return sum(call == INFO for call, _ in pump.sent)


def resting(pump: Pump, *prices: str) -> bool:
    """Whether the bot's orders rest at these prices and no others, as both sides have them."""
    wanted = {D(price) for price in prices}
    at_venue = pump.venue.open_orders()
    assert {order.client_order_id for order in pump.engine.orders.live} == set(at_venue)
    return wanted == {order.price for order in pump.engine.orders.live} == {order.price for order in at_venue.values()}


def rules(pump: Pump) -> Instrument:
    return pump.engine.state.instruments[B]


def verdicts(pump: Pump) -> dict[str, int]:
    return pump.engine.runtimes.get("mm").verdicts


def test_b11_contract_notice_rereads_rules_twice_a_minute_apart() -> None:
    pump, _ = world()
    change(pump, ruled(listed(pump), tick="0.5", step="0.1"))
    pump.run(0.1)
    assert asked(pump) == 1
    assert (rules(pump).tick, rules(pump).step) == (D("0.5"), D("0.1"))
    assert pump.told("BTCUSDT has new rules: tick 0.10 is 0.5, lot min 0.001 is 0.1, lot step 0.001 is 0.1")
    # The list may have lagged behind the word.
    change_quietly(pump, ruled(listed(pump), tick="0.5", step="0.5"))
    pump.run(APART_S + 1)
    assert asked(pump) == 2
    assert rules(pump).step == D("0.5")
    pump.run(5 * APART_S)
    assert asked(pump) == 2


def test_b11_quotes_that_break_new_rules_are_left_out() -> None:
    pump, puppet = world()
    want(pump, puppet, WANTED)
    assert resting(pump, "59999.7", "59999.5", "60000.5")
    change(pump, ruled(listed(pump), tick="0.5"))
    pump.run(0.2)
    assert resting(pump, "59999.5", "60000.5")
    assert pump.told("1 quotes in BTCUSDT do not fit its new rules and are left out")
    want(pump, puppet, bid("59999.9"), bid("59990"))
    assert verdicts(pump)["FILTER"] == 1
    assert resting(pump, "59999.5", "60000.5", "59990")


def bid(price: str) -> Place:
    return Place(symbol=B, side=Side.BUY, quantity=LOT, price=D(price))


@pytest.mark.parametrize("code", [-4014, -1111, -1013])
def test_b11_rule_refusals_reread_rules_at_most_once_a_minute(code: int) -> None:
    pump, puppet = world()
    change_quietly(pump, ruled(listed(pump), tick="0.5"))
    pump.venue.fates["order.place"] = refused(code)
    want(pump, puppet, WANTED)
    assert asked(pump) == 1
    assert rules(pump).tick == D("0.5")
    pump.run(5 * APART_S)
    assert 4 <= asked(pump) <= 6
    pump.venue.fates.clear()
    pump.run(9)
    assert resting(pump, "59999.5", "60000.5")


def test_b11_when_the_rules_are_known_what_fits_is_tried_at_once() -> None:
    """Whatever pause the refusals had brought."""
    pump, puppet = world()
    pump.venue.fates["order.place"] = refused(-4014)
    want(pump, puppet, WANTED)
    pump.run(APART_S - 0.5)
    change_quietly(pump, ruled(listed(pump), tick="0.5"))
    pump.venue.fates.clear()
    pump.sent.clear()
    pump.until(lambda: asked(pump) == 1, 1)
    pump.run(0.05)
    assert resting(pump, "59999.5", "60000.5")


def test_refusal_by_price_distance_or_elsewhere_rereads_no_rules() -> None:
    pump, puppet = world()
    for code in (-4016, -4131, -2019, -5022):
        pump.venue.fates["order.place"] = refused(code)
        want(pump, puppet, bid("59000"))
    assert sum(method == "order.place" for method, _ in pump.sent) == 4
    change(pump, ruled(listed(pump, E), tick="0.5"))
    pump.run(1)
    assert asked(pump) == 0


def test_many_words_about_a_contract_make_one_question_a_minute() -> None:
    pump, _ = world()
    for _ in range(299):
        change(pump, listed(pump))
        pump.run(1)
    assert asked(pump) == 5


def test_targets_are_reached_by_the_new_rules() -> None:
    pump, puppet = world()
    change(pump, ruled(listed(pump), step="0.005"))
    pump.run(0.1)
    want(pump, puppet, Target(B, D("0.012")))
    assert [params["quantity"] for method, params in pump.sent if method == "order.place"] == ["0.010"]
    assert pump.venue.position(B) == D("0.010")


def test_cautious_opinion_on_a_contract_holds_for_a_minute() -> None:
    pump, puppet = world()
    want(pump, puppet, WANTED)
    announce(pump, listed(pump).with_status(ContractStatus.SETTLING))
    pump.run(0.1)
    assert asked(pump) == 1
    assert resting(pump)
    assert not rules(pump).trading
    pump.run(APART_S + 1)
    assert asked(pump) == 2
    assert rules(pump).trading
    assert pump.told("BTCUSDT is TRADING, says the venue's list; it was SETTLING")


@pytest.mark.parametrize("status", [ContractStatus.TRADING_HALT, ContractStatus.CLOSE])
def test_a_contract_that_the_list_shuts_or_lists_no_more_is_left(status: ContractStatus) -> None:
    """A contract that is closed is not on the list any more."""
    pump, puppet = world()
    want(pump, puppet, WANTED)
    before = listed(pump)
    change_quietly(pump, before.with_status(status))
    announce(pump, before)
    pump.run(0.1)
    assert asked(pump) == 1
    assert list(pump.engine.orders.live) == []
    puppet.patient = False
    want(pump, puppet, bid("59000"))
    assert verdicts(pump)["NOT_TRADING"] == 1


FATES = {
    "refused": refused(-1001),
    "unanswered": LOST,
    "unreadable": attrs.evolve(refused(0, "{}", 200), form="text"),
}


@pytest.mark.parametrize("fate", FATES.values(), ids=FATES.keys())
def test_a_list_that_does_not_come_is_asked_for_again(fate: FaultDecision) -> None:
    pump, _ = world()
    pump.venue.fates[INFO] = fate
    change(pump, ruled(listed(pump), tick="0.5"))
    pump.run(5 * APART_S)
    assert 4 <= asked(pump) <= 6
    assert pump.told("the venue's list of contracts could not be read again")
    assert rules(pump).tick == D("0.1")
    pump.venue.fates.clear()
    pump.run(2 * APART_S)
    assert rules(pump).tick == D("0.5")
