"""What ACCOUNT_UPDATE says: wallet balances, positions to compare with ours, and funding to share out.

The same event may come twice (two links overlap while one replaces the other), so funding is recognised by all that it says. What
was paid while the user stream was down stands in the income history, which is asked for after the user stream was away.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.reconciliation.asset_prices import AssetsSeen
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.funding_split import APART_MS, Payment, Payments, shares
from coldframe.core.state.journal_codec import booking_body, payment_body
from coldframe.core.state.positions import PositionKey
from coldframe.enums import AccountReason
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.journal import RowKind
from coldframe.units import NS_PER_MS, ZERO, exact, plain
from coldframe.wire.account import AccountUpdate
from coldframe.wire.codec import Census, decode_list
from coldframe.wire.replies import Income
from coldframe.wire.rest import Answer

#: How long ago a position may have been reported otherwise when a report of it comes late (milliseconds).
_LATE_MS: Final = 5_000
_FUNDINGS_LIMIT: Final = 5_000
#: The income history is asked for no more often than this: it costs 30 weight (milliseconds).
_ASK_AGAIN_MS: Final = 60_000
#: Kinds of income that are funding. A stock dividend is paid as special funding, which FUNDING_FEE does not find (protocol.md 6.6).
_KINDS: Final = ("FUNDING_FEE", "SPECIAL_FUNDING_FEE")
#: Rows of one answer; a full page is followed by another.
_PAGE: Final = 1_000


@attrs.frozen
class PendingIncome(RequestPurpose):
    """The purpose of a GET income: payments of a kind from this venue time on may have been missed."""

    kind: str
    since_ms: int


class FundingIncome:
    """The account as its reports describe it."""

    def __init__(self, state: EngineState, ctx: StepContext, calls: RestQueue) -> None:
        self._state = state
        self._ctx = ctx
        self._calls = calls
        self._seen_ms: dict[PositionKey, int] = {}
        self._funded: dict[tuple[object, ...], None] = {}
        self.payments = Payments()
        #: Since when (venue time) payments of each kind may have been missed; those that cannot have been are not in it.
        self._missed_ms: dict[str, int] = {}
        self._asked_ns = 0
        #: Wallet balances by asset, as reports name them.
        self.balances: dict[str, Decimal] = {}

    def step(self, event: AccountUpdate | Returned) -> None:
        """Takes in a report of the user stream, or what a GET income brought."""
        match event:
            case AccountUpdate():
                self._changed(event)
            case Returned(PendingIncome() as purpose):
                self._returned(purpose, event.answer)
            case Returned():
                pass
            case unknown:
                assert_never(unknown)

    def _changed(self, event: AccountUpdate) -> None:
        change = event.change
        for balance in change.balances or []:
            self.balances[balance.asset] = exact(balance.wallet_balance)
        if str(change.reason).endswith("FUNDING_FEE"):  # what special funding is called here no document says
            self._take_funding(event)
        elif change.reason is not AccountReason.ORDER:
            self._ctx.log(Level.INFO, f"account changed: {change.reason}")
            if change.reason is AccountReason.ADJUSTMENT or not change.reason.known:
                self._miss(event.transaction_ms)  # it may be special funding: the history will say
        if self._state.baseline_ms:
            self._compare_positions(event)

    def _compare_positions(self, event: AccountUpdate) -> None:
        """Positions in it are compared with ours; what is older than what was compared already says nothing."""
        named: dict[PositionKey, Decimal] = {}
        for position in event.change.positions or []:
            key = (position.symbol, position.position_side)
            if event.transaction_ms >= self._seen_ms.get(key, 0):
                self._seen_ms[key] = event.transaction_ms
                named[key] = exact(position.quantity)
        now = self._ctx.now_ns
        self._state.holdings.history.venue_named(named, now - _LATE_MS * NS_PER_MS, now, 0, all_of_them=False)

    def assets(self) -> AssetsSeen:
        """The assets of fees, those of other amounts, and the contracts in which strategies hold positions."""
        ours = [account.holdings for account in self._state.accounts.values()]
        accounts = [self._state.external.account, *ours]
        fees = {asset for account in accounts for asset in account.fees}
        others = {asset for account in accounts for asset in account.funding} | self.balances.keys()
        held = {key[0] for account in ours for key, position in account.positions.items() if position.quantity}
        return AssetsSeen(tuple(sorted(fees)), tuple(sorted(others)), tuple(sorted(held)))

    # -- funding ------------------------------------------------------------------------------------------------------

    def _take_funding(self, event: AccountUpdate) -> None:
        change = event.change
        symbols = {position.symbol for position in change.positions or []}
        symbol = change.symbol if isinstance(change.symbol, str) else symbols.pop() if len(symbols) == 1 else None
        for balance in change.balances or []:
            amount = exact(balance.change) if isinstance(balance.change, str) else ZERO
            key = (event.transaction_ms, symbol, balance.asset, balance.wallet_balance, amount)
            if not amount or key in self._funded:
                continue
            self._funded[key] = None
            if len(self._funded) > _FUNDINGS_LIMIT:
                del self._funded[next(iter(self._funded))]
            payment = Payment(symbol, balance.asset, amount, event.transaction_ms, told=True)
            if self.payments.reported(payment):
                self._share(payment)

    def away(self) -> None:
        """From now on reports do not reach us."""
        if self._state.baseline_ms:
            self._miss(self._ctx.venue_ms)

    def restore(self, payments: Iterable[Payment], until_ms: int) -> None:
        """What an earlier run has booked, which wrote its last row at `until_ms` (venue time): later payments were missed."""
        self.payments.restore(payments)
        if until_ms:
            self._miss(until_ms - APART_MS)

    def _miss(self, since_ms: int) -> None:
        for kind in _KINDS:
            self._missed_ms[kind] = min(since_ms, self._missed_ms.get(kind, since_ms))

    @property
    def payments_missed(self) -> bool:
        """Whether payments may have been missed that have not been asked for."""
        return bool(self._missed_ms)

    def ask_for_missed(self) -> None:
        """Asks for the funding that was paid meanwhile, if any can have been, and not too often. Call it now and then."""
        now = self._ctx.now_ns
        if not self._missed_ms or (self._asked_ns and now - self._asked_ns < _ASK_AGAIN_MS * NS_PER_MS):
            return
        self._asked_ns = now
        missed, self._missed_ms = self._missed_ms, {}
        for kind, since_ms in missed.items():
            self._ask(PendingIncome(kind, since_ms), since_ms - APART_MS)

    def _ask(self, purpose: PendingIncome, from_ms: int) -> None:
        params: dict[str, str | int] = {"incomeType": purpose.kind, "startTime": from_ms, "limit": _PAGE}
        self._calls.call("GET", "/fapi/v1/income", params, purpose)

    def _returned(self, purpose: PendingIncome, answer: Answer | None) -> None:
        try:
            rows = decode_list(Income, answer.body, Census()) if answer is not None and answer.status == 200 else None
        except DecodeError:
            rows = None
        if rows is None:
            self._missed_ms[purpose.kind] = min(purpose.since_ms, self._missed_ms.get(purpose.kind, purpose.since_ms))
            return
        for row in rows:
            number = f"{row.income_type} {row.tran_id}"
            payment = Payment(row.symbol or None, row.asset, exact(row.income), row.time, number)
            if row.time >= purpose.since_ms and payment.amount and self.payments.listed(payment):
                self._share(payment)
        if len(rows) == _PAGE:  # and there may be more of them
            last_ms = rows[-1].time
            self._ask(purpose, last_ms if last_ms > rows[0].time else last_ms + 1)

    def _share(self, payment: Payment) -> None:
        amount, asset, symbol = payment.amount, payment.asset, payment.symbol
        given = shares(amount, self._weights(symbol)) or {"": amount}
        told: dict[str, object] = {"payment": payment_body(payment)}
        for owner, part in given.items():
            account = self._state.accounts[owner].holdings if owner else self._state.external.account
            account.fund(part, asset)
            body = {**booking_body(owner, "funding"), "funding": str(part), "asset": asset, **told}
            self._ctx.record(RowKind.BOOKING, symbol or "", body)
            told = {}  # once is enough
        parts = ", ".join(f"{owner or 'external'} {plain(part)}" for owner, part in given.items())
        self._ctx.log(Level.INFO, f"funding{f' of {symbol}' if symbol else ''}: {plain(amount)} {asset} ({parts})")

    def _weights(self, symbol: str | None) -> dict[str, Decimal]:
        """Who holds how much of what is paid for: signed positions of the symbol, or of all symbols their notional."""
        owners = {"": self._state.external.account} | {name: strategy.holdings for name, strategy in self._state.accounts.items()}
        if symbol is not None:
            return {name: account.net(symbol) for name, account in owners.items()}
        return {name: account.notional(self._state.mark_prices) for name, account in owners.items()}
