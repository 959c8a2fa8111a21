"""Public calls: the venue's rules, books, trades, candles, tickers, prices."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from coldframe.enums import INTERVALS, ContractStatus
from coldframe.exchange.contracts import money
from coldframe.exchange.endpoints.requester import (
    QUARTERS,
    EndpointHandlers,
    Requester,
    one_or_all,
    page_length,
    public_data_of,
    public_data_of_pair,
    sent,
)
from coldframe.exchange.endpoints.statistics_endpoints import public_interest
from coldframe.exchange.endpoints.windows import FUNDING, window
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.market.candles import Candle, Candles
from coldframe.exchange.market.indices import asset_rates, composite
from coldframe.exchange.market.prices import USUAL_CAP
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.market.summaries import ticker
from coldframe.exchange.refusals import refuse
from coldframe.units import ZERO, plain, unscaled
from coldframe.wire import requests as ask
from coldframe.wire.reference import (
    AssetInfo,
    AssetRate,
    BestTicker,
    DayTicker,
    Depth,
    ExchangeInfo,
    FundingRow,
    OpenInterest,
    PremiumIndex,
    PriceTicker,
    ServerTime,
)
from coldframe.wire.requests import Fault
from coldframe.wire.streams import AssetIndex, Level

_DEPTHS: Final = (5, 10, 20, 50, 100, 500, 1000)
_USUAL_DEPTH: Final = 500
_LONGEST_CANDLES: Final = 1500
_AGG_WINDOW_MS: Final = 48 * 3_600_000
_HOUR_MS: Final = 3_600_000
_DAY_MS: Final = 24 * _HOUR_MS
_INTEREST: Final = "0.00010000"
#: States in which a contract has an open interest (protocol.md 9, code -4108).
_WITH_INTEREST: Final = (ContractStatus.TRADING, ContractStatus.TRADING_HALT)
_NO_LEVEL: Final[Level] = ("0", "0")


def ping(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET ping."""
    return {}


