"""What money in any asset is worth: amounts and fees valued in the asset that every limit is set in (US dollars, as USDT).

Pure arithmetic over prices that `coldframe.core.reconciliation.asset_prices` keeps current. An amount in an asset that has no
price yet is left out; a fee in such an asset counts as the taker rate times the notional that was traded, so that no loss limit is
blind to it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Final

from coldframe.units import ZERO

#: Assets that count as one dollar each, and why. Everything else needs a price.
AT_PAR: Final[Mapping[str, str]] = {
    "USDT": "contracts are quoted and settled in it: the unit of every limit",
    "USDC": "contracts are quoted and settled in it; redeemable at one dollar",
    "FDUSD": "redeemable at one dollar",
    "BUSD": "redeemable at one dollar; no longer issued",
    "TUSD": "redeemable at one dollar",
    "USDP": "redeemable at one dollar",
    "USD1": "redeemable at one dollar",
    "BFUSD": "margin asset of the exchange, bought and redeemed at one USDT",
    "LDUSDT": "USDT in a savings product, redeemed at one USDT",
    "RWUSD": "redeemed at one USDC",
    "BNFCR": "the exchange's credits for futures, settled at one dollar",
    "USD": "the dollar itself",
}

#: What a fee in an asset without a price counts as until the account's own rate is known, as a share of the notional: the highest
#: taker rate on the exchange's list. A maker pays less, as does an account that pays in BNB, so the estimate is rather too high.
CAUTIOUS_FEE_RATE: Final = Decimal("0.0005")
_ONE: Final = Decimal(1)


class AssetValues:
    """Prices of assets. `mark_prices` are the mark prices of contracts by symbol."""

    def __init__(self, mark_prices: dict[str, Decimal] | None = None) -> None:
        self.mark_prices = mark_prices if mark_prices is not None else {}
        #: Prices of assets by name, as an asset's own source last named them.
        self.rates: dict[str, Decimal] = {}
        #: The taker rate that a fee of unknown worth is estimated by, as a fraction of the notional.
        self.fee_rate = CAUTIOUS_FEE_RATE
        #: The contracts and the assets with another price since that was last asked; among the assets "" stands for all of them.
        self._moved: tuple[set[str], set[str]] = (set(), set())

    def take_changes(self) -> tuple[set[str], set[str]]:
        """The contracts, and the assets, with another price since the last call; among the assets "" stands for all of them."""
        taken, self._moved = self._moved, (set(), set())
        return taken

    def mark_price_told(self, symbol: str, price: Decimal) -> None:
        """The mark price of a contract. Zero is printed while there is none (before its first trade): it values nothing."""
        if price > 0:
            self.mark_prices[symbol] = price
            self._moved[0].add(symbol)

    def mark_price_found(self, symbol: str, price: Decimal) -> None:
        """The mark price of a contract, by a question: the price that its stream has told counts for more."""
        self.mark_prices.setdefault(symbol, price)
        self._moved[0].add(symbol)

    def rate_told(self, asset: str, price: Decimal) -> None:
        """The price of an asset by its own source."""
        self.rates[asset] = price
        self._moved[1].add(asset)

    def rates_restored(self, rates: Mapping[str, Decimal]) -> None:
        """The prices that an earlier run has written down."""
        self.rates.update(rates)
        self._moved[1].update(rates)

    def fee_rate_told(self, rate: Decimal) -> None:
        """The account's own taker rate."""
        self.fee_rate = rate
        self._moved[1].add("")

    def of(self, asset: str) -> Decimal | None:
        """What one unit of an asset is worth; None while that is not known. No asset at all stands for the quote asset."""
        if not asset or asset in AT_PAR:
            return _ONE
        rate = self.rates.get(asset)
        return rate if rate is not None else self.mark_prices.get(f"{asset}USDT")

    def worth(self, amounts: Mapping[str, Decimal]) -> Decimal:
        """What amounts of several assets come to; those without a price are left out."""
        priced = ((amount, self.of(asset)) for asset, amount in amounts.items())
        return sum((amount * price for amount, price in priced if price is not None), ZERO)

    def fees(self, paid: Mapping[str, Decimal], notional: Mapping[str, Decimal]) -> Decimal:
        """What fees come to. `notional` is what was traded for the fees of each asset that is not at par."""
        unpriced = self.unpriced(paid)
        estimated = sum((notional.get(asset, ZERO) for asset in unpriced), ZERO) * self.fee_rate
        return self.worth(paid) + estimated

    def unpriced(self, assets: Iterable[str]) -> list[str]:
        """Those of some assets that have no price."""
        return [asset for asset in assets if self.of(asset) is None]
