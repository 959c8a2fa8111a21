"""A whole run with a plugin that is too slow: it is named, now and then, and the other strategy trades on beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.runtime.scene import CONFIG, play

#: A real run of two seconds.
pytestmark = pytest.mark.scene

SLOW = '''

class Slow:
    """Needs 40 ms for every book event."""

    @hookimpl
    def on_book(self, event, view):
        pass_time(0.04)
'''
STRATEGY = """
[[strategies]]
id = "slow"
plugin = "slow.py:Slow"
symbols = ["SOLUSDT"]
"""


def test_s9_slow_hook_is_named_in_a_real_run_and_others_trade_on(tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text("from coldframe import hookimpl\nfrom tests.virtual_time import pass_time\n" + SLOW)
    scene = play(tmp_path, config=CONFIG.replace("[risk]", f"{STRATEGY}[risk]"))
    named = [line for line in scene.log.splitlines() if "everything else waited" in line]
    assert len([line for line in named if "strategy slow: on_book took" in line]) == 1, "once in ten seconds"
    busy = scene.engine.runtimes.get("busy")
    assert (busy.orders, busy.account.holdings.fills) == (2, 1)
