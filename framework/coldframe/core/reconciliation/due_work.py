"""What the order side does because time has passed: questions, cancels and beats that are due.

It is looked at on a beat of 250 ms: on every beat while something is under way (an order, a position, a question about either), and
otherwise only when the next thing is due. A bot that waits for nothing is left alone (docs/decisions/120).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.countdown_cancel import BeatsDue, CountdownCancel
from coldframe.core.execution.execution_reports import describe
from coldframe.core.execution.order_executor import OrderExecutor
from coldframe.core.reconciliation.account_settings import AccountWatch
from coldframe.core.reconciliation.asset_prices import AssetPrices
from coldframe.core.reconciliation.funding_income import FundingIncome
from coldframe.core.reconciliation.position_breaks import PositionBreaks
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.core.reconciliation.trade_scan import TradeScan
from coldframe.core.risk.reducing import left_over
from coldframe.core.state.asset_values import AT_PAR
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.loss_limits import DAY_MS
from coldframe.core.state.positions import StrategyPositions
from coldframe.model.effects import Level
from coldframe.model.inputs import TimeReached
from coldframe.units import NS_PER_MS

#: Pause between two rounds for orders that only a round is wanting to prove absent, doubled up to that of light rounds.
_UNKNOWN_ROUND_MS: Final = 2_000
#: Pause before positions that differ are asked for again, give or take a half (milliseconds).
DIFFER_MS: Final = 400


class DueWork:
    """Does what is due, and knows when something will be."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        executor: OrderExecutor,
        scan: TradeScan,
        account: FundingIncome,
        assets: AssetPrices,
        watch: AccountWatch,
        mismatches: PositionBreaks,
        switches: CountdownCancel,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._orders = state.orders
        self._executor = executor
        self._scan = scan
        self._account = account
        self._assets = assets
        self._watch = watch
        self._mismatches = mismatches
        self._switches = switches
        #: The last round for orders that wait to be proved absent, the next one, and which orders those were at the last look.
        self._unknown_round_ns = self._next_unknown_round_ns = 0
        self._unknown_pause_ms = _UNKNOWN_ROUND_MS
        self._provable: set[str] = set()

    def perform(self, event: TimeReached, *, complete: bool) -> bool:
        """Does all that is due; `complete`: whether the reports are. Returns whether a round for orders of unknown fate is due."""
        self._executor.step(event)
        if complete:
            self._account.ask_for_missed()
        self._assets.step(self._account.assets())
        self._watch.step(event)
        if self._mismatches.compare_due():
            self._ctx.wake("reconcile:differ", int(DIFFER_MS * (0.5 + self._ctx.chance())))
        symbols = self._orders.live.symbols | self._orders.possible(self._ctx.now_ns)
        self._switches.step(BeatsDue(tuple(sorted(symbols))))
        for order in self._executor.inquiry.missing_fills():
            self._scan.want_fills(order)
        if complete:
            self._end_left_over()
        return self._unknown_round_due()

    def _end_left_over(self) -> None:
        """Cancels orders that were to close a position which their strategy does not have any more, where the venue would not."""
        for order in self._orders.closing:
            if left_over(self._state, order) and not self._executor.departs(order):
                self._ctx.log(Level.INFO, f"cancelled, as its position is closed: {describe(order)}")
                self._executor.depart(order.client_order_id)

    def _unknown_round_due(self) -> bool:
        """Whether a round is due for orders that only a round is wanting to prove absent; a new one of them ends a long pause."""
        now, least_ns = self._ctx.now_ns, _UNKNOWN_ROUND_MS * NS_PER_MS
        provable = {order.client_order_id for order in self._orders.unsettled if self._executor.proof.provable(order)}
        if provable - self._provable:
            self._unknown_pause_ms = _UNKNOWN_ROUND_MS
            self._next_unknown_round_ns = min(self._next_unknown_round_ns, self._unknown_round_ns + least_ns)
        self._provable = provable
        if not provable or now < self._next_unknown_round_ns:
            return False
        self._unknown_round_ns = now
        self._next_unknown_round_ns = now + self._unknown_pause_ms * NS_PER_MS
        self._unknown_pause_ms = min(2 * self._unknown_pause_ms, LIGHT_ROUND_MS)
        return True

    # -- when ---------------------------------------------------------------------------------------------------------

    def next_due_ns(self) -> int:
        """When the next thing is due: now while anything is under way, so that the very next beat looks at it."""
        if self._under_way():
            return self._ctx.now_ns
        midnight_in_ms = DAY_MS - self._ctx.venue_ms % DAY_MS  # losses may be counted by the day
        due_ns = [self._watch.next_due_ns(), self._ctx.now_ns + midnight_in_ms * NS_PER_MS]
        prices_ns = self._assets.next_due_ns(self._account.balances)
        return min(due_ns if prices_ns is None else [*due_ns, prices_ns])

    def _under_way(self) -> bool:
        """Whether there is anything whose course has to be followed, by the clock or by prices."""
        orders, history = self._orders, self._state.holdings.history
        following = bool(orders.live or orders.owed or orders.given_up or self._executor.busy or self._switches.running)
        comparing = bool(history.comparing or self._mismatches.symbols or self._account.payments_missed)
        return following or comparing or any(map(_moves_with_prices, self._state.all_positions.values()))


def _moves_with_prices(account: StrategyPositions) -> bool:
    """Whether the profit of an account changes by prices alone."""
    assets: Iterable[str] = account.fees.keys() | account.funding.keys()
    return any(position.quantity for position in account.positions.values()) or any(asset not in AT_PAR for asset in assets)
