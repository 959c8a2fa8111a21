"""The field's own words, shared by the wire and the model: sides, order types, times in force, states.

All of them are *open*: the venue adds words without notice, so an unknown word becomes a member of its enum with
`known` false and its text kept, and is never an error (protocol.md, head: "unknown keys and enum values as normal").
Source of the words: `seeds/004`, "ENUM definitions"; additions: protocol.md, section 2 and 8.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any, Final, Self

#: What is said of a side that a sign is wanted of and that is not known.
_NO_SIDE: Final = "neither BUY nor SELL: {!r}"


class Word(StrEnum):
    """A word of ours. Its members are shared by the whole process, so what they are cannot be changed."""

    def __setattr__(self, name: str, value: object) -> None:
        # The enum itself sets each of its own names, once, when the member is made.
        if name in self.__dict__ or not name.startswith("_"):
            raise AttributeError(f"{type(self).__name__}.{self._name_} is a word: its {name} cannot be set")
        super().__setattr__(name, value)


class OpenEnum(Word):
    """An enum that keeps a word it does not know instead of refusing it."""

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        member: Any = str.__new__(cls, value)
        member._value_ = value
        member._name_ = "UNKNOWN"
        return member  # type: ignore[no-any-return]

    @property
    def known(self) -> bool:
        """Whether this word was known when Coldframe was written."""
        return self._name_ != "UNKNOWN"


class Side(OpenEnum):
    BUY = "BUY"
    SELL = "SELL"

    @property
    def sign(self) -> int:
        """+1 for a buy, -1 for a sell: what a fill adds to a position. Raises `ValueError` for an unknown side."""
        if self is Side.BUY:
            return 1
        if self is Side.SELL:
            return -1
        raise ValueError(_NO_SIDE.format(str(self)))

    @property
    def opposite(self) -> Side:
        """The other side. Raises `ValueError` for an unknown side."""
        if self is Side.BUY:
            return Side.SELL
        if self is Side.SELL:
            return Side.BUY
        raise ValueError(_NO_SIDE.format(str(self)))


class PositionSide(OpenEnum):
    """BOTH in one-way mode; LONG or SHORT in hedge mode."""

    BOTH = "BOTH"
    LONG = "LONG"
    SHORT = "SHORT"

    def closed_by(self, side: Side) -> bool:
        """Whether such an order can only close a position of this side: a SELL of LONG, a BUY of SHORT."""
        return (self is PositionSide.LONG and side is Side.SELL) or (self is PositionSide.SHORT and side is Side.BUY)


class PositionMode(Word):
    """Whether an account holds one position per symbol, or a long and a short one side by side."""

    ONE_WAY = "one_way"
    HEDGE = "hedge"


class OrderType(OpenEnum):
    LIMIT = "LIMIT"
    MARKET = "MARKET"
    STOP = "STOP"
    STOP_MARKET = "STOP_MARKET"
    TAKE_PROFIT = "TAKE_PROFIT"
    TAKE_PROFIT_MARKET = "TAKE_PROFIT_MARKET"
    TRAILING_STOP_MARKET = "TRAILING_STOP_MARKET"
    LIQUIDATION = "LIQUIDATION"

    @property
    def conditional(self) -> bool:
        """Whether the order waits for a trigger and therefore goes through the algo methods."""
        return self in CONDITIONAL_TYPES


CONDITIONAL_TYPES: Final = frozenset(
    {
        OrderType.STOP,
        OrderType.STOP_MARKET,
        OrderType.TAKE_PROFIT,
        OrderType.TAKE_PROFIT_MARKET,
        OrderType.TRAILING_STOP_MARKET,
    }
)


class TimeInForce(OpenEnum):
    """How long an order may rest. GTX is post-only; GTD ends at a date; RPI is retail price improvement."""

    GTC = "GTC"
    IOC = "IOC"
    FOK = "FOK"
    GTX = "GTX"
    GTD = "GTD"
    RPI = "RPI"
    GTE_GTC = "GTE_GTC"


class OrderStatus(OpenEnum):
    """The venue's word for the state of an order (our own states: `coldframe.model.orders`)."""

    NEW = "NEW"
    PARTIALLY_FILLED = "PARTIALLY_FILLED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    EXPIRED_IN_MATCH = "EXPIRED_IN_MATCH"
    NEW_INSURANCE = "NEW_INSURANCE"
    NEW_ADL = "NEW_ADL"


class ExecutionType(OpenEnum):
    """What has just happened to an order (field `x` of ORDER_TRADE_UPDATE)."""

    NEW = "NEW"
    CANCELED = "CANCELED"
    CALCULATED = "CALCULATED"
    EXPIRED = "EXPIRED"
    TRADE = "TRADE"
    AMENDMENT = "AMENDMENT"


