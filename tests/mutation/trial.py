"""The trials of mutants inside one pytest session: tests are collected once, and each mutant lives in a forked process."""

from __future__ import annotations

import gc
import os
import signal
import time
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any, Final

import attrs
import coverage
import hypothesis
import pytest
from _pytest.runner import runtestprotocol

from tests.mutation.explained import EXPLAINED
from tests.mutation.mutants import Mutant, code_of

_SOURCE: Final = "framework/coldframe/core"
_NOTICED, _UNNOTICED = 0, 42
_PHASES: Final = (hypothesis.Phase.explicit, hypothesis.Phase.generate)
#: How long a test may compute (seconds): many mutants would have to wait for one that takes longer.
_LONGEST_S: Final = 5.0
#: How often the run says how far it is, in mutants.
_STEP: Final = 25
#: How many examples a property draws at most: what breaks a branch that runs often is found early.
_EXAMPLES: Final = 30
#: How many times longer than unchanged a test may take.
_SLOWER: Final = 20
#: How many times more time may pass than it computes: a busy machine is not a mutant that waits for ever.
_IDLE: Final = 20


@attrs.define
class Trials:
    """A pytest plugin. After the session `tried` says of each mutant how many tests ran its line, and which noticed it."""

    mutants: Sequence[Mutant]
    jobs: int
    seconds: float
    budget: float
    tried: dict[Mutant, bool] = attrs.field(factory=dict)
    tests_of: dict[Mutant, int] = attrs.field(factory=dict)
    _took: dict[str, float] = attrs.field(factory=dict)
    _failed: set[str] = attrs.field(factory=set)
    _functions: dict[tuple[str, str, int], list[FunctionType]] = attrs.field(factory=dict)

    # -- the session --------------------------------------------------------------------------------------------------

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        hypothesis.settings.register_profile("mutation", phases=_PHASES, max_examples=_EXAMPLES, database=None, deadline=None)
        hypothesis.settings.load_profile("mutation")
        items = {item.nodeid: item for item in session.items}
        for item in items.values():
            _draw_less(item)
        tests_by_line = self._learn(items)
        queue = list(self.mutants)
        running: dict[int, Mutant] = {}
        self._functions = _functions()
        gc.freeze()
        while queue or running:
            while queue and len(running) < self.jobs:
                mutant = queue.pop()
                names = self._tests(tests_by_line, mutant)
                self.tests_of[mutant] = len(names)
                running[self._fork(mutant, [items[name] for name in names])] = mutant
            self._reap(running)
        return True

    def _learn(self, items: dict[str, pytest.Item]) -> dict[tuple[str, int], set[str]]:
        """Runs every test once, unchanged: how long it takes, and which lines it runs."""
        measured = coverage.Coverage(source=[_SOURCE], data_file=None, config_file=False)
        measured.start()
        signal.signal(signal.SIGPROF, _too_long)
        for name, item in items.items():
            measured.switch_context(name)
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, _LONGEST_S)
            try:
                failed = any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))
            except Exception:  # noqa: BLE001 - the alarm rang while pytest or one of its plugins made a report
                failed = True
            signal.setitimer(signal.ITIMER_PROF, 0)
            self._took[name] = time.process_time() - began
            if failed:
                self._failed.add(name)
                print(f"fails unchanged or takes too long, and is left out: {name}", flush=True)  # noqa: T201
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        measured.stop()
        print(f"learnt from {len(items)} tests in {sum(self._took.values()):.0f} s; the slowest: {self._slowest()}", flush=True)  # noqa: T201
        return _lines(measured.get_data())

    def _slowest(self) -> str:
        slowest = sorted(self._took, key=self._took.__getitem__, reverse=True)[:5]
        return ", ".join(f"{name} {self._took[name]:.1f} s" for name in slowest)

    def _tests(self, by_line: dict[tuple[str, int], set[str]], mutant: Mutant) -> list[str]:
        """The tests that run its line: those of its module first, then the quickest, as many as the budget pays for."""
        found = by_line.get((str(mutant.path.resolve()), mutant.line), set()) - self._failed
        own = f"/test_{mutant.path.stem}.py::"
        order = sorted(found, key=lambda name: (own not in name, self._took[name]))
        paid = accumulate(self._took[name] for name in order)
        return [name for name, spent in zip(order, paid, strict=True) if spent <= self.budget or own in name]

    # -- one mutant ---------------------------------------------------------------------------------------------------

    def _fork(self, mutant: Mutant, items: Sequence[pytest.Item]) -> int:
        changed = code_of(mutant)
        functions = self._functions.get((mutant.path.name, mutant.function, changed.co_firstlineno), [])
        child = os.fork()
        if child:
            return child
        code = _UNNOTICED
        for function in functions:
            function.__code__ = changed
        try:
            sink = os.open(os.devnull, os.O_WRONLY)
            os.dup2(sink, 1)
            os.dup2(sink, 2)
            code = _NOTICED if any(self._fails(item) for item in items) else _UNNOTICED
        except BaseException:  # noqa: BLE001 - whatever a mutant raises, it is noticed
            code = _NOTICED
        finally:
            os._exit(code)

    def _fails(self, item: pytest.Item) -> bool:
        """Whether a test fails now. A test that takes far longer than before ends the process: a loop without an end is noticed."""
        allowed = self.seconds + _SLOWER * self._took[item.nodeid]
        signal.setitimer(signal.ITIMER_PROF, allowed)
        signal.setitimer(signal.ITIMER_REAL, _IDLE * allowed)
        return any(report.failed for report in runtestprotocol(item, nextitem=None, log=False))

    def _reap(self, running: dict[int, Mutant]) -> None:
        """Takes in a process that has ended."""
        child, status = os.wait()
        mutant = running.pop(child)
        self._note(mutant, noticed=not (os.WIFEXITED(status) and os.WEXITSTATUS(status) == _UNNOTICED))

    def _note(self, mutant: Mutant, *, noticed: bool) -> None:
        self.tried[mutant] = noticed
        if len(self.tried) % _STEP == 0:
            print(f"{sum(self.tried.values())} of {len(self.tried)} noticed so far", flush=True)  # noqa: T201
        if not noticed:
            reason = EXPLAINED.get(mutant.name, "")
            why = f" ({reason})" if reason else ""
            print(f"not noticed by {self.tests_of[mutant]} tests: {mutant}{why}", flush=True)  # noqa: T201

    # -- the end ------------------------------------------------------------------------------------------------------

    def report(self, at_least: float) -> int:
        """Prints the share that was noticed. Returns the exit code."""
        noticed = sum(self.tried.values())
        explained = sum(not seen and mutant.name in EXPLAINED for mutant, seen in self.tried.items())
        share = 100 * noticed / len(self.tried)
        left = len(self.tried) - noticed - explained
        print(f"{noticed} of {len(self.tried)} mutants noticed ({share:.1f} %), {explained} explained, {left} not")  # noqa: T201
        return 0 if share >= at_least and not left else 1


