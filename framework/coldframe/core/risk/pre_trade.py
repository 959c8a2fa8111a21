"""The gate between what a strategy wants and what is sent: every order passes here, or comes back as a coded refusal.

Exposure is counted at its worst: every order that is or may be alive is taken as filled. While a book is stale, the fate of an
order unknown, or the user stream or the order link down, no new risk passes; what only reduces a position, and every cancel, does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.risk.conditional_rules import MOST_CONDITIONAL, broken_rule, compared_prices, fault_of_type, worth_of
from coldframe.core.risk.leverage_brackets import Cap
from coldframe.core.risk.limits import Budget, RiskLimits
from coldframe.core.risk.reducing import Reducing
from coldframe.core.risk.self_trade import SelfCross, crossed
from coldframe.core.state.asset_values import Prices
from coldframe.core.state.external import Others
from coldframe.core.state.loss_limits import Losses
from coldframe.core.state.orders import Order, Orders
from coldframe.core.state.positions import StrategyPositions
from coldframe.core.state.rolling_count import Rate
from coldframe.core.state.trading_state import TradingState
from coldframe.enums import PositionSide, SelfTradePrevention, Side, TimeInForce
from coldframe.model.events import BookState
from coldframe.model.instruments import Instrument, Instruments
from coldframe.model.intents import ACCEPTED, Place, Verdict, VerdictCode
from coldframe.units import ZERO, plain, trimmed

_RATE_WINDOW_MS: Final = 10_000


@attrs.frozen(kw_only=True)
class RiskInputs:
    """What the gate has to know about the moment."""

    now_ms: int
    mark: Decimal | None
    best_bid: Decimal | None
    best_ask: Decimal | None
    book_state: BookState
    book_age_ms: int
    order_link_up: bool
    user_stream_up: bool
    #: A strategy is ending or being brought to zero: what only reduces passes the strategy's rates, and the share that the
    #: venue's limits keep back.
    urgent: bool = False


@attrs.define(eq=False)
class StrategyAccount:
    """A strategy as the gate sees it: what it may do, what it has, and how often it has ordered lately."""

    id: str
    symbols: frozenset[str]
    budget: Budget
    account: StrategyPositions = attrs.field(factory=StrategyPositions)
    #: Orders, amendments and cancels of the last ten seconds.
    messages: Rate = attrs.field(factory=lambda: Rate(_RATE_WINDOW_MS))
    rejects: Rate = attrs.field(factory=lambda: Rate(_RATE_WINDOW_MS))
    losses: Losses = attrs.field(factory=Losses)
    _ordered_ms: deque[int] = attrs.field(factory=deque)
    #: The orders placed lately, each with the time of the last one of its kind.
    _placed_ms: dict[Place, int] = attrs.field(factory=dict)

    def __attrs_post_init__(self) -> None:
        self.losses = Losses(self.budget.max_loss, self.budget.max_drawdown)

    def placed(self, place: Place, now_ms: int, within_ms: int) -> None:
        """Remembers an order that goes out, as long as another one like it would be a double."""
        self._placed_ms = {one: at for one, at in self._placed_ms.items() if now_ms - at < within_ms}
        self._placed_ms[place] = now_ms

    def since_placed_ms(self, place: Place, now_ms: int) -> int | None:
        """How long ago the very same order went out; None if it did not."""
        at_ms = self._placed_ms.get(place)
        return None if at_ms is None else now_ms - at_ms

    def orders_in_window(self, now_ms: int) -> int:
        """How many orders and amendments it sent in the last ten seconds."""
        while self._ordered_ms and self._ordered_ms[0] <= now_ms - _RATE_WINDOW_MS:
            self._ordered_ms.popleft()
        return len(self._ordered_ms)

    def ordered(self, now_ms: int) -> None:
        self._ordered_ms.append(now_ms)


class PreTradeRisk:
    """All pre-trade checks, cheapest and most telling first."""

    def __init__(
        self,
        limits: RiskLimits,
        instruments: Instruments,
        orders: Orders,
        traders: Mapping[str, StrategyAccount],
        hedge: bool = False,
    ) -> None:
        self.limits = limits
        #: Whether the account holds a long and a short position side by side.
        self.hedge = hedge
        self.instruments = instruments
        self._orders = orders
        self.traders = traders
        self.marks: dict[str, Decimal] = {}
        #: What money in any asset is worth; `coldframe.core.reconciliation.asset_prices` keeps it.
        self.prices = Prices(self.marks)
        #: A limit that was hit and stays hit until the run is over: every order that adds risk is refused with it.
        self.latched: Verdict | None = None
        self.losses = Losses(limits.max_loss, limits.max_drawdown, period=limits.losses_count)
        #: What strategies of earlier runs have left that are not part of this bot: it counts into the account's losses.
        self.retired: Mapping[str, StrategyPositions] = {}
        self.latches = TradingState()
        #: The part of the limits on orders and positions that may be used; see `coldframe.core.strategies.first_minutes`.
        self.scale = Decimal(1)
        self.reducing = Reducing(traders, orders, self.latches, hedge=hedge)
        self.messages = Rate(_RATE_WINDOW_MS)
        #: The largest notional of a position at the leverage set, where that is known.
        self.caps: Mapping[str, Cap] = {}
        for trader in traders.values():
            trader.rejects = Rate(limits.rejects_within_ms)
            trader.losses.period = limits.losses_count
        #: Halted strategies, and what their orders that add risk are refused with.
        self.halts: dict[str, Verdict] = {}
        #: Why the journal cannot be written; empty while it can.
        self.journal_fault = ""

    @property
    def others(self) -> Others | None:
        """External positions: they count into what the account may do."""
        return self.reducing.others

    @others.setter
    def others(self, others: Others) -> None:
        self.reducing.others = others

    def check(
        self,
        trader: StrategyAccount,
        place: Place,
        facts: RiskInputs,
        *,
        replaces: Collection[Order] = (),
        beside: Decimal = ZERO,
        sending: bool = True,
    ) -> Verdict:
        """Whether this order may be sent now.

        `replaces` are orders that would make way for it (the one it amends, the quotes it succeeds), `beside` is the quantity
        wanted on the same side together with it. A wish that is only judged, not sent, need not fit the order rate.
        """
        instrument = self.instruments.get(place.symbol)
        refusal = _check_symbol(trader, place, instrument) or _check_form(place) or self._check_side(trader, place)
        if refusal is not None:
            return refusal
        assert instrument is not None
        reduces = self.reducing.reduces(trader, place, replaces, beside)
        if not reduces and trader.id in self.halts:
            return self.halts[trader.id]
        if place.closing and not reduces:
            return Verdict(VerdictCode.POSITION, self.reducing.why_not(trader, place, replaces, beside))
        broken = broken_rule(instrument.filters, place, facts.mark)
        if broken is not None:
            return Verdict(VerdictCode.FILTER, broken.text, broken.value, broken.limit)
        checks = (
            self._check_freshness(place, facts, reduces)
            or self._check_price(place, facts)
            or (None if not sending or (facts.urgent and reduces) else self._check_rates(trader, facts))
            or (None if replaces else self._check_open_orders(trader, place, instrument))
        )
        if checks is None and reduces and place.type.conditional:
            checks = self._check_position(trader, place, replaces, beside)
        elif checks is None and not reduces:
            checks = (
                self.latched
                or self.latches.against(trader.id, place.symbol, facts.now_ms)
                or self._check_exposure(trader, place, facts, replaces, beside)
            )
        if checks is None and sending and (replaces or not reduces):
            # An amendment cannot carry a self-trade prevention of its own, so there what reduces is no exception.
            checks = self._check_crossing(trader, place)
        return checks or ACCEPTED

    # -- what goes out, and what comes back of it ---------------------------------------------------------------------

    def double(self, trader: StrategyAccount, place: Place, now_ms: int) -> Verdict | None:
        """Whether the strategy has just placed the very same order (faults.md O29)."""
        allowed = self.limits.duplicate_ms
        since_ms = trader.since_placed_ms(place, now_ms) if allowed else None
        if since_ms is None or since_ms >= allowed:
            return None
        text = f"the very same order went out {since_ms} ms ago, {allowed} ms have to lie between"
        return Verdict(VerdictCode.DUPLICATE, text, Decimal(since_ms), Decimal(allowed))

    def placed(self, trader: StrategyAccount, place: Place, now_ms: int) -> None:
        """An order goes out."""
        trader.placed(place, now_ms, self.limits.duplicate_ms)
        if not self.reducing.reduces(trader, place):
            self.latches.probe(place.symbol, now_ms)

    def messaged(self, strategy: str, now_ms: int) -> None:
        """An order, an amendment or a cancel goes out: cancels count, and are never refused for it."""
        self.messages.add(now_ms)
        if strategy in self.traders:
            self.traders[strategy].messages.add(now_ms)

    def rejected(self, strategy: str, now_ms: int) -> Verdict | None:
        """The venue has refused an order. Returns the verdict when that was one too many: no new risk until `resume`."""
        trader, allowed = self.traders[strategy], self.limits.max_rejects
        trader.rejects.add(now_ms)
        count = trader.rejects.used(now_ms)
        if allowed is None or count <= allowed:
            return None
        text = f"strategy {strategy}: {count} orders rejected in {self.limits.rejects_within_ms} ms, {allowed} are allowed"
        verdict = Verdict(VerdictCode.REJECTS, text, Decimal(count), Decimal(allowed))
        return verdict if self.latches.halt_strategy(strategy, verdict) else None

    def resume(self, venue_ms: int, strategy: str | None = None) -> None:
        """Opens what is latched: of one strategy, or everything. Losses are counted from here on."""
        for trader in self.traders.values():
            if strategy in (None, trader.id):
                self.latches.resume(strategy=trader.id)
                trader.losses.resume(venue_ms)
                trader.rejects.clear()
        if strategy is None:
            self.latches.resume()
            self.losses.resume(venue_ms)
            self.latched = None

    def prevention(self, trader: StrategyAccount, place: Place) -> SelfTradePrevention | None:
        """The venue's self-trade prevention that an order goes out with; None: the strategy's own, or the account's.

        What only reduces is let through although it crosses: then the resting order gives way.
        """
        chosen = self.limits.self_cross.prevention
        if chosen is None and crossed(trader.id, place, self._orders.live) is not None:
            chosen = SelfTradePrevention.EXPIRE_MAKER
        return chosen

    def as_sent(self, trader: StrategyAccount, place: Place) -> Place:
        """An order as it goes out: reduce-only where it must not do more, with the self-trade prevention that holds for it."""
        prevention = self.prevention(trader, place) or place.self_trade_prevention
        reduce_only = place.reduce_only or self.reducing.seals(trader, place)
        return attrs.evolve(place, self_trade_prevention=prevention, reduce_only=reduce_only)

    def _check_crossing(self, trader: StrategyAccount, place: Place) -> Verdict | None:
        if self.limits.self_cross is not SelfCross.REFUSE:
            return None
        order = crossed(trader.id, place, self._orders.live)
        if order is None:
            return None
        text = f"would trade with {order.side} {plain(order.remaining)} of strategy {order.strategy} ({order.client_order_id})"
        return Verdict(VerdictCode.SELF_CROSS, text, place.price, order.price)

    def _check_side(self, trader: StrategyAccount, place: Place) -> Verdict | None:
        """Whether the order fits the account's position mode (-4061), and touches no position but the strategy's own."""
        if self.hedge is (place.position_side is PositionSide.BOTH):
            mode, wanted = ("hedge", "LONG or SHORT") if self.hedge else ("one-way", "BOTH")
            return Verdict(VerdictCode.POSITION_SIDE, f"position side {place.position_side}: {mode} mode needs {wanted}")
        if place.reduce_only and self.hedge and not place.position_side.closed_by(place.side):
            return Verdict(VerdictCode.POSITION_SIDE, f"reduce-only, but {place.side} of {place.position_side} opens")
        others = [account.id for account in self.traders.values() if account is not trader and place.symbol in account.symbols]
        if place.close_position and others:
            text = f"close_position would close what others hold in {place.symbol} as well ({', '.join(others)}): name a quantity"
            return Verdict(VerdictCode.POSITION, text)
        return None

    def _check_freshness(self, place: Place, facts: RiskInputs, reduces: bool) -> Verdict | None:
        if not facts.order_link_up:
            return Verdict(VerdictCode.ORDER_LINK_DOWN, "the order link is down")
        if reduces:
            return None
        if self.journal_fault:
            return Verdict(VerdictCode.HALTED, f"the journal cannot be written: {self.journal_fault}")
        if not facts.user_stream_up:
            return Verdict(VerdictCode.STALE_USER_STREAM, "the user-data stream is down, or not reconciled yet")
        doubtful = self._orders.doubtful_in(place.symbol)
        if doubtful:
            text = f"{doubtful} of the orders in {place.symbol} are of unknown fate: no new risk there until they are resolved"
            return Verdict(VerdictCode.HALTED, text, Decimal(doubtful), ZERO)
        if facts.book_state is not BookState.SYNCED:
            return Verdict(VerdictCode.STALE_BOOK, f"the book of {place.symbol} is {facts.book_state}")
        if facts.book_age_ms > self.limits.stale_book_ms:
            age, limit = Decimal(facts.book_age_ms), Decimal(self.limits.stale_book_ms)
            text = f"the book of {place.symbol} is {age} ms old, {limit} ms are allowed"
            return Verdict(VerdictCode.STALE_BOOK, text, age, limit)
        return None

    def _check_price(self, place: Place, facts: RiskInputs) -> Verdict | None:
        """The collar against the mark price: catches a price with a digit too many before it costs money."""
        collar = self.limits.price_collar_pct
        if collar is None or (place.price, place.trigger_price, place.activate_price) == (None, None, None):
            return None
        if facts.mark is None:
            return Verdict(VerdictCode.NO_MARK_PRICE, f"no mark price of {place.symbol} yet to check the price against")
        middle = (facts.best_bid + facts.best_ask) / 2 if facts.best_bid and facts.best_ask else None
        compared = list(compared_prices(place, facts.mark))
        compared += (
            [("price", place.price, "middle of the book", middle)] if place.price and not place.trigger_price and middle else []
        )
        for name, price, what, reference in compared:
            away = abs(price - reference) * 100 / reference
            if away > collar:
                text = f"{name} {plain(price)} is {away:.2f} % from the {what} {plain(reference)}, {trimmed(collar)} % are allowed"
                return Verdict(VerdictCode.PRICE_COLLAR, text, away, collar)
        return None

    def _check_rates(self, trader: StrategyAccount, facts: RiskInputs) -> Verdict | None:
        return self._check_rate(trader, facts) or self._check_messages(trader, facts)

    @staticmethod
    def _check_rate(trader: StrategyAccount, facts: RiskInputs) -> Verdict | None:
        allowed = trader.budget.orders_per_10s
        if allowed is None or trader.orders_in_window(facts.now_ms) < allowed:
            return None
        used = trader.orders_in_window(facts.now_ms)
        return Verdict(VerdictCode.ORDER_RATE, f"{used} orders in 10 s, {allowed} are allowed", Decimal(used + 1), Decimal(allowed))

    def _check_messages(self, trader: StrategyAccount, facts: RiskInputs) -> Verdict | None:
        rates = ((trader.messages, trader.budget.messages_per_10s), (self.messages, self.limits.messages_per_10s))
        for rate, allowed in rates:
            used = rate.used(facts.now_ms)
            if allowed is not None and used >= allowed:
                text = f"{used} messages in 10 s, {allowed} are allowed"
                return Verdict(VerdictCode.MESSAGE_RATE, text, Decimal(used + 1), Decimal(allowed))
        return None

    def _check_open_orders(self, trader: StrategyAccount, place: Place, instrument: Instrument) -> Verdict | None:
        own = sum(1 for _ in self._orders.of(trader.id))
        most_own = trader.budget.max_open_orders
        if most_own is not None and own >= most_own:
            text = f"{own} orders of strategy {trader.id} are open, {most_own} are allowed"
            return Verdict(VerdictCode.OPEN_ORDERS, text, Decimal(own + 1), Decimal(most_own))
        total = sum(1 for _ in self._orders.live)
        allowed = self.limits.max_open_orders
        if allowed is not None and total >= allowed:
            text = f"{total} orders are open, {allowed} are allowed"
            return Verdict(VerdictCode.OPEN_ORDERS, text, Decimal(total + 1), Decimal(allowed))
        waiting = sum(1 for order in self._orders.live if order.untriggered)
        if place.type.conditional and waiting >= MOST_CONDITIONAL:
            text = f"{waiting} conditional orders are open, the venue allows {MOST_CONDITIONAL}"
            return Verdict(VerdictCode.OPEN_ORDERS, text, Decimal(waiting + 1), Decimal(MOST_CONDITIONAL))
        here = sum(1 for order in self._orders.live if order.symbol == place.symbol)
        most = instrument.filters.max_orders
        if most and here >= most:
            text = f"{here} orders are open in {place.symbol}, the venue allows {most}"
            return Verdict(VerdictCode.OPEN_ORDERS, text, Decimal(here + 1), Decimal(most))
        return None

    def _check_exposure(
        self, trader: StrategyAccount, place: Place, facts: RiskInputs, replaces: Collection[Order], beside: Decimal
    ) -> Verdict | None:
        price = worth_of(place, facts.mark) or (facts.best_ask if place.side is Side.BUY else facts.best_bid)
        if price is None:
            return Verdict(VerdictCode.NO_MARK_PRICE, f"no price of {place.symbol} yet to value the order at")
        return (
            self._over(VerdictCode.ORDER_NOTIONAL, "order notional", place.quantity * price, self.limits.max_order_notional)
            or self._check_position(trader, place, replaces, beside)
            or self._check_notional(trader, (place.quantity + beside) * price, replaces)
            or self._check_bracket(place, price, replaces, beside)
        )

    def _check_position(
        self, trader: StrategyAccount, place: Place, replaces: Collection[Order], beside: Decimal
    ) -> Verdict | None:
        """The largest position that could come about if this order and all live ones of its side were filled.

        Reduce-only orders do their part as well: they may trade first, up to the end of the position, and the others beyond it. An
        order that is one of them is judged by what the others could do beyond it: by itself it makes nothing larger. Where others
        hold the account's position as well, the venue lets them trade beyond the end of this one: then an order that opens one
        counts them whole.
        """
        net = trader.account.position(place.symbol, place.position_side).quantity
        most = max(-place.side.sign * net, ZERO)
        others = list(self.reducing.beside(trader, place, replaces))
        closers = [most if other.close_position else other.exposure for other in others if other.closing]
        adding = sum((other.exposure for other in others if not other.closing), beside)
        if place.closing:
            reducing = min(sum(closers, most if place.close_position else place.quantity), most)
            worst = max(reducing + adding - most, ZERO)
        else:
            reducing = sum(closers, ZERO)
            if place.quantity <= most or not self.reducing.shared(place.symbol):
                reducing = min(reducing, most)
            worst = abs(net + place.side.sign * (reducing + adding + place.quantity))
        return self._over(VerdictCode.POSITION, f"position in {place.symbol} at worst", worst, trader.budget.max_position)

    def _check_notional(self, trader: StrategyAccount, added: Decimal, replaces: Collection[Order]) -> Verdict | None:
        own = self._worst_notional(trader, replaces) + added
        refusal = self._over(VerdictCode.STRATEGY_NOTIONAL, "notional of the strategy at worst", own, trader.budget.max_notional)
        if refusal is not None or self.limits.max_gross_notional is None:
            return refusal
        gross = sum((self._worst_notional(trader, replaces) for trader in self.traders.values()), ZERO) + added
        gross += self.others.notional(self.marks) if self.others is not None else ZERO
        return self._over(VerdictCode.GROSS_NOTIONAL, "gross notional at worst", gross, self.limits.max_gross_notional)

    def scaled(self, limit: Decimal | None) -> Decimal | None:
        """How much of a limit on orders or positions may be used now."""
        return None if limit is None else limit * self.scale

    def _over(self, code: VerdictCode, what: str, value: Decimal, limit: Decimal | None) -> Verdict | None:
        verdict = _over(code, what, value, self.scaled(limit))
        if verdict is None or self.scale == 1:
            return verdict
        return attrs.evolve(verdict, text=f"{verdict.text} in the first minutes of a run (risk.first_minutes)")

    def _check_bracket(self, place: Place, price: Decimal, replaces: Collection[Order], beside: Decimal) -> Verdict | None:
        """The account's position at worst, all strategies and nobody's together, against the venue's bracket."""
        cap = self.caps.get(place.symbol)
        if cap is None:
            return None
        external = self.others.account.net(place.symbol) if self.others is not None else ZERO
        net = sum((trader.account.net(place.symbol) for trader in self.traders.values()), external)
        adding = place.quantity + beside
        for trader in self.traders.values():
            others = self.reducing.beside(trader, place, replaces)
            adding += sum((other.exposure for other in others if not other.reduce_only), ZERO)
        worst = abs(net + place.side.sign * adding) * price
        return _over(VerdictCode.BRACKET, f"notional in {place.symbol} at leverage {cap.leverage}", worst, cap.notional)

    def _worst_notional(self, trader: StrategyAccount, replaces: Collection[Order]) -> Decimal:
        """Positions at the mark price, and every order that may still add to one at its own price."""
        total = trader.account.notional(self.marks)
        for order in self._orders.exposed(trader.id):
            if order not in replaces and not order.closing:
                mark = self.marks.get(order.symbol, ZERO) if order.price is None else ZERO
                total += order.exposure * max(order.worst_price or ZERO, mark)
        return total


