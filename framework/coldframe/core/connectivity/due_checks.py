"""When a machine is checked: on a beat, and only on those beats on which something is due.

What falls due close together is done in one step, and a machine that waits for nothing asks for no step. A check that comes without
having been asked for does no harm: where nothing is due it does nothing.
"""

from __future__ import annotations

import attrs

from coldframe.model.effects import WakeAt
from coldframe.units import NS_PER_MS


@attrs.define
class DueChecks:
    """The checks of one machine: `TimeReached(key)` on a beat of `period_ms`. Ask by `at`, and say when one was `taken`."""

    key: str
    period_ms: int
    _began_ns: int = 0
    #: The beat that has been asked for and has not come yet.
    _asked_ns: int | None = None

    def begin(self, now_ns: int) -> None:
        """The beat counts from this moment. A check that was asked for before is asked for again by the next `at`."""
        self._began_ns, self._asked_ns = now_ns, None

    def taken(self) -> None:
        """A check has been made: none is asked for any more."""
        self._asked_ns = None

    def at(self, due_ns: int | None, now_ns: int) -> list[WakeAt]:
        """Asks for the first beat on which what is due at `due_ns` can be done, unless an earlier one is asked for already.

        The beat lies after `now_ns`, so that a check which finds nothing to do cannot call itself at once.
        """
        if due_ns is None:
            return []
        period_ns = self.period_ms * NS_PER_MS
        beats = max(-(-(due_ns - self._began_ns) // period_ns), (now_ns - self._began_ns) // period_ns + 1)
        at_ns = self._began_ns + beats * period_ns
        if self._asked_ns is not None and self._asked_ns <= at_ns:
            return []
        self._asked_ns = at_ns
        return [WakeAt(self.key, at_ns)]
