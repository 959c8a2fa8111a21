"""Which files a walk passes: those whose functions stand on the call stack where it arrives.

A reader who follows something (a message, an intent, a file) through the code has to open the file of every function that handed it
on. These are just the functions on the stack at the places where it arrives: `Stop`. What such a function asks on its side (a
limit, a book, the time) is named by it, has returned by then, and need not be opened to follow the walk.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import wraps
from types import FrameType
from typing import Any

import attrs


@attrs.frozen
class Stop:
    """A function at which something arrives, and where the part of its way begins that ends here (both `module:Class.method`).

    `when` says which of its calls is meant.
    """

    function: str
    begins: str
    when: Callable[..., bool] = lambda *_: True


def module_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def way(stop: Stop, frame: FrameType | None) -> list[str]:
    """The functions of the framework from where this part of the way begins to the innermost one, in order."""
    found: list[str] = []
    while frame is not None:
        if module_of(frame).startswith("coldframe."):
            found.append(f"{module_of(frame)}:{frame.f_code.co_qualname}")
            if found[-1] == stop.begins:
                return found[::-1]
        frame = frame.f_back
    return []


class Walks:
    """Notes the way to each stop, the first time that something arrives there from where its way begins.

    `ended` is called when something has arrived at each of them.
    """

    def __init__(self, stops: Sequence[Stop], ended: Callable[[], None] = lambda: None) -> None:
        self.ways: dict[str, list[str]] = {}
        self._wanted = len({stop.function for stop in stops})
        self._ended = ended
        self._undo: list[tuple[Any, str, Any]] = []
        # Plain functions first: a module that takes one by its name must not do so before it is watched.
        for stop in sorted(stops, key=lambda stop: "." in stop.function.partition(":")[2]):
            self._watch(stop)

    def _watch(self, stop: Stop) -> None:
        module, _, name = stop.function.partition(":")
        owner: Any = importlib.import_module(module)
        *outer, last = name.split(".")
        for part in outer:
            owner = getattr(owner, part)
        original = getattr(owner, last)

        @wraps(original)
        def watched(*args: Any, **named: Any) -> Any:
            if stop.function not in self.ways and stop.when(*args):
                passed = way(stop, sys._getframe(1))
                if passed:
                    self.ways[stop.function] = [*passed, stop.function]
                    if len(self.ways) == self._wanted:
                        self._ended()
            return original(*args, **named)

        self._undo.append((owner, last, original))
        setattr(owner, last, watched)

    def end(self) -> None:
        for owner, name, original in reversed(self._undo):
            setattr(owner, name, original)


def files(ways: Mapping[str, list[str]], stops: Iterable[Stop]) -> set[str]:
    """The modules of the framework that a walk with these stops has passed. An error if it has not come to one of them."""
    missing = [stop.function for stop in stops if stop.function not in ways]
    assert not missing, f"the walk has not come to {', '.join(missing)}"
    passed = {function.partition(":")[0] for stop in stops for function in ways[stop.function]}
    return {module for module in passed if module.startswith("coldframe.")}
