"""What follows when the account's position is not the sum of all owners': asking again, and at last booking what nothing explains.

A difference shuts new risk in its symbol at once, lets the account's position decide what reduces, and makes a round due, a little
later than now so that two bots do not ask in step. So does an order that the venue refuses because there is nothing to reduce. When
two rounds have found the difference, it is booked as an adjustment with its cause, never as an invented order: shared out like a
trade of others. The symbol stays halted (faults.md 3, "Position without matching fills"; O24 to O26).
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.execution.execution_reports import ExecutionReports
from coldframe.core.state.engine_state import EngineState
from coldframe.core.state.position_history import Adjustment, PositionDifference
from coldframe.core.state.positions import PositionKey, named
from coldframe.enums import Side
from coldframe.model.effects import Level
from coldframe.model.engine_events import NothingToReduce
from coldframe.units import ZERO, plain

#: How many rounds must find a difference before it is booked.
ROUNDS: Final = 2
#: A position that has to be adjusted more often than this needs a person: it is left as it is.
ADJUSTMENTS_LIMIT: Final = 3


@attrs.define
class _Suspect:
    since_ns: int
    #: What the venue has there, as it said last.
    venue: Decimal
    rounds: int = 0
    last_round: int = 0


class PositionBreaks:
    """The positions that do not add up, by symbol and side."""

    def __init__(self, state: EngineState, ctx: StepContext, reports: ExecutionReports, *, halt: bool) -> None:
        self._state = state
        self._ctx = ctx
        self._reports = reports
        self._holdings = state.holdings
        self._halt = halt
        self._suspects: dict[PositionKey, _Suspect] = {}
        self._adjusted: dict[PositionKey, int] = {}

    @property
    def symbols(self) -> set[str]:
        """Where new risk is shut until positions agree again."""
        return {symbol for symbol, _ in self._suspects}

    def compare_due(self) -> bool:
        """Takes in the positions whose time to agree is over. Returns whether a round is due."""
        differing, agreed = self._state.holdings.history.compare_due(self._ctx.now_ns)
        for key, since_ns in agreed:
            suspect = self._suspects.get(key)
            if suspect is not None and since_ns >= suspect.since_ns:
                del self._suspects[key]
                self._ctx.log(Level.INFO, f"position {named(key)} agrees again")
        due = [self._differs(key) for key in differing]
        self._show_breaks()
        return any(due)

    def step(self, event: NothingToReduce) -> None:
        """The venue has refused an order because it has nothing that the order could reduce: its word counts until it is asked.

        An answer may come long after the refusal. Where nothing is left by now that an order of this side would reduce, the
        refusal contradicts nothing.
        """
        key = (event.symbol, event.position_side)
        suspect = self._suspects.get(key)
        believed = self._holdings.position_sum(key) if suspect is None else suspect.venue
        if believed * event.side.sign >= 0:
            return
        if suspect is None:
            suspect = self._suspects[key] = _Suspect(self._ctx.now_ns, ZERO)
            text = f"the venue has nothing to reduce in {named(key)}, the bot's fills make {plain(believed)}"
            self._ctx.log(Level.WARNING, f"{text}: asking for the position")
        suspect.venue, suspect.since_ns = ZERO, self._ctx.now_ns
        self._show_breaks()

    def _show_breaks(self) -> None:
        self._state.trading.set_breaks({key: suspect.venue for key, suspect in self._suspects.items()}, self._ctx.now_ms)

    def _differs(self, found: PositionDifference) -> bool:
        """Returns whether a round is due because of it."""
        key = found.key
        suspect = self._suspects.get(key)
        if suspect is not None and self._adjusted.get(key, 0) > ADJUSTMENTS_LIMIT:
            suspect.venue = found.venue
            return False
        if suspect is None:
            suspect = self._suspects[key] = _Suspect(self._ctx.now_ns, found.venue)
            text = f"position mismatch {named(key)}: the venue has {plain(found.venue)}, the bot's fills make {plain(found.ours)}"
            self._ctx.log(Level.WARNING, f"{text}; asking again")
        elif found.source <= suspect.last_round:
            return False  # no round, or one that has had its say
        suspect.venue = found.venue
        if self._reports.unsettled(key[0]):
            return False  # what is still to be told may explain it; the next round asks again
        if found.source > suspect.last_round:
            suspect.last_round = found.source
            suspect.rounds += 1
        if suspect.rounds < ROUNDS:
            return True
        self._adjust(found)
        return False

    def _adjust(self, found: PositionDifference) -> None:
        key, missing = found.key, found.venue - found.ours
        count = self._adjusted[key] = self._adjusted.get(key, 0) + 1
        if count > ADJUSTMENTS_LIMIT:
            differs = f"still differs after {ADJUSTMENTS_LIMIT} corrections"
            self._state.trading.halt_symbol(key[0], f"its position {differs}", self._ctx.now_ms)
            self._ctx.log(Level.ERROR, f"manual check needed: position {named(key)} {differs}")
            return  # it stays disputed: the account decides what reduces
        del self._suspects[key]
        cause = f"the venue has {plain(found.venue)} where fills make {plain(found.ours)}"
        parts = self._holdings.adjust(Adjustment(key, missing, cause, self._ctx.now_ns), self._state.mark_prices.get(key[0]))
        why = f"its position did not add up ({cause})"
        halted = self._halt and self._state.trading.halt_symbol(key[0], why, self._ctx.now_ms)
        after = f"; {key[0]} is halted: no new risk there until it is resumed" if halted else ""
        side = Side.BUY if missing > 0 else Side.SELL
        whose = ", ".join(f"{owner} ({plain(part)})" if owner else "external" for owner, part in parts.items())
        self._ctx.log(Level.ERROR, f"adjustment: {side} {plain(abs(missing))} {named(key)} booked to {whose}: {cause}{after}")
