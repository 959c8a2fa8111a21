"""All trading state of one run, in one value: made here from what the run is configured with and what an earlier one has left.

Every machine is given this value and reads from it. It is changed by the classes of `coldframe.core.state` alone, through methods
that say what has happened; a test over the source keeps it so.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from coldframe.core.state.asset_values import AssetValues
from coldframe.core.state.external import FILLS_LIMIT, External
from coldframe.core.state.holdings import Holdings
from coldframe.core.state.journal_codec import RestoredState
from coldframe.core.state.leverage_caps import LeverageCaps
from coldframe.core.state.limits import RiskLimits
from coldframe.core.state.loss_limits import Losses
from coldframe.core.state.orders import Order, Orders
from coldframe.core.state.positions import EXTERNAL, StrategyPositions
from coldframe.core.state.profits import Profits
from coldframe.core.state.refused_intents import RefusedIntents
from coldframe.core.state.rolling_count import Rate
from coldframe.core.state.saved_states import SavedStates
from coldframe.core.state.step import Step
from coldframe.core.state.strategy_account import RATE_WINDOW_MS, StrategyAccount
from coldframe.core.state.tally import Tally
from coldframe.core.state.trading_state import Suspensions
from coldframe.enums import ContractStatus
from coldframe.model.halting import LastingSuspensions
from coldframe.model.instruments import Instrument, Instruments
from coldframe.model.intents import Place, Verdict, VerdictCode
from coldframe.units import ZERO


class EngineState:
    """Orders, accounts, positions, contracts, prices and suspensions of one run."""

    def __init__(
        self,
        ctx: Step,
        orders: Orders,
        accounts: Mapping[str, StrategyAccount],
        *,
        instruments: Instruments | None = None,
        limits: RiskLimits | None = None,
        hedge: bool = False,
        past: RestoredState | None = None,
        compared: bool = True,
        fills_limit: int = FILLS_LIMIT,
    ) -> None:
        past = past or RestoredState()
        self.limits = limits or RiskLimits()
        self.orders = orders
        #: The strategies of this bot.
        self.accounts = accounts
        #: What strategies of earlier runs have left that are not part of this bot: it counts into the account's losses.
        left = past.accounts.items()
        self.retired: Mapping[str, StrategyPositions] = {
            name: account for name, account in left if name not in accounts and name != EXTERNAL
        }
        self.instruments = instruments if instruments is not None else Instruments()
        #: The latest mark prices by symbol, and what money in any asset is worth.
        self.prices = AssetValues()
        #: The largest notional of a position at the leverage set, where that is known.
        self.caps = LeverageCaps()
        #: Whether the account holds a long and a short position side by side.
        self.hedge = hedge
        self.trading = Suspensions()
        #: What the account as a whole may lose.
        self.losses = Losses(self.limits.max_loss, self.limits.max_drawdown, period=self.limits.losses_count)
        #: Orders, amendments and cancels of all strategies, of the last ten seconds.
        self.messages = Rate(RATE_WINDOW_MS)
        self.tally = Tally()
        #: What strategies wanted in vain, until the journal has it.
        self.refused = RefusedIntents(orders)
        #: What strategies have saved.
        self.saved = SavedStates(past.states)
        #: The part of the limits on orders and positions that may be used; see `coldframe.core.lifecycle.first_minutes`.
        self.scale = Decimal(1)
        #: Trades from before that (venue time) are in the positions that stood at the start; 0 while those are not known.
        self.baseline_ms = 0
        #: Whether the account has been compared since the start: before that, others may have closed what our books have.
        self.compared = compared
        #: What is of no strategy: fills, positions and orders of others.
        self.external = External(ctx, self.trading, orders.trade_cursors, past.accounts.get(EXTERNAL), fills_limit)
        self.holdings = Holdings(ctx, {name: account.holdings for name, account in accounts.items()}, self.external, self.lot_step)
        self.holdings.restore(past.executions)
        #: What strategies have made, as running sums.
        self.profits = Profits({name: account.holdings for name, account in accounts.items()}, self.retired, self.prices)
        for account in accounts.values():
            account.judged_by(self.limits)

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def mark_prices(self) -> Mapping[str, Decimal]:
        """The latest mark prices by symbol."""
        return self.prices.mark_prices

    @property
    def all_positions(self) -> dict[str, StrategyPositions]:
        """The sub-accounts by strategy (also of earlier ones that are not part of the bot any more), and what is external."""
        return {**self.retired, **self.holdings.accounts}

    def lot_step(self, symbol: str) -> Decimal:
        """The lot step of a symbol, ZERO while it is not known."""
        instrument = self.instruments.get(symbol)
        return ZERO if instrument is None else instrument.step

    def scaled(self, limit: Decimal | None) -> Decimal | None:
        """How much of a limit on orders or positions may be used now."""
        return None if limit is None else limit * self.scale

    def scale_note(self) -> str:
        """What a text about such a limit ends with, while less than the whole of it may be used."""
        return "" if self.scale == 1 else " in the first minutes of a run (risk.first_minutes)"

    # -- what happens -------------------------------------------------------------------------------------------------

    def contract_listed(self, instrument: Instrument) -> None:
        """The venue's list names a contract's rules and status."""
        self.instruments = self.instruments.having(instrument)

    def contract_status(self, symbol: str, status: ContractStatus) -> None:
        """The venue has told the status of a contract."""
        self.instruments = self.instruments.with_status(symbol, status)

    def limits_scaled(self, fraction: Decimal) -> None:
        """From now on so much of the limits may be used."""
        self.scale = fraction

    def account_compared(self, at_ms: int) -> None:
        """What stands on the account has been compared with what our books have; `at_ms` is when that round began (venue time)."""
        self.baseline_ms = at_ms
        self.external.started()

    def start_passed(self) -> None:
        """The start has found nothing that stands against trading."""
        self.compared = True

    def message_sent(self, strategy: str, now_ms: int) -> None:
        """An order, an amendment or a cancel goes out: cancels count, and are never refused for it."""
        self.messages.add(now_ms)
        if strategy in self.accounts:
            self.accounts[strategy].messages.add(now_ms)

    def order_sent(self, account: StrategyAccount, place: Place, now_ms: int, *, adds_risk: bool) -> None:
        """A strategy's order goes out."""
        account.placed(place, now_ms, self.limits.duplicate_ms)
        if adds_risk:
            self.trading.probe(place.symbol, now_ms)

    def order_rejected(self, order: Order, now_ms: int) -> Verdict | None:
        """The venue has refused an order. Returns the verdict when that was one too many: no new risk until `resumed`."""
        strategy, allowed = order.strategy, self.limits.max_rejects
        rejects = self.accounts[strategy].rejects
        rejects.add(now_ms)
        count = rejects.used(now_ms)
        if allowed is None or count <= allowed:
            return None
        within = f"within {self.limits.rejects_within_ms} ms (risk.rejects_within_s)"
        text = f"strategy {strategy}: {count} orders rejected {within}, risk.max_rejects allows {allowed}"
        verdict = Verdict(VerdictCode.REJECTS, text, Decimal(count), Decimal(allowed))
        return verdict if self.trading.halt_strategy(strategy, verdict, now_ms) else None

    def resumed(self, venue_ms: int, strategy: str | None = None) -> None:
        """Ends lasting suspensions: of one strategy, or all of them. Losses are counted from here on."""
        for account in self.accounts.values():
            if strategy in (None, account.id):
                self.trading.resume(strategy=account.id)
                account.losses.resume(venue_ms)
                account.rejects.clear()
        if strategy is None:
            self.trading.resume()
            self.losses.resume(venue_ms)

    def restore_suspensions(self, suspensions: LastingSuspensions, now_ms: int) -> None:
        """Shuts what an earlier run had shut."""
        self.trading.restore(suspensions, now_ms)
        self.losses.restore_hit(suspensions.account)
        for strategy, verdict in suspensions.strategies.items():
            if strategy in self.accounts and verdict.code in ("LOSS", "DRAWDOWN"):
                self.accounts[strategy].losses.restore_hit(verdict)
