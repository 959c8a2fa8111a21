"""Two runs compared: planted differences are named, and money adds up."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from decimal import Decimal
from pathlib import Path
from typing import Any

import attrs
import pytest

from coldframe.errors import ConfigError
from coldframe.exchange.matching import QueueModel
from coldframe.model.journal import Row
from coldframe.runtime.backtest import BacktestObserver, BacktestOptions, profit, read_backtest
from coldframe.runtime.compare import ReadRun, RunComparison, compare, told_by
from coldframe.runtime.pump import Latency
from tests.commands.here import coldframe
from tests.runtime.test_backtest import RECORDED, SHIPPED, Noted

LATENCY = Latency(feed_ms=5, entry_ms=10, answer_ms=10)
TEXT = RECORDED.read_text().replace("recordings/", f"{RECORDED.parent}/recordings/")
ACCOUNT = "[[venue.embedded.accounts]]\nname = 'a'\n"
OWN = """
from decimal import Decimal
from coldframe import Target, hookimpl

class Plain:
    @hookimpl
    def on_book(self, event, view):
        return [Target("ETHUSDT", Decimal("0.1"))] if event.symbol == "ETHUSDT" else []
"""


def told(config: Path, name: str = "run", **options: Any) -> ReadRun:
    """What the journal of a backtest tells, as it reads it."""
    given = BacktestOptions(**{"for_s": 9, "latency": LATENCY, **options})
    backtest = Noted(read_backtest(config, None, given.for_s), given, BacktestObserver())
    summary = backtest.play()
    rows = (Row(nth, at_ms * 1_000_000, row.kind, row.ref, row.body) for nth, (at_ms, row) in enumerate(backtest.rows, start=1))
    made = told_by(name, through_json(rows))
    assert made.profit == profit(summary) == sum(made.worth(key) - order.fees for key, order in made.orders.items())
    return made


def through_json(rows: Iterable[Row]) -> Iterable[Row]:
    return (attrs.evolve(row, body=json.loads(json.dumps(row.body))) for row in rows)


def config(folder: Path, text: str = TEXT, name: str = "bot.toml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture(scope="module")
def first() -> ReadRun:
    return told(RECORDED)


#: What is planted: how the configuration or the options are changed, and what is named.
PLANTED = {
    "fees of a maker": ("fees", [("[venue.embedded]", f"{ACCOUNT}maker_fee_bps = '3'\n[venue.embedded]")], {}),
    "fees of a taker": ("fees", [("[venue.embedded]", f"{ACCOUNT}taker_fee_bps = '9'\n[venue.embedded]")], {}),
    "feed": ("latency", [], {"latency": attrs.evolve(LATENCY, feed_ms=90)}),
    "entry": ("latency", [], {"latency": attrs.evolve(LATENCY, entry_ms=300)}),
    "answer": ("latency", [], {"latency": attrs.evolve(LATENCY, answer_ms=300)}),
    "queue": ("queue", [], {"queue_model": QueueModel.BEHIND}),
    "a symbol less": ("data", [("recording = ", 'symbols = ["BTCUSDT"]\nrecording = ')], {}),
    "a parameter": ("strategy", [('spread_bps = "2"', 'spread_bps = "3"')], {}),
    "the size": ("strategy", [('notional = "100"', 'notional = "200"')], {}),
    "the budget": ("strategy", [('max_notional = "5000"', 'max_notional = "40"')], {}),
    "a limit": ("risk", [('max_order_notional = "500"', 'max_order_notional = "80"')], {}),
    "another limit": ("risk", [('price_collar_pct = "5"', 'price_collar_pct = "0.0001"')], {}),
}  # fmt: skip


@pytest.mark.parametrize("planted", PLANTED)
def test_a_planted_difference_is_named(planted: str, first: ReadRun, tmp_path: Path) -> None:
    cause, changes, options = PLANTED[planted]
    text = TEXT
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    found = compare(first, told(config(tmp_path, text), **options))
    assert [each.what for each in found.made_of] == [cause]
    assert found.cause.startswith(f"{cause}: ")
    adds_up(found)


def adds_up(found: RunComparison) -> None:
    money = found.money
    assert money.prices + money.fees + money.fills + money.funding == money.difference == money.second - money.first


def test_an_hour_less_of_data_is_named(first: ReadRun, tmp_path: Path) -> None:
    """Here some lines, from the midst of the recording: a trade stream that is silent for a while."""
    lines = gzip.decompress(SHIPPED.read_bytes()).splitlines(keepends=True)
    kept = [line for nth, line in enumerate(lines) if b"aggTrade" not in line[:60] or not 400 < nth < 900]
    assert len(kept) < len(lines)
    (tmp_path / "less.jsonl").write_bytes(b"".join(kept))
    text = TEXT.replace(f'"{RECORDED.parent}/recordings/synthetic.jsonl.gz"', '"less.jsonl"')
    found = compare(first, told(config(tmp_path, text)))
    assert [each.what for each in found.made_of] == ["data"]
    assert found.happened is not None
    adds_up(found)


def test_an_edited_plugin_is_named(tmp_path: Path) -> None:
    text = TEXT.replace('plugin = "maker"', 'plugin = "own.py:Plain"').replace('spread_bps = "2"', "")
    text = text.replace('notional = "100"', "").replace("[strategies.params]", "")
    path, own = config(tmp_path, text), tmp_path / "own.py"
    own.write_text(OWN)
    before = told(path)
    assert before.orders
    own.write_text(OWN.replace('"0.1"', '"0.2"'))
    found = compare(before, told(path))
    assert [each.what for each in found.made_of] == ["plugin"]
    assert found.happened is not None
    assert {each.kind for each in found.happened if each is not None} == {"decision"}
    adds_up(found)


def test_two_equal_runs_are_the_same(first: ReadRun) -> None:
    found = compare(first, told(RECORDED))
    assert (found.made_of, found.happened, found.money.difference) == ([], None, 0)
    assert found.cause == "none: the two runs are the same"


def test_fees_alone_change_no_fill(first: ReadRun, tmp_path: Path) -> None:
    """All of the difference is fees, and nothing happened otherwise."""
    _, changes, _ = PLANTED["fees of a maker"]
    found = compare(first, told(config(tmp_path, TEXT.replace(*changes[0]))))
    assert found.happened is None
    assert found.money.fees == found.money.difference < 0
    assert (found.money.prices, found.money.fills) == (0, 0)


def test_several_differences_are_not_told_apart(first: ReadRun, tmp_path: Path) -> None:
    other = told(config(tmp_path, TEXT.replace('spread_bps = "2"', 'spread_bps = "3"')), queue_model=QueueModel.AHEAD)
    found = compare(first, other)
    assert found.cause == "one of queue, strategy: change one thing at a time to know which"
    adds_up(found)


def test_the_first_difference_is_shown_with_both_sides(first: ReadRun) -> None:
    """A slower answer changes when something is known, and so what follows: the earliest place is shown."""
    other = told(RECORDED, latency=attrs.evolve(LATENCY, entry_ms=300))
    found = compare(first, other)
    assert found.happened is not None
    at_ns = min(each.at_ns for each in found.happened if each is not None)
    before = [[(each.kind, each.text) for each in run.events if each.at_ns < at_ns] for run in (first, other)]
    assert before[0] == before[1]


def test_the_command_compares_two_journals(tmp_path: Path) -> None:
    journals = [tmp_path / "a.db", tmp_path / "b.db"]
    for journal, more in zip(journals, ([], ["--preset", "pessimistic"]), strict=True):
        assert coldframe("backtest", RECORDED, "--for", "8s", "--journal", journal, *more).returncode == 0
    done = coldframe("compare", *journals)
    assert done.returncode == 1
    assert "latency: feed_ms 5, entry_ms 10, answer_ms 10" in done.stdout
    assert done.stdout.splitlines()[-1] == "cause: one of latency, queue: change one thing at a time to know which"
    document = json.loads(coldframe("compare", *journals, "--json").stdout)
    parts = [Decimal(document["money"][name]) for name in ("prices", "fees", "fills", "funding")]
    assert sum(parts) == Decimal(document["money"]["difference"])
    same = coldframe("compare", journals[0], journals[0])
    assert same.returncode == 0
    assert same.stdout.endswith("cause: none: the two runs are the same\n")


def test_a_journal_without_a_run_cannot_be_compared() -> None:
    with pytest.raises(ConfigError, match=r"empty\.db: holds no run"):
        told_by("empty.db", [])
