"""What the machines of the engine tell each other within one step; the engine's loop hands each of them on until none is left.

An effect leaves the engine, an event of `coldframe.model.events` is told to a strategy; these do neither: they say what has
happened and leave what follows to whom it concerns.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import attrs

from coldframe.enums import PositionSide, Side
from coldframe.model.events import LinkChanged, OrderChanged, OrderFilled, PositionChanged
from coldframe.wire.names import StreamName
from coldframe.wire.streams import MarketMessage


@attrs.frozen
class BookReady:
    """The book is synced from now on."""

    symbol: str


@attrs.frozen
class BookMoved:
    """The synced book took in one more event."""

    symbol: str


@attrs.frozen
class BookLost:
    """The book can no longer be relied on, and why."""

    symbol: str
    reason: str


@attrs.frozen
class BookUpdate:
    """A local book became synced, moved on, or was lost."""

    symbol: str
    rpi: bool
    change: BookReady | BookMoved | BookLost


@attrs.frozen
class StreamMessage:
    """A message of any other stream."""

    name: StreamName
    message: MarketMessage


@attrs.frozen
class StrategyTold:
    """One of a strategy's orders or positions has changed: the strategy is told."""

    strategy: str
    event: OrderChanged | OrderFilled | PositionChanged


@attrs.frozen
class NothingToReduce:
    """The venue has refused an order because it has no position that the order could reduce: that position is asked for."""

    symbol: str
    position_side: PositionSide
    side: Side


@attrs.frozen
class AttemptEnded:
    """A cancel or an amendment of a strategy's order has come to its end: what the strategy wants is compared again.

    `waits`: it came to nothing, so the next try waits; `amended`: it was an amendment that was made.
    """

    strategy: str
    symbol: str
    waits: bool
    amended: bool = False


@attrs.frozen
class OrderCameBack:
    """An order has come back from its end, or from where it could not be found: it shall be cancelled."""

    client_order_id: str


@attrs.frozen
class AccountSettingDiffers:
    """The account is set otherwise than configured, in a symbol or ("") everywhere: what strategies want there lapses."""

    symbol: str


@attrs.frozen
class ClockDoubted:
    """An answer says that our clock is off: the venue is asked for its time."""


@attrs.frozen
class RulesDoubted:
    """A contract may have other rules than we know: they are asked for."""


@attrs.frozen
class SettingsDoubted:
    """A refusal or a report hints that the account is set otherwise than we think: its settings are looked at."""


@attrs.frozen
class EndWanted:
    """A strategy's error ends the run."""

    reason: str


EngineEvent = (
    OrderCameBack
    | NothingToReduce
    | BookUpdate
    | StreamMessage
    | StrategyTold
    | LinkChanged
    | AttemptEnded
    | AccountSettingDiffers
    | ClockDoubted
    | RulesDoubted
    | SettingsDoubted
    | EndWanted
)

#: What was told in one round is handed on by kind: what orders need first, then the market, then strategies' own orders.
TURNS: Final[Mapping[type[EngineEvent], int]] = {
    OrderCameBack: 0,
    NothingToReduce: 0,
    SettingsDoubted: 0,
    AccountSettingDiffers: 0,
    ClockDoubted: 0,
    RulesDoubted: 0,
    EndWanted: 0,
    BookUpdate: 1,
    StreamMessage: 1,
    StrategyTold: 2,
    LinkChanged: 3,
    AttemptEnded: 4,
}


def turn(event: EngineEvent) -> int:
    """When it is handed on, among those that were told in one round."""
    return TURNS[type(event)]