class _TooLong(BaseException):
    """A test has computed for longer than it may."""


def _too_long(*_: object) -> None:
    raise _TooLong


def _draw_less(item: pytest.Item) -> None:
    function = getattr(item, "obj", None)
    own: hypothesis.settings | None = getattr(function, "_hypothesis_internal_use_settings", None)
    if own is not None:
        fewer = hypothesis.settings(own, max_examples=min(own.max_examples, _EXAMPLES), phases=_PHASES)
        function._hypothesis_internal_use_settings = fewer  # type: ignore[union-attr]


def _functions() -> dict[tuple[str, str, int], list[FunctionType]]:
    """Every function there is, by file name, qualified name and first line; more than one where a decorator makes a class anew."""
    found: dict[tuple[str, str, int], list[FunctionType]] = {}
    for function in gc.get_objects():
        if isinstance(function, FunctionType):
            code: CodeType = function.__code__
            found.setdefault((Path(code.co_filename).name, code.co_qualname, code.co_firstlineno), []).append(function)
    return found


def _lines(data: Any) -> dict[tuple[str, int], set[str]]:
    """Which tests ran which line, by file and line."""
    found: dict[tuple[str, int], set[str]] = {}
    for file in data.measured_files():
        for line, contexts in data.contexts_by_lineno(file).items():
            found[file, line] = {context for context in contexts if context}
    return found
