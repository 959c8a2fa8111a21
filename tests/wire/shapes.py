"""The shapes of all messages of the wire, read from their classes: examples, the places in them, and random payloads.

A payload here is plain JSON as Python values, except that an object may be `Pairs`, so that a key can stand in it twice.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from decimal import Decimal
from enum import Enum, auto
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

import msgspec
from hypothesis import strategies as st

from coldframe.enums import OpenEnum
from coldframe.wire import account, reference, replies, streams
from coldframe.wire.streams import EpochMs, Integer, Message, Number, NumberOrNothing, QuickNumber

_BASES = (Message, streams.MarketMessage, account.UserEvent, replies.Reply)
KINDS: list[type[Message]] = [
    kind
    for module in (streams, account, replies, reference)
    for kind in vars(module).values()
    if isinstance(kind, type) and issubclass(kind, Message) and kind.__module__ == module.__name__ and kind not in _BASES
]

Path = tuple[str | int, ...]


class Sort(Enum):
    """What kind of value stands at a place."""

    NUMBER = auto()
    MAYBE_NUMBER = auto()
    INTEGER = auto()
    MOMENT = auto()
    DECIMAL = auto()
    LEVEL_NUMBER = auto()
    WORD = auto()
    OBJECT = auto()
    LIST = auto()
    OTHER = auto()


class Pairs(list[tuple[str, Any]]):
    """An object as the list of its pairs."""


def written(value: Any, gap: str = "") -> str:
    """The JSON text of `value`, with `gap` wherever white space may stand."""
    match value:
        case dict():
            return written(Pairs(value.items()), gap)
        case Pairs():
            inside = f",{gap}".join(f"{json.dumps(key)}{gap}:{gap}{written(inner, gap)}" for key, inner in value)
            return f"{{{gap}{inside}{gap}}}"
        case list():
            return f"[{gap}{f',{gap}'.join(written(item, gap) for item in value)}{gap}]"
        case Decimal():
            return format(value, "f")
        case _:
            return json.dumps(value)


def options(annotation: Any) -> list[Any]:
    """The annotations a value may have, without the mark of absence."""
    parts = get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)
    return [part for part in parts if part is not msgspec.UnsetType]


@cache
def fields(kind: type[Message]) -> list[msgspec.structs.FieldInfo]:
    return [field for field in msgspec.structs.fields(kind) if field.name != "extra"]


def example(annotation: Any) -> Any:
    """One fixed value for an annotation; for a class of message, an object with every field in it."""
    first = options(annotation)[0]
    if first == EpochMs:
        return 1_700_000_000_000
    if first in (Number, NumberOrNothing, QuickNumber):
        return "1.5"
    if first == Integer:
        return 7
    if get_origin(first) is Annotated:
        raise TypeError(f"an unknown kind of number: {first}")
    if get_origin(first) is tuple:
        return ["4.50", "2"]
    if get_origin(first) is list:
        return [example(get_args(first)[0])]
    if get_origin(first) is dict:
        return {"filterType": "LOT_SIZE"}
    if issubclass_(first, Message):
        return {field.encode_name: example(field.type) for field in fields(first)}
    if issubclass_(first, OpenEnum):
        return next(iter(first)).value
    return {str: "text", bool: True, Decimal: Decimal("0.25"), Any: "anything"}[first]


def issubclass_(annotation: Any, base: type) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, base)


def places(annotation: Any, path: Path = ()) -> Iterator[tuple[Path, Sort, bool]]:
    """Every place in the example of `annotation`, from the top down, with what stands there and whether it may be null."""
    nullable = type(None) in options(annotation)
    first = options(annotation)[0]
    if get_origin(first) is tuple:
        yield from (((*path, at), Sort.LEVEL_NUMBER, False) for at in (0, 1))
    elif get_origin(first) is list:
        yield path, Sort.LIST, nullable
        yield from places(get_args(first)[0], (*path, 0))
    elif issubclass_(first, Message):
        yield path, Sort.OBJECT, nullable
        for field in fields(first):
            yield from places(field.type, (*path, field.encode_name))
    else:
        yield path, _sort_of(options(annotation)), nullable


def _sort_of(parts: list[Any]) -> Sort:
    if len(parts) > 1 and str in parts:
        return Sort.OTHER
    kinds = (
        (Number, Sort.NUMBER),
        (QuickNumber, Sort.NUMBER),
        (NumberOrNothing, Sort.MAYBE_NUMBER),
        (Integer, Sort.INTEGER),
        (EpochMs, Sort.MOMENT),
        (Decimal, Sort.DECIMAL),
    )
    for annotation, sort in kinds:
        if parts[0] == annotation:
            return sort
    return Sort.WORD if issubclass_(parts[0], OpenEnum) else Sort.OTHER


def at(value: Any, path: Path) -> Any:
    """What stands at `path`."""
    for step in path:
        value = value[step]
    return value


def with_literal(kind: type[Message], path: Path, literal: str) -> bytes:
    """The example of `kind` with the JSON text `literal` at `path`."""
    return _with_hole(kind, path).replace('"@@@"', literal).encode(errors="surrogatepass")


@cache
def _with_hole(kind: type[Message], path: Path) -> str:
    body = example(kind)
    at(body, path[:-1])[path[-1]] = "@@@"
    return written(body)


def inner(message: Any, path: Path) -> Any:
    """What a decoded message holds at `path`."""
    for step in path:
        if isinstance(step, int):
            message = message[step]
        else:
            name = next(field.name for field in fields(type(message)) if field.encode_name == step)
            message = getattr(message, name)
    return message


DIGITS = st.text("0123456789", min_size=1, max_size=12)
WORDS = st.text(st.characters(min_codepoint=32, max_codepoint=0x2FFF), max_size=6) | st.sampled_from(['a":1', '","', " extra", "é"])
FRACTIONS = DIGITS.map(lambda digits: f".{digits}") | st.just("")
VALUES: dict[Sort, st.SearchStrategy[Any]] = {
    Sort.NUMBER: st.builds(lambda sign, whole, part: sign + whole + part, st.sampled_from(["", "-"]), DIGITS, FRACTIONS),
    Sort.MAYBE_NUMBER: st.sampled_from(["", "0.0001", "-0.5"]),
    Sort.LEVEL_NUMBER: st.builds(lambda whole, part: whole + part, DIGITS, FRACTIONS),
    Sort.INTEGER: st.integers(-(2**63), 2**63 - 1),
    Sort.MOMENT: st.integers(10**12, 10**13),
    Sort.DECIMAL: st.decimals(-(10**15), 10**15, places=6),
    Sort.WORD: WORDS,
    Sort.OTHER: WORDS,
}


#: Made once, like those of `_drawn_from`.
_KIND, _TWICE = st.sampled_from(KINDS), st.booleans()


@st.composite
def payloads(draw: st.DrawFn) -> tuple[type[Message], dict[str, Any]]:
    """A class and a valid payload of it: the example with some values changed, rows doubled or gone, keys dropped or moved."""
    kind = draw(_KIND)
    body = example(kind)
    changes, dropped = _drawn_from(kind)
    for path, sort in draw(changes):
        here = at(body, path)
        if sort is Sort.LIST:
            here[:] = here * 2 if draw(_TWICE) else here
        elif sort is not Sort.OTHER or isinstance(here, str):
            at(body, path[:-1])[path[-1]] = draw(VALUES[sort])
    for key in draw(dropped):
        body.pop(key, None)
    keys = list(body)
    turn = draw(st.integers(0, len(keys)))
    return kind, {key: body[key] for key in keys[turn:] + keys[:turn]}


_CHANGES = {
    kind: [(path, sort) for path, sort, _ in places(kind) if path and sort is not Sort.OBJECT] or [((), Sort.OTHER)]
    for kind in KINDS
}


@cache
def _drawn_from(kind: type[Message]) -> tuple[st.SearchStrategy[list[tuple[Path, Sort]]], st.SearchStrategy[list[str]]]:
    """The places to change and the keys to drop; made once, because making a strategy costs more than drawing from it."""
    optional = [field.encode_name for field in fields(kind) if not field.required]
    dropped = st.lists(st.sampled_from(optional), max_size=3) if optional else st.just([])
    return st.lists(st.sampled_from(_CHANGES[kind]), max_size=4), dropped
