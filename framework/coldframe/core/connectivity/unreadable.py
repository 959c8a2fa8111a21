"""Frames that cannot be read: each is said and counted, and a link that brings too many of them is opened anew.

One such frame costs nothing more, since most are a slip; and a peer that sends nothing else fills no log.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from coldframe.units import NS_PER_S

#: A link that brings more unreadable frames than this within a minute is opened anew.
BAD_FRAMES_PER_MINUTE: Final = 20
TOO_MANY: Final = "too many unreadable frames"


@attrs.define
class Unreadable:
    """The unreadable frames of some links: how many in all, and when each link brought its latest."""

    count: int = 0
    _times: dict[str, deque[int]] = attrs.field(factory=dict)

    def too_many(self, link: str, now_ns: int) -> bool:
        """Counts one more of a link; whether that is more than a link may bring, so that it has to be opened anew."""
        self.count += 1
        times = self._times.setdefault(link, deque(maxlen=BAD_FRAMES_PER_MINUTE))
        full = len(times) == BAD_FRAMES_PER_MINUTE and now_ns - times[0] < 60 * NS_PER_S
        times.append(now_ns)
        return full

    def forget(self, link: str) -> None:
        """Forgets a link that has ended."""
        self._times.pop(link, None)
