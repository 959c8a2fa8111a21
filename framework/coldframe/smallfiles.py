"""Files that are small by nature: halts, keys, notes, secrets, configurations."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

#: What such a file may have, in bytes. A device has no end.
LARGEST: Final = 1 << 20


def read_small(path: Path, largest: int = LARGEST) -> bytes:
    """The content of a file. Raises `OSError`, also for one that is larger than `largest`: no more than that is ever read."""
    with path.open("rb") as file:
        body = file.read(largest + 1)
    if len(body) > largest:
        raise OSError(errno.EFBIG, os.strerror(errno.EFBIG), str(path))
    return body
