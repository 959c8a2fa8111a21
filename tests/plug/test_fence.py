"""Whatever a plugin raises becomes one sentence; what is ours, and what ends a process from outside, passes."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from decimal import (
    ROUND_HALF_EVEN,
    ROUND_UP,
    Context,
    DefaultContext,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
    getcontext,
    setcontext,
)
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import ColdframeError, ConfigError, InvariantBroken, PluginError, StrategyFault
from coldframe.plug import fence
from coldframe.plug.fence import fault_line, fenced


def fails(error: BaseException) -> Callable[[], None]:
    def call() -> None:
        raise error

    return call


def said_of(error: BaseException) -> str:
    with pytest.raises(PluginError) as refused:
        fenced(PluginError, fails(error))
    return str(refused.value)


def test_what_is_called_gets_its_arguments_and_gives_its_answer() -> None:
    assert fenced(PluginError, lambda *args: args, 1, "two") == (1, "two")


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ValueError("too late"), "ValueError: too late"),
        (ValueError(), "ValueError: no message"),
        (ValueError("\n \n first \n second"), "ValueError: first"),
        (KeyError("BTCUSDT"), "KeyError: 'BTCUSDT'"),
        (SystemExit(3), "SystemExit: 3"),
        (SystemExit("bye"), "SystemExit: bye"),
        (AssertionError(), "AssertionError: no message"),
        (ExceptionGroup("two", [ValueError("a"), KeyError("b")]), "ExceptionGroup: two (2 sub-exceptions)"),
        (RecursionError("too deep"), "RecursionError: too deep"),
        (MemoryError(), "MemoryError: no message"),
        (StopIteration(5), "StopIteration: 5"),
    ],
)
def test_s1_what_it_raises_is_one_sentence_with_its_place(error: BaseException, sentence: str) -> None:
    line = fails(error).__code__.co_firstlineno + 1
    assert said_of(error) == f"{sentence} (test_fence.py:{line})"


def test_the_error_itself_is_kept_as_the_cause() -> None:
    error = ValueError("too late")
    with pytest.raises(StrategyFault) as refused:
        fenced(StrategyFault, fails(error))
    assert refused.value.__cause__ is error


def raised_by_us(error: ColdframeError) -> Callable[[], None]:
    """A call whose error comes out of our own code, as it does when a plugin calls something of ours."""
    space: dict[str, Any] = {"error": error}
    exec(compile("def call():\n    raise error\n", str(Path(fence.__file__).parents[1] / "core" / "views.py"), "exec"), space)
    call: Callable[[], None] = space["call"]
    return call


@pytest.mark.parametrize(
    ("kind", "error", "passes"),
    [
        (PluginError, PluginError("c"), True),
        (PluginError, ConfigError("a", "b"), True),
        (PluginError, StrategyFault("d"), False),
        (StrategyFault, StrategyFault("d"), True),
        (StrategyFault, PluginError("c"), False),
        (StrategyFault, ConfigError("c"), False),
        (PluginError, InvariantBroken("e"), True),
        (StrategyFault, InvariantBroken("e"), True),
    ],
)
def test_our_own_errors_pass_where_they_belong(kind: type[ColdframeError], error: ColdframeError, passes: bool) -> None:
    with pytest.raises(type(error) if passes else kind) as came:
        fenced(kind, raised_by_us(error))
    assert (came.value is error) is passes


@pytest.mark.parametrize("error", [ConfigError("a", "b"), PluginError("c"), StrategyFault("d"), InvariantBroken("e")])
def test_s13_our_errors_raised_by_a_plugin_are_the_plugins(error: ColdframeError) -> None:
    for kind in (PluginError, StrategyFault):
        with pytest.raises(kind) as refused:
            fenced(kind, fails(error))
        assert refused.value is not error
        assert str(refused.value).startswith(f"{type(error).__name__}: {error.args[0].splitlines()[0]} (test_fence.py:")


# -- beyond Exception -------------------------------------------------------------------------------------------------


class Odd(BaseException):
    pass


BEYOND = [GeneratorExit(), KeyboardInterrupt(), asyncio.CancelledError(), BaseExceptionGroup("", [KeyboardInterrupt()]), Odd("so")]


@pytest.mark.parametrize("error", BEYOND, ids=lambda error: type(error).__name__)
def test_s13_what_a_plugin_raises_beyond_exception_is_its_own(error: BaseException) -> None:
    assert said_of(error).startswith(f"{type(error).__name__}: ")


def test_a_ctrl_c_passes() -> None:
    with pytest.raises(KeyboardInterrupt):
        fenced(PluginError, signal.raise_signal, signal.SIGINT)

    def busy() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        while True:
            pass

    with pytest.raises(KeyboardInterrupt):
        fenced(PluginError, busy)


def test_a_ctrl_c_under_trio_passes() -> None:
    async def run() -> None:
        with pytest.raises(KeyboardInterrupt):
            fenced(PluginError, signal.raise_signal, signal.SIGINT)

    trio.run(run)


@pytest.fixture
def sigint_is_taken() -> Iterator[None]:
    """As during a run, which has a handler of its own for SIGINT."""
    before = signal.signal(signal.SIGINT, lambda *_: None)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("sigint_is_taken")
def test_s13_during_a_run_no_keyboard_interrupt_passes() -> None:
    """Neither an error that was thrown where no statement raises it."""

    def waits() -> Iterator[None]:
        yield

    waiting = waits()
    next(waiting)
    with pytest.raises(PluginError, match="KeyboardInterrupt"):
        fenced(PluginError, waiting.throw, KeyboardInterrupt)  # type: ignore[attr-defined]


# -- errors that are traps themselves ---------------------------------------------------------------------------------


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Worse(BaseException):
    def __str__(self) -> str:
        raise KeyboardInterrupt

    __repr__ = __str__


class Text(str):
    def splitlines(self, keepends: bool = False) -> list[str]:
        raise RuntimeError("no lines")

    def __str__(self) -> str:
        return self


class Tricky(Exception):
    def __str__(self) -> str:
        return Text("tricky\nand more")


class Nameless(type):
    @property
    def __name__(cls) -> str:  # type: ignore[override]
        raise RuntimeError("no name")


class Liar(Exception, metaclass=Nameless):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")

    @property
    def __traceback__(self) -> Any:
        raise RuntimeError("no traceback")


class Long(Exception):
    def __str__(self) -> str:
        return "x" * 10**6


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        (Wordless, "Wordless: no message"),
        (Worse, "Worse: no message"),
        (Tricky, "Tricky: tricky"),
        (Liar, "Liar: no message"),
        (Long, f"Long: {'x' * 300}"),
        (type("E" * 500, (Exception,), {}), f"{'E' * 60}: no message"),
    ],
    ids=["wordless", "worse", "tricky", "liar", "long", "long name"],
)
def test_s13_an_error_cannot_break_the_fence(kind: type[BaseException], said: str) -> None:
    assert said_of(kind()).startswith(f"{said} (test_fence.py:")


# -- what ends at the fence -------------------------------------------------------------------------------------------


def spoil() -> None:
    context = getcontext()
    context.prec, context.rounding, context.Emax, context.Emin = 2, ROUND_UP, 3, -3
    context.traps[Inexact] = True
    setcontext(Context(prec=3))


def test_s12_decimal_context_changed_by_a_plugin_is_restored() -> None:
    before = getcontext()
    shown = repr(before)
    for call in (spoil, lambda: 1 / 0):
        with suppress(PluginError):
            fenced(PluginError, call)
        assert getcontext() is before
        assert repr(before) == shown


def test_s12_each_call_begins_with_the_same_arithmetic() -> None:
    fenced(PluginError, spoil)
    DefaultContext.prec = 4
    try:
        seen = fenced(PluginError, lambda: getcontext().copy())
    finally:
        DefaultContext.prec = 28
    assert (seen.prec, seen.rounding, seen.Emin, seen.Emax, seen.clamp) == (28, ROUND_HALF_EVEN, -999_999, 999_999, 0)
    assert {trap for trap, on in seen.traps.items() if on} == {InvalidOperation, DivisionByZero, Overflow}


def test_lowered_recursion_limit_is_restored_a_raised_is_kept() -> None:
    limit = sys.getrecursionlimit()
    try:
        fenced(PluginError, sys.setrecursionlimit, limit - 500)
        assert sys.getrecursionlimit() == limit
        fenced(PluginError, sys.setrecursionlimit, limit + 500)
        assert sys.getrecursionlimit() == limit + 500
    finally:
        sys.setrecursionlimit(limit)


FORKS = """
import os, sys
from coldframe.errors import PluginError
from coldframe.plug.fence import fenced

