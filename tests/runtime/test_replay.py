"""Replays: a run comes out of its input log step by step, and what is otherwise now is named at the first step where it shows."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path

import attrs
import pytest
import trio
from msgspec import UNSET
from rich.console import Console

from coldframe.cli import main
from coldframe.core.engine import Engine
from coldframe.data.input_log import InputLogReading, LoggedStep
from coldframe.data.lines import LineReader
from coldframe.data.recordings import read_recording
from coldframe.errors import ConfigError
from coldframe.model.saved_state import frozen_of
from coldframe.runtime.build import build, read
from coldframe.runtime.replay import Replay, replay
from coldframe.runtime.run import Result, RunOptions, run
from coldframe.runtime.venues import listed_symbols
from tests.runtime.scene import Watched
from tests.virtual_time import run_virtually

STRATEGIES = '''
"""The first strategy tosses a coin, the second sleeps in its tenth call."""

from decimal import Decimal

from coldframe import Place, Side, Target, hookimpl
from tests.virtual_time import pass_time


class Coin:
    """Wants to be long or flat, as its own random numbers say."""

    @hookimpl
    def on_book(self, event, view):
        if not view.trading_allowed(event.symbol) or view.random.random() < 0.5:
            return []
        return [Target(event.symbol, Decimal("0.002") * view.random.randint(0, 2))]


class Sleeper:
    """Takes longer than it may, once."""

    def __init__(self):
        self.calls = 0

    @hookimpl
    def on_book(self, event, view):
        self.calls += 1
        if self.calls == 10:
            pass_time(0.05)
        return []
'''
CONFIG = """\
config_version = 1
name = "toss"
[venue.embedded]
seed = 11
pace = "3"
symbols = ["BTCUSDT", "ETHUSDT"]
[[strategies]]
id = "coin"
plugin = "strategies.py:Coin"
symbols = ["BTCUSDT"]
[[strategies]]
id = "sleeper"
plugin = "strategies.py:Sleeper"
symbols = ["ETHUSDT"]
hook_limit_ms = 40
"""


@attrs.frozen
class Logged:
    """A run that was logged: its folder, its log and what it came to."""

    folder: Path
    log: Path
    result: Result

    def edited(self, to: Path, before: str, after: str) -> Path:
        """A copy of its log whose strategies have been edited since; the log names the copy's folder."""
        (to / "strategies.py").write_text(STRATEGIES.replace(before, after))
        with closing(InputLogReading(self.log)) as reading:
            assert reading.run["configuration"]["path"] == str(self.folder / "bot.toml")
        text = read_text(self.log).replace(str(self.folder), str(to))
        copy = to / "log.jsonl"
        copy.write_text(text)
        return copy


def read_text(log: Path) -> str:
    """An input log unpacked."""
    return "".join(line.decode() + "\n" for line in LineReader(log, "input log"))


@pytest.fixture(scope="module")
def logged(tmp_path_factory: pytest.TempPathFactory) -> Logged:
    folder = tmp_path_factory.mktemp("toss")
    (folder / "strategies.py").write_text(STRATEGIES)
    (folder / "bot.toml").write_text(CONFIG)
    loaded = read(folder / "bot.toml", speed=None)
    bot = build(loaded, listed_symbols(loaded.config.venue.embedded))

    async def lived() -> Result:
        with trio.fail_after(60):
            options = RunOptions(for_s=3, signals=False, input_log=folder / "logs", record=folder / "recording.jsonl.gz")
            return await run(bot, options, Watched(Console(file=io.StringIO())))

    result = run_virtually(lived)
    (log,) = (folder / "logs").iterdir()
    return Logged(folder, log, result)


