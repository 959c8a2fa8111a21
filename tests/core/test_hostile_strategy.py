"""A strategy that wants anything at all, in any size, anywhere: what reaches the venue stays inside every limit (S11, G11)."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.enums import OrderType, Side
from coldframe.model.effects import SendRequest
from coldframe.model.intents import Amend, Place, Quote, Quotes, Target
from tests.core.exchange import ALIVE
from tests.core.scripted import Actor, Scripted
from tests.core.told import D
from tests.examples import examples

SYMBOLS = ("BTCUSDT", "ETHUSDT", "XYZUSDT")
SIZES = st.sampled_from([D(text) for text in ("0.001", "0.5", "1", "3.5", "9", "50", "1000000")])
PRICES = st.sampled_from([D(text) for text in ("0.1", "50", "96", "99", "101", "104", "200", "9999999")])
LEVELS = st.lists(st.builds(Quote, PRICES, SIZES), max_size=3)
WHERE, SIDES = st.sampled_from(SYMBOLS), st.sampled_from(list(Side))
MARKET = st.builds(Place, symbol=WHERE, side=SIDES, quantity=SIZES, type=st.just(OrderType.MARKET))
LIMIT = st.builds(Place, symbol=WHERE, side=SIDES, quantity=SIZES, price=PRICES, reduce_only=st.booleans())
DESIRED = st.builds(Quotes, WHERE, LEVELS, LEVELS) | st.builds(Target, WHERE, SIZES | SIZES.map(lambda size: -size), PRICES)

BUDGET = Budget(max_position=D(4), max_notional=D(600), messages_per_10s=6, max_open_orders=2)
LIMITS = RiskLimits(max_order_notional=D(350), max_gross_notional=D(600), price_collar_pct=D(5), duplicate_ms=100)


@settings(max_examples=examples(200), deadline=None)
@given(st.lists(st.tuples(LIMIT | MARKET | DESIRED, st.booleans(), st.none() | st.tuples(PRICES, SIZES)), max_size=12))
def test_s11_g11_only_allowed_orders_of_any_strategy_are_sent(
    wanted: list[tuple[Place | Quotes | Target, bool, tuple[Decimal, Decimal] | None]],
) -> None:
    actor = Actor(symbols=("BTCUSDT",))
    made = Scripted(actor, symbols=("BTCUSDT", "ETHUSDT"), budgets={"mm": BUDGET}, risk=LIMITS).ready()
    for intent, fills, amendment in wanted:
        made.want(actor, intent)
        alive = [order for order in made.exchange.orders.values() if order.status in ALIVE]
        if amendment is not None and alive:
            made.want(actor, Amend(alive[0].client_order_id, *amendment))
        if fills and alive and alive[0].status in ALIVE:
            made.fill(alive[0].client_order_id, str(alive[0].quantity - alive[0].filled))
        held = sum((order.side.sign * D(trade.quantity) for order, trade in made.exchange.trades), D(0))
        resting = [order for order in made.exchange.orders.values() if order.status in ALIVE]
        assert len(resting) <= 2
        for side in Side:
            more = sum((order.quantity - order.filled for order in resting if order.side is side), D(0))
            assert abs(held + side.sign * more) <= 4 or abs(held + side.sign * more) <= abs(held)
        made.run(50)
    for request in (
        effect for effect in made.effects if isinstance(effect, SendRequest) and effect.method in ("order.place", "order.modify")
    ):
        assert request.params["symbol"] == "BTCUSDT"
        price = D(str(request.params.get("price", "100")))
        assert D(95) <= price <= D(105)
        assert price * D(str(request.params["quantity"])) <= 350 or request.method == "order.modify"
    times = [
        effect for effect in made.effects if isinstance(effect, SendRequest) and effect.method in ("order.place", "order.modify")
    ]
    assert len(times) <= 6
