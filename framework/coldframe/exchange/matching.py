"""The matching engine of one contract: price-time priority over own orders and background liquidity.

An own order has an id and an owner; background liquidity is the rest of the market, a quantity in the queue without an owner. One
mechanism serves every market: a simulated one, whose background liquidity joins, cancels and takes like an account, and a
recorded one, whose book says how much of it stands at a price (`set_background`) and whose trades consume the queues from the
front (`apply_market_trade`).

Prices and quantities are integers in units of 10**-12 (`coldframe.units.scaled`). No clock, no chance: the same calls give the
same fills. This module must never know what an account or a rule of a symbol is. Its counterparts: `coldframe.exchange_server`, a
backtest.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from itertools import islice
from math import gcd
from typing import Final, assert_never

import attrs

from coldframe.enums import SelfTradePrevention, Side, Word

#: Id and owner of quantity that belongs to the rest of the market.
BACKGROUND_ID: Final = 0
BACKGROUND: Final = ""


class QueueModel(Word):
    """Where in a queue of a recorded market the cancelled quantity has stood: its book says how much has gone, not from where."""

    #: Behind own orders, as long as anything stands there: own orders are filled as late as can be.
    BEHIND = "behind"
    #: Everywhere alike: each piece of the queue loses the same share.
    EVENLY = "evenly"
    #: Ahead of own orders, as long as anything stands there: own orders are filled as early as can be.
    AHEAD = "ahead"


@attrs.frozen
class MatchedFill:
    """One trade. The price is the maker's."""

    price: int
    quantity: int
    taker_side: Side
    taker_id: int
    taker_owner: str
    maker_id: int
    maker_owner: str


@attrs.frozen
class Withdrawn:
    """A resting order that self-trade prevention took out of the book with `left` unfilled."""

    order_id: int
    owner: str
    price: int
    left: int


@attrs.frozen(kw_only=True)
class Taker:
    """An order that wants to trade at once, up to `limit` (None: at any price)."""

    side: Side
    quantity: int
    limit: int | None = None
    order_id: int = BACKGROUND_ID
    owner: str = BACKGROUND
    prevention: SelfTradePrevention = SelfTradePrevention.NONE


@attrs.frozen
class Taken:
    """What became of a taker: what happened in order, what is left of it, and whether self-trade prevention ended it."""

    happened: tuple[MatchedFill | Withdrawn, ...]
    left: int
    prevented: bool = False

    @property
    def fills(self) -> tuple[MatchedFill, ...]:
        return tuple(event for event in self.happened if isinstance(event, MatchedFill))


