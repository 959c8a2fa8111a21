"""How far the venue's clock is from ours, estimated from questions and answers.

The venue refuses a request whose timestamp is more than a second ahead of its clock or older than the receive window (-1021), so
every signed request carries *its* time. Of the recent samples the most certain one is believed: its error is at most half its round
trip, and what two clocks may have drifted apart since. Our own clock only ever runs forward; a step of the system's wall clock does
not reach it (faults.md C1 to C3).
"""

from __future__ import annotations

from collections import deque

import attrs

from coldframe.units import NS_PER_MS

#: How many samples are remembered.
_WINDOW = 12
#: Two clocks drift apart by one millisecond in this time at most (400 parts in a million).
_DRIFT_NS_PER_MS = 2_500_000_000


@attrs.frozen
class ClockSample:
    """One question: when we sent it and got the answer (ours, ns), and the venue's time in it (ms)."""

    sent_ns: int
    received_ns: int
    server_ms: int

    @property
    def round_trip_ms(self) -> int:
        return (self.received_ns - self.sent_ns) // NS_PER_MS

    @property
    def offset_ms(self) -> int:
        """Venue time minus our time, taking the answer to have been made half way."""
        return self.server_ms - (self.sent_ns + self.received_ns) // 2 // NS_PER_MS


@attrs.define
class ClockOffset:
    """The running estimate. Before the first sample it is `initial_ms`, and `known` is false."""

    initial_ms: int = 0
    _samples: deque[ClockSample] = attrs.field(factory=lambda: deque(maxlen=_WINDOW))
    #: The most certain of the samples; every signed request and every rate limit asks for it.
    _best: ClockSample | None = attrs.field(init=False, default=None)

    @property
    def known(self) -> bool:
        return bool(self._samples)

    @property
    def offset_ms(self) -> int:
        """Add this to our time to get the venue's."""
        return self.initial_ms if self._best is None else self._best.offset_ms

    @property
    def uncertainty_ms(self) -> int:
        """How wrong the offset may be at most, as far as the samples tell."""
        return 1_000 if self._best is None else self._doubt_ms(self._best)

    @property
    def round_trip_ms(self) -> int | None:
        """The shortest way to the venue and back of late; None before the second sample: the first one opened the connection."""
        return min(sample.round_trip_ms for sample in self._samples) if len(self._samples) > 1 else None

    def sampled(self, sample: ClockSample) -> None:
        """Takes in one sample; samples that went back in time are ignored."""
        if sample.received_ns >= sample.sent_ns:
            self._samples.append(sample)
            self._best = min(self._samples, key=lambda known: (self._doubt_ms(known), -known.received_ns))

    def forget(self) -> None:
        """Forgets all samples: the venue has just told us that our time is wrong (-1021).

        Until the next sample the offset stays what it was: no better guess is at hand, and a jump would confuse the rate limits.
        """
        self.initial_ms = self.offset_ms
        self._samples.clear()
        self._best = None

    def venue_ms(self, now_ns: int) -> int:
        """The venue's time at our time `now_ns`."""
        return now_ns // NS_PER_MS + self.offset_ms

    def _doubt_ms(self, sample: ClockSample) -> int:
        """Half its round trip, what rounding to milliseconds may hide, and the drift up to the newest sample."""
        age_ns = self._samples[-1].received_ns - sample.received_ns
        return sample.round_trip_ms // 2 + 2 + max(age_ns, 0) // _DRIFT_NS_PER_MS
