"""Telling the strategies what has happened, judging what they want, and keeping true what they want to be true.

Everything here happens within one step of the engine, until nothing is left to tell or to do. Verdicts are given at once; desired
states (`Quotes`, `Target`) are compared with the world after every change that concerns them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import assert_never

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.market import Market
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.risk.pre_trade import RiskInputs
from coldframe.core.risk.reducing import account_position
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.journal_codec import intent_body
from coldframe.core.state.orders import Order, Origin
from coldframe.core.state.protection import OrderPolicy, can_only_reduce, quantity_of, reduces_position, replaced
from coldframe.core.strategies.about_itself import about_itself
from coldframe.core.strategies.desired_state import DesiredState
from coldframe.core.strategies.desired_store import DesiredKey, came_to_nothing, has_succeeded
from coldframe.core.strategies.intent_validation import fault_of
from coldframe.core.strategies.listening import MarketNews
from coldframe.core.strategies.loss_check import limits_just_hit
from coldframe.core.strategies.moment import risk_inputs
from coldframe.core.strategies.runtime import INTENTS_PER_CALL, OnError, StrategyRuntime, StrategyRuntimes, is_intent
from coldframe.errors import StrategyFault
from coldframe.model.effects import Level, Told
from coldframe.model.engine_events import (
    AccountSettingDiffers,
    AttemptEnded,
    BookLost,
    BookUpdate,
    EndWanted,
    RulesDoubted,
    StrategyTold,
    StreamMessage,
)
from coldframe.model.events import (
    BookChanged,
    LinkChanged,
    OrderChanged,
    OrderFilled,
    PositionChanged,
    Started,
    Stopped,
    StrategyEvent,
    Woken,
)
from coldframe.model.inputs import TimeReached
from coldframe.model.intents import (
    ACCEPTED,
    NO_CHANGE,
    Amend,
    Cancel,
    CancelAll,
    Place,
    Quotes,
    SaveState,
    Target,
    Verdict,
    VerdictCode,
    WakeMe,
)
from coldframe.model.journal import RowKind
from coldframe.text import class_name
from coldframe.units import NS_PER_MS, ZERO
from coldframe.wire.filters import check_order
from coldframe.wire.names import StreamName
from coldframe.wire.streams import ContractInfo, MarketMessage

#: What concerns strategies: what has happened in this step, wherever desired states lapse, and their own times.
StrategiesInput = BookUpdate | StreamMessage | StrategyTold | LinkChanged | AttemptEnded | AccountSettingDiffers | TimeReached


class Strategies:
    """All strategies of a run, their desired states, and the way from an intent to the order executor."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        runtimes: StrategyRuntimes,
        market: Market,
        trading: OrderSide | None,
        on_end: OrderPolicy = OrderPolicy.KEEP_PROTECTIVE,
        on_error: OrderPolicy = OrderPolicy.KEEP_PROTECTIVE,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._runtimes = runtimes
        self._on_end = on_end
        self._on_error = on_error
        self._market = market
        self._orders = state.orders
        self._trading = trading
        self._desired = DesiredState(state, ctx, runtimes, trading, self._risk_inputs)
        self._store = self._desired.store
        #: What has to be compared again: not empty while something has.
        self.due: Mapping[DesiredKey, None] = self._store.due
        self._news = MarketNews(state, ctx, runtimes, market, self._call)
        self._stopping = False
        #: Orders of an earlier run that stay, by client order id, until their strategy has seen to their position itself.
        self.guarding: dict[str, Order] = {}
        self._complete_once = False
        #: Events that hooks were called with.
        self.dispatched = 0
        #: Cancels and amendments that have come to their end, and whether the next try waits.
        self._ended: dict[DesiredKey, bool] = {}

    # -- telling ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for runtime in self._runtimes.all:
            self._call(runtime, "on_start", Started(self._ctx.now_ns))

    def stop(self, reason: str) -> None:
        """The last call of every strategy; from here on only cancels are carried out, and orders that protect a position."""
        self._stopping = True
        for runtime in self._runtimes.all:
            self._call(runtime, "on_stop", Stopped(self._ctx.now_ns, reason))
        for runtime in self._runtimes.all:
            runtime.part(self._on_end)
            self._let_go(runtime)
        if self._on_end is not OrderPolicy.KEEP_PROTECTIVE:
            self._cancel(self.guarding.values())
            self.guarding.clear()

    def guard(self, order: Order) -> None:
        """An order of an earlier run stays until its strategy has seen to its position."""
        self.guarding[order.client_order_id] = order

    def part(self) -> None:
        """Sees to the orders of strategies that are muted or ending, and to those of an earlier run that stay for a while.

        Call it a few times a second: a position that was protected may be gone by now, an order may have come too late.
        """
        for runtime in self._runtimes.all:
            if runtime.parting is not None:
                self._part(runtime)
        for name, order in list(self.guarding.items()):
            if not order.live:
                del self.guarding[name]
            elif not self._guards(order):
                del self.guarding[name]
                self._cancel([order])

    def _let_go(self, runtime: StrategyRuntime) -> None:
        """What a strategy wanted lapses, and its orders go as its policy says."""
        self._store.drop(runtime.id)
        self._part(runtime)
        self._keep_flat(runtime)

    def _part(self, runtime: StrategyRuntime) -> None:
        account = runtime.account.holdings
        if runtime.flattening:
            gone = [order for order in self._orders.of(runtime.id) if order.origin is not Origin.TARGET]
        elif runtime.parting is OrderPolicy.KEEP_PROTECTIVE:
            gone = [order for order in self._orders.of(runtime.id) if not reduces_position(order, account)]
        else:
            gone = list(self._orders.of(runtime.id))
        self._cancel(gone)

    def _guards(self, order: Order) -> bool:
        """Whether an order of an earlier run is still what protects a position that is open."""
        runtime = self._runtimes.find(order.strategy)
        if runtime is None:  # the account's position is external then, and known when it has been compared
            known = self._trading is None or self._trading.reports_complete
            return not known or can_only_reduce(order, account_position(self._state, (order.symbol, order.position_side)))
        quantity = quantity_of(runtime.account.holdings, order.symbol, order.position_side)
        own = [placed for placed in self._orders.of(order.strategy, order.symbol) if placed.client_order_id not in self.guarding]
        return can_only_reduce(order, quantity) and not replaced(order, own, quantity)

    def step(self, event: StrategiesInput) -> None:
        """Takes in what has happened, or that a time has come (`wake:…`, `settle:…`, `wants:…`)."""
        match event:
            case BookUpdate():
                self._book_updated(event)
            case StreamMessage(message=message):
                if isinstance(message, ContractInfo):
                    self._contract_changed(message)
                self._news.tell_message(event)
            case StrategyTold():
                self._tell_change(event)
            case LinkChanged():
                for runtime in self._runtimes.of_market("on_link"):
                    self._call(runtime, "on_link", event)
            case AttemptEnded():
                self._attempt_ended(event)
            case AccountSettingDiffers(symbol):
                self._forget(symbol or None)
            case TimeReached(key):
                self._woken(key)
            case unknown:
                assert_never(unknown)

    def _woken(self, key: str) -> None:
        kind, strategy, name = key.split(":", 2)
        runtime = self._runtimes.get(strategy)
        if kind == "settle":
            self._store.touch(strategy, name)
        elif kind == "wake":
            runtime.wakes.discard(name)
            self._call(runtime, "on_wake", Woken(name, self._ctx.now_ns))
        elif runtime.throttles is not None:
            for hook, waited in runtime.throttles.release(name, self._ctx.now_ns):
                self._call(runtime, hook, waited)

    def stopping(self) -> None:
        """The run is ending: only orders that protect an open position are taken."""
        self._stopping = True

    def compare_due(self) -> None:
        """Compares every desired state that something has happened to, and does what follows."""
        if self._ended:
            self._take_ended()
        self._desired.compare_due()

    def _tell_change(self, event: StrategyTold) -> None:
        """An order or a position of a strategy has changed."""
        self._ctx.emit(Told(event.strategy, event.event))
        runtime = self._runtimes.find(event.strategy)
        if runtime is not None:  # else its strategy is not part of the bot any more
            self._tell_order(runtime, event.event)

    def _attempt_ended(self, event: AttemptEnded) -> None:
        """A cancel or an amendment came to its end: nothing to tell, but desired states have to be compared again."""
        key = (event.strategy, event.symbol)
        if event.amended:
            self._store.succeeded(key)
        self._ended[key] = self._ended.get(key, False) or event.waits

    def _take_ended(self) -> None:
        ended, self._ended = self._ended, {}
        for key, waits in ended.items():
            if waits:
                self._desired.pause(key, by_venue=True)
            self._store.touch(*key)

    def _book_updated(self, update: BookUpdate) -> None:
        """A local book became synced, moved on, or was lost."""
        if isinstance(update.change, BookLost) and not update.rpi:
            self._forget(update.symbol)
        else:
            self._store.moved(update.symbol)
        runtimes = self._runtimes.of_symbol("on_book", update.symbol)
        local = self._market.book(update.symbol, update.rpi)
        if not runtimes or local is None:
            return
        book, state = local.sync.book, local.sync.state
        event = BookChanged(update.symbol, self._ctx.now_ns, book.event_ms, book.update_id, state, update.rpi)
        for runtime in runtimes:
            if runtime.throttles is None or runtime.throttles.passes("on_book", event, book, self._ctx):
                self._call(runtime, "on_book", event)

    def listeners(self, name: StreamName) -> Callable[[MarketMessage], None] | None:
        """Tells the strategies of messages of a stream at once; None where they have to be published."""
        return self._news.listeners(name)

    def _contract_changed(self, message: ContractInfo) -> None:
        self._state.contract_status(message.symbol, message.status)
        if any(message.symbol in runtime.account.symbols for runtime in self._runtimes.all):
            self._ctx.publish(RulesDoubted())
        self.check_trading(message.symbol)

    def check_trading(self, symbol: str) -> None:
        """A contract that leaves trading takes no more orders, and ours in it are cancelled."""
        known = self._state.instruments.get(symbol)
        if known is not None and not known.trading:
            what = "no new orders there, open ones are cancelled but for those that only reduce a position"
            self._ctx.log(Level.WARNING, f"{symbol} is {known.status}: {what}")
            self._forget(symbol)
            accounts = {runtime.id: runtime.account.holdings for runtime in self._runtimes.all}
            here = list(self._orders.live.within(symbol))
            self._cancel(
                order for order in here if order.strategy not in accounts or not reduces_position(order, accounts[order.strategy])
            )

    def rules_changed(self, symbol: str) -> None:
        """Desired states are looked at again under a contract's new rules; its strategies name what they want instead."""
        filters = self._state.instruments[symbol].filters
        left_out = self._store.fit(symbol, lambda side, quote: not check_order(filters, side, quote.quantity, quote.price, None))
        if left_out:
            self._ctx.log(Level.WARNING, f"{left_out} quotes in {symbol} do not fit its new rules and are left out")

    def _tell_order(self, runtime: StrategyRuntime, event: OrderChanged | OrderFilled | PositionChanged) -> None:
        key = (runtime.id, event.symbol)
        if isinstance(event, OrderFilled):
            if runtime.throttles is not None:
                runtime.throttles.filled(event.symbol)
            self._call(runtime, "on_fill", event)
        elif isinstance(event, PositionChanged):
            self._desired.taken_away(runtime, event)
            self._call(runtime, "on_position", event)
        else:
            if came_to_nothing(event):
                self._desired.pause(key, by_venue=True)
            elif has_succeeded(event):
                self._store.succeeded(key)
            self._call(runtime, "on_order", event)
        self._store.touch(*key)

    def _call(self, runtime: StrategyRuntime, hook: str, event: StrategyEvent) -> None:
        if runtime.muted or hook not in runtime.plugin.hooks:
            return
        self.dispatched += 1
        # Links are asked about when the strategy asks; a halted one may place nothing whatever they are: bool() is False.
        view = runtime.world.open(self._ctx.now_ns // NS_PER_MS, self._links_ready if runtime.halted is None else bool)
        try:
            wanted = runtime.plugin.call(hook, event, view)
        except StrategyFault as fault:
            self._mute(runtime, str(fault))
            return
        finally:
            runtime.world.close(view)
        if wanted:
            self._judge_all(runtime, hook, wanted)

    def _judge_all(self, runtime: StrategyRuntime, hook: str, wanted: Sequence[object]) -> None:
        """Judges what a call of a hook has returned."""
        surplus = len(wanted) - INTENTS_PER_CALL
        for intent in wanted[:INTENTS_PER_CALL]:
            self._judge(runtime, intent)
        if surplus > 0:
            verdict = Verdict(VerdictCode.MALFORMED, f"more than {INTENTS_PER_CALL} intents at once")
            runtime.judged(verdict, surplus)
            self._state.refused.count(runtime.account, wanted[INTENTS_PER_CALL], verdict, self._ctx.now_ms, surplus)
            self._refused(runtime, hook, verdict.code, verdict.text)

    def _links_ready(self) -> bool:
        trading = self._trading
        return trading is not None and not self._stopping and trading.session.ready and trading.reports_complete

    def _mute(self, runtime: StrategyRuntime, reason: str) -> None:
        """The strategy has raised: it is not called again, what it wanted lapses, its policy applies."""
        runtime.mute(reason)
        self._ctx.log(Level.ERROR, f"strategy {runtime.id} muted: {reason}")
        runtime.part(OrderPolicy.FLATTEN if runtime.plugin.on_error is OnError.FLATTEN else self._on_error)
        self._let_go(runtime)
        if runtime.plugin.on_error is OnError.HALT:
            self._ctx.publish(EndWanted(f"strategy {runtime.id}: {reason}"))

    def halt(self, runtime: StrategyRuntime) -> None:
        """A strategy has been halted: what it wants lapses, and as the level says its orders and positions go."""
        self._store.forget(strategy=runtime.id)
        if runtime.halted is not None and runtime.halted.level.cancels:
            self._cancel(list(self._orders.of(runtime.id)))
        self._keep_flat(runtime)

    def resume(self, runtime: StrategyRuntime) -> None:
        """A halt has ended, or has become a lesser one: what it wanted lapses."""
        if not runtime.muted:
            self._store.forget(strategy=runtime.id)

    def _keep_flat(self, runtime: StrategyRuntime, symbol: str | None = None) -> None:
        """If a halt or its policy says so, its positions shall be zero, and stay so if an order of its fills after all."""
        for flat in runtime.plugin.symbols if runtime.flattening else ():
            if symbol in (None, flat):
                self._store.want(runtime.id, Target(flat, ZERO, slippage_bps=Decimal(50)))

    def _forget(self, symbol: str | None = None) -> None:
        """Desired states lapse, in one symbol or all: those of strategies, not what their own policy wants of muted ones."""
        self._store.forget(symbol=symbol)
        for runtime in self._runtimes.all:
            self._keep_flat(runtime, symbol)

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, runtime: StrategyRuntime, wanted: object) -> None:
        try:
            verdict = Verdict(VerdictCode.MUTED, "the strategy is muted") if runtime.muted else self._verdict(runtime, wanted)
        except StrategyFault as fault:
            self._mute(runtime, str(fault))
            verdict = Verdict(VerdictCode.MUTED, str(fault))
        runtime.judged(verdict)
        # What changes nothing is said many times a second; what is saved has a row of its own.
        if verdict.code is VerdictCode.ACCEPTED and not isinstance(wanted, SaveState):
            self._ctx.record(RowKind.INTENT, runtime.id, intent_body(runtime.id, wanted, verdict))
        if not verdict.accepted:
            self._state.refused.count(runtime.account, wanted, verdict, self._ctx.now_ms)
            self._refused(runtime, class_name(wanted), verdict.code, verdict.text)
            strained = runtime.strain.met(verdict, self._ctx.now_ms)
            if strained:
                self._ctx.log(Level.WARNING, f"strategy {runtime.id} {strained}")

    def _refused(self, runtime: StrategyRuntime, what: str, code: VerdictCode, text: str) -> None:
        """Says that something was refused: the first of its kind is worth a line, the last one stands in the summary."""
        level = Level.INFO if runtime.refused(code.value, f"{what}: {text}") else Level.DEBUG
        self._ctx.log(level, f"{runtime.id}: {what} refused: {code}: {text}")

    def _verdict(self, runtime: StrategyRuntime, wanted: object) -> Verdict:
        if not is_intent(wanted):
            return Verdict(VerdictCode.MALFORMED, f"{class_name(wanted)} is not an intent")
        fault = fault_of(wanted)
        if fault is not None:
            return Verdict(VerdictCode.MALFORMED, fault)
        if isinstance(wanted, WakeMe | SaveState):
            return about_itself(runtime, wanted, self._state, self._ctx)
        if self._trading is None:
            return Verdict(VerdictCode.ORDERS_OFF, "this run sends no orders (orders.mode)")
        if isinstance(wanted, Cancel):
            return self._cancel_one(runtime, wanted)
        if isinstance(wanted, CancelAll):
            return self._cancel_all(runtime, wanted)
        if self._stopping and not runtime.may_protect(wanted, self._on_end):
            return Verdict(VerdictCode.STOPPING, "the run is ending: only orders that protect an open position are taken")
        halted = self._state.trading.by_kill_switch(runtime.id)
        if runtime.halted is not None and runtime.halted.level.flattens and halted is not None:
            return halted.verdict  # flatten in progress: only the kill switch may trade this strategy
        view = runtime.world.open(self._ctx.now_ms, self._links_ready)
        try:
            against = runtime.plugin.review(wanted, view)
        finally:
            runtime.world.close(view)
        if against is not None:
            return Verdict(VerdictCode.OVERLAY, against)
        return self._send(runtime, wanted, self._trading)

    def _send(self, runtime: StrategyRuntime, intent: Place | Amend | Quotes | Target, trading: OrderSide) -> Verdict:
        match intent:
            case Place():
                facts = attrs.evolve(self._risk_inputs(intent.symbol), urgent=self._stopping)
                verdict = trading.executor.place(runtime.account, intent, Origin.PLACE, facts)
                runtime.ordered(verdict.accepted)
                return verdict
            case Amend():
                order = self._orders.get(intent.client_order_id)
                return trading.executor.amend(runtime.account, intent, self._risk_inputs(order.symbol if order else ""))
            case Quotes():
                return self._desired.want_quotes(runtime, intent)
            case Target():
                return self._desired.want_target(runtime, intent)
            case unknown:
                assert_never(unknown)

    def _cancel_one(self, runtime: StrategyRuntime, intent: Cancel) -> Verdict:
        order = self._orders.get(intent.client_order_id)
        if order is None or order.strategy != runtime.id or self._trading is None:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"no order {intent.client_order_id} of this strategy")
        verdict = self._trading.executor.cancel(order)
        if verdict.accepted:
            self._trading.executor.leave(order)
        return verdict

    def _cancel_all(self, runtime: StrategyRuntime, intent: CancelAll) -> Verdict:
        self._store.forget(runtime.id, intent.symbol)
        self._keep_flat(runtime, intent.symbol)
        orders = list(self._orders.of(runtime.id, intent.symbol))
        self._cancel(orders)
        return ACCEPTED if orders else NO_CHANGE

    def _cancel(self, orders: Iterable[Order]) -> None:
        """These orders shall go, at once or as soon as the order side can see to it."""
        if self._trading is not None:
            for order in list(orders):
                self._trading.executor.leave(order)

    # -- the moment ---------------------------------------------------------------------------------------------------

    def _risk_inputs(self, symbol: str) -> RiskInputs:
        trading = self._trading
        link_up = trading is not None and trading.session.ready
        complete = trading is not None and trading.reports_complete
        return risk_inputs(self._state, self._market, self._ctx.now_ms, symbol, order_link_up=link_up, user_stream_up=complete)

    def check_losses(self) -> None:
        """Suspends each strategy that has lost more than allowed, or all of them with the account: what it wants lapses.

        Not before everything that happened before the run is known: until then no profit is what it seems.
        """
        self._complete_once |= self._trading is not None and self._trading.reports_complete
        if not self._complete_once:
            return
        for runtime in limits_just_hit(self._ctx, self._runtimes, self._state):
            if runtime is None:
                self._forget()
            elif not runtime.muted:
                self._store.forget(strategy=runtime.id)
