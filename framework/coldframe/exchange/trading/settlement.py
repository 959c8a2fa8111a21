"""Booking: what a fill, a funding time or a fee does to wallet and position. All money is exact and kept to eight digits.

A fee is paid in USDT, or in BNB with a discount where the account has chosen that and has enough BNB for it.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from coldframe.enums import Side
from coldframe.exchange.trading.entities import Account, Position, cents, entry_digits
from coldframe.units import ZERO

USDT: Final = "USDT"
BNB: Final = "BNB"
#: What a fee in BNB is of the same fee in USDT.
_BURN_SHARE: Final = Decimal("0.9")


@attrs.frozen
class Booked:
    """What a fill did: profit realised before the fee, and the fee with the asset it was paid in."""

    realized: Decimal
    commission: Decimal
    asset: str = USDT

    @property
    def assets(self) -> tuple[str, ...]:
        """The assets whose balances it has changed; USDT where it has changed none."""
        return (self.asset, USDT) if self.asset != USDT and self.realized else (self.asset,)


def book_fill(
    account: Account,
    position: Position,
    side: Side,
    price: Decimal,
    quantity: Decimal,
    fee_rate: Decimal,
    now_ms: int,
    bnb_price: Decimal | None = None,
) -> Booked:
    """Books a fill: the part against the position closes it, the rest opens. Profit is reckoned from the entry price.

    `bnb_price` is what one BNB costs in USDT, where fees can be paid in it.
    """
    before, signed = position.quantity, quantity * side.sign
    closing = min(quantity, abs(position.quantity)) if position.quantity * signed < 0 else ZERO
    realized = _close(account, position, price, closing) if closing else ZERO
    opening = quantity - closing
    if opening:
        _open(account, position, price, opening * side.sign)
    fee = cents(price * quantity * fee_rate)
    account.wallet += realized
    paid = _pay(account, fee, bnb_price)
    position.realized += realized
    if before * position.quantity <= 0:
        position.opened_ms = now_ms
    position.carry = position.carry + realized - fee if position.quantity else ZERO
    position.updated_ms = account.updated_ms = now_ms
    return attrs.evolve(paid, realized=realized)


def _pay(account: Account, fee: Decimal, bnb_price: Decimal | None) -> Booked:
    """Takes a fee of so much USDT off the account: in BNB if that is wanted and possible. A rebate comes in USDT."""
    if account.fee_burn and fee > 0 and bnb_price:
        in_bnb = cents(fee * _BURN_SHARE / bnb_price)
        if account.bnb >= in_bnb:
            account.bnb -= in_bnb
            return Booked(ZERO, in_bnb, BNB)
    account.wallet -= fee
    return Booked(ZERO, fee)


def _close(account: Account, position: Position, price: Decimal, quantity: Decimal) -> Decimal:
    """Takes `quantity` off the position. Gives the profit; isolated margin is released in proportion."""
    held = abs(position.quantity)
    sign = 1 if position.quantity > 0 else -1
    realized = cents((price - position.entry) * quantity * sign)
    released = position.isolated_wallet if quantity == held else cents(position.isolated_wallet * quantity / held)
    position.isolated_wallet -= released
    position.quantity -= quantity * sign
    if not position.quantity:
        position.entry = position.carry = ZERO
        position.quantity = ZERO
    return realized


def _open(account: Account, position: Position, price: Decimal, signed: Decimal) -> None:
    """Adds to the position; its entry price is the average, its isolated margin grows by what the leverage asks."""
    settings = account.of_symbol(position.symbol)
    whole = position.quantity + signed
    position.entry = entry_digits((position.entry * position.quantity + price * signed) / whole)
    position.quantity = whole
    if settings.isolated:
        position.isolated_wallet += cents(abs(signed) * price / settings.leverage)


def book_funding(account: Account, position: Position, mark: Decimal, rate: Decimal, now_ms: int) -> Decimal:
    """Books one funding time: longs pay a positive rate to shorts. Gives what the wallet received, negative when it paid."""
    received = cents(-position.quantity * mark * rate)
    account.wallet += received
    if account.of_symbol(position.symbol).isolated:
        position.isolated_wallet += received
    position.updated_ms = account.updated_ms = now_ms
    return received
