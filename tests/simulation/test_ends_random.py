"""Random ends, judged by the exchange's own books: nothing is left that is not named, nothing is kept that may add."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from coldframe import CancelAll, Intent, OrderType, Place, Side, Target
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import PositionSide
from coldframe.exits import Exit
from coldframe.model.effects import LinkKind
from coldframe.model.inputs import StopAsked
from tests.examples import examples
from tests.simulation.ends import LOT, B, Stopper, at_venue, code, reach, report, stop_at
from tests.simulation.pump import Pump, Trader

HALF: Final = LOT / 2
STOPS: Final = (OrderType.STOP, OrderType.STOP_MARKET, OrderType.TRAILING_STOP_MARKET)

#: What a strategy may want, by name, from the best bid.
WANTED: dict[str, Callable[[Decimal], Intent]] = {
    "buy": lambda _: Place(symbol=B, side=Side.BUY, type=OrderType.MARKET, quantity=LOT),
    "sell": lambda _: Place(symbol=B, side=Side.SELL, type=OrderType.MARKET, quantity=HALF),
    "bid": lambda best: Place(symbol=B, side=Side.BUY, quantity=HALF, price=best - 50),
    "ask": lambda best: Place(symbol=B, side=Side.SELL, quantity=HALF, price=best + 50),
    "stop": lambda best: stop_at(best - 400),
    "half stop": lambda best: stop_at(best - 300, HALF),
    "stop of a short": lambda best: stop_at(best + 400, side=Side.BUY),
    "close": lambda best: stop_at(best - 350, Decimal(0), close_position=True, reduce_only=False),
    "profit": lambda best: stop_at(best + 200, type=OrderType.TAKE_PROFIT_MARKET),
    "exit": lambda best: Place(symbol=B, side=Side.SELL, quantity=HALF, price=best + 150, reduce_only=True),
    "flat": lambda _: Target(B, Decimal(0)),
    "nothing": lambda _: CancelAll(B),
}
MOVES: Final = {"up": 120, "down": -120, "far up": 450, "far down": -450}
TURNS = st.lists(st.sampled_from([*WANTED, *MOVES, "raise"]), max_size=8).map(lambda turns: ["buy", *turns])
KEEP: Final = OrderPolicy.KEEP_PROTECTIVE
POLICIES = st.sampled_from([KEEP, KEEP, KEEP, *OrderPolicy])
WORLDS = st.fixed_dictionaries(
    {
        "on_end": POLICIES,
        "on_error": POLICIES,
        "own": st.sampled_from(OnError),
        "dead_man": st.booleans(),
        "latency_ms": st.sampled_from([0, 60, 300]),
        "delayed": st.booleans(),
        "doubtful": st.booleans(),
        "last_move": st.sampled_from([0, -120, 120]),
        "link": st.sampled_from(["up", "up", "up", "up", "api down", "user stream down"]),
        "twice": st.booleans(),
        "protects_fills": st.booleans(),
    }
)
PLAIN: Final[dict[str, Any]] = {
    "on_end": KEEP, "on_error": KEEP, "own": OnError.QUARANTINE, "dead_man": True,
    "latency_ms": 0, "delayed": False, "doubtful": False, "last_move": 0, "link": "up", "twice": False, "protects_fills": True,
}  # fmt: skip


def lived(turns: list[str], world: dict[str, Any]) -> tuple[Pump, Stopper]:
    """A life, up to its end."""
    strategy = Stopper()
    strategy.stops = world["protects_fills"]
    faults = VenueFaults(
        latency_ms=world["latency_ms"],
        events_delayed=Decimal(int(world["delayed"])),
        event_delay_ms=400,
        orders_doubtful=Decimal("0.3") if world["doubtful"] else Decimal(0),
    )
    pump = Pump(
        [Trader(id="mm", make=lambda: strategy, on_error=world["own"])],
        settings=EmbeddedVenue(faults=faults),
        on_end=world["on_end"],
        on_error=world["on_error"],
        trading=OrderSideLimits(dead_man_ms=20_000 if world["dead_man"] else 0),
    )
    pump.run(3)
    for turn in turns:
        if pump.finished is None:
            act(pump, strategy, turn)
    if pump.finished is None:
        end(pump, world)
    return pump, strategy


def act(pump: Pump, strategy: Stopper, turn: str) -> None:
    if turn in MOVES:
        reach(pump, MOVES[turn])
    elif turn == "raise":
        strategy.act = lambda view: 1 / 0  # type: ignore[assignment,return-value]
    else:
        strategy.wanted = [WANTED[turn](pump.market.best(B, Side.BUY))]
    pump.run(1.5)


def end(pump: Pump, world: dict[str, Any]) -> None:
    if world["link"] != "up":
        kind = LinkKind.API if world["link"] == "api down" else LinkKind.PRIVATE
        pump.venue.refuses.add(kind)
        pump.venue.cut(kind)
        pump.run(0.2)
    pump.give(StopAsked("signal"))
    pump.run(0.03)
    if world["last_move"]:
        reach(pump, world["last_move"])
    if world["twice"]:
        pump.give(StopAsked("signal"))
    pump.until(lambda: pump.finished is not None, 10)


def check_end(pump: Pump, world: dict[str, Any]) -> None:
    """The exchange's books are the judge."""
    end, position = report(pump), pump.venue.position(B)
    kept, left = {order.client_order_id for order in end.kept}, {order.client_order_id for order in end.left}
    there = at_venue(pump)
    assert there <= kept | left, "an order at the exchange that the end does not name"
    settled = code(pump) is not Exit.UNSETTLED
    if settled:
        assert kept == there
        assert position == pump.position("mm")
    orders = {**pump.venue.open_orders(), **pump.venue.waiting_orders()}
    for name in kept & there:
        order = orders[name]
        assert order.reduce_only or order.close_position or order.position_side is not PositionSide.BOTH
        assert not settled or position * order.side.sign < 0
    muted = bool(end.muted)
    policies = {world["on_end"]} | ({world["on_error"]} if muted else set())
    policies |= {OrderPolicy.FLATTEN} if muted and world["own"] is OnError.FLATTEN else set()
    if policies != {KEEP}:
        assert not kept
    if OrderPolicy.FLATTEN in policies and code(pump) in (Exit.DONE, Exit.MUTED):
        assert position == 0
    if code(pump) in (Exit.DONE, Exit.MUTED):
        stops = [order for name, order in orders.items() if name in kept and order.type in STOPS]
        whole = any(order.close_position for order in stops)
        assert whole or sum((order.quantity for order in stops), Decimal(0)) >= abs(position)
    assert muted or code(pump) is not Exit.MUTED


