"""A text that must not be seen: keys, private keys, listen keys.

It cannot be printed, formatted, logged or pickled; only `reveal()` gives it away, and only the code that signs or
connects calls that.
"""

from __future__ import annotations

import hashlib
from typing import NoReturn


class Secret:
    """Wraps a text or bytes. Its fingerprint (four hexadecimal digits of a hash) tells two of them apart for people."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self._value.encode()).hexdigest()[:4]

    def __repr__(self) -> str:
        return f"<secret {self.fingerprint}>"

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return repr(self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._value == other._value

    def __hash__(self) -> int:
        return hash(("secret", self._value))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not pickled")

    def __getstate__(self) -> NoReturn:
        raise TypeError("a secret is not copied")
