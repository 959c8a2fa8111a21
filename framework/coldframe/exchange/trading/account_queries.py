"""Accounts as the queries print them: balances, positions, the whole account, in the older and the newer form.

The newer form (v3 on REST, v2 on the WebSocket API) lists only symbols with a position or an order; the older one lists them all
and adds leverage, margin mode and rights (protocol.md 6.6).
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import UNSET

from coldframe.exchange.contracts import money
from coldframe.exchange.trading.entities import Account
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.margin import Exposure, MarginAccount, exposure, liquidation_price
from coldframe.exchange.trading.order_events import ASSET
from coldframe.exchange.trading.settlement import BNB
from coldframe.units import ZERO, plain
from coldframe.wire.replies import AccountAsset, AccountPosition, AccountStatus, BalanceRow, PositionRow


def _number(value: Decimal) -> str:
    """A number without superfluous zeros, as positions print theirs."""
    return plain(value.normalize() + ZERO) if value else "0"


def balances(state: ExchangeState, account: str) -> list[BalanceRow]:
    """The assets of an account."""
    whole = state.margin_account(account)
    rows = [
        BalanceRow(
            account_alias=account,
            asset=ASSET,
            balance=money(whole.account.wallet),
            cross_wallet_balance=money(whole.account.cross_wallet),
            cross_un_pnl=money(whole.cross_unrealized),
            available_balance=money(whole.available),
            max_withdraw_amount=money(whole.withdrawable),
            margin_available=True,
            update_time=whole.account.updated_ms,
        )
    ]
    if _has_bnb(whole.account):
        bnb = money(whole.account.bnb)
        rows.append(
            BalanceRow(
                account_alias=account,
                asset=BNB,
                balance=bnb,
                cross_wallet_balance=bnb,
                cross_un_pnl=money(ZERO),
                available_balance=bnb,
                max_withdraw_amount=bnb,
                margin_available=True,
                update_time=whole.account.updated_ms,
            )
        )
    return rows


def _has_bnb(account: Account) -> bool:
    """Whether the account has anything to do with BNB; of other assets it only knows USDT."""
    return bool(account.bnb or account.fee_burn)


def positions(state: ExchangeState, account: str, symbol: str | None, *, every: bool) -> list[PositionRow]:
    """The positions of an account; `every` lists all symbols, with leverage and margin mode."""
    whole = state.margin_account(account)
    shown = (
        _every(state, whole) if every else [held for held in whole.exposures if held.position.quantity or held.bids or held.asks]
    )
    return [_position(whole, line, old=every) for line in shown if symbol is None or line.position.symbol == symbol]


def _every(state: ExchangeState, whole: MarginAccount) -> list[Exposure]:
    """An exposure for every symbol of the venue, empty ones included."""
    rows: list[Exposure] = []
    for symbol, market in state.markets.items():
        for side in whole.account.sides():
            found = whole.of(symbol, side)
            position = whole.account.position(symbol, side)
            rows.append(found or exposure(whole.account, position, (), market.contract, state.mark(symbol)))
    return rows


def _position(whole: MarginAccount, exposure: Exposure, *, old: bool) -> PositionRow:
    position, contract = exposure.position, exposure.contract
    isolated_margin = position.isolated_wallet + exposure.unrealized if exposure.isolated and position.quantity else ZERO
    return PositionRow(
        symbol=position.symbol,
        position_side=position.side,
        position_amt=contract.quantity_text(position.quantity),
        entry_price=_number(position.entry),
        break_even_price=_number(position.break_even()),
        mark_price=plain(exposure.mark),
        un_realized_profit=money(exposure.unrealized),
        liquidation_price=contract.price_text(_ticks(liquidation_price(whole, exposure), exposure)) if position.quantity else "0",
        isolated_margin=money(isolated_margin),
        notional=money(exposure.notional),
        margin_asset=ASSET if not old else UNSET,
        isolated_wallet=money(position.isolated_wallet),
        initial_margin=money(exposure.initial_margin) if not old else UNSET,
        maint_margin=money(exposure.maintenance) if not old else UNSET,
        position_initial_margin=money(exposure.position_margin) if not old else UNSET,
        open_order_initial_margin=money(exposure.order_margin) if not old else UNSET,
        adl=0 if not old else UNSET,
        bid_notional=_number(exposure.bids) if not old else UNSET,
        ask_notional=_number(exposure.asks) if not old else UNSET,
        leverage=str(exposure.leverage) if old else UNSET,
        margin_type=("isolated" if exposure.isolated else "cross") if old else UNSET,
        is_auto_add_margin="false" if old else UNSET,
        max_notional_value=_number(contract.max_notional(exposure.leverage)) if old else UNSET,
        update_time=position.updated_ms,
    )


def _ticks(price: Decimal, exposure: Exposure) -> Decimal:
    return price.quantize(Decimal(1).scaleb(-exposure.contract.price_digits))


def status(state: ExchangeState, account: str, *, old: bool) -> AccountStatus:
    """The whole account."""
    whole = state.margin_account(account)
    wallet, unrealized = whole.account.wallet, whole.unrealized
    initial = whole.position_margin + whole.order_margin
    shown = _every(state, whole) if old else [held for held in whole.exposures if held.position.quantity or held.bids or held.asks]
    return AccountStatus(
        fee_tier=0 if old else UNSET,
        fee_burn=whole.account.fee_burn if old else UNSET,
        can_trade=True if old else UNSET,
        can_deposit=True if old else UNSET,
        can_withdraw=False if old else UNSET,
        multi_assets_margin=whole.account.multi_assets if old else UNSET,
        trade_group_id=-1 if old else UNSET,
        update_time=0 if old else UNSET,
        total_initial_margin=money(initial),
        total_maint_margin=money(whole.maintenance),
        total_wallet_balance=money(wallet),
        total_unrealized_profit=money(unrealized),
        total_margin_balance=money(wallet + unrealized),
        total_position_initial_margin=money(whole.position_margin),
        total_open_order_initial_margin=money(whole.order_margin),
        total_cross_wallet_balance=money(whole.account.cross_wallet),
        total_cross_un_pnl=money(whole.cross_unrealized),
        available_balance=money(whole.available),
        max_withdraw_amount=money(whole.withdrawable),
        assets=[_asset(whole, initial), *([_bnb(whole.account)] if _has_bnb(whole.account) else [])],
        positions=[_account_position(line, old=old) for line in shown],
    )


def _asset(whole: MarginAccount, initial: Decimal) -> AccountAsset:
    wallet, unrealized = whole.account.wallet, whole.unrealized
    return AccountAsset(
        asset=ASSET,
        wallet_balance=money(wallet),
        unrealized_profit=money(unrealized),
        margin_balance=money(wallet + unrealized),
        maint_margin=money(whole.maintenance),
        initial_margin=money(initial),
        position_initial_margin=money(whole.position_margin),
        open_order_initial_margin=money(whole.order_margin),
        cross_wallet_balance=money(whole.account.cross_wallet),
        cross_un_pnl=money(whole.cross_unrealized),
        available_balance=money(whole.available),
        max_withdraw_amount=money(whole.withdrawable),
        margin_available=True,
        update_time=whole.account.updated_ms,
    )


def _bnb(account: Account) -> AccountAsset:
    """BNB, which pays fees and stands behind nothing."""
    amount, none = money(account.bnb), money(ZERO)
    return AccountAsset(
        asset=BNB,
        wallet_balance=amount,
        unrealized_profit=none,
        margin_balance=amount,
        maint_margin=none,
        initial_margin=none,
        position_initial_margin=none,
        open_order_initial_margin=none,
        cross_wallet_balance=amount,
        cross_un_pnl=none,
        available_balance=amount,
        max_withdraw_amount=amount,
        margin_available=True,
        update_time=account.updated_ms,
    )


def _account_position(exposure: Exposure, *, old: bool) -> AccountPosition:
    position, contract = exposure.position, exposure.contract
    isolated_margin = position.isolated_wallet + exposure.unrealized if exposure.isolated and position.quantity else ZERO
    return AccountPosition(
        symbol=position.symbol,
        position_side=position.side,
        position_amt=contract.quantity_text(position.quantity),
        unrealized_profit=money(exposure.unrealized),
        isolated_margin=money(isolated_margin) if not old else UNSET,
        notional=money(exposure.notional) if not old else UNSET,
        isolated_wallet=money(position.isolated_wallet) if not old else UNSET,
        initial_margin=money(exposure.initial_margin),
        maint_margin=money(exposure.maintenance),
        position_initial_margin=money(exposure.position_margin) if old else UNSET,
        open_order_initial_margin=money(exposure.order_margin) if old else UNSET,
        leverage=str(exposure.leverage) if old else UNSET,
        isolated=exposure.isolated if old else UNSET,
        entry_price=_number(position.entry) if old else UNSET,
        break_even_price=_number(position.break_even()) if old else UNSET,
        max_notional=_number(contract.max_notional(exposure.leverage)) if old else UNSET,
        bid_notional=_number(exposure.bids) if old else UNSET,
        ask_notional=_number(exposure.asks) if old else UNSET,
        update_time=position.updated_ms,
    )
