"""What an order must be before it is accepted: its parameters, the account's mode, the symbol's rules, the account's margin.

The checks stand in the order in which the exchange answers them; each gives the refusal or nothing.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, TypeVar

import attrs
from msgspec import UNSET, UnsetType

from coldframe.enums import ContractStatus, OrderType, PositionSide, PriceMatch, SelfTradePrevention, Side, TimeInForce
from coldframe.exchange.contracts import Contract
from coldframe.exchange.market.symbol_market import SymbolMarket
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.account_store import AccountBooks
from coldframe.exchange.trading.clearing import closes
from coldframe.exchange.trading.entities import Order
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.margin import Exposure, exposure
from coldframe.units import ZERO, unscaled
from coldframe.wire.filters import Violation, check_order
from coldframe.wire.requests import Fault, PlaceOrder

T = TypeVar("T")

#: A GTD order must live at least so long, and end before the year 10000 (text of code -5040).
_GTD_LEAST_MS: Final = 600_000
_GTD_LAST_MS: Final = 253_402_300_799_000
#: Times in force that must never take.
POST_ONLY: Final = frozenset({TimeInForce.GTX, TimeInForce.RPI})
_WITHDRAWN_MATCHES: Final = frozenset({PriceMatch.OPPONENT_10, PriceMatch.OPPONENT_20})
_RANKS: Final = {
    PriceMatch.OPPONENT: 1,
    PriceMatch.OPPONENT_5: 5,
    PriceMatch.QUEUE: 1,
    PriceMatch.QUEUE_5: 5,
    PriceMatch.QUEUE_10: 10,
    PriceMatch.QUEUE_20: 20,
}
#: What an order is told of a contract that does not trade; a halted one cannot be opened.
_STATUS_CODES: Final = {
    ContractStatus.CLOSE: -4141,
    ContractStatus.PENDING_TRADING: -4108,
    ContractStatus.PRE_DELIVERING: -4108,
    ContractStatus.DELIVERING: -4108,
    ContractStatus.DELIVERED: -4108,
    ContractStatus.PRE_SETTLE: -4108,
    ContractStatus.SETTLING: -4108,
}
#: What the venue applies when no mode is sent (protocol.md 2, "order STP default").
DEFAULT_PREVENTION: Final = SelfTradePrevention.EXPIRE_MAKER


@attrs.frozen(kw_only=True)
class OrderRequest:
    """An order as it was asked for, its parameters complete and free of contradiction."""

    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    reduce_only: bool
    client_id: str | None
    price_match: PriceMatch
    prevention: SelfTradePrevention
    good_till_ms: int
    #: The type of the conditional order that this one came from, and what it was triggered by.
    original_type: OrderType | None = None
    stop_price: Decimal = ZERO
    close_position: bool = False

    @property
    def is_market(self) -> bool:
        return self.type is OrderType.MARKET

    @property
    def post_only(self) -> bool:
        return self.time_in_force in POST_ONLY


def given(value: T | UnsetType, default: T) -> T:
    """The value of an optional parameter."""
    return default if isinstance(value, UnsetType) else value


# -- parameters -------------------------------------------------------------------------------------------------------


def order_request_of(request: PlaceOrder, now_ms: int) -> OrderRequest | Fault:
    """The order in a request, or why its parameters make none."""
    fault = _check_kind(request) or _check_price_match(request) or _check_date(request, now_ms)
    if fault:
        return fault
    is_market = request.type is OrderType.MARKET
    good_till = given(request.good_till_date, 0) // 1000 * 1000
    return OrderRequest(
        symbol=request.symbol,
        side=request.side,
        type=request.type,
        time_in_force=TimeInForce.GTC if is_market else given(request.time_in_force, TimeInForce.GTC),
        position_side=given(request.position_side, PositionSide.BOTH),
        quantity=Decimal(given(request.quantity, "0")),
        price=Decimal(given(request.price, "0")),
        reduce_only=given(request.reduce_only, False),
        client_id=given(request.new_client_order_id, "") or None,
        price_match=given(request.price_match, PriceMatch.NONE),
        prevention=given(request.self_trade_prevention_mode, DEFAULT_PREVENTION),
        good_till_ms=good_till,
    )


def _check_kind(request: PlaceOrder) -> Fault | None:
    if request.type.conditional:
        return refuse(-4120)
    if request.type not in (OrderType.LIMIT, OrderType.MARKET):
        return refuse(-1116)
    matched = given(request.price_match, PriceMatch.NONE) is not PriceMatch.NONE
    needed, unwanted = ["timeInForce", "quantity", "price"], list[str]()
    if request.type is OrderType.MARKET:
        needed, unwanted = ["quantity"], ["timeInForce", "price"]
    elif matched:
        needed, unwanted = ["timeInForce", "quantity"], ["price"]
    sent = {"timeInForce": request.time_in_force, "quantity": request.quantity, "price": request.price}
    for name in needed:
        if sent[name] is UNSET:
            return refuse(-1102, name)
    for name in unwanted:
        if sent.get(name, UNSET) is not UNSET:
            return refuse(-1106, name)
    return None


def _check_price_match(request: PlaceOrder) -> Fault | None:
    return check_price_match(given(request.price_match, PriceMatch.NONE), limit=request.type is OrderType.LIMIT)


def check_price_match(match: PriceMatch, *, limit: bool) -> Fault | None:
    """Whether the price may be chosen so: only that of a `limit` order, and no more by the deepest ranks of the other side."""
    if match is PriceMatch.NONE:
        return None
    if not limit:
        return refuse(-5038)
    return refuse(-5037) if match in _WITHDRAWN_MATCHES else None


def _check_date(request: PlaceOrder, now_ms: int) -> Fault | None:
    dated = request.time_in_force is TimeInForce.GTD
    if request.good_till_date is UNSET:
        return refuse(-1102, "goodTillDate") if dated else None
    if not dated:
        return refuse(-1106, "goodTillDate")
    return check_good_till(request.good_till_date, now_ms)


def check_good_till(good_till_ms: int, now_ms: int) -> Fault | None:
    """Whether a GTD order may end then."""
    return None if now_ms + _GTD_LEAST_MS < good_till_ms < _GTD_LAST_MS else refuse(-5040)


# -- the account and the market -----------------------------------------------------------------------------------------


def check_symbol(state: ExchangeState, books: AccountBooks, symbol: str) -> Fault | None:
    """Whether the venue lists the symbol and trades it, and the account may trade it (protocol.md 6.4, 6.5 and 9)."""
    if symbol not in state.markets:
        return refuse(-1121)
    contract = state.contract(symbol)
    if contract.tradfi and not books.account.tradfi_signed:
        return refuse(-4411)
    if contract.trading:
        return None
    return refuse(_STATUS_CODES.get(contract.info.status, -4140))


def check_lives_with_position(books: AccountBooks, order_request: OrderRequest) -> Fault | None:
    """An order that lives with a position (GTE_GTC) needs one that it would close (protocol.md 7.5 and 9)."""
    if order_request.time_in_force is not TimeInForce.GTE_GTC:
        return None
    position = books.account.position(order_request.symbol, order_request.position_side)
    return None if closes(position, order_request.side) else refuse(-4509)


def check_mode(books: AccountBooks, position_side: PositionSide, *, reduce_only_sent: bool) -> Fault | None:
    """Whether position side and reduce-only fit the account's position mode."""
    if books.account.hedge:
        if position_side is PositionSide.BOTH:
            return refuse(-4061)
        return refuse(-1106, "reduceOnly") if reduce_only_sent else None
    return None if position_side is PositionSide.BOTH else refuse(-4061)


