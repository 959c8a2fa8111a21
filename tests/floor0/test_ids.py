"""Client order ids: they carry their owner, fit the venue's rule, and are told from all other clients'."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.ids import STRATEGY_ID, OwnId, base36, parse_own

STRATEGIES = st.from_regex(STRATEGY_ID, fullmatch=True)
#: Nine digits of base 36 last until the year 5188, six count two thousand million orders of one run.
EPOCHS = st.integers(0, 36**9 - 1)
COUNTS = st.integers(0, 36**6 - 1)

#: The venue's rule for a client order id.
CLIENT_ORDER_ID = re.compile(r"[.A-Z:/a-z0-9_-]{1,36}")


@given(STRATEGIES, EPOCHS, COUNTS)
def test_an_id_of_ours_reads_back_and_is_legal(strategy: str, epoch_ms: int, count: int) -> None:
    own = OwnId(strategy, epoch_ms, count)
    assert parse_own(str(own)) == own
    assert CLIENT_ORDER_ID.fullmatch(str(own))
    assert len(str(own)) <= 36


def test_the_longest_id_has_36_characters() -> None:
    assert len(str(OwnId("s" * 16, 36**9 - 1, 36**6 - 1))) == 36


@given(st.tuples(STRATEGIES, EPOCHS, COUNTS), st.tuples(STRATEGIES, EPOCHS, COUNTS))
def test_o16_different_orders_have_different_ids(own: tuple[str, int, int], other: tuple[str, int, int]) -> None:
    assert (str(OwnId(*own)) == str(OwnId(*other))) is (own == other)


@given(st.integers(0, 10**30))
def test_base_36_is_what_python_reads(number: int) -> None:
    text = base36(number)
    assert int(text, 36) == number
    assert text == text.lower()
    assert text == "0" or not text.startswith("0")


@pytest.mark.parametrize(
    "external",
    [
        "",
        "autoclose-1700000000000",
        "adl_autoclose",
        "settlement_autoclose-1",
        "electron_6LyJZ9KPgmRbhKfFamx3",
        "web_x",
        "cf",
        "cf.",
        "cf.mm",
        "cf.mm.1",
        "cf.mm.1.",
        "cf..1.1",
        "cf.mm.1.1.1",
        "cf.MM.1.1",
        "cf.mm.1A.1",
        "cfxmm.1.1",
        "cf.mmx1.1",
        "cf.-mm.1.1",
        "CF.mm.1.1",
        "cf.mm.1.1\n",
        "xcf.mm.1.1",
        "cf." + "s" * 17 + ".1.1",
        "cf.mm." + "1" * 10 + ".1",
        "cf.mm.1." + "1" * 7,
        "cf.mm.\u0661.1",
    ],
)
def test_an_id_of_another_client_is_external(external: str) -> None:
    assert parse_own(external) is None


@given(st.text(max_size=40))
def test_any_text_is_an_id_of_ours_or_not(text: str) -> None:
    own = parse_own(text)
    assert own is None or CLIENT_ORDER_ID.fullmatch(text)


@pytest.mark.parametrize(
    ("strategy", "legal"), [("mm-btc", True), ("a", True), ("0", True), ("a_b", True), ("", False), ("-a", False), ("A", False)]
)
def test_what_a_strategy_may_be_called(strategy: str, legal: bool) -> None:
    assert (STRATEGY_ID.fullmatch(strategy) is not None) is legal
    assert STRATEGY_ID.fullmatch("s" * 17) is None
