"""What a strategy is told: facts in the past tense, frozen, with exact numbers.

Every event carries `at_ns`, the bot's receive time in nanoseconds (never going back within a run), and where the venue gives one,
`event_ms`, the venue's own time in epoch milliseconds. Prices are in the quote asset, quantities in the base asset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import attrs

from coldframe.enums import ContractStatus, ContractType, OrderType, PositionSide, Side, TimeInForce, Word


class BookState(Word):
    """Whether a local order book can be relied on: only `SYNCED` can."""

    BUFFERING = "buffering"
    SYNCED = "synced"
    STALE = "stale"


class LinkState(Word):
    UP = "up"
    DOWN = "down"


class ReadLate:
    """What fills an event late: made of a message as it came, it reads each field out of that when it is first looked at.

    A strategy that looks at two fields of the thousands of events a second pays for two, and one that counts them for none. In
    every other respect such an event is like any other: a frozen value, equal to the one that is made of the same fields.
    """

    __slots__ = ("_late",)

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            """Called for a field that has no value yet, and for what is not a field."""
            try:
                readers, message = _LATE_OF(self)
                read = readers[name]
            except (AttributeError, KeyError):
                raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}") from None
            value = read(message)
            object.__setattr__(self, name, value)
            return value


_LATE_OF: Final = ReadLate.__dict__["_late"].__get__
_set_late: Final = ReadLate.__dict__["_late"].__set__
_forget_late: Final = ReadLate.__dict__["_late"].__delete__
_E = TypeVar("_E", bound=ReadLate)


def late(kind: type[_E], readers: Mapping[str, Callable[[Any], object]]) -> Callable[[Any, int], _E]:
    """A function that makes such events of a class, from a message and the time at which it came.

    `readers` has a function from the message for every field but `at_ns`.
    """
    new, set_time, fixed = kind.__new__, kind.__dict__["at_ns"].__set__, MappingProxyType(dict(readers))

    def make(message: Any, at_ns: int) -> _E:
        event = new(kind)
        set_time(event, at_ns)
        _set_late(event, (fixed, message))
        if message.extra:  # keys that nothing reads: a dict, which a strategy must not get hold of
            for name in fixed:
                getattr(event, name)
            _forget_late(event)
        return event

    return make


@attrs.frozen
class BookChanged:
    """The local order book of a symbol changed, or its state did; read it through `view.book(symbol)`."""

    symbol: str
    at_ns: int
    event_ms: int
    update_id: int
    state: BookState
    #: Whether this is the book that includes retail price improvement orders (`view.book(symbol, rpi=True)`).
    rpi: bool = False


@attrs.frozen
class PartialBookChanged:
    """The best 5, 10 or 20 levels of each side, best first, as (price, quantity)."""

    symbol: str
    at_ns: int
    event_ms: int
    update_id: int
    bids: tuple[tuple[Decimal, Decimal], ...]
    asks: tuple[tuple[Decimal, Decimal], ...]


@attrs.frozen
class BestPriceChanged(ReadLate):
    """Best bid and ask changed."""

    symbol: str
    at_ns: int
    event_ms: int
    update_id: int
    bid: Decimal
    bid_quantity: Decimal
    ask: Decimal
    ask_quantity: Decimal


@attrs.frozen
class TradePrinted(ReadLate):
    """A trade of the market; `aggregated` when it stands for all fills of one taker order at this price within 100 ms."""

    symbol: str
    at_ns: int
    event_ms: int
    trade_id: int
    price: Decimal
    quantity: Decimal
    taker_side: Side
    trade_ms: int
    aggregated: bool


@attrs.frozen
class MarkPriceChanged:
    """Mark price, index price and the coming funding. `next_funding_ms` is 0 when no funding is scheduled."""

    symbol: str
    at_ns: int
    event_ms: int
    mark_price: Decimal
    index_price: Decimal
    funding_rate: Decimal
    next_funding_ms: int


@attrs.frozen
class CandleChanged:
    """The running or just closed candle. `contract_type` is set for a continuous contract, `symbol` then is the pair.

    `warmup` says that it is history, told before what is live; in this version none is told, and it is always False.
    """

    symbol: str
    at_ns: int
    event_ms: int
    interval: str
    open_ms: int
    close_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    taker_buy_volume: Decimal
    trades: int
    closed: bool
    contract_type: ContractType | None = None
    warmup: bool = False


@attrs.frozen
class DayStatsChanged:
    """Rolling 24 hours in full."""

    symbol: str
    at_ns: int
    event_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal
    change: Decimal
    change_percent: Decimal
    weighted_average: Decimal
    last_quantity: Decimal
    trades: int


@attrs.frozen
class DaySummaryChanged:
    """Rolling 24 hours in short."""

    symbol: str
    at_ns: int
    event_ms: int
    open: Decimal
    high: Decimal
    low: Decimal
    close: Decimal
    volume: Decimal
    quote_volume: Decimal


@attrs.frozen
class LiquidationPrinted:
    """A position was liquidated: the latest order of a symbol within one second."""

    symbol: str
    at_ns: int
    event_ms: int
    side: Side
    price: Decimal
    average_price: Decimal
    quantity: Decimal
    filled_quantity: Decimal
    status: str


@attrs.frozen
class LeverageBracket:
    """Up to `cap` of notional, at most `max_leverage` is allowed; maintenance margin is notional x ratio - cumulative."""

    floor: Decimal
    cap: Decimal
    maintenance_ratio: Decimal
    cumulative: Decimal
    min_leverage: int
    max_leverage: int


@attrs.frozen
class ContractChanged:
    """A contract was listed, is being settled, or got new brackets (empty when they did not change)."""

    symbol: str
    at_ns: int
    event_ms: int
    contract_type: ContractType
    status: ContractStatus
    delivery_ms: int
    onboard_ms: int
    brackets: tuple[LeverageBracket, ...] = ()


@attrs.frozen
class TradingSessionChanged:
    """The running session of an underlying market such as `EquityUpdate`, from `start_ms` to `end_ms`."""

    market: str
    at_ns: int
    event_ms: int
    session: str
    start_ms: int
    end_ms: int


@attrs.frozen
class IndexWeight:
    """One asset of a composite index: its weights in quantity and in percent, and its own index price."""

    base_asset: str
    quote_asset: str
    quantity_weight: Decimal
    percent_weight: Decimal
    index_price: Decimal


@attrs.frozen
class CompositeIndexChanged:
    """The price of a composite index and what it is made of."""

    symbol: str
    at_ns: int
    event_ms: int
    price: Decimal
    components: tuple[IndexWeight, ...]


@attrs.frozen
class AssetIndexChanged:
    """What an asset is worth as margin in multi-assets mode."""

    symbol: str
    at_ns: int
    event_ms: int
    index_price: Decimal
    bid_rate: Decimal
    ask_rate: Decimal
    auto_bid_rate: Decimal
    auto_ask_rate: Decimal


@attrs.frozen
class OrderChanged:
    """The state of one of the strategy's own orders changed. `state` is a word of `OrderState`.

    A conditional order waits in state UNTRIGGERED; its trigger is told by one event in state TRIGGERED, and what follows is the
    life of the ordinary order it has become, under the same client order id.
    """

    symbol: str
    at_ns: int
    client_order_id: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    price: Decimal | None
    quantity: Decimal
    filled: Decimal
    state: str
    #: Why, in a few words: a code of the venue, an expiry reason, or empty.
    reason: str = ""
    trigger_price: Decimal | None = None
    position_side: PositionSide = PositionSide.BOTH
    #: What the intent was tagged with that it was placed for.
    tag: str = ""


@attrs.frozen
class OrderFilled:
    """One of the strategy's own orders traded. `fee` in `fee_asset`, positive when paid; `realized_pnl` without the fee.

    The first report of a fill may not know the fee yet: then `fee` is None, and the fee is counted when it becomes known.
    """

    symbol: str
    at_ns: int
    client_order_id: str
    trade_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    maker: bool
    fee: Decimal | None
    fee_asset: str
    realized_pnl: Decimal
    position: Decimal
    position_side: PositionSide
    trade_ms: int
    #: The tag of the order.
    tag: str = ""


class PositionCause(StrEnum):
    """Why a strategy's position changed without an order of its own."""

    LIQUIDATION = "liquidation"
    DELEVERAGING = "auto-deleveraging"
    SETTLEMENT = "settlement"
    DELIVERY = "delivery"
    #: A person or another program traded on the account.
    OTHER_CLIENT = "another client"
    #: The account's position changed while the bot did not run.
    WHILE_OFF = "while the bot was off"
    #: The exchange names another position, and no trade explains it.
    ADJUSTMENT = "adjustment"
    #: A position found at the start is the strategy's from now on (`external = "adopt"`).
    ADOPTED = "adopted"
    #: An execution that counted as one of others was of an order of ours; its `OrderFilled` follows.
    OWN_AFTER_ALL = "own after all"


