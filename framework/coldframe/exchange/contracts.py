"""A contract as the venue lists it: its row of exchangeInfo, its rules, its leverage brackets, and how its numbers are printed."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, Final

import attrs
import msgspec

from coldframe.enums import ContractStatus, ContractType
from coldframe.units import SCALE_DIGITS, ZERO, exact, places, plain, unscaled
from coldframe.wire.filters import Filters, digits_of
from coldframe.wire.reference import LeverageTier, SymbolInfo
from coldframe.wire.streams import Bracket

#: Money is printed with eight digits, as the venue does.
_CENTS: Final = Decimal("0.00000001")
_ORDER_TYPES: Final = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
#: RPI is allowed too, but stands in the permission sets alone (protocol.md 6.5).
_TIMES_IN_FORCE: Final = ["GTC", "IOC", "FOK", "GTX", "GTD"]
_NEVER_DELIVERED_MS: Final = 4_133_404_800_000

#: States in which a contract has left trading for good.
ENDED: Final = frozenset({ContractStatus.DELIVERING, ContractStatus.DELIVERED, ContractStatus.SETTLING, ContractStatus.CLOSE})


def to_scaled(value: Decimal) -> int:
    """A price or quantity in units of 10**-12."""
    return int(value.scaleb(SCALE_DIGITS))


def money(value: Decimal) -> str:
    """An amount of money with eight digits, as balances and margins are printed."""
    return plain(value.quantize(_CENTS))


@lru_cache(16_384)  # a book shows the same few thousand numbers again and again
def fixed(value: int, digits: int) -> str:
    """A number in units of 10**-12 with `digits` digits behind the point, or with all it has if those are more."""
    step = 10 ** (SCALE_DIGITS - digits)
    if value % step:
        return plain(unscaled(value))
    whole, fraction = divmod(value // step, 10**digits)
    return f"{whole}.{fraction:0{digits}d}" if digits else str(whole)


@attrs.frozen
class Contract:
    """One contract. `tiers` are its leverage brackets, the smallest notional first."""

    info: SymbolInfo
    tiers: tuple[LeverageTier, ...]

    @property
    def symbol(self) -> str:
        return self.info.symbol

    @property
    def readable(self) -> bool:
        """Whether all numbers of the row are such as a contract can have."""
        try:
            _ = self.filters, self.price_digits, self.quantity_digits, self.trigger_protect, self.take_bound
        except ValueError:
            return False
        return True

    @property
    def trading(self) -> bool:
        return self.info.status is ContractStatus.TRADING

    @property
    def ended(self) -> bool:
        """Whether it has left trading for good: its positions are settled, and no funding is exchanged any more."""
        return self.info.status in ENDED

    @property
    def closed(self) -> bool:
        """Whether it stands in no list any more."""
        return self.info.status is ContractStatus.CLOSE

    @property
    def tradfi(self) -> bool:
        """Whether its underlying is traded on another market, so that it needs an agreement and keeps that market's sessions."""
        return self.info.contract_type == ContractType.TRADIFI_PERPETUAL

    def with_status(self, status: ContractStatus) -> Contract:
        """The same contract in another state."""
        return Contract(msgspec.structs.replace(self.info, status=status), self.tiers)

    @cached_property
    def filters(self) -> Filters:
        return Filters.of(self.info)

    @cached_property
    def price_digits(self) -> int:
        return digits_of(self.info.price_precision)

    @cached_property
    def quantity_digits(self) -> int:
        return digits_of(self.info.quantity_precision)

    @cached_property
    def trigger_protect(self) -> Decimal:
        return exact(str(self.info.trigger_protect or 0))

    @cached_property
    def take_bound(self) -> Decimal:
        """How far from the mark price a market order may trade, as a fraction."""
        return exact(str(self.info.market_take_bound or 1))

    @property
    def max_leverage(self) -> int:
        return self.tiers[0].initial_leverage

    def price_text(self, price: int | Decimal) -> str:
        """A price as the venue prints it: with the digits of the contract, or with all it has."""
        return _text(price, self.price_digits)

    def quantity_text(self, quantity: int | Decimal) -> str:
        """A quantity as the venue prints it."""
        return _text(quantity, self.quantity_digits)

    def quote_text(self, value: int) -> str:
        """A product of price and quantity, in units of 10**-24, with the digits of both."""
        digits = self.price_digits + self.quantity_digits
        whole, fraction = divmod(value // 10 ** (2 * SCALE_DIGITS - digits), 10**digits)
        return f"{whole}.{fraction:0{digits}d}" if digits else str(whole)

    def tier_of(self, notional: Decimal) -> LeverageTier:
        """The bracket in which a position of that notional stands."""
        for tier in self.tiers:
            if notional <= tier.notional_cap:
                return tier
        return self.tiers[-1]

    def maintenance(self, notional: Decimal) -> Decimal:
        """Maintenance margin: notional times its bracket's ratio, minus what the brackets below need less (protocol.md 6.6)."""
        tier = self.tier_of(notional)
        return notional * tier.maint_margin_ratio - tier.cum

    def max_notional(self, leverage: int) -> Decimal:
        """The greatest notional allowed at a leverage; zero when the leverage itself is not."""
        allowed = [tier.notional_cap for tier in self.tiers if tier.initial_leverage >= leverage]
        return max(allowed, default=ZERO)

    def brackets(self) -> list[Bracket]:
        """The leverage brackets as the contract-info stream prints them."""
        lower = [tier.initial_leverage for tier in self.tiers[1:]] + [0]
        return [
            Bracket(
                number=tier.bracket,
                floor=tier.notional_floor,
                cap=tier.notional_cap,
                maintenance_ratio=tier.maint_margin_ratio,
                cumulative=tier.cum,
                min_leverage=below + 1,
                max_leverage=tier.initial_leverage,
            )
            for tier, below in zip(self.tiers, lower, strict=True)
        ]


def _text(value: int | Decimal, digits: int) -> str:
    if isinstance(value, int):
        return fixed(value, digits)
    return plain(value) if places(value) > digits else plain(value.quantize(Decimal(1).scaleb(-digits)))


def tiers(*rows: tuple[int, int, str]) -> tuple[LeverageTier, ...]:
    """Leverage brackets from rows of (leverage, cap of the notional, maintenance ratio); floors and `cum` follow from them."""
    made: list[LeverageTier] = []
    market, ratio_below, cum = ZERO, ZERO, ZERO
    for number, (leverage, cap, ratio) in enumerate(rows, start=1):
        cum += market * (Decimal(ratio) - ratio_below)
        made.append(
            LeverageTier(
                bracket=number,
                initial_leverage=leverage,
                notional_cap=Decimal(cap),
                notional_floor=market,
                maint_margin_ratio=Decimal(ratio),
                cum=cum.normalize() + ZERO,
            )
        )
        market, ratio_below = Decimal(cap), Decimal(ratio)
    return tuple(made)


_DEEP: Final = (
    (125, 300_000, "0.004"),
    (100, 800_000, "0.005"),
    (75, 3_000_000, "0.0065"),
    (50, 12_000_000, "0.01"),
    (25, 70_000_000, "0.02"),
    (20, 100_000_000, "0.025"),
    (10, 230_000_000, "0.05"),
    (5, 480_000_000, "0.1"),
    (2, 1_200_000_000, "0.25"),
    (1, 1_800_000_000, "0.5"),
)
_GREAT: Final = frozenset({"BTC", "ETH"})
_SHALLOW: Final = (
    (75, 10_000, "0.01"),
    (50, 50_000, "0.015"),
    (25, 200_000, "0.02"),
    (20, 500_000, "0.025"),
    (10, 1_000_000, "0.05"),
    (5, 3_000_000, "0.1"),
    (2, 6_000_000, "0.25"),
    (1, 10_000_000, "0.5"),
)


def usual_tiers(base_asset: str) -> tuple[LeverageTier, ...]:
    """The leverage brackets of a contract whose own are not known: deep ones for the great coins, shallow ones for all others."""
    return tiers(*(_DEEP if base_asset in _GREAT else _SHALLOW))


@attrs.frozen(kw_only=True)
class Listing:
    """What makes one contract different from another; everything else of its row is usual."""

    symbol: str
    base: str
    tick: Decimal
    step: Decimal
    price_digits: int
    quantity_digits: int
    quote: str = "USDT"
    min_price: Decimal = ZERO
    max_price: Decimal = ZERO
    max_quantity: Decimal = Decimal(1_000_000)
    market_quantity: Decimal = Decimal(100_000)
    min_notional: Decimal = Decimal(5)
    onboard_ms: int = 1_569_398_400_000
    underlying: str = "COIN"
    contract_type: str = "PERPETUAL"
    permissions: tuple[str, ...] = ("GRID", "COPY", "DCA", "PSB", "RPI")
    sub_types: tuple[str, ...] = ()


def contract(listing: Listing) -> Contract:
    """The contract of a listing, with all that the exchange prints about one (protocol.md 6.5)."""
    info = SymbolInfo(
        symbol=listing.symbol,
        pair=listing.symbol,
        contract_type=listing.contract_type,
        delivery_date=_NEVER_DELIVERED_MS,
        onboard_date=listing.onboard_ms,
        status=ContractStatus.TRADING,
        maint_margin_percent="2.5000",
        required_margin_percent="5.0000",
        base_asset=listing.base,
        quote_asset=listing.quote,
        margin_asset=listing.quote,
        price_precision=listing.price_digits,
        quantity_precision=listing.quantity_digits,
        base_asset_precision=8,
        quote_precision=8,
        underlying_type=listing.underlying,
        underlying_sub_type=list(listing.sub_types),
        trigger_protect="0.0500",
        liquidation_fee="0.012500",
        market_take_bound="0.05",
        max_move_order_limit=10_000,
        filters=_filters(listing),
        order_types=list(_ORDER_TYPES),
        time_in_force=list(_TIMES_IN_FORCE),
        permission_sets=list(listing.permissions),
    )
    return Contract(info, usual_tiers(listing.base))


def _filters(listing: Listing) -> list[dict[str, Any]]:
    step = plain(listing.step)
    return [
        {
            "filterType": "PRICE_FILTER",
            "minPrice": plain(listing.min_price),
            "maxPrice": plain(listing.max_price),
            "tickSize": plain(listing.tick),
        },
        {"filterType": "LOT_SIZE", "minQty": step, "maxQty": plain(listing.max_quantity), "stepSize": step},
        {"filterType": "MARKET_LOT_SIZE", "minQty": step, "maxQty": plain(listing.market_quantity), "stepSize": step},
        {"filterType": "MAX_NUM_ORDERS", "limit": 200},
        {"filterType": "MIN_NOTIONAL", "notional": plain(listing.min_notional)},
        {"filterType": "PERCENT_PRICE", "multiplierUp": "1.0500", "multiplierDown": "0.9500", "multiplierDecimal": "4"},
        {"filterType": "POSITION_RISK_CONTROL", "positionControlSide": "NONE"},
    ]


def chosen(contracts: Sequence[Contract], wanted: Sequence[str]) -> tuple[list[Contract], list[str]]:
    """Those of `contracts` that a configuration names (all, if it names none), and the names that are not among them."""
    known = {contract.symbol: contract for contract in contracts}
    if not wanted:
        return list(contracts), []
    return [known[symbol] for symbol in wanted if symbol in known], [symbol for symbol in wanted if symbol not in known]
