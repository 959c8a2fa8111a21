"""From the venue's payloads to the events that strategies see, and which hook each of them goes to."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from operator import attrgetter
from typing import Any, Final

from msgspec import UnsetType

from coldframe.enums import ContractType, Side
from coldframe.model import events as e
from coldframe.units import exact
from coldframe.wire import streams as w
from coldframe.wire.names import StreamKind, StreamName

#: The hook that the events of a stream go to.
HOOK_OF: Final[dict[StreamKind, str]] = {
    StreamKind.AGG_TRADE: "on_trade",
    StreamKind.TRADE: "on_trade",
    StreamKind.MARK_PRICE: "on_mark",
    StreamKind.KLINE: "on_candle",
    StreamKind.CONTINUOUS_KLINE: "on_candle",
    StreamKind.MINI_TICKER: "on_ticker",
    StreamKind.TICKER: "on_ticker",
    StreamKind.BOOK_TICKER: "on_ticker",
    StreamKind.FORCE_ORDER: "on_liquidation",
    StreamKind.PARTIAL_DEPTH: "on_book",
    StreamKind.DIFF_DEPTH: "on_book",
    StreamKind.RPI_DEPTH: "on_book",
    StreamKind.COMPOSITE_INDEX: "on_index",
    StreamKind.CONTRACT_INFO: "on_contract",
    StreamKind.ASSET_INDEX: "on_index",
    StreamKind.TRADING_SESSION: "on_contract",
}


def symbol_of(name: StreamName, message: w.MarketMessage) -> str:
    """The symbol a payload is about: its own, or for payloads without one the subject of their stream."""
    match message:
        case w.ForceOrder():
            return message.order.symbol
        case w.ContinuousKline():
            return message.pair
        case w.TradingSession():
            return message.event
        case _:  # most messages name a symbol; the others are about the subject of their stream
            symbol: str = getattr(message, "symbol", name.symbol)
            return symbol


def event_of(kind: StreamKind, message: w.MarketMessage, at_ns: int) -> e.StrategyEvent:
    """The event for a payload of any stream but the diff depths, which go through a local book."""
    match message:
        case w.AggTrade() | w.Trade():
            return _trade(message, at_ns)
        case w.MarkPrice():
            return _mark(message, at_ns)
        case w.Kline():
            return candle_of(message, at_ns)
        case w.ContinuousKline():
            return _candle(message.pair, message.bar, message.event_ms, at_ns, message.contract_type)
        case w.Ticker():
            return _stats(message, at_ns)
        case w.MiniTicker():
            return _summary(message, at_ns)
        case w.BookTicker():
            return _best(message, at_ns)
        case w.ForceOrder():
            return _liquidation(message, at_ns)
        case w.DepthUpdate():
            return _partial(message, at_ns)
        case w.CompositeIndex():
            return _composite(message, at_ns)
        case w.AssetIndex():
            return _asset(message, at_ns)
        case w.ContractInfo():
            return _contract(message, at_ns)
        case w.TradingSession():
            return _session(message, at_ns)
        case _:  # the base class is open: a message that is added needs an event
            raise AssertionError(f"no event for {type(message).__name__} of {kind}")


def maker_of(kind: StreamKind) -> Callable[[w.MarketMessage, int], e.StrategyEvent]:
    """What makes the event for a payload of one kind of stream, as `event_of` does."""
    return _LATE.get(kind) or partial(event_of, kind)


def _taker_side(m: w.AggTrade | w.Trade) -> Side:
    return Side.SELL if m.buyer_is_maker else Side.BUY


def _number(name: str) -> Callable[[Any], Decimal]:
    """Reads a number out of a text that was checked when the message was decoded."""
    text = attrgetter(name)
    return lambda message: Decimal(text(message))


_Readers = dict[str, Callable[[Any], object]]

#: How the fields of a trade and of a best price are read, for events that come by the hundred a second.
_OF_TRADE: Final[_Readers] = {
    "symbol": attrgetter("symbol"),
    "event_ms": attrgetter("event_ms"),
    "trade_id": attrgetter("trade_id"),
    "price": _number("price"),
    "quantity": _number("quantity"),
    "taker_side": _taker_side,
    "trade_ms": attrgetter("trade_ms"),
    "aggregated": lambda message: isinstance(message, w.AggTrade),
}
_OF_BEST: Final[_Readers] = {
    "symbol": attrgetter("symbol"),
    "event_ms": attrgetter("event_ms"),
    "update_id": attrgetter("update_id"),
    "bid": _number("bid"),
    "bid_quantity": _number("bid_quantity"),
    "ask": _number("ask"),
    "ask_quantity": _number("ask_quantity"),
}
_trade: Final = e.late(e.TradePrinted, _OF_TRADE)
_best: Final = e.late(e.BestPriceChanged, _OF_BEST)
_LATE: Final[dict[StreamKind, Callable[[Any, int], e.StrategyEvent]]] = {
    StreamKind.AGG_TRADE: _trade,
    StreamKind.TRADE: _trade,
    StreamKind.BOOK_TICKER: _best,
}


def _mark(m: w.MarkPrice, at_ns: int) -> e.MarkPriceChanged:
    return e.MarkPriceChanged(
        symbol=m.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        mark_price=exact(m.mark_price),
        index_price=exact(m.index_price),
        funding_rate=exact(m.funding_rate),
        next_funding_ms=m.next_funding_ms,
    )


def candle_of(message: w.Kline, at_ns: int) -> e.CandleChanged:
    """The event for a candle of a contract."""
    return _candle(message.symbol, message.bar, message.event_ms, at_ns, None)


def _candle(symbol: str, bar: w.Bar, event_ms: int, at_ns: int, contract: ContractType | None) -> e.CandleChanged:
    return e.CandleChanged(
        symbol=symbol,
        at_ns=at_ns,
        event_ms=event_ms,
        interval=bar.interval,
        open_ms=bar.open_ms,
        close_ms=bar.close_ms,
        open=exact(bar.open),
        high=exact(bar.high),
        low=exact(bar.low),
        close=exact(bar.close),
        volume=exact(bar.volume),
        quote_volume=exact(bar.quote_volume),
        taker_buy_volume=exact(bar.taker_buy_volume),
        trades=bar.trades,
        closed=bar.closed,
        contract_type=contract,
    )


def _stats(m: w.Ticker, at_ns: int) -> e.DayStatsChanged:
    return e.DayStatsChanged(
        symbol=m.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        open=exact(m.open),
        high=exact(m.high),
        low=exact(m.low),
        close=exact(m.close),
        volume=exact(m.volume),
        quote_volume=exact(m.quote_volume),
        change=exact(m.change),
        change_percent=exact(m.change_percent),
        weighted_average=exact(m.weighted_average),
        last_quantity=exact(m.last_quantity),
        trades=m.trades,
    )


def _summary(m: w.MiniTicker, at_ns: int) -> e.DaySummaryChanged:
    return e.DaySummaryChanged(
        symbol=m.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        open=exact(m.open),
        high=exact(m.high),
        low=exact(m.low),
        close=exact(m.close),
        volume=exact(m.volume),
        quote_volume=exact(m.quote_volume),
    )


def _liquidation(m: w.ForceOrder, at_ns: int) -> e.LiquidationPrinted:
    return e.LiquidationPrinted(
        symbol=m.order.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        side=m.order.side,
        price=exact(m.order.price),
        average_price=exact(m.order.average_price),
        quantity=exact(m.order.quantity),
        filled_quantity=exact(m.order.filled_quantity),
        status=m.order.status,
    )


def _partial(m: w.DepthUpdate, at_ns: int) -> e.PartialBookChanged:
    return e.PartialBookChanged(
        symbol=m.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        update_id=m.last_id,
        bids=tuple((exact(price), exact(quantity)) for price, quantity in m.bids),
        asks=tuple((exact(price), exact(quantity)) for price, quantity in m.asks),
    )


def _composite(m: w.CompositeIndex, at_ns: int) -> e.CompositeIndexChanged:
    weights = tuple(
        e.IndexWeight(c.base_asset, c.quote_asset, exact(c.quantity_weight), exact(c.percent_weight), exact(c.index_price))
        for c in m.components
    )
    return e.CompositeIndexChanged(m.symbol, at_ns, m.event_ms, exact(m.price), weights)


def _asset(m: w.AssetIndex, at_ns: int) -> e.AssetIndexChanged:
    return e.AssetIndexChanged(
        symbol=m.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        index_price=exact(m.index_price),
        bid_rate=exact(m.bid_rate),
        ask_rate=exact(m.ask_rate),
        auto_bid_rate=exact(m.auto_bid_rate),
        auto_ask_rate=exact(m.auto_ask_rate),
    )


def _contract(m: w.ContractInfo, at_ns: int) -> e.ContractChanged:
    rows = [] if isinstance(m.brackets, UnsetType) else m.brackets
    brackets = tuple(
        e.LeverageBracket(row.floor, row.cap, row.maintenance_ratio, row.cumulative, row.min_leverage, row.max_leverage)
        for row in rows
    )
    return e.ContractChanged(
        symbol=m.symbol,
        at_ns=at_ns,
        event_ms=m.event_ms,
        contract_type=m.contract_type,
        status=m.status,
        delivery_ms=m.delivery_ms,
        onboard_ms=m.onboard_ms,
        brackets=brackets,
    )


def _session(m: w.TradingSession, at_ns: int) -> e.TradingSessionChanged:
    return e.TradingSessionChanged(m.event, at_ns, m.event_ms, m.session, m.start_ms, m.end_ms)
