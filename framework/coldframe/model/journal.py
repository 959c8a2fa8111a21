"""The rows of the journal: what a run wants, asks, hears and becomes, in the order in which it happens.

A row is a kind, a reference (what it is about) and a body of plain JSON. Some kinds are there for people (`intent`, `request`,
`answer`, `report`), the others hold the state that a restart folds back together (`order`, `fill`, `fee`, `mark`, `checkpoint`).
`docs/journal.md` describes every body.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import attrs


class RowKind(StrEnum):
    """What a row tells."""

    RUN = "run"
    INTENT = "intent"
    REQUEST = "request"
    ANSWER = "answer"
    REPORT = "report"
    ORDER = "order"
    FILL = "fill"
    FEE = "fee"
    MARK = "mark"
    HALT = "halt"
    CHECKPOINT = "checkpoint"
    GAP = "gap"
    END = "end"


#: Rows that only people read: the first to go where not everything can be written.
TELLING = frozenset({RowKind.INTENT, RowKind.REQUEST, RowKind.ANSWER, RowKind.REPORT})


@attrs.frozen
class Row:
    """One row as it stands in a journal. `at_ns` is our time; `seq` counts from 1 without a hole."""

    seq: int
    at_ns: int
    kind: str
    ref: str
    body: Mapping[str, object]
