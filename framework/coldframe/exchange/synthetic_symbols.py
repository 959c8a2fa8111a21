"""The contracts of the synthetic market, and the parameters of each: price, step of its levels, liveliness, usual sizes."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Final

import attrs

from coldframe.exchange.contracts import Listing
from coldframe.exchange.market.prices import USUAL_CAP
from coldframe.exchange.market.public_market_data import Component


@attrs.frozen(kw_only=True)
class SyntheticSymbol:
    """One synthetic contract. Distances are in ticks or thousandths of a tick, quantities in steps of the lot size."""

    listing: Listing
    #: Price at which it opens, before the seed moves it a little.
    price: Decimal
    #: Ticks between two levels near the best price; farther out it is `far` times as much.
    spacing: int
    far: int = 5
    #: How far the fair value wanders in 50 ms, in thousandths of a tick (standard deviation).
    wander: int
    #: Steps that usually stand at a level.
    size: int
    #: How busy it is compared with the busiest, in percent.
    busy: int = 100
    components: tuple[tuple[str, Decimal, Decimal], ...] = ()
    #: Its funding interval is one part in so many of the usual one; the bound of its funding rate, both ways.
    funding_divisor: int = 1
    funding_cap: Decimal = USUAL_CAP

    def parts(self) -> tuple[Component, ...]:
        """What a composite index consists of, at the opening price."""
        return tuple(Component(base, share, price, self.price) for base, share, price in self.components)


def _listing(symbol: str, tick: str, step: str, digits: tuple[int, int], prices: tuple[str, str], **more: object) -> Listing:
    fields: dict[str, object] = {
        "symbol": symbol,
        "base": symbol.removesuffix("USDT"),
        "tick": Decimal(tick),
        "step": Decimal(step),
        "price_digits": digits[0],
        "quantity_digits": digits[1],
        "min_price": Decimal(prices[0]),
        "max_price": Decimal(prices[1]),
    }
    return Listing(**(fields | more))  # type: ignore[arg-type]


_INDEX: Final = (
    ("AAVE", Decimal("0.30"), Decimal("95.35")),
    ("UNI", Decimal("0.25"), Decimal("5.27")),
    ("LINK", Decimal("0.25"), Decimal("9.34")),
    ("COMP", Decimal("0.10"), Decimal("54.08")),
    ("CRV", Decimal("0.10"), Decimal("1.12")),
)

SYNTHETIC_SYMBOLS: Final[Sequence[SyntheticSymbol]] = (
    SyntheticSymbol(
        listing=_listing(
            "BTCUSDT",
            "0.10",
            "0.001",
            (2, 3),
            ("100.00", "4000000"),
            min_notional=Decimal(50),
            max_quantity=Decimal(1000),
            market_quantity=Decimal(120),
            sub_types=("PoW",),
        ),
        price=Decimal(60_000),
        spacing=2,
        wander=4000,
        size=400,
    ),
    SyntheticSymbol(
        listing=_listing(
            "ETHUSDT",
            "0.01",
            "0.001",
            (2, 3),
            ("10.00", "300000"),
            min_notional=Decimal(20),
            max_quantity=Decimal(10_000),
            market_quantity=Decimal(2000),
            sub_types=("Layer-1",),
        ),
        price=Decimal(3000),
        spacing=1,
        wander=2000,
        size=4000,
    ),
    SyntheticSymbol(
        listing=_listing(
            "BNBUSDT", "0.010", "0.01", (3, 2), ("1.000", "100000"), max_quantity=Decimal(100_000), market_quantity=Decimal(2000)
        ),
        price=Decimal(600),
        spacing=1,
        wander=400,
        size=500,
        busy=60,
    ),
    SyntheticSymbol(
        listing=_listing("SOLUSDT", "0.0100", "0.01", (4, 2), ("0.4200", "6857"), sub_types=("Layer-1",)),
        price=Decimal(150),
        spacing=1,
        wander=110,
        size=3000,
        busy=60,
        funding_divisor=2,
    ),
    SyntheticSymbol(
        listing=_listing("ADAUSDT", "0.00010", "1", (5, 0), ("0.01740", "10000"), sub_types=("Layer-1",)),
        price=Decimal("0.45"),
        spacing=1,
        wander=30,
        size=8000,
        busy=40,
    ),
    SyntheticSymbol(
        listing=_listing("币安人生USDT", "0.0000100", "1", (7, 0), ("0.0000100", "200"), sub_types=("Meme",)),
        price=Decimal("0.2"),
        spacing=1,
        wander=140,
        size=2000,
        busy=40,
        funding_divisor=8,
        funding_cap=Decimal("0.02"),
    ),
    SyntheticSymbol(
        listing=_listing(
            "TSLAUSDT",
            "0.01",
            "0.01",
            (2, 2),
            ("1.00", "20000"),
            underlying="EQUITY",
            contract_type="TRADIFI_PERPETUAL",
            permissions=("COPY", "PSB"),
            sub_types=("TradFi",),
        ),
        price=Decimal(400),
        spacing=1,
        wander=280,
        size=2000,
        busy=30,
    ),
    SyntheticSymbol(
        listing=_listing("DEFIUSDT", "0.1", "0.001", (1, 3), ("12.7", "21250"), underlying="INDEX"),
        price=Decimal(800),
        spacing=1,
        wander=60,
        size=2000,
        busy=30,
        components=_INDEX,
    ),
)
