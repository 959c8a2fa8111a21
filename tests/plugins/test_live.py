"""Each plugin in a whole run on virtual time: real sockets, the embedded venue, a busy synthetic market."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import trio

from coldframe.core.engine import Engine
from coldframe.model.effects import Level
from coldframe.runtime.build import build, read
from coldframe.runtime.report import run_summary
from coldframe.runtime.run import Result, RunOptions, run
from coldframe.runtime.venues import listed_symbols
from tests.virtual_time import run_virtually
from tests.waiting import eventually

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
BOT = """
config_version = 1
name = "plugins"
[venue.embedded]
seed = 11
pace = "3"
symbols = ["BTCUSDT", "ETHUSDT"]
[[streams]]
symbols = ["BTCUSDT", "ETHUSDT"]
channels = ["aggTrade"]
[[strategies]]
id = "it"
"""


@attrs.define
class Diary:
    """What was logged."""

    lines: list[str] = attrs.field(factory=list)
    engine: Engine | None = None

    def log(self, at_ns: int, level: Level, text: str) -> None:
        self.lines.append(f"{level}: {text}")

    def started(self, engine: Engine) -> None:
        self.engine = engine

    def about(self, word: str) -> list[str]:
        return [line for line in self.lines if word in line]

    def overlay_verdicts(self) -> int:
        """How often the guard has refused so far."""
        return self.engine.runtimes.get("it").verdicts.get("OVERLAY", 0) if self.engine is not None else 0


def lived(path: Path, enough: Callable[[Diary], object]) -> tuple[dict[str, Any], Result, Diary]:
    """Runs a configuration until it has seen enough. Returns the summary, the engine, and the log."""
    loaded = read(path)
    bot = build(loaded, listed_symbols(loaded.config.venue.embedded))
    diary = Diary()

    async def end() -> None:
        await eventually(lambda: enough(diary), within_s=600)
        signal.raise_signal(signal.SIGTERM)

    async def living() -> Result:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(end)
            return await run(bot, RunOptions(), diary)

    result = run_virtually(living)
    return run_summary(bot, result.engine, result.ended), result, diary


def lived_with(strategy: str, tmp_path: Path, enough: Callable[[Diary], object]) -> tuple[dict[str, Any], Result, Diary]:
    path = tmp_path / "bot.toml"
    path.write_text(BOT + strategy, encoding="utf-8")
    return lived(path, enough)


def check_clean(summary: dict[str, Any], result: Result, diary: Diary) -> None:
    assert all(book["state"] == "synced" for book in summary["books"].values())
    assert all(strategy["state"] == "running" for strategy in summary["strategies"].values())
    assert summary["orders"]["unknown"] == 0
    assert not list(result.engine.orders.live)
    assert not diary.about("error")


def test_the_maker_quotes_and_is_met(tmp_path: Path) -> None:
    strategy = 'plugin = "maker"\nsymbols = ["BTCUSDT", "ETHUSDT"]\nparams = { notional = "100", spread_bps = "1" }\n'
    summary, result, diary = lived_with(strategy, tmp_path, lambda diary: len(diary.about("fill: it")) >= 2)
    check_clean(summary, result, diary)
    it = summary["strategies"]["it"]
    assert it["fills"] >= 1
    # A machine that is busy with other things may hold the market up for a moment: then, and only then, nothing is sent.
    assert set(it["verdicts"]) <= {"ACCEPTED", "NO_CHANGE", "STALE_BOOK"}
    assert len([line for line in diary.about("as maker") if line.startswith("info: fill:")]) == it["fills"]
    # That a post-only order would have taken is the market's doing.
    assert all("-5022" in line for line in diary.about("rejected:"))


def test_momentum_goes_in_and_comes_out(tmp_path: Path) -> None:
    params = 'notional = "100", min_trades = 3, entry_imbalance = "0.3", max_hold_ms = 500, cooldown_ms = 100'
    strategy = f'plugin = "momentum"\nsymbols = ["BTCUSDT", "ETHUSDT"]\nparams = {{ {params} }}\n'

    def enough(diary: Diary) -> bool:
        fills = diary.about("fill: it")
        return len(fills) >= 4 and any("position 0.000" in line for line in fills)

    summary, result, diary = lived_with(strategy, tmp_path, enough)
    check_clean(summary, result, diary)
    it = summary["strategies"]["it"]
    assert it["fills"] >= 4
    assert len(diary.about("as taker")) == it["fills"]
    assert any("position 0.000" in line for line in diary.about("fill: it"))


def test_the_guard_lets_nothing_through_while_it_is_shut(tmp_path: Path) -> None:
    maker = 'plugin = "maker"\nsymbols = ["BTCUSDT"]\nparams = { size = "0.002", spread_bps = "1" }\n'
    shut = '[[strategies.overlays]]\nplugin = "guard"\nparams = { max_spread_bps = "0.0001" }\n'
    summary, result, diary = lived_with(maker + shut, tmp_path, lambda diary: diary.overlay_verdicts() >= 5)
    check_clean(summary, result, diary)
    assert set(summary["strategies"]["it"]["verdicts"]) == {"OVERLAY"}
    assert summary["orders"]["sent"] == 0


def test_guard_withdraws_quotes_of_a_maker_over_its_order_limit(tmp_path: Path) -> None:
    maker = 'plugin = "maker"\nsymbols = ["BTCUSDT"]\nparams = { size = "0.002", spread_bps = "1" }\n'
    strict = '[[strategies.overlays]]\nplugin = "guard"\nparams = { max_orders_per_minute = 3 }\n'

    def enough(diary: Diary) -> object:
        return diary.overlay_verdicts() and diary.about("fill: it")

    summary, result, diary = lived_with(maker + strict, tmp_path, enough)
    check_clean(summary, result, diary)
    assert summary["strategies"]["it"]["verdicts"]["OVERLAY"] >= 1
    assert summary["orders"]["sent"] <= 4
    assert summary["strategies"]["it"]["fills"] >= 1


def test_the_quickstart_trades_within_seconds() -> None:
    summary, result, diary = lived(CONFIGS / "quickstart.toml", lambda diary: diary.about("fill: "))
    check_clean(summary, result, diary)
    assert set(summary["strategies"]) == {"mm-btc", "mom-eth"}
    assert sum(strategy["fills"] for strategy in summary["strategies"].values()) >= 1
    for strategy in summary["strategies"].values():
        # While it ends, and its positions are brought to zero, what it wants besides is refused.
        assert set(strategy["verdicts"]) <= {"ACCEPTED", "NO_CHANGE", "STOPPING"}
