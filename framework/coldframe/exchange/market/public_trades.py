"""Public trades, and their aggregation by price and taking side within 100 ms."""

from __future__ import annotations

from collections import deque
from typing import Final

import attrs

from coldframe.units import unscaled
from coldframe.wire.reference import AggTradeRow, PublicTrade
from coldframe.wire.streams import AggTrade

#: How long fills of one price and side are collected (`seeds/004`, "Aggregate Trade Streams").
AGGREGATE_MS: Final = 100
#: How many trades the venue remembers for its lists.
REMEMBERED: Final = 1000


@attrs.frozen
class MarketTrade:
    """One public trade; price and quantity scaled, and as they are printed."""

    trade_id: int
    price: int
    quantity: int
    price_text: str
    quantity_text: str
    at_ms: int
    buyer_is_maker: bool

    def row(self) -> PublicTrade:
        """As GET trades lists it."""
        return PublicTrade(
            id=self.trade_id,
            price=self.price_text,
            qty=self.quantity_text,
            quote_qty=format(unscaled(self.price) * unscaled(self.quantity), "f"),
            time=self.at_ms,
            is_buyer_maker=self.buyer_is_maker,
            is_rpi_trade=False,
        )


@attrs.frozen
class Aggregate:
    """Fills of one price and taking side within 100 ms."""

    aggregate_id: int
    price_text: str
    quantity_text: str
    first_id: int
    last_id: int
    at_ms: int
    buyer_is_maker: bool

    def message(self, symbol: str, event_ms: int) -> AggTrade:
        """As the stream prints it."""
        return AggTrade(
            event="aggTrade",
            event_ms=event_ms,
            symbol=symbol,
            trade_id=self.aggregate_id,
            price=self.price_text,
            quantity=self.quantity_text,
            regular_quantity=self.quantity_text,
            first_id=self.first_id,
            last_id=self.last_id,
            trade_ms=self.at_ms,
            buyer_is_maker=self.buyer_is_maker,
            product=1,
        )

    def row(self) -> AggTradeRow:
        """As GET aggTrades lists it."""
        return AggTradeRow(
            trade_id=self.aggregate_id,
            price=self.price_text,
            quantity=self.quantity_text,
            regular_quantity=self.quantity_text,
            first_id=self.first_id,
            last_id=self.last_id,
            trade_ms=self.at_ms,
            buyer_is_maker=self.buyer_is_maker,
        )


class TradeLog:
    """The trades of one contract: the latest, and the aggregate that is still open."""

    def __init__(self, quantity_digits: int, first_aggregate_id: int) -> None:
        self.latest: deque[MarketTrade] = deque(maxlen=REMEMBERED)
        self.aggregates: deque[Aggregate] = deque(maxlen=REMEMBERED)
        self._open: list[MarketTrade] = []
        self._digits = quantity_digits
        self._next_id = first_aggregate_id

    @property
    def last(self) -> MarketTrade | None:
        return self.latest[-1] if self.latest else None

    def add(self, trade: MarketTrade, whole: Aggregate | None = None) -> Aggregate | None:
        """Takes a trade. Gives the aggregate that it closes: another price, another side, or too old.

        A market that aggregates by itself hands over `whole`, which is then taken as it is.
        """
        if whole is not None:
            self.latest.append(trade)
            self.aggregates.append(whole)
            return whole
        closed = None
        if self._open and not self._belongs(trade):
            closed = self.close()
        self._open.append(trade)
        self.latest.append(trade)
        return closed

    def close(self) -> Aggregate | None:
        """Ends the open aggregate; None when there is none."""
        if not self._open:
            return None
        first, last = self._open[0], self._open[-1]
        total = unscaled(sum(trade.quantity for trade in self._open))
        made = Aggregate(
            self._next_id,
            first.price_text,
            format(total, f".{self._digits}f") if total == round(total, self._digits) else format(total, "f"),
            first.trade_id,
            last.trade_id,
            last.at_ms,
            first.buyer_is_maker,
        )
        self._next_id += 1
        self._open.clear()
        self.aggregates.append(made)
        return made

    def close_before(self, at_ms: int) -> Aggregate | None:
        """Ends the open aggregate if it began 100 ms or more before `at_ms`."""
        return self.close() if self._open and at_ms - self._open[0].at_ms >= AGGREGATE_MS else None

    def _belongs(self, trade: MarketTrade) -> bool:
        first = self._open[0]
        return (
            first.price == trade.price and first.buyer_is_maker == trade.buyer_is_maker and trade.at_ms - first.at_ms < AGGREGATE_MS
        )
