"""Pre-trade risk, between what a strategy wants and what is sent: every order passes here, or comes back as a coded refusal.

It is a tuple of functions over the state, cheapest and most telling first; none of them changes anything. Exposure is counted at
its worst: every order that is or may be alive is taken as filled. While new risk is suspended (`coldframe.core.risk.suspended`)
none passes; what only reduces a position, and every cancel, does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.risk import suspended
from coldframe.core.risk.conditional_rules import MOST_CONDITIONAL, broken_rule, compared_prices, fault_of_type, worth_of
from coldframe.core.risk.reducing import others_of, reduces, seals, shared, side_key, why_not
from coldframe.core.risk.self_trade import crossed, crosses
from coldframe.core.risk.suspended import RiskInputs as RiskInputs
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.exposures import Replaced
from coldframe.core.state.limits import SelfCross
from coldframe.core.state.order import PASSING
from coldframe.core.state.orders import Order
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.enums import OrderType, PositionSide, SelfTradePrevention, Side, TimeInForce
from coldframe.model.intents import ACCEPTED, Place, Verdict, VerdictCode
from coldframe.units import ZERO, plain, trimmed


@attrs.frozen
class ProposedOrder:
    """An order that may go out, or what an order would become.

    `replaces` are orders that would make way for it (the one it amends, the quotes it succeeds), `beside` is the quantity wanted on
    the same side together with it. A desired state that is only judged, not sent, need not fit the order rate.
    """

    account: StrategyAccount
    place: Place
    replaces: Replaced
    beside: Decimal = ZERO
    sending: bool = True
    #: Whether it can only bring a position nearer to zero.
    reduces: bool = False


#: Returns why an order may not go out; None when nothing of its kind stands against it.
Check = Callable[[EngineState, RiskInputs, ProposedOrder], Verdict | None]


def check(
    state: EngineState,
    account: StrategyAccount,
    place: Place,
    now: RiskInputs,
    *,
    replaces: Replaced | Iterable[Order] = (),
    beside: Decimal = ZERO,
    sending: bool = True,
) -> Verdict:
    """Whether this order may be sent now; see `ProposedOrder`."""
    replaced = replaces if isinstance(replaces, Replaced) else state.orders.replacing(replaces)
    order = ProposedOrder(account, place, replaced, beside, sending)
    for well_formed in FORM:
        refusal = well_formed(state, now, order)
        if refusal is not None:
            return refusal
    order = ProposedOrder(account, place, replaced, beside, sending, reduces(state, account, place, replaced, beside))
    for allowed in CHECKS:
        refusal = allowed(state, now, order)
        if refusal is not None:
            return refusal
    return ACCEPTED


# -- whether it is an order that this strategy may place ----------------------------------------------------------------


def symbol_and_type(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """The contract is the strategy's, listed and trading, and takes orders of this type."""
    place = order.place
    if place.symbol not in order.account.symbols:
        return Verdict(VerdictCode.SYMBOL_NOT_ALLOWED, f"{place.symbol} is not among the symbols of strategy {order.account.id}")
    closed = suspended.not_trading(state, now, order.account.id, place.symbol)
    if closed is not None:
        return closed.verdict
    order_types = state.instruments[place.symbol].order_types
    if order_types and place.type not in order_types:
        return Verdict(VerdictCode.ORDER_TYPE, f"the venue takes no {place.type} orders in {place.symbol}")
    return None


