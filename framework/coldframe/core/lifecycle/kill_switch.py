"""Halting inside the engine: which halts hold, what they do to strategies and their state, and what the kill switch did meanwhile.

The kill switch lives beside the engine, on a thread of its own, and works also while a plugin holds the engine up. It cancels at
the venue by itself; here the same halt is taken in as an input, so that the engine sends nothing more that it forbids and, at level
`flatten`, brings positions to zero through its own order executor. Only where the engine did not answer in time has the kill switch
done that: its orders are told as `EmergencyOrderSent` before the halt is, so that nothing is reduced twice.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import assert_never

import attrs

from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.execution.execution_reports import ExecutionReports, describe
from coldframe.core.execution.rejects import note_nothing_there
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order, Origin
from coldframe.core.strategies.dispatch import Strategies
from coldframe.core.strategies.runtime import StrategyRuntime, StrategyRuntimes
from coldframe.enums import OrderType, PositionSide, TimeInForce
from coldframe.errors import DecodeError
from coldframe.model.effects import CommandAnswered, HaltTaken, Level
from coldframe.model.halting import Halt, gravest, whom
from coldframe.model.inputs import EmergencyOrderAnswered, EmergencyOrderSent, HaltAsked, ResolveAsked, ResumeAsked, WeightSpent
from coldframe.model.intents import Verdict, VerdictCode
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderEvent
from coldframe.wire.codec import Census, decode
from coldframe.wire.codes import CodeClass
from coldframe.wire.replies import OrderReply
from coldframe.wire.rest import Answer, outcome_class

#: What a person asks for, and what the kill switch has done.
HaltingInput = HaltAsked | ResumeAsked | ResolveAsked | EmergencyOrderSent | EmergencyOrderAnswered | WeightSpent

#: Classes of errors that leave open whether an order exists.
_OPEN = (CodeClass.UNKNOWN, CodeClass.GONE)


class KillSwitch:
    """The halts of one run. `trading` is None in a run without orders."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        runtimes: StrategyRuntimes,
        strategies: Strategies,
        reports: ExecutionReports,
        trading: OrderSide | None,
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._runtimes = runtimes
        self._strategies = strategies
        self._orders = state.orders
        self._reports = reports
        self._trading = trading
        self._census = Census()
        self._halts: dict[str | None, Halt] = {}
        #: What was said of the halt that holds.
        self._said: dict[str | None, str] = {}

    @property
    def halts(self) -> tuple[Halt, ...]:
        """The halts that hold."""
        return tuple(self._halts.values())

    def start(self, halts: Iterable[Halt]) -> None:
        """A run that begins halted, because it has not been resumed since."""
        for halt in halts:
            self._halts[halt.strategy] = halt
            self._ctx.log(Level.ERROR, f"starts halted: {halt}; `coldframe resume` ends it")
        self._apply()

    def step(self, event: HaltingInput) -> None:
        """Takes in one command of a person, or one thing that the kill switch has done."""
        match event:
            case HaltAsked(level, strategy, reason, number, asked):
                halt = self._halts[strategy] = Halt(level, strategy, reason, self._ctx.now_ms)
                self._log_halt(attrs.evolve(halt, level=asked or level))
                self._ctx.record(RowKind.HALT, strategy or "", {"level": level.value, "reason": reason})
                self._apply()
                self._ctx.emit(HaltTaken(number))
            case ResumeAsked(strategy, number):
                self._halts.pop(strategy, None)
                self._said.pop(strategy, None)
                self._open(strategy)
                self._ctx.log(Level.WARNING, f"resumed: {whom(strategy)}")
                self._ctx.record(RowKind.HALT, strategy or "", {"level": "none", "reason": ""})
                self._apply()
                self._ctx.emit(HaltTaken(number))
            case EmergencyOrderSent():
                self._ordered(event)
            case EmergencyOrderAnswered(client_order_id, answer, reason):
                order = self._orders.get(client_order_id)
                if order is not None:
                    self._answered(order, answer, reason)
            case WeightSpent():
                self._used(event)
            case ResolveAsked():
                self._resolve(event)
            case unknown:
                assert_never(unknown)

    def _log_halt(self, halt: Halt) -> None:
        """A flatten comes in two steps: what was asked for is said once."""
        text = f"halted: {halt}"
        if self._said.get(halt.strategy) != text:
            self._ctx.log(Level.ERROR, text)
        self._said[halt.strategy] = text

    def _open(self, strategy: str | None) -> None:
        """What losses, rejects or a position had shut takes new risk again."""
        suspensions = self._state.trading.lasting
        self._state.resumed(self._ctx.venue_ms, strategy)
        for line in suspensions.lines():
            if line not in suspensions.without(strategy).lines():
                self._ctx.log(Level.WARNING, f"opened again: {line}")

    # -- halts --------------------------------------------------------------------------------------------------------

    def _apply(self) -> None:
        """Brings every strategy to the halt that holds for it now."""
        for runtime in self._runtimes.all:
            before, now = runtime.halted, gravest(self._halts.values(), runtime.id)
            runtime.halt(now)
            if now is None:
                self._state.trading.released(runtime.id)
            else:
                why = f": {now.reason}" if now.reason else ""
                verdict = Verdict(VerdictCode.HALTED, f"halted ({now.level}, {now.whom}){why}")
                self._state.trading.halted(runtime.id, verdict, self._ctx.now_ms)
            self._move(runtime, before.level.rank if before else 0, now.level.rank if now else 0)

    def _move(self, runtime: StrategyRuntime, before: int, now: int) -> None:
        if now > before:
            self._strategies.halt(runtime)
        elif now < before:
            self._strategies.resume(runtime)

    # -- what the kill switch did -------------------------------------------------------------------------------------------

    def _used(self, event: WeightSpent) -> None:
        rate_limits, now_ms = self._ctx.rate_limits, self._ctx.venue_ms
        rate_limits.weight.spend(event.weight, now_ms)
        if event.counted is not None:
            rate_limits.adopt_weight(event.counted, now_ms)
        if event.banned_until_ms is not None:
            rate_limits.ban(event.banned_until_ms)

    def _ordered(self, event: EmergencyOrderSent) -> None:
        order = emergency_order(event, self._ctx.now_ns)
        self._orders.add_emergency(order, self._ctx.now_ns)
        self._state.tally.order_sent()
        self._ctx.rate_limits.reserve(0, 1, 1, self._ctx.venue_ms, Priority.NEEDED)
        self._reports.apply(order, OrderEvent.WRITTEN)
        self._ctx.log(Level.ERROR, f"the kill switch has ordered: {describe(order)}")

    def _answered(self, order: Order, answer: Answer | None, reason: str) -> None:
        reply = self._read(answer)
        if reply is not None:
            self._reports.reply(order, reply)
        elif answer is None or answer.status == 200 or outcome_class(answer.status, answer.fault) in _OPEN:
            self._reports.apply(order, OrderEvent.OUTCOME_UNKNOWN, reason or "the kill switch's order was not answered")
        else:
            fault = answer.fault
            text = f"{fault.code}: {fault.msg}" if fault else f"status {answer.status}"
            self._reports.apply(order, OrderEvent.REJECTED_BY_VENUE, text)
            self._ctx.log(Level.ERROR, f"rejected: {describe(order)}: {text}")
            if fault is not None:
                note_nothing_there(self._ctx, order, fault)
        if self._trading is not None:
            self._trading.executor.reported(order)

    def _resolve(self, asked: ResolveAsked) -> None:
        """A person settles the fate of an order; what cannot be settled is said in one sentence."""
        order = self._orders.get(asked.client_order_id)
        if order is None or self._trading is None:
            self._ctx.emit(CommandAnswered(asked.command, False, f"this run knows no order {asked.client_order_id}"))
            return
        try:
            verdict = self._trading.executor.resolve(order, ManualResolution(asked.outcome))
        except ValueError as error:
            self._ctx.emit(CommandAnswered(asked.command, False, str(error)))
            return
        self._ctx.emit(CommandAnswered(asked.command, verdict.accepted, verdict.text))

    def _read(self, answer: Answer | None) -> OrderReply | None:
        if answer is None or answer.status != 200:
            return None
        try:
            return decode(OrderReply, answer.body, self._census)
        except DecodeError:
            return None


def emergency_order(event: EmergencyOrderSent, now_ns: int) -> Order:
    """The order that the kill switch sends."""
    return Order(
        client_order_id=event.client_order_id,
        strategy=event.strategy,
        symbol=event.symbol,
        side=event.side,
        type=OrderType.MARKET,
        time_in_force=TimeInForce.GTC,
        quantity=event.quantity,
        price=None,
        origin=Origin.TARGET,
        reduce_only=event.position_side is PositionSide.BOTH,
        position_side=event.position_side,
        created_ns=now_ns,
        sent_ms=event.sent_ms,
    )
