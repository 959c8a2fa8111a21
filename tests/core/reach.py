"""Everything that can be reached from an object without asking Python for its insides: attributes, answers, elements, closures."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from decimal import Decimal
from enum import Enum
from types import BuiltinMethodType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

#: What cannot be changed, and leads nowhere.
LEAVES = (str, int, float, bytes, Decimal, type(None), type, ModuleType, Enum)
CALLS = (FunctionType, MethodType, BuiltinMethodType, MethodWrapperType)


def reached(root: object, ask: Callable[[object], Mapping[str, object]] = lambda _: {}) -> dict[int, tuple[str, object]]:
    """Each object that can be reached from `root`, with the way to it. `ask` answers for methods that need arguments."""
    found: dict[int, tuple[str, object]] = {}
    waiting: deque[tuple[str, object]] = deque([("it", root)])
    while waiting:
        way, thing = waiting.popleft()
        if isinstance(thing, LEAVES) or id(thing) in found:
            continue
        found[id(thing)] = (way, thing)
        if way.count(".") + way.count("[") < 8:
            waiting.extend((f"{way}{step}", next_thing) for step, next_thing in _next(thing, ask))
    return found


def _next(thing: object, ask: Callable[[object], Mapping[str, object]]) -> Iterator[tuple[str, object]]:
    if isinstance(thing, CALLS):
        yield from ((f".cell{number}", value) for number, value in enumerate(_closed_over(thing)))
        return
    yield from ((f".{name}", value) for name, value in ask(thing).items())
    if isinstance(thing, Mapping):
        yield from ((f"[{key!r}]", value) for key, value in thing.items())
    elif isinstance(thing, Collection):
        yield from ((f"[{number}]", value) for number, value in enumerate(thing))
    for name in names_of(thing):
        value = getattr(thing, name, None)
        yield f".{name}", value
        if isinstance(value, MethodType) and not isinstance(thing, Collection):
            yield f".{name}()", _answer(value)


def names_of(thing: object) -> list[str]:
    """Names of attributes, those with an underscore before them too, and those of `__dict__` and `__slots__` whatever they are."""
    runtimes = [name for kind in type(thing).__mro__ for name in getattr(kind, "__slots__", ())]
    own = [*getattr(thing, "__dict__", {}), *(runtimes if not isinstance(runtimes, str) else [runtimes])]
    return sorted({*(name for name in dir(thing) if not name.startswith("__")), *own} - {"__weakref__", "__dict__"})


def _closed_over(call: Any) -> list[object]:
    function = getattr(call, "__func__", call)
    cells = [cell.cell_contents for cell in getattr(function, "__closure__", None) or ()]
    return [*cells, *(getattr(function, "__defaults__", None) or ()), getattr(call, "__self__", None)]


def _answer(method: Callable[[], object]) -> object:
    try:
        return method()
    except (TypeError, ValueError, LookupError, RuntimeError):
        return None
