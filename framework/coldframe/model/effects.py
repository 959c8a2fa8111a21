"""What the engine wants done: imperatives, comparable and without I/O of their own.

An `EffectRunner` performs them and reports back through `coldframe.model.inputs`. Nothing here carries a secret: requests are
signed by the runner at the moment they are written.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

import attrs

from coldframe.enums import Word
from coldframe.model.events import OrderChanged, OrderFilled, PositionChanged
from coldframe.model.journal import RowKind

#: Requests that place an order or may enlarge one.
_RISKY: Final = frozenset({"order.place", "order.modify", "algoOrder.place"})


class LinkKind(Word):
    """What a link is for: market data, the user-data stream, the WebSocket API."""

    MARKET = "market"
    PRIVATE = "private"
    API = "api"


class Level(Word):
    """How much a line of the log matters."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


@attrs.frozen
class OpenLink:
    """Open a WebSocket. `path` is appended to the venue's base address; for a private link it holds a secret."""

    link: str
    kind: LinkKind
    path: str = attrs.field(repr=False)


@attrs.frozen
class CloseLink:
    """Close a link on our side; no `LinkLost` comes back for it."""

    link: str
    reason: str


@attrs.frozen
class SendControl:
    """Write a control frame on a market link."""

    link: str
    frame: bytes


@attrs.frozen
class SendRequest:
    """Write a request on the API link, stamped, and signed where the method needs it. At most once: never written again.

    A request that adds risk (`risky`) is written only after everything recorded so far is durable.
    """

    link: str
    request_id: int
    method: str
    params: Mapping[str, str | int]

    @property
    def risky(self) -> bool:
        return self.method in _RISKY


@attrs.frozen
class CallRest:
    """Make a REST call, stamped and signed where the endpoint needs it."""

    call_id: int
    verb: str
    path: str
    params: Mapping[str, str | int]


@attrs.frozen
class WakeAt:
    """Send `TimeReached(key)` at `at_ns`; a later `WakeAt` of the same key replaces an earlier one."""

    key: str
    at_ns: int


@attrs.frozen
class Log:
    """One line for people."""

    level: Level
    text: str


@attrs.frozen
class Told:
    """What a strategy has just been told about its orders or its position; for books that are kept beside the run."""

    strategy: str
    event: OrderChanged | OrderFilled | PositionChanged


@attrs.frozen
class AppendJournal:
    """A row for the journal: durable before any order leaves that is sent in the same step. The body is plain JSON."""

    kind: RowKind
    ref: str
    body: Mapping[str, object]


@attrs.frozen
class ShiftClock:
    """From now on, venue time is our time plus `offset_ms`: for the timestamps of requests."""

    offset_ms: int


@attrs.frozen
class CommandAnswered:
    """What came of a request of a person that was handed to the engine; `command` is the request's name."""

    command: str
    accepted: bool
    text: str


@attrs.frozen
class StayAway:
    """The venue has banned us until `until_ms` (our time): not a byte goes there before, not by a later run either."""

    until_ms: int


@attrs.frozen
class Finish:
    """The run is over: everything that had to be resolved is, or the grace time has passed."""

    reason: str


@attrs.frozen
class Fail:
    """The run cannot go on; `kind` names the error class, whose exit code the process will answer."""

    kind: str
    text: str
    until_ms: int = 0


@attrs.frozen
class HaltTaken:
    """The engine has taken in a halt or a resumption: from now on it sends nothing that it forbids."""

    number: int


Effect = (
    OpenLink
    | CloseLink
    | SendControl
    | SendRequest
    | CallRest
    | WakeAt
    | Log
    | Told
    | AppendJournal
    | ShiftClock
    | StayAway
    | CommandAnswered
    | Finish
    | Fail
    | HaltTaken
)


class EffectRunner(Protocol):
    """What stands round an engine and performs its effects: on Trio, or on virtual time.

    It is total over `Effect`. Four effects are answered, each by an input that comes in later, never within the call: `OpenLink` by
    `LinkOpened` or `LinkLost`, `SendRequest` by `RequestWritten` or `RequestNotWritten` (or by the loss of its link, which leaves
    it unknown), `CallRest` by `RestAnswered`, `WakeAt` by `TimeReached`. `Finish` and `Fail` end the run. All others are done and
    say nothing.
    """

    def perform(self, effect: Effect) -> None:
        """Does what the engine wants done, without waiting for it."""
