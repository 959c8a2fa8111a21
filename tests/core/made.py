"""Messages of the venue for tests of the machines, made of what a test cares about and plausible for the rest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from coldframe.units import NS_PER_MS
from coldframe.wire.reference import Depth
from coldframe.wire.streams import AggTrade, DepthUpdate, MarkPrice

SYMBOL: Final = "BTCUSDT"
#: The moment at which most tests begin, in epoch milliseconds: exactly at the beginning of a minute.
START_MS: Final = 1_700_000_040_000
START_NS: Final = START_MS * NS_PER_MS

Levels = Iterable[tuple[str, str]]


def delta(
    previous: int, last: int, bids: Levels = (), asks: Levels = (), *, symbol: str = SYMBOL, event_ms: int = START_MS
) -> DepthUpdate:
    """The event that covers the update ids after `previous` up to `last`."""
    return DepthUpdate(
        event="depthUpdate",
        event_ms=event_ms,
        traded_ms=event_ms,
        symbol=symbol,
        # Ids jump: an event may begin well behind the end of the one before (protocol.md 5.1).
        first_id=min(previous + 1 + previous % 3, last),
        last_id=last,
        previous_id=previous,
        bids=list(bids),
        asks=list(asks),
    )


def depth(last: int, bids: Levels = (), asks: Levels = ()) -> Depth:
    """A snapshot of the book at the update id `last`."""
    return Depth(last_update_id=last, bids=list(bids), asks=list(asks), event_ms=START_MS)


def agg_trade(trade_id: int, *, symbol: str = SYMBOL, price: str = "100", quantity: str = "1") -> AggTrade:
    return AggTrade(
        event="aggTrade",
        event_ms=START_MS + trade_id,
        symbol=symbol,
        trade_id=trade_id,
        price=price,
        quantity=quantity,
        first_id=trade_id,
        last_id=trade_id,
        trade_ms=START_MS + trade_id,
        buyer_is_maker=False,
    )


def mark_price(price: str = "100", *, symbol: str = SYMBOL, event_ms: int = START_MS) -> MarkPrice:
    return MarkPrice(
        event="markPriceUpdate",
        event_ms=event_ms,
        symbol=symbol,
        mark_price=price,
        index_price=price,
        settle_price=price,
        funding_rate="0.0001",
        next_funding_ms=0,
    )
