"""One handler for each stream that is listened to, found by the first bytes of a frame.

A market frame is `{"stream":"btcusdt@aggTrade","data":{...}}`. Everything up to and with `"data":` is the same in every frame of a
stream, so it is the key of a table (`HandlerTable`). One look-up leads from the bytes that came to a handler in which everything is
bound that can be known about a stream beforehand: how its payloads are decoded, how far it has been told, its local book. Nothing
is parsed, looked for or decided a second time.

A handler does what nearly every message asks for: it was sent by the link in charge, and it is the next one. Everything else (a
rotation, a message told already, an array of rows) goes the general way of `Market`, which would do the same with any message.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.book_sync import BookEffect, BookSync
from coldframe.core.marketdata.heard_stream import HeardStream
from coldframe.core.marketdata.rotation import key_getter
from coldframe.model.engine_events import StreamMessage
from coldframe.wire.codec import Census, decoder_of, depth_decoder, payload_class
from coldframe.wire.frames import CLOSING_BRACE, HEAD_END, frame_head
from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.streams import MarketMessage

#: Takes the payload of a frame that came over a link. Raises `DecodeError`.
Handler = Callable[[str, bytes], None]
#: The general way of a message of a stream over a link.
Route = Callable[[str, StreamName, MarketMessage], None]
#: What tells strategies of the messages of a stream at once; None for one whose messages have to be published.
Listeners = Callable[[StreamName], Callable[[MarketMessage], None] | None]
#: All-market streams carry the rows of both products since 2026-06-30; these are not ours.
COIN_M: Final = 2
BOOK_KINDS: Final = (StreamKind.DIFF_DEPTH, StreamKind.RPI_DEPTH)

#: How many bytes of `HEAD_END` belong to the head.
_END: Final = len(HEAD_END) - 1


class HandlerTable:
    """The handlers by the heads of their frames."""

    def __init__(self) -> None:
        self._handlers: dict[bytes, Handler] = {}

    def bind(self, name: StreamName, handler: Handler) -> None:
        """Frames of a stream whose payload is an object go to this handler from now on."""
        self._handlers[frame_head(str(name))] = handler

    def find(self, frame: bytes) -> tuple[Handler, bytes] | None:
        """The handler of a frame, and the payload that it takes; None for a frame that goes the general way."""
        begin = frame.find(HEAD_END) + _END
        handler = self._handlers.get(frame[:begin])
        return (handler, frame[begin:-1]) if handler is not None and frame[-1] == CLOSING_BRACE else None


class MessageHandler:
    """Tells what the stream of one symbol brings, message by message."""

    def __init__(self, ctx: StepContext, stream: HeardStream, census: Census, route: Route, listeners: Listeners) -> None:
        kind = payload_class(stream.name.kind)
        self._ctx = ctx
        self._name = stream.name
        self._stream = stream
        self._decode = decoder_of(kind, census)
        self._key = key_getter(kind)
        self._route = route
        self._listeners = listeners
        self._tell: Callable[[MarketMessage], None] = self._begin

    def take_payload(self, link: str, payload: bytes) -> None:
        message = self._decode(payload)
        if not self._stream.goes_on(link, self._key(message), self._ctx.now_ns):
            self._route(link, self._name, message)
        elif message.product != COIN_M:
            self._tell(message)

    def _begin(self, message: MarketMessage) -> None:
        """The first message: only now everything stands that may listen to it."""
        self._tell = self._listeners(self._name) or self._publish
        self._tell(message)

    def _publish(self, message: MarketMessage) -> None:
        self._ctx.publish(StreamMessage(self._name, message))


class BookHandler:
    """Takes the updates of one local book; `follow_up` does what they ask for."""

    def __init__(
        self,
        ctx: StepContext,
        stream: HeardStream,
        census: Census,
        route: Route,
        sync: BookSync,
        follow_up: Callable[[Sequence[BookEffect]], None],
    ) -> None:
        self._ctx = ctx
        self._name = stream.name
        self._stream = stream
        self._decode = depth_decoder(census)
        self._route = route
        self._sync = sync
        self._follow_up = follow_up

    def take_payload(self, link: str, payload: bytes) -> None:
        update, bids, asks = self._decode(payload)
        if self._stream.goes_on(link, update.last_id, self._ctx.now_ns):
            self._follow_up(self._sync.take_scaled(update, bids, asks))
        else:
            self._route(link, self._name, update)
