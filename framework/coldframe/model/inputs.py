"""What the engine is fed, from whichever life it leads: live, on paper, in a backtest, in a simulation.

Inputs are plain values: they can be journaled, replayed and compared. Time is in them, never asked for.
"""

from __future__ import annotations

from decimal import Decimal
from enum import IntEnum

import attrs

from coldframe.enums import PositionSide, Side
from coldframe.model.halting import HaltLevel
from coldframe.wire.rest import Answer


class Lane(IntEnum):
    """Which queue an input came through; smaller goes first."""

    CONTROL = 0
    PRIVATE = 1
    MARKET = 2


@attrs.frozen
class FramesReceived:
    """All text frames of one socket read of a link, in order."""

    link: str
    frames: tuple[bytes, ...]


@attrs.frozen
class FramesDropped:
    """Frames of a market link were thrown away because we were too slow to take them in."""

    link: str
    count: int


@attrs.frozen
class LinkOpened:
    link: str


@attrs.frozen
class LinkLost:
    """A link ended, or could not be opened. `code` is its WebSocket close code; `banned_until_ms` when the venue banned us."""

    link: str
    reason: str
    code: int | None = None
    banned_until_ms: int | None = None


@attrs.frozen
class RequestWritten:
    """A request's bytes were handed to the socket. `timestamp_ms` is the venue time it was signed with."""

    link: str
    request_id: int
    timestamp_ms: int


@attrs.frozen
class RequestNotWritten:
    """A request could not be written, and certainly not one byte of it left."""

    link: str
    request_id: int
    reason: str


@attrs.frozen
class RestAnswered:
    """A REST call came back, or did not (`answer` is None and `reason` says why). Times are ours, for the clock offset."""

    call_id: int
    answer: Answer | None
    sent_ns: int
    reason: str = ""


@attrs.frozen
class JournalChanged:
    """The journal can be written no more, and why; or again (an empty fault), and how many rows that held state it has lost."""

    fault: str
    lost: int = 0


@attrs.frozen
class ResolveAsked:
    """A person says what became of an order that could not be proved. `command` names the request that said it, for the answer."""

    client_order_id: str
    outcome: str
    command: str


@attrs.frozen
class TimeReached:
    """A moment that was asked for by `WakeAt` has come."""

    key: str


@attrs.frozen
class Suspended:
    """The process was not running for that long (a sleeping machine, a stopped process): everything it believes may be old."""

    gap_ms: int


@attrs.frozen
class StopAsked:
    """The run shall end: stop new risk, cancel what is open, wait for every outcome up to the grace time."""

    reason: str


@attrs.frozen
class HaltAsked:
    """One strategy or (None) all shall halt; replaces an earlier halt of the same. `number` comes back in `HaltTaken`.

    `asked` is the level that was asked for, where this is only a first step towards it.
    """

    level: HaltLevel
    strategy: str | None = None
    reason: str = ""
    number: int = 0
    asked: HaltLevel | None = None


@attrs.frozen
class ResumeAsked:
    """The halt of one strategy, or (None) the one of all, holds no longer."""

    strategy: str | None = None
    number: int = 0


@attrs.frozen
class EmergencyOrderSent:
    """The kill switch sends a reducing market order in a strategy's name, because the engine did not answer. Said before it is
    sent."""

    strategy: str
    client_order_id: str
    symbol: str
    side: Side
    quantity: Decimal
    position_side: PositionSide
    sent_ms: int


@attrs.frozen
class EmergencyOrderAnswered:
    """What the venue answered to an order of the kill switch (None: nothing, and `reason` says why)."""

    client_order_id: str
    answer: Answer | None
    reason: str = ""


@attrs.frozen
class WeightSpent:
    """The kill switch has made calls of its own.

    `weight` by our count, `counted` the venue's own count of the minute if it told, `banned_until_ms` if it sent us away.
    """

    weight: int
    counted: int | None = None
    banned_until_ms: int | None = None


#: Everything but frames, which are nearly all of it.
RareInput = (
    FramesDropped
    | LinkOpened
    | LinkLost
    | RequestWritten
    | RequestNotWritten
    | RestAnswered
    | JournalChanged
    | TimeReached
    | StopAsked
    | HaltAsked
    | ResumeAsked
    | ResolveAsked
    | EmergencyOrderSent
    | EmergencyOrderAnswered
    | WeightSpent
    | Suspended
)
Input = FramesReceived | RareInput


@attrs.frozen
class Stamped:
    """An input with its place in the one order of all inputs. `at_ns` never goes back."""

    seq: int
    at_ns: int
    lane: Lane
    event: Input
