"""Market traffic like a busy venue's, from a seed: combined frames of several symbols, whose depth events chain and never cross.

`small` is what most of a market is (70 % best prices, 30 % trades, about 185 bytes each), `depth` is book events of about 140
levels near the middle, a quarter of them removals, and `mixed` is one of these to nine small messages.
"""

from __future__ import annotations

from random import Random
from typing import Final

#: The channels of the traffic, as a configuration names them.
CHANNELS: Final = ("depth@100ms", "aggTrade", "bookTicker")
SYMBOLS: Final = ("BTCUSDT", "ETHUSDT", "SOLUSDT", "BNBUSDT", "ADAUSDT")
#: Share of depth events and of trades; the rest are best prices.
MIXES: Final = {"small": (0.0, 0.3), "mixed": (0.1, 0.27), "depth": (1.0, 0.0)}
START_MS: Final = 1_700_000_000_000
#: Prices are counted in tenths, quantities in thousandths.
_MIDDLE: Final = 670_000
_RESTING: Final = 1_000
_MOST: Final = 20_000
_DEPTH_LEVELS: Final = 70

Levels = dict[int, int]


class SymbolTraffic:
    """One symbol: a middle that walks, and resting levels on both sides of it."""

    def __init__(self, symbol: str, chance: Random, middle: int) -> None:
        self.symbol, self._chance, self._middle = symbol, chance, middle
        self.now_ms = START_MS
        self._update, self._trade = 4_000_000_000_000, 2_000_000_000
        self._bids = {middle - 1 - away: self._quantity() for away in range(_RESTING)}
        self._asks = {middle + 1 + away: self._quantity() for away in range(_RESTING)}

    def snapshot(self) -> bytes:
        bids, asks = _levels(dict(sorted(self._bids.items(), reverse=True))), _levels(dict(sorted(self._asks.items())))
        times = f'"lastUpdateId":{self._update},"E":{self.now_ms},"T":{self.now_ms}'
        return f'{{{times},"bids":{bids},"asks":{asks}}}'.encode()

    def depth(self) -> bytes:
        """The next event of the book: it follows on the one before."""
        previous, self._update = self._update, self._update + self._chance.randint(100, 200)
        self._middle += (step := self._chance.choice((-3, -2, -1, -1, 0, 0, 0, 1, 1, 2, 3)))
        bids, asks = self._crossed(self._bids, step), self._crossed(self._asks, step)
        bids |= self._changed(self._bids, -1)
        asks |= self._changed(self._asks, 1)
        ids = f'"U":{previous + 1},"u":{self._update},"pu":{previous}'
        return self._frame("depth@100ms", f'"e":"depthUpdate",{self._times()},{ids},"b":{_levels(bids)},"a":{_levels(asks)}')

    def trade(self) -> bytes:
        self._trade += 1
        price, maker = self._middle + self._chance.choice((-1, 1)), self._chance.choice(("true", "false"))
        ids = f'"a":{self._trade},"f":{self._trade},"l":{self._trade}'
        traded = f'"p":"{_price(price)}","q":"{_size(self._quantity())}","m":{maker}'
        return self._frame("aggTrade", f'"e":"aggTrade",{self._times()},{ids},{traded}')

    def best(self) -> bytes:
        bid = f'"b":"{_price(self._middle - 1)}","B":"{_size(self._quantity())}"'
        ask = f'"a":"{_price(self._middle + 1)}","A":"{_size(self._quantity())}"'
        return self._frame("bookTicker", f'"e":"bookTicker","u":{self._update},{bid},{ask},{self._times()}')

    def _times(self) -> str:
        return f'"E":{self.now_ms},"T":{self.now_ms},"s":"{self.symbol}"'

    def _frame(self, channel: str, fields: str) -> bytes:
        return f'{{"stream":"{self.symbol.lower()}@{channel}","data":{{{fields}}}}}'.encode()

    def _quantity(self) -> int:
        return self._chance.randrange(1, _MOST)

    def _crossed(self, side: Levels, step: int) -> Levels:
        """Removes the levels that the middle has walked over."""
        near = range(self._middle - abs(step) - 1, self._middle + abs(step) + 2)
        gone = [
            price
            for price in near
            if price in side and ((price >= self._middle) if side is self._bids else (price <= self._middle))
        ]
        for price in gone:
            del side[price]
        return dict.fromkeys(gone, 0)

    def _changed(self, side: Levels, sign: int) -> Levels:
        """Changes levels, most of them near the middle."""
        chance, changed = self._chance, Levels()
        wanted = max(2, int(chance.gauss(_DEPTH_LEVELS, _DEPTH_LEVELS / 4)))
        while len(changed) < wanted:
            away = int(chance.expovariate(1 / 40)) if chance.random() < 0.9 else chance.randrange(_RESTING)
            price = self._middle + sign * (1 + away)
            if price in side and chance.random() < 0.28:
                del side[price]
                changed[price] = 0
            else:
                side[price] = changed[price] = self._quantity()
        return changed


def _price(tenths: int) -> str:
    return f"{tenths // 10}.{tenths % 10}0"


def _size(thousandths: int) -> str:
    return f"{thousandths // 1000}.{thousandths % 1000:03d}"


def _levels(levels: Levels) -> str:
    return "[" + ",".join(f'["{_price(price)}","{_size(quantity)}"]' for price, quantity in levels.items()) + "]"


class Traffic:
    """The traffic of several symbols. The same calls give the same bytes."""

    def __init__(self, symbols: int = len(SYMBOLS), seed: int = 7) -> None:
        self._chance = Random(seed)
        names = [*SYMBOLS, *(f"C{number}USDT" for number in range(symbols - len(SYMBOLS)))][:symbols]
        self._symbols = [SymbolTraffic(name, self._chance, _MIDDLE + 1_000 * number) for number, name in enumerate(names)]
        #: The book of each symbol from before the first frame.
        self.snapshots = {symbol.symbol: symbol.snapshot() for symbol in self._symbols}

        self.streams = [f"{name.lower()}@{channel}" for name in names for channel in CHANNELS]

    def best(self) -> bytes:
        """A best price more."""
        return self._symbols[0].best()

    def trade(self) -> bytes:
        """A trade more."""
        return self._symbols[0].trade()

    def frames(self, mix: str, count: int) -> list[bytes]:
        """The next messages, of this mix."""
        return [self._frame(*MIXES[mix]) for _ in range(count)]

    def _frame(self, depth: float, trades: float) -> bytes:
        symbol, drawn = self._chance.choice(self._symbols), self._chance.random()
        symbol.now_ms += self._chance.randrange(3)
        if drawn < depth:
            return symbol.depth()
        return symbol.trade() if drawn < depth + trades else symbol.best()
