"""The error table: every code of the seeds and of protocol.md 9, with its name, its texts, and its class."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.wire.codes import CODES, CodeClass, classify, describe
from tests.conftest import needs_shared
from tests.wire.seeds import pages

C = CodeClass


def seed_codes() -> list[tuple[int, str, list[str]]]:
    """Number, name and texts of each heading of the seeds' error chapter."""
    text = pages().get("004", "").partition("## ERROR CODE")[2].partition("## WEBSOCKET API")[0]
    found = []
    for number, name, body in re.findall(
        r"^### (-\d+) (\S+?)\[\].*?###$\n(.*?)(?=^###|^\S+ - |\Z)", text, re.MULTILINE | re.DOTALL
    ):
        texts = [line[2:].replace("\\_", "_").replace("`%s`", "%s") for line in body.splitlines() if line.startswith("* ")]
        found.append((int(number), name.replace("\\_", "_").upper(), texts))
    return found


@needs_shared
def test_every_heading_of_the_seeds_is_in_the_table() -> None:
    assert len(seed_codes()) == 197
    assert len({number for number, _, _ in seed_codes()}) == 197
    assert all(texts for _, _, texts in seed_codes())


@needs_shared
@pytest.mark.parametrize(("number", "name", "texts"), seed_codes(), ids=lambda value: str(value) if isinstance(value, int) else "")
def test_a_code_of_the_seeds_has_its_name_and_texts(number: int, name: str, texts: list[str]) -> None:
    code = CODES[number]
    # protocol.md 1: the heading of -4183 repeats the name of -4167
    assert code.name == ("PRICE_HIGHTER_THAN_STOP_MULTIPLIER_UP" if number == -4183 else name)
    for text in texts:
        assert re.sub("%[bd]", "%s", text).strip() in code.texts


#: protocol.md 9, first paragraph, with a word of what each must be about.
LATER = {
    -1008: "throttled",
    -4105: "reduceOnly",
    -4106: "buy",
    -4107: "sell",
    -4109: "inactive",
    -4120: "Algo",
    -4189: "reduceOnly",
    -5043: "pending",
    -4166: "2 days",
    -4531: "Please close any open positions or orders in CM",
    -2007: "callBack",
    -2008: "Api-Key",
    -4108: "pre-trading",
    -4129: "positions or open orders",
    -4130: "closePosition",
    -4136: "closePosition",
    -4408: "regulation",
    -4411: "TradFi",
    -4509: "open positions",
    -5000: "Path",
    -5047: "reduce-only",
}


@pytest.mark.parametrize("number", LATER)
def test_the_later_codes_are_in_the_table(number: int) -> None:
    assert LATER[number] in CODES[number].text()


@needs_shared
def test_the_table_holds_nothing_else() -> None:
    assert set(CODES) == {number for number, _, _ in seed_codes()} | set(LATER)
    assert all(code.number == number for number, code in CODES.items())
    assert CODES[-2011].text() == "Unknown order sent."


# -- classes ----------------------------------------------------------------------------------------------------------

#: protocol.md 9, "Handling classes".
HANDLING = {
    C.BACK_OFF: [-1001, -1008, -1003, -1015],
    C.CLOCK: [-1021, -5028],
    C.UNKNOWN: [-1000, -1006, -1007, -1016],
    C.ALREADY_SO: [-4046, -4059, -4171, -5027],
    C.GONE: [-2011, -2013],
    C.DUPLICATE: [-4116],
    C.RISK_MODE: [-4087, -4088, -4105, -4106, -4107, -4189, -4400, -4401, -4408],
    C.FATAL: [-2014, -1002, -4056, -2008],
    C.LOG_ON: [-2015],
}


@pytest.mark.parametrize(("kind", "numbers"), HANDLING.items(), ids=str)
def test_the_handling_classes(kind: CodeClass, numbers: list[int]) -> None:
    assert [classify(number) for number in numbers] == [kind] * len(numbers)


def test_codes_of_the_special_classes_are_those_of_the_documents() -> None:
    assert {number for number, code in CODES.items() if code.kind is C.UNKNOWN} == set(HANDLING[C.UNKNOWN])
    assert {number for number, code in CODES.items() if code.kind is C.DUPLICATE} == {-4116}
    assert {number for number, code in CODES.items() if code.kind is C.LOG_ON} == {-2015}
    assert {number for number, code in CODES.items() if code.kind is C.RISK_MODE} == set(HANDLING[C.RISK_MODE])


def definitive(number: int) -> bool:
    """faults.md 3, the row of definite business errors: the order has certainly not been accepted."""
    single = {-1013, -2010, -2014, -2015, -5021, -5022, -1021, -1022, -5028}
    ranges = (range(-1136, -1099), range(-2028, -2017), range(-4411, -3999), range(-5041, -5023))
    return (number in single or any(number in codes for codes in ranges)) and number != -4116


@pytest.mark.parametrize("number", sorted(CODES))
def test_a_code_is_definite_where_the_order_table_says_so(number: int) -> None:
    if definitive(number):
        assert classify(number).definite
    if number in (-1000, -1006, -1007, -1016, -4116):
        assert not classify(number).definite


@pytest.mark.parametrize("number", [-4003, -4014, -4023, -1102, -1111, -2019, -2027, -4164, -5021, -5022, -2022, -2021, -4131])
def test_what_will_never_work_as_sent_is_not_for_trying_again(number: int) -> None:
    assert classify(number) in (C.REJECT, C.OUR_BUG)


@given(st.integers())
def test_w12_a_code_that_no_table_knows_is_an_unknown_outcome(number: int) -> None:
    if number not in CODES:
        assert classify(number) is C.UNKNOWN
        assert not classify(number).definite
        assert describe(number) == f"{number} (not in the table)"
    else:
        assert describe(number) == f"{number} {CODES[number].name}"


# -- texts ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", sorted(CODES))
def test_every_text_can_be_filled_in(number: int) -> None:
    code = CODES[number]
    assert re.fullmatch(r"[A-Z][A-Z_]*[A-Z]", code.name)
    for variant, text in enumerate(code.texts):
        parts = [f"<{at}>" for at in range(text.count("%s"))]
        filled = code.text(*parts, variant=variant)
        assert "%s" not in filled
        assert all(part in filled for part in parts)


def test_the_first_text_with_as_many_blanks_is_taken() -> None:
    assert CODES[-1102].text() == "A mandatory parameter was not sent, was empty/null, or malformed."
    assert CODES[-1102].text("side") == "Mandatory parameter 'side' was not sent, was empty/null, or malformed."
    assert CODES[-1102].text("a", "b") == "Param 'a' or 'b' must be sent, but both were empty/null!"
    assert CODES[-1003].text("2400").startswith("Too many requests; current limit is 2400 requests per minute.")
    assert CODES[-1003].text("1700000999123", variant=1).startswith("Way too many requests; IP banned until 1700000999123.")
    assert CODES[-4015].text(variant=1) == "Client order id length should not be more than 36 chars"
    assert CODES[-4164].text("5").startswith("Order's notional must be no smaller than 5 (")
