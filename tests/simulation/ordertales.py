"""What became of each order, by the exchange's own books, in the words of the bot; and what its strategy was told."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from coldframe.core.engine import Engine
from coldframe.core.state.journal_codec import fold
from coldframe.enums import AlgoStatus, OrderStatus
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.model.events import OrderChanged, OrderFilled, StrategyEvent
from coldframe.model.journal import Row
from coldframe.model.orders import OrderState
from coldframe.units import ZERO
from tests.core.state.test_journal_codec import state, state_of

_ORDERS: Final = {
    OrderStatus.NEW: OrderState.ACCEPTED,
    OrderStatus.PARTIALLY_FILLED: OrderState.PARTIALLY_FILLED,
    OrderStatus.FILLED: OrderState.FILLED,
    OrderStatus.CANCELED: OrderState.CANCELED,
    OrderStatus.EXPIRED: OrderState.EXPIRED,
    OrderStatus.EXPIRED_IN_MATCH: OrderState.EXPIRED,
}
_UNTRIGGERED: Final = {
    AlgoStatus.NEW: OrderState.UNTRIGGERED,
    AlgoStatus.CANCELED: OrderState.CANCELED,
    AlgoStatus.EXPIRED: OrderState.EXPIRED,
    AlgoStatus.REJECTED: OrderState.REJECTED,
}
_NEVER_THERE: Final = (OrderState.NEVER_ACCEPTED, OrderState.DENIED)


def different_ends(books: AccountBooks, engine: Engine) -> Iterator[str]:
    """The orders that have come to another end at the exchange than here. The bot may have forgotten what ended long ago."""
    theirs = {algo.client_id: (_UNTRIGGERED[algo.status], ZERO) for algo in books.algos.values() if algo.order_id is None}
    theirs |= {order.client_id: (_ORDERS[order.status], order.filled) for order in books.orders.values()}
    for name, (ended, filled) in theirs.items():
        known = engine.orders.get(name)
        if known is not None and (known.state, known.filled) != (ended, filled):
            yield f"{name} is {ended} at the exchange with {filled} filled, and {known.state} with {known.filled} here"


def different_tales(books: AccountBooks, told: Sequence[StrategyEvent]) -> Iterator[str]:
    """What a strategy was told amiss of its orders, in a world without a restart: of fills, and of conditional orders."""
    fills = sum(isinstance(event, OrderFilled) for event in told)
    if fills != len(books.trades):
        yield f"{fills} fills were told, and there were {len(books.trades)}"
    lives: dict[str, list[str]] = {}
    for event in told:
        if isinstance(event, OrderChanged):
            lives.setdefault(event.client_order_id, []).append(event.state)
    algos = {algo.client_id: algo for algo in books.algos.values()}
    for name, states in lives.items():
        if states[-1] in _NEVER_THERE and (name in algos or any(order.client_id == name for order in books.orders.values())):
            yield f"{name} was at the exchange, and is told as {states[-1]}"
        if name in algos and _told_twice(states):
            yield f"{name} was told twice: {', '.join(states)}"
        if (OrderState.TRIGGERED in states) != (name in algos and algos[name].order_id is not None):
            yield f"{name} was told as {', '.join(states)}; the exchange says otherwise of its trigger"


def _told_twice(states: Sequence[str]) -> bool:
    """Whether a state is told again although the order was never in doubt in between."""
    since: set[str] = set()
    for told in states:
        if told in since:
            return True
        since = set() if told in (OrderState.UNKNOWN, OrderState.NEEDS_OPERATOR) else since | {told}
    return False


def differences_of_journal(rows: Sequence[Row], engine: Engine) -> Iterator[str]:
    """What a restart would find otherwise than it is: the journal's rows, folded, against the engine that lives."""
    folded, lives = state(fold(rows)), state_of(engine)
    for part in ("orders", "fills"):  # the journal's bound on ended orders is its own
        folded[part] = {name: folded[part].get(name) for name in lives[part]}
    for found in (folded, lives):
        found["accounts"] = {name: _held(account) for name, account in found["accounts"].items()}
    for part, found in folded.items():
        if found != lives[part]:
            yield f"the journal's {part} are not the engine's: {_first_difference(found, lives[part])}"


def _first_difference(folded: object, lives: object) -> str:
    """The key that differs, of keys within keys, and the value on each side."""
    if isinstance(folded, dict) and isinstance(lives, dict):
        for key in [*folded, *lives]:
            if folded.get(key) != lives.get(key):
                return f"{key}: {_first_difference(folded.get(key), lives.get(key))}"
    return f"{folded} in the journal, {lives} here"


def _held(account: Any) -> object:
    """All of an account but positions that never were: to look at one makes it."""
    positions = {where: position for where, position in account.positions.items() if position.quantity or position.realized}
    return positions, account.fees, account.fee_notional, account.funding, account.fills
