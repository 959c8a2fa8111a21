"""Comparing our orders, fills and positions with the venue's: after every (re)opening of a private link, and now and then.

One round asks for the open orders, the positions, the trades since the last known one of every symbol touched, and where we have
conditional orders for the open ones of those (the first round for all there are); orders of ours
that the venue does not list are then asked for one by one. Until a round has come through, no new risk is taken: reports may be
missing. A round that fails is repeated with growing pauses. Source: faults.md 3, "Reconciliation rounds".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.backoff import Backoff
from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.execution.order_executor import OrderExecutor
from coldframe.core.reconciliation.open_orders import ListedOrders
from coldframe.core.reconciliation.startup import StartCheck
from coldframe.core.reconciliation.trade_scan import PendingTrades, TradeScan
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.orders import Order
from coldframe.core.state.positions import PositionKey
from coldframe.enums import AlgoStatus
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.orders import OrderState
from coldframe.units import ZERO, exact
from coldframe.wire.codec import Census, decode, decode_list
from coldframe.wire.replies import AlgoReply, OrderReply, PositionRow, UserTrade
from coldframe.wire.rest import Answer

#: How often everything is compared although nothing seems wrong (milliseconds).
LIGHT_ROUND_MS: Final = 30_000
#: The reason of such a round.
LIGHT: Final = "light"
#: Of so many trades of unknown owners one round asks whose they are.
OWNERS_PER_ROUND: Final = 10
#: What it costs to list the conditional orders of all symbols at once; of one symbol it costs 1 (protocol.md 6.4).
_ALL_ALGOS_WEIGHT: Final = 40


#: At the start, how long and how often an explanation is waited for before a position counts as external: half a minute.
_OPEN_QUESTIONS_MS: Final = 700
_OPEN_QUESTIONS_ROUNDS: Final = 40
#: The same while the fate of an order of ours is not known there: some fifty seconds more, at longer pauses (a round costs
#: 50 weight and more).
_UNKNOWN_ORDER_MS: Final = 5_000
_UNKNOWN_ORDER_ROUNDS: Final = _OPEN_QUESTIONS_ROUNDS + 9
#: States of orders of which only an answer tells how much has traded.
_OPEN: Final = frozenset({OrderState.TRIGGERED, OrderState.UNKNOWN})


@attrs.frozen
class PendingOpenOrders(RequestPurpose):
    """The purpose of a GET openOrders: the round it belongs to."""

    round: int


@attrs.frozen
class PendingOpenAlgos(RequestPurpose):
    """The purpose of a GET openAlgoOrders: of one symbol, or of all of them (weight 40)."""

    round: int
    symbol: str


@attrs.frozen
class PendingPositions(RequestPurpose):
    """The purpose of a GET positionRisk."""

    round: int


#: What a round asks for.
RoundPurpose = PendingOpenOrders | PendingOpenAlgos | PendingPositions | PendingTrades


@attrs.frozen
class PendingOwner(RequestPurpose):
    """The purpose of a GET order by the venue's id: whose trade was that?"""

    symbol: str
    order_id: int


@attrs.define
class _Round:
    number: int
    reason: str
    #: When it began, in the venue's time and ours: an order sent later may be missing from its answers.
    started_ms: int
    started_ns: int
    #: What has not come yet; a full page of trades is followed by another one, which is waited for as well.
    waiting: set[object] = attrs.field(factory=set)
    open_orders: dict[str, OrderReply] = attrs.field(factory=dict)
    open_algos: dict[str, AlgoReply] = attrs.field(factory=dict)
    listed: bool = False
    recovered: int = 0
    #: The positions that the venue named, and when they were asked for.
    held: dict[PositionKey, Decimal] = attrs.field(factory=dict)
    positions_ns: int = 0
    #: Symbols whose trades since the last known one have been asked for.
    scanned: set[str] = attrs.field(factory=set)

    def waits(self, order: Order) -> bool:
        """Whether the venue lists an order as waiting for its trigger."""
        row = self.open_algos.get(order.client_order_id)
        return order.untriggered and row is not None and row.algo_status is AlgoStatus.NEW


