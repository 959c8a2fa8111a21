"""`coldframe compare`: two runs by their journals, where they first differ, why, and what that is in money."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import attrs

from coldframe.exits import Exit
from coldframe.runtime.build import money
from coldframe.runtime.compare import ReadRun, RunComparison, RunEvent, compare, told_by
from coldframe.text import printable
from coldframe.trio_io.clock import wall_text
from coldframe.trio_io.journal_history import open_history

Out = Callable[[object, Sequence[str]], None]


def compare_journals(first: Path, second: Path, out: Out) -> int:
    """`coldframe compare`: 0 when the last runs of two journals did the same, 1 when they did not."""
    ours, theirs = _told(first), _told(second)
    found = compare(ours, theirs)
    out(_document(found), list(_lines(found, ours, theirs)))
    return Exit.DONE if found.happened is None and not found.money.difference else Exit.BUG


def _told(path: Path) -> ReadRun:
    with open_history(path) as history:
        return told_by(str(path), history.rows())


def _document(found: RunComparison) -> dict[str, Any]:
    parts = {name: money(value) for name, value in attrs.asdict(found.money).items()}
    happened = found.happened or (None, None)
    return {
        "schema_version": 1,
        "verb": "compare",
        "made_of": [attrs.asdict(each) for each in found.made_of],
        "first_difference": None if found.happened is None else [each and attrs.asdict(each) for each in happened],
        "money": {**parts, "difference": money(found.money.difference)},
        "cause": found.cause,
    }


def _lines(found: RunComparison, ours: ReadRun, theirs: ReadRun) -> Iterator[str]:
    for each in found.made_of:
        yield f"{each.what}: {printable(each.first)}"
        yield f"{'':>{len(each.what)}}  {printable(each.second)}"
    if found.happened is not None:
        strategy = next(each.strategy for each in found.happened if each is not None)
        yield f"first difference, of {strategy}:"
        yield from (f"  {_event_line(each)}" for each in found.happened)
    parts = found.money
    yield f"profit after fees: {money(parts.first)} and {money(parts.second)}, difference {money(parts.difference)}"
    named = (("the same fills at other prices", parts.prices), ("other fees for them", parts.fees))
    for text, value in (*named, ("fills that only one has", parts.fills), ("funding", parts.funding)):
        if value:
            yield f"  {text}: {money(value)}"
    for told in (ours, theirs):
        if told.other_assets:
            yield f"  {told.name}: amounts in {', '.join(sorted(told.other_assets))} are not counted"
    yield f"cause: {found.cause}"


def _event_line(event: RunEvent | None) -> str:
    return "nothing any more" if event is None else f"{wall_text(event.at_ns)} {printable(event.text)}"
