"""Every hook there is, on one page. `docs/hooks.md` shows the same signatures, and a test compares them.

Hooks are synchronous and quick; what takes long belongs elsewhere. A strategy hook returns nothing, one intent, or several. An
implementation may leave out arguments it does not need, may not invent others, and gives them no default values.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pluggy

from coldframe.model.effects import Log, Told
from coldframe.model.events import (
    BookEvent,
    CandleChanged,
    ContractEvent,
    IndexEvent,
    LinkChanged,
    LiquidationPrinted,
    MarkPriceChanged,
    OrderChanged,
    OrderFilled,
    PositionChanged,
    Started,
    Stopped,
    TickerEvent,
    TradePrinted,
    Woken,
)
from coldframe.model.intents import Intent
from coldframe.model.view import View

PROJECT = "coldframe"

hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)

Wanted = Intent | Iterable[Intent] | None
#: A check of a configuration: given the parsed TOML document, it returns findings, one line each.
Check = Callable[[Mapping[str, Any]], Iterable[str]]
#: A sink: called with all that strategies are told of orders, fills and positions, and with every log line; it must return at once.
Sink = Callable[[Told | Log], None]


class BotHooks:
    """Hooks of the run: asked once, when plugins are loaded."""

    @hookspec
    def provide_strategies(self) -> Mapping[str, type]:  # type: ignore[empty-body]
        """Strategy and overlay classes by the name under which a configuration asks for them."""

    @hookspec
    def provide_checks(self) -> Iterable[Check]:  # type: ignore[empty-body]
        """Checks that `coldframe check` and every start run over the configuration."""

    @hookspec
    def provide_sinks(self) -> Iterable[Sink]:  # type: ignore[empty-body]
        """Sinks that hear what happens in a run."""


class StrategyHooks:
    """Hooks of a strategy and its overlays. `event` is what happened, `view` the world at that moment."""

    @hookspec
    def on_start(self, event: Started, view: View) -> Wanted:
        """The run begins. Books are not synced yet."""

    @hookspec
    def on_book(self, event: BookEvent, view: View) -> Wanted:
        """A local book moved, became synced or was lost; or a partial book arrived."""

    @hookspec
    def on_trade(self, event: TradePrinted, view: View) -> Wanted:
        """A trade of the market."""

    @hookspec
    def on_ticker(self, event: TickerEvent, view: View) -> Wanted:
        """Best prices changed, or the figures of the last 24 hours."""

    @hookspec
    def on_mark(self, event: MarkPriceChanged, view: View) -> Wanted:
        """Mark price, index price and funding."""

    @hookspec
    def on_candle(self, event: CandleChanged, view: View) -> Wanted:
        """The running candle changed, or closed."""

    @hookspec
    def on_liquidation(self, event: LiquidationPrinted, view: View) -> Wanted:
        """A position was liquidated."""

    @hookspec
    def on_contract(self, event: ContractEvent, view: View) -> Wanted:
        """A contract was listed, changed or is settled; or the session of an underlying market changed."""

    @hookspec
    def on_index(self, event: IndexEvent, view: View) -> Wanted:
        """A composite index or an asset index changed."""

    @hookspec
    def on_order(self, event: OrderChanged, view: View) -> Wanted:
        """One of the strategy's orders changed its state."""

    @hookspec
    def on_fill(self, event: OrderFilled, view: View) -> Wanted:
        """One of the strategy's orders traded."""

    @hookspec
    def on_position(self, event: PositionChanged, view: View) -> Wanted:
        """The strategy's position changed without an order of its own: by hand, liquidation, deleveraging, settlement.

        A `Target` that would open again what was closed has lapsed by then; a `Target` that is returned counts.
        """

    @hookspec
    def on_link(self, event: LinkChanged, view: View) -> Wanted:
        """A connection opened or ended."""

    @hookspec
    def on_wake(self, event: Woken, view: View) -> Wanted:
        """The time a `WakeMe` asked for has come."""

    @hookspec
    def on_stop(self, event: Stopped, view: View) -> Wanted:
        """The run ends; only cancels are still carried out, and orders that can only reduce an open position."""

    @hookspec(firstresult=True)
    def review_intent(self, intent: Intent, view: View) -> str | None:
        """Asked before every intent that could add risk: a text refuses it, None lets it pass to the next overlay.

        What is refused never happens; what was wanted before stays: to withdraw standing quotes, return an empty `Quotes`.
        """


#: Names of the hooks that are called with an event.
EVENT_HOOKS: frozenset[str] = frozenset(name for name in vars(StrategyHooks) if name.startswith("on_"))
