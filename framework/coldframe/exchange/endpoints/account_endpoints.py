"""Calls about accounts: listen keys, positions, balances, histories, settings."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from coldframe.exchange.endpoints.requester import EndpointHandlers, Requester, one_or_all, public_data_of, sent
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.account_queries import balances, positions, status
from coldframe.exchange.trading.order_events import margin_word
from coldframe.units import ZERO, plain
from coldframe.wire import requests as ask
from coldframe.wire.reference import LeverageTiers
from coldframe.wire.replies import (
    AccountConfig,
    AssetMode,
    CommissionRate,
    LeverageReply,
    ListenKey,
    Notice,
    PositionMode,
    SymbolConfig,
)
from coldframe.wire.requests import Fault

_DONE: Final = Notice(code=200, msg="success")


# -- listen keys --------------------------------------------------------------------------------------------------------


def start_listening(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """POST listenKey, `userDataStream.start`."""
    return ListenKey(listen_key=exchange.listen_keys.start(requester.account, now_ms))


def keep_listening(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """PUT listenKey, `userDataStream.ping`."""
    key = exchange.listen_keys.extend(requester.account, now_ms)
    return key if isinstance(key, Fault) else ListenKey(listen_key=key)


def stop_listening(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """DELETE listenKey, `userDataStream.stop`."""
    key = exchange.listen_keys.stop(requester.account)
    return key if isinstance(key, Fault) else {}


# -- positions and balances -----------------------------------------------------------------------------------------------


def old_positions(exchange: Exchange, requester: Requester, request: ask.Request, now_ms: int) -> object:
    """v2 positionRisk, `account.position`: all symbols."""
    return _positions(exchange, requester, request, every=True)


def new_positions(exchange: Exchange, requester: Requester, request: ask.Request, now_ms: int) -> object:
    """v3 positionRisk, `v2/account.position`: only symbols with a position or an order."""
    return _positions(exchange, requester, request, every=False)


def _positions(exchange: Exchange, requester: Requester, request: ask.Request, *, every: bool) -> object:
    symbol = sent(getattr(request, "symbol", None))
    if symbol is not None and symbol not in exchange.markets:
        return refuse(-1121)
    return positions(exchange.state, requester.account, symbol, every=every)


def balance(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """v2 and v3 balance, `account.balance`, `v2/account.balance`."""
    return balances(exchange.state, requester.account)


def old_status(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """v2 account, `account.status`."""
    return status(exchange.state, requester.account, old=True)


def new_status(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """v3 account, `v2/account.status`."""
    return status(exchange.state, requester.account, old=False)


# -- rights, rates, rules -----------------------------------------------------------------------------------------------


def account_config(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET accountConfig."""
    account = exchange.state.books(requester.account).account
    return AccountConfig(
        fee_tier=0,
        can_trade=True,
        can_deposit=True,
        can_withdraw=False,
        dual_side_position=account.hedge,
        multi_assets_margin=account.multi_assets,
        trade_group_id=-1,
        update_time=0,
    )


