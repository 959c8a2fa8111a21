"""Every key is found at its line, however the text round it is written."""

from __future__ import annotations

from typing import Any

import attrs
import pytest
import tomli
from hypothesis import given
from hypothesis import strategies as st

from coldframe.config.lines import Path, line_of, lines_of

# -- texts that mislead -----------------------------------------------------------------------------------------------

#: Values that hold whatever could be taken for the end of a value, a header, a key or a comment.
VALUES = [
    "1", "true", '""', "''", '"a#b"', "'[x]'", r'"a\"["', r'"\\"', r'"\\\"# ["', "'\\'", '"""one"""', '""""quoted""""', "''''x'''",
    '"""""two""""" ', '"""\n[table]\nkey = 1\n"""', "'''\nkey = 1 # '' [\n[[x]]\n'''", '"""a\\"""\n[x]"""', '"""\\\n   joined"""',
    "[]", "[1, 2]", "[\n  1, # ]\n  2,\n]", '["]", "[", \'}\', """\n]\n"""]', "[[1], [\n[2]\n]]", "{}", "{ a = 1, b.c = '}' }",
    "{ x = [\n1\n] }", "[ { a = '[' },\n # [b]\n { a = 2 } ]", "2020-01-01", "1979-05-27T07:32:00Z", "-1.5e3", "0x1f",
    '"\u2028\x85"', '"=" # = "', "'''x'''''",
]  # fmt: skip
GAPS = ["", "\n", "# [comment]\n", '# key = "\n', "   \t\n", "# '''\n", "# \x85 \u2028 \n", "  # ]] }\n"]
NAMES = ["{}", "  {}", '"{}"', "'{}'", '"q {} ["', "'] {} #'", '"\\"{}"', '"\\u0041{}"', "é{}"]


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("tail", ["", " # ] \" '''", "\t#["])
def test_a_value_ends_where_it_ends(value: str, tail: str) -> None:
    text = f"first = 1\nkey = {value}{tail}\nafter = 1\n[table]\nx = 1\n"
    number = 3 + value.count("\n")
    expected = {("first",): 1, ("key",): 2, ("after",): number, ("table",): number + 1, ("table", "x"): number + 2}
    assert tomli.loads(text).keys() == {"first", "key", "after", "table"}
    assert lines_of(text) == expected
    assert lines_of(text.replace("\n", "\r\n")) == expected


@pytest.mark.parametrize(
    ("header", "path"),
    [
        ("[a]", ("a",)),
        ("  [ a . b ]  # [c]", ("a", "b")),
        ('["a.b".c]', ("a.b", "c")),
        ('["x] # y"]', ("x] # y",)),
        ("['x\\']", ("x\\",)),
        ('["a\\"]"]', ('a"]',)),
        ("[[a]]", ("a", 0)),
        ("[[ a.'b]]' ]] # ]]", ("a", "b]]", 0)),
        ("[a]#", ("a",)),
    ],
)
def test_headers(header: str, path: Path) -> None:
    text = f"\n{header}\nkey = 1"
    tomli.loads(text)
    assert lines_of(text)[path] == 2
    assert lines_of(text)[(*path, "key")] == 3


@pytest.mark.parametrize(
    ("key", "path"),
    [
        ("a", ("a",)),
        ("a-b_1", ("a-b_1",)),
        ("1.2", ("1", "2")),
        ("a . b.c", ("a", "b", "c")),
        ('"a=b"', ("a=b",)),
        ("'#'.\"[\"", ("#", "[")),
        ('"a\\"b\\\\"', ('a"b\\',)),
        ('""', ("",)),
        ("'a\"'", ('a"',)),
    ],
)
def test_keys(key: str, path: Path) -> None:
    text = f"# first\n{key} = 1\nlast = 2"
    tomli.loads(text)
    assert lines_of(text) == {**{path[:end]: 2 for end in range(1, len(path) + 1)}, ("last",): 3}


def test_elements_of_arrays_of_tables_are_numbered() -> None:
    text = """[[a]]
id = 1
[a.one]
x = 1
[[a.many]]
x = 1
[[a.many]]
x = 2
[[a]]
[[a.many]]
x = 3
[a.many.deep]
y = 1
[b]
"""
    assert lines_of(text) == {
        ("a",): 1,
        ("a", 0): 1,
        ("a", 0, "id"): 2,
        ("a", 0, "one"): 3,
        ("a", 0, "one", "x"): 4,
        ("a", 0, "many"): 5,
        ("a", 0, "many", 0): 5,
        ("a", 0, "many", 0, "x"): 6,
        ("a", 0, "many", 1): 7,
        ("a", 0, "many", 1, "x"): 8,
        ("a", 1): 9,
        ("a", 1, "many"): 10,
        ("a", 1, "many", 0): 10,
        ("a", 1, "many", 0, "x"): 11,
        ("a", 1, "many", 0, "deep"): 12,
        ("a", 1, "many", 0, "deep", "y"): 13,
        ("b",): 14,
    }


