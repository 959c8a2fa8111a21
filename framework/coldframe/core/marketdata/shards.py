"""Which streams share a connection, and how long each of them may be silent.

An acknowledgement proves nothing (protocol.md 4.1), so liveness is measured by data, stream by stream. Streams that speak only when
something happens (trades, liquidations, contract changes) have no deadline: their silence means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import attrs

from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.routes import MAX_CONTROL_PER_S, MAX_NAMES_PER_REQUEST, MAX_STREAMS_PER_LINK, Route, route_of

#: Milliseconds of silence after which a stream is taken for dead. Generous: a quiet contract is not a broken one.
_SILENCE_MS: Final[dict[StreamKind, int]] = {
    StreamKind.MARK_PRICE: 10_000,
    StreamKind.DIFF_DEPTH: 30_000,
    StreamKind.PARTIAL_DEPTH: 30_000,
    StreamKind.RPI_DEPTH: 60_000,
    StreamKind.BOOK_TICKER: 60_000,
    StreamKind.COMPOSITE_INDEX: 15_000,
    StreamKind.ASSET_INDEX: 15_000,
    StreamKind.TRADING_SESSION: 15_000,
    StreamKind.TICKER: 300_000,
    StreamKind.MINI_TICKER: 300_000,
}


def silence_ms(name: StreamName) -> int | None:
    """After how many milliseconds without data a stream is taken for dead; None when its silence means nothing."""
    allowed = _SILENCE_MS.get(name.kind)
    return None if allowed is None else max(allowed, 3 * name.period_ms)


@attrs.frozen
class FeedLimits:
    """How the feed behaves. Times in milliseconds; the defaults are the venue's limits with a margin."""

    streams_per_link: int = 200
    control_per_s: int = MAX_CONTROL_PER_S - 1
    names_per_request: int = MAX_NAMES_PER_REQUEST
    #: Planned rotation before the venue's 24 hours.
    rotate_after_ms: int = 23 * 3_600_000
    #: How long both connections of a rotation run side by side at most.
    overlap_ms: int = 30_000
    acknowledge_ms: int = 10_000
    #: How often liveness is looked at.
    check_ms: int = 1_000
    #: Whether event times belong to now: those of a recording tell of another day, and run at another speed.
    event_times: bool = True
    #: Multiplies every deadline of `silence_ms`: for tests on a slow clock.
    patience: int = 1
    #: Links of one kind opened in any five minutes; also those of the session and of the user stream.
    connects_per_5min: int = 20

    def __attrs_post_init__(self) -> None:
        if not 1 <= self.streams_per_link <= MAX_STREAMS_PER_LINK:
            raise ValueError(f"streams per link must be between 1 and {MAX_STREAMS_PER_LINK}")


@attrs.frozen
class Shard:
    """The streams of one connection, all of one route."""

    id: str
    route: Route
    names: tuple[StreamName, ...]


def plan(names: Iterable[StreamName], limits: FeedLimits) -> tuple[Shard, ...]:
    """The fewest connections that carry these streams: one route each, never more streams than the limit allows."""
    shards = []
    wanted = list(dict.fromkeys(names))
    for route in (Route.PUBLIC, Route.MARKET):
        mine = [name for name in wanted if route_of(name) is route]
        for number, start in enumerate(range(0, len(mine), limits.streams_per_link), 1):
            shards.append(Shard(f"{route}-{number}", route, tuple(mine[start : start + limits.streams_per_link])))
    return tuple(shards)
