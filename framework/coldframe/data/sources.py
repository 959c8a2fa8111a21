"""Files of others as columns: a source is a file with the table of its rows, and any source becomes columns in the same way."""

from __future__ import annotations

import os
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from coldframe.data.arranging import DataSource, arranged
from coldframe.data.columns import Columns, open_columns, origin_of
from coldframe.errors import ConfigError


def columns_of(source: DataSource) -> Columns:
    """The rows of a source in order, mapped from a temporary file that is gone when they are closed.

    Raises `ConfigError`, with file and line, for what cannot be read.
    """
    with TemporaryFile() as file:
        _arrange(source, file)
        return Columns(file, source.path)


def write_columns(source: DataSource, target: Path) -> Columns:
    """Turns a source into a file of columns, and maps it. A file that was made of the same source before is taken as it is.

    `target` appears when it is complete. Raises `ConfigError` as `columns_of` does, and when `target` cannot be written.
    """
    made = _made_before(source, target)
    if made is not None:
        return made
    part = target.with_name(f"{target.name}.part")
    try:
        with part.open("wb") as file:
            _arrange(source, file)
            os.fsync(file.fileno())
        os.replace(part, target)
    except OSError as error:
        raise ConfigError(f"{target}: cannot be written: {error.strerror or error}") from None
    finally:
        part.unlink(missing_ok=True)
    return open_columns(target)


def _arrange(source: DataSource, file: IO[bytes]) -> None:
    with closing(source.rows()) as rows:
        arranged(rows, source, into=file, origin=origin_of(source.path))


def _made_before(source: DataSource, target: Path) -> Columns | None:
    """The columns in `target`, if they were made of this source in this way."""
    with suppress(ConfigError):
        made = open_columns(target)
        same = (made.table, made.footer.columns) == (source.table.name, source.table.columns)
        if same and source.labels.items() <= made.labels.items() and made.made_of(source.path):
            return made
        made.close()
    return None
