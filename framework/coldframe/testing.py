"""For tests of plugins and machines: `StrategyBench` feeds a strategy events and shows its intents, `Playbook` reads like a trace.

Both use the real parts: a strategy on the bench sees a real view over a real book, and its hooks are checked as at load.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from random import Random
from typing import Any, Protocol, TypeVar, assert_never

from msgspec import structs

from coldframe.core.connectivity.rest_queue import RestQueue
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.marketdata.market import LocalBook, Market
from coldframe.core.marketdata.shards import FeedLimits
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.limits import Budget
from coldframe.core.state.orders import Fill, Order, Orders, Origin
from coldframe.core.state.strategy_account import StrategyAccount
from coldframe.core.strategies.runtime import OnError
from coldframe.core.strategies.view import StrategyView, StrategyWorld
from coldframe.enums import ContractStatus, OrderStatus, Side
from coldframe.model.engine_events import StrategyTold
from coldframe.model.events import (
    BookChanged,
    BookState,
    CandleChanged,
    MarkPriceChanged,
    OrderChanged,
    OrderFilled,
    PositionCause,
    PositionChanged,
    Started,
    Stopped,
    StrategyEvent,
    TradePrinted,
    Woken,
)
from coldframe.model.instruments import Instrument, Instruments
from coldframe.model.intents import Intent, Place, SaveState
from coldframe.model.orders import OrderEvent
from coldframe.model.saved_state import SavedValue
from coldframe.plug.hookspecs import EVENT_HOOKS
from coldframe.plug.strategy_plugin import StrategyPlugin
from coldframe.units import NS_PER_MS, ZERO, exact, places
from coldframe.wire.filters import Filters, LotSize
from coldframe.wire.names import StreamName
from coldframe.wire.reference import Depth
from coldframe.wire.streams import DepthUpdate

Levels = Iterable[tuple[str, str]]
R = TypeVar("R")

#: The moment at which a bench begins, in epoch milliseconds.
BENCH_START_MS = 1_700_000_000_000


def instrument(
    symbol: str, *, tick: str = "0.1", step: str = "0.001", min_quantity: str | None = None, min_notional: str = "0"
) -> Instrument:
    """A contract for tests, with just the rules that are named."""
    tick_size, step_size = _number(tick), _number(step)
    lot = LotSize(_number(min_quantity or step), ZERO, step_size)
    filters = Filters(
        tick=tick_size,
        lot=lot,
        market_lot=lot,
        min_notional=_number(min_notional),
        price_precision=places(tick_size),
        quantity_precision=places(step_size),
    )
    return Instrument(symbol, symbol[:-4], symbol[-4:], symbol[-4:], ContractStatus.TRADING, filters)


class StrategyBench:
    """One strategy (and overlays) on the bench. Every feeding method returns the intents it brought, in order.

    Raises `PluginError` at once when a hook does not fit, `StrategyFault` when a hook raises, and `ValueError` when the bench is
    fed what no venue could say. `seed` is what `view.random` draws from, `state` what an earlier run has saved. What a hook saves
    with `SaveState` is in `view.state` from the next call on; a value that a run would refuse raises `ValueError` here.
    """

    def __init__(
        self,
        strategy: object,
        symbols: Sequence[str] = ("BTCUSDT",),
        *,
        overlays: Sequence[object] = (),
        instruments: Iterable[Instrument] | None = None,
        hedge: bool = False,
        seed: str = "bench",
        state: SavedValue = None,
    ) -> None:
        if isinstance(symbols, str):
            raise ValueError(f"symbols are a list: [{symbols!r}]")
        self.plugin = StrategyPlugin("bench", symbols, OnError.QUARANTINE, strategy, overlays)
        self._ctx = StepContext(lambda: 0.5, now_ns=BENCH_START_MS * NS_PER_MS)
        listed = Instruments(instruments or [instrument(symbol) for symbol in symbols])
        names = [StreamName.of(symbol, "depth@100ms") for symbol in symbols]
        self._market = Market(self._ctx, RestQueue(self._ctx), names, FeedLimits())
        self._orders = Orders(BENCH_START_MS)
        self._account = StrategyAccount("bench", frozenset(symbols), Budget())
        self._state = EngineState(self._ctx, self._orders, {"bench": self._account}, instruments=listed, hedge=hedge)
        self._state.saved.save("bench", state)
        self._reports = ExecutionReports(self._state, self._ctx)
        self._trade_id = 0
        parts = (self._state, self._account, symbols, self._market, Random(seed))
        self._world, self._outside = StrategyWorld(*parts), StrategyWorld(*parts)
        self._view = self._outside.lasting(self.now_ms, allowed=True)

    @property
    def now_ms(self) -> int:
        return self._ctx.now_ms

    @property
    def view(self) -> StrategyView:
        """The world as a hook of the strategy would see it now. Unlike the view that a hook is given it may be kept."""
        self._outside.now_ms = self.now_ms
        return self._view

    def advance(self, ms: int) -> None:
        """Lets time pass."""
        if ms < 0:
            raise ValueError(f"time does not go back: {ms} ms")
        self._ctx.now_ns += ms * NS_PER_MS

    def send(self, hook: str, event: StrategyEvent) -> list[Any]:
        """Calls one hook with any event; a hook that the strategy does not have brings nothing.

        A closed candle stands in `view.candles` from then on.
        """
        if hook not in EVENT_HOOKS:
            raise ValueError(f"there is no hook {hook}: one of {', '.join(sorted(EVENT_HOOKS))}")
        if isinstance(event, CandleChanged) and event.contract_type is None:
            self._market.candles.listen(event.symbol, event.interval)
            self._market.candles.add(event)
        if hook not in self.plugin.hooks:
            return []
        wanted = self._during(lambda view: list(self.plugin.call(hook, event, view)))
        for intent in wanted:
            if type(intent) is SaveState:
                self._state.saved.save("bench", intent.value)
        return wanted

    def refusal(self, intent: Intent) -> str | None:
        """What the overlays say against an intent; None when they let it pass."""
        return self._during(lambda view: self.plugin.review(intent, view))

    def _during(self, call: Callable[[StrategyView], R]) -> R:
        """Makes a call with a view that ends with it."""
        view = self._world.open(self.now_ms, lambda: True)
        try:
            return call(view)
        finally:
            self._world.close(view)

    # -- what may happen ----------------------------------------------------------------------------------------------

    def start(self) -> list[Any]:
        return self.send("on_start", Started(self._ctx.now_ns))

    def stop(self, reason: str = "test") -> list[Any]:
        return self.send("on_stop", Stopped(self._ctx.now_ns, reason))

    def wake(self, key: str = "") -> list[Any]:
        return self.send("on_wake", Woken(key, self._ctx.now_ns))

    def book(self, symbol: str, bids: Levels, asks: Levels) -> list[Any]:
        """The book of a symbol now holds exactly these levels."""
        local = self._book(symbol)
        held = Depth(last_update_id=0, bids=_texts(bids), asks=_texts(asks))
        before = local.sync.book.update_id
        local.sync = type(local.sync)(symbol)
        local.sync.step(_delta(symbol, before, before + 1))
        local.sync.step(structs.replace(held, last_update_id=before + 1))
        local.sync.step(_delta(symbol, before + 1, before + 2))
        if local.sync.state is not BookState.SYNCED:
            raise ValueError(f"a book whose best bid is not below its best ask: {held.bids[:1]}, {held.asks[:1]}")
        local.moved_ns, local.lag_ms = self._ctx.now_ns, 0
        event = BookChanged(symbol, self._ctx.now_ns, self.now_ms, before + 2, local.sync.state)
        return self.send("on_book", event)

    def lose_book(self, symbol: str) -> list[Any]:
        """The book of a symbol cannot be relied on any more."""
        local = self._book(symbol)
        local.sync = type(local.sync)(symbol)
        return self.send("on_book", BookChanged(symbol, self._ctx.now_ns, self.now_ms, 0, local.sync.state))

    def mark(self, symbol: str, price: str) -> list[Any]:
        """A new mark price."""
        self._book(symbol)
        self._state.prices.mark_price_told(symbol, _number(price))
        event = MarkPriceChanged(symbol, self._ctx.now_ns, self.now_ms, _number(price), _number(price), ZERO, 0)
        return self.send("on_mark", event)

    def trade(self, symbol: str, price: str, quantity: str, taker_side: Side) -> list[Any]:
        """A trade of the market."""
        self._book(symbol)
        self._trade_id += 1
        event = TradePrinted(
            symbol=symbol,
            at_ns=self._ctx.now_ns,
            event_ms=self.now_ms,
            trade_id=self._trade_id,
            price=_number(price),
            quantity=_number(quantity),
            taker_side=taker_side,
            trade_ms=self.now_ms,
            aggregated=True,
        )
        return self.send("on_trade", event)

    def prepare(self, symbol: str, side: Side, price: str, quantity: str, *, tag: str = "") -> Order:
        """One of the strategy's orders is on its way: it stands in `view.orders`, and nothing has been heard of it yet."""
        self._book(symbol)
        place = Place(symbol=symbol, side=side, quantity=_number(quantity), price=_number(price), tag=tag)
        return self._orders.prepare("bench", place, Origin.PLACE, self._ctx.now_ns)

    def rest(self, symbol: str, side: Side, price: str, quantity: str, *, tag: str = "") -> list[Any]:
        """One of the strategy's orders now rests in the book, and `on_order` is called."""
        order = self.prepare(symbol, side, price, quantity, tag=tag)
        self._reports.apply(order, OrderEvent.SEEN_NEW)
        return self._events_told()

    def wait(self, intent: Place) -> tuple[Order, list[Any]]:
        """A conditional order that the strategy wanted now waits for its trigger, and `on_order` is called."""
        order = self._orders.prepare("bench", intent, Origin.PLACE, self._ctx.now_ns)
        self._reports.apply(order, OrderEvent.SEEN_WAITING)
        return order, self._events_told()

    def trigger(self, order: Order) -> list[Any]:
        """The trigger of an order that waits is reached: it becomes an ordinary one, and `on_order` is called for both."""
        self._reports.triggered(order)
        self._reports.apply(order, OrderEvent.SEEN_NEW)
        return self._events_told()

    def fill_order(self, order: Order, price: str, quantity: str, *, maker: bool = False) -> list[Any]:
        """One of the strategy's orders trades; `on_fill` and `on_order` are called."""
        self._trade_id += 1
        traded = _number(price), _number(quantity)
        side, held = order.side, order.position_side
        fill = Fill(order.symbol, self._trade_id, self._trade_id, side, *traded, maker, self.now_ms, held, ZERO)
        self._reports.fill(order, fill)
        return self._events_told()

    def fill(self, symbol: str, side: Side, price: str, quantity: str, *, maker: bool = True) -> list[Any]:
        """One of the strategy's own orders trades, one that rests at this price if there is one.

        Its position changes, and `on_fill` and `on_order` are called.
        """
        resting = (order for order in self._orders.of("bench", symbol) if order.side is side and order.price == _number(price))
        order = next(resting, None)
        if _number(quantity) <= 0 or (order is not None and _number(quantity) > order.quantity - order.filled):
            raise ValueError(
                f"{quantity} cannot trade" + (f": {order.quantity - order.filled} of the order is left" if order else "")
            )
        order = order or self.prepare(symbol, side, price, quantity)
        self._orders.see(order, OrderStatus.NEW, ZERO, self._ctx.now_ns)
        return self.fill_order(order, price, quantity, maker=maker)

    def take_away(
        self, symbol: str, side: Side, price: str, quantity: str, cause: PositionCause = PositionCause.OTHER_CLIENT
    ) -> list[Any]:
        """Others trade on the account: what takes away from the strategy's position changes it, and `on_position` is called."""
        self._book(symbol)
        self._trade_id += 1
        traded = _number(price), _number(quantity)
        fill = Fill(symbol, self._trade_id, self._trade_id, side, *traded, False, self.now_ms, fee=ZERO)
        self._state.holdings.book_external(fill, cause)
        return self._events_told()

    def _book(self, symbol: str) -> LocalBook:
        local = self._market.book(symbol)
        if local is None:
            raise ValueError(f"no symbol {symbol!r} on this bench: it has {', '.join(self.plugin.symbols)}")
        return local

    def _events_told(self) -> list[Any]:
        told = [published for published in self._ctx.take_events() if isinstance(published, StrategyTold)]
        return [intent for published in told for intent in self.send(_hook_of(published.event), published.event)]


