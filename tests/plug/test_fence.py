"""Whatever a plugin raises becomes one sentence; what is ours, and what ends a process from outside, passes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import ColdframeError, ConfigError, InvariantBroken, PluginError, StrategyFault
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
    assert fenced(PluginError, lambda *args, **kwargs: (args, kwargs), 1, 2, three=3) == ((1, 2), {"three": 3})


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


@pytest.mark.parametrize("error", [ConfigError("a", "b"), PluginError("c"), StrategyFault("d"), InvariantBroken("e")])
def test_our_own_errors_pass_as_they_are(error: ColdframeError) -> None:
    with pytest.raises(type(error)) as passed:
        fenced(PluginError, fails(error))
    assert passed.value is error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), GeneratorExit(), BaseExceptionGroup("", [KeyboardInterrupt()])])
def test_what_comes_from_outside_passes(error: BaseException) -> None:
    """Ctrl-C while a hook runs is for the process, and a cancellation is for the task."""
    with pytest.raises(type(error)) as passed:
        fenced(PluginError, fails(error))
    assert passed.value is error


class Wordless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


def test_an_error_whose_text_cannot_be_had() -> None:
    assert said_of(Wordless()).startswith("Wordless: no message (test_fence.py:")


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
