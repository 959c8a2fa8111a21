"""After a suspend nothing is believed until it was looked at again (faults.md C4); light rounds stay inside their share (R6)."""

from __future__ import annotations

from coldframe.core.connectivity.rate_limits import RESERVED_SHARE_PERCENT
from coldframe.core.reconciliation.order_side import LIGHT_SYMBOLS
from coldframe.core.reconciliation.rounds import LIGHT_ROUND_MS
from coldframe.enums import Side
from coldframe.model.effects import LinkKind
from coldframe.model.events import BookState, OrderFilled
from coldframe.model.inputs import Suspended
from coldframe.wire.rest import ENDPOINTS
from tests.core.looking import view_of
from tests.core.ordering import placed, world
from tests.core.scripted import Actor, Scripted
from tests.core.told import D, place

OPEN_ORDERS, POSITIONS, TRADES = "/fapi/v1/openOrders", "/fapi/v3/positionRisk", "/fapi/v1/userTrades"


def test_c4_suspend_makes_the_bot_check_books_orders_and_time() -> None:
    made, actor, order = placed()
    made.silent = True
    made.fill(order.client_order_id, "0.4")
    made.silent = False
    made.holds.add(OPEN_ORDERS)
    made.effects.clear()
    made.give(Suspended(7_200_000))
    assert made.engine.market.books["BTCUSDT", False].sync.state is not BookState.SYNCED
    assert made.called("/fapi/v1/time")
    assert made.called(OPEN_ORDERS)
    assert "nothing ran for 7200.0 s" in made.said()
    assert not view_of(made.engine).trading_allowed("BTCUSDT")
    made.want(actor, place())
    assert made.verdicts(actor) == {"ACCEPTED": 1, "STALE_USER_STREAM": 1}
    made.holds.clear()
    made.release()
    made.run(5_000)
    assert [effect.quantity for effect in actor.told(OrderFilled)] == [D("0.4")]
    made.want(actor, place(quantity="2"))
    assert made.verdicts(actor)["ACCEPTED"] == 2
    assert made.engine.state.holdings.adjustments == []


def test_c4_a_suspend_while_the_links_are_down_waits_for_them() -> None:
    made, actor = world()
    made.unopened.add(LinkKind.PRIVATE)
    made.lose(LinkKind.PRIVATE)
    made.give(Suspended(60_000))
    made.want(actor, place())
    assert made.verdicts(actor) == {"STALE_USER_STREAM": 1}


def test_c4_without_orders_a_suspend_is_survived() -> None:
    made = Scripted(Actor(), orders_on=False).ready()
    made.give(Suspended(60_000))
    assert made.ended is None


def test_r6_light_rounds_fit_the_reserve_and_reach_every_symbol() -> None:
    symbols = tuple(f"S{number}USDT" for number in range(LIGHT_SYMBOLS + 15))
    actor = Actor(symbols=symbols)
    made = Scripted(actor, symbols=symbols).ready()
    for symbol in symbols:
        made.want(actor, place(Side.BUY, "1", "90", symbol))
    made.effects.clear()
    seen: set[str] = set()
    for _ in range(2):
        before = len(made.called(TRADES))
        made.run(LIGHT_ROUND_MS)
        asked = [str(call.params["symbol"]) for call in made.called(TRADES)[before:]]
        assert len(asked) == LIGHT_SYMBOLS
        seen.update(asked)
    assert seen == set(symbols)
    calls = [call for path in (OPEN_ORDERS, POSITIONS, TRADES) for call in made.called(path)]
    weights = [
        ENDPOINTS[call.verb, call.path].cost.weight({key: str(value) for key, value in call.params.items()}) for call in calls
    ]
    rate_limits = made.engine._ctx.rate_limits
    assert sum(weights) <= rate_limits.weight.limit * RESERVED_SHARE_PERCENT // 100
