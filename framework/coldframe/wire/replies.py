"""What the venue answers about orders and accounts, on REST and on the WebSocket API alike (camel case on the wire).

For a client every key is optional (protocol.md, head); required here is only what the bot cannot do without. The venue fills the
fields that the exchange fills for the same call. Source: protocol.md 6.6 and 7; `seeds/004`, "Response format".
"""

from __future__ import annotations

from typing import Any

import msgspec
import msgspec.structs
from msgspec import UNSET, UnsetType, field

from coldframe.enums import (
    AlgoStatus,
    OrderStatus,
    OrderType,
    PositionSide,
    PriceMatch,
    SelfTradePrevention,
    Side,
    TimeInForce,
    WorkingType,
)
from coldframe.text import discreet
from coldframe.wire.streams import Integer, Message, Number


class Reply(Message, frozen=True, kw_only=True, rename="camel"):
    """An answer, or a row of one. `extra` keeps keys that no class knows."""

    extra: dict[str, Any] | None = field(name=" extra", default=None)


class OrderReply(Reply, frozen=True, kw_only=True):
    """One order. `avg_price`, `cum_quote` and `time` are printed by queries and lists, not by acknowledgements."""

    order_id: Integer
    symbol: str
    status: OrderStatus
    client_order_id: str
    price: Number
    orig_qty: Number
    executed_qty: Number
    side: Side
    type: OrderType
    avg_price: Number | UnsetType = UNSET
    cum_qty: Number | UnsetType = UNSET
    cum_quote: Number | UnsetType = UNSET
    #: Lists print both amounts since 2026-08-05; the one of the other unit is "0".
    cum_base: Number | UnsetType = UNSET
    pair: str | UnsetType = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    reduce_only: bool | UnsetType = UNSET
    close_position: bool | UnsetType = UNSET
    position_side: PositionSide | UnsetType = UNSET
    stop_price: Number | UnsetType = UNSET
    activate_price: Number | UnsetType = UNSET
    price_rate: Number | UnsetType = UNSET
    working_type: WorkingType | UnsetType = UNSET
    price_protect: bool | UnsetType = UNSET
    orig_type: OrderType | UnsetType = UNSET
    price_match: PriceMatch | UnsetType = UNSET
    self_trade_prevention_mode: SelfTradePrevention | UnsetType = UNSET
    good_till_date: Integer | UnsetType = UNSET
    time: Integer | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET
    modify_id: Integer | UnsetType = UNSET


class AlgoReply(Reply, frozen=True, kw_only=True):
    """One conditional order. The `actual_` fields are printed by queries and speak of the order it became."""

    algo_id: Integer
    client_algo_id: str
    symbol: str
    side: Side
    order_type: OrderType
    algo_status: AlgoStatus
    algo_type: str | UnsetType = UNSET
    position_side: PositionSide | UnsetType = UNSET
    time_in_force: TimeInForce | UnsetType = UNSET
    quantity: Number | UnsetType = UNSET
    actual_order_id: str | UnsetType = UNSET
    actual_price: str | UnsetType = UNSET
    actual_type: str | UnsetType = UNSET
    actual_qty: str | UnsetType = UNSET
    trigger_price: Number | UnsetType = UNSET
    price: Number | UnsetType = UNSET
    iceberg_quantity: Number | None | UnsetType = UNSET
    tp_order_type: str | UnsetType = UNSET
    self_trade_prevention_mode: SelfTradePrevention | UnsetType = UNSET
    working_type: WorkingType | UnsetType = UNSET
    price_match: PriceMatch | UnsetType = UNSET
    close_position: bool | UnsetType = UNSET
    price_protect: bool | UnsetType = UNSET
    reduce_only: bool | UnsetType = UNSET
    activate_price: Number | UnsetType = UNSET
    callback_rate: Number | UnsetType = UNSET
    create_time: Integer | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET
    trigger_time: Integer | UnsetType = UNSET
    good_till_date: Integer | UnsetType = UNSET


