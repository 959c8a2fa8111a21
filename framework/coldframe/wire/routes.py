"""Where each stream is served: the routes `/public`, `/market`, `/private`, and the unrouted `/ws` and `/stream`.

The bot always asks on a route; the venue understands them all. A stream asked for on the wrong route is acknowledged and silent.
Source: protocol.md 2 and 4, the "Important WebSocket Change Notice" of 2026-03-06; `seeds/004`, "Websocket Market Streams".
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final
from urllib.parse import parse_qsl, unquote, urlsplit

import attrs

from coldframe.wire.names import StreamKind, StreamName

#: The venue's limit of streams on one connection (`seeds/004`, "Websocket Market Streams").
MAX_STREAMS_PER_LINK: Final = 1024
#: How many names one SUBSCRIBE may carry (protocol.md 2, measured).
MAX_NAMES_PER_REQUEST: Final = 200
#: The venue closes a link that sends more than 10 messages a second; we send half of that at most.
MAX_CONTROL_PER_S: Final = 5


class Route(StrEnum):
    PUBLIC = "public"
    MARKET = "market"
    PRIVATE = "private"
    #: The paths before the routes: `/ws` and `/stream`.
    UNROUTED = ""


_PUBLIC: Final = frozenset({StreamKind.BOOK_TICKER, StreamKind.DIFF_DEPTH, StreamKind.PARTIAL_DEPTH, StreamKind.RPI_DEPTH})


def route_of(name: StreamName) -> Route:
    """The route on which the venue serves a market stream."""
    return Route.PUBLIC if name.kind in _PUBLIC else Route.MARKET


@attrs.frozen
class Endpoints:
    """The three addresses of a venue, without a trailing slash."""

    rest: str
    streams: str
    api: str


#: protocol.md 4. The testnet is what the venue's documents now call the demo hosts.
ENDPOINTS: Final[dict[str, Endpoints]] = {
    "mainnet": Endpoints(
        "https://fapi.binance.com",
        "wss://fstream.binance.com",
        "wss://ws-fapi.binance.com/ws-fapi/v1",
    ),
    "testnet": Endpoints(
        "https://demo-fapi.binance.com",
        "wss://fstream.binancefuture.com",
        "wss://testnet.binancefuture.com/ws-fapi/v1",
    ),
}


def combined_path(route: Route) -> str:
    """The path of an empty combined connection; the names follow by SUBSCRIBE."""
    return f"/{route}/stream" if route else "/stream"


def private_path(listen_key: str) -> str:
    """The path of the user-data stream of one listen key (a secret: never log it)."""
    return f"/private/ws/{listen_key}"


@attrs.frozen
class StreamTarget:
    """What a client asked for when it opened a stream connection.

    `names` are the stream names, and on the private route the listen keys, exactly as written. `events` are the wanted kinds of
    user events for each listen key, empty for all of them.
    """

    route: Route
    combined: bool
    names: tuple[str, ...] = ()
    events: tuple[tuple[str, tuple[str, ...]], ...] = ()


def parse_target(target: str) -> StreamTarget | None:
    """The stream connection that the path and query `target` opens; None when it names none.

    Understands `/ws/a/b`, `/stream?streams=a/b`, each behind a route, `/private/ws?listenKey=K&events=A/B`, repeated listen keys,
    and empty lists. A lone number, as some clients append to their path, is not a stream (`/public/ws/0`).
    """
    try:
        split = urlsplit(target)
    except ValueError:
        return None
    parts = [unquote(part) for part in split.path.split("/") if part]
    route = Route.UNROUTED
    if parts and parts[0] in ("public", "market", "private"):
        route = Route(parts.pop(0))
    if not parts or parts[0] not in ("ws", "stream"):
        return None
    names = [part for part in parts[1:] if not part.isdigit()]
    events: dict[str, tuple[str, ...]] = {}
    listen_key = ""
    for key, value in parse_qsl(split.query, keep_blank_values=True):
        match key:
            case "streams":
                names += [name for name in value.split("/") if name]
            case "listenKey" if value:
                listen_key = value
                names.append(value)
            case "events" if listen_key:
                events[listen_key] = tuple(event for event in value.split("/") if event)
            case _:
                pass  # other parameters are ignored, as by the venue
    return StreamTarget(route, parts[0] == "stream", tuple(dict.fromkeys(names)), tuple(events.items()))
