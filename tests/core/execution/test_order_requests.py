"""Orders as the requests that speak of them: what is said, and what is left out."""

from __future__ import annotations

import attrs
import pytest
from msgspec import UNSET

from coldframe.core.execution.order_requests import algo_request, place_request
from coldframe.core.state.orders import Orders
from coldframe.enums import OrderType, PriceMatch, TimeInForce
from coldframe.model.intents import Place
from tests.core.made import START_MS
from tests.core.told import D, place, prepared

LATER_MS = START_MS + 3_600_000
LIMIT = place(price="100")
STOP = attrs.evolve(place(price="106"), type=OrderType.STOP, trigger_price=D(105))


@pytest.mark.parametrize("wanted", [LIMIT, STOP], ids=["ordinary", "conditional"])
@pytest.mark.parametrize(
    ("time_in_force", "good_till_ms", "sent"),
    [
        (TimeInForce.GTD, LATER_MS, LATER_MS),
        (TimeInForce.GTC, LATER_MS, UNSET),
        (TimeInForce.GTD, None, UNSET),
        (TimeInForce.GTC, None, UNSET),
    ],
)
def test_only_a_gtd_order_says_until_when_it_is_good(
    wanted: Place, time_in_force: TimeInForce, good_till_ms: int | None, sent: object
) -> None:
    wanted = attrs.evolve(wanted, time_in_force=time_in_force, good_till_ms=good_till_ms)
    order = prepared(Orders(START_MS), wanted)
    request = algo_request(order, wanted) if order.type.conditional else place_request(order, wanted)
    assert request.good_till_date == sent


@pytest.mark.parametrize("kind", [OrderType.LIMIT, OrderType.STOP])
@pytest.mark.parametrize(
    ("price", "match", "sent"),
    [("106", PriceMatch.NONE, "106"), (None, PriceMatch.QUEUE, UNSET), ("106", PriceMatch.QUEUE, UNSET)],
)
def test_a_price_match_stands_in_for_the_price(kind: OrderType, price: str | None, match: PriceMatch, sent: object) -> None:
    """Where both are named, the venue chooses: a request with both would be refused."""
    trigger = D(105) if kind.conditional else None
    wanted = attrs.evolve(STOP, type=kind, trigger_price=trigger, price=price and D(price), price_match=match)
    order = prepared(Orders(START_MS), wanted)
    request = algo_request(order, wanted) if kind.conditional else place_request(order, wanted)
    assert (request.price, request.price_match) == (sent, UNSET if match is PriceMatch.NONE else match)
