"""What the kill switch writes past the engine is read by a restart, also behind a checkpoint that lacks it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from coldframe.core.lifecycle.kill_switch import emergency_order
from coldframe.core.state.journal_codec import RestoredState, fold, order_body
from coldframe.enums import PositionSide, Side
from coldframe.errors import JournalUnwritable
from coldframe.ids import KILL_SWITCH_COUNT, OwnId
from coldframe.model.inputs import EmergencyOrderSent
from coldframe.model.journal import RowKind
from coldframe.runtime.kill_switch import _recording
from coldframe.trio_io.journal import Journal
from coldframe.trio_io.journal_history import read_rows
from coldframe.trio_io.journal_rotation import Retention, kept_bounded, pruned
from coldframe.trio_io.journalfile import JournalFile
from tests.core.scripted import Actor, Scripted
from tests.core.state.test_journal_codec import state, state_of
from tests.core.told import D, place


@attrs.define
class World:
    """An engine that writes a checkpoint with every step, its journal, and a kill switch beside it."""

    made: Scripted
    actor: Actor
    file: JournalFile
    batch: int
    _written: int = 0

    def engine_writes(self, *without: RowKind) -> None:
        rows = [(row.at_ns, row.kind, row.ref, row.body) for row in self.made.rows[self._written :] if row.kind not in without]
        self._written = len(self.made.rows)
        for at in range(0, len(rows), self.batch):
            self.file.write(rows[at : at + self.batch])

    def engine_goes_on(self) -> None:
        """Steps in which it writes checkpoints, and hears of nothing."""
        before = len(self.made.rows)
        self.made.want(self.actor, place(price="98"))
        self.made.run(50)
        assert any(row.kind == RowKind.CHECKPOINT for row in self.made.rows[before:])
        self.engine_writes()

    def send_emergency_order(self, number: int = 0) -> EmergencyOrderSent:
        """Written by the kill switch itself, before the engine hears of it."""
        name = str(OwnId("mm", self.made.engine.orders.epoch_ms, KILL_SWITCH_COUNT + number))
        told = EmergencyOrderSent("mm", name, "BTCUSDT", Side.SELL, D(1), PositionSide.BOTH, self.made.venue_ms)
        order = emergency_order(told, self.made.rows[-1].at_ns + 1)
        order.written_past_the_engine()
        runner: Any = SimpleNamespace(journal=Journal(self.file, lambda: 0))
        clock: Any = SimpleNamespace(now_ns=lambda: self.made.rows[-1].at_ns + 1)
        assert _recording(runner, clock, lambda *told: None)(RowKind.ORDER, name, order_body(order))
        return told

    def restart(self) -> RestoredState:
        """What a restart would know now."""
        return fold(self.file.state_rows())

    def live(self) -> list[str]:
        """The orders of the kill switch that a restart would ask for."""
        own = {order.client_order_id for order in self.made.engine.orders.live}
        return [order.client_order_id for order in self.restart().live if order.client_order_id not in own]


@pytest.fixture(params=[1, 1_000])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    actor, file = Actor(), JournalFile(tmp_path / "run.db")
    made = World(Scripted(actor, checkpoint_rows=1).ready(), actor, file, request.param)
    made.engine_writes()
    yield made
    file.close()


def test_a_restart_knows_what_no_checkpoint_has_heard_of(world: World) -> None:
    names = [world.send_emergency_order(number).client_order_id for number in range(2)]
    for _ in range(3):
        assert world.live() == names
        world.engine_goes_on()
    assert world.live() == names
    fold(read_rows(world.file.path))  # the whole comes to what each checkpoint says


@pytest.mark.parametrize("how", ["rotated", "pruned"])
def test_no_rotation_and_no_prune_takes_it_away(world: World, how: str) -> None:
    name = world.send_emergency_order().client_order_id
    world.engine_goes_on()
    first = world.file.head.first
    steps = pruned(world.file, 1 << 62) if how == "pruned" else kept_bounded(world.file, Retention(0, 0, 0), 0)
    for _ in steps:
        assert world.live() == [name]
    assert world.file.head.first > first
    assert world.live() == [name]


def test_the_engines_own_row_counts_once_it_is_written(world: World) -> None:
    told = world.send_emergency_order()
    world.engine_goes_on()
    world.made.give(told)
    world.engine_goes_on()
    assert state(world.restart()) == state_of(world.made.engine)
    assert told.client_order_id in world.restart().orders
    rows = [row for row in world.file.state_rows() if row.kind == RowKind.ORDER and row.ref == told.client_order_id]
    assert rows == []


def test_a_checkpoint_that_knows_it_counts_where_a_row_was_lost(world: World) -> None:
    """The disk had no room for the engine's own rows; what the checkpoint says of the order is newer than what is repeated."""
    told = world.send_emergency_order()
    world.made.give(told)
    world.engine_writes(RowKind.ORDER)
    assert [row.kind for row in world.file.state_rows() if row.ref == told.client_order_id] == []
    assert told.client_order_id in world.restart().orders


@pytest.mark.scene
def test_a_write_that_fails_forgets_nothing(world: World) -> None:
    told = world.send_emergency_order()
    world.made.give(told)
    other = sqlite3.connect(world.file.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    rows = [(0, RowKind.ORDER, told.client_order_id, {})]
    with pytest.raises(JournalUnwritable, match="locked"):
        world.file.write(cast("Any", rows))
    other.execute("ROLLBACK")
    other.close()
    checkpoint = next(row for row in world.file.state_rows() if row.kind == RowKind.CHECKPOINT)
    world.file.write([(checkpoint.at_ns, RowKind.CHECKPOINT, checkpoint.ref, checkpoint.body)])
    assert [row.ref for row in world.file.state_rows()][1:] == [told.client_order_id]


def test_time_does_not_go_back_in_what_is_repeated(world: World) -> None:
    world.send_emergency_order()
    world.engine_goes_on()
    times = [row.at_ns for row in world.file.state_rows()]
    assert len(times) > 1
    assert times == sorted(times)


@pytest.mark.parametrize(("ref", "left"), [("cf.mm.a.1", ["cf.mm.a.2"]), ("cf.mm.a.3", ["cf.mm.a.1", "cf.mm.a.2"])])
def test_an_order_that_the_engine_forgot_comes_back_no_more(tmp_path: Path, ref: str, left: list[str]) -> None:
    """It ended long ago, and checkpoints leave it out; what the engine writes of another order changes nothing."""
    file = JournalFile(tmp_path / "run.db")
    for name in ("cf.mm.a.1", "cf.mm.a.2"):
        file.write_past_the_engine((1, RowKind.ORDER, name, {"n": name}))
    file.write_past_the_engine((1, RowKind.HALT, "", {"level": "flatten"}))
    file.write([(2, RowKind.ORDER, ref, {"state": "FILLED"})])
    for at_ns in (3, 4):
        file.write([(at_ns, RowKind.CHECKPOINT, "account", {"orders": []})])
        assert [(row.ref, row.body) for row in file.state_rows()][1:] == [(name, {"n": name}) for name in left]
    file.close()
