"""A machine alone, as `Playbook` plays it: at a moment something comes, and these effects, events and answers go out.

assert Playbook(alone) >> at(0, LinkOpened("api.1")) << wake("session:check", 250) << SendRequest(...)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs

from coldframe.core.connectivity.api_session import Session, SessionLimits
from coldframe.core.connectivity.request_ways import RequestWays
from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.connectivity.user_stream import UserStream, UserStreamLimits
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.execution.order_executor import OrderExecutor
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Order, Orders, Origin
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import OrderStatus
from coldframe.model.effects import AppendJournal, WakeAt
from coldframe.model.engine_events import StrategyTold
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.model.inputs import LinkOpened
from coldframe.model.instruments import Instruments
from coldframe.model.intents import Place, Verdict
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderEvent, OrderState
from coldframe.testing import instrument
from coldframe.units import NS_PER_MS
from tests.core.made import START_MS, START_NS, SYMBOL
from tests.core.told import CALM


@attrs.frozen
class At:
    """What comes at a moment, in milliseconds after the start: an input, or something that the machine is told to do."""

    ms: int
    event: object

    def __str__(self) -> str:
        return f"{self.ms} ms: {self.event}"


def at(ms: int, event: object) -> At:
    return At(ms, event)


def wake(key: str, ms: int) -> WakeAt:
    """The effect that asks for `TimeReached(key)` at this many milliseconds after the start."""
    return WakeAt(key, START_NS + ms * NS_PER_MS)


def context() -> StepContext:
    """A step context that begins at the start, with a chance that is always in the middle."""
    return StepContext(lambda: 0.5, now_ns=START_NS)


class Alone:
    """One machine and its context. What `step` returns comes after the events and effects of the same step.

    `aside` is the key of a time that another machine in the same context asks for: the trace leaves it out.
    """

    def __init__(self, ctx: StepContext, step: Callable[[Any], object], aside: str = "") -> None:
        self._ctx = ctx
        self._step = step
        self._aside = aside

    def step(self, given: At) -> list[object]:
        self._ctx.begin_step(START_NS + given.ms * NS_PER_MS)
        returned = given.event() if callable(given.event) else self._step(given.event)
        answers = returned if isinstance(returned, Sequence) else [] if returned is None else [returned]
        came = [*self._ctx.take_events(), *self._ctx.take_effects(), *answers]
        return [effect for effect in came if not (isinstance(effect, WakeAt) and effect.key == self._aside)]


class Like:
    """Stands for a thing of this kind in which what is named is as said; all else of it does not matter to the trace."""

    def __init__(self, kind: type, /, **said: object) -> None:
        self._kind = kind
        self._said = said

    def __eq__(self, other: object) -> bool:
        return isinstance(other, self._kind) and all(getattr(other, name) == value for name, value in self._said.items())

    def __hash__(self) -> int:
        return hash(self._kind)

    def __str__(self) -> str:
        return f"{self._kind.__name__} with {self._said}"


def row(kind: RowKind, ref: str = "") -> Like:
    """A row for the journal, about this if it is named."""
    return Like(AppendJournal, kind=kind, **({"ref": ref} if ref else {}))


def changed(state: OrderState, **said: object) -> Like:
    """A strategy is told that its order is in this state now."""
    return Like(StrategyTold, event=Like(OrderChanged, state=state, **said))


def filled(quantity: str, **said: object) -> Like:
    """A strategy is told of a fill."""
    return Like(StrategyTold, event=Like(OrderFilled, quantity=Decimal(quantity), **said))


class OrderWorld:
    """One strategy, an order link that is logged on, and what stands between a desired state and the exchange's word about it."""

    def __init__(self, **limits: Any) -> None:
        self.ctx = context()
        self.account = StrategyAccount("mm", frozenset({SYMBOL}), Budget())
        self.orders = Orders(START_MS)
        listed = Instruments([instrument(SYMBOL)])
        self.state = EngineState(self.ctx, self.orders, {"mm": self.account}, instruments=listed, limits=RiskLimits(**limits))
        self.state.prices.mark_price_told(SYMBOL, Decimal(100))
        self.calls = RestQueue(self.ctx)
        self.session = Session(self.ctx, False, SessionLimits())
        self.ways = RequestWays(self.ctx, self.session, self.calls)
        self.user_stream = UserStream(self.ctx, self.ways, UserStreamLimits())
        self.reports = ExecutionReports(self.state, self.ctx)
        self.executor = OrderExecutor(
            self.state, self.ctx, self.session, self.ways, self.user_stream, self.calls, self.reports, recv_window_ms=5_000
        )
        self.session.start()
        self.session.step(LinkOpened("api.1"))
        self.ctx.take_effects()

    def place(self, wanted: Place) -> Callable[[], None]:
        """Something to do in a trace: the executor sends an order."""
        return lambda: accepted(self.executor.place(self.account, wanted, Origin.PLACE, CALM))

    def stand(self, wanted: Place, order_id: int = 77) -> Order:
        """An order that rests at the exchange."""
        order = self.orders.prepare("mm", wanted, Origin.PLACE, START_NS)
        order.submitted(START_MS)
        self.orders.apply(order, OrderEvent.WRITTEN, START_NS)
        self.orders.see(order, OrderStatus.NEW, Decimal(0), START_NS)
        self.orders.identify(order, order_id)
        return order


def accepted(verdict: Verdict) -> None:
    assert verdict.accepted, verdict
