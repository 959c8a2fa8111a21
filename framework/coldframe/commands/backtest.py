"""`coldframe backtest`: a bot on the market of a recording, or on the synthetic one, as fast as it can be computed."""

from __future__ import annotations

import signal
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from pathlib import Path
from types import FrameType
from typing import Any, Final

import attrs

from coldframe.errors import ConfigError
from coldframe.exits import Exit, gravest
from coldframe.model.effects import Level, Log
from coldframe.runtime.backtest import (
    PRESETS,
    Backtest,
    BacktestObserver,
    BacktestOptions,
    assumptions,
    backtest_lines,
    compared_lines,
    read_backtest,
)
from coldframe.runtime.build import money
from coldframe.runtime.report import summary_lines
from coldframe.runtime.stress import stress, taken_away, verdict
from coldframe.text import printable
from coldframe.trio_io.clock import monotonic_s, wall_text
from coldframe.units import NS_PER_S

#: The line of progress is written at most so often (seconds).
_AGAIN_S: Final = 0.2

Out = Callable[[object, Sequence[str]], None]


class Progress(BacktestObserver):
    """Log lines on stderr, and on a terminal a line that says how far the backtest is."""

    def __init__(self, for_s: float | None, *, debug: bool = False) -> None:
        self.events, self.stopped = 0, False
        self._for_s, self._lowest = for_s, (Level.WARNING, Level.ERROR) if not debug else tuple(Level)
        self._began_s = self._shown_s = monotonic_s()
        self._shows = sys.stderr.isatty()

    @property
    def took_s(self) -> float:
        """How long it has taken so far, in seconds of the clock on the wall."""
        return monotonic_s() - self._began_s

    def log(self, line: Log, at_ns: int) -> None:
        if line.level in self._lowest:
            mark = "" if line.level in (Level.INFO, Level.DEBUG) else f"{line.level.value}: "
            self._write(f"{wall_text(at_ns)} {mark}{printable(line.text)}\n")

    def progress(self, virtual_ns: int, events: int) -> None:
        self.events, now_s = events, monotonic_s()
        if self._shows and now_s - self._shown_s > _AGAIN_S:
            self._shown_s = now_s
            self._write(f"\r{self._text(virtual_ns)}\x1b[K")

    def stopping(self) -> bool:
        return self.stopped

    def end(self) -> None:
        """Takes the line of progress away."""
        if self._shows:
            self._write("\r\x1b[K")

    def _text(self, virtual_ns: int) -> str:
        took_s, passed_s = max(self.took_s, 0.001), virtual_ns / NS_PER_S
        rate = f"{passed_s:.0f} s of the market, {self.events} events, {self.events / took_s:.0f} a second"
        if self._for_s is None or not passed_s:
            return rate
        return f"{rate}, {passed_s / self._for_s:.0%}, {max(self._for_s - passed_s, 0) * took_s / passed_s:.0f} s left"

    @staticmethod
    def _write(text: str) -> None:
        with suppress(OSError):  # a terminal that has gone must not keep a run from ending well
            sys.stderr.write(text)
            sys.stderr.flush()


def _options(args: Namespace) -> BacktestOptions:
    preset = PRESETS[args.preset]
    latency = attrs.evolve(preset.latency, **{way: ms for way, ms in _times(args).items() if ms is not None})
    times = {"for_s": args.for_s, "from_ms": args.from_ms, "to_ms": args.to_ms}
    return BacktestOptions(**times, latency=latency, queue_model=preset.queue_model)


def _times(args: Namespace) -> dict[str, int | None]:
    return {f"{way}_ms": getattr(args, f"{way}_ms") for way in ("feed", "entry", "answer")}


def run_stress(args: Namespace, out: Out) -> int:
    """`coldframe stress`: 1 when there is a profit that a variation takes away, else 0."""
    options, progress = _options(args), Progress(args.for_s, debug=args.debug)
    with redirect_stdout(sys.stderr), _interrupted_by_hand(progress):
        bot = read_backtest(args.config, args.recording, args.for_s)
        outcomes = stress(bot, options, progress, lambda outcome: progress.end())
    assumed = assumptions(bot.config.venue.embedded, options)
    rows = [f"  {outcome.name:<28}{outcome.fills:>8}{money(outcome.profit):>16}" for outcome in outcomes]
    document = {
        "schema_version": 1,
        "verb": "stress",
        "assumptions": assumed,
        "variations": [{**attrs.asdict(outcome), "profit": money(outcome.profit)} for outcome in outcomes],
        "verdict": verdict(outcomes),
    }
    lines = [f"  {'changed':<28}{'fills':>8}{'after fees':>16}", *rows, *(f"  assumed: {text}" for text in assumed)]
    out(document, [*lines, verdict(outcomes)])
    return Exit.BUG if taken_away(outcomes) else Exit.DONE


def run_backtest(args: Namespace, out: Out) -> int:
    """`coldframe backtest`, as its arguments say."""
    options = attrs.evolve(_options(args), journal=args.journal, record=args.record)
    if args.all_presets:
        if args.journal is not None or args.record is not None or any(ms is not None for ms in _times(args).values()):
            raise ConfigError("--all-presets runs the bot once for each: it goes without --journal, --record and times of its own")
        return _backtest_all(args.config, args.recording, options, out, debug=args.debug)
    return _backtest(args.config, args.recording, options, out, debug=args.debug)


def _backtest(path: Path, recording: Path | None, options: BacktestOptions, out: Out, *, debug: bool = False) -> int:
    """One run. Ctrl-C ends it as the end of the market would, and what was done is shown."""
    progress = Progress(options.for_s, debug=debug)
    document = _played(path, recording, options, progress)
    # The document does not say how long it took: equal runs have equal documents.
    rate = f"  {progress.events} events in {progress.took_s:.1f} s: {progress.events / progress.took_s:.0f} a second"
    out(document, [*summary_lines(document), *backtest_lines(document), rate])
    return int(document["exit_code"])


def _backtest_all(path: Path, recording: Path | None, options: BacktestOptions, out: Out, *, debug: bool = False) -> int:
    """The same bot under each preset, side by side. Ctrl-C leaves out what has not begun."""
    progress, documents = Progress(options.for_s, debug=debug), dict[str, dict[str, Any]]()
    for name, preset in PRESETS.items():
        if not progress.stopped:
            given = attrs.evolve(options, latency=preset.latency, queue_model=preset.queue_model)
            documents[name] = _played(path, recording, given, progress)
    code = gravest(Exit(document["exit_code"]) for document in documents.values())
    lines = [line for document in documents.values() for line in summary_lines(document)]
    lines += [f"  {name}: {text}" for name, document in documents.items() for text in document["assumptions"]]
    out(
        {"schema_version": 1, "verb": "backtest", "presets": documents, "exit_code": int(code)},
        [*lines, *compared_lines(documents)],
    )
    return int(code)


def _played(path: Path, recording: Path | None, options: BacktestOptions, progress: Progress) -> dict[str, Any]:
    # Stdout carries the result and nothing else, whatever a strategy prints.
    with redirect_stdout(sys.stderr):
        bot = read_backtest(path, recording, options.for_s)
        with _interrupted_by_hand(progress):
            document = Backtest(bot, options, progress).play()
        progress.end()
    return document


@contextmanager
def _interrupted_by_hand(progress: Progress) -> Iterator[None]:
    """Ctrl-C asks for the end, and once more ends at once."""

    def ask(number: int, frame: FrameType | None) -> None:
        if progress.stopped:
            raise KeyboardInterrupt
        progress.stopped = True

    before = signal.signal(signal.SIGINT, ask)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
