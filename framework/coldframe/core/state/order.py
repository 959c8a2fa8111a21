"""One order of ours, and one fill: what is known of them. Their states change in `coldframe.core.state.orders` alone."""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.enums import OrderType, PositionSide, Side, TimeInForce
from coldframe.model.orders import OrderState, Overlay
from coldframe.units import ZERO

#: An order with one of these never rests: it trades at once or ends, and cannot be taken from.
PASSING: Final = (TimeInForce.IOC, TimeInForce.FOK)


class Origin(StrEnum):
    """What an order was placed for: by itself, to keep `Quotes` true, or to reach a `Target`."""

    PLACE = "place"
    QUOTE = "quote"
    TARGET = "target"


@attrs.frozen
class Fill:
    """One execution of one of our orders. `fee` is None until a report that knows it has come (TRADE_LITE does not)."""

    symbol: str
    trade_id: int
    order_id: int
    side: Side
    price: Decimal
    quantity: Decimal
    maker: bool
    trade_ms: int
    position_side: PositionSide = PositionSide.BOTH
    fee: Decimal | None = None
    fee_asset: str = ""

    @property
    def key(self) -> tuple[str, int, int]:
        """What makes a fill this fill; the order id is in it because a self-trade gives both orders the same trade id."""
        return self.symbol, self.trade_id, self.order_id

    @property
    def notional(self) -> Decimal:
        """What was traded, in the quote asset."""
        return self.price * self.quantity

    @property
    def signed(self) -> Decimal:
        """By how much it changes a position."""
        return self.side.sign * self.quantity


@attrs.frozen
class LateTerms:
    """Terms that an order may still get until a venue time: those of an amendment whose request is not dead yet."""

    price: Decimal
    quantity: Decimal
    until_ms: int


