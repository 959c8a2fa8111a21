"""A recorded market: plays a tape word for word at real speed, faster, or as fast as its listeners read.

It begins when the first listener has subscribed to a depth stream, so that nobody misses the beginning. Its market time is the
recording's own; the venue's orders and answers stay on the venue's clock.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import msgspec
import trio
import trio.lowlevel

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.errors import ConfigError, DecodeError
from coldframe.exchange.contracts import chosen
from coldframe.exchange.external_market import ExternalMarket, Settle, begin_at
from coldframe.exchange.market.streams import Streams
from coldframe.exchange_server.recording_files import read_tape
from coldframe.exchange_server.recording_info import RecordingInfo, outline
from coldframe.units import NS_PER_MS, NS_PER_S
from coldframe.wire.names import StreamKind, parse
from coldframe.wire.streams import EpochMs
from coldframe.wire.strict import read_as
from coldframe.wire.tape import TapeLine

#: Derived streams are looked after at least so often while nothing is played, in seconds of the wall.
_IDLE_S: Final = 0.05
#: At full speed playback waits while a listener has more frames to read than this, and goes on below the second figure.
_FULL, _LOW = 512, 64
#: At full speed others get a turn after so many lines.
_LINES_A_TURN: Final = 16
#: Derived streams say their last word when so much of market time has passed behind the end.
_LAST_WORD_MS: Final = 1000


class RecordedMarket(ExternalMarket):
    """The market of a recording. Raises `ConfigError` when the tape cannot be played."""

    follows_clock = False

    def __init__(self, settings: Settings, start_ms: int) -> None:
        tape = outline(settings.tape or "")
        contracts, unknown = chosen([symbol.contract() for symbol in tape.symbols.values()], settings.symbols)
        if unknown:
            raise ConfigError(f"venue.embedded.symbols: no {', '.join(unknown)} on {tape.path}; it has {', '.join(tape.symbols)}")
        super().__init__(contracts, settings.funding_interval_s * 1000, start_ms)
        self.ended = trio.Event()
        self.note = tape.note
        self._path = tape.path
        self._names = tuple(tape.names)
        self._speed = None if settings.speed == "max" else Decimal(settings.speed)
        self._begun = trio.Event()
        self._began_s = 0.0
        self._first_ns = tape.first_ns
        #: What turns receive time into the market's own time: both as the first stamped payload has them.
        self._ahead_ms: int | None = None
        self._last_ms = tape.first_ns // NS_PER_MS
        self._follow(tape)

    def bind(self, streams: Streams, settle: Settle) -> None:
        super().bind(streams, settle)
        for name in self._names:
            streams.reserve(name)

    def _follow(self, tape: RecordingInfo) -> None:
        for symbol, floor in self.floors.items():
            one = tape.symbols[symbol]
            self._book_stream[symbol] = one.depth_name
            self._trade_stream[symbol] = one.trade_name
            floor.board.adopts_prices = one.has_marks
            begin_at(floor, one.first_price)

    # -- as a source of the venue ---------------------------------------------------------------------------------------

    def advance(self, now_ms: int) -> None:
        """Nothing: a recording moves in `run` alone."""

    def listened_to(self, name: str) -> None:
        """Playback begins with the first listener of a depth stream."""
        if not self._begun.is_set() and parse(name).kind is StreamKind.DIFF_DEPTH:
            self._begun.set()

    async def run(self) -> None:
        """Plays the tape from its beginning to its end."""
        await self._begun.wait()
        # Whoever subscribed first is to have its answer before the first payload.
        await trio.sleep(_IDLE_S)
        self._began_s = trio.current_time()
        reading = read_tape(self._path)
        for number, line in enumerate(reading):
            await self._until_due(line, number)
            try:
                self._play(line)
            except DecodeError as error:
                raise ConfigError(f"{self._path}:{reading.line}: not a payload of its stream: {error}") from None
        self.note = reading.tear
        self._tick(self._last_ms + _LAST_WORD_MS)
        self.ended.set()

    # -- playing ------------------------------------------------------------------------------------------------------

    async def _until_due(self, line: TapeLine, number: int) -> None:
        if self._speed is None:
            if number % _LINES_A_TURN == 0:
                await self._until_read()
            return
        due_s = self._began_s + float(Decimal(line.t - self._first_ns) / NS_PER_S / self._speed)
        while (left_s := due_s - trio.current_time()) > 0:
            await trio.sleep(min(left_s, _IDLE_S))
            played_s = Decimal(repr(trio.current_time() - self._began_s)) * self._speed
            self._tick(self._market_ms(min(line.t, self._first_ns + int(played_s * NS_PER_S))))

    async def _until_read(self) -> None:
        """Back-pressure: lets every listener catch up."""
        assert self._streams is not None
        if not await self._streams.hub.wait_room(_FULL, _LOW):
            await trio.lowlevel.checkpoint()

    def _play(self, line: TapeLine) -> None:
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