@pytest.mark.scene
def test_every_step_of_a_run_comes_out_again(logged: Logged) -> None:
    made = replay(logged.log)
    assert made.first is None
    assert made.steps == made.equal > 100
    assert made.digest
    then, now = logged.result.engine, made.engine
    assert now.accounts["coin"].fills == then.accounts["coin"].fills > 0
    assert now.finished
    assert now.runtimes.get("sleeper").muted, "the call that took too long then takes too long now"
    assert now.runtimes.get("coin").verdicts == then.runtimes.get("coin").verdicts
    assert list(made.edited) == []


def test_its_market_is_what_a_recorder_wrote_beside_it(logged: Logged) -> None:
    """The recorder is the oracle: every payload and snapshot, in order."""

    def lines_of(path: Path) -> list[tuple[object, object, bytes]]:
        return [(line.stream, line.snapshot, line.payload) for line in read_recording(path)]

    recorded, of_log = lines_of(logged.folder / "recording.jsonl.gz"), lines_of(logged.log)
    streams, stepped = ([line for line in lines if line[0] is not UNSET] for lines in (recorded, of_log))
    assert stepped == streams[: len(stepped)] != [], "the recorder may have heard more than the engine has taken in at its end"
    fetched, taken = (sorted(line for line in lines if line[0] is UNSET) for lines in (recorded, of_log))
    assert taken == fetched != []


def test_a_log_is_for_its_owner_alone(logged: Logged) -> None:
    assert logged.log.stat().st_mode & 0o777 == 0o600


def test_a_replay_ends_where_it_is_told_to(logged: Logged) -> None:
    assert replay(logged.log, until=50).steps == 51  # the start is one


def test_what_a_strategy_wants_is_shown(logged: Logged) -> None:
    seen: list[tuple[int, str]] = []

    def watch(step: LoggedStep, calls: object) -> None:
        seen.extend((step.seq, call.strategy) for call in calls.wanted)  # type: ignore[attr-defined]

    replay(logged.log, watch=watch)
    assert {strategy for _, strategy in seen} == {"coin"}


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('Decimal("0.002")', 'Decimal("0.003")'),
        ("view.random.random() < 0.5", "view.random.random() < 0.9"),
        ("view.random.randint(0, 2)", "__import__('random').randint(3, 9)"),
    ],
)
def test_an_edited_strategy_is_told_with_its_first_difference(logged: Logged, tmp_path: Path, before: str, after: str) -> None:
    made = replay(logged.edited(tmp_path, before, after))
    assert made.edited == ["coin", "sleeper"]
    assert made.first is not None
    assert (made.first.what, made.first.strategy, made.first.hook) == ("intents", "coin", "on_book")
    assert made.first.recorded != made.first.now
    assert made.open_loop
    assert made.equal < made.steps


def test_an_edit_that_changes_nothing_is_equal(logged: Logged, tmp_path: Path) -> None:
    made = replay(logged.edited(tmp_path, "Takes longer", "Takes much longer"))
    assert (made.first, made.edited) == (None, ["coin", "sleeper"])


def changed(log: Path, to: Path, change: Callable[[str], str]) -> Replay:
    copy = to / "log.jsonl"
    copy.write_text(change(read_text(log)))
    return replay(copy)


def test_p14_changed_input_log_does_not_replay_equal(logged: Logged, tmp_path: Path) -> None:
    """The oracle of the oracle: another seed, an input left out, an effect or a digest rewritten."""

    def without_a_fill(text: str) -> str:
        lines = text.splitlines(keepends=True)
        index = next(number for number, line in enumerate(lines) if "ORDER_TRADE_UPDATE" in line and '"x":"TRADE"' in line)
        return "".join(lines[:index] + lines[index + 1 :])

    for change in (
        lambda text: text.replace('"seed":"11"', '"seed":"12"'),
        without_a_fill,
        lambda text: text.replace('["Log",{"level":"info"', '["Log",{"level":"error"', 1),
        lambda text: text.replace('"digest":"', '"digest":"0', 1),
    ):
        made = changed(logged.log, tmp_path, change)
        assert made.first is not None
        assert made.equal < made.steps


