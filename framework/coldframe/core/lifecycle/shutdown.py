"""The end of a run: what is cancelled and what is kept, how long the last outcomes are waited for, and what is not settled then.

Every way to end comes here: a signal, a time, the end of a recording, a strategy whose error ends the run. Orders go or stay as the
policies say (`coldframe.core.state.protection`). A run that leaves orders or positions compares them with the account once more,
and has the venue confirm that the dead man's switch of the symbols with orders is off. The report names whatever is left, so that
no end looks better than it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.due_checks import DueChecks
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import describe
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.core.state.protection import OpenPosition, OrderPolicy, open_positions, reduces_position, stands
from coldframe.core.strategies.dispatch import Strategies
from coldframe.core.strategies.runtime import StrategyRuntimes
from coldframe.model.effects import Level
from coldframe.model.inputs import StopAsked, TimeReached
from coldframe.units import NS_PER_MS, plain

#: Least pause between two looks at what is still open (milliseconds).
CHECK_MS: Final = 50
_NAMED: Final = 5
_NO_STOP: Final = "no stop stands at the venue"


@attrs.frozen(kw_only=True)
class EndReport:
    """What a run leaves behind. Everything but `kept` and a protected position is something that is not settled."""

    #: Orders that stay at the venue on purpose, each confirmed.
    kept: tuple[Order, ...] = ()
    #: Those of them that the dead man's switch may still cancel, by client order id.
    may_vanish: frozenset[str] = frozenset()
    #: Orders that are or may be open although they should not.
    left: tuple[Order, ...] = ()
    positions: tuple[OpenPosition, ...] = ()
    #: Orders that have ended and whose fills have not all been told.
    owed: tuple[Order, ...] = ()
    #: Symbols whose position is not what the venue names.
    position_breaks: tuple[str, ...] = ()
    #: Strategies that were muted by an error of their own.
    muted: tuple[str, ...] = ()
    #: Whether positions and kept orders were compared with the account since the last time that reports were missing.
    compared: bool = True

    @property
    def unprotected(self) -> tuple[OpenPosition, ...]:
        return tuple(position for position in self.positions if position.unprotected)

    def body(self) -> dict[str, object]:
        """As the journal keeps it, with the ids of orders."""
        return {
            "open": _ids(self.left),
            "kept": _ids(self.kept),
            "may_vanish": sorted(self.may_vanish),
            "unprotected": [
                {
                    "strategy": position.strategy,
                    "symbol": position.symbol,
                    "side": str(position.position_side),
                    "quantity": str(position.unprotected),
                }
                for position in self.unprotected
            ],
            "owed": _ids(self.owed),
            "disputed": list(self.position_breaks),
            "compared": self.compared,
        }


class Shutdown:
    """Brings a run to its end. `over` says why it is over; None while it is not."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        runtimes: StrategyRuntimes,
        strategies: Strategies,
        trading: OrderSide | None,
        grace_ms: int,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._runtimes = runtimes
        self._strategies = strategies
        self._orders = state.orders
        self._trading = trading
        self._accounts = {name: account.holdings for name, account in state.accounts.items()}
        self._grace_ms = grace_ms
        self._deadline_ns = 0
        self._checks = DueChecks("stop:check", CHECK_MS)
        #: Why the run is to end; None while it is not.
        self.asked: str | None = None
        self.over: str | None = None
        self._comparing = False
        self._final: EndReport | None = None

    def step(self, event: StopAsked | TimeReached) -> None:
        """Takes in that the run shall end, or that it is time to look whether it has (`stop:check`)."""
        match event:
            case StopAsked(reason):
                self._ask(reason)
            case TimeReached():
                self._checks.taken()
                self._end_when_done()
            case unknown:
                assert_never(unknown)

    def _ask(self, reason: str) -> None:
        """Desired states lapse, orders go as the policies say. A second request does not wait for anything."""
        if self.asked is not None:
            self._give_up("asked again: not waiting for open orders", self._waiting())
            return
        self.asked = reason
        self._deadline_ns = self._ctx.now_ns + self._grace_ms * NS_PER_MS
        self._checks.begin(self._ctx.now_ns)
        self._strategies.stop(reason)
        self._end_when_done()

    def _end_when_done(self) -> None:
        """Ends the run when nothing is to be waited for any more, or the grace time is over."""
        if self.over is not None or self.asked is None:
            return
        self._strategies.part()
        waiting = self._waiting()
        if not waiting:
            self._conclude(self.asked)
        elif self._ctx.now_ns >= self._deadline_ns:
            self._give_up(self.asked, waiting)

    def ask_for_check(self, *, changed: bool) -> None:
        """At the end of a step: asks for the next look at what is still open, when anything may have changed, else at the deadline.

        What changes by time alone (a countdown that could not be switched off, an order given up) is followed by the order side's
        ticks, and each of them is a change.
        """
        if self.asked is not None and self.over is None:
            self._ctx.check(self._checks, self._ctx.now_ns if changed else self._deadline_ns)

    def report(self) -> EndReport:
        """What is settled, and what is not: at the end of the run once that is over, else now."""
        return self._final or self._report()

    def _report(self) -> EndReport:
        kept, left = self._divided()
        switches = self._trading.countdown_cancel.running if self._trading is not None else {}
        may_vanish = frozenset(order.client_order_id for order in kept if order.symbol in switches)
        return EndReport(
            kept=tuple(kept),
            may_vanish=may_vanish,
            left=tuple(left),
            positions=tuple(open_positions(self._accounts, self._orders.live, may_vanish)),
            owed=tuple(self._orders.owed),
            position_breaks=self._unexplained(),
            muted=tuple(runtime.id for runtime in self._runtimes.all if runtime.muted),
            compared=self._trading is None or self._trading.reports_complete,
        )

    # -- what is waited for -------------------------------------------------------------------------------------------

    def _divided(self) -> tuple[list[Order], list[Order]]:
        """The live orders that stay on purpose, and all others."""
        kept: list[Order] = []
        left: list[Order] = []
        for order in self._orders.live:
            (kept if self._stays(order) else left).append(order)
        return kept, left

    def _stays(self, order: Order) -> bool:
        runtime = self._runtimes.find(order.strategy)
        if runtime is None:  # of a strategy that is not part of the bot any more: what protects stays
            return stands(order) and order.client_order_id in self._strategies.guarding
        keeps = runtime.parting is OrderPolicy.KEEP_PROTECTIVE and not runtime.flattening
        return keeps and stands(order) and reduces_position(order, runtime.account.holdings)

    def _waiting(self) -> list[str]:
        """What the end still waits for, in words; nothing when it waits for nothing."""
        kept, left = self._divided()
        owed = self._orders.fills_owed
        lines = [f"{len(left)} orders could not be brought to an end in time: {_names(left)}"] if left else []
        if owed:
            lines.append(f"the fills of {owed} orders are not known in full: positions are not what they seem")
        if self._trading is None:
            return lines
        flat_missing = self._not_flat()
        if flat_missing:
            lines.append(f"positions could not be brought to zero in time: {', '.join(flat_missing)}")
        if not lines and not self._compared_with(self._trading, kept):
            lines.append("the account could not be compared at the end: positions and kept orders may have changed")
        if position_breaks := self._unexplained():
            lines.append(f"positions do not add up at the end: manual check needed: {', '.join(position_breaks)}")
        keeping = {order.symbol for order in kept}
        busy = {order.symbol for order in left} | {text.split()[0] for text in flat_missing}
        # Where an order that was given up may still live, the switch is the last that would cancel it.
        busy |= self._orders.possible(self._ctx.now_ns) - keeping
        return lines + self._switch_off(busy, keeping)

    def _compared_with(self, trading: OrderSide, kept: list[Order]) -> bool:
        """Whether what stays open was compared with the account when all the rest was done: the last word is the venue's."""
        open_still = (
            kept
            or self._state.trading.breaks
            or any(position.quantity for account in self._accounts.values() for position in account.positions.values())
        )
        if not open_still:
            return True
        if not self._comparing:
            self._comparing = True
            trading.compare("the run ends")
        return trading.reports_complete

    def _unexplained(self) -> tuple[str, ...]:
        """Symbols whose position is not what the venue names, as far as is known: what was just told may still settle it."""
        return tuple(sorted({symbol for symbol, _ in self._state.trading.breaks}))

    def _not_flat(self) -> list[str]:
        """Positions of strategies that are being brought to zero."""
        return [
            f"{symbol} {plain(position.quantity)} of {runtime.id}"
            for runtime in self._runtimes.all
            if runtime.flattening
            for (symbol, _), position in runtime.account.holdings.positions.items()
            if position.quantity
        ]

    def _switch_off(self, busy: set[str], keeping: set[str]) -> list[str]:
        """Switches the countdowns off, but for symbols in which an order that should not be there may still be."""
        assert self._trading is not None
        countdown_cancel = self._trading.countdown_cancel
        countdown_cancel.disarm(symbol for symbol in countdown_cancel.running if symbol not in busy)
        # Where no order is kept a countdown that cannot be switched off does no harm.
        waiting = [
            symbol for symbol, failed in countdown_cancel.running.items() if symbol in keeping or not (failed or symbol in busy)
        ]
        return [f"the dead man's switch of {', '.join(waiting)} is not confirmed to be off"] if waiting else []

    # -- the end ------------------------------------------------------------------------------------------------------

    def _give_up(self, reason: str, waiting: Iterable[str]) -> None:
        if self.over is None:
            for line in waiting:
                self._ctx.log(Level.ERROR, line)
            self._conclude(reason)

    def _conclude(self, reason: str) -> None:
        self.over = reason
        report = self._final = self._report()
        for order in report.kept:
            if order.client_order_id in report.may_vanish:
                text = f"{describe(order)} is kept, but may vanish: the dead man's switch of {order.symbol} may still run"
                self._ctx.log(Level.WARNING, text)
        for position in report.positions:
            self._log_position(position)

    def _log_position(self, position: OpenPosition) -> None:
        what = f"{position.strategy} holds {position.where} {plain(position.quantity)}"
        if not position.unprotected:
            self._ctx.log(Level.INFO, f"{what}: protected by {', '.join(position.stops)}")
        else:
            stops = f"stops cover {plain(position.covered)} of it: {', '.join(position.stops)}" if position.stops else _NO_STOP
            others = f"; kept, and limiting no loss: {', '.join(position.others)}" if position.others else ""
            self._ctx.log(Level.WARNING, f"{what}: {plain(position.unprotected)} of it unprotected: {stops}{others}")


def _ids(orders: Iterable[Order]) -> list[str]:
    return [order.client_order_id for order in orders]


def _names(orders: Iterable[Order]) -> str:
    ids = _ids(orders)
    return ", ".join(ids[:_NAMED]) + (" ..." if len(ids) > _NAMED else "")
