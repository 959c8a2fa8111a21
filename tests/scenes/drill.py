"""A strategy that tries every conditional type on a real venue: places it, moves the market over its trigger, waits for its end.

What it is told about its orders goes to a file, one JSON document a line. In hedge mode it buys on the LONG side and sells on the
SHORT side, so that pushing the market never closes what a conditional order is there to close.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path

import attrs

from coldframe import (
    BookChanged,
    CancelAll,
    Intent,
    OrderChanged,
    OrderFilled,
    OrderType,
    Place,
    PositionMode,
    PositionSide,
    Side,
    TimeInForce,
    View,
    hookimpl,
)

BUY, SELL = Side.BUY, Side.SELL
SIZE = Decimal("0.01")
#: One push takes everything up to so far from the best price: 8 basis points, two in opposite directions more than a trailing stop.
REACH = Decimal("0.0008")
NEAR = Decimal("0.0003")
PUSH_EVERY_MS = 250


@attrs.frozen
class Step:
    """One conditional order, and the pushes that bring the market over its trigger."""

    make: Callable[[View, str], Place]
    pushes: tuple[Side, ...]


def _place(view: View, symbol: str, kind: OrderType, side: Side, away: Decimal | None, **more: object) -> Place:
    """A conditional order whose trigger lies `away` from the middle (a share of it)."""
    book, instrument = view.book(symbol), view.instrument(symbol)
    assert book.mid is not None
    given: dict[str, object] = {"quantity": SIZE, **more}
    if away is not None:
        given["trigger_price"] = instrument.price(book.mid * (1 + away))
    if kind in (OrderType.STOP, OrderType.TAKE_PROFIT):
        given["price"] = instrument.price(book.mid * (1 + side.sign * 12 * REACH))
    if view.position_mode is PositionMode.HEDGE:
        given.setdefault("position_side", PositionSide.LONG if side is BUY else PositionSide.SHORT)
    return Place(symbol=symbol, side=side, type=kind, **given)  # type: ignore[arg-type]


def _close(view: View, symbol: str) -> Place:
    """Closes whatever is held on the long side, or at all."""
    hedge = view.position_mode is PositionMode.HEDGE
    side = SELL if hedge or view.position(symbol) > 0 else BUY
    more = {"position_side": PositionSide.LONG} if hedge else {}
    away = -side.opposite.sign * NEAR / 5
    return _place(view, symbol, OrderType.STOP_MARKET, side, away, quantity=Decimal(0), close_position=True, **more)


STEPS = [
    Step(lambda v, s: _place(v, s, OrderType.STOP_MARKET, BUY, NEAR), (BUY,)),
    Step(_close, (SELL,)),
    Step(lambda v, s: _place(v, s, OrderType.STOP, SELL, -NEAR), (SELL,)),
    Step(lambda v, s: _place(v, s, OrderType.TAKE_PROFIT_MARKET, SELL, NEAR), (BUY,)),
    Step(lambda v, s: _place(v, s, OrderType.TAKE_PROFIT, BUY, -NEAR), (SELL,)),
    Step(lambda v, s: _place(v, s, OrderType.TRAILING_STOP_MARKET, SELL, None, callback_rate=Decimal("0.1")), (BUY, SELL)),
]


class Drill:
    """Goes through `STEPS`, then leaves a stop far away for the end of the run to cancel."""

    @attrs.frozen
    class Params:
        """Where to write what it is told."""

        told: str

    def __init__(self, params: Params) -> None:
        self._told = Path(params.told)
        self._step = 0
        self._name: str | None = None
        self._asked_ms = 0
        self._pushes = 0
        self._waiting = False

    @hookimpl
    def on_book(self, event: BookChanged, view: View) -> list[Intent] | None:
        if not view.trading_allowed(event.symbol) or view.now_ms - self._asked_ms < PUSH_EVERY_MS:
            return None
        self._asked_ms = view.now_ms
        if self._step > len(STEPS):
            return None
        if self._waiting:
            return [self._push(view, event.symbol)]
        if self._name is not None or self._step == len(STEPS):
            self._step += self._step == len(STEPS)
            return [_place(view, event.symbol, OrderType.STOP_MARKET, BUY, 100 * NEAR)] if self._name is None else None
        return [STEPS[self._step].make(view, event.symbol)]

    @hookimpl
    def on_order(self, event: OrderChanged, view: View) -> None:
        if not event.type.conditional:
            return
        self._tell(
            id=event.client_order_id,
            type=event.type,
            state=event.state,
            side=event.position_side,
            reason=event.reason,
            step=self._step,
        )
        match event.state:
            case "SUBMITTED":
                self._name = event.client_order_id
            case "UNTRIGGERED":
                self._waiting = self._step < len(STEPS)
            case "TRIGGERED":
                self._waiting = False
            case "REJECTED" | "EXPIRED" | "CANCELED" | "FILLED":
                # The rest of a market order expires where the book ends: done all the same.
                self._name, self._waiting, self._step = None, False, self._step + bool(event.filled)

    @hookimpl
    def on_fill(self, event: OrderFilled, view: View) -> None:
        self._tell(id=event.client_order_id, trade=event.trade_id, quantity=str(event.quantity))

    @hookimpl
    def on_stop(self) -> list[Intent]:
        self._tell(step=self._step)
        return [CancelAll()]

    def _push(self, view: View, symbol: str) -> Place:
        pushes = STEPS[self._step].pushes
        side = pushes[self._pushes % len(pushes)]
        self._pushes += 1
        book, instrument = view.book(symbol), view.instrument(symbol)
        best = book.best_ask if side is BUY else book.best_bid
        assert best is not None
        hedged = PositionSide.LONG if side is BUY else PositionSide.SHORT
        return Place(
            symbol=symbol,
            side=side,
            quantity=Decimal(100),
            price=instrument.price(best * (1 + side.sign * REACH)),
            time_in_force=TimeInForce.IOC,
            position_side=hedged if view.position_mode is PositionMode.HEDGE else PositionSide.BOTH,
        )

    def _tell(self, **what: object) -> None:
        with self._told.open("a") as file:
            file.write(json.dumps(what) + "\n")
