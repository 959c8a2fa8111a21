"""Orders that may only close, beside others that close the same position: what is refused for lack of room waits for room."""

from __future__ import annotations

from decimal import Decimal

import pytest

from coldframe import Cancel, Place, Quote, Quotes, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueAccount
from coldframe.enums import PositionSide
from tests.simulation.pump import Pump
from tests.simulation.test_taken_positions import LONG, B, Puppet, by_hand, placed, world
from tests.simulation.venue import refused

D = Decimal
BOTH = PositionSide.BOTH
HELD = D("0.010")
#: Further than a comparison of all orders, and than the longest pause of a desired state.
LONG_S = 70


class Held:
    """One strategy with a long position, in hedge mode or one-way; another client may have an order there that closes, too."""

    def __init__(self, side: PositionSide) -> None:
        account = VenueAccount(name="bot", hedge_mode=side is LONG)
        self.side = side
        self.pump: Pump
        self.puppet: Puppet
        self.pump, (self.puppet,) = world(hedge=side is LONG, settings=EmbeddedVenue(accounts=[account]))
        self.puppet.wanted = [Target(B, HELD)]
        self.pump.until(lambda: self.pump.position("mm") == HELD)
        self.ask = self.pump.market.best(B, Side.SELL)
        self.theirs = 0

    def other_client_closes(self, quantity: str) -> None:
        """Another client rests an order that closes."""
        order = {"symbol": B, "side": "SELL", "type": "LIMIT", "timeInForce": "GTC", "quantity": quantity}
        order["price"] = str(self.ask + 500)
        order |= {"positionSide": "LONG"} if self.side is LONG else {"reduceOnly": "true"}
        assert self.pump.venue.by_hand("POST", "/fapi/v1/order", order).status == 200
        self.pump.until(lambda: bool(self.pump.engine.state.external.orders))
        (self.theirs,) = (order_id for _, order_id in self.pump.engine.state.external.orders)

    def other_client_cancels(self) -> None:
        answer = self.pump.venue.by_hand("DELETE", "/fapi/v1/order", {"symbol": B, "orderId": self.theirs})
        assert answer.status == 200

    def quote(self, away: int, *, bid_away: int = 0) -> None:
        bids = [Quote(self.ask - bid_away, D("0.002"))] if bid_away else []
        self.puppet.wanted = [Quotes(B, bids=bids, asks=[Quote(self.ask + away, HELD)], position_side=self.side)]

    def resting(self, side: Side = Side.SELL) -> dict[Decimal, Decimal]:
        """What the bot has at the venue."""
        orders = self.pump.venue.open_orders().values()
        return {order.price: order.left for order in orders if order.side is side and order.order_id != self.theirs}

    def count(self, method: str) -> int:
        return sum(call == method for call, _ in self.pump.sent)


@pytest.mark.parametrize("side", [LONG, BOTH])
def test_an_order_that_was_cut_is_not_amended_again_and_again(side: PositionSide) -> None:
    held = Held(side)
    held.other_client_closes("0.006")
    held.quote(20)
    held.pump.run(LONG_S)
    assert held.resting() == {held.ask + 20: D("0.004")}
    assert held.count("order.modify") == 1
    (line,) = [line for line in held.pump.told("other orders close what there is") if line.startswith("info")]
    assert f"0.006 of order {held.theirs}, which belongs to no strategy" in line
    held.other_client_cancels()
    held.pump.until(lambda: held.resting() == {held.ask + 20: HELD}, 9)
    assert held.count("order.modify") == 2


@pytest.mark.parametrize("change", ["another price", "a larger position", "another order"])
def test_what_was_cut_is_tried_again_when_something_changes(change: str) -> None:
    held = Held(LONG)
    held.other_client_closes("0.006")
    held.quote(20)
    held.pump.run(20)
    assert (held.resting(), held.count("order.modify")) == ({held.ask + 20: D("0.004")}, 1)
    if change == "another price":
        held.quote(30)
        held.pump.until(lambda: held.resting() == {held.ask + 30: D("0.004")}, 9)
        held.pump.run(LONG_S)
        assert held.count("order.modify") == 2  # it moved, and what it was cut to is known to be all there is
    elif change == "a larger position":
        by_hand(held.pump, Side.BUY, "0.004", positionSide="LONG")
        held.pump.until(lambda: held.resting() == {held.ask + 20: D("0.008")}, 9)
        held.pump.run(LONG_S)
        assert held.count("order.modify") == 3  # and once more, to learn that 0.008 is all there is
    else:
        held.other_client_cancels()
        held.pump.until(lambda: held.resting() == {held.ask + 20: HELD}, 9)


