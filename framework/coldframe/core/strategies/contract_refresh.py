"""The rules of our contracts, kept current: the venue's list is asked for again when there is reason to doubt what we know.

Reasons are an event of the contract-info stream, which tells neither tick nor step, and an order that was refused for breaking a
rule that ours keeps (faults.md B11). The list may lag behind the event: each doubt is answered by two questions a minute apart, and
until the second one the more careful of two opinions on whether a contract trades holds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final, assert_never

import attrs
import msgspec

from coldframe.core.connectivity.purpose import RequestPurpose
from coldframe.core.connectivity.rate_limits import Priority
from coldframe.core.connectivity.rest_queue import RestQueue, Returned
from coldframe.core.connectivity.step_context import StepContext
from coldframe.core.state.engine_state import EngineState
from coldframe.core.strategies.dispatch import Strategies
from coldframe.enums import ContractStatus
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.engine_events import RulesDoubted
from coldframe.model.inputs import TimeReached
from coldframe.model.instruments import Instrument, Instruments
from coldframe.units import NS_PER_MS
from coldframe.wire.codec import Census, decode
from coldframe.wire.filters import Filters
from coldframe.wire.reference import SymbolInfo
from coldframe.wire.strict import read_as

#: The list is long: it is asked for no more often than this, in milliseconds.
APART_MS: Final = 60_000
_QUESTIONS: Final = 2


@attrs.frozen
class PendingInfo(RequestPurpose):
    """The purpose of a GET exchangeInfo."""


class _List(msgspec.Struct):
    symbols: list[msgspec.Raw]


class _Name(msgspec.Struct):
    symbol: str


class ContractRefresh:
    """Keeps the contracts of the state true for the symbols that are traded here."""

    def __init__(
        self, state: EngineState, ctx: StepContext, calls: RestQueue, strategies: Strategies, symbols: Collection[str]
    ) -> None:
        self._state = state
        self._ctx = ctx
        self._calls = calls
        self._strategies = strategies
        self._symbols = frozenset(symbols)
        self._questions = 0
        self._asked_ns: int | None = None
        self._waiting = False
        self._doubted = False

    def step(self, event: RulesDoubted | TimeReached | Returned) -> None:
        """Takes in that a contract may have other rules than we know, that the time for the next question has come
        (`listing:ask`), or what a call for the list brought.
        """
        match event:
            case RulesDoubted():
                self._doubted = True
            case TimeReached():
                self._waiting = False
                self._ask()
            case Returned():
                self._returned(event)
            case unknown:
                assert_never(unknown)

    def ask_if_doubted(self) -> None:
        """At the end of a step: asks if something has happened in it that makes the rules doubtful."""
        if self._doubted:
            self._doubted = False
            self._questions = _QUESTIONS
            self._ask()

    def _returned(self, event: Returned) -> None:
        answer = event.answer
        try:
            if answer is None or answer.status != 200:
                raise DecodeError(event.reason if answer is None else f"status {answer.status}", b"")
            self._apply_rules(rows_of(answer.body, self._symbols))
        except DecodeError as error:
            self._questions = max(self._questions, 1)
            self._ctx.log(Level.WARNING, f"the venue's list of contracts could not be read again: {error}")
        self._ask()

    def _ask(self) -> None:
        if not self._questions or self._waiting or self._calls.busy(PendingInfo()):
            return
        since_ms = APART_MS if self._asked_ns is None else (self._ctx.now_ns - self._asked_ns) // NS_PER_MS
        if since_ms < APART_MS:
            self._waiting = True
            self._ctx.wake("listing:ask", APART_MS - since_ms)
            return
        self._questions -= 1
        self._asked_ns = self._ctx.now_ns
        self._calls.call("GET", "/fapi/v1/exchangeInfo", {}, PendingInfo(), Priority.NEW_RISK)

    def _apply_rules(self, rows: Iterable[SymbolInfo]) -> None:
        listed = Instruments.of(rows)
        for symbol in sorted(self._symbols):
            before = self._state.instruments.get(symbol)
            if before is not None:
                # A contract that is listed no more, or whose rules cannot be read, cannot be traded.
                after = listed.get(symbol) or attrs.evolve(before, status=ContractStatus.CLOSE)
                self._learn(before, after)

    def _learn(self, before: Instrument, after: Instrument) -> None:
        if self._questions and after.trading and not before.trading:
            after = attrs.evolve(after, status=before.status)
        if after == before:
            return
        symbol = after.symbol
        self._state.contract_listed(after)
        if after.filters != before.filters:
            self._ctx.log(Level.WARNING, f"{symbol} has new rules: {_changes(before.filters, after.filters)}")
            self._strategies.rules_changed(symbol)
        if after.status != before.status:
            self._ctx.log(Level.WARNING, f"{symbol} is {after.status}, says the venue's list; it was {before.status}")
            self._strategies.check_trading(symbol)


def rows_of(body: bytes, symbols: Collection[str]) -> list[SymbolInfo]:
    """The rows of these symbols in a list of contracts. Raises `DecodeError`.

    The list is a megabyte and comes in the middle of a run: rows of others are passed over unread.
    """
    rows = [bytes(row) for row in read_as(_List, body).symbols]
    return [decode(SymbolInfo, row, Census()) for row in rows if read_as(_Name, row).symbol in symbols]


def _changes(before: Filters, after: Filters) -> str:
    """What is different, in words: `tick 0.10 is 0.50`."""
    old, new = _flat(attrs.asdict(before)), _flat(attrs.asdict(after))
    return ", ".join(f"{name} {old[name]} is {value}" for name, value in new.items() if value != old[name])


def _flat(rules: dict[str, object], head: str = "") -> dict[str, object]:
    flat: dict[str, object] = {}
    for name, value in rules.items():
        flat |= _flat(value, f"{head}{name} ") if isinstance(value, dict) else {head + name: value}
    return flat
