"""How long to wait before trying again: doubling, capped, with full jitter.

Success counts only after it has lasted: a link that opens and falls at once must not reset the delay (faults.md N3, N12).
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from coldframe.units import NS_PER_MS

#: A source of numbers in [0, 1), seeded where the machines are built.
Chance = Callable[[], float]


@attrs.define
class Backoff:
    """Delays for one thing that is tried again and again. Times in milliseconds and nanoseconds, as the names say."""

    chance: Chance
    base_ms: int = 500
    cap_ms: int = 60_000
    stable_ms: int = 5_000
    attempts: int = 0
    _up_since_ns: int | None = None

    def next_delay_ms(self, now_ns: int) -> int:
        """The delay before the next try, after a failure or the end of a success at `now_ns`."""
        if self._up_since_ns is not None and now_ns - self._up_since_ns >= self.stable_ms * NS_PER_MS:
            self.attempts = 0
        self._up_since_ns = None
        ceiling = min(self.cap_ms, self.base_ms << min(self.attempts, 20))
        self.attempts += 1
        # Never quite zero: even the luckiest draw must not become a tight loop.
        return max(self.base_ms // 5, int(ceiling * self.chance()))

    def succeeded(self, now_ns: int) -> None:
        """The thing works since `now_ns`."""
        self._up_since_ns = now_ns