def numbers_and_fields(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """Whether the order is well formed; malformed numbers (NaN) end here."""
    place = order.place
    for number in (place.quantity, place.price, place.trigger_price, place.activate_price, place.callback_rate):
        if number is not None and not (isinstance(number, Decimal) and number.is_finite()):
            return Verdict(VerdictCode.MALFORMED, f"{number!r} is not a finite Decimal")
    wrong = fault_of_type(place)
    if wrong is not None:
        return Verdict(VerdictCode.MALFORMED, wrong)
    if place.time_in_force is TimeInForce.GTD and place.good_till_ms is None:
        return Verdict(VerdictCode.MALFORMED, "a GTD order needs good_till_ms")
    return None


def position_side(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """Whether the order fits the account's position mode (-4061), and touches no position but the strategy's own."""
    place = order.place
    if state.hedge is (place.position_side is PositionSide.BOTH):
        mode, wanted = ("hedge", "LONG or SHORT") if state.hedge else ("one-way", "BOTH")
        return Verdict(VerdictCode.POSITION_SIDE, f"position side {place.position_side}: {mode} mode needs {wanted}")
    if place.reduce_only and state.hedge and not place.position_side.closed_by(place.side):
        return Verdict(VerdictCode.POSITION_SIDE, f"reduce-only, but {place.side} of {place.position_side} opens")
    if place.close_position:
        others = [other.id for other in state.accounts.values() if other is not order.account and place.symbol in other.symbols]
        if others:
            holders = ", ".join(others)
            text = f"close_position would close what others hold in {place.symbol} as well ({holders}): name a quantity"
            return Verdict(VerdictCode.POSITION, text)
    return None


# -- whether it may go out now ------------------------------------------------------------------------------------------


def _new_risk(reason: suspended.Reason) -> Check:
    """The check that an order which adds risk meets a reason with."""

    def against(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
        found = None if order.reduces else reason(state, now, order.account.id, order.place.symbol)
        return None if found is None else found.verdict

    return against


def something_to_reduce(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """What shall only reduce has a position to reduce."""
    if order.reduces or not order.place.closing:
        return None
    return Verdict(VerdictCode.POSITION, why_not(state, order.account, order.place, order.replaces, order.beside))


def symbol_rules(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """The filters of the contract."""
    broken = broken_rule(state.instruments[order.place.symbol].filters, order.place, now.mark)
    return None if broken is None else Verdict(VerdictCode.FILTER, broken.text, broken.value, broken.limit)


def order_link(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """The link that it would go over is up."""
    down = suspended.order_link_down(state, now, order.account.id, order.place.symbol)
    return None if down is None else down.verdict


def price_collar(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """The collar against the mark price: catches a price with a digit too many before it costs money."""
    collar, place = state.limits.price_collar_pct, order.place
    if collar is None or (place.price, place.trigger_price, place.activate_price) == (None, None, None):
        return None
    if now.mark is None:
        return Verdict(VerdictCode.NO_MARK_PRICE, f"no mark price of {place.symbol} yet to check the price against")
    middle = (now.best_bid + now.best_ask) / 2 if now.best_bid and now.best_ask else None
    compared = list(compared_prices(place, now.mark))
    if place.price and not place.trigger_price and middle:
        compared.append(("price", place.price, "middle of the book", middle))
    for name, price, what, reference in compared:
        away = abs(price - reference) * 100 / reference
        if away > collar:
            text = f"{name} {plain(price)} is {away:.2f} % from the {what} {plain(reference)}"
            text = f"{text}, risk.price_collar_pct allows {trimmed(collar)} %"
            return Verdict(VerdictCode.PRICE_COLLAR, text, away, collar)
    return None


def order_rate(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """How many orders and amendments the strategy may send."""
    allowed = order.account.budget.orders_per_10s
    if allowed is None or not _paced(now, order) or order.account.orders_in_window(now.now_ms) < allowed:
        return None
    wanted = order.account.orders_in_window(now.now_ms) + 1
    text = f"{wanted} orders in 10 s would go out, {order.account.setting('orders_per_10s')} allows {allowed}"
    return Verdict(VerdictCode.ORDER_RATE, text, Decimal(wanted), Decimal(allowed))


def message_rate(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """How many messages the strategy, and all of them together, may send."""
    rates = (
        (order.account.setting("messages_per_10s"), order.account.messages, order.account.budget.messages_per_10s),
        ("risk.messages_per_10s", state.messages, state.limits.messages_per_10s),
    )
    for setting, rate, allowed in rates if _paced(now, order) else ():
        used = rate.used(now.now_ms)
        if allowed is not None and used >= allowed:
            text = f"{used + 1} messages in 10 s would go out, {setting} allows {allowed}"
            return Verdict(VerdictCode.MESSAGE_RATE, text, Decimal(used + 1), Decimal(allowed))
    return None


def _paced(now: RiskInputs, order: ProposedOrder) -> bool:
    """Whether the rates of the configuration hold for it."""
    return order.sending and not (now.urgent and order.reduces)


def open_orders(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """How many orders may be open: of the strategy, in all, conditional ones, in the contract."""
    place, account, live = order.place, order.account, state.orders.live
    if order.replaces:
        return None
    own = len(live.of(account.id))
    most_own = account.budget.max_open_orders
    if most_own is not None and own >= most_own:
        return _too_many(own + 1, most_own, "orders", account.setting("max_open_orders"))
    total = len(live)
    allowed = state.limits.max_open_orders
    if allowed is not None and total >= allowed:
        return _too_many(total + 1, allowed, "orders", "risk.max_open_orders")
    waiting = state.orders.exposures.untriggered
    if place.type.conditional and waiting >= MOST_CONDITIONAL:
        return _too_many(waiting + 1, MOST_CONDITIONAL, "conditional orders", "the venue")
    here = len(live.within(place.symbol))
    most = state.instruments[place.symbol].filters.max_orders
    if most and here >= most:
        return _too_many(here + 1, most, f"orders in {place.symbol}", "the venue")
    return None


def _too_many(count: int, allowed: int, what: str, setting: str) -> Verdict:
    text = f"{count} {what} would be open, {setting} allows {allowed}"
    return Verdict(VerdictCode.OPEN_ORDERS, text, Decimal(count), Decimal(allowed))


def own_orders(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """It would trade with no order of another own strategy.

    An amendment cannot carry a self-trade prevention of its own, so there orders that reduce are checked as well.
    """
    place = order.place
    if state.limits.self_cross is not SelfCross.REFUSE or not order.sending or (order.reduces and not order.replaces):
        return None
    other = crossed(order.account.id, place, state.orders)
    if other is None:
        return None
    priced, resting = ["any price" if price is None else plain(price) for price in (place.price, other.price)]
    text = f"{place.side} at {priced} would trade with {other.side} {plain(other.remaining)} at {resting}"
    text = f"{text} of strategy {other.strategy} ({other.client_order_id}): risk.self_cross refuses that"
    return Verdict(VerdictCode.SELF_CROSS, text, place.price, other.price)


# -- what could come of it at worst -------------------------------------------------------------------------------------


def exposure(state: EngineState, now: RiskInputs, order: ProposedOrder) -> Verdict | None:
    """What the order, and what it adds to, would come to at worst; of what only reduces, a conditional order's position."""
    place = order.place
    if order.reduces:
        return _position(state, order) if place.type.conditional else None
    price = worth_of(place, now.mark) or (now.best_ask if place.side is Side.BUY else now.best_bid)
    if price is None:
        return Verdict(VerdictCode.NO_MARK_PRICE, f"no price of {place.symbol} yet to value the order at")
    notional, most = place.quantity * price, state.limits.max_order_notional
    return (
        _over(state, VerdictCode.ORDER_NOTIONAL, "order notional", notional, most, "risk.max_order_notional")
        or _position(state, order)
        or _notional(state, order, price)
        or _bracket(state, order, price)
    )


def _position(state: EngineState, order: ProposedOrder) -> Verdict | None:
    """The largest position that could come about if this order and all live ones of its side were filled.

    Reduce-only orders do their part as well: they may trade first, up to the end of the position, and the others beyond it. An
    order that is one of them is judged by what the others could do beyond it: by itself it makes nothing larger. Where others
    hold the account's position as well, the venue lets them trade beyond the end of this one, all that one move of the price
    triggers: there they count whole. Only an exit that takes at once counts no more of them than the largest, because what it
    leaves behind is cancelled; the position may have become smaller since that one was placed. So it does one in doubt: it may
    have traded, untold, before what has closed the position since.
    """
    account, place = order.account, order.place
    net = account.holdings.position(place.symbol, place.position_side).quantity
    most = max(-place.side.sign * net, ZERO)
    others = others_of(account, place, order.replaces)
    closing, adding = others.sized + others.whole * most, others.adding + order.beside
    others_hold = shared(state, place.symbol)
    if place.closing:
        reducing = closing + (most if place.close_position else place.quantity)
        worst = max((reducing if others_hold else min(reducing, most)) + adding - most, ZERO)
    else:
        reducing = closing
        if not others_hold:
            reducing = max(min(reducing, most), others.doubted)
        elif place.quantity <= most and _takes_at_once(place):
            reducing = max(min(reducing, most), others.doubted, state.orders.exposures.largest_closer(side_key(account, place)))
        worst = abs(net + place.side.sign * (reducing + adding + place.quantity))
    what = f"position in {place.symbol} at worst"
    return _over(state, VerdictCode.POSITION, what, worst, account.budget.max_position, account.setting("max_position"))


def _takes_at_once(place: Place) -> bool:
    """Whether an order trades when it arrives or not at all."""
    return place.type is OrderType.MARKET or (not place.type.conditional and place.time_in_force in PASSING)


def _notional(state: EngineState, order: ProposedOrder, price: Decimal) -> Verdict | None:
    account, added = order.account, (order.place.quantity + order.beside) * price
    own = worst_notional(state, account, order.replaces) + added
    what = "notional of the strategy at worst"
    refusal = _over(state, VerdictCode.STRATEGY_NOTIONAL, what, own, account.budget.max_notional, account.setting("max_notional"))
    if refusal is not None or state.limits.max_gross_notional is None:
        return refusal
    gross = gross_notional(state, order.replaces) + added
    what, setting = "gross notional at worst", "risk.max_gross_notional"
    return _over(state, VerdictCode.GROSS_NOTIONAL, what, gross, state.limits.max_gross_notional, setting)


def worst_notional(state: EngineState, account: StrategyAccount, replaces: Replaced) -> Decimal:
    """Positions at the mark price, and every order that may still add to one at its own price."""
    return account.holdings.notional(state.mark_prices) + replaces.worth_of_others(account.id, state.mark_prices)


def gross_notional(state: EngineState, replaces: Replaced) -> Decimal:
    """The same of all strategies, with what is external."""
    ours = sum((worst_notional(state, account, replaces) for account in state.accounts.values()), ZERO)
    return ours + state.external.notional(state.mark_prices)


def _bracket(state: EngineState, order: ProposedOrder, price: Decimal) -> Verdict | None:
    """The account's position at worst, all strategies and what is external together, against the venue's bracket."""
    place = order.place
    cap = state.caps.get(place.symbol)
    if cap is None:
        return None
    external = state.external.account.net(place.symbol)
    net = sum((account.holdings.net(place.symbol) for account in state.accounts.values()), external)
    adding = place.quantity + order.beside
    for account in state.accounts.values():
        adding += others_of(account, place, order.replaces).unreduced
    worst = abs(net + place.side.sign * adding) * price
    what = f"notional in {place.symbol} at worst"
    return _over_limit(VerdictCode.BRACKET, what, worst, cap.notional, f"the venue's bracket at leverage {cap.leverage}")


def _over(state: EngineState, code: VerdictCode, what: str, value: Decimal, limit: Decimal | None, setting: str) -> Verdict | None:
    verdict = _over_limit(code, what, value, state.scaled(limit), setting)
    return None if verdict is None else attrs.evolve(verdict, text=f"{verdict.text}{state.scale_note()}")


def _over_limit(code: VerdictCode, what: str, value: Decimal, limit: Decimal | None, setting: str) -> Verdict | None:
    if limit is None or value <= limit:
        return None
    return Verdict(code, f"{what} would be {trimmed(value)}, {setting} allows {trimmed(limit)}", value, limit)


#: Whether it is an order at all; only then can be said whether it reduces a position.
FORM: Final[tuple[Check, ...]] = (symbol_and_type, numbers_and_fields, position_side)
#: Whether it may go out now, in the order in which refusals count.
CHECKS: Final[tuple[Check, ...]] = (
    _new_risk(suspended.kill_switch),
    something_to_reduce,
    symbol_rules,
    order_link,
    _new_risk(suspended.journal),
    _new_risk(suspended.user_stream_down),
    _new_risk(suspended.unknown_orders),
    _new_risk(suspended.stale_book),
    price_collar,
    order_rate,
    message_rate,
    open_orders,
    _new_risk(suspended.standing),
    exposure,
    own_orders,
)


# -- as it goes out -----------------------------------------------------------------------------------------------------


def duplicate(state: EngineState, account: StrategyAccount, place: Place, now_ms: int) -> Verdict | None:
    """Whether the strategy has just placed the very same order (faults.md O29)."""
    allowed = state.limits.duplicate_ms
    since_ms = account.since_placed_ms(place, now_ms) if allowed else None
    if since_ms is None or since_ms >= allowed:
        return None
    text = f"the very same order went out {since_ms} ms ago, risk.duplicate_ms wants {allowed} ms between"
    return Verdict(VerdictCode.DUPLICATE, text, Decimal(since_ms), Decimal(allowed))


def prevention(state: EngineState, account: StrategyAccount, place: Place) -> SelfTradePrevention | None:
    """The venue's self-trade prevention that an order goes out with; None: the strategy's own, or the account's.

    What only reduces is let through although it crosses: then the resting order gives way.
    """
    chosen = state.limits.self_cross.prevention
    if chosen is None and crosses(account.id, place, state.orders):
        chosen = SelfTradePrevention.EXPIRE_MAKER
    return chosen


def as_sent(state: EngineState, account: StrategyAccount, place: Place) -> Place:
    """An order as it goes out: reduce-only where it must not do more, with the self-trade prevention that holds for it."""
    chosen = prevention(state, account, place) or place.self_trade_prevention
    reduce_only = place.reduce_only or seals(state, account, place)
    return attrs.evolve(place, self_trade_prevention=chosen, reduce_only=reduce_only)
