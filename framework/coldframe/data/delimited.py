"""Rows of integers out of text files with commas: plain, gzip, zstd or zip, with a line of names before them or without.

Whether a file begins with names is told by its first byte: numbers and dates begin with a digit or a sign, names with a letter.
With names, columns are found by them, in any order, and further ones are passed over; without, they stand as the exchange writes
them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Final

import attrs

from coldframe.data.columns import Column, Row
from coldframe.data.lines import LineReader
from coldframe.data.numbers import NONE, PRICE_DIGITS, digits_of, fixed_parser
from coldframe.errors import ConfigError

Parse = Callable[[str], int]

_BEGINS_A_ROW: Final = frozenset("0123456789+-.")
_BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"


@attrs.frozen
class Field:
    """A column of ours, and the field of the file that it is read from.

    Without `parse` it is a number: in units of 10**-digits, or, where `digits` is None, with as many digits as the file needs.
    """

    column: str
    source: str
    parse: Parse | None = None
    digits: int | None = PRICE_DIGITS
    #: Whether the field may be empty; `NONE` stands for it.
    optional: bool = False

    def parser(self) -> Parse:
        parse = self.parse
        if parse is None:
            assert self.digits is not None
            parse = fixed_parser(self.digits)
        return partial(_optional, parse) if self.optional else parse

    def as_column(self) -> Column:
        return Column(self.column, 0 if self.parse is not None else self.digits or 0)


def _optional(parse: Parse, text: str) -> int:
    return parse(text) if text else NONE


@attrs.frozen
class DelimitedFile:
    """A file, what is read from it, and the order of its fields where the file does not name them itself."""

    path: Path
    kind: str
    fields: tuple[Field, ...]
    order: tuple[str, ...]

    def rows(self) -> Generator[Row, None, None]:
        """Every row, as they come. Raises `ConfigError` with the number of the line for what cannot be read."""
        lines = LineReader(self.path, self.kind)
        with closing(self._split(lines)) as split:
            for places, texts in split:
                try:
                    yield tuple([parse(texts[at]) for parse, at in places])
                except ValueError:
                    raise self._error(lines, places, texts) from None

    def settled(self) -> DelimitedFile:
        """The same file with the digits of every field known: where they are left open, the file is read for them."""
        names = [field.source for field in self.fields if field.digits is None]
        if not names:
            return self
        needed = self._digits(names)
        fields = [
            attrs.evolve(field, digits=needed.get(field.source, 0)) if field.digits is None else field for field in self.fields
        ]
        return attrs.evolve(self, fields=tuple(fields))

    def _digits(self, names: Sequence[str]) -> dict[str, int]:
        needed = dict.fromkeys(names, 0)
        lines = LineReader(self.path, self.kind)
        reading = attrs.evolve(self, fields=tuple(Field(name, name, digits_of, optional=True) for name in names))
        with closing(reading._split(lines)) as split:
            for places, texts in split:
                try:
                    found = [parse(texts[at]) for parse, at in places]
                except ValueError:
                    raise reading._error(lines, places, texts) from None
                for name, digits in zip(names, found, strict=True):
                    needed[name] = max(needed[name], digits)
        return needed

    def _split(self, lines: LineReader) -> Generator[tuple[list[tuple[Parse, int]], list[str]], None, None]:
        """The fields of every line, each time with how and where to read from it."""
        places: list[tuple[Parse, int]] | None = None
        width = 0
        with closing(lines.__iter__()) as raws:
            for raw in raws:
                if lines.tear is not None:
                    break  # this line is what was left of one
                texts = self._texts(lines, raw)
                if places is None:
                    named = texts[0][:1] not in _BEGINS_A_ROW
                    names = texts if named else list(self.order)
                    places, width = self._places(lines, names), len(texts)
                    if named:
                        continue
                if len(texts) != width:
                    raise lines.error(f"{len(texts)} fields, where the file has {width}: the line is cut, or not of this file")
                yield places, texts
        if lines.tear is not None:
            raise ConfigError(f"{lines.tear}; get the file again")

    def _texts(self, lines: LineReader, raw: bytes) -> list[str]:
        if lines.at == 1:
            raw = raw.removeprefix(_BYTE_ORDER_MARK)
        try:
            return raw.rstrip(b"\r").decode("ascii").split(",")
        except UnicodeDecodeError:
            raise lines.error(f"no {self.kind} has a line like {raw[:40]!r}") from None

    def _places(self, lines: LineReader, names: Sequence[str]) -> list[tuple[Parse, int]]:
        at = {name.strip(): number for number, name in enumerate(names)}
        missing = [field.source for field in self.fields if field.source not in at]
        if missing:
            raise lines.error(f"not a {self.kind}: its first line names no {missing[0]}")
        return [(field.parser(), at[field.source]) for field in self.fields]

    def _error(self, lines: LineReader, places: Sequence[tuple[Parse, int]], texts: Sequence[str]) -> ConfigError:
        """The error of the first field that cannot be read."""
        for field, (parse, at) in zip(self.fields, places, strict=True):
            try:
                parse(texts[at])
            except ValueError as error:
                return lines.error(f"{field.source}: {error}")
        raise AssertionError("a field could not be read, and then could")
