"""The body of an answer, put together within bounds: a peer cannot make us hold more than an answer ever needs, packed or not.

The HTTP library would unpack whatever comes, and a kilobyte of packed zeros is a megabyte. So only gzip is asked for, the bytes are
taken as they came, and they are unpacked here up to the bound.
"""

from __future__ import annotations

import zlib
from typing import Final

from coldframe.errors import LinkRefused

#: The longest answer that is read, in bytes. The longest one of the exchange, its list of contracts, has about two million.
LONGEST_ANSWER: Final = 32 * 1024 * 1024
#: What is sent with every call, so that answers come in a form that `Body` can unpack.
ACCEPT: Final = {"Accept-Encoding": "gzip"}

_PLAIN: Final = ("", "identity")
_GZIP: Final = ("gzip", "x-gzip")
_UNREADABLE: Final = "the answer has an unknown or damaged compression"


class Body:
    """Takes the parts of one body as they come; `encoding` is the answer's content encoding, `longest` the bound in bytes."""

    def __init__(self, encoding: str, longest: int = LONGEST_ANSWER) -> None:
        self._longest = longest
        self._name = encoding.strip().lower()
        self._body = bytearray()
        self._unpacking = zlib.decompressobj(wbits=31) if self._name in _GZIP else None

    def append(self, part: bytes) -> None:
        """Takes what came. Raises `LinkRefused` when the body becomes too long, or cannot be unpacked."""
        if part:
            self._body += self._unpacked(part)
        if len(self._body) > self._longest:
            raise LinkRefused(f"the answer is longer than {self._longest} bytes, which is more than is read of one")

    def whole(self) -> bytes:
        """The body, when nothing more will come. Raises `LinkRefused` when packed data ends in the middle."""
        if self._unpacking is not None and self._body and not self._unpacking.eof:
            raise LinkRefused(_UNREADABLE)
        return bytes(self._body)

    def _unpacked(self, part: bytes) -> bytes:
        if self._name in _PLAIN:
            return part
        if self._unpacking is None or self._unpacking.eof:
            raise LinkRefused(_UNREADABLE)
        try:
            unpacked = self._unpacking.decompress(part, self._longest - len(self._body) + 1)
        except zlib.error:
            raise LinkRefused(_UNREADABLE) from None
        if self._unpacking.unused_data:
            raise LinkRefused(_UNREADABLE)
        return unpacked
