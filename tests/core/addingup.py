"""What an account has made, added up anew from all that it has: what running sums have to be."""

from __future__ import annotations

from decimal import Decimal

from coldframe.core.state.asset_values import AssetValues
from coldframe.core.state.positions import StrategyPositions


def profit_of(account: StrategyPositions, prices: AssetValues) -> Decimal:
    """Realised and unrealised profit, funding received, fees subtracted."""
    return account.realized + account.unrealized(prices.mark_prices) + prices.worth(account.funding) - account.fees_paid(prices)
