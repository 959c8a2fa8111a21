"""Who gets how much of a funding payment: the account is paid once, its strategies hold the position together.

The shares always add up to the payment exactly; what nobody can be given (no position is known any more) is nobody's, and booked as
external by the caller.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, localcontext
from typing import Final

from coldframe.units import ZERO

_WIDE: Final = Context(prec=60)
_SHARE: Final = Decimal(1).scaleb(-18)


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
