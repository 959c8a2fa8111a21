"""Worlds in which everything about orders goes wrong, drawn from a seed, and an oracle that knows only the exchange's own books.

One or two strategies, on one contract or on two, in one-way or hedge mode, place orders of every type (also conditional ones),
quote, cancel and aim at targets; the exchange hides orders, answers late, amiss or never, tells things twice; links are cut and
rotated, the bot is killed and started again. The oracle looks after every step of the bot: each order of ours that stands in the
exchange's books, or waits there for its trigger, is alive for the bot (or told as an incident), the worst position that these
books allow is within each strategy's limit (what only closes a strategy's position ends at zero), and no order has been accepted
or sent twice. At the end nothing is left open but what the run names as kept, and that can only reduce a position; positions are
what the exchange's trades add up to.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from random import Random
from typing import Final

import attrs

from coldframe.config.venue import EmbeddedVenue, VenueAccount, VenueFaults
from coldframe.core.connectivity.api_session import SessionLimits
from coldframe.core.connectivity.user_stream import UserStreamLimits
from coldframe.core.reconciliation.order_side import OrderSideLimits
from coldframe.core.state.limits import Budget
from coldframe.core.state.protection import OrderPolicy
from coldframe.core.strategies.runtime import OnError
from coldframe.enums import PositionSide, Side
from coldframe.model.effects import LinkKind
from coldframe.plug.strategy_plugin import StrategyPlugin
from tests.simulation.ends import report
from tests.simulation.orderhands import BTC, ETH, Hand
from tests.simulation.orderoracle import Books
from tests.simulation.ordertales import differences_of_journal, different_ends, different_tales
from tests.simulation.pump import Pump, Trader

#: How long a world is in trouble (seconds): one of these, the last one seldom. A round of comparison is due every 30 s, and after
#: each cut.
TROUBLE_S: Final = (1, 2, 3, 5, 8, 13, 21) * 3 + (45,)
#: How long its end may take when the trouble is over.
END_S: Final = 150
_PLACES: Final = ("order.place", "algoOrder.place")
_SIDES: Final = (PositionSide.LONG, PositionSide.SHORT)
_ANSWERS: Final = ("-1007", "-1006", "-1000", "-1001", "-1008", "503", "silence", "cut", "late-answer", "late-request")


@attrs.define
class Outcome:
    """What a world has come to."""

    seed: int
    violations: dict[str, None] = attrs.field(factory=dict)
    orders: int = 0
    conditional: int = 0
    hidden: int = 0
    returned: int = 0
    triggered: int = 0
    traded: int = 0
    restarts: int = 0


class World:
    """One world. `run` lives through it. `storm`: of conditional orders, in a market that moves all the time."""

    def __init__(self, seed: int, longest_s: int = TROUBLE_S[-1], *, storm: bool = False) -> None:
        self.storm = storm
        self.chance = chance = Random(f"orders:{seed}")
        self.trouble_s = chance.choice([seconds for seconds in TROUBLE_S if seconds <= longest_s])
        self.outcome = Outcome(seed)
        self.hedge = chance.random() < 0.25
        self.hands = self._hands()
        self.contracts = {hand.contract.symbol: hand.contract for hand in self.hands.values()}
        accounts = [VenueAccount(name="one", hedge_mode=self.hedge)]
        self.pump = Pump(
            [self._trader(name, hand) for name, hand in self.hands.items()],
            settings=EmbeddedVenue(seed=seed, accounts=accounts, faults=self._faults()),
            seed=seed,
            turn_ms=250,
            travel_ms=chance.choice((1, 5, 40)),
            trading=self._limits(),
            grace_ms=END_S * 1_000,
            keep_orders=chance.random() < 0.5,
            on_end=chance.choice((OrderPolicy.KEEP_PROTECTIVE, OrderPolicy.KEEP_PROTECTIVE, OrderPolicy.CANCEL)),
            hedge=self.hedge,
        )
        self.books = Books(self.pump.venue)
        self.pump.watchers.append(self._check)

    def _hands(self) -> dict[str, Hand]:
        """One strategy mostly, else two that share a contract or have one each."""
        conditional = self.chance.random() < 0.6 or self.storm
        contracts = self.chance.choice([(BTC,)] * 4 + [(BTC, BTC), (BTC, ETH)])
        named = zip(("mm", "two"), contracts, strict=False)
        return {name: Hand(contract, Random(self.chance.random()), self.hedge, conditional, self.storm) for name, contract in named}

    @staticmethod
    def _trader(name: str, hand: Hand) -> Trader:
        symbols = (hand.contract.symbol,)
        plugin = StrategyPlugin(name, symbols, OnError.QUARANTINE, hand.puppet())  # the same in every run of the bot
        return Trader(id=name, make=lambda: plugin, symbols=symbols, budget=Budget(max_position=hand.contract.limit), plugged=True)

    def _limits(self) -> OrderSideLimits:
        quick = self.chance.random() < 0.3
        return OrderSideLimits(
            dead_man_ms=self.chance.choice((0, 20_000)),
            session=SessionLimits(rotate_after_ms=3_000) if quick else SessionLimits(),
            user_stream=UserStreamLimits(rotate_after_ms=4_000) if quick else UserStreamLimits(),
            trades_page=self.chance.choice((3, 500)),
            ended_orders=self.chance.choice((4, 20_000)),
        )

    def _faults(self) -> VenueFaults:
        chance = self.chance
        share = Decimal(chance.choice(("0", "0.2", "0.5")))
        return VenueFaults(
            orders_doubtful=share,
            doubtful_answers=chance.sample(_ANSWERS, chance.randint(1, len(_ANSWERS))),
            answers_delayed=Decimal(chance.choice(("0", "0.4"))),
            fills_duplicated=Decimal(chance.choice(("0", "0.5"))),
            events_delayed=Decimal(chance.choice(("0", "0.3"))),
            events_reordered=chance.random() < 0.5,
            orders_hidden=Decimal(chance.choice(("0", "0.3", "1"))),
            hidden_after_s=Decimal(chance.choice(("0", "5"))),
            hidden_for_s=chance.sample(("2", "5", "8", "15", "40"), chance.randint(1, 5)),
            hidden_from=chance.choice((["query"], ["list"], ["query", "list"], ["query", "list"])),
        )

    # -- what happens -------------------------------------------------------------------------------------------------

    def run(self) -> Outcome:
        """The trouble, and the end."""
        until_ms = self.pump.now_ms + 1_000 * self.trouble_s
        while self.pump.now_ms < until_ms:
            self.pump.run(self.chance.choice((0.1, 0.4, 1.0)))
            self._happen()
        if self.trouble_s >= 5 and self.chance.random() < 0.15:
            self.pump.run(45)  # long enough for a round that nothing but time makes due
        self.pump.venue.faults.settings = VenueFaults()
        self.pump.stop(within_s=END_S + 1)
        self._check_end()
        return self.outcome

    def _happen(self) -> None:
        pump, drawn = self.pump, self.chance.random()
        if drawn < 0.15:
            pump.venue.cut(self.chance.choice((LinkKind.API, LinkKind.PRIVATE)))
        elif drawn < 0.2:
            pump.restart(self.chance.choice(pump.rows_safe))
        elif drawn < (1 if self.storm else 0.6):
            self._move(self.chance.choice(list(self.contracts)))

    def _move(self, symbol: str) -> None:
        """The market goes somewhere else, and trades there."""
        market, contract = self.pump.market, self.contracts[symbol]
        distance = self.chance.choice(contract.away(-60, -20, 20, 60))
        market.move(symbol, contract.round(market.best(symbol, Side.BUY) + distance))
        market.trade(symbol, Side.BUY, contract.step, market.best(symbol, Side.SELL))

    # -- the oracle ---------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        engine = self.pump.engine
        self.books.read()
        for order in self.books.open():
            name, order_id = order.client_id, order.order_id
            known = engine.orders.get(name)
            elsewhere = name in engine.reports.contradicted or (order.symbol, order_id) in engine.state.external.orders
            if (known is None or not known.live) and not elsewhere:
                self._violated(f"{name} stands at the exchange and is {known.state if known else 'forgotten'} here")
        for where, reach in self.books.reach().items():
            worst, limit = reach.worst(self.books.held[where]), self.contracts[where[1]].limit
            if worst > limit:
                self._violated(f"the worst position of {', '.join(where)} at the exchange is {worst}, {limit} are allowed")

    def _check_end(self) -> None:
        pump = self.pump
        kept = {order.client_order_id: order for order in report(pump).kept}
        for name in {order.client_id for order in self.books.open()} ^ kept.keys():
            self._violated(f"named as kept, and not open: {name}" if name in kept else f"still open at the end: {name}")
        for order in pump.engine.orders.live:
            if order.client_order_id not in kept:
                self._violated(f"still alive at the end: {order.client_order_id} ({order.state})")
            elif not order.closing:
                self._violated(f"kept although it may add risk: {order.client_order_id}")
        self._check_positions()
        for text in self._told_amiss():
            self._violated(text)
        sent = Counter(_named(params) for method, params in pump.sent if method in _PLACES)
        taken = Counter(_named(params) for method, params in pump.venue.carried_out if method in _PLACES)
        for name, times in (sent | taken).items():
            if times > 1:
                self._violated(f"sent {times} times: {name}")
        self.outcome.orders = len(sent)
        self.outcome.conditional = sum(method == "algoOrder.place" for method, _ in pump.sent)
        self.outcome.triggered = sum(algo.order_id is not None for algo in pump.venue.books().algos.values())
        self.outcome.traded = len(pump.venue.books().trades)
        self.outcome.restarts = pump.life // 2
        self.outcome.hidden = len(pump.venue.faults._hidden)
        self.outcome.returned = sum("; it is cancelled" in line for line in pump.log)

    def _check_positions(self) -> None:
        engine, sides = self.pump.engine, _SIDES if self.hedge else (PositionSide.BOTH,)
        for symbol in self.contracts:
            external = engine.state.external.account.net(symbol)
            if external:
                self._violated(f"{external} {symbol} are external, and all orders are of the bot")
        for name, hand in self.hands.items():
            for side in sides:
                key = (hand.contract.symbol, side)
                ours, theirs = engine.accounts[name].position(*key).quantity, self.books.held[name, *key]
                if ours != theirs:
                    self._violated(f"position of {', '.join((name, *key))}: {ours} here, {theirs} by the exchange's trades")

    def _told_amiss(self) -> Iterator[str]:
        """What the bot, its journal and its strategies have got wrong of what the exchange's books say."""
        pump = self.pump
        yield from different_ends(pump.venue.books(), pump.engine)
        yield from differences_of_journal(pump.rows, pump.engine)
        if pump.life == 1:
            yield from different_tales(pump.venue.books(), [event for hand in self.hands.values() for event in hand.told])

    def _violated(self, text: str) -> None:
        self.outcome.violations.setdefault(f"{text} (at {(self.pump.now_ms - 1_700_000_000_000) / 1000:.2f} s)")


def _named(params: Mapping[str, object]) -> object:
    return params.get("newClientOrderId") or params.get("clientAlgoId")


def lived(seed: int, longest_s: int = TROUBLE_S[-1], *, storm: bool = False) -> Outcome:
    """One world from its beginning to its end; that it does not end is a violation as well."""
    world = World(seed, longest_s, storm=storm)
    try:
        return world.run()
    except AssertionError as error:
        world.outcome.violations.setdefault(f"it does not end: {error}")
        return world.outcome
