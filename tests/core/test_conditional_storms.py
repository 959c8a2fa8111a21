"""Conditional orders in bad weather: answers held, lost, shuffled; reports missing; links cut; queries forgetful.

The tiny venue is the judge: every order reached it at most once, every fill is booked once, and when the weather is
over nothing is left in doubt.
"""

from __future__ import annotations

import random
from decimal import Decimal

import attrs
import pytest

from coldframe.core.state.journal_codec import fold
from coldframe.enums import AlgoStatus, OrderStatus, OrderType, Side
from coldframe.model.effects import LinkKind, SendRequest
from coldframe.model.events import OrderChanged, OrderFilled
from coldframe.model.intents import Cancel, CancelAll
from coldframe.model.orders import OrderState
from tests.core.exchange import ALIVE
from tests.core.scripted import Actor, Scripted
from tests.core.state.test_journal_codec import state as folded
from tests.core.state.test_journal_codec import state_of
from tests.core.told import D, place
from tests.examples import examples

S = OrderState
METHODS = ("algoOrder.place", "algoOrder.cancel", "order.cancel", "order.status")
PATHS = ("/fapi/v1/algoOrder", "/fapi/v1/openAlgoOrders", "/fapi/v1/userTrades", "/fapi/v1/openOrders")


class Storm:
    """One run with its own seed."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.actor = Actor()
        self.made = Scripted(self.actor).ready()

    @property
    def exchange(self):  # type: ignore[no-untyped-def]
        return self.made.exchange

    def blow(self) -> None:
        """A few seconds of it."""
        made, chance = self.made, self.chance
        made.silent = chance.random() < 0.3
        made.holds.update(method for method in METHODS if chance.random() < 0.3)
        made.swallows.update(method for method in (*METHODS, *PATHS) if chance.random() < 0.2)
        if chance.random() < 0.2:
            self.exchange.refuses["/fapi/v1/algoOrder"] = (-2013, "Order does not exist.")
        for _ in range(chance.randint(1, 4)):
            chance.choice(
                (self.order, self.order, self.cancel, self.trigger, self.trigger, self.trade, self.trade, self.end, self.cut)
            )()
            made.run(chance.randint(0, 900))
        self.settle_held()
        made.holds.clear()
        made.swallows.clear()
        made.run(chance.randint(0, 3_000))
        self.exchange.refuses.clear()

    def settle_held(self) -> None:
        """What was held is carried out in any order, refused with -1007, or lost; every link that is gone has lost its answers."""
        made, chance = self.made, self.chance
        held = [effect for effect in made.held if not isinstance(effect, SendRequest) or effect.link in made.links]
        chance.shuffle(held)
        for order in held:
            fate = chance.random()
            made.held[:] = [order]
            if fate < 0.5:
                made.release()
            elif fate < 0.75 and isinstance(order, SendRequest):
                made.refuse(-1007)
            made.drop()

    # -- what happens -------------------------------------------------------------------------------------------------

    def order(self) -> None:
        kind = self.chance.choice((OrderType.STOP_MARKET, OrderType.STOP))
        wanted = place(self.chance.choice(list(Side)), "2", "100" if kind is OrderType.STOP else None)
        self.made.want(self.actor, attrs.evolve(wanted, type=kind, trigger_price=D(100)))

    def cancel(self) -> None:
        live = list(self.made.engine.orders.live)
        if live:
            self.made.want(self.actor, Cancel(self.chance.choice(live).client_order_id))

    def trigger(self) -> None:
        waiting = [algo.client_id for algo in self.exchange.algos.all.values() if algo.status is AlgoStatus.NEW]
        if waiting:
            self.made.trigger(self.chance.choice(waiting))

    def trade(self) -> None:
        alive = [order.client_order_id for order in self.exchange.orders.values() if order.status in ALIVE]
        if alive:
            self.made.fill(self.chance.choice(alive), "1", "100")

    def end(self) -> None:
        """A conditional order expires, or a triggered order finds no other side to trade with."""
        ended = [
            algo
            for algo in self.exchange.algos.all.values()
            if algo.status is AlgoStatus.TRIGGERED and self.exchange.orders[algo.client_id].status not in ALIVE
        ]
        for order in ended:
            self.exchange.algos.end(order.client_id, AlgoStatus.FINISHED)
        waiting = [algo.client_id for algo in self.exchange.algos.all.values() if algo.status is AlgoStatus.NEW]
        if waiting and self.chance.random() < 0.3:
            self.exchange.algos.end(self.chance.choice(waiting), AlgoStatus.EXPIRED, "position is 0")

    def cut(self) -> None:
        kind = self.chance.choice((LinkKind.PRIVATE, LinkKind.API))
        if self.made.of_kind(kind):
            self.made.lose(kind)

    # -- judging ------------------------------------------------------------------------------------------------------

    def sent_once(self) -> bool:
        names = [request.params["clientAlgoId"] for request in self.made.sent("algoOrder.place")]
        return len(names) == len(set(names))

    def at_venue(self) -> dict[str, tuple[OrderState, Decimal]]:
        """What became of every order that reached the venue, in our words."""
        found = {}
        for name, algo in self.exchange.algos.all.items():
            ordinary = self.exchange.orders.get(name)
            if ordinary is not None:
                words = {
                    OrderStatus.NEW: S.ACCEPTED,
                    OrderStatus.PARTIALLY_FILLED: S.PARTIALLY_FILLED,
                    OrderStatus.FILLED: S.FILLED,
                    OrderStatus.CANCELED: S.CANCELED,
                }
                found[name] = (words[ordinary.status], ordinary.filled)
            else:
                ends = {AlgoStatus.NEW: S.UNTRIGGERED, AlgoStatus.CANCELED: S.CANCELED, AlgoStatus.EXPIRED: S.EXPIRED}
                found[name] = (ends[algo.status], D(0))
        return found


@pytest.mark.parametrize("seed", range(examples(60)))
def test_state_equals_the_venue_after_a_storm_of_algo_orders(seed: int) -> None:
    storm = Storm(seed)
    made = storm.made
    for _ in range(12):
        storm.blow()
        assert storm.sent_once()
        assert folded(fold(made.rows)) == state_of(made.engine)
    made.silent = False
    made.run(150_000)
    check_against_the_venue(storm)
    assert len(storm.actor.told(OrderFilled)) == len(storm.exchange.trades)
    check_lives(storm)


def check_against_the_venue(storm: Storm) -> None:
    made = storm.made
    ours = {algo: made.engine.orders.get(algo) for algo in storm.at_venue()}
    assert {name: (order.state, order.filled) for name, order in ours.items() if order is not None} == storm.at_venue()
    assert made.engine.orders.doubtful == 0
    traded = sum((order.side.sign * D(trade.quantity) for order, trade in storm.exchange.trades), D(0))
    assert made.engine.runtimes.get("mm").account.holdings.net("BTCUSDT") == traded


def check_lives(storm: Storm) -> None:
    lives: dict[str, list[str]] = {}
    for event in storm.actor.told(OrderChanged):
        lives.setdefault(event.client_order_id, []).append(event.state)
    for name, states in lives.items():
        assert states.count(S.TRIGGERED) == (name in storm.exchange.orders)
        assert len(states) == len(set(states)), states
    never = {name for name, states in lives.items() if states[-1] in (S.NEVER_ACCEPTED, S.DENIED)}
    assert never.isdisjoint(storm.exchange.algos.all)


@pytest.mark.parametrize("seed", range(100, 100 + examples(40)))
def test_p1_algo_orders_go_on_after_a_crash_in_a_storm(seed: int) -> None:
    storm = Storm(seed)
    made, chance = storm.made, storm.chance
    for _ in range(chance.randint(1, 8)):
        storm.blow()
    storm.order()  # perhaps on its way when the process dies
    cuts = [end for end in made.steps if end >= made.durable]
    past = fold(made.rows[: chance.choice(cuts)])
    again = made.restarted(storm.actor, past=past, keep_orders=True)
    storm.made = again
    for _ in range(4):
        storm.trigger()
        storm.trade()
        again.run(chance.choice((50, 1_500)))
    again.run(150_000)
    check_against_the_venue(storm)
    sent = [request.params["clientAlgoId"] for request in made.sent("algoOrder.place") + again.sent("algoOrder.place")]
    assert len(sent) == len(set(sent))
    again.want(storm.actor, CancelAll())
    again.run(3_000)
    assert not [algo for algo in storm.exchange.algos.all.values() if algo.status is AlgoStatus.NEW]
    assert not [order for order in storm.exchange.orders.values() if order.status in ALIVE]