class Matching:
    """Two queues of levels. All quantities given must be positive unless zero is said to be allowed."""

    def __init__(self, queue_model: QueueModel = QueueModel.BEHIND) -> None:
        self._queue_model = queue_model
        self._bids = _Queues(1)
        self._asks = _Queues(-1)
        self._own: dict[int, tuple[_Queues, _QueueLevel, _QueueEntry]] = {}

    # -- looking ------------------------------------------------------------------------------------------------------

    def best(self, side: Side) -> int | None:
        """The best price of a side; None when it is empty."""
        return self._side(side).best()

    def depth(self, side: Side, levels: int) -> list[tuple[int, int]]:
        """Price and whole quantity (own and background) of the best `levels` levels, best first."""
        return [(level.price, level.total) for level in islice(self._side(side).from_best(), levels)]

    def better_than(self, side: Side, price: int, most: int) -> list[int]:
        """The prices of a side that are better than `price`, best first; of the best `most` levels."""
        return self._side(side).better_than(price, most)

    def quantity_at(self, side: Side, price: int) -> int:
        """Own and background quantity at a price."""
        level = self._side(side).levels.get(price)
        return level.total if level else 0

    def background_at(self, side: Side, price: int) -> int:
        """Background quantity at a price."""
        level = self._side(side).levels.get(price)
        return level.background if level else 0

    def crosses(self, side: Side, price: int) -> bool:
        """Whether an order of `side` at `price` would trade at once."""
        best = self._side(side.opposite).best()
        return best is not None and _reaches(side, price, best)

    def fillable(self, taker: Taker) -> int:
        """How much of `taker` could be filled now: fill-or-kill asks this first. Own orders count unless prevention is on."""
        found = 0
        for level in self._side(taker.side.opposite).from_best():
            if found >= taker.quantity or not _reaches(taker.side, taker.limit, level.price):
                break
            found += sum(entry.left for entry in level.queue if not _prevented(taker, entry))
        return min(found, taker.quantity)

    # -- orders -------------------------------------------------------------------------------------------------------

    def match_order(self, taker: Taker) -> Taken:
        """Trades `taker` against the other side, best price first, oldest first; nothing of it is put into the book."""
        queues, left = self._side(taker.side.opposite), taker.quantity
        happened: list[MatchedFill | Withdrawn] = []
        while left:
            price = queues.best()
            if price is None or not _reaches(taker.side, taker.limit, price):
                break
            level = queues.levels[price]
            entry = level.queue[0]
            if _prevented(taker, entry):
                if taker.prevention is not SelfTradePrevention.EXPIRE_TAKER:
                    happened.append(Withdrawn(entry.order_id, entry.owner, price, entry.left))
                    self._drop(queues, level, entry)
                if taker.prevention is not SelfTradePrevention.EXPIRE_MAKER:
                    return Taken(tuple(happened), left, prevented=True)
                continue
            quantity = min(left, entry.left)
            left -= quantity
            if entry.order_id == BACKGROUND_ID and taker.order_id != BACKGROUND_ID:
                queues.remember_sold(level, quantity)
            happened.append(self._fill(taker, queues, level, entry, quantity))
        return Taken(tuple(happened), left)

    def rest(self, side: Side, price: int, quantity: int, order_id: int = BACKGROUND_ID, owner: str = BACKGROUND) -> None:
        """Puts an order, or background liquidity, at the back of the queue at `price`. What would trade has to be taken first."""
        queues = self._side(side)
        level = queues.level(price)
        if order_id == BACKGROUND_ID:
            queues.sold.pop(price, None)
            level.join_background(quantity)
            return
        entry = _QueueEntry(order_id, owner, quantity)
        level.queue.append(entry)
        level.total += quantity
        self._own[order_id] = (queues, level, entry)

    def withdraw(self, order_id: int) -> int:
        """Takes an own order out of the book. Gives what was left of it; 0 when it does not rest here."""
        found = self._own.get(order_id)
        if found is None:
            return 0
        queues, level, entry = found
        left = entry.left
        self._drop(queues, level, entry)
        return left

    def shrink(self, order_id: int, left: int) -> None:
        """Cuts a resting own order to `left` without touching its place in the queue; zero takes it out."""
        found = self._own.get(order_id)
        if found is None or found[2].left <= left:
            return
        if left <= 0:
            self.withdraw(order_id)
            return
        _, level, entry = found
        level.total -= entry.left - left
        entry.left = left

    # -- background liquidity of a simulated market ---------------------------------------------------------------------

    def leave(self, side: Side, price: int, quantity: int) -> int:
        """Cancels up to `quantity` of the background at a price, the youngest first. Gives what was cancelled."""
        queues = self._side(side)
        level = queues.levels.get(price)
        if level is None:
            return 0
        gone = level.cancel_background(quantity, QueueModel.BEHIND)
        queues.forget_if_empty(level)
        return gone

    # -- background liquidity of a recorded market ----------------------------------------------------------------------

    def set_background(self, side: Side, price: int, quantity: int) -> tuple[MatchedFill, ...]:
        """The market says that `quantity` stands at `price`, zero included.

        More joins the back of the queue, after it has traded with own orders that it crosses; less is taken from where the queue
        model says. Depth that an own taker has consumed stays so until the market says something new about the level.
        """
        queues = self._side(side)
        wanted = queues.without_sold(price, quantity)
        more = wanted - self.background_at(side, price)
        if more < 0:
            level = queues.level(price)
            level.cancel_background(-more, self._queue_model)
            queues.forget_if_empty(level)
            return ()
        fills = self._cross_own(side, price, more) if more else ()
        more -= sum(fill.quantity for fill in fills)
        if more:
            queues.level(price).join_background(more)
        if fills:
            queues.sold[price] = (quantity, quantity - self.background_at(side, price))
        return fills

    def replace_background(self, bids: Mapping[int, int], asks: Mapping[int, int]) -> tuple[MatchedFill, ...]:
        """The market publishes its whole book anew: what it does not name is gone."""
        fills: list[MatchedFill] = []
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            gone = [level.price for level in self._side(side).from_best() if level.price not in levels]
            self._side(side).sold.clear()
            for price in gone:
                self.set_background(side, price, 0)
        for side, levels in ((Side.BUY, bids), (Side.SELL, asks)):
            for price, quantity in levels.items():
                fills += self.set_background(side, price, quantity)
        return tuple(fills)

    def apply_market_trade(self, price: int, quantity: int, taker_side: Side) -> tuple[MatchedFill, ...]:
        """The market traded `quantity` at `price`: the makers' queue is consumed from the front, own orders included.

        Own orders at better prices had to be met first, so they share the quantity before the level does.
        """
        queues = self._side(taker_side.opposite)
        taker = Taker(side=taker_side, quantity=quantity)
        fills: list[MatchedFill] = []
        left = quantity
        for level in [level for level in queues.until(taker_side, price) if level.owned]:
            for entry in [order for order in level.queue if order.order_id != BACKGROUND_ID or level.price == price]:
                part = min(left, entry.left)
                if not part:
                    return tuple(fills)
                left -= part
                fill = self._fill(taker, queues, level, entry, part)
                if fill.maker_id != BACKGROUND_ID:
                    fills.append(fill)
        level_at = queues.levels.get(price)
        if level_at is not None and left:
            level_at.consume_background(left)
            queues.forget_if_empty(level_at)
        return tuple(fills)

    # -- parts --------------------------------------------------------------------------------------------------------

    def _side(self, side: Side) -> _Queues:
        return self._bids if side is Side.BUY else self._asks

    def _fill(self, taker: Taker, queues: _Queues, level: _QueueLevel, entry: _QueueEntry, quantity: int) -> MatchedFill:
        level.reduce(entry, quantity)
        fill = MatchedFill(level.price, quantity, taker.side, taker.order_id, taker.owner, entry.order_id, entry.owner)
        if not entry.left:
            self._drop(queues, level, entry)
        return fill

    def _drop(self, queues: _Queues, level: _QueueLevel, entry: _QueueEntry) -> None:
        self._own.pop(entry.order_id, None)
        level.reduce(entry, entry.left)
        level.queue.remove(entry)
        queues.forget_if_empty(level)

    def _cross_own(self, side: Side, price: int, quantity: int) -> tuple[MatchedFill, ...]:
        """Fills own orders of the other side that background liquidity at this price would have traded with."""
        queues, left = self._side(side.opposite), quantity
        taker = Taker(side=side, quantity=quantity)
        fills: list[MatchedFill] = []
        for level in [level for level in queues.until(side, price) if level.owned]:
            for entry in [order for order in level.queue if order.order_id != BACKGROUND_ID]:
                part = min(left, entry.left)
                if part:
                    left -= part
                    fills.append(self._fill(taker, queues, level, entry, part))
        return tuple(fills)


