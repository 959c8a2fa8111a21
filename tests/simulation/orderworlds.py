"""Worlds in which everything about orders goes wrong, drawn from a seed, and an oracle that knows only the exchange's own books.

A strategy places, quotes, cancels and aims at targets; the exchange hides orders, answers late, amiss or never, tells things
twice; links are cut and rotated, the bot is killed and started again. The oracle looks after every step of the bot: each order of
ours that stands in the exchange's books is alive for the bot (or external, or told as an incident), the worst position that these
books allow is within the strategy's limit, and no order has been accepted or sent twice. At the end nothing is left open but what
the run names as kept, and that can only reduce a position.
"""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from random import Random
from typing import Final

import attrs

from coldframe import Cancel, CancelAll, Intent, Place, Quote, Quotes, Side, Target, TimeInForce
from coldframe.config.venue import EmbeddedVenue, VenueFaults
from coldframe.core.risk import Budget
from coldframe.core.session import SessionLimits
from coldframe.core.trading import TradingLimits
from coldframe.core.userstream import UserStreamLimits
from coldframe.model.effects import LinkKind
from coldframe.model.view import View
from tests.simulation.ends import report
from tests.simulation.pump import Pump, Trader
from tests.simulation.strategies import Puppet

SYMBOL: Final = "BTCUSDT"
LIMIT: Final = Decimal("0.010")
STEP: Final = Decimal("0.002")
#: How long a world is in trouble (seconds): one of these. A round of comparison is due every 30 s, and after each cut.
TROUBLE_S: Final = (1, 2, 3, 5, 8, 13, 21, 45)
#: How long its end may take when the trouble is over.
END_S: Final = 150
_ANSWERS: Final = ("-1007", "-1006", "-1000", "-1001", "-1008", "503", "silence", "cut", "late-answer", "late-request")


@attrs.define
class Outcome:
    """What a world has come to."""

    seed: int
    violations: dict[str, None] = attrs.field(factory=dict)
    orders: int = 0
    hidden: int = 0
    returned: int = 0


class World:
    """One world. `run` lives through it."""

    def __init__(self, seed: int, longest_s: int = TROUBLE_S[-1]) -> None:
        self.chance = Random(f"orders:{seed}")
        self.trouble_s = self.chance.choice([seconds for seconds in TROUBLE_S if seconds <= longest_s])
        self.outcome = Outcome(seed)
        puppet = Puppet()
        puppet.act = self._act
        puppet.patient = False
        self.pump = Pump(
            [Trader(id="mm", make=lambda: puppet, budget=Budget(max_position=LIMIT))],
            settings=EmbeddedVenue(seed=seed, faults=self._faults()),
            seed=seed,
            turn_ms=250,
            travel_ms=self.chance.choice((1, 5, 40)),
            trading=self._limits(),
            grace_ms=END_S * 1_000,
            keep_orders=self.chance.random() < 0.5,
        )
        self.pump.watchers.append(self._check)

    def _limits(self) -> TradingLimits:
        quick = self.chance.random() < 0.3
        return TradingLimits(
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
        if self.trouble_s >= 5 and self.chance.random() < 0.5:
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
            pump.restart()
        elif drawn < 0.5:
            middle = pump.market.best(SYMBOL, Side.BUY)
            pump.market.move(SYMBOL, middle + self.chance.choice((-60, -20, 20, 60)))

    def _act(self, view: View) -> list[Intent]:
        chance, book = self.chance, view.book(SYMBOL)
        drawn = chance.random()
        if drawn < 0.4 or book.best_bid is None or book.best_ask is None:
            return []
        side = chance.choice(list(Side))
        away = Decimal(chance.choice((0, 10, 30, 100)))
        bid, ask = book.best_bid - away, book.best_ask + away
        quantity = STEP * chance.randint(1, 5)
        if drawn < 0.65:
            return [Quotes(SYMBOL, bids=[Quote(bid, quantity)], asks=[Quote(ask, quantity)])]
        if drawn < 0.75:
            return [Target(SYMBOL, STEP * chance.randint(-5, 5))]
        if drawn < 0.9:
            price = bid if side is Side.BUY else ask
            tif = chance.choice((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTX))
            return [Place(symbol=SYMBOL, side=side, quantity=quantity, price=price, time_in_force=tif)]
        mine = view.orders(SYMBOL)
        return [Cancel(chance.choice(mine).client_order_id)] if mine and drawn < 0.97 else [CancelAll(SYMBOL)]

    # -- the oracle ---------------------------------------------------------------------------------------------------

    def _check(self) -> None:
        pump, engine = self.pump, self.pump.engine
        long = short = pump.venue.position(SYMBOL)
        for name, order in pump.venue.open_orders().items():
            known = engine.orders.get(name)
            elsewhere = name in engine.evidence.contradicted or (SYMBOL, order.order_id) in engine.evidence.others.orders
            if (known is None or not known.live) and not elsewhere:
                self._violated(f"{name} stands at the exchange and is {known.state if known else 'forgotten'} here")
            left = order.quantity - order.filled
            long, short = (long + left, short) if order.side is Side.BUY else (long, short - left)
        if max(long, -short) > LIMIT:
            self._violated(f"the worst position at the exchange is {max(long, -short)}, {LIMIT} are allowed")

    def _check_end(self) -> None:
        pump, engine = self.pump, self.pump.engine
        kept = {order.client_order_id: order for order in report(pump).kept}
        for name in pump.venue.open_orders().keys() ^ kept.keys():
            self._violated(f"named as kept, and not open: {name}" if name in kept else f"still open at the end: {name}")
        for order in engine.orders.live:
            if order.client_order_id not in kept:
                self._violated(f"still alive at the end: {order.client_order_id} ({order.state})")
            elif not order.closing:
                self._violated(f"kept although it may add risk: {order.client_order_id}")
        ours, theirs, external = pump.position("mm"), pump.venue.position(SYMBOL), engine.evidence.external.net(SYMBOL)
        if external:
            self._violated(f"{external} are external, and all orders are ours")
        if ours != theirs:
            self._violated(f"position {ours} here, {theirs} at the exchange")
        sent = Counter(params["newClientOrderId"] for method, params in pump.sent if method == "order.place")
        taken = Counter(params["newClientOrderId"] for method, params in pump.venue.carried_out if method == "order.place")
        for name, times in (sent | taken).items():
            if times > 1:
                self._violated(f"sent {times} times: {name}")
        self.outcome.orders = len(sent)
        self.outcome.hidden = len(pump.venue.faults._hidden)
        self.outcome.returned = sum("; it is cancelled" in line for line in pump.log)

    def _violated(self, text: str) -> None:
        self.outcome.violations.setdefault(f"{text} (at {(self.pump.now_ms - 1_700_000_000_000) / 1000:.2f} s)")


def lived(seed: int, longest_s: int = TROUBLE_S[-1]) -> Outcome:
    """One world from its beginning to its end; that it does not end is a violation as well."""
    world = World(seed, longest_s)
    try:
        return world.run()
    except AssertionError as error:
        world.outcome.violations.setdefault(f"it does not end: {error}")
        return world.outcome
