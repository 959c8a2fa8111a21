"""What only reduces: it passes where new risk is shut, and goes out in a way that no race can make it do more.

Where one strategy alone trades a symbol, an order reduces only if it makes the account's position smaller, and goes out
reduce-only: the account may have changed already. Where several share it, the account cannot be the measure of each: their
positions may stand against each other. There an order reduces if it makes its strategy's own position smaller, as long as all of
them add up to the account's; while they do not, and until a start has compared them, the account decides
(docs/decisions/027-the-account-decides-what-reduces.md).
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import attrs

from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.exposures import Replaced, SideExposure, SideKey
from coldframe.core.state.orders import Order
from coldframe.core.state.positions import PositionKey, named
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.model.intents import Place
from coldframe.units import ZERO, plain


def shared(state: EngineState, symbol: str) -> bool:
    """Whether more than one strategy trades a symbol, or holds a position in it."""
    owners = (owner for owner in state.accounts.values() if symbol in owner.symbols or owner.holdings.net(symbol))
    return sum(1 for _ in owners) > 1


def account_position(state: EngineState, key: PositionKey) -> Decimal:
    """The account's position: what all hold together, or where that is disputed what the venue has said."""
    position_breaks = state.trading.breaks
    if key in position_breaks:
        return position_breaks[key]
    accounts = [*(owner.holdings for owner in state.accounts.values()), state.external.account]
    return sum((account.positions[key].quantity for account in accounts if key in account.positions), ZERO)


def account_decides(state: EngineState, key: PositionKey) -> bool:
    """Whether the account's position decides what reduces: where only one strategy trades, in a dispute, and at first."""
    return key in state.trading.breaks or not shared(state, key[0]) or not state.compared


def reducible(state: EngineState, owner: StrategyAccount, key: PositionKey) -> Decimal:
    """How much of a strategy's position orders may close, so that they only reduce."""
    held = owner.holdings.positions.get(key)
    own = held.quantity if held is not None else ZERO
    if not own or not account_decides(state, key):
        return abs(own)
    account = account_position(state, key)
    return min(abs(own), abs(account)) if own * account > 0 else ZERO


def left_over(state: EngineState, order: Order) -> bool:
    """Whether an order was to close a position that its strategy does not have any more.

    Where the strategy is alone the venue ends such an order. Where others hold on the same side, the venue would let it close
    theirs, and turn over the strategy's own position.
    """
    key, owner = (order.symbol, order.position_side), state.accounts.get(order.strategy)
    if owner is None or not order.closing or account_decides(state, key):
        return False
    held = owner.holdings.positions.get(key)
    return held is None or held.quantity * order.side.sign >= 0


def reduces(
    state: EngineState, owner: StrategyAccount, place: Place, replaces: Replaced | None = None, wanted_beside: Decimal = ZERO
) -> bool:
    """Whether an order can only bring a position nearer to zero as it goes out; the rest as in `coldframe.core.risk.pre_trade`."""
    replaces = state.orders.replacing() if replaces is None else replaces
    return _reduces(state, owner, place, replaces, wanted_beside) or (not replaces and seals(state, owner, place, wanted_beside))


def seals(state: EngineState, owner: StrategyAccount, place: Place, wanted_beside: Decimal = ZERO) -> bool:
    """Whether an order has to go out reduce-only though it does not say so."""
    decides = account_decides(state, (place.symbol, place.position_side))
    if state.hedge or place.closing or not decides:
        return False
    return _reduces(state, owner, attrs.evolve(place, reduce_only=True), state.orders.replacing(), wanted_beside)


def _reduces(state: EngineState, owner: StrategyAccount, place: Place, replaces: Replaced, wanted_beside: Decimal) -> bool:
    key = (place.symbol, place.position_side)
    held = owner.holdings.positions.get(key)
    if held is None or held.quantity * place.side.sign >= 0:
        return False
    return _counted(owner, place, replaces) + wanted_beside + place.quantity <= reducible(state, owner, key)


def why_not(state: EngineState, owner: StrategyAccount, place: Place, replaces: Replaced, wanted_beside: Decimal) -> str:
    """Why an order that could only reduce does not: there is nothing to reduce, or what there is, other orders close."""
    key = (place.symbol, place.position_side)
    held, account = owner.holdings.positions.get(key), account_position(state, key)
    own = held.quantity if held is not None else ZERO
    closing = wanted_beside + (ZERO if own * place.side.sign >= 0 else _counted(owner, place, replaces))
    room = reducible(state, owner, key)
    if room and closing and place.quantity <= room:
        others = (other for other in beside(state, owner, place, replaces) if not _exclusive(place, other))
        orders = [f"{other.side} {plain(other.exposure)} ({other.client_order_id})" for other in others]
        beside_it = ", ".join([*orders, *([f"{plain(wanted_beside)} of the same quotes"] if wanted_beside else [])])
        text = f"{place.side} {plain(place.quantity)} and {beside_it} together would more than close"
        return f"{text} the {plain(own)} {named(key)} of strategy {owner.id}: cancel what is in the way"
    text = f"strategy {owner.id} holds {plain(own)}, the account {plain(account)} {named(key)}"
    return f"reduce-only, but no such position is there to reduce: {text}"


def _counted(owner: StrategyAccount, place: Place, replaces: Replaced) -> Decimal:
    """What the strategy's other orders on the side of this one may do, but for those that are exclusive with it."""
    others = others_of(owner, place, replaces)
    if not place.closing:
        return others.adding + others.closing
    return ZERO if place.type.conditional else others.adding + others.closing - others.triggerable


def others_of(owner: StrategyAccount, place: Place, replaces: Replaced) -> SideExposure:
    """The sums of a strategy's orders on the side of an order, but for those that make way for it."""
    return replaces.others(side_key(owner, place))


def side_key(owner: StrategyAccount, place: Place) -> SideKey:
    """What an order would add up with."""
    return owner.id, place.symbol, place.position_side, place.side


def beside(state: EngineState, owner: StrategyAccount, place: Place, replaces: Replaced) -> Iterator[Order]:
    """The orders of those sums, one by one."""
    for other in state.orders.exposed(owner.id, place.symbol):
        if other.side is place.side and other.position_side is place.position_side and other not in replaces:
            yield other


def _exclusive(place: Place, other: Order) -> bool:
    """Whether the other order need not be counted beside this one: the venue lets both only reduce, one of them at its trigger.

    A stop and a take-profit over the same position, and the order that closes it before either, do not add up.
    """
    return place.closing and (place.type.conditional or (other.untriggered and other.closing))
