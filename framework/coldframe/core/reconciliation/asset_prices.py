"""Keeps a price for every asset in which fees, funding or balances appear, and finds a mark price for positions that have none.

An asset that is first seen is asked for by REST: the mark price of its contract against USDT where the venue lists one, else its
index in US dollars (premiumIndex, assetIndex). From then on its stream keeps the price current, over the market connections. A
price that its stream leaves alone for too long is asked for again. Source: protocol.md 5 and 6.4.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.market import Market
from coldframe.core.state.asset_values import AT_PAR
from coldframe.core.state.engine_state import EngineState
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.engine_events import StreamMessage
from coldframe.model.journal import RowKind
from coldframe.units import NS_PER_MS, ZERO, exact, plain, trimmed
from coldframe.wire.codec import Census, decode
from coldframe.wire.names import StreamKind, StreamName
from coldframe.wire.reference import AssetRate, PremiumIndex
from coldframe.wire.replies import CommissionRate
from coldframe.wire.streams import AssetIndex, MarketMessage, MarkPrice

#: Pause before an asset without a price is asked for again, and how old a price may get before it is (milliseconds).
ASK_AGAIN_MS: Final = 30_000
STALE_MS: Final = 120_000
#: How long the first answer may take before it is said that the price is missing (milliseconds).
SAY_AFTER_MS: Final = 1_000
#: So many assets are watched: each takes a stream.
ASSETS_LIMIT: Final = 50
#: A price that has moved by more than this since it was written down is written down again.
_RECORD_STEP: Final = Decimal("0.005")
_QUOTE: Final = "USDT"


@attrs.frozen
class PendingPrice(RequestPurpose):
    """The purpose of a GET premiumIndex or assetIndex."""

    asset: str
    symbol: str
    index: bool


@attrs.frozen
class PendingMarkPrice(RequestPurpose):
    """The purpose of a GET premiumIndex for the contract of a position."""

    symbol: str


@attrs.frozen
class PendingRate(RequestPurpose):
    """The purpose of a GET commissionRate."""

    symbol: str


@attrs.frozen
class AssetsSeen:
    """The assets in which fees, and any other amounts, have appeared so far; told a few times a second.

    `held` are the contracts of open positions: without a mark price their profit is not known.
    """

    fees: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    held: tuple[str, ...] = ()


@attrs.define
class _Watched:
    """One asset: which names its price comes under, when it was asked for, when it was last heard of."""

    contract: str
    index: str
    #: Whether the index is asked for next, rather than the mark price.
    by_index: bool
    asked_ns: int = 0
    heard_ns: int = 0
    streamed: bool = False
    said: bool = False


class AssetPrices:
    """Tells the state its prices. `fee_symbol` is a contract that is traded: the account's rate is asked for there."""

    def __init__(self, state: EngineState, ctx: StepContext, calls: RestQueue, market: Market, fee_symbol: str = "") -> None:
        self._state = state
        self._ctx = ctx
        self._calls = calls
        self._market = market
        self._prices = state.prices
        self._fee_symbol = fee_symbol
        self._fee_rate_asked = False
        self._watched: dict[str, _Watched] = {}
        self._by_name: dict[str, str] = {}
        #: When the mark prices of contracts were asked for.
        self._marks_asked_ns: dict[str, int] = {}
        #: Prices as they were last written into the journal.
        self.recorded: dict[str, Decimal] = {}

    def restore(self, recorded: dict[str, Decimal]) -> None:
        """The prices that an earlier run has written down count until newer ones come."""
        self.recorded = dict(recorded)
        self._prices.rates_restored(recorded)

    def step(self, event: StreamMessage | Returned | AssetsSeen) -> None:
        """Takes in what a stream tells, what one of the questions brought, or which assets there are to look after."""
        match event:
            case AssetsSeen():
                self._watch_assets(event)
            case StreamMessage(message=message):
                self._apply_message(message)
            case Returned():
                self._returned(event)
            case unknown:
                assert_never(unknown)

    # -- what is due --------------------------------------------------------------------------------------------------

    def _watch_assets(self, seen: AssetsSeen) -> None:
        for asset in (*seen.fees, *seen.others):
            if asset and asset not in AT_PAR:
                self._watch_asset(asset, is_fee=asset in seen.fees)
        for symbol in seen.held:
            if symbol not in self._prices.mark_prices:
                self._ask_mark_price(symbol)

    def next_due_ns(self, assets: Iterable[str]) -> int | None:
        """When one of these assets has to be looked after again: its first answer is late, or its price is old."""
        watched = [(asset, self._watched[asset]) for asset in assets if asset in self._watched]
        due_ns: list[int] = []
        for asset, watch in watched:
            known = self._prices.of(asset) is not None
            asked_again_ns = watch.asked_ns + ASK_AGAIN_MS * NS_PER_MS
            stale_ns = watch.heard_ns + STALE_MS * NS_PER_MS if known and watch.heard_ns else 0
            due_ns.append(max(asked_again_ns, stale_ns))
            if not known and not watch.said:
                due_ns.append(watch.asked_ns + SAY_AFTER_MS * NS_PER_MS)
        return min(due_ns, default=None)

    def _ask_mark_price(self, symbol: str) -> None:
        """A position from before the run, and its stream has not spoken yet."""
        asked_ns, now_ns = self._marks_asked_ns.get(symbol, 0), self._ctx.now_ns
        if not asked_ns or now_ns - asked_ns >= ASK_AGAIN_MS * NS_PER_MS:
            self._marks_asked_ns[symbol] = now_ns
            self._calls.call("GET", "/fapi/v1/premiumIndex", {"symbol": symbol}, PendingMarkPrice(symbol), Priority.NEW_RISK)

    def _watch_asset(self, asset: str, *, is_fee: bool) -> None:
        watched = self._watched.get(asset) or self._watch(asset)
        if watched is None:
            return
        known, now_ns = self._prices.of(asset) is not None, self._ctx.now_ns
        if not known and watched.asked_ns and now_ns - watched.asked_ns >= SAY_AFTER_MS * NS_PER_MS:
            self._do_without(asset, watched, is_fee=is_fee)
        fresh = known and watched.heard_ns and now_ns - watched.heard_ns < STALE_MS * NS_PER_MS
        if not fresh and (not watched.asked_ns or now_ns - watched.asked_ns >= ASK_AGAIN_MS * NS_PER_MS):
            watched.asked_ns = now_ns
            self._ask(asset, watched)

    def _watch(self, asset: str) -> _Watched | None:
        """Begins to look after an asset; None when there are too many already."""
        if len(self._watched) >= ASSETS_LIMIT:
            return None
        contract, index = f"{asset}{_QUOTE}", f"{asset}USD"
        watched = self._watched[asset] = _Watched(contract, index, by_index=contract not in self._state.instruments)
        self._by_name[contract] = self._by_name[index] = asset
        mark = self._prices.mark_prices.get(contract)
        if mark is not None:  # the bot hears it anyway
            self._set_price(asset, mark)
        return watched

    def _do_without(self, asset: str, watched: _Watched, *, is_fee: bool) -> None:
        """The first answer has brought no price, or has not come: what a fee counts as now is said, once for each asset."""
        if is_fee:
            self._ask_fee_rate()
        if watched.said:
            return
        watched.said = True
        rate = trimmed(self._prices.fee_rate * 100)
        until = f"until it is known they count as {rate} % of the notional" if is_fee else "they count once it is known"
        self._ctx.log(Level.WARNING, f"{'fees' if is_fee else 'amounts'} in {asset}: its price is not known; {until}")

    # -- asking -------------------------------------------------------------------------------------------------------

    def _ask(self, asset: str, watched: _Watched) -> None:
        path, symbol = ("/fapi/v1/assetIndex", watched.index) if watched.by_index else ("/fapi/v1/premiumIndex", watched.contract)
        self._calls.call("GET", path, {"symbol": symbol}, PendingPrice(asset, symbol, watched.by_index), Priority.NEW_RISK)

    def _ask_fee_rate(self) -> None:
        if not self._fee_rate_asked and self._fee_symbol:
            self._fee_rate_asked = True
            params = {"symbol": self._fee_symbol}
            self._calls.call("GET", "/fapi/v1/commissionRate", params, PendingRate(self._fee_symbol), Priority.NEW_RISK)

    def _returned(self, event: Returned) -> None:
        purpose, answer = event.purpose, event.answer
        body = answer.body if answer is not None and answer.status == 200 else None
        try:
            if isinstance(purpose, PendingPrice):
                self._answered(purpose, body)
            elif body is not None and isinstance(purpose, PendingMarkPrice):
                price = exact(decode(PremiumIndex, body, Census()).mark_price)
                if price > ZERO:
                    self._prices.mark_price_found(purpose.symbol, price)
            elif body is not None and isinstance(purpose, PendingRate):
                self._prices.fee_rate_told(exact(decode(CommissionRate, body, Census()).taker_commission_rate))
        except DecodeError as error:
            self._ctx.log(Level.WARNING, f"a price cannot be read: {error}")

    def _answered(self, purpose: PendingPrice, body: bytes | None) -> None:
        watched = self._watched[purpose.asset]
        if body is None:
            watched.by_index = not watched.by_index  # the next time the other source is asked
            return
        if purpose.index:
            price = exact(decode(AssetRate, body, Census()).index)
        else:
            price = exact(decode(PremiumIndex, body, Census()).mark_price)
        self._set_price(purpose.asset, price)
        if not watched.streamed and price > ZERO:
            watched.streamed = True
            kind = StreamKind.ASSET_INDEX.value if purpose.index else StreamKind.MARK_PRICE.value
            self._market.listen(StreamName.of(purpose.symbol, kind))

    # -- prices -------------------------------------------------------------------------------------------------------

    def _apply_message(self, message: MarketMessage) -> None:
        """A mark price or an asset's index has come over a stream."""
        if not isinstance(message, MarkPrice | AssetIndex):
            return
        by_index = isinstance(message, AssetIndex)
        asset = self._by_name.get(message.symbol)
        if asset is not None and self._watched[asset].by_index is by_index:
            self._set_price(asset, exact(message.index_price if isinstance(message, AssetIndex) else message.mark_price))

    def _set_price(self, asset: str, price: Decimal) -> None:
        """A price of zero is printed while there is none."""
        if price <= ZERO:
            return
        before = self._prices.of(asset)
        self._watched[asset].heard_ns = self._ctx.now_ns
        self._prices.rate_told(asset, price)
        if before is None:
            self._ctx.log(Level.INFO, f"{asset} is valued at {plain(price)}")
        known = self.recorded.get(asset)
        if known is None or abs(price - known) > known * _RECORD_STEP:
            self.recorded[asset] = price
            self._ctx.record(RowKind.PRICE, asset, {"price": str(price)})
