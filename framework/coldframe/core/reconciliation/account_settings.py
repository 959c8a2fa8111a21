"""What the start has compared is watched afterwards: position mode, asset mode, leverage and margin mode of the account.

Another client can change each of them while the bot runs. Reports tell of some (ACCOUNT_CONFIG_UPDATE), refusals betray others
(-4061), and a cheap look now and then finds the rest. While account and configuration contradict each other no new risk is taken,
in the symbol or everywhere; that ends when they agree again. Source: protocol.md 6.4, 6.6 and 8.2.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.reconciliation.leverage_brackets import Brackets
from coldframe.core.state.engine_state import EngineState
from coldframe.enums import AccountReason
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.engine_events import AccountSettingDiffers, SettingsDoubted
from coldframe.model.inputs import TimeReached
from coldframe.units import NS_PER_MS
from coldframe.wire.account import AccountChange, AccountConfigUpdate, AccountUpdate, AssetModeChange, LeverageChange
from coldframe.wire.codec import Census, decode
from coldframe.wire.replies import AccountConfig, SymbolConfig

#: Pause between two looks (11 weight each), and the shortest one when something has given cause for it (milliseconds).
LOOK_MS: Final = 60_000
SUSPECT_MS: Final = 5_000
#: What the margin mode is called in reports, in queries, and in the configuration.
_MARGIN: Final = {"cross": "cross", "crossed": "cross", "isolated": "isolated"}
_MODES: Final = {True: "hedge mode", False: "one-way mode"}


@attrs.frozen(kw_only=True)
class AccountSettings:
    """How the account has to be set. Leverage by symbol and margin mode only where the configuration names them."""

    hedge: bool = False
    leverage: Mapping[str, int] = attrs.field(factory=dict)
    margin: str | None = None


@attrs.frozen
class PendingModes(RequestPurpose):
    """The purpose of a GET accountConfig."""


#: What the watch takes in.
AccountWatchInput = SettingsDoubted | AccountConfigUpdate | AccountUpdate | Returned | TimeReached


class AccountWatch:
    """Compares. `traded` are the symbols whose margin mode matters."""

    def __init__(
        self, state: EngineState, ctx: StepContext, calls: RestQueue, wanted: AccountSettings, traded: Collection[str]
    ) -> None:
        self._trading = state.trading
        self._caps = state.caps
        self._ctx = ctx
        self._calls = calls
        self._brackets = Brackets(state, ctx, calls, self._configured)
        self._wanted = wanted
        self._traded = traded
        self._looked_ns = 0
        self._failing = False
        #: Whether there is reason to look sooner.
        self._doubted = False

    def step(self, event: AccountWatchInput) -> None:
        """Takes in that something hints at other settings than we think, what the user stream tells, what a look has
        brought, or that it is time to see whether one is due (`orders:tick`).
        """
        match event:
            case SettingsDoubted():
                self._doubted = True
            case TimeReached():
                self._ask_if_due()
            case AccountConfigUpdate():
                self._apply_update(event)
            case AccountUpdate():
                self._changed(event.change)
            case Returned(PendingModes()):
                self._returned(event)
            case Returned():
                self._brackets.step(event)
            case unknown:
                assert_never(unknown)

    # -- looking ------------------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The run begins; the start has just compared everything."""
        self._brackets.ask()
        self._looked_ns = self._ctx.now_ns

    def next_due_ns(self) -> int:
        """When it is time to look again; sooner when there is a doubt."""
        return self._looked_ns + (SUSPECT_MS if self._doubted else LOOK_MS) * NS_PER_MS

    def _ask_if_due(self) -> None:
        """Looks when it is time to."""
        if self._ctx.now_ns >= self.next_due_ns() and not self._calls.busy(PendingModes()):
            self._doubted = False
            self._looked_ns = self._ctx.now_ns
            self._calls.call("GET", "/fapi/v1/accountConfig", {}, PendingModes(), Priority.NEW_RISK)
            self._brackets.ask()

    def _returned(self, event: Returned) -> None:
        answer = event.answer
        try:
            account = decode(AccountConfig, answer.body, Census()) if answer is not None and answer.status == 200 else None
        except DecodeError:
            account = None
        if account is None:
            if not self._failing:
                self._ctx.log(Level.WARNING, "the settings of the account cannot be looked at; trying again every minute")
            self._failing = True
            return
        self._failing = False
        self._compare("", "position mode", _MODES[self._wanted.hedge], _MODES[account.dual_side_position], "orders.position_mode")
        self._asset_mode(account.multi_assets_margin)

    # -- what is told -------------------------------------------------------------------------------------------------

    def _apply_update(self, event: AccountConfigUpdate) -> None:
        """ACCOUNT_CONFIG_UPDATE: a leverage or the asset mode has been changed."""
        if isinstance(event.leverage, LeverageChange):
            self._leverage(event.leverage.symbol, event.leverage.leverage)
            self._caps.leverage(event.leverage.symbol, event.leverage.leverage)
        if isinstance(event.asset_mode, AssetModeChange):
            self._asset_mode(event.asset_mode.multi_assets)

    def _changed(self, change: AccountChange) -> None:
        """ACCOUNT_UPDATE: its positions show their margin mode and side."""
        for row in change.positions or []:
            self._margin(row.symbol, row.margin_type)
            self._doubted |= (row.position_side != "BOTH") is not self._wanted.hedge
        self._doubted |= change.reason is AccountReason.MARGIN_TYPE_CHANGE

    def _configured(self, row: SymbolConfig) -> None:
        self._leverage(row.symbol, row.leverage)
        self._margin(row.symbol, row.margin_type)

    # -- comparing ----------------------------------------------------------------------------------------------------

    def _leverage(self, symbol: str, leverage: int) -> None:
        wanted = self._wanted.leverage.get(symbol)
        if wanted is not None:
            self._compare(symbol, "leverage", str(wanted), str(leverage), "orders.leverage")

    def _margin(self, symbol: str, said: str) -> None:
        if self._wanted.margin is not None and symbol in self._traded:
            self._compare(symbol, "margin mode", self._wanted.margin, _MARGIN.get(said.lower(), said), "orders.margin")

    def _asset_mode(self, multi_assets: bool) -> None:
        self._compare("", "asset mode", "single-asset mode", "multi-assets mode" if multi_assets else "single-asset mode")

    def _compare(self, symbol: str, what: str, wanted: str, there: str, key: str = "") -> None:
        where = f"{what} of {symbol or 'the account'}"
        if wanted == there:
            if self._trading.setting_agrees(symbol, what):
                self._ctx.log(Level.WARNING, f"{where} is {there} again, as configured: new risk is taken again")
            return
        configured = f"{wanted} ({key})" if key else wanted
        text = f"{where} is {there} at the venue, the bot is configured for {configured}: no new risk until they agree"
        if self._trading.setting_differs(symbol, what, text, self._ctx.now_ms):
            self._ctx.publish(AccountSettingDiffers(symbol))
            self._ctx.log(Level.ERROR, text)
