"""Desired states: one of a kind for each strategy and symbol, due when something concerns them, patient when they are refused."""

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


def new_store() -> DesiredStore:
    store = DesiredStore()
    store.want("mm", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    store.want("mm", Target("ETHUSDT", D(2)))
    store.want("other", Target("BTCUSDT", D(3)))
    return store


def test_a_new_target_replaces_the_old_one_and_is_due() -> None:
    store = new_store()
    assert store.take_due() == [BTC, ETH, OTHER]
    assert store.take_due() == []
    store.want("mm", Quotes("BTCUSDT"))
    store.want("mm", Target("BTCUSDT", D(1)))
    assert store.take_due() == [BTC]
    assert store.quotes(BTC) == Quotes("BTCUSDT")
    assert store.target(BTC) == Target("BTCUSDT", D(1))
    assert store.quotes(ETH) is None


def test_only_what_concerns_a_desired_state_makes_it_due() -> None:
    store = new_store()
    store.take_due()
    store.touch("mm", "BTCUSDT")
    store.touch("mm", "XYZUSDT")
    store.touch("stranger", "BTCUSDT")
    assert store.take_due() == [BTC]
    store.moved("BTCUSDT")
    assert store.take_due() == [OTHER]


def test_lapsed_quotes_become_empty_and_targets_are_removed() -> None:
    store = new_store()
    store.take_due()
    store.forget(symbol="BTCUSDT")
    assert store.quotes(BTC) == Quotes("BTCUSDT")
    assert store.target(OTHER) is None
    assert store.target(ETH) == Target("ETHUSDT", D(2))
    assert store.take_due() == [BTC]
    store.forget("mm")
    assert store.target(ETH) is None


def test_everything_lapses_at_the_end() -> None:
    store = new_store()
    store.forget()
    assert (store.target(ETH), store.target(OTHER)) == (None, None)
    assert store.quotes(BTC) == Quotes("BTCUSDT")


def test_refusals_double_the_pause_to_a_limit_until_a_success() -> None:
    store, now = new_store(), 1_000
    assert not store.patient(BTC, now)
    pauses = []
    for _ in range(8):
        pauses.append(store.refused(BTC, now, by_venue=True))
        assert store.patient(BTC, now + pauses[-1] - 1)
        assert not store.patient(BTC, now + pauses[-1])
    assert pauses == [250, 500, 1_000, 2_000, 4_000, 8_000, 8_000, 8_000]
    assert (pauses[0], pauses[-1]) == (FIRST_PAUSE_MS, LONGEST_PAUSE_MS)
    assert not store.patient(ETH, now)
    store.succeeded(BTC)
    assert not store.patient(BTC, now)
    assert store.refused(BTC, now, by_venue=True) == FIRST_PAUSE_MS


def test_new_desired_state_is_tried_at_once_unless_venue_refused() -> None:
    store = new_store()
    store.refused(BTC, 1_000, by_venue=False)
    assert store.patient(BTC, 1_100)
    store.want("mm", Quotes("BTCUSDT"))
    assert not store.patient(BTC, 1_100)
    store.refused(BTC, 1_000, by_venue=True)
    store.refused(BTC, 1_100, by_venue=False)
    store.want("mm", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    assert store.patient(BTC, 1_200)


def test_new_rules_of_a_symbol_take_out_what_they_do_not_allow() -> None:
    store = new_store()
    store.want("mm", Quotes("BTCUSDT", [Quote(D(9), D(1)), Quote(D(8), D(1))], [Quote(D(11), D(1)), Quote(D(12), D(1))]))
    store.want("mm", Quotes("ETHUSDT", [Quote(D(8), D(1))]))
    for key in (BTC, ETH, OTHER):
        store.refused(key, 1_000, by_venue=True)
    store.take_due()
    allowed = {(Side.BUY, D(9)), (Side.SELL, D(12))}
    assert store.fit("BTCUSDT", lambda side, level: (side, level.price) in allowed) == 2
    assert store.quotes(BTC) == Quotes("BTCUSDT", [Quote(D(9), D(1))], [Quote(D(12), D(1))])
    assert store.quotes(ETH) == Quotes("ETHUSDT", [Quote(D(8), D(1))])
    assert store.target(OTHER) == Target("BTCUSDT", D(3))
    assert store.take_due() == [BTC, OTHER]
    assert [store.patient(key, 1_001) for key in (BTC, OTHER, ETH)] == [False, False, True]


def test_new_rules_that_allow_everything_leave_every_level() -> None:
    store = new_store()
    assert store.fit("BTCUSDT", lambda *_: True) == 0
    assert store.quotes(BTC) == Quotes("BTCUSDT", [Quote(D(1), D(1))])


def test_what_a_strategy_wants_lapses_in_one_symbol_or_in_all() -> None:
    store = new_store()
    store.want("other", Quotes("BTCUSDT", [Quote(D(1), D(1))]))
    store.want("mm", Target("BTCUSDT", D(1)))
    store.forget("mm", "BTCUSDT")
    assert store.quotes(BTC) == Quotes("BTCUSDT")
    assert store.target(BTC) is None
    assert store.quotes(OTHER) == Quotes("BTCUSDT", [Quote(D(1), D(1))])
    assert store.target(OTHER) == Target("BTCUSDT", D(3))
    assert store.target(ETH) == Target("ETHUSDT", D(2))


def test_a_muted_strategy_wants_nothing_and_others_go_on() -> None:
    store = new_store()
    store.drop("mm")
    assert (store.quotes(BTC), store.target(ETH)) == (None, None)
    assert store.target(OTHER) == Target("BTCUSDT", D(3))


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
