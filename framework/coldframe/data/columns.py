"""Columns: the rows of a recording or a vendor file, turned once into a compact file of integers that a run maps into its memory.

A file is blocks of up to 65,536 rows, then a footer of JSON that describes them, then the length of the footer and `MAGIC`. In a
block each column is an array of the narrowest integers that hold its values, little-endian, on a boundary of eight bytes, and the
block has a CRC-32. A writer that was killed leaves no footer, and such a file is refused.

The loop over it is plain Python over memory views of the mapped pages: no copy, no object but the integers of the row at hand.
"""

from __future__ import annotations

import hashlib
import mmap
import sys
import zlib
from array import array
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from io import SEEK_END
from itertools import chain
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Literal, cast

import msgspec

from coldframe.errors import ConfigError

#: Of the format; a reader refuses what it does not know.
VERSION: Final = 1
MAGIC: Final = b"CFCOLUMN"
#: Rows of a block, and of what is held in memory while a file is turned into columns.
BLOCK_ROWS: Final = 1 << 16
#: How a file of columns is named.
SUFFIX: Final = ".columns"

Row = tuple[int, ...]
#: The columns of a block, in the order of the schema.
Block = tuple[memoryview, ...]

_Code = Literal["b", "h", "i", "q"]
_ALIGNMENT: Final = 8
_TAIL: Final = 8 + len(MAGIC)
#: Integer types from the narrowest, with the largest value of each.
_CODES: Final[tuple[tuple[_Code, int], ...]] = (
    ("b", (1 << 7) - 1),
    ("h", (1 << 15) - 1),
    ("i", (1 << 31) - 1),
    ("q", (1 << 63) - 1),
)
_ITEM_SIZES: Final[Mapping[str, int]] = {code: array(code).itemsize for code, _ in _CODES}
_LARGEST_FOOTER: Final = 1 << 28


class Column(msgspec.Struct, frozen=True):
    """A column: integers in units of 10**-digits. Epoch times are named `*_ms` or `*_ns` after their unit."""

    name: str
    digits: int = 0


class Finding(msgspec.Struct, frozen=True):
    """What a reader found wrong in a file and has handled: which rule, how often, and the first case in a sentence."""

    rule: str
    count: int
    text: str


class SourceFile(msgspec.Struct, frozen=True):
    """The file that columns were made of."""

    name: str
    size: int
    sha256: str


class BlockEntry(msgspec.Struct, frozen=True):
    """Where a block lies, and the integer type of each column."""

    offset: int
    rows: int
    size: int
    codes: str
    crc32: int


class Footer(msgspec.Struct, frozen=True):
    """What stands at the end of a file of columns. `labels` are further facts, such as `symbol` and `interval`."""

    version: int
    byte_order: str
    table: str
    columns: tuple[Column, ...]
    labels: dict[str, str]
    rows: int
    blocks: tuple[BlockEntry, ...]
    told: tuple[Finding, ...]
    origin: SourceFile | None = None


def origin_of(path: Path) -> SourceFile:
    """Size and hash of a file. Raises `ConfigError` when it cannot be read."""
    try:
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            return SourceFile(path.name, file.tell(), digest)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


# -- writing ------------------------------------------------------------------------------------------------------------


class ColumnsWriter:
    """Writes blocks to a file that is open for writing, and at last the footer. Holds what describes the blocks, not the blocks."""

    def __init__(self, file: IO[bytes]) -> None:
        self.rows = 0
        self._file = file
        self._entries: list[BlockEntry] = []
        self._at = 0

    def write(self, rows: Sequence[Row]) -> None:
        """Appends a block: at least one row, at most `BLOCK_ROWS`."""
        assert 0 < len(rows) <= BLOCK_ROWS
        codes, parts = "", []
        for values in zip(*rows, strict=True):
            code = _narrowest(min(values), max(values))
            body = array(code, values).tobytes()
            codes += code
            parts.append(body + bytes(-len(body) % _ALIGNMENT))
        block = b"".join(parts)
        self._file.write(block)
        self._entries.append(BlockEntry(self._at, len(rows), len(block), codes, zlib.crc32(block)))
        self._at += len(block)
        self.rows += len(rows)

    def finish(
        self,
        table: str,
        columns: Sequence[Column],
        labels: Mapping[str, str],
        told: Sequence[Finding] = (),
        origin: SourceFile | None = None,
    ) -> None:
        """Writes the footer; the file is complete then."""
        body = (tuple(columns), dict(labels), self.rows, tuple(self._entries), tuple(told), origin)
        encoded = msgspec.json.encode(Footer(VERSION, sys.byteorder, table, *body))
        self._file.write(encoded + len(encoded).to_bytes(8, "little") + MAGIC)
        self._file.flush()


def _narrowest(least: int, most: int) -> _Code:
    return next(code for code, largest in _CODES if most <= largest and least >= -largest - 1)


# -- reading ------------------------------------------------------------------------------------------------------------


