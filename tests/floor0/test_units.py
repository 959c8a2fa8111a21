"""Exact numbers against the slow and obvious way of doing the same."""

from __future__ import annotations

import sys
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from coldframe import units
from coldframe.units import ceil_to, check_scalable, exact, floor_to, nearest_to, on_grid, places, plain, scaled, trimmed, unscaled

D = Decimal
#: Numbers as the venue prints them: up to 24 digits before and 18 behind the point.
WHOLES = st.text("0123456789", min_size=1, max_size=24)
PARTS = st.text("0123456789", min_size=1, max_size=18).map(".".__add__) | st.just("")
PRINTED = st.builds(lambda sign, whole, part: sign + whole + part, st.sampled_from(["", "-"]), WHOLES, PARTS)
VALUES = PRINTED.map(D)
STEPS = st.builds(lambda digits, shift: D(digits).scaleb(-shift), st.integers(1, 10**6), st.integers(0, 12))


def fraction(text: str) -> Fraction:
    """The number in a text, the slow way: digits and a power of ten."""
    sign = -1 if text.startswith("-") else 1
    whole, _, part = text.lstrip("-").partition(".")
    return sign * Fraction(int(whole + part), 10 ** len(part))


# -- texts ------------------------------------------------------------------------------------------------------------


@given(PRINTED)
def test_exact_is_exact_and_plain_prints_it_again(text: str) -> None:
    value = exact(text)
    assert Fraction(value) == fraction(text)
    printed = plain(value)
    assert Fraction(printed) == fraction(text)
    assert "e" not in printed.lower()
    assert not (value == 0 and printed.startswith("-"))
    # digits behind the point are kept as they were
    assert printed.partition(".")[2] == text.partition(".")[2]


NO_NUMBERS = [
    "",
    " ",
    "-",
    "+1",
    "--1",
    "1.",
    ".5",
    "1..2",
    "1e5",
    "1E5",
    "1e400",
    "NaN",
    "nan",
    "sNaN",
    "Infinity",
    "-inf",
    "1_0",
    "0x10",
    "1,5",
]
NO_NUMBERS += [
    "\u0661",
    "\uff11",
    "1\u0660",
    "\u00b2",
    " 1",
    "1 ",
    "1\n",
    "\n1",
    "1\x00",
    "1/2",
    "None",
    "9" * 25,
    "0." + "9" * 19,
    "9" * 5000,
]


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a plain decimal number") as caught:
        exact(text)
    assert len(str(caught.value)) < 100


@given(st.text(max_size=12))
def test_any_text_is_an_exact_number_or_refused(text: str) -> None:
    try:
        value = exact(text)
    except ValueError:
        return
    assert text.isascii()
    assert Fraction(value) == fraction(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("0.500", "0.500"),
        ("-0.00", "0.00"),
        ("-0", "0"),
        ("1E+3", "1000"),
        ("3E-6", "0.000003"),
        ("100", "100"),
        ("-1.50", "-1.50"),
    ],
)
def test_plain_digits(value: str, text: str) -> None:
    assert plain(D(value)) == text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**20), max_value=10**20))
def test_plain_and_trimmed_lose_nothing(value: Decimal) -> None:
    for text in (plain(value), trimmed(value)):
        assert D(text) == value
        assert "E" not in text
        assert text != "-0"
    assert not trimmed(value).endswith(".")
    assert "." not in trimmed(value) or not trimmed(value).endswith("0")


@pytest.mark.parametrize(
    ("value", "text"),
    [("0.500", "0.5"), ("100", "100"), ("1E+2", "100"), ("0.000", "0"), ("-0.0", "0"), ("-5.10", "-5.1"), ("10.0", "10")],
)
def test_trimmed(value: str, text: str) -> None:
    assert trimmed(D(value)) == text


@given(VALUES)
def test_places_is_the_least_number_of_digits_for_the_value(value: Decimal) -> None:
    digits = places(value)
    assert (Fraction(value) * 10**digits).denominator == 1
    assert digits == 0 or (Fraction(value) * 10 ** (digits - 1)).denominator != 1


@pytest.mark.parametrize(
    ("value", "digits"), [("0.10", 1), ("5", 0), ("100", 0), ("1E+3", 0), ("0.001", 3), ("0", 0), ("0.000", 0)]
)
def test_places(value: str, digits: int) -> None:
    assert places(D(value)) == digits


# -- grids ------------------------------------------------------------------------------------------------------------


@given(VALUES, STEPS)
@example(D("0.3"), D("0.1"))
@example(D("999999999999999999999999.999999999999999999"), D("0.000000000007"))
def test_floor_ceil_and_nearest_against_fractions(value: Decimal, step: Decimal) -> None:
    ratio = Fraction(value) / Fraction(step)
    below, above = ratio.__floor__(), ratio.__ceil__()
    for rounded, count in ((floor_to(value, step), below), (ceil_to(value, step), above), (nearest_to(value, step), round(ratio))):
        assert Fraction(rounded) == count * Fraction(step)
        assert on_grid(rounded, step)
        # printed with the digits of the step
        assert rounded.as_tuple().exponent == -places(step)


