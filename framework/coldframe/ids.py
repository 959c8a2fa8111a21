"""Client order ids that carry their owner: strategy and run can be read from every one of them.

Form: `cf.<strategy>.<epoch>.<count>`, at most 36 characters of the venue's legal set `[.A-Z:/a-z0-9_-]`. The epoch is the
start of the run in milliseconds, the count grows by one per order; both are printed in base 36. Two runs never share an epoch,
so an id is never used twice, restarts included (protocol.md 7.2, faults.md O16).
"""

from __future__ import annotations

import re
from typing import Final

import attrs

#: What a strategy id may look like: it stands inside every client order id.
STRATEGY_ID: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,15}")

#: Counts from here on belong to the kill switch, which orders in the name of an engine that does not answer; no run counts so far.
KILL_SWITCH_COUNT: Final = 35 * 36**5

_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"
_OWN: Final = re.compile(r"cf\.([a-z0-9][a-z0-9_-]{0,15})\.([0-9a-z]{1,9})\.([0-9a-z]{1,6})")


@attrs.frozen
class OwnId:
    """What a client order id of ours says: which strategy, which run (start in epoch ms), which order of that run."""

    strategy: str
    epoch_ms: int
    count: int

    def __attrs_post_init__(self) -> None:
        if _OWN.fullmatch(str(self)) is None:
            raise ValueError(f"no client order id can be made of {self.strategy!r}, {self.epoch_ms} and {self.count}")

    def __str__(self) -> str:
        return f"cf.{self.strategy}.{base36(self.epoch_ms)}.{base36(self.count)}"


def parse_own(client_order_id: str) -> OwnId | None:
    """The parts of an id that Coldframe made; None for any other id."""
    match = _OWN.fullmatch(client_order_id)
    return OwnId(match[1], int(match[2], 36), int(match[3], 36)) if match else None


def base36(number: int) -> str:
    """A non-negative integer in base 36, lower case. Raises `ValueError` for a negative one."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"