def server_time(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET time."""
    return ServerTime(server_time=now_ms)


def exchange_info(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET exchangeInfo: every contract that is not closed."""
    every = (market.contract for market in exchange.markets.values())
    contracts = [contract for contract in every if not contract.closed]
    assets = dict.fromkeys(
        ["USDT", *(contract.info.base_asset for contract in contracts if contract.info.underlying_type == "COIN")]
    )
    return ExchangeInfo(
        timezone="UTC",
        server_time=now_ms,
        futures_type="U_MARGINED",
        rate_limits=exchange.counters.listed(),
        exchange_filters=[],
        assets=[AssetInfo(asset=name, margin_available=True, auto_asset_exchange="-10000") for name in assets],
        symbols=[contract.info for contract in contracts],
    )


# -- books ------------------------------------------------------------------------------------------------------------


def depth(exchange: Exchange, requester: Requester, request: ask.DepthQuery, now_ms: int) -> object:
    """GET depth, method `depth`: the book as the streams have it."""
    public_data = public_data_of(exchange, request.symbol)
    if isinstance(public_data, Fault):
        return public_data
    asked = sent(request.limit)
    limit = _USUAL_DEPTH if asked is None else asked
    if limit not in _DEPTHS:
        return refuse(-4021, limit)
    book = public_data.book
    if not book.known:
        return refuse(-1001)
    return Depth(
        last_update_id=book.last_id,
        event_ms=max(book.event_ms, public_data.now_ms),
        traded_ms=book.traded_ms,
        bids=book.bids.top(limit),
        asks=book.asks.top(limit),
    )


def rpi_depth(exchange: Exchange, requester: Requester, request: ask.DepthQuery, now_ms: int) -> object:
    """GET rpiDepth: the whole book, which here has no orders of that kind; it knows no other limit (protocol.md 6.4)."""
    limit = sent(request.limit)
    if limit not in (None, _DEPTHS[-1]):
        return refuse(-4021, limit)
    return depth(exchange, requester, ask.DepthQuery(symbol=request.symbol, limit=_DEPTHS[-1]), now_ms)


def best_ticker(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET ticker/bookTicker, method `ticker.book`."""

    def row(public_data: PublicMarketData) -> object:
        bid, ask = public_data.book.best()
        bid, ask = bid or _NO_LEVEL, ask or _NO_LEVEL
        return BestTicker(
            symbol=public_data.symbol,
            bid_price=bid[0],
            bid_qty=bid[1],
            ask_price=ask[0],
            ask_qty=ask[1],
            last_update_id=public_data.book.last_id,
            time=public_data.book.traded_ms,
        )

    return one_or_all(exchange, request, row)


# -- trades -----------------------------------------------------------------------------------------------------------


def price_ticker(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET ticker/price, method `ticker.price`."""

    def row(public_data: PublicMarketData) -> object:
        last = public_data.trades.last
        return PriceTicker(
            symbol=public_data.symbol,
            price=public_data.contract.price_text(public_data.last_price),
            time=last.at_ms if last else now_ms,
        )

    return one_or_all(exchange, request, row)


def trades(exchange: Exchange, requester: Requester, request: ask.TradesQuery, now_ms: int) -> object:
    """GET trades: the latest trades."""
    return _trade_rows(exchange, request.symbol, page_length(request.limit), None)


def older_trades(exchange: Exchange, requester: Requester, request: ask.OlderTradesQuery, now_ms: int) -> object:
    """GET historicalTrades: from an id on, a hundred unless more are wanted."""
    return _trade_rows(exchange, request.symbol, page_length(request.limit, usual=100, longest=500), sent(request.from_id))


def _trade_rows(exchange: Exchange, symbol: str, limit: int | Fault, from_id: int | None) -> object:
    public_data = public_data_of(exchange, symbol)
    if isinstance(public_data, Fault):
        return public_data
    if isinstance(limit, Fault):
        return limit
    rows = [trade.row() for trade in public_data.trades.latest if from_id is None or trade.trade_id >= from_id]
    return rows[:limit] if from_id is not None else rows[-limit:]


def aggregate_trades(exchange: Exchange, requester: Requester, request: ask.AggTradesQuery, now_ms: int) -> object:
    """GET aggTrades: by id, by time, or the latest."""
    public_data, limit = public_data_of(exchange, request.symbol), page_length(request.limit)
    if isinstance(public_data, Fault):
        return public_data
    if isinstance(limit, Fault):
        return limit
    from_id, start, end = sent(request.from_id), sent(request.start_time), sent(request.end_time)
    if start is not None and start < now_ms - _AGG_WINDOW_MS:
        return refuse(-4166)
    if start is not None and end is not None and start > end:
        return refuse(-1023)
    rows = [
        aggregate.row()
        for aggregate in public_data.trades.aggregates
        if (from_id is None or aggregate.aggregate_id >= from_id)
        and (start is None or aggregate.at_ms >= start)
        and (end is None or aggregate.at_ms <= end)
    ]
    return rows[-limit:] if from_id is None and start is None else rows[:limit]


# -- candles and tickers ----------------------------------------------------------------------------------------------


def candles(exchange: Exchange, requester: Requester, request: ask.KlineQuery, now_ms: int) -> object:
    """GET klines, markPriceKlines; mark price candles follow the traded price here."""
    return _candles(public_data_of(exchange, request.symbol), request)


def index_candles(exchange: Exchange, requester: Requester, request: ask.PairKlineQuery, now_ms: int) -> object:
    """GET indexPriceKlines, by pair; they follow the traded price here."""
    return _candles(public_data_of_pair(exchange, request.pair), request)


def continuous_candles(exchange: Exchange, requester: Requester, request: ask.ContinuousKlineQuery, now_ms: int) -> object:
    """GET continuousKlines: only perpetual contracts trade here."""
    public_data = public_data_of_pair(exchange, request.pair)
    if isinstance(public_data, Fault):
        return public_data
    kind = request.contract_type.upper()
    if kind in QUARTERS:
        return list[object]()
    if kind != public_data.contract.info.contract_type:
        return refuse(-4104)
    return index_candles(exchange, requester, request, now_ms)


def premium_candles(exchange: Exchange, requester: Requester, request: ask.KlineQuery, now_ms: int) -> object:
    """GET premiumIndexKlines: the premium of mark over index price since the venue started; nothing is traded in it."""
    public_data = public_data_of(exchange, request.symbol)
    return public_data if isinstance(public_data, Fault) else _page(request, request.interval, public_data.premiums, _premium_row)


def _candles(public_data: PublicMarketData | Fault, request: ask.KlineQuery | ask.PairKlineQuery) -> object:
    if isinstance(public_data, Fault):
        return public_data
    return _page(request, request.interval, public_data.candles, lambda bar: _row(public_data, bar))


def _page(request: ask.Span, interval: str, kept: Candles, row: Callable[[Candle], list[Any]]) -> object:
    if interval not in INTERVALS:
        return refuse(-1120)
    limit = page_length(request.limit, longest=_LONGEST_CANDLES)
    if isinstance(limit, Fault):
        return limit
    start, end = sent(request.start_time), sent(request.end_time)
    if start is not None and end is not None and start > end:
        return refuse(-1023)
    return [row(bar) for bar in kept.page(interval, limit, start, end)]


def _row(public_data: PublicMarketData, bar: Candle) -> list[Any]:
    contract = public_data.contract
    prices = [contract.price_text(price) for price in (bar.open, bar.high, bar.low, bar.close)]
    return [
        bar.open_ms,
        *prices,
        contract.quantity_text(bar.volume),
        bar.close_ms,
        contract.quote_text(bar.quote),
        bar.trades,
        contract.quantity_text(bar.taker_volume),
        contract.quote_text(bar.taker_quote),
        "0",
    ]


def _premium_row(bar: Candle) -> list[Any]:
    premiums = [money(unscaled(premium)) for premium in (bar.open, bar.high, bar.low, bar.close)]
    return [bar.open_ms, *premiums, "0", bar.close_ms, "0", bar.trades, "0", "0", "0"]


def _untraded(now_ms: int) -> Candle:
    """The day of a contract that has not traded yet: noughts, and no trade's id."""
    return Candle(now_ms - _DAY_MS, now_ms, -1, -1, 0, 0, 0, 0)


def day_ticker(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET ticker/24hr."""

    def row(public_data: PublicMarketData) -> object:
        day = ticker(public_data, public_data.candles.day(now_ms) or _untraded(now_ms), now_ms)
        return DayTicker(
            symbol=day.symbol,
            price_change=day.change,
            price_change_percent=day.change_percent,
            weighted_avg_price=day.weighted_average,
            last_price=day.close,
            last_qty=day.last_quantity,
            open_price=day.open,
            high_price=day.high,
            low_price=day.low,
            volume=day.volume,
            quote_volume=day.quote_volume,
            open_time=day.open_ms,
            close_time=day.close_ms,
            first_id=day.first_id,
            last_id=day.last_id,
            count=day.trades,
        )

    return one_or_all(exchange, request, row)


# -- prices and funding -------------------------------------------------------------------------------------------------


def premium_index(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET premiumIndex."""

    def row(public_data: PublicMarketData) -> object:
        prices = public_data.prices
        rate, funding_ms = public_data.coming_funding(now_ms)
        return PremiumIndex(
            symbol=public_data.symbol,
            mark_price=plain(prices.mark),
            index_price=plain(prices.index),
            estimated_settle_price=plain(prices.index),
            last_funding_rate=plain(rate),
            interest_rate=_INTEREST,
            next_funding_time=funding_ms,
            time=now_ms,
        )

    return one_or_all(exchange, request, row)


def funding_rates(exchange: Exchange, requester: Requester, request: ask.SymbolSpan, now_ms: int) -> object:
    """GET fundingRate: the rates of the funding times since the venue started."""
    symbol = sent(request.symbol)
    if symbol is not None and symbol not in exchange.markets:
        return refuse(-1121)
    view = window(FUNDING, request, now_ms)
    if isinstance(view, Fault):
        return view
    rates = exchange.clearing.rates
    rows: list[FundingRow] = [row for row in rates if symbol in (None, row.symbol) and view.holds(row.funding_time)]
    return view.page(rows)


def funding_info(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET fundingInfo: only contracts whose interval or bounds of the rate are not the usual ones (protocol.md 6.4)."""
    usual_ms = exchange.settings.funding_interval_s * 1000
    return [
        {
            "symbol": market.contract.symbol,
            "adjustedFundingRateCap": money(prices.cap),
            "adjustedFundingRateFloor": money(-prices.cap),
            "fundingIntervalHours": max(prices.interval_ms // _HOUR_MS, 1),
            "disclaimer": False,
            "updateTime": None,
        }
        for market in exchange.markets.values()
        for prices in (market.public_data.prices,)
        if not market.contract.closed and (prices.interval_ms != usual_ms or prices.cap != USUAL_CAP)
    ]


def open_interest(exchange: Exchange, requester: Requester, request: ask.SymbolOnly, now_ms: int) -> object:
    """GET openInterest: what the venue's accounts and its simulated public hold long."""
    public_data = public_data_of(exchange, request.symbol)
    if isinstance(public_data, Fault):
        return public_data
    if public_data.contract.info.status not in _WITH_INTEREST:
        return refuse(-4108)
    held = sum(
        (
            max(position.quantity, ZERO)
            for books in exchange.store.books.values()
            for position in books.account.positions.values()
            if position.symbol == public_data.symbol
        ),
        ZERO,
    )
    return OpenInterest(
        symbol=public_data.symbol,
        open_interest=public_data.contract.quantity_text(held + public_interest(public_data)),
        time=now_ms,
    )


# -- indices and schedules ----------------------------------------------------------------------------------------------


def index_info(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET indexInfo: the composition of index contracts."""

    def row(public_data: PublicMarketData) -> object:
        index = composite(public_data, now_ms)
        if index is None:
            return None
        parts = [
            {
                "baseAsset": component.base_asset,
                "quoteAsset": component.quote_asset,
                "weightInQuantity": component.quantity_weight,
                "weightInPercentage": component.percent_weight,
            }
            for component in index.components
        ]
        return {"symbol": public_data.symbol, "time": now_ms, "component": "baseAsset", "baseAssetList": parts}

    return one_or_all(exchange, request, row)


def _asset_rate(index: AssetIndex, now_ms: int) -> AssetRate:
    return AssetRate(
        symbol=index.symbol,
        time=now_ms,
        index=index.index_price,
        bid_buffer=index.bid_buffer,
        ask_buffer=index.ask_buffer,
        bid_rate=index.bid_rate,
        ask_rate=index.ask_rate,
        auto_exchange_bid_buffer=index.auto_bid_buffer,
        auto_exchange_ask_buffer=index.auto_ask_buffer,
        auto_exchange_bid_rate=index.auto_bid_rate,
        auto_exchange_ask_rate=index.auto_ask_rate,
    )


def asset_index(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET assetIndex: rates of assets in US dollars."""
    rates = asset_rates((market.public_data for market in exchange.markets.values()), now_ms, exchange.streams.fixed_rates)
    rows = {name: _asset_rate(index, now_ms) for name, index in rates.items()}
    symbol = sent(request.symbol)
    if symbol is None:
        return list(rows.values())
    return rows.get(symbol, refuse(-1121))


def constituents(exchange: Exchange, requester: Requester, request: ask.SymbolOnly, now_ms: int) -> object:
    """GET constituents: where the index price comes from; here from this venue alone."""
    public_data = public_data_of(exchange, request.symbol)
    if isinstance(public_data, Fault):
        return public_data
    source = {
        "exchange": "coldframe",
        "symbol": public_data.symbol,
        "price": plain(public_data.prices.index),
        "weight": "1.00000000",
    }
    return {"symbol": public_data.symbol, "time": now_ms, "constituents": [source]}


def insurance_balance(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET insuranceBalance: one fund for all contracts."""
    symbols = list(exchange.markets)
    if sent(request.symbol) is not None and request.symbol not in symbols:
        return refuse(-1121)
    balance = {"asset": "USDT", "marginBalance": money(Decimal(1_000_000)), "updateTime": now_ms}
    fund = {"symbols": symbols, "assets": [balance]}
    return fund if sent(request.symbol) is not None else [fund]


def adl_risk(exchange: Exchange, requester: Requester, request: ask.MaybeSymbol, now_ms: int) -> object:
    """GET symbolAdlRisk: always low, since the insurance fund takes everything over."""
    return one_or_all(exchange, request, lambda public_data: {"symbol": public_data.symbol, "adlRisk": "low", "updateTime": now_ms})


def trading_schedule(exchange: Exchange, requester: Requester, request: ask.NoParameters, now_ms: int) -> object:
    """GET tradingSchedule."""
    markets = {
        market: {"sessions": [{"startTime": start, "endTime": end, "type": kind} for start, end, kind in rows]}
        for market, rows in exchange.calendar.schedule(now_ms).items()
    }
    return {"updateTime": now_ms, "marketSchedules": markets}


REST: Final[EndpointHandlers] = {
    "GET /fapi/v1/ping": ping,
    "GET /fapi/v1/time": server_time,
    "GET /fapi/v1/exchangeInfo": exchange_info,
    "GET /fapi/v1/depth": depth,
    "GET /fapi/v1/rpiDepth": rpi_depth,
    "GET /fapi/v1/trades": trades,
    "GET /fapi/v1/historicalTrades": older_trades,
    "GET /fapi/v1/aggTrades": aggregate_trades,
    "GET /fapi/v1/klines": candles,
    "GET /fapi/v1/continuousKlines": continuous_candles,
    "GET /fapi/v1/indexPriceKlines": index_candles,
    "GET /fapi/v1/markPriceKlines": candles,
    "GET /fapi/v1/premiumIndexKlines": premium_candles,
    "GET /fapi/v1/premiumIndex": premium_index,
    "GET /fapi/v1/fundingRate": funding_rates,
    "GET /fapi/v1/fundingInfo": funding_info,
    "GET /fapi/v1/openInterest": open_interest,
    "GET /fapi/v1/ticker/24hr": day_ticker,
    "GET /fapi/v1/ticker/price": price_ticker,
    "GET /fapi/v2/ticker/price": price_ticker,
    "GET /fapi/v1/ticker/bookTicker": best_ticker,
    "GET /fapi/v1/indexInfo": index_info,
    "GET /fapi/v1/assetIndex": asset_index,
    "GET /fapi/v1/constituents": constituents,
    "GET /fapi/v1/insuranceBalance": insurance_balance,
    "GET /fapi/v1/symbolAdlRisk": adl_risk,
    "GET /fapi/v1/tradingSchedule": trading_schedule,
}
METHODS: Final[EndpointHandlers] = {"depth": depth, "ticker.price": price_ticker, "ticker.book": best_ticker}
