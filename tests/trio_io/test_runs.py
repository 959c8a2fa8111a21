"""Which runs live: each is seen and reached by itself, and a killed run is not listed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from coldframe.trio_io.control import (
    ask_each,
)
from coldframe.trio_io.runs import RunFolder
from tests.trio_io.control_rig import PATIENCE_S, PAUSE, serving

KILLED = """
import sys
from pathlib import Path
from coldframe.trio_io.runs import RunFolder
with RunFolder(Path(sys.argv[1])).entered("bot b of b.toml"):
    print("entered", flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_is_no_run_and_what_it_left_is_replaced(tmp_path: Path) -> None:
    runs = RunFolder(tmp_path / "runs")
    command = [sys.executable, "-c", KILLED, str(runs.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"entered\n"
        assert runs.alive() == {f"{process.pid}-0": f"pid {process.pid}, bot b of b.toml"}
        # Alive but hung: it is there, and does not answer.
        assert ask_each(runs.folder, list(runs.alive()), PAUSE, 0.05) == {f"{process.pid}-0": None}
        process.kill()
        process.wait(PATIENCE_S)
    assert runs.alive() == {}
    assert len(list(runs.folder.iterdir())) == 2
    with runs.entered("new") as there:
        assert sorted(path.suffix for path in runs.folder.iterdir()) == [".lock", there.file.suffix]
    assert list(runs.folder.iterdir()) == []


def test_two_runs_never_share_an_endpoint(tmp_path: Path) -> None:
    runs = RunFolder(tmp_path / "runs")
    with runs.entered("one") as first, runs.entered("two") as second:
        assert first.file != second.file
        assert list(runs.alive()) == [first.file.stem, second.file.stem]
    with serving(tmp_path / "both") as first, serving(tmp_path / "both") as second:
        answers = ask_each(first.runs.folder, list(first.runs.alive()), PAUSE, PATIENCE_S)
        assert [answer is not None and answer.accepted for answer in answers.values()] == [True, True]
        assert (first.asked, second.asked) == ([PAUSE], [PAUSE])


def test_without_runs_nothing_is_asked(tmp_path: Path) -> None:
    runs = RunFolder(tmp_path / "none")
    assert runs.alive() == {}
    assert ask_each(runs.folder, [], PAUSE, PATIENCE_S) == {}
    assert not runs.folder.exists()
