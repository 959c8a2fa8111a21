"""What all tests share: where the shared documents lie, a state folder of their own, and property tests that repeat themselves."""

from __future__ import annotations

import gc
import os
import tomllib
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import TypeVar

import pytest
from trio.testing import MockClock

from coldframe.plug import loader
from tests import examples, hanging
from tests.hanging import pytest_runtest_protocol as pytest_runtest_protocol
from tests.hanging import pytest_unconfigure as pytest_unconfigure
from tests.virtual_time import jumping_clock

Item = TypeVar("Item")

#: Documents and real data beside the project; absent in a bare clone.
SHARED = Path(__file__).resolve().parents[1] / "../shared"
ABSENT = "the folder ../shared with the documents and recordings is not there"
needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason=ABSENT)

examples.register()


def pytest_configure(config: pytest.Config) -> None:
    hanging.pytest_configure(config)
    examples.choose(config)


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    """One worker a processor, and two more where scenes wait for their processes."""
    return (os.cpu_count() or 1) + (0 if "not scene" in config.option.markexpr else 2)


@pytest.fixture(scope="session", autouse=True)
def _state_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What bots leave on the disk is neither found from before nor left behind."""
    before = os.environ.get("XDG_STATE_HOME")
    os.environ["XDG_STATE_HOME"] = str(tmp_path_factory.mktemp("state"))
    yield
    if before is None:
        del os.environ["XDG_STATE_HOME"]
    else:
        os.environ["XDG_STATE_HOME"] = before


@pytest.fixture(scope="session", autouse=True)
def _plugins_of_the_project() -> Iterator[None]:
    """Plugins that happen to be installed beside the project change no test; those of the project are read off its own file."""
    project = tomllib.loads((Path(__file__).resolve().parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = [EntryPoint(name, module, loader.GROUP) for name, module in project["entry-points"][loader.GROUP].items()]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loader, "entry_points", lambda group: points)
        yield


@pytest.fixture
def virtual_clock() -> MockClock:
    """Virtual time for a test with sockets; `autojump_clock` jumps sooner than their bytes arrive."""
    return jumping_clock()


def pytest_collection_finish() -> None:
    """Thirteen thousand tests and their modules stay: no collection of garbage has to walk through them again."""
    gc.collect()
    gc.freeze()


#: Tests with the marker `scene`, beside those that bear it themselves: whole processes, or real sockets. So does a
#: test with the fixture `scene`, a whole run.
SCENES = (
    "tests/scenes/",
    "tests/campaigns/test_short.py",
    "tests/interop/",
    "tests/exchange_server/links/",
)
#: Tests that compute for a second or more each, in the inner loop too.
WORLDS = ("tests/simulation/test_order_worlds.py", "tests/simulation/test_position_worlds.py")


#: Scenes with the marker `smoke`: one for each kind of thing that only a process can show.
SMOKE = (
    "tests/scenes/test_quickstart.py::test_c5_quickstart_trades_and_says_so_in_any_time_zone",
    "tests/scenes/test_killed.py::test_p2_p8_a_killed_bot_goes_on_and_stays_alone",
    "tests/scenes/test_signals.py::test_p10_o38_every_signal_drains_and_keeps_the_stop",
    "tests/scenes/test_restart.py::test_n3_the_venue_is_killed_and_started_again",
    "tests/scenes/test_tls.py::test_the_whole_live_path_over_tls",
    "tests/scenes/test_paper_on_live.py::test_paper_orders_meet_the_mirrored_market",
    "tests/scenes/test_halting.py::test_s2_a_stuck_bot_is_flattened_by_the_kill_switch_once",
    "tests/scenes/test_operator.py::test_o25_c4_p10_what_a_person_does_to_a_running_bot",
    "tests/scenes/test_recordings.py::test_the_shipped_recording_is_played_and_a_run_is_recorded",
    "tests/scenes/test_machine.py::test_p12_without_descriptors_links_wait_and_come_back",
)


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    for item in items:
        if item.nodeid.startswith(SCENES) or "scene" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.scene)
        if item.nodeid.partition("[")[0] in SMOKE:
            item.add_marker(pytest.mark.smoke)
    yield
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    if workers > 1:
        items[:] = dealt(items, workers, long)


def long(item: pytest.Item) -> str:
    """The tests that stay together, of those that take seconds: a module of scenes, or a test; empty for a short one."""
    if item.nodeid.startswith(WORLDS):
        return item.nodeid
    return item.nodeid.partition("::")[0] if item.get_closest_marker("scene") else ""


def dealt(items: Sequence[Item], workers: int, long: Callable[[Item], str]) -> list[Item]:
    """The tests in an order in which each worker begins with its share of the long ones, so that none of them begins last.

    xdist gives each worker an equal part of the list at first, and what others have not begun later on.
    """
    together: dict[str, list[Item]] = {}
    for item in items:
        together.setdefault(long(item), []).append(item)
    short = together.pop("", [])
    shares: list[list[Item]] = [[] for _ in range(workers)]
    for number, group in enumerate(together.values()):
        shares[number % workers] += group
    left = len(items)
    for number, share in enumerate(shares):
        size = left // (workers - number)
        left -= size
        more = max(size - len(share), 0)
        share += short[:more]
        short = short[more:]
    return [item for share in shares for item in share] + short
