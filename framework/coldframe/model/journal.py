"""The rows of the journal: what a run wants, asks, hears and becomes, in the order in which it happens.

A row is a kind, a reference (what it is about) and a body of plain JSON. Some kinds are there for people (`intent`, `refused`,
`request`, `answer`, `report`), the others hold the state that a restart folds back together (`order`, `fill`, `fee`, `mark`,
`state`, `checkpoint`).
`docs/journal.md` describes every body.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

import attrs


class RowKind(StrEnum):
    """What a row tells."""

    RUN = "run"
    INTENT = "intent"
    REFUSED = "refused"
    REQUEST = "request"
    ANSWER = "answer"
    REPORT = "report"
    ORDER = "order"
    FILL = "fill"
    FEE = "fee"
    BOOKING = "booking"
    TRADE_CURSOR = "mark"
    PRICE = "price"
    HALT = "halt"
    SUSPENSIONS = "latch"
    LOSSES = "losses"
    STATE = "state"
    CHECKPOINT = "checkpoint"
    GAP = "gap"
    END = "end"


#: What the body of each kind holds; `docs/journal.md` prints it.
BODIES: Final[Mapping[RowKind, str]] = {
    RowKind.RUN: "a run begins: name, version, environment, account, hash of the configuration, strategies, start in epoch ms; of a"
    " backtest also what it is made of",
    RowKind.INTENT: "what a strategy wanted and was granted; desired states that change nothing are left out",
    RowKind.REFUSED: "refusals of one second by strategy, symbol and verdict: how many (`count`), and the first of them",
    RowKind.REQUEST: "a request about an order: method and parameters, never a signature",
    RowKind.ANSWER: "what came back: status, and result or code and text",
    RowKind.REPORT: "an event of the user-data stream, as it came",
    RowKind.ORDER: "an order as it stands after a change; what has its default is left out",
    RowKind.FILL: "an execution: whose, of which order, at what price, and the position after it",
    RowKind.FEE: "the fee of a fill that had come without one",
    RowKind.BOOKING: "a sub-account changed without a fill of its orders: adopted, adjusted, taken back, funding; and why",
    RowKind.TRADE_CURSOR: "up to which trade of a symbol everything is known",
    RowKind.PRICE: "what an asset is worth in US dollars, when that was first known and when it has moved by half a percent",
    RowKind.HALT: "a halt or its end: of whom, how far, why",
    RowKind.SUSPENSIONS: "what is shut until a person opens it, after each change: of the account, of strategies, in symbols",
    RowKind.LOSSES: "from where losses are counted, of a strategy or (no name) the account: profit then, the best since, the day",
    RowKind.STATE: 'what a strategy has saved, as a whole; a Decimal is `{"$decimal": text}`',
    RowKind.CHECKPOINT: "the whole state: orders, fills, positions, cursors, saved values; a restart reads from the last one on",
    RowKind.GAP: "how many rows found no room while the disk could not be written; a checkpoint follows if some held state",
    RowKind.END: "a run has ended: why, which orders are open, kept on purpose or owe fills, and which positions no stop protects",
}
#: Rows that only people read: the first to go where not everything can be written.
TELLING = frozenset({RowKind.INTENT, RowKind.REFUSED, RowKind.REQUEST, RowKind.ANSWER, RowKind.REPORT})


@attrs.frozen
class Row:
    """One row as it stands in a journal. `at_ns` is our time; `seq` counts from 1 without a hole."""

    seq: int
    at_ns: int
    kind: str
    ref: str
    body: Mapping[str, object]