@attrs.frozen
class PositionChanged:
    """The strategy's position changed without an order of its own: others traded on the account, and it was taken away from.

    `quantity` is the signed change at `price`, `position` what is left; `realized_pnl` is without `fee`, its share of the fee.
    `trade_id` and `trade_ms` are 0 where no trade is known. A `Target` that would open again what was closed has lapsed.
    """

    symbol: str
    at_ns: int
    position_side: PositionSide
    quantity: Decimal
    price: Decimal
    position: Decimal
    realized_pnl: Decimal
    cause: PositionCause
    fee: Decimal = Decimal(0)
    fee_asset: str = ""
    trade_id: int = 0
    trade_ms: int = 0


@attrs.frozen
class LinkChanged:
    """A connection opened or ended: `market` links carry data, the `api` link carries orders, `private` their reports."""

    link: str
    at_ns: int
    state: LinkState
    reason: str = ""


@attrs.frozen
class Woken:
    """The time that a `WakeMe` asked for has come."""

    key: str
    at_ns: int


@attrs.frozen
class Started:
    """The strategy begins: instruments are known, orders may be wanted as soon as its books are synced."""

    at_ns: int


@attrs.frozen
class Stopped:
    """The strategy ends; what it returns now is still carried out if it is a cancel."""

    at_ns: int
    reason: str


BookEvent = BookChanged | PartialBookChanged
TickerEvent = BestPriceChanged | DayStatsChanged | DaySummaryChanged
ContractEvent = ContractChanged | TradingSessionChanged
IndexEvent = CompositeIndexChanged | AssetIndexChanged
StrategyEvent = (
    BookEvent
    | TickerEvent
    | ContractEvent
    | IndexEvent
    | TradePrinted
    | MarkPriceChanged
    | CandleChanged
    | LiquidationPrinted
    | OrderChanged
    | OrderFilled
    | PositionChanged
    | LinkChanged
    | Woken
    | Started
    | Stopped
)
