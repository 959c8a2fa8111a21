"""How often connections may be opened: so many in a stretch of time for each kind of endpoint, then opening waits.

The venue bans addresses that connect and fall over and over (faults.md N12), and a link that stands for some seconds each time
resets every back-off. Feed, session and user stream of a run share one budget, and ask it before they open a link.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from coldframe.model.effects import LinkKind
from coldframe.units import NS_PER_MS

#: The stretch of time in which connects are counted, in milliseconds.
WINDOW_MS: Final = 300_000


@attrs.define(eq=False)
class ConnectBudget:
    """The connects of a run: at most `most` of each kind in any five minutes."""

    most: int = 20
    #: How often opening a link had to wait.
    held: int = 0
    _times: dict[LinkKind, deque[int]] = attrs.field(factory=dict)
    _said: set[LinkKind] = attrs.field(factory=set)

    def wait_ms(self, kind: LinkKind, now_ns: int) -> int:
        """Milliseconds until one more link of that kind may be opened; 0 when it may be now."""
        times = self._times.setdefault(kind, deque())
        while times and now_ns - times[0] >= WINDOW_MS * NS_PER_MS:
            times.popleft()
        if len(times) < self.most:
            return 0
        return -(-(times[-self.most] + WINDOW_MS * NS_PER_MS - now_ns) // NS_PER_MS)

    def reserve(self, kind: LinkKind, now_ns: int) -> tuple[int, str]:
        """Counts a connect if there is room: 0. Else how long to wait (ms); with a sentence the first time since there was room."""
        wait_ms = self.wait_ms(kind, now_ns)
        if not wait_ms:
            self._times[kind].append(now_ns)
            self._said.discard(kind)
            return 0, ""
        self.held += 1
        if kind in self._said:
            return wait_ms, ""
        self._said.add(kind)
        told = f"{kind} links: {self.most} connects within five minutes; no more for {wait_ms / 1000:.0f} s, so as not to be banned"
        return wait_ms, told

    def give_back(self, kind: LinkKind) -> None:
        """The connect that was counted last did not take place."""
        self._times[kind].pop()

    def waits(self, now_ns: int) -> dict[LinkKind, int]:
        """The kinds of which no link may be opened now, and for how long (milliseconds)."""
        waits = {kind: self.wait_ms(kind, now_ns) for kind in self._times}
        return {kind: wait for kind, wait in waits.items() if wait}
