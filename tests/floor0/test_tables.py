"""The checks of single keys, at and beside their bounds, and what a key says of itself."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any

import attrs
import pytest

from coldframe.config import schema, venue
from coldframe.exchange import settings
from coldframe.tables import DOC, PATH, SECRET, Unfit, between, key, matching, not_negative, one_of, positive

TABLES = [
    kind
    for module in (schema, venue, settings)
    for kind in vars(module).values()
    if isinstance(kind, type) and attrs.has(kind) and kind.__module__ == module.__name__
]


@pytest.mark.parametrize(
    ("check", "good", "bad"),
    [
        (positive, [1, Decimal("0.1"), None], [0, -1, Decimal(0), Decimal("-0.1")]),
        (not_negative, [0, 1, Decimal(0), None], [-1, Decimal("-0.1")]),
        (between(2, 4), [2, 3, 4, Decimal("2.0"), None], [1, 5, Decimal("4.01")]),
        (matching(re.compile("[a-z]+"), "small letters"), ["a", "abc"], ["", "A", "a1", "a\n"]),
        (one_of("on", "off"), ["on", "off"], ["", "On", "on ", "onoff"]),
    ],
)
def test_check_accepts_good_values_and_names_the_key_of_others(check: Any, good: list[Any], bad: list[Any]) -> None:
    table = attrs.make_class("Table", {"amount": key("how much", check=check)}, kw_only=True)
    for value in good:
        assert table(amount=value).amount == value
    for value in bad:
        with pytest.raises(Unfit, match=r"^must ") as unfit:
            table(amount=value)
        assert unfit.value.key == "amount"
        assert str(value).strip() in str(unfit.value)


def test_a_default_that_can_change_is_made_anew() -> None:
    made = attrs.make_class("Table", {"names": key("names", list)}, kw_only=True)
    assert made().names is not made().names


def test_a_key_without_a_default_is_required() -> None:
    made = attrs.make_class("Table", {"amount": key("how much")}, kw_only=True)
    with pytest.raises(TypeError, match="amount"):
        made()


@pytest.mark.parametrize("kind", TABLES, ids=lambda kind: kind.__name__)
def test_every_key_of_every_table_says_what_it_means(kind: type) -> None:
    assert kind.__doc__
    for field in attrs.fields(kind):
        assert len(field.metadata[DOC]) > 5, field.name
        assert not field.metadata[DOC].endswith("."), field.name


def test_files_and_secrets_are_marked() -> None:
    marked = {
        mark: {field.name for kind in TABLES for field in attrs.fields(kind) if field.metadata[mark]} for mark in (PATH, SECRET)
    }
    assert marked[SECRET] == {"api_key", "private_key", "secret"}
    assert {"recording", "keys_dir", "state_dir", "ca_file", "tls_certificate", "tls_key"} <= marked[PATH]
    named = {
        field.name for kind in TABLES for field in attrs.fields(kind) if re.search("_(file|dir)$|^file$|^recording$", field.name)
    }
    assert named <= marked[PATH]


def test_numbers_with_a_unit_carry_it_in_their_name() -> None:
    """A length of time without its unit would be read wrongly sooner or later."""
    for kind in TABLES:
        for field in attrs.fields(kind):
            if re.search(r"\b(milliseconds|seconds)\b", field.metadata[DOC]) and field.type in ("int", "Decimal"):
                assert re.search(r"_(s|ms|1m|10s|per_10s)$", field.name), field.name
