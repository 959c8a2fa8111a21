"""Mutants that no test can or need notice, each with its reason. Names as `Mutant.name` prints them."""

from __future__ import annotations

from typing import Final

EXPLAINED: Final[dict[str, str]] = {
    "positions.py:Position.change: quantity > 0 -> quantity >= 0": "a quantity of zero changes nothing on either side",
    "positions.py:Position.fill: self.quantity * signed >= 0 -> self.quantity * signed > 0": (
        "a fill of a flat position closes nothing of it, and opens the same in either way"
    ),
    "planner.py:Held.closable: self.own * self.account > 0 -> self.own * self.account >= 0": (
        "where either is zero the smaller of both is zero"
    ),
    "planner.py:plan_hedged_target: wanted.position >= 0 -> wanted.position > 0": (
        "to zero both sides are closed, and which of them goes first does not matter"
    ),
    "planner.py:target_order: gap > 0 -> gap >= 0": "without a gap nothing is sent, whichever side it would be",
    "reducing.py:Reducing.reducible: own * account > 0 -> own * account >= 0": (
        "where the account has nothing the smaller of both is zero"
    ),
    "position_history.py:PositionHistory.moved: len(history) > 1 -> len(history) >= 1": (
        "the newest entry is of now and never too old, so an entry that is alone is never looked behind"
    ),
}
