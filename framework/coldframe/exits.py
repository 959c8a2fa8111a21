"""What a process answers: every exit code, its meaning, and which one stands when several are true.

The README prints this table, and a test compares. An error that ends a run, or keeps it from beginning, comes before whatever
a run that has ended may have left unsettled; there an open order is graver than a position without a stop.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Final


class Exit(IntEnum):
    """The exit codes of `coldframe`."""

    DONE = 0
    BUG = 1
    USAGE = 2
    UNSETTLED = 3
    UNPROTECTED = 4
    MUTED = 5
    UNAVAILABLE = 69
    TRY_LATER = 75
    REFUSED = 77
    CONFIGURATION = 78


MEANINGS: Final = {
    Exit.DONE: "done, everything settled",
    Exit.BUG: "a bug of Coldframe (or a recording whose books differ, or runs that differ)",
    Exit.USAGE: "usage",
    Exit.UNSETTLED: "orders are or may be open that should not be, fills are owed, or the end is not in the journal",
    Exit.UNPROTECTED: "a position is left without a stop, or is not what the account says",
    Exit.MUTED: "a strategy was muted by an error of its own",
    Exit.UNAVAILABLE: "venue unreachable",
    Exit.TRY_LATER: "try later (a ban; or a running bot has not answered, or not done all that was asked)",
    Exit.REFUSED: "authentication refused",
    Exit.CONFIGURATION: "configuration",
}

#: The gravest first.
GRAVITY: Final = (
    Exit.BUG,
    Exit.CONFIGURATION,
    Exit.REFUSED,
    Exit.UNAVAILABLE,
    Exit.TRY_LATER,
    Exit.USAGE,
    Exit.UNSETTLED,
    Exit.UNPROTECTED,
    Exit.MUTED,
    Exit.DONE,
)


def gravest(codes: Iterable[int]) -> Exit:
    """The exit code that stands when all of these are true; DONE for none."""
    return min((Exit(code) for code in codes), key=GRAVITY.index, default=Exit.DONE)