def test_a_log_that_lacks_its_facts_is_refused(logged: Logged, tmp_path: Path) -> None:
    for name in ("seed", "past", "exchange_info", "configuration"):
        with pytest.raises(ConfigError):
            changed(logged.log, tmp_path, lambda text, name=name: text.replace(f'"{name}":', f'"no_{name}":', 1))  # type: ignore[misc]


def test_the_verb_says_whether_all_is_equal(logged: Logged, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["replay", str(logged.log)]) == 0
    assert "every one equal; digest" in capsys.readouterr().out
    copy = logged.edited(tmp_path, 'Decimal("0.002")', 'Decimal("0.003")')
    assert main(["replay", str(copy), "--json", "--strategy", "coin"]) == 1
    document = json.loads(capsys.readouterr().out)
    assert (document["open_loop"], document["first_difference"]["strategy"]) == (True, "coin")
    assert document["intents"]
    assert main(["replay", str(copy)]) == 1
    assert "coin in on_book wants something else than it did then" in capsys.readouterr().out
    shutil.copy(__file__, tmp_path / "other")
    assert main(["replay", str(tmp_path / "other")]) == 78


COUNTER = '''
from decimal import Decimal

from coldframe import Place, SaveState, Side, hookimpl


class Counter:
    """Counts its lives; in the second one it wants something else than in the first."""

    @hookimpl
    def on_start(self, view):
        return SaveState({"lives": (view.state or {"lives": 0})["lives"] + 1, "at": Decimal("1.50")})

    @hookimpl
    def on_book(self, event, view):
        if not view.trading_allowed(event.symbol) or view.orders():
            return []
        price = view.instrument(event.symbol).price_down(view.book(event.symbol).best_bid * Decimal("0.99"))
        size = view.state["lives"] * Decimal("0.002")
        return [Place(symbol=event.symbol, side=Side.BUY, quantity=size, price=price, tag=f"life {view.state['lives']}")]
'''
ONE = (
    CONFIG.split("[[strategies]]")[0]
    + '[journal]\nfile = "run.db"\naccount = "toss-account"\n[[strategies]]\nid = "one"\nplugin = "counter.py:Counter"\n'
)


def one_life(folder: Path, account: str, logs: Path) -> tuple[Engine, str]:
    """One run of two seconds on the journal there. Returns its engine and what it has said."""
    (folder / "bot.toml").write_text(ONE.replace("toss-account", account) + 'symbols = ["BTCUSDT"]\n')
    loaded = read(folder / "bot.toml", speed=None)
    bot, said = build(loaded, listed_symbols(loaded.config.venue.embedded)), io.StringIO()

    async def lived() -> Result:
        with trio.fail_after(60):
            return await run(bot, RunOptions(for_s=2, signals=False, input_log=logs), Watched(Console(file=said, width=500)))

    return run_virtually(lived).engine, said.getvalue()


def test_a_run_on_what_was_saved_comes_out_again(tmp_path: Path) -> None:
    """A life reads what the one before has saved: from the journal in the run, from the log's first line in its replay."""
    (tmp_path / "counter.py").write_text(COUNTER)
    for number, (account, life) in enumerate((("first", 1), ("first", 2), ("second", 1))):
        logs = tmp_path / f"logs-{number}"
        then, said = one_life(tmp_path, account, logs)
        (log,) = logs.iterdir()
        made = replay(log)
        assert made.first is None
        assert made.steps == made.equal > 20
        for engine in (then, made.engine):
            assert frozen_of(engine.state.saved.text("one")) == {"lives": life, "at": Decimal("1.50")}
            orders = [order for order in engine.orders.worth_keeping(100) if order.tag == f"life {life}"]
            assert {order.quantity for order in orders} == {life * Decimal("0.002")}
        assert ("what one had saved is of another account and forgotten" in said) == (account == "second")
