"""What the running sums have to come to: the same, added up from all orders in the plainest way."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from decimal import Context, Decimal
from fractions import Fraction

from coldframe.core.state.exposures import SideExposure, SideKey
from coldframe.core.state.order import Order
from coldframe.core.state.orders import Orders
from coldframe.enums import Side, TimeInForce
from coldframe.model.orders import OrderState, Overlay


def exposed(orders: Collection[Order]) -> list[Order]:
    """Those that may still change a position."""
    return [order for order in orders if order.live or order.seen_filled > order.filled]


def exposure_at(orders: Collection[Order], key: SideKey) -> SideExposure:
    """The sums of one side."""
    mine = [order for order in exposed(orders) if (order.strategy, order.symbol, order.position_side, order.side) == key]
    closing = [order for order in mine if order.closing]
    doubted = (Overlay.CANCEL_UNKNOWN, Overlay.AMEND_UNKNOWN)
    return SideExposure(
        adding=total(order for order in mine if not order.closing),
        closing=total(closing),
        sized=total(order for order in closing if not order.close_position),
        whole=sum(order.close_position for order in closing),
        triggerable=total(order for order in closing if order.untriggered),
        doubted=total(order for order in closing if order.doubted_ns or order.overlay in doubted or may_have_traded(order)),
        unreduced=total(order for order in mine if not order.reduce_only),
        worth=decimal(sum(worth(order, {}) for order in mine if not order.closing and order.price is not None)),
    )


def may_have_traded(order: Order) -> bool:
    """Whether a fill of it would not come as news of an order that stands in the book: it is on its way there, or never rests."""
    stands = (OrderState.ACCEPTED, OrderState.PARTIALLY_FILLED, OrderState.UNTRIGGERED)
    if order.state not in stands:
        return order.state not in (OrderState.INITIALIZED, OrderState.PENDING_SUBMIT)
    at_once = order.price is None or order.time_in_force in ("IOC", "FOK")
    return at_once and order.state is not OrderState.UNTRIGGERED


def largest_closer(orders: Collection[Order], key: SideKey) -> Decimal:
    """The largest order of a side that may only reduce a position, and not all of it."""
    mine = [order for order in exposed(orders) if (order.strategy, order.symbol, order.position_side, order.side) == key]
    return max((order.exposure for order in mine if order.closing and not order.close_position), default=Decimal(0))


def total(orders: Iterable[Order]) -> Decimal:
    return decimal(sum((Fraction(order.exposure) for order in orders), Fraction(0)))


def worth(order: Order, mark_prices: Mapping[str, Decimal]) -> Fraction:
    """An order at its own price; one of the market's price at least at the mark price."""
    mark = mark_prices.get(order.symbol, Decimal(0)) if order.price is None else Decimal(0)
    return Fraction(order.exposure) * Fraction(max(order.worst_price or Decimal(0), mark))


def worth_of(orders: Collection[Order], strategy: str, mark_prices: Mapping[str, Decimal]) -> Decimal:
    """The money that a strategy's orders may add to positions."""
    mine = (order for order in exposed(orders) if order.strategy == strategy and not order.closing)
    return decimal(sum(worth(order, mark_prices) for order in mine))


def met(orders: Collection[Order], strategy: str, symbol: str, side: Side, price: Decimal | None) -> list[Order]:
    """The orders of other strategies on a side that an order at this price might trade with."""
    found = []
    for order in orders:
        there = order.live and order.strategy != strategy and order.symbol == symbol and order.side is side
        rests = order.price is not None and order.time_in_force not in (TimeInForce.IOC, TimeInForce.FOK) and order.remaining
        if there and rests:
            prices = [at for at in (order.price, order.amending_price) if at is not None]
            reached = price is None or (price >= min(prices) if side is Side.SELL else price <= max(prices))
            found += [order] if reached else []
    return found


def decimal(value: Fraction | int) -> Decimal:
    """Exact, or it fails."""
    if not value:  # most sides are empty
        return Decimal(0)
    exact = Context(prec=200).divide(Decimal(value.numerator), Decimal(value.denominator))
    assert Fraction(exact) == value
    return exact


def assert_in_step(book: Orders, known: Collection[Order], symbols: Collection[str]) -> None:
    """Every set of the book holds what walking over all its orders finds, in the order in which it came."""
    live = [order for order in known if order.live]
    owed = [order for order in known if not order.live and order.seen_filled > order.filled]
    doubtful = (OrderState.UNKNOWN, OrderState.NEEDS_OPERATOR)
    assert set(book.live) == set(live)
    assert set(book.owed) == set(owed)
    assert set(book.unsettled) == {order for order in live if order.doubted_ns or not order.state.resting}
    assert list(book.closing) == [order for order in book.live if order.closing]
    assert set(book.late) == {order for order in live if order.late is not None}
    assert set(book.missing_fills) == {order for order in known if order.seen_filled > order.filled}
    assert book.live.symbols == {order.symbol for order in live}
    assert book.exposures.untriggered == sum(order.untriggered for order in live)
    for symbol in symbols:
        assert book.doubtful_in(symbol) == sum(order.symbol == symbol and order.state in doubtful for order in live)
        assert list(book.live.within(symbol)) == [order for order in book.live if order.symbol == symbol]
    for strategy in {order.strategy for order in known}:
        assert list(book.of(strategy)) == [order for order in book.live if order.strategy == strategy]
        for symbol in symbols:
            assert list(book.of(strategy, symbol)) == [order for order in book.of(strategy) if order.symbol == symbol]
            assert set(book.owing(strategy, symbol)) == {own for own in owed if (own.strategy, own.symbol) == (strategy, symbol)}
