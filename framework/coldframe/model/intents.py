"""What a strategy wants: imperatives, and the declarative pair `Quotes` and `Target`.

Every intent ends in exactly one `Verdict`. A refusal is a value, not an exception, and names both numbers: what was asked for
and what was allowed.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.enums import OrderType, PositionSide, PriceMatch, SelfTradePrevention, Side, TimeInForce, Word, WorkingType
from coldframe.model.saved_state import SavedValue
from coldframe.units import ZERO

#: A tag has at most so many characters, all of them printable ASCII.
TAG_LENGTH: Final = 64


@attrs.frozen(kw_only=True)
class Place:
    """Place one order. LIMIT needs a price, or a `price_match` that lets the venue choose it; MARKET takes none.

    The other types wait for a trigger, and then become a LIMIT order (STOP, TAKE_PROFIT: they need `price`) or a MARKET one
    (STOP_MARKET, TAKE_PROFIT_MARKET, TRAILING_STOP_MARKET). A stop is triggered when the price gets worse (BUY: at or above
    `trigger_price`, SELL: at or below), a take-profit when it gets better. A trailing stop follows the best price from
    `activate_price` (or from now) on, and is triggered when the price turns by `callback_rate` percent.

    In hedge mode `position_side` is LONG or SHORT, in one-way mode BOTH. What closes a position there (SELL of LONG, BUY of SHORT)
    is reduce-only by itself.
    """

    symbol: str
    side: Side
    quantity: Decimal = ZERO
    type: OrderType = OrderType.LIMIT
    price: Decimal | None = None
    time_in_force: TimeInForce = TimeInForce.GTC
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    price_match: PriceMatch = PriceMatch.NONE
    self_trade_prevention: SelfTradePrevention | None = None
    good_till_ms: int | None = None
    trigger_price: Decimal | None = None
    #: Which price the trigger watches.
    working_type: WorkingType = WorkingType.CONTRACT_PRICE
    #: Not triggered while last and mark price are further apart than the venue's bound for the symbol.
    price_protect: bool = False
    #: STOP_MARKET and TAKE_PROFIT_MARKET: close whatever the position is then, in place of a quantity.
    close_position: bool = False
    #: Trailing stop: how far the price has to turn, in percent, 0.1 to 20.
    callback_rate: Decimal | None = None
    #: Trailing stop: the price from which on it follows.
    activate_price: Decimal | None = None
    #: The strategy's own word for the order, in everything that tells of it; the venue is never told (`TAG_LENGTH`).
    tag: str = ""

    @property
    def closing(self) -> bool:
        """Whether the venue lets the order only make a position smaller, whatever its quantity."""
        return self.reduce_only or self.close_position or self.position_side.closed_by(self.side)


@attrs.frozen
class Amend:
    """Give one of the strategy's open LIMIT orders another price or quantity; it loses its place in the queue.

    A conditional order cannot be modified (NOT_AMENDABLE): cancel it and place another one.
    """

    client_order_id: str
    price: Decimal | None = None
    quantity: Decimal | None = None


@attrs.frozen
class Cancel:
    """Cancel one of the strategy's orders."""

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
class SaveState:
    """Save a small value of the strategy's own: `view.state` shows it from the next call on, also after a restart.

    It is made of None, bool, int, str, Decimal, and lists and dicts of these (keys are texts that do not begin with `$`), nested at
    most 8 levels deep, with at most 8,192 bytes as JSON. It takes the place of the one before as a whole; None forgets it.
    """

    value: SavedValue


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
    Quotes are post-only (GTX) unless `post_only` is false. In hedge mode they speak of one position, LONG or SHORT: the levels on
    its closing side are kept only as far as there is something to close. Quotes for the other side replace them.

    Orders that are placed for them carry `tag`; those that stand already keep theirs, also when they are amended to another level.
    """

    symbol: str
    bids: tuple[Quote, ...] = attrs.field(default=(), converter=_frozen_quotes)
    asks: tuple[Quote, ...] = attrs.field(default=(), converter=_frozen_quotes)
    post_only: bool = True
    position_side: PositionSide = PositionSide.BOTH
    tag: str = ""


@attrs.frozen
class Target:
    """The position of this strategy in this symbol shall be `position` (signed): reached aggressively, then kept.

    Orders are LIMIT IOC at most `slippage_bps` beyond the best opposite price. In hedge mode a positive position stands on the
    LONG side and a negative one on the SHORT side; the other side is closed first. Each of them carries `tag`.
    """

    symbol: str
    position: Decimal
    slippage_bps: Decimal = Decimal(10)
    tag: str = ""


Intent = Place | Amend | Cancel | CancelAll | WakeMe | SaveState | Quotes | Target


class VerdictCode(Word):
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
    POSITION_SIDE = "POSITION_SIDE"
    ORDER_TYPE = "ORDER_TYPE"
    DUPLICATE = "DUPLICATE"
    SELF_CROSS = "SELF_CROSS"
    MESSAGE_RATE = "MESSAGE_RATE"
    BRACKET = "BRACKET"
    LOSS = "LOSS"
    REJECTS = "REJECTS"
    ACCOUNT_SETTING = "ACCOUNT_SETTING"
    NO_ROOM = "NO_ROOM"


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
