"""What the venue answers about itself and its markets: exchangeInfo, depth, tickers, klines, brackets (camel case on the wire).

Source: protocol.md 6.4 and 6.5; `seeds/004`, "Common Definition" and "Websocket API".
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec import UNSET, UnsetType, field

from coldframe.enums import ContractStatus, RateLimitType
from coldframe.wire.replies import Reply
from coldframe.wire.streams import EpochMs, Integer, Level, Number


class ServerTime(Reply, frozen=True, kw_only=True):
    server_time: EpochMs


class RateLimit(Reply, frozen=True, kw_only=True):
    """One limit; `count` only in answers of the WebSocket API."""

    rate_limit_type: RateLimitType
    interval: str
    interval_num: Integer
    limit: Integer
    count: Integer | UnsetType = UNSET


class AssetInfo(Reply, frozen=True, kw_only=True):
    asset: str
    margin_available: bool
    auto_asset_exchange: str | None | UnsetType = UNSET


class SymbolInfo(Reply, frozen=True, kw_only=True):
    """One contract. Filters stay open rows: an unknown filter type must not break anything.

    `price_precision` and `quantity_precision` are not tick and step: those stand in the filters.
    """

    symbol: str
    pair: str
    contract_type: str
    status: ContractStatus
    base_asset: str
    quote_asset: str
    margin_asset: str
    filters: list[dict[str, Any]]
    order_types: list[str]
    time_in_force: list[str]
    delivery_date: Integer | UnsetType = UNSET
    onboard_date: Integer | UnsetType = UNSET
    maint_margin_percent: str | UnsetType = UNSET
    required_margin_percent: str | UnsetType = UNSET
    price_precision: Integer | UnsetType = UNSET
    quantity_precision: Integer | UnsetType = UNSET
    base_asset_precision: Integer | UnsetType = UNSET
    quote_precision: Integer | UnsetType = UNSET
    underlying_type: str | UnsetType = UNSET
    underlying_sub_type: list[str] | UnsetType = UNSET
    settle_plan: Integer | UnsetType = UNSET
    trigger_protect: str | UnsetType = UNSET
    liquidation_fee: str | UnsetType = UNSET
    market_take_bound: str | UnsetType = UNSET
    max_move_order_limit: Integer | UnsetType = UNSET
    permission_sets: list[str] | UnsetType = UNSET


class ExchangeInfo(Reply, frozen=True, kw_only=True):
    server_time: Integer
    rate_limits: list[RateLimit]
    symbols: list[SymbolInfo]
    assets: list[AssetInfo] | UnsetType = UNSET
    exchange_filters: list[Any] | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    futures_type: str | UnsetType = UNSET


class Depth(Reply, frozen=True, kw_only=True):
    """A snapshot of a book: bids from the best down, asks from the best up."""

    last_update_id: Integer
    bids: list[Level]
    asks: list[Level]
    event_ms: Integer | UnsetType = field(name="E", default=UNSET)
    traded_ms: Integer | UnsetType = field(name="T", default=UNSET)


class PriceTicker(Reply, frozen=True, kw_only=True):
    symbol: str
    price: Number
    time: Integer | UnsetType = UNSET


class BestTicker(Reply, frozen=True, kw_only=True):
    """ticker.book and GET ticker/bookTicker."""

    symbol: str
    bid_price: Number
    bid_qty: Number
    ask_price: Number
    ask_qty: Number
    last_update_id: Integer | UnsetType = UNSET
    time: Integer | UnsetType = UNSET


class DayTicker(Reply, frozen=True, kw_only=True):
    """GET ticker/24hr."""

    symbol: str
    price_change: Number
    price_change_percent: Number
    weighted_avg_price: Number
    last_price: Number
    last_qty: Number
    open_price: Number
    high_price: Number
    low_price: Number
    volume: Number
    quote_volume: Number
    open_time: Integer
    close_time: Integer
    first_id: Integer
    last_id: Integer
    count: Integer


class PremiumIndex(Reply, frozen=True, kw_only=True):
    """GET premiumIndex: mark price, index price and funding of a contract."""

    symbol: str
    mark_price: Number
    index_price: Number | UnsetType = UNSET
    estimated_settle_price: Number | UnsetType = UNSET
    #: Empty for contracts that pay none.
    last_funding_rate: str | UnsetType = UNSET
    interest_rate: str | UnsetType = UNSET
    next_funding_time: Integer | UnsetType = UNSET
    time: Integer | UnsetType = UNSET


class AssetRate(Reply, frozen=True, kw_only=True):
    """GET assetIndex: the index of an asset in US dollars, and its rates in multi-assets mode."""

    symbol: str
    index: Number
    time: Integer | UnsetType = UNSET
    bid_buffer: Number | UnsetType = UNSET
    ask_buffer: Number | UnsetType = UNSET
    bid_rate: Number | UnsetType = UNSET
    ask_rate: Number | UnsetType = UNSET
    auto_exchange_bid_buffer: Number | UnsetType = UNSET
    auto_exchange_ask_buffer: Number | UnsetType = UNSET
    auto_exchange_bid_rate: Number | UnsetType = UNSET
    auto_exchange_ask_rate: Number | UnsetType = UNSET


class FundingRow(Reply, frozen=True, kw_only=True):
    symbol: str
    funding_rate: Number
    funding_time: Integer
    mark_price: str
    rate_type: str | UnsetType = UNSET


class OpenInterest(Reply, frozen=True, kw_only=True):
    symbol: str
    open_interest: Number
    time: Integer


class OpenInterestRow(Reply, frozen=True, kw_only=True):
    """One row of GET /futures/data/openInterestHist: contracts held long at a time, and their value."""

    symbol: str
    sum_open_interest: Number
    sum_open_interest_value: Number
    #: How much of the underlying there is.
    circulating_supply: Number | UnsetType = field(name="CMCCirculatingSupply", default=UNSET)
    timestamp: Integer


class LongShortRow(Reply, frozen=True, kw_only=True):
    """One row of the three long/short statistics: shares of the long and the short side, and their ratio."""

    symbol: str
    long_short_ratio: Number
    long_account: Number
    short_account: Number
    timestamp: Integer


class TakerRow(Reply, frozen=True, kw_only=True):
    """One row of GET /futures/data/takerlongshortRatio: what takers bought and sold in a period."""

    buy_sell_ratio: Number
    buy_vol: Number
    sell_vol: Number
    timestamp: Integer


class BasisRow(Reply, frozen=True, kw_only=True):
    """One row of GET /futures/data/basis: a contract's price over its index price. A perpetual one has an empty yearly rate."""

    pair: str
    contract_type: str
    index_price: Number
    futures_price: Number
    basis: Number
    basis_rate: Number
    annualized_basis_rate: str
    timestamp: Integer


