"""The published book against a dictionary."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.market.public_book import PublicBook, PublicBookSide

_LEVELS = st.lists(st.tuples(st.integers(1, 40), st.integers(0, 5)), max_size=60)


@given(_LEVELS, st.integers(0, 10))
def test_both_sides_equal_a_sorted_dictionary(changes: list[tuple[int, int]], count: int) -> None:
    bids, asks, plain = PublicBookSide(1), PublicBookSide(-1), dict[str, str]()
    for price, quantity in changes:
        level = (f"{price}.50", f"{quantity}.000")
        bids.put(level)
        asks.put(level)
        plain[level[0]] = level[1]
        if not quantity:
            del plain[level[0]]
    rising = sorted(plain.items(), key=lambda level: Decimal(level[0]))
    assert asks.top(count) == rising[:count]
    assert bids.top(count) == rising[::-1][:count]
    assert (len(bids), len(asks)) == (len(plain), len(plain))
    assert asks.best() == (rising[0] if rising else None)
    assert bids.best() == (rising[-1] if rising else None)


def test_the_same_price_in_two_writings_is_one_level() -> None:
    side = PublicBookSide(1)
    side.put(("10.0", "1"))
    side.put(("10.00", "2"))
    assert side.top(5) == [("10.00", "2")]
    side.put(("10", "0.000"))
    assert side.best() is None


def test_a_whole_book_replaces_the_old_one_and_makes_it_known() -> None:
    book = PublicBook()
    book.apply([("9", "1")], [("11", "1")])
    assert not book.known
    assert book.middle() == 10 * 10**12
    book.replace([("8", "1")], [])
    assert book.known
    assert book.best() == (("8", "1"), None)
    assert book.middle() is None
