"""Events of hftbacktest 2 (`.npz`), in and out: rows of the table `market`, one symbol a file.

The file is a zip with `data.npy`: records of eight fields of eight bytes, little-endian, described by a header of text. Prices and
quantities there are floats: on the way in they are rounded to 8 digits behind the point, on the way out each is the nearest float.

An event there stands once for the exchange and once for the bot where the two see events in another order, and once for both where
they do not. The way in takes what the bot sees; the way out splits events where it must. Partial clears of a book, and events of
single orders, have no row here and are left out.
"""

from __future__ import annotations

import ast
import struct
import zipfile
from collections import Counter
from collections.abc import Generator, Iterator
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from itertools import groupby, islice
from pathlib import Path
from typing import IO, Final

import attrs

from coldframe.data.arranging import DataSource
from coldframe.data.columns import Finding, Row
from coldframe.data.market import MARKET, Kind
from coldframe.data.numbers import PRICE_DIGITS
from coldframe.errors import ConfigError
from coldframe.units import NS_PER_MS

SUFFIX: Final = ".npz"
MEMBER: Final = "data.npy"
DESCRIPTION: Final = [
    *(("ev", "<u8"), ("exch_ts", "<i8"), ("local_ts", "<i8"), ("px", "<f8"), ("qty", "<f8")),
    *(("order_id", "<u8"), ("ival", "<i8"), ("fval", "<f8")),
]
RECORD: Final = struct.Struct("<QqqddQqd")
MAGIC: Final = b"\x93NUMPY"

DEPTH, TRADE, CLEAR, SNAPSHOT, BEST = 1, 2, 3, 4, 5
AT_EXCHANGE, AT_BOT, BUY, SELL = 1 << 31, 1 << 30, 1 << 29, 1 << 28

_KIND: Final = 0xFF
_BOTH: Final = AT_EXCHANGE | AT_BOT
_CHUNK: Final = 1 << 12
_MOST_AT_ONCE: Final = 200_000
_LONGEST_HEADER: Final = 1 << 16
_STEP: Final = Decimal(1).scaleb(-PRICE_DIGITS)
_LARGEST: Final = (1 << 63) - 1

#: `(kind, side, exchange time, local time, price, quantity)`: numbers scaled as in columns.
Event = tuple[int, int, int, int, int, int]


def hftbacktest_source(path: Path, symbol: str) -> DataSource:
    """A file of events, ready to be read. Raises `ConfigError` when it is not one, or no symbol is given."""
    if not symbol:
        raise ConfigError(f"{path}: a file of hftbacktest says no symbol; give it with --symbol")
    reading = _Reading(path)
    labels = {"format": "hftbacktest", "symbols": symbol}
    return DataSource(path, MARKET, reading.rows, labels, reading.findings)


@lru_cache(maxsize=1 << 16)
def _scaled(value: float) -> int:
    """A float in units of 10**-8, rounded: what it was before it became a float."""
    number = Decimal(repr(value))
    if not number.is_finite():
        raise ValueError(f"not a price or quantity: {value!r}")
    scaled = int(number.quantize(_STEP, ROUND_HALF_EVEN).scaleb(PRICE_DIGITS)) if abs(number) < 1 << 40 else _LARGEST + 1
    if abs(scaled) > _LARGEST:
        raise ValueError(f"{value!r} is too large for 64 bits with {PRICE_DIGITS} digits behind the point")
    return scaled


