"""Columns as Parquet, through pyarrow (extra `data`): integers that a run walks like a file of columns, or decimals for people.

Integers are packed by DELTA_BINARY_PACKED and zstd, one row group a block, with the description of the file of columns in the
metadata. In decimals a number with digits is `decimal128(38, digits)`, an empty field is null, and the notional of a trade is a
column of its own: the product of two such columns overflows in some readers.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import msgspec

from coldframe.data.columns import Block, Described, Footer
from coldframe.data.numbers import NONE
from coldframe.errors import ConfigError

#: How a file of Parquet is named.
SUFFIX: Final = ".parquet"
_META: Final = b"coldframe"
_PRECISION: Final = 38
_WIDTH: Final = 16
_FACTORS: Final = ("price", "quantity")


def _pyarrow(path: Path) -> tuple[Any, Any]:
    """pyarrow and its Parquet part. Raises `ConfigError`, naming the file, where it is not installed."""
    try:
        return importlib.import_module("pyarrow"), importlib.import_module("pyarrow.parquet")
    except ModuleNotFoundError:
        raise ConfigError(f"{path}: Parquet needs pyarrow: python -m pip install 'coldframe[data]'") from None


# -- writing ------------------------------------------------------------------------------------------------------------


def write_parquet(columns: Described, target: Path, *, decimals: bool = False) -> None:
    """Writes columns as Parquet. The file appears when it is complete. Raises `ConfigError` when it cannot be written."""
    pa, pq = _pyarrow(target)
    packing: dict[str, Any] = {} if decimals else {"use_dictionary": False, "column_encoding": "DELTA_BINARY_PACKED"}
    schema = _schema(pa, columns, decimals=decimals)
    part = target.with_name(f"{target.name}.part")
    try:
        with pq.ParquetWriter(part, schema, compression="zstd", **packing) as writer:
            for block in columns.blocks():
                arrays = _decimals(pa, columns, block) if decimals else [_integers(pa, view) for view in block]
                writer.write_batch(pa.record_batch(arrays, schema=schema))
        os.replace(part, target)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        with suppress(OSError):
            part.unlink()


def _schema(pa: Any, columns: Described, *, decimals: bool) -> Any:
    if not decimals:
        fields = [pa.field(column.name, pa.int64()) for column in columns.footer.columns]
        return pa.schema(fields, metadata={_META: msgspec.json.encode(columns.footer)})
    fields = [pa.field(column.name, _type(pa, column.digits)) for column in columns.footer.columns]
    factors = _factors(columns)
    if factors:
        fields.append(pa.field("notional", _type(pa, sum(columns.digits(name) for name in _FACTORS))))
    return pa.schema(fields)


def _type(pa: Any, digits: int) -> Any:
    return pa.decimal128(_PRECISION, digits) if digits else pa.int64()


def _factors(columns: Described) -> tuple[int, ...]:
    """Where price and quantity stand, if a row has both."""
    return tuple(columns.names.index(name) for name in _FACTORS) if {*_FACTORS} <= {*columns.names} else ()


def _integers(pa: Any, values: memoryview) -> Any:
    return pa.array(values.tolist(), pa.int64())


def _decimals(pa: Any, columns: Described, block: Block) -> list[Any]:
    arrays = [_decimal(pa, column.digits, values.tolist()) for column, values in zip(columns.footer.columns, block, strict=True)]
    factors = _factors(columns)
    if factors:
        prices, quantities = (block[at] for at in factors)
        digits = sum(columns.digits(name) for name in _FACTORS)
        products = [price * quantity for price, quantity in zip(prices, quantities, strict=True)]
        arrays.append(_decimal(pa, digits, products))
    return arrays


def _decimal(pa: Any, digits: int, values: Sequence[int]) -> Any:
    """Integers in units of 10**-digits as decimals, exactly; `NONE` as null."""
    if not digits:
        return pa.array([None if value == NONE else value for value in values], pa.int64())
    known = pa.array([value != NONE for value in values])
    body = b"".join(value.to_bytes(_WIDTH, "little", signed=True) for value in values)
    found = pa.Array.from_buffers(_type(pa, digits), len(values), [None, pa.py_buffer(body)])
    return found if NONE not in values else importlib.import_module("pyarrow.compute").if_else(known, found, None)


# -- reading ------------------------------------------------------------------------------------------------------------


class ParquetColumns(Described):
    """A file of integers, mapped: its row groups are unpacked one after another. Raises `ConfigError` for any other file."""

    def __init__(self, path: Path) -> None:
        pa, pq = _pyarrow(path)
        try:
            self._file = pq.ParquetFile(path, memory_map=True)
        except (OSError, pa.ArrowException) as error:
            raise ConfigError(f"{path}: not a file of Parquet that can be read: {str(error).splitlines()[0]}") from None
        super().__init__(path, self._footer(path))

    def blocks(self) -> Iterator[Block]:
        for number in range(self._file.num_row_groups):
            group = self._file.read_row_group(number)
            yield tuple(self._view(group.column(name)) for name in self.names)

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> ParquetColumns:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    @staticmethod
    def _view(column: Any) -> memoryview:
        values = column.combine_chunks()
        values = values.chunk(0) if hasattr(values, "chunk") else values
        return memoryview(values.buffers()[1]).cast("B").cast("q")[values.offset : values.offset + len(values)]

    def _footer(self, path: Path) -> Footer:
        metadata = self._file.schema_arrow.metadata or {}
        try:
            footer = msgspec.json.decode(metadata.get(_META, b""), type=Footer)
        except (msgspec.DecodeError, RecursionError):
            self._file.close()
            raise ConfigError(
                f"{path}: a file of Parquet that was not made by recording columns, or made with --decimals"
            ) from None
        if (
            self._file.schema_arrow.names != [column.name for column in footer.columns]
            or self._file.metadata.num_rows != footer.rows
        ):
            self._file.close()
            raise ConfigError(f"{path}: its columns are not those of its description; make the file again")
        return footer