@attrs.define(eq=False)
class _QueueEntry:
    """A place in a queue: an own order, or a piece of background liquidity."""

    order_id: int
    owner: str
    left: int


class _QueueLevel:
    """The queue at one price, oldest first. Neighbouring pieces of background liquidity are one entry."""

    __slots__ = ("background", "price", "queue", "total")

    def __init__(self, price: int) -> None:
        self.price = price
        self.queue: list[_QueueEntry] = []
        self.total = 0
        self.background = 0

    @property
    def owned(self) -> bool:
        """Whether an own order stands here."""
        return self.total != self.background

    def reduce(self, entry: _QueueEntry, quantity: int) -> None:
        entry.left -= quantity
        self.total -= quantity
        if entry.order_id == BACKGROUND_ID:
            self.background -= quantity

    def join_background(self, quantity: int) -> None:
        self.total += quantity
        self.background += quantity
        if self.queue and self.queue[-1].order_id == BACKGROUND_ID:
            self.queue[-1].left += quantity
        else:
            self.queue.append(_QueueEntry(BACKGROUND_ID, BACKGROUND, quantity))

    def cancel_background(self, quantity: int, model: QueueModel) -> int:
        """Cancels up to so much from where the model says. Gives what was cancelled."""
        match model:
            case QueueModel.BEHIND:
                return self._shed(quantity, list(reversed(self.queue)))
            case QueueModel.AHEAD:
                return self._shed(quantity, list(self.queue))
            case QueueModel.EVENLY:
                return self._shed_evenly(min(quantity, self.background))
            case unknown:
                assert_never(unknown)

    def consume_background(self, quantity: int) -> int:
        return self._shed(quantity, list(self.queue))

    def _shed(self, quantity: int, entries: list[_QueueEntry]) -> int:
        left = quantity
        for entry in entries:
            if entry.order_id == BACKGROUND_ID and left:
                part = min(left, entry.left)
                left -= part
                self.reduce(entry, part)
        self.queue = [entry for entry in self.queue if entry.left]
        return quantity - left

    def _shed_evenly(self, quantity: int) -> int:
        """Takes the same share from each piece, in their largest common step: no quantity becomes finer than the market's own.

        What cannot be divided comes from the youngest ones.
        """
        pieces = [entry for entry in self.queue if entry.order_id == BACKGROUND_ID]
        step = gcd(quantity, *(entry.left for entry in pieces))
        whole = self.background * step
        parts = [entry.left * quantity // whole * step for entry in pieces]
        for entry, part in zip(pieces, parts, strict=True):
            self.reduce(entry, part)
        self._shed(quantity - sum(parts), list(reversed(self.queue)))
        return quantity


class _Queues:
    """One side: levels by price, and their prices sorted so that the best stands last."""

    __slots__ = ("_keys", "_sign", "levels", "sold")

    def __init__(self, sign: int) -> None:
        self._sign = sign
        self._keys: list[int] = []
        self.levels: dict[int, _QueueLevel] = {}
        #: For levels that an own taker has consumed from: what the market had said, and how much of it is sold.
        self.sold: dict[int, tuple[int, int]] = {}

    def best(self) -> int | None:
        return self._keys[-1] * self._sign if self._keys else None

    def from_best(self) -> Iterator[_QueueLevel]:
        """The levels, best first; the book must not change meanwhile."""
        for key in reversed(self._keys):
            yield self.levels[key * self._sign]

    def better_than(self, price: int, most: int) -> list[int]:
        first = max(bisect_right(self._keys, price * self._sign), len(self._keys) - most)
        return [key * self._sign for key in reversed(self._keys[first:])]

    def until(self, side: Side, price: int) -> list[_QueueLevel]:
        """The levels that an order of `side` at `price` reaches, best first."""
        reached: list[_QueueLevel] = []
        for level in self.from_best():
            if not _reaches(side, price, level.price):
                break
            reached.append(level)
        return reached

    def level(self, price: int) -> _QueueLevel:
        """The level at a price, made if there is none."""
        level = self.levels.get(price)
        if level is None:
            level = self.levels[price] = _QueueLevel(price)
            key = price * self._sign
            self._keys.insert(bisect_left(self._keys, key), key)
        return level

    def forget_if_empty(self, level: _QueueLevel) -> None:
        if not level.queue and self.levels.pop(level.price, None) is not None:
            del self._keys[bisect_left(self._keys, level.price * self._sign)]

    def remember_sold(self, level: _QueueLevel, quantity: int) -> None:
        said, sold = self.sold.get(level.price, (level.background, 0))
        self.sold[level.price] = (said, sold + quantity)

    def without_sold(self, price: int, quantity: int) -> int:
        """What of `quantity` is still for sale: all of it, unless the market only repeats what it said before."""
        said, sold = self.sold.get(price, (-1, 0))
        if said == quantity:
            return quantity - sold
        self.sold.pop(price, None)
        return quantity


def _reaches(side: Side, limit: int | None, price: int) -> bool:
    """Whether an order of `side` with that limit may trade at `price`."""
    return limit is None or (price <= limit if side is Side.BUY else price >= limit)


def _prevented(taker: Taker, entry: _QueueEntry) -> bool:
    """Whether self-trade prevention stands between the two."""
    return taker.prevention is not SelfTradePrevention.NONE and entry.owner == taker.owner != BACKGROUND
