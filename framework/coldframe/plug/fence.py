"""The fence round code that is not ours: whatever a plugin raises becomes one sentence here, and nowhere else."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from coldframe.errors import ColdframeError

_OURS: Final = str(Path(__file__).resolve().parents[1])
_STANDARD: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib")})
_INSTALLED: Final = tuple({sysconfig.get_path(name) for name in ("purelib", "platlib")})

P = ParamSpec("P")
R = TypeVar("R")


def fenced(refuse: Callable[[str], ColdframeError], call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Calls a plugin's code. What it raises is raised again as `refuse(one line)`; our own errors pass.

    `SystemExit` counts as raised: a plugin must not end the process.
    """
    try:
        return call(*args, **kwargs)
    except ColdframeError:
        raise
    except (Exception, SystemExit) as error:
        raise refuse(fault_line(error)) from error


def fault_line(error: BaseException) -> str:
    """An exception of a plugin in one line, with the file and line where it happened."""
    place = _place_of(error)
    where = f" ({Path(place[0]).name}:{place[1]})" if place else ""
    lines = [line.strip() for line in _said(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}{where}"


def _place_of(error: BaseException) -> tuple[str, int] | None:
    """Where its author should look: the last line of code that is nobody else's, or of an installed package at worst."""
    if isinstance(error, SyntaxError):
        return None  # its text says it
    frames = [(one.filename, one.lineno or 0) for one in traceback.extract_tb(error.__traceback__)]
    # Neither our own floors nor generated code and the machinery of imports are a place where anybody could look.
    own = [one for one in frames if not one[0].startswith((_OURS, "<", *_STANDARD, *_INSTALLED))]
    installed = [one for one in frames if one[0].startswith(_INSTALLED)]
    found = own or installed
    return found[-1] if found else None


def _said(error: BaseException) -> str:
    with suppress(Exception):
        return str(error)
    return ""
