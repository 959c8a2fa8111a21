"""Quiet times, against the calendar of the standard library."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe_guard.quiet import QuietTime


def ms(text: str) -> int:
    return int(datetime.fromisoformat(f"2026-03-01T{text}+00:00").timestamp() * 1000)


def test_from_the_first_minute_up_to_the_last() -> None:
    quiet = QuietTime.parse("07:55-08:05")
    assert [quiet.covers(ms(text)) for text in ("07:54:59.999", "07:55:00", "08:04:59.999", "08:05:00")] == [
        False,
        True,
        True,
        False,
    ]


def test_over_midnight() -> None:
    quiet = QuietTime.parse("23:55-00:10")
    assert [quiet.covers(ms(text)) for text in ("23:54", "23:55", "00:00", "00:09", "00:10", "12:00")] == [
        False,
        True,
        True,
        True,
        False,
        False,
    ]


def test_it_says_both_times() -> None:
    assert QuietTime.parse("23:55-00:10").sentence(ms("00:03")) == ("it is 00:03 UTC, within the quiet time from 23:55 to 00:10")


@pytest.mark.parametrize(
    "wrong", ["", "08:00", "8:00-9:00", "24:00-01:00", "07:60-08:00", "08:00-09:00 ", "08:00–09:00", "٠٨:00-09:00"]
)
def test_anything_else_is_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="must be HH:MM-HH:MM in UTC"):
        QuietTime.parse(wrong)


def test_a_span_without_length_is_refused() -> None:
    with pytest.raises(ValueError, match="no length"):
        QuietTime.parse("08:00-08:00")


minutes = st.integers(0, 24 * 60 - 1)


@given(minutes, minutes, st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1)))
def test_it_agrees_with_the_calendar(begin: int, end: int, moment: datetime) -> None:
    if begin == end:
        return
    first, last = ((datetime(2000, 1, 1) + timedelta(minutes=moment)).time() for moment in (begin, end))
    quiet = QuietTime.parse(f"{first:%H:%M}-{last:%H:%M}")
    now = moment.time()
    inside = first <= now < last if first < last else now >= first or now < last
    assert quiet.covers(int(moment.replace(tzinfo=UTC).timestamp() * 1000)) == inside
    assert isinstance(now, time)
