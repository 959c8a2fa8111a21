"""Where an order of an account stands in the queue of its price, as the matching engine keeps it."""

from __future__ import annotations

from coldframe.exchange.matching import Matching


def left_of(engine: Matching, order_id: int) -> int:
    """What is left of a resting own order; 0 when it does not rest here."""
    found = engine._own.get(order_id)
    return found[2].left if found else 0


def ahead_of(engine: Matching, order_id: int) -> int:
    """How much quantity stands before an own order at its price; 0 when it does not rest here."""
    found = engine._own.get(order_id)
    if found is None:
        return 0
    _, level, entry = found
    return sum(other.left for other in level.queue[: level.queue.index(entry)])
