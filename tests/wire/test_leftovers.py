"""What a class did not take costs little once it has been seen, and never more than it may."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
import pytest

from coldframe.errors import DecodeError
from coldframe.wire import leftovers
from coldframe.wire.account import OrderTradeUpdate
from coldframe.wire.codec import Census, decode, decode_user
from coldframe.wire.leftovers import Seen, plan_of
from coldframe.wire.replies import OrderReply
from coldframe.wire.streams import BookTicker, Kline, Message
from tests.wire.shapes import KINDS, example, written


@pytest.fixture(autouse=True)
def nothing_seen() -> Iterator[None]:
    """Every test begins and ends with classes that have never had an unknown key."""
    kept = {kind: plan_of(kind).seen for kind in KINDS}
    for kind in KINDS:
        plan_of(kind).seen = Seen(kind.__name__)
    yield
    for kind, seen in kept.items():
        plan_of(kind).seen = seen


def never(*_: object, **__: object) -> object:
    raise AssertionError("asked again")


def payload_of(kind: type[Message], literal: str = "", *, key: str = "zz", inside: str = "") -> bytes:
    """The example of a class with the JSON text `literal` under an unknown key, in the object under `inside` if one is named."""
    body = example(kind)
    (body[inside] if inside else body)[key] = "@@@"
    return written(body).replace('"@@@"', literal).encode()


@pytest.mark.parametrize("kind", [BookTicker, OrderReply, OrderTradeUpdate, Kline], ids=lambda kind: kind.__name__)
def test_w23_a_class_is_asked_for_its_fields_only_once(kind: type[Message], monkeypatch: pytest.MonkeyPatch) -> None:
    payload = written(example(kind)).encode()
    first = decode(kind, payload, Census())
    monkeypatch.setattr(msgspec.structs, "fields", never)
    assert decode(kind, payload, Census()) == first


LITERALS = ["1", "0.50", '"0.50"', "null", "[1,2.5]", '{"a":{"b":[{"c":1e-5}]}}', '"12:30:00"', '"{\\"a\\":1}"', "-0"]


@pytest.mark.parametrize("literal", LITERALS)
@pytest.mark.parametrize(("kind", "inside"), [(BookTicker, ""), (OrderTradeUpdate, ""), (OrderTradeUpdate, "o"), (Kline, "k")])
def test_w23_a_key_seen_once_is_not_read_slowly_again(
    kind: type[Message], inside: str, literal: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    payload, census = payload_of(kind, literal, inside=inside), Census()
    first = decode(kind, payload, census)
    monkeypatch.setattr(leftovers, "strictly", never)
    assert decode(kind, payload, census) == first
    assert list(census.unknown.values()) == [2]
    # The same message without the key, and with another value under it.
    assert decode(kind, written(example(kind)).encode(), census).extra is None
    decode(kind, payload_of(kind, '"other"', inside=inside), census)
    assert list(census.unknown.values()) == [3]


def test_several_unknown_keys_at_several_depths_are_learned() -> None:
    body = example(OrderTradeUpdate)
    for number in range(3):
        body[f"x{number}"] = body["o"][f"y{number}"] = number
        decode(OrderTradeUpdate, written(body).encode(), Census())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(leftovers, "strictly", never)
        message = decode(OrderTradeUpdate, written(body).encode(), census := Census())
    assert message.extra == {"x0": 0, "x1": 1, "x2": 2}
    assert message.order.extra == {"y0": 0, "y1": 1, "y2": 2}
    assert sorted(census.unknown) == [f"OrderTradeUpdate.{at}{number}" for at in ("o.y", "x") for number in range(3)]


def test_a_flood_of_new_keys_is_kept_but_not_remembered() -> None:
    for number in range(1000):
        message = decode(BookTicker, payload_of(BookTicker, "1", key=f"k{number}"), Census())
        assert message.extra == {f"k{number}": 1}
    assert len(plan_of(BookTicker).seen.keys) == 64


@pytest.mark.parametrize("key", ["", "é", "k" * 65, "a\\\\b", 'a\\"b'], ids=ascii)
def test_keys_that_a_decoder_may_confuse_are_read_slowly(key: str) -> None:
    for name in (key, "zz", key):
        payload = payload_of(BookTicker, "1", key="@key").replace(b"@key", name.encode())
        assert decode(BookTicker, payload, Census()).extra == msgspec.json.decode(b'{"%b":1}' % name.encode())


@pytest.mark.parametrize("twice", ['"zz":1,"zz":2', '"zz":{"a":1,"a":2}', '"zz":[{"a":1,"a":1}]', '"zz":1,"s":"X"'])
def test_a_doubled_key_is_refused_beside_keys_seen_before(twice: str) -> None:
    for literal in ("1", '{"a":1}', '[{"a":1}]'):
        decode(BookTicker, payload_of(BookTicker, literal), Census())
    payload = written(example(BookTicker)).encode()[:-1] + b",%b}" % twice.encode()
    with pytest.raises(DecodeError, match="stands twice"):
        decode(BookTicker, payload, Census())


OUT_OF_BOUNDS = [
    "1e-99999999999999999999",
    "0e99999999999999999999",
    "-1E+99999999999999999999",
    "1e999999",
    "1e309",
    "-1e9999",
    "1e-401",
    "1e-9999",
    "0.0e-999999999999999999",
    "1." + "1" * 64,
    "9" * 5000,
    "[" * 64 + "]" * 64,
    '{"a":' * 64 + "1" + "}" * 64,
]


@pytest.mark.parametrize("literal", OUT_OF_BOUNDS, ids=lambda literal: literal[:24])
def test_w24_numbers_and_depths_out_of_bounds_are_refused(literal: str) -> None:
    """Before anything is known of the key, and when it has been seen."""
    for _ in range(2):
        for value in (literal, f"[{literal}]", f'{{"deep":{literal}}}'):
            for kind, inside in ((BookTicker, ""), (OrderTradeUpdate, "o")):
                with pytest.raises(DecodeError):
                    decode(kind, payload_of(kind, value, inside=inside), Census())
        with pytest.raises(DecodeError):
            decode_user(b'{"e":"NEW_EVENT","x":%b}' % literal.encode(), Census())
        decode(BookTicker, payload_of(BookTicker, "1.5"), Census())
        decode(OrderTradeUpdate, payload_of(OrderTradeUpdate, "1.5", inside="o"), Census())


def test_what_is_just_inside_the_bounds_is_kept_exactly() -> None:
    for literal in ("1." + "1" * 63, "1e308", "1e-400", "[" * 63 + "]" * 63, "9" * 4000):
        for _ in range(2):
            message = decode(BookTicker, payload_of(BookTicker, literal), Census())
            assert message.extra is not None
            assert str(message.extra["zz"]).replace("E+", "E").lower() == literal