def _over(code: VerdictCode, what: str, value: Decimal, limit: Decimal | None) -> Verdict | None:
    if limit is None or value <= limit:
        return None
    return Verdict(code, f"{what} would be {trimmed(value)}, {trimmed(limit)} are allowed", value, limit)


def _check_symbol(trader: StrategyAccount, place: Place, instrument: Instrument | None) -> Verdict | None:
    if place.symbol not in trader.symbols:
        return Verdict(VerdictCode.SYMBOL_NOT_ALLOWED, f"{place.symbol} is not among the symbols of strategy {trader.id}")
    if instrument is None:
        return Verdict(VerdictCode.UNKNOWN_SYMBOL, f"the venue does not list {place.symbol}")
    if not instrument.trading:
        return Verdict(VerdictCode.NOT_TRADING, f"{place.symbol} is {instrument.status}")
    if instrument.order_types and place.type not in instrument.order_types:
        return Verdict(VerdictCode.ORDER_TYPE, f"the venue takes no {place.type} orders in {place.symbol}")
    return None


def _check_form(place: Place) -> Verdict | None:
    """Whether the order is one at all; numbers that are none (NaN) end here."""
    for number in (place.quantity, place.price, place.trigger_price, place.activate_price, place.callback_rate):
        if number is not None and not (isinstance(number, Decimal) and number.is_finite()):
            return Verdict(VerdictCode.MALFORMED, f"{number!r} is no finite Decimal")
    wrong = fault_of_type(place)
    if wrong is not None:
        return Verdict(VerdictCode.MALFORMED, wrong)
    if place.time_in_force is TimeInForce.GTD and place.good_till_ms is None:
        return Verdict(VerdictCode.MALFORMED, "a GTD order needs good_till_ms")
    return None
