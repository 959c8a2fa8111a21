"""The fence round code that is not ours: whatever a plugin raises becomes one sentence here, and nowhere else.

What a plugin sets of Python itself ends here too, where it would reach our arithmetic or end our run: it calculates in a decimal
context of its own, a lowered recursion limit is put back, and a copy of the process that it has forked ends at this place.
"""

from __future__ import annotations

import os
import signal
import sysconfig
import traceback
from collections.abc import Callable
from contextlib import suppress
from decimal import getcontext, setcontext
from opcode import opname
from pathlib import Path
from sys import getrecursionlimit, setrecursionlimit
from types import TracebackType
from typing import Final, TypeVar, TypeVarTuple

from coldframe.errors import ColdframeError, ConfigError, InvariantBroken
from coldframe.os_specific import after_fork
from coldframe.text import class_name
from coldframe.units import arithmetic

_OURS: Final = str(Path(__file__).resolve().parents[1]) + os.sep
_STANDARD: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})
#: A plugin's text is cut after so many characters.
_LONGEST: Final = 300
#: What a forked copy of the process answers (EX_SOFTWARE).
_COPY_EXIT: Final = 70

Ts = TypeVarTuple("Ts")
R = TypeVar("R")


#: How often this process has been made by a fork.
_generation = 0


def _begin_copy() -> None:
    global _generation
    _generation += 1


after_fork(_begin_copy)


def fenced(refuse: Callable[[str], ColdframeError], call: Callable[[*Ts], R], *args: *Ts) -> R:
    """Calls a plugin's code. Whatever it raises is raised again as `refuse(one line)`.

    `SystemExit`, `GeneratorExit` and a `KeyboardInterrupt` that it raises itself count like everything else: a plugin must not end
    the process. Only a Ctrl-C passes, and what our own code has raised on purpose while the plugin called it.
    """
    ours, limit, generation = getcontext(), getrecursionlimit(), _generation
    setcontext(arithmetic())
    try:
        return call(*args)
    except BaseException as error:
        refusal = refuse(fault_line(error))
        if _passes(error, refusal):
            raise
        raise refusal from error
    finally:
        if generation != _generation:
            _end_copy()
        if getrecursionlimit() < limit:
            setrecursionlimit(limit)
        setcontext(ours)


def fault_line(error: BaseException) -> str:
    """An exception of a plugin in one line, with the file and line where it happened."""
    place = _place_of(error)
    where = f" ({Path(place[0]).name}:{place[1]})" if place else ""
    lines = [line.strip() for line in _said(error).splitlines() if line.strip()]
    return f"{class_name(error)}: {lines[0][:_LONGEST] if lines else 'no message'}{where}"


def plain_text(value: object) -> str:
    """What `str` makes of a plugin's value, as a plain text of bounded length."""
    return str.__str__(str(value))[:_LONGEST]


def _said(error: BaseException) -> str:
    with suppress(BaseException):
        return plain_text(error)
    return ""


def _end_copy() -> None:
    """This process is a copy that a plugin has forked: it must not go on as a second bot."""
    with suppress(OSError):
        os.write(2, b"coldframe: a plugin has forked the process; the copy ends before it does anything\n")
    os._exit(_COPY_EXIT)


# -- where it comes from ----------------------------------------------------------------------------------------------


def _passes(error: BaseException, refusal: ColdframeError) -> bool:
    """Whether an error is not the plugin's: a Ctrl-C, a bug of ours, or the sentence that our own code has for this very fence."""
    # By its type alone: `isinstance` would ask the plugin's own `__class__`.
    kind, origin = type(error), _origin(error)
    if issubclass(kind, KeyboardInterrupt):
        return _is_ctrl_c(origin)
    ours = origin is not None and origin.tb_frame.f_code.co_filename.startswith(_OURS)
    return ours and issubclass(kind, (InvariantBroken, ConfigError if isinstance(refusal, ConfigError) else type(refusal)))


def _trace_of(error: BaseException) -> TracebackType | None:
    trace: TracebackType | None = BaseException.__dict__["__traceback__"].__get__(error)
    return trace


def _origin(error: BaseException) -> TracebackType | None:
    """Where an error was raised first."""
    trace = _trace_of(error)
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace


def _is_ctrl_c(origin: TracebackType | None) -> bool:
    """Whether a `KeyboardInterrupt` was raised by the handler of SIGINT. While a run has SIGINT for itself, none is."""
    handler = signal.getsignal(signal.SIGINT)
    trio_has_it = str(getattr(handler, "__module__", "")).startswith("trio.")
    if handler is not signal.default_int_handler and not trio_has_it:
        return False
    if origin is None:
        return True
    # A signal comes between two instructions; a plugin that raises it itself does so by a `raise`.
    code = origin.tb_frame.f_code
    by_statement = opname[code.co_code[origin.tb_lasti]] == "RAISE_VARARGS"
    return not by_statement or str(origin.tb_frame.f_globals.get("__name__", "")).startswith("trio.")


def _place_of(error: BaseException) -> tuple[str, int] | None:
    """Where its author should look: the last line of the plugin's own code, or of an installed package at worst."""
    if issubclass(type(error), SyntaxError):
        return None  # its text says it
    frames = [(frame.f_code.co_filename, line) for frame, line in traceback.walk_tb(_trace_of(error))]
    # The framework, generated code and the machinery of imports are not the author's to change.
    own = [place for place in frames if not place[0].startswith((_OURS, "<", *_STANDARD, *_INSTALLED))]
    installed = [place for place in frames if place[0].startswith(_INSTALLED) and not place[0].startswith(_OURS)]
    found = own or installed
    return found[-1] if found else None
