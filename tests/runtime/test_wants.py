"""Wanting less, from the configuration to the run: what is declared where, and what is refused."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from coldframe import Wants
from tests.runtime.files import EMBEDDED, STRATEGY, built, found, line_of

PACED = """
from coldframe import Wants, hookimpl
class Calm:
    wants = Wants(band_bps=5, own_fills=True)
    @hookimpl
    def on_book(self, event):
        pass
class Wrong:
    wants = 250
    @hookimpl
    def on_book(self, event):
        pass
class Twisted:
    wants = Wants(every_ms=250)
    @hookimpl
    def on_candle(self, event):
        pass
class Late:
    wants = property(lambda self: 1 / 0)
    @hookimpl
    def on_book(self, event):
        pass
class Plain:
    @hookimpl
    def on_fill(self, event):
        pass
"""


def paced(tmp_path: Path, name: str, more: str = "") -> str:
    (tmp_path / "paced.py").write_text(PACED)
    return EMBEDDED + STRATEGY.replace("plugins.py:Plain", f"paced.py:{name}") + more


@pytest.mark.parametrize(
    ("table", "wants"),
    [
        ("", Wants(band_bps=5, own_fills=True)),
        ("wants = {}", Wants()),
        ('wants = { band_bps = "0.5" }', Wants(band_bps=Decimal("0.5"))),
        ("[strategies.wants]\nevery_ms = 250\n", Wants(every_ms=250)),
    ],
)
def test_a_table_takes_the_place_of_what_a_class_declares(tmp_path: Path, table: str, wants: Wants) -> None:
    (strategy,) = built(tmp_path, paced(tmp_path, "Calm", table)).strategies
    assert strategy.make_plugin().wants == strategy.wants == wants


@pytest.mark.parametrize(
    ("name", "table", "line", "said"),
    [
        ("Wrong", "", "plugin =", "strategies[0].plugin: plugin Wrong: wants must be a coldframe.Wants, not int"),
        ("Late", "", "plugin =", "strategies[0].plugin: plugin Late: ZeroDivisionError: division by zero"),
        (
            "Twisted",
            "",
            "plugin =",
            "strategies[0].plugin: wants holds back nothing: 'Twisted' has none of on_book, on_mark, on_ticker, on_trade",
        ),
        (
            "Plain",
            "wants = { every_ms = 5 }",
            "wants =",
            "strategies[0].wants: wants holds back nothing: 'Plain' has none of on_book, on_mark, on_ticker, on_trade",
        ),
        ("Calm", "wants = { every_ms = 0 }", "wants =", "strategies[0].wants.every_ms: must be between 1 and 3600000, not 0"),
        ("Calm", "wants = { band_bps = 0 }", "wants =", "strategies[0].wants.band_bps: must be above 0 and below 10000, not 0"),
        (
            "Calm",
            "wants = { band_bps = 1.5 }",
            "wants =",
            'strategies[0].wants.band_bps: must be quoted so that it stays exact: "1.5"',
        ),
        ("Calm", "wants = { every = 5 }", "wants =", "strategies[0].wants.every: unknown key (did you mean every_ms?)"),
        (
            "Calm",
            '[[strategies.overlays]]\nplugin = "paced.py:Calm"',
            "plugin =",
            "strategies[0].overlays[0].plugin: 'Calm' declares wants: an overlay is called with its strategy",
        ),
    ],
)
def test_wants_that_do_not_fit_are_refused(tmp_path: Path, name: str, table: str, line: str, said: str) -> None:
    text = paced(tmp_path, name, table)
    ((at, rest),) = found(tmp_path, text)
    assert at == line_of(text, line, text.count(line))
    assert rest.startswith(said)


@pytest.mark.parametrize("mode", ["off", "paper"])
def test_own_fills_of_a_run_without_orders_are_named(tmp_path: Path, mode: str) -> None:
    bot = built(tmp_path, paced(tmp_path, "Calm", f'[orders]\nmode = "{mode}"\n'))
    said = ["strategy one wants events after its own fills, but orders.mode is off: it has none"]
    assert bot.notes == (said if mode == "off" else [])
