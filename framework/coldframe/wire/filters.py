"""A symbol's trading rules as checks: each names the code the venue would answer and the nearest legal value.

The bot checks before it sends, the venue before it accepts; both call `check_order`. Any rule may be switched off by a zero.
Source: `seeds/004`, "Filters"; the map from rule to code is protocol.md 6.5.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

import attrs

from coldframe.enums import Side
from coldframe.units import SCALE_DIGITS, ZERO, ceil_to, exact, floor_to, nearest_to, on_grid, places, plain, trimmed
from coldframe.wire.codes import CODES
from coldframe.wire.reference import SymbolInfo

KNOWN_FILTERS: Final = frozenset(
    {
        "PRICE_FILTER",
        "LOT_SIZE",
        "MARKET_LOT_SIZE",
        "MAX_NUM_ORDERS",
        "MAX_NUM_ALGO_ORDERS",
        "MIN_NOTIONAL",
        "PERCENT_PRICE",
        "POSITION_RISK_CONTROL",
    }
)

#: Codes for an order that breaks a rule of its symbol. Those that compare with the prices of the moment are not among them.
RULE_CODES: Final = frozenset({-1013, -1111, -4001, -4002, -4003, -4004, -4005, -4013, -4014, -4023, -4164, -5029})


@attrs.frozen
class Violation:
    """A rule that a value breaks: the venue's code, both numbers, and the nearest legal value where there is one."""

    code: int
    value: Decimal
    limit: Decimal
    nearest: Decimal | None = None

    @property
    def text(self) -> str:
        """One line for people: `-4014 PRICE_NOT_INCREASED_BY_TICK_SIZE: 100.01 against 0.10, nearest legal 100.00`."""
        nearest = f", nearest legal {plain(self.nearest)}" if self.nearest is not None else ""
        return f"{self.code} {CODES[self.code].name}: {plain(self.value)} against {plain(self.limit)}{nearest}"

    @property
    def msg(self) -> str:
        """The venue's own text for this code."""
        code = CODES[self.code]
        return code.text(trimmed(self.limit)) if self.code in (-4164, -5029) else code.text()


@attrs.frozen
class LotSize:
    min: Decimal = ZERO
    max: Decimal = ZERO
    step: Decimal = ZERO


