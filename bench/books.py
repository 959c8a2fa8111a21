"""Book updates: our book beside one on `sortedcontainers.SortedDict`, on the same levels, in one run.

Usage: python bench/books.py [--events N]
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable
from decimal import Decimal

from sortedcontainers import SortedDict

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


def cpu_s(run: Callable[[], None], times: int = 3) -> float:
    """The least CPU time of a few runs, in seconds."""
    best = float("inf")
    for _ in range(times):
        began = time.process_time()
        run()
        best = min(best, time.process_time() - began)
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=5_000)
    count = parser.parse_args().events
    work = events(count)
    levels = sum(len(bids) + len(asks) for bids, asks in work)
    own = cpu_s(lambda: ours(work)) / levels * 1e6
    other = cpu_s(lambda: with_sorted_dict(work)) / levels * 1e6
    print(f"{count} events, {levels} levels")
    print(f"coldframe.core.marketdata.book              {own:7.3f} us CPU per level")
    print(f"SortedDict of Decimals           {other:7.3f} us CPU per level")
    print(f"ratio                            {other / own:7.1f}")


if __name__ == "__main__":
    main()
