"""When a row of `metrics` was known: its time is the end of its five minutes in older files, and their start in newer ones.

The exchange changed the labels of USD-M files without a word on 2026-06-25 (reported by users): until then the last row of a day is
labelled 00:00 of the next one, since then the first one is labelled 00:00 of its own. Reading both alike shows five minutes of the
future. The moment of the change stands twice, as the last label of the file of the day before and as the first of its own; the name
of the file tells them apart.
"""

from __future__ import annotations

from datetime import date
from enum import StrEnum
from typing import Final

from coldframe.data.numbers import MINUTE_MS, utc_ms

#: The first day whose rows are labelled with the start of their five minutes.
STARTS_SINCE: Final = date(2026, 6, 25)
_STARTS_SINCE_MS: Final = 1_782_345_600_000
_PERIOD_MS: Final = 5 * MINUTE_MS


class MetricsLabels(StrEnum):
    """What the time of a row of `metrics` means."""

    #: The end for days before 2026-06-25, the start from then on.
    BY_DATE = "by-date"
    START = "start"
    END = "end"


def known_at_ms(text: str, labels: MetricsLabels, day: date | None) -> int:
    """The end of the five minutes of a row: when its values were taken. `day` is that of the file, where its name tells."""
    label_ms = utc_ms(text)
    if labels is MetricsLabels.BY_DATE:
        starts = label_ms >= _STARTS_SINCE_MS if day is None else day >= STARTS_SINCE
    else:
        starts = labels is MetricsLabels.START
    return label_ms + _PERIOD_MS if starts else label_ms
