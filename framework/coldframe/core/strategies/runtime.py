"""The strategies as the engine calls them: which hook wants which event, verdicts counted, the fence round code that is not ours.

A strategy that raises is muted: it is not called again, what it wants lapses and its orders go as its policy says; the others do
not notice. How a plugin is loaded and called is decided above (`coldframe.plug`); here it is only a `StrategyPort`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, Protocol, TypeGuard, get_args

import attrs

from coldframe.core.state.protection import OrderPolicy, graver
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.core.strategies.limit_strain import Strain
from coldframe.core.strategies.view import StrategyView, StrategyWorld
from coldframe.core.strategies.wants import Throttles
from coldframe.model.events import StrategyEvent
from coldframe.model.halting import Halt
from coldframe.model.intents import Intent, Place, Verdict
from coldframe.model.wants import Wants

#: More intents than this from one call are cut off: something has run wild.
INTENTS_PER_CALL = 100
#: More wake-ups of one strategy than this are not kept.
MOST_WAKES: Final = 1_000


class OnError(StrEnum):
    """What happens to a strategy that raises, beyond being muted; its orders go as `[orders] on_error` says."""

    QUARANTINE = "quarantine"
    FLATTEN = "flatten"
    HALT = "halt"


class PluggedStrategy(Protocol):
    """One strategy with its overlays, as the plug floor provides it."""

    @property
    def id(self) -> str: ...
    @property
    def symbols(self) -> Sequence[str]: ...
    @property
    def hooks(self) -> frozenset[str]:
        """The names of the hooks it implements."""

    @property
    def on_error(self) -> OnError: ...
    @property
    def wants(self) -> Wants:
        """Which events of the market it is told."""

    def call(self, hook: str, event: StrategyEvent, view: StrategyView) -> Sequence[object]:
        """Calls a hook. Raises `StrategyFault` when the strategy's code does."""

    def review(self, intent: Intent, view: StrategyView) -> str | None:
        """What the overlays say against an intent; None when they let it pass. Raises `StrategyFault`."""


@attrs.define(eq=False)
class StrategyRuntime:
    """One strategy at run time."""

    plugin: PluggedStrategy
    account: StrategyAccount
    world: StrategyWorld
    muted: bool = False
    #: What becomes of its orders, since it was muted or the run is ending; None before.
    parting: OrderPolicy | None = None
    #: The halt that holds for it; None while none does.
    halted: Halt | None = None
    #: The keys of wake-ups that it has asked for and that have not come yet.
    wakes: set[str] = attrs.field(factory=set)
    intents: int = 0
    orders: int = 0
    verdicts: Counter[str] = attrs.field(factory=Counter)
    #: Why it was muted; empty while it is not.
    fault: str = ""
    #: The latest refusal of each code in words.
    refusals: dict[str, str] = attrs.field(factory=dict)
    #: How often keeping desired states true had to wait, by the code of what stood in the way.
    held_back: Counter[str] = attrs.field(factory=Counter)
    #: The limits of how often it may act that it meets all the time.
    strain: Strain = attrs.field(factory=Strain)
    #: Where events of the market wait or are left out; None for a strategy that is told all of them.
    throttles: Throttles | None = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        wants = self.plugin.wants
        self.throttles = None if wants.everything else Throttles(self.plugin.id, wants)

    @property
    def id(self) -> str:
        return self.plugin.id

    @property
    def flattening(self) -> bool:
        """Whether its positions shall be zero, whatever it wants itself."""
        return self.parting is OrderPolicy.FLATTEN or (self.halted is not None and self.halted.level.flattens)

    def halt(self, halt: Halt | None) -> None:
        """The halt that holds for it from now on; None when none does."""
        self.halted = halt

    def mute(self, reason: str) -> None:
        """It has raised: it is not called again."""
        self.muted, self.fault = True, reason
        if self.throttles is not None:
            self.throttles.stop()

    def part(self, policy: OrderPolicy) -> None:
        """It is muted, or the run ends: of several policies the gravest holds."""
        self.parting = graver(self.parting, policy)

    def may_protect(self, wanted: object, on_end: OrderPolicy) -> bool:
        """Whether an intent at the end of a run can only reduce a position that stays open, so that its order is kept."""
        policy = graver(self.parting, on_end)
        return isinstance(wanted, Place) and wanted.closing and policy is OrderPolicy.KEEP_PROTECTIVE

    def ordered(self, count: int = 1) -> None:
        """So many orders of it went out."""
        self.orders += count

    def refused(self, code: str, text: str) -> bool:
        """An intent of it was refused. Returns whether that is the first refusal of its code; the last one is kept in words."""
        first = code not in self.refusals
        self.refusals[code] = text
        return first

    def waited(self, code: str) -> bool:
        """Keeping a desired state of it true had to wait. Returns whether that is the first time for this reason."""
        self.held_back[code] += 1
        return self.held_back[code] == 1

    def judged(self, verdict: Verdict, count: int = 1) -> None:
        """Every intent ends in exactly one verdict, counted by its code."""
        self.intents += count
        self.verdicts[verdict.code.value] += count


class StrategyRuntimes:
    """All strategies, and for each hook and symbol the ones to call."""

    def __init__(self, runtimes: Iterable[StrategyRuntime]) -> None:
        self.all = tuple(runtimes)
        self._by_id = {runtime.id: runtime for runtime in self.all}
        self._interest: dict[tuple[str, str], tuple[StrategyRuntime, ...]] = {}

    def get(self, strategy: str) -> StrategyRuntime:
        return self._by_id[strategy]

    def find(self, strategy: str) -> StrategyRuntime | None:
        """A strategy of this bot; None for one that is not part of it any more."""
        return self._by_id.get(strategy)

    def of_symbol(self, hook: str, symbol: str) -> tuple[StrategyRuntime, ...]:
        """The strategies that implement a hook and trade this symbol."""
        key = (hook, symbol)
        found = self._interest.get(key)
        if found is None:
            found = self._interest[key] = tuple(
                runtime for runtime in self.all if hook in runtime.plugin.hooks and symbol in runtime.plugin.symbols
            )
        return found

    def of_market(self, hook: str) -> tuple[StrategyRuntime, ...]:
        """The strategies that implement a hook, whatever they trade: for streams of the whole market."""
        return tuple(runtime for runtime in self.all if hook in runtime.plugin.hooks)


#: By identity: a class of a plugin's own may compare as it likes.
_INTENTS: Final = frozenset(id(kind) for kind in get_args(Intent))


def is_intent(value: object) -> TypeGuard[Intent]:
    """Whether a strategy returned something that can be judged at all: one of our own classes, whose fields do not change."""
    return id(type(value)) in _INTENTS
