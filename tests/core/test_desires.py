"""Wishes: one of a kind for each strategy and symbol, due when something concerns them, patient when they are refused."""

from __future__ import annotations

from coldframe.core.desires import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Desires
from coldframe.model.intents import Quote, Quotes, Target
from tests.core.told import D

BTC, ETH = ("mm", "BTCUSDT"), ("mm", "ETHUSDT")
OTHER = ("other", "BTCUSDT")


def wishes() -> Desires:
    desires = Desires()
    desires.want("mm", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    desires.want("mm", Target("ETHUSDT", D(2)))
    desires.want("other", Target("BTCUSDT", D(3)))
    return desires


def test_a_new_wish_replaces_the_old_one_of_its_kind_and_is_due() -> None:
    desires = wishes()
    assert desires.take_due() == [BTC, ETH, OTHER]
    assert desires.take_due() == []
    desires.want("mm", Quotes("BTCUSDT"))
    desires.want("mm", Target("BTCUSDT", D(1)))
    assert desires.take_due() == [BTC]
    assert desires.quotes(BTC) == Quotes("BTCUSDT")
    assert desires.target(BTC) == Target("BTCUSDT", D(1))
    assert desires.quotes(ETH) is None


def test_what_concerns_a_wish_makes_it_due_and_nothing_else_does() -> None:
    desires = wishes()
    desires.take_due()
    desires.touch("mm", "BTCUSDT")
    desires.touch("mm", "XYZUSDT")
    desires.touch("nobody", "BTCUSDT")
    assert desires.take_due() == [BTC]
    desires.moved("BTCUSDT")
    assert desires.take_due() == [OTHER]


def test_quotes_that_lapse_become_the_wish_for_nothing_and_targets_go() -> None:
    desires = wishes()
    desires.take_due()
    desires.forget(symbol="BTCUSDT")
    assert desires.quotes(BTC) == Quotes("BTCUSDT")
    assert desires.target(OTHER) is None
    assert desires.target(ETH) == Target("ETHUSDT", D(2))
    assert desires.take_due() == [BTC]
    desires.forget("mm")
    assert desires.target(ETH) is None


def test_everything_lapses_at_the_end() -> None:
    desires = wishes()
    desires.forget()
    assert (desires.target(ETH), desires.target(OTHER)) == (None, None)


def test_every_refusal_doubles_the_pause_up_to_a_limit_and_a_success_ends_it() -> None:
    desires, now = wishes(), 1_000
    assert not desires.patient(BTC, now)
    pauses = []
    for _ in range(8):
        pauses.append(desires.refused(BTC, now, by_venue=True))
        assert desires.patient(BTC, now + pauses[-1] - 1)
        assert not desires.patient(BTC, now + pauses[-1])
    assert pauses == [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
    assert not desires.patient(ETH, now)
    desires.succeeded(BTC)
    assert not desires.patient(BTC, now)
    assert desires.refused(BTC, now, by_venue=True) == FIRST_PAUSE_MS


def test_a_new_wish_is_tried_at_once_unless_it_was_the_venue_that_refused() -> None:
    desires = wishes()
    desires.refused(BTC, 1_000, by_venue=False)
    assert desires.patient(BTC, 1_100)
    desires.want("mm", Quotes("BTCUSDT"))
    assert not desires.patient(BTC, 1_100)
    desires.refused(BTC, 1_000, by_venue=True)
    desires.refused(BTC, 1_100, by_venue=False)
    desires.want("mm", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    assert desires.patient(BTC, 1_200)
