"""Wishes: one of a kind for each strategy and symbol, due when something concerns them, patient when they are refused."""

from __future__ import annotations

import pytest

from coldframe.core.strategies.desired_store import FIRST_PAUSE_MS, LONGEST_PAUSE_MS, DesiredStore, came_to_nothing, has_succeeded
from coldframe.enums import OrderType, Side, TimeInForce
from coldframe.model.events import OrderChanged
from coldframe.model.intents import Quote, Quotes, Target
from coldframe.model.orders import OrderState
from tests.core.told import D

BTC, ETH = ("mm", "BTCUSDT"), ("mm", "ETHUSDT")
OTHER = ("other", "BTCUSDT")


def wishes() -> DesiredStore:
    desires = DesiredStore()
    desires.want("mm", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    desires.want("mm", Target("ETHUSDT", D(2)))
    desires.want("other", Target("BTCUSDT", D(3)))
    return desires


def test_a_new_wish_replaces_the_old_one_of_its_kind_and_is_due() -> None:
    desires = wishes()
    assert desires.take_due() == [BTC, ETH, OTHER]
    assert desires.take_due() == []
    desires.want("mm", Quotes("BTCUSDT"))
    desires.want("mm", Target("BTCUSDT", D(1)))
    assert desires.take_due() == [BTC]
    assert desires.quotes(BTC) == Quotes("BTCUSDT")
    assert desires.target(BTC) == Target("BTCUSDT", D(1))
    assert desires.quotes(ETH) is None


def test_what_concerns_a_wish_makes_it_due_and_nothing_else_does() -> None:
    desires = wishes()
    desires.take_due()
    desires.touch("mm", "BTCUSDT")
    desires.touch("mm", "XYZUSDT")
    desires.touch("nobody", "BTCUSDT")
    assert desires.take_due() == [BTC]
    desires.moved("BTCUSDT")
    assert desires.take_due() == [OTHER]


def test_quotes_that_lapse_become_the_wish_for_nothing_and_targets_go() -> None:
    desires = wishes()
    desires.take_due()
    desires.forget(symbol="BTCUSDT")
    assert desires.quotes(BTC) == Quotes("BTCUSDT")
    assert desires.target(OTHER) is None
    assert desires.target(ETH) == Target("ETHUSDT", D(2))
    assert desires.take_due() == [BTC]
    desires.forget("mm")
    assert desires.target(ETH) is None


def test_everything_lapses_at_the_end() -> None:
    desires = wishes()
    desires.forget()
    assert (desires.target(ETH), desires.target(OTHER)) == (None, None)
    assert desires.quotes(BTC) == Quotes("BTCUSDT")


def test_every_refusal_doubles_the_pause_up_to_a_limit_and_a_success_ends_it() -> None:
    desires, now = wishes(), 1_000
    assert not desires.patient(BTC, now)
    pauses = []
    for _ in range(8):
        pauses.append(desires.refused(BTC, now, by_venue=True))
        assert desires.patient(BTC, now + pauses[-1] - 1)
        assert not desires.patient(BTC, now + pauses[-1])
    assert pauses == [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
    assert not desires.patient(ETH, now)
    desires.succeeded(BTC)
    assert not desires.patient(BTC, now)
    assert desires.refused(BTC, now, by_venue=True) == FIRST_PAUSE_MS


def test_a_new_wish_is_tried_at_once_unless_it_was_the_venue_that_refused() -> None:
    desires = wishes()
    desires.refused(BTC, 1_000, by_venue=False)
    assert desires.patient(BTC, 1_100)
    desires.want("mm", Quotes("BTCUSDT"))
    assert not desires.patient(BTC, 1_100)
    desires.refused(BTC, 1_000, by_venue=True)
    desires.refused(BTC, 1_100, by_venue=False)
    desires.want("mm", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    assert desires.patient(BTC, 1_200)


def test_new_rules_of_a_symbol_take_out_what_they_do_not_allow() -> None:
    desires = wishes()
    desires.want("mm", Quotes("BTCUSDT", [Quote(D(9), D(1)), Quote(D(8), D(1))], [Quote(D(11), D(1)), Quote(D(12), D(1))]))
    desires.want("mm", Quotes("ETHUSDT", [Quote(D(8), D(1))]))
    for key in (BTC, ETH, OTHER):
        desires.refused(key, 1_000, by_venue=True)
    desires.take_due()
    allowed = {(Side.BUY, D(9)), (Side.SELL, D(12))}
    assert desires.fit("BTCUSDT", lambda side, level: (side, level.price) in allowed) == 2
    assert desires.quotes(BTC) == Quotes("BTCUSDT", [Quote(D(9), D(1))], [Quote(D(12), D(1))])
    assert desires.quotes(ETH) == Quotes("ETHUSDT", [Quote(D(8), D(1))])
    assert desires.target(OTHER) == Target("BTCUSDT", D(3))
    assert desires.take_due() == [BTC, OTHER]
    assert [desires.patient(key, 1_001) for key in (BTC, OTHER, ETH)] == [False, False, True]


def test_new_rules_that_allow_everything_leave_every_level() -> None:
    desires = wishes()
    assert desires.fit("BTCUSDT", lambda *_: True) == 0
    assert desires.quotes(BTC) == Quotes("BTCUSDT", [Quote(D(1), D(1))])


def test_what_a_strategy_wants_lapses_in_one_symbol_or_in_all() -> None:
    desires = wishes()
    desires.want("other", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    desires.want("mm", Target("BTCUSDT", D(1)))
    desires.forget("mm", "BTCUSDT")
    assert desires.quotes(BTC) == Quotes("BTCUSDT")
    assert desires.target(BTC) is None
    assert desires.quotes(OTHER) == Quotes("BTCUSDT", [Quote(D(1), D(1))])
    assert desires.target(OTHER) == Target("BTCUSDT", D(3))
    assert desires.target(ETH) == Target("ETHUSDT", D(2))


def test_a_muted_strategy_wants_nothing_and_others_go_on() -> None:
    desires = wishes()
    desires.drop("mm")
    assert (desires.quotes(BTC), desires.target(ETH)) == (None, None)
    assert desires.target(OTHER) == Target("BTCUSDT", D(3))


GTC, GTX, IOC, FOK = TimeInForce.GTC, TimeInForce.GTX, TimeInForce.IOC, TimeInForce.FOK
S = OrderState


def changed(state: OrderState, filled: str, time_in_force: TimeInForce) -> OrderChanged:
    return OrderChanged(
        symbol="BTCUSDT",
        at_ns=0,
        client_order_id="x",
        side=Side.BUY,
        type=OrderType.LIMIT,
        time_in_force=time_in_force,
        price=D(1),
        quantity=D(1),
        filled=D(filled),
        state=state,
        reason="",
    )


@pytest.mark.parametrize(
    ("state", "filled", "time_in_force", "succeeded", "nothing"),
    [
        (S.ACCEPTED, "0", GTC, True, False),
        (S.ACCEPTED, "0", GTX, True, False),
        (S.ACCEPTED, "0", IOC, False, False),
        (S.ACCEPTED, "0", FOK, False, False),
        (S.PARTIALLY_FILLED, "0.5", IOC, True, False),
        (S.FILLED, "1", FOK, True, False),
        (S.REJECTED, "0", GTX, False, True),
        (S.DENIED, "0", GTC, False, True),
        (S.EXPIRED, "0", IOC, False, True),
        (S.EXPIRED, "0.5", IOC, False, False),
        (S.CANCELED, "0", GTC, False, False),
        (S.UNKNOWN, "0", GTC, False, False),
    ],
)
def test_an_order_succeeds_when_it_rests_or_trades(
    state: OrderState, filled: str, time_in_force: TimeInForce, succeeded: bool, nothing: bool
) -> None:
    event = changed(state, filled, time_in_force)
    assert (has_succeeded(event), came_to_nothing(event)) == (succeeded, nothing)
