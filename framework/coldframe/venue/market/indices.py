"""What the venue prints about more than one contract: composite indices, asset rates, trading sessions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from coldframe.venue.contracts import money
from coldframe.venue.market.board import Board
from coldframe.wire.streams import AssetIndex, CompositeIndex, IndexComponent, TradingSession

_DAY_MS: Final = 86_400_000
_HOUR_MS: Final = 3_600_000
_ONE: Final = Decimal(1)
_STABLE_BUFFER: Final = Decimal("0.0001")
_COIN_BUFFER: Final = Decimal("0.05")

#: Sessions of the underlying markets in hours of the UTC day: event name, name in the schedule, (from, to, session).
_SESSIONS: Final[tuple[tuple[str, str, tuple[tuple[int, int, str], ...]], ...]] = (
    (
        "EquityUpdate",
        "EQUITY",
        ((0, 9, "OVERNIGHT"), (9, 14, "PRE_MARKET"), (14, 21, "REGULAR"), (21, 24, "AFTER_MARKET")),
    ),
    ("CommodityUpdate", "COMMODITY", ((0, 22, "REGULAR"), (22, 23, "NO_TRADING"), (23, 24, "REGULAR"))),
    ("KR_EquityUpdate", "KR_EQUITY", ((0, 7, "REGULAR"), (7, 24, "NO_TRADING"))),
    ("HK_EquityUpdate", "HK_EQUITY", ((0, 1, "NO_TRADING"), (1, 8, "REGULAR"), (8, 24, "NO_TRADING"))),
    ("CN_EquityUpdate", "CN_EQUITY", ((0, 1, "NO_TRADING"), (1, 7, "REGULAR"), (7, 24, "NO_TRADING"))),
    ("FXUpdate", "FX", ((0, 21, "REGULAR"), (21, 22, "NO_TRADING"), (22, 24, "REGULAR"))),
)


def composite(board: Board, now_ms: int) -> CompositeIndex | None:
    """The composition of an index contract; None for any other contract, and before its price is known."""
    if not board.components or not board.prices.known:
        return None
    price = board.prices.index
    rows = [
        IndexComponent(
            base_asset=part.base,
            quote_asset="USDT",
            quantity_weight=money(part.share * part.index_at / part.price),
            percent_weight=money(part.share),
            index_price=money(part.price * price / part.index_at),
        )
        for part in board.components
    ]
    return CompositeIndex(
        event="compositeIndex",
        event_ms=now_ms,
        symbol=board.symbol,
        price=money(price),
        composed_of="baseAsset",
        components=rows,
    )


def asset_rates(boards: Iterable[Board], now_ms: int, fixed: Mapping[str, Decimal] | None = None) -> dict[str, AssetIndex]:
    """Rates in US dollars of every asset that the venue knows, by name (`BTCUSD`).

    `fixed` are the prices of assets without a contract here.
    """
    rates = {"USDTUSD": _asset("USDTUSD", _ONE, _STABLE_BUFFER, now_ms)}
    rates |= {f"{asset}USD": _asset(f"{asset}USD", price, _COIN_BUFFER, now_ms) for asset, price in (fixed or {}).items()}
    for board in boards:
        info = board.contract.info
        if info.underlying_type == "COIN" and board.prices.known:
            name = f"{info.base_asset}USD"
            rates[name] = _asset(name, board.prices.index, _COIN_BUFFER, now_ms)
    return rates


def _asset(name: str, index: Decimal, buffer: Decimal, now_ms: int) -> AssetIndex:
    bid, ask = money(index * (_ONE - buffer)), money(index * (_ONE + buffer))
    return AssetIndex(
        event="assetIndexUpdate",
        event_ms=now_ms,
        symbol=name,
        index_price=money(index),
        bid_buffer=money(buffer),
        ask_buffer=money(buffer),
        bid_rate=bid,
        ask_rate=ask,
        auto_bid_buffer=money(buffer),
        auto_ask_buffer=money(buffer),
        auto_bid_rate=bid,
        auto_ask_rate=ask,
    )


def sessions_now(now_ms: int) -> list[TradingSession]:
    """The running session of every underlying market."""
    day = now_ms // _DAY_MS * _DAY_MS
    return [
        TradingSession(event=event, event_ms=now_ms, start_ms=day + start * _HOUR_MS, end_ms=day + end * _HOUR_MS, session=session)
        for event, _, rows in _SESSIONS
        for start, end, session in rows
        if start <= (now_ms - day) // _HOUR_MS < end
    ]


def schedule(now_ms: int) -> dict[str, list[tuple[int, int, str]]]:
    """The sessions of this UTC day by market: start and end in epoch milliseconds, and the session's name."""
    day = now_ms // _DAY_MS * _DAY_MS
    return {
        market: [(day + start * _HOUR_MS, day + end * _HOUR_MS, session) for start, end, session in rows]
        for _, market, rows in _SESSIONS
    }