class AlgoCancelled(Reply, frozen=True, kw_only=True):
    """The answer to algoOrder.cancel; its code is the text "200"."""

    algo_id: Integer
    client_algo_id: str
    code: str | Integer | UnsetType = UNSET
    msg: str | UnsetType = UNSET


class UserTrade(Reply, frozen=True, kw_only=True):
    """One fill of ours, as GET /fapi/v1/userTrades lists it."""

    id: Integer
    order_id: Integer
    symbol: str
    side: Side
    price: Number
    qty: Number
    realized_pnl: Number
    commission: Number
    commission_asset: str
    maker: bool
    time: Integer
    position_side: PositionSide | UnsetType = UNSET
    quote_qty: Number | UnsetType = UNSET
    base_qty: Number | UnsetType = UNSET
    buyer: bool | UnsetType = UNSET
    margin_asset: str | UnsetType = UNSET
    pair: str | UnsetType = UNSET


class PositionRow(Reply, frozen=True, kw_only=True):
    """One row of v3 positionRisk and v2/account.position: only symbols with a position or orders. Mind the capital R."""

    symbol: str
    position_side: PositionSide
    position_amt: Number
    entry_price: Number
    break_even_price: Number | UnsetType = UNSET
    mark_price: Number | UnsetType = UNSET
    un_realized_profit: Number | UnsetType = field(name="unRealizedProfit", default=UNSET)
    liquidation_price: Number | UnsetType = UNSET
    isolated_margin: Number | UnsetType = UNSET
    notional: Number | UnsetType = UNSET
    margin_asset: str | UnsetType = UNSET
    isolated_wallet: Number | UnsetType = UNSET
    initial_margin: Number | UnsetType = UNSET
    maint_margin: Number | UnsetType = UNSET
    position_initial_margin: Number | UnsetType = UNSET
    open_order_initial_margin: Number | UnsetType = UNSET
    adl: Integer | UnsetType = UNSET
    bid_notional: Number | UnsetType = UNSET
    ask_notional: Number | UnsetType = UNSET
    #: Version 2 only, and texts there.
    leverage: str | UnsetType = UNSET
    margin_type: str | UnsetType = UNSET
    is_auto_add_margin: str | UnsetType = UNSET
    max_notional_value: str | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET


class BalanceRow(Reply, frozen=True, kw_only=True):
    """One asset of the account. Texts may be empty on inactive accounts, so they are not checked here."""

    asset: str
    balance: str
    available_balance: str
    account_alias: str | UnsetType = UNSET
    cross_wallet_balance: str | UnsetType = UNSET
    cross_un_pnl: str | UnsetType = UNSET
    max_withdraw_amount: str | UnsetType = UNSET
    margin_available: bool | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET


class AccountAsset(Reply, frozen=True, kw_only=True):
    asset: str
    wallet_balance: Number
    unrealized_profit: Number
    margin_balance: Number
    maint_margin: Number
    initial_margin: Number
    position_initial_margin: Number
    open_order_initial_margin: Number
    cross_wallet_balance: Number
    cross_un_pnl: Number
    available_balance: Number
    max_withdraw_amount: Number
    margin_available: bool | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET


class AccountPosition(Reply, frozen=True, kw_only=True):
    """A position as account.status lists it; version 1 and 2 print more of them, some as texts."""

    symbol: str
    position_side: PositionSide
    position_amt: Number
    unrealized_profit: Number
    initial_margin: Number
    maint_margin: Number
    isolated_margin: Number | UnsetType = UNSET
    notional: Number | UnsetType = UNSET
    isolated_wallet: Number | UnsetType = UNSET
    position_initial_margin: Number | UnsetType = UNSET
    open_order_initial_margin: Number | UnsetType = UNSET
    leverage: str | UnsetType = UNSET
    isolated: bool | UnsetType = UNSET
    entry_price: Number | UnsetType = UNSET
    break_even_price: Number | UnsetType = UNSET
    max_notional: Number | UnsetType = UNSET
    bid_notional: Number | UnsetType = UNSET
    ask_notional: Number | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET


