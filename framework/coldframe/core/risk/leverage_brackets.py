"""How large a position the venue allows at the leverage that is set: the notional brackets of every symbol.

Both are asked for at the start and once a minute, and followed through the reports; where one of them is not known, nothing is
limited by it.
Source: protocol.md 7, GET leverageBracket and symbolConfig.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

import attrs

from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.wire.codec import Census, decode_list
from coldframe.wire.reference import LeverageTiers
from coldframe.wire.replies import SymbolConfig


@attrs.frozen
class PendingBrackets:
    """The purpose of a GET leverageBracket."""


@attrs.frozen
class PendingLeverage:
    """The purpose of a GET symbolConfig."""


@attrs.frozen
class Cap:
    """The largest notional of a position, and the leverage that it belongs to."""

    notional: Decimal
    leverage: int


class Brackets:
    """Brackets and leverages by symbol."""

    def __init__(self, ctx: StepContext, calls: RestQueue) -> None:
        self._ctx = ctx
        self._calls = calls
        self._tiers: dict[str, tuple[tuple[int, Decimal], ...]] = {}
        self._leverage: dict[str, int] = {}
        self._caps: dict[str, Cap] = {}
        self._said = False
        #: Told of every row of a GET symbolConfig.
        self.on_config: Callable[[SymbolConfig], None] = lambda row: None

    @property
    def caps(self) -> Mapping[str, Cap]:
        """Where brackets and leverage are known. The same mapping for the whole run."""
        return self._caps

    def ask(self) -> None:
        self._calls.call("GET", "/fapi/v1/leverageBracket", {}, PendingBrackets(), Priority.NEW_RISK)
        self._calls.call("GET", "/fapi/v1/symbolConfig", {}, PendingLeverage(), Priority.NEW_RISK)

    def returned(self, event: Returned) -> bool:
        """What one of the questions brought. Returns whether it was one of these."""
        if not isinstance(event.purpose, PendingBrackets | PendingLeverage):
            return False
        answer = event.answer
        if answer is None or answer.status != 200:
            fault = event.reason if answer is None or answer.fault is None else answer.fault.msg
            self._say(str(fault))
            return True
        try:
            if isinstance(event.purpose, PendingBrackets):
                for row in decode_list(LeverageTiers, answer.body, Census()):
                    self.tiers(row.symbol, [(bracket.initial_leverage, bracket.notional_cap) for bracket in row.brackets])
            else:
                for config in decode_list(SymbolConfig, answer.body, Census()):
                    self.leverage(config.symbol, config.leverage)
                    self.on_config(config)
        except DecodeError as error:
            self._say(f"unreadable answer: {error}")
        return True

    def _say(self, fault: str) -> None:
        """Once, while none are known; those that are known count on."""
        if not self._caps and not self._said:
            self._said = True
            self._ctx.log(Level.WARNING, f"leverage brackets are not known: {fault}")

    def tiers(self, symbol: str, tiers: Sequence[tuple[int, Decimal]]) -> None:
        """The brackets of a symbol, each with its highest leverage and its largest notional."""
        self._tiers[symbol] = tuple(tiers)
        self._recount(symbol)

    def leverage(self, symbol: str, leverage: int) -> None:
        """The leverage that is set for a symbol."""
        self._leverage[symbol] = leverage
        self._recount(symbol)

    def _recount(self, symbol: str) -> None:
        """At leverage L a position may reach the largest cap of the brackets that still allow L."""
        leverage = self._leverage.get(symbol)
        open_to = [cap for most, cap in self._tiers.get(symbol, ()) if leverage is not None and most >= leverage]
        if leverage is not None and open_to:
            self._caps[symbol] = Cap(max(open_to), leverage)
        else:
            self._caps.pop(symbol, None)
