"""What must hold after anything that accounts and the public may do: book, orders, positions and money always agree."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.config.venue import VenueAccount
from coldframe.enums import OrderStatus, Side
from coldframe.exchange.contracts import to_scaled
from coldframe.exchange.trading.entities import Order
from coldframe.units import scaled
from coldframe.wire.account import OrderTradeUpdate
from coldframe.wire.replies import UserTrade
from tests.examples import examples
from tests.exchange.queues import left_of
from tests.exchange.rig import SYMBOL, Rig

D = Decimal
BUY, SELL = Side.BUY, Side.SELL

_SIDE = st.sampled_from(["BUY", "SELL"])
_PRICE = st.integers(-8, 8).map(lambda ticks: f"{D(1000) + D(ticks) / 10:.1f}")
_QUANTITY = st.integers(6, 4000).map(lambda steps: f"{D(steps) / 1000:.3f}")
_WHO = st.sampled_from(["a", "b"])
_TIF = st.sampled_from(["GTC", "IOC", "FOK", "GTX"])
_STP = st.sampled_from(["NONE", "EXPIRE_MAKER", "EXPIRE_TAKER", "EXPIRE_BOTH"])
_STEP = st.one_of(
    st.tuples(st.just("limit"), _WHO, _SIDE, _QUANTITY, _PRICE, _TIF, _STP, st.booleans()),
    st.tuples(st.just("market"), _WHO, _SIDE, _QUANTITY, st.booleans()),
    st.tuples(st.just("protect"), _WHO, _QUANTITY, st.integers(2, 8), st.booleans()),
    st.tuples(st.just("modify"), st.integers(0, 9), _QUANTITY, _PRICE),
    st.tuples(st.just("curtail"), st.integers(0, 9)),
    st.tuples(st.just("swell"), st.integers(0, 3), st.integers(-8, 8)),
    st.tuples(st.just("cancel"), st.integers(0, 9)),
    st.tuples(st.just("stop"), _WHO, _SIDE, _QUANTITY, _PRICE),
    st.tuples(st.just("background"), _SIDE, _QUANTITY, _PRICE),
    st.tuples(st.just("hit"), _SIDE, _QUANTITY, _PRICE),
    st.tuples(st.just("hit"), _SIDE, _QUANTITY, _PRICE),
    st.tuples(st.just("sweep"), _SIDE),
    st.tuples(st.just("mark"), st.integers(-90, 90)),
)


class World:
    """A rig, and what it does with one step."""

    def __init__(self, *, hedge: bool) -> None:
        self.rig = Rig(accounts=(VenueAccount(name="a", hedge_mode=hedge), VenueAccount(name="b", balance=D(300))))
        self.rig.book(quantity="3")
        self.hedge = hedge
        self.statuses: dict[int, list[str]] = {}

    def do(self, step: tuple) -> None:  # type: ignore[type-arg]
        match step:
            case ("limit", who, side, quantity, price, tif, stp, reducing):
                more = self._mode(who, reducing)
                self.rig.place(side, quantity, price, who, timeInForce=tif, selfTradePreventionMode=stp, **more)
            case ("market", who, side, quantity, reducing):
                self.rig.place(side, quantity, None, who, **self._mode(who, reducing))
            case ("protect", who, quantity, ticks, rivalled):
                self._protect(who, quantity, ticks, rivalled=rivalled)
            case ("curtail", number):
                for order in self._pick(number):
                    quantity, price = f"{order.filled:.3f}", f"{order.price:.1f}"
                    self.rig.modify(order.order_id, str(order.side), quantity, price, order.account)
            case ("modify", number, quantity, price):
                for order in self._pick(number):
                    self.rig.modify(order.order_id, str(order.side), quantity, price, order.account)
            case ("swell", number, ticks):
                for order in [order for order in self._open() if order.closing][number : number + 1]:
                    price = f"{D(1000) + D(ticks) / 10:.1f}"
                    self.rig.modify(order.order_id, str(order.side), f"{order.quantity * 3:.3f}", price, order.account)
            case ("cancel", number):
                for order in self._pick(number):
                    self.rig.cancel(order.order_id, order.account)
            case ("stop", who, side, quantity, price):
                params = {"symbol": SYMBOL, "side": side, "type": "STOP_MARKET", "quantity": quantity, "triggerPrice": price}
                mode = {name: value for name, value in self._mode(who, reducing=False).items() if name == "positionSide"}
                self.rig.call("POST /fapi/v1/algoOrder", who, algoType="CONDITIONAL", **params, **mode)
            case ("background", side, quantity, price):
                if not self.rig.symbol_market.matching.crosses(Side(side), to_scaled(D(price))):
                    self.rig.add_liquidity(Side(side), price, quantity)
            case ("hit", side, quantity, price):
                self.rig.public_takes(Side(side), quantity, price)
            case ("sweep", side):
                self.rig.public_takes(Side(side), "20", f"{D(1000) + Side(side).sign:.1f}")
            case ("mark", offset):
                self.rig.mark(str(1000 + offset))
        self.rig.pass_ms(400)

    def _protect(self, who: str, quantity: str, ticks: int, *, rivalled: bool) -> None:
        """A resting order that closes a part of each position, a few ticks away, perhaps with another of that side before it."""
        for position in list(self.rig.exchange.state.books(who).account.positions.values()):
            if position.quantity:
                side = SELL if position.quantity > 0 else BUY
                price = f"{D(1000) - side.sign * D(ticks) / 10:.1f}"
                mode = {"reduceOnly": "true"} if position.side == "BOTH" else {"positionSide": str(position.side)}
                self.rig.place(str(side), quantity, price, who, **mode)
                if rivalled:
                    nearer = f"{D(price) + side.sign * D('0.1'):.1f}"
                    self.rig.place(str(side), quantity, nearer, who, **mode | {"reduceOnly": None})

    def _mode(self, who: str, reducing: bool) -> dict[str, str]:
        if self.hedge and who == "a":
            return {"positionSide": "LONG" if reducing else "SHORT"}
        return {"reduceOnly": "true"} if reducing else {}

    def _pick(self, number: int) -> list:  # type: ignore[type-arg]
        return self._open()[number : number + 1]

    def _open(self) -> list[Order]:
        return [order for books in self.rig.exchange.store.books.values() for order in books.open.values()]

    # -- what must hold -------------------------------------------------------------------------------------------------

    def check(self) -> None:
        self._check_book()
        self._check_orders()
        self._check_money()
        self._check_events()

    def _check_book(self) -> None:
        engine, book = self.rig.symbol_market.matching, self.rig.symbol_market.public_data.book
        bid, ask = engine.best(BUY), engine.best(SELL)
        assert bid is None or ask is None or bid < ask
        for shown, side in ((book.bids, BUY), (book.asks, SELL)):
            assert [(scaled(price), scaled(quantity)) for price, quantity in shown.top(99)] == engine.depth(side, 99)

    def _check_orders(self) -> None:
        engine = self.rig.symbol_market.matching
        resting: set[int] = set()
        for books in self.rig.exchange.store.books.values():
            closing: dict[str, Decimal] = {}
            for order in books.open.values():
                resting.add(order.order_id)
                held = left_of(engine, order.order_id)
                assert 0 < held == to_scaled(order.left), order.client_id
                if order.closing:
                    key = str(order.position_side)
                    closing[key] = closing.get(key, D(0)) + D(held).scaleb(-12)
            for key, quantity in closing.items():
                assert quantity <= abs(books.account.positions[f"{SYMBOL}/{key}"].quantity)
            for order in books.orders.values():
                assert 0 <= order.filled <= order.quantity
                assert (order.status is OrderStatus.FILLED) == (
                    order.filled == order.quantity
                ) or order.status is OrderStatus.CANCELED
        assert set(engine._own) == resting

    def _check_money(self) -> None:
        for name, books in self.rig.exchange.store.books.items():
            start = D(10_000) if name == "a" else D(300)
            assert books.account.wallet == start + sum(D(income.income.income) for income in books.incomes)
            for position in books.account.positions.values():
                fills = [trade.trade for trade in books.trades if trade.trade.position_side is position.side]
                assert position.quantity == sum((fill.side.sign * D(fill.qty) for fill in fills), D(0))
                assert position.side != "LONG" or position.quantity >= 0
                assert position.side != "SHORT" or position.quantity <= 0
                self._check_closing(books.orders, fills)

    @staticmethod
    def _check_closing(orders: dict[int, Order], fills: list[UserTrade]) -> None:
        """No fill of an order that may only close ever let a position grow, or turned it."""
        held = D(0)
        for fill in fills:
            before, held = held, held + fill.side.sign * D(fill.qty)
            assert not orders[fill.order_id].closing or (abs(held) < abs(before) and held * before >= 0)

    def _check_events(self) -> None:
        """Each order is told of from NEW on, its filled quantity only grows, and nothing follows its end."""
        for _, event in self.rig.exchange.state.take_events():
            if isinstance(event, OrderTradeUpdate):
                told = self.statuses.setdefault(event.order.order_id, [])
                assert told or str(event.order.status) == "NEW"
                assert not told or told[-1] in ("NEW", "PARTIALLY_FILLED")
                told.append(str(event.order.status))
        for books in self.rig.exchange.store.books.values():
            assert all(self.statuses[order.order_id][-1] == str(order.status) for order in books.orders.values())


@pytest.mark.parametrize("hedge", [False, True])
@settings(max_examples=examples(500))
@given(st.lists(_STEP, min_size=10, max_size=50))
def test_everything_always_agrees(hedge: bool, steps: list[tuple]) -> None:  # type: ignore[type-arg]
    world = World(hedge=hedge)
    for step in steps:
        world.do(step)
        world.check()
