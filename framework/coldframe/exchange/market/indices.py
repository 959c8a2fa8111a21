"""What the venue prints about more than one contract: composite indices, asset rates."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from coldframe.exchange.contracts import money
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.wire.streams import AssetIndex, CompositeIndex, IndexComponent

_ONE: Final = Decimal(1)
_STABLE_BUFFER: Final = Decimal("0.0001")
_COIN_BUFFER: Final = Decimal("0.05")


def composite(public_data: PublicMarketData, now_ms: int) -> CompositeIndex | None:
    """The composition of an index contract; None for any other contract, and before its price is known."""
    if not public_data.components or not public_data.prices.known:
        return None
    price = public_data.prices.index
    rows = [
        IndexComponent(
            base_asset=part.base,
            quote_asset="USDT",
            quantity_weight=money(part.share * part.index_at / part.price),
            percent_weight=money(part.share),
            index_price=money(part.price * price / part.index_at),
        )
        for part in public_data.components
    ]
    return CompositeIndex(
        event="compositeIndex",
        event_ms=now_ms,
        symbol=public_data.symbol,
        price=money(price),
        composed_of="baseAsset",
        components=rows,
    )


def asset_rates(
    all_public_data: Iterable[PublicMarketData], now_ms: int, fixed: Mapping[str, Decimal] | None = None
) -> dict[str, AssetIndex]:
    """Rates in US dollars of every asset that the venue knows, by name (`BTCUSD`).

    `fixed` are the prices of assets without a contract here.
    """
    rates = {"USDTUSD": _asset("USDTUSD", _ONE, _STABLE_BUFFER, now_ms)}
    rates |= {f"{asset}USD": _asset(f"{asset}USD", price, _COIN_BUFFER, now_ms) for asset, price in (fixed or {}).items()}
    for public_data in all_public_data:
        info = public_data.contract.info
        if info.underlying_type == "COIN" and public_data.prices.known:
            name = f"{info.base_asset}USD"
            rates[name] = _asset(name, public_data.prices.index, _COIN_BUFFER, now_ms)
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
