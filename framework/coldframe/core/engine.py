"""The engine, all trading logic: one input in, effects out, and all trading state in between.

`Engine.step` is pure and synchronous: it asks no clock, does no I/O, and the same inputs give the same effects. It leads an input
to the market side or the order side, tells the strategies what has happened, judges what they want, and compares their desired
states with the world until nothing is left to do. Live, on paper, in a backtest and in a simulation it is the same object.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, getcontext, setcontext
from typing import Final, assert_never, cast

import attrs

from coldframe.core.connectivity.backoff import Chance
from coldframe.core.connectivity.clock_offset import ClockOffset
from coldframe.core.connectivity.connect_budget import ConnectBudget
from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.venue_clock import PendingTime, VenueClock, Windows
from coldframe.core.execution.countdown_cancel import CountdownCancel
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.execution.owed_fills import OwedFills
from coldframe.core.lifecycle.first_minutes import FirstMinutes, StartGuard
from coldframe.core.lifecycle.inheriting import inherit
from coldframe.core.lifecycle.journal_rows import JournalRows
from coldframe.core.lifecycle.kill_switch import KillSwitch
from coldframe.core.lifecycle.shutdown import Shutdown
from coldframe.core.marketdata.market import Market, PendingSnapshot
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.reconciliation.order_side import OrderSide, OrderSideLimits, OrderSidePurpose
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import CHECKPOINT_ROWS, RestoredState
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Orders
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.core.strategies.contract_refresh import ContractRefresh, PendingInfo
from coldframe.core.strategies.dispatch import Strategies
from coldframe.core.strategies.runtime import PluggedStrategy, StrategyRuntime, StrategyRuntimes
from coldframe.core.strategies.view import StrategyWorld
from coldframe.model.effects import Effect, Finish, Level, LinkKind, StayAway
from coldframe.model.engine_events import (
    AccountSettingDiffers,
    AttemptEnded,
    BookUpdate,
    ClockDoubted,
    EndWanted,
    EngineEvent,
    NothingToReduce,
    OrderCameBack,
    RulesDoubted,
    SettingsDoubted,
    StrategyTold,
    StreamMessage,
    turn,
)
from coldframe.model.events import LinkChanged, LinkState
from coldframe.model.halting import Halt
from coldframe.model.inputs import (
    FramesDropped,
    FramesReceived,
    JournalChanged,
    LinkLost,
    LinkOpened,
    RareInput,
    RequestNotWritten,
    RequestWritten,
    RestAnswered,
    Stamped,
    StopAsked,
    Suspended,
    TimeReached,
)
from coldframe.model.instruments import Instruments
from coldframe.model.journal import RowKind
from coldframe.model.view import Randomness
from coldframe.units import arithmetic, calculated
from coldframe.wire.names import StreamName
from coldframe.wire.reference import RateLimit


@attrs.frozen(kw_only=True)
class EngineSetup:
    """Everything the engine has to know before it begins; made by `coldframe.runtime.build`."""

    streams: Sequence[StreamName]
    instruments: Instruments
    plugins: Sequence[PluggedStrategy]
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


#: What anything is asked for, by REST or by the order link: a closed union, so that every answer goes where its question came from.
Purpose = PendingSnapshot | PendingInfo | PendingTime | OrderSidePurpose
#: A step ends after so many rounds of telling and doing, even if strategies and orders keep answering each other.
_ROUNDS_PER_STEP: Final = 64


class Engine:
    """All state of one run. Only its owner calls `step`, with inputs in the order of their sequence numbers."""

    def __init__(self, setup: EngineSetup) -> None:
        self._setup, self._arithmetic = setup, arithmetic()
        connects = ConnectBudget(most=setup.feed.connects_per_5min)
        self._ctx = ctx = StepContext(setup.chance, ClockOffset(initial_ms=setup.clock_offset_ms), connects=connects)
        ctx.rate_limits.adopt_limits(setup.rate_limits)
        self._calls = RestQueue(ctx)
        self.market = Market(ctx, self._calls, setup.streams, setup.feed, lambda name: self.strategies.listeners(name))
        self.state = state = _state_of(setup, ctx)
        switches = CountdownCancel(ctx, self._calls, setup.trading.dead_man_ms)
        self.reports = ExecutionReports(state, ctx, switches.explains)
        self.trading: OrderSide | None = None
        if setup.orders_on:
            self.trading = OrderSide(
                state,
                ctx,
                self._calls,
                self.market,
                self.reports,
                switches,
                can_log_on=setup.can_log_on,
                limits=setup.trading,
            )
        self.runtimes = StrategyRuntimes(self._runtime(plugin) for plugin in setup.plugins)
        policies = (setup.on_end, setup.on_error)
        self.strategies = Strategies(state, ctx, self.runtimes, self.market, self.trading, *policies)
        self.halting = KillSwitch(state, ctx, self.runtimes, self.strategies, self.reports, self.trading)
        self.ending = Shutdown(state, ctx, self.runtimes, self.strategies, self.trading, setup.grace_ms)
        traded = {symbol for plugin in setup.plugins for symbol in plugin.symbols}
        self.listing = ContractRefresh(state, ctx, self._calls, self.strategies, traded)
        self._owed_fills = OwedFills(state, ctx)
        self._guard = StartGuard(state, ctx, setup.first_minutes)
        self._banned_ms = 0
        self._rows = JournalRows(state, ctx, self.trading, setup.past, setup.epoch_ms, setup.checkpoint_rows)
        windows = Windows(setup.trading.recv_window_ms, setup.trading.session.answer_ms)
        self._clock = VenueClock(ctx, self._calls, windows if setup.orders_on else None)
        #: Why a strategy's error ends the run; empty while none does.
        self._end_wanted = ""
        #: Whether the running step has brought more than market data: only then what the run waits for can have changed.
        self._changed = False
        #: Whether it has brought market data and, so far, nothing that the end of a step has to look at.
        self._quiet = False
        self.finished = False

    def _runtime(self, plugin: PluggedStrategy) -> StrategyRuntime:
        account = self.state.accounts[plugin.id]
        randomness = self._setup.random_of(plugin.id) if self._setup.random_of else None
        return StrategyRuntime(plugin, account, StrategyWorld(self.state, account, plugin.symbols, self.market, randomness))

    @property
    def orders(self) -> Orders:
        return self.state.orders

    @property
    def limit_peaks(self) -> tuple[int, int]:
        """Highest weight of a minute, and most orders of ten seconds, as counted against the limits."""
        return self._ctx.rate_limits.weight.peak, self._ctx.rate_limits.orders_10s.peak

    @property
    def limits_used(self) -> tuple[int, int, int, int]:
        """Weight used this minute and its limit, orders of the last ten seconds and their limit."""
        rate_limits, now_ms = self._ctx.rate_limits, self._ctx.venue_ms
        return (
            rate_limits.weight.used(now_ms),
            rate_limits.weight.limit,
            rate_limits.orders_10s.used(now_ms),
            rate_limits.orders_10s.limit,
        )

    @property
    def banned_until_ms(self) -> int:
        """Until when the venue does not want to hear from us, in its time; 0 when it does."""
        return self._ctx.rate_limits.banned_until_ms

    @property
    def reconnects(self) -> int:
        return self.market.feed.reconnects + (self.trading.reconnects if self.trading else 0)

    @property
    def connects(self) -> ConnectBudget:
        return self._ctx.connects

    @property
    def connect_waits(self) -> dict[LinkKind, int]:
        """The kinds of links that were opened too often lately, and how long none is opened (milliseconds)."""
        return self._ctx.connects.waits(self._ctx.now_ns)

    @property
    def clock_offset_ms(self) -> int:
        return self._ctx.clock.offset_ms

    # -- steps --------------------------------------------------------------------------------------------------------

    def start(self, at_ns: int) -> list[Effect]:
        """Begins the run: links are opened, strategies are told."""
        return calculated(self._start, at_ns)

    def step(self, stamped: Stamped) -> list[Effect]:
        """Takes in one input and returns what has to be done because of it."""
        before = getcontext()
        setcontext(self._arithmetic)  # whatever the caller has set for itself
        try:
            self._ctx.begin_step(stamped.at_ns)
            event = stamped.event
            if isinstance(event, FramesReceived):
                self._received(event.link, event.frames)
            else:
                self._changed, self._quiet = True, False
                self._take_in(event)
            return self._finish_step()
        finally:
            setcontext(before)

    def _start(self, at_ns: int) -> list[Effect]:
        self._ctx.begin_step(at_ns)
        self._restore(self._setup.past)
        self.market.start()
        self._clock.start()
        if self.trading is not None:
            self.trading.start()
        self.halting.start(self._setup.halts)
        self._guard.start()
        self.strategies.start()
        return self._finish_step()

    def _take_in(self, given: RareInput) -> None:
        match given:
            case FramesDropped() | LinkOpened() | LinkLost() as event:
                self._of_link(event)
            case RequestWritten() | RequestNotWritten() as event:
                if self.trading is not None:
                    self.trading.step(event)
            case RestAnswered() as answered:
                self._answered(answered)
            case JournalChanged() as event:
                self._rows.journal_changed(event)
            case TimeReached() as event:
                self._woken(event)
            case StopAsked() as event:
                self._stop(event)
            case Suspended() as event:
                self._suspended(event)
            case command:  # of a person; or what the kill switch has done
                self.halting.step(command)

    def _finish_step(self) -> list[Effect]:
        if not self._quiet or self._ctx.events or self.strategies.due:
            self._hand_on()
        if self.trading is not None:
            self.trading.ask_for_tick()
        if self.ending.asked is not None:
            self.ending.ask_for_check(changed=self._changed)
        if not self._quiet or self._ctx.effects or self._rows.waiting:
            self._clock.ask_if_doubted()
            self.listing.ask_if_doubted()
            self._remember_ban()
            self._rows.record(last=self.finished)
        return self._ctx.take_effects()

    def _hand_on(self) -> None:
        """Hands on what has happened, kind by kind, until nothing is left to tell or to do."""
        if self.ending.asked is not None:
            self.strategies.stopping()
        for _ in range(_ROUNDS_PER_STEP):
            if self._ctx.events:
                events = self._ctx.take_events()
                for event in sorted(events, key=turn) if len(events) > 1 else events:
                    self._follow_up(event)
            self.strategies.compare_due()
            if not self._ctx.events and not self.strategies.due:
                break
        if self._end_wanted and self.ending.asked is None:
            self._stop(StopAsked(f"halt: {self._end_wanted}"))

    def _follow_up(self, event: EngineEvent) -> None:
        """Leaves what follows to whom it concerns."""
        if not isinstance(event, BookUpdate | StreamMessage):
            self._quiet = False
        match event:
            case BookUpdate() | StrategyTold() | LinkChanged() | AttemptEnded() | AccountSettingDiffers():
                self.strategies.step(event)
            case StreamMessage():
                if self.trading is not None:
                    self.trading.assets.step(event)
                self.strategies.step(event)
            case OrderCameBack() | NothingToReduce() | SettingsDoubted():
                if self.trading is not None:
                    self.trading.follow_up(event)
            case ClockDoubted():
                self._clock.step(event)
            case RulesDoubted():
                self.listing.step(event)
            case EndWanted(reason):
                self._end_wanted = reason
            case unknown:
                assert_never(unknown)

    def _remember_ban(self) -> None:
        until_ms = self._ctx.rate_limits.banned_until_ms
        if until_ms > self._banned_ms:
            self._banned_ms = until_ms
            self._ctx.emit(StayAway(until_ms - self._ctx.clock.offset_ms))
            left_s = (until_ms - self._ctx.venue_ms) / 1000
            self._ctx.log(Level.ERROR, f"banned or throttled by the venue (418/429): nothing is sent for {left_s:.0f} s")

    # -- the journal --------------------------------------------------------------------------------------------------

    def _restore(self, past: RestoredState) -> None:
        """Orders, fills and positions of an earlier run: what was in flight when it ended is unknown now, and will be asked for."""
        about = {**self._setup.about, "account": past.account, "epoch_ms": self._setup.epoch_ms}
        self._ctx.record(RowKind.RUN, past.account, about)
        inherit(self.state, past, self._ctx, self.strategies, self.trading, keep=self._setup.keep_orders)
        self._rows.took_over()

    @property
    def accounts(self) -> dict[str, StrategyPositions]:
        """The sub-accounts by strategy (also of earlier ones that are not part of the bot any more), and what is external."""
        return self.state.all_positions

    # -- inputs -------------------------------------------------------------------------------------------------------

    def _received(self, link: str, frames: Sequence[bytes]) -> None:
        """Frames of one link, in order. Each is handed on before the next is read.

        So strategies see the books and orders of that moment, and how a stream was cut into reads changes nothing.
        """
        self._quiet = link in self.market.links
        self._changed = not self._quiet
        if self._quiet:
            self._market_received(link, frames)
            return
        for frame in frames:
            if self.trading is None or not self.trading.owns(link):
                return  # its link has just been closed, for what a frame of it brought
            self.trading.take_frame(link, frame)
            self._hand_on()

    def _market_received(self, link: str, frames: Sequence[bytes]) -> None:
        """The same of a market link. Strategies are told of most frames at once, and then there is nothing to hand on."""
        market, strategies, ctx = self.market, self.strategies, self._ctx
        for frame in frames:
            if link not in market.links:
                return
            market.take_frame(link, frame)
            if strategies.due:
                strategies.compare_due()  # what a hook has wanted is sent before what it has brought about is handed on
            if ctx.events or strategies.due:
                self._hand_on()

    def _of_link(self, event: FramesDropped | LinkOpened | LinkLost) -> None:
        """Leaves what becomes of a link to the side that has it."""
        if isinstance(event, LinkLost) and event.banned_until_ms:
            self._ctx.rate_limits.ban(event.banned_until_ms)
        if self.market.owns(event.link):
            self._changed = isinstance(event, LinkOpened | LinkLost)
            self.market.step(event)
            if isinstance(event, LinkOpened):
                self.strategies.step(LinkChanged(event.link, self._ctx.now_ns, LinkState.UP))
            elif isinstance(event, LinkLost):
                self.strategies.step(LinkChanged(event.link, self._ctx.now_ns, LinkState.DOWN, event.reason))
        elif self.trading is not None and self.trading.owns(event.link) and not isinstance(event, FramesDropped):
            self.trading.step(event)

    def _answered(self, answered: RestAnswered) -> None:
        for returned in self._calls.step(answered):
            match cast("Purpose", returned.purpose):
                case PendingSnapshot():
                    self.market.step(returned)
                case PendingInfo():
                    self.listing.step(returned)
                case PendingTime():
                    self._clock.step(returned)
                case purpose:  # whatever the order side has asked
                    if self.trading is not None:
                        self.trading.answered(purpose, returned)

    def _woken(self, event: TimeReached) -> None:
        match event.key.split(":", 1)[0]:
            case "feed" | "book":
                self.market.step(event)
            case "rest":
                self._calls.step(event)
            case "clock":
                self._clock.step(event)
            case "guard":
                self._guard.step(event)
            case "refused":
                pass  # every step writes down what was refused in a second that is over
            case "listing":
                self.listing.step(event)
            case "stop":
                self._changed = False
                self.ending.step(event)
                self._finish_if_over()
            case "wake" | "settle" | "wants":
                self.strategies.step(event)
            case _:
                if self.trading is not None:
                    self.trading.step(event)
                    self._owed_fills.log_changes()
                    self.strategies.part()
                    self.strategies.check_losses()

    def _suspended(self, event: Suspended) -> None:
        """Books begin anew, orders and positions are compared, and the venue's time is asked for (faults.md C4)."""
        self._ctx.log(Level.WARNING, f"nothing ran for {event.gap_ms / 1000:.1f} s: reconciling everything")
        self._clock.step(ClockDoubted())
        self.market.step(event)
        if self.trading is not None:
            self.trading.step(event)

    # -- the end ------------------------------------------------------------------------------------------------------

    def _stop(self, event: StopAsked) -> None:
        self.ending.step(event)
        self._finish_if_over()

    def _finish_if_over(self) -> None:
        reason = self.ending.over
        if reason is None or self.finished:
            return
        self.finished = True
        if self.trading is not None:
            self.trading.stop()
        self._rows.record(last=True)
        self._ctx.record(RowKind.END, "", {"reason": reason, **self.ending.report().body()})
        self._ctx.emit(Finish(reason))

    # -- figures ------------------------------------------------------------------------------------------------------

    def mark_prices(self) -> Mapping[str, Decimal]:
        """The latest mark prices."""
        return self.state.mark_prices


def _state_of(setup: EngineSetup, ctx: StepContext) -> EngineState:
    """The trading state that a run begins with."""
    return EngineState(
        ctx,
        Orders(setup.epoch_ms, setup.trading.ended_orders),
        {plugin.id: _account_of(plugin, setup) for plugin in setup.plugins},
        instruments=setup.instruments,
        limits=setup.risk,
        hedge=setup.hedge,
        past=setup.past,
        compared=not setup.orders_on,
        fills_limit=setup.trading.external_fills,
    )


def _account_of(plugin: PluggedStrategy, setup: EngineSetup) -> StrategyAccount:
    """A strategy's sub-account goes on where an earlier run has left it."""
    account = setup.past.accounts.get(plugin.id) or StrategyPositions()
    return StrategyAccount(plugin.id, frozenset(plugin.symbols), setup.budgets.get(plugin.id, Budget()), account)