def matched_price(market: SymbolMarket, side: Side, match: PriceMatch) -> Decimal | Fault:
    """The price that `priceMatch` chooses: the n-th best of the other side, or of our own."""
    rank = _RANKS[match]
    shown = side.opposite if match.name.startswith("OPPONENT") else side
    levels = market.matching.depth(shown, rank)
    return unscaled(levels[rank - 1][0]) if len(levels) >= rank else refuse(-5041)


def check_rules(market: SymbolMarket, side: Side, quantity: Decimal, price: Decimal | None, *, reduce_only: bool) -> Fault | None:
    """The symbol's filters; `price` None means a market order, which must find a counterparty within PERCENT_PRICE."""
    filters, mark = market.contract.filters, market.public_data.prices.mark
    broken = check_order(filters, side, quantity, price, mark or None, reduce_only=reduce_only)
    if broken:
        return _fault_of(broken)
    best = market.matching.best(side.opposite)
    if price is None and best is not None and mark and filters.check_percent(side, unscaled(best), mark):
        return refuse(-4131)
    return None


def _fault_of(violation: Violation) -> Fault:
    return Fault(violation.code, violation.msg)


def check_count(books: AccountBooks, contract: Contract) -> Fault | None:
    """MAX_NUM_ORDERS: ordinary and conditional orders together."""
    limit = contract.filters.max_orders
    conditional = sum(1 for algo in books.open_algos.values() if algo.symbol == contract.symbol)
    return refuse(-2025) if limit and len(books.of_symbol(contract.symbol)) + conditional >= limit else None


