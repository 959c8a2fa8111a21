"""Funding payments: told by a report, listed by the income history, booked once, and shared among those who hold the position.

The shares always add up to the payment exactly. Where no position is known any more there are no shares, and the caller books
the payment as external.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from decimal import Context, Decimal, localcontext
from typing import Final

import attrs

from coldframe.units import ZERO

_WIDE: Final = Context(prec=60)
_SHARE: Final = Decimal(1).scaleb(-18)
#: How far the income history's time of a payment may lie from that of the report (milliseconds).
APART_MS: Final = 60_000
#: How many payments are remembered, so that none is booked twice; and how many of them a checkpoint of the journal holds.
_REMEMBERED: Final = 5_000
PAYMENTS_KEPT: Final = 200


@attrs.define
class Payment:
    """One payment. `at_ms` is the venue's time; `number` tells it from others in the income history, empty while only reported."""

    symbol: str | None
    asset: str
    amount: Decimal
    at_ms: int
    number: str = ""
    #: Whether a report has told it.
    told: bool = False

    def same(self, other: Payment) -> bool:
        """Whether a report and a row of the history may be about one payment."""
        named = None in (self.symbol, other.symbol) or self.symbol == other.symbol
        alike = (self.asset, self.amount) == (other.asset, other.amount)
        return named and alike and abs(self.at_ms - other.at_ms) <= APART_MS


class Payments:
    """The latest payments. Each is told and listed at most once; what is told and what is listed are matched one to one."""

    def __init__(self) -> None:
        self._all: deque[Payment] = deque(maxlen=_REMEMBERED)

    @property
    def latest(self) -> list[Payment]:
        """The last ones, oldest first, as a checkpoint keeps them."""
        return list(self._all)[-PAYMENTS_KEPT:]

    def restore(self, payments: Iterable[Payment]) -> None:
        """Those that an earlier run has booked."""
        self._all.extend(attrs.evolve(payment) for payment in payments)

    def reported(self, payment: Payment) -> bool:
        """A report tells of a payment (`payment.told`). Returns whether it has to be booked."""
        for known in self._all:
            if not known.told and known.same(payment):
                known.told = True
                return False
        self._all.append(payment)
        return True

    def listed(self, payment: Payment) -> bool:
        """The income history lists a payment, by its number. Returns whether it has to be booked."""
        for known in self._all:
            if known.number == payment.number or (not known.number and known.same(payment)):
                known.number = payment.number
                return False
        self._all.append(payment)
        return True


def shares(amount: Decimal, weights: Mapping[str, Decimal]) -> dict[str, Decimal]:
    """Splits `amount` in proportion to `weights`. Empty when they add up to nothing.

    Weights are signed: in one symbol, long and short owners pay each other and only the rest reaches the account. Shares are
    rounded to 18 digits, and the owner with the largest weight takes what rounding leaves.
    """
    with localcontext(_WIDE):
        total = sum(weights.values(), ZERO)
        if not total:
            return {}
        found = {owner: (amount * weight / total).quantize(_SHARE) for owner, weight in weights.items() if weight}
        largest = max(found, key=lambda owner: abs(weights[owner]))
        found[largest] += amount - sum(found.values(), ZERO)
        return found
