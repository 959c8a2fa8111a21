"""What a strategy declares when it wants less than every event of the market."""

from __future__ import annotations

from decimal import Decimal
from typing import Any, Final

import attrs

#: Ten thousand basis points are the whole price: a band is narrower than that.
WIDEST_BAND_BPS: Final = 10_000
#: An hour, in milliseconds.
LONGEST_PAUSE_MS: Final = 3_600_000


def _band(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, Decimal | int):
        raise ValueError(f"Wants: {field.name} must be a Decimal or a whole number, not {value!r}")
    if not (Decimal(value).is_finite() and 0 < value < WIDEST_BAND_BPS):
        raise ValueError(f"Wants: {field.name} must be above 0 and below {WIDEST_BAND_BPS} basis points, not {value}")


def _pause(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, int):
        raise ValueError(f"Wants: {field.name} must be a whole number of milliseconds, not {value!r}")
    if not 1 <= value <= LONGEST_PAUSE_MS:
        raise ValueError(f"Wants: {field.name} must be between 1 and {LONGEST_PAUSE_MS} ms, not {value}")


def _switch(_: Any, field: attrs.Attribute[Any], value: Any) -> None:
    if not isinstance(value, bool):
        raise ValueError(f"Wants: {field.name} must be True or False, not {value!r}")


@attrs.frozen(kw_only=True)
class Wants:
    """Which events of `on_book`, `on_ticker`, `on_trade` and `on_mark` a strategy wants; without any rule, all of them.

    `band_bps`: only when a price has left the band of so many basis points around what it was at the last call. `every_ms`: at most
    one call in so many milliseconds, after which the newest event is told. With both the band decides, at most so often.
    `own_fills`: the next event after a fill of the strategy's own is told, whatever the other rules say; alone, nothing else is.
    Raises `ValueError` for a value that does not fit.
    """

    band_bps: Decimal | int | None = attrs.field(default=None, validator=_band)
    every_ms: int | None = attrs.field(default=None, validator=_pause)
    own_fills: bool = attrs.field(default=False, validator=_switch)

    @property
    def everything(self) -> bool:
        """Whether no rule is declared, so that every event is told."""
        return self.band_bps is None and self.every_ms is None and not self.own_fills