class Described:
    """Columns with what is known of them: the same of a mapped file and of one in another form."""

    def __init__(self, path: Path, footer: Footer) -> None:
        self.path = path
        self.footer = footer

    @property
    def table(self) -> str:
        return self.footer.table

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.footer.columns)

    @property
    def labels(self) -> Mapping[str, str]:
        return self.footer.labels

    @property
    def told(self) -> tuple[Finding, ...]:
        return self.footer.told

    def __len__(self) -> int:
        return self.footer.rows

    def digits(self, name: str) -> int:
        """Digits behind the point of a column."""
        return next(column.digits for column in self.footer.columns if column.name == name)

    def made_of(self, source: Path) -> bool:
        """Whether the columns were made of this very file: its size and its SHA-256 are compared."""
        origin, found = self.footer.origin, origin_of(source)
        return origin is not None and (origin.size, origin.sha256) == (found.size, found.sha256)

    def blocks(self) -> Iterator[Block]:
        """The blocks in order, each as one view a column."""
        raise NotImplementedError

    def rows(self) -> Iterator[Row]:
        """Every row as a tuple of integers, in order."""
        return chain.from_iterable(zip(*block, strict=True) for block in self.blocks())


class Columns(Described):
    """A file of columns, mapped. Close it, or use it in a `with`; views of it must not outlive that.

    Raises `ConfigError` for a file that is not one, is cut, is of another version, or was made on a machine of another byte order.
    """

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self.path = path
        self._map = _mapped(file, path)
        try:
            super().__init__(path, self._footer())
        except ConfigError:
            self.close()
            raise

    def blocks(self) -> Iterator[Block]:
        with memoryview(self._map) as whole:
            for entry in self.footer.blocks:
                yield tuple(self._views(whole, entry))

    def verify(self) -> None:
        """Raises `ConfigError` when a block is not what was written."""
        for number, entry in enumerate(self.footer.blocks, 1):
            if zlib.crc32(self._map[entry.offset : entry.offset + entry.size]) != entry.crc32:
                raise ConfigError(f"{self.path}: block {number} of {len(self.footer.blocks)} is damaged; make the file again")

    def close(self) -> None:
        """Unmaps the file. Where a view of it is still held, the pages go with the view."""
        with suppress(BufferError):
            self._map.close()

    def __enter__(self) -> Columns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def _views(self, whole: memoryview, entry: BlockEntry) -> Iterator[memoryview]:
        at = entry.offset
        for code in entry.codes:
            size = entry.rows * _ITEM_SIZES[code]
            yield whole[at : at + size].cast(cast("_Code", code))
            at += size + -size % _ALIGNMENT

    def _footer(self) -> Footer:
        size = len(self._map)
        length = int.from_bytes(self._map[size - _TAIL : size - len(MAGIC)], "little")
        if self._map[size - len(MAGIC) :] != MAGIC or length > min(size - _TAIL, _LARGEST_FOOTER):
            raise ConfigError(f"{self.path}: not a file of columns, or one that was not finished; make it again")
        try:
            footer = msgspec.json.decode(self._map[size - _TAIL - length : size - _TAIL], type=Footer)
        except (msgspec.DecodeError, RecursionError):
            raise ConfigError(f"{self.path}: the description at its end is damaged; make the file again") from None
        if footer.version != VERSION:
            raise ConfigError(
                f"{self.path}: columns of version {footer.version}; this build reads version {VERSION}; make them again"
            )
        if footer.byte_order != sys.byteorder:
            raise ConfigError(f"{self.path}: made on a {footer.byte_order}-endian machine; make it again on this one")
        if not _fits(footer, size - _TAIL - length):
            raise ConfigError(f"{self.path}: the description at its end does not fit its blocks; make the file again")
        return footer


def open_columns(path: str | Path) -> Columns:
    """Maps a file of columns. Raises `ConfigError` as `Columns` does, and when the file cannot be read."""
    try:
        with Path(path).open("rb") as file:
            return Columns(file, Path(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def is_columns(path: Path) -> bool:
    """Whether a file ends as a file of columns does."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, SEEK_END)
            file.seek(max(size - len(MAGIC), 0))
            return file.read() == MAGIC
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from None


def _mapped(file: IO[bytes], path: Path) -> mmap.mmap:
    if file.seek(0, SEEK_END) < _TAIL:
        raise ConfigError(f"{path}: not a file of columns, or one that was not finished; make it again")
    return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _fits(footer: Footer, end: int) -> bool:
    """Whether the blocks follow each other up to the footer, and hold what is said of them."""
    at = rows = 0
    for entry in footer.blocks:
        if entry.offset != at or len(entry.codes) != len(footer.columns) or not 0 < entry.rows <= BLOCK_ROWS:
            return False
        sizes = [entry.rows * _ITEM_SIZES.get(code, 0) for code in entry.codes]
        if not all(sizes) or sum(size + -size % _ALIGNMENT for size in sizes) != entry.size:
            return False
        at, rows = at + entry.size, rows + entry.rows
    return (at, rows) == (end, footer.rows)
