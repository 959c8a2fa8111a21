"""The events of the user-data stream, with the venue's letters beside our words.

Delivery is at most once per connection, never replayed, and ordered only within one event type (protocol.md 8.1): nothing here
may be taken for the whole truth without a query. Source: protocol.md 8.2.
"""

from __future__ import annotations

from msgspec import UNSET, UnsetType, field

from coldframe.enums import (
    AccountReason,
    AlgoStatus,
    ExecutionType,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from coldframe.wire.streams import Integer, Message, Number


class UserEvent(Message, frozen=True, omit_defaults=True, kw_only=True):
    """What every event of the user-data stream has: its type and the venue's event time."""

    event: str = field(name="e")
    event_ms: Integer = field(name="E")


class OrderReport(Message, frozen=True, omit_defaults=True, kw_only=True):
    """The order inside ORDER_TRADE_UPDATE. Commission is absent when there was none."""

    symbol: str = field(name="s")
    client_order_id: str = field(name="c")
    side: Side = field(name="S")
    type: OrderType = field(name="o")
    time_in_force: TimeInForce = field(name="f")
    #: The venue may have cut it (reduce-only): adopt it.
    quantity: Number = field(name="q")
    price: Number = field(name="p")
    average_price: Number = field(name="ap")
    stop_price: Number = field(name="sp")
    execution: ExecutionType = field(name="x")
    status: OrderStatus = field(name="X")
    order_id: Integer = field(name="i")
    modify_id: str | UnsetType = field(name="M", default=UNSET)
    last_quantity: Number = field(name="l")
    filled_quantity: Number = field(name="z")
    last_price: Number = field(name="L")
    commission_asset: str | None | UnsetType = field(name="N", default=UNSET)
    commission: Number | None | UnsetType = field(name="n", default=UNSET)
    trade_ms: Integer = field(name="T")
    #: 0 when this is not a trade.
    trade_id: Integer = field(name="t")
    bid_notional: Number = field(name="b")
    ask_notional: Number = field(name="a")
    maker: bool = field(name="m")
    reduce_only: bool = field(name="R")
    working_type: WorkingType = field(name="wt")
    original_type: OrderType = field(name="ot")
    position_side: PositionSide = field(name="ps")
    close_position: bool = field(name="cp")
    activation_price: Number | UnsetType = field(name="AP", default=UNSET)
    callback_rate: Number | UnsetType = field(name="cr", default=UNSET)
    price_protect: bool | UnsetType = field(name="pP", default=UNSET)
    ignored_si: Integer | UnsetType = field(name="si", default=UNSET)
    ignored_ss: Integer | UnsetType = field(name="ss", default=UNSET)
    #: Realised profit of this trade, before the fee.
    realized_pnl: Number = field(name="rp")
    self_trade_prevention: SelfTradePrevention | UnsetType = field(name="V", default=UNSET)
    price_match: PriceMatch | UnsetType = field(name="pm", default=UNSET)
    good_till_ms: Integer | UnsetType = field(name="gtd", default=UNSET)
    #: Why it expired: see `EXPIRY_REASONS`.
    expiry_reason: str | UnsetType = field(name="er", default=UNSET)
    product: Integer | UnsetType = field(name="st", default=UNSET)


#: Meaning of `er` in ORDER_TRADE_UPDATE (protocol.md 8.2).
EXPIRY_REASONS: dict[str, str] = {
    "0": "none",
    "1": "self-trade prevention",
    "2": "rest of an IOC order",
    "3": "rest of an IOC order, self-trade prevention",
    "4": "knocked out by a reduce-only or market order, or would have reversed the position",
    "5": "liquidation",
    "6": "GTE condition",
    "7": "symbol delisted",
    "8": "initial order expired after the stop triggered",
    "9": "rest of a market order",
}


class OrderTradeUpdate(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """ORDER_TRADE_UPDATE: something happened to an order."""

    transaction_ms: Integer = field(name="T")
    order: OrderReport = field(name="o")


class TradeLite(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """TRADE_LITE: the same fill as a later ORDER_TRADE_UPDATE, earlier and with less in it."""

    transaction_ms: Integer = field(name="T")
    symbol: str = field(name="s")
    quantity: Number = field(name="q")
    price: Number = field(name="p")
    maker: bool = field(name="m")
    client_order_id: str = field(name="c")
    side: Side = field(name="S")
    last_price: Number = field(name="L")
    last_quantity: Number = field(name="l")
    trade_id: Integer = field(name="t")
    order_id: Integer = field(name="i")
    product: Integer | UnsetType = field(name="st", default=UNSET)


class BalanceChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    """One asset inside ACCOUNT_UPDATE: absolute balances, and the change that is neither trade nor fee."""

    asset: str = field(name="a")
    wallet_balance: Number = field(name="wb")
    cross_wallet_balance: Number = field(name="cw")
    change: Number | UnsetType = field(name="bc", default=UNSET)


class PositionChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    """One position inside ACCOUNT_UPDATE: absolute values, signed quantity."""

    symbol: str = field(name="s")
    quantity: Number = field(name="pa")
    entry_price: Number = field(name="ep")
    break_even_price: Number | UnsetType = field(name="bep", default=UNSET)
    accumulated_realized: Number = field(name="cr")
    unrealized_pnl: Number = field(name="up")
    margin_type: str = field(name="mt")
    isolated_wallet: Number = field(name="iw")
    position_side: PositionSide = field(name="ps")
    margin_asset: str | UnsetType = field(name="ma", default=UNSET)


class AccountChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    """The body of ACCOUNT_UPDATE: only what changed. `symbol` names the contract of a funding fee."""

    reason: AccountReason = field(name="m")
    balances: list[BalanceChange] | UnsetType = field(name="B", default=UNSET)
    positions: list[PositionChange] | UnsetType = field(name="P", default=UNSET)
    symbol: str | UnsetType = field(name="S", default=UNSET)


class AccountUpdate(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """ACCOUNT_UPDATE: balances or positions changed."""

    transaction_ms: Integer = field(name="T")
    change: AccountChange = field(name="a")


class MarginCallPosition(Message, frozen=True, omit_defaults=True, kw_only=True):
    symbol: str = field(name="s")
    position_side: PositionSide = field(name="ps")
    quantity: Number = field(name="pa")
    margin_type: str = field(name="mt")
    isolated_wallet: Number = field(name="iw")
    mark_price: Number = field(name="mp")
    unrealized_pnl: Number = field(name="up")
    maintenance_margin: Number = field(name="mm")


class MarginCall(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """MARGIN_CALL: advisory and late."""

    cross_wallet_balance: Number | UnsetType = field(name="cw", default=UNSET)
    positions: list[MarginCallPosition] = field(name="p")


class LeverageChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    symbol: str = field(name="s")
    leverage: Integer = field(name="l")


class AssetModeChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    multi_assets: bool = field(name="j")


class AccountConfigUpdate(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """ACCOUNT_CONFIG_UPDATE: a leverage, or the multi-assets mode, was changed."""

    transaction_ms: Integer = field(name="T")
    leverage: LeverageChange | UnsetType = field(name="ac", default=UNSET)
    asset_mode: AssetModeChange | UnsetType = field(name="ai", default=UNSET)


class ListenKeyExpired(Message, frozen=True, omit_defaults=True, kw_only=True):
    """listenKeyExpired: from here on the stream is open and silent. The event time was a text in older documents."""

    event: str = field(name="e")
    event_ms: Integer | str = field(name="E")
    listen_key: str | UnsetType = field(name="listenKey", default=UNSET)


class AlgoReport(Message, frozen=True, omit_defaults=True, kw_only=True):
    """The conditional order inside ALGO_UPDATE. `actual_order_id` is an empty text until it triggers."""

    client_algo_id: str = field(name="caid")
    algo_id: Integer = field(name="aid")
    algo_type: str = field(name="at")
    type: OrderType = field(name="o")
    symbol: str = field(name="s")
    side: Side = field(name="S")
    position_side: PositionSide = field(name="ps")
    time_in_force: TimeInForce = field(name="f")
    quantity: Number = field(name="q")
    status: AlgoStatus = field(name="X")
    actual_order_id: str | UnsetType = field(name="ai", default=UNSET)
    actual_price: str | UnsetType = field(name="ap", default=UNSET)
    actual_quantity: str | UnsetType = field(name="aq", default=UNSET)
    actual_type: str | UnsetType = field(name="act", default=UNSET)
    trigger_price: Number = field(name="tp")
    price: Number = field(name="p")
    self_trade_prevention: SelfTradePrevention = field(name="V")
    working_type: WorkingType = field(name="wt")
    price_match: PriceMatch = field(name="pm")
    close_position: bool = field(name="cp")
    price_protect: bool = field(name="pP")
    reduce_only: bool = field(name="R")
    trigger_ms: Integer = field(name="tt")
    good_till_ms: Integer = field(name="gtd")
    #: Only meaningful with REJECTED or EXPIRED.
    reject_reason: str | UnsetType = field(name="rm", default=UNSET)
    #: Whether a trailing order has reached its activation price.
    activated: bool | UnsetType = field(name="ia", default=UNSET)


class AlgoUpdate(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """ALGO_UPDATE: something happened to a conditional order."""

    transaction_ms: Integer = field(name="T")
    order: AlgoReport = field(name="o")


class TriggerReject(Message, frozen=True, omit_defaults=True, kw_only=True):
    symbol: str = field(name="s")
    order_id: Integer = field(name="i")
    reason: str = field(name="r")


class ConditionalOrderTriggerReject(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """CONDITIONAL_ORDER_TRIGGER_REJECT: retired on 2025-12-15 in favour of ALGO_UPDATE, still understood."""

    transaction_ms: Integer = field(name="T")
    rejected: TriggerReject = field(name="or")


class StrategyChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    strategy_id: Integer = field(name="si")
    strategy_type: str = field(name="st")
    status: str = field(name="ss")
    symbol: str = field(name="s")
    update_ms: Integer = field(name="ut")
    op_code: Integer = field(name="c")


class StrategyUpdate(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """STRATEGY_UPDATE: a bot of the venue's own user interface changed. Not used."""

    transaction_ms: Integer = field(name="T")
    strategy: StrategyChange = field(name="su")


class GridChange(Message, frozen=True, omit_defaults=True, kw_only=True):
    strategy_id: Integer = field(name="si")
    strategy_type: str = field(name="st")
    status: str = field(name="ss")
    symbol: str = field(name="s")
    realized_pnl: Number = field(name="r")
    unmatched_price: Number = field(name="up")
    unmatched_quantity: Number = field(name="uq")
    unmatched_fee: Number = field(name="uf")
    matched_pnl: Number = field(name="mp")
    update_ms: Integer = field(name="ut")


class GridUpdate(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """GRID_UPDATE: a grid of the venue's own user interface changed. Not used."""

    transaction_ms: Integer = field(name="T")
    grid: GridChange = field(name="gu")


class UnknownEvent(Message, frozen=True, omit_defaults=True, kw_only=True):
    """An event type that no table knows: everything it said is in `extra`."""

    event: str = field(name="e")


class ServerShutdown(UserEvent, frozen=True, omit_defaults=True, kw_only=True):
    """serverShutdown: this connection will be closed soon, so rotate now (documented for spot, handled by the official SDK)."""
