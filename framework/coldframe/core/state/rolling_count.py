"""How often something has happened lately: the counter behind message rates and the breaker on rejects."""

from __future__ import annotations

from collections import deque

import attrs


@attrs.define
class Rate:
    """What happened in the last `window_ms` milliseconds. Times are given, never asked for, and do not go back."""

    window_ms: int
    _at_ms: deque[int] = attrs.field(factory=deque)

    def used(self, now_ms: int) -> int:
        while self._at_ms and self._at_ms[0] <= now_ms - self.window_ms:
            self._at_ms.popleft()
        return len(self._at_ms)

    def add(self, now_ms: int) -> None:
        self._at_ms.append(now_ms)

    def clear(self) -> None:
        self._at_ms.clear()
