"""States of orders answer to the words of version 0.1 for one version, with a notice that names the new word."""

from __future__ import annotations

import warnings
from decimal import Decimal

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from coldframe import OrderState, Side
from coldframe.model.orders import LIVE, TERMINAL
from coldframe.renamed import ORDER_STATES, Renamed
from tests.earlier.strategy import Strategy
from tests.simulation.pump import Pump, Trader


@pytest.mark.parametrize(("old", "new"), ORDER_STATES.items())
def test_old_and_new_word_name_one_state(old: str, new: str) -> None:
    state = OrderState[new]
    assert state.name == str(state) == f"{state}" == new
    with pytest.warns(Renamed, match=rf"^OrderState\.{old} is now OrderState\.{new}: "):
        assert getattr(OrderState, old) is state
    with pytest.warns(Renamed):
        assert OrderState[old] is state
    assert OrderState(old) is OrderState(new) is state


@pytest.mark.parametrize(("old", "new"), ORDER_STATES.items())
def test_a_state_equals_both_its_words_and_no_other(old: str, new: str) -> None:
    state = OrderState[new]
    with pytest.warns(Renamed, match=rf"^order state '{old}' is now '{new}'"):
        assert state == old
    with pytest.warns(Renamed):
        assert state in {old, "FILLED"}
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert state == new
        assert [word for word in [*ORDER_STATES.values(), "FILLED", "open", ""] if state == word] == [new]
        assert [other for other in OrderState if other == state] == [state]


@given(st.text(max_size=20) | st.sampled_from(["open", "Open ", "ACCEPTED ", ""]))
def test_a_text_that_is_not_a_state_is_refused(text: str) -> None:
    assume(text not in OrderState.__members__ and text not in ORDER_STATES)
    with pytest.raises(ValueError, match="is not a valid OrderState"):
        OrderState(text)


def test_a_notice_is_told_where_the_old_word_stands() -> None:
    with pytest.warns(Renamed) as of_a_member:
        assert OrderState.OPEN.live
    with pytest.warns(Renamed) as of_a_text:
        assert OrderState.ACCEPTED == "OPEN"
    assert [notice.filename for notice in (*of_a_member, *of_a_text)] == [__file__, __file__]


def test_sets_of_members_hold_each_state_once() -> None:
    assert len(set(OrderState)) == len(OrderState) == 15
    assert OrderState.ACCEPTED in LIVE
    assert OrderState.FILLED in TERMINAL
    assert OrderState.PARTIALLY_FILLED not in TERMINAL


@pytest.mark.filterwarnings("ignore::coldframe.renamed.Renamed")
def test_a_strategy_of_version_0_1_works_unchanged() -> None:
    old = Strategy()
    pump = Pump([Trader(id="old", make=lambda: old)])
    pump.until(lambda: old.counted["resting"] == 1)
    assert old.news == ["SENT", "rests"]
    best = pump.market.best("BTCUSDT", Side.BUY)
    pump.market.move("BTCUSDT", best + 50)
    pump.until(lambda: old.counted["done"] == 1)
    pump.until(lambda: old.counted["resting"] == 2)
    pump.market.move("BTCUSDT", best - 50)
    pump.until(lambda: pump.position("old") == Decimal("0.001"))
    pump.run(2)
    assert set(old.news) == {"SENT", "rests", "done", "CANCELED"}
    assert old.counted["sent"] == 3
    assert not pump.told("muted")
