"""The engine, all trading logic: one input in, effects out, and all trading state in between.

`Engine.step` is pure and synchronous: it asks no clock, does no I/O, and the same inputs give the same effects. It leads an input
to the market side or the order side, tells the strategies what has happened, judges what they want, and compares their wishes
with the world until nothing is left to do. Live, on paper, in a backtest and in a simulation it is the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.backoff import Chance
from coldframe.core.connectivity.connect_budget import ConnectBudget
from coldframe.core.connectivity.latency_check import too_near
from coldframe.core.connectivity.rest_queue import RestQueue, Returned, clock_sample
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.inheriting import inherit
from coldframe.core.kill_switch import KillSwitch
from coldframe.core.marketdata.market import Market
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.order_side import OrderSide, OrderSideLimits
from coldframe.core.reconciliation.owed_fills import OwedFills
from coldframe.core.risk.limits import Budget, RiskLimits
from coldframe.core.risk.pre_trade import PreTradeRisk, StrategyAccount
from coldframe.core.risk.restore import RiskRows, latched_of
from coldframe.core.shutdown import Shutdown
from coldframe.core.state.journal_codec import CHECKPOINT_ROWS, RestoredState, checkpoint_body, order_body
from coldframe.core.state.orders import Orders
from coldframe.core.state.positions import EXTERNAL, StrategyPositions
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.strategies.contract_refresh import ContractRefresh
from coldframe.core.strategies.dispatch import Strategies
from coldframe.core.strategies.first_minutes import FirstMinutes, StartGuard
from coldframe.core.strategies.runtime import StrategyPort, StrategyRuntime, StrategyRuntimes
from coldframe.core.strategies.view import StrategyWorld
from coldframe.model.effects import Effect, Finish, Level, LinkKind, NoteAnswered, Record, ShiftClock, StayAway
from coldframe.model.events import LinkChanged, LinkState
from coldframe.model.halting import Halt
from coldframe.model.inputs import (
    BrakeAnswered,
    BrakeOrdered,
    BrakeUsed,
    FramesDropped,
    FramesReceived,
    HaltAsked,
    JournalChanged,
    LinkLost,
    LinkOpened,
    RequestNotWritten,
    RequestWritten,
    ResolveAsked,
    RestAnswered,
    ResumeAsked,
    Stamped,
    StopAsked,
    Suspended,
    TimeReached,
)
from coldframe.model.instruments import Instruments
from coldframe.model.journal import RowKind
from coldframe.model.view import Randomness
from coldframe.units import ZERO, calculated
from coldframe.wire.names import StreamName
from coldframe.wire.reference import RateLimit

#: Quick questions for the time at the start, then one every five minutes (milliseconds after the start).
_CLOCK_QUICK: Final = (200, 1_000, 3_000)
_CLOCK_PERIOD_MS: Final = 300_000


@attrs.frozen(kw_only=True)
class EngineSetup:
    """Everything the engine has to know before it begins; made by `coldframe.runtime.build`."""

    streams: Sequence[StreamName]
    instruments: Instruments
    ports: Sequence[StrategyPort]
    budgets: Mapping[str, Budget]
    risk: RiskLimits
    rate_limits: Sequence[RateLimit]
    chance: Chance
    #: The random numbers of each strategy, by its id; None: `view.random` raises.
    random_of: Callable[[str], Randomness] | None = None
    #: Start of the run in epoch milliseconds: stands in every client order id.
    epoch_ms: int
    #: False: intents are judged, and refused with ORDERS_OFF.
    orders_on: bool
    #: What an earlier run on the same journal has left.
    past: RestoredState = attrs.field(factory=RestoredState)
    #: Whether open orders of an earlier run stay; else they are cancelled as soon as that is possible.
    keep_orders: bool = False
    #: What becomes of open orders when the run ends, and of those of a strategy that raises.
    on_end: OrderPolicy = OrderPolicy.KEEP_PROTECTIVE
    on_error: OrderPolicy = OrderPolicy.KEEP_PROTECTIVE
    #: What the journal shall say about this run, beyond its start.
    about: Mapping[str, object] = attrs.field(factory=dict)
    #: Whether the account is in hedge mode.
    hedge: bool = False
    #: Venue time minus ours, as it was found before the start.
    clock_offset_ms: int = 0
    can_log_on: bool = True
    feed: FeedLimits = FeedLimits()
    trading: OrderSideLimits = OrderSideLimits()
    #: How long a stopping run waits for the outcome of its last orders.
    grace_ms: int = 3_000
    #: Halts that hold from before the start.
    halts: Sequence[Halt] = ()
    #: How small the run is at first.
    first_minutes: FirstMinutes = FirstMinutes()
    #: After so many rows the journal gets a checkpoint.
    checkpoint_rows: int = CHECKPOINT_ROWS


@attrs.frozen
class _TimeOf:
    """The purpose of a GET time."""


class Engine:
    """All state of one run. Only its owner calls `step`, with inputs in the order of their sequence numbers."""

    def __init__(self, setup: EngineSetup) -> None:
        self._setup = setup
        self._ctx = ctx = StepContext(setup.chance)
        ctx.ledger.adopt_limits(setup.rate_limits)
        ctx.clock.initial_ms = setup.clock_offset_ms
        ctx.connects.most = setup.feed.connects_per_5min
        self._calls = RestQueue(ctx)
        self.market = Market(ctx, self._calls, setup.streams, setup.feed)
        self.orders = Orders(setup.epoch_ms, setup.trading.ended_orders)
        traders = {port.id: _trader_of(port, setup) for port in setup.ports}
        self.gate = PreTradeRisk(setup.risk, setup.instruments, self.orders, traders, setup.hedge)
        self.evidence = ExecutionReports(ctx, self.orders, traders, self.gate.latches)
        self.evidence.others.account = setup.past.accounts.get(EXTERNAL) or StrategyPositions()
        self.evidence.holdings.restore(setup.past.executions)
        self.evidence.holdings.step_of = self._step_of
        self.gate.others = self.evidence.others
        left = setup.past.accounts.items()
        self.gate.retired = {name: account for name, account in left if name not in traders and name != EXTERNAL}
        self.trading: OrderSide | None = None
        if setup.orders_on:
            self.trading = OrderSide(
                ctx,
                self._calls,
                self.market,
                self.orders,
                self.evidence,
                self.gate,
                can_log_on=setup.can_log_on,
                limits=setup.trading,
            )
        self.slots = StrategyRuntimes(self._slot(port, traders[port.id]) for port in setup.ports)
        policies = (setup.on_end, setup.on_error)
        self.strategies = Strategies(ctx, self.slots, self.market, self.gate, self.orders, self.evidence, self.trading, *policies)
        self.halting = KillSwitch(ctx, self.slots, self.strategies, self.gate, self.orders, self.evidence, self.trading)
        owned = {port.id: traders[port.id].account for port in setup.ports}
        self.ending = Shutdown(ctx, self.slots, self.strategies, self.gate, self.orders, self.trading, owned, setup.grace_ms)
        traded = {symbol for port in setup.ports for symbol in port.symbols}
        self.listing = ContractRefresh(ctx, self._calls, self.gate, self.strategies, traded)
        self._owed_fills = OwedFills(ctx, self.orders)
        self._guard = StartGuard(ctx, self.gate, setup.first_minutes)
        self._records = 0
        self._banned_ms = 0
        self._risk_rows = RiskRows(ctx, self.gate, setup.past.latched, setup.past.losses)
        self._said_too_near = False
        self.finished = False
        self._traders = traders

    def _slot(self, port: StrategyPort, trader: StrategyAccount) -> StrategyRuntime:
        randomness = self._setup.random_of(port.id) if self._setup.random_of else None
        return StrategyRuntime(port, trader, StrategyWorld(trader, port.symbols, self.market, self.orders, self.gate, randomness))

    def _step_of(self, symbol: str) -> Decimal:
        instrument = self.gate.instruments.get(symbol)
        return ZERO if instrument is None else instrument.step

    @property
    def ledger_peaks(self) -> tuple[int, int]:
        """Highest weight of a minute, and most orders of ten seconds, as counted against the limits."""
        return self._ctx.ledger.weight.peak, self._ctx.ledger.orders_10s.peak

    @property
    def limits_used(self) -> tuple[int, int, int, int]:
        """Weight used this minute and its limit, orders of the last ten seconds and their limit."""
        ledger, now_ms = self._ctx.ledger, self._ctx.venue_ms
        return ledger.weight.used(now_ms), ledger.weight.limit, ledger.orders_10s.used(now_ms), ledger.orders_10s.limit

    @property
    def banned_until_ms(self) -> int:
        """Until when the venue does not want to hear from us, in its time; 0 when it does."""
        return self._ctx.ledger.banned_until_ms

    @property
    def reconnects(self) -> int:
        return self.market.feed.reconnects + (self.trading.reconnects if self.trading else 0)

    @property
    def connects(self) -> ConnectBudget:
        return self._ctx.connects

    @property
    def connects_shut(self) -> dict[LinkKind, int]:
        """The kinds of links that were opened too often lately, and how long none is opened (milliseconds)."""
        return self._ctx.connects.shut(self._ctx.now_ns)

    @property
    def clock_offset_ms(self) -> int:
        return self._ctx.clock.offset_ms

    # -- steps --------------------------------------------------------------------------------------------------------

    def start(self, at_ns: int) -> list[Effect]:
        """Begins the run: links are opened, strategies are told."""
        return calculated(self._start, at_ns)

    def step(self, stamped: Stamped) -> list[Effect]:
        """Takes in one input and returns what has to be done because of it."""
        return calculated(self._step, stamped)

    def _start(self, at_ns: int) -> list[Effect]:
        self._ctx.now_ns = at_ns
        self._take_over(self._setup.past)
        self.market.start()
        for after_ms in _CLOCK_QUICK:
            self._ctx.wake(f"clock:quick:{after_ms}", after_ms)
        self._ctx.wake("clock:ask", _CLOCK_PERIOD_MS)
        if self.trading is not None:
            self.trading.start()
        self.halting.start(self._setup.halts)
        self._guard.start()
        self.strategies.start()
        return self._settled()

    def _step(self, stamped: Stamped) -> list[Effect]:
        self._ctx.now_ns = stamped.at_ns
        match stamped.event:
            case FramesReceived(link, frames):
                self._frames(link, frames)
            case FramesDropped(link, count):
                if self.market.feed.owns(link):
                    self.market.dropped(link, count)
            case LinkOpened(link):
                self._opened(link)
            case LinkLost() as lost:
                self._lost(lost)
            case RequestWritten(_, request_id, timestamp_ms):
                if self.trading is not None:
                    self.trading.written(request_id, timestamp_ms)
            case RequestNotWritten(_, request_id, reason):
                if self.trading is not None:
                    self.trading.not_written(request_id, reason)
            case RestAnswered() as answered:
                self._answered(answered)
            case ResolveAsked() as asked:
                self._resolve(asked)
            case JournalChanged(fault, lost):
                self._journal_changed(fault, lost)
            case TimeReached(key):
                self._woken(key)
            case StopAsked(reason):
                self._stop(reason)
            case Suspended(gap_ms):
                self._suspended(gap_ms)
            case HaltAsked() | ResumeAsked() | BrakeOrdered() | BrakeAnswered() | BrakeUsed() as event:
                self.halting.take(event)
            case unknown:
                assert_never(unknown)
        return self._settled()

    def _settled(self) -> list[Effect]:
        self.strategies.settle(stopping=self.ending.asked is not None)
        halted = self.strategies.halt_asked
        if halted is not None and self.ending.asked is None:
            self._stop(f"halt: {halted}")
        self._ask_for_time_if_doubtful()
        self.listing.settle()
        self._remember_ban()
        self._record_orders()
        return self._ctx.take_effects()

    def _remember_ban(self) -> None:
        until_ms = self._ctx.ledger.banned_until_ms
        if until_ms > self._banned_ms:
            self._banned_ms = until_ms
            self._ctx.emit(StayAway(until_ms - self._ctx.clock.offset_ms))
            left_s = (until_ms - self._ctx.venue_ms) / 1000
            self._ctx.log(Level.ERROR, f"the venue asks us to stay away for {left_s:.0f} s: nothing is sent until then")

    # -- the journal --------------------------------------------------------------------------------------------------

    def _take_over(self, past: RestoredState) -> None:
        """Orders, fills and positions of an earlier run: what was in flight when it ended is unknown now, and will be asked for."""
        about = {**self._setup.about, "account": past.account, "epoch_ms": self._setup.epoch_ms}
        self._ctx.record(RowKind.RUN, past.account, about)
        keep, parts = self._setup.keep_orders, (self.orders, self.gate, self.strategies, self.trading)
        inherit(past, self._ctx, *parts, keep=keep)
        if past.orders or past.accounts or past.latched:
            self._records = self._setup.checkpoint_rows  # one is due at the end of this step

    def _resolve(self, asked: ResolveAsked) -> None:
        """A person settles the fate of an order; what cannot be settled is said in one sentence."""
        order = self.orders.get(asked.client_order_id)
        if order is None or self.trading is None:
            self._ctx.emit(NoteAnswered(asked.note, False, f"this run knows no order {asked.client_order_id}"))
            return
        try:
            verdict = self.trading.desk.resolve(order, ManualResolution(asked.outcome))
        except ValueError as error:
            self._ctx.emit(NoteAnswered(asked.note, False, str(error)))
            return
        self._ctx.emit(NoteAnswered(asked.note, verdict.accepted, verdict.text))

    def _journal_changed(self, fault: str, lost: int) -> None:
        """Without a journal nothing that adds risk may leave; cancels do. What it has lost, a checkpoint makes good."""
        self.gate.journal_fault = fault
        if fault:
            self._ctx.log(Level.ERROR, f"the journal cannot be written: {fault}: no new risk, cancels go out")
        else:
            self._ctx.log(Level.WARNING, "the journal can be written again")
        if lost:
            self._ctx.log(Level.ERROR, f"{lost} rows of the journal found no room meanwhile: the whole state is written down now")
            self._records = self._setup.checkpoint_rows  # one is due at the end of this step

    def _record_orders(self) -> None:
        """A row for every order that has changed in this step, and a checkpoint when one is due."""
        touched, self.orders.touched = self.orders.touched, {}
        for name, order in touched.items():
            self._ctx.record(RowKind.ORDER, name, order_body(order))
        self._risk_rows.record()
        self._records += sum(isinstance(effect, Record) for effect in self._ctx.effects)
        if self._records >= self._setup.checkpoint_rows:
            self._record_checkpoint()

    def _record_checkpoint(self) -> None:
        self._records, past, epoch_ms = 0, self._setup.past, self._setup.epoch_ms
        latched, losses = latched_of(self.gate), self._risk_rows.counted
        prices = self.trading.assets.recorded if self.trading is not None else past.prices
        payments = self.trading.account.payments.latest if self.trading is not None else past.payments
        held, marks, runs = self.evidence.holdings, self.orders.marks, past.runs + 1
        state = (self.orders, self.accounts, held.executions, marks, latched, prices, losses, payments)
        body = checkpoint_body(*state, epoch_ms, past.since_ms or epoch_ms, runs)
        self._ctx.record(RowKind.CHECKPOINT, past.account, body)

    @property
    def accounts(self) -> dict[str, StrategyPositions]:
        """The sub-accounts by strategy (also of earlier ones that are not part of the bot any more), and what is external."""
        return {**self.gate.retired, **self.evidence.holdings.accounts}

    # -- inputs -------------------------------------------------------------------------------------------------------

    def _frames(self, link: str, frames: tuple[bytes, ...]) -> None:
        if self.market.feed.owns(link):
            self.market.received_frames(link, frames)
        elif self.trading is not None and self.trading.owns(link):
            self.trading.frames(link, frames)

    def _opened(self, link: str) -> None:
        if self.market.feed.owns(link):
            self.market.opened(link)
            self.strategies.link_changed(LinkChanged(link, self._ctx.now_ns, LinkState.UP))
        elif self.trading is not None and self.trading.owns(link):
            self.trading.opened(link)

    def _lost(self, lost: LinkLost) -> None:
        not_before_ms = lost.banned_until_ms or 0
        if not_before_ms:
            self._ctx.ledger.ban(not_before_ms)
        if self.market.feed.owns(lost.link):
            self.market.lost(lost.link, lost.reason, not_before_ms)
            self.strategies.link_changed(LinkChanged(lost.link, self._ctx.now_ns, LinkState.DOWN, lost.reason))
        elif self.trading is not None and self.trading.owns(lost.link):
            self.trading.lost(lost.link, lost.reason, not_before_ms)

    def _answered(self, answered: RestAnswered) -> None:
        returned = self._calls.answered(answered)
        if returned is None or self.market.returned(returned) or self.listing.returned(returned):
            return
        if isinstance(returned.purpose, _TimeOf):
            self._take_time(returned)
        elif self.trading is not None:
            self.trading.returned(returned)

    def _woken(self, key: str) -> None:
        match key.split(":", 1)[0]:
            case "feed" | "book":
                self.market.woken(key)
            case "rest":
                self._calls.woken()
            case "clock":
                self._ask_for_time()
                if key == "clock:ask":
                    self._ctx.wake(key, _CLOCK_PERIOD_MS)
            case "guard":
                self._guard.woken()
            case "listing":
                self.listing.woken()
            case "stop":
                self.ending.look()
                self._finish_if_over()
            case "wake" | "settle":
                self.strategies.woken(key)
            case _:
                if self.trading is not None:
                    self.trading.woken(key)
                    self._owed_fills.look()
                    self.strategies.part()
                    self.strategies.heed_account()
                    self.strategies.check_losses()

    def _suspended(self, gap_ms: int) -> None:
        """Books begin anew, orders and positions are compared, and the venue's time is asked for (faults.md C4)."""
        self._ctx.log(Level.WARNING, f"nothing ran for {gap_ms / 1000:.1f} s: everything is looked at again")
        self._ctx.clock_suspect = True
        self.market.suspended()
        if self.trading is not None:
            self.trading.suspended()

    # -- the venue's clock --------------------------------------------------------------------------------------------

    def _take_time(self, returned: Returned) -> None:
        sample = clock_sample(returned, self._ctx.now_ns)
        if sample is None:
            return
        before = self._ctx.clock.offset_ms
        self._ctx.clock.sampled(sample)
        after = self._ctx.clock.offset_ms
        if after != before:
            self._ctx.emit(ShiftClock(after))
        if abs(after - before) >= 1_000:
            moved = f"the venue's clock is now {after / 1000:+.1f} s from ours; it was {before / 1000:+.1f} s"
            self._ctx.log(Level.WARNING, f"{moved}: requests carry its time; set your clock")
        self._look_at_distance()

    def _look_at_distance(self) -> None:
        """Says once which keys are too small for the way to the venue."""
        trip_ms, limits = self._ctx.clock.round_trip_ms, self._setup.trading
        if self.trading is None or trip_ms is None or self._said_too_near:
            return
        for line in too_near(trip_ms, limits.recv_window_ms, limits.session.answer_ms):
            self._said_too_near = True
            self._ctx.log(Level.ERROR, line)

    def _ask_for_time_if_doubtful(self) -> None:
        if self._ctx.clock_suspect:
            self._ctx.clock_suspect = False
            self._ctx.clock.forget()
            self._ask_for_time()

    def _ask_for_time(self) -> None:
        if not self._calls.busy(_TimeOf()):
            self._calls.call("GET", "/fapi/v1/time", {}, _TimeOf())

    # -- the end ------------------------------------------------------------------------------------------------------

    def _stop(self, reason: str) -> None:
        self.ending.ask(reason)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        reason = self.ending.over
        if reason is None or self.finished:
            return
        self.finished = True
        if self.trading is not None:
            self.trading.stop()
        self._record_orders()
        self._ctx.record(RowKind.END, "", {"reason": reason, **self.ending.report().body()})
        self._ctx.emit(Finish(reason))

    # -- figures ------------------------------------------------------------------------------------------------------

    def marks(self) -> Mapping[str, Decimal]:
        """The latest mark prices."""
        return self.gate.marks


def _trader_of(port: StrategyPort, setup: EngineSetup) -> StrategyAccount:
    """A strategy's sub-account goes on where an earlier run has left it."""
    account = setup.past.accounts.get(port.id) or StrategyPositions()
    return StrategyAccount(port.id, frozenset(port.symbols), setup.budgets.get(port.id, Budget()), account)
