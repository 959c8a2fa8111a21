"""Momentum: follows a one-sided flow of trades into the market, and leaves at a profit, at a loss, or when time is up.

Entry and exit are both a `Target`: the strategy says which position it wants, and the framework trades aggressively until it has
it. In one symbol it makes one bet at a time, and a bet that is over is never taken up again: from then on it wants no position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs
from attrs import validators

from coldframe import (
    BookChanged,
    Instrument,
    OrderFilled,
    PartialBookChanged,
    PositionChanged,
    Side,
    Target,
    TradePrinted,
    View,
    WakeMe,
    Woken,
    hookimpl,
)
from coldframe_momentum.flow import Flow

#: A position that should be there, or gone, and for which no order is under way is asked for again after so long.
ASK_AGAIN_MS: Final = 1_000

_POSITIVE: Final = validators.gt(Decimal(0))
_NOT_NEGATIVE: Final = validators.ge(Decimal(0))


@attrs.define
class Bet:
    """One entry and what follows; `over` once it only waits for its position to be closed."""

    side: Side
    size: Decimal
    began_ms: int
    over: bool = False


@attrs.define
class Market:
    """What the strategy knows about one symbol."""

    flow: Flow
    size_fits: bool = False
    bet: Bet | None = None
    #: The target that stands with the framework, and when it was asked for; None while none does.
    target: Decimal | None = None
    asked_ms: int = 0
    #: No new bet before this time.
    rest_until_ms: int = 0

    @property
    def wanted(self) -> Decimal:
        """The position that should be held now."""
        return self.bet.side.sign * self.bet.size if self.bet is not None and not self.bet.over else Decimal(0)


class Momentum:
    """Follows a one-sided trade flow; leaves at a profit, at a loss, or when time is up."""

    @attrs.frozen(kw_only=True)
    class Params:
        """Parameters of momentum: `size` or `notional` must be given, the rest has defaults."""

        #: Quantity of a position, in the base asset.
        size: Decimal | None = attrs.field(default=None, validator=validators.optional(_POSITIVE))
        #: Worth of a position, in the quote asset.
        notional: Decimal | None = attrs.field(default=None, validator=validators.optional(_POSITIVE))
        #: Length of the window in which trades are summed up, in milliseconds of the venue's time.
        window_ms: int = attrs.field(default=3_000, validator=validators.ge(1))
        #: Trades that must be in the window before it says anything.
        min_trades: int = attrs.field(default=8, validator=validators.ge(1))
        #: Imbalance at which a position is opened: (bought - sold) / (bought + sold), from 0 to 1.
        entry_imbalance: Decimal = attrs.field(default=Decimal("0.6"), validator=[_POSITIVE, validators.le(Decimal(1))])
        #: How far beyond the best price an order may reach, in basis points.
        slippage_bps: Decimal = attrs.field(default=Decimal(5), validator=_NOT_NEGATIVE)
        #: How long it tries to get in, in milliseconds.
        max_entry_ms: int = attrs.field(default=1_000, validator=validators.ge(1))
        #: Gain at which it leaves, in basis points of the entry price, fees not subtracted.
        take_profit_bps: Decimal = attrs.field(default=Decimal(15), validator=_POSITIVE)
        #: Loss at which it leaves, in basis points of the entry price, fees not added.
        stop_bps: Decimal = attrs.field(default=Decimal(10), validator=_POSITIVE)
        #: Longest time from the signal to the exit, in milliseconds.
        max_hold_ms: int = attrs.field(default=20_000, validator=validators.ge(1))
        #: Pause after a position has been closed, in milliseconds.
        cooldown_ms: int = attrs.field(default=3_000, validator=validators.ge(0))

        def __attrs_post_init__(self) -> None:
            if (self.size is None) == (self.notional is None):
                raise ValueError("needs either size (in the base asset) or notional (in the quote asset)")

    def __init__(self, params: Params) -> None:
        self.params = params
        self._markets: defaultdict[str, Market] = defaultdict(lambda: Market(Flow(params.window_ms)))

    # -- what happens -------------------------------------------------------------------------------------------------

    @hookimpl
    def on_trade(self, event: TradePrinted, view: View) -> Sequence[Target | WakeMe]:
        market = self._markets[event.symbol]
        market.flow.add(event)
        if self._may_enter(event.symbol, market, view):
            return self._enter(event.symbol, market, view)
        return self._follow(event.symbol, view)

    @hookimpl
    def on_book(self, event: BookChanged | PartialBookChanged, view: View) -> Sequence[Target]:
        market, book = self._markets[event.symbol], view.book(event.symbol)
        if not book.synced:
            market.target = None  # targets lapse when a book is lost
            return ()
        if not market.size_fits and book.best_bid is not None:
            self._refuse_small_size(view.instrument(event.symbol), book.best_bid)
            market.size_fits = True
        return self._follow(event.symbol, view)

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> Sequence[Target]:
        return self._follow(event.symbol, view)

    @hookimpl
    def on_position(self, event: PositionChanged, view: View) -> Sequence[Target]:
        """Others have closed the position, or a part of it: the bet is over, and what is left of it is closed."""
        market = self._markets[event.symbol]
        market.target = None  # the framework has let it lapse where it would open again what was closed
        if market.bet is not None:
            market.bet.over = True
        return self._follow(event.symbol, view)

    @hookimpl
    def on_wake(self, event: Woken, view: View) -> Sequence[Target]:
        return self._follow(event.key, view)

    # -- entry --------------------------------------------------------------------------------------------------------

    def _may_enter(self, symbol: str, market: Market, view: View) -> bool:
        resting = view.now_ms < market.rest_until_ms
        free = market.bet is None and not view.position(symbol) and not view.orders(symbol)
        return free and not resting and len(market.flow) >= self.params.min_trades and view.trading_allowed(symbol)

    def _enter(self, symbol: str, market: Market, view: View) -> Sequence[Target | WakeMe]:
        side, book = market.flow.direction(self.params.entry_imbalance), view.book(symbol)
        price = book.best_ask if side is Side.BUY else book.best_bid
        if side is None or price is None:
            return ()
        market.bet = Bet(side, self._size(view.instrument(symbol), price), view.now_ms)
        return [*self._follow(symbol, view), WakeMe(self.params.max_hold_ms, key=symbol)]

    def _size(self, rules: Instrument, price: Decimal) -> Decimal:
        """The size of a position: `size` as it is, a `notional` raised to what the contract takes."""
        if self.params.size is not None:
            return rules.quantity(self.params.size)
        assert self.params.notional is not None
        return max(rules.quantity(self.params.notional / price), smallest_order(rules, price))

    def _refuse_small_size(self, rules: Instrument, price: Decimal) -> None:
        """Better said when the book is first seen than silently never traded."""
        smallest = smallest_order(rules, price)
        if self.params.size is not None and self._size(rules, price) < smallest:
            least = f"at {price:f} the smallest order is {smallest:f} {rules.base_asset}"
            raise ValueError(f"size {self.params.size:f} is too small for {rules.symbol}: {least}")

    # -- what follows -------------------------------------------------------------------------------------------------

    def _follow(self, symbol: str, view: View) -> Sequence[Target]:
        """Ends the bet when it is time, and asks for the position that should be held, if that has not been asked for yet."""
        market, position = self._markets[symbol], view.position(symbol)
        bet = market.bet
        if bet is not None:
            bet.over = bet.over or self._is_over(bet, symbol, position, view)
            if bet.over and not position:
                market.bet, market.rest_until_ms = None, view.now_ms + self.params.cooldown_ms
        return self._asked(symbol, market, view)

    def _is_over(self, bet: Bet, symbol: str, position: Decimal, view: View) -> bool:
        age_ms = view.now_ms - bet.began_ms
        if not position:
            return age_ms >= self.params.max_entry_ms
        if age_ms >= self.params.max_hold_ms:
            return True
        gain_bps = self._gain_bps(bet, symbol, view)
        return gain_bps is not None and not -self.params.stop_bps < gain_bps < self.params.take_profit_bps

    @staticmethod
    def _gain_bps(bet: Bet, symbol: str, view: View) -> Decimal | None:
        """What leaving now would bring, at the price at which the position could be closed; None while that is not known."""
        entry, book = view.entry_price(symbol), view.book(symbol)
        price = book.best_bid if bet.side is Side.BUY else book.best_ask
        if entry is None or price is None:
            return None
        return (price - entry) * bet.side.sign * 10_000 / entry

    def _asked(self, symbol: str, market: Market, view: View) -> Sequence[Target]:
        wanted, position = market.wanted, view.position(symbol)
        if market.target is None and wanted == position:
            return ()
        overdue = wanted != position and not view.orders(symbol) and view.now_ms - market.asked_ms >= ASK_AGAIN_MS
        if wanted == market.target and not overdue:
            return ()
        market.target, market.asked_ms = wanted, view.now_ms
        return [Target(symbol, wanted, self.params.slippage_bps)]


def smallest_order(rules: Instrument, price: Decimal) -> Decimal:
    """The smallest quantity that the contract takes at `price`: its minimum quantity, or what its minimum notional demands."""
    needed = rules.filters.min_notional / price
    quantity = rules.quantity(needed)
    return max(quantity if quantity >= needed else quantity + rules.step, rules.min_quantity)


@hookimpl
def provide_strategies() -> dict[str, type]:
    return {"momentum": Momentum}
