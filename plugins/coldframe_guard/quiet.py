"""Quiet times: spans of the day in UTC, such as the minutes round a funding time."""

from __future__ import annotations

import re
from typing import Final

import attrs

_SPAN: Final = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", re.ASCII)
_MINUTE_MS: Final = 60_000
_DAY: Final = 24 * 60


@attrs.frozen
class QuietTime:
    """From the minute `begin` up to the minute `end` of the day, over midnight if `end` is the smaller one."""

    begin: int
    end: int

    @classmethod
    def parse(cls, span: str) -> QuietTime:
        """Reads `HH:MM-HH:MM`. Raises `ValueError` for anything else, and for a span without length."""
        match = _SPAN.fullmatch(span)
        if match is None:
            raise ValueError(f"must be HH:MM-HH:MM in UTC, not {span!r}")
        hours = [int(part) for part in match.groups()]
        begin, end = hours[0] * 60 + hours[1], hours[2] * 60 + hours[3]
        if begin == end:
            raise ValueError(f"{span!r} has no length")
        return cls(begin, end)

    def covers(self, now_ms: int) -> bool:
        """Whether a moment, in epoch milliseconds, lies within the span."""
        return (now_ms // _MINUTE_MS - self.begin) % _DAY < (self.end - self.begin) % _DAY

    def sentence(self, now_ms: int) -> str:
        """Why there is no new risk at a moment that lies within the span."""
        now = now_ms // _MINUTE_MS % _DAY
        return f"it is {_clock(now)} UTC, within the quiet time from {_clock(self.begin)} to {_clock(self.end)}"


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"
