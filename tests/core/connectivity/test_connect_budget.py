"""The budget of connects: counted by kind over any five minutes, shared by all that open links."""

from __future__ import annotations

from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.connectivity.connect_budget import WINDOW_MS, ConnectBudget
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.model.effects import LinkKind, OpenLink
from coldframe.units import NS_PER_MS
from tests.core.scripted import Actor, Scripted

MARKET, API = LinkKind.MARKET, LinkKind.API
CHANNELS = ("depth@100ms", "markPrice@1s")


class Watched(Scripted):
    """Notes when links are asked for."""

    def note(self) -> None:
        self.opened: dict[LinkKind, list[int]] = defaultdict(list)

    def _perform(self, effects):  # type: ignore[no-untyped-def]
        effects = list(effects)
        for effect in effects:
            if isinstance(effect, OpenLink):
                self.opened[effect.kind].append(self.now_ns // NS_PER_MS)
        super()._perform(effects)


def stormy(most: int, minutes: int, *, can_log_on: bool = True) -> Watched:
    """A venue that ends every link six seconds after all of them stood."""
    made = Watched(Actor(), channels=CHANNELS, feed=FeedLimits(connects_per_5min=most), can_log_on=can_log_on)
    made.note()
    made.start()
    for _ in range(minutes * 10):
        made.run(6_000)
        made.lose_all()
    return made


def most_in_five_minutes(times: list[int]) -> int:
    return max(sum(first <= at < first + WINDOW_MS for at in times) for first in times)


def test_n12_venue_that_drops_every_link_sees_no_excess_connects() -> None:
    for most in (3, 20):
        made = stormy(most, 20)
        assert {kind: most_in_five_minutes(times) for kind, times in made.opened.items()} == dict.fromkeys(LinkKind, most)


def test_n12_market_links_share_a_connect_budget_reported_once() -> None:
    made = stormy(20, 5)
    said = [line.text for line in made.log if "so as not to be banned" in line.text]
    assert sorted(line.split(":")[0] for line in said) == ["api links", "market links", "private links"]
    assert MARKET in made.engine.connect_waits
    assert made.engine.connects.held >= 3


def test_n12_when_the_storm_is_over_everything_comes_back() -> None:
    made = stormy(20, 10)
    made.run(WINDOW_MS + 120_000)
    assert {link.kind for link in made.links.values()} == set(LinkKind)
    assert made.engine.trading is not None
    assert made.engine.trading.session.ready
    assert made.engine.connect_waits == {}


def test_planned_rotation_waits_for_budget_and_keeps_the_link() -> None:
    limits = FeedLimits(rotate_after_ms=60_000, overlap_ms=5_000, connects_per_5min=3)
    made = Watched(Actor(), channels=("markPrice@1s",), feed=limits, orders_on=False)
    made.note()
    made.start()
    made.run(20 * 60_000)
    assert most_in_five_minutes(made.opened[MARKET]) == 3
    assert len(made.opened[MARKET]) >= 10
    assert made.engine.reconnects == 0


def test_a_connect_that_did_not_take_place_is_not_counted() -> None:
    connects = ConnectBudget(1)
    assert connects.reserve(API, 0) == (0, "")
    connects.give_back(API)
    assert connects.reserve(API, 0) == (0, "")
    wait_ms, said = connects.reserve(API, 1_000 * NS_PER_MS)
    assert wait_ms == WINDOW_MS - 1_000
    assert said.startswith("api links: 1 connects within five minutes; no more for 299 s")
    assert connects.reserve(API, 2_000 * NS_PER_MS) == (WINDOW_MS - 2_000, "")
    assert connects.reserve(MARKET, 0) == (0, "")


@given(most=st.integers(1, 5), steps=st.lists(st.tuples(st.integers(0, 200_000), st.sampled_from(LinkKind)), max_size=60))
def test_connects_stay_in_budget_and_the_stated_wait_suffices(most: int, steps: list[tuple[int, LinkKind]]) -> None:
    connects, now_ms = ConnectBudget(most), 0
    taken: dict[LinkKind, list[int]] = defaultdict(list)
    for after_ms, kind in steps:
        now_ms += after_ms
        wait_ms, _ = connects.reserve(kind, now_ms * NS_PER_MS)
        if wait_ms:
            assert connects.wait_ms(kind, (now_ms + wait_ms - 1) * NS_PER_MS) == 1
            now_ms += wait_ms
            assert connects.reserve(kind, now_ms * NS_PER_MS) == (0, "")
        taken[kind].append(now_ms)
        assert most_in_five_minutes(taken[kind]) <= most