@attrs.define
class _Reading:
    """Passes over a file. Counts what has no row."""

    path: Path
    findings: list[Finding] = attrs.field(factory=list)
    _left_out: Counter[str] = attrs.field(factory=Counter)
    _bid: tuple[int, int] | None = None
    _ask: tuple[int, int] | None = None
    _number: int = 0

    def rows(self) -> Generator[Row, None, None]:
        for _, group in groupby(self._events(), lambda event: (event[3], _family(event[0]))):
            events = list(islice(group, _MOST_AT_ONCE + 1))
            if len(events) > _MOST_AT_ONCE:
                raise ConfigError(f"{self.path}: more than {_MOST_AT_ONCE} events at once, which no market has")
            yield from self._rows_of(events)
        if self._left_out:
            names = ", ".join(f"{count} {what}" for what, count in sorted(self._left_out.items()))
            self.findings.append(Finding("left out", self._left_out.total(), names))

    def _rows_of(self, events: list[Event]) -> Iterator[Row]:
        """The rows of events of one family that the bot sees at once."""
        match _family(events[0][0]):
            case "trade":
                for _, side, exchange_ns, local_ns, price, quantity in events:
                    yield Kind.TRADE.value, local_ns, 0, exchange_ns // NS_PER_MS, 0, price, quantity, int(side == SELL), 0
            case "best":
                yield from self._best(events)
            case "book":
                yield from self._book(events)
            case _:
                self._left_out["events of single orders or of unknown kinds"] += len(events)

    def _best(self, events: list[Event]) -> Iterator[Row]:
        for _, side, _, _, price, quantity in events:
            if side == BUY:
                self._bid = price, quantity
            else:
                self._ask = price, quantity
        if self._bid and self._ask:
            yield Kind.BEST.value, events[-1][3], 0, events[-1][2] // NS_PER_MS, 0, *self._bid, *self._ask

    def _book(self, events: list[Event]) -> Iterator[Row]:
        sides: dict[int, list[Row]] = {BUY: [], SELL: []}
        event_ms, local_ns = events[0][2] // NS_PER_MS, events[0][3]
        for kind, side, _, _, price, quantity in events:
            if kind != CLEAR:
                row = Kind.BID.value if side == BUY else Kind.ASK.value
                sides[side].append((row, local_ns, 0, event_ms, 0, price, quantity, 0, 0))
        cleared = {side for kind, side, *_ in events if kind == CLEAR}
        whole = 0 in cleared or (cleared == {BUY, SELL} and all(sides.values()))
        if not whole and cleared:
            self._left_out["clears of a part of a book"] += len(cleared)
        bids, asks = sides.values()
        if not (whole or bids or asks):
            return
        self._number += 1
        kind, before = (Kind.SNAPSHOT, (0, 0)) if whole else (Kind.DEPTH, (self._number, self._number - 1))
        yield kind.value, local_ns, 0, event_ms, self._number, *before, len(bids), len(asks)
        yield from bids
        yield from asks

    def _events(self) -> Iterator[Event]:
        """What the bot sees, in the order of the file."""
        for number, (event, exchange_ns, local_ns, price, quantity, *_) in enumerate(self._records()):
            if event & _BOTH == AT_EXCHANGE:
                continue  # its other half is what the bot sees
            kind, side = event & _KIND, event & (BUY | SELL)
            try:
                if kind == CLEAR:
                    yield kind, side, exchange_ns, local_ns, 0, 0
                elif kind > BEST or not kind or side not in (BUY, SELL):
                    yield 0, side, exchange_ns, local_ns, 0, 0
                else:
                    yield kind, side, exchange_ns, local_ns, _scaled(price), _scaled(quantity)
            except ValueError as error:
                raise ConfigError(f"{self.path}: event {number}: {error}") from None

    def _records(self) -> Iterator[tuple[int, int, int, float, float, int, int, float]]:
        try:
            with zipfile.ZipFile(self.path) as packed, packed.open(MEMBER) as file:
                left = _count(file, self.path)
                while left:
                    body = file.read(RECORD.size * min(left, _CHUNK))
                    if len(body) % RECORD.size or not body:
                        raise ConfigError(f"{self.path}: the file ends before its last event; get it again")
                    left -= len(body) // RECORD.size
                    yield from RECORD.iter_unpack(body)
        except KeyError:
            raise ConfigError(f"{self.path}: no {MEMBER} in it: not events of hftbacktest") from None
        except (zipfile.BadZipFile, EOFError) as error:
            raise ConfigError(f"{self.path}: the zip is damaged: {error}") from None
        except OSError as error:
            raise ConfigError(f"{self.path}: cannot be read: {error.strerror or error}") from None


def _family(kind: int) -> str:
    return {TRADE: "trade", BEST: "best", DEPTH: "book", CLEAR: "book", SNAPSHOT: "book"}.get(kind, "")


def _count(file: IO[bytes], path: Path) -> int:
    """How many events follow the header. Raises `ConfigError` when it does not describe events of hftbacktest 2."""
    head = file.read(len(MAGIC) + 2)
    width = 2 if head[-2:-1] == b"\x01" else 4
    length = int.from_bytes(file.read(width), "little")
    if not head.startswith(MAGIC) or length > _LONGEST_HEADER:
        raise ConfigError(f"{path}: {MEMBER} is not an array of numpy")
    try:
        described = ast.literal_eval(file.read(length).decode("latin-1").strip())
        (count,) = described["shape"]
        fields = [tuple(field) for field in described["descr"]]
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise ConfigError(f"{path}: {MEMBER} holds no list of records") from None
    if fields != DESCRIPTION or not isinstance(count, int) or count < 0:
        raise ConfigError(
            f"{path}: not events of hftbacktest 2, which have the fields {', '.join(name for name, _ in DESCRIPTION)}"
        )
    return count
