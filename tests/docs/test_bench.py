"""The benchmarks run as their README prints them, here with little to do: what they measure is for people to read."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from bench.peers.environments import pins, python_of
from bench.rounds import interleaved, table

BENCH = Path(__file__).resolve().parents[2] / "bench"
#: The files of the folder that are run; the others are what these share.
RUN = {f"python -m bench.{path.stem}" for path in BENCH.glob("*.py") if "__main__" in path.read_text(encoding="utf-8")}
COMMANDS = re.findall(r"^## `(python -m bench\..+)`$", (BENCH / "README.md").read_text(encoding="utf-8"), re.MULTILINE)


def test_every_benchmark_is_described() -> None:
    assert RUN
    assert set(COMMANDS) == RUN


@pytest.mark.scene
@pytest.mark.parametrize("command", COMMANDS)
def test_it_compares_ways_in_one_run(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    importlib.import_module(command.split()[-1]).main(["--quick"])
    told = capsys.readouterr().out
    figures = [float(figure) for figure in re.findall(r"\| +(\d+\.?\d*) (?=\|)", told)]
    assert len(figures) >= 2, told
    assert all(figure >= 0 for figure in figures)
    assert "ratio" in told


def test_every_way_has_its_turn_in_every_round() -> None:
    turns: list[str] = []
    figures = iter([1.0, 30.0, 10.0, 2.0, 3.0, 20.0])

    def turn(name: str) -> float:
        turns.append(name)
        return next(figures)

    assert interleaved({name: lambda name=name: turn(name) for name in ("a", "b")}, 3) == {"a": 2.0, "b": 20.0}  # type: ignore[misc]
    assert turns == ["a", "b", "b", "a", "a", "b"]


def test_a_table_shows_figures_with_three_digits() -> None:
    shown = table(["way", "us"], [["one", 1.234], ["two", 12.34], ["three", 123.4], ["none", None]])
    assert shown.splitlines()[2:] == ["| one   | 1.23 |", "| two   | 12.3 |", "| three |  123 |", "| none  |      |"]


def test_peers_are_pinned_and_absent_until_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLDFRAME_PEERS", str(tmp_path))
    assert all("==" in package for packages in pins().values() for package in packages)
    assert [peer for peer in pins() if python_of(peer) is not None] == []
    peer, packages = next(iter(pins().items()))
    (tmp_path / peer).mkdir()
    (tmp_path / peer / "installed.txt").write_text("\n".join(packages))
    assert python_of(peer) is not None
    (tmp_path / peer / "installed.txt").write_text(f"{packages[0]}9")
    assert python_of(peer) is None
