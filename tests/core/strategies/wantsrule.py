"""The rule of `Wants`, naively: told moment by moment, with fractions. The oracle of what an engine does."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction

import attrs

from coldframe import Wants
from coldframe.core.strategies.wants import PacedEvent
from coldframe.model.events import BookChanged

Price = Decimal | int | None


@attrs.frozen
class Fill:
    """An order of the strategy trades."""

    symbol: str


@attrs.frozen
class Moment:
    """An event at a time, with the best bid and ask that it shows; a price is there twice where it has one only."""

    ms: int
    what: PacedEvent | Fill
    bid: Price = None
    ask: Price = None


Lane = tuple[str, type, bool]
Calls = dict[Lane, list[tuple[int, PacedEvent]]]


def lane_of(event: PacedEvent) -> Lane:
    return event.symbol, type(event), isinstance(event, BookChanged) and event.rpi


def outside(now: Price, then: Price, band_bps: Decimal | int) -> bool:
    if now is None or then is None:
        return now is not then
    return abs(Fraction(now) - Fraction(then)) > Fraction(then) * Fraction(band_bps) / 10_000


def calls_of_lane(wants: Wants, tale: Sequence[Moment], lane: Lane) -> list[tuple[int, PacedEvent]]:
    """The calls with events of one kind in one symbol, told moment by moment."""
    calls: list[tuple[int, PacedEvent]] = []
    shown: Moment | None = None
    waiting: Moment | None = None
    filled = False
    at: dict[int, list[Moment]] = {}
    for moment in tale:
        at.setdefault(moment.ms, []).append(moment)
    for ms in range(tale[0].ms, tale[-1].ms + (wants.every_ms or 0) + 2):
        early = bool(calls) and wants.every_ms is not None and ms < calls[-1][0] + wants.every_ms
        if waiting is not None and not early:
            calls.append((ms, waiting.what))  # type: ignore[arg-type]
            shown, waiting = waiting, None
        for moment in at.get(ms, ()):
            if isinstance(moment.what, Fill):
                filled |= wants.own_fills and moment.what.symbol == lane[0]
                continue
            if lane_of(moment.what) != lane:
                continue
            early = bool(calls) and wants.every_ms is not None and ms < calls[-1][0] + wants.every_ms
            at_once = shown is None or filled or getattr(shown.what, "state", 0) != getattr(moment.what, "state", 0)
            if wants.band_bps is None:
                asked = wants.every_ms is not None
            else:
                then = shown or moment
                asked = outside(moment.bid, then.bid, wants.band_bps) or outside(moment.ask, then.ask, wants.band_bps)
            waiting = None
            if at_once or (asked and not early):
                calls.append((ms, moment.what))
                shown, filled = moment, False
            elif asked:
                waiting = moment
    return calls


def calls_of(wants: Wants, tale: Sequence[Moment]) -> Calls:
    """All calls, by the kind of event and the symbol."""
    lanes = {lane_of(moment.what) for moment in tale if not isinstance(moment.what, Fill)}
    return {lane: calls_of_lane(wants, tale, lane) for lane in lanes}
