"""Wanting less, from the configuration to the run: what is declared where, and what is refused."""

from __future__ import annotations

import io
from decimal import Decimal
from pathlib import Path

import pytest
import trio
from rich.console import Console

from coldframe import Wants
from coldframe.core.engine import Engine
from coldframe.runtime.build import build, read
from coldframe.runtime.determinism import compare
from coldframe.runtime.replay import replay
from coldframe.runtime.report import run_summary, summary_lines
from coldframe.runtime.run import Result, RunOptions, run
from coldframe.runtime.venues import listed_symbols
from tests.runtime.files import EMBEDDED, STRATEGY, built, found, line_of
from tests.runtime.scene import Watched
from tests.virtual_time import run_virtually

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


# -- in the lives of an engine --------------------------------------------------------------------------------------------

TRADER = """
from decimal import Decimal
from coldframe import Target, Wants, hookimpl
class Trader:
    wants = Wants(band_bps=Decimal("0.1"), every_ms=100, own_fills=True)
    @hookimpl
    def on_book(self, event, view):
        return self.look(event, view)
    @hookimpl
    def on_mark(self, event, view):
        return self.look(event, view)
    def look(self, event, view):
        if not view.trading_allowed(event.symbol):
            return []
        return [Target(event.symbol, Decimal("0.002") * view.random.randint(0, 2))]
"""
WORLD = """\
config_version = 1
name = "paced"
[venue.embedded]
seed = 11
pace = "3"
symbols = ["BTCUSDT"]
[[strategies]]
id = "declared"
plugin = "trader.py:Trader"
symbols = ["BTCUSDT"]
[[strategies]]
id = "configured"
plugin = "trader.py:Trader"
symbols = ["BTCUSDT"]
wants = { every_ms = 170 }
[[strategies]]
id = "everything"
plugin = "trader.py:Trader"
symbols = ["BTCUSDT"]
wants = {}
"""


def world(tmp_path: Path) -> Path:
    (tmp_path / "trader.py").write_text(TRADER)
    path = tmp_path / "bot.toml"
    path.write_text(WORLD)
    return path


@pytest.mark.scene
def test_a_run_with_wants_comes_out_again_from_its_input_log(tmp_path: Path) -> None:
    loaded = read(world(tmp_path), speed=None)
    bot = build(loaded, listed_symbols(loaded.config.venue.embedded))

    async def lived() -> Result:
        with trio.fail_after(60):
            options = RunOptions(for_s=10, signals=False, input_log=tmp_path / "logs")
            return await run(bot, options, Watched(Console(file=io.StringIO())))

    result = run_virtually(lived)
    (log,) = (tmp_path / "logs").iterdir()
    made = replay(log)
    assert made.first is None
    assert made.steps == made.equal > 100
    left_out, again = (left_out_by(engine) for engine in (result.engine, made.engine))
    assert left_out == again
    assert min(left_out["declared"] or 0, left_out["configured"] or 0) > 10
    assert left_out["everything"] is None
    assert result.engine.accounts["declared"].fills > 0
    summary = run_summary(bot, result.engine, result.ended)
    assert {name: strategy.get("left_out") for name, strategy in summary["strategies"].items()} == left_out
    said = [line.strip() for line in summary_lines(summary) if "events of its market" in line]
    assert said == [f"{left_out[name]} events of its market left out, as its wants say" for name in ("declared", "configured")]


def left_out_by(engine: Engine) -> dict[str, int | None]:
    """How many events each strategy was not told; None for one that wants everything."""
    throttles = {runtime.id: runtime.throttles for runtime in engine.runtimes.all}
    return {name: None if found is None else found.left_out for name, found in throttles.items()}


@pytest.mark.scene
def test_wants_are_the_same_in_two_processes(tmp_path: Path) -> None:
    assert compare(world(tmp_path), 0.2).first is None
