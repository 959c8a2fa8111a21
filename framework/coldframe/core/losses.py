"""What a strategy, or the account, may lose before it takes no new risk: loss since the start, drawdown from the best moment.

Both are latched: a limit that was hit stays hit, whatever the market does afterwards.
"""

from __future__ import annotations

from decimal import Decimal

import attrs

from coldframe.model.intents import Verdict, VerdictCode
from coldframe.units import ZERO, trimmed


@attrs.define
class Losses:
    """The worst of one owner so far. Money in the quote asset; None: not limited."""

    max_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    latched: Verdict | None = None
    #: Where counting begins: what an earlier run has made or lost is not this one's.
    _base: Decimal | None = None
    _peak: Decimal = ZERO
    _last: Decimal = ZERO

    def check(self, pnl: Decimal, whose: str = "") -> Verdict | None:
        """Takes in the profit of this moment. Returns the verdict when a limit is hit for the first time, None otherwise."""
        self._last = pnl
        if self._base is None:
            self._base = self._peak = pnl
        self._peak = max(self._peak, pnl)
        if self.latched is not None:
            return None
        loss = _over(VerdictCode.LOSS, f"loss{whose}", self._base - pnl, self.max_loss)
        self.latched = loss or _over(VerdictCode.DRAWDOWN, f"drawdown{whose}", self._peak - pnl, self.max_drawdown)
        return self.latched

    def resume(self) -> None:
        """Opens the latch; losses are counted from here on."""
        self.latched = None
        self._base = self._peak = self._last


def _over(code: VerdictCode, what: str, lost: Decimal, limit: Decimal | None) -> Verdict | None:
    if limit is None or lost <= limit:
        return None
    return Verdict(code, f"{what} of {lost:.2f}, {trimmed(limit)} is allowed: no new risk in this run", lost, limit)
