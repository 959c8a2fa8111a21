"""An order as the requests that speak of it: placed and named, by the ordinary methods and by the algo methods.

Reduce-only and a position side never stand together: in hedge mode the side of an order says what it may do (protocol.md 7.2).
"""

from __future__ import annotations

from decimal import Decimal

from msgspec import UNSET

from coldframe.core.risk.conditional_rules import LIMIT_TYPES
from coldframe.core.state.orders import Order
from coldframe.enums import OrderType, PositionSide, PriceMatch, TimeInForce
from coldframe.model.intents import Place
from coldframe.units import plain
from coldframe.wire import requests as ask


def reference(order: Order) -> ask.OrderRef:
    """How an ordinary order is named. A triggered conditional order also by its id, which wins."""
    order_id = order.order_id if order.type.conditional and order.order_id is not None else UNSET
    return ask.OrderRef(symbol=order.symbol, order_id=order_id, orig_client_order_id=order.client_order_id)


def modify_request(order: Order, price: Decimal, quantity: Decimal) -> ask.ModifyOrder:
    """The request that changes a LIMIT order.

    Without `reduceOnly` the venue holds reduce-only orders to the minimum notional, too (protocol.md 7.3). In hedge mode the
    parameter is not known to be allowed, and stays away.
    """
    return ask.ModifyOrder(
        symbol=order.symbol,
        side=order.side,
        quantity=plain(quantity),
        price=plain(price),
        orig_client_order_id=order.client_order_id,
        reduce_only=True if order.reduce_only and order.position_side is PositionSide.BOTH else UNSET,
    )


def place_request(order: Order, place: Place) -> ask.PlaceOrder:
    """The request that places a LIMIT or MARKET order."""
    fields: dict[str, object] = {}
    if place.type is OrderType.LIMIT:
        fields["time_in_force"] = place.time_in_force
        if place.price_match is PriceMatch.NONE and place.price is not None:
            fields["price"] = plain(place.price)
        else:
            fields["price_match"] = place.price_match
    if place.time_in_force is TimeInForce.GTD and place.good_till_ms is not None:
        fields["good_till_date"] = place.good_till_ms
    if place.position_side is not PositionSide.BOTH:
        fields["position_side"] = place.position_side
    elif place.reduce_only:
        fields["reduce_only"] = True
    if place.self_trade_prevention is not None:
        fields["self_trade_prevention_mode"] = place.self_trade_prevention
    return ask.PlaceOrder(
        symbol=place.symbol,
        side=place.side,
        type=place.type,
        quantity=plain(place.quantity),
        new_client_order_id=order.client_order_id,
        **fields,  # type: ignore[arg-type]
    )


def algo_reference(order: Order) -> ask.AlgoRef:
    """How a conditional order is named to the algo methods."""
    return ask.AlgoRef(client_algo_id=order.client_order_id)


def algo_request(order: Order, place: Place) -> ask.PlaceAlgo:
    """The request that places a conditional order."""
    fields: dict[str, object] = {"working_type": place.working_type}
    if place.close_position:
        fields["close_position"] = True
    else:
        fields["quantity"] = plain(place.quantity)
    if place.type in LIMIT_TYPES:
        fields["time_in_force"] = place.time_in_force
        if place.price_match is PriceMatch.NONE and place.price is not None:
            fields["price"] = plain(place.price)
        else:
            fields["price_match"] = place.price_match
    for name in ("trigger_price", "activate_price", "callback_rate"):
        value = getattr(place, name)
        if value is not None:
            fields[name] = plain(value)
    if place.price_protect:
        fields["price_protect"] = True
    if place.time_in_force is TimeInForce.GTD and place.good_till_ms is not None:
        fields["good_till_date"] = place.good_till_ms
    if place.position_side is not PositionSide.BOTH:
        fields["position_side"] = place.position_side
    elif place.reduce_only:
        fields["reduce_only"] = True
    if place.self_trade_prevention is not None:
        fields["self_trade_prevention_mode"] = place.self_trade_prevention
    return ask.PlaceAlgo(
        algo_type="CONDITIONAL",
        symbol=place.symbol,
        side=place.side,
        type=place.type,
        client_algo_id=order.client_order_id,
        **fields,  # type: ignore[arg-type]
    )
