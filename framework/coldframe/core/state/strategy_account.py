"""One strategy's part of the account: its symbols and its budget, what it holds, and what it has sent lately."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.loss_limits import Losses
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.state.rolling_count import Rate
from coldframe.model.intents import Place

#: Over how long orders and messages are counted against a budget (milliseconds).
RATE_WINDOW_MS: Final = 10_000


@attrs.define(eq=False)
class StrategyAccount:
    """A strategy as the order side sees it: what it may do, what it has, and how often it has ordered lately."""

    id: str
    symbols: frozenset[str]
    budget: Budget
    holdings: StrategyPositions = attrs.field(factory=StrategyPositions)
    #: Orders, amendments and cancels of the last ten seconds.
    messages: Rate = attrs.field(factory=lambda: Rate(RATE_WINDOW_MS))
    rejects: Rate = attrs.field(factory=lambda: Rate(RATE_WINDOW_MS))
    losses: Losses = attrs.field(factory=Losses)
    _ordered_ms: deque[int] = attrs.field(factory=deque)
    #: The orders placed lately, each with the time of the last one of its kind.
    _placed_ms: dict[Place, int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.losses = Losses(self.budget.max_loss, self.budget.max_drawdown)

    def judged_by(self, limits: RiskLimits) -> None:
        """The run begins: rejects and losses are counted as the limits of the account say."""
        self.rejects = Rate(limits.rejects_within_ms)
        self.losses.period = limits.losses_count

    def setting(self, key: str) -> str:
        """By what name the configuration knows a limit of the strategy, for a text that tells what to change."""
        return f"budget.{key} of strategy {self.id}"

    def placed(self, place: Place, now_ms: int, within_ms: int) -> None:
        """Remembers an order that goes out, as long as another one like it would be a double, whatever its tag."""
        self._placed_ms = {earlier: at for earlier, at in self._placed_ms.items() if now_ms - at < within_ms}
        self._placed_ms[_untagged(place)] = now_ms

    def since_placed_ms(self, place: Place, now_ms: int) -> int | None:
        """How long ago the very same order went out, whatever its tag; None if it did not."""
        at_ms = self._placed_ms.get(_untagged(place))
        return None if at_ms is None else now_ms - at_ms

    def orders_in_window(self, now_ms: int) -> int:
        """How many orders and amendments it sent in the last ten seconds."""
        while self._ordered_ms and self._ordered_ms[0] <= now_ms - RATE_WINDOW_MS:
            self._ordered_ms.popleft()
        return len(self._ordered_ms)

    def ordered(self, now_ms: int) -> None:
        self._ordered_ms.append(now_ms)


def _untagged(place: Place) -> Place:
    return attrs.evolve(place, tag="") if place.tag else place
