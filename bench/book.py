"""Book: updates per price level, beside a `sortedcontainers.SortedDict` of decimals a side on the same levels.

python -m bench.book
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from decimal import Decimal

from sortedcontainers import SortedDict

from bench.rounds import arguments, in_turn, machine, table
from coldframe.core.marketdata.book import Book

Levels = list[tuple[str, str]]


def events(count: int, seed: int = 1) -> list[tuple[Levels, Levels]]:
    """Depth events of about twenty levels a side near the market, some changing a quantity, some coming or going; never crossed."""
    chance = random.Random(seed)
    made = []
    middle = 600_000
    for _ in range(count):
        sides: list[Levels] = []
        for sign in (-1, 1):
            side = []
            for _ in range(20):
                price = middle + sign * (1 + int(chance.expovariate(0.02)))
                quantity = 0 if chance.random() < 0.3 else chance.randint(1, 5_000)
                side.append((f"{price / 10:.1f}", f"{quantity / 1000:.3f}"))
            sides.append(side)
        made.append((sides[0], sides[1]))
    return made


def ours(work: list[tuple[Levels, Levels]]) -> None:
    book = Book()
    for bids, asks in work:
        book.bids.apply(bids)
        book.asks.apply(asks)
        _ = book.bids.best, book.asks.best


def with_sorted_dict(work: list[tuple[Levels, Levels]]) -> None:
    bids: SortedDict = SortedDict()
    asks: SortedDict = SortedDict()
    for bid_levels, ask_levels in work:
        for side, levels in ((bids, bid_levels), (asks, ask_levels)):
            for price_text, quantity_text in levels:
                price, quantity = Decimal(price_text), Decimal(quantity_text)
                if quantity:
                    side[price] = quantity
                else:
                    side.pop(price, None)
        _ = bids.peekitem(-1) if bids else None, asks.peekitem(0) if asks else None


def main(words: Sequence[str] | None = None) -> None:
    parser = arguments(__doc__, rounds=5)
    parser.add_argument("--events", type=int, default=5_000)
    given = parser.parse_args(words)
    work = events(100 if given.quick else given.events)
    levels = sum(len(bids) + len(asks) for bids, asks in work)
    ways = {"coldframe": lambda: ours(work), "SortedDict of Decimal": lambda: with_sorted_dict(work)}
    costs = {name: cost / levels for name, cost in in_turn(ways, 1 if given.quick else given.rounds).items()}
    print(f"{machine()}; {len(work)} events, {levels} levels; us CPU per level")
    print(table(["way", "us", "ratio"], [[name, cost, cost / costs["coldframe"]] for name, cost in costs.items()]))


if __name__ == "__main__":
    main()
