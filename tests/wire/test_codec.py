"""Any bytes become a message or a `DecodeError`; nothing the venue said is lost; numbers are numbers.

These tests go through every place of every class of the wire (`tests.wire.shapes`); the random ones stand in `test_codec_random`.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from coldframe.enums import OpenEnum
from coldframe.errors import DecodeError
from coldframe.wire import account, api, codec, names, recording, reference, streams, strict
from coldframe.wire.streams import Message
from tests.wire.shapes import KINDS, Pairs, Path, Sort, at, example, fields, inner, places, with_literal, written

every_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)


def exactly(text: bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


def refused(decode: Callable[[bytes], object], payload: bytes) -> bool:
    """Whether a payload is refused in the one way allowed, with the payload kept in the error."""
    try:
        decode(payload)
    except DecodeError as error:
        raw = error.raw
    else:
        return False
    assert raw or not payload
    return True


def decoder(kind: type[Message]) -> Callable[[bytes], Message]:
    return lambda payload: codec.decode(kind, payload, codec.Census())


# -- every class ------------------------------------------------------------------------------------------------------


@every_kind
@pytest.mark.parametrize("gap", ["", " ", "\n\t\r "], ids=["tight", "space", "lines"])
def test_a_full_example_decodes_and_comes_back_as_it_was(kind: type[Message], gap: str) -> None:
    body, census = example(kind), codec.Census()
    message = codec.decode(kind, written(body, gap).encode(), census)
    assert exactly(codec.encode(message)) == body
    assert message.extra is None
    assert not census.unknown


@every_kind
def test_w9_required_keys_are_required_and_optional_keys_are_not(kind: type[Message]) -> None:
    body = example(kind)
    for field in fields(kind):
        less = {key: value for key, value in body.items() if key != field.encode_name}
        if field.required:
            assert refused(decoder(kind), written(less).encode())
        else:
            message = decoder(kind)(written(less).encode())
            assert getattr(message, field.name) is msgspec.UNSET
            assert exactly(codec.encode(message)) == less


NO_NUMBER = [
    "NaN",
    "Infinity",
    "-Infinity",
    "1e400",
    "-1e400",
    "1e5000",
    "1e-99999999999999999999",
    "0e-999999999999999999",
    "1e-999999999999999999",
    "1" * 5000,
    "+1",
    "1_0",
    "\u0661",
    "01",
    "1.",
    ".5",
    "0x10",
    '""',
    '"NaN"',
    '"nan"',
    '"sNaN"',
    '"Infinity"',
    '"-inf"',
    '"1e5"',
    '"1E400"',
    '"+1"',
    '"1_0"',
    '"\u0661"',
    '"\uff11"',
    '"1\u0660"',
    '" 1"',
    '"1 "',
    r'"1\n"',
    r'"1\u0000"',
    '"1."',
    '".5"',
    '"-"',
    '"--1"',
    '"1,000"',
    '"0x10"',
    '"1/2"',
    '"' + "1" * 5000 + '"',
    "true",
    "[]",
    "{}",
]
LITERALS: dict[Sort, list[str]] = {
    Sort.NUMBER: [*NO_NUMBER, "1", "0.5", '"' + "1" * 25 + '"', '"0.' + "1" * 19 + '"'],
    Sort.MAYBE_NUMBER: [text for text in [*NO_NUMBER, "1", "0.5"] if text != '""'],
    Sort.LEVEL_NUMBER: [*NO_NUMBER, "1", "0.5", '"-1"', '"' + "1" * 19 + '"', '"0.' + "1" * 13 + '"', "null"],
    Sort.INTEGER: [*NO_NUMBER, '"1"', "1.0", "1.5", "1e3", str(2**63), str(-(2**63) - 1), "1" * 30],
    Sort.MOMENT: [*NO_NUMBER, "0", str(10**12 - 1), str(10**13 + 1), str(2**63), "-1700000000000", '"1700000000000"'],
    Sort.DECIMAL: [*NO_NUMBER, "1" * 25, "0." + "1" * 19, "1e30", "1e-30"],
}


@every_kind
def test_w13_malformed_number_is_refused_in_every_number_field(kind: type[Message]) -> None:
    for path, sort, _ in places(kind):
        for literal in LITERALS.get(sort, ()):
            assert refused(decoder(kind), with_literal(kind, path, literal)), (path, literal[:40])


@every_kind
def test_numbers_at_the_allowed_limits_are_read_exactly(kind: type[Message]) -> None:
    edge = {
        Sort.NUMBER: [f'"{"9" * 24}.{"9" * 18}"', f'"-{"9" * 24}"', '"-0"', '"007.10"'],
        Sort.MAYBE_NUMBER: ['""', '"0.00010000"'],
        Sort.LEVEL_NUMBER: [f'"{"9" * 18}.{"9" * 12}"', '"0"', '"0.000000000001"'],
        Sort.INTEGER: [str(2**63 - 1), str(-(2**63)), "0"],
        Sort.MOMENT: [str(10**12), str(10**13)],
        Sort.DECIMAL: ["0", "5000", "0.025", "-1.5", "9" * 24, "0." + "1" * 18],
    }
    for path, sort, _ in places(kind):
        for literal in edge.get(sort, ()):
            message = decoder(kind)(with_literal(kind, path, literal))
            assert exactly(codec.encode(message)) == exactly(with_literal(kind, path, literal)), (path, literal)


@every_kind
def test_w9_null_is_refused_where_it_is_not_foreseen(kind: type[Message]) -> None:
    for path, sort, nullable in places(kind):
        if path and (sort is not Sort.OTHER or isinstance(at(example(kind), path), str | bool)):
            untyped = at(example(kind), path) == "anything" or path[-1] == "filterType"
            payload = with_literal(kind, path, "null")
            assert refused(decoder(kind), payload) is not (nullable or untyped), path


@every_kind
def test_w9_unknown_keys_are_kept_and_counted_at_every_depth(kind: type[Message]) -> None:
    depths = [path for path, sort, _ in places(kind) if sort is Sort.OBJECT]
    for path in depths:
        body, census = example(kind), codec.Census()
        at(body, path)["zz"] = {"deep": ["0.10", 1, {"deeper": None}]}
        message = codec.decode(kind, written(body).encode(), census)
        assert inner(message, path).extra == {"zz": {"deep": ["0.10", 1, {"deeper": None}]}}
        where = ".".join([kind.__name__, *(str(step) for step in path if isinstance(step, str)), "zz"])
        assert census.unknown == {where: 1}
        assert all(inner(message, other).extra is None for other in depths if other != path)


@every_kind
def test_w15_a_key_that_stands_twice_is_refused_at_every_depth(kind: type[Message]) -> None:
    for path in [path for path, sort, _ in places(kind) if sort is Sort.OBJECT]:
        here = at(example(kind), path)
        for key in [*here, "zz"]:
            pairs = Pairs([*here.items(), ("zz", 1), (key, here.get(key, 2))])
            literal = written(pairs)
            payload = with_literal(kind, path, literal) if path else literal.encode()
            assert refused(decoder(kind), payload), (path, key)
        # inside an unknown value, too
        literal = written({**here, "zz": [Pairs([("a", 1), ("a", 1)])]})
        assert refused(decoder(kind), with_literal(kind, path, literal) if path else literal.encode())


@every_kind
def test_w10_unknown_words_are_kept_and_counted(kind: type[Message]) -> None:
    for path, sort, _ in places(kind):
        if sort is Sort.WORD:
            census, payload = codec.Census(), with_literal(kind, path, '"NEW_WORD"')
            message = codec.decode(kind, payload, census)
            word = inner(message, path)
            assert isinstance(word, OpenEnum)
            assert (str(word), word.known) == ("NEW_WORD", False)
            assert list(census.unknown.values()) == [1]
            assert next(iter(census.unknown)).endswith(f".{path[-1]}=NEW_WORD")
            assert exactly(codec.encode(message)) == exactly(payload)


BROKEN_TEXT = ['"\xff"', '"\\ud800"', '"\\ud800\\u0041"', '"\ud800"', '"\x01"', '"\\x41"', '"open']


@pytest.mark.parametrize("literal", BROKEN_TEXT, ids=ascii)
@pytest.mark.parametrize("key", ["s", "zz"], ids=["known", "unknown"])
def test_w8_broken_text_is_refused_in_known_and_unknown_places(literal: str, key: str) -> None:
    encoding = "latin-1" if "\xff" in literal else "utf-8"
    body = {**example(streams.AggTrade), key: "@@@"}
    payload = written(body).encode().replace(b'"@@@"', literal.encode(encoding, "surrogatepass"))
    assert refused(decoder(streams.AggTrade), payload)
    assert refused(decoder(streams.AggTrade), payload.replace(b'"' + key.encode() + b'"', b"\xff"))


def test_numbers_in_unknown_keys_stay_exact_or_are_refused() -> None:
    def extra(literal: str) -> object:
        body = written({**example(streams.AggTrade), "zz": "@@@"}).replace('"@@@"', literal)
        message = decoder(streams.AggTrade)(body.encode())
        assert message.extra is not None
        return message.extra["zz"]

    for literal in ("0.1", "0.30", "123456789.123456789123456789"):
        assert str(extra(literal)) == literal
    assert extra("12345678901234567890") == 12345678901234567890
    for literal in ("NaN", "Infinity", "1e400", "-1e400", "1" * 5000, "1_0", "+1"):
        with pytest.raises(DecodeError):
            extra(literal)


@pytest.mark.parametrize("bomb", [b"[" * 100_000, b'{"a":' * 100_000, b'{"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}"])
def test_w14_a_bomb_of_brackets_is_refused(bomb: bytes) -> None:
    inside = written(example(streams.AggTrade)).encode()[:-1] + b',"zz":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    for payload in (bomb, inside):
        for decode in READERS.values():
            assert refused(decode, payload)


def replaced(path: Path, junk: bytes, kind: type[Message]) -> bytes:
    return with_literal(kind, path, "@@").replace(b"@@", junk)


@every_kind
def test_junk_in_any_field_gives_a_message_or_a_decode_error(kind: type[Message]) -> None:
    for path, _, _ in places(kind):
        if path:
            for junk in (
                b"null",
                b"true",
                b"1",
                b"1e400",
                b"-1",
                b'"x"',
                b'""',
                b"[]",
                b"[1]",
                b"{}",
                b'{"a":1,"a":1}',
                b"[" * 5000,
                b"\xff",
            ):
                refused(decoder(kind), replaced(path, junk, kind))


# -- streams and user events ------------------------------------------------------------------------------------------


def stream_reader(written_name: str) -> Callable[[bytes], object]:
    name = names.parse(written_name)
    return lambda payload: codec.decode_stream(name, payload, codec.Census())


#: Every reader of the wire that takes bytes and may only answer with a `DecodeError`.
READERS: dict[str, Callable[[bytes], object]] = {
    **{
        kind.__name__: decoder(kind)
        for kind in (streams.AggTrade, streams.DepthUpdate, streams.ContractInfo, reference.ExchangeInfo)
    },
    "list": lambda payload: codec.decode_list(streams.Ticker, payload, codec.Census()),
    "stream": stream_reader("btcusdt@kline_1m"),
    "all-market": stream_reader("!ticker@arr"),
    "user": lambda payload: codec.decode_user(payload, codec.Census()),
    "api request": api.parse_request,
    "api reply": api.parse_reply,
    "recording": recording.parse_line,
    "plain": strict.strictly,
}


def test_an_array_holds_as_many_messages_as_it_has_rows() -> None:
    name, row = names.parse("!miniTicker@arr"), written(example(streams.MiniTicker)).encode()
    for payload, count in ((b"[]", 0), (b"[%b]" % row, 1), (b" [ %b ,\n%b ] " % (row, row), 2)):
        assert len(codec.decode_stream(name, payload, codec.Census())) == count
    assert len(codec.decode_stream(name, row, codec.Census())) == 1
    for broken in (b"[%b,]" % row, b"[%b" % row, b"[1]", b"[null]", b'["%b"]', b"[[%b]]" % row, b""):
        assert refused(stream_reader("!miniTicker@arr"), broken)


def test_rows_of_an_array_are_looked_at_one_by_one() -> None:
    census, row = codec.Census(), example(streams.MiniTicker)
    payload = written([row, {**row, "zz": 1}, row]).encode()
    messages = codec.decode_list(streams.MiniTicker, payload, census)
    assert [message.extra for message in messages] == [None, {"zz": 1}, None]
    assert census.unknown == {"MiniTicker.zz": 1}


USER_EVENTS: dict[str, type[Message]] = {
    "ORDER_TRADE_UPDATE": account.OrderTradeUpdate,
    "TRADE_LITE": account.TradeLite,
    "ACCOUNT_UPDATE": account.AccountUpdate,
    "MARGIN_CALL": account.MarginCall,
    "ACCOUNT_CONFIG_UPDATE": account.AccountConfigUpdate,
    "listenKeyExpired": account.ListenKeyExpired,
    "ALGO_UPDATE": account.AlgoUpdate,
    "CONDITIONAL_ORDER_TRIGGER_REJECT": account.ConditionalOrderTriggerReject,
    "STRATEGY_UPDATE": account.StrategyUpdate,
    "GRID_UPDATE": account.GridUpdate,
    "serverShutdown": account.ServerShutdown,
}


@pytest.mark.parametrize("event", USER_EVENTS)
def test_a_user_event_is_read_bare_and_in_its_envelopes(event: str) -> None:
    body = {**example(USER_EVENTS[event]), "e": event}
    for shape in (body, {"stream": "a listen key", "data": body}, {"event": body}):
        for gap in ("", " "):
            census = codec.Census()
            message = codec.decode_user(written(shape, gap).encode(), census)
            assert type(message) is USER_EVENTS[event]
            assert exactly(codec.encode(message)) == body
            assert not census.unknown


@pytest.mark.parametrize("event", USER_EVENTS)
def test_doubled_key_of_a_user_event_is_refused_in_envelopes_too(event: str) -> None:
    body = {**example(USER_EVENTS[event]), "e": event}
    for key in body:
        twice = Pairs([*body.items(), (key, body[key])])
        for shape in (
            twice,
            {"stream": "k", "data": twice},
            {"event": twice},
            Pairs([("stream", "k"), ("data", body), ("data", body)]),
        ):
            assert refused(READERS["user"], written(shape).encode())


def test_w11_an_unknown_event_keeps_everything_and_is_counted() -> None:
    body = {"e": "NEW_EVENT", "E": 7, "x": {"p": "0.10", "bare": Decimal("0.10")}}
    for shape in (body, {"stream": "k", "data": body}):
        census = codec.Census()
        message = codec.decode_user(written(shape).encode(), census)
        assert message == account.UnknownEvent(event="NEW_EVENT", extra={"E": 7, "x": {"p": "0.10", "bare": Decimal("0.10")}})
        assert census.unknown == {"event NEW_EVENT": 1}


def test_an_algo_update_under_its_older_key_is_understood() -> None:
    body = {**example(account.AlgoUpdate), "e": "ALGO_UPDATE"}
    older = {("ao" if key == "o" else key): value for key, value in body.items()}
    census = codec.Census()
    assert codec.decode_user(written(older).encode(), census) == codec.decode_user(written(body).encode(), census)
    assert not census.unknown


@pytest.mark.parametrize(
    "payload", [b"", b"null", b"[]", b"1", b"{}", b'{"e":5}', b'{"e":null}', b'{"stream":"k","data":[]}', b'{"event":{}}']
)
def test_what_is_no_user_event_is_refused(payload: bytes) -> None:
    assert refused(READERS["user"], payload)


def test_the_census_counts_and_cannot_be_grown_without_end() -> None:
    census = codec.Census()
    for at_ in range(3):
        codec.decode_user(b'{"e":"SAME","E":%d}' % at_, census)
    assert census.unknown["event SAME"] == 3
    for number in range(5000):
        census.count(f"word {number}")
    assert len(census.unknown) == 1000
    census.count("event SAME")
    assert census.unknown["event SAME"] == 4
    codec.decode_user(b'{"e":"%b"}' % (b"x" * 10_000), fresh := codec.Census())
    assert len(next(iter(fresh.unknown))) < 60
