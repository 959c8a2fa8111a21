"""The table `[venue]`: where the bot trades. The tables below `[venue.embedded]` are the settings of the embedded exchange."""

from __future__ import annotations

import attrs

from coldframe.exchange.settings import (
    DOUBTFUL_ANSWERS,
    ERROR_BODIES,
    ORDER_CALLS,
    EmbeddedVenue,
    VenueAccount,
    VenueChange,
    VenueFaults,
    VenueLimits,
)
from coldframe.tables import key, one_of

__all__ = [
    "DOUBTFUL_ANSWERS",
    "ERROR_BODIES",
    "ORDER_CALLS",
    "EmbeddedVenue",
    "Venue",
    "VenueAccount",
    "VenueChange",
    "VenueFaults",
    "VenueLimits",
]


@attrs.frozen(kw_only=True)
class Venue:
    """`[venue]`: which exchange. The addresses are only for tests against a venue on this machine: others are refused."""

    environment: str = key("embedded, testnet or mainnet", "embedded", check=one_of("embedded", "testnet", "mainnet"))
    rest_url: str | None = key("another address for REST", None)
    streams_url: str | None = key("another address for the streams", None)
    api_url: str | None = key("another address for the WebSocket API", None)
    ca_file: str | None = key(
        "certificate authority (PEM) that signed the venue's certificate, when it is a private one", None, path=True
    )
    embedded: EmbeddedVenue = key(
        "the exchange inside: the whole venue of a bot that runs embedded, or its paper venue", EmbeddedVenue
    )
