"""Recordings looked at from outside: what one holds, and whether our books come out right on it.

`verify` rebuilds every book with the project's own decoder and book sync, and compares price and quantity of both best levels with
the bookTicker that was in force at the same update id: the latest one whose id is not above the book's. Each of the four numbers
counts as one comparison.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter, deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, assert_never

import attrs

from coldframe.core.marketdata.book_sync import BookLost, BookMoved, BookReady, BookSync, RequestSnapshot
from coldframe.data.recordings import read_recording
from coldframe.errors import ConfigError, DecodeError
from coldframe.trio_io.clock import wall_text
from coldframe.units import NS_PER_S, scaled
from coldframe.wire.codec import Census, decode, decode_stream
from coldframe.wire.names import StreamKind, StreamName, parse
from coldframe.wire.recording import RecordingLine
from coldframe.wire.reference import Depth
from coldframe.wire.streams import BookTicker, DepthUpdate

#: How many best prices of a symbol are remembered: far more than ever lie between an event and its ticker.
_TICKERS: Final = 50_000

Top = tuple[int, int, int, int]


@attrs.define
class _Checked:
    """One symbol of a recording: its book, the best prices that were recorded, and what has still to be compared."""

    symbol: str
    sync: BookSync = attrs.field(init=False)
    stream: str = ""
    depth_events: int = 0
    snapshots: int = 0
    gaps: int = 0
    comparisons: int = 0
    mismatches: int = 0
    #: Whether a snapshot has come that no book has been made of yet.
    _unused: bool = False
    _ids: deque[int] = attrs.field(factory=lambda: deque(maxlen=_TICKERS))
    _tops: deque[Top] = attrs.field(factory=lambda: deque(maxlen=_TICKERS))
    _waiting: deque[tuple[int, Top | None]] = attrs.field(factory=lambda: deque(maxlen=_TICKERS))

    def __attrs_post_init__(self) -> None:
        self.sync = BookSync(self.symbol)

    def book(self, event: DepthUpdate | Depth) -> None:
        self._unused |= isinstance(event, Depth)
        for effect in self.sync.step(event):
            match effect:
                case BookReady() | BookMoved():
                    self._unused = False
                    self._waiting.append((self.sync.book.update_id, self._top()))
                case BookLost():
                    self._unused = False
                    self.gaps += 1
                case RequestSnapshot():
                    # The last snapshot was of no use: what follows it is missing, or something that came since.
                    self.gaps += self._unused
                    self._unused = False
                case unknown:
                    assert_never(unknown)

    def ticker(self, ticker: BookTicker) -> None:
        self._ids.append(ticker.update_id)
        self._tops.append((scaled(ticker.bid), scaled(ticker.bid_quantity), scaled(ticker.ask), scaled(ticker.ask_quantity)))
        while self._waiting and self._waiting[0][0] < ticker.update_id:
            self._compare(*self._waiting.popleft())

    def finish(self) -> None:
        """No more tickers: what waits is compared with the last one."""
        while self._waiting:
            self._compare(*self._waiting.popleft())

    def _top(self) -> Top | None:
        bids, asks = self.sync.book.bids, self.sync.book.asks
        if bids.best is None or asks.best is None:
            return None
        return bids.best, bids.quantity_at(bids.best), asks.best, asks.quantity_at(asks.best)

    def _compare(self, update_id: int, top: Top | None) -> None:
        position = bisect_right(self._ids, update_id) - 1
        if position < 0:
            return  # no best price had been recorded yet
        recorded = self._tops[position]
        self.comparisons += len(recorded)
        self.mismatches += sum(ours != theirs for ours, theirs in zip(top or (0, 0, 0, 0), recorded, strict=True))


def verify_recording(path: Path) -> tuple[dict[str, Any], list[str], Sequence[str]]:
    """Document, lines and notes of `coldframe recording verify`. Raises `ConfigError` for a file that is not a recording."""
    symbols: dict[str, _Checked] = {}
    reading, census = read_recording(path), Census()
    for line in reading:
        try:
            _check_line(line, symbols, census)
        except (DecodeError, ValueError) as error:
            raise ConfigError(f"{path}:{reading.line}: the payload is not what its stream carries: {error}") from None
    for checked in symbols.values():
        checked.finish()
    rows = {
        name: {
            "depth_events": checked.depth_events,
            "snapshots": checked.snapshots,
            "gaps": checked.gaps,
            "comparisons": checked.comparisons,
            "mismatches": checked.mismatches,
        }
        for name, checked in sorted(symbols.items())
    }
    totals = {key: sum(row[key] for row in rows.values()) for key in ("gaps", "comparisons", "mismatches")}
    document = {"schema_version": 1, "verb": "recording verify", "lines": reading.count, "symbols": rows, **totals}
    notes = [reading.tear] if reading.tear else []
    return document, _verify_lines(path, document), notes


def _check_line(line: RecordingLine, symbols: dict[str, _Checked], census: Census) -> None:
    if isinstance(line.snapshot, str):
        checked = symbols.setdefault(line.snapshot, _Checked(line.snapshot))
        checked.snapshots += 1
        checked.book(decode(Depth, line.payload, census))
        return
    assert isinstance(line.stream, str)
    name = _known(line.stream)
    if name is None or name.kind not in (StreamKind.DIFF_DEPTH, StreamKind.BOOK_TICKER):
        return
    for message in decode_stream(name, line.payload, census):
        if isinstance(message, BookTicker):
            symbols.setdefault(message.symbol, _Checked(message.symbol)).ticker(message)
        elif isinstance(message, DepthUpdate):
            checked = symbols.setdefault(message.symbol, _Checked(message.symbol))
            checked.stream = checked.stream or line.stream
            if line.stream == checked.stream:  # one speed per symbol: each of them has a chain of its own
                checked.depth_events += 1
                checked.book(message)


def _known(stream: str) -> StreamName | None:
    try:
        return parse(stream)
    except ValueError:
        return None


def _verify_lines(path: Path, document: dict[str, Any]) -> list[str]:
    lines = [
        f"{name}: {row['depth_events']} depth events, {row['snapshots']} snapshots, {row['gaps']} gaps,"
        f" {row['comparisons']} comparisons, {row['mismatches']} mismatches"
        for name, row in document["symbols"].items()
    ]
    if document["gaps"] or document["mismatches"]:
        verdict = "the books do NOT agree with the tickers"
    else:
        verdict = "every book agrees with the tickers" if document["comparisons"] else "there was nothing to compare"
    return [*lines, f"{path.name}: {document['lines']} lines, {document['comparisons']} comparisons: {verdict}"]


def describe_recording(path: Path) -> tuple[dict[str, Any], list[str], Sequence[str]]:
    """Document, lines and notes of `coldframe recording info`. Raises `ConfigError` for a file that is not a recording."""
    streams: Counter[str] = Counter()
    snapshots: Counter[str] = Counter()
    first = last = 0
    reading = read_recording(path)
    for line in reading:
        first = first or line.t
        last = max(last, line.t)
        if isinstance(line.snapshot, str):
            snapshots[line.snapshot] += 1
        else:
            streams[str(line.stream)] += 1
    seconds = (last - first) / NS_PER_S
    document = {
        "schema_version": 1,
        "verb": "recording info",
        "lines": reading.count,
        "seconds": round(seconds, 3),
        "first_ns": first,
        "last_ns": last,
        "streams": dict(sorted(streams.items())),
        "snapshots": dict(sorted(snapshots.items())),
        "torn": reading.tear is not None,
    }
    lines = [f"{count:>9}  {name}" for name, count in sorted(streams.items())]
    lines += [f"{count:>9}  snapshot {symbol}" for symbol, count in sorted(snapshots.items())]
    span = f" over {seconds:.1f} s from {wall_text(first)} UTC" if reading.count else ""
    return document, [*lines, f"{path.name}: {reading.count} lines{span}"], [reading.tear] if reading.tear else []
