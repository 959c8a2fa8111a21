"""Why new risk is not taken in this moment: what was suspended, and what follows from links, books, orders and contracts now.

One set of functions answers for pre-trade risk, which refuses with the first reason that it finds, and for a strategy that asks
`view.trading_allowed`: so both say the same.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.trading_state import Cause, Scope, Suspension, TradingState
from coldframe.model.events import BookState
from coldframe.model.intents import Verdict, VerdictCode
from coldframe.units import ZERO


@attrs.frozen(kw_only=True)
class RiskInputs:
    """What pre-trade risk has to know about the moment in a symbol."""

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


#: A reason against new risk of a strategy in a symbol at a moment; None when there is none of its kind.
Reason = Callable[[EngineState, RiskInputs, str, str], Suspension | None]


def order_link_down(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """No order can be sent at all."""
    if now.order_link_up:
        return None
    return Suspension(Scope(), Cause.ORDER_LINK, Verdict(VerdictCode.ORDER_LINK_DOWN, "the order link is down"), now.now_ms)


def not_trading(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """The contract takes no orders: it is settling, closed, or not listed."""
    instrument = state.instruments.get(symbol)
    if instrument is not None and instrument.trading:
        return None
    if instrument is None:
        verdict = Verdict(VerdictCode.UNKNOWN_SYMBOL, f"the venue does not list {symbol}")
    else:
        verdict = Verdict(VerdictCode.NOT_TRADING, f"{symbol} is {instrument.status}")
    return Suspension(Scope(symbol=symbol), Cause.CONTRACT, verdict, now.now_ms)


def kill_switch(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """A person has halted the strategy, or all of them."""
    return state.trading.by_kill_switch(strategy)


def journal(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """What leaves cannot be written down."""
    return state.trading.by_journal()


def user_stream_down(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """What the venue says about our orders does not reach us, or has not been compared yet."""
    if now.user_stream_up:
        return None
    verdict = Verdict(VerdictCode.STALE_USER_STREAM, "the user-data stream is down, or not reconciled yet")
    return Suspension(Scope(), Cause.USER_STREAM, verdict, now.now_ms)


def unknown_orders(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """It is not known whether the venue has some of the orders in the symbol."""
    doubtful = state.orders.doubtful_in(symbol)
    if not doubtful:
        return None
    text = f"{doubtful} of the orders in {symbol} are of unknown fate: no new risk there until they are resolved"
    verdict = Verdict(VerdictCode.HALTED, text, Decimal(doubtful), ZERO)
    return Suspension(Scope(symbol=symbol), Cause.UNKNOWN_ORDERS, verdict, now.now_ms)


def stale_book(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """The book is not known, or too old."""
    allowed = state.limits.stale_book_ms
    if now.book_state is not BookState.SYNCED:
        verdict = Verdict(VerdictCode.STALE_BOOK, f"the book of {symbol} is {now.book_state}")
    elif now.book_age_ms > allowed:
        age, limit = Decimal(now.book_age_ms), Decimal(allowed)
        text = f"the book of {symbol} is {age} ms old, risk.stale_book_ms allows {limit} ms"
        verdict = Verdict(VerdictCode.STALE_BOOK, text, age, limit)
    else:
        return None
    return Suspension(Scope(symbol=symbol), Cause.STALE_BOOK, verdict, now.now_ms)


def standing(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """What has been shut: by losses, rejects, a position that does not add up, account settings, a risk mode of the venue."""
    return state.trading.against(strategy, symbol, now.now_ms)


#: Every reason against new risk, those first that leave nothing to be sent.
REASONS: Final[tuple[Reason, ...]] = (
    order_link_down,
    not_trading,
    kill_switch,
    journal,
    user_stream_down,
    unknown_orders,
    stale_book,
    standing,
)


def suspension(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> Suspension | None:
    """The first reason why a strategy may not take new risk in a symbol; None when there is none."""
    for reason in REASONS:
        found = reason(state, now, strategy, symbol)
        if found is not None:
            return found
    return None


def trading_state(state: EngineState, now: RiskInputs, strategy: str, symbol: str) -> TradingState:
    """What a strategy may send in a symbol now."""
    found = suspension(state, now, strategy, symbol)
    return TradingState.ACTIVE if found is None else found.cause.state