class AccountStatus(Reply, frozen=True, kw_only=True):
    """account.status and /account: totals, assets and positions. Rights and modes stand only in versions 1 and 2."""

    total_initial_margin: Number
    total_maint_margin: Number
    total_wallet_balance: Number
    total_unrealized_profit: Number
    total_margin_balance: Number
    total_position_initial_margin: Number
    total_open_order_initial_margin: Number
    total_cross_wallet_balance: Number
    total_cross_un_pnl: Number
    available_balance: Number
    max_withdraw_amount: Number
    assets: list[AccountAsset]
    positions: list[AccountPosition]
    fee_tier: Integer | UnsetType = UNSET
    fee_burn: bool | UnsetType = UNSET
    can_trade: bool | UnsetType = UNSET
    can_deposit: bool | UnsetType = UNSET
    can_withdraw: bool | UnsetType = UNSET
    multi_assets_margin: bool | UnsetType = UNSET
    trade_group_id: Integer | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET


class AccountConfig(Reply, frozen=True, kw_only=True):
    """GET /fapi/v1/accountConfig: rights and modes."""

    can_trade: bool
    dual_side_position: bool
    multi_assets_margin: bool
    fee_tier: Integer | UnsetType = UNSET
    can_deposit: bool | UnsetType = UNSET
    can_withdraw: bool | UnsetType = UNSET
    trade_group_id: Integer | UnsetType = UNSET
    update_time: Integer | UnsetType = UNSET


class SymbolConfig(Reply, frozen=True, kw_only=True):
    """GET /fapi/v1/symbolConfig: leverage and margin mode of a symbol."""

    symbol: str
    margin_type: str
    leverage: Integer
    is_auto_add_margin: bool | UnsetType = UNSET
    max_notional_value: str | UnsetType = UNSET


class CommissionRate(Reply, frozen=True, kw_only=True):
    symbol: str
    maker_commission_rate: Number
    taker_commission_rate: Number
    rpi_commission_rate: Number | UnsetType = UNSET


class LeverageReply(Reply, frozen=True, kw_only=True):
    leverage: Integer
    max_notional_value: str
    symbol: str


class PositionMode(Reply, frozen=True, kw_only=True):
    dual_side_position: bool


class AssetMode(Reply, frozen=True, kw_only=True):
    multi_assets_margin: bool


class Income(Reply, frozen=True, kw_only=True):
    symbol: str
    income_type: str
    income: Number
    asset: str
    info: str
    time: Integer
    tran_id: Integer
    trade_id: str


class MarginChange(Reply, frozen=True, kw_only=True):
    """One row of GET positionMargin/history; `type` is 1 for margin that was added, 2 for margin that was taken."""

    symbol: str
    type: Integer
    delta_type: str
    amount: Number
    asset: str
    time: Integer
    position_side: PositionSide


class ListenKey(Reply, frozen=True, kw_only=True):
    """The key of the user-data stream: a secret."""

    listen_key: str


class Notice(Reply, frozen=True, kw_only=True):
    """`{"code": 200, "msg": ...}`: something was done."""

    code: Integer
    msg: str


class ErrorBody(Message, frozen=True, omit_defaults=True):
    """`{"code": -1121, "msg": "Invalid symbol."}`; what `msg` echoes of keys and signatures is left out (faults.md X2)."""

    code: Integer
    msg: str

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "msg", discreet(self.msg))


class SessionStatus(Reply, frozen=True, kw_only=True):
    """The answer to session.logon, session.status and session.logout."""

    api_key: str | None
    authorized_since: Integer | None
    connected_since: Integer
    return_rate_limits: bool
    server_time: Integer
