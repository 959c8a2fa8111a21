"""A seeded market: background liquidity quotes round a wandering fair value, takes, sweeps, and at times is liquidated.

It lives on a time grid of its own: what happens in a step depends on the seed and on the book alone, never on sockets or on when
they are read. Background orders stand in the same queues as all others, so that quotes of accounts are met like any others.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

import attrs

from coldframe.enums import OrderStatus, OrderType, Side, TimeInForce
from coldframe.errors import ConfigError
from coldframe.exchange.contracts import Contract, contract, to_scaled
from coldframe.exchange.market.candles import Candle
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.streams import Streams
from coldframe.exchange.market.symbol_market import SymbolMarket, TradeExecution, UpdateIds
from coldframe.exchange.market_source import Settle
from coldframe.exchange.matching import Taker
from coldframe.exchange.randomness import Seeded
from coldframe.exchange.settings import EmbeddedVenue as Settings
from coldframe.exchange.synthetic_symbols import SYNTHETIC_SYMBOLS, SyntheticSymbol
from coldframe.units import unscaled
from coldframe.wire.reference import LeverageTier
from coldframe.wire.streams import LiquidationOrder

#: The grid, and how far behind it may fall before it skips ahead instead of catching up.
STEP_MS: Final = 50
_CATCH_UP_MS: Final = 10_000
_THOUSAND: Final = 1000
#: Levels of each side: near the best price, and farther out.
_NEAR, _FAR = 12, 90
_MOST_LEVELS: Final = 240
_EVERY_LEVEL: Final = 1_000_000
#: How often things happen to the busiest contract at the usual pace, in thousandths per step.
_TAKES: Final = 170
_SWEEPS: Final = 16
_RESIZES: Final = 2200
#: How deep a sweep goes, in hundredths of a basis point.
_SWEEP_DEPTHS: Final = (50, 420)
#: Seconds to the first liquidation and contract change, then between two of them.
_FIRST_EVENTS_S: Final = (4, 7)
_BETWEEN_EVENTS_S: Final = (25, 55)
_HISTORY_MINUTES: Final = 1500
#: What the fair value is pulled back by, per step: one part in so many.
_PULL: Final = 2500


class SyntheticMarket:
    """All contracts of the synthetic market; `seeded` makes its chance. `bind` must be called before the first `advance`."""

    follows_clock = True
    ended = False
    fault = None

    def __init__(self, settings: Settings, start_ms: int, remembered: Mapping[str, int], seeded: Seeded) -> None:
        self._pace, self._settings, self._seeded = settings.pace, settings, seeded
        self._rng = seeded(f"{settings.seed}:market")
        self._next_ms = (start_ms // STEP_MS + 1) * STEP_MS
        self._liquidation_ms = start_ms + self._soon(_FIRST_EVENTS_S)
        self._change_ms = start_ms + self._soon(_FIRST_EVENTS_S)
        self._settle: Settle | None = None
        self._ids = UpdateIds(start_ms * 1000, seeded(f"{settings.seed}:ids"))
        self._backgrounds = [
            _BackgroundLiquidity(parameters, settings, start_ms, self._ids, seeded, remembered.get(parameters.listing.symbol))
            for parameters in _chosen(settings)
        ]
        self._busiest = max(self._backgrounds, key=lambda background: background.busy)
        self._liquidations = 0
        self.markets = {background.market.contract.symbol: background.market for background in self._backgrounds}

    def bind(self, streams: Streams, settle: Settle) -> None:
        """Connects the market with the venue's clearing."""
        self._settle = settle

    def advance(self, now_ms: int) -> None:
        """Lets the market live up to `now_ms`."""
        if now_ms - self._next_ms > _CATCH_UP_MS:
            self._next_ms = now_ms // STEP_MS * STEP_MS
        while self._next_ms <= now_ms:
            at_ms, self._next_ms = self._next_ms, self._next_ms + STEP_MS
            for background in self._backgrounds:
                self._settled(background, background.step(at_ms))
            self._happen(at_ms)

    def introduce(self, symbol: str, now_ms: int) -> SymbolMarket | None:
        """The market of a synthetic symbol that is listed now: it begins without a past."""
        parameters = next((known for known in SYNTHETIC_SYMBOLS if known.listing.symbol == symbol), None)
        if parameters is None or symbol in self.markets:
            return None
        new = attrs.evolve(parameters, listing=attrs.evolve(parameters.listing, onboard_ms=now_ms))
        background = _BackgroundLiquidity(new, self._settings, now_ms, self._ids, self._seeded, None, has_past=False)
        self._backgrounds.append(background)
        self.markets[symbol] = background.market
        return background.market

    def next_due_ms(self) -> int:
        """The next step of its grid."""
        return self._next_ms

    def when_complete(self, symbol: str, then: Callable[[], None]) -> None:
        """Its books are complete from the beginning."""
        then()

    def listened_to(self, name: str) -> None:
        """It goes on whether a client listens or not."""

    def _happen(self, at_ms: int) -> None:
        if at_ms >= self._liquidation_ms:
            self._liquidation_ms = at_ms + self._soon(_BETWEEN_EVENTS_S)
            background = self._next_liquidated()
            self._settled(background, background.liquidate(at_ms))
        if at_ms >= self._change_ms:
            self._change_ms = at_ms + self._soon(_BETWEEN_EVENTS_S)
            self._rng.choice(self._backgrounds).change_contract()

    def _next_liquidated(self) -> _BackgroundLiquidity:
        """The busiest contract first and every second time: its listeners hear of a liquidation within two minutes."""
        self._liquidations += 1
        return self._busiest if self._liquidations % 2 else self._rng.choice(self._backgrounds)

    def _settled(self, background: _BackgroundLiquidity, executions: list[TradeExecution]) -> None:
        if executions and self._settle is not None:
            self._settle(background.market.contract.symbol, executions)

    def _soon(self, seconds: tuple[int, int]) -> int:
        return int(self._rng.randint(*seconds) * 1000 / max(self._pace, Decimal(1)))


