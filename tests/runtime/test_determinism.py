"""Determinism: a shipped bot does the same in two processes, and what a plugin asks of its process is found and named."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from coldframe.cli import main
from coldframe.errors import ColdframeError, ConfigError
from coldframe.runtime.determinism import CHANCE, CLOCK, END, SET_ORDER, PlayedStep, bot_of, compare, hash_seeds, play

#: Each case plays in two processes and more: not for the inner loop.
pytestmark = pytest.mark.scene

CONFIGS = Path(__file__).resolve().parents[2] / "configs"
#: The shipped configurations that run on virtual time, and those for a venue outside.
EQUAL = ("hostile.toml", "quickstart.toml", "recorded.toml")
OUTSIDE = ("live.example.toml",)

STRATEGY = """
import os
import random
import time
from decimal import Decimal

from coldframe import Target, hookimpl

NAMES = {{"alder", "birch", "cedar", "elm", "fir", "hazel", "larch", "maple"}}


class Wants:
    @hookimpl
    def on_book(self, event, view):
        if not view.trading_allowed(event.symbol):
            return []
        return [Target(event.symbol, Decimal("0.001") * ({number}))]
"""
CONFIG = """\
config_version = 1
name = "wants"
[venue.embedded]
symbols = ["BTCUSDT"]
[[strategies]]
id = "wants"
plugin = "wants.py:Wants"
symbols = ["BTCUSDT"]
"""


def written(folder: Path, number: str) -> Path:
    """A configuration whose strategy wants to hold a number of small lots."""
    (folder / "wants.py").write_text(STRATEGY.format(number=number))
    (folder / "bot.toml").write_text(CONFIG)
    return folder / "bot.toml"


@pytest.mark.parametrize(
    ("number", "cause"),
    [
        ("len(min(list(NAMES)[:2]))", SET_ORDER),
        ("hash('elm') % 5", SET_ORDER),
        ("random.randint(0, 5)", CHANCE),
        ("time.time_ns() // 1000 % 7", CLOCK),
        ("int(time.time() * 1e6) % 7", CLOCK),
    ],
)
def test_s6_what_a_plugin_asks_of_its_process_is_named(tmp_path: Path, number: str, cause: str) -> None:
    verdict = compare(written(tmp_path, number), 0.2)
    assert verdict.first is not None
    assert (verdict.first.what, verdict.first.strategy, verdict.first.hook) == ("intents", "wants", "on_book")
    assert "BTCUSDT" in verdict.first.recorded
    assert "BTCUSDT" in verdict.first.now
    assert verdict.first.recorded != verdict.first.now
    assert verdict.cause == cause


@pytest.mark.parametrize("number", ["view.random.randint(0, 5)", "view.now_ms // 100 % 7", "len(sorted(NAMES)[0])"])
def test_s6_what_the_view_gives_is_the_same_twice(tmp_path: Path, number: str) -> None:
    verdict = compare(written(tmp_path, number), 0.2)
    assert verdict.first is None
    assert verdict.compared > 20


def test_each_shipped_configuration_is_equal_or_refused() -> None:
    assert {path.name for path in CONFIGS.glob("*.toml")} == {*EQUAL, *OUTSIDE}


@pytest.mark.parametrize("name", EQUAL)
def test_a_shipped_configuration_is_equal(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["determinism", str(CONFIGS / name), "--minutes", "0.2", "--seeds", "2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["equal"]
    assert said["seeds"][1]["seed"] == said["seeds"][0]["seed"] + 1
    assert all(figures["compared"] > 100 for figures in said["seeds"])
    assert said["seeds"][0]["digest"] != said["seeds"][1]["digest"]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_configuration_for_another_venue_is_refused(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["determinism", str(CONFIGS / name)]) == 78
    said = 'venue.environment = "mainnet": on virtual time there is only the embedded venue\n'
    assert capsys.readouterr().err == f"coldframe: {CONFIGS / name}: {said}"


@pytest.mark.parametrize(
    ("embedded", "said"),
    [
        ('[venue]\nenvironment = "mainnet"\n[orders]\nmode = "paper"', 'venue.environment = "mainnet": on virtual time'),
        ('[venue]\nenvironment = "testnet"', 'venue.environment = "testnet": on virtual time'),
        ('[venue.embedded]\nmarket = "recording"', "recording"),
        ('[venue.embedded]\nmarket = "recording"\nrecording = "none.jsonl.gz"', "none.jsonl.gz"),
    ],
)
def test_what_has_no_virtual_time_is_refused(tmp_path: Path, embedded: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A mirror of the exchange's market, the exchange's testnet, a recording that is not named or not there."""
    path = written(tmp_path, "1")
    path.write_text(CONFIG.replace('[venue.embedded]\nsymbols = ["BTCUSDT"]', embedded))
    assert main(["determinism", str(path), "--minutes", "0.1"]) == 78
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 1
    assert said in lines[0]


def test_seeds_end_at_the_first_difference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["determinism", str(written(tmp_path, "hash('elm') % 5")), "--minutes", "0.2", "--seeds", "3"]) == 1
    assert capsys.readouterr().out.startswith("seed 7: different: step ")


def test_each_seed_has_hash_seeds_of_its_own() -> None:
    """One pair of them shows a small set in the same order too often."""
    assert len({hash_seed for nth in range(20) for hash_seed in hash_seeds(nth)}) == 40


def test_a_difference_is_told_in_four_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["determinism", str(written(tmp_path, "hash('elm') % 5")), "--minutes", "0.2"]) == 1
    where, first, second, cause = capsys.readouterr().out.splitlines()
    assert "wants in on_book wants something else in the second process" in where
    assert "Target" in first
    assert "Target" in second
    assert cause == f"likely cause: {SET_ORDER}"


def test_a_process_that_dies_is_not_called_equal(tmp_path: Path) -> None:
    with pytest.raises(ColdframeError, match="has ended in the middle"):
        compare(written(tmp_path, "os._exit(3)"), 0.2)


def test_minutes_are_virtual_minutes(tmp_path: Path) -> None:
    steps: list[PlayedStep] = []
    play(bot_of(written(tmp_path, "1")), 0.1, steps.append)
    assert steps[0].kind == "Start"
    assert steps[-1].kind == END
    assert 5_900 < (steps[-1].at_ns - steps[0].at_ns) / 1e6 <= 6_000
    assert any(b"order.place" in bytes(step.effects) for step in steps)


def test_a_venue_outside_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, "1")
    path.write_text(CONFIG.replace("[venue.embedded]", '[venue]\nenvironment = "testnet"\n[venue.embedded]'))
    with pytest.raises(ConfigError, match="only the embedded venue"):
        compare(path, 0.1)


@pytest.mark.parametrize("seeds", ["0", "-1", "1.5", "x", "1001", "9" * 5_000])
def test_seeds_that_are_not_valid_are_refused(seeds: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["determinism", "bot.toml", "--seeds", seeds])
    assert "not a valid number of seeds" in capsys.readouterr().err


@pytest.mark.parametrize("minutes", ["0", "-1", "nan", "x", "10001"])
def test_minutes_that_are_not_valid_are_refused(minutes: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["determinism", "bot.toml", "--minutes", minutes])
    assert "not a valid number of minutes" in capsys.readouterr().err
