"""An amendment that ends its order: one outcome with one reason, whatever comes late, twice or never."""

from __future__ import annotations

from decimal import Decimal
from random import Random

import pytest

from coldframe import Amend, Place, Quote, Quotes, Side, TimeInForce
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.core.execution.execution_reports import AMENDED_ACROSS, AMENDED_DOWN
from coldframe.core.state.orders import Order
from coldframe.model.effects import LinkKind
from coldframe.model.events import OrderChanged
from coldframe.model.intents import Intent
from coldframe.model.orders import OrderState
from tests.examples import examples
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

D = Decimal
SYMBOL, SIZE = "BTCUSDT", D("0.010")
#: Ways on which an outcome becomes known.
NO_FAULT = VenueFaults()
EVENTS_LATE = VenueFaults(events_delayed=D(1), event_delay_ms=2_000)
ANSWERS_LATE = VenueFaults(answers_delayed=D(1), answer_delay_ms=2_000)
ALL_LATE = VenueFaults(events_delayed=D(1), event_delay_ms=2_000, answers_delayed=D(1), answer_delay_ms=2_000)


def doubtful(answer: str, **more: Decimal) -> VenueFaults:
    """Every amendment is carried out, and answered amiss."""
    return VenueFaults(orders_doubtful=D(1), doubtful_calls=["modify"], doubtful_answers=[answer], doubtful_accepted=D(1), **more)


WAYS = {
    "straight": NO_FAULT,
    "events late": EVENTS_LATE,
    "answers late": ANSWERS_LATE,
    "both late": ALL_LATE,
    "unknown": doubtful("-1007"),
    "silence": doubtful("silence"),
    "cut": doubtful("cut"),
    "unknown and events late": doubtful("-1007", events_delayed=D(1)),
}


class World:
    """A bid at the top of the book, and a strategy that is told of everything."""

    def __init__(self, faults: VenueFaults = NO_FAULT, *, seed: int = 7) -> None:
        self.puppet = Puppet()
        settings = EmbeddedVenue(faults=faults, seed=seed)
        self.pump = Pump([Trader(id="mm", make=lambda: self.puppet)], settings=settings, seed=seed)
        self.price = self.pump.market.best(SYMBOL, Side.BUY) + D("0.1")

    def rest(self, intent: Intent | None = None) -> Order:
        """An order that rests, as the bot knows."""
        plain = Place(symbol=SYMBOL, side=Side.BUY, quantity=SIZE, price=self.price)
        self.puppet.wanted = [intent or plain]
        self.pump.until(lambda: any(order.state is OrderState.ACCEPTED for order in self.pump.engine.orders.live))
        (order,) = self.pump.engine.orders.live
        return order

    def sell(self, quantity: Decimal) -> None:
        """The public sells to our bid."""
        self.pump.market.trade(SYMBOL, Side.SELL, quantity, self.pump.market.best(SYMBOL, Side.BUY))

    def amend(self, order: Order, quantity: Decimal, price: Decimal | None = None) -> None:
        before = len(self.pump.sent)
        self.puppet.wanted = [Amend(order.client_order_id, price, quantity)]
        self.pump.until(lambda: "order.modify" in [call for call, _ in self.pump.sent[before:]])

    def ends(self, order: Order) -> list[tuple[str, str]]:
        """What the strategy was told of its end."""
        told = (event for event in self.puppet.events if isinstance(event, OrderChanged))
        mine = [event for event in told if event.client_order_id == order.client_order_id]
        return [(str(event.state), event.reason) for event in mine if OrderState(event.state).terminal]

    def check(self, order: Order, filled: Decimal) -> None:
        """Everything that was on its way has come; nothing was told twice, or as an incident."""
        engine = self.pump.engine
        self.pump.until(lambda: order.filled == filled and not engine.orders.fills_owed, 30)
        self.pump.run(15)
        assert engine.orders.incidents == 0
        assert not [line for line in self.pump.log if line.startswith("error")]
        assert not self.pump.told("from outside")
        assert self.pump.position("mm") == self.pump.venue.position(SYMBOL) == filled
        assert engine.state.external.account.net(SYMBOL) == 0
        assert order.filled == filled


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("to", ["0.004", "0.003"])
def test_amended_down_to_what_had_traded_and_was_told(way: str, to: str) -> None:
    world = World(WAYS[way])
    order = world.rest()
    world.sell(D("0.004"))
    world.pump.until(lambda: order.filled == D("0.004"), 10)
    world.amend(order, D(to))
    world.pump.until(lambda: not order.live, 30)
    world.check(order, D("0.004"))
    assert world.ends(order) == [("CANCELED", AMENDED_DOWN)]
    assert (order.state, order.reason) == (OrderState.CANCELED, AMENDED_DOWN)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sold", ["0.006", "0.008"])
