"""Clients of the virtual venue without a bot: REST calls, a session of the WebSocket API, streams; each waits on virtual time."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Mapping
from itertools import count
from typing import Any, Final

import attrs
import msgspec

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.connectivity.signing import sign_api, stamp
from coldframe.exchange.endpoints.rest import RestAnswer
from coldframe.model.effects import LinkKind
from coldframe.wire.api import request_frame
from tests.simulation.still import StillMarket
from tests.simulation.venue import VirtualVenue, rest_request

START_MS: Final = 1_700_000_000_000
_TURN_MS: Final = 50
_PATIENCE_MS: Final = 60_000


@attrs.define
class Line:
    """One connection: what has come over it, and when, in milliseconds since the start; and why it is gone."""

    link: str
    heard: list[tuple[int, Any]] = attrs.field(factory=list)
    gone: str | None = None

    def events(self) -> list[str]:
        """The kinds of the events that have come."""
        return [body["e"] for _, body in self.heard if "e" in body]


class Clients:
    """A venue with a market that stands still, and its clients; the fields of its settings are the arguments."""

    def __init__(self, **settings: Any) -> None:
        self.now_ms = START_MS
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order, self._ids = count(), count(1)
        made = Settings(**settings)
        self.venue = VirtualVenue(made, StillMarket(["BTCUSDT"], START_MS), lambda: self.now_ms, self._later)
        self._lines: dict[str, Line] = {}
        self._later(_TURN_MS, self._turn)

    # -- time ---------------------------------------------------------------------------------------------------------

    def run(self, ms: int) -> None:
        """Lets time pass."""
        end_ms = self.now_ms + ms
        while self._heap[0][0] <= end_ms:
            self._next()
        self.now_ms = end_ms

    def until(self, condition: Callable[[], bool], within_ms: int = _PATIENCE_MS) -> None:
        """Lets time pass until the condition holds."""
        end_ms = self.now_ms + within_ms
        while not condition():
            assert self._heap[0][0] <= end_ms, f"not within {within_ms} ms"
            self._next()

    def _next(self) -> None:
        self.now_ms, _, step = heapq.heappop(self._heap)
        step()

    def _later(self, ms: int, step: Callable[[], None]) -> None:
        heapq.heappush(self._heap, (self.now_ms + ms, next(self._order), step))

    def _turn(self) -> None:
        self.venue.turn()
        self._later(_TURN_MS, self._turn)

    # -- REST ---------------------------------------------------------------------------------------------------------

    def raw(self, verb: str, path: str, **params: Any) -> RestAnswer | None:
        """A call and its answer; None when none came."""
        answers: list[RestAnswer | None] = []
        self.venue.call(rest_request(verb, path, params, self.venue.other_signer(), self.venue.now_ms()), answers.append)
        self.until(lambda: bool(answers))
        return answers[0]

    def rest(self, verb: str, path: str, **params: Any) -> Any:
        """A call and the body of its answer."""
        answer = self.raw(verb, path, **params)
        assert answer is not None
        return msgspec.json.decode(answer.body)

    def open_names(self) -> list[str]:
        """The client order ids of the open orders."""
        return [row["clientOrderId"] for row in self.rest("GET", "/fapi/v1/openOrders", symbol="BTCUSDT")]

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, kind: LinkKind, path: str = "") -> Line | None:
        """A connection; None when the venue refuses the handshake."""
        line = Line(f"{kind.value}-{next(self._ids)}")
        self._lines[line.link] = line
        return line if self.venue.connect(line.link, kind, path, self) else None

    def user_stream(self) -> Line:
        """A connection that listens to the account's own events."""
        key = self.rest("POST", "/fapi/v1/listenKey")["listenKey"]
        line = self.connect(LinkKind.PRIVATE, f"/private/ws/{key}")
        assert line is not None
        return line

    def market_stream(self, *names: str) -> Line:
        """A connection that listens to public streams."""
        line = self.connect(LinkKind.MARKET, "/public/ws")
        assert line is not None
        self.venue.control(line.link, msgspec.json.encode({"method": "SUBSCRIBE", "params": names, "id": 1}))
        return line

    def session(self) -> Line:
        """A connection of the WebSocket API that is logged on."""
        line = self.connect(LinkKind.API)
        assert line is not None
        assert self.log_on(line)["status"] == 200
        return line

    def log_on(self, line: Line) -> dict[str, Any]:
        return self._ask(line, "session.logon", sign_api({}, self.venue.signer(), self.venue.now_ms(), 5_000))

    def send(self, line: Line, method: str, **params: Any) -> int:
        """Writes a request on a session, and gives its id."""
        return self._send(line, method, stamp(params, self.venue.now_ms(), params.pop("recvWindow", 5_000)))

    def trade(self, line: Line, method: str, **params: Any) -> dict[str, Any]:
        """A request on a session, and its answer."""
        return self._ask(line, method, stamp(params, self.venue.now_ms(), params.pop("recvWindow", 5_000)))

    def _send(self, line: Line, method: str, params: Mapping[str, Any]) -> int:
        number = next(self._ids)
        self.venue.request(line.link, request_frame(number, method, params))
        return number

    def _ask(self, line: Line, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        heard = len(line.heard)
        self._send(line, method, params)
        self.until(lambda: len(line.heard) > heard)
        said: dict[str, Any] = line.heard[heard][1]
        return said

    # -- as the virtual venue's client ----------------------------------------------------------------------------------

    def received(self, link: str, frame: bytes) -> None:
        self._lines[link].heard.append((self.now_ms - START_MS, msgspec.json.decode(frame)))

    def lost(self, link: str, reason: str) -> None:
        self._lines[link].gone = reason

    def backlog(self, link: str) -> int:
        return 0