def fork():
    if os.fork() == 0 and len(sys.argv) > 1:
        raise ValueError("in the copy")

try:
    fenced(PluginError, fork)
finally:
    print("went on", flush=True)
print("child ended with", os.waitstatus_to_exitcode(os.wait()[1]))
"""


@pytest.mark.parametrize("raises", [[], ["raises"]])
def test_s13_a_forked_copy_ends_where_it_would_come_back(raises: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", FORKS, *raises], capture_output=True, text=True, timeout=30, check=True)
    assert done.stdout.splitlines() == ["went on", "child ended with 70"]
    assert done.stderr == "coldframe: a plugin has forked the process; the copy ends before it does anything\n"


def test_a_call_that_does_not_fit_names_no_line_of_ours() -> None:
    with pytest.raises(PluginError) as refused:
        fenced(PluginError, Wordless.with_traceback)  # type: ignore[arg-type]
    assert str(refused.value).startswith("TypeError: ")
    assert "fence.py" not in str(refused.value)


def test_an_error_that_was_never_raised_has_no_place() -> None:
    assert fault_line(ValueError("made only")) == "ValueError: made only"


@given(st.text(), st.sampled_from([ValueError, KeyError, OSError, SystemExit]))
def test_whatever_the_text_it_is_one_line(text: str, kind: type[BaseException]) -> None:
    assert len(said_of(kind(text)).splitlines()) == 1
