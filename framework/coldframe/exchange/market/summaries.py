"""The streams that sum up: candles, day tickers, mark prices, liquidations, contracts, indices, sessions."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal

from msgspec import UNSET

from coldframe.enums import ContractType
from coldframe.exchange.market.candles import Candle
from coldframe.exchange.market.indices import asset_rates, composite
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.public_trades import MarketTrade
from coldframe.exchange.market.sessions import Calendar
from coldframe.exchange.market.stream_publishers import Channel, Publish
from coldframe.units import plain, unscaled
from coldframe.wire.names import StreamName
from coldframe.wire.streams import (
    Bar,
    Bracket,
    ContinuousKline,
    ContractInfo,
    ForceOrder,
    Kline,
    LiquidationOrder,
    MarkPrice,
    MiniTicker,
    Ticker,
)


class Candlesticks(Channel):
    """`<symbol>@kline_<interval>` and its continuous twin: every 250 ms when it changed, and once more when it closes."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._public_data: PublicMarketData | None = None
        self._running: Candle | None = None
        self._dirty = False
        self._closed = False

    def joined(self, public_data: PublicMarketData) -> None:
        self._public_data = public_data
        self._running = public_data.candles.watch(self.name.interval)
        self._dirty = self._running is not None

    def on_trade(self, public_data: PublicMarketData, trade: MarketTrade) -> None:
        running = public_data.candles.watch(self.name.interval)
        if running is not self._running:
            self._close(public_data, trade.at_ms)
            self._running, self._closed = running, False
        self._dirty = True

    def tick(self, now_ms: int) -> None:
        public_data, running = self._public_data, self._running
        if public_data is None or running is None:
            return
        if now_ms > running.close_ms:
            self._close(public_data, now_ms)
        elif self._dirty:
            self._emit_bar(public_data, running, now_ms, closed=False)
        self._dirty = False

    def _close(self, public_data: PublicMarketData, now_ms: int) -> None:
        if self._running is not None and not self._closed:
            self._closed = True
            self._emit_bar(public_data, self._running, now_ms, closed=True)

    def _emit_bar(self, public_data: PublicMarketData, candle: Candle, now_ms: int, *, closed: bool) -> None:
        bar = _bar(public_data, candle, self.name, closed=closed)
        if self.name.contract:
            kind = ContractType(self.name.contract.upper())
            self.emit(
                ContinuousKline(event="continuous_kline", event_ms=now_ms, pair=public_data.symbol, contract_type=kind, bar=bar)
            )
        else:
            self.emit(Kline(event="kline", event_ms=now_ms, symbol=public_data.symbol, bar=bar))


def _bar(public_data: PublicMarketData, candle: Candle, name: StreamName, *, closed: bool) -> Bar:
    contract = public_data.contract
    return Bar(
        open_ms=candle.open_ms,
        close_ms=candle.close_ms,
        interval=name.interval,
        first_id=candle.first_id,
        last_id=candle.last_id,
        open=contract.price_text(candle.open),
        close=contract.price_text(candle.close),
        high=contract.price_text(candle.high),
        low=contract.price_text(candle.low),
        volume=contract.quantity_text(candle.volume),
        trades=candle.trades,
        closed=closed,
        quote_volume=contract.quote_text(candle.quote),
        taker_buy_volume=contract.quantity_text(candle.taker_volume),
        taker_buy_quote_volume=contract.quote_text(candle.taker_quote),
        ignored="0",
        symbol=UNSET if name.contract else public_data.symbol,
    )


class DayTickers(Channel):
    """Tickers and mini tickers, of one contract or of all that changed."""

    def __init__(self, name: StreamName, publish: Publish, *, mini: bool) -> None:
        super().__init__(name, publish)
        self._mini = mini
        self._all_public_data: list[PublicMarketData] = []
        self._said: dict[str, int] = {}

    def joined(self, public_data: PublicMarketData) -> None:
        self._all_public_data.append(public_data)

    def tick(self, now_ms: int) -> None:
        rows: list[MiniTicker | Ticker] = []
        for public_data in self._all_public_data:
            last = public_data.trades.last
            day = public_data.candles.day(now_ms)
            if last is None or day is None or self._said.get(public_data.symbol) == last.trade_id:
                continue
            self._said[public_data.symbol] = last.trade_id
            rows.append(mini_ticker(public_data, day, now_ms) if self._mini else ticker(public_data, day, now_ms))
        if rows:
            self.emit(rows[0] if self.name.subject else rows)


def mini_ticker(public_data: PublicMarketData, day: Candle, now_ms: int) -> MiniTicker:
    """The last 24 hours in short."""
    contract = public_data.contract
    return MiniTicker(
        event="24hrMiniTicker",
        event_ms=now_ms,
        symbol=public_data.symbol,
        pair=public_data.symbol,
        close=contract.price_text(day.close),
        open=contract.price_text(day.open),
        high=contract.price_text(day.high),
        low=contract.price_text(day.low),
        volume=contract.quantity_text(day.volume),
        quote_volume=contract.quote_text(day.quote),
        product=1,
    )


def _weighted(day: Candle, digits: int) -> Decimal:
    """The average price of a day, weighted by quantity: rounded to the digits of a price, as recordings have it."""
    average = day.quote // day.volume if day.volume else day.close
    return unscaled(average).quantize(Decimal(1).scaleb(-digits))


