"""`coldframe replay`: a run again from its input log, and whether every step comes out as it did."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import attrs

from coldframe.data.input_log import Calls, LoggedStep, calls_out
from coldframe.errors import ConfigError
from coldframe.exits import Exit
from coldframe.runtime.replay import Replay, StepDifference, replay
from coldframe.text import printable
from coldframe.trio_io.clock import wall_text
from coldframe.units import trimmed

Out = Callable[[object, Sequence[str]], None]


def replay_log(path: Path, until: int | None, strategy: str | None, out: Out) -> int:
    """`coldframe replay`: 0 when every step is equal, 1 when one is not."""
    shown: list[str] = []

    def watch(step: LoggedStep, calls: Calls) -> None:
        mine = [call for call in calls.wanted if call.strategy == strategy]
        if mine:
            shown.append(f"{step.seq} {wall_text(step.at_ns)} {printable(calls_out(mine).decode())}")

    # Stdout carries the result and nothing else, whatever a strategy prints.
    with redirect_stdout(sys.stderr):
        made = replay(_newest(path) if path.is_dir() else path, until=until, watch=watch)
    out(_document(made, shown), [*shown, *_lines(made)])
    return Exit.DONE if made.first is None else Exit.BUG


def _newest(folder: Path) -> Path:
    """The log in a folder whose run began last. Raises `ConfigError` when there is none."""
    logs = [path for path in folder.iterdir() if ".jsonl" in path.suffixes]
    if not logs:
        raise ConfigError(f"{folder}: there is no input log in this folder (coldframe run CONFIG --input-log {folder} writes one)")
    return max(logs, key=lambda path: path.stat().st_mtime_ns)


def _document(made: Replay, shown: Sequence[str]) -> dict[str, Any]:
    return {
        "schema_version": 1,
        "verb": "replay",
        "steps": made.steps,
        "equal": made.equal,
        "digest": made.digest,
        "first_difference": None if made.first is None else attrs.asdict(made.first),
        "open_loop": made.open_loop,
        "open_loop_differences": made.open_loop_differences,
        "ended_early": made.ended_early,
        "tear": made.tear,
        "edited": list(made.edited),
        "intents": list(shown),
        "positions": _positions(made),
        "open_orders": [order.client_order_id for order in made.engine.orders.live],
    }


def _positions(made: Replay) -> dict[str, str]:
    """What each strategy holds at the end of the replay."""
    return {
        f"{name} {symbol} {side}": trimmed(position.quantity)
        for name, account in made.engine.accounts.items()
        for (symbol, side), position in account.positions.items()
        if position.quantity
    }


def _lines(made: Replay) -> list[str]:
    lines = [f"note: {made.tear}"] if made.tear else []
    if made.edited:
        lines.append(f"edited since the run: {', '.join(made.edited)}")
    lines += [f"holds {what}: {size}" for what, size in _positions(made).items()]
    lines += [f"open order {order.client_order_id}" for order in made.engine.orders.live]
    if made.first is None:
        return [*lines, f"{made.steps} steps replayed, every one equal; digest {made.digest or 'empty'}"]
    return [*lines, *_difference_lines(made, made.first)]


def _difference_lines(made: Replay, first: StepDifference) -> list[str]:
    where = f"step {first.seq} ({wall_text(first.at_ns)}, {first.kind})"
    if first.what == "effects":
        head = [f"{made.equal} steps equal; {where}: the engine does something else than it did then"]
    else:
        head = [f"{made.equal} steps equal; {where}: {first.strategy} in {first.hook} wants something else than it did then"]
    texts = [f"  then: {printable(first.recorded)}", f"  now:  {printable(first.now)}"]
    if not made.open_loop:
        return [*head, *texts]
    after = f"{made.steps - made.equal - 1} more steps in open loop (their answers belong to what was wanted then)"
    more = [f"{after}: {made.open_loop_differences} of them differ"]
    return [*head, *texts, *more, *([f"the open loop ends at {made.ended_early}"] if made.ended_early else [])]