def test_a_table_stands_at_its_header_even_if_it_is_named_before() -> None:
    text = "[a.b.c]\nx = 1\n[a]\ny.z = 1\n"
    lines = lines_of(text)
    assert (lines[("a",)], lines[("a", "b")], lines[("a", "y")]) == (3, 1, 4)


@pytest.mark.parametrize("text", ["", "\n\n", "# only\n", "\r\n# x"])
def test_a_text_without_keys(text: str) -> None:
    assert lines_of(text) == {}


def test_missing_line_is_that_of_the_nearest_enclosing_entry() -> None:
    lines = lines_of("x = 1\n[a]\n[[a.b]]\nc = { d = 1 }\n")
    assert line_of(lines, ("a", "b", 0, "c", "d", "e")) == 4
    assert line_of(lines, ("a", "b", 0, "missing")) == 3
    assert line_of(lines, ("a", "b", 7)) == 3
    assert line_of(lines, ("a", "missing")) == 2
    assert line_of(lines, ("missing", 0)) == 1
    assert line_of(lines, ()) == 1


# -- any text ---------------------------------------------------------------------------------------------------------


@attrs.define
class Writer:
    """Writes a text statement by statement, and notes where each stands."""

    text: str = ""
    lines: dict[Path, int] = attrs.field(factory=dict)

    def gap(self, text: str) -> None:
        self.text += text

    def write(self, path: Path, statement: str) -> None:
        self.lines[path] = self.text.count("\n") + 1
        for end in range(1, len(path)):
            self.lines.setdefault(path[:end], self.lines[path])
        self.text += statement + "\n"


def _key(number: int, name: str) -> tuple[str, str]:
    """How a key is written, and what it then is."""
    written = name.format(f"k{number}") if not name.startswith("é") else f'"é{number}"'
    (parsed,) = tomli.loads(f"{written} = 1")
    return written, parsed


@st.composite
def documents(draw: st.DrawFn) -> Writer:
    made = Writer()
    numbers = iter(range(10_000))

    def keys(table: Path) -> None:
        for _ in range(draw(st.integers(0, 3))):
            made.gap(draw(st.sampled_from(GAPS)))
            parts = [_key(next(numbers), draw(st.sampled_from(NAMES))) for _ in range(draw(st.integers(1, 2)))]
            path = (*table, *(part for _, part in parts))
            made.write(path, f"{' . '.join(part for part, _ in parts)} = {draw(st.sampled_from(VALUES))}")

    keys(())
    for _ in range(draw(st.integers(0, 4))):
        written, name = _key(next(numbers), draw(st.sampled_from(NAMES)))
        if draw(st.booleans()):
            made.write((name,), f" [ {written} ] # ]")
            keys((name,))
            continue
        for index in range(draw(st.integers(1, 3))):
            made.write((name, index), f"[[{written}]]")
            keys((name, index))
            if draw(st.booleans()):
                made.write((name, index, "sub"), f"[{written}.sub]")
                keys((name, index, "sub"))
            for inner in range(draw(st.integers(0, 2))):
                made.write((name, index, "many", inner), f"[[{written} . many]]")
                keys((name, index, "many", inner))
    return made


def _at(document: Any, path: Path) -> Any:
    for part in path:
        document = document[part]
    return document


@given(documents(), st.booleans())
def test_any_document(made: Writer, windows: bool) -> None:
    """What is noted while a text is written is found when it is read, and nothing else."""
    text = made.text.replace("\n", "\r\n") if windows else made.text
    document = tomli.loads(text)
    for path in made.lines:
        _at(document, path)
    assert lines_of(text) == made.lines


@given(st.text(alphabet="ab=.[]{}\"'#\\\n\r ", max_size=60))
def test_whatever_is_toml_can_be_read_and_the_rest_does_no_harm(text: str) -> None:
    lines = lines_of(text)
    assert all(1 <= number <= text.count("\n") + 1 for number in lines.values())
    try:
        document = tomli.loads(text)
    except tomli.TOMLDecodeError:
        return
    assert {path[0] for path in lines} == set(document)