def test_amended_down_to_what_had_traded_and_was_not_told(way: str, sold: str) -> None:
    """The fills reach the bot after the end that they have caused."""
    world = World(WAYS[way])
    order = world.rest()
    world.amend(order, D("0.006"))
    world.sell(D(sold))
    world.pump.until(lambda: not order.live, 30)
    world.check(order, D(sold))
    assert world.ends(order) == [("CANCELED", AMENDED_DOWN)]


@pytest.mark.parametrize("way", WAYS)
def test_a_user_stream_that_is_away_changes_nothing_about_it(way: str) -> None:
    world = World(WAYS[way])
    order = world.rest()
    world.amend(order, D("0.006"))
    world.sell(D("0.006"))
    world.pump.venue.cut(LinkKind.PRIVATE)
    world.pump.until(lambda: not order.live, 60)
    world.check(order, D("0.006"))
    assert world.ends(order) == [("CANCELED", AMENDED_DOWN)]


@pytest.mark.parametrize("way", WAYS)
def test_all_of_it_trades_before_the_amendment(way: str) -> None:
    """Then there is nothing to amend, and the order has one end: FILLED."""
    world = World(WAYS[way])
    order = world.rest()
    world.amend(order, D("0.006"))
    world.sell(SIZE)
    world.pump.until(lambda: not order.live, 30)
    world.check(order, SIZE)
    assert world.ends(order) == [("FILLED", "")]


@pytest.mark.parametrize("way", WAYS)
def test_amended_down_to_less_than_it_was_trades_on(way: str) -> None:
    world = World(WAYS[way])
    order = world.rest()
    world.sell(D("0.004"))
    world.amend(order, D("0.006"))
    world.pump.run(5)
    assert (order.live, order.quantity) == (True, D("0.006"))
    world.sell(D("0.002"))
    world.pump.until(lambda: not order.live, 30)
    world.check(order, D("0.006"))
    assert world.ends(order) == [("FILLED", "")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("sold", ["0", "0.004"])
def test_a_post_only_order_amended_across_has_that_reason(way: str, sold: str) -> None:
    world = World(WAYS[way])
    post_only = Place(symbol=SYMBOL, side=Side.BUY, quantity=SIZE, price=world.price, time_in_force=TimeInForce.GTX)
    order = world.rest(post_only)
    world.sell(D(sold))
    world.amend(order, SIZE, world.pump.market.best(SYMBOL, Side.SELL))
    world.pump.until(lambda: not order.live, 30)
    world.check(order, D(sold))
    assert world.ends(order) == [("CANCELED", AMENDED_ACROSS)]


@pytest.mark.parametrize("way", WAYS)
def test_a_quote_amended_down_to_what_had_traded_is_placed_anew(way: str) -> None:
    world = World(WAYS[way])
    order = world.rest(Quotes(SYMBOL, bids=[Quote(world.price, SIZE)]))
    world.puppet.wanted = [Quotes(SYMBOL, bids=[Quote(world.price, D("0.004"))])]
    world.pump.until(lambda: world.pump.sent[-1][0] == "order.modify")
    world.sell(D("0.006"))
    world.pump.until(lambda: not order.live, 30)
    world.check(order, D("0.006"))
    assert world.ends(order) == [("CANCELED", AMENDED_DOWN)]
    assert [order.left for order in world.pump.venue.open_orders().values()] == [D("0.004")]


@pytest.mark.parametrize("seed", range(examples(60)))
def test_whatever_trades_round_an_amendment_an_order_ends_once(seed: int) -> None:
    """Sales and amendments at random moments, on every way: one end, with a reason that is true."""
    chance = Random(seed)
    world = World(WAYS[chance.choice(list(WAYS))], seed=seed)
    order = world.rest()
    for _ in range(4):
        if not order.live:
            break
        if order.confirmed:
            world.puppet.wanted = [Amend(order.client_order_id, None, D(chance.randint(1, 9)) / 1000)]
        world.pump.run(chance.choice((0, 0.004, 0.006, 0.02, 0.2, 2)))
        world.sell(D(chance.randint(0, 3)) / 1000)
    world.pump.run(20)
    known = world.pump.venue.books().order_of(SYMBOL, order.order_id, order.client_order_id)
    assert known is not None
    world.check(order, known.filled)
    assert order.live == known.open
    if not known.open:
        down = ("CANCELED", AMENDED_DOWN)
        assert world.ends(order) == [("FILLED", "") if str(known.status) == "FILLED" else down]
