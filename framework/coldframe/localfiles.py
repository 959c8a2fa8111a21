"""Files of this machine, read with a bound: what a mistake or a fault has made endless costs no more than an honest file.

What is too large, or not a file at all (a pipe, a device, a folder), is an `OSError` whose `strerror` says so in words.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from coldframe.os_specific import BINARY, NO_WAIT

#: The largest of the small files that are kept here: states, keys, halts, notes, bans.
SMALL: Final = 1 << 20
#: The longest line of a file that is read by lines.
LONGEST_LINE: Final = 1_000_000


def read_file(path: Path, most: int = SMALL, *, regular: bool = True) -> bytes:
    """All of a file, up to `most` bytes. Raises `OSError`.

    Without `regular` a pipe or a device will do as well: for files that a person names.
    """
    with _opened(path, regular=regular) as file:
        body = file.read(most + 1)
    if len(body) > most:
        raise _refused(errno.EFBIG, f"larger than {most} bytes: damaged, or another file", path)
    return body


def lines_of(path: Path, longest: int = LONGEST_LINE) -> Iterator[bytes]:
    """The lines of a file with their ends, one after another; a last line that was not finished has none. Raises `OSError`."""
    with _opened(path, regular=True) as file:
        while line := file.readline(longest + 1):
            if len(line) > longest:
                raise _refused(errno.EFBIG, f"a line of it is longer than {longest} bytes: damaged, or another file", path)
            yield line


@contextmanager
def _opened(path: Path, *, regular: bool) -> Iterator[BinaryIO]:
    # A pipe that nothing writes to would be waited for, so it is opened without waiting, and looked at.
    handle = os.open(path, os.O_RDONLY | BINARY | (NO_WAIT if regular else 0))
    try:
        mode = os.fstat(handle).st_mode
        if stat.S_ISDIR(mode):
            raise _refused(errno.EISDIR, "a directory, not a file", path)
        if regular and not stat.S_ISREG(mode):
            raise _refused(errno.EINVAL, "not a file", path)
        with open(handle, "rb", closefd=False) as file:
            yield file
    finally:
        os.close(handle)


def _refused(number: int, text: str, path: Path) -> OSError:
    return OSError(number, text, str(path))
