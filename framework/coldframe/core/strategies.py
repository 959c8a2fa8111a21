"""Telling the strategies what has happened, judging what they want, and keeping true what they want to be true.

Everything here happens within one step of the engine, until nothing is left to tell or to do. Verdicts are given at once; wishes
(`Quotes`, `Target`) are compared with the world after every change that concerns them.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.booksync import BookLost
from coldframe.core.context import Context
from coldframe.core.desires import DesireKey, Desires, came_to_nothing, has_succeeded
from coldframe.core.evidence import Evidence
from coldframe.core.forms import fault_of
from coldframe.core.journal import intent_body
from coldframe.core.lossguard import newly_latched
from coldframe.core.market import BookFact, Market, MessageFact
from coldframe.core.orders import Order, Orders, Origin
from coldframe.core.quotes import distance, plan_hedged_target, plan_quotes, plan_target
from coldframe.core.risk import Facts, Gate
from coldframe.core.slots import INTENTS_PER_CALL, OnError, Slot, Slots, is_intent
from coldframe.core.trading import Trading
from coldframe.core.translate import HOOK_OF, event_of, symbol_of
from coldframe.errors import StrategyFault
from coldframe.model.effects import Level, Told
from coldframe.model.events import (
    BookChanged,
    BookState,
    LinkChanged,
    OrderChanged,
    OrderFilled,
    Started,
    Stopped,
    StrategyEvent,
    Woken,
)
from coldframe.model.intents import (
    ACCEPTED,
    NO_CHANGE,
    Amend,
    Cancel,
    CancelAll,
    Intent,
    Place,
    Quote,
    Quotes,
    Target,
    Verdict,
    VerdictCode,
    WakeMe,
)
from coldframe.model.journal import RowKind
from coldframe.terms import PositionSide, Side, TimeInForce
from coldframe.units import NS_PER_MS, ZERO, exact, trimmed
from coldframe.wire.filters import check_order
from coldframe.wire.names import StreamKind
from coldframe.wire.streams import ContractInfo, MarkPrice

#: A step ends after so many rounds of telling and doing, even if strategies and orders keep answering each other.
_ROUNDS_PER_STEP: Final = 64


class Strategies:
    """All slots of a run, their wishes, and the way from an intent to the desk."""

    def __init__(
        self,
        ctx: Context,
        slots: Slots,
        market: Market,
        gate: Gate,
        orders: Orders,
        evidence: Evidence,
        trading: Trading | None,
    ) -> None:
        self._ctx = ctx
        self._slots = slots
        self._market = market
        self._gate = gate
        self._orders = orders
        self._evidence = evidence
        self._trading = trading
        self._desires = Desires()
        self._stopping = False
        #: Events that hooks were called with.
        self.dispatched = 0
        #: Why a strategy asks for the end of the run; None while none does.
        self.halt_asked: str | None = None

    # -- telling ------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        for slot in self._slots.all:
            self._call(slot, "on_start", Started(self._ctx.now_ns))

    def stop(self, reason: str) -> None:
        """The last call of every strategy; from here on only cancels are carried out."""
        self._stopping = True
        for slot in self._slots.all:
            self._call(slot, "on_stop", Stopped(self._ctx.now_ns, reason))
        self._desires.forget()
        self.cancel_everything()

    def link_changed(self, event: LinkChanged) -> None:
        for slot in self._slots.of_market("on_link"):
            self._call(slot, "on_link", event)

    def woken(self, key: str) -> None:
        kind, strategy, name = key.split(":", 2)
        if kind == "settle":
            self._desires.touch(strategy, name)
            return
        self._call(self._slots.get(strategy), "on_wake", Woken(name, self._ctx.now_ns))

    def settle(self, stopping: bool) -> None:
        """Tells everything there is to tell and does what follows, until the step has nothing left."""
        self._stopping = stopping
        for _ in range(_ROUNDS_PER_STEP):
            facts, self._market.facts = self._market.facts, []
            news, self._evidence.news = self._evidence.news, []
            for fact in facts:
                if isinstance(fact, BookFact):
                    self._tell_book(fact)
                else:
                    self._tell_message(fact)
            for strategy, event in news:
                self._ctx.emit(Told(strategy, event))
                self._tell_order(self._slots.get(strategy), event)
            if self._trading is not None:
                changes, self._trading.link_news = self._trading.link_news, []
                for change in changes:
                    self.link_changed(change)
            self._take_settled()
            self._compare_due()
            if not self._market.facts and not self._evidence.news and not self._desires.due:
                return

    def _take_settled(self) -> None:
        """Cancels and amendments that came to an end are nothing to tell, but wishes have to be compared again."""
        settled, self._evidence.settled = self._evidence.settled, {}
        for key, refused in settled.items():
            if refused:
                self._pause(key, by_venue=True)
            self._desires.touch(*key)

    def _tell_book(self, fact: BookFact) -> None:
        if isinstance(fact.change, BookLost) and not fact.rpi:
            self._forget(fact.symbol)
        else:
            self._desires.moved(fact.symbol)
        slots = self._slots.of_symbol("on_book", fact.symbol)
        one = self._market.book(fact.symbol, fact.rpi)
        if not slots or one is None:
            return
        book, state = one.sync.book, one.sync.state
        event = BookChanged(fact.symbol, self._ctx.now_ns, book.event_ms, book.update_id, state, fact.rpi)
        for slot in slots:
            self._call(slot, "on_book", event)

    def _tell_message(self, fact: MessageFact) -> None:
        message = fact.message
        if isinstance(message, MarkPrice):
            self._mark(message)
        elif isinstance(message, ContractInfo):
            self._contract_changed(message)
        hook = HOOK_OF[fact.name.kind]
        # Nobody trades an asset index: like a stream of the whole market it goes to everybody who listens.
        if fact.name.subject and fact.name.kind is not StreamKind.ASSET_INDEX:
            slots = self._slots.of_symbol(hook, symbol_of(fact.name, message))
        else:
            slots = self._slots.of_market(hook)
        if not slots:
            return  # an event that nobody wants is never built
        event = event_of(fact.name, message, self._ctx.now_ns)
        for slot in slots:
            self._call(slot, hook, event)

    def _mark(self, message: MarkPrice) -> None:
        """A price of zero is printed while there is none (a contract before its first trade): nothing to value anything at."""
        price = exact(message.mark_price)
        if price > 0:
            self._gate.marks[message.symbol] = price

    def _contract_changed(self, message: ContractInfo) -> None:
        self._gate.instruments = self._gate.instruments.with_status(message.symbol, message.status)
        self._ctx.rules_suspect |= any(message.symbol in slot.trader.symbols for slot in self._slots.all)
        self.check_trading(message.symbol)

    def check_trading(self, symbol: str) -> None:
        """A contract that leaves trading takes no more orders, and ours in it are cancelled."""
        known = self._gate.instruments.get(symbol)
        if known is not None and not known.trading:
            self._ctx.log(Level.WARNING, f"{symbol} is {known.status}: no new orders there, open ones are cancelled")
            self._forget(symbol)
            self._cancel(order for order in list(self._orders.live) if order.symbol == symbol)

    def rules_changed(self, symbol: str) -> None:
        """Wishes are looked at again under a contract's new rules; its strategies name what they want instead."""
        filters = self._gate.instruments[symbol].filters
        left_out = self._desires.fit(symbol, lambda side, one: not check_order(filters, side, one.quantity, one.price, None))
        if left_out:
            self._ctx.log(Level.WARNING, f"{left_out} quotes in {symbol} do not fit its new rules and are left out")

    def _tell_order(self, slot: Slot, event: OrderChanged | OrderFilled) -> None:
        key = (slot.id, event.symbol)
        if isinstance(event, OrderFilled):
            self._call(slot, "on_fill", event)
        else:
            if came_to_nothing(event):
                self._pause(key, by_venue=True)
            elif has_succeeded(event):
                self._desires.succeeded(key)
            self._call(slot, "on_order", event)
        self._desires.touch(*key)

    def _call(self, slot: Slot, hook: str, event: StrategyEvent) -> None:
        if slot.muted or hook not in slot.port.hooks:
            return
        view = slot.view.at(self._ctx.now_ms, self._links_ready and slot.halted is None)
        self.dispatched += 1
        try:
            wanted = slot.port.call(hook, event, view)
        except StrategyFault as fault:
            self._mute(slot, str(fault))
            return
        for intent in wanted[:INTENTS_PER_CALL]:
            self._judge(slot, intent)
        for _ in wanted[INTENTS_PER_CALL:]:
            slot.judged(Verdict(VerdictCode.MALFORMED, f"more than {INTENTS_PER_CALL} intents at once"))

    @property
    def _links_ready(self) -> bool:
        trading = self._trading
        if trading is None or self._stopping:
            return False
        return trading.session.ready and trading.reports_complete

    def _mute(self, slot: Slot, reason: str) -> None:
        """The strategy has raised: it is not called again, what it wanted lapses, its policy applies."""
        slot.muted, slot.fault = True, reason
        self._ctx.log(Level.ERROR, f"strategy {slot.id} muted: {reason}")
        self._desires.forget(strategy=slot.id)
        self._cancel(list(self._orders.of(slot.id)))
        match slot.port.on_error:
            case OnError.FLATTEN:
                self._keep_flat(slot)
            case OnError.HALT:
                self.halt_asked = f"strategy {slot.id}: {reason}"
            case OnError.QUARANTINE:
                pass

    def halt(self, slot: Slot) -> None:
        """A strategy has been halted (`slot.halted`): its wishes lapse, and as the level says its orders and positions go."""
        self._desires.forget(strategy=slot.id)
        if slot.halted is not None and slot.halted.level.cancels:
            self._cancel(list(self._orders.of(slot.id)))
        self._keep_flat(slot)

    def resume(self, slot: Slot) -> None:
        """A halt has ended, or has become a lesser one: what it wanted lapses."""
        if not slot.muted:
            self._desires.forget(strategy=slot.id)

    def _keep_flat(self, slot: Slot, symbol: str | None = None) -> None:
        """If a halt or its policy says so, its positions shall be zero, and stay so if an order of its fills after all."""
        for one in slot.port.symbols if slot.flattening else ():
            if symbol in (None, one):
                self._desires.want(slot.id, Target(one, ZERO, slippage_bps=Decimal(50)))

    def _forget(self, symbol: str | None = None) -> None:
        """Wishes lapse, in one symbol or all: those of strategies, not what their own policy wants of muted ones."""
        self._desires.forget(symbol=symbol)
        for slot in self._slots.all:
            self._keep_flat(slot, symbol)

    # -- judging ------------------------------------------------------------------------------------------------------

    def _judge(self, slot: Slot, wanted: object) -> None:
        try:
            verdict = Verdict(VerdictCode.MUTED, "the strategy is muted") if slot.muted else self._verdict(slot, wanted)
        except StrategyFault as fault:
            self._mute(slot, str(fault))
            verdict = Verdict(VerdictCode.MUTED, str(fault))
        slot.judged(verdict)
        if verdict.code is not VerdictCode.NO_CHANGE:  # what changes nothing is said many times a second
            self._ctx.record(RowKind.INTENT, slot.id, intent_body(slot.id, wanted, verdict))
        if not verdict.accepted:
            level = Level.DEBUG if verdict.code in slot.refusals else Level.INFO  # the first of its kind is worth a line
            slot.refusals[verdict.code.value] = f"{type(wanted).__name__}: {verdict.text}"
            self._ctx.log(level, f"{slot.id}: {type(wanted).__name__} refused: {verdict.code}: {verdict.text}")

    def _verdict(self, slot: Slot, wanted: object) -> Verdict:
        if not is_intent(wanted):
            return Verdict(VerdictCode.MALFORMED, f"{type(wanted).__name__} is no intent")
        fault = fault_of(wanted)
        if fault is not None:
            return Verdict(VerdictCode.MALFORMED, fault)
        if isinstance(wanted, WakeMe):
            self._ctx.wake(f"wake:{slot.id}:{wanted.key}", wanted.after_ms)
            return ACCEPTED
        if self._trading is None:
            return Verdict(VerdictCode.ORDERS_OFF, "this run sends no orders")
        if isinstance(wanted, Cancel):
            return self._cancel_one(slot, wanted)
        if isinstance(wanted, CancelAll):
            return self._cancel_all(slot, wanted)
        if self._stopping:
            return Verdict(VerdictCode.STOPPING, "the run is ending")
        if slot.halted is not None and slot.halted.level.flattens:
            return self._gate.halts[slot.id]  # its positions are being brought to zero: one hand at a time
        against = slot.port.review(wanted, slot.view.at(self._ctx.now_ms, self._links_ready))
        if against is not None:
            return Verdict(VerdictCode.OVERLAY, against)
        return self._send(slot, wanted, self._trading)

    def _send(self, slot: Slot, intent: Intent, trading: Trading) -> Verdict:
        match intent:
            case Place():
                slot.orders += 1
                verdict = trading.desk.place(slot.trader, intent, Origin.PLACE, self._facts(intent.symbol))
                slot.orders -= not verdict.accepted
                return verdict
            case Amend():
                order = self._orders.get(intent.client_order_id)
                return trading.desk.amend(slot.trader, intent, self._facts(order.symbol if order else ""))
            case Quotes():
                return self._want_quotes(slot, intent)
            case Target():
                return self._want_target(slot, intent)
            case _:
                raise AssertionError(intent)

    def _cancel_one(self, slot: Slot, intent: Cancel) -> Verdict:
        order = self._orders.get(intent.client_order_id)
        if order is None or order.strategy != slot.id or self._trading is None:
            return Verdict(VerdictCode.UNKNOWN_ORDER, f"no order {intent.client_order_id} of this strategy")
        verdict = self._trading.desk.cancel(order)
        if verdict.accepted:
            self._trading.desk.leave(order)
        return verdict

    def _cancel_all(self, slot: Slot, intent: CancelAll) -> Verdict:
        self._desires.forget(slot.id, intent.symbol)
        self._keep_flat(slot, intent.symbol)
        orders = list(self._orders.of(slot.id, intent.symbol))
        self._cancel(orders)
        return ACCEPTED if orders else NO_CHANGE

    def _want_quotes(self, slot: Slot, wanted: Quotes) -> Verdict:
        """Takes over the levels that the gate lets pass; a level it refuses is left out, and names the verdict."""
        standing = [one for one in self._orders.of(slot.id, wanted.symbol) if one.origin is Origin.QUOTE]
        refusals: list[Verdict] = []
        bids = self._allowed(slot, wanted, Side.BUY, wanted.bids, standing, refusals)
        asks = self._allowed(slot, wanted, Side.SELL, wanted.asks, standing, refusals)
        allowed = attrs.evolve(wanted, bids=bids, asks=asks)
        key = (slot.id, wanted.symbol)
        if allowed == self._desires.quotes(key) and not refusals:
            return NO_CHANGE
        if wanted.symbol in slot.trader.symbols:
            self._desires.want(slot.id, allowed)
        return refusals[0] if refusals else ACCEPTED

    def _allowed(
        self, slot: Slot, wanted: Quotes, side: Side, quotes: tuple[Quote, ...], standing: list[Order], refusals: list[Verdict]
    ) -> tuple[Quote, ...]:
        facts = self._facts(wanted.symbol)
        kept: list[Quote] = []
        beside = ZERO
        for quote in quotes:
            place = Place(
                symbol=wanted.symbol,
                side=side,
                quantity=quote.quantity,
                price=quote.price,
                time_in_force=TimeInForce.GTX if wanted.post_only else TimeInForce.GTC,
                position_side=wanted.position_side,
            )
            verdict = self._gate.check(slot.trader, place, facts, replaces=standing, beside=beside, sending=False)
            if verdict.accepted:
                kept.append(quote)
                beside += quote.quantity
            else:
                refusals.append(verdict)
        return tuple(kept)

    def _want_target(self, slot: Slot, wanted: Target) -> Verdict:
        if wanted.symbol not in slot.trader.symbols:
            return Verdict(VerdictCode.SYMBOL_NOT_ALLOWED, f"{wanted.symbol} is not among the symbols of strategy {slot.id}")
        if wanted.symbol not in self._gate.instruments:
            return Verdict(VerdictCode.UNKNOWN_SYMBOL, f"the venue does not list {wanted.symbol}")
        if slot.halted is not None and not _nearer_zero(slot.trader.account.net(wanted.symbol), wanted.position):
            return self._gate.halts[slot.id]
        limit = slot.trader.budget.max_position
        if limit is not None and abs(wanted.position) > limit:
            text = f"a position of {trimmed(wanted.position)} in {wanted.symbol}, {trimmed(limit)} is allowed"
            return Verdict(VerdictCode.POSITION, text, abs(wanted.position), limit)
        if wanted == self._desires.target((slot.id, wanted.symbol)):
            return NO_CHANGE
        self._desires.want(slot.id, wanted)
        return ACCEPTED

    # -- keeping wishes true ------------------------------------------------------------------------------------------

    def _compare_due(self) -> None:
        due = self._desires.take_due()
        for key in sorted(due, key=self._distance, reverse=True) if len(due) > 1 else due:
            if self._trading is None:
                continue
            if self._desires.patient(key, self._ctx.now_ms):
                continue  # the pause ends with a wake-up of its own
            verdict = self._compare(key, self._trading)
            if not verdict.accepted:
                self._hold_back(key, verdict)

    def _distance(self, key: DesireKey) -> Decimal:
        """How much money the world is away from a wish: the furthest comes first, should the limits not do for all."""
        position = self._slots.get(key[0]).trader.account.net(key[1])
        off = distance(self._desires.quotes(key), self._desires.target(key), self._orders.of(*key), position)
        return off * self._gate.marks.get(key[1], ZERO)

    def _compare(self, key: DesireKey, trading: Trading) -> Verdict:
        slot, symbol = self._slots.get(key[0]), key[1]
        facts = self._facts(symbol)
        orders = list(self._orders.of(slot.id, symbol))
        before = self._evidence.tally.sent
        verdict = ACCEPTED
        quotes, target = self._desires.quotes(key), self._desires.target(key)
        if quotes is not None:
            operations = plan_quotes(quotes, [one for one in orders if one.origin is Origin.QUOTE])
            verdict = trading.desk.perform(slot.trader, operations, Origin.QUOTE, facts)
        instrument = self._gate.instruments.get(symbol)
        if target is not None and instrument is not None:
            # While fills are still to be told, the position is not what it seems.
            # Nothing else of it may be alive while its position is brought to zero.
            mine = [one for one in orders if slot.flattening or one.origin is Origin.TARGET]
            mine += self._orders.owing(slot.id, symbol)
            account, best = slot.trader.account, (facts.best_bid, facts.best_ask)
            if self._gate.hedge:
                sides = [account.position(symbol, side).quantity for side in (PositionSide.LONG, PositionSide.SHORT)]
                operations = plan_hedged_target(target, sides[0], sides[1], mine, *best, instrument)
            else:
                position = account.net(symbol)
                reducible = self._reducible(symbol, position) if slot.flattening else ZERO
                operations = plan_target(target, position, mine, *best, instrument, reduce_only_to=reducible)
            reached = trading.desk.perform(slot.trader, operations, Origin.TARGET, facts)
            verdict = verdict if not verdict.accepted else reached
        slot.orders += self._evidence.tally.sent - before
        return verdict

    def _reducible(self, symbol: str, position: Decimal) -> Decimal:
        """How much of a strategy's position the venue sees as one: strategies that hold against each other cancel out there."""
        net = sum((slot.trader.account.net(symbol) for slot in self._slots.all), ZERO)
        return abs(net) if net * position > 0 else ZERO

    def _hold_back(self, key: DesireKey, verdict: Verdict) -> None:
        """What is wanted has to wait."""
        held_back = self._slots.get(key[0]).held_back
        level = Level.DEBUG if verdict.code.value in held_back else Level.INFO
        held_back[verdict.code.value] += 1
        self._ctx.log(level, f"{key[0]}: what it wants in {key[1]} waits: {verdict.code}: {verdict.text}")
        self._pause(key, by_venue=False)

    def _pause(self, key: DesireKey, *, by_venue: bool) -> None:
        if self._desires.quotes(key) is None and self._desires.target(key) is None:
            return
        after_ms = self._desires.refused(key, self._ctx.now_ms, by_venue=by_venue)
        self._ctx.wake(f"settle:{key[0]}:{key[1]}", after_ms)

    def cancel_everything(self) -> None:
        """Cancels every order that is or may be alive."""
        self._cancel(self._orders.live)

    def _cancel(self, orders: Iterable[Order]) -> None:
        """These orders shall go, at once or as soon as the order side can see to it."""
        if self._trading is not None:
            for order in list(orders):
                self._trading.desk.leave(order)

    # -- the moment ---------------------------------------------------------------------------------------------------

    def _facts(self, symbol: str) -> Facts:
        one = self._market.book(symbol)
        book = self._market.synced_book(symbol)
        trading = self._trading
        return Facts(
            now_ms=self._ctx.now_ns // NS_PER_MS,
            mark=self._gate.marks.get(symbol),
            best_bid=book.best(Side.BUY) if book else None,
            best_ask=book.best(Side.SELL) if book else None,
            book_state=one.sync.state if one else BookState.BUFFERING,
            book_age_ms=self._market.book_age_ms(symbol),
            order_link_up=trading is not None and trading.session.ready,
            user_stream_up=trading is not None and trading.reports_complete,
        )

    def check_losses(self) -> None:
        """Latches whoever has lost more than allowed: their wishes lapse, one strategy's or with the gate everybody's."""
        for slot in newly_latched(self._ctx, self._slots.all, self._gate):
            if slot is None:
                self._forget()
            elif not slot.muted:
                self._desires.forget(strategy=slot.id)


def _nearer_zero(position: Decimal, target: Decimal) -> bool:
    """Whether a target asks for no more than what is there, on the same side."""
    return target == 0 or (target * position > 0 and abs(target) <= abs(position))
