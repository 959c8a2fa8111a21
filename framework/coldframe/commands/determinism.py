"""`coldframe determinism`: whether a configuration does the same in two processes, and if not, where and why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from coldframe.exits import Exit
from coldframe.runtime.determinism import Verdict, compare
from coldframe.text import printable
from coldframe.trio_io.clock import wall_text

Out = Callable[[object, Sequence[str]], None]


def determinism(path: Path, minutes: float, out: Out) -> int:
    """`coldframe determinism`: 0 when the two runs are equal, 1 when they are not."""
    verdict = compare(path, minutes)
    out(_document(verdict, minutes), _lines(verdict, minutes))
    return Exit.DONE if verdict.first is None else Exit.BUG


def _document(verdict: Verdict, minutes: float) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "verb": "determinism",
        "minutes": minutes,
        "equal": verdict.first is None,
        "steps": verdict.steps,
        "compared": verdict.compared,
        "digest": verdict.digest,
        "first_difference": None if verdict.first is None else attrs.asdict(verdict.first),
        "likely_cause": verdict.cause,
    }


def _lines(verdict: Verdict, minutes: float) -> list[str]:
    first = verdict.first
    if first is None:
        return [f"equal: {verdict.steps} steps in {minutes:g} virtual minutes, digest {verdict.digest or 'empty'}"]
    where = f"step {first.seq} ({wall_text(first.at_ns)}, {first.kind})"
    if first.what == "intents":
        what = f"{first.strategy} in {first.hook} wants something else in the second process"
    else:
        what = "the engine does something else in the second process (an overlay that reviews intents may be why)"
    return [
        f"different: {where}: {what}",
        f"  first:  {printable(first.recorded)}",
        f"  second: {printable(first.now)}",
        f"likely cause: {verdict.cause}",
    ]
