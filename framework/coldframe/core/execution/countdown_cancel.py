"""The dead man's switch: the venue cancels our orders by itself when we have not been heard of for a while.

A countdown per symbol, wound up again every quarter of its length as long as orders of ours may exist there, and switched off at
the end of a run, symbol by symbol, where no order is left but those that are kept on purpose. A beat that fails is said at once,
because the next thing that happens may be that good orders go. What the switch has cancelled is told as such. It covers all
ordinary orders of the account in the symbol, also those that are not ours; of conditional ones the venue does not say.
Source: protocol.md 6.4, POST countdownCancelAll; faults.md O30, O31.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, assert_never

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.orders import Order
from coldframe.enums import ExecutionType
from coldframe.model.effects import Level
from coldframe.model.orders import Overlay
from coldframe.units import NS_PER_MS
from coldframe.wire.account import OrderReport

#: The reason that an order carries when the switch has cancelled it.
REASON: Final = "dead man's switch"
#: Pause before a beat that failed is tried again (milliseconds), if that is less than a quarter of the countdown.
AGAIN_MS: Final = 2_000
#: The same for a beat that should switch a countdown off: an end waits for it.
_OFF_AGAIN_MS: Final = 500
#: How far the venue's clock may be from what we think it is, when its cancels are told apart from others.
_SLACK_MS: Final = 250


@attrs.frozen
class PendingCountdown(RequestPurpose):
    """The purpose of a POST countdownCancelAll; `countdown_ms` is 0 for the one that switches it off."""

    symbol: str
    countdown_ms: int
    number: int


@attrs.frozen
class BeatsDue:
    """Some time has passed, a quarter of a second or so. `symbols` are those in which orders of ours may exist."""

    symbols: tuple[str, ...]


@attrs.define
class _Switch:
    """The countdown of one symbol. Times ending in `_ns` are ours, those ending in `_ms` the venue's."""

    next_ns: int = 0
    asked: PendingCountdown | None = None
    asked_ns: int = 0
    #: When it runs out at the earliest, as far as the venue has confirmed; 0 while it is not armed.
    runs_out_ms: int = 0
    missed: bool = False
    #: Whether a beat that should have switched it off has failed.
    stuck: bool = False


