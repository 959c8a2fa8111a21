"""How large a position the venue allows at the leverage that is set: the notional brackets of every symbol.

Both are asked for at the start and once a minute, and followed through the reports; where one of them is not known, nothing is
limited by it.
Source: protocol.md 7, GET leverageBracket and symbolConfig.
"""

from __future__ import annotations

from collections.abc import Callable

import attrs

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.wire.codec import Census, decode_list
from coldframe.wire.reference import LeverageTiers
from coldframe.wire.replies import SymbolConfig


@attrs.frozen
class PendingBrackets(RequestPurpose):
    """The purpose of a GET leverageBracket."""


@attrs.frozen
class PendingLeverage(RequestPurpose):
    """The purpose of a GET symbolConfig."""


class Brackets:
    """Asks for brackets and leverages. `configured` takes every row of a GET symbolConfig."""

    def __init__(self, state: EngineState, ctx: StepContext, calls: RestQueue, configured: Callable[[SymbolConfig], None]) -> None:
        self._caps = state.caps
        self._ctx = ctx
        self._calls = calls
        self._said = False
        self._configured = configured

    def ask(self) -> None:
        self._calls.call("GET", "/fapi/v1/leverageBracket", {}, PendingBrackets(), Priority.NEW_RISK)
        self._calls.call("GET", "/fapi/v1/symbolConfig", {}, PendingLeverage(), Priority.NEW_RISK)

    def step(self, event: Returned) -> None:
        """Takes in what one of the questions brought."""
        answer = event.answer
        if answer is None or answer.status != 200:
            fault = event.reason if answer is None or answer.fault is None else answer.fault.msg
            self._log_failure(str(fault))
            return
        try:
            if isinstance(event.purpose, PendingBrackets):
                for row in decode_list(LeverageTiers, answer.body, Census()):
                    self._caps.tiers(row.symbol, [(bracket.initial_leverage, bracket.notional_cap) for bracket in row.brackets])
            else:
                for config in decode_list(SymbolConfig, answer.body, Census()):
                    self._caps.leverage(config.symbol, config.leverage)
                    self._configured(config)
        except DecodeError as error:
            self._log_failure(f"unreadable answer: {error}")

    def _log_failure(self, fault: str) -> None:
        """Once, while none are known; those that are known count on."""
        if not self._caps and not self._said:
            self._said = True
            self._ctx.log(Level.WARNING, f"leverage brackets are not known: {fault}")
