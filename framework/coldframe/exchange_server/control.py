"""The local control call: one change of a running venue, asked for and answered in one line of JSON each.

It has nothing of the exchange's protocol and goes over no port of it. The caller decides who may ask.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import msgspec

from coldframe.exchange.settings import VenueChange

#: The longest line that is read, in bytes.
LONGEST_LINE: Final = 4096


class Ask(msgspec.Struct, forbid_unknown_fields=True, frozen=True):
    """What is to change; the keys mean what they mean in `[[venue.embedded.changes]]`."""

    what: str
    value: str
    symbol: str = ""
    account: str = ""

    def change(self) -> VenueChange:
        """The change. Raises `ValueError` for one that makes no sense."""
        return VenueChange(at_s=Decimal(0), what=self.what, value=self.value, symbol=self.symbol, account=self.account)


class ChangeAnswer(msgspec.Struct, frozen=True):
    """What became of it: done, or refused, and why in words."""

    done: bool
    text: str = ""


def answer(line: bytes, make: Callable[[VenueChange], str | None]) -> bytes:
    """The answer to one line. `make` makes a change, and gives why it is refused or None."""
    try:
        refusal = make(msgspec.json.decode(line, type=Ask).change())
    except (ValueError, msgspec.MsgspecError) as error:
        refusal = f"not a change: {error}"
    return msgspec.json.encode(ChangeAnswer(refusal is None, refusal or "")) + b"\n"
