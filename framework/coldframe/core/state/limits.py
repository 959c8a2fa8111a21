"""What the account may do, and what each strategy may: the limits that pre-trade risk compares with."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum

import attrs

from coldframe.core.state.loss_limits import LossPeriod
from coldframe.enums import SelfTradePrevention


class SelfCross(StrEnum):
    """What happens to an order that would take from a resting order of another own strategy."""

    REFUSE = "refuse"
    EXPIRE_TAKER = "expire_taker"
    EXPIRE_MAKER = "expire_maker"
    EXPIRE_BOTH = "expire_both"

    @property
    def prevention(self) -> SelfTradePrevention | None:
        """The venue's own mode, sent with every order; None when orders are refused here instead."""
        return None if self is SelfCross.REFUSE else SelfTradePrevention(self.value.upper())


@attrs.frozen(kw_only=True)
class RiskLimits:
    """What the account may do. None: not limited (live trading demands that all of them are set). Money in the quote asset."""

    max_order_notional: Decimal | None = None
    max_gross_notional: Decimal | None = None
    price_collar_pct: Decimal | None = None
    max_open_orders: int | None = None
    max_drawdown: Decimal | None = None
    stale_book_ms: int = 2_000
    max_loss: Decimal | None = None
    messages_per_10s: int | None = None
    #: How long after an order the same strategy's very same order is taken for a mistake; 0: never.
    duplicate_ms: int = 0
    self_cross: SelfCross = SelfCross.REFUSE
    #: A strategy with more rejects than that within the time takes no new risk until it is resumed.
    max_rejects: int | None = None
    rejects_within_ms: int = 60_000
    losses_count: LossPeriod = LossPeriod.SINCE_RESUME


@attrs.frozen(kw_only=True)
class Budget:
    """What one strategy may do. None: not limited. `max_position` counts base units of each symbol."""

    max_position: Decimal | None = None
    max_notional: Decimal | None = None
    orders_per_10s: int | None = None
    messages_per_10s: int | None = None
    max_open_orders: int | None = None
    max_loss: Decimal | None = None
    max_drawdown: Decimal | None = None
