"""What a strategy, or the account, may lose before it takes no new risk: loss since counting began, drawdown from the best moment.

Both last: a limit that was hit stays hit, whatever the market does afterwards. From where losses are counted goes into the
journal, so that a run that dies and is started again does not get the whole allowance once more.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.model.intents import Verdict, VerdictCode
from coldframe.units import trimmed

DAY_MS: Final = 86_400_000


class LossPeriod(StrEnum):
    """From when on losses are counted: since a person has last resumed (or the first run), or since the UTC day began."""

    SINCE_RESUME = "since_resume"
    DAY = "day"


@attrs.frozen
class Counted:
    """From where the losses of one owner are counted: its profit then, its best profit since, and which UTC day it was."""

    base: Decimal
    peak: Decimal
    day: int = 0


@attrs.define
class Losses:
    """The losses of one owner. Money in US dollars; None: not limited."""

    max_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
    hit: Verdict | None = None
    period: LossPeriod = LossPeriod.SINCE_RESUME
    #: None: counting begins with the next profit. The value is replaced, never changed.
    counted: Counted | None = None
    _last: Decimal | None = None

    def check(self, pnl: Decimal, venue_ms: int, whose: str = "") -> Verdict | None:
        """Takes in the profit of this moment. Returns the verdict when a limit is hit for the first time, None otherwise."""
        self._last = pnl
        counted = self._count(pnl, venue_ms // DAY_MS)
        if self.hit is not None:
            return None
        self.hit = _over(VerdictCode.LOSS, "loss", whose, counted.base - pnl, self.max_loss) or _over(
            VerdictCode.DRAWDOWN, "drawdown", whose, counted.peak - pnl, self.max_drawdown
        )
        return self.hit

    def _count(self, pnl: Decimal, day: int) -> Counted:
        counted = self.counted
        if counted is None or (self.period is LossPeriod.DAY and day > counted.day):
            counted = Counted(pnl, pnl, day)
        elif self.max_drawdown is not None and pnl > counted.peak:
            counted = attrs.evolve(counted, peak=pnl)
        self.counted = counted
        return counted

    def restore_hit(self, verdict: Verdict | None) -> None:
        """An earlier run had hit a limit; None: it had not."""
        if verdict is not None:
            self.hit = verdict

    def restore_counted(self, counted: Counted | None) -> None:
        """From where an earlier run counted losses; None: counting begins anew."""
        self.counted = counted

    def resume(self, venue_ms: int) -> None:
        """Forgets that a limit was hit; losses are counted from here on."""
        self.hit = None
        self.counted = None if self._last is None else Counted(self._last, self._last, venue_ms // DAY_MS)


def _over(code: VerdictCode, what: str, whose: str, lost: Decimal, limit: Decimal | None) -> Verdict | None:
    if limit is None or lost <= limit:
        return None
    setting = f"{'budget' if whose else 'risk'}.max_{what}"
    text = f"{what}{whose} {lost:.2f} exceeds {setting} {trimmed(limit)}: no new risk until `coldframe resume`"
    return Verdict(code, text, lost, limit)
