"""One value for each strategy: told when it changes, by its text, and never told twice."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.state.journal_codec import fold
from coldframe.core.state.saved_states import SavedStates, plain_of
from coldframe.errors import JournalDamaged
from coldframe.model.journal import Row, RowKind


def test_a_value_is_told_when_it_has_changed() -> None:
    saved = SavedStates({})
    assert not saved.save("a", None)
    assert saved.save("a", {"n": 1})
    assert not saved.save("a", {"n": 1})
    assert saved.save("b", [Decimal("1.50")])
    assert saved.take_changed() == {"a": {"n": 1}, "b": [{"$decimal": "1.50"}]}
    assert saved.take_changed() == {}
    assert saved.save("a", {"n": True})
    assert saved.save("a", None)
    assert saved.take_changed() == {"a": None}
    assert saved.everything() == {"a": None, "b": [{"$decimal": "1.50"}]}


def test_a_refused_value_leaves_the_one_before() -> None:
    saved = SavedStates({"a": 1})
    with pytest.raises(ValueError, match="value must be"):
        saved.save("a", 1.5)
    assert (saved.text("a"), saved.take_changed()) == (b"1", {})


def test_what_is_told_leads_to_nothing_that_is_kept() -> None:
    value = {"a": [1]}
    saved = SavedStates({})
    saved.save("a", value)
    value["a"].append(2)
    for told in (saved.take_changed(), saved.everything()):
        told["a"]["a"].append(3)
    assert saved.text("a") == b'{"a":[1]}'


VALUES: st.SearchStrategy[object] = st.sampled_from([None, 0, False, "", [], {}, Decimal(0), {"a": [Decimal("1.0")]}])


@given(saves=st.lists(st.tuples(st.sampled_from("abc"), VALUES), max_size=12), cut=st.integers(0, 12))
def test_rows_come_to_what_is_kept_wherever_a_run_begins(saves: list[tuple[str, object]], cut: int) -> None:
    rows: list[Row] = []
    saved = SavedStates({})
    for number, (strategy, value) in enumerate(saves):
        if number == cut:
            saved = SavedStates(fold(rows).states)
        saved.save(strategy, value)
        rows += [Row(1, 1, RowKind.STATE, name, {"value": told}) for name, told in saved.take_changed().items()]
    again = SavedStates(fold(rows).states)
    assert {name: again.text(name) for name in "abc"} == {name: saved.text(name) for name in "abc"}


@pytest.mark.parametrize("body", [{}, {"value": 1.5}, {"value": {"$decimal": "x"}}, {"value": {"$x": 1}}, {"value": ["x" * 9_000]}])
def test_a_row_that_no_strategy_can_have_saved_is_damage(body: dict[str, object]) -> None:
    with pytest.raises(JournalDamaged, match=r"row 1 \(state\) cannot be read"):
        fold([Row(1, 1, RowKind.STATE, "a", body)])


def test_a_value_of_a_row_is_itself() -> None:
    assert plain_of({"a": [{"$decimal": "1.50"}, None, True]}) == {"a": [{"$decimal": "1.50"}, None, True]}
