"""What strategies want to be true, and when it is time to compare it with what is.

A comparison is due after everything that concerns a strategy's orders or position in a symbol. When the venue refuses what was
sent to keep a desired state true, the next try waits, longer every time, so that a desired state that cannot come true does not eat
the limits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import attrs

from coldframe.enums import Side, TimeInForce
from coldframe.model.events import OrderChanged
from coldframe.model.intents import Quote, Quotes, Target
from coldframe.model.orders import OrderState

#: Pause after the first refusal, and the longest one (milliseconds).
FIRST_PAUSE_MS: Final = 250
LONGEST_PAUSE_MS: Final = 8_000

DesiredKey = tuple[str, str]


@attrs.define
class _Patience:
    pause_ms: int = FIRST_PAUSE_MS
    not_before_ms: int = 0
    by_venue: bool = False


class DesiredStore:
    """Desired states by (strategy, symbol): at most one `Quotes` and one `Target` each."""

    def __init__(self) -> None:
        self._quotes: dict[DesiredKey, Quotes] = {}
        self._targets: dict[DesiredKey, Target] = {}
        self._patience: dict[DesiredKey, _Patience] = {}
        #: Pairs whose desired states have to be compared with the world in this step, in the order in which they became due.
        self.due: dict[DesiredKey, None] = {}

    def quotes(self, key: DesiredKey) -> Quotes | None:
        return self._quotes.get(key)

    def target(self, key: DesiredKey) -> Target | None:
        return self._targets.get(key)

    def want(self, strategy: str, desired: Quotes | Target) -> None:
        """A new desired state replaces the old one of its kind. It is tried at once, unless the venue is tired of what we send."""
        key = (strategy, desired.symbol)
        patience = self._patience.get(key)
        if patience is not None and not patience.by_venue:
            del self._patience[key]
        if isinstance(desired, Quotes):
            self._quotes[key] = desired
        else:
            self._targets[key] = desired
        self.due[key] = None

    def touch(self, strategy: str, symbol: str) -> None:
        """Something happened to the strategy's orders or position in this symbol."""
        key = (strategy, symbol)
        if key in self._quotes or key in self._targets:
            self.due[key] = None

    def moved(self, symbol: str) -> None:
        """The market of a symbol moved: targets may be reachable now."""
        for key in self._targets:
            if key[1] == symbol:
                self.due[key] = None

    def fit(self, symbol: str, allowed: Callable[[Side, Quote], bool]) -> int:
        """The symbol has new rules: desired states there are due again, without levels that break them. Returns how many did."""
        left_out = 0
        for key in [quote for quote in (*self._quotes, *self._targets) if quote[1] == symbol]:
            self._patience.pop(key, None)
            self.due[key] = None
        for key, desired in self._quotes.items():
            if key[1] == symbol:
                bids = tuple(quote for quote in desired.bids if allowed(Side.BUY, quote))
                asks = tuple(quote for quote in desired.asks if allowed(Side.SELL, quote))
                left_out += len(desired.bids) + len(desired.asks) - len(bids) - len(asks)
                self._quotes[key] = attrs.evolve(desired, bids=bids, asks=asks)
        return left_out

    def forget(self, strategy: str | None = None, symbol: str | None = None) -> None:
        """Desired states lapse: of one strategy or all, in one symbol or all. Quotes become quotes without a level."""
        for key in list(self._quotes):
            if (strategy is None or key[0] == strategy) and (symbol is None or key[1] == symbol):
                self._quotes[key] = Quotes(key[1])
                self.due[key] = None
        for key in list(self._targets):
            if (strategy is None or key[0] == strategy) and (symbol is None or key[1] == symbol):
                del self._targets[key]

    def drop(self, strategy: str) -> None:
        """A strategy is muted or the run ends: nothing is wanted any more, and what becomes of its orders is decided elsewhere."""
        for table in (self._quotes, self._targets):
            for key in [desired for desired in table if desired[0] == strategy]:
                del table[key]

    def drop_target(self, key: DesiredKey) -> None:
        """A target lapses; what is under way for it ends by itself."""
        self._targets.pop(key, None)

    def refused(self, key: DesiredKey, now_ms: int, *, by_venue: bool) -> int:
        """The venue or pre-trade risk refused what was tried: returns how long to wait before the next try."""
        patience = self._patience.setdefault(key, _Patience())
        patience.by_venue |= by_venue
        pause = patience.pause_ms
        patience.not_before_ms = now_ms + pause
        patience.pause_ms = min(pause * 2, LONGEST_PAUSE_MS)
        return pause

    def succeeded(self, key: DesiredKey) -> None:
        """An order sent for this desired state was accepted: no more pauses."""
        self._patience.pop(key, None)

    def patient(self, key: DesiredKey, now_ms: int) -> bool:
        """Whether the next try has to wait."""
        patience = self._patience.get(key)
        return patience is not None and now_ms < patience.not_before_ms

    def take_due(self) -> list[DesiredKey]:
        due = list(self.due)
        self.due.clear()
        return due


def came_to_nothing(event: OrderChanged) -> bool:
    """Whether an order has ended without a trace."""
    return event.state in (OrderState.REJECTED, OrderState.DENIED) or (event.state == OrderState.EXPIRED and not event.filled)


def has_succeeded(event: OrderChanged) -> bool:
    """Whether an order does what it was sent for: an order that may rest rests, and any other has traded."""
    may_rest = event.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK)
    return event.state in (OrderState.PARTIALLY_FILLED, OrderState.FILLED) or (event.state == OrderState.ACCEPTED and may_rest)
