"""All streams of the venue: which contracts a name watches, when it publishes, and what recorded names replace."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Final

from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.public_trades import AGGREGATE_MS
from coldframe.exchange.market.sessions import Calendar
from coldframe.exchange.market.stream_publishers import AggTrades, BestPrices, Channel, DiffDepth, PartialDepth, Publish, Trades
from coldframe.exchange.market.subscriptions import Subscriptions
from coldframe.exchange.market.summaries import (
    AssetRates,
    Candlesticks,
    Composites,
    Contracts,
    DayTickers,
    Liquidations,
    MarkPrices,
    Sessions,
)
from coldframe.wire.names import StreamKind, StreamName, parse

_MAKERS: Final[dict[StreamKind, Callable[[StreamName, Publish], Channel]]] = {
    StreamKind.AGG_TRADE: AggTrades,
    StreamKind.TRADE: Trades,
    StreamKind.MARK_PRICE: MarkPrices,
    StreamKind.KLINE: Candlesticks,
    StreamKind.CONTINUOUS_KLINE: Candlesticks,
    StreamKind.MINI_TICKER: lambda name, publish: DayTickers(name, publish, mini=True),
    StreamKind.TICKER: lambda name, publish: DayTickers(name, publish, mini=False),
    StreamKind.BOOK_TICKER: BestPrices,
    StreamKind.FORCE_ORDER: Liquidations,
    StreamKind.PARTIAL_DEPTH: PartialDepth,
    StreamKind.DIFF_DEPTH: DiffDepth,
    StreamKind.RPI_DEPTH: DiffDepth,
    StreamKind.COMPOSITE_INDEX: Composites,
    StreamKind.CONTRACT_INFO: Contracts,
    StreamKind.ASSET_INDEX: AssetRates,
    StreamKind.TRADING_SESSION: Sessions,
}
#: Kinds whose subject is not a contract: they watch every contract.
_EVERY_CONTRACT: Final = frozenset({StreamKind.ASSET_INDEX, StreamKind.TRADING_SESSION})
_SECOND_MS: Final = 1000


class Streams:
    """The open channels over the public data of all contracts."""

    def __init__(
        self,
        all_public_data: Iterable[PublicMarketData],
        fixed_rates: Mapping[str, Decimal] | None = None,
        calendar: Calendar | None = None,
    ) -> None:
        #: Prices in US dollars of assets without a contract here.
        self.fixed_rates = fixed_rates or {}
        #: When the markets of TradFi contracts are open.
        self.calendar = calendar or Calendar()
        self.all_public_data = {public_data.symbol: public_data for public_data in all_public_data}
        self.subscriptions = Subscriptions(self._opened, self._closed)
        #: Names that a recording or mirror publishes itself, word for word.
        self._verbatim: set[str] = set()
        self._channels: dict[str, Channel] = {}
        self._aggregates_due_ms = 0
        self._prices_due_ms = 0

    def admit(self, public_data: PublicMarketData) -> None:
        """Takes a contract that was not listed so far: streams that were silent begin, if they are subscribed to."""
        self.all_public_data[public_data.symbol] = public_data
        for wire_name in self.subscriptions.names():
            channel = self._channels.get(wire_name)
            if channel is None:
                self._opened(wire_name)
            elif public_data in self._watched(channel.name):
                channel.joined(public_data)
                public_data.watchers.append(channel)

    def relay(self, name: str, payload: bytes) -> None:
        """Publishes a payload of a recorded or mirrored market as it came; from now on the venue makes none of that name."""
        if name not in self._verbatim:
            self.reserve(name)
        self.subscriptions.publish(name, payload)

    def reserve(self, name: str) -> None:
        """Leaves a name to a recorded or mirrored market."""
        self._verbatim.add(name)
        self._closed(name)

    def tick(self, now_ms: int) -> None:
        """Lets every channel speak whose time has come. `now_ms` is the market's time."""
        if now_ms >= self._aggregates_due_ms:
            self._aggregates_due_ms = _next(now_ms, AGGREGATE_MS // 2)
            for public_data in self.all_public_data.values():
                public_data.close_aggregate(now_ms)
        if now_ms >= self._prices_due_ms:
            self._prices_due_ms = _next(now_ms, _SECOND_MS)
            for public_data in self.all_public_data.values():
                public_data.follow_prices(now_ms)
        for channel in list(self._channels.values()):
            if channel.period_ms and now_ms >= channel.due_ms:
                channel.due_ms = _next(now_ms, channel.period_ms)
                channel.tick(now_ms)

    def _opened(self, wire_name: str) -> None:
        try:
            name = parse(wire_name)
        except ValueError:
            return
        all_public_data = self._watched(name)
        if wire_name in self._verbatim or (name.subject and not all_public_data):
            return
        channel = _MAKERS[name.kind](name, self.subscriptions.publish)
        if isinstance(channel, AssetRates):
            channel.fixed = self.fixed_rates
        elif isinstance(channel, Sessions):
            channel.calendar = self.calendar
        self._channels[wire_name] = channel
        for public_data in all_public_data:
            channel.joined(public_data)
            public_data.watchers.append(channel)

    def _closed(self, wire_name: str) -> None:
        channel = self._channels.pop(wire_name, None)
        if channel is not None:
            for public_data in self.all_public_data.values():
                if channel in public_data.watchers:
                    public_data.watchers.remove(channel)

    def _watched(self, name: StreamName) -> list[PublicMarketData]:
        if not name.subject or name.kind in _EVERY_CONTRACT:
            return list(self.all_public_data.values())
        if name.kind is StreamKind.CONTINUOUS_KLINE and name.contract != "perpetual":
            return []
        public_data = self.all_public_data.get(name.symbol)
        return [public_data] if public_data else []


def _next(now_ms: int, period_ms: int) -> int:
    return (now_ms // period_ms + 1) * period_ms