class Reconciler:
    """Runs one round at a time. `done` is true while the last one came through and nothing has happened since."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        calls: RestQueue,
        reports: ExecutionReports,
        executor: OrderExecutor,
        scan: TradeScan,
        at_start: StartCheck,
        unbroken: Callable[[int], bool],
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._calls = calls
        self._orders = state.orders
        self._reports = reports
        self._executor = executor
        self.scan = scan
        self.listed = ListedOrders(state, ctx, calls, reports, executor)
        self._backoff = Backoff(ctx.chance, base_ms=1_000, cap_ms=30_000)
        self._census = Census()
        self._round: _Round | None = None
        self._number = 0
        #: Whether reports have come without a gap since a moment of ours.
        self._unbroken = unbroken
        #: A round that follows the running one: its reason, and whether it is urgent.
        self._again: tuple[str, bool] | None = None
        #: Positions that were not explained, as the round before has found them.
        self._found: set[tuple[PositionKey, Decimal]] = set()
        #: What looks at the first round that comes through; None once it has.
        self.at_start: StartCheck | None = at_start
        self.done = False
        #: Signed account positions as the venue named them last, by symbol (long and short together).
        self.positions: dict[str, Decimal] = {}
        #: Symbols with a position on any side: a long and a short one may add up to nothing.
        self.holding: set[str] = set()
        self.rounds = 0

    def outdated(self) -> None:
        """Something may have been missed: until a round has come through, no new risk is taken."""
        self.done = False

    def begin(self, reason: str, symbols: Iterable[str], *, urgent: bool = True) -> None:
        """Starts a round now, or right after the one that is running. An urgent one shuts new risk until it is through."""
        self._ctx.wake("reconcile:light", LIGHT_ROUND_MS)
        if urgent:
            self.done = False
        if self._round is not None:
            if urgent or (reason != LIGHT and self._again is None):
                self._again = (reason, urgent)
            return
        self._number += 1
        now = self._round = _Round(self._number, reason, self._ctx.venue_ms, self._ctx.now_ns)
        algos = [PendingOpenAlgos(now.number, symbol) for symbol in self._algo_symbols()]
        wanted: list[RoundPurpose] = [
            PendingOpenOrders(now.number),
            *algos,
            PendingPositions(now.number),
            *(PendingTrades(now.number, symbol) for symbol in sorted(symbols)),
        ]
        now.waiting.update(wanted)
        now.scanned.update(purpose.symbol for purpose in wanted if isinstance(purpose, PendingTrades))
        for purpose in wanted:
            self._ask(purpose)

    def _algo_symbols(self) -> list[str]:
        """Where conditional orders may be open, also such as have ended here: "" stands for everywhere."""
        symbols = self._orders.conditional_symbols
        return [""] if not self.rounds or len(symbols) > _ALL_ALGOS_WEIGHT else sorted(symbols)

    def _ask(self, purpose: RoundPurpose) -> None:
        match purpose:
            case PendingOpenOrders():
                self._calls.call("GET", "/fapi/v1/openOrders", {}, purpose)
            case PendingOpenAlgos(symbol=symbol):
                self._calls.call("GET", "/fapi/v1/openAlgoOrders", {"symbol": symbol} if symbol else {}, purpose)
            case PendingPositions():
                self._calls.call("GET", "/fapi/v3/positionRisk", {}, purpose)
            case PendingTrades():
                self.scan.ask(purpose)
            case unknown:
                assert_never(unknown)

    def step(self, event: Returned) -> None:
        """Takes in what one of its calls brought."""
        purpose = event.purpose
        if isinstance(purpose, PendingOwner):
            self._take_owner(purpose, event.answer)
        elif isinstance(purpose, RoundPurpose):
            self._take_part(purpose, event)

    def _take_part(self, purpose: RoundPurpose, event: Returned) -> None:
        """A part of a round has come, of this one or of one before it."""
        answer = event.answer
        current = self._round if self._round is not None and purpose.round == self._round.number else None
        if answer is None or answer.status != 200:
            fault = event.reason if answer is None or answer.fault is None else answer.fault.msg
            if current is not None:
                self._failed(fault)
            return
        try:
            further = self._apply_page(purpose, answer.body, current, event.sent_ns)
        except (DecodeError, ValueError) as error:
            if current is not None:
                self._failed(f"unreadable answer: {error}")
            return
        if further is not None and (current is not None or further.order_id):
            self.scan.ask(further)  # what began for a round that has failed is left to the next one
        if current is not None:
            current.waiting |= {further} if further is not None else set()
            current.waiting.discard(purpose)
            if not current.waiting:
                self._finish(current)

    def _apply_page(self, purpose: RoundPurpose, body: bytes, current: _Round | None, sent_ns: int) -> PendingTrades | None:
        """Takes an answer in. Returns the page that has to follow it."""
        match purpose:
            case PendingOpenOrders():
                if current is not None:
                    current.open_orders = {listed.client_order_id: listed for listed in decode_list(OrderReply, body, self._census)}
                    current.listed = True
            case PendingOpenAlgos():
                if current is not None:
                    current.open_algos |= {algo.client_algo_id: algo for algo in decode_list(AlgoReply, body, self._census)}
            case PendingPositions():
                self._take_positions(decode_list(PositionRow, body, self._census), current, sent_ns)
            case PendingTrades():
                page = self.scan.apply_page(
                    purpose, decode_list(UserTrade, body, self._census), current.started_ms if current else 0
                )
                if current is not None:
                    current.recovered += page.recovered
                return page.further
            case unknown:
                assert_never(unknown)
        return None

    def _take_positions(self, rows: list[PositionRow], current: _Round | None, sent_ns: int) -> None:
        self.positions, self.holding = {}, set()
        for row in rows:
            self.positions[row.symbol] = self.positions.get(row.symbol, ZERO) + exact(row.position_amt)
            self.holding |= {row.symbol} if exact(row.position_amt) else set()
        if current is None:
            return
        current.held = {(row.symbol, row.position_side): exact(row.position_amt) for row in rows}
        current.positions_ns = sent_ns
        if self.at_start is not None:
            self.at_start.priced({(row.symbol, row.position_side): exact(row.entry_price) for row in rows})

    def _ask_for_owners(self) -> None:
        """Trades that may be those of an order whose id is not known: the venue is asked for the order they belong to."""
        others = self._state.external
        waiting = dict.fromkeys(PendingOwner(fill.symbol, fill.order_id) for fill in others.unmatched.values())
        in_turn = sorted(waiting, key=lambda question: (question.symbol, question.order_id) in others.unnamed)
        for purpose in in_turn[:OWNERS_PER_ROUND]:
            if not self._calls.busy(purpose):
                self._calls.call("GET", "/fapi/v1/order", {"symbol": purpose.symbol, "orderId": purpose.order_id}, purpose)

    def _take_owner(self, asked: PendingOwner, answer: Answer | None) -> None:
        """Only an answer that names the order says whose it is: that it is not found says nothing."""
        reply = self._named(answer)
        if reply is None:
            self._state.external.not_named(asked.symbol, asked.order_id)
            self._reports.book_unmatched()
            return
        order = self._orders.find(reply.symbol, reply.client_order_id, reply.order_id) or self._reports.adopt(reply)
        if order is None:
            self._state.external.mark_external(asked.symbol, asked.order_id, reply.client_order_id)
        else:
            self._reports.reply(order, reply)
            self._executor.reported(order)
        self._reports.book_unmatched()

    def _named(self, answer: Answer | None) -> OrderReply | None:
        if answer is None or answer.status != 200:
            return None
        try:
            return decode(OrderReply, answer.body, self._census)
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"reconciliation: unreadable order: {error}")
            return None

    def _finish(self, current: _Round) -> None:
        """Everything has come: compare, and ask for every order whose fate the list of open ones does not tell."""
        self._round = None
        self.rounds += 1
        self._backoff.succeeded(self._ctx.now_ns)
        current.recovered += self._reports.book_unmatched()
        self.scan.move_cursors()
        self._ask_for_owners()
        if self.at_start is not None:
            if self._perhaps_ours(self.at_start, current):
                self._compare_orders(current)
                long = self.rounds > _OPEN_QUESTIONS_ROUNDS
                self._ctx.wake("reconcile:again", _UNKNOWN_ORDER_MS if long else _OPEN_QUESTIONS_MS)
                return
            waiting = self.listed.unknown_algos(current.open_algos.values())
            external = self.listed.unknown(current.open_orders.values())
            if not self.at_start.passed(current.held, current.positions_ns, external, waiting, current.started_ms):
                return
            self.at_start = None
            self._state.start_passed()
        # Only now, when the trades have come as well: positions of a round that came to nothing prove nothing.
        named = self._state.holdings.history.venue_named
        named(current.held, current.positions_ns, self._ctx.now_ns, current.number, all_of_them=True)
        self._compare_orders(current)
        unknown = self.listed.unknown(current.open_orders.values())
        external = [row for row in unknown if self._reports.adopt(row) is None]
        self._state.external.listed(external)
        algos = [row for row in self.listed.unknown_algos(current.open_algos.values()) if not self._reports.adopt_algo(row)]
        self._report(current, [*(row.client_order_id for row in external), *(row.client_algo_id for row in algos)])
        again, self._again = self._again, None
        self.done = again is None or not again[1]
        if again is not None:
            self.begin(again[0], self._orders.live.symbols | current.scanned, urgent=again[1])

    def _perhaps_ours(self, at_start: StartCheck, current: _Round) -> bool:
        """Whether a position that we cannot explain yet may still turn out to be an earlier run's.

        Its orders may have traded while the bot was off, under ids that only the venue knows: until they are asked for, nothing is
        called external. A conditional order that still waits after a position was there has not made it.
        """
        external = at_start.external_positions(current.held, current.positions_ns)
        found = {(position.key, position.on_account) for position in external}
        found_before, self._found = self._found & found, found
        live = [order for order in self._orders.live if order.order_id is None or order.fills_missing or order.state in _OPEN]
        if self.rounds > _OPEN_QUESTIONS_ROUNDS:
            unknown = {order.symbol for order in live if order.state in _OPEN or (order.untriggered and not current.waits(order))}
            return self.rounds <= _UNKNOWN_ORDER_ROUNDS and any(key[0] in unknown for key, _ in found)
        waiting = {order.symbol for order in live if current.waits(order)}
        symbols = {order.symbol for order in live if not current.waits(order)}
        symbols |= self._orders.owed.symbols
        symbols |= {trade.symbol for trade in self._state.external.unmatched.values()}
        return any(key[0] in symbols or (key[0] in waiting and (key, held) not in found_before) for key, held in found)

    def _compare_orders(self, current: _Round) -> None:
        """Takes in every row of the lists, and asks for those of our orders that they do not hold."""
        named = self.listed.compare(current.open_orders.values(), current.open_algos.values(), current.started_ns)
        for order in list(self._orders.live):
            if order.client_order_id not in named and self._should_be_listed(order, current):
                self._executor.inquiry.suspect(order)
                nothing_missed = self._nothing_missed(order, current)
                self._executor.inquiry.absent(order, current.started_ms, nothing_missed=nothing_missed)

    def _nothing_missed(self, order: Order, current: _Round) -> bool:
        """Whether no report or trade of the order can have escaped us, and its position is the sum of the fills."""
        told = self._unbroken(order.created_ns) or order.symbol in current.scanned
        balance, since_ns = self._state.holdings.history, current.positions_ns
        return told and all(
            balance.had(key, current.held.get(key, ZERO), since_ns)
            for key in {*current.held, *self._state.holdings.position_keys()}
            if key[0] == order.symbol
        )

    @staticmethod
    def _should_be_listed(order: Order, current: _Round) -> bool:
        """Whether the order had been sent before the round began, so that its absence from the list means something."""
        return 0 < order.sent_ms < current.started_ms and order.state is not OrderState.PENDING_SUBMIT

    def _report(self, current: _Round, external: list[str]) -> None:
        doubtful = sum(1 for order in self._orders.live if order.state is OrderState.UNKNOWN)
        level = Level.INFO if current.reason != "light" or current.recovered else Level.DEBUG
        parts = [f"{len(current.open_orders) + len(current.open_algos)} open orders at the venue"]
        parts += [f"{current.recovered} fills recovered"] if current.recovered else []
        parts += [f"{doubtful} of unknown fate"] if doubtful else []
        parts += [f"{len(external)} of no strategy"] if external else []
        disagreeing = sorted(
            key[0]
            for key, quantity in current.held.items()
            if not self._state.holdings.history.had(key, quantity, current.positions_ns)
        )
        parts += [f"positions not agreed yet: {', '.join(disagreeing)}"] if disagreeing else []
        self._ctx.log(level, f"reconciled ({current.reason}): {', '.join(parts)}")

    def _failed(self, reason: str) -> None:
        current, self._round = self._round, None
        assert current is not None
        delay_ms = self._backoff.next_delay_ms(self._ctx.now_ns)
        self._ctx.log(Level.WARNING, f"reconciliation failed: {reason}; again in {delay_ms / 1000:.1f} s")
        self._ctx.wake("reconcile:again", delay_ms)
