"""A hook that stands still for longer than an order may be old: what it decides then is not written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.runtime.scene import CONFIG, play

#: A real run of two seconds.
pytestmark = pytest.mark.scene

STALLED = '''"""Decides on a market that it has looked at half a second ago."""

from decimal import Decimal
from pathlib import Path

from coldframe import Place, Side, hookimpl
from tests.virtual_time import pass_time


class Stalled:
    def __init__(self):
        self.placed = False

    @hookimpl
    def on_book(self, event, view):
        if self.placed or not view.trading_allowed(event.symbol):
            return []
        self.placed = True
        pass_time(0.5)
        return [Place(symbol=event.symbol, side=Side.BUY, price=view.book(event.symbol).best_bid, quantity=Decimal("1"))]

    @hookimpl
    def on_order(self, event):
        with Path(__file__).with_name("told").open("a") as file:
            file.write(f"{event.state}: {event.reason}\\n")
'''
STRATEGY = """
[[strategies]]
id = "stalled"
plugin = "stalled.py:Stalled"
symbols = ["SOLUSDT"]
hook_limit_ms = 0
"""


def test_p13_a_decision_from_before_a_stall_is_not_written(tmp_path: Path) -> None:
    (tmp_path / "stalled.py").write_text(STALLED)
    config = CONFIG.replace("[risk]", f"{STRATEGY}[risk]").replace("[[streams]]", "[orders]\nmax_age_ms = 200\n[[streams]]", 1)
    scene = play(tmp_path, config=config)
    last = (tmp_path / "told").read_text().splitlines()[-1]
    assert re.search(r": based on market data [0-9]+ ms old: more than orders.max_age_ms = 200", last), last
    runtime = scene.engine.runtimes.get("stalled")
    assert (runtime.verdicts["ACCEPTED"], runtime.account.holdings.fills) == (1, 0)
    assert scene.engine.orders.doubtful == 0
