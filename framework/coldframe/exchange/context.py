"""What every link needs of the venue: the exchange, its market, the time, and the faults that are meant to happen."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol, assert_never

import attrs

from coldframe.exchange.endpoints.connection_life import GOING_AWAY, CloseFrame
from coldframe.exchange.endpoints.stream_session import StreamReply, StreamSession
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import CUTS, ConnectionKind, FaultDecision, FaultPlan, InjectedFault
from coldframe.exchange.market.subscriptions import Listener, Subscriptions
from coldframe.exchange.market.symbol_market import TradeExecution
from coldframe.exchange.market_source import MarketSource
from coldframe.exchange.settings import EmbeddedVenue as Settings


class Connection(Protocol):
    """A client's connection, as a fault meets it: what holds the connection carries out what the plan decides."""

    @property
    def carries(self) -> ConnectionKind:
        """What the connection is for."""

    def drop(self) -> None:
        """Cuts it off without a word."""

    def close(self, frame: CloseFrame) -> None:
        """Ends it with a close frame, behind everything that has been sent."""

    def revoke(self) -> None:
        """Logs it off, if a session is logged on; the client learns so with its next request."""


class StreamConnection(Listener, Connection, Protocol):
    """A connection that listens to streams."""

    def send_frame(self, frame: bytes) -> None:
        """Sends a frame."""


@attrs.define(eq=False)
class Context:
    """The venue as its links see it."""

    settings: Settings
    exchange: Exchange
    source: MarketSource
    now_ms: Callable[[], int]
    faults: FaultPlan
    #: Takes a sentence for the operator's log.
    notice: Callable[[str], None] = lambda text: None
    #: Listeners under listen keys.
    private: Subscriptions = attrs.field(factory=lambda: Subscriptions(_ignore, _ignore))
    #: The connections that stand, oldest first.
    connections: dict[Connection, None] = attrs.field(factory=dict)

    def turn(self) -> int:
        """Brings everything up to the present, hands out what that brought about, and lets faults happen. Gives the time."""
        now_ms = self.now_ms()
        self.source.advance(now_ms)
        self.exchange.advance(now_ms)
        for text in self.exchange.take_notices():
            self.notice(text)
        if self.source.follows_clock:
            self.exchange.streams.tick(now_ms)
        self.deliver()
        for fault in self.faults.due(now_ms):
            self._inject(fault, now_ms)
        return now_ms

    def clear_trades(self, symbol: str, executions: list[TradeExecution]) -> None:
        """Clears trades in which the market met resting orders, and tells the accounts at once."""
        self.exchange.clearing.clear_executions(symbol, executions, self.now_ms())
        self.exchange.store.commit()
        self.deliver()

    def deliver(self) -> None:
        """Hands private events to those who listen."""
        for event in self.faults.passing(self.exchange.take_private(), self.now_ms()):
            self.private.publish(event.listen_key, event.payload, event.kind)

    def take_control_frame(self, connection: StreamConnection, session: StreamSession, frame: bytes, at_s: float) -> None:
        """Carries out a control frame of a stream connection."""
        self.follow(connection, session.receive(frame, at_s))
        self.turn()

    def follow(self, connection: StreamConnection, reply: StreamReply) -> None:
        """Does with a stream connection what its session has decided."""
        for name in reply.ended:
            self.private.remove(name, connection)
            self.exchange.streams.subscriptions.remove(name, connection)
        for key in reply.listen_keys:
            self.private.add(key, connection)
        for name in reply.streams:
            self.exchange.streams.subscriptions.add(name, connection)
            self.source.listened_to(name)
        for frame in reply.frames:
            connection.send_frame(frame)
        if reply.close is not None:
            connection.close(reply.close)

    def decide(self, call: str, params: Mapping[str, Any]) -> FaultDecision:
        """What the fault plan decides about a request that has just come in."""
        now_ms = self.now_ms()
        if self.faults.blocks():
            settings = self.faults.settings
            status = 418 if settings.blocked_is_ban else 429
            self.exchange.counters.block(status, now_ms + settings.blocked_for_s * 1000)
        return self.faults.decide(call, params, now_ms)

    def _inject(self, fault: InjectedFault, now_ms: int) -> None:
        """Lets a fault happen that the plan has named."""
        match fault:
            case InjectedFault.CUT_PRIVATE | InjectedFault.CUT_MARKET | InjectedFault.CUT_API:
                self._cut(CUTS[fault])
            case InjectedFault.REVOKE_SESSIONS:
                for connection in list(self.connections):
                    connection.revoke()
            case InjectedFault.EXPIRE_LISTEN_KEYS:
                self.exchange.end_listen_keys(now_ms, told=not self.faults.settings.listen_keys_expire_silently)
            case unknown:
                assert_never(unknown)

    def _cut(self, kind: ConnectionKind) -> None:
        for connection in [connection for connection in self.connections if connection.carries is kind]:
            if self.faults.settings.cut_with_close:
                connection.close(GOING_AWAY)
            else:
                connection.drop()


def _ignore(name: str) -> None:
    """Private streams exist from the start: no publisher makes them."""
