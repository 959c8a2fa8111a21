"""The fence round code that is not ours: whatever a plugin raises becomes one sentence here, and nowhere else."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ParamSpec, TypeVar

from coldframe.errors import ColdframeError

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
    frames = traceback.extract_tb(error.__traceback__)
    where = ""
    # Neither this fence nor the machinery of imports is a place where anybody could look.
    if frames and frames[-1].filename != __file__ and not frames[-1].filename.startswith("<frozen"):
        where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})"
    lines = [line.strip() for line in _said(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}{where}"


def _said(error: BaseException) -> str:
    with suppress(Exception):
        return str(error)
    return ""
