"""Strategies that want something at random: orders of every type, quotes, targets, cancels."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal
from random import Random
from typing import Any, Final

import attrs

from coldframe import Cancel, CancelAll, Intent, OrderType, Place, Quote, Quotes, Side, Target, TimeInForce
from coldframe.enums import PositionSide, WorkingType
from coldframe.model.events import StrategyEvent
from coldframe.model.view import BookView, View
from tests.simulation.strategies import Puppet

_LIMIT_TYPES: Final = (OrderType.STOP, OrderType.TAKE_PROFIT)
_MARKET_TYPES: Final = (OrderType.STOP_MARKET, OrderType.TAKE_PROFIT_MARKET)
_CONDITIONAL: Final = (*_LIMIT_TYPES, *_MARKET_TYPES, OrderType.TRAILING_STOP_MARKET)
_SIDES: Final = (PositionSide.LONG, PositionSide.SHORT)


@attrs.frozen
class Contract:
    """A contract as these worlds trade it."""

    symbol: str
    #: The largest position that a strategy may hold, and what its quantities are multiples of.
    limit: Decimal
    step: Decimal
    #: What a distance of 1 of the largest contract is here.
    scale: Decimal
    tick: Decimal

    def away(self, *distances: int) -> list[Decimal]:
        return [distance * self.scale for distance in distances]

    def round(self, price: Decimal) -> Decimal:
        return price.quantize(self.tick, ROUND_DOWN)


BTC: Final = Contract("BTCUSDT", Decimal("0.010"), Decimal("0.002"), Decimal(1), Decimal("0.1"))
ETH: Final = Contract("ETHUSDT", Decimal("0.10"), Decimal("0.02"), Decimal("0.05"), Decimal("0.01"))


@attrs.define
class Hand:
    """One strategy. `conditional`: whether it places orders that wait for a trigger."""

    contract: Contract
    chance: Random
    hedge: bool
    conditional: bool
    #: Whether it places hardly anything but those.
    storm: bool = False
    #: What the strategy is told of its orders.
    told: list[StrategyEvent] = attrs.field(factory=list)

    def puppet(self) -> Puppet:
        made = Puppet()
        made.act, made.events = self.act, self.told
        made.patient = False
        return made

    def act(self, view: View) -> list[Intent]:
        chance, symbol, book = self.chance, self.contract.symbol, view.book(self.contract.symbol)
        drawn = chance.random()
        if drawn < 0.35 or book.best_bid is None or book.best_ask is None:
            return []
        quantity = self.contract.step * chance.randint(1, 5)
        away = chance.choice(self.contract.away(0, 10, 30, 100))
        bid, ask = book.best_bid - away, book.best_ask + away
        if self.storm and chance.random() < 0.7:
            return [self._waiting(view, book, quantity)]
        if drawn < 0.55:
            levels = {"bids": [Quote(bid, quantity)], "asks": [Quote(ask, quantity)]}
            return [Quotes(symbol, position_side=self._position_side(), **levels)]
        if drawn < 0.63:
            return [Target(symbol, self.contract.step * chance.randint(-5, 5))]
        if drawn < 0.76:
            side = chance.choice(list(Side))
            tif = chance.choice((TimeInForce.GTC, TimeInForce.IOC, TimeInForce.GTX))
            price = bid if side is Side.BUY else ask
            return [self._place(side=side, quantity=quantity, price=price, time_in_force=tif, position_side=self._position_side())]
        if drawn < 0.9:
            return [self._waiting(view, book, quantity)] if self.conditional else []
        mine = view.orders(symbol)
        return [Cancel(chance.choice(mine).client_order_id)] if mine and drawn < 0.97 else [CancelAll(symbol)]

    def _place(self, **fields: Any) -> Place:
        return Place(symbol=self.contract.symbol, **fields)

    def _position_side(self) -> PositionSide:
        return self.chance.choice(_SIDES) if self.hedge else PositionSide.BOTH

    def _waiting(self, view: View, book: BookView, quantity: Decimal) -> Place:
        """A conditional order: mostly one that protects the position there is."""
        chance, contract = self.chance, self.contract
        kind, where = chance.choice(_CONDITIONAL), self._position_side()
        held = view.position(contract.symbol, where)
        side = chance.choice(list(Side)) if not held or chance.random() < 0.2 else (Side.SELL if held > 0 else Side.BUY)
        closes = kind in _MARKET_TYPES and chance.random() < 0.3
        fields: dict[str, Any] = {
            "side": side,
            "type": kind,
            "position_side": where,
            "working_type": chance.choice(list(WorkingType)),
            "quantity": Decimal(0) if closes else quantity,
            "close_position": closes,
            "reduce_only": not self.hedge and not closes and bool(held) and chance.random() < 0.7,
        }
        if kind is OrderType.TRAILING_STOP_MARKET:
            return self._place(callback_rate=Decimal("0.1"), **fields)
        assert book.best_bid is not None
        assert book.best_ask is not None
        beyond = chance.choice(contract.away(*((2, 5, 15) if self.storm else (10, 30, 60))))
        upwards = (side is Side.BUY) == (kind in (OrderType.STOP, OrderType.STOP_MARKET))
        fields["trigger_price"] = book.best_ask + beyond if upwards else book.best_bid - beyond
        if kind in _LIMIT_TYPES:
            fields["price"] = contract.round(fields["trigger_price"] + side.sign * chance.choice(contract.away(0, 20)))
        return self._place(**fields)
