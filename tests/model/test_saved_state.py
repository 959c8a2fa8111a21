"""What may be saved comes back as it was, frozen; all else is named and nothing of it is called."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from decimal import Decimal
from enum import IntEnum
from typing import Any, NamedTuple

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.model.saved_state import STATE_BYTES, FrozenMapping, frozen_of, text_of

D = Decimal
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    TEXTS,
    st.decimals(allow_nan=False, allow_infinity=False),
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXTS.filter(lambda key: not key.startswith("$")), inner, max_size=4),
    ),
    max_leaves=12,
).filter(lambda value: depth_of(value) <= 8)


def depth_of(value: object) -> int:
    if isinstance(value, Mapping):
        return 1 + max(map(depth_of, value.values()), default=0)
    return 1 + max(map(depth_of, value), default=0) if isinstance(value, list | tuple) else 0


def plain(value: object) -> object:
    """A value or its frozen form as something that `==` compares by type as well."""
    if isinstance(value, Mapping):
        return {key: plain(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return type(value).__name__, str(value) if isinstance(value, Decimal) else value


@given(value=VALUES)
def test_what_is_saved_comes_back_exactly_and_frozen(value: Any) -> None:
    shown = frozen_of(text_of(value))
    assert plain(shown) == plain(value)
    assert containers(shown) == 0
    assert text_of(shown) == text_of(value)  # what a view shows can be saved again


@given(value=VALUES)
def test_the_order_of_keys_makes_no_other_value(value: Any) -> None:
    assert text_of(turned(value)) == text_of(value)


@given(first=VALUES, second=VALUES)
def test_texts_are_equal_exactly_where_values_are(first: Any, second: Any) -> None:
    assert (text_of(first) == text_of(second)) == (plain(first) == plain(second))


def containers(value: object) -> int:
    """How many lists, dicts and sets are in a value."""
    parts = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return isinstance(value, list | dict | set) + sum(map(containers, parts))


def turned(value: object) -> object:
    if isinstance(value, Mapping):
        return {key: turned(part) for key, part in reversed(list(value.items()))}
    return [turned(part) for part in value] if isinstance(value, list | tuple) else value


@pytest.mark.parametrize(("value", "other"), [(True, 1), (False, 0), (D(1), 1), (D("1.0"), D(1)), ("1", 1), (None, "null")])
def test_values_that_python_takes_for_equal_are_told_apart(value: Any, other: Any) -> None:
    assert text_of({"a": value}) != text_of({"a": other})


class Point(NamedTuple):
    x: int


class Sly(type):
    """A class whose comparisons are code of its own."""

    def __eq__(cls, other: object) -> bool:
        raise SystemExit("called")

    def __hash__(cls) -> int:
        raise SystemExit("called")


class Nasty(metaclass=Sly):
    def __repr__(self) -> str:
        raise SystemExit("called")


class Word(str):
    def startswith(self, *_: Any) -> bool:
        raise SystemExit("called")


class Colour(IntEnum):
    RED = 1


def nested(levels: int) -> Any:
    value: Any = 1
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    return value


LOOP: list[Any] = []
LOOP.append(LOOP)
WANTED = "must be None, a bool, int, str, Decimal, list or dict, not"
REFUSED: list[tuple[Any, str]] = [
    (1.5, f"value {WANTED} the float 1.5"),
    ({"ladder": [D(1), float("nan")]}, f"value['ladder'][1] {WANTED} the float nan"),
    (b"x", f"value {WANTED} a bytes"),
    ({1, 2}, f"value {WANTED} a set"),
    (Point(1), f"value {WANTED} a Point"),
    (OrderedDict(a=1), f"value {WANTED} a OrderedDict"),
    (Colour.RED, f"value {WANTED} a Colour"),
    (Word("x"), f"value {WANTED} a Word"),
    ([Nasty()], f"value[0] {WANTED} a Nasty"),
    (Nasty, f"value {WANTED} a Sly"),
    (D("NaN"), "value must be a finite Decimal, not Decimal('NaN')"),
    (D("sNaN"), "value must be a finite Decimal, not Decimal('sNaN')"),
    ({"a": D("-Infinity")}, "value['a'] must be a finite Decimal, not Decimal('-Infinity')"),
    (2**63, "value must be a whole number of at most 64 bits, not 9223372036854775808"),
    (-(2**63) - 1, "value must be a whole number of at most 64 bits, not -9223372036854775809"),
    ("\ud800", "value must be a text without surrogates"),
    ({"\udfff": 1}, "value must be a text without surrogates"),
    ({1: 2}, "value must have texts as keys that do not begin with $, not 1"),
    ({"a": {"$decimal": "1"}}, "value['a'] must have texts as keys that do not begin with $, not '$decimal'"),
    ({Word("x"): 1}, "value must have texts as keys that do not begin with $, not a Word"),
    (nested(9), "value['a'][0]['a'][0]['a'][0]['a'][0] is too deep: lists and dicts have at most 8 levels"),
    (LOOP, f"value{'[0]' * 8} is too deep: lists and dicts have at most 8 levels"),
    ("x" * 8_191, "value must have at most 8192 bytes as JSON, not 8193"),
    ("é" * 4_096, "value must have at most 8192 bytes as JSON, not 8194"),
    ([0] * 10**6, "value must have at most 8192 bytes as JSON, and has more"),
    ("x" * 10**6, "value must have at most 8192 bytes as JSON, and has more"),
    ({"x" * 10**6: 1}, "value must have at most 8192 bytes as JSON, and has more"),
    (D(10**9_000), "value must have at most 8192 bytes as JSON, and has more"),
]


@pytest.mark.parametrize(("value", "why"), REFUSED, ids=[str(number) for number in range(len(REFUSED))])
def test_what_cannot_be_saved_is_named(value: Any, why: str) -> None:
    with pytest.raises(ValueError, match=r"^value") as refused:
        text_of(value)
    assert str(refused.value) == why


@pytest.mark.parametrize("value", [nested(8), "x" * 8_190, "é" * 4_095, 2**63 - 1, -(2**63), [0] * 4_000, D("1E+999999"), "\x00\n"])
def test_what_is_just_within_its_bounds_is_saved(value: Any) -> None:
    assert len(text_of(value)) <= STATE_BYTES
    assert plain(frozen_of(text_of(value))) == plain(value)


def test_the_way_to_a_fault_is_short_however_deep_it_lies() -> None:
    value: Any = 1.5
    for _ in range(8):
        value = {"k" * 500: value}
    with pytest.raises(ValueError, match=r"^value\['kkk.*\.\.\. must be None") as refused:
        text_of(value)
    assert len(str(refused.value)) < 200


def test_a_frozen_mapping_is_a_dict_that_cannot_change() -> None:
    frozen = frozen_of(text_of({"b": [1, {"c": D("1.50")}], "a": None, "": True}))
    assert frozen == {"b": (1, {"c": D("1.50")}), "a": None, "": True}
    assert {"a": None, "": True, "b": (1, {"c": D("1.5")})} == frozen
    assert frozen != {"a": None}
    assert (list(frozen), len(frozen), repr(frozen["b"])) == (["", "a", "b"], 3, "(1, {'c': Decimal('1.50')})")
    assert (frozen.get("c"), "a" in frozen, 1 in frozen, {**frozen, "a": 1}["a"]) == (None, True, False, 1)
    absent: list[Any] = ["c", "aa", 1, None, []]
    for key in absent:
        with pytest.raises(KeyError):
            frozen[key]
    for write in (
        lambda: frozen.update(a=1),
        lambda: frozen.__setitem__("a", 1),
        lambda: setattr(frozen, "_values", ()),
        lambda: setattr(frozen, "anything", ()),
        lambda: frozen["b"].append(1),
        lambda: frozen["b"][1].pop("c"),
    ):
        with pytest.raises((AttributeError, TypeError)):
            write()
    with pytest.raises(TypeError):
        hash(frozen)


def test_a_comparison_does_not_hand_out_the_dict_behind() -> None:
    """A `MappingProxyType` gives the dict behind it to the other side of a comparison."""
    given: list[object] = []

    class Asking:
        def __eq__(self, other: object) -> bool:
            given.append(other)
            return True

        __hash__ = None  # type: ignore[assignment]

        def __ror__(self, other: object) -> bool:
            given.append(other)
            return True

    frozen = frozen_of(text_of({"a": 1}))
    assert frozen == Asking()
    assert frozen | Asking()
    assert given == [frozen, frozen]
    assert all(type(thing) is FrozenMapping for thing in given)


def test_texts_are_plain_json() -> None:
    assert msgspec.json.decode(text_of({"b": (D("1.50"), None), "a": "é"})) == {"a": "é", "b": [{"$decimal": "1.50"}, None]}
