"""What strategies want to be true (`Quotes`, `Target`): judged when it is said, then compared with the world until it is true.

A desired state is compared after everything that concerns it: a fill, an end, an amendment that came to nothing, a market that
moved. What is furthest off comes first, should the limits not do for all. What is refused waits a little longer each time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.operations import Operation
from coldframe.core.reconciliation.order_side import OrderSide
from coldframe.core.risk.pre_trade import RiskInputs, check
from coldframe.core.risk.quote_side import QuoteSide, passes, well_formed
from coldframe.core.risk.reducing import account_decides, account_position
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.exposures import Replaced
from coldframe.core.state.orders import Order, Origin
from coldframe.core.strategies.desired_store import LONGEST_PAUSE_MS, DesiredKey, DesiredStore
from coldframe.core.strategies.planner import Held, distance, plan_hedged_target, plan_quotes, plan_target, target_order
from coldframe.core.strategies.runtime import StrategyRuntime, StrategyRuntimes
from coldframe.enums import PositionSide, Side, TimeInForce
from coldframe.model.effects import Level
from coldframe.model.events import PositionCause, PositionChanged
from coldframe.model.instruments import Instrument
from coldframe.model.intents import ACCEPTED, NO_CHANGE, Place, Quote, Quotes, Target, Verdict, VerdictCode
from coldframe.units import ZERO, trimmed


@attrs.frozen
class _Judged:
    """Quotes of which every level was let pass, and the contract whose rules they keep."""

    wanted: Quotes
    instrument: Instrument
    quote_sides: tuple[QuoteSide, ...]

    def holds_for(self, wanted: Quotes, state: EngineState) -> bool:
        """Whether the levels need not be looked at one by one again: they and the contract are the same."""
        return state.instruments.get(wanted.symbol) is self.instrument and wanted == self.wanted


class DesiredState:
    """The desired states of all strategies. `facts` tells what pre-trade risk has to know about the moment in a symbol."""

    def __init__(
        self,
        state: EngineState,
        ctx: StepContext,
        runtimes: StrategyRuntimes,
        trading: OrderSide | None,
        facts: Callable[[str], RiskInputs],
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._runtimes = runtimes
        self._orders = state.orders
        self._trading = trading
        self._facts = facts
        self.store = DesiredStore()
        self._judged: dict[DesiredKey, _Judged] = {}
        #: Why a target is not reached although nothing is under way, as it was said.
        self._stuck: dict[DesiredKey, str] = {}
        #: Which other orders take what a desired state would close, as it was said.
        self._no_room: dict[DesiredKey, str] = {}

    # -- judging them -------------------------------------------------------------------------------------------------

    def want_quotes(self, runtime: StrategyRuntime, wanted: Quotes) -> Verdict:
        """Takes over the levels that pre-trade risk lets pass; a level it refuses is left out, and names the verdict."""
        if wanted.symbol not in runtime.account.symbols:
            return Verdict(VerdictCode.SYMBOL_NOT_ALLOWED, f"{wanted.symbol} is not among the symbols of strategy {runtime.id}")
        key, standing = (runtime.id, wanted.symbol), self.store.quotes((runtime.id, wanted.symbol))
        known = self._judged.get(key)
        if known is not None and known.holds_for(wanted, self._state):
            wanted = known.wanted  # the very object that was taken over: not compared with what stands once more
            quote_sides: tuple[QuoteSide, ...] | None = known.quote_sides
        else:
            quote_sides = self._quote_sides(runtime, wanted)
        facts, replaces = self._facts(wanted.symbol), self._orders.replacing_quotes(*key)
        refusals: list[Verdict] = []
        if quote_sides is None or not all(
            passes(self._state, runtime.account, quote_side, facts, replaces) for quote_side in quote_sides
        ):
            wanted = self._allowed(runtime, wanted, facts, replaces, refusals)
        elif wanted is not standing:
            self._judged[key] = _Judged(wanted, self._state.instruments[wanted.symbol], quote_sides)
        if (wanted is standing or wanted == standing) and not refusals:
            return NO_CHANGE
        self.store.want(runtime.id, wanted)
        return refusals[0] if refusals else ACCEPTED

    def _quote_sides(self, runtime: StrategyRuntime, wanted: Quotes) -> tuple[QuoteSide, ...] | None:
        """The sides that have levels; None where a level does not keep the rules of its contract."""
        facts = self._facts(wanted.symbol)
        sides = (_orders_of(wanted, Side.BUY, wanted.bids), _orders_of(wanted, Side.SELL, wanted.asks))
        quote_sides = [well_formed(self._state, runtime.account, places, facts) for places in sides if places]
        found = tuple(quote_side for quote_side in quote_sides if quote_side is not None)
        return found if found and len(found) == len(quote_sides) else None

    def _allowed(
        self, runtime: StrategyRuntime, wanted: Quotes, facts: RiskInputs, replaces: Replaced, refusals: list[Verdict]
    ) -> Quotes:
        """The levels that pass one by one, each beside those before it on its side."""
        kept: list[tuple[Quote, ...]] = []
        for side, quotes in ((Side.BUY, wanted.bids), (Side.SELL, wanted.asks)):
            levels, beside = [], ZERO
            for quote, place in zip(quotes, _orders_of(wanted, side, quotes), strict=True):
                verdict = check(self._state, runtime.account, place, facts, replaces=replaces, beside=beside, sending=False)
                if verdict.accepted:
                    levels.append(quote)
                    beside += quote.quantity
                else:
                    refusals.append(verdict)
            kept.append(tuple(levels))
        return attrs.evolve(wanted, bids=kept[0], asks=kept[1])

    def want_target(self, runtime: StrategyRuntime, wanted: Target) -> Verdict:
        if wanted.symbol not in runtime.account.symbols:
            return Verdict(VerdictCode.SYMBOL_NOT_ALLOWED, f"{wanted.symbol} is not among the symbols of strategy {runtime.id}")
        if wanted.symbol not in self._state.instruments:
            return Verdict(VerdictCode.UNKNOWN_SYMBOL, f"the venue does not list {wanted.symbol}")
        if runtime.halted is not None and not _nearer_zero(runtime.account.holdings.net(wanted.symbol), wanted.position):
            return self._halted(runtime)
        limit = self._state.scaled(runtime.account.budget.max_position)
        if limit is not None and abs(wanted.position) > limit:
            text = f"a position of {trimmed(wanted.position)} in {wanted.symbol} is wanted"
            text = f"{text}, {runtime.account.setting('max_position')} allows {trimmed(limit)}{self._state.scale_note()}"
            return Verdict(VerdictCode.POSITION, text, abs(wanted.position), limit)
        if wanted == self.store.target((runtime.id, wanted.symbol)):
            return NO_CHANGE
        self.store.want(runtime.id, wanted)
        return ACCEPTED

    def _halted(self, runtime: StrategyRuntime) -> Verdict:
        """What an order of a halted strategy is refused with."""
        held = self._state.trading.by_kill_switch(runtime.id)
        assert held is not None
        return held.verdict

    def taken_away(self, runtime: StrategyRuntime, event: PositionChanged) -> None:
        """Others have changed a strategy's position: a target that would open again what they have closed lapses.

        What was closed by hand, or by the venue, is opened again only if the strategy asks for it anew: a bot fights no person.
        """
        key = (runtime.id, event.symbol)
        target, now = self.store.target(key), runtime.account.holdings.net(event.symbol)
        taken = abs(event.position) < abs(event.position - event.quantity) and event.cause is not PositionCause.OWN_AFTER_ALL
        if target is None or not taken or _nearer_zero(now, target.position):
            return
        self.store.drop_target(key)
        text = f"{runtime.id}: its target of {trimmed(target.position)} in {event.symbol} lapses: {trimmed(now)} is left"
        self._ctx.log(Level.WARNING, f"{text} ({event.cause}); a new target counts")

    # -- keeping them true ------------------------------------------------------------------------------------------

    def compare_due(self) -> None:
        """Compares every desired state that something has happened to, and does what follows."""
        due = self.store.take_due()
        for key in sorted(due, key=self._distance, reverse=True) if len(due) > 1 else due:
            if self._trading is None:
                continue
            if self.store.patient(key, self._ctx.now_ms):
                continue  # the pause ends with a wake-up of its own
            verdict = self._compare(key, self._trading)
            if verdict.code is VerdictCode.NO_ROOM:
                self._await_room(key, verdict)
                continue
            self._no_room.pop(key, None)
            if not verdict.accepted:
                self._hold_back(key, verdict)

    def _distance(self, key: DesiredKey) -> Decimal:
        """How much money the world is away from a desired state: the furthest comes first, should the limits not do for all."""
        position = self._runtimes.get(key[0]).account.holdings.net(key[1])
        off = distance(self.store.quotes(key), self.store.target(key), self._orders.of(*key), position)
        return off * self._state.mark_prices.get(key[1], ZERO)

    def _compare(self, key: DesiredKey, trading: OrderSide) -> Verdict:
        runtime, symbol = self._runtimes.get(key[0]), key[1]
        facts = attrs.evolve(self._facts(symbol), urgent=runtime.flattening)
        orders = list(self._orders.of(runtime.id, symbol))
        before = self._state.tally.sent
        verdict = ACCEPTED
        quotes, target = self.store.quotes(key), self.store.target(key)
        if quotes is not None:
            operations = plan_quotes(quotes, list(self._orders.quotes(*key)), trading.executor.amending.replaces)
            verdict = trading.executor.perform(runtime.account, operations, Origin.QUOTE, facts)
        instrument = self._state.instruments.get(symbol)
        if target is not None and instrument is not None:
            # While fills are still to be told, the position is not what it seems.
            # Nothing else of it may be alive while its position is brought to zero.
            mine = [order for order in orders if runtime.flattening or order.origin is Origin.TARGET]
            mine += self._orders.owing(runtime.id, symbol)
            operations = self._plan(runtime, target, mine, facts, instrument)
            reached = trading.executor.perform(runtime.account, operations, Origin.TARGET, facts)
            verdict = verdict if not verdict.accepted else reached
        runtime.ordered(self._state.tally.sent - before)
        return verdict

    def _plan(
        self, runtime: StrategyRuntime, target: Target, mine: list[Order], facts: RiskInputs, instrument: Instrument
    ) -> list[Operation]:
        """What has to be done for a target; that nothing can be done, though it is not reached, is said once."""
        best, symbol = (facts.best_bid, facts.best_ask), target.symbol
        if self._state.hedge:
            sides = [self._held(runtime, symbol, side) for side in (PositionSide.LONG, PositionSide.SHORT)]
            operations = plan_hedged_target(target, sides[0], sides[1], mine, *best, instrument)
        else:
            sides = [self._held(runtime, symbol, PositionSide.BOTH)]
            operations = plan_target(target, sides[0], mine, *best, instrument)
        nothing = not operations and not mine
        orders = [target_order(target, held, *best, instrument) for held in sides] if nothing else []
        self._log_once(runtime, symbol, next((text for text in orders if isinstance(text, str) and text), ""))
        return operations

    def _held(self, runtime: StrategyRuntime, symbol: str, side: PositionSide) -> Held:
        key = (symbol, side)
        return Held(
            own=runtime.account.holdings.position(symbol, side).quantity,
            account=account_position(self._state, key),
            account_decides=account_decides(self._state, key),
            only_reduce=runtime.flattening,
            side=side,
        )

    def _log_once(self, runtime: StrategyRuntime, symbol: str, why_not: str) -> None:
        """Why a target is not reached although nothing is under way, whenever that is another reason."""
        key = (runtime.id, symbol)
        if why_not and self._stuck.get(key) != why_not:
            level = Level.WARNING if runtime.flattening else Level.INFO
            self._ctx.log(level, f"{runtime.id}: what it wants in {symbol} cannot be sent: {why_not}")
        self._stuck[key] = why_not

    def _hold_back(self, key: DesiredKey, verdict: Verdict) -> None:
        """What is wanted has to wait."""
        runtime = self._runtimes.get(key[0])
        level = Level.INFO if runtime.waited(verdict.code.value) else Level.DEBUG
        strained = runtime.strain.met(verdict, self._ctx.now_ms)
        if strained:
            self._ctx.log(Level.WARNING, f"strategy {runtime.id} {strained}")
        self._ctx.log(level, f"{key[0]}: what it wants in {key[1]} waits: {verdict.code}: {verdict.text}")
        self.pause(key, by_venue=False)

    def _await_room(self, key: DesiredKey, verdict: Verdict) -> None:
        """Only a change at the venue lets this part come true: said once, and looked at now and then. All else goes on."""
        if self._no_room.get(key) != verdict.text:
            self._no_room[key] = verdict.text
            level = Level.WARNING if self._runtimes.get(key[0]).flattening else Level.INFO
            self._ctx.log(level, f"{key[0]}: what it wants in {key[1]} waits: {verdict.code}: {verdict.text}")
        self._ctx.wake(f"settle:{key[0]}:{key[1]}", LONGEST_PAUSE_MS)

    def pause(self, key: DesiredKey, *, by_venue: bool) -> None:
        """What was refused is not tried again at once."""
        if self.store.quotes(key) is None and self.store.target(key) is None:
            return
        after_ms = self.store.refused(key, self._ctx.now_ms, by_venue=by_venue)
        self._ctx.wake(f"settle:{key[0]}:{key[1]}", after_ms)


def _orders_of(wanted: Quotes, side: Side, quotes: Iterable[Quote]) -> list[Place]:
    """The orders that the levels of a side would be."""
    return [
        Place(
            symbol=wanted.symbol,
            side=side,
            quantity=quote.quantity,
            price=quote.price,
            time_in_force=TimeInForce.GTX if wanted.post_only else TimeInForce.GTC,
            position_side=wanted.position_side,
        )
        for quote in quotes
    ]


def _nearer_zero(position: Decimal, target: Decimal) -> bool:
    """Whether a target asks for no more than what is there, on the same side."""
    return target == 0 or (target * position > 0 and abs(target) <= abs(position))