class DeliveryPrice(Reply, frozen=True, kw_only=True):
    """One row of GET /futures/data/delivery-price; the price is a JSON number."""

    delivery_time: Integer
    delivery_price: Decimal


class PublicTrade(Reply, frozen=True, kw_only=True):
    """One row of GET trades."""

    id: Integer
    price: Number
    qty: Number
    quote_qty: Number
    time: Integer
    is_buyer_maker: bool
    is_rpi_trade: bool | UnsetType = field(name="isRPITrade", default=UNSET)


class AggTradeRow(Reply, frozen=True, kw_only=True, rename=None):
    """One row of GET aggTrades, with the letters of the stream."""

    trade_id: Integer = field(name="a")
    price: Number = field(name="p")
    quantity: Number = field(name="q")
    regular_quantity: Number | UnsetType = field(name="nq", default=UNSET)
    first_id: Integer = field(name="f")
    last_id: Integer = field(name="l")
    trade_ms: Integer = field(name="T")
    buyer_is_maker: bool = field(name="m")


class LeverageTier(Reply, frozen=True, kw_only=True):
    """One bracket of GET leverageBracket; JSON numbers. Maintenance margin is notional times ratio minus `cum`."""

    bracket: Integer
    initial_leverage: Integer
    notional_cap: Decimal
    notional_floor: Decimal
    maint_margin_ratio: Decimal
    cum: Decimal


class LeverageTiers(Reply, frozen=True, kw_only=True):
    symbol: str
    brackets: list[LeverageTier]
    notional_coef: Decimal | UnsetType = UNSET
