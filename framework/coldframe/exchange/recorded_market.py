"""A recorded market: plays a recording word for word at real speed, faster, or as fast as its listeners read.

It begins when the first listener has subscribed to a depth stream, so that no listener misses the beginning, or at a time that is
given. Its market time is the recording's own; the venue's orders and answers stay on the venue's clock.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec

from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.contracts import chosen
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market_source import Settle
from coldframe.exchange.matching import QueueModel
from coldframe.exchange.recording_info import RecordingInfo, RecordingLines
from coldframe.exchange.replicated_market import ReplicatedMarket, begin_at
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.units import NS_PER_MS
from coldframe.wire.names import StreamKind, parse
from coldframe.wire.recording import RecordingLine
from coldframe.wire.streams import EpochMs
from coldframe.wire.strict import read_as

#: Derived streams are looked after at least so often while nothing is played; and the first listener has its answer so long before
#: the first payload.
_IDLE_MS: Final = 50
#: At full speed playback waits while a listener has more frames to read than this, and goes on below the second figure.
_FULL, _LOW = 512, 64
#: How many lines one call plays at most, so that others get their turn: as fast as listeners read, and at a speed that is set.
_LINES_A_CALL: Final = 16
_DUE_LINES_A_CALL: Final = 500
#: Derived streams say their last word when so much of market time has passed behind the end.
_LAST_WORD_MS: Final = 1000


class RecordedMarket(ReplicatedMarket):
    """The market of a recording; it begins at `begins_ms`, or with its first listener.

    Raises `ConfigError` when the recording does not have the contracts that are wanted.
    """

    follows_clock = False

    def __init__(
        self, settings: Settings, start_ms: int, info: RecordingInfo, lines: RecordingLines, begins_ms: int | None = None
    ) -> None:
        contracts, unknown = chosen([symbol.contract() for symbol in info.symbols.values()], settings.symbols)
        if unknown:
            raise ConfigError(f"venue.embedded.symbols: no {', '.join(unknown)} on {info.name}; it has {', '.join(info.symbols)}")
        super().__init__(contracts, settings.funding_interval_s * 1000, start_ms, QueueModel(settings.queue_model))
        self.ended = False
        self.fault: ConfigError | None = None
        #: What is wrong with the end of the recording, in one sentence; None when nothing is.
        self.note = info.note
        self._name, self._stream_names = info.name, tuple(info.names)
        #: Market time per time of the venue, as a fraction; None is as fast as listeners read.
        self._speed = None if settings.speed == "max" else Decimal(settings.speed).as_integer_ratio()
        self._lines, self._left = lines, iter(lines)
        self._wanted, self._held_up = begins_ms is not None, False
        self._begins_ms = begins_ms
        self._now_ms = start_ms
        #: The line that is played next, and when. There is none before playback begins, and none behind the end.
        self._head: RecordingLine | None = None
        self._due_ms = 0
        self._first_ns = info.first_ns
        #: What turns receive time into the market's own time: both as the first stamped payload has them.
        self._ahead_ms: int | None = None
        self._last_ms = info.first_ns // NS_PER_MS
        self._follow(info)

    def bind(self, streams: Streams, settle: Settle) -> None:
        super().bind(streams, settle)
        for name in self._stream_names:
            streams.reserve(name)

    def _follow(self, info: RecordingInfo) -> None:
        for symbol, market in self.markets.items():
            recorded = info.symbols[symbol]
            self._book_stream[symbol] = recorded.depth_name
            self._trade_stream[symbol] = recorded.trade_name
            market.public_data.adopts_prices = recorded.has_marks
            begin_at(market, recorded.first_price)

    def listened_to(self, name: str) -> None:
        """Playback begins with the first listener of a depth stream."""
        self._wanted = self._wanted or parse(name).kind is StreamKind.DIFF_DEPTH

    # -- time ---------------------------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Plays what is due, or at full speed a few lines more as long as every listener keeps up."""
        self._now_ms = now_ms
        if self.ended or not self._has_begun(now_ms):
            return
        try:
            if self._head is None:
                self._take_next()
            if self._speed is None:
                self._play_what_is_read()
            else:
                self._play_what_is_due(now_ms)
        except ConfigError as error:
            self.fault, self.ended = error, True

    def next_due_ms(self) -> int | None:
        if self.ended or not self._wanted or self._held_up:
            return None
        if self._begins_ms is None or self._speed is None or self._now_ms < self._begins_ms:
            return self._begins_ms or 0
        return min(self._due_ms, self._now_ms + _IDLE_MS)

    def _has_begun(self, now_ms: int) -> bool:
        if self._wanted and self._begins_ms is None:
            self._begins_ms = now_ms + _IDLE_MS
        return self._begins_ms is not None and now_ms >= self._begins_ms

    # -- playing ------------------------------------------------------------------------------------------------------

    def _play_what_is_read(self) -> None:
        """Back-pressure: nothing is played until every listener has caught up."""
        assert self._streams is not None
        self._held_up = self._streams.subscriptions.backlog() > (_LOW if self._held_up else _FULL)
        for _ in range(0 if self._held_up else _LINES_A_CALL):
            self._play_head()

    def _play_what_is_due(self, now_ms: int) -> None:
        assert self._speed is not None
        for _ in range(_DUE_LINES_A_CALL):
            if self._due_ms > now_ms or self._head is None:
                break
            self._play_head()
        if self._head is not None:
            faster, slower = self._speed
            played_ns = (now_ms - (self._begins_ms or 0)) * NS_PER_MS * faster // slower
            self._tick(self._market_ms(min(self._head.t, self._first_ns + played_ns)))

    def _play_head(self) -> None:
        if self._head is not None:
            try:
                self._play(self._head)
            except DecodeError as error:
                raise ConfigError(f"{self._name}:{self._lines.line}: not a payload of its stream: {error}") from None
            self._take_next()

    def _take_next(self) -> None:
        """Takes the next line, or comes to the end."""
        self._head = next(self._left, None)
        if self._head is None:
            self.note = self._lines.tear
            self._tick(self._last_ms + _LAST_WORD_MS)
            self.ended = True
        elif self._speed is not None:
            faster, slower = self._speed
            self._due_ms = (self._begins_ms or 0) - (self._first_ns - self._head.t) * slower // (faster * NS_PER_MS)

    def _play(self, line: RecordingLine) -> None:
        if isinstance(line.snapshot, str):
            self.take_snapshot(line.snapshot, line.payload)
        elif isinstance(line.stream, str):
            if self._ahead_ms is None:
                self._ahead_ms = _event_ms(line.payload, line.t // NS_PER_MS) - line.t // NS_PER_MS
            self._tick(self._market_ms(line.t))
            self.take_payload(line.stream, line.payload)

    def _market_ms(self, received_ns: int) -> int:
        return received_ns // NS_PER_MS + (self._ahead_ms or 0)

    def _tick(self, market_ms: int) -> None:
        assert self._streams is not None
        self._last_ms = market_ms
        self._streams.tick(market_ms)


class _Stamp(msgspec.Struct):
    event_ms: EpochMs | None = msgspec.field(name="E", default=None)


def _event_ms(payload: bytes, default: int) -> int:
    """The market's own time in a payload, if it has one."""
    try:
        return read_as(_Stamp, payload).event_ms or default
    except DecodeError:
        return default
