"""How long a connection lasts, without its socket: pings that have to be answered, its age, and why it is closed.

The exchange server and the virtual venue ask `advance` when something is due and do what it says. Every close frame that the
exchange sends for a reason of its own stands here. Sources: `seeds/004` ("WebSocket API General Info", "Websocket Market Streams")
and protocol.md 2, where the reasons were measured.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.exchange.faults import ConnectionKind
from coldframe.exchange.settings import EmbeddedVenue as Settings

_GOING_AWAY: Final = 1001
_POLICY: Final = 1008
_TOO_BIG: Final = 1009
#: The longest message that a client may send, in bytes; far longer than any request.
LONGEST_MESSAGE: Final = 1 << 20
#: Pings and pongs that a client of the WebSocket API may send within any second (seeds/004, "WebSocket API Rate limits").
PINGS_PER_SECOND: Final = 5


@attrs.frozen
class CloseFrame:
    """Why a connection is closed, as its close frame says (RFC 6455, 7.4)."""

    code: int
    reason: str

    def __str__(self) -> str:
        return f"{self.code} {self.reason}"


#: A fault of the plan ends the connection as a server does that is taken down.
GOING_AWAY: Final = CloseFrame(_GOING_AWAY, "Going away")
LIFETIME_OVER: Final = CloseFrame(_GOING_AWAY, "Connection lifetime is over")
PONG_TIMEOUT: Final = CloseFrame(_POLICY, "Pong timeout")
#: The client does not read what it is sent.
TOO_SLOW: Final = CloseFrame(_POLICY, "Too slow")
TOO_MANY_MESSAGES: Final = CloseFrame(_POLICY, "Too many requests")
TOO_MANY_STREAMS: Final = CloseFrame(_POLICY, "Invalid request")


MESSAGE_TOO_LONG: Final = CloseFrame(_TOO_BIG, f"a message has {LONGEST_MESSAGE} bytes at most")


def too_long(size: int) -> CloseFrame | None:
    """Why a connection is closed on which a message of so many bytes has come; None when the message may be so long."""
    return MESSAGE_TOO_LONG if size > LONGEST_MESSAGE else None


@attrs.frozen
class SendPing:
    """A ping with this payload goes out: the venue's time in milliseconds, as measured."""

    payload: bytes


class PingAllowance:
    """How many pings and pongs a client of the WebSocket API may still send: so many within any second."""

    def __init__(self) -> None:
        self._sent_ms: deque[int] = deque(maxlen=PINGS_PER_SECOND)

    def spend(self, at_ms: int) -> bool:
        """Takes one ping or pong; false when it is one too many. `at_ms` counts milliseconds of a clock that never goes back."""
        if len(self._sent_ms) == PINGS_PER_SECOND and at_ms - self._sent_ms[0] < 1000:
            return False
        self._sent_ms.append(at_ms)
        return True


class ConnectionLife:
    """Pings and age of one connection. `at_ms` counts milliseconds of a clock that never goes back, from wherever it began.

    `spend_ping` takes a ping of the client from what its session allows, at such a time; false when it is one too many.
    """

    def __init__(self, settings: Settings, at_ms: int, spend_ping: Callable[[int], bool]) -> None:
        self._spend_ping = spend_ping
        self._ping_every_ms = _milliseconds(settings.ping_interval_s)
        self._pong_within_ms = _milliseconds(settings.pong_timeout_s)
        self._ends_ms = at_ms + _milliseconds(settings.link_lifetime_s)
        self._ping_due_ms = at_ms + self._ping_every_ms
        #: When each ping went out that has not been answered, by its payload, oldest first.
        self._unanswered: dict[bytes, int] = {}

    @property
    def next_due_ms(self) -> int:
        """When `advance` has something to say, unless a pong comes before."""
        oldest_ms = next(iter(self._unanswered.values()), None)
        due_ms = min(self._ends_ms, self._ping_due_ms)
        return due_ms if oldest_ms is None else min(due_ms, oldest_ms + self._pong_within_ms)

    def advance(self, at_ms: int, venue_ms: int) -> SendPing | CloseFrame | None:
        """What is due now; `venue_ms` is the time that the venue shows. None when nothing is due."""
        if at_ms >= self._ends_ms:
            return LIFETIME_OVER
        if any(at_ms >= sent_ms + self._pong_within_ms for sent_ms in self._unanswered.values()):
            return PONG_TIMEOUT
        if at_ms < self._ping_due_ms:
            return None
        self._ping_due_ms = at_ms + self._ping_every_ms
        payload = str(venue_ms).encode()
        self._unanswered.setdefault(payload, at_ms)
        return SendPing(payload)

    def take_ping(self, at_ms: int) -> CloseFrame | None:
        """A ping of the client has come. Why the connection is closed; None when the ping is answered."""
        return None if self._spend_ping(at_ms) else TOO_MANY_MESSAGES

    def take_pong(self, payload: bytes, at_ms: int) -> CloseFrame | None:
        """A pong has come: it answers its ping and all before (RFC 6455, 5.5.3). Why the connection is closed, or None.

        Without the payload of an unanswered ping it answers nothing, and counts as a ping of the client does.
        """
        if payload not in self._unanswered:
            return self.take_ping(at_ms)
        for sent in list(self._unanswered):
            del self._unanswered[sent]
            if sent == payload:
                break
        return None


class RequestBytes:
    """How many bytes of requests are still read from a connection before a fault cuts it."""

    def __init__(self, most: int) -> None:
        self.left = most

    @property
    def used_up(self) -> bool:
        """Whether the connection is to be cut off now: nothing more is read from it or written to it."""
        return self.left <= 0

    def read(self, size: int) -> bool:
        """Reads so many bytes, or fewer. Whether they were read to the end."""
        whole = size <= self.left
        self.left -= min(size, self.left)
        return whole


def request_bytes(settings: Settings, carries: ConnectionKind) -> RequestBytes | None:
    """The limit that the fault plan sets a new connection (`api_cut_after_bytes`); None for a connection that it leaves alone."""
    most = settings.faults.api_cut_after_bytes
    return RequestBytes(most) if most and carries is ConnectionKind.API else None


def frame_size(payload: int) -> int:
    """How many bytes a client's frame with so many bytes of payload takes: head, length and mask before it (RFC 6455, 5.2)."""
    length = 0 if payload < 126 else 2 if payload < 1 << 16 else 8
    return 2 + length + 4 + payload


def _milliseconds(seconds: Decimal) -> int:
    return max(1, int(seconds * 1000))
