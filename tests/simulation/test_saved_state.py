"""What a strategy saves is there at its next call, and after a restart, a crash, a checkpoint and a replay of the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import attrs
import pytest

from coldframe import Intent, SaveState, Target, View, hookimpl
from coldframe.core.state.journal_codec import fold
from coldframe.model.events import StrategyEvent
from coldframe.model.journal import Row, RowKind
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

LADDER: dict[str, Any] = {"since": "open", "levels": [{"at": Decimal("99.50"), "done": False}], "n": 3}
SHOWN = {"since": "open", "levels": ({"at": Decimal("99.50"), "done": False},), "n": 3}


class Keeper(Puppet):
    """Notes what it finds saved at each call; `last` is what it saves when it is stopped."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[Any] = []
        self.last: list[SaveState] = []
        self.act = self.look

    def look(self, view: View) -> list[Intent]:
        self.found.append(view.state)
        return []

    @hookimpl
    def on_start(self, event: StrategyEvent, view: View) -> None:
        self.found.append(view.state)

    @hookimpl
    def on_stop(self, event: StrategyEvent) -> list[SaveState]:
        return self.last


def world(*names: str, **more: Any) -> tuple[Pump, dict[str, Keeper]]:
    keepers = {name: Keeper() for name in names or ("mm",)}

    def maker(name: str) -> Callable[[], Keeper]:
        return lambda: keepers[name]

    return Pump([Trader(id=name, make=maker(name)) for name in keepers], **more), keepers


def saved(pump: Pump) -> list[tuple[str, object]]:
    return [(row.ref, row.body["value"]) for row in pump.rows if row.kind == RowKind.STATE]


def save(pump: Pump, keeper: Keeper, *values: Any, shown: object) -> None:
    keeper.wanted = [SaveState(value) for value in values]
    pump.until(lambda: bool(keeper.found) and keeper.found[-1] == shown)


def verdicts(pump: Pump, name: str = "mm") -> dict[str, int]:
    return dict(pump.engine.runtimes.get(name).verdicts)


def test_what_is_saved_is_there_from_the_next_call_on() -> None:
    pump, keepers = world("a", "b")
    save(pump, keepers["a"], LADDER, shown=SHOWN)
    assert keepers["a"].found[0] is None
    assert set(map(str, keepers["b"].found)) == {"None"}  # each strategy has its own
    assert saved(pump) == [("a", {**LADDER, "levels": [{"at": {"$decimal": "99.50"}, "done": False}]})]
    assert not [row for row in pump.rows if row.kind == RowKind.INTENT]


def test_a_value_of_a_mutable_list_is_the_one_of_that_moment() -> None:
    pump, keepers = world()
    levels = [1]
    save(pump, keepers["mm"], {"levels": levels}, shown={"levels": (1,)})
    levels.append(2)
    pump.run(1)
    assert keepers["mm"].found[-1] == {"levels": (1,)}


def test_the_last_of_a_call_counts_and_an_equal_one_is_no_row() -> None:
    pump, keepers = world()
    save(pump, keepers["mm"], 1, 2, 3, shown=3)
    assert saved(pump) == [("mm", 3)]
    keepers["mm"].wanted = [SaveState(3)]
    pump.until(lambda: verdicts(pump).get("NO_CHANGE") == 1)
    assert saved(pump) == [("mm", 3)]
    assert verdicts(pump) == {"ACCEPTED": 3, "NO_CHANGE": 1}


