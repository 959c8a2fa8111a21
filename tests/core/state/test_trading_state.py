"""What is shut and opened again: the first reason stands, and opening concerns what it names."""

from __future__ import annotations

import pytest

from coldframe.core.state.trading_state import FIRST_PROBE_MS, Cause, Suspensions, TradingState
from coldframe.model.intents import Verdict, VerdictCode
from tests.core.made import START_MS

LOST = Verdict(VerdictCode.HALTED, "it has lost too much")


def shut() -> Suspensions:
    halts = Suspensions()
    assert halts.halt_strategy("mm", LOST, START_MS)
    for symbol in ("BTCUSDT", "ETHUSDT"):
        assert halts.halt_symbol(symbol, "a trade without an owner", START_MS)
    assert halts.mode_on("BTCUSDT", -4140, "reduce only", START_MS)
    return halts


def why(halts: Suspensions, strategy: str, symbol: str) -> str | None:
    found = halts.against(strategy, symbol, START_MS)
    return None if found is None else found.verdict.text


def test_the_first_reason_stands() -> None:
    halts = shut()
    assert not halts.halt_symbol("BTCUSDT", "another one", START_MS)
    assert not halts.halt_strategy("mm", Verdict(VerdictCode.HALTED, "another one"), START_MS)
    assert why(halts, "other", "BTCUSDT") == "BTCUSDT is halted: a trade without an owner"
    assert why(halts, "mm", "XRPUSDT") == "it has lost too much"
    assert why(halts, "other", "XRPUSDT") is None


def test_a_symbol_is_opened_with_its_mode_and_no_other() -> None:
    halts = shut()
    halts.resume(symbol="BTCUSDT")
    assert why(halts, "other", "BTCUSDT") is None
    assert why(halts, "other", "ETHUSDT") == "ETHUSDT is halted: a trade without an owner"
    assert why(halts, "mm", "BTCUSDT") == "it has lost too much"


def test_a_strategy_is_opened_and_symbols_stay_shut() -> None:
    halts = shut()
    halts.resume(strategy="mm")
    assert why(halts, "mm", "XRPUSDT") is None
    assert why(halts, "mm", "BTCUSDT") == "BTCUSDT is halted: a trade without an owner"


def test_with_nothing_named_everything_is_opened() -> None:
    halts = shut()
    halts.resume()
    assert [why(halts, "mm", symbol) for symbol in ("BTCUSDT", "ETHUSDT")] == [None, None]


@pytest.mark.parametrize(("after_ms", "open_again"), [(FIRST_PROBE_MS - 1, False), (FIRST_PROBE_MS, True)])
def test_a_mode_is_probed_when_its_pause_is_over(after_ms: int, open_again: bool) -> None:
    halts = Suspensions()
    halts.mode_on("BTCUSDT", -4140, "reduce only", START_MS)
    assert (halts.against("mm", "BTCUSDT", START_MS + after_ms) is None) is open_again
    assert halts.against("mm", "ETHUSDT", START_MS) is None


@pytest.mark.parametrize("cause", Cause)
def test_only_a_link_or_a_contract_that_is_down_stops_reducing(cause: Cause) -> None:
    halts = cause in (Cause.ORDER_LINK, Cause.CONTRACT)
    assert cause.state is (TradingState.HALTED if halts else TradingState.REDUCING)


def test_every_suspension_that_holds_is_listed() -> None:
    held = [(suspension.cause, suspension.scope.strategy, suspension.scope.symbol) for suspension in shut()]
    assert held == [
        (Cause.REJECTS, "mm", ""),
        (Cause.SAFE_HALT, "", "BTCUSDT"),
        (Cause.SAFE_HALT, "", "ETHUSDT"),
        (Cause.RISK_MODE, "", "BTCUSDT"),
    ]
