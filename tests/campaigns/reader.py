"""What a reader is: good inputs to mangle, how it reads, and what it may raise."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import attrs

from coldframe.errors import DecodeError

Read = Callable[[bytes], object]


@attrs.frozen
class Reader:
    """One reader: good inputs, what it does with bytes, what it may raise, and how often it gets its turn beside the others."""

    name: str
    samples: Sequence[bytes]
    read: Read
    declared: tuple[type[Exception], ...] = (DecodeError,)
    share: int = 1
