"""What the name of a file of the archive says: the symbol, the data set, the interval, and the day or month it covers.

The archive names a file `SYMBOL-aggTrades-2024-01.zip`, or `SYMBOL-1m-2024-01-15.zip` for candles of any price: which price, only
the folder says (`markPriceKlines/BTCUSDT/1m/`). A file that was taken out of its folders counts as `klines`, unless told otherwise.
"""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, timedelta
from pathlib import Path
from typing import Final

import attrs

#: Intervals of candles, with the milliseconds of each; months have no fixed length.
INTERVALS_MS: Final = {
    "1s": 1_000,
    **{f"{count}m": count * 60_000 for count in (1, 3, 5, 15, 30)},
    **{f"{count}h": count * 3_600_000 for count in (1, 2, 4, 6, 8, 12)},
    **{f"{count}d": count * 86_400_000 for count in (1, 3)},
    "1w": 7 * 86_400_000,
    "1mo": 0,
}
CANDLE_SETS: Final = ("klines", "markPriceKlines", "indexPriceKlines", "premiumIndexKlines")
OTHER_SETS: Final = ("aggTrades", "trades", "bookTicker", "bookDepth", "fundingRate", "metrics")

_NAME: Final = re.compile(
    r"(?P<symbol>.+?)-(?P<kind>[0-9A-Za-z]+)-(?P<year>\d{4})-(?P<month>\d{2})(?:-(?P<day>\d{2}))?\.(?:zip|csv)(?:\.gz|\.zst)?",
    re.ASCII,
)


@attrs.frozen
class ArchiveName:
    """What a file is, from its name. `interval` is empty but for candles; `first` to `last` are the days it covers."""

    symbol: str
    data_set: str
    interval: str
    first: date
    last: date


def archive_name(path: Path) -> ArchiveName | None:
    """What the name of a file says; None for a name that the archive would not give."""
    match = _NAME.fullmatch(path.name)
    if match is None:
        return None
    kind, interval = match["kind"], ""
    if kind in INTERVALS_MS:
        folders = [folder for folder in path.parent.parts if folder in CANDLE_SETS]
        kind, interval = folders[-1] if folders else "klines", kind
    elif kind not in OTHER_SETS:
        return None
    year, month, day = int(match["year"]), int(match["month"]), int(match["day"] or 0)
    try:
        first = date(year, month, day or 1)
    except ValueError:
        return None
    last = first if day else first + timedelta(days=monthrange(year, month)[1] - 1)
    return ArchiveName(match["symbol"], kind, interval, first, last)
