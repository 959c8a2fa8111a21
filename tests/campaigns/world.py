"""A bot that trades on the pump while its links and answers bring mangled bytes: nothing of that may come out of the engine.

Real frames go on between the mangled ones, so that the bot is logged on, has a book, sends orders and asks about them. When a world
has seen enough it is left for a new one.
"""

from __future__ import annotations

from collections import defaultdict, deque
from decimal import Decimal
from random import Random
from typing import Any, Final

import attrs

from coldframe import CancelAll, OrderType, Place, Quote, Quotes, Side, Target
from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.exchange.context import Context
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.faults import FaultPlan
from coldframe.exchange.mirror import Mirror
from coldframe.exchange.trading.account_store import MemoryAccountStore
from coldframe.exchange_server.key_files import keys_for
from coldframe.model import inputs as told
from coldframe.model.effects import LinkKind
from tests.campaigns.mangle import mangled
from tests.randomness import randomness
from tests.simulation.pump import START_MS, Pump, Trader
from tests.simulation.strategies import Puppet

#: Mangled inputs a world sees before it is left, and between two of its own steps.
_INPUTS_A_WORLD: Final = 4_000
_BETWEEN: Final = 12
#: Frames remembered of each kind of link, to be mangled.
_REMEMBERED: Final = 200
_CHANNELS: Final = ("depth@100ms", "markPrice@1s", "aggTrade", "bookTicker", "kline_1m", "forceOrder")


class _Pump(Pump):
    """A pump whose real frames and answers are remembered, and some of whose answers are mangled."""

    def __init__(self, chance: Random, *args: Any, **more: Any) -> None:
        self.chance = chance
        self.seen: dict[LinkKind, deque[bytes]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self.bodies: deque[bytes] = deque(maxlen=_REMEMBERED)
        super().__init__(*args, **more)

    def _step(self, event: told.Input, lane: told.Lane) -> None:
        if isinstance(event, told.FramesReceived) and event.link in self.venue.sockets:
            self.seen[self.venue.sockets[event.link].kind].extend(event.frames)
        if isinstance(event, told.RestAnswered) and event.answer is not None:
            self.bodies.append(event.answer.body[:20_000])
            if self.chance.random() < 0.05:
                status = self.chance.choice([200, 200, 200, 400, 429, 500, 503])
                body = mangled(self.chance, event.answer.body, self.bodies)
                event = attrs.evolve(event, answer=attrs.evolve(event.answer, status=status, body=body))
        super()._step(event, lane)

    def bring(self, link: str, frame: bytes) -> None:
        """A link brings a frame now."""
        market = self.venue.sockets[link].kind is LinkKind.MARKET
        super()._step(told.FramesReceived(link, (frame,)), told.Lane.MARKET if market else told.Lane.PRIVATE)


class World:
    """One world after the other. `take` brings one more mangled frame into the one that there is."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._begin()

    def take(self) -> None:
        """Mangles a frame that a link has brought before, and lets that link bring it; now and then time passes."""
        self._inputs += 1
        if self._inputs > _INPUTS_A_WORLD or self._pump.finished is not None or self._pump.failed is not None:
            self._begin()
        try:
            if self._inputs % _BETWEEN == 0:
                self._live()
            link = self._chance.choice(sorted(self._pump.venue.sockets) or [""])
            seen = self._pump.seen[self._pump.venue.sockets[link].kind] if link else ()
            if seen:
                self._pump.bring(link, mangled(self._chance, self._chance.choice(seen), seen))
        except Exception:
            self._inputs = _INPUTS_A_WORLD  # what is left of this world proves nothing
            raise

    def _begin(self) -> None:
        self._inputs = 0
        self._puppet = Puppet()
        traders = [Trader(id="mm", make=lambda: self._puppet)]
        self._pump = _Pump(self._chance, traders, channels=_CHANNELS, seed=self._chance.randrange(99))
        self._pump.run(2)

    def _live(self) -> None:
        """A little time passes, in which the bot wants something and the market moves."""
        pump, chance = self._pump, self._chance
        best = pump.market.best("BTCUSDT", Side.BUY)
        low, high = best - chance.randint(0, 200), best + chance.randint(50, 200)
        stop: Any = {"type": OrderType.STOP_MARKET, "trigger_price": low, "reduce_only": True}
        wanted: list[Any] = [
            Target("BTCUSDT", Decimal(chance.randint(-3, 3)) / 1000),
            Quotes("BTCUSDT", bids=[Quote(low, Decimal("0.005"))], asks=[Quote(high, Decimal("0.004"))]),
            Place(symbol="BTCUSDT", side=Side.SELL, quantity=Decimal("0.001"), **stop),
            CancelAll(symbol="BTCUSDT"),
        ]
        self._puppet.wanted = [chance.choice(wanted)]
        if chance.random() < 0.2:
            pump.market.move("BTCUSDT", best + chance.randint(-80, 80))
        pump.run(chance.choice([0.1, 0.1, 0.5, 3.0]))


def mirrored(mirror: Mirror) -> None:
    """Puts an exchange on a mirror, so that what it is fed meets books and accounts."""
    settings = Settings(symbols=["BTCUSDT"])
    market = mirror.open(settings, START_MS)
    exchange = Exchange(settings, market.markets, keys_for(["main"], None), MemoryAccountStore(), START_MS, randomness())
    context = Context(settings, exchange, market, lambda: START_MS, FaultPlan(settings.faults, 1, START_MS, Random))
    market.bind(exchange.streams, context.clear_trades)
