"""Random payloads: the fast path of the codec against a slow reading by `json`, and mangled bytes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.errors import DecodeError
from coldframe.wire import account, codec, reference
from coldframe.wire.leftovers import Seen, fields_taken, plan_of
from coldframe.wire.streams import Message
from coldframe.wire.strict import MOST_NESTED, keys_in
from tests.examples import examples
from tests.wire.shapes import Pairs, example, fields, payloads, written
from tests.wire.test_codec import READERS, decoder, refused

# -- the fast path against a slow one ---------------------------------------------------------------------------------


def taken_by(kind: type[Message], tree: Any) -> bool:
    """Slowly: whether the class has a place for every key of `tree`, and no key stands twice."""
    keys = [key for key, _ in tree]
    known = {field.encode_name: field for field in fields(kind)}
    if len(set(keys)) != len(keys) or set(keys) - set(known):
        return False
    for key, value in tree:
        classes = [leaf for leaf in _leaves(known[key].type) if isinstance(leaf, type) and issubclass(leaf, Message)]
        for row in value if isinstance(value, list) and not isinstance(value, Pairs) else [value]:
            if isinstance(row, Pairs) and row and not (classes and taken_by(classes[0], row)):
                return False
    return True


def _leaves(annotation: Any) -> list[Any]:
    return [leaf for part in annotation.__args__ for leaf in _leaves(part)] if hasattr(annotation, "__args__") else [annotation]


def keys_beyond(kind: type[Message], message: Any, tree: dict[str, Any], path: str) -> Counter[str]:
    """Slowly: the unknown keys of a payload as the census names them; checks on the way that `extra` holds them."""
    known = {field.encode_name: field for field in fields(kind)}
    unknown = {key: value for key, value in tree.items() if key not in known}
    assert message.extra == (unknown or None)
    found = Counter(f"{path}.{key[:40]}" for key in unknown)
    for key in set(tree) & set(known):
        value = getattr(message, known[key].name)
        for row, given_ in zip(value, tree[key], strict=True) if isinstance(value, list) else ((value, tree[key]),):
            if isinstance(row, Message):
                found += keys_beyond(type(row), row, given_, f"{path}.{key}")
    return found


#: Strategies are made once: making one costs more than drawing from it.
PAYLOADS, UP_TO_THREE = payloads(), st.integers(0, 3)
ADDED = st.sampled_from([1, None, "t", [1], {"k": 1}, Pairs([("k", 1), ("k", 2)])])
UNUSUAL_KEYS = st.sampled_from(["zz", "E", "e", "s", "o", 'a":1', "", " extra", "\u00e9", "x" * 50])


@st.composite
def disturbed(draw: st.DrawFn) -> tuple[type[Message], Any]:
    """A valid payload with a few keys added, some of them a second time, at any depth."""
    kind, body = draw(PAYLOADS)
    tree = paired(body)
    objects = list(pairs_in(tree))
    for _ in range(draw(UP_TO_THREE)):
        pairs = objects[draw(st.integers(0, len(objects) - 1))]
        added = draw(ADDED)
        pairs.insert(draw(st.integers(0, len(pairs))), (draw(UNUSUAL_KEYS), added))
    return kind, tree


def paired(value: Any) -> Any:
    """The same JSON with every object as `Pairs`."""
    if isinstance(value, list):
        return [paired(row) for row in value]
    return Pairs((key, paired(inner)) for key, inner in value.items()) if isinstance(value, dict) else value


def pairs_in(tree: Any) -> Iterator[Pairs]:
    if isinstance(tree, Pairs):
        yield tree
        for _, value in tree:
            yield from pairs_in(value)
    elif isinstance(tree, list):
        for row in tree:
            yield from pairs_in(row)


@settings(max_examples=examples(1500))
@given(disturbed(), st.sampled_from(["", "", "", " ", "\n"]))
def test_fast_path_accepts_a_batch_only_if_the_slow_path_does(case: tuple[type[Message], Any], gap: str) -> None:
    kind, tree = case
    payload = written(tree, gap).encode()
    try:
        message = codec.decode(kind, payload, codec.Census())
    except DecodeError:
        return
    read = json.loads(payload, object_pairs_hook=Pairs)
    taken = taken_by(kind, read)
    fast = keys_in(payload) == fields_taken(message, plan_of(kind))
    assert taken or not fast
    quiet = payload.count(b":") == sum(len(pairs) for pairs in pairs_in(read))
    assert fast or not (quiet and taken and kind not in (reference.SymbolInfo, reference.ExchangeInfo))


@settings(max_examples=examples(1500))
@given(disturbed(), st.sampled_from(["", " "]))
def test_what_a_slow_reading_finds_is_what_was_kept_and_counted(case: tuple[type[Message], Any], gap: str) -> None:
    kind, tree = case
    payload, census = written(tree, gap).encode(), codec.Census()
    try:
        message = codec.decode(kind, payload, census)
    except DecodeError:
        return
    levels = list(pairs_in(json.loads(payload, object_pairs_hook=Pairs)))
    assert all(len(dict(pairs)) == len(pairs) for pairs in levels)
    slow = json.loads(payload)
    words = Counter({what: count for what, count in census.unknown.items() if "=" in what})
    assert Counter(census.unknown) - words == keys_beyond(kind, message, slow, kind.__name__)


@settings(max_examples=examples(1500))
@given(disturbed(), st.sampled_from(["", "", " "]))
def test_keys_seen_before_are_kept_as_a_slow_reading_keeps_them(case: tuple[type[Message], Any], gap: str) -> None:
    kind, tree = case
    payload, told = written(tree, gap).encode(), []
    # First whatever other payloads have taught is known, then nothing, then the keys of this payload.
    for forget in (False, True, False):
        if forget:
            plan_of(kind).seen = Seen(kind.__name__)
        census = codec.Census()
        try:
            told.append((codec.decode(kind, payload, census), census.unknown))
        except DecodeError as error:
            told.append((str(error), census.unknown))
    assert told[0] == told[1] == told[2]
    assert plan_of(kind).seen.decode is not None or not any(what.endswith(".zz") for what in told[0][1])


@pytest.mark.parametrize("depth", [1, 58, 59, 60, 61, 62, 63, 64, 65])
def test_depth_counts_from_the_top_however_often_a_key_was_seen(depth: int) -> None:
    """Under a key inside a position inside a report; whether the key is known by now makes no difference."""
    payload = written(example(account.AccountUpdate)).replace('"s":', '"zz":' + "[" * depth + "]" * depth + ',"s":', 1).encode()
    plain = payload.replace(b"[" * depth + b"]" * depth, b"1")
    outcomes = []
    for taught in (False, True):
        plan_of(account.AccountUpdate).seen = Seen("AccountUpdate")
        if taught:
            codec.decode(account.AccountUpdate, plain, codec.Census())
        try:
            outcomes.append(codec.decode(account.AccountUpdate, payload, codec.Census()))
        except DecodeError as error:
            outcomes.append(str(error))
    assert outcomes[0] == outcomes[1]
    assert isinstance(outcomes[0], str) == (depth > MOST_NESTED - 4)


# -- fuzz -------------------------------------------------------------------------------------------------------------

#: Pieces that are out of place almost everywhere.
JUNK = st.sampled_from(
    [
        *(b"null", b"true", b"1e400", b"NaN", b"-", b"1" * 400, b'"1_0"', b'"\xd9\xa1"', b'"NaN"', b'""', b"[]", b"{}", b"[[["),
        *(b'"\\ud800"', b"\xff", b"\x00", b" ", b"\n", b'"', b"\\", b"{", b"}", b"[", b"]", b":", b","),
        *(b'"E":1,', b'"zz":{"a":1,"a":2},', b'"\\u0065":"x",'),
    ]
)


#: What stands in place of a piece; None: the piece, twice.
INSTEAD = JUNK | st.binary(max_size=3) | st.none()
DISTURBED, GAPS, ONE_TO_THREE, UP_TO_TWELVE = disturbed(), st.sampled_from(["", " "]), st.integers(1, 3), st.integers(0, 12)


@st.composite
def mangled(draw: st.DrawFn) -> tuple[type[Message], bytes]:
    """The bytes of a valid payload with a few pieces cut out, doubled, or replaced."""
    kind, tree = draw(DISTURBED)
    payload = written(tree, draw(GAPS)).encode()
    for _ in range(draw(ONE_TO_THREE)):
        start = draw(st.integers(0, len(payload)))
        end = min(len(payload), start + draw(UP_TO_TWELVE))
        middle = draw(INSTEAD)
        payload = payload[:start] + (payload[start:end] * 2 if middle is None else middle) + payload[end:]
    return kind, payload


@settings(max_examples=examples(2500))
@given(mangled())
def test_a_mangled_payload_is_a_message_or_a_decode_error(case: tuple[type[Message], bytes]) -> None:
    kind, payload = case
    for decode in (decoder(kind), READERS["user"], READERS["stream"], READERS["api reply"], READERS["recording"]):
        refused(decode, payload)


@settings(max_examples=examples(600))
@given(st.binary(max_size=80) | st.text(max_size=60).map(str.encode))
def test_w8_arbitrary_bytes_are_a_message_or_a_decode_error(payload: bytes) -> None:
    for decode in READERS.values():
        refused(decode, payload)
