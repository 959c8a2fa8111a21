"""What a call costs: request weight per address, orders per account. The same on REST and on the WebSocket API.

Where measurement and documents differ (depth without a limit, klines at a band's edge) the higher figure stands here: the bot
charges it before sending and then adopts what the server says. Source: protocol.md 2, 6.3 and 6.4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Final

import attrs

#: Opening a connection to the WebSocket API (`seeds/004`, "WebSocket API Rate limits").
HANDSHAKE_WEIGHT: Final = 5

Weight = Callable[[Mapping[str, str]], int]


class Pool(Enum):
    """Which budget a call is charged to. Funding history and statistics have their own, outside the request weight."""

    WEIGHT = "REQUEST_WEIGHT"
    FUNDING = "FUNDING"
    DATA = "DATA"


@attrs.frozen
class Cost:
    """What one call takes: weight, and how many orders of the 10-second and of the 1-minute window."""

    weight: Weight
    orders_10s: int = 0
    orders_1m: int = 0
    pool: Pool = Pool.WEIGHT


def flat(weight: int) -> Weight:
    """The same weight for every call."""
    return lambda _: weight


def by_symbol(single: int, every: int) -> Weight:
    """Cheap for one symbol, dear for all of them."""
    return lambda given: single if given.get("symbol") or given.get("pair") else every


def by_depth(given: Mapping[str, str]) -> int:
    """Weight of a depth snapshot; 10 without a limit, although 1 was measured."""
    limit = _limit(given, 500)
    return 2 if limit <= 50 else 5 if limit <= 100 else 10 if limit <= 500 else 20


def by_klines(given: Mapping[str, str]) -> int:
    """Weight of a page of klines, each band counted from its lower edge."""
    limit = _limit(given, 500)
    return 1 if limit < 100 else 2 if limit < 500 else 5 if limit <= 1000 else 10


def _limit(given: Mapping[str, str], default: int) -> int:
    text = given.get("limit", "")
    return int(text) if text.isdecimal() and text.isascii() and len(text) < 10 else default


#: An order or an amendment: one of each order window, no weight.
ORDER: Final = Cost(flat(0), 1, 1)
#: A batch of up to five orders: five of the 10-second window, one of the minute.
BATCH: Final = Cost(flat(5), 5, 1)
