"""Plugins that are bad company for the process itself: what they leave behind, and what they set before the run begins."""

from __future__ import annotations

from pathlib import Path

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


LEFT = {
    "threads": ({"early": THREAD, "made": THREAD}, "the threads lingerer, lingerer, lingerer go on"),
    "atexit": ({"early": "atexit.register(time.sleep, 3600)"}, "something does not come to its end"),
}


def test_s5_s13_what_a_plugin_leaves_running_keeps_no_process(tmp_path: Path, home: dict[str, str]) -> None:
    """Of a run that trades, and of a `check`."""
    for verb, (name, (where, left)) in zip(("run", "check"), LEFT.items(), strict=True):
        (tmp_path / name).mkdir()
        config = bot(tmp_path / name, **where)
        if verb == "run":
            summary, log = run_until(tmp_path, verb, config, env=home, said=["fill: "])
            assert summary["strategies"]["it"]["fills"] >= 1
            assert summary["orders"]["unknown"] == 0
        else:
            log = coldframe(verb, config).stderr
        assert f"coldframe: {left}, the process ends without them" in log


#: What sets all that a context has, and the default of contexts to come; a hook does one after another.
CONTEXTS = [
    "decimal.getcontext().prec = 10",
    "decimal.getcontext().prec = 2",
    "decimal.getcontext().rounding = decimal.ROUND_UP",
    "decimal.getcontext().Emin = 0; decimal.getcontext().Emax = 3",
    "decimal.getcontext().traps[decimal.Inexact] = True",
    "decimal.DefaultContext.prec = 3",
    "decimal.setcontext(decimal.Context(prec=4))",
]


def test_s12_a_bot_calculates_as_ever_whatever_a_plugin_sets(tmp_path: Path, home: dict[str, str]) -> None:
    at_once = "; ".join(CONTEXTS)
    hook = f"self.turn = getattr(self, 'turn', -1) + 1; exec({CONTEXTS!r}[self.turn % {len(CONTEXTS)}])"
    run = ("run", bot(tmp_path, early=at_once, made=at_once, hook=hook))
    summary, log = run_until(tmp_path, *run, env=home, said=["position 0.003"])
    assert "muted" not in log
    report = summary["strategies"]["it"]
    assert report["position"] == {"BTCUSDT": "0.003"}
    assert report["verdicts"] == {"ACCEPTED": 2}
    assert len(report["fees"].partition(".")[2]) >= 5  # six places: a fee of 0.05 % on 0.003 at a price of one place
    assert summary["orders"]["unknown"] == 0
