"""What may be traded, and why not more: one state for every strategy and symbol, and the suspensions that it comes from.

ACTIVE takes new risk, REDUCING takes only what brings a position nearer to zero, HALTED takes no order at all; cancels always go.
Most suspensions are lasting: they hold until a person resumes. Others end with what caused them, and those that follow from the
moment alone (a link that is down, a stale book) are derived in `coldframe.core.risk.suspended`. The one that ends by a probe is a
risk mode of the exchange (faults.md O19): it says itself "try again later", so after a pause one order goes out to see whether it
still stands.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from enum import StrEnum
from typing import Final

import attrs

from coldframe.core.state.positions import PositionKey
from coldframe.model.halting import LastingSuspensions
from coldframe.model.intents import Verdict, VerdictCode

#: After the venue has refused new risk, how long until one order may try again, doubled by every refusal (milliseconds).
FIRST_PROBE_MS: Final = 60_000
LAST_PROBE_MS: Final = 900_000
#: Codes that speak of the whole account, not of the symbol of the order that met them.
_ACCOUNT_CODES: Final = (-4087, -4088)
_ACCOUNT: Final = "*"


class TradingState(StrEnum):
    """What a strategy may send in a symbol; each state takes less than the one before it."""

    ACTIVE = "active"
    REDUCING = "reducing"
    HALTED = "halted"


class Cause(StrEnum):
    """What suspends trading."""

    ORDER_LINK = "order_link"
    CONTRACT = "contract"
    KILL_SWITCH = "kill_switch"
    JOURNAL = "journal"
    USER_STREAM = "user_stream"
    UNKNOWN_ORDERS = "unknown_orders"
    STALE_BOOK = "stale_book"
    LOSSES = "losses"
    REJECTS = "rejects"
    SAFE_HALT = "safe_halt"
    ACCOUNT_SETTING = "account_setting"
    POSITION = "position"
    RISK_MODE = "risk_mode"

    @property
    def state(self) -> TradingState:
        """What is left while it holds."""
        return TradingState.HALTED if self in _NOTHING_GOES else TradingState.REDUCING


#: Without a link, or in a contract that does not trade, not even what only reduces can be sent.
_NOTHING_GOES: Final = (Cause.ORDER_LINK, Cause.CONTRACT)
_LOSSES: Final = (VerdictCode.LOSS, VerdictCode.DRAWDOWN)


@attrs.frozen
class Scope:
    """Where a suspension holds: for one strategy or all ("") and in one symbol or all ("")."""

    strategy: str = ""
    symbol: str = ""

    def __str__(self) -> str:
        return " in ".join(filter(None, (self.strategy, self.symbol))) or "everywhere"


@attrs.frozen
class Suspension:
    """One reason why new risk is not taken. `verdict` is what an order that adds risk is refused with."""

    scope: Scope
    cause: Cause
    verdict: Verdict
    #: Since when (our time, epoch milliseconds), and until when it holds at least; None: until what caused it has gone.
    since_ms: int
    until_ms: int | None = None


@attrs.frozen
class _Mode:
    """A risk mode of the exchange: its text, the pause between two probes, when the next may go, and whether one is out."""

    text: str
    pause_ms: int
    probe_at_ms: int
    since_ms: int
    probing: bool = False


class Suspensions:
    """Every suspension that has been made and not ended. What follows from the moment alone is not kept here."""

    def __init__(self) -> None:
        self._kill_switch: dict[str, Suspension] = {}
        self._journal: Suspension | None = None
        self._account: Suspension | None = None
        self._strategies: dict[str, Suspension] = {}
        self._symbols: dict[str, Suspension] = {}
        #: What the account is set to otherwise than the bot is configured for, by symbol ("": everywhere) and setting.
        self._settings: dict[tuple[str, str], Suspension] = {}
        self._breaks: dict[PositionKey, Decimal] = {}
        self._broken_since_ms: dict[str, int] = {}
        self._modes: dict[str, _Mode] = {}
        #: What holds until a person resumes, made when it is first asked for.
        self._lasting: LastingSuspensions | None = None

    # -- looking ------------------------------------------------------------------------------------------------------

    @property
    def account(self) -> Verdict | None:
        """What shuts new risk of the whole account until a person resumes."""
        return None if self._account is None else self._account.verdict

    @property
    def strategies(self) -> Mapping[str, Verdict]:
        """The strategies that are suspended until a person resumes."""
        return {name: held.verdict for name, held in self._strategies.items()}

    @property
    def symbols(self) -> Mapping[str, Verdict]:
        """The symbols in which new risk is shut until a person resumes."""
        return {name: held.verdict for name, held in self._symbols.items()}

    @property
    def settings(self) -> Mapping[tuple[str, str], Verdict]:
        """What the account is set to otherwise than configured, by symbol and setting."""
        return {key: held.verdict for key, held in self._settings.items()}

    @property
    def breaks(self) -> Mapping[PositionKey, Decimal]:
        """Positions that do not add up for the moment, and what of each the venue has, as far as is known."""
        return self._breaks

    @property
    def lasting(self) -> LastingSuspensions:
        """What holds until a person resumes, as the journal keeps it. Risk modes do not: the venue says them again."""
        if self._lasting is None:
            self._lasting = LastingSuspensions(self.account, dict(self.strategies), dict(self.symbols))
        return self._lasting

    def by_kill_switch(self, strategy: str) -> Suspension | None:
        return self._kill_switch.get(strategy)

    def by_journal(self) -> Suspension | None:
        return self._journal

    def of_symbol(self, symbol: str) -> Suspension | None:
        return self._symbols.get(symbol)

    def by_settings(self, symbol: str) -> Suspension | None:
        return next((held for (where, _), held in self._settings.items() if where in ("", symbol)), None)

    def by_position(self, symbol: str) -> Suspension | None:
        """A position in the symbol does not add up."""
        if not self._breaks or all(broken != symbol for broken, _ in self._breaks):
            return None
        verdict = Verdict(VerdictCode.HALTED, f"the position of {symbol} does not add up yet: asking again")
        return Suspension(Scope(symbol=symbol), Cause.POSITION, verdict, self._broken_since_ms.get(symbol, 0))

    def by_mode(self, symbol: str, now_ms: int) -> Suspension | None:
        """The venue takes only reducing orders there, and no probe is due."""
        for key in (symbol, _ACCOUNT) if self._modes else ():
            mode = self._modes.get(key)
            if mode is not None and now_ms < mode.probe_at_ms:
                text = f"the venue takes only reducing orders ({mode.text}); trying again in {mode.probe_at_ms - now_ms} ms"
                scope, verdict = Scope(symbol="" if key == _ACCOUNT else symbol), Verdict(VerdictCode.RISK_MODE, text)
                return Suspension(scope, Cause.RISK_MODE, verdict, mode.since_ms, mode.probe_at_ms)
        return None

    def against(self, strategy: str, symbol: str, now_ms: int) -> Suspension | None:
        """What holds until a person resumes, or ends by itself, against new risk of a strategy in a symbol; None: nothing does."""
        return (
            self._account
            or self._strategies.get(strategy)
            or self._symbols.get(symbol)
            or self.by_settings(symbol)
            or self.by_position(symbol)
            or self.by_mode(symbol, now_ms)
        )

    def __iter__(self) -> Iterator[Suspension]:
        """All that hold now."""
        yield from self._kill_switch.values()
        yield from (held for held in (self._journal, self._account) if held is not None)
        yield from (*self._strategies.values(), *self._symbols.values(), *self._settings.values())
        yield from (held for symbol in self._broken_since_ms if (held := self.by_position(symbol)) is not None)
        yield from (held for symbol in self._modes if (held := self.by_mode(symbol, 0)) is not None)

    # -- what suspends ------------------------------------------------------------------------------------------------

    def halted(self, strategy: str, verdict: Verdict, now_ms: int) -> None:
        """The kill switch holds a strategy."""
        before = self._kill_switch.get(strategy)
        since_ms = now_ms if before is None else before.since_ms
        self._kill_switch[strategy] = Suspension(Scope(strategy=strategy), Cause.KILL_SWITCH, verdict, since_ms)

    def released(self, strategy: str) -> None:
        """The kill switch holds it no more."""
        self._kill_switch.pop(strategy, None)

    def journal_failed(self, fault: str, now_ms: int) -> None:
        """The journal cannot be written: nothing that adds risk may leave."""
        verdict = Verdict(VerdictCode.HALTED, f"the journal cannot be written: {fault}")
        self._journal = Suspension(Scope(), Cause.JOURNAL, verdict, now_ms)

    def journal_recovered(self) -> None:
        """The journal can be written again."""
        self._journal = None

    def halt_account(self, verdict: Verdict, now_ms: int) -> None:
        """The account has lost more than it may."""
        self._account, self._lasting = Suspension(Scope(), Cause.LOSSES, verdict, now_ms), None

    def halt_strategy(self, strategy: str, verdict: Verdict, now_ms: int) -> bool:
        """Shuts new risk of a strategy. Returns whether it was open; the first reason stands."""
        cause = Cause.LOSSES if verdict.code in _LOSSES else Cause.REJECTS
        held, self._lasting = Suspension(Scope(strategy=strategy), cause, verdict, now_ms), None
        return self._strategies.setdefault(strategy, held) is held

    def halt_symbol(self, symbol: str, why: str, now_ms: int) -> bool:
        """Shuts new risk in a symbol (safe-halt). Returns whether it was open; the first reason stands."""
        verdict = Verdict(VerdictCode.HALTED, f"{symbol} is halted: {why}")
        held, self._lasting = Suspension(Scope(symbol=symbol), Cause.SAFE_HALT, verdict, now_ms), None
        return self._symbols.setdefault(symbol, held) is held

    def setting_differs(self, symbol: str, setting: str, text: str, now_ms: int) -> bool:
        """The account is set otherwise than the bot is configured for. Returns whether that is news."""
        before = self._settings.get((symbol, setting))
        if before is not None and before.verdict.text == text:
            return False
        verdict = Verdict(VerdictCode.ACCOUNT_SETTING, text)
        self._settings[symbol, setting] = Suspension(Scope(symbol=symbol), Cause.ACCOUNT_SETTING, verdict, now_ms)
        return True

    def setting_agrees(self, symbol: str, setting: str) -> bool:
        """Account and configuration agree. Returns whether they did not before."""
        return self._settings.pop((symbol, setting), None) is not None

    def set_breaks(self, positions: Mapping[PositionKey, Decimal], now_ms: int) -> None:
        """These positions, and no others, do not add up for the moment."""
        self._breaks = dict(positions)
        self._broken_since_ms = {symbol: self._broken_since_ms.get(symbol, now_ms) for symbol, _ in positions}

    def restore(self, lasting: LastingSuspensions, now_ms: int) -> None:
        """Shuts what an earlier run had shut."""
        if lasting.account is not None:
            self.halt_account(lasting.account, now_ms)
        for strategy, verdict in lasting.strategies.items():
            self._strategies.pop(strategy, None)
            self.halt_strategy(strategy, verdict, now_ms)
        for symbol, verdict in lasting.symbols.items():
            self._symbols[symbol] = Suspension(Scope(symbol=symbol), Cause.SAFE_HALT, verdict, now_ms)
        self._lasting = None

    def resume(self, strategy: str | None = None, symbol: str | None = None) -> None:
        """Opens again: one strategy or one symbol, or with neither named everything that is suspended until then."""
        self._lasting = None
        if strategy is not None:
            self._strategies.pop(strategy, None)
        if symbol is not None:
            self._symbols.pop(symbol, None)
            self._modes.pop(symbol, None)
        if strategy is None and symbol is None:
            self._account = None
            self._strategies.clear()
            self._symbols.clear()
            self._modes.clear()

    # -- risk modes ---------------------------------------------------------------------------------------------------

    def mode_on(self, symbol: str, code: int, text: str, now_ms: int) -> bool:
        """The venue takes only reducing orders. Returns whether that is news.

        Only the refusal of a probe makes the pause longer: orders that were under way together are refused together.
        """
        key = _ACCOUNT if code in _ACCOUNT_CODES else symbol
        known = self._modes.get(key)
        if known is None:
            self._modes[key] = _Mode(text, FIRST_PROBE_MS, now_ms + FIRST_PROBE_MS, now_ms)
        elif known.probing:
            pause = min(known.pause_ms * 2, LAST_PROBE_MS)
            self._modes[key] = _Mode(text, pause, now_ms + pause, known.since_ms)
        return known is None

    def probe(self, symbol: str, now_ms: int) -> None:
        """An order that adds risk goes out: until its fate is known, no other one does while the mode stands."""
        for key in (symbol, _ACCOUNT):
            mode = self._modes.get(key)
            if mode is not None:
                self._modes[key] = attrs.evolve(mode, probing=True, probe_at_ms=now_ms + mode.pause_ms)

    def mode_off(self, symbol: str) -> bool:
        """The venue has taken an order that adds risk. Returns whether a mode ends with that: only a probe can end one."""
        ended = [key for key in (symbol, _ACCOUNT) if key in self._modes and self._modes[key].probing]
        for key in ended:
            del self._modes[key]
        return bool(ended)