@attrs.frozen
class Filters:
    """The rules of one symbol. Zero switches a rule off; precisions bound the digits a number may have (code -1111)."""

    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    tick: Decimal = ZERO
    lot: LotSize = LotSize()
    market_lot: LotSize = LotSize()
    max_orders: int = 0
    min_notional: Decimal = ZERO
    multiplier_up: Decimal = ZERO
    multiplier_down: Decimal = ZERO
    price_precision: int = 8
    quantity_precision: int = 8
    #: Filter types that this version does not know; they are not checked.
    unknown: tuple[str, ...] = ()

    @classmethod
    def of(cls, info: SymbolInfo) -> Filters:
        """The rules in one row of exchangeInfo. Raises `ValueError` for a malformed number, and for one that cannot be a rule."""
        rows = {str(row.get("filterType")): row for row in info.filters}
        price, percent = rows.get("PRICE_FILTER", {}), rows.get("PERCENT_PRICE", {})
        tick, lot = _number(price, "tickSize"), _lot(rows.get("LOT_SIZE", {}))
        digits, quantity_digits = digits_of(info.price_precision), digits_of(info.quantity_precision)
        return cls(
            min_price=_number(price, "minPrice"),
            max_price=_number(price, "maxPrice"),
            tick=tick,
            lot=lot,
            market_lot=_lot(rows.get("MARKET_LOT_SIZE", {})),
            max_orders=int(_number(rows.get("MAX_NUM_ORDERS", {}), "limit")),
            min_notional=_number(rows.get("MIN_NOTIONAL", {}), "notional"),
            multiplier_up=_number(percent, "multiplierUp"),
            multiplier_down=_number(percent, "multiplierDown"),
            price_precision=max(digits, places(tick)),
            quantity_precision=max(quantity_digits, places(lot.step)),
            unknown=tuple(sorted(set(rows) - KNOWN_FILTERS)),
        )

    def check_price(self, price: Decimal) -> Violation | None:
        """PRICE_FILTER: sign, digits, bounds, tick."""
        if price <= 0:
            return Violation(-4001, price, ZERO, self.nearest_price(price))
        if places(price) > self.price_precision:
            return Violation(-1111, price, Decimal(self.price_precision), self.nearest_price(price))
        if self.min_price and price < self.min_price:
            return Violation(-4013, price, self.min_price, self.min_price)
        if self.max_price and price > self.max_price:
            return Violation(-4002, price, self.max_price, self.nearest_price(price))
        if not on_grid(price, self.tick, self.min_price):
            return Violation(-4014, price, self.tick, self.nearest_price(price))
        return None

    def check_quantity(self, quantity: Decimal, *, market: bool = False) -> Violation | None:
        """LOT_SIZE or, for a market order, MARKET_LOT_SIZE."""
        lot = self.market_lot if market and self.market_lot != LotSize() else self.lot
        if quantity <= 0:
            return Violation(-4003, quantity, ZERO, self._legal_quantity(quantity, lot))
        if places(quantity) > self.quantity_precision:
            return Violation(-1111, quantity, Decimal(self.quantity_precision), self._legal_quantity(quantity, lot))
        if quantity < lot.min:
            return Violation(-4004, quantity, lot.min, lot.min)
        if lot.max and quantity > lot.max:
            return Violation(-4005, quantity, lot.max, self._legal_quantity(quantity, lot))
        if not on_grid(quantity, lot.step, lot.min):
            return Violation(-4023, quantity, lot.step, self._legal_quantity(quantity, lot))
        return None

    def check_notional(self, price: Decimal, quantity: Decimal) -> Violation | None:
        """MIN_NOTIONAL; not for reduce-only orders. A market order counts at the mark price."""
        notional = price * quantity
        return Violation(-4164, notional, self.min_notional) if notional < self.min_notional else None

    def check_percent(self, side: Side, price: Decimal, mark: Decimal) -> Violation | None:
        """PERCENT_PRICE: a buy not too far above, a sell not too far below the mark price."""
        if side is Side.BUY and self.multiplier_up and price > mark * self.multiplier_up:
            highest = mark * self.multiplier_up
            return Violation(-4016, price, highest, floor_to(highest - self.min_price, self.tick) + self.min_price)
        if side is Side.SELL and self.multiplier_down and price < mark * self.multiplier_down:
            lowest = mark * self.multiplier_down
            return Violation(-4024, price, lowest, ceil_to(lowest - self.min_price, self.tick) + self.min_price)
        return None

    def nearest_price(self, price: Decimal) -> Decimal:
        """The legal price nearest to `price`."""
        grid = self.tick or _digit(self.price_precision)
        legal = max(nearest_to(price - self.min_price, grid) + self.min_price, self.min_price or grid)
        if self.max_price and legal > self.max_price:
            legal = floor_to(self.max_price - self.min_price, grid) + self.min_price
        return legal

    def _legal_quantity(self, quantity: Decimal, lot: LotSize) -> Decimal:
        """The greatest legal quantity that is not above `quantity`, or else the smallest one."""
        grid = lot.step or _digit(self.quantity_precision)
        highest = min(quantity, lot.max) if lot.max else quantity
        return max(floor_to(highest - lot.min, grid) + lot.min, lot.min or grid)


def check_order(
    filters: Filters,
    side: Side,
    quantity: Decimal,
    price: Decimal | None,
    mark: Decimal | None,
    *,
    reduce_only: bool = False,
) -> Violation | None:
    """The first rule that an order breaks, in the order in which the venue looks; `price` None means a market order.

    Rules that compare with the mark price are left out while there is none.
    """
    broken = filters.check_quantity(quantity, market=price is None)
    if broken is None and price is not None:
        broken = filters.check_price(price) or (filters.check_percent(side, price, mark) if mark else None)
    valued_at = price if price is not None else mark
    if broken is None and valued_at and not reduce_only:
        broken = filters.check_notional(valued_at, quantity)
    return broken


def digits_of(precision: object) -> int:
    """How many digits behind the point a contract's numbers may have; 8 where it does not say. Raises `ValueError`."""
    if not isinstance(precision, int):
        return 8
    if not 0 <= precision <= SCALE_DIGITS:  # more digits than a book can hold
        raise ValueError(f"not a number of digits: {precision}")
    return precision


def _number(row: Mapping[str, Any], key: str) -> Decimal:
    number = exact(str(row.get(key, 0)))
    if number < 0:
        raise ValueError(f"{key} is negative: {number}")
    return number


def _lot(row: Mapping[str, Any]) -> LotSize:
    return LotSize(_number(row, "minQty"), _number(row, "maxQty"), _number(row, "stepSize"))


def _digit(precision: int) -> Decimal:
    """The smallest number with that many digits behind the point."""
    return Decimal(1).scaleb(-precision)
