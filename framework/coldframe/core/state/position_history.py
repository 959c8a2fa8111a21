"""Whether the positions of all strategies and the external ones add up to the account's, as the venue names it.

The venue's word and the fills that lead to it travel on different ways, so neither is the other's at the same moment. A position
that the venue names is therefore compared with every value that ours has had since shortly before the question, and for a grace
time still to come: only what never fits is a difference (faults.md I4). Pure bookkeeping: what a difference leads to is decided
elsewhere.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.state.positions import PositionKey
from coldframe.units import NS_PER_MS, ZERO

#: How long a report may come after the answer that knew of it already (milliseconds).
GRACE_MS: Final = 1_500
#: How far the venue's word may lie behind the moment at which it was asked for (milliseconds).
LAG_MS: Final = 2_000
_HISTORY_MS: Final = 60_000
_HISTORY_LIMIT: Final = 2_000
_NAMED_LIMIT: Final = 64


@attrs.frozen
class PositionDifference:
    """A position that does not add up. `source` is the question that the venue has answered with it."""

    key: PositionKey
    venue: Decimal
    ours: Decimal
    source: int


@attrs.frozen
class Adjustment:
    """What was booked to external without any fill, because the venue's position demanded it."""

    key: PositionKey
    quantity: Decimal
    cause: str
    at_ns: int


@attrs.frozen
class _VenuePosition:
    quantity: Decimal
    since_ns: int
    until_ns: int
    source: int


class PositionHistory:
    """`ours` tells the sum over all owners of one position now; `keys` all positions that any owner has had."""

    def __init__(self, ours: Callable[[PositionKey], Decimal], keys: Callable[[], Iterable[PositionKey]]) -> None:
        self._ours = ours
        self._keys = keys
        self._history: dict[PositionKey, deque[tuple[int, Decimal]]] = {}
        self._venue_positions: dict[PositionKey, list[_VenuePosition]] = {}
        #: Every position that the venue has ever named.
        self._named: set[PositionKey] = set()

    def begin(self) -> None:
        """What each owner has now is what it has had: call it once, when everything from before the run has been taken in."""
        for key in self._keys():
            self._history[key] = deque([(0, self._ours(key))], maxlen=_HISTORY_LIMIT)

    def moved(self, key: PositionKey, now_ns: int) -> None:
        """Something was booked there: to be told every time, with the sum as it is now."""
        history = self._history.setdefault(key, deque([(0, ZERO)], maxlen=_HISTORY_LIMIT))
        history.append((now_ns, self._ours(key)))
        while len(history) > 1 and history[1][0] < now_ns - _HISTORY_MS * NS_PER_MS:
            history.popleft()

    def had(self, key: PositionKey, quantity: Decimal, since_ns: int) -> bool:
        """Whether the sum has been `quantity` at any time from shortly before `since_ns` on."""
        from_ns = since_ns - LAG_MS * NS_PER_MS
        before = ZERO
        for at_ns, value in self._history.get(key, ()):
            if at_ns >= from_ns and value == quantity:
                return True
            before = value if at_ns < from_ns else before
        return before == quantity

    def venue_named(
        self, positions: Mapping[PositionKey, Decimal], since_ns: int, now_ns: int, source: int, *, all_of_them: bool
    ) -> None:
        """The venue names positions, asked for at `since_ns`. With `all_of_them`, those it does not name are flat."""
        self._named.update(positions)
        known = sorted({*self._keys(), *self._named}) if all_of_them else []
        unnamed = {key: ZERO for key in known if key not in positions}
        until_ns = now_ns + GRACE_MS * NS_PER_MS
        for key, quantity in [*positions.items(), *unnamed.items()]:
            named = self._venue_positions.setdefault(key, [])
            named.append(_VenuePosition(quantity, since_ns, until_ns, source))
            del named[:-_NAMED_LIMIT]

    @property
    def comparing(self) -> bool:
        """Whether the venue has named positions that have not been compared to the end."""
        return bool(self._venue_positions)

    def compare_due(self, now_ns: int) -> tuple[list[PositionDifference], list[tuple[PositionKey, int]]]:
        """The positions named long enough ago: those that never fitted, and of those that did the position and since when.

        Of several that fit the latest question counts, in whatever order they came: an event that follows an answer may be older.
        """
        differing: list[PositionDifference] = []
        agreed: list[tuple[PositionKey, int]] = []
        for key, named in list(self._venue_positions.items()):
            fitting = [number for number, position in enumerate(named) if self.had(key, position.quantity, position.since_ns)]
            if fitting:
                agreed.append((key, max(named[number].since_ns for number in fitting)))
                named = named[fitting[-1] + 1 :]  # what was named before is overtaken
            late = [position for position in named if now_ns >= position.until_ns]
            differing += [PositionDifference(key, change.quantity, self._ours(key), change.source) for change in late]
            self._venue_positions[key] = [position for position in named if now_ns < position.until_ns]
            if not self._venue_positions[key]:
                del self._venue_positions[key]
        return differing, agreed
