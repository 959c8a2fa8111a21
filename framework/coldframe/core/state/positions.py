"""What fills add up to: positions at their average entry price, realised profit, fees. Exact, and the same for every owner.

Adding to a position moves its average entry price, reducing it realises profit against that price, crossing zero does both
(the remainder opens at the fill's price). Quantities are signed: long positive, short negative.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Context, Decimal, localcontext
from typing import Final

import attrs

from coldframe.core.state.asset_values import AT_PAR, AssetValues
from coldframe.enums import PositionSide, Side
from coldframe.units import ZERO

# Wide enough that no sum or product here is ever rounded, whatever the precision a plugin has set for itself.
_WIDE: Final = Context(prec=60)
# An entry price is a quotient; more digits than this say nothing.
_AVERAGE: Final = Context(prec=34)
# A share of the cost is a quotient: rounded to this, it adds up with the rest exactly, so that nothing is lost in between.
_SHARE: Final = Decimal(1).scaleb(-18)

PositionKey = tuple[str, PositionSide]
#: The owner of what belongs to no strategy.
EXTERNAL: Final = ""


def named(key: PositionKey) -> str:
    """A position for people: the symbol, in hedge mode with its side."""
    symbol, side = key
    return symbol if side is PositionSide.BOTH else f"{symbol} {side}"


@attrs.define
class Position:
    """One position. `cost` is the signed sum that its open quantity was bought for: entry price times quantity, kept exact."""

    quantity: Decimal = ZERO
    cost: Decimal = ZERO
    realized: Decimal = ZERO

    @property
    def entry_price(self) -> Decimal | None:
        """Average entry price; None when there is no position."""
        return _AVERAGE.divide(self.cost, self.quantity) if self.quantity else None

    def fill(self, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
        """Takes in a fill and returns the profit it realised, fees not subtracted."""
        with localcontext(_WIDE):
            signed = quantity * side.sign
            if self.quantity * signed >= 0:
                self.quantity += signed
                self.cost += signed * price
                return ZERO
            return self._reduce(side, quantity, price)

    def change(self, quantity: Decimal, price: Decimal) -> Decimal:
        """Takes in a signed quantity and returns the profit it realised."""
        return self.fill(Side.BUY if quantity > 0 else Side.SELL, abs(quantity), price)

    def _reduce(self, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
        held = abs(self.quantity)
        closing = min(quantity, held)
        share = self.cost if closing == held else (self.cost * closing / held).quantize(_SHARE)
        # `share` has the sign of the position; what closing it brings has the opposite sign of the fill.
        realized = -side.sign * closing * price - share
        self.cost -= share
        self.quantity += side.sign * closing
        self.realized += realized
        opening = quantity - closing
        if opening:
            self.quantity = side.sign * opening
            self.cost = self.quantity * price
        return realized

    def unrealized(self, mark: Decimal) -> Decimal:
        """What closing at `mark` would bring."""
        return self.quantity * mark - self.cost


@attrs.define
class StrategyPositions:
    """The positions, profit and fees of one strategy."""

    positions: dict[PositionKey, Position] = attrs.field(factory=dict)
    #: What was paid, by asset; rebates are negative.
    fees: dict[str, Decimal] = attrs.field(factory=dict)
    #: What was traded for these fees, by asset, where an asset is not at par: what a fee is estimated by while it has no price.
    fee_notional: dict[str, Decimal] = attrs.field(factory=dict)
    #: Funding received, by asset; what was paid is negative.
    funding: dict[str, Decimal] = attrs.field(factory=dict)
    fills: int = 0
    #: Under which name, and where, it is noted what may have changed: a position, or (None) fees and funding.
    _owner: str = attrs.field(default="", eq=False, repr=False, init=False)
    _touched: set[tuple[str, PositionKey | None]] | None = attrs.field(default=None, eq=False, repr=False, init=False)

    def watched(self, owner: str, touched: set[tuple[str, PositionKey | None]]) -> None:
        """From now on what may have changed is noted there."""
        self._owner, self._touched = owner, touched

    def _touch(self, key: PositionKey | None) -> None:
        if self._touched is not None:
            self._touched.add((self._owner, key))

    def fund(self, amount: Decimal, asset: str) -> None:
        self._touch(None)
        self.funding[asset] = self.funding.get(asset, ZERO) + amount

    def pay(self, fee: Decimal, asset: str, notional: Decimal = ZERO) -> None:
        """Books a fee for having traded so much; both are negative when a fill is taken back."""
        self._touch(None)
        self.fees[asset] = self.fees.get(asset, ZERO) + fee
        if fee and asset and asset not in AT_PAR:
            self.fee_notional[asset] = self.fee_notional.get(asset, ZERO) + notional

    def position(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Position:
        """The position, made when it is first asked for; a change of it is made at once."""
        self._touch((symbol, side))
        return self.positions.setdefault((symbol, side), Position())

    def filled(self, symbol: str, position_side: PositionSide, side: Side, quantity: Decimal, price: Decimal) -> Decimal:
        """A fill of one of its orders. Returns the profit it realised, fees not subtracted."""
        self.fills += 1
        return self.position(symbol, position_side).fill(side, quantity, price)

    def net(self, symbol: str) -> Decimal:
        """The signed quantity of a symbol over all sides."""
        held = (self.positions.get((symbol, side)) for side in PositionSide)
        return sum((position.quantity for position in held if position is not None), ZERO)

    def entry_price(self, symbol: str, side: PositionSide = PositionSide.BOTH) -> Decimal | None:
        """Average entry price of a position; for BOTH that of the only open one, on whichever side, None while two are open."""
        sides = PositionSide if side is PositionSide.BOTH else (side,)
        held = [side for side in sides if (symbol, side) in self.positions and self.positions[symbol, side].quantity]
        return self.positions[symbol, held[0]].entry_price if len(held) == 1 else None

    @property
    def realized(self) -> Decimal:
        return sum((position.realized for position in self.positions.values()), ZERO)

    def unrealized(self, mark_prices: Mapping[str, Decimal]) -> Decimal:
        """What the open positions would bring at the mark prices; those without one count nothing."""
        open_positions = [(key[0], position) for key, position in self.positions.items() if position.quantity]
        return sum((position.unrealized(mark_prices[symbol]) for symbol, position in open_positions if symbol in mark_prices), ZERO)

    def fees_paid(self, prices: AssetValues) -> Decimal:
        """What all fees come to; those in an asset without a price are estimated."""
        return prices.fees(self.fees, self.fee_notional)

    def notional(self, mark_prices: Mapping[str, Decimal]) -> Decimal:
        """The gross notional of the open positions: at the mark price, or at the entry price where there is no mark."""
        total = ZERO
        for (symbol, _), position in self.positions.items():
            price = mark_prices.get(symbol) or position.entry_price
            if price is not None:
                total += abs(position.quantity) * price
        return total
