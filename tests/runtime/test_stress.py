"""Stress tests: each variation changes one thing, and a sentence says how much of the profit is left."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import attrs
import pytest

from coldframe.exchange.matching import QueueModel
from coldframe.runtime.backtest import Backtest, BacktestObserver, BacktestOptions, profit, read_backtest
from coldframe.runtime.pump import Latency
from coldframe.runtime.stress import Outcome, Variation, stress, taken_away, variations, verdict
from tests.commands.here import CONFIGS, coldframe
from tests.runtime.test_backtest import RECORDED, SHIPPED, Stopping

OPTIONS = BacktestOptions(for_s=10)


def all_of(path: Any = RECORDED, options: BacktestOptions = OPTIONS) -> dict[str, Variation]:
    bot = read_backtest(path, None, options.for_s)
    return {variation.name: variation for variation in variations(bot, options, 30.0)}


def played(variation: Variation) -> dict[str, Any]:
    return Backtest(variation.bot(), variation.options, BacktestObserver()).play()


def test_each_variation_changes_one_thing() -> None:
    found = all_of()
    first = found.pop("as it is")
    assert list(found) == [
        *("latency x3", "fees x2", "at the end of each queue", "starts 2 s later", "starts 7 s later", "seed 8", "seed 9"),
        *("without BTCUSDT", "without ETHUSDT"),
    ]
    assert found["latency x3"].options.latency == Latency(feed_ms=15, entry_ms=30, answer_ms=30)
    assert found["at the end of each queue"].options.queue_model is QueueModel.BEHIND
    assert found["starts 7 s later"].options.start_after_s == 7
    for variation in found.values():
        changed_options = variation.options != first.options
        assert changed_options is not (variation.loaded.config != first.loaded.config), variation.name


def test_the_synthetic_market_has_seeds_and_no_queues() -> None:
    assert list(all_of(CONFIGS / "quickstart.toml")) == ["as it is", "latency x3", "fees x2", "seed 8", "seed 9"]


def test_dearer_fees_cost_what_they_are() -> None:
    """The same fills: what is left is less by the fees once more, each of which is rounded to eight decimals."""
    found = all_of()
    first, dearer = played(found["as it is"]), played(found["fees x2"])
    fees = sum(Decimal(strategy["fees"]) for strategy in first["strategies"].values())
    assert fees > 0
    assert first["orders"] == dearer["orders"]
    assert abs(profit(dearer) - (profit(first) - fees)) <= Decimal("1e-8") * first["strategies"]["maker"]["fills"]


def test_a_symbol_that_is_left_out_is_not_traded() -> None:
    summary = played(all_of()["without ETHUSDT"])
    assert list(summary["strategies"]["maker"]["position"]) == ["BTCUSDT"]
    assert summary["strategies"]["maker"]["fills"] > 0


def test_a_bot_that_starts_later_finds_the_market_where_it_is() -> None:
    """Its book is synced from the exchange's own, and its first order is later by that time."""
    bot = read_backtest(RECORDED, SHIPPED)
    later = Backtest(bot, BacktestOptions(start_after_s=9), BacktestObserver())
    summary = later.play()
    first = Backtest(bot, BacktestOptions(), BacktestObserver())
    whole = first.play()
    assert summary["from_ms"] - whole["from_ms"] == 9_000
    assert summary["to_ms"] == pytest.approx(whole["to_ms"], abs=1_000)
    assert all(book["state"] == "synced" and book["resyncs"] == 0 for book in summary["books"].values())
    assert 0 < summary["strategies"]["maker"]["fills"] < whole["strategies"]["maker"]["fills"]


def outcomes(*profits: str) -> list[Outcome]:
    return [Outcome(f"v{nth}", Decimal(text), 1) for nth, text in enumerate(profits)]


@pytest.mark.parametrize(
    ("profits", "said"),
    [
        (["10", "4", "7"], "a profit is left in 2 of 2 variations; the worst, v1, leaves 40% of 10"),
        (["10", "4", "-7", "0"], "a profit is left in 1 of 3 variations; the worst, v2, leaves 0% of 10"),
        (["0", "4"], "there is no profit that could be lost: 0 as it is"),
        (["-2.5", "4"], "there is no profit that could be lost: -2.5 as it is"),
        (["3"], "stopped before anything was compared"),
    ],
)
def test_a_sentence_says_what_is_left(profits: list[str], said: str) -> None:
    assert verdict(outcomes(*profits)) == said
    assert taken_away(outcomes(*profits)) is said.endswith("leaves 0% of 10")


def test_it_can_be_stopped_between_two_variations() -> None:
    told: list[Outcome] = []
    stopped = stress(read_backtest(RECORDED, None, 3), attrs.evolve(OPTIONS, for_s=3), Stopping(5), told.append)
    assert stopped == told
    assert 1 < len(told) < 9


def test_the_command_shows_each_and_says_what_is_left() -> None:
    done = coldframe("stress", CONFIGS / "quickstart.toml", "--for", "6s", "--json")
    document = json.loads(done.stdout)
    assert [each["name"] for each in document["variations"]] == ["as it is", "latency x3", "fees x2", "seed 8", "seed 9"]
    assert document["verdict"].startswith("there is no profit that could be lost: -")
    assert done.returncode == 0
    lines = coldframe("stress", CONFIGS / "quickstart.toml", "--for", "6s").stdout.splitlines()
    assert lines[0].split() == ["changed", "fills", "after", "fees"]
    assert lines[-1] == document["verdict"]
