"""The embedded exchange on virtual time: connections are objects, and every answer is what the fault plan decides.

It carries out what `coldframe.exchange_server.links` and `coldframe.exchange_server.server` do round real sockets, with an owner
that says when things happen: `later` runs a step after so many milliseconds of virtual time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cache
from random import Random
from typing import Final, Protocol, assert_never

import attrs

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.core.connectivity.signing import Ed25519Signer, Signer, query, sign_query, signer_of_pem
from coldframe.exchange.context import Context
from coldframe.exchange.endpoints.connection_life import (
    CloseFrame,
    ConnectionLife,
    RequestBytes,
    SendPing,
    frame_size,
    request_bytes,
    too_long,
)
from coldframe.exchange.endpoints.outgoing_frames import CLOSE_MS, WRITE_MS, OutgoingFrames
from coldframe.exchange.endpoints.rest import RestAnswer, RestRequest
from coldframe.exchange.endpoints.rest_patience import IDLE_MS
from coldframe.exchange.endpoints.session import ApiSession
from coldframe.exchange.endpoints.stream_session import StreamReply, StreamSession
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import ConnectionKind, FaultPlan
from coldframe.exchange.handshakes import API_PATH, answer_upgrade
from coldframe.exchange.keys import AccountKeys
from coldframe.exchange.market.subscriptions import Publication
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.randomness import Randomness
from coldframe.exchange.request_handling import (
    ApiRequests,
    CutOff,
    HandlingStep,
    NoAnswer,
    RestRequests,
    SendAnswer,
    Wait,
    WaitForBook,
)
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.model.effects import LinkKind
from coldframe.secret import Secret
from coldframe.wire.api import Security
from coldframe.wire.rest import API_KEY_HEADER, ENDPOINTS, Answer

#: What a client gives a REST call that is never answered (milliseconds).
REST_TIMEOUT_MS: Final = 10_000

Later = Callable[[int, Callable[[], None]], None]


class Client(Protocol):
    """What a connection tells the side that opened it."""

    def received(self, link: str, frame: bytes) -> None: ...
    def lost(self, link: str, reason: str) -> None: ...
    def backlog(self, link: str) -> int: ...


@attrs.define(eq=False)
class Socket:
    """One connection, as the exchange sees it; as a listener of streams it hands payloads on."""

    link: str
    kind: LinkKind
    client: Client
    #: Ends the connection, with the reason that its client gets to hear.
    end: Callable[[str], None]
    session: ApiSession | StreamSession
    life: ConnectionLife
    #: How many bytes of requests it may still bring, as a cable would count them; None without such a fault.
    limit: RequestBytes | None
    later: Later
    #: Hands a ping to the client.
    ping: Callable[[SendPing], None]
    requests: ApiRequests | None = None
    open: bool = True
    #: Whether the client reads what comes; while it does not, a frame is being written, and what follows waits behind it.
    reads: bool = True
    writing: bytes | None = None
    unread_pings: list[SendPing] = attrs.field(factory=list)
    outgoing: OutgoingFrames = attrs.field(factory=OutgoingFrames)

    @property
    def carries(self) -> ConnectionKind:
        return self.session.carries

    def drop(self) -> None:
        self.end("cut by the exchange")

    def close(self, frame: CloseFrame) -> None:
        self.outgoing.end(frame)
        self.go_on_writing()

    def revoke(self) -> None:
        if isinstance(self.session, ApiSession):
            self.session.revoke()

    @property
    def backlog(self) -> int:
        return self.client.backlog(self.link)

    def offer(self, publication: Publication) -> None:
        frame = self.session.frame_of(publication) if isinstance(self.session, StreamSession) else None
        if frame is not None:
            self.send_frame(frame.encode())

    def send_frame(self, frame: bytes) -> None:
        if self.limit is not None and self.limit.used_up:
            self.drop()
        elif self.reads and self.open:
            self.client.received(self.link, frame)
        elif self.open:
            self.outgoing.put(frame.decode())
            self.go_on_writing()

    def send_ping(self, ping: SendPing) -> None:
        """Writes a ping, beside the frames that wait; it may stay unread for as long as they."""
        if self.reads:
            self.ping(ping)
            return
        self.unread_pings.append(ping)
        if self.writing is None:
            self.later(WRITE_MS, lambda: self._give_up(ping in self.unread_pings))

    def go_on_writing(self) -> None:
        """Writes what waits; a client that does not read takes no more than the first of it, and that not for long."""
        while self.reads and self.unread_pings:
            self.ping(self.unread_pings.pop(0))
        while self.open and (self.reads or self.writing is None):
            frame = self._next_frame()
            if frame is None:
                self._write_close()
                return
            if self.reads:
                self.client.received(self.link, frame)
            else:
                self._begin_write(frame)

    def _next_frame(self) -> bytes | None:
        """The frame that is being written, or the oldest that waits."""
        frame, self.writing = self.writing, None
        if frame is None:
            waiting = self.outgoing.next_frame()
            return None if waiting is None else waiting.encode()
        return frame

    def _begin_write(self, frame: bytes) -> None:
        """Writes a frame that is not read at once."""
        self.writing = frame
        self.later(WRITE_MS, lambda: self._give_up(self.writing is frame))

    def _write_close(self) -> None:
        """Closes the connection, when it is to be closed: no frame waits any more."""
        close = self.outgoing.close
        if close is not None and self.reads:
            self.end(f"closed by the exchange: {close}")
        elif close is not None:
            self.later(CLOSE_MS, lambda: self._give_up(not self.reads))

    def _give_up(self, unread: bool) -> None:
        """Cuts the connection off when the client still has not read; another connection may bear its name by now."""
        if unread and self.open:
            self.drop()


@cache
def _keys(names: tuple[str, ...]) -> tuple[AccountKeys, ...]:
    """Keys are slow to make and say nothing about a world: all worlds share them."""
    return keys_for(list(names), None)


class VirtualVenue:
    """The embedded exchange with its connections. `now_ms` is virtual time."""

    def __init__(self, settings: Settings, source: MarketSource, now_ms: Callable[[], int], later: Later) -> None:
        skew_ms = settings.faults.clock_skew_ms
        self.now_ms: Callable[[], int] = lambda: now_ms() + skew_ms
        self._later, self._moving = later, False
        self.keys = _keys(tuple(account.name for account in settings.accounts))
        self.source = source
        start_ms, introduce = self.now_ms(), source.introduce
        self.exchange = Exchange(
            settings, source.markets, self.keys, MemoryAccountStore(), start_ms, _randomness(), introduce=introduce
        )
        #: Sentences for the operator's log.
        self.notices: list[str] = []
        self.faults = FaultPlan(settings.faults, settings.seed, self.now_ms(), Random)
        self.context = Context(settings, self.exchange, source, self.now_ms, self.faults, self.notices.append)
        source.bind(self.exchange.streams, self.context.clear_trades)
        self._requests = self.rest_requests()
        self.sockets: dict[str, Socket] = {}
        #: Why nothing gets through to the exchange: no connection opens, every call fails; empty while all is well.
        self.unreachable = ""

    def rest_requests(self) -> RestRequests:
        """What handles the REST calls."""
        return RestRequests(self.context)

    def api_requests(self, session: ApiSession) -> ApiRequests:
        """What handles the requests of one connection of the WebSocket API."""
        return ApiRequests(self.context, session)

    # -- time ---------------------------------------------------------------------------------------------------------

    def turn(self) -> None:
        """Brings everything up to the present, and lets happen what the fault plan names."""
        self.context.turn()
        self._follow_market()

    def _follow_market(self) -> None:
        """Lets a market that has a clock of its own move whenever it is due; all others move with the turns."""
        if self.source.fault is not None:
            raise self.source.fault
        due_ms = None if self.source.follows_clock else self.source.next_due_ms()
        if due_ms is None or self._moving:
            return
        self._moving = True
        self._later(max(due_ms - self.now_ms(), 0), self._move)

    def _move(self) -> None:
        self._moving = False
        self.source.advance(self.now_ms())
        self._follow_market()

    # -- connections --------------------------------------------------------------------------------------------------

    def connect(self, link: str, kind: LinkKind, path: str, client: Client) -> bool:
        """Opens a connection. Returns whether the exchange took it."""
        if self.unreachable:
            return False
        address = API_PATH if kind is LinkKind.API and not path else path
        session = answer_upgrade(self.context, address, self.now_ms() / 1000)
        if isinstance(session, RestAnswer):
            return False
        socket = self.sockets[link] = Socket(
            link,
            kind,
            client,
            lambda reason: self._drop(link, reason),
            session,
            ConnectionLife(self.context.settings, self.now_ms(), session.spend_ping),
            request_bytes(self.context.settings, session.carries),
            self._later,
            lambda ping: self.pinged(socket, ping),
        )
        self.context.connections[socket] = None
        if isinstance(session, StreamSession):
            self._begin(socket, session.begin())
        else:
            socket.requests = self.api_requests(session)
        self._advance_life(socket)
        return True

    def _begin(self, socket: Socket, reply: StreamReply) -> None:
        """Begins the streams that the address names. A connection that they close is opened first: its client hears of both."""
        if reply.close is None:
            self.context.follow(socket, reply)
        else:
            self._later(0, lambda: self.context.follow(socket, reply) if socket.open else None)

    def _advance_life(self, socket: Socket) -> None:
        """Does what the connection's age and its pings call for, now and whenever it is due."""
        if not socket.open:
            return
        now_ms = self.now_ms()
        match socket.life.advance(now_ms, now_ms):
            case SendPing() as ping:
                socket.send_ping(ping)
            case CloseFrame() as frame:
                socket.close(frame)
                return
            case None:
                pass
            case unknown:
                assert_never(unknown)
        self._later(max(1, socket.life.next_due_ms - now_ms), lambda: self._advance_life(socket))

    def pinged(self, socket: Socket, ping: SendPing) -> None:
        """A ping arrives: what a client reads its connection with answers it at once."""
        self.pong(socket.link, ping.payload)

    def ping(self, link: str, payload: bytes = b"") -> None:
        """The client sends a ping; no client here waits for its pong."""
        socket = self.sockets.get(link)
        if socket is not None and self._reads(socket, payload):
            self._end_offender(socket, socket.life.take_ping(self.now_ms()))

    def pong(self, link: str, payload: bytes = b"") -> None:
        """The client sends a pong."""
        socket = self.sockets.get(link)
        if socket is not None and self._reads(socket, payload):
            self._end_offender(socket, socket.life.take_pong(payload, self.now_ms()))

    def close(self, link: str) -> None:
        """The client closes a connection, or its process ends."""
        socket = self.sockets.pop(link, None)
        if socket is None:
            return
        socket.open = False
        del self.context.connections[socket]
        if isinstance(socket.session, StreamSession):
            self.context.follow(socket, socket.session.end())

    def _drop(self, link: str, reason: str) -> None:
        socket = self.sockets.get(link)
        if socket is not None:
            self.close(link)
            socket.client.lost(link, reason)

    def control(self, link: str, frame: bytes) -> None:
        """A control frame on a stream connection."""
        socket = self.sockets.get(link)
        if socket is not None and isinstance(socket.session, StreamSession) and self._reads(socket, frame):
            self.context.take_control_frame(socket, socket.session, frame, self.now_ms() / 1000)

    # -- the WebSocket API --------------------------------------------------------------------------------------------

    def request(self, link: str, frame: bytes) -> None:
        """A frame on a connection of the WebSocket API, carried out as the fault plan decides."""
        socket = self.sockets.get(link)
        if socket is not None and socket.requests is not None and self._reads(socket, frame):
            self._follow(socket, socket.requests.handle(frame))

    def _follow(self, socket: Socket, steps: Iterator[HandlingStep[bytes]]) -> None:
        """Handles a request from its next step on."""
        for step in steps:
            match step:
                case Wait() | WaitForBook():
                    self._pass_time(step, lambda: self._go_on(socket, steps))
                    return
                case SendAnswer(answer):
                    socket.send_frame(answer)
                case CutOff():
                    self._drop(socket.link, "cut instead of an answer")
                case NoAnswer():
                    pass  # silent on purpose
                case unknown:
                    assert_never(unknown)

    def _go_on(self, socket: Socket, steps: Iterator[HandlingStep[bytes]]) -> None:
        """Goes on after a wait, if the connection still stands: another one may bear its name by now."""
        if self.sockets.get(socket.link) is socket:
            self._follow(socket, steps)

    def _reads(self, socket: Socket, frame: bytes) -> bool:
        """Whether a frame is taken: a fault cuts the connection within it, or it is too long and ends the connection."""
        if socket.limit is not None and not socket.limit.read(frame_size(len(frame))):
            socket.drop()
            return False
        return not self._end_offender(socket, too_long(len(frame)))

    @staticmethod
    def _end_offender(socket: Socket, offence: CloseFrame | None) -> bool:
        """Closes a connection on which the client has offended. Whether it has."""
        if offence is not None:
            socket.close(offence)
        return offence is not None

    # -- REST ---------------------------------------------------------------------------------------------------------

    def call(self, request: RestRequest, back: Callable[[RestAnswer | None], None]) -> None:
        """A REST call: `back` gets its answer, or None after the client's patience; at once where nothing gets through."""
        if self.unreachable:
            back(None)
            return
        self._follow_call(self._requests.handle(request), back)

    def _follow_call(self, steps: Iterator[HandlingStep[RestAnswer]], back: Callable[[RestAnswer | None], None]) -> None:
        """Handles a REST call from its next step on."""
        match next(steps):
            case Wait() | WaitForBook() as wait:
                self._pass_time(wait, lambda: self._follow_call(steps, back))
            case SendAnswer(answer):
                back(answer)
            case CutOff():
                back(None)
            case NoAnswer():
                self._later(min(REST_TIMEOUT_MS, IDLE_MS), lambda: back(None))
            case unknown:
                assert_never(unknown)

    def answer(self, request: RestRequest) -> RestAnswer:
        """Carries a call out now, and answers as it is."""
        return self._requests.answer(request)

    def ask(self, verb: str, path: str) -> Answer:
        """The answer to a call that needs no signature, beside the bot's own calls."""
        return as_answer(self.answer(rest_request(verb, path, {}, self.signer(), self.now_ms())))

    def _pass_time(self, wait: Wait | WaitForBook, step: Callable[[], None]) -> None:
        """Takes a step when what it waits for has come."""
        match wait:
            case Wait(ms):
                self._later(ms, step)
            case WaitForBook(symbol, at_most_ms):
                steps = [step]

                def once() -> None:
                    if steps:
                        steps.pop()()

                self.source.when_complete(symbol, lambda: self._later(0, once))
                self._later(at_most_ms, once)
            case unknown:
                assert_never(unknown)

    # -- who asks -----------------------------------------------------------------------------------------------------

    def signer(self, account: int = 0) -> Signer:
        """The signer of an account's own bot: Ed25519, which can log on."""
        keys = self.keys[account]
        return _ed25519(keys.ed25519_api_key, keys.ed25519_private_pem)


@cache
def _ed25519(api_key: str, pem: bytes) -> Ed25519Signer:
    signer = signer_of_pem(Secret(api_key), Secret(pem.decode()))
    assert isinstance(signer, Ed25519Signer)
    return signer


def rest_request(verb: str, path: str, params: Mapping[str, str | int], signer: Signer, now_ms: int) -> RestRequest:
    """A REST call as a client writes it: stamped and signed where the endpoint needs it."""
    security = ENDPOINTS[verb, path].security
    if security is Security.NONE:
        return RestRequest(verb, path, query(params).encode(), {}, b"")
    headers = {API_KEY_HEADER.lower(): signer.api_key.reveal()}
    text = query(params) if security is Security.KEY else sign_query(params, signer, now_ms, 5_000)
    return RestRequest(verb, path, text.encode(), headers, b"")


def as_answer(answer: RestAnswer) -> Answer:
    """An answer as a client reads it."""
    return Answer(answer.status, dict(answer.headers), answer.body)


def _randomness() -> Randomness:
    """What the exchange draws from: the same in every world."""
    tokens = Random("1:tokens")
    return Randomness(Random, lambda: f"{tokens.getrandbits(256):064x}")