def ticker(public_data: PublicMarketData, day: Candle, now_ms: int) -> Ticker:
    """The last 24 hours in full."""
    contract, last = public_data.contract, public_data.trades.last
    change = unscaled(abs(day.close - day.open))
    sign = "-" if day.close < day.open else ""
    percent = change * 100 / unscaled(day.open) if day.open else change
    return Ticker(
        event="24hrTicker",
        event_ms=now_ms,
        symbol=public_data.symbol,
        pair=public_data.symbol,
        change=sign + contract.price_text(change),
        change_percent=f"{sign}{percent:.3f}",
        weighted_average=contract.price_text(_weighted(day, contract.price_digits)),
        close=contract.price_text(day.close),
        last_quantity=last.quantity_text if last else contract.quantity_text(0),
        open=contract.price_text(day.open),
        high=contract.price_text(day.high),
        low=contract.price_text(day.low),
        volume=contract.quantity_text(day.volume),
        quote_volume=contract.quote_text(day.quote),
        open_ms=day.open_ms,
        close_ms=now_ms,
        first_id=day.first_id,
        last_id=day.last_id,
        trades=day.trades,
        product=1,
    )


class MarkPrices(Channel):
    """`<symbol>@markPrice` and `!markPrice@arr`: every second or every third, whether it changed or not."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._all_public_data: list[PublicMarketData] = []

    def joined(self, public_data: PublicMarketData) -> None:
        self._all_public_data.append(public_data)

    def tick(self, now_ms: int) -> None:
        rows = [
            mark_price(public_data, now_ms)
            for public_data in self._all_public_data
            if public_data.prices.known and not public_data.contract.closed
        ]
        if rows:
            self.emit(rows[0] if self.name.subject else rows)


def mark_price(public_data: PublicMarketData, now_ms: int) -> MarkPrice:
    """Mark price, index price and funding of one contract."""
    prices = public_data.prices
    rate, funding_ms = public_data.coming_funding(now_ms)
    return MarkPrice(
        event="markPriceUpdate",
        event_ms=now_ms,
        symbol=public_data.symbol,
        mark_price=plain(prices.mark),
        average_mark_price=plain(prices.average),
        settle_price=plain(prices.index),
        index_price=plain(prices.index),
        funding_rate=plain(rate),
        next_funding_ms=funding_ms,
        product=1,
    )


class Liquidations(Channel):
    """`<symbol>@forceOrder`, `!forceOrder@arr`: the latest liquidation of each contract within a second."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._latest: dict[str, LiquidationOrder] = {}

    def on_liquidation(self, public_data: PublicMarketData, order: LiquidationOrder) -> None:
        self._latest[public_data.symbol] = order

    def tick(self, now_ms: int) -> None:
        for symbol, order in self._latest.items():
            if self.name.subject:
                self.emit(ForceOrder(event="forceOrder", event_ms=now_ms, order=order, product=1))
            else:
                self.emit(ForceOrder(event="forceOrder", event_ms=now_ms, order=order, pair=symbol, product=1))
        self._latest.clear()


class Contracts(Channel):
    """`!contractInfo`: a contract changed; with its brackets only when those did."""

    def on_contract(self, public_data: PublicMarketData, brackets: list[Bracket] | None) -> None:
        info = public_data.contract.info
        self.emit(
            ContractInfo(
                event="contractInfo",
                event_ms=public_data.now_ms,
                symbol=info.symbol,
                pair=info.pair,
                contract_type=ContractType(info.contract_type),
                delivery_ms=int(info.delivery_date or 0),
                onboard_ms=int(info.onboard_date or 0),
                status=info.status,
                brackets=UNSET if brackets is None else brackets,
                product=1,
            )
        )


class Composites(Channel):
    """`<symbol>@compositeIndex`: the composition of an index contract, every second."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._public_data: PublicMarketData | None = None

    def joined(self, public_data: PublicMarketData) -> None:
        self._public_data = public_data

    def tick(self, now_ms: int) -> None:
        message = composite(self._public_data, now_ms) if self._public_data else None
        if message:
            self.emit(message)


class AssetRates(Channel):
    """`!assetIndex@arr` and `<asset>@assetIndex`: rates of assets in US dollars, every second."""

    def __init__(self, name: StreamName, publish: Publish) -> None:
        super().__init__(name, publish)
        self._all_public_data: list[PublicMarketData] = []
        #: Prices in US dollars of assets without a contract here.
        self.fixed: Mapping[str, Decimal] = {}

    def joined(self, public_data: PublicMarketData) -> None:
        self._all_public_data.append(public_data)

    def tick(self, now_ms: int) -> None:
        rates = asset_rates(self._all_public_data, now_ms, self.fixed)
        if not self.name.subject:
            self.emit(list(rates.values()))
        elif self.name.symbol in rates:
            self.emit(rates[self.name.symbol])


class Sessions(Channel):
    """`tradingSession`: one message for each underlying market, every second."""

    calendar = Calendar()

    def tick(self, now_ms: int) -> None:
        for session in self.calendar.running(now_ms):
            self.emit(session)
