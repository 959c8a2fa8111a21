"""Margin arithmetic: what positions and open orders tie up, what is free, what a new order would need.

Rules (protocol.md 6.6): initial margin is notional over leverage; in one-way mode a symbol ties up the greater of what it would be
if all its bids, or all its asks, were filled; maintenance margin follows the leverage brackets. Reduce-only orders tie up nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from decimal import Decimal

import attrs

from coldframe.enums import PositionSide, Side
from coldframe.exchange.contracts import Contract
from coldframe.exchange.trading.entities import Account, Order, Position
from coldframe.units import ZERO

#: Mark price of a symbol.
Mark = Callable[[str], Decimal]
#: The contract of a symbol.
Listed = Callable[[str], Contract]


@attrs.frozen(kw_only=True)
class Exposure:
    """One symbol and position side of an account: what is held and what is on order, at the mark price."""

    position: Position
    contract: Contract
    mark: Decimal
    leverage: int
    isolated: bool
    bids: Decimal
    asks: Decimal

    @property
    def notional(self) -> Decimal:
        """Signed value of the position."""
        return self.position.quantity * self.mark

    @property
    def unrealized(self) -> Decimal:
        return self.position.unrealized(self.mark)

    @property
    def widest(self) -> Decimal:
        """The greatest notional that the position could reach through its open orders."""
        return max(abs(self.notional + self.bids), abs(self.notional - self.asks))

    @property
    def position_margin(self) -> Decimal:
        return abs(self.notional) / self.leverage

    @property
    def initial_margin(self) -> Decimal:
        return self.widest / self.leverage

    @property
    def order_margin(self) -> Decimal:
        return self.initial_margin - self.position_margin

    @property
    def maintenance(self) -> Decimal:
        return self.contract.maintenance(abs(self.notional)) if self.position.quantity else ZERO

    def with_order(self, side: Side, notional: Decimal) -> Exposure:
        """The same with one more order."""
        if side is Side.BUY:
            return attrs.evolve(self, bids=self.bids + notional)
        return attrs.evolve(self, asks=self.asks + notional)


@attrs.frozen(kw_only=True)
class MarginAccount:
    """The whole account: its exposures and the sums over them."""

    account: Account
    exposures: tuple[Exposure, ...]

    @property
    def unrealized(self) -> Decimal:
        return sum((exposure.unrealized for exposure in self.exposures), ZERO)

    @property
    def cross_unrealized(self) -> Decimal:
        return sum((exposure.unrealized for exposure in self.exposures if not exposure.isolated), ZERO)

    @property
    def position_margin(self) -> Decimal:
        return sum((exposure.position_margin for exposure in self.exposures), ZERO)

    @property
    def order_margin(self) -> Decimal:
        return sum((exposure.order_margin for exposure in self.exposures), ZERO)

    @property
    def maintenance(self) -> Decimal:
        return sum((exposure.maintenance for exposure in self.exposures), ZERO)

    @property
    def cross_maintenance(self) -> Decimal:
        return sum((exposure.maintenance for exposure in self.exposures if not exposure.isolated), ZERO)

    @property
    def cross_balance(self) -> Decimal:
        """What stands behind the crossed positions: their wallet and their profit."""
        return self.account.cross_wallet + self.cross_unrealized

    @property
    def free(self) -> Decimal:
        """What new orders may tie up; negative when prices have eaten into the margin."""
        tied = sum((exposure.position_margin for exposure in self.exposures if not exposure.isolated), ZERO)
        return self.cross_balance - tied - self.order_margin

    @property
    def available(self) -> Decimal:
        return max(self.free, ZERO)

    @property
    def withdrawable(self) -> Decimal:
        """Available, without profit that is not realised yet."""
        return max(min(self.free, self.free - self.cross_unrealized), ZERO)

    def of(self, symbol: str, side: PositionSide) -> Exposure | None:
        for exposure in self.exposures:
            if exposure.position.symbol == symbol and exposure.position.side is side:
                return exposure
        return None


def exposure(account: Account, position: Position, orders: Iterable[Order], contract: Contract, mark: Decimal) -> Exposure:
    """The exposure of one position with its open orders; orders that only close tie up nothing."""
    bids = asks = ZERO
    for order in orders:
        if order.position_side is position.side and not order.closing:
            if order.side is Side.BUY:
                bids += order.price * order.left
            else:
                asks += order.price * order.left
    settings = account.of_symbol(position.symbol)
    return Exposure(
        position=position,
        contract=contract,
        mark=mark,
        leverage=settings.leverage,
        isolated=settings.isolated,
        bids=bids,
        asks=asks,
    )


def margin_account(
    account: Account, orders: Iterable[Order], symbols_here: Collection[str], listed: Listed, mark: Mark
) -> MarginAccount:
    """The account with all its open orders at the present mark prices: every symbol with a position or an order.

    What is held in a contract that is not here has no price: it counts with what it was worth when it was booked.
    """
    by_symbol: dict[str, list[Order]] = {}
    for order in orders:
        by_symbol.setdefault(order.symbol, []).append(order)
    symbols = dict.fromkeys([*by_symbol, *(position.symbol for position in account.positions.values() if position.quantity)])
    exposures = [
        exposure(account, account.position(symbol, side), by_symbol.get(symbol, ()), listed(symbol), mark(symbol))
        for symbol in symbols
        if symbol in symbols_here
        for side in account.sides()
    ]
    return MarginAccount(account=account, exposures=tuple(exposures))


def liquidation_price(whole: MarginAccount, exposure: Exposure) -> Decimal:
    """The mark price at which this position would be liquidated, all other prices as they are; zero when there is none."""
    quantity = exposure.position.quantity
    if not quantity:
        return ZERO
    tier = exposure.contract.tier_of(abs(exposure.notional))
    if exposure.isolated:
        behind, others = exposure.position.isolated_wallet, ZERO
    else:
        behind = whole.account.cross_wallet + whole.cross_unrealized - exposure.unrealized
        others = whole.cross_maintenance - exposure.maintenance
    divisor = abs(quantity) * tier.maint_margin_ratio - quantity
    if not divisor:
        return ZERO
    return max((behind - others + tier.cum - quantity * exposure.position.entry) / divisor, ZERO)
