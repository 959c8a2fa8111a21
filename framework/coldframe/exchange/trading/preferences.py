"""What an account may set: leverage, margin mode, isolated margin, position mode, asset mode, the dead man's switch."""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.enums import AccountReason, MarginType, PositionSide
from coldframe.exchange.refusals import refuse
from coldframe.exchange.trading.entities import cents
from coldframe.exchange.trading.exchange_state import ExchangeState
from coldframe.exchange.trading.order_events import account_event
from coldframe.units import ZERO
from coldframe.wire.account import AccountConfigUpdate, AssetModeChange, LeverageChange
from coldframe.wire.requests import Countdown, Fault, MovePositionMargin, SetLeverage, SetMarginType

_ADD, _TAKE = 1, 2


class Preferences:
    """Changes the settings of accounts. Each method gives the refusal, or nothing when it was done."""

    def __init__(self, state: ExchangeState) -> None:
        self._state = state

    def leverage(self, account: str, request: SetLeverage, now_ms: int) -> Fault | None:
        """POST leverage: within the brackets, covering what is held, and with margin for it."""
        state = self._state
        if request.symbol not in state.markets:
            return refuse(-1121)
        contract, books = state.contract(request.symbol), state.books(account)
        if not 1 <= request.leverage <= contract.max_leverage:
            return refuse(-4028, request.leverage)
        settings = books.account.of_symbol(request.symbol)
        held = [exposure for exposure in state.margin_account(account).exposures if exposure.position.symbol == request.symbol]
        if any(order.widest > contract.max_notional(request.leverage) for order in held):
            return refuse(-2027)
        if settings.isolated and request.leverage < settings.leverage and any(order.position.quantity for order in held):
            return refuse(-4161)
        before, settings.leverage = settings.leverage, request.leverage
        if request.leverage < before and state.margin_account(account).free < 0:
            settings.leverage = before
            return refuse(-2028)
        state.store.note(books.account)
        change = LeverageChange(symbol=request.symbol, leverage=request.leverage)
        state.emit(
            account,
            AccountConfigUpdate(event="ACCOUNT_CONFIG_UPDATE", event_ms=now_ms, transaction_ms=now_ms, leverage=change),
        )
        return None

    def margin_type(self, account: str, request: SetMarginType, now_ms: int) -> Fault | None:
        """POST marginType: only while nothing is held or on order."""
        state = self._state
        if request.symbol not in state.markets:
            return refuse(-1121)
        books = state.books(account)
        settings, isolated = books.account.of_symbol(request.symbol), request.margin_type is MarginType.ISOLATED
        if settings.isolated == isolated:
            return refuse(-4046)
        if isolated and books.account.multi_assets:
            return refuse(-4168)
        if books.of_symbol(request.symbol):
            return refuse(-4047)
        if any(books.account.position(request.symbol, side).quantity for side in books.account.sides()):
            return refuse(-4048)
        settings.isolated = isolated
        state.store.note(books.account)
        state.emit(
            account,
            account_event(books.account, AccountReason.MARGIN_TYPE_CHANGE, now_ms, now_ms, state.mark, balances=False),
        )
        return None

    def position_margin(self, account: str, request: MovePositionMargin, now_ms: int) -> Fault | None:
        """POST positionMargin: between the wallet and an isolated position."""
        state = self._state
        if request.symbol not in state.markets:
            return refuse(-1121)
        if request.type not in (_ADD, _TAKE):
            return refuse(-1130, "type")
        books, amount = state.books(account), cents(Decimal(request.amount))
        if amount <= 0:
            return refuse(-4055)
        side = request.position_side if isinstance(request.position_side, PositionSide) else PositionSide.BOTH
        if side not in books.account.sides():
            return refuse(-4061)
        if not books.account.of_symbol(request.symbol).isolated:
            return refuse(-4049)
        position = books.account.position(request.symbol, side)
        if not position.quantity:
            return refuse(-4054)
        whole = state.margin_account(account)
        exposure = whole.of(request.symbol, side)
        if request.type == _ADD and amount > whole.available:
            return refuse(-4050)
        spare = position.isolated_wallet + min(exposure.unrealized, ZERO) - exposure.position_margin if exposure else ZERO
        if request.type == _TAKE and amount > spare:
            return refuse(-4051)
        moved = amount if request.type == _ADD else -amount
        position.isolated_wallet += moved
        state.note_margin(books.account, position, moved, "USER_ADJUST", now_ms)
        position.updated_ms = now_ms
        state.store.note(books.account)
        state.emit(
            account,
            account_event(books.account, AccountReason.MARGIN_TRANSFER, now_ms, now_ms, state.mark, positions=[position]),
        )
        return None

    def sign_agreement(self, account: str, *, signed: bool = True) -> None:
        """POST stock/contract: from now on the account may trade TradFi perpetuals; twice is fine. The venue may take it back."""
        books = self._state.books(account)
        books.account.tradfi_signed = signed
        self._state.store.note(books.account)

    def position_mode(self, account: str, *, hedge: bool) -> Fault | None:
        """POST positionSide/dual: only while nothing is held or on order anywhere."""
        books = self._state.books(account)
        if books.account.hedge == hedge:
            return refuse(-4059)
        if books.open or books.open_algos:
            return refuse(-4067)
        if any(position.quantity for position in books.account.positions.values()):
            return refuse(-4068)
        books.account.hedge = hedge
        self._state.store.note(books.account)
        return None

    def asset_mode(self, account: str, now_ms: int, *, multi_assets: bool) -> Fault | None:
        """POST multiAssetsMargin: not with open orders, nor with isolated symbols."""
        books = self._state.books(account)
        if books.account.multi_assets == multi_assets:
            return refuse(-4171)
        if multi_assets and any(setting.isolated for setting in books.account.settings.values()):
            return refuse(-4167)
        if books.open:
            return refuse(-4170)
        books.account.multi_assets = multi_assets
        self._state.store.note(books.account)
        change = AssetModeChange(multi_assets=multi_assets)
        self._state.emit(
            account,
            AccountConfigUpdate(event="ACCOUNT_CONFIG_UPDATE", event_ms=now_ms, transaction_ms=now_ms, asset_mode=change),
        )
        return None

    def fee_burn(self, account: str, *, wanted: bool) -> None:
        """POST feeBurn."""
        books = self._state.books(account)
        books.account.fee_burn = wanted
        self._state.store.note(books.account)


@attrs.define(eq=False)
class CountdownTimers:
    """Dead man's switches: when one runs out, all open orders of its symbol are cancelled."""

    _due_ms: dict[tuple[str, str], int] = attrs.field(factory=dict)

    def set(self, account: str, request: Countdown, now_ms: int) -> None:
        """Winds a switch up; zero takes it away."""
        if request.countdown_time:
            self._due_ms[(account, request.symbol)] = now_ms + request.countdown_time
        else:
            self._due_ms.pop((account, request.symbol), None)

    def run_out(self, now_ms: int) -> list[tuple[str, str]]:
        """Account and symbol of every switch that has run out; they are gone then."""
        due = [key for key, due_ms in self._due_ms.items() if due_ms <= now_ms]
        for key in due:
            del self._due_ms[key]
        return due