def closable(books: AccountBooks, order_request: OrderRequest, *, instead_of: Order | None = None) -> Decimal | Fault:
    """How much of a closing order may stand: less than asked when the position, or what other orders leave of it, is smaller.

    `instead_of` is the order that this one replaces.
    """
    position = books.account.position(order_request.symbol, order_request.position_side)
    if not closes(position, order_request.side):
        return refuse(-2022)
    resting = sum(
        (
            other.left
            for other in books.of_symbol(order_request.symbol)
            if other is not instead_of
            and other.closing
            and other.side is order_request.side
            and other.position_side is order_request.position_side
        ),
        ZERO,
    )
    free = abs(position.quantity) - resting
    return min(order_request.quantity, free) if free > 0 else refuse(-4118)


def is_closing(books: AccountBooks, side: Side, position_side: PositionSide, *, reduce_only: bool) -> bool:
    """Whether an order may only make a position smaller: reduce-only, or the closing side in hedge mode."""
    if books.account.hedge:
        return side is (Side.SELL if position_side is PositionSide.LONG else Side.BUY)
    return reduce_only


# -- margin -----------------------------------------------------------------------------------------------------------


def check_margin(
    state: ExchangeState,
    books: AccountBooks,
    order_request: OrderRequest,
    price: Decimal,
    quantity: Decimal,
    *,
    instead_of: Order | None = None,
) -> Fault | None:
    """Whether the account can carry the order (-2019) and the leverage allows the position it may lead to (-2027).

    `instead_of` is the order that this one replaces.
    """
    whole = state.margin_account(books.account.name)
    now = _exposure(state, books, order_request, None)
    without = _exposure(state, books, order_request, instead_of)
    after = without.with_order(order_request.side, price * quantity)
    more = after.initial_margin - now.initial_margin
    if more <= 0:
        return None
    if after.widest > after.contract.max_notional(after.leverage):
        return refuse(-2027)
    at_once = max((price - after.mark) * quantity * order_request.side.sign, ZERO)
    return refuse(-2019) if more + at_once > whole.free else None


def _exposure(state: ExchangeState, books: AccountBooks, order_request: OrderRequest, instead_of: Order | None) -> Exposure:
    orders = [other for other in books.of_symbol(order_request.symbol) if other is not instead_of]
    position = books.account.position(order_request.symbol, order_request.position_side)
    return exposure(books.account, position, orders, state.contract(order_request.symbol), state.mark(order_request.symbol))
