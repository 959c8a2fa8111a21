"""A quote that the venue does not amend for good: cancelled, and placed anew by the rules of any other order."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Amend, Place, Quote, Quotes, Side
from coldframe.config.venue import EmbeddedVenue, VenueChange
from coldframe.core.state.limits import Budget
from coldframe.model.effects import LinkKind
from coldframe.model.intents import Intent
from coldframe.model.orders import OrderState
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet
from tests.simulation.venue import refused

D = Decimal
SYMBOL, SIZE = "BTCUSDT", D("0.010")
#: Refused for the order: too often amended, not a LIMIT order, not reduce-only.
FOR_THE_ORDER = (-5026, -5025, -5047)
#: Refused for the run: no such method, not now, no such path.
FOR_THE_RUN = ((-1020, 400), (-4084, 400), (-5000, 404))


class World:
    """A bid that rests, at a venue that refuses amendments as a test says."""

    def __init__(self, *, settings: EmbeddedVenue | None = None, size: Decimal = SIZE, limit: Decimal | None = None) -> None:
        self.puppet = Puppet()
        self.pump = Pump([Trader(id="mm", make=lambda: self.puppet, budget=Budget(max_position=limit))], settings=settings)
        self.pump.watchers.append(self._check)
        self.size, self.limit = size, limit
        #: The most that was alive at once at the venue.
        self.most = D(0)
        #: Better than all others: what is sold meets it first.
        self.price = self.pump.market.best(SYMBOL, Side.BUY) + D("0.1")
        self.quote()
        self.pump.until(lambda: self.bids == {self.price: size})

    def _check(self) -> None:
        alive = sum((order.left for order in self.pump.venue.open_orders().values()), D(0))
        self.most = max(self.most, alive)
        assert self.limit is None or alive + self.pump.venue.position(SYMBOL) <= self.limit

    def quote(self, shift: int = 0) -> None:
        self.price += shift
        self.puppet.wanted = [Quotes(SYMBOL, bids=[Quote(self.price, self.size)])]

    def refuse(self, code: int, status: int = 400) -> None:
        self.pump.venue.fates["order.modify"] = refused(code, status=status)

    @property
    def bids(self) -> dict[Decimal, Decimal]:
        return {order.price: order.left for order in self.pump.venue.open_orders().values()}

    def sent(self, method: str) -> int:
        return sum(call == method for call, _ in self.pump.sent)

    def ask(self, intent: Intent) -> str:
        """The verdict about one more intent."""
        before = len(self.pump.rows)
        self.puppet.wanted = [intent]
        judged = ("intent", "refused")
        self.pump.until(lambda: any(row.kind in judged for row in self.pump.rows[before:]))
        return next(str(row.body["verdict"]) for row in self.pump.rows[before:] if row.kind in judged)

    def sell(self, quantity: Decimal) -> None:
        """The public sells to our bid."""
        self.pump.market.trade(SYMBOL, Side.SELL, quantity, self.pump.market.best(SYMBOL, Side.BUY))

    def moves(self, shift: int = -10, within_s: float = 2) -> None:
        """The strategy wants its bid elsewhere, and there it stands in the end."""
        self.quote(shift)
        self.pump.until(lambda: self.bids == {self.price: self.size}, within_s)


@pytest.mark.parametrize("code", FOR_THE_ORDER)
def test_o39_a_quote_refused_for_good_is_placed_anew_at_once(code: int) -> None:
    world = World()
    world.refuse(code)
    world.quote(-10)
    world.pump.until(lambda: world.sent("order.modify") == 1)
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 0.1)
    assert (world.sent("order.modify"), world.sent("order.cancel"), world.sent("order.place")) == (1, 1, 2)
    assert world.most == SIZE
    assert len(world.pump.told("not amended any more")) == 1
    world.pump.venue.fates.clear()
    world.moves()
    assert (world.sent("order.modify"), world.sent("order.cancel")) == (2, 1)


@pytest.mark.parametrize(("code", "status"), FOR_THE_RUN)
def test_o39_an_unknown_method_is_tried_once_in_a_run(code: int, status: int) -> None:
    world = World()
    world.refuse(code, status)
    for _ in range(4):
        world.moves()
    assert (world.sent("order.modify"), world.sent("order.cancel"), world.sent("order.place")) == (1, 4, 5)
    assert world.most == SIZE
    assert len(world.pump.told("the venue does not know amendments")) == 1
    (name,) = world.pump.venue.open_orders()
    assert world.ask(Amend(name, world.price - 5)) == "NOT_AMENDABLE"
    world.pump.restart()
    world.pump.venue.fates.clear()
    world.pump.until(lambda: not world.pump.venue.open_orders())
    world.quote()
    world.pump.until(lambda: world.bids == {world.price: SIZE})
    world.moves()
    assert world.sent("order.modify") == 2


def test_an_order_refused_for_this_request_is_amended_later() -> None:
    world = World()
    world.refuse(-4016)
    world.quote(-10)
    world.pump.until(lambda: world.sent("order.modify") == 1)
    world.pump.run(0.1)
    world.pump.venue.fates.clear()
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 1)
    assert (world.sent("order.modify"), world.sent("order.cancel"), world.sent("order.place")) == (2, 0, 1)


@pytest.mark.parametrize(("code", "status"), [(-4016, 400), (-9999, 400), (-1000, 400), (-1008, 503)])
def test_o13_no_quote_is_left_stale_by_repeated_refusals(code: int, status: int) -> None:
    """Whatever the reason, unknown outcomes included: three failures in a row, each after a longer wait, are enough."""
    world = World()
    world.refuse(code, status)
    world.moves(within_s=6)
    assert (world.sent("order.modify"), world.sent("order.cancel"), world.sent("order.place")) == (3, 1, 2)
    assert world.most == SIZE


@pytest.mark.parametrize("code", [-2019, -1000])
def test_a_quote_that_only_cannot_grow_stays_where_it_is(code: int) -> None:
    world = World()
    world.refuse(code)
    world.size *= 2
    world.quote()
    world.pump.run(30)
    assert world.bids == {world.price: SIZE}
    assert world.sent("order.cancel") == 0
    assert 4 <= world.sent("order.modify") <= 9
    world.pump.venue.fates.clear()
    world.pump.until(lambda: world.bids == {world.price: 2 * SIZE}, 10)


def test_a_quote_that_cannot_shrink_is_placed_anew() -> None:
    world = World()
    world.refuse(-5026)
    world.size /= 2
    world.moves(0)
    assert (world.sent("order.cancel"), world.most) == (1, SIZE)


def test_nothing_to_change_is_asked_about_and_waits() -> None:
    world = World()
    world.refuse(-5027)
    world.quote(-10)
    world.pump.until(lambda: world.sent("order.status") == 1, 1)
    (order,) = world.pump.engine.orders.live
    assert not order.unamendable


def test_a_wrong_clock_says_nothing_about_amendments() -> None:
    world = World()
    world.refuse(-5028)
    world.quote(-10)
    world.pump.run(20)
    assert (world.sent("order.cancel"), world.bids) == (0, {world.price + 10: SIZE})
    world.pump.venue.fates.clear()
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 10)


def test_three_orders_in_a_row_stop_amending_in_their_symbol() -> None:
    """A venue that calls every order amended too often is not asked for ever."""
    world = World()
    world.refuse(-5026)
    for _ in range(6):
        world.moves()
    assert (world.sent("order.modify"), world.sent("order.cancel")) == (3, 6)
    assert len(world.pump.told("no amendment in BTCUSDT succeeds")) == 1


def test_a_closed_symbol_does_not_count_against_amendments() -> None:
    world = World()
    for _ in range(6):
        world.refuse(-5024)
        world.moves()
    assert world.sent("order.modify") == 6
    assert not world.pump.told("no amendment in")


# -- fills in between --------------------------------------------------------------------------------------------------


def test_a_partly_filled_quote_is_replaced_in_full() -> None:
    world = World()
    world.refuse(-5026)
    world.sell(D("0.004"))
    world.pump.until(lambda: world.sent("order.modify") == 1)  # it would have put back what has traded
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 0.2)
    assert (world.sent("order.cancel"), world.sent("order.place")) == (1, 2)
    assert world.most <= SIZE
    assert world.pump.position("mm") == world.pump.venue.position(SYMBOL) == D("0.004")


@pytest.mark.parametrize(("sold", "cancels"), [("0.004", 1), ("0.010", 0)])
def test_a_fill_overtakes_the_refusal(sold: str, cancels: int) -> None:
    """The order trades, in part or as a whole, while the amendment is on its way."""
    world = World()
    world.refuse(-5026)
    world.quote(-10)
    world.pump.until(lambda: world.sent("order.modify") == 1)
    world.sell(D(sold))
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 1)
    assert (world.sent("order.modify"), world.sent("order.cancel"), world.sent("order.place")) == (1, cancels, 2)
    assert world.pump.position("mm") == world.pump.venue.position(SYMBOL) == D(sold)
    assert world.most == SIZE


def test_a_fill_overtakes_the_cancel() -> None:
    world = World()
    world.refuse(-5026)
    world.quote(-10)
    world.pump.until(lambda: world.sent("order.cancel") == 1)
    world.sell(SIZE)
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 3)
    assert (world.sent("order.place"), world.most) == (2, SIZE)
    assert world.pump.position("mm") == world.pump.venue.position(SYMBOL) == SIZE


@pytest.mark.parametrize("sold", ["0", "0.004", "0.010"])
def test_the_position_limit_counts_both_orders(sold: str) -> None:
    """The limit is the size: until the cancel is confirmed there is no room for the order that follows."""
    world = World(limit=SIZE)
    world.refuse(-5026)
    world.quote(-10)
    world.pump.until(lambda: world.sent("order.cancel") == 1)
    world.sell(D(sold))
    world.pump.run(3)
    position = world.pump.venue.position(SYMBOL)
    assert position == D(sold)
    assert sum(world.bids.values(), position) in ({SIZE} if sold == "0" else {position})


# -- the cancel's own troubles -----------------------------------------------------------------------------------------


def test_the_cancel_goes_by_rest_when_the_link_is_down() -> None:
    world = World()
    world.refuse(-5026)
    world.quote(-10)
    world.pump.until(lambda: bool(world.pump.told("not amended any more")))
    world.pump.venue.refuses.add(LinkKind.API)
    world.pump.venue.cut(LinkKind.API)
    world.pump.until(lambda: not world.bids, 10)
    assert world.sent("DELETE /fapi/v1/order") >= 1
    world.pump.run(2)
    assert world.sent("order.place") == 1  # a new order never goes by REST
    world.pump.venue.refuses.clear()
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 30)
    assert world.most == SIZE


def test_nothing_is_placed_while_the_cancel_is_in_doubt() -> None:
    world = World()
    world.refuse(-5026)
    world.pump.venue.fates["order.cancel"] = refused(-1007, "timeout", 408)
    world.quote(-10)
    world.pump.run(20)
    assert world.sent("order.place") == 1
    world.pump.venue.fates.clear()
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 10)
    assert (world.sent("order.place"), world.most) == (2, SIZE)


def test_refused_follow_up_order_waits_longer_each_time() -> None:
    world = World()
    world.refuse(-5026)
    world.pump.venue.fates["order.place"] = refused(-2010)
    world.quote(-10)
    world.pump.run(20)
    assert not world.bids
    assert 4 <= world.sent("order.place") - 1 <= 8
    world.pump.venue.fates.clear()
    world.pump.until(lambda: world.bids == {world.price: SIZE}, 10)


# -- the exchange's own word -------------------------------------------------------------------------------------------


def test_o13_the_exchange_itself_says_that_it_was_too_often() -> None:
    """Its bound is 10,000; here it is 3."""
    change = VenueChange(at_s=D(0), what="max_amendments", value="3", symbol=SYMBOL)
    world = World(settings=EmbeddedVenue(changes=[change]))
    for _ in range(9):
        world.moves()
    assert (world.sent("order.modify"), world.sent("order.cancel"), world.sent("order.place")) == (9, 2, 3)
    assert world.most == SIZE
    assert not world.pump.told("no amendment in")
    world.pump.stop()
    ended = [order.state for order in world.pump.engine.orders._by_client_id.values()]
    assert ended == [OrderState.CANCELED] * 3


def test_an_own_order_that_cannot_be_amended_is_told_so() -> None:
    world = World()
    world.refuse(-5026)
    order = Place(symbol=SYMBOL, side=Side.BUY, quantity=SIZE, price=world.price - 100)
    assert world.ask(order) == "ACCEPTED"
    world.pump.until(lambda: len(world.bids) == 2)
    name = next(name for name, resting in world.pump.venue.open_orders().items() if resting.price == order.price)
    assert world.ask(Amend(name, order.price - 1)) == "ACCEPTED"
    world.pump.run(1)
    assert world.ask(Amend(name, order.price - 1)) == "NOT_AMENDABLE"
    assert len(world.bids) == 2
