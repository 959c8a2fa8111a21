"""Old spellings that still work in this version, and the notice that names the new one.

A notice is a Python warning of the category `Renamed`, so that it is told once for each place, in tests of plugins as well; the
command line prints it as one line on stderr. CHANGELOG.md lists everything that was renamed.
"""

from __future__ import annotations

import warnings
from enum import EnumType
from typing import Any, Final


class Renamed(FutureWarning):
    """Something was used under its old name. The text says what, where if that is a file, and what its name is now."""


def note_renamed(old: str, new: str, stack_level: int = 2) -> None:
    """Tells that `old` was used for `new`; `stack_level` counts from this function to the code that has to change."""
    warnings.warn(Renamed(f"{old} is now {new}: the old name works in this version for the last time"), stacklevel=stack_level + 1)


#: Members of `OrderState`: old name and new.
ORDER_STATES: Final = {
    "INTENT": "INITIALIZED",
    "PREPARED": "PENDING_SUBMIT",
    "SENT": "SUBMITTED",
    "WAITING": "UNTRIGGERED",
    "OPEN": "ACCEPTED",
    "PARTIAL": "PARTIALLY_FILLED",
    "OPERATOR": "NEEDS_OPERATOR",
}

#: Keys of a configuration: where each stood, and its new name beside that place.
KEYS: Final[dict[tuple[str, ...], str]] = {
    ("orders", "foreign"): "external",
    ("venue", "embedded", "tape"): "recording",
}


class RenamedMembers(EnumType):
    """An enum whose members are also found under their old names, as attributes and by index."""

    def __getattr__(cls, name: str) -> Any:
        new = ORDER_STATES.get(name)
        if new is None:
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {name!r}")
        note_renamed(f"{cls.__name__}.{name}", f"{cls.__name__}.{new}")
        return cls.__members__[new]

    def __getitem__(cls, name: str) -> Any:
        new = ORDER_STATES.get(name, name)
        if new != name:
            note_renamed(f"{cls.__name__}[{name!r}]", f"{cls.__name__}[{new!r}]")
        return super().__getitem__(new)
