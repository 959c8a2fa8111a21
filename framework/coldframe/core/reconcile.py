"""Comparing our orders, fills and positions with the venue's: after every (re)opening of a private link, and now and then.

One round asks for the open orders, the positions, the trades since the last known one of every symbol touched, and where we have
conditional orders for the open ones of those (the first round for all there are); orders of ours
that the venue does not list are then asked for one by one. Until a round has come through, no new risk is taken: reports may be
missing. A round that fails is repeated with growing pauses. Source: faults.md 3, "Reconciliation rounds".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.backoff import Backoff
from coldframe.core.calls import Calls, Returned
from coldframe.core.context import Context
from coldframe.core.desk import Desk
from coldframe.core.evidence import Evidence
from coldframe.core.orders import Order, Orders
from coldframe.core.positions import PositionKey
from coldframe.core.startcheck import StartCheck
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.units import ZERO, exact
from coldframe.wire.codec import Census, decode, decode_list
from coldframe.wire.replies import AlgoReply, OrderReply, PositionRow, UserTrade
from coldframe.wire.rest import Answer

#: How often everything is compared although nothing seems wrong (milliseconds).
LIGHT_ROUND_MS: Final = 30_000
#: The reason of such a round.
LIGHT: Final = "light"
#: How many trades one query brings; a full page means that there are more.
TRADES_PAGE: Final = 500
#: Of so many trades of unknown owners one round asks whose they are.
OWNERS_PER_ROUND: Final = 10
#: How far a query reaches back before the last one that found nothing: answers may lag a little behind the venue's books.
_OVERLAP_MS: Final = 10_000
#: What it costs to list the conditional orders of all symbols at once; of one symbol it costs 1 (protocol.md 6.4).
_ALL_ALGOS_WEIGHT: Final = 40


#: At the start, how long and how often orders of an earlier run are waited for before a position counts as foreign.
_OPEN_QUESTIONS_MS: Final = 700
_OPEN_QUESTIONS_ROUNDS: Final = 40


@attrs.frozen
class OpenOrdersOf:
    """The purpose of a GET openOrders: the round it belongs to."""

    round: int


@attrs.frozen
class OpenAlgosOf:
    """The purpose of a GET openAlgoOrders: of one symbol, or of all of them (weight 40)."""

    round: int
    symbol: str


@attrs.frozen
class PositionsOf:
    """The purpose of a GET positionRisk."""

    round: int


@attrs.frozen
class TradesOf:
    """The purpose of a GET userTrades: of one symbol for a round, of one order (`order_id` not 0) outside of it (round 0)."""

    round: int
    symbol: str
    order_id: int = 0


@attrs.frozen
class OwnerOf:
    """The purpose of a GET order by the venue's id: whose trade was that?"""

    symbol: str
    order_id: int


@attrs.define
class _Round:
    number: int
    reason: str
    started_ms: int
    #: Venue time at which it began: an order sent later may be missing from its answers.
    waiting: set[object] = attrs.field(factory=set)
    open_orders: dict[str, OrderReply] = attrs.field(factory=dict)
    open_algos: dict[str, AlgoReply] = attrs.field(factory=dict)
    listed: bool = False
    recovered: int = 0
    #: The positions that the venue named, and when they were asked for.
    positions: dict[PositionKey, Decimal] = attrs.field(factory=dict)
    positions_ns: int = 0
    #: Symbols whose trades since the last known one have been asked for.
    scanned: set[str] = attrs.field(factory=set)


