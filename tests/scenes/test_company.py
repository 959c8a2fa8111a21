"""Plugins that are bad company for the process itself: what they leave behind, and what they set before the run begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenes.support import coldframe, run_until

CONFIG = """config_version = 1
name = "company"
[[strategies]]
id = "it"
plugin = "company.py:Company"
symbols = ["BTCUSDT"]
budget = { max_position = "0.01" }
"""

#: Rests one order far from the market, and buys a little.
PLUGIN = """
import atexit, decimal, os, signal, sys, threading, time, warnings
from decimal import Decimal

import attrs

from coldframe import Place, Side, Target, hookimpl

{early}

class Company:
    def __init__(self):
        self.asked = False
        {made}

    @hookimpl
    def on_mark(self, event, view):
        {hook}

    @hookimpl
    def on_book(self, event, view):
        if self.asked or not view.trading_allowed(event.symbol):
            return None
        self.asked = True
        rules, bid = view.instrument(event.symbol), view.book(event.symbol).best_bid
        low = rules.price_down(bid * Decimal("0.97"))
        resting = Place(symbol=event.symbol, side=Side.BUY, quantity=Decimal("0.002"), price=low)
        return [resting, Target(event.symbol, Decimal("0.003"))]
"""


def bot(folder: Path, *, early: str = "", made: str = "pass", hook: str = "pass") -> Path:
    (folder / "company.py").write_text(PLUGIN.format(early=early, made=made, hook=hook))
    config = folder / "bot.toml"
    config.write_text(CONFIG)
    return config


THREAD = "threading.Thread(target=lambda: time.sleep(3600), name='lingerer').start()"


@pytest.mark.parametrize(
    ("where", "what", "left"),
    [
        ("early", THREAD, "the threads lingerer go on"),
        ("made", THREAD, "the threads lingerer, lingerer go on"),
        ("early", "atexit.register(time.sleep, 3600)", "something does not come to its end"),
    ],
    ids=["thread", "threads of instances", "atexit"],
)
def test_s5_s13_what_a_plugin_leaves_running_does_not_keep_the_process(where: str, what: str, left: str, tmp_path: Path) -> None:
    summary, log = run_until(tmp_path, "run", bot(tmp_path, **{where: what}), env={}, said=["fill: "])
    assert summary["strategies"]["it"]["fills"] >= 1
    assert summary["orders"]["unknown"] == 0
    assert f"coldframe: {left}, the process ends without them" in log


CONTEXTS = {
    "precision": "decimal.getcontext().prec = 10",
    "two digits": "decimal.getcontext().prec = 2",
    "rounding": "decimal.getcontext().rounding = decimal.ROUND_UP",
    "bounds": "decimal.getcontext().Emin = 0; decimal.getcontext().Emax = 3",
    "traps": "decimal.getcontext().traps[decimal.Inexact] = True",
    "another one": "decimal.setcontext(decimal.Context(prec=4))",
    "the default": "decimal.DefaultContext.prec = 3",
}


@pytest.mark.parametrize("what", CONTEXTS.values(), ids=CONTEXTS.keys())
def test_s12_a_paper_bot_calculates_as_ever_whatever_a_plugin_file_sets(what: str, tmp_path: Path) -> None:
    run = ("run", bot(tmp_path, early=what, made=what, hook=what))
    summary, log = run_until(tmp_path, *run, env={}, said=["position 0.003"])
    assert "muted" not in log
    one = summary["strategies"]["it"]
    assert one["position"] == {"BTCUSDT": "0.003"}
    assert one["verdicts"] == {"ACCEPTED": 2}
    assert len(one["fees"].partition(".")[2]) >= 5  # six places: a fee of 0.05 % on 0.003 at a price of one place
    assert summary["orders"]["unknown"] == 0


LOAD = {
    "import": {"early": "raise KeyboardInterrupt"},
    "constructor": {"made": "raise KeyboardInterrupt"},
    "exit": {"early": "sys.exit(0)"},
    "generator": {"made": "raise GeneratorExit"},
}


@pytest.mark.parametrize("where", LOAD.values(), ids=LOAD.keys())
def test_s13_a_plugin_that_raises_anything_before_the_start_is_refused(where: dict[str, str], tmp_path: Path) -> None:
    for verb in ("run", "check"):
        done = coldframe(verb, bot(tmp_path, **where))
        assert done.returncode == 78, done.stderr
        assert "company.py:" in done.stderr
        assert "Traceback" not in done.stderr
        assert len(done.stderr.splitlines()) == 1
