"""What the suite's own options promise: a test that hangs ends and says where it stood, and failed tests can run again alone."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import settings

from coldframe.plug import loader
from coldframe.plug.loader import GROUP
from tests.conftest import SCENES, SMOKE, dealt
from tests.examples import FAST, WHOLE, choose, examples, sample

ROOT = Path(__file__).resolve().parents[1]

#: In the folder of a test. The first is mended by its first run, the second is not.
FAILING = """
from importlib.metadata import entry_points
from pathlib import Path

def test_fails_once():
    again = Path(__file__).with_name("again")
    before = again.exists()
    again.touch()
    assert before

def test_fails_twice():
    assert not __file__

def test_passes():
    pass
"""
HANGING = """
import trio

async def waits_for_the_end():
    await trio.sleep_forever()

async def test_hangs():
    async with trio.open_nursery() as nursery:
        nursery.start_soon(waits_for_the_end)

def test_passes():
    pass
"""


def pytest_in(folder: Path, *options: str) -> tuple[int, str]:
    """The exit code and the output of pytest with the suite's options in a folder."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-c",
        ROOT / "pyproject.toml",
        "--rootdir",
        folder,
        "-p",
        "tests.hanging",
        *options,
        folder,
    ]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120, check=False)
    return done.returncode, done.stdout


@pytest.mark.scene
def test_failed_tests_run_again_alone(tmp_path: Path) -> None:
    (tmp_path / "test_inner.py").write_text(FAILING)
    code, said = pytest_in(tmp_path, "-n", "2")
    assert (code, "2 failed, 1 passed" in said) == (1, True), said
    code, said = pytest_in(tmp_path, "-n", "0", "--last-failed", "--last-failed-no-failures", "none", "-rpfE")
    assert (code, "1 failed, 1 passed" in said) == (1, True), said
    assert re.search(r"PASSED .*::test_fails_once", said)
    assert re.search(r"FAILED .*::test_fails_twice", said)


@pytest.mark.scene
@pytest.mark.parametrize("workers", ["0", "2"])
def test_a_hung_test_ends_with_its_stacks(tmp_path: Path, workers: str) -> None:
    (tmp_path / "test_inner.py").write_text(HANGING)
    code, said = pytest_in(tmp_path, "-n", workers, "-o", "faulthandler_timeout=2")
    assert code == 1, said
    assert "test_inner.py::test_hangs hangs" in said
    assert "in waits_for_the_end" in said
    assert "Timeout (0:00:02)!" in said
    assert workers == "0" or "1 failed, 1 passed" in said


@pytest.mark.parametrize(("asked", "profile"), [("", WHOLE), ("scene", WHOLE), ("not scene", FAST), ("not scene and x", FAST)])
def test_the_inner_loop_tries_a_tenth(asked: str, profile: str) -> None:
    before, usual = settings.get_current_profile_name(), {WHOLE: (200, 2_000), FAST: (20, 200)}
    try:
        settings.load_profile(WHOLE)
        choose(SimpleNamespace(option=SimpleNamespace(markexpr=asked), getoption=lambda _: None))  # type: ignore[arg-type]
        assert settings.get_current_profile_name() == profile
        assert (settings().max_examples, examples(2_000)) == usual[profile]
    finally:
        settings.load_profile(before)


@pytest.mark.parametrize(("whole", "fast"), [(2_000, 200), (60, 6), (50, 5), (30, 5), (5, 5), (3, 3)])
def test_a_few_cases_are_always_tried(whole: int, fast: int) -> None:
    before = settings.get_current_profile_name()
    try:
        settings.load_profile(FAST)
        assert examples(whole) == fast
        assert len(sample(range(whole))) == max(whole // 10, 1)
    finally:
        settings.load_profile(before)


@pytest.mark.parametrize("test", SMOKE)
def test_every_scene_of_the_smoke_test_exists(test: str) -> None:
    file, _, name = test.partition("::")
    assert test.startswith(SCENES)
    assert f"def {name}(" in (ROOT / file).read_text()


@pytest.mark.parametrize("workers", [2, 3, 4, 7])
@pytest.mark.parametrize("tests", ["", "s", "l", "ssssssl", "lllllll", "slsmsnsssslssmsssss", "ssssssssssllllmmmmnnnn" * 5])
def test_each_worker_begins_with_its_share_of_what_takes_long(workers: int, tests: str) -> None:
    """A letter is a test; `s` is a short one, and equal other letters stay together."""
    order = dealt(list(enumerate(tests)), workers, lambda item: item[1].replace("s", ""))
    assert sorted(order) == list(enumerate(tests))
    groups = [letter for (_, letter), (_, before) in zip(order, [(0, "s"), *order], strict=False) if letter not in ("s", before)]
    assert len(groups) == len(set(tests) - {"s"})
    left, begins = list(order), []
    for number in range(workers):  # as the scheduler of xdist deals
        size = len(left) // (workers - number)
        begins += [letter for _, letter in left[:1]]
        left = left[size:]
    if max((tests.count(letter) for letter in groups), default=0) <= len(tests) // workers:
        assert len(begins) - begins.count("s") == min(workers, len(groups))


def test_installed_plugins_are_not_seen_by_tests(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A distribution with a plugin that cannot be imported is found by Python, and by no test."""
    installed = tmp_path / "stranger-1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text(f"[{GROUP}]\nstranger = no_such_module\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert "stranger" in {point.name for point in entry_points(group=GROUP)}
    assert {point.name for point in loader.entry_points(group=GROUP)} == {"maker", "momentum", "guard"}


#: Stand in for Python on the path of `.ci/run`: the first makes the environment, the second says how it was called.
MAKES_AN_ENVIRONMENT = """#!/bin/sh
mkdir -p "$3/bin"
cp "$FAKES/python" "$3/bin/python"
cp "$FAKES/quiet" "$3/bin/poe"
"""
SAYS_ITS_CALL = """#!/bin/sh
echo "$*"
case "$*" in
*--last-failed*) exit "$AGAIN" ;;
*tests/interop) exit 0 ;;
"-m pytest"*) exit "$FIRST" ;;
esac
"""
AGAIN = "-m pytest -n 0 --last-failed --last-failed-no-failures none -rpfE"


@pytest.mark.parametrize(
    ("first", "again", "ended", "reruns"),
    [(0, 0, 0, 0), (1, 0, 0, 1), (1, 1, 1, 1), (2, 0, 2, 0), (5, 0, 5, 0)],
    ids=["all pass", "passes the second time", "fails twice", "interrupted", "nothing to run"],
)
def test_ci_fails_for_what_fails_twice(tmp_path: Path, first: int, again: int, ended: int, reruns: int) -> None:
    fakes = {"python3": MAKES_AN_ENVIRONMENT, "python": SAYS_ITS_CALL, "quiet": "#!/bin/sh\n"}
    for name, text in fakes.items():
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "FAKES": str(tmp_path), "FIRST": str(first), "AGAIN": str(again)}
    done = subprocess.run(["/bin/sh", ROOT / ".ci/run"], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == ended, done.stderr
    assert done.stdout.splitlines().count(AGAIN) == reruns
    assert ("tests/interop" in done.stdout) is (ended == 0)
