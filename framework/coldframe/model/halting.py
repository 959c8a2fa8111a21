"""Halting: how much of its trading a strategy, or the whole bot, has to give up until it is resumed.

Plain values, shared by the halt file, the kill switch and the engine. A halt names one strategy or (None) all of them; what holds
for a strategy is the gravest halt that names it or all.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import attrs

from coldframe.model.intents import Verdict


class HaltLevel(StrEnum):
    """Each level contains the ones before it.

    `pause`: desired states lapse and nothing is sent that adds risk; `cancel`: all orders are cancelled as well; `flatten`:
    positions are brought to zero as well, by orders that only reduce.
    """

    PAUSE = "pause"
    CANCEL = "cancel"
    FLATTEN = "flatten"

    @property
    def rank(self) -> int:
        """How grave it is: 1 to 3."""
        return _RANK[self]

    @property
    def cancels(self) -> bool:
        return self is not HaltLevel.PAUSE

    @property
    def flattens(self) -> bool:
        return self is HaltLevel.FLATTEN


_RANK: Final = {HaltLevel.PAUSE: 1, HaltLevel.CANCEL: 2, HaltLevel.FLATTEN: 3}


@attrs.frozen
class Halt:
    """One halt that holds. `at_ms` is when it was asked for (epoch milliseconds), `reason` a few words for people."""

    level: HaltLevel
    strategy: str | None = None
    reason: str = ""
    at_ms: int = 0

    @property
    def whom(self) -> str:
        return whom(self.strategy)

    def __str__(self) -> str:
        return f"{self.whom}: {self.level}" + (f" ({self.reason})" if self.reason else "")


def whom(strategy: str | None) -> str:
    """Whom a halt or its end is about, for people; None stands for all strategies."""
    return "all strategies" if strategy is None else f"strategy {strategy}"


def gravest(halts: Iterable[Halt], strategy: str) -> Halt | None:
    """The halt that holds for a strategy; None when none does."""
    mine = [halt for halt in halts if halt.strategy in (None, strategy)]
    return max(mine, key=lambda verdict: verdict.level.rank, default=None)


@attrs.frozen
class LastingSuspensions:
    """Why no new risk is taken: by the whole account, by strategies, in symbols."""

    account: Verdict | None = None
    strategies: dict[str, Verdict] = attrs.field(factory=dict)
    symbols: dict[str, Verdict] = attrs.field(factory=dict)

    def __bool__(self) -> bool:
        return bool(self.account or self.strategies or self.symbols)

    def without(self, strategy: str | None) -> LastingSuspensions:
        """What is left when a person has opened one strategy, or (None) everything."""
        left = {name: verdict for name, verdict in self.strategies.items() if name != strategy}
        return LastingSuspensions() if strategy is None else attrs.evolve(self, strategies=left)

    def lines(self) -> list[str]:
        """Each of them in words."""
        account = [self.account.text] if self.account else []
        return [*account, *(strategy.text for strategy in (*self.strategies.values(), *self.symbols.values()))]
