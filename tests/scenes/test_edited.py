"""A configuration that is edited while its bot runs: the run goes on as it began, and the next start judges the whole of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from coldframe.model.journal import Row, RowKind
from coldframe.trio_io.journal_history import read_rows
from tests.scenes.support import coldframe, run_until, started, wait_until

STRATEGY = """
from decimal import Decimal

from coldframe import Place, Side, hookimpl


class Bids:
    @hookimpl
    def on_book(self, event, view):
        if view.book(event.symbol).best_bid is None or view.orders(event.symbol):
            return None
        return Place(symbol=event.symbol, side=Side.BUY, quantity=Decimal("0.002"), price=view.book(event.symbol).best_bid - 1000)
"""
CONFIG = """
config_version = 1
name = "edited"
[venue]
environment = "embedded"
[orders]
mode = "paper"
[[strategies]]
id = "bids"
plugin = "bids.py:Bids"
symbols = ["BTCUSDT"]
[risk]
max_order_notional = "10"
"""
MORE_RISK = CONFIG.replace('"10"', '"1000"')
BROKEN = CONFIG.replace('"10"', '"much"').replace("[orders]", "[orders]\nmoode = 1")


def refusals(journal: Path) -> Iterator[Row]:
    return (row for row in read_rows(journal) if row.kind == RowKind.REFUSED)


def ordered(journal: Path) -> bool:
    """Whether an order stands in it."""
    return any(row.kind == RowKind.ORDER for row in read_rows(journal))


def test_g12_a_run_does_not_follow_edits_of_its_files(tmp_path: Path, home: dict[str, str]) -> None:
    config, strategy, journal = tmp_path / "bot.toml", tmp_path / "bids.py", tmp_path / "run.db"
    config.write_text(CONFIG)
    strategy.write_text(STRATEGY)
    with started(tmp_path, "run", config, "--journal", journal, env=home) as bot:
        bot.wait_for("bids: Place refused: ORDER_NOTIONAL")
        for edited, program in ((MORE_RISK, STRATEGY.replace("0.002", "0.0001")), (BROKEN, "not Python")):
            config.write_text(edited)
            strategy.write_text(program)
            before = len(list(refusals(journal)))
            wait_until(lambda before=before: len(list(refusals(journal))) >= before + 2, "refusals of the seconds after it")
        halted = coldframe("halt", config, "--reason", "edited", env=home)
        assert halted.returncode == 0, halted.stderr
        bot.wait_for("edited")
        bot.stop()
        summary = bot.end()
    assert summary["orders"]["sent"] == 0
    assert {row.body["verdict"] for row in refusals(journal)} <= {"ORDER_NOTIONAL", "HALTED", "STOPPING"}
    assert {row.body["limit"] for row in refusals(journal) if row.body["verdict"] == "ORDER_NOTIONAL"} == {"10"}


def test_g12_the_next_start_judges_the_whole_file(tmp_path: Path, home: dict[str, str]) -> None:
    """With every finding at once; what is right again is followed."""
    config, journal = tmp_path / "bot.toml", tmp_path / "run.db"
    (tmp_path / "bids.py").write_text(STRATEGY)
    config.write_text(BROKEN)
    done = coldframe("run", config, "--for", "1s", env=home)
    assert done.returncode == 78
    assert "moode" in done.stderr
    assert "max_order_notional" in done.stderr
    config.write_text(MORE_RISK)
    summary, _ = run_until(tmp_path, "run", config, "--journal", journal, env=home, said=["synced"], true=lambda: ordered(journal))
    assert summary["orders"]["sent"] >= 1
