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
    "dispatch.py:Strategies.book_updated: not runtimes or local is None -> not runtimes and local is None": (
        "the book of an update is there, and without listeners an event is made that is told nowhere"
    ),
    "engine.py:Engine._hand_on: not self._ctx.events and (not self.strategies.due)"
    " -> not self._ctx.events or not self.strategies.due": (
        "orders, cancels and amendments that a round sends bring news by their answers only, so that one round leaves nothing"
    ),
    "desired_state.py:DesiredState.compare_due: len(due) > 1 -> len(due) >= 1": "one desired state alone is sorted into itself",
    "desired_state.py:_nearer_zero: target * position > 0 -> target * position >= 0": (
        "a target of zero is nearer already, and from a position of zero no other one is"
    ),
    "strategy_account.py:StrategyAccount.placed: now_ms - at < within_ms -> now_ms - at <= within_ms": (
        "an order that went out exactly so long ago is a double no more, whether it is remembered or not"
    ),
}
