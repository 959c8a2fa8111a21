"""What a strategy wants: imperatives, and the declarative pair `Quotes` and `Target`.

Every intent ends in exactly one `Verdict`. A refusal is a value, not an exception, and names both numbers: what was asked for
and what was allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from enum import StrEnum

import attrs

from coldframe.terms import OrderType, PositionSide, PriceMatch, SelfTradePrevention, Side, TimeInForce


@attrs.frozen(kw_only=True)
class Place:
    """Place one order, LIMIT or MARKET. A LIMIT order needs a price, or a `price_match` that lets the venue choose it."""

    symbol: str
    side: Side
    quantity: Decimal
    type: OrderType = OrderType.LIMIT
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    price_match: PriceMatch = PriceMatch.NONE
    self_trade_prevention: SelfTradePrevention | None = None
    good_till_ms: int | None = None


@attrs.frozen
class Amend:
    """Give an open LIMIT order of ours another price or quantity; it loses its place in the queue."""

    client_order_id: str
    price: Decimal | None = None
    quantity: Decimal | None = None


@attrs.frozen
class Cancel:
    """Cancel one order of ours."""

    client_order_id: str


@attrs.frozen
class CancelAll:
    """Cancel all orders of this strategy, in one symbol or in all of them."""

    symbol: str | None = None


@attrs.frozen
class WakeMe:
    """Call `on_wake` with `key` after so many milliseconds; a second one with the same key replaces the first."""

    after_ms: int
    key: str = ""


@attrs.frozen
class Quote:
    """One level the strategy wants to rest at."""

    price: Decimal
    quantity: Decimal


def _frozen_quotes(quotes: Iterable[Quote]) -> tuple[Quote, ...]:
    return tuple(quotes)


@attrs.frozen
class Quotes:
    """These resting orders shall stand, and no others of this strategy in this symbol. Empty sides mean: nothing there.

    Kept true through fills, refusals and reconnects until the next `Quotes` for the symbol: what has traded is restored, unless
    `on_fill` says otherwise; position limits bound what can pile up. They lapse when the book of the symbol is lost.
    Quotes are post-only (GTX) unless `post_only` is false.
    """

    symbol: str
    bids: tuple[Quote, ...] = attrs.field(default=(), converter=_frozen_quotes)
    asks: tuple[Quote, ...] = attrs.field(default=(), converter=_frozen_quotes)
    post_only: bool = True


@attrs.frozen
class Target:
    """The position of this strategy in this symbol shall be `position` (signed): reached aggressively, then kept.

    Orders are LIMIT IOC at most `slippage_bps` beyond the best opposite price.
    """

    symbol: str
    position: Decimal
    slippage_bps: Decimal = Decimal(10)


Intent = Place | Amend | Cancel | CancelAll | WakeMe | Quotes | Target


class VerdictCode(StrEnum):
    """How an intent ended. The first two are good news."""

    ACCEPTED = "ACCEPTED"
    NO_CHANGE = "NO_CHANGE"
    MALFORMED = "MALFORMED"
    ORDERS_OFF = "ORDERS_OFF"
    MUTED = "MUTED"
    STOPPING = "STOPPING"
    HALTED = "HALTED"
    OVERLAY = "OVERLAY"
    UNKNOWN_SYMBOL = "UNKNOWN_SYMBOL"
    SYMBOL_NOT_ALLOWED = "SYMBOL_NOT_ALLOWED"
    NOT_TRADING = "NOT_TRADING"
    FILTER = "FILTER"
    ORDER_NOTIONAL = "ORDER_NOTIONAL"
    GROSS_NOTIONAL = "GROSS_NOTIONAL"
    STRATEGY_NOTIONAL = "STRATEGY_NOTIONAL"
    POSITION = "POSITION"
    OPEN_ORDERS = "OPEN_ORDERS"
    PRICE_COLLAR = "PRICE_COLLAR"
    NO_MARK_PRICE = "NO_MARK_PRICE"
    ORDER_RATE = "ORDER_RATE"
    RATE_LIMIT = "RATE_LIMIT"
    STALE_BOOK = "STALE_BOOK"
    STALE_USER_STREAM = "STALE_USER_STREAM"
    ORDER_LINK_DOWN = "ORDER_LINK_DOWN"
    DRAWDOWN = "DRAWDOWN"
    RISK_MODE = "RISK_MODE"
    UNKNOWN_ORDER = "UNKNOWN_ORDER"
    NOT_AMENDABLE = "NOT_AMENDABLE"
    DUPLICATE = "DUPLICATE"
    SELF_CROSS = "SELF_CROSS"
    MESSAGE_RATE = "MESSAGE_RATE"
    BRACKET = "BRACKET"
    LOSS = "LOSS"
    REJECTS = "REJECTS"


@attrs.frozen
class Verdict:
    """What became of an intent. For a refusal, `value` is what was asked for and `limit` what was allowed, where both exist."""

    code: VerdictCode
    text: str = ""
    value: Decimal | None = None
    limit: Decimal | None = None

    @property
    def accepted(self) -> bool:
        return self.code in (VerdictCode.ACCEPTED, VerdictCode.NO_CHANGE)


ACCEPTED = Verdict(VerdictCode.ACCEPTED)
NO_CHANGE = Verdict(VerdictCode.NO_CHANGE)
