"""Rows of the table `market` as events of hftbacktest 2: the counterpart of `hftbacktest.py`, of which it takes the words.

The exchange's times have to grow from event to event as the exchange sees them, and the local times as the bot does. Where a
recording has them in another order, an event is written twice, once for each. A clock that was behind the exchange's is put right
by the same shift of all local times, so that no event is seen before it happened.
"""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Generator, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Final

from coldframe.data.arranging import DataSource, Repeats, Table, arranged
from coldframe.data.columns import Column, Columns, Described, Row
from coldframe.data.hftbacktest import (
    AT_BOT,
    AT_EXCHANGE,
    BEST,
    BUY,
    CLEAR,
    DEPTH,
    DESCRIPTION,
    MAGIC,
    MEMBER,
    RECORD,
    SELL,
    SNAPSHOT,
    TRADE,
)
from coldframe.data.market import MARKET, Kind
from coldframe.data.numbers import PRICE_DIGITS
from coldframe.errors import ConfigError
from coldframe.units import NS_PER_MS

_SCALE: Final = 10**PRICE_DIGITS
#: The header of an array is padded to this.
_ALIGNMENT: Final = 64
#: Events in the order of the exchange, with their place in the order of the bot.
_NAMES: Final = ("exchange_ns", "place", "event", "local_ns", "price", "quantity")
_BY_EXCHANGE: Final = Table("hftbacktest", tuple(Column(name) for name in _NAMES), ("exchange_ns", "place"), Repeats.KEEP)


def write_hftbacktest(columns: Described, target: Path, symbol: str = "") -> None:
    """Writes the rows of one symbol. The file appears when it is complete.

    Best prices are written where the rows hold no book, mark prices never. Raises `ConfigError` for another table, for several
    symbols of which none is named, and when the file cannot be written.
    """
    place = _place(columns, symbol)
    part = target.with_name(f"{target.name}.part")
    try:
        with TemporaryFile() as body, TemporaryFile() as sorted_rows:
            count = _write_events(columns, place, body, sorted_rows)
            with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as packed, packed.open(MEMBER, "w", force_zip64=True) as member:
                member.write(_header(count))
                body.seek(0)
                shutil.copyfileobj(body, member)
        os.replace(part, target)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()


def _place(columns: Described, symbol: str) -> int:
    symbols = columns.labels.get("symbols", "").split(",")
    if columns.table != MARKET.name:
        raise ConfigError(f"{columns.path}: only recordings and files of books or trades become events, not {columns.table}")
    if symbol and symbol not in symbols:
        raise ConfigError(f"{columns.path}: nothing of {symbol} in it; it holds {', '.join(symbols)}")
    if not symbol and len(symbols) > 1:
        raise ConfigError(f"{columns.path}: it holds {', '.join(symbols)}: say with --symbol which becomes the events of one file")
    return symbols.index(symbol) if symbol else 0


def _write_events(columns: Described, place: int, body: IO[bytes], sorted_rows: IO[bytes]) -> int:
    """Writes every event, split where it has to be. Returns how many that were."""
    with_book = any(row[0] in (Kind.DEPTH, Kind.SNAPSHOT) and row[2] == place for row in columns.rows())

    def events() -> Generator[Row, None, None]:
        found = _events((row for row in columns.rows() if row[2] == place), with_book=with_book)
        for number, (event, exchange_ns, local_ns, price, quantity) in enumerate(found):
            yield exchange_ns, number, event, local_ns, price, quantity

    arranged(events(), DataSource(columns.path, _BY_EXCHANGE, events, {}), into=sorted_rows)
    behind = max((row[0] - row[3] for row in events()), default=0)
    count = 0
    with Columns(sorted_rows, columns.path) as by_exchange:
        for flags, (exchange_ns, _, event, local_ns, price, quantity) in _in_both_orders(events(), by_exchange.rows()):
            local_ns += max(behind, 0)
            body.write(RECORD.pack(event | flags, exchange_ns, local_ns, price / _SCALE, quantity / _SCALE, 0, 0, 0.0))
            count += 1
    return count


def _in_both_orders(local: Iterator[Row], exchange: Iterator[Row]) -> Iterator[tuple[int, Row]]:
    """Every event as each side sees it: once for both where their orders agree."""
    seen, happened = next(local, None), next(exchange, None)
    while seen is not None or happened is not None:
        if seen is not None and happened is not None and seen[1] == happened[1]:
            yield AT_EXCHANGE | AT_BOT, seen
            seen, happened = next(local, None), next(exchange, None)
        elif happened is not None and (seen is None or happened[0] <= seen[0]):
            yield AT_EXCHANGE, happened
            happened = next(exchange, None)
        elif seen is not None:
            yield AT_BOT, seen
            seen = next(local, None)


def _events(rows: Iterator[Row], *, with_book: bool) -> Iterator[tuple[int, int, int, int, int]]:
    """Events in the order of the rows: `(event, exchange time, local time, price, quantity)`, not yet saying who sees it."""
    for kind, at_ns, _, event_ms, _, price, quantity, price_2, quantity_2 in rows:
        times = event_ms * NS_PER_MS or at_ns, at_ns  # a snapshot may have no time of the exchange
        match kind:
            case Kind.TRADE:
                yield TRADE | (SELL if price_2 else BUY), *times, price, quantity
            case Kind.BID | Kind.ASK:
                yield DEPTH | (BUY if kind == Kind.BID else SELL), *times, price, quantity
            case Kind.SNAPSHOT:
                for side, count in ((BUY, price_2), (SELL, quantity_2)):
                    levels = list(islice(rows, count))
                    if levels:
                        yield CLEAR | side, *times, levels[-1][5], 0
                    for level in levels:
                        yield SNAPSHOT | side, *times, level[5], level[6]
            case Kind.BEST if not with_book:
                yield BEST | BUY, *times, price, quantity
                yield BEST | SELL, *times, price_2, quantity_2
            case _:
                pass  # heads of book events, mark prices, best prices beside a book


def _header(count: int) -> bytes:
    """The header of an array of so many events, as numpy writes it."""
    text = f"{{'descr': {DESCRIPTION!r}, 'fortran_order': False, 'shape': ({count},), }}"
    padded = text.ljust(len(text) + -(len(MAGIC) + 4 + len(text) + 1) % _ALIGNMENT) + "\n"
    return MAGIC + b"\x01\x00" + len(padded).to_bytes(2, "little") + padded.encode("latin-1")
