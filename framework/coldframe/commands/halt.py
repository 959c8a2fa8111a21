"""`coldframe halt` and `coldframe resume`: the latch on the disk, and what the running bot says about it.

They need nothing of the configuration but the bot's name in it, so they work also when the rest of it is broken by now.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from coldframe.config.load import Loaded
from coldframe.errors import ConfigError, UsageError
from coldframe.model.halting import Halt, HaltLevel
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import known, resumed, sentinel_of
from coldframe.runtime.journals import open_latches
from coldframe.trio_io.clock import epoch_ns, monotonic_s, wait_s
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent, lifted, raised
from coldframe.units import NS_PER_MS

Out = Callable[[object, Sequence[str]], None]

#: How long the verb waits for the bot, and how often it looks.
_WAIT_S: Final = 2.0
_LOOK_S: Final = 0.02
#: What the process answers when a bot runs that has not answered in time, or could not do everything at the venue.
EXIT_UNANSWERED: Final = 75


def halt(path: Path, strategy: str | None, level: str, reason: str, out: Out) -> int:
    """`coldframe halt`: latches a halt and waits for the running bot to say what it did."""
    loaded = read(path)
    _refuse_stranger(loaded, strategy)
    new = Halt(HaltLevel(level), strategy, reason or "coldframe halt", epoch_ns() // NS_PER_MS)
    known(loaded)
    return _change(loaded, "halt", lambda halts: raised(halts, new), out)


def resume(path: Path, strategy: str | None, out: Out) -> int:
    """`coldframe resume`: takes the halt of one strategy away, or all halts, and opens what losses or rejects have shut."""
    loaded = read(path)
    _refuse_stranger(loaded, strategy)
    if not sentinel_of(loaded).a_run_holds():
        open_latches(loaded, strategy)
    resumed(loaded, strategy)
    return _change(loaded, "resume", lambda halts: lifted(halts, strategy), out, (strategy,))


def _refuse_stranger(loaded: Loaded, strategy: str | None) -> None:
    known = [strategy.id for strategy in loaded.config.strategies]
    if strategy is not None and strategy not in known:
        raise UsageError(f"{loaded.source.path}: there is no strategy {strategy!r}; there is {', '.join(known) or 'none at all'}")


def _change(
    loaded: Loaded,
    verb: str,
    change: Callable[[tuple[Halt, ...]], tuple[Halt, ...]],
    out: Out,
    of: tuple[str | None, ...] = (),
) -> int:
    sentinel = sentinel_of(loaded)
    runs = sentinel.a_run_holds()
    try:
        latch = sentinel.change(change, f"{epoch_ns()}.{os.getpid()}", of)
    except ConfigError:
        if verb != "halt":
            raise
        latch = sentinel.touch()  # on a full disk: graver than what was asked for, perhaps, but a halt
    answers = _wait_for_answers(sentinel, latch) if runs else []
    sentinel.clear(latch.revision)
    document: dict[str, Any] = {
        "schema_version": 1,
        "verb": verb,
        "name": loaded.config.name,
        "configuration": sentinel.owner.configuration,
        "account": sentinel.owner.account,
        "file": str(sentinel.path),
        "halts": [{"strategy": halt.strategy, "level": halt.level.value, "reason": halt.reason} for halt in latch.halts],
        "running": runs,
        "answers": answers,
    }
    out(document, _lines(loaded.config.name, latch, runs, answers))
    undone = any(answer.get("failed") for answer in answers)
    return EXIT_UNANSWERED if runs and (undone or not answers) else 0


def _wait_for_answers(sentinel: HaltFile, latch: HaltFileContent) -> list[dict[str, Any]]:
    until_s = monotonic_s() + _WAIT_S
    while monotonic_s() < until_s:
        if answers := sentinel.answers(latch.revision):
            return answers
        wait_s(_LOOK_S)
    return []


def _lines(name: str, latch: HaltFileContent, runs: bool, answers: Sequence[dict[str, Any]]) -> list[str]:
    holds = [f"{name}: halted: {halt}" for halt in latch.halts] or [f"{name}: nothing is halted"]
    if not runs:
        then = "the next start begins halted" if latch.halts else "the next start trades"
        return [*holds, f"no bot is running: {then}"]
    undone = ["the halt is latched, but not everything could be done at the venue: the bot goes on trying, look at its log"]
    said = [f"bot {answer['pid']}: {line}" for answer in answers for line in answer["lines"] or ["heard"]]
    return [
        *holds,
        *(undone if any(answer.get("failed") for answer in answers) else []),
        *(said or [f"a bot is running that has not answered within {_WAIT_S:g} s; the halt is latched, look at its log"]),
    ]
