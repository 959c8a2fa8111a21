"""Whether a bot does the same twice: its configuration on virtual time in two processes that have different hash seeds.

Everything that reaches the engine comes from seeds and from virtual time, so whatever differs was asked of the process: its clock,
its chance, or the order of a set. Where two runs differ, more pairs of processes are run, each with one more of these causes taken
away: the cause without which they are equal is the likely one.
"""

from __future__ import annotations

import faulthandler
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stdout, suppress
from decimal import setcontext
from itertools import zip_longest
from pathlib import Path
from random import seed
from typing import BinaryIO, Final

import attrs
import msgspec

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.data.input_log import Digest, calls_out, effects_out
from coldframe.errors import ColdframeError, ConfigError
from coldframe.model import inputs as told
from coldframe.model.effects import Effect
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.input_logs import CallNotes, NotedPlugin
from coldframe.runtime.pump import Pump, market_of
from coldframe.runtime.replay import StepDifference, first_that_differs, text_of
from coldframe.runtime.venues import listed_symbols
from coldframe.units import arithmetic

#: How long a process may take: for its start, and for each virtual minute (seconds). Then it ends itself and shows where it stood.
_START_S: Final = 60
_MINUTE_S: Final = 60

SET_ORDER: Final = "the order of a set, or hash(): sort a set before its order matters"
CHANCE: Final = "the module random: draw from view.random"
CLOCK: Final = "the clock (use view.now_ms), or chance that no seed reaches (secrets, uuid, random.Random(), id(): use view.random)"


class PlayedStep(msgspec.Struct, frozen=True, kw_only=True):
    """A step in which something was done. The last one of a run is called `END`."""

    seq: int
    at_ns: int
    kind: str
    calls: msgspec.Raw = msgspec.Raw(b"[]")
    effects: msgspec.Raw = msgspec.Raw(b"[]")


END: Final = "End"


@attrs.frozen
class Comparison:
    """What came of a comparison."""

    #: The seed of the venue in both runs: of its market and faults, and of all chance of the bot.
    seed: int
    #: Steps of the engine in each run, and those of them that did something and are equal.
    steps: int
    compared: int
    digest: str
    #: The first difference: `recorded` is of the first process, `now` of the second.
    first: StepDifference | None = None
    cause: str = ""


def hash_seeds(nth: int) -> tuple[str, str]:
    """The hash seeds of the two processes of a comparison: another pair each time, because a small set has few orders."""
    return str(2 * nth + 1), str(2 * nth + 2)


def compare(path: Path, minutes: float, nth: int = 0) -> Comparison:
    """Runs the configuration in two processes for so many virtual minutes, with the `nth` seed after its own.

    Raises `ConfigError`, and `ColdframeError` when a process does not come to its end.
    """
    seed = bot_of(path).config.venue.embedded.seed + nth
    runs, (first, second) = _Runs(path, minutes, seed), hash_seeds(nth)
    verdict = runs.compared(first, second)
    return verdict if verdict.first is None else attrs.evolve(verdict, cause=_cause(runs, first))


def _cause(runs: _Runs, hash_seed: str) -> str:
    if runs.compared(hash_seed, hash_seed).first is None:
        return SET_ORDER
    return CHANCE if runs.compared(hash_seed, hash_seed, seeded=True).first is None else CLOCK


@attrs.frozen
class _Runs:
    """What is run in each pair of processes."""

    path: Path
    minutes: float
    seed: int

    def compared(self, *hash_seeds: str, seeded: bool = False) -> Comparison:
        """Two processes with these hash seeds; `seeded`: the module `random` gives them the same numbers."""
        what = (str(self.path), str(self.minutes), str(self.seed), "seeded" if seeded else "")
        with ExitStack() as stack:
            ours, theirs = (stack.enter_context(_process(what, hash_seed)) for hash_seed in hash_seeds)
            return _first_difference(self.seed, _steps(ours), _steps(theirs))


def _first_difference(seed: int, ours: Iterator[bytes], theirs: Iterator[bytes]) -> Comparison:
    digest, compared, steps, so_far = Digest(), 0, 0, ""
    for line, other in zip_longest(ours, theirs, fillvalue=b""):
        if line != other:
            return Comparison(seed, steps, compared, so_far, _difference(_read(line), _read(other)))
        step = _read(line)
        steps = step.seq
        if step.kind != END:
            compared, so_far = compared + 1, digest.with_step(line)
    return Comparison(seed, steps, compared, so_far)


