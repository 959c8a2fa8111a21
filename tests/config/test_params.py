"""Parameters of plugins are read as strictly as the rest, whatever their author's class looks like."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import attrs
import pytest

from coldframe.config.lines import lines_of
from coldframe.config.load import Source, structure
from coldframe.errors import ConfigError

TEXT = """[[strategies]]
id = "one"
[strategies.params]
x = 1
y = 2
"""
SOURCE = Source(Path("bot.toml"), lines_of(TEXT))
AT = ("strategies", 0, "params")


class Mood(enum.Enum):
    CALM = "calm"


class Odd:
    """No attrs class."""


@attrs.frozen
class Inner:
    a: int
    b: Decimal = Decimal(1)


def params(annotation: Any, **more: Any) -> type:
    return attrs.make_class("Params", {"x": attrs.field(type=annotation, **more)}, frozen=True)


def made(annotation: Any, value: object, **more: Any) -> object:
    return structure({"x": value}, params(annotation, **more), SOURCE, AT).x


def refusal(annotation: Any, value: object, **more: Any) -> tuple[str, ...]:
    with pytest.raises(ConfigError) as refused:
        made(annotation, value, **more)
    return refused.value.findings


@pytest.mark.parametrize(
    ("annotation", "value", "expected"),
    [
        (int, 5, 5), (str, "a", "a"), (bool, True, True), (Decimal, "1.50", Decimal("1.50")), (Decimal, 3, Decimal(3)),
        (float, 1.5, 1.5), (int | None, 5, 5), (Decimal | None, "1", Decimal(1)), (Mood, "calm", Mood.CALM),
        (Literal["a", "b"], "b", "b"), (list[int], [1, 2], [1, 2]), (tuple[int, ...], [1, 2], (1, 2)),
        (tuple[int, str], [1, "a"], (1, "a")), (dict[str, Decimal], {"a": "1"}, {"a": Decimal(1)}),
        (Mapping[str, int], {"a": 1}, {"a": 1}), (Inner, {"a": 1}, Inner(1)), (list[Inner], [{"a": 1}, {"a": 2, "b": 3}],
        [Inner(1), Inner(2, Decimal(3))]), (dict[str, Any], {"a": [1, "b"]}, {"a": [1, "b"]}), (set[str], ["a"], {"a"}),
    ],
)  # fmt: skip
def test_what_a_file_can_give(annotation: Any, value: object, expected: object) -> None:
    assert made(annotation, value) == expected


@pytest.mark.parametrize(
    ("annotation", "value", "said"),
    [
        (int, "5", "x: must be a whole number, not '5'"),
        (int, True, "x: must be a whole number, not true"),
        (int, 5.0, "x: must be a whole number, not 5.0"),
        (str, 5, "x: must be a text, not 5"),
        (bool, 1, "x: must be true or false, not 1"),
        (Decimal, 0.5, 'x: must be quoted so that it stays exact: "0.5"'),
        (Decimal, "NaN", "x: must be a plain decimal number, not 'NaN'"),
        (Decimal | None, 1.5, 'x: must be quoted so that it stays exact: "1.5"'),
        (Mood, "wild", "x: 'wild' is not a valid Mood"),
        (list[int], 5, "x: must be a list, not 5"),
        (list[int], [1, "a"], "x[1]: must be a whole number, not 'a'"),
        (tuple[int, ...], [1, "a"], "x[1]: must be a whole number, not 'a'"),
        (tuple[int, str], [1, 2], "x[1]: must be a text, not 2"),
        (dict[str, int], {"a": "b"}, "x.a: must be a whole number, not 'b'"),
        (Inner, 5, "x: must be a table, not 5"),
        (Inner, {"a": 1, "bb": 2}, "x.bb: unknown key (did you mean b?)"),
        (Inner, {}, "x.a: is required"),
        (list[Inner], [{"a": 1}, {"a": 1, "b": "c"}], "x[1].b: must be a plain decimal number, not 'c'"),
    ],
)
def test_what_does_not_fit_is_named_at_its_line(annotation: Any, value: object, said: str) -> None:
    assert refusal(annotation, value) == (f"bot.toml:4: strategies[0].params.{said}",)


@pytest.mark.parametrize("annotation", [object, int | str, Decimal | int, Odd, "NoSuchName"])
def test_a_class_that_no_file_can_give_is_refused_in_one_line(annotation: Any) -> None:
    (said,) = refusal(annotation, 5)
    assert said.startswith("bot.toml:3: strategies[0].params: Params cannot be read from a file: ")


def too_small(_: object, __: object, value: int) -> None:
    if value < 7:
        raise ValueError("must be 7 at least")


@pytest.mark.parametrize(
    ("validator", "said"),
    [
        (too_small, "must be 7 at least"),
        (attrs.validators.gt(7), "'x' must be > 7: 5"),
        (attrs.validators.in_([1, 2]), "'x' must be in [1, 2] (got 5)"),
        (attrs.validators.instance_of(str), "'x' must be <class 'str'> (got 5 that is a <class 'int'>)."),
    ],
)
def test_what_the_authors_own_check_says(validator: Any, said: str) -> None:
    assert refusal(int, 5, validator=validator) == (f"bot.toml:4: strategies[0].params.x: {said}",)


def test_all_of_them_at_once_and_a_required_one_at_its_table() -> None:
    kind = attrs.make_class("Params", {"x": attrs.field(type=int), "y": attrs.field(type=str), "z": attrs.field(type=int)})
    with pytest.raises(ConfigError) as refused:
        structure({"x": "a", "y": 5, "zz": 1}, kind, SOURCE, AT)
    assert set(refused.value.findings) == {
        "bot.toml:4: strategies[0].params.x: must be a whole number, not 'a'",
        "bot.toml:5: strategies[0].params.y: must be a text, not 5",
        "bot.toml:3: strategies[0].params.z: is required",
        "bot.toml:3: strategies[0].params.zz: unknown key (did you mean z?)",
    }


def test_what_the_class_as_a_whole_refuses() -> None:
    @attrs.frozen
    class Params:
        low: int
        high: int

        def __attrs_post_init__(self) -> None:
            if self.low > self.high:
                raise ValueError("low must not be above high")

    assert structure({"low": 1, "high": 2}, Params, SOURCE, AT) == Params(1, 2)
    with pytest.raises(ConfigError, match=r"^bot\.toml:3: strategies\[0\]\.params: low must not be above high$"):
        structure({"low": 3, "high": 2}, Params, SOURCE, AT)


def test_a_table_is_needed() -> None:
    with pytest.raises(ConfigError, match=r"^bot\.toml:3: strategies\[0\]\.params: must be a table, not 5$"):
        structure(5, Inner, SOURCE, AT)
