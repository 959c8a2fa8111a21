"""What the exchange, or another client, changes while it runs: rules and state of contracts, settings of accounts.

Each change comes with the events that the real exchange sends in the same case: a contract tells of itself over `!contractInfo`, an
account of its leverage and asset mode over its user-data stream. Meanings: `coldframe.config.venue.VenueChange`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Protocol

import attrs
from msgspec import structs

from coldframe.config.venue import VenueChange
from coldframe.terms import ContractStatus, MarginType
from coldframe.units import plain
from coldframe.venue.market.floor import Floor
from coldframe.venue.trading.clearing import Clearing
from coldframe.venue.trading.ledger import Ledger
from coldframe.venue.trading.preferences import Preferences
from coldframe.wire.requests import SetLeverage, SetMarginType

#: The filter and its key that a change of a rule is about.
_RULES = {
    "tick": ("PRICE_FILTER", "tickSize"),
    "step": ("LOT_SIZE", "stepSize"),
    "min_notional": ("MIN_NOTIONAL", "notional"),
}


class Changed(Protocol):
    """The parts of the exchange that a change is about."""

    floors: dict[str, Floor]
    ledger: Ledger
    clearing: Clearing
    preferences: Preferences


class Changes:
    """The changes that are still to come, in the order of their times."""

    def __init__(self, planned: Sequence[VenueChange], start_ms: int) -> None:
        self._planned = sorted(planned, key=lambda one: one.at_s)
        self._start_ms = start_ms

    def carry_out(self, exchange: Changed, now_ms: int) -> None:
        """Makes every change whose time has come; one that the exchange would refuse is left out, as it would be there."""
        while self._planned and now_ms >= self._start_ms + int(self._planned[0].at_s * 1000):
            _make(exchange, self._planned.pop(0), now_ms)


def _make(exchange: Changed, change: VenueChange, now_ms: int) -> None:
    value, account = change.value, change.account or next(iter(exchange.ledger.books))
    match change.what:
        case "tick" | "step" | "min_notional" | "status" | "brackets" if change.symbol in exchange.floors:
            _change_contract(exchange.floors[change.symbol], change)
        case "funding_interval_h" if change.symbol in exchange.floors:
            exchange.clearing.change_interval(change.symbol, int(value) * 3_600_000, now_ms)
        case "leverage":
            exchange.preferences.leverage(account, SetLeverage(symbol=change.symbol, leverage=int(value)), now_ms)
        case "margin":
            kind = MarginType.ISOLATED if value == "isolated" else MarginType.CROSSED
            exchange.preferences.margin_type(account, SetMarginType(symbol=change.symbol, margin_type=kind), now_ms)
        case "position_mode":
            exchange.preferences.position_mode(account, hedge=value == "hedge")
        case "asset_mode":
            exchange.preferences.asset_mode(account, now_ms, multi_assets=value == "multi")
        case "fee_burn":
            exchange.preferences.fee_burn(account, wanted=value == "on")
        case "agreement":
            books = exchange.ledger.books[account]
            books.account.tradfi_signed = value == "signed"
            exchange.ledger.note(books.account)


def _change_contract(floor: Floor, change: VenueChange) -> None:
    contract = floor.contract
    if change.what == "brackets":
        factor = Decimal(change.value)
        tiers = tuple(
            structs.replace(
                tier, notional_cap=tier.notional_cap * factor, notional_floor=tier.notional_floor * factor, cum=tier.cum * factor
            )
            for tier in contract.tiers
        )
        floor.board.contract_changed(attrs.evolve(contract, tiers=tiers), new_brackets=True)
        return
    info = contract.info
    if change.what == "status":
        info = structs.replace(info, status=ContractStatus(change.value))
    else:
        info = structs.replace(info, filters=[_with_rule(row, *_RULES[change.what], change.value) for row in info.filters])
    floor.board.contract_changed(attrs.evolve(contract, info=info), new_brackets=False)


def _with_rule(row: dict[str, Any], filter_type: str, key: str, value: str) -> dict[str, Any]:
    named = row["filterType"] in (filter_type, f"MARKET_{filter_type}")
    return {**row, key: plain(Decimal(value))} if named else row
