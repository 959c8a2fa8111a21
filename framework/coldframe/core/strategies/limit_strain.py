"""When a strategy lives at a limit of how often it may act: said once, in words, with the setting to change.

A limit that is met now and then does its work in silence. A limit that is met second after second means that what the strategy
wants is always late, which no single refusal tells.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Final

from coldframe.model.intents import Verdict, VerdictCode

#: A strategy lives at a limit that it has met in so many different seconds of the last so many.
SECONDS: Final = 5
WITHIN_S: Final = 20

#: The limits that may strangle a strategy, and what to change where one does.
_ADVICE: Final[Mapping[VerdictCode, str]] = {
    VerdictCode.ORDER_RATE: "raise budget.orders_per_10s, or let it move its orders less often",
    VerdictCode.MESSAGE_RATE: "raise messages_per_10s (of its budget or under [risk]), or let it move its orders less often",
    VerdictCode.RATE_LIMIT: "these are the exchange's own limits: let the strategies move their orders less often",
    VerdictCode.OPEN_ORDERS: "raise max_open_orders (of its budget or under [risk]), or let it place fewer orders",
}


class Strain:
    """What one strategy has run into, by limit. `said` keeps what was told, for the summary."""

    def __init__(self) -> None:
        self._met_s: dict[VerdictCode, deque[int]] = {}
        self.said: dict[str, str] = {}

    def met(self, verdict: Verdict, now_ms: int) -> str:
        """The strategy was refused or held back. Returns the line that is due because of it; empty when none is."""
        if verdict.code not in _ADVICE or verdict.code.value in self.said:
            return ""
        now_s = now_ms // 1000
        seconds = self._met_s.setdefault(verdict.code, deque(maxlen=SECONDS))
        if not seconds or seconds[-1] != now_s:
            seconds.append(now_s)
        if len(seconds) < SECONDS or now_s - seconds[0] >= WITHIN_S:
            return ""
        text = f"is at its limit most of the time ({verdict.text}): its orders come late; {_ADVICE[verdict.code]}"
        self.said[verdict.code.value] = text
        return text