def _chosen(settings: Settings) -> list[SyntheticSymbol]:
    """The contracts that are listed from the start."""
    known = {parameters.listing.symbol: parameters for parameters in SYNTHETIC_SYMBOLS}
    wanted, later = settings.symbols, settings.listed_later()
    unknown = [symbol for symbol in wanted if symbol not in known]
    if unknown:
        listed = ", ".join(known)
        raise ConfigError(f"venue.embedded.symbols: the synthetic market lists no {', '.join(unknown)}; it has {listed}")
    chosen = [known[symbol] for symbol in wanted or known if symbol not in later]
    if not chosen:
        raise ConfigError("venue.embedded.symbols: every contract has a listing time; at least 1 must be listed from the start")
    return chosen


class _BackgroundLiquidity:
    """The simulated public in one contract. Prices are counted in ticks, the fair value in thousandths of one."""

    def __init__(
        self,
        parameters: SyntheticSymbol,
        settings: Settings,
        start_ms: int,
        ids: UpdateIds,
        seeded: Seeded,
        remembered: int | None,
        *,
        has_past: bool = True,
    ) -> None:
        self._parameters = parameters
        self._rng = seeded(f"{settings.seed}:{parameters.listing.symbol}")
        self._pace = max(int(settings.pace * parameters.busy), 1)
        self._tick = to_scaled(parameters.listing.tick)
        self._lot = to_scaled(parameters.listing.step)
        opening = to_scaled(parameters.price) * self._rng.randint(9900, 10_100) // 10_000
        first = (remembered or opening) // self._tick
        self._fair = self._anchor = first * _THOUSAND
        self._half = _THOUSAND * parameters.spacing
        self._flow = 0
        self._changes = 0
        first_trade_id = _first_trade_id(start_ms)
        interval_ms = settings.funding_interval_s * 1000 // parameters.funding_divisor
        public_data = PublicMarketData(contract(parameters.listing), interval_ms, first_trade_id // 2)
        public_data.prices.cap = parameters.funding_cap
        public_data.components = parameters.parts()
        if has_past:
            public_data.candles.seed(partial(_history, parameters, seeded, self._lot, self._tick, first, start_ms))
        public_data.book.known = True
        public_data.prices.begin(first * self._tick)
        self.market = SymbolMarket(public_data, ids, first_trade_id, shows_orders=True)
        self._fill_in(start_ms, everywhere=True)

    @property
    def busy(self) -> int:
        """How busy the contract is, in percent of the busiest."""
        return self._parameters.busy

    # -- one step -----------------------------------------------------------------------------------------------------

    def step(self, at_ms: int) -> list[TradeExecution]:
        """Fifty milliseconds: the fair value moves, the public takes, cancels what is stale and quotes anew."""
        if not self.market.contract.trading:
            return []
        self._follow_rules(at_ms)
        rng = self._rng
        self._wander()
        met: list[TradeExecution] = []
        for _ in range(self._count(_TAKES)):
            met += self._send_market_order(at_ms)
        for _ in range(self._count(_SWEEPS)):
            met += self._sweep(at_ms, rng.randint(*_SWEEP_DEPTHS))
        self._cancel_stale(at_ms)
        if not rng.randrange(_THOUSAND // STEP_MS):
            self._let_go(at_ms)
        met += self._fill_in(at_ms)
        for _ in range(self._count(_RESIZES)):
            met += self._resize(at_ms)
        self.market.public_data.fair = unscaled(self._fair * self._tick // _THOUSAND)
        return met

    def liquidate(self, at_ms: int) -> list[TradeExecution]:
        """An account of the public is liquidated: a deep sweep, and a public liquidation order."""
        if not self.market.contract.trading:
            return []
        side = self._rng.choice((Side.BUY, Side.SELL))
        before = self.market.public_data.trades.last
        met = self._sweep(at_ms, self._rng.randint(300, 700), side)
        last = self.market.public_data.trades.last
        if last is None or last is before:
            return met
        quantity = self._size(3) * self._lot
        listed = self.market.contract
        text = listed.quantity_text(quantity)
        self.market.public_data.liquidated(
            LiquidationOrder(
                symbol=listed.symbol,
                side=side,
                type=OrderType.LIMIT,
                time_in_force=TimeInForce.IOC,
                quantity=text,
                price=listed.price_text(self._beyond(side, 100)),
                average_price=last.price_text,
                status=OrderStatus.FILLED,
                last_quantity=text,
                filled_quantity=text,
                trade_ms=at_ms,
            )
        )
        return met

    def change_contract(self) -> None:
        """The contract is announced anew, every other time with changed leverage brackets."""
        self._changes += 1
        listed, new_brackets = self.market.contract, self._changes % 2 == 1
        if new_brackets:
            listed = _with_last_cap(listed, self._changes)
        self.market.public_data.contract_changed(listed, new_brackets=new_brackets)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _follow_rules(self, at_ms: int) -> None:
        """Where tick or step have changed, cancels all background quotes and goes on in the new ones."""
        filters = self.market.contract.filters
        tick, lot = to_scaled(filters.tick), to_scaled(filters.lot.step)
        if (tick, lot) == (self._tick, self._lot):
            return
        self._fair, self._anchor = self._fair * self._tick // tick, self._anchor * self._tick // tick
        wander, size = self._parameters.wander * self._tick // tick, self._parameters.size * self._lot // lot
        self._parameters = attrs.evolve(self._parameters, wander=max(wander, 1), size=max(size, 1))
        self._half = _THOUSAND * self._parameters.spacing
        self._tick, self._lot = tick, lot
        for side in (Side.BUY, Side.SELL):
            for price, _ in self.market.matching.depth(side, _EVERY_LEVEL):
                self.market.leave(side, price, self.market.matching.background_at(side, price), at_ms)
        self._fill_in(at_ms, everywhere=True)

    def _wander(self) -> None:
        rng, wander = self._rng, self._parameters.wander
        self._anchor += round(rng.gauss(0, wander / 4))
        self._fair += round(rng.gauss(0, wander)) + (self._anchor - self._fair) // _PULL
        self._fair = max(self._fair, _THOUSAND * _NEAR * self._parameters.spacing * 2)
        if rng.randrange(20) == 0:
            self._half = rng.randint(400, 1400) * self._parameters.spacing

    def _count(self, rate: int) -> int:
        mean = rate * self._pace // 100
        return mean // _THOUSAND + (self._rng.randrange(_THOUSAND) < mean % _THOUSAND)

    def _size(self, times: int = 1) -> int:
        """A number of steps round the usual one, with a long tail."""
        usual = self._parameters.size * times
        return max(1, round(self._rng.lognormvariate(0, 0.8) * usual / 2))

    def _send_market_order(self, at_ms: int) -> list[TradeExecution]:
        """One market order; buyers and sellers come in runs."""
        rng = self._rng
        self._flow = (self._flow * 9 + rng.randint(-300, 300)) // 10
        side = Side.BUY if rng.randint(-500, 500) < self._flow else Side.SELL
        best = self.market.matching.best(side.opposite)
        if best is None:
            return []
        # Every fourth take empties the best level, so that every order in its queue is met before long.
        wanted = self._size() * self._lot // 4
        if rng.randrange(4) == 0:
            wanted = max(wanted, self.market.matching.quantity_at(side.opposite, best))
        return self._hit(side, max(wanted // self._lot, 1) * self._lot, self._beyond(side, 300), at_ms)

    def _sweep(self, at_ms: int, depth: int, side: Side | None = None) -> list[TradeExecution]:
        """One order through many levels, `depth` hundredths of a basis point deep; the fair value gives way a little."""
        side = side or self._rng.choice((Side.BUY, Side.SELL))
        limit = self._beyond(side, depth)
        reached = Taker(side=side, quantity=10**30, limit=limit)
        quantity = self.market.matching.fillable(reached)
        self._fair += side.sign * self._fair * depth // 1_000_000 // 8
        return self._hit(side, quantity, limit, at_ms) if quantity else []

    def _hit(self, side: Side, quantity: int, limit: int, at_ms: int) -> list[TradeExecution]:
        _, met = self.market.trade_order(Taker(side=side, quantity=quantity, limit=limit), at_ms)
        return met

    def _beyond(self, side: Side, depth: int) -> int:
        """A price `depth` hundredths of a basis point, and a tick at least, beyond the fair value; scaled."""
        fair = self._fair // _THOUSAND
        return (fair + side.sign * max(fair * depth // 1_000_000, 1)) * self._tick

    def _lattice(self, side: Side, count: int) -> list[int]:
        """The prices in ticks at which the public quotes, best first: near ones close together, the others wider."""
        sign, spacing = side.sign, self._parameters.spacing
        far, edge = spacing * self._parameters.far, self._fair - sign * self._half
        best = edge // (_THOUSAND * spacing) * spacing
        if side is Side.SELL and best * _THOUSAND < edge:
            best += spacing
        near = [*range(best, best - sign * spacing * min(count, _NEAR), -sign * spacing)]
        if count <= _NEAR:
            return near
        start = near[-1] // far * far - sign * far
        prices = [*near, *range(start, start - sign * far * (count - _NEAR), -sign * far)]
        return prices if prices[-1] > 0 < prices[0] else [price for price in prices if price > 0]

    def _cancel_stale(self, at_ms: int) -> None:
        """Quotes that the fair value has overtaken are taken back."""
        for side in (Side.BUY, Side.SELL):
            best = self._lattice(side, 1)[0] * self._tick
            for price in self.market.matching.better_than(side, best, _NEAR * 4):
                background = self.market.matching.background_at(side, price)
                if background:
                    self.market.leave(side, price, background, at_ms)

    def _let_go(self, at_ms: int) -> None:
        """Quotes far from the best price do not stay for ever."""
        for side in (Side.BUY, Side.SELL):
            for price, _ in self.market.matching.depth(side, _MOST_LEVELS + _FAR)[_MOST_LEVELS:]:
                self.market.leave(side, price, self.market.matching.background_at(side, price), at_ms)

    def _fill_in(self, at_ms: int, *, everywhere: bool = False) -> list[TradeExecution]:
        """Levels near the best price that stand empty are quoted anew, most of them at once."""
        met: list[TradeExecution] = []
        background_at, tick = self.market.matching.background_at, self._tick
        for side in (Side.BUY, Side.SELL):
            for price in self._lattice(side, _FAR if everywhere else _NEAR):
                if not background_at(side, price * tick) and (everywhere or self._rng.randrange(3)):
                    met += self._join(side, price * tick, self._size() * self._lot, at_ms)
        return met

    def _resize(self, at_ms: int) -> list[TradeExecution]:
        """A background order joins or leaves a level, most often near the best price."""
        rng = self._rng
        side = rng.choice((Side.BUY, Side.SELL))
        levels = self._lattice(side, _FAR)
        price = levels[min(int(rng.expovariate(1 / 18)), len(levels) - 1)] * self._tick
        standing = self.market.matching.background_at(side, price)
        if standing > self._parameters.size * self._lot * 2 or (standing and rng.randrange(2)):
            part = max(standing // self._lot * rng.randint(1, 4) // 4, 1) * self._lot
            self.market.leave(side, price, part, at_ms)
            return []
        return self._join(side, price, self._size() * self._lot, at_ms)

    def _join(self, side: Side, price: int, quantity: int, at_ms: int) -> list[TradeExecution]:
        """A limit order of the public: what it crosses it takes, the rest it quotes."""
        met: list[TradeExecution] = []
        if self.market.matching.crosses(side, price):
            taken, met = self.market.trade_order(Taker(side=side, quantity=quantity, limit=price), at_ms)
            quantity = taken.left
        if quantity:
            self.market.rest(side, price, quantity, at_ms)
        return met


def _history(parameters: SyntheticSymbol, seeded: Seeded, lot: int, tick: int, first: int, start_ms: int) -> list[Candle]:
    """A past of a day and an hour, in bars of a minute, that ends at the opening price (`first`, in ticks)."""
    rng = seeded(f"{parameters.listing.symbol}:{first}")
    # A minute has 1200 steps, so its deviation is about 35 times that of one step.
    swing = max(parameters.wander * 35 // _THOUSAND, 2)
    bars: list[Candle] = []
    price, trade_id = first, _first_trade_id(start_ms)
    open_ms = start_ms // 60_000 * 60_000
    for number in range(1, _HISTORY_MINUTES + 1):
        before = max(price + round(rng.gauss(0, swing)), swing * 4)
        high = max(before, price) + rng.randint(0, swing)
        low = min(before, price) - rng.randint(0, swing)
        trades = rng.randint(200, 500)
        volume = trades * parameters.size * lot // 4
        quote = volume * (high + low) // 2 * tick
        begin = open_ms - number * 60_000
        bar = Candle(
            begin,
            begin + 59_999,
            trade_id - trades,
            trade_id - 1,
            before * tick,
            high * tick,
            low * tick,
            price * tick,
            volume,
            quote,
            volume // 2,
            quote // 2,
            trades,
        )
        bars.append(bar)
        price, trade_id = before, trade_id - trades
    bars.reverse()
    return bars


def _first_trade_id(start_ms: int) -> int:
    return start_ms // 10


def _with_last_cap(listed: Contract, number: int) -> Contract:
    """The same contract with another notional cap of its last bracket."""
    last = listed.tiers[-1]
    fields = {name: getattr(last, name) for name in last.__struct_fields__ if name != "extra"}
    fields["notional_cap"] = last.notional_floor * 2 + number * 100_000
    return Contract(listed.info, (*listed.tiers[:-1], LeverageTier(**fields)))
