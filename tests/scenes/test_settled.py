"""How a whole process ends: the stop stays at the exchange, the exit code says the gravest thing, the document all of it."""

from __future__ import annotations

import os
import resource
import signal
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest

from tests.scenes.support import CONFIGS, Running, VenueProcess, live_config, started, venue, wait_until

STRATEGY = '''"""Buys once, protects what it has bought, and keeps a bid far below the market."""

from decimal import Decimal

from coldframe import OrderType, Place, Side, hookimpl

STOPS, RAISES = bool(STOPPING), bool(RAISING)


class Careful:
    def __init__(self):
        self.done = False

    @hookimpl
    def on_book(self, event, view):
        if RAISES and self.done and len(view.orders(event.symbol)) == 1 + STOPS:
            raise ValueError("a mistake of the strategy")
        if self.done or not view.trading_allowed(event.symbol) or view.position(event.symbol):
            return None
        self.done = True
        low = view.instrument(event.symbol).price(view.book(event.symbol).best_bid * Decimal("0.97"))
        bought = Place(symbol=event.symbol, side=Side.BUY, type=OrderType.MARKET, quantity=Decimal("0.010"))
        return [bought, Place(symbol=event.symbol, side=Side.BUY, price=low, quantity=Decimal("0.005"))]

    @hookimpl
    def on_fill(self, event, view):
        if not STOPS:
            return None
        trigger = view.instrument(event.symbol).price(event.price * Decimal("0.98"))
        return Place(
            symbol=event.symbol,
            side=Side.SELL,
            type=OrderType.STOP_MARKET,
            quantity=event.position,
            trigger_price=trigger,
            reduce_only=True,
        )
'''
TABLE = 'id = "mm"\nplugin = "careful.py:Careful"\nsymbols = ["BTCUSDT"]\nbudget = { max_position = "1", max_notional = "20000" }\n'


def bot(folder: Path, served: VenueProcess, *, stops: bool = True, raises: bool = False, orders: str = "") -> Path:
    (folder / "careful.py").write_text(STRATEGY.replace("STOPPING", str(int(stops))).replace("RAISING", str(int(raises))))
    return live_config(folder, served, strategy=TABLE, orders=orders)


def stops(served: VenueProcess) -> list[str]:
    return [row["clientAlgoId"] for row in served.ask("/fapi/v1/openAlgoOrders", symbol="BTCUSDT")]


def bids(served: VenueProcess) -> list[str]:
    return [row["clientOrderId"] for row in served.ask("/fapi/v1/openOrders", symbol="BTCUSDT")]


def position(served: VenueProcess) -> float:
    return sum(float(row["positionAmt"]) for row in served.ask("/fapi/v3/positionRisk", symbol="BTCUSDT"))


def ready(served: VenueProcess, running: Running, *, stop: bool = True) -> None:
    wait_until(lambda: running.process.poll() is not None or (len(stops(served)) == stop and len(bids(served)) == 1), "at work")
    assert running.process.poll() is None, running.log


def told(running: Running, code: int) -> dict[str, Any]:
    """What the run came to; it has to answer `code`."""
    document = running.end(codes=(code,))
    assert "Traceback" not in running.log
    return document


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda one: one.name)
def test_o38_a_signal_keeps_the_stop_and_the_next_start_too(tmp_path: Path, home: dict[str, str], number: signal.Signals) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = bot(tmp_path, served, orders='on_restart = "cancel"\ndead_man_s = 10')
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", config, "--live", env=env) as running:
            ready(served, running)
            running.process.send_signal(number)
            end = told(running, 0)["end"]
        (stop,) = stops(served)
        assert (bids(served), position(served)) == ([], 0.01)
        assert [(order["order"], order["may_vanish"]) for order in end["kept"]] == [(stop, False)]
        assert end["positions"][0]["stops"] == [stop]
        with started(tmp_path, "run", config, "--live", env=env) as running:
            running.wait_for("reconciled (user stream opened)")
            running.wait_for("book BTCUSDT: synced")
            if number is signal.SIGTERM:
                time.sleep(11)  # a switch that the first run has left armed would have run out by now
            running.stop()
            end = told(running, 0)["end"]
        assert stops(served) == [stop] == [order["order"] for order in end["kept"]]


def test_o38_p18_a_time_without_a_stop_says_so(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = bot(tmp_path, served, stops=False)
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", config, "--live", env=env, json=False) as running:
            ready(served, running, stop=False)
            wait_until(lambda: position(served) == 0.01, "bought")
            running.stop()
            assert running.process.wait(60) == 4, running.log
        assert (bids(served), position(served)) == ([], 0.01)
    said = running.out_file.read_text()
    assert "position left open: mm BTCUSDT 0.01, 0.01 of it UNPROTECTED: no stop stands at the venue" in said
    assert said.splitlines()[-1] == "  exit code 4: a position is left without a stop, or is not what the account says"


def test_o38_a_bug_keeps_the_stop_and_answers_one(tmp_path: Path, home: dict[str, str]) -> None:
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = bot(tmp_path, served)
        begin = "        if self.done or"
        fuse = f"        if self.done and len(view.orders(event.symbol)) == 2:\n            Engine.step = broken\n{begin}"
        broken = (tmp_path / "careful.py").read_text().replace(begin, fuse)
        head = "from coldframe.core.engine import Engine\n\n\ndef broken(engine, stamped):\n    raise RuntimeError('a bug')\n\n\n"
        (tmp_path / "careful.py").write_text(broken.replace("from coldframe import", head + "from coldframe import", 1))
        with started(tmp_path, "run", config, "--live", env={**home, "SCENE_KEY": served.api_key}) as running:
            assert running.process.wait(60) == 1, running.log
        assert (len(stops(served)), bids(served), position(served)) == (1, [], 0.01)
    assert "kept at the venue: 1 orders of ours that can only reduce an open position" in running.log


def test_p18_an_end_that_the_journal_does_not_hold(tmp_path: Path, home: dict[str, str]) -> None:
    """The disk takes no more: a limit on the size of files stands in for a full one."""
    with venue(CONFIGS / "quickstart.toml", "--port", 0, env=home) as served:
        config = bot(tmp_path, served)
        journal = tmp_path / "run.db"
        env = {**home, "SCENE_KEY": served.api_key}
        with started(tmp_path, "run", config, "--live", "--journal", journal, env=env) as running:
            ready(served, running)
            size = os.path.getsize(f"{journal}-wal")
            resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, size))
            running.process.send_signal(signal.SIGTERM)
            document = told(running, 3)
        assert len(stops(served)) == 1
    assert document["end"]["unrecorded"]
    kinds = [kind for (kind,) in sqlite3.connect(journal).execute("SELECT kind FROM journal")]
    assert "end" not in kinds
