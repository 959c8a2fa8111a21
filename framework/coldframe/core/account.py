"""What ACCOUNT_UPDATE says: wallet balances, positions to compare with ours, and funding to share out.

The same event may come twice (two links overlap while one replaces the other), so funding is recognised by all that it says.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Final

from coldframe.core.context import Context
from coldframe.core.evidence import Evidence
from coldframe.core.funding import shares
from coldframe.core.positions import PositionKey
from coldframe.core.risk import Trader
from coldframe.model.effects import Level
from coldframe.terms import AccountReason
from coldframe.units import NS_PER_MS, ZERO, exact, plain
from coldframe.wire.account import AccountUpdate

#: How long ago a position may have been reported otherwise when a report of it comes late (milliseconds).
_LATE_MS: Final = 5_000
_FUNDINGS_LIMIT: Final = 5_000


class Account:
    """The account as its reports describe it."""

    def __init__(self, ctx: Context, evidence: Evidence, traders: Mapping[str, Trader], marks: Mapping[str, Decimal]) -> None:
        self._ctx = ctx
        self._evidence = evidence
        self._traders = traders
        self._marks = marks
        self._seen_ms: dict[PositionKey, int] = {}
        self._funded: dict[tuple[object, ...], None] = {}
        #: Wallet balances by asset, as reports name them.
        self.balances: dict[str, Decimal] = {}

    def changed(self, event: AccountUpdate) -> None:
        change = event.change
        for balance in change.balances or []:
            self.balances[balance.asset] = exact(balance.wallet_balance)
        if change.reason is AccountReason.FUNDING_FEE:
            self._take_funding(event)
        elif change.reason is not AccountReason.ORDER:
            self._ctx.log(Level.INFO, f"account changed: {change.reason}")
        if self._evidence.baseline_ms:
            self._claim(event)

    def _claim(self, event: AccountUpdate) -> None:
        """Positions in it are compared with ours; what is older than what was compared already says nothing."""
        named: dict[PositionKey, Decimal] = {}
        for one in event.change.positions or []:
            key = (one.symbol, one.position_side)
            if event.transaction_ms >= self._seen_ms.get(key, 0):
                self._seen_ms[key] = event.transaction_ms
                named[key] = exact(one.quantity)
        now = self._ctx.now_ns
        self._evidence.balance.claim(named, now - _LATE_MS * NS_PER_MS, now, 0, all_of_them=False)

    # -- funding ------------------------------------------------------------------------------------------------------

    def _take_funding(self, event: AccountUpdate) -> None:
        change = event.change
        symbols = {one.symbol for one in change.positions or []}
        symbol = change.symbol if isinstance(change.symbol, str) else symbols.pop() if len(symbols) == 1 else None
        for balance in change.balances or []:
            amount = exact(balance.change) if isinstance(balance.change, str) else ZERO
            key = (event.transaction_ms, symbol, balance.asset, balance.wallet_balance, amount)
            if not amount or key in self._funded:
                continue
            self._funded[key] = None
            if len(self._funded) > _FUNDINGS_LIMIT:
                del self._funded[next(iter(self._funded))]
            self._share(amount, balance.asset, symbol)

    def _share(self, amount: Decimal, asset: str, symbol: str | None) -> None:
        given = shares(amount, self._weights(symbol)) or {"": amount}
        for owner, part in given.items():
            account = self._traders[owner].account if owner else self._evidence.external
            account.fund(part, asset)
        parts = ", ".join(f"{owner or 'external'} {plain(part)}" for owner, part in given.items())
        self._ctx.log(Level.INFO, f"funding{f' of {symbol}' if symbol else ''}: {plain(amount)} {asset} ({parts})")

    def _weights(self, symbol: str | None) -> dict[str, Decimal]:
        """Who holds how much of what is paid for: signed positions of the symbol, or of all symbols their notional."""
        owners = {"": self._evidence.external} | {name: one.account for name, one in self._traders.items()}
        if symbol is not None:
            return {name: account.net(symbol) for name, account in owners.items()}
        return {name: account.notional(self._marks) for name, account in owners.items()}
