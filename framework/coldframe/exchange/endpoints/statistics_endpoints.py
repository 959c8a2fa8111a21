"""Statistics of the market (`/futures/data/`): open interest, long and short shares, what takers did, the basis; by periods.

The public's part is made from the candles: an open interest in proportion to the contract's greatest order, tilted by what takers
did in the period; shares of long and short that lean the same way. The basis is the premium over the index price at a period's end.
A period that has ended never changes.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

import attrs

from coldframe.exchange.endpoints.requester import QUARTERS, EndpointHandlers, Requester, public_data_of, public_data_of_pair
from coldframe.exchange.endpoints.windows import STATISTICS, HistoryWindow, window
from coldframe.exchange.exchange import Exchange
from coldframe.exchange.market.candles import Candle
from coldframe.exchange.market.public_market_data import PublicMarketData
from coldframe.exchange.refusals import refuse
from coldframe.units import ZERO, plain, unscaled
from coldframe.wire import requests as ask
from coldframe.wire.reference import BasisRow, DeliveryPrice, LongShortRow, OpenInterestRow, TakerRow
from coldframe.wire.requests import Fault

PERIODS: Final = ("5m", "15m", "30m", "1h", "2h", "4h", "6h", "12h", "1d")
#: The public holds so many times the greatest order of a contract; takers move that by a part in so many.
_PUBLIC: Final = 100
_TILT: Final = 100
#: Of the underlying there is so many times what the public holds.
_CIRCULATING: Final = 100
_HALF: Final = Decimal("0.5")
_RATIO: Final = Decimal("0.0001")
_EIGHT: Final = Decimal("0.00000001")
_ALL: Final = 1_000_000


def public_interest(public_data: PublicMarketData) -> Decimal:
    """What the simulated public holds long in a contract."""
    return public_data.contract.filters.lot.max * _PUBLIC


_Periodic = ask.StatisticsQuery | ask.BasisQuery


@attrs.frozen
class _Period:
    """One period that has ended: its contract's public data, its candle, and what takers bought as a share of all they did."""

    public_data: PublicMarketData
    bar: Candle

    @property
    def ended_ms(self) -> int:
        return self.bar.close_ms + 1

    @property
    def bought(self) -> Decimal:
        return Decimal(self.bar.taker_volume) / self.bar.volume if self.bar.volume else _HALF


def _answer(public_data: PublicMarketData | Fault, request: _Periodic, now_ms: int, row: Callable[[_Period], object]) -> object:
    if isinstance(public_data, Fault):
        return public_data
    if request.period not in PERIODS:
        return refuse(-1130, "period")
    view = window(STATISTICS, request, now_ms)
    if isinstance(view, Fault):
        return view
    return [row(period) for period in view.page(_periods(public_data, request.period, view, now_ms))]


def _periods(public_data: PublicMarketData, period: str, view: HistoryWindow, now_ms: int) -> list[_Period]:
    ended = [_Period(public_data, bar) for bar in public_data.candles.page(period, _ALL) if bar.close_ms < now_ms]
    return [period for period in ended if view.holds(period.ended_ms)]


def open_interest_history(exchange: Exchange, requester: Requester, request: ask.StatisticsQuery, now_ms: int) -> object:
    """GET openInterestHist."""

    def row(period: _Period) -> object:
        contract = period.public_data.contract
        held = public_interest(period.public_data) * (1 + (period.bought - _HALF) / _TILT)
        value = held * unscaled(period.bar.close)
        return OpenInterestRow(
            symbol=contract.symbol,
            sum_open_interest=contract.quantity_text(held.quantize(Decimal(1).scaleb(-contract.quantity_digits))),
            sum_open_interest_value=plain(value.quantize(_RATIO)),
            circulating_supply=plain(public_interest(period.public_data) * _CIRCULATING),
            timestamp=period.ended_ms,
        )

    return _answer(public_data_of(exchange, request.symbol), request, now_ms, row)


def _long_short(lean: int) -> Callable[[Exchange, Requester, ask.StatisticsQuery, int], object]:
    """A statistic of long and short shares that lean to what takers did, by one part in `lean`."""

    def row(period: _Period) -> object:
        longs = (_HALF + (period.bought - _HALF) / lean).quantize(_RATIO)
        return LongShortRow(
            symbol=period.public_data.symbol,
            long_short_ratio=plain((longs / (1 - longs)).quantize(_RATIO)),
            long_account=plain(longs),
            short_account=plain(1 - longs),
            timestamp=period.ended_ms,
        )

    def call(exchange: Exchange, requester: Requester, request: ask.StatisticsQuery, now_ms: int) -> object:
        return _answer(public_data_of(exchange, request.symbol), request, now_ms, row)

    return call


def taker_ratio(exchange: Exchange, requester: Requester, request: ask.StatisticsQuery, now_ms: int) -> object:
    """GET takerlongshortRatio: the ratio is 0 where takers sold nothing."""

    def row(period: _Period) -> object:
        bought, sold = period.bar.taker_volume, period.bar.volume - period.bar.taker_volume
        ratio = (Decimal(bought) / sold).quantize(_RATIO) if sold else ZERO
        contract = period.public_data.contract
        return TakerRow(
            buy_sell_ratio=plain(ratio),
            buy_vol=contract.quantity_text(bought),
            sell_vol=contract.quantity_text(sold),
            timestamp=period.ended_ms,
        )

    return _answer(public_data_of(exchange, request.symbol), request, now_ms, row)


def basis(exchange: Exchange, requester: Requester, request: ask.BasisQuery, now_ms: int) -> object:
    """GET basis, by pair: how far the contract's price is above the index price. Perpetual contracts have no yearly rate."""
    public_data = public_data_of_pair(exchange, request.pair)
    if isinstance(public_data, Fault):
        return public_data
    kind = public_data.contract.info.contract_type
    if request.contract_type in QUARTERS:
        return list[object]()
    if request.contract_type != kind:
        return refuse(-4104)
    if request.period not in PERIODS:
        return refuse(-1130, "period")
    premiums = {bar.close_ms: unscaled(bar.close) for bar in public_data.premiums.page(request.period, _ALL)}

    def row(period: _Period) -> object:
        price, premium = unscaled(period.bar.close), premiums.get(period.bar.close_ms, ZERO)
        index = (price / (1 + premium)).quantize(_EIGHT)
        return BasisRow(
            pair=request.pair,
            contract_type=kind,
            index_price=plain(index),
            futures_price=public_data.contract.price_text(period.bar.close),
            basis=plain(price - index),
            basis_rate=plain(((price - index) / index).quantize(_RATIO)),
            annualized_basis_rate="",
            timestamp=period.ended_ms,
        )

    return _answer(public_data, request, now_ms, row)


def delivery_prices(exchange: Exchange, requester: Requester, request: ask.PairOnly, now_ms: int) -> object:
    """GET delivery-price, by pair: none, since only perpetual contracts trade here and none of them is ever delivered."""
    public_data = public_data_of_pair(exchange, request.pair)
    return public_data if isinstance(public_data, Fault) else list[DeliveryPrice]()


REST: Final[EndpointHandlers] = {
    "GET /futures/data/openInterestHist": open_interest_history,
    "GET /futures/data/topLongShortPositionRatio": _long_short(2),
    "GET /futures/data/topLongShortAccountRatio": _long_short(3),
    "GET /futures/data/globalLongShortAccountRatio": _long_short(4),
    "GET /futures/data/takerlongshortRatio": taker_ratio,
    "GET /futures/data/basis": basis,
    "GET /futures/data/delivery-price": delivery_prices,
}
