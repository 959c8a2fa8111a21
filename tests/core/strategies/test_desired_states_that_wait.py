"""A desired state that waits says why, once for each reason, and holds no other desired state back."""

from __future__ import annotations

import pytest

from coldframe.core.strategies.desired_state import _nearer_zero
from coldframe.enums import PositionSide, Side
from coldframe.model.inputs import JournalChanged
from coldframe.model.intents import CancelAll, Quote, Quotes, Target
from coldframe.testing import instrument
from tests.core.scripted import Actor, Scripted
from tests.core.strategies.test_desired_state import quoting, standing
from tests.core.told import D, place


def test_reason_that_holds_a_target_is_reported_once() -> None:
    actor = Actor()
    made = Scripted(actor, instruments=[instrument("BTCUSDT", min_notional="50")]).ready()
    for wanted, said in (("0.1", 1), ("0.1", 1), ("0.2", 2), ("0.2", 2), ("0", 2), ("0.2", 3)):
        made.want(actor, Target("BTCUSDT", D(wanted)))
        made.beat()
        assert made.said().count("what it wants in BTCUSDT cannot be sent") == said


@pytest.mark.parametrize(
    ("position", "target", "nearer"),
    [
        ("1", "0", True),
        ("0", "0", True),
        ("1", "0.5", True),
        ("1", "1", True),
        ("1", "1.1", False),
        ("1", "-0.1", False),
        ("-1", "-0.5", True),
        ("-1", "-1", True),
        ("-1", "-1.1", False),
        ("-1", "0.1", False),
        ("0", "1", False),
        ("0", "-1", False),
    ],
)
def test_a_target_is_nearer_to_zero_on_the_same_side(position: str, target: str, nearer: bool) -> None:
    assert _nearer_zero(D(position), D(target)) is nearer


def test_while_an_order_is_under_way_nothing_is_said_of_a_target() -> None:
    actor = Actor()
    made = Scripted(actor, instruments=[instrument("BTCUSDT", min_notional="50")]).ready()
    made.holds.add("order.place")
    made.want(actor, Target("BTCUSDT", D(2)))
    made.want(actor, Target("BTCUSDT", D("0.1")))
    made.beat()
    assert len(made.sent("order.place")) == 1
    assert "cannot be sent" not in made.said()


def test_why_one_side_of_a_hedged_target_waits_is_said() -> None:
    """The long side is at the target; what is left of the short one is too small for an order."""
    actor = Actor()
    made = Scripted(actor, hedge=True).ready()
    made.want(actor, place(Side.BUY, "2", None, position_side=PositionSide.LONG))
    made.want(actor, place(Side.SELL, "1", "105", position_side=PositionSide.SHORT))
    (short,) = made.engine.orders.live
    made.fill(short.client_order_id, "0.0005")
    made.want(actor, CancelAll())
    made.want(actor, Target("BTCUSDT", D(2)))
    made.beat()
    assert "what it wants in BTCUSDT cannot be sent: 0.0005 is less than the smallest order of 0.001" in made.said()


@pytest.mark.parametrize("held", ["quotes", "target"])
def test_what_holds_a_desired_state_is_reported_separately(held: str) -> None:
    made, actor = quoting(Quotes("BTCUSDT", bids=[Quote(D(99), D(1))]))
    made.want(actor, Target("BTCUSDT", D(0)))
    made.give(JournalChanged("disk full"))
    runtime = made.engine.runtimes.get(actor.id)
    if held == "quotes":  # its fill is closed again, and the quote itself would be new risk
        (order,) = made.engine.orders.live
        made.fill(order.client_order_id, "1")
        assert [request.params["side"] for request in made.sent("order.place")][-1] == "SELL"
        assert runtime.account.holdings.net("BTCUSDT") == 0
    else:
        made.want(actor, Target("BTCUSDT", D(2)))
        assert standing(made) == {(Side.BUY, D(99)): D(1)}
    assert runtime.held_back["HALTED"] >= 1
    assert f"{actor.id}: what it wants in BTCUSDT waits: HALTED: the journal cannot be written" in made.said()
