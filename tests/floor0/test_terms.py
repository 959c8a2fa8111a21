"""The field's words: those of the seeds are known, all others are kept."""

from __future__ import annotations

import copy
import pickle
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe import enums as terms
from coldframe.enums import CONDITIONAL_TYPES, CONTINUOUS_CONTRACTS, INTERVALS, OpenEnum, OrderType, Side
from tests.conftest import needs_shared
from tests.wire.seeds import pages

ENUMS: list[type[OpenEnum]] = [
    kind for kind in vars(terms).values() if isinstance(kind, type) and issubclass(kind, OpenEnum) and kind is not OpenEnum
]
every_enum = pytest.mark.parametrize("kind", ENUMS, ids=lambda kind: kind.__name__)

#: Heading of the list in the seeds to the words that hold it.
LISTS: dict[str, type[OpenEnum]] = {
    "Contract type (contractType):": terms.ContractType,
    "Contract status (contractStatus, status):": terms.ContractStatus,
    "Order status (status):": terms.OrderStatus,
    "Order types (orderTypes, type):": terms.OrderType,
    "Order side (side):": terms.Side,
    "Position side (positionSide):": terms.PositionSide,
    "Time in force (timeInForce):": terms.TimeInForce,
    "Working Type (workingType)": terms.WorkingType,
    "Response Type (newOrderRespType)": terms.ResponseType,
    "STP MODE (selfTradePreventionMode):": terms.SelfTradePrevention,
    "Price Match (priceMatch)": terms.PriceMatch,
}
#: What later documents add to the lists of the seeds (protocol.md 2, 7 and 8.2; NONE switches self-trade prevention off).
LATER: dict[type[OpenEnum], set[str]] = {
    terms.ContractType: {"TRADIFI_PERPETUAL"},
    terms.ContractStatus: {"TRADING_HALT"},
    terms.OrderStatus: {"NEW_INSURANCE", "NEW_ADL"},
    terms.OrderType: {"LIQUIDATION"},
    terms.TimeInForce: {"RPI", "GTE_GTC"},
    terms.SelfTradePrevention: {"NONE"},
}


def words_under(heading: str) -> list[str]:
    """The list items under a heading of the seeds' "ENUM definitions"."""
    text = pages()["004"].replace("\\_", "_").split(f"**{heading}**")[1]
    items = re.match(r"\s*(?:[^*\n].*\n\s*)?((?:\* .*\n)+)", text)
    assert items
    return [line.split()[1] for line in items[1].splitlines()]


@needs_shared
@pytest.mark.parametrize("heading", LISTS)
def test_enum_members_are_the_documented_and_the_later_words(heading: str) -> None:
    kind = LISTS[heading]
    assert {member.value for member in kind} == set(words_under(heading)) | LATER.get(kind, set())


@needs_shared
def test_the_intervals_are_those_of_the_seeds_shortest_first() -> None:
    assert list(INTERVALS) == words_under("Kline/Candlestick chart intervals:")
    assert len(INTERVALS) == 15


@needs_shared
def test_the_continuous_contracts_are_those_of_the_seeds() -> None:
    assert list(CONTINUOUS_CONTRACTS) == words_under("Contract type:")


@every_enum
def test_a_known_word_is_its_member(kind: type[OpenEnum]) -> None:
    for member in kind:
        assert kind(member.value) is member
        assert member.known
        assert member.name == member.value == str(member)


@given(st.sampled_from(ENUMS), st.text(max_size=12))
def test_any_other_word_becomes_a_member_that_is_its_own_text(kind: type[OpenEnum], word: str) -> None:
    member = kind(word)
    assert isinstance(member, kind)
    assert member.known is (word in {member.value for member in kind})
    assert member == word == member.value == str(member)
    assert hash(member) == hash(word)
    assert {member: 1}[kind(word)] == 1
    assert msgspec.json.decode(msgspec.json.encode(member), type=kind) == member
    for twin in (copy.deepcopy(member), pickle.loads(pickle.dumps(member))):
        assert (twin, type(twin), twin.known) == (member, kind, member.known)


@every_enum
def test_an_unknown_word_does_not_join_the_known_ones(kind: type[OpenEnum]) -> None:
    before = list(kind)
    assert not kind("FOO").known
    assert list(kind) == before
    assert kind("FOO") != kind("BAR")
    assert kind("UNKNOWN").known is any(member.value == "UNKNOWN" for member in before)


@every_enum
@pytest.mark.parametrize("value", [None, 1, 1.5, b"BUY", ["BUY"], True])
def test_what_is_no_text_is_no_word(kind: type[OpenEnum], value: object) -> None:
    with pytest.raises(ValueError):
        kind(value)  # type: ignore[arg-type]


def test_sides() -> None:
    assert (Side.BUY.sign, Side.SELL.sign) == (1, -1)
    assert (Side.BUY.opposite, Side.SELL.opposite) == (Side.SELL, Side.BUY)


def test_conditional_types_are_those_that_wait_for_a_trigger() -> None:
    plain = {OrderType.LIMIT, OrderType.MARKET, OrderType.LIQUIDATION}
    assert set(OrderType) - plain == CONDITIONAL_TYPES
    assert all(kind.conditional is (kind not in plain) for kind in OrderType)
    assert not OrderType("FOO").conditional


def test_only_the_two_sides_have_a_sign_and_an_opposite() -> None:
    assert [(side.sign, side.opposite) for side in Side] == [(1, Side.SELL), (-1, Side.BUY)]
    for word in ("SIDEWAYS", "", "buy"):
        with pytest.raises(ValueError, match="neither BUY nor SELL"):
            _ = Side(word).sign
        with pytest.raises(ValueError, match="neither BUY nor SELL"):
            _ = Side(word).opposite