class AlgoStatus(OpenEnum):
    NEW = "NEW"
    TRIGGERING = "TRIGGERING"
    TRIGGERED = "TRIGGERED"
    FINISHED = "FINISHED"
    CANCELED = "CANCELED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


class WorkingType(OpenEnum):
    """Which price a trigger watches."""

    CONTRACT_PRICE = "CONTRACT_PRICE"
    MARK_PRICE = "MARK_PRICE"


class PriceMatch(OpenEnum):
    """Let the venue choose the price: the n-th best of the other side (OPPONENT) or of our own (QUEUE)."""

    NONE = "NONE"
    OPPONENT = "OPPONENT"
    OPPONENT_5 = "OPPONENT_5"
    OPPONENT_10 = "OPPONENT_10"
    OPPONENT_20 = "OPPONENT_20"
    QUEUE = "QUEUE"
    QUEUE_5 = "QUEUE_5"
    QUEUE_10 = "QUEUE_10"
    QUEUE_20 = "QUEUE_20"


class SelfTradePrevention(OpenEnum):
    """Which of two orders of the same account gives way when they would trade with each other."""

    NONE = "NONE"
    EXPIRE_TAKER = "EXPIRE_TAKER"
    EXPIRE_MAKER = "EXPIRE_MAKER"
    EXPIRE_BOTH = "EXPIRE_BOTH"


class ResponseType(OpenEnum):
    ACK = "ACK"
    RESULT = "RESULT"


class MarginType(OpenEnum):
    CROSSED = "CROSSED"
    ISOLATED = "ISOLATED"


class ContractType(OpenEnum):
    PERPETUAL = "PERPETUAL"
    CURRENT_MONTH = "CURRENT_MONTH"
    NEXT_MONTH = "NEXT_MONTH"
    CURRENT_QUARTER = "CURRENT_QUARTER"
    NEXT_QUARTER = "NEXT_QUARTER"
    PERPETUAL_DELIVERING = "PERPETUAL_DELIVERING"
    TRADIFI_PERPETUAL = "TRADIFI_PERPETUAL"


class ContractStatus(OpenEnum):
    PENDING_TRADING = "PENDING_TRADING"
    TRADING = "TRADING"
    PRE_DELIVERING = "PRE_DELIVERING"
    DELIVERING = "DELIVERING"
    DELIVERED = "DELIVERED"
    PRE_SETTLE = "PRE_SETTLE"
    SETTLING = "SETTLING"
    CLOSE = "CLOSE"
    TRADING_HALT = "TRADING_HALT"


class AccountReason(OpenEnum):
    """Why balances or positions changed (field `m` of ACCOUNT_UPDATE)."""

    DEPOSIT = "DEPOSIT"
    WITHDRAW = "WITHDRAW"
    ORDER = "ORDER"
    FUNDING_FEE = "FUNDING_FEE"
    WITHDRAW_REJECT = "WITHDRAW_REJECT"
    ADJUSTMENT = "ADJUSTMENT"
    INSURANCE_CLEAR = "INSURANCE_CLEAR"
    ADMIN_DEPOSIT = "ADMIN_DEPOSIT"
    ADMIN_WITHDRAW = "ADMIN_WITHDRAW"
    MARGIN_TRANSFER = "MARGIN_TRANSFER"
    MARGIN_TYPE_CHANGE = "MARGIN_TYPE_CHANGE"
    ASSET_TRANSFER = "ASSET_TRANSFER"
    OPTIONS_PREMIUM_FEE = "OPTIONS_PREMIUM_FEE"
    OPTIONS_SETTLE_PROFIT = "OPTIONS_SETTLE_PROFIT"
    AUTO_EXCHANGE = "AUTO_EXCHANGE"
    COIN_SWAP_DEPOSIT = "COIN_SWAP_DEPOSIT"
    COIN_SWAP_WITHDRAW = "COIN_SWAP_WITHDRAW"


class RateLimitType(OpenEnum):
    REQUEST_WEIGHT = "REQUEST_WEIGHT"
    ORDERS = "ORDERS"
    RAW_REQUESTS = "RAW_REQUESTS"


#: Kline intervals of the seeds, shortest first (minutes, hours, days, weeks, and M for months).
INTERVALS: Final = ("1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M")

#: Contract types of continuous klines, as they stand in a stream name.
CONTINUOUS_CONTRACTS: Final = ("perpetual", "current_quarter", "next_quarter")
