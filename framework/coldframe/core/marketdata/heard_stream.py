"""A stream that is listened to: when it last spoke, how patient we are with it, and how far each of its lanes is."""

from __future__ import annotations

import attrs

from coldframe.core.marketdata.rotation import StreamSequence, lane_of
from coldframe.wire.names import StreamName
from coldframe.wire.streams import MarketMessage


@attrs.define
class HeardStream:
    """One stream, for as long as the run lasts, whichever link brings it."""

    name: StreamName
    last_ns: int = 0
    warnings: int = 0
    lane: StreamSequence = attrs.field(factory=StreamSequence)
    #: Of a stream of the whole market: its lanes so far, by symbol. `lane` then only says which link is in charge.
    rows: dict[str, StreamSequence] = attrs.field(factory=dict)

    @property
    def lanes(self) -> tuple[StreamSequence, ...]:
        return (self.lane, *self.rows.values())

    def begin(self, owner: str | None) -> None:
        """A link takes charge, or none (None): nothing of what was told before counts any more."""
        self.lane = StreamSequence(owner)
        self.rows.clear()

    def asked_for(self, now_ns: int) -> None:
        """It has been subscribed to: its silence counts from here."""
        self.last_ns = now_ns

    def warned(self) -> None:
        """It was silent for too long: it is given more time after every try."""
        self.warnings += 1

    def spoke(self, now_ns: int) -> None:
        """It has brought a message: it is not silent."""
        self.last_ns, self.warnings = now_ns, 0

    def goes_on(self, link: str, key: int, now_ns: int) -> bool:
        """The same of a message of a stream with one lane; whether it is simply the next one (`StreamSequence.goes_on`)."""
        self.last_ns, self.warnings = now_ns, 0
        return self.lane.goes_on(link, key)

    def lane_for(self, message: MarketMessage) -> StreamSequence:
        row = lane_of(self.name, message)
        if not row:
            return self.lane
        lane = self.rows.get(row)
        if lane is None:
            lane = self.rows[row] = StreamSequence(self.lane.owner)
        return lane