@attrs.define(eq=False)
class Order:
    """One order. Quantities in base units; `price` is None for a market order."""

    client_order_id: str
    strategy: str
    symbol: str
    side: Side
    type: OrderType
    time_in_force: TimeInForce
    quantity: Decimal
    price: Decimal | None
    origin: Origin = Origin.PLACE
    reduce_only: bool = False
    position_side: PositionSide = PositionSide.BOTH
    #: A conditional order's: what it waits for, and what it does then. `quantity` is a guess while it closes a whole position.
    trigger_price: Decimal | None = None
    activate_price: Decimal | None = None
    close_position: bool = False
    #: The strategy's own word for it, from the intent that it was placed for; it never changes.
    tag: str = ""
    #: Whether a trailing order has reached its activation price, as the venue has said.
    activated: bool = False
    #: The venue's id of it as a conditional order, how far that has come (see `coldframe.core.execution.algo_orders`), and the
    #: venue time at which its trigger became known; `order_id` is that of the order it becomes.
    algo_id: int | None = None
    algo_rank: int = 0
    triggered_ms: int = 0
    state: OrderState = OrderState.INITIALIZED
    overlay: Overlay = Overlay.NONE
    order_id: int | None = None
    #: Sum of the fills that were booked.
    filled: Decimal = ZERO
    #: The highest cumulative quantity any evidence has named: above `filled` while a fill is still missing.
    seen_filled: Decimal = ZERO
    created_ns: int = 0
    #: Venue time of the request that placed it; 0 before it was written.
    sent_ms: int = 0
    ended_ns: int = 0
    #: Venue time of the word of the venue that ended it (a report, an answer with its state); 0 while it lives, and for an end that
    #: was inferred: a proof of absence, a refusal, what a person has said. What may bring it back depends on it: `comes_back`.
    ended_ms: int = 0
    reason: str = ""
    #: The price and quantity of an amendment that is on its way: exposure is the worse of both.
    amending_price: Decimal | None = None
    amending_quantity: Decimal | None = None
    #: Venue time at which this run has last sent an amendment; 0 while it has sent none.
    amend_sent_ms: int = 0
    #: What an amendment may still make of it that a query has found not made, as long as its request may arrive.
    late: LateTerms | None = None
    #: Whether an amendment was ever accepted in this run, how many in a row came to nothing, and whether the venue refuses them for
    #: good (see `coldframe.core.execution.amending`).
    amended: bool = False
    failed_amendments: int = 0
    unamendable: bool = False
    #: Venue time of the terms (quantity, price) that are known.
    terms_ms: int = 0
    #: Whether the bot has ever sent a cancel: an end by cancel without it was caused by another client or the venue.
    cancel_asked: bool = False
    #: When the last one of this run did; 0 while none has.
    cancel_sent_ns: int = 0
    #: Queries that did not find it, and when the first of them was made.
    not_found: int = 0
    not_found_ns: int = 0
    #: Whether one of those queries was made when its request could no longer be accepted.
    not_found_dead: bool = False
    #: Whether a report of its acceptance may have been lost: the user stream was away before its request was dead.
    unreported: bool = False
    #: Whether the venue has acknowledged it and can neither list nor find it.
    missing: bool = False
    #: Since when the order is in doubt; 0 while it is not.
    doubted_ns: int = 0
    #: For an order of an earlier run: trades up to this venue time were booked before.
    taken_ms: int = 0
    fill_keys: list[tuple[str, int, int]] = attrs.field(factory=list)
    #: For an order that was taken over: how much of it is known to be in the positions already, by trade.
    before: dict[tuple[str, int, int], Decimal] = attrs.field(factory=dict)

    @property
    def live(self) -> bool:
        return self.state.live

    @property
    def untriggered(self) -> bool:
        """Whether it is a conditional order that is not known to have been triggered: only the algo methods speak of it."""
        return self.type.conditional and not self.triggered_ms

    @property
    def acknowledged(self) -> bool:
        """Whether the venue has ever said that it has it: then its absence is a contradiction, and no proof of anything."""
        known = self.order_id is not None or self.algo_id is not None
        return known or self.state in (
            OrderState.UNTRIGGERED,
            OrderState.TRIGGERED,
            OrderState.ACCEPTED,
            OrderState.PARTIALLY_FILLED,
        )

    @property
    def inferred(self) -> bool:
        """Whether it has ended without a word of the venue that says so."""
        return self.state.terminal and not self.ended_ms

    def comes_back(self, at_ms: int) -> bool:
        """Whether evidence of this venue time that it lives brings it back from its end.

        Any does after an inference; what the venue itself has ended takes evidence that is later. `FILLED` is final by the table.
        """
        return self.inferred or at_ms > self.ended_ms

    @property
    def closing(self) -> bool:
        """Whether the venue lets it only make a position smaller."""
        return self.reduce_only or self.close_position or self.position_side.closed_by(self.side)

    @property
    def remaining(self) -> Decimal:
        """What may still trade, at worst: nothing once it has ended, the larger quantity while an amendment is open."""
        if not self.live:
            return ZERO
        quantity = max(self.quantity, self.amending_quantity or ZERO)
        return max(quantity - self.filled, ZERO)

    @property
    def exposure(self) -> Decimal:
        """What it may still do to the position that is booked: trade, or have traded already."""
        if not self.live:
            return max(self.seen_filled - self.filled, ZERO)
        return self.remaining if self.late is None else max(self.remaining, self.late.quantity - self.filled)

    @property
    def worst_price(self) -> Decimal | None:
        """The highest price that its terms name, so that it is never valued too low; None when they name none."""
        named = (self.price, self.amending_price, self._late_price, self.trigger_price, self.activate_price)
        return max((price for price in named if price is not None), default=None)

    @property
    def meets(self) -> Decimal | None:
        """The price from which on an order of the other side may trade with it, also with what an amendment would make of it.

        None for one that does not rest, or has nothing left.
        """
        if self.price is None or self.time_in_force in PASSING or not self.remaining:
            return None
        named = [price for price in (self.price, self.amending_price, self._late_price) if price is not None]
        return max(named) if self.side is Side.BUY else min(named)

    @property
    def _late_price(self) -> Decimal | None:
        return None if self.late is None else self.late.price

    def amending(self, price: Decimal, quantity: Decimal) -> bool:
        """Whether these are the terms of the amendment that is open: news of an earlier one may come while it is on its way."""
        return (self.amending_price, self.amending_quantity) == (price, quantity)

    @property
    def fills_missing(self) -> bool:
        return self.seen_filled > self.filled

    # -- what happens to it without changing its state (`coldframe.core.state.orders` changes that) -----------------------

    def submitted(self, at_ms: int) -> None:
        """Its request carries this venue time."""
        self.sent_ms = at_ms

    def written_past_the_engine(self) -> None:
        """The kill switch writes it down as it would be found after a crash: perhaps at the venue, perhaps not."""
        self.state = OrderState.SUBMITTED

    def cancel_requested(self, now_ns: int) -> None:
        """A cancel of ours goes out."""
        self.cancel_asked, self.cancel_sent_ns = True, now_ns

    def amendment_requested(self, price: Decimal, quantity: Decimal, at_ms: int = 0) -> None:
        """An amendment to these terms goes out, at that venue time; 0: it is not known when."""
        self.amending_price, self.amending_quantity, self.amend_sent_ms = price, quantity, at_ms

    def amendment_accepted(self) -> None:
        """The venue has amended it."""
        self.amended, self.failed_amendments = True, 0

    def amendment_failed(self, *, for_good: bool) -> None:
        """An amendment came to nothing; `for_good` when the venue will refuse every other one as well."""
        self.failed_amendments += 1
        self.unamendable |= for_good

    def terms_reported(self, quantity: Decimal, price: Decimal, at_ms: int) -> bool:
        """The terms that the venue had at this venue time. What was true before an amendment must not undo it.

        It may have cut the quantity (reduce-only) and chosen the price; a market order keeps none. Returns whether this is news.
        """
        if at_ms < self.terms_ms:
            return False
        before = self.terms_ms, self.quantity, self.price
        self.terms_ms = at_ms
        if quantity > 0:
            self.quantity = quantity
        if price > 0 and self.price is not None:
            self.price = price
        return before != (self.terms_ms, self.quantity, self.price)

    def filled_by_report(self) -> None:
        """A person has seen at the venue that all of it has traded."""
        self.seen_filled = self.quantity

    def doubted(self, now_ns: int) -> None:
        """There is reason to doubt what is known of it; the first one counts."""
        self.doubted_ns = self.doubted_ns or now_ns

    def absence_seen(self, now_ns: int, apart_ns: int, *, dead: bool) -> None:
        """A query has not found it: counted once per `apart_ns`. `dead`: its request could no longer be accepted by then."""
        self.not_found_dead |= dead
        if not self.not_found:
            self.not_found, self.not_found_ns = 1, now_ns
        elif now_ns - self.not_found_ns >= apart_ns:
            self.not_found += 1

    def found(self) -> None:
        """The venue has it: queries that did not find it count no more."""
        self.not_found = 0

    def reported_missing(self) -> None:
        """The venue has acknowledged it and can neither list nor find it."""
        self.missing = True

    def reappeared(self) -> None:
        """What was said of its being missing is settled."""
        self.missing = False

    def resumed_as_algo(self, rank: int) -> None:
        """A conditional order that had ended here goes on: it is taken at the venue's word anew."""
        self.algo_rank = min(self.algo_rank, rank)

    @property
    def confirmed(self) -> bool:
        """Whether nothing about it is in flight: it rests, confirmed, and neither a cancel nor an amendment is open."""
        return self.state.resting and self.overlay is Overlay.NONE
