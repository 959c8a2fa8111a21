"""The connections of one run: which addresses, which trust, whose key, and who answers which call."""

from __future__ import annotations

import ssl
from typing import Final

import attrs
import trio

from coldframe.core.connectivity.signing import Signer
from coldframe.trio_io.bans import Bans
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.links import Links
from coldframe.trio_io.rest import RestClient
from coldframe.wire.routes import Endpoints

#: REST calls that ask for the market; all others belong to the account and the clock of the venue that takes the orders.
_MARKET_PATHS: Final = frozenset(
    {"/fapi/v1/depth", "/fapi/v1/rpiDepth", "/fapi/v1/exchangeInfo", "/fapi/v1/premiumIndex", "/fapi/v1/assetIndex"}
)


@attrs.define
class Connections:
    """Market data from one venue, orders with the other: on paper they differ, else they are the same."""

    market_rest: RestClient
    order_rest: RestClient
    market: Endpoints
    orders: Endpoints
    tls: ssl.SSLContext
    #: None for a run without orders.
    signer: Signer | None
    recv_window_ms: int
    #: What the chance of the run is drawn from.
    seed: str
    #: Set when a recording has been played to its end; None when there is none.
    recording_ended: trio.Event | None = None
    #: Where bans are remembered; None where the venue ends with the run.
    bans: Bans | None = None

    def stay_away(self, until_ms: int, now_ms: int) -> None:
        """Nothing is sent before that time, whatever waits to be sent."""
        self.market_rest.silent_until_ms = self.order_rest.silent_until_ms = until_ms
        if self.bans is not None:
            self.bans.remember(until_ms, now_ms)

    def rest_for(self, path: str) -> RestClient:
        """Which venue answers a call."""
        return self.market_rest if path in _MARKET_PATHS else self.order_rest

    def links(self, nursery: trio.Nursery, inbox: Inbox, clock: Clock) -> Links:
        """The WebSockets of the run."""
        return Links(nursery, inbox, self.market, self.orders, self.tls, clock.now_ms, self.signer, self.recv_window_ms)
