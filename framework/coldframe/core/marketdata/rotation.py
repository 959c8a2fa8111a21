"""How a stream passes from one connection to its successor without a hole and without a repetition.

What is compared is a lane: a sequence whose messages say where they stand. The stream of one symbol is one lane. In the stream of
the whole market every symbol is a lane of its own, because nothing there is a sequence as a whole: all rows of one tick share their
event time, and update ids grow symbol by symbol.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Final

import attrs

from coldframe.wire.names import StreamName
from coldframe.wire.streams import (
    AggTrade,
    AssetIndex,
    BookTicker,
    ContractInfo,
    DepthUpdate,
    ForceOrder,
    MarketMessage,
    MarkPrice,
    MiniTicker,
    Ticker,
    Trade,
)

#: What numbers the messages of a lane; those of other classes have nothing but their event time.
_KEYS: Final[dict[type[MarketMessage], Callable[[Any], int]]] = {
    DepthUpdate: attrgetter("last_id"),
    AggTrade: attrgetter("trade_id"),
    Trade: attrgetter("trade_id"),
    BookTicker: attrgetter("update_id"),
}
_EVENT_TIME: Final = attrgetter("event_ms")
#: How many messages of the other link are held back per lane during a rotation.
HELD_LIMIT = 2_000


@attrs.define(eq=False)
class StreamSequence:
    """One sequence: which link is in charge of it, and how far it has been told."""

    owner: str | None = None
    #: Up to where it has been told, and up to where the link now in charge may repeat what the one before it has told.
    last_key: int = -1
    floor: int = -1
    #: What the other link of a rotation has said beyond that.
    held: deque[MarketMessage] = attrs.field(factory=lambda: deque(maxlen=HELD_LIMIT))

    def step(self, link: str, successor: str | None, message: MarketMessage) -> tuple[Sequence[MarketMessage], int]:
        """The messages to process now that this one came over `link`, and at which of them another link took over (or -1).

        `successor` is the link that is to take over, if there is one.
        """
        if self.owner != link:
            return self._other(successor, message)
        key = key_of(message)
        if key <= self.floor:
            return (), -1
        self.floor, self.last_key = -1, key
        if self.held and successor is not None and self._ripe(successor):
            return (message, *self.hand_over(successor)), 1
        return (message,), -1

    def goes_on(self, link: str, key: int) -> bool:
        """Whether a message that stands at `key` is simply the next one, which is noted then; else `step` says what becomes of it.

        That is so where its link is in charge, has not told it before, and nothing of another link is held back.
        """
        if self.owner != link or key <= self.floor or self.held:
            return False
        self.floor, self.last_key = -1, key
        return True

    def hand_over(self, link: str) -> tuple[MarketMessage, ...]:
        """Puts another link in charge. Returns what it has said beyond what was told already."""
        fresh = tuple(message for message in self.held if key_of(message) > self.last_key)
        self.held.clear()
        self.owner, self.floor = link, self.last_key
        if fresh:
            self.last_key, self.floor = key_of(fresh[-1]), -1
        return fresh

    def finish(self) -> None:
        """Rotation finished: drops the buffer and the duplicate filter."""
        self.held.clear()
        self.floor = -1

    def _other(self, successor: str | None, message: MarketMessage) -> tuple[Sequence[MarketMessage], int]:
        """A message over the link that is not in charge: kept until it is clear which of the two goes on."""
        if self.owner is None:
            return (), -1
        self.held.append(message)
        if successor is None:
            return (), -1
        if self._ripe(successor):
            return self.hand_over(successor), 0
        if successor == self.owner:
            while self.held and key_of(self.held[0]) <= self.last_key:
                self.held.popleft()
        return (), -1

    def _ripe(self, successor: str) -> bool:
        """Whether the successor may take over: the old link has told everything before the successor's first message."""
        return self.owner != successor and self.last_key >= _starts_after(self.held[0])


def lane_of(name: StreamName, message: MarketMessage) -> str:
    """The lane of a stream that a message belongs to."""
    if name.subject:
        return ""
    match message:
        case MarkPrice() | Ticker() | MiniTicker() | BookTicker() | AssetIndex() | ContractInfo():
            return message.symbol
        case ForceOrder():
            return message.order.symbol
        case _:  # one message for each underlying market, which its event type names
            return message.event


def key_getter(kind: type[MarketMessage]) -> Callable[[Any], int]:
    """What reads `key_of` from the messages of a class."""
    return _KEYS.get(kind, _EVENT_TIME)


def key_of(message: MarketMessage) -> int:
    """Where a message stands in its lane, so that the same one is recognised on two links; its event time at the least."""
    return key_getter(type(message))(message)


def _starts_after(message: MarketMessage) -> int:
    """Up to where a lane must have been told before this message, so that nothing is missing in between.

    Most streams do not say what came before a message: then the message itself must have been told as well.
    """
    match message:
        case DepthUpdate():
            return message.previous_id
        case AggTrade() | Trade():
            return message.trade_id - 1
        case _:  # it does not say what came before
            return key_of(message)
