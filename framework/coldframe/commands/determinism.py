"""`coldframe determinism`: whether a configuration does the same in two processes, and if not, where and why not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from coldframe.exits import Exit
from coldframe.runtime.determinism import Comparison, compare
from coldframe.runtime.replay import StepDifference
from coldframe.text import printable
from coldframe.trio_io.clock import wall_text

Out = Callable[[object, Sequence[str]], None]


def determinism(path: Path, minutes: float, seeds: int, out: Out) -> int:
    """`coldframe determinism`: 0 when the two runs are equal for each seed, 1 at the first seed for which they are not."""
    verdicts: list[Comparison] = []
    for nth in range(seeds):
        verdicts.append(compare(path, minutes, nth))
        if verdicts[-1].first is not None:
            break
    out(_document(verdicts, minutes), [line for verdict in verdicts for line in _lines(verdict, minutes, seeds)])
    return Exit.DONE if verdicts[-1].first is None else Exit.BUG


def _document(verdicts: Sequence[Comparison], minutes: float) -> dict[str, Any]:
    """The figures of the last seed stand above: where one differs, it is that one."""
    last = verdicts[-1]
    return {
        "schema_version": 1,
        "verb": "determinism",
        "minutes": minutes,
        "equal": last.first is None,
        **_figures(last),
        "first_difference": None if last.first is None else attrs.asdict(last.first),
        "likely_cause": last.cause,
        "seeds": [_figures(verdict) for verdict in verdicts],
    }


def _figures(verdict: Comparison) -> dict[str, Any]:
    return {"seed": verdict.seed, "steps": verdict.steps, "compared": verdict.compared, "digest": verdict.digest}


def _lines(verdict: Comparison, minutes: float, seeds: int) -> list[str]:
    of_seed = f"seed {verdict.seed}: " if seeds > 1 else ""
    if verdict.first is None:
        return [f"{of_seed}equal: {verdict.steps} steps in {minutes:g} virtual minutes, digest {verdict.digest or 'empty'}"]
    return [f"{of_seed}{_where(verdict.first)}", *_what(verdict.first), f"likely cause: {verdict.cause}"]


def _where(first: StepDifference) -> str:
    where = f"different: step {first.seq} ({wall_text(first.at_ns)}, {first.kind})"
    if first.what == "intents":
        return f"{where}: {first.strategy} in {first.hook} wants something else in the second process"
    return f"{where}: the engine does something else in the second process (an overlay that reviews intents may be why)"


def _what(first: StepDifference) -> list[str]:
    return [f"  first:  {printable(first.recorded)}", f"  second: {printable(first.now)}"]