def _read(line: bytes) -> PlayedStep:
    if not line:
        raise ColdframeError("a run on virtual time has ended in the middle; its error stands above")
    return msgspec.json.decode(line, type=PlayedStep)


def _difference(ours: PlayedStep, theirs: PlayedStep) -> StepDifference:
    step = min(ours, theirs, key=lambda step: (step.seq, step.kind == END))
    # The process that did nothing in this step shows a later one.
    calls, effects = ([bytes(getattr(each, part)) if each.seq == step.seq else b"" for each in (ours, theirs)] for part in _PARTS)
    if calls[0] != calls[1]:
        first, second = first_that_differs(*calls)
        strategy, hook, _ = first or second
        texts = text_of(first and first[2]), text_of(second and second[2])
        return StepDifference(step.seq, step.at_ns, step.kind, "intents", strategy, hook, *texts)
    first, second = first_that_differs(*effects)
    return StepDifference(step.seq, step.at_ns, step.kind, "effects", "", "", text_of(first), text_of(second))


_PARTS: Final = ("calls", "effects")


# -- the processes --------------------------------------------------------------------------------------------------------


@contextmanager
def _process(what: Sequence[str], hash_seed: str) -> Iterator[BinaryIO]:
    """A process that runs a configuration (`main`), as what it writes; it is gone when the context ends."""
    command = [sys.executable, "-m", __name__, *what]
    with subprocess.Popen(
        command, env={**os.environ, "PYTHONHASHSEED": hash_seed}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout  # type: ignore[misc]
        finally:
            process.kill()


def _steps(lines: BinaryIO) -> Iterator[bytes]:
    """The lines of a process; the end of one that did not come to its end shows in the comparison."""
    for line in lines:
        if not line.endswith(b"\n"):
            break
        yield line
        if msgspec.json.decode(line, type=PlayedStep).kind == END:
            return
    yield b""


def bot_of(path: Path, seed: int | None = None) -> Bot:
    """The bot of a configuration for the embedded venue, with another seed than its own if one is given. Raises `ConfigError`."""
    loaded = read(path, seed=seed)
    environment = loaded.config.venue.environment
    if environment != "embedded":
        raise ConfigError(f'{path}: venue.environment = "{environment}": on virtual time there is only the embedded venue')
    return build(loaded, listed_symbols(loaded.config.venue.embedded))


class _Run(Pump):
    """One run of a bot, every step of which that does something is told."""

    def __init__(self, settings: Settings, tell: Callable[[PlayedStep], object]) -> None:
        super().__init__(settings, market_of(settings))
        self._tell, self.notes, self.steps = tell, CallNotes(), 0

    def stepped(self, stamped: told.Stamped | None, effects: Sequence[Effect]) -> None:
        calls = self.notes.drain().wanted
        self.steps = stamped.seq if stamped is not None else 0
        if calls or effects:
            kind = type(stamped.event).__name__ if stamped is not None else "Start"
            raw = msgspec.Raw(calls_out(calls)), msgspec.Raw(effects_out(effects))
            self._tell(PlayedStep(seq=self.steps, at_ns=self.now_ns, kind=kind, calls=raw[0], effects=raw[1]))


def play(bot: Bot, minutes: float, tell: Callable[[PlayedStep], object]) -> None:
    """Runs a bot on virtual time for so many minutes, or until it ends."""
    run = _Run(bot.config.venue.embedded, tell)
    run.start(bot, [NotedPlugin(strategy.make_plugin(), run.notes) for strategy in bot.strategies])
    run.passed(lambda: not run.running, minutes * 60)
    tell(PlayedStep(seq=run.steps, at_ns=run.now_ns, kind=END))


def main(path: str, minutes: str, venue_seed: str, seeded: str) -> None:
    """What such a process does: a line for each step."""
    faulthandler.dump_traceback_later(_START_S + _MINUTE_S * float(minutes), exit=True)
    setcontext(arithmetic())
    if seeded:
        seed(1)
    out = sys.stdout.buffer
    # Stdout carries the steps and nothing else, whatever a strategy prints.
    with redirect_stdout(sys.stderr), suppress(BrokenPipeError):
        play(bot_of(Path(path), int(venue_seed)), float(minutes), lambda step: out.write(msgspec.json.encode(step) + b"\n"))
        out.flush()
    faulthandler.cancel_dump_traceback_later()


if __name__ == "__main__":
    main(*sys.argv[1:])