class CountdownCancel:
    """All countdowns of a run. With a length of 0 there are none."""

    def __init__(self, ctx: StepContext, calls: RestQueue, countdown_ms: int) -> None:
        self._ctx = ctx
        self._calls = calls
        self._countdown_ms = countdown_ms
        self._switches: dict[str, _Switch] = {}
        self._number = 0
        #: Symbols whose switch shall be off although orders that are kept may stand there.
        self._off: set[str] = set()
        #: Beats that failed or were late, and orders that the switch has cancelled.
        self.missed = 0
        self.cancelled = 0

    @property
    def _period_ns(self) -> int:
        return self._countdown_ms * NS_PER_MS // 4

    @property
    def running(self) -> dict[str, bool]:
        """The symbols whose countdown may be running, and whether it could not be switched off when that was tried."""
        return {symbol: switch.stuck for symbol, switch in self._switches.items()}

    def _send_due(self, symbols: Iterable[str]) -> None:
        if not self._countdown_ms:
            return
        wanted = dict.fromkeys(symbol for symbol in symbols if symbol not in self._off)
        for symbol in wanted:
            self._switches.setdefault(symbol, _Switch())
        for symbol, switch in list(self._switches.items()):
            late = switch.asked is not None and self._ctx.now_ns - switch.asked_ns >= self._period_ns
            if late:
                self._miss(symbol, switch, "no answer in time")
                switch.asked = None
            if switch.asked is None and self._ctx.now_ns >= switch.next_ns:
                self._refresh(symbol, switch, self._countdown_ms if symbol in wanted else 0)

    def disarm(self, symbols: Iterable[str]) -> None:
        """These countdowns, and no others, shall be off although orders may stand there: those are kept at the end of a run.

        A beat that is under way is waited for, so that it cannot overtake the one that switches off; a beat that fails is repeated.
        """
        self._off = set(symbols)
        for symbol in self._off & self._switches.keys():
            switch = self._switches[symbol]
            if switch.asked is None and (not switch.stuck or self._ctx.now_ns >= switch.next_ns):
                self._refresh(symbol, switch, 0)

    def step(self, event: BeatsDue | Returned) -> None:
        """Takes in that it is time to look which beats are due, or what one has brought."""
        match event:
            case BeatsDue(symbols):
                self._send_due(symbols)
            case Returned(PendingCountdown() as purpose):
                self._returned(purpose, event)
            case Returned():
                pass
            case unknown:
                assert_never(unknown)

    def _returned(self, purpose: PendingCountdown, event: Returned) -> None:
        switch = self._switches.get(purpose.symbol)
        if switch is None:
            return
        current = switch.asked == purpose
        if current:
            switch.asked = None
        answer = event.answer
        if answer is not None and answer.status == 200:
            self._confirmed(purpose, switch, event.sent_ns)
        elif current:
            fault = answer.fault if answer is not None else None
            switch.stuck = not purpose.countdown_ms
            self._miss(purpose.symbol, switch, f"{fault.code}: {fault.msg}" if fault else event.reason)

    def explains(self, order: Order, report: OrderReport) -> str:
        """Why an order was cancelled, if it was the switch: no cancel of ours was under way, and the countdown was over."""
        switch = self._switches.get(order.symbol)
        if switch is None or not switch.runs_out_ms or report.execution is not ExecutionType.CANCELED:
            return ""
        if order.overlay in (Overlay.CANCEL_SENT, Overlay.CANCEL_UNKNOWN) or report.trade_ms < switch.runs_out_ms - _SLACK_MS:
            return ""
        self.cancelled += 1
        switch.next_ns = self._ctx.now_ns
        name = order.client_order_id
        self._ctx.log(Level.ERROR, f"dead man's switch of {order.symbol} has run out: the venue has cancelled {name}")
        return REASON

    # -- beats --------------------------------------------------------------------------------------------------------

    def _refresh(self, symbol: str, switch: _Switch, countdown_ms: int) -> None:
        self._number += 1
        switch.asked, switch.asked_ns = PendingCountdown(symbol, countdown_ms, self._number), self._ctx.now_ns
        switch.next_ns = self._ctx.now_ns + self._period_ns
        params: dict[str, str | int] = {"symbol": symbol, "countdownTime": countdown_ms}
        self._calls.call("POST", "/fapi/v1/countdownCancelAll", params, switch.asked)

    def _confirmed(self, beat: PendingCountdown, switch: _Switch, sent_ns: int) -> None:
        switch.stuck = False
        if not beat.countdown_ms:
            if switch.asked is None:
                del self._switches[beat.symbol]
            return
        if not switch.runs_out_ms:
            self._ctx.log(Level.INFO, f"dead man's switch of {beat.symbol}: armed, {beat.countdown_ms / 1000:g} s")
        elif switch.missed:
            self._ctx.log(Level.WARNING, f"dead man's switch of {beat.symbol}: beats again")
        switch.missed = False
        switch.runs_out_ms = max(switch.runs_out_ms, self._ctx.clock.venue_ms(sent_ns) + beat.countdown_ms)

    def _miss(self, symbol: str, switch: _Switch, reason: str) -> None:
        self.missed += 1
        switch.missed = True
        again_ms = _OFF_AGAIN_MS if symbol in self._off else AGAIN_MS
        switch.next_ns = min(switch.next_ns, self._ctx.now_ns + again_ms * NS_PER_MS)
        left_ms = switch.runs_out_ms - self._ctx.venue_ms
        if not switch.runs_out_ms:
            what = "it is not armed"
        elif left_ms > 0:
            what = f"the venue cancels the bot's orders there in {left_ms / 1000:.1f} s"
        else:
            what = "the venue has cancelled the bot's orders there"
        self._ctx.log(Level.ERROR, f"dead man's switch of {symbol}: beat missed ({reason}): {what}")