def symbol_config(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET symbolConfig: always a list."""
    account = exchange.state.books(requester.account).account

    def row(public_data: PublicMarketData) -> object:
        settings = account.of_symbol(public_data.symbol)
        return SymbolConfig(
            symbol=public_data.symbol,
            margin_type=margin_word(isolated=settings.isolated),
            is_auto_add_margin=False,
            leverage=settings.leverage,
            max_notional_value=_whole(public_data.contract.max_notional(settings.leverage)),
        )

    rows = one_or_all(exchange, request, row)
    return rows if isinstance(rows, list | Fault) else [rows]


def _whole(value: Decimal) -> str:
    return plain(value.normalize() + ZERO)


def commission_rate(exchange: Exchange, requester: Requester, request: ask.SymbolOnly, now_ms: int) -> object:
    """GET commissionRate."""
    public_data = public_data_of(exchange, request.symbol)
    if isinstance(public_data, Fault):
        return public_data
    account = exchange.state.books(requester.account).account
    return CommissionRate(
        symbol=public_data.symbol,
        maker_commission_rate=f"{account.maker_fee:.6f}",
        taker_commission_rate=f"{account.taker_fee:.6f}",
        rpi_commission_rate=f"{account.maker_fee:.6f}",
    )


def leverage_brackets(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET leverageBracket: a list, for one symbol too."""
    rows = one_or_all(
        exchange, request, lambda public_data: LeverageTiers(symbol=public_data.symbol, brackets=list(public_data.contract.tiers))
    )
    return rows if isinstance(rows, list | Fault) else [rows]


def order_limits(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET rateLimit/order."""
    return exchange.counters.order_limits()


def adl_quantile(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET adlQuantile: this exchange has no queue for deleveraging."""
    account = exchange.state.books(requester.account).account
    sides = ("LONG", "SHORT", "HEDGE") if account.hedge else ("LONG", "SHORT", "BOTH")
    rows = one_or_all(exchange, request, lambda public_data: {"symbol": public_data.symbol, "adlQuantile": dict.fromkeys(sides, 0)})
    return rows if isinstance(rows, list | Fault) else [rows]


def trading_status(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET apiTradingStatus: no indicator is ever triggered here."""
    if sent(request.symbol) is not None and request.symbol not in exchange.markets:
        return refuse(-1121)
    return {"indicators": {}, "updateTime": now_ms}


def fee_burn(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET feeBurn: whether fees are paid in BNB."""
    return {"feeBurn": exchange.state.books(requester.account).account.fee_burn}


def set_fee_burn(exchange: Exchange, requester: Requester, request: ask.SetFeeBurn, now_ms: int) -> object:
    """POST feeBurn: from the next fill on."""
    exchange.preferences.fee_burn(requester.account, wanted=request.fee_burn)
    return _DONE


def sign_agreement(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """POST stock/contract: signs the agreement on TradFi perpetuals."""
    exchange.preferences.sign_agreement(requester.account)
    return _DONE


# -- settings ---------------------------------------------------------------------------------------------------------


def set_leverage(exchange: Exchange, requester: Requester, request: ask.SetLeverage, now_ms: int) -> object:
    """POST leverage."""
    fault = exchange.preferences.leverage(requester.account, request, now_ms)
    if fault:
        return fault
    most = exchange.state.contract(request.symbol).max_notional(request.leverage)
    return LeverageReply(leverage=request.leverage, max_notional_value=_whole(most), symbol=request.symbol)


def set_margin_type(exchange: Exchange, requester: Requester, request: ask.SetMarginType, now_ms: int) -> object:
    """POST marginType."""
    return exchange.preferences.margin_type(requester.account, request, now_ms) or _DONE


def move_margin(exchange: Exchange, requester: Requester, request: ask.MovePositionMargin, now_ms: int) -> object:
    """POST positionMargin; the amount in the answer is a JSON number."""
    fault = exchange.preferences.position_margin(requester.account, request, now_ms)
    if fault:
        return fault
    return {"amount": Decimal(request.amount), "code": 200, "msg": "Successfully modify position margin.", "type": request.type}


def position_mode(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET positionSide/dual."""
    return PositionMode(dual_side_position=exchange.state.books(requester.account).account.hedge)


def set_position_mode(exchange: Exchange, requester: Requester, request: ask.SetPositionMode, now_ms: int) -> object:
    """POST positionSide/dual."""
    return exchange.preferences.position_mode(requester.account, hedge=request.dual_side_position) or _DONE


def asset_mode(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET multiAssetsMargin."""
    return AssetMode(multi_assets_margin=exchange.state.books(requester.account).account.multi_assets)


def set_asset_mode(exchange: Exchange, requester: Requester, request: ask.SetAssetMode, now_ms: int) -> object:
    """POST multiAssetsMargin."""
    return exchange.preferences.asset_mode(requester.account, now_ms, multi_assets=request.multi_assets_margin) or _DONE


REST: Final[EndpointHandlers] = {
    "POST /fapi/v1/listenKey": start_listening,
    "PUT /fapi/v1/listenKey": keep_listening,
    "DELETE /fapi/v1/listenKey": stop_listening,
    "GET /fapi/v2/positionRisk": old_positions,
    "GET /fapi/v3/positionRisk": new_positions,
    "GET /fapi/v2/balance": balance,
    "GET /fapi/v3/balance": balance,
    "GET /fapi/v2/account": old_status,
    "GET /fapi/v3/account": new_status,
    "GET /fapi/v1/accountConfig": account_config,
    "GET /fapi/v1/symbolConfig": symbol_config,
    "GET /fapi/v1/commissionRate": commission_rate,
    "GET /fapi/v1/leverageBracket": leverage_brackets,
    "GET /fapi/v1/rateLimit/order": order_limits,
    "GET /fapi/v1/adlQuantile": adl_quantile,
    "GET /fapi/v1/apiTradingStatus": trading_status,
    "GET /fapi/v1/feeBurn": fee_burn,
    "POST /fapi/v1/feeBurn": set_fee_burn,
    "POST /fapi/v1/leverage": set_leverage,
    "POST /fapi/v1/marginType": set_margin_type,
    "POST /fapi/v1/positionMargin": move_margin,
    "GET /fapi/v1/positionSide/dual": position_mode,
    "POST /fapi/v1/positionSide/dual": set_position_mode,
    "GET /fapi/v1/multiAssetsMargin": asset_mode,
    "POST /fapi/v1/multiAssetsMargin": set_asset_mode,
    "POST /fapi/v1/stock/contract": sign_agreement,
}
METHODS: Final[EndpointHandlers] = {
    "account.position": old_positions,
    "v2/account.position": new_positions,
    "account.balance": balance,
    "v2/account.balance": balance,
    "account.status": old_status,
    "v2/account.status": new_status,
    "userDataStream.start": start_listening,
    "userDataStream.ping": keep_listening,
    "userDataStream.stop": stop_listening,
}
