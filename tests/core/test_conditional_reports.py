"""What is said of one conditional order and of what it becomes, in any order and more than once: it ends the same."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.algo_orders import AlgoOrders
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.limits import Budget
from coldframe.core.state.orders import Orders
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import AlgoStatus, ExecutionType, OrderStatus, OrderType, Side
from coldframe.model.engine_events import StrategyTold
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.model.orders import OrderEvent, OrderState
from coldframe.wire.account import AlgoReport, AlgoUpdate
from tests.core.made import START_MS, START_NS
from tests.core.ordering import state
from tests.core.told import AtAlgo, AtVenue, D, Trade, place, prepared
from tests.examples import examples

S = OrderState
T = OrderType
BUY = Side.BUY


def update(report: AlgoReport, at_ms: int = 0) -> AlgoUpdate:
    return AlgoUpdate(event="ALGO_UPDATE", event_ms=at_ms, transaction_ms=at_ms, order=report)


class Witness:
    """One conditional order, and everything the venue has ever said about it, to be said in any order and more than once."""

    def __init__(self, ends: AlgoStatus, trades: int) -> None:
        self.ctx = StepContext(lambda: 0.5, now_ns=START_NS)
        self.orders = Orders(START_MS)
        self.account = StrategyAccount("mm", frozenset({"BTCUSDT"}), Budget())
        self.state = EngineState(self.ctx, self.orders, {"mm": self.account})
        self.reports = ExecutionReports(self.state, self.ctx)
        self.conditionals = AlgoOrders(self.state, self.ctx, self.reports)
        wanted = attrs.evolve(place(price="106", quantity="3"), type=T.STOP, trigger_price=D(105))
        self.order = prepared(self.orders, wanted)
        self.orders.apply(self.order, OrderEvent.WRITTEN, START_NS)
        self.statements: list[Callable[[], object]] = []
        self.trades = trades
        self._tell(ends)

    @property
    def told(self) -> list[object]:
        """What the strategy was told."""
        return [happened.event for happened in self.ctx.events if isinstance(happened, StrategyTold)]

    def _say(self, algo: AtAlgo) -> None:
        """The report, and the answers and queries of that moment."""
        report, reply = algo.report(), algo.reply()
        self.statements.append(lambda: self.conditionals.step(update(report)))
        self.statements.append(lambda: self.conditionals.reply(self.order, reply))

    def _tell(self, ends: AlgoStatus) -> None:
        order = self.order
        algo = AtAlgo(order.client_order_id, 77, "BTCUSDT", BUY, T.STOP, "3", "106", "105")
        self._say(algo)
        self.statements.append(lambda: self.reports.apply(order, OrderEvent.OUTCOME_UNKNOWN, "no answer"))
        algo.status = AlgoStatus.TRIGGERING
        self._say(algo)
        if ends is AlgoStatus.FINISHED:
            self._tell_ordinary(algo)
        algo.status = ends
        algo.reason = "no margin" if ends is AlgoStatus.REJECTED else ""
        self._say(algo)

    def _tell_ordinary(self, algo: AtAlgo) -> None:
        ordinary = AtVenue.of(self.order, 88)
        self._hear(ordinary, ExecutionType.NEW)
        algo.order_id, algo.status = 88, AlgoStatus.TRIGGERED
        self._say(algo)
        for number in range(self.trades):
            trade = Trade(500 + number, "1", "105")
            ordinary.trade(trade)
            lite = ordinary.lite(trade)
            self.statements.append(lambda lite=lite: self.reports.step(lite))  # type: ignore[misc]
            self._hear(ordinary, ExecutionType.TRADE, trade)
        if self.trades < 3:
            ordinary.end(OrderStatus.CANCELED)
            self._hear(ordinary, ExecutionType.CANCELED)

    def _hear(self, ordinary: AtVenue, execution: ExecutionType, trade: Trade | None = None) -> None:
        report, reply = ordinary.report(execution, trade), ordinary.reply()
        self.statements.append(lambda: self.reports.step(report))
        self.statements.append(lambda: self.reports.reply(self.order, reply))


ENDS = {AlgoStatus.FINISHED: None, AlgoStatus.CANCELED: S.CANCELED, AlgoStatus.EXPIRED: S.EXPIRED, AlgoStatus.REJECTED: S.REJECTED}


@settings(max_examples=examples(400), deadline=None)
@given(st.data())
def test_reports_in_any_order_end_the_same_with_fills_once(data: st.DataObject) -> None:
    ends = data.draw(st.sampled_from(list(ENDS)))
    trades = data.draw(st.integers(0, 3)) if ends is AlgoStatus.FINISHED else 0
    seen = Witness(ends, trades)
    everything = seen.statements + data.draw(st.lists(st.sampled_from(seen.statements), max_size=8))
    for say in data.draw(st.permutations(everything)):
        say()
        assert seen.order.filled <= trades
        assert seen.order.triggered_ms == 0 or ends is AlgoStatus.FINISHED
    order = seen.order
    wanted = ENDS[ends] or (S.FILLED if trades == 3 else S.CANCELED)
    assert state(order) is wanted
    assert (order.filled, seen.account.holdings.net("BTCUSDT")) == (trades, trades)
    assert seen.state.external.account.fills == 0
    assert seen.orders.incidents == 0
    told = [event.state for event in seen.told if isinstance(event, OrderChanged)]
    assert told.count(S.TRIGGERED) == (ends is AlgoStatus.FINISHED)
    after = told[told.index(S.TRIGGERED) :] if S.TRIGGERED in told else []
    assert S.UNTRIGGERED not in after
    assert sum(isinstance(event, OrderFilled) for event in seen.told) == trades


def told_of(*said: tuple[AlgoStatus, int]) -> Witness:
    """An order of which the venue has said these things, each at its time (milliseconds)."""
    seen = Witness(AlgoStatus.CANCELED, 0)
    for status, at_ms in said:
        hears(seen, status, at_ms)
    return seen


def hears(seen: Witness, status: AlgoStatus, at_ms: int) -> None:
    algo = AtAlgo(seen.order.client_order_id, 77, "BTCUSDT", BUY, T.STOP, "3", "106", "105")
    algo.status = status
    seen.conditionals.step(update(algo.report(), at_ms))


@pytest.mark.parametrize("ended", [AlgoStatus.CANCELED, AlgoStatus.EXPIRED])
@pytest.mark.parametrize("before", [AlgoStatus.NEW, AlgoStatus.TRIGGERING])
def test_only_later_word_brings_an_ended_order_back(before: AlgoStatus, ended: AlgoStatus) -> None:
    """The rank that it had reached does not stand in the way of what the venue says later, and of nothing else."""
    seen = told_of((before, START_MS + 10), (ended, START_MS + 20))
    assert state(seen.order) is ENDS[ended]
    for at_ms in (START_MS + 10, START_MS + 20):
        hears(seen, AlgoStatus.NEW, at_ms)
        assert state(seen.order) is ENDS[ended]
        assert seen.order.algo_rank == 4
    hears(seen, AlgoStatus.NEW, START_MS + 21)
    assert state(seen.order) is S.UNTRIGGERED
    assert seen.orders.incidents == 1
    hears(seen, AlgoStatus.CANCELED, START_MS + 30)
    assert state(seen.order) is S.CANCELED


@pytest.mark.parametrize("late", [AlgoStatus.NEW, AlgoStatus.TRIGGERING])
@pytest.mark.parametrize("known", [AlgoStatus.TRIGGERING, AlgoStatus.TRIGGERED])
def test_a_late_word_takes_no_rank_from_a_living_order(known: AlgoStatus, late: AlgoStatus) -> None:
    seen = told_of((AlgoStatus.NEW, START_MS + 10), (known, START_MS + 20))
    rank = seen.order.algo_rank
    hears(seen, late, START_MS + 5)
    assert (seen.order.live, seen.order.algo_rank) == (True, rank)