@given(VALUES, STEPS, VALUES)
@example(D("123456789012345678.000000000001"), D("0.00000000001"), D("0"))
@example(D("999999999999999999999999.999999999999999999"), D("0.000000000001"), D("0.000000000000000001"))
def test_on_grid_against_fractions(value: Decimal, step: Decimal, origin: Decimal) -> None:
    expected = (Fraction(value) - Fraction(origin)) % Fraction(step) == 0
    assert on_grid(value, step, origin) is expected
    nearby = origin + step * 3
    assert on_grid(nearby, step, origin) is ((Fraction(nearby) - Fraction(origin)) % Fraction(step) == 0)


@given(VALUES, VALUES)
def test_a_step_of_zero_allows_everything(value: Decimal, origin: Decimal) -> None:
    assert on_grid(value, D(0), origin)
    assert floor_to(value, D(0)) == ceil_to(value, D(0)) == nearest_to(value, D(0)) == value


@pytest.mark.parametrize(
    ("value", "step", "low", "high", "near"),
    [
        ("100.16", "0.10", "100.1", "100.2", "100.2"),
        ("100.15", "0.10", "100.1", "100.2", "100.2"),
        ("100.25", "0.10", "100.2", "100.3", "100.2"),
        ("-100.16", "0.10", "-100.2", "-100.1", "-100.2"),
        ("0.0015", "0.001", "0.001", "0.002", "0.002"),
        ("7", "5", "5", "10", "5"),
        ("0.29999999", "0.1", "0.2", "0.3", "0.3"),
    ],
)
def test_grids_by_hand(value: str, step: str, low: str, high: str, near: str) -> None:
    assert [str(rounding(D(value), D(step))) for rounding in (floor_to, ceil_to, nearest_to)] == [low, high, near]


# -- scaled integers --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("more", [0, 1, units._SCALED_LIMIT // 2])
def test_texts_that_are_kept_take_six_megabytes_at_most(more: int) -> None:
    """Of the longest ones, however many have come."""
    units._SCALED.clear()
    for number in range(units._SCALED_LIMIT + more):
        assert scaled(f"{10**17 + number}.{number:012d}") == (10**17 + number) * 10**12 + number
    kept = units._SCALED
    assert len(kept) == (more or units._SCALED_LIMIT)
    size = sys.getsizeof(kept) + sum(sys.getsizeof(text) + sys.getsizeof(value) for text, value in kept.items())
    assert size < 6 * 2**20
    kept.clear()


LEVELS = st.builds(
    lambda whole, part: whole + part,
    st.text("0123456789", min_size=1, max_size=18),
    st.text("0123456789", min_size=1, max_size=12).map(lambda digits: f".{digits}") | st.just(""),
)


@given(LEVELS)
def test_scaled_counts_in_units_of_ten_to_the_minus_twelve(text: str) -> None:
    value = scaled(text)
    assert Fraction(value, 10**12) == fraction(text)
    assert scaled(text) == value
    assert Fraction(unscaled(value)) == fraction(text)


@given(st.integers(-(10**30), 10**30))
@example(-1)
@example(-(10**12) - 5)
def test_unscaled_is_exact_also_below_zero(value: int) -> None:
    number = unscaled(value)
    assert Fraction(number) == Fraction(value, 10**12)
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)
    assert -12 <= exponent <= 0
    # no zeros behind the point
    assert exponent == 0 or number.as_tuple().digits[-1] != 0


@given(LEVELS, LEVELS)
def test_scaled_keeps_the_order(level: str, other: str) -> None:
    assert (scaled(level) < scaled(other)) is (fraction(level) < fraction(other))


@pytest.mark.parametrize("text", [*NO_NUMBERS, "-1", "-0", "9" * 19, "0." + "1" * 13])
def test_what_is_no_price_is_not_scaled(text: str) -> None:
    with pytest.raises(ValueError, match="not a price or quantity"):
        scaled(text)
    with pytest.raises(ValueError, match="not a price or quantity"):
        check_scalable(["1", text, "2"])
    # and is not remembered as good
    with pytest.raises(ValueError, match="not a price or quantity"):
        check_scalable([text])


def test_texts_are_checked_all_at_once_and_from_any_iterable() -> None:
    check_scalable([])
    check_scalable(text for text in ("1", "2.50", "0.000000000001"))
    check_scalable({"1", "2.50"})


def test_the_memo_is_bounded_and_stays_right() -> None:
    seen = {f"{number}.5": number * 10**12 + 5 * 10**11 for number in range(units._SCALED_LIMIT)}
    units._SCALED.clear()
    units._SCALED.update(seen)
    for _ in range(3):
        for number in range(500):
            text = f"{number}.25"
            check_scalable([text])
            assert scaled(text) == number * 10**12 + 25 * 10**10
            assert len(units._SCALED) <= 500


def test_units_of_time() -> None:
    assert units.NS_PER_S == units.NS_PER_MS * units.MS_PER_S == 10**9
