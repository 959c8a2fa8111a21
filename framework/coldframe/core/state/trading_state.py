"""What is shut, and why: strategies that have lost or been refused too much, symbols that nobody can be sure of, risk modes.

Everything here is latched: it shuts new risk until somebody opens it again, and never shuts a cancel or what only reduces. The one
exception is a risk mode of the venue (faults.md O19): it says itself "try again later", so after a pause one order goes as a probe.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Final

import attrs

from coldframe.core.state.positions import PositionKey
from coldframe.model.intents import Verdict, VerdictCode

#: After the venue has refused new risk, how long until one order may try again, doubled by every refusal (milliseconds).
FIRST_PROBE_MS: Final = 60_000
LAST_PROBE_MS: Final = 900_000
#: Codes that speak of the whole account, not of the symbol of the order that met them.
_ACCOUNT_CODES: Final = (-4087, -4088)
_ACCOUNT: Final = "*"


@attrs.define
class _Mode:
    text: str
    pause_ms: int
    probe_at_ms: int
    #: Whether one order is out to see if the mode still stands.
    probing: bool = False


class TradingState:
    """Latches by strategy and by symbol."""

    def __init__(self) -> None:
        self.strategies: dict[str, Verdict] = {}
        self.symbols: dict[str, Verdict] = {}
        #: Positions that do not add up for the moment, and what of each the venue has, as far as is known.
        self.disputed: dict[PositionKey, Decimal] = {}
        #: Positions that the venue has just had nothing to reduce in: to be asked for.
        self.emptied: dict[PositionKey, None] = {}
        #: What the account is set to otherwise than the bot is configured for, by symbol ("": everywhere) and setting. It ends by
        #: itself, so no person opens it; `coldframe.core.reconciliation.account_settings` writes it.
        self.contradictions: dict[tuple[str, str], Verdict] = {}
        self._modes: dict[str, _Mode] = {}

    def against(self, strategy: str, symbol: str, now_ms: int) -> Verdict | None:
        """Why this strategy may not take new risk in this symbol; None when it may."""
        found = self.strategies.get(strategy) or self.symbols.get(symbol) or self._contradiction(symbol)
        if found is not None:
            return found
        if any(disputed == symbol for disputed, _ in self.disputed):
            return Verdict(VerdictCode.HALTED, f"the position of {symbol} does not add up yet: asking again")
        for key in (symbol, _ACCOUNT):
            mode = self._modes.get(key)
            if mode is not None and now_ms < mode.probe_at_ms:
                text = f"the venue takes only reducing orders ({mode.text}); trying again in {mode.probe_at_ms - now_ms} ms"
                return Verdict(VerdictCode.RISK_MODE, text)
        return None

    def _contradiction(self, symbol: str) -> Verdict | None:
        return next((verdict for (where, _), verdict in self.contradictions.items() if where in ("", symbol)), None)

    def halt_strategy(self, strategy: str, verdict: Verdict) -> bool:
        """Shuts new risk of a strategy. Returns whether it was open; the first reason stands."""
        return self.strategies.setdefault(strategy, verdict) is verdict

    def halt_symbol(self, symbol: str, why: str) -> bool:
        """Shuts new risk in a symbol (safe-halt). Returns whether it was open; the first reason stands."""
        verdict = Verdict(VerdictCode.HALTED, f"{symbol} is halted: {why}")
        return self.symbols.setdefault(symbol, verdict) is verdict

    def resume(self, strategy: str | None = None, symbol: str | None = None) -> None:
        """Opens again: one strategy or one symbol, or with neither named everything."""
        if strategy is not None:
            self.strategies.pop(strategy, None)
        if symbol is not None:
            self.symbols.pop(symbol, None)
            self._modes.pop(symbol, None)
        if strategy is None and symbol is None:
            self.strategies.clear()
            self.symbols.clear()
            self._modes.clear()

    # -- risk modes ---------------------------------------------------------------------------------------------------

    def mode_on(self, symbol: str, code: int, text: str, now_ms: int) -> bool:
        """The venue takes only reducing orders. Returns whether that is news.

        Only the refusal of a probe makes the pause longer: orders that were under way together are refused together.
        """
        key = _ACCOUNT if code in _ACCOUNT_CODES else symbol
        known = self._modes.get(key)
        if known is None:
            self._modes[key] = _Mode(text, FIRST_PROBE_MS, now_ms + FIRST_PROBE_MS)
        elif known.probing:
            pause = min(known.pause_ms * 2, LAST_PROBE_MS)
            self._modes[key] = _Mode(text, pause, now_ms + pause)
        return known is None

    def probe(self, symbol: str, now_ms: int) -> None:
        """An order that adds risk goes out: until its fate is known, no other one does while the mode stands."""
        for key in (symbol, _ACCOUNT):
            if key in self._modes:
                mode = self._modes[key]
                mode.probing, mode.probe_at_ms = True, now_ms + mode.pause_ms

    def mode_off(self, symbol: str) -> bool:
        """The venue has taken an order that adds risk. Returns whether a mode ends with that: only a probe can end one."""
        ended = [key for key in (symbol, _ACCOUNT) if key in self._modes and self._modes[key].probing]
        for key in ended:
            del self._modes[key]
        return bool(ended)
