"""The payloads of the market streams, one class per shape, with the venue's letters beside our words.

Numbers that the venue prints as decimal texts stay texts here, checked to be plain numbers; `Decimal` is made on demand.
Fields the venue added later are optional. A key that a class does not know ends up in `extra` (see `coldframe.wire.codec`).
Sources: the "Response Example" of each stream in `seeds/`, and protocol.md 5 for what has changed since.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, UnsetType, field

from coldframe.enums import ContractStatus, ContractType, OrderStatus, OrderType, Side, TimeInForce

#: A decimal number as text: no exponent, no sign but minus, ASCII digits only.
Number = Annotated[str, msgspec.Meta(pattern=r"^-?[0-9]{1,24}(\.[0-9]{1,18})?\Z")]
#: The same in messages that come by the hundred a second: checked by the codec, all numbers of a message at once, because a pattern
#: here takes longer for each of them than all the rest of the message. Never of a field that may be absent.
QuickNumber = Annotated[str, msgspec.Meta(extra={"number": True})]
#: The same, or an empty text where there is none.
NumberOrNothing = Annotated[str, msgspec.Meta(pattern=r"^(-?[0-9]{1,24}(\.[0-9]{1,18})?)?\Z")]
#: A JSON integer of 64 bits: times, ids and counts are never longer, and a store can hold no more.
Integer = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
#: A moment that our clock is set by, in epoch milliseconds: between 2001 and 2286. What lies outside is a slip, not a time.
EpochMs = Annotated[int, msgspec.Meta(ge=10**12, le=10**13)]
#: Price and quantity of one level; checked by the codec all at once.
Level = tuple[str, str]


class Message(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What every decoded message has: `extra`, the keys that its class does not know, with their values."""

    extra: dict[str, Any] | None = field(name=" extra", default=None)


class MarketMessage(Message, frozen=True, omit_defaults=True, kw_only=True):
    """A market payload: its event type, and since 2026-06-30 the product it belongs to (1 USD-M, 2 COIN-M)."""

    event: str = field(name="e")
    event_ms: Integer = field(name="E")
    product: Integer | UnsetType = field(name="st", default=UNSET)


