"""Risk: what a judgement costs while few or many orders are live, of one strategy or of several.

Every limit is set, so that every check has to count. What counts is the ratio of a figure to the one with the fewest live orders,
not the time. The orders rest in one symbol, half of them on each side.

    python -m bench.risk
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable, Sequence
from decimal import Decimal, localcontext

from bench.listener import Idle
from bench.rounds import arguments, in_turn, machine, table
from coldframe import Place, Quote, Quotes
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.engine import Engine, EngineSetup
from coldframe.core.risk.pre_trade import RiskInputs, check
from coldframe.core.risk.suspended import trading_state
from coldframe.core.state.limits import Budget, RiskLimits
from coldframe.core.state.orders import Origin
from coldframe.core.strategies.desired_state import DesiredState
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import OrderStatus, Side, TimeInForce
from coldframe.model.events import BookState
from coldframe.model.instruments import Instruments
from coldframe.model.orders import OrderEvent
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.testing import instrument
from coldframe.units import arithmetic

SYMBOL = "BTCUSDT"
NOW_NS = 1_700_000_000_000_000_000
MUCH = Decimal(10) ** 12
LEVELS = 20
TICK = Decimal("0.1")
#: A moment in which nothing stands against an order.
MOMENT = RiskInputs(
    now_ms=NOW_NS // 1_000_000,
    mark=Decimal(60_000),
    best_bid=Decimal("59999.9"),
    best_ask=Decimal("60000.1"),
    book_state=BookState.SYNCED,
    book_age_ms=0,
    order_link_up=True,
    user_stream_up=True,
)


def engine_with(strategies: int) -> Engine:
    """An engine whose strategies all trade one symbol, every limit set and none of them near."""
    names = [f"s{number}" for number in range(strategies)]
    budget = Budget(
        max_position=MUCH, max_notional=MUCH, orders_per_10s=1_000_000, messages_per_10s=1_000_000, max_open_orders=1_000_000
    )
    return Engine(
        EngineSetup(
            streams=[],
            instruments=Instruments([instrument(SYMBOL)]),
            plugins=[StrategyPlugin(name, [SYMBOL], OnError.HALT, Idle()) for name in names],
            budgets=dict.fromkeys(names, budget),
            risk=RiskLimits(
                max_order_notional=MUCH,
                max_gross_notional=MUCH,
                price_collar_pct=Decimal(50),
                max_open_orders=1_000_000,
                messages_per_10s=1_000_000,
            ),
            rate_limits=(),
            chance=random.random,
            epoch_ms=1,
            orders_on=False,
        )
    )


def ladder(offset: int = 0) -> Quotes:
    """Twenty levels a side, moved away from the market by so many ticks."""
    bids = tuple(Quote(Decimal(59_990) - (level + offset) * TICK, Decimal("0.010")) for level in range(LEVELS))
    asks = tuple(Quote(Decimal(60_010) + (level + offset) * TICK, Decimal("0.010")) for level in range(LEVELS))
    return Quotes(SYMBOL, bids, asks)


class Room:
    """So many resting orders of so many strategies, and the judgements that are measured over them."""

    def __init__(self, live: int, strategies: int) -> None:
        engine = engine_with(strategies)
        self.state, runtimes = engine.state, engine.runtimes
        self.state.prices.mark_price_told(SYMBOL, Decimal(60_000))
        self._desired = DesiredState(self.state, StepContext(random.random, now_ns=NOW_NS), runtimes, None, lambda symbol: MOMENT)
        self._first = runtimes.all[0]
        self._same = ladder()  # equal to what stands, with no object in common: a strategy makes its levels anew
        self._ladders = [ladder(1), ladder(2)]
        self._place = Place(symbol=SYMBOL, side=Side.BUY, quantity=Decimal("0.010"), price=Decimal("59900.0"))
        quotes = ladder()
        standing = [(Side.BUY, quote) for quote in quotes.bids] + [(Side.SELL, quote) for quote in quotes.asks]
        for number in range(live):
            if number < len(standing) <= live:
                side, quote = standing[number]
                self._rest(self._first.id, side, quote.price, Origin.QUOTE)
            else:
                side, away = (Side.BUY, -1) if number % 2 else (Side.SELL, 1)
                self._rest(f"s{number % strategies}", side, Decimal(60_000) + away * (1_000 + number * TICK), Origin.PLACE)
        assert self._desired.want_quotes(self._first, quotes).accepted

    def _rest(self, strategy: str, side: Side, price: Decimal, origin: Origin) -> None:
        """An order that rests at the venue."""
        place = Place(symbol=SYMBOL, side=side, quantity=Decimal("0.010"), price=price, time_in_force=TimeInForce.GTX)
        order = self.state.orders.prepare(strategy, place, origin, NOW_NS)
        self.state.orders.apply(order, OrderEvent.WRITTEN, NOW_NS)
        self.state.orders.see(order, OrderStatus.NEW, Decimal(0), NOW_NS)

    def place(self) -> None:
        assert check(self.state, self._first.account, self._place, MOMENT).accepted

    def same_quotes(self) -> None:
        assert self._desired.want_quotes(self._first, self._same).accepted

    def other_quotes(self) -> None:
        self._ladders.reverse()
        assert self._desired.want_quotes(self._first, self._ladders[0]).accepted

    def allowed(self) -> None:
        assert trading_state(self.state, MOMENT, self._first.id, SYMBOL).value == "active"


def compared(given: argparse.Namespace, rooms: dict[int, Room], what: Callable[[Room], Callable[[], None]]) -> list[object]:
    """The figures of one judgement over all rooms, and the last against the first."""
    ways = {str(live): what(room) for live, room in rooms.items()}
    costs = in_turn(ways, 1 if given.quick else given.rounds, calls=2 if given.quick else 30)
    return [*costs.values(), list(costs.values())[-1] / next(iter(costs.values()))]


def main(words: Sequence[str] | None = None) -> None:
    given = arguments(__doc__, rounds=11).parse_args(words)
    with localcontext(arithmetic()):
        for strategies in (1, 5):
            rooms = {live: Room(live, strategies) for live in ((10, 40) if given.quick else (10, 100, 1_000))}
            ladders = {live: room for live, room in rooms.items() if live >= 2 * LEVELS}
            print(f"{machine()}; {strategies} strategies; us CPU per judgement, by live orders")
            rows: list[list[object]] = [
                ["Place", *compared(given, rooms, lambda room: room.place)],
                ["view.trading_allowed", *compared(given, rooms, lambda room: room.allowed)],
                ["Quotes 20+20 as they stand", None, *compared(given, ladders, lambda room: room.same_quotes)],
                ["Quotes 20+20 that have moved", None, *compared(given, ladders, lambda room: room.other_quotes)],
            ]
            print(table(["judgement", *map(str, rooms), "ratio"], rows))


if __name__ == "__main__":
    main()
