"""A recording as columns: every change of a book, best price, trade and mark price as one row, in the order in which they came.

The loop of a backtest walks these rows: `(kind, at_ns, symbol, event_ms, id, price, quantity, price_2, quantity_2)`. What the last
five mean is said by the kind. A book event is a row of its own (`DEPTH`, `SNAPSHOT`) with the ids that a book needs to be synced,
followed by its levels. Payloads of other streams are left out and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing
from enum import IntEnum
from pathlib import Path
from typing import Final, assert_never

from coldframe.data.arranging import DataSource, Repeats, Table
from coldframe.data.columns import Column, Finding, Row
from coldframe.data.lines import LineReader
from coldframe.data.numbers import NONE, PRICE_DIGITS, fixed_parser
from coldframe.data.recordings import RecordingReading, read_recording
from coldframe.errors import ConfigError, DecodeError
from coldframe.wire.codec import Census, decode, decode_stream
from coldframe.wire.names import StreamKind, parse
from coldframe.wire.recording import RecordingLine
from coldframe.wire.reference import Depth
from coldframe.wire.streams import AggTrade, BookTicker, DepthUpdate, Level, MarkPrice, Trade


class Kind(IntEnum):
    """What a row is; `NUMBERS` says what its numbers are."""

    BEST = 0
    TRADE = 1
    BID = 2
    ASK = 3
    DEPTH = 4
    SNAPSHOT = 5
    MARK = 6


#: What id, prices and quantities of a row are.
NUMBERS: Final[Mapping[Kind, str]] = {
    Kind.BEST: "update id; bid, its quantity, ask, its quantity",
    Kind.TRADE: "trade id; price, quantity, 1 if the buyer is the maker, 1 if it stands for several fills of one order",
    Kind.BID: "0; price, quantity (0: the level is gone), 0, 0",
    Kind.ASK: "0; price, quantity (0: the level is gone), 0, 0",
    Kind.DEPTH: "last update id; first update id, last id of the event before, how many bids and how many asks follow",
    Kind.SNAPSHOT: "last update id; 0, 0, how many bids and how many asks follow: the whole book",
    Kind.MARK: "0; mark price, index price, funding rate, time of the next funding in ms (0: none)",
}
_NAMES: Final = ("kind", "at_ns", "symbol", "event_ms", "id", "price", "quantity", "price_2", "quantity_2")
MARKET: Final = Table("market", tuple(Column(name) for name in _NAMES), ("at_ns",), Repeats.KEEP)

_scaled = fixed_parser(PRICE_DIGITS)


class _Recorded:
    """One pass over a recording. Knows which symbols it has seen, and what it has left out."""

    def __init__(self, path: Path, labels: dict[str, str], findings: list[Finding]) -> None:
        self._path = path
        self._labels = labels
        self._findings = findings
        self._symbols: dict[str, int] = {}
        self._left_out: Counter[str] = Counter()
        self._census = Census()

    def rows(self) -> Generator[Row, None, None]:
        reading = read_recording(self._path)
        for line in reading:
            try:
                yield from self._rows_of(line)
            except (DecodeError, ValueError) as error:
                raise ConfigError(f"{self._path}:{reading.line}: {error}") from None
        self._tell(reading)

    def _tell(self, reading: RecordingReading) -> None:
        self._labels["symbols"] = ",".join(self._symbols)
        if self._left_out:
            names = ", ".join(f"{count} of {kind}" for kind, count in sorted(self._left_out.items()))
            self._findings.append(Finding("left out", self._left_out.total(), names))
        if reading.tear is not None:
            self._findings.append(Finding("torn", 1, reading.tear))

    def _rows_of(self, line: RecordingLine) -> Iterator[Row]:
        if isinstance(line.snapshot, str):
            depth = decode(Depth, line.payload, self._census)
            yield from self._snapshot(line.t, line.snapshot, depth)
            return
        assert isinstance(line.stream, str)
        name = parse(line.stream)
        if name.kind in (StreamKind.PARTIAL_DEPTH, StreamKind.RPI_DEPTH):
            self._left_out[name.kind] += 1
            return
        for message in decode_stream(name, line.payload, self._census):
            match message:
                case DepthUpdate():
                    yield from self._depth(line.t, message)
                case BookTicker() | AggTrade() | Trade() | MarkPrice():
                    yield self._single(line.t, message)
                case _:  # candles, statistics, liquidations, contracts: no row holds them
                    self._left_out[name.kind] += 1

    def _single(self, at_ns: int, message: BookTicker | AggTrade | Trade | MarkPrice) -> Row:
        symbol = self._symbol(message.symbol)
        match message:
            case BookTicker(update_id=number, bid=bid, bid_quantity=size, ask=ask, ask_quantity=size_2):
                prices = _scaled(bid), _scaled(size), _scaled(ask), _scaled(size_2)
                return Kind.BEST.value, at_ns, symbol, message.event_ms, number, *prices
            case MarkPrice(mark_price=mark, index_price=index, funding_rate=rate, next_funding_ms=next_ms):
                prices = _scaled(mark), _scaled(index), _scaled(rate) if rate else NONE, next_ms
                return Kind.MARK.value, at_ns, symbol, message.event_ms, 0, *prices
            case AggTrade(trade_id=number, price=price, quantity=size) | Trade(trade_id=number, price=price, quantity=size):
                prices = _scaled(price), _scaled(size), int(message.buyer_is_maker), int(isinstance(message, AggTrade))
                return Kind.TRADE.value, at_ns, symbol, message.event_ms, number, *prices
            case never:
                assert_never(never)

    def _depth(self, at_ns: int, update: DepthUpdate) -> Iterator[Row]:
        symbol, event_ms = self._symbol(update.symbol), update.event_ms
        counts = len(update.bids), len(update.asks)
        yield Kind.DEPTH.value, at_ns, symbol, event_ms, update.last_id, update.first_id, update.previous_id, *counts
        yield from self._levels(at_ns, symbol, event_ms, update.bids, update.asks)

    def _snapshot(self, at_ns: int, name: str, depth: Depth) -> Iterator[Row]:
        symbol = self._symbol(name)
        event_ms = depth.event_ms if isinstance(depth.event_ms, int) else 0
        yield Kind.SNAPSHOT.value, at_ns, symbol, event_ms, depth.last_update_id, 0, 0, len(depth.bids), len(depth.asks)
        yield from self._levels(at_ns, symbol, event_ms, depth.bids, depth.asks)

    @staticmethod
    def _levels(at_ns: int, symbol: int, event_ms: int, bids: Sequence[Level], asks: Sequence[Level]) -> Iterator[Row]:
        for kind, levels in ((Kind.BID.value, bids), (Kind.ASK.value, asks)):
            for price, quantity in levels:
                yield kind, at_ns, symbol, event_ms, 0, _scaled(price), _scaled(quantity), 0, 0

    def _symbol(self, name: str) -> int:
        return self._symbols.setdefault(name, len(self._symbols))


def is_recording(path: Path) -> bool:
    """Whether the first line of a file could be one of a recording: an object of JSON."""
    with closing(LineReader(path, "recording").__iter__()) as lines:
        return next(lines, b"").lstrip().startswith(b"{")


def recording_source(path: Path) -> DataSource:
    """A recording or an input log, ready to be read. The label `symbols` names the contracts; a row has the place of its own."""
    labels = {"format": "recording"}
    findings: list[Finding] = []
    return DataSource(path, MARKET, lambda: _Recorded(path, labels, findings).rows(), labels, findings)
