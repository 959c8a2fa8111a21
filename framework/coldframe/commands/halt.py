"""`coldframe halt` and `coldframe resume`: a running bot is asked over its control channel, and writes down what it has taken.

Where no bot runs, or none answers, the halt file is written from here: a start heeds it, and so does a run that only looks at it.
They need nothing of the configuration but the bot's name in it, so they work also when the rest of it is broken by now.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from coldframe.config.load import Loaded
from coldframe.errors import ConfigError, UsageError
from coldframe.exits import Exit
from coldframe.model.halting import Halt, HaltLevel
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import halt_file_of, known, resumed, runs_of
from coldframe.runtime.journals import resume_in_journal
from coldframe.trio_io.clock import epoch_ns
from coldframe.trio_io.control import VERSION, ControlAnswer, HaltRequest, ResumeRequest, ask_each
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent, lifted, raised
from coldframe.units import NS_PER_MS

Out = Callable[[object, Sequence[str]], None]
Answers = Mapping[str, ControlAnswer | None]

#: How long the verb waits for the bot: it answers when it has cancelled, and a venue that does not answer takes its time.
WAIT_S: Final = 5.0


def halt(path: Path, strategy: str | None, level: str, reason: str, out: Out, *, wait_s: float = WAIT_S) -> int:
    """`coldframe halt`: asks the running bot to halt, and writes the halt file itself where none has taken it."""
    loaded = read(path)
    _refuse_unknown(loaded, strategy)
    now_ms = epoch_ns() // NS_PER_MS
    request = HaltRequest(VERSION, HaltLevel(level), strategy, reason or "coldframe halt", now_ms)
    known(loaded)
    halt_file = halt_file_of(loaded)
    runs = runs_of(halt_file)
    answers = ask_each(runs.folder, list(runs.alive()), request, wait_s)
    if not _all_accepted(answers):
        _write_halt(halt_file, request.halt)
    return _report("halt", loaded, halt_file, answers, out, wait_s)


def resume(path: Path, strategy: str | None, out: Out, *, wait_s: float = WAIT_S) -> int:
    """`coldframe resume`: takes the halt of one strategy away, or all halts, and opens what losses or rejects have shut."""
    loaded = read(path)
    _refuse_unknown(loaded, strategy)
    halt_file = halt_file_of(loaded)
    runs = runs_of(halt_file)
    alive = list(runs.alive())
    if not alive:
        resume_in_journal(loaded, strategy)
    resumed(loaded, strategy)
    answers = ask_each(runs.folder, alive, ResumeRequest(VERSION, strategy), wait_s)
    if not _all_accepted(answers):
        content = halt_file.change(lambda halts: lifted(halts, strategy), f"{epoch_ns()}.{os.getpid()}", (strategy,))
        if not alive:  # else it stays for the run to see
            halt_file.clear(content.revision)
    return _report("resume", loaded, halt_file, answers, out, wait_s)


def _refuse_unknown(loaded: Loaded, strategy: str | None) -> None:
    known = [strategy.id for strategy in loaded.config.strategies]
    if strategy is not None and strategy not in known:
        raise UsageError(f"{loaded.source.path}: there is no strategy {strategy!r}; there is {', '.join(known) or 'none at all'}")


def _all_accepted(answers: Answers) -> bool:
    return bool(answers) and all(answer is not None and answer.accepted for answer in answers.values())


def _write_halt(halt_file: HaltFile, new: Halt) -> None:
    try:
        halt_file.change(lambda halts: raised(halts, new), f"{epoch_ns()}.{os.getpid()}")
    except ConfigError:
        halt_file.touch()  # on a full disk: graver than what was asked for, perhaps, but a halt


def _report(verb: str, loaded: Loaded, halt_file: HaltFile, answers: Answers, out: Out, wait_s: float) -> int:
    content = _holds(halt_file, answers)
    heard = [answer for answer in answers.values() if answer is not None]
    document: dict[str, Any] = {
        "schema_version": 1,
        "verb": verb,
        "name": loaded.config.name,
        "configuration": halt_file.owner.configuration,
        "account": halt_file.owner.account,
        "file": str(halt_file.path),
        "halts": [{"strategy": halt.strategy, "level": halt.level.value, "reason": halt.reason} for halt in content.halts],
        "running": bool(answers),
        "answers": [msgspec.to_builtins(answer) for answer in heard],
    }
    out(document, _lines(loaded.config.name, content, answers, wait_s))
    undone = any(answer.failed or not answer.accepted for answer in heard)
    return Exit.TRY_LATER if undone or len(heard) < len(answers) else Exit.DONE


def _holds(halt_file: HaltFile, answers: Answers) -> HaltFileContent:
    """What holds now: by the file, and by a run that could not write it."""
    content = halt_file.read()
    halts = content.halts
    for row in (row for answer in answers.values() if answer is not None and answer.accepted for row in answer.halts):
        if row.strategy not in {halt.strategy for halt in halts}:
            halts = (*halts, Halt(row.level, row.strategy, row.reason))
    return HaltFileContent(content.revision, halts)


def _lines(name: str, content: HaltFileContent, answers: Answers, wait_s: float) -> list[str]:
    holds = [f"{name}: halted: {halt}" for halt in content.halts] or [f"{name}: nothing is halted"]
    if not answers:
        then = "the next start begins halted" if content.halts else "the next start trades"
        return [*holds, f"no bot is running: {then}"]
    lines = holds
    if any(answer is not None and answer.failed for answer in answers.values()):
        lines.append("the halt holds, but not everything could be done: the bot goes on trying, look at its log")
    for run, answer in answers.items():
        if answer is None:
            pid = run.partition("-")[0]
            lines.append(f"bot {pid} has not answered within {wait_s:g} s; it is told by the halt file, look at its log")
        else:
            told = answer.lines if answer.accepted and answer.lines else [answer.text]
            lines += [f"bot {answer.pid}: {line}" for line in told]
    return lines
