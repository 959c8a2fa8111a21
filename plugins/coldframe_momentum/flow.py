"""The flow of trades in one symbol: who has been the aggressor lately, and by how much.

Time is the venue's own (the time of each trade), so that the same trades give the same figures live, on paper and from a recording.
Sums are exact decimals: what enters the window leaves it again without a remainder.
"""

from __future__ import annotations

from collections import deque
from decimal import Decimal

from coldframe import Side, TradePrinted


class Flow:
    """A rolling window of trades, `window_ms` long and ending with the latest one.

    A market may be heard twice, as single trades and aggregated; only the kind that came first is counted.
    """

    def __init__(self, window_ms: int) -> None:
        self._window_ms = window_ms
        self._trades: deque[tuple[int, Decimal]] = deque()
        self._aggregated: bool | None = None
        #: Sum of all quantities in the window, and of those that buyers took minus those that sellers took.
        self.volume = Decimal(0)
        self.signed_volume = Decimal(0)

    def __len__(self) -> int:
        return len(self._trades)

    def add(self, trade: TradePrinted) -> None:
        """Takes in a trade; if told late, it leaves with those before it. Trades of size zero (insurance fund) say nothing."""
        if self._aggregated is None:
            self._aggregated = trade.aggregated
        if trade.aggregated is not self._aggregated or not trade.quantity:
            return
        signed = trade.taker_side.sign * trade.quantity
        self._trades.append((trade.trade_ms, signed))
        self.volume += trade.quantity
        self.signed_volume += signed
        while self._trades[0][0] <= trade.trade_ms - self._window_ms:
            _, gone = self._trades.popleft()
            self.volume -= abs(gone)
            self.signed_volume -= gone

    @property
    def imbalance(self) -> Decimal:
        """From -1 (all sellers) to 1 (all buyers); 0 for an empty window."""
        return self.signed_volume / self.volume if self.volume else Decimal(0)

    def direction(self, threshold: Decimal) -> Side | None:
        """The side that is in the majority by at least `threshold`, if any."""
        if abs(self.imbalance) < threshold or not self.volume:
            return None
        return Side.BUY if self.signed_volume > 0 else Side.SELL