def check_next(pump: Pump) -> None:
    """The next start keeps what protects, and takes the rest away."""
    end, position = report(pump), pump.venue.position(B)
    kept = {order.client_order_id for order in end.kept} & at_venue(pump)
    pump.venue.refuses.clear()
    pump.restart()
    pump.run(25)
    assert pump.failed is None, pump.failed
    assert pump.venue.position(B) == pump.position("mm")
    # What was kept may have been reached after the end; without its position nothing of it stays.
    now = pump.venue.position(B)
    assert at_venue(pump) <= (kept if now else set())
    assert now != position or not now or at_venue(pump) == kept


@settings(max_examples=examples(60), deadline=None, suppress_health_check=[HealthCheck.too_slow])
@example(["buy", "stop", "bid"], PLAIN)
@example(["buy", "bid"], {**PLAIN, "last_move": -120, "latency_ms": 300})
@example(["buy", "raise"], {**PLAIN, "own": OnError.HALT})
@given(TURNS, WORLDS)
def test_o38_p18_an_end_names_all_that_is_left(turns: list[str], world: dict[str, Any]) -> None:
    pump, strategy = lived(turns, world)
    check_end(pump, world)
    strategy.wanted, strategy.act, strategy.stops = [], lambda view: [], False
    if code(pump) in (Exit.DONE, Exit.UNPROTECTED, Exit.MUTED):
        check_next(pump)