def _hook_of(event: OrderChanged | OrderFilled | PositionChanged) -> str:
    match event:
        case OrderFilled():
            return "on_fill"
        case PositionChanged():
            return "on_position"
        case OrderChanged():
            return "on_order"
        case unknown:
            assert_never(unknown)


def _number(text: str) -> Decimal:
    if isinstance(text, float):
        raise ValueError(f'a number must be a text so that it stays exact: "{text}"')
    return exact(f"{text}")


def _texts(levels: Levels) -> list[tuple[str, str]]:
    return [(f"{_number(price):f}", f"{_number(quantity):f}") for price, quantity in levels]


def _delta(symbol: str, previous: int, last: int) -> DepthUpdate:
    return DepthUpdate(
        event="depthUpdate",
        event_ms=BENCH_START_MS,
        traded_ms=BENCH_START_MS,
        symbol=symbol,
        first_id=previous + 1,
        last_id=last,
        previous_id=previous,
        bids=[],
        asks=[],
    )


# -- playbooks --------------------------------------------------------------------------------------------------------

E = TypeVar("E", contravariant=True)


class Machine(Protocol[E]):
    """Anything with `step(event) -> effects`."""

    def step(self, event: E, /) -> Sequence[object]: ...


class Playbook:
    """A protocol trace as a test: `assert Playbook(machine) >> event << effect << effect >> event`.

    `>>` feeds an event, `<<` names the next effect it must bring; effects without a name, and names without an effect,
    fail when the next event is fed or the whole is asked for its truth. A type instead of a value stands for any of its instances.
    """

    def __init__(self, machine: Machine[Any] | Callable[[Any], Sequence[object]], ignore: tuple[type, ...] = ()) -> None:
        if not callable(getattr(machine, "step", machine)):
            raise TypeError(f"{type(machine).__name__} is not a machine: it has no step, and cannot be called itself")
        self._step: Callable[[Any], Sequence[object]] = machine.step if hasattr(machine, "step") else machine
        self._ignore = ignore
        self._open: deque[object] = deque()
        self._trace: list[str] = []

    def __rshift__(self, event: object) -> Playbook:
        self._refuse_unexpected()
        self._trace.append(f">> {event}")
        self._open.extend(effect for effect in self._step(event) if not isinstance(effect, self._ignore))
        return self

    def __lshift__(self, wanted: object) -> Playbook:
        if not self._open:
            raise AssertionError(self._story(f"<< {wanted}", "but nothing (more) came"))
        came = self._open.popleft()
        if not (isinstance(came, wanted) if isinstance(wanted, type) else came == wanted):
            raise AssertionError(self._story(f"<< {wanted}", f"but this came: {came}"))
        self._trace.append(f"<< {came}")
        return self

    def __bool__(self) -> bool:
        self._refuse_unexpected()
        return True

    def _refuse_unexpected(self) -> None:
        if self._open:
            raise AssertionError(self._story(*(f"<< {effect}   (not asked for)" for effect in self._open)))

    def _story(self, *last: str) -> str:
        return "\n".join([*self._trace, *last])
