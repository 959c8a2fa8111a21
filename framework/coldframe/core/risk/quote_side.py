"""A whole side of quotes judged at once: what would be said of every level, without asking for each of them.

Most checks say the same of all levels. Those of the price need only its lowest and highest, those of what could come of it at worst
only the sum. What is said here errs on the side of no: where the whole side is not certain to pass, each level is judged by itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.risk.pre_trade import (
    CHECKS,
    FORM,
    ProposedOrder,
    RiskInputs,
    exposure,
    gross_notional,
    numbers_and_fields,
    price_collar,
    symbol_rules,
    worst_notional,
)
from coldframe.core.risk.reducing import others_of, side_key
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.exposures import Replaced
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.model.intents import Place
from coldframe.units import ZERO

#: What says the same of every level, but for its price.
_OF_ALL: Final = (*FORM, *(check for check in CHECKS if check is not exposure))
#: What depends on the price of a level: each of them allows a range of prices.
_OF_PRICES: Final = (symbol_rules, price_collar)


@attrs.frozen
class QuoteSide:
    """The LIMIT orders that the levels of one side would be: all alike, but for price and quantity."""

    places: tuple[Place, ...]
    lowest: Place
    highest: Place
    #: Of all levels together.
    quantity: Decimal
    #: The largest notional of a level.
    notional: Decimal

    @classmethod
    def of(cls, places: Sequence[Place]) -> QuoteSide:
        """The levels of one side, at least one; their numbers are finite (`numbers_and_fields`)."""
        prices = [(place.price or ZERO, place) for place in places]
        lowest, highest = min(prices, key=lambda pair: pair[0]), max(prices, key=lambda pair: pair[0])
        quantity = sum((place.quantity for place in places), ZERO)
        return cls(tuple(places), lowest[1], highest[1], quantity, max(price * place.quantity for price, place in prices))


def well_formed(state: EngineState, account: StrategyAccount, places: Sequence[Place], now: RiskInputs) -> QuoteSide | None:
    """The levels, where each of them by itself keeps the rules of its contract; these change with the contract alone."""
    none = state.orders.replacing()
    for place in places:
        order = ProposedOrder(account, place, none, sending=False)
        if numbers_and_fields(state, now, order) or place.quantity <= 0 or place.symbol not in state.instruments:
            return None
        if symbol_rules(state, now, order):
            return None
    return QuoteSide.of(places)


def passes(state: EngineState, account: StrategyAccount, quote_side: QuoteSide, now: RiskInputs, replaces: Replaced) -> bool:
    """Whether every level is certain to pass beside the others, as an order that opens a position."""
    order = ProposedOrder(account, quote_side.lowest, replaces, sending=False)
    if quote_side.lowest.closing or any(check(state, now, order) is not None for check in _OF_ALL):
        return False
    highest = ProposedOrder(account, quote_side.highest, replaces, sending=False)
    if any(check(state, now, highest) is not None for check in _OF_PRICES):
        return False
    return _position_fits(state, account, quote_side, replaces) and _money_fits(state, account, quote_side, replaces)


def _position_fits(state: EngineState, account: StrategyAccount, quote_side: QuoteSide, replaces: Replaced) -> bool:
    """Against the largest position, whichever way the strategy's own one stands and whatever of the others trades first."""
    most = state.scaled(account.budget.max_position)
    if most is None:
        return True
    held = abs(account.holdings.position(quote_side.lowest.symbol, quote_side.lowest.position_side).quantity)
    others = others_of(account, quote_side.lowest, replaces)
    largest = state.orders.exposures.largest_closer(side_key(account, quote_side.lowest))
    closing = max(others.sized + others.whole * held, others.doubted, largest)
    return held + closing + others.adding + quote_side.quantity <= most


def _money_fits(state: EngineState, account: StrategyAccount, quote_side: QuoteSide, replaces: Replaced) -> bool:
    """Against what limits money, with all levels at the highest price."""
    limits, highest = state.limits, quote_side.highest.price or ZERO
    added = quote_side.quantity * highest
    if not _within(quote_side.notional, state.scaled(limits.max_order_notional)):
        return False
    most = state.scaled(account.budget.max_notional)
    if most is not None and worst_notional(state, account, replaces) + added > most:
        return False
    most = state.scaled(limits.max_gross_notional)
    if most is not None and gross_notional(state, replaces) + added > most:
        return False
    cap = state.caps.get(quote_side.highest.symbol)
    return cap is None or (_held_at_worst(state, quote_side.highest, replaces) + quote_side.quantity) * highest <= cap.notional


def _held_at_worst(state: EngineState, place: Place, replaces: Replaced) -> Decimal:
    """The account's position without its sign, and what the orders of all strategies on this side may add to one."""
    accounts = state.accounts.values()
    net = sum((account.holdings.net(place.symbol) for account in accounts), state.external.account.net(place.symbol))
    return abs(net) + sum((others_of(account, place, replaces).unreduced for account in accounts), ZERO)


def _within(value: Decimal, most: Decimal | None) -> bool:
    return most is None or value <= most
