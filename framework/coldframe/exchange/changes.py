"""What the exchange, or another client, changes while it runs: contracts and their rules, settings of accounts.

Each change comes with the events that the real exchange sends in the same case: a contract tells of itself over `!contractInfo`, an
account of its leverage and asset mode over its user-data stream. A change that the exchange would refuse is left out and told.
Meanings: `coldframe.exchange.settings.VenueChange`.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final, Protocol

import attrs
from msgspec import structs

from coldframe.enums import ContractStatus, MarginType
from coldframe.exchange.contracts import ENDED, Contract
from coldframe.exchange.market.sessions import Calendar
from coldframe.exchange.market.symbol_market import SymbolMarket
from coldframe.exchange.settings import VenueChange
from coldframe.exchange.trading.account_store import AccountStore
from coldframe.exchange.trading.clearing import Clearing
from coldframe.exchange.trading.delisting import Delisting
from coldframe.exchange.trading.preferences import Preferences
from coldframe.units import plain
from coldframe.wire.requests import Fault, SetLeverage, SetMarginType

#: The filter and its key that a change of a rule is about.
_RULES: Final = {
    "tick": ("PRICE_FILTER", "tickSize"),
    "step": ("LOT_SIZE", "stepSize"),
    "min_notional": ("MIN_NOTIONAL", "notional"),
}
_OF_A_CONTRACT: Final = frozenset({"tick", "step", "min_notional", "max_amendments", "status", "brackets"})
#: A price has so many ticks at least.
_LEAST_TICKS: Final = 1000
#: States between which sessions move a contract.
_IN_SESSION: Final = (ContractStatus.TRADING, ContractStatus.TRADING_HALT)
#: How long a delisted contract is settled before it is closed and leaves the list of contracts.
SETTLING_MS: Final = 60_000


class Changed(Protocol):
    """The parts of the exchange that a change is about."""

    markets: dict[str, SymbolMarket]
    store: AccountStore
    clearing: Clearing
    delisting: Delisting
    preferences: Preferences
    calendar: Calendar

    def admit(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """Takes a contract that the exchange has not listed so far; None when its market knows none of that name."""


class Changes:
    """The changes that are still to come, in the order of their times."""

    def __init__(self, planned: Sequence[VenueChange], start_ms: int) -> None:
        self._planned: list[tuple[int, int, VenueChange]] = []
        self._number = 0
        for change in planned:
            self._plan(change, start_ms + int(change.at_s * 1000))
        #: Planned changes that were refused, in words, until they are taken.
        self.refusals: list[str] = []

    def carry_out(self, exchange: Changed, now_ms: int) -> None:
        """Makes every change whose time has come."""
        while self._planned and now_ms >= self._planned[0][0]:
            _, _, change = heapq.heappop(self._planned)
            refusal = self.make(exchange, change, now_ms)
            if refusal is not None:
                self.refusals.append(f"planned at {plain(change.at_s)} s: {change}: not done: {refusal}")

    def make(self, exchange: Changed, change: VenueChange, now_ms: int) -> str | None:
        """Makes a change now. Gives why the exchange refuses it, or None when it is made."""
        if change.what == "listing":
            return self._list(exchange, change, now_ms)
        if change.what in _OF_A_CONTRACT:
            return _change_contract(exchange, change, now_ms)
        if change.symbol and change.symbol not in exchange.markets:
            return _unlisted(change)
        return _change_account(exchange, change, now_ms)

    def _plan(self, change: VenueChange, at_ms: int) -> None:
        self._number += 1
        heapq.heappush(self._planned, (at_ms, self._number, change))

    def _list(self, exchange: Changed, change: VenueChange, now_ms: int) -> str | None:
        if change.value == "delisted":
            refusal = _change_contract(exchange, attrs.evolve(change, what="status", value="SETTLING"), now_ms)
            if refusal is None:
                self._plan(attrs.evolve(change, what="status", value="CLOSE"), now_ms + SETTLING_MS)
            return refusal
        if change.symbol in exchange.markets:
            return f"{change.symbol} is listed already: it is {exchange.markets[change.symbol].contract.info.status}"
        market = exchange.admit(change.symbol, now_ms)
        if market is None:
            return f"the market of this venue knows no {change.symbol} that could be listed"
        status = ContractStatus.TRADING if change.value == "listed" else ContractStatus.PENDING_TRADING
        market.public_data.contract_changed(market.contract.with_status(status), new_brackets=True)
        return None


def _unlisted(change: VenueChange) -> str:
    return f"{change.symbol} is not listed"


# -- contracts --------------------------------------------------------------------------------------------------------


def _change_contract(exchange: Changed, change: VenueChange, now_ms: int) -> str | None:
    market = exchange.markets.get(change.symbol)
    if market is None:
        return _unlisted(change)
    public_data = market.public_data
    public_data.now_ms = max(public_data.now_ms, now_ms)
    if change.what == "status":
        return _change_status(exchange, market, ContractStatus(change.value), now_ms)
    if change.what == "tick" and Decimal(change.value) * _LEAST_TICKS > public_data.prices.mark > 0:
        return f"a price of {plain(public_data.prices.mark)} would be less than {_LEAST_TICKS} ticks"
    if change.what == "brackets":
        changed = _with_brackets(public_data.contract, Decimal(change.value))
    elif change.what == "max_amendments":
        changed = attrs.evolve(
            public_data.contract, info=structs.replace(public_data.contract.info, max_move_order_limit=int(change.value))
        )
    else:
        changed = _with_rule(public_data.contract, *_RULES[change.what], change.value)
    public_data.contract_changed(changed, new_brackets=change.what == "brackets")
    return None


def _change_status(exchange: Changed, market: SymbolMarket, status: ContractStatus, now_ms: int) -> str | None:
    before = market.contract.info
    if before.status is status:
        return f"{before.symbol} is {status} already"
    if status not in ENDED and before.status in _IN_SESSION and market.contract.tradfi and exchange.calendar.session_s:
        return f"its sessions decide whether {before.symbol} trades (venue.embedded.session_s = {exchange.calendar.session_s})"
    info = structs.replace(before, status=status)
    if status in ENDED and before.status not in ENDED:
        info = structs.replace(info, delivery_date=now_ms)
    market.public_data.contract_changed(attrs.evolve(market.contract, info=info), new_brackets=False)
    if status in ENDED:
        exchange.delisting.settle_contract(before.symbol, now_ms)
    return None


def _with_brackets(contract: Contract, factor: Decimal) -> Contract:
    """The same contract with every notional cap multiplied."""
    tiers = tuple(
        structs.replace(
            tier, notional_cap=tier.notional_cap * factor, notional_floor=tier.notional_floor * factor, cum=tier.cum * factor
        )
        for tier in contract.tiers
    )
    return attrs.evolve(contract, tiers=tiers)


def _with_rule(contract: Contract, filter_type: str, key: str, value: str) -> Contract:
    """The same contract with another value in a filter, and in its twin for market orders."""

    def row(before: dict[str, Any]) -> dict[str, Any]:
        named = before["filterType"] in (filter_type, f"MARKET_{filter_type}")
        return {**before, key: plain(Decimal(value))} if named else before

    return attrs.evolve(contract, info=structs.replace(contract.info, filters=[row(rule) for rule in contract.info.filters]))


# -- accounts ---------------------------------------------------------------------------------------------------------


def _change_account(exchange: Changed, change: VenueChange, now_ms: int) -> str | None:
    account = change.account or next(iter(exchange.store.books))
    if account not in exchange.store.books:
        return f"there is no account {account!r}; there is {', '.join(exchange.store.books)}"
    fault = _set(exchange, change, account, now_ms)
    return None if fault is None else f"code {fault.code}: {fault.msg}"


def _set(exchange: Changed, change: VenueChange, account: str, now_ms: int) -> Fault | None:
    value, preferences = change.value, exchange.preferences
    match change.what:
        case "funding_interval_h":
            exchange.clearing.change_interval(change.symbol, int(value) * 3_600_000, now_ms)
        case "leverage":
            return preferences.leverage(account, SetLeverage(symbol=change.symbol, leverage=int(value)), now_ms)
        case "margin":
            kind = MarginType.ISOLATED if value == "isolated" else MarginType.CROSSED
            return preferences.margin_type(account, SetMarginType(symbol=change.symbol, margin_type=kind), now_ms)
        case "position_mode":
            return preferences.position_mode(account, hedge=value == "hedge")
        case "asset_mode":
            return preferences.asset_mode(account, now_ms, multi_assets=value == "multi")
        case "fee_burn":
            preferences.fee_burn(account, wanted=value == "on")
        case "agreement":
            preferences.sign_agreement(account, signed=value == "signed")
        case unknown:
            raise AssertionError(unknown)  # a change is checked when it is read
    return None