@pytest.mark.parametrize("value", [1.5, {"a": [float("nan")]}, {1: 2}, "x" * 10_000, {"a": object()}])
def test_a_refused_value_is_told_and_changes_nothing(value: Any) -> None:
    pump, keepers = world()
    save(pump, keepers["mm"], LADDER, shown=SHOWN)
    keepers["mm"].wanted = [SaveState(value)]
    pump.until(lambda: "MALFORMED" in verdicts(pump))
    pump.run(2)
    assert keepers["mm"].found[-1] == SHOWN
    refused: Any
    (refused,) = [row.body for row in pump.rows if row.kind == RowKind.REFUSED]
    assert (refused["intent"], refused["verdict"], refused["count"]) == ("SaveState", "MALFORMED", 1)
    assert refused["text"].startswith("SaveState.value")
    assert len(pump.told(f"mm: SaveState refused: MALFORMED: {refused['text']}")) == 1


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.parametrize("stopped", [False, True])
def test_what_was_saved_is_there_before_a_run_begins(stopped: bool, checkpoint: bool) -> None:
    pump, keepers = world()
    keeper = keepers["mm"]
    save(pump, keeper, {"n": 1}, shown={"n": 1})
    if checkpoint:
        pump.engine._rows.need_checkpoint()
        pump.until(lambda: any(row.kind == RowKind.CHECKPOINT for row in pump.rows))
    if stopped:
        keeper.last = [SaveState({"n": 2})]
        pump.stop()
    keeper.found.clear()
    pump.restart()
    assert keeper.found == [{"n": 2 if stopped else 1}]


def test_from_a_checkpoint_on_the_rows_before_are_not_needed() -> None:
    pump, keepers = world("a", "b")
    save(pump, keepers["a"], LADDER, shown=SHOWN)
    save(pump, keepers["b"], 7, shown=7)
    pump.engine._rows.need_checkpoint()
    pump.until(lambda: any(row.kind == RowKind.CHECKPOINT for row in pump.rows))
    at = next(number for number, row in enumerate(pump.rows) if row.kind == RowKind.CHECKPOINT)
    assert fold(pump.rows[at:]).states == fold(pump.rows).states == dict(saved(pump))


def test_a_strategy_that_was_away_finds_what_it_has_saved() -> None:
    pump, keepers = world("a", "b")
    save(pump, keepers["a"], 1, shown=1)
    save(pump, keepers["b"], 2, shown=2)
    both = pump.traders
    pump.traders = both[:1]
    pump.restart()
    pump.engine._rows.need_checkpoint()
    pump.run(3)
    pump.traders = both
    for keeper in keepers.values():
        keeper.found.clear()
    pump.restart()
    assert [keeper.found for keeper in keepers.values()] == [[1], [2]]


def test_rows_of_a_build_that_knows_no_saved_values_leave_them() -> None:
    pump, keepers = world()
    save(pump, keepers["mm"], LADDER, shown=SHOWN)
    pump.engine._rows.need_checkpoint()
    pump.until(lambda: any(row.kind == RowKind.CHECKPOINT for row in pump.rows))

    def old(row: Row) -> Row:
        body: Any = row.body
        without = {name: value for name, value in body.items() if name != "states"}
        return attrs.evolve(row, body=without) if row.kind == RowKind.CHECKPOINT else row

    assert fold(map(old, pump.rows)).states == dict(saved(pump))
    never = [old(row) for row in pump.rows if row.kind != RowKind.STATE]
    assert fold(never).states == {}


def test_another_account_is_another_life() -> None:
    pump, keepers = world()
    save(pump, keepers["mm"], LADDER, shown=SHOWN)
    past = fold(pump.rows)
    assert past.states
    past.begin_account("another")
    assert past.states == {}


@pytest.mark.parametrize("values", [[], [1], [1, None]])
def test_a_checkpoint_has_states_where_there_were_any(values: Sequence[Any]) -> None:
    pump, keepers = world()
    for value in values:
        save(pump, keepers["mm"], value, shown=value)
    pump.run(3)
    pump.engine._rows.need_checkpoint()
    pump.until(lambda: any(row.kind == RowKind.CHECKPOINT for row in pump.rows))
    (body,) = [row.body for row in pump.rows if row.kind == RowKind.CHECKPOINT]
    assert body.get("states") == ({"mm": values[-1]} if values else None)


def test_a_run_without_orders_saves_too() -> None:
    pump, keepers = world(orders_on=False)
    keepers["mm"].patient = False
    keepers["mm"].wanted = [SaveState(LADDER), Target("BTCUSDT", Decimal("0.01"))]
    pump.until(lambda: bool(keepers["mm"].found) and keepers["mm"].found[-1] == SHOWN)
    assert verdicts(pump) == {"ACCEPTED": 1, "ORDERS_OFF": 1}