class Reconciler:
    """Runs one round at a time. `done` is true while the last one came through and nothing has happened since."""

    def __init__(
        self, ctx: Context, calls: Calls, orders: Orders, evidence: Evidence, desk: Desk, unbroken: Callable[[int], bool]
    ) -> None:
        self._ctx = ctx
        self._calls = calls
        self._orders = orders
        self._evidence = evidence
        self._desk = desk
        self._backoff = Backoff(ctx.chance, base_ms=1_000, cap_ms=30_000)
        self._census = Census()
        self._round: _Round | None = None
        self._number = 0
        self._last_trade: dict[str, int] = {}
        #: For symbols in which no query has ever found a trade: up to when (venue time) one has looked.
        self._scanned_ms: dict[str, int] = {}
        #: Whether reports have come without a gap since a moment of ours.
        self._unbroken = unbroken
        #: A round that follows the running one: its reason, and whether it is urgent.
        self._again: tuple[str, bool] | None = None
        #: What looks at the first round that comes through; None once it has.
        self.at_start: StartCheck | None = None
        self.done = False
        #: Signed account positions as the venue named them last, by symbol (long and short together).
        self.positions: dict[str, Decimal] = {}
        #: Symbols with a position on any side: a long and a short one may add up to nothing.
        self.holding: set[str] = set()
        self.rounds = 0

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
        now = self._round = _Round(self._number, reason, self._ctx.venue_ms)
        algos = [OpenAlgosOf(now.number, one) for one in self._algo_symbols()]
        wanted = [
            OpenOrdersOf(now.number),
            *algos,
            PositionsOf(now.number),
            *(TradesOf(now.number, one) for one in sorted(symbols)),
        ]
        now.waiting.update(wanted)
        now.scanned.update(one.symbol for one in wanted if isinstance(one, TradesOf))
        for purpose in wanted:
            self._ask(purpose)

    @property
    def marks(self) -> dict[str, int]:
        """By symbol, the trade up to which everything is known."""
        return self._last_trade

    def _algo_symbols(self) -> list[str]:
        """Where conditional orders may be open: "" stands for everywhere."""
        symbols = {order.symbol for order in self._orders.live if order.untriggered}
        return [""] if not self.rounds or len(symbols) > _ALL_ALGOS_WEIGHT else sorted(symbols)

    def want_fills(self, order: Order) -> None:
        """Fills of an order are missing although an answer has counted them: fetch them."""
        if order.order_id is not None:
            self._ask(TradesOf(0, order.symbol, order.order_id))

    def _ask(self, purpose: object) -> None:
        match purpose:
            case OpenOrdersOf():
                self._calls.call("GET", "/fapi/v1/openOrders", {}, purpose)
            case OpenAlgosOf(symbol=symbol):
                self._calls.call("GET", "/fapi/v1/openAlgoOrders", {"symbol": symbol} if symbol else {}, purpose)
            case PositionsOf():
                self._calls.call("GET", "/fapi/v3/positionRisk", {}, purpose)
            case TradesOf(symbol=symbol, order_id=order_id) if order_id:
                if not self._calls.busy(purpose):
                    of_order: dict[str, str | int] = {"symbol": symbol, "orderId": order_id, "limit": TRADES_PAGE}
                    self._calls.call("GET", "/fapi/v1/userTrades", of_order, purpose)
            case TradesOf(symbol=symbol):
                since = self._since(symbol)
                self._calls.call("GET", "/fapi/v1/userTrades", {"symbol": symbol, "limit": TRADES_PAGE, **since}, purpose)

    def _since(self, symbol: str) -> dict[str, str | int]:
        """From where on trades have to be looked at: what the stream has told is no mark, it may have left something out before.

        From the last trade a query has brought, that one included, so that a fill in the same moment is not stepped over; while
        there is none, from the last question on (the venue looks at seven days from there), or from the start.
        """
        known = self._last_trade.get(symbol)
        if known:
            return {"fromId": known}
        from_ms = self._scanned_ms.get(symbol, self._evidence.baseline_ms)
        return {"startTime": from_ms} if from_ms else {}

    def returned(self, event: Returned) -> bool:
        """What one of the round's calls brought. Returns whether the purpose was one of a reconciliation."""
        purpose, answer = event.purpose, event.answer
        if isinstance(purpose, OwnerOf):
            self._take_owner(purpose, answer)
            return True
        if not isinstance(purpose, OpenOrdersOf | OpenAlgosOf | PositionsOf | TradesOf):
            return False
        current = self._round if self._round is not None and purpose.round == self._round.number else None
        if answer is None or answer.status != 200:
            fault = event.reason if answer is None or answer.fault is None else answer.fault.msg
            if current is not None:
                self._failed(fault)
            return True
        try:
            self._take(purpose, answer.body, current, event.sent_ns)
        except (DecodeError, ValueError) as error:
            if current is not None:
                self._failed(f"unreadable answer: {error}")
            return True
        if current is not None:
            current.waiting.discard(purpose)
            if not current.waiting:
                self._finish(current)
        return True

    def _take(self, purpose: object, body: bytes, current: _Round | None, sent_ns: int) -> None:
        match purpose:
            case OpenOrdersOf() if current is not None:
                current.open_orders = {one.client_order_id: one for one in decode_list(OrderReply, body, self._census)}
                current.listed = True
            case OpenAlgosOf() if current is not None:
                current.open_algos |= {one.client_algo_id: one for one in decode_list(AlgoReply, body, self._census)}
            case PositionsOf():
                self._take_positions(decode_list(PositionRow, body, self._census), current, sent_ns)
            case TradesOf():
                self._take_trades(purpose, decode_list(UserTrade, body, self._census), current)

    def _take_positions(self, rows: list[PositionRow], current: _Round | None, sent_ns: int) -> None:
        self.positions, self.holding = {}, set()
        for row in rows:
            self.positions[row.symbol] = self.positions.get(row.symbol, ZERO) + exact(row.position_amt)
            self.holding |= {row.symbol} if exact(row.position_amt) else set()
        if current is None:
            return
        current.positions = {(row.symbol, row.position_side): exact(row.position_amt) for row in rows}
        current.positions_ns = sent_ns
        if self.at_start is not None:
            self.at_start.entry_prices = {(row.symbol, row.position_side): exact(row.entry_price) for row in rows}

    def _take_trades(self, asked: TradesOf, rows: list[UserTrade], current: _Round | None) -> None:
        symbol = asked.symbol
        recovered = self._evidence.trades(rows)
        if current is not None:
            current.recovered += recovered
        if recovered:
            self._ctx.log(Level.WARNING, f"{recovered} fills of {symbol} recovered that the user stream had not brought")
        if asked.order_id:
            return
        if not rows:
            if current is not None:
                self._scanned_ms[symbol] = current.started_ms - _OVERLAP_MS
            return
        before, last = self._last_trade.get(symbol, 0), max(row.id for row in rows)
        self._last_trade[symbol] = max(before, last)
        if last > before:
            self._ctx.record(RowKind.MARK, symbol, {"trade_id": last})
        if len(rows) >= TRADES_PAGE and last > before:
            self._ask(TradesOf(0, symbol))

    def _ask_for_owners(self) -> None:
        """Trades that may be those of an order whose id is not known: the venue is asked for the order they belong to."""
        waiting = self._evidence.others.unclaimed.values()
        for purpose in list(dict.fromkeys(OwnerOf(one.symbol, one.order_id) for one in waiting))[:OWNERS_PER_ROUND]:
            if not self._calls.busy(purpose):
                self._calls.call("GET", "/fapi/v1/order", {"symbol": purpose.symbol, "orderId": purpose.order_id}, purpose)

    def _take_owner(self, asked: OwnerOf, answer: Answer | None) -> None:
        """Only an answer that names the order counts: that it is not found says nothing."""
        if answer is None or answer.status != 200:
            return
        try:
            reply = decode(OrderReply, answer.body, self._census)
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"reconciliation: unreadable order: {error}")
            return
        order = self._orders.find(reply.symbol, reply.client_order_id, reply.order_id) or self._evidence.take_over(reply)
        if order is None:
            self._evidence.others.disown(asked.symbol, asked.order_id)
        else:
            self._evidence.reply(order, reply)
            self._desk.reported(order)
        self._evidence.claim_strays()

    def _finish(self, current: _Round) -> None:
        """Everything has come: compare, and ask for every order whose fate the list of open ones does not tell."""
        self._round = None
        self.rounds += 1
        self._backoff.succeeded(self._ctx.now_ns)
        current.recovered += self._evidence.claim_strays()
        self._ask_for_owners()
        if self.at_start is not None:
            if self._perhaps_ours(self.at_start, current):
                self._compare_orders(current)
                self._ctx.wake("reconcile:again", _OPEN_QUESTIONS_MS)
                return
            waiting = [one for name, one in current.open_algos.items() if self._orders.get(name) is None]
            foreign = self._foreign(current)
            if not self.at_start.passed(current.positions, current.positions_ns, foreign, waiting, current.started_ms):
                return
            self.at_start = None
        # Only now, when the trades have come as well: positions of a round that came to nothing prove nothing.
        claim = self._evidence.balance.claim
        claim(current.positions, current.positions_ns, self._ctx.now_ns, current.number, all_of_them=True)
        self._compare_orders(current)
        foreign = [one for one in self._foreign(current) if self._evidence.take_over(one) is None]
        self._evidence.others.listed(foreign)
        algos = [name for name in current.open_algos if self._orders.get(name) is None]
        self._report(current, [*(one.client_order_id for one in foreign), *algos])
        again, self._again = self._again, None
        self.done = again is None or not again[1]
        if again is not None:
            self.begin(again[0], {one.symbol for one in self._orders.live} | current.scanned, urgent=again[1])

    def _perhaps_ours(self, at_start: StartCheck, current: _Round) -> bool:
        """Whether a position that we cannot explain yet may still turn out to be an earlier run's.

        Its orders may have traded while nobody listened, under ids that only the venue knows: until they are asked for, nothing is
        called foreign.
        """
        if self.rounds > _OPEN_QUESTIONS_ROUNDS:
            return False
        symbols = {one.symbol for one in self._orders.live if one.order_id is None or one.fills_missing}
        symbols |= {one.symbol for one in self._orders.owed}
        symbols |= {one.symbol for one in self._evidence.others.unclaimed.values()}
        return any(one.key[0] in symbols for one in at_start.foreign_positions(current.positions, current.positions_ns))

    def _compare_orders(self, current: _Round) -> None:
        """Takes in what the lists say of our orders, and asks for those that they do not hold."""
        for order in list(self._orders.live):
            reply = current.open_orders.get(order.client_order_id)
            waiting = current.open_algos.get(order.client_order_id)
            if waiting is not None:
                self._desk.conditionals.reply(order, waiting)
            if reply is not None:
                self._evidence.reply(order, reply)
                self._desk.reported(order)
            elif waiting is None and self._should_be_listed(order, current):
                self._desk.suspect(order)
                self._desk.absent(order, current.started_ms, nothing_missed=self._nothing_missed(order, current))

    def _foreign(self, current: _Round) -> list[OrderReply]:
        """The open orders that nobody here knows."""
        find = self._orders.find
        return [one for one in current.open_orders.values() if find(one.symbol, one.client_order_id, one.order_id) is None]

    def _nothing_missed(self, order: Order, current: _Round) -> bool:
        """Whether no report or trade of the order can have escaped us, and its position is the sum of the fills."""
        told = self._unbroken(order.created_ns) or order.symbol in current.scanned
        balance, since_ns = self._evidence.balance, current.positions_ns
        return told and all(
            balance.had(key, current.positions.get(key, ZERO), since_ns)
            for key in {*current.positions, *self._evidence.position_keys()}
            if key[0] == order.symbol
        )

    @staticmethod
    def _should_be_listed(order: Order, current: _Round) -> bool:
        """Whether the order had been sent before the round began, so that its absence from the list means something."""
        return 0 < order.sent_ms < current.started_ms and order.state is not OrderState.PREPARED

    def _report(self, current: _Round, foreign: list[str]) -> None:
        doubtful = sum(1 for one in self._orders.live if one.state is OrderState.UNKNOWN)
        level = Level.INFO if current.reason != "light" or current.recovered else Level.DEBUG
        parts = [f"{len(current.open_orders) + len(current.open_algos)} open orders at the venue"]
        parts += [f"{current.recovered} fills recovered"] if current.recovered else []
        parts += [f"{doubtful} of unknown fate"] if doubtful else []
        parts += [f"{len(foreign)} not ours"] if foreign else []
        disagreeing = sorted(
            key[0]
            for key, quantity in current.positions.items()
            if not self._evidence.balance.had(key, quantity, current.positions_ns)
        )
        parts += [f"positions not agreed yet: {', '.join(disagreeing)}"] if disagreeing else []
        self._ctx.log(level, f"reconciled ({current.reason}): {', '.join(parts)}")

    def _failed(self, reason: str) -> None:
        current, self._round = self._round, None
        assert current is not None
        delay_ms = self._backoff.next_delay_ms(self._ctx.now_ns)
        self._ctx.log(Level.WARNING, f"reconciliation failed: {reason}; again in {delay_ms / 1000:.1f} s")
        self._ctx.wake("reconcile:again", delay_ms)