def test_a_cut_quote_does_not_hold_the_other_side_back() -> None:
    held = Held(LONG)
    held.other_client_closes("0.006")
    held.quote(20, bid_away=100)
    held.pump.run(20)
    for away in (110, 120, 130):
        held.quote(20, bid_away=away)
        held.pump.until(lambda away=away: held.resting(Side.BUY) == {held.ask - away: D("0.002")}, 1)  # type: ignore[misc]
    assert held.count("order.modify") == 1 + 3


@pytest.mark.parametrize("side", [LONG, BOTH])
def test_a_close_without_room_waits_for_room(side: PositionSide) -> None:
    held = Held(side)
    held.other_client_closes("0.010")
    before = len(held.pump.sent)
    held.puppet.wanted = [Target(B, D(0))]
    held.pump.run(LONG_S)
    assert len(placed(held.pump, before)) == 1
    assert len([line for line in held.pump.told("other orders close what there is") if line.startswith("info")]) == 1
    held.other_client_cancels()
    held.pump.until(lambda: held.pump.venue.position(B, side) == 0, 9)
    assert len(placed(held.pump, before)) == 2


def test_a_close_goes_on_when_part_of_the_room_is_free() -> None:
    """Another client's order is cut down: that is a change, and what the venue then leaves is taken."""
    held = Held(LONG)
    held.other_client_closes("0.010")
    held.puppet.wanted = [Target(B, D(0))]
    held.pump.run(20)
    order = {"symbol": B, "orderId": held.theirs, "side": "SELL", "quantity": "0.004", "price": str(held.ask + 500)}
    assert held.pump.venue.by_hand("PUT", "/fapi/v1/order", order).status == 200
    held.pump.until(lambda: held.pump.venue.position(B, LONG) == D("0.004"), 40)


def test_a_refusal_that_nothing_explains_is_tried_again() -> None:
    """The venue says that there is no room, and no order that takes it is known: a close must not wait for ever."""
    held = Held(LONG)
    held.pump.venue.fates["order.place"] = refused(-4118)
    before = len(held.pump.sent)
    held.puppet.wanted = [Target(B, D(0))]
    held.pump.run(LONG_S)
    assert 8 <= len(placed(held.pump, before)) <= 14
    held.pump.venue.fates.clear()
    held.pump.until(lambda: held.pump.venue.position(B, LONG) == 0, 9)


def test_an_order_that_a_strategy_places_itself_always_goes_out() -> None:
    """Only what is repeated without being asked for is held back."""
    held = Held(LONG)
    held.other_client_closes("0.010")
    held.puppet.wanted = [Target(B, D(0))]
    held.pump.run(5)
    before = len(held.pump.sent)
    for away in (40, 50):
        price = held.ask + away
        held.puppet.wanted = [Place(symbol=B, side=Side.SELL, quantity=HELD, price=price, position_side=LONG)]
        held.pump.run(2)
    assert len(placed(held.pump, before)) == 2


@pytest.mark.parametrize("side", [LONG, BOTH])
@pytest.mark.parametrize("resting", ["0.010", "0.004"])
def test_a_target_says_which_order_of_its_own_is_in_the_way(side: PositionSide, resting: str) -> None:
    held = Held(side)
    take_profit = {"price": held.ask + 300, "quantity": D(resting), "position_side": side, "reduce_only": side is BOTH}
    held.puppet.wanted = [Place(symbol=B, side=Side.SELL, **take_profit)]  # type: ignore[arg-type]
    held.pump.until(lambda: held.resting() == {held.ask + 300: D(resting)})
    (name,) = held.pump.venue.open_orders()
    held.puppet.wanted = [Target(B, D(0))]
    held.pump.run(LONG_S)
    where = "BTCUSDT LONG" if side is LONG else "BTCUSDT"
    text = f"SELL 0.010 and SELL {resting} ({name}) together would more than close the 0.010 {where} of strategy mm"
    assert [line.startswith("info") for line in held.pump.told(f"{text}: cancel what is in the way")][:2] == [True, False]
    assert not held.pump.told("no such position is there")
    held.puppet.wanted = [Cancel(name)]
    held.pump.until(lambda: held.pump.venue.position(B, side) == 0, 9)
