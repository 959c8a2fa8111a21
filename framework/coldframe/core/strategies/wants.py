"""What a strategy that wants less is not told: the rule of its `Wants`, for each kind of event and symbol.

Each kind of event has a throttle of its own in each symbol, so that a band compares like with like, and the newest event of a kind
does not take the place of another kind's. Everything follows from the events and their times: the same ones give the same calls,
however they were cut into reads.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final, assert_never, cast

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.marketdata.book import Book
from coldframe.enums import Side
from coldframe.model.effects import WakeAt
from coldframe.model.events import (
    BestPriceChanged,
    BookChanged,
    BookEvent,
    BookState,
    DayStatsChanged,
    DaySummaryChanged,
    MarkPriceChanged,
    PartialBookChanged,
    StrategyEvent,
    TickerEvent,
    TradePrinted,
)
from coldframe.model.wants import Wants
from coldframe.units import NS_PER_MS

#: The hooks of which a strategy may want less.
PACED_HOOKS: Final = frozenset({"on_book", "on_ticker", "on_trade", "on_mark"})
#: A strategy gets at most so many throttles; what would need another one is told at once.
MOST_THROTTLES: Final = 10_000

PacedEvent = BookEvent | TickerEvent | TradePrinted | MarkPriceChanged
Prices = tuple[Decimal | None, ...]


def prices_of(event: PacedEvent, book: Book | None) -> Prices:
    """What a band is about: best bid and ask, or the price of a trade, the mark price, the last price in the figures of a day.

    None stands for a side without orders; a book that is not synced has no prices at all.
    """
    match event:
        case BookChanged(state=state):
            synced = book if state is BookState.SYNCED else None
            return (None, None) if synced is None else (synced.best(Side.BUY), synced.best(Side.SELL))
        case PartialBookChanged():
            return (event.bids[0][0] if event.bids else None, event.asks[0][0] if event.asks else None)
        case BestPriceChanged():
            return (event.bid, event.ask)
        case TradePrinted():
            return (event.price,)
        case MarkPriceChanged():
            return (event.mark_price,)
        case DayStatsChanged() | DaySummaryChanged():
            return (event.close,)
        case unknown:
            assert_never(unknown)


@attrs.define(eq=False)
class Throttle:
    """What one kind of event in one symbol has to pass on its way to a strategy: it is told, waits, or is left out."""

    hook: str
    #: Whether the next event passes, whatever the rules say.
    open: bool = True
    #: Before this moment a call comes too early.
    free_ns: int = 0
    #: The bounds of the band around each price of the last call; None where there was no price.
    band: tuple[tuple[Decimal, Decimal] | None, ...] = ()
    #: The state of the book at the last call; None for other kinds of events.
    state: BookState | None = None
    #: The newest event, while it waits for `free_ns`, and its prices.
    waiting: PacedEvent | None = None
    prices: Prices = ()
    #: The moment that the timer was asked for last.
    asked_ns: int = -1

    def inside(self, prices: Prices) -> bool:
        """Whether each price is within its band. A side that has become empty, or is not empty any more, has left it."""
        for price, bounds in zip(prices, self.band, strict=True):
            if price is None or bounds is None:
                if price is not None or bounds is not None:
                    return False
            elif not bounds[0] <= price <= bounds[1]:
                return False
        return True

    def open_for_next(self, open: bool) -> None:
        """Whether the next event passes, whatever the rules say."""
        self.open = open

    def hold(self, event: PacedEvent, prices: Prices) -> bool:
        """This event waits. Returns whether the timer has to be asked for."""
        self.waiting, self.prices = event, prices
        asked, self.asked_ns = self.asked_ns, self.free_ns
        return asked != self.free_ns

    def drop(self) -> None:
        """What has waited is not told any more."""
        self.waiting, self.prices = None, ()

    def note_call(self, wants: Wants, event: PacedEvent, prices: Prices, now_ns: int) -> None:
        """The hook is called with this event now."""
        self.waiting, self.prices, self.state = None, (), _state_of(event)
        if wants.every_ms is not None:
            self.free_ns = now_ns + wants.every_ms * NS_PER_MS
        if wants.band_bps is not None:
            self.band = tuple(None if price is None else _bounds(price, wants.band_bps) for price in prices)


def _bounds(price: Decimal, band_bps: Decimal | int) -> tuple[Decimal, Decimal]:
    width = price * band_bps / 10_000
    return (price - width, price + width)


def _state_of(event: PacedEvent) -> BookState | None:
    return event.state if isinstance(event, BookChanged) else None


class Throttles:
    """What one strategy was told last, and what waits to be told."""

    def __init__(self, strategy: str, wants: Wants) -> None:
        self._strategy = strategy
        self._wants = wants
        #: By symbol, then by kind of event.
        self._throttles: dict[str, dict[str, Throttle]] = {}
        self._count = 0
        self._stopped = False
        #: Events that the strategy was not told, for good.
        self.left_out = 0

    def passes(self, hook: str, event: StrategyEvent, book: Book | None, ctx: StepContext) -> bool:
        """Whether a hook is called with this event now. An event that comes too early waits for a timer, or for a newer event."""
        if hook not in PACED_HOOKS or self._stopped:
            return True
        paced = cast("PacedEvent", event)
        kind = _kind_of(paced)
        throttle = self._throttle(hook, paced.symbol, kind)
        if throttle is None:
            return True
        if throttle.waiting is not None:
            throttle.drop()
            self.left_out += 1
        wants = self._wants
        prices = prices_of(paced, book) if wants.band_bps is not None else ()
        if not throttle.open and throttle.state is _state_of(paced):
            if not self._wanted(throttle, prices):
                self.left_out += 1
                return False
            if ctx.now_ns < throttle.free_ns:
                if throttle.hold(paced, prices):
                    ctx.emit(WakeAt(f"wants:{self._strategy}:{kind}:{paced.symbol}", throttle.free_ns))
                return False
        throttle.note_call(wants, paced, prices, ctx.now_ns)
        throttle.open_for_next(False)
        return True

    def _wanted(self, throttle: Throttle, prices: Prices) -> bool:
        """Whether the rules ask for an event with these prices, sooner or later."""
        if self._wants.band_bps is not None:
            return not throttle.inside(prices)
        return self._wants.every_ms is not None

    def release(self, name: str, now_ns: int) -> tuple[tuple[str, StrategyEvent], ...]:
        """The timer of a throttle has come: the hook to call with the event that has waited, if one still does."""
        kind, symbol = name.split(":", 1)
        throttle = self._throttles.get(symbol, {}).get(kind)
        event = None if throttle is None else throttle.waiting
        if throttle is None or event is None or now_ns < throttle.free_ns:
            return ()
        throttle.note_call(self._wants, event, throttle.prices, now_ns)
        return ((throttle.hook, event),)

    def stop(self) -> None:
        """The strategy is not called any more: nothing waits for it."""
        self._stopped = True
        self._throttles.clear()

    def filled(self, symbol: str) -> None:
        """An order of the strategy has traded in this symbol."""
        if self._wants.own_fills:
            for throttle in self._throttles.get(symbol, {}).values():
                throttle.open_for_next(True)

    def _throttle(self, hook: str, symbol: str, kind: str) -> Throttle | None:
        here = self._throttles.get(symbol)
        throttle = here.get(kind) if here is not None else None
        if throttle is None and self._count < MOST_THROTTLES:
            self._count += 1
            throttle = self._throttles.setdefault(symbol, {})[kind] = Throttle(hook)
        return throttle


def _kind_of(event: PacedEvent) -> str:
    """The kind of an event; the book with retail price improvement orders is one of its own."""
    name = type(event).__name__
    return f"{name}.rpi" if isinstance(event, BookChanged) and event.rpi else name
