"""What a strategy may look at: its own slice of the world, read only, at the moment of the event it was called with.

A view and the books it gives are valid while the hook runs that was given it, and raise `RuntimeError` afterwards. What they answer
(orders, instruments, numbers) are values of that moment: they may be kept, and nothing that is done to them changes the run.
"""

from __future__ import annotations

from collections.abc import MutableSequence, Sequence
from decimal import Decimal
from typing import Any, Protocol, TypeVar

from coldframe.enums import OrderType, PositionMode, PositionSide, Side, TimeInForce
from coldframe.model.events import BookState, CandleChanged
from coldframe.model.instruments import Instrument


class BookView(Protocol):
    """A local order book. Prices and quantities are only there while `state` is SYNCED; all of them are None or empty otherwise."""

    @property
    def symbol(self) -> str: ...
    @property
    def state(self) -> BookState: ...
    @property
    def synced(self) -> bool: ...
    @property
    def update_id(self) -> int: ...
    @property
    def best_bid(self) -> Decimal | None: ...
    @property
    def best_ask(self) -> Decimal | None: ...
    @property
    def best_bid_quantity(self) -> Decimal | None: ...
    @property
    def best_ask_quantity(self) -> Decimal | None: ...
    @property
    def mid(self) -> Decimal | None:
        """Half way between best bid and best ask."""

    @property
    def micro_price(self) -> Decimal | None:
        """Between best bid and best ask, weighted by the quantity on the other side: nearer to the thinner one."""

    def bids(self, levels: int) -> Sequence[tuple[Decimal, Decimal]]:
        """The best `levels` bids as (price, quantity), best first."""

    def asks(self, levels: int) -> Sequence[tuple[Decimal, Decimal]]:
        """The best `levels` asks as (price, quantity), best first."""

    def known_to(self, side: Side) -> Decimal | None:
        """How far the book is known on a side; beyond this price levels may be missing. None: to the end."""


class OrderView(Protocol):
    """One of the strategy's own orders as it stood when it was asked for."""

    @property
    def client_order_id(self) -> str: ...
    @property
    def symbol(self) -> str: ...
    @property
    def side(self) -> Side: ...
    @property
    def type(self) -> OrderType: ...
    @property
    def time_in_force(self) -> TimeInForce: ...
    @property
    def position_side(self) -> PositionSide: ...
    @property
    def price(self) -> Decimal | None: ...
    @property
    def trigger_price(self) -> Decimal | None:
        """What a conditional order waits for; None for any other one."""

    @property
    def activate_price(self) -> Decimal | None:
        """The price from which on a trailing stop follows the market; None for any other order."""

    @property
    def reduce_only(self) -> bool:
        """Whether the venue lets it only make a position smaller."""

    @property
    def close_position(self) -> bool:
        """Whether it closes whatever the position is when it is triggered; `quantity` is a guess then."""

    @property
    def quantity(self) -> Decimal: ...
    @property
    def filled(self) -> Decimal: ...
    @property
    def remaining(self) -> Decimal:
        """What may still trade, at worst: the larger quantity while an amendment is open."""

    @property
    def state(self) -> str:
        """A word of `OrderState`."""

    @property
    def tag(self) -> str:
        """What the intent was tagged with that it was placed for; empty without one."""


_T = TypeVar("_T")


class Randomness(Protocol):
    """A source of random numbers with a seed, such as `random.Random`: the same seed gives the same numbers."""

    def random(self) -> float:
        """A number from 0 up to, and without, 1."""

    def uniform(self, a: float, b: float) -> float:
        """A number between `a` and `b`."""

    def randint(self, a: int, b: int) -> int:
        """A whole number from `a` to `b`, both included."""

    def gauss(self, mu: float = 0.0, sigma: float = 1.0) -> float:
        """A number of the normal distribution."""

    def choice(self, seq: Sequence[_T]) -> _T:
        """An element of a sequence that is not empty."""

    def sample(self, population: Sequence[_T], k: int) -> list[_T]:
        """`k` different elements of a sequence, in random order."""

    def shuffle(self, x: MutableSequence[Any]) -> None:
        """Puts a list into random order, in place."""


class View(Protocol):
    """The world as one strategy sees it."""

    @property
    def random(self) -> Randomness:
        """This strategy's own random numbers: use these, never the module `random`. A replay draws the same ones."""

    @property
    def now_ms(self) -> int:
        """The time of the current event in epoch milliseconds: use this, never the clock."""

    @property
    def state(self) -> Any:
        """What the strategy has saved last with `SaveState`, also in an earlier run, frozen; None while that is nothing."""

    @property
    def symbols(self) -> Sequence[str]:
        """The symbols this strategy may trade."""

    @property
    def position_mode(self) -> PositionMode:
        """How the account holds positions; in hedge mode orders need a `position_side`."""

    def instrument(self, symbol: str) -> Instrument:
        """Rules of a contract. Raises `KeyError` for a symbol the venue does not list."""

    def book(self, symbol: str, *, rpi: bool = False) -> BookView:
        """The local order book; with `rpi` the one that includes retail price improvement orders."""

    def candles(self, symbol: str, interval: str) -> Sequence[CandleChanged]:
        """The closed candles of this run, oldest first, at most the last 500. Raises `KeyError` where no stream brings such."""

    def mark_price(self, symbol: str) -> Decimal | None:
        """The latest mark price; None before the first one."""

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal:
        """This strategy's own signed position: of one side, or with BOTH of all of them together (hedge mode: long minus short)."""

    def entry_price(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal | None:
        """Average entry price of this strategy's position; None while it has none, and for BOTH while two sides are open."""

    def realized_pnl(self) -> Decimal:
        """What this strategy has realised, fees not subtracted."""

    def unrealized_pnl(self) -> Decimal:
        """What its open positions would bring at the mark price."""

    def fees(self) -> Decimal:
        """What it has paid in fees, in US dollars; a fee in an asset without a price is estimated by the notional traded."""

    def funding(self) -> Decimal:
        """What it has received in funding, in US dollars; negative when it has paid."""

    def orders(self, symbol: str | None = None) -> Sequence[OrderView]:
        """Its orders that are, or may be, alive."""

    def trading_allowed(self, symbol: str) -> bool:
        """Whether new risk would be accepted now, by the same rules that refuse orders: nothing is halted, suspended or stale."""