class AggTrade(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Fills of one taker order at one price within 100 ms. `<symbol>@aggTrade`."""

    symbol: str = field(name="s")
    trade_id: Integer = field(name="a")
    price: QuickNumber = field(name="p")
    quantity: QuickNumber = field(name="q")
    first_id: Integer = field(name="f")
    last_id: Integer = field(name="l")
    trade_ms: Integer = field(name="T")
    buyer_is_maker: bool = field(name="m")
    #: Quantity without the trades of retail price improvement orders.
    regular_quantity: Number | UnsetType = field(name="nq", default=UNSET)


class Trade(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """One fill. `<symbol>@trade` is undocumented and must not be relied on (protocol.md 4.1)."""

    symbol: str = field(name="s")
    trade_id: Integer = field(name="t")
    price: QuickNumber = field(name="p")
    quantity: QuickNumber = field(name="q")
    trade_ms: Integer = field(name="T")
    buyer_is_maker: bool = field(name="m")
    #: MARKET for ordinary trades; INSURANCE_FUND and others occur.
    origin: str | UnsetType = field(name="X", default=UNSET)


class MarkPrice(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Mark price, index price and funding of one symbol. `<symbol>@markPrice[@1s]`, `!markPrice@arr[@1s]`."""

    symbol: str = field(name="s")
    mark_price: Number = field(name="p")
    index_price: Number = field(name="i")
    #: Estimated settle price; only useful in the last hour before settlement.
    settle_price: Number = field(name="P")
    #: Empty for contracts that pay none: the delivery contracts of COIN-M, whose rows stand among ours.
    funding_rate: NumberOrNothing = field(name="r")
    #: 0 when no funding is scheduled.
    next_funding_ms: Integer = field(name="T")
    #: Moving average of the mark price (not an average fill price).
    average_mark_price: Number | UnsetType = field(name="ap", default=UNSET)


class Bar(Message, frozen=True, omit_defaults=True, kw_only=True):
    """The candle inside a kline payload. Volumes in base and quote asset; taker buys apart."""

    open_ms: Integer = field(name="t")
    close_ms: Integer = field(name="T")
    symbol: str | UnsetType = field(name="s", default=UNSET)
    interval: str = field(name="i")
    first_id: Integer = field(name="f")
    last_id: Integer = field(name="L")
    open: Number = field(name="o")
    close: Number = field(name="c")
    high: Number = field(name="h")
    low: Number = field(name="l")
    volume: Number = field(name="v")
    trades: Integer = field(name="n")
    closed: bool = field(name="x")
    quote_volume: Number = field(name="q")
    taker_buy_volume: Number = field(name="V")
    taker_buy_quote_volume: Number = field(name="Q")
    ignored: str = field(name="B")


class Kline(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """`<symbol>@kline_<interval>`."""

    symbol: str = field(name="s")
    bar: Bar = field(name="k")


class ContinuousKline(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """`<pair>_<contractType>@continuousKline_<interval>`."""

    pair: str = field(name="ps")
    contract_type: ContractType = field(name="ct")
    bar: Bar = field(name="k")


class MiniTicker(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Rolling 24 hours in short. `<symbol>@miniTicker`, `!miniTicker@arr` (only symbols that changed)."""

    symbol: str = field(name="s")
    pair: str | UnsetType = field(name="ps", default=UNSET)
    close: Number = field(name="c")
    open: Number = field(name="o")
    high: Number = field(name="h")
    low: Number = field(name="l")
    volume: Number = field(name="v")
    quote_volume: Number = field(name="q")


class Ticker(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Rolling 24 hours in full. `<symbol>@ticker`, `!ticker@arr` (only symbols that changed: never a snapshot)."""

    symbol: str = field(name="s")
    pair: str | UnsetType = field(name="ps", default=UNSET)
    change: Number = field(name="p")
    change_percent: Number = field(name="P")
    weighted_average: Number = field(name="w")
    close: Number = field(name="c")
    last_quantity: Number = field(name="Q")
    open: Number = field(name="o")
    high: Number = field(name="h")
    low: Number = field(name="l")
    volume: Number = field(name="v")
    quote_volume: Number = field(name="q")
    open_ms: Integer = field(name="O")
    close_ms: Integer = field(name="C")
    first_id: Integer = field(name="F")
    last_id: Integer = field(name="L")
    trades: Integer = field(name="n")


class BookTicker(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Best bid and ask. `<symbol>@bookTicker` in real time, `!bookTicker` every 5 s."""

    update_id: Integer = field(name="u")
    traded_ms: Integer | UnsetType = field(name="T", default=UNSET)
    symbol: str = field(name="s")
    pair: str | UnsetType = field(name="ps", default=UNSET)
    bid: QuickNumber = field(name="b")
    bid_quantity: QuickNumber = field(name="B")
    ask: QuickNumber = field(name="a")
    ask_quantity: QuickNumber = field(name="A")


class LiquidationOrder(Message, frozen=True, omit_defaults=True, kw_only=True):
    """The order inside a liquidation payload."""

    symbol: str = field(name="s")
    side: Side = field(name="S")
    type: OrderType = field(name="o")
    time_in_force: TimeInForce = field(name="f")
    quantity: Number = field(name="q")
    price: Number = field(name="p")
    average_price: Number = field(name="ap")
    status: OrderStatus = field(name="X")
    last_quantity: Number = field(name="l")
    filled_quantity: Number = field(name="z")
    trade_ms: Integer = field(name="T")


class ForceOrder(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """The latest liquidation of a symbol within one second. `<symbol>@forceOrder`, `!forceOrder@arr`."""

    order: LiquidationOrder = field(name="o")
    pair: str | UnsetType = field(name="ps", default=UNSET)


class DepthUpdate(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Changed levels (diff depth) or the top levels (partial depth): only the stream name tells which.

    The event covers the update ids after `previous_id` up to `last_id`; quantities are absolute, zero removes the level.
    """

    traded_ms: Integer = field(name="T")
    symbol: str = field(name="s")
    pair: str | UnsetType = field(name="ps", default=UNSET)
    first_id: Integer = field(name="U")
    last_id: Integer = field(name="u")
    previous_id: Integer = field(name="pu")
    bids: list[Level] = field(name="b")
    asks: list[Level] = field(name="a")


class IndexComponent(Message, frozen=True, omit_defaults=True, kw_only=True):
    """One asset of a composite index with its weight in quantity and in percent."""

    base_asset: str = field(name="b")
    quote_asset: str = field(name="q")
    quantity_weight: Number = field(name="w")
    percent_weight: Number = field(name="W")
    index_price: Number = field(name="i")


class CompositeIndex(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """`<symbol>@compositeIndex`."""

    symbol: str = field(name="s")
    price: Number = field(name="p")
    composed_of: str = field(name="C")
    components: list[IndexComponent] = field(name="c")


class Bracket(Message, frozen=True, omit_defaults=True, kw_only=True):
    """One leverage bracket of a contract. JSON numbers here, not texts."""

    number: Integer = field(name="bs")
    floor: Decimal = field(name="bnf")
    cap: Decimal = field(name="bnc")
    maintenance_ratio: Decimal = field(name="mmr")
    cumulative: Decimal = field(name="cf")
    min_leverage: Integer = field(name="mi")
    max_leverage: Integer = field(name="ma")


class ContractInfo(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Listing, settlement, or new brackets of a contract; `brackets` only when they changed. `!contractInfo`."""

    symbol: str = field(name="s")
    pair: str | UnsetType = field(name="ps", default=UNSET)
    contract_type: ContractType = field(name="ct")
    delivery_ms: Integer = field(name="dt")
    onboard_ms: Integer = field(name="ot")
    status: ContractStatus = field(name="cs")
    brackets: list[Bracket] | UnsetType = field(name="bks", default=UNSET)


class AssetIndex(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """Rates of one asset in multi-assets mode. `<asset>@assetIndex`, `!assetIndex@arr`."""

    symbol: str = field(name="s")
    index_price: Number = field(name="i")
    bid_buffer: Number = field(name="b")
    ask_buffer: Number = field(name="a")
    bid_rate: Number = field(name="B")
    ask_rate: Number = field(name="A")
    auto_bid_buffer: Number = field(name="q")
    auto_ask_buffer: Number = field(name="g")
    auto_bid_rate: Number = field(name="Q")
    auto_ask_rate: Number = field(name="G")


class TradingSession(MarketMessage, frozen=True, omit_defaults=True, kw_only=True):
    """The running session of one underlying market; `event` names the market (`EquityUpdate`, ...). `tradingSession`."""

    start_ms: Integer = field(name="t")
    end_ms: Integer = field(name="T")
    session: str = field(name="S")
