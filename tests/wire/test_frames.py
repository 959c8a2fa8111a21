"""Control frames in both directions, and the envelope that is cut and not parsed."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import DecodeError
from coldframe.wire import frames
from coldframe.wire.frames import METHODS, Control, ControlError, ControlReply
from tests.conftest import needs_shared
from tests.wire.seeds import samples

KNOWN = "expected one of `SUBSCRIBE`, `UNSUBSCRIBE`, `LIST_SUBSCRIPTIONS`, `SET_PROPERTY`, `GET_PROPERTY`"

#: Requests that provoke each row of the seeds' table, in the order of the table, with the very columns that it prints.
ROWS: list[tuple[bytes, ControlError]] = [
    (b'{"method":"SET_PROPERTY","params":["colour",true],"id":7}', ControlError(0, "Unknown property", 7)),
    (b'{"method":"SET_PROPERTY","params":["combined","yes"],"id":7}', ControlError(1, "Invalid value type: expected Boolean", 7)),
    (b'{"method":"GET_PROPERTY","params":[5],"id":7}', ControlError(2, "Invalid request: property name must be a string", 7)),
    (
        b'{"method":"SUBSCRIBE","params":["btcusdt@depth"]}',
        ControlError(2, "Invalid request: request ID must be an unsigned integer"),
    ),
    (
        b'{"id":1,"method":"SUBSCRIBR","params":["btcusdt@depth"]}',
        ControlError(2, f"Invalid request: unknown variant SUBSCRIBR, {KNOWN} at line 1 column 28"),
    ),
    (
        b'{"method":"LIST_SUBSCRIPTIONS","params":["btcusdt@depth"],"id":7}',
        ControlError(2, "Invalid request: too many parameters", 7),
    ),
    (b'{"method":"GET_PROPERTY","id":7}', ControlError(2, "Invalid request: property name must be a string", 7)),
    (
        b'{"id":1,"params":["btcusdt@aggTrade","ethusdt@aggTrade","bnbusdt@depth"]}',
        ControlError(2, "Invalid request: missing field `method` at line 1 column 73"),
    ),
    (b'{"method":"SUBSCRIBE",,"id":7}', ControlError(3, "Invalid JSON: expected value at line 1 column 23")),
]


@pytest.mark.parametrize(("frame", "error"), ROWS, ids=[str(row[1].msg[:40]) for row in ROWS])
def test_each_row_of_the_error_table(frame: bytes, error: ControlError) -> None:
    assert frames.parse_control(frame) == error


@needs_shared
def test_the_rows_are_those_of_the_seeds() -> None:
    table = [sample.value for sample in samples() if sample.chapter.startswith("LIVE") and "msg" in sample.value]
    assert len(table) == len(ROWS) == 9
    for row, (_, error) in zip(table, ROWS, strict=True):
        assert row["code"] == error.code
        blanks = ["SUBSCRIBR"] if "variant" in row["msg"] else ["1", "23"]
        assert row["msg"].replace("%s", "{}").format(*blanks) == error.msg


@pytest.mark.parametrize(
    ("frame", "msg"),
    [
        (b'{"method":"SUBSCRIBE","params":["a@trade",5],"id":1}', "Invalid request: stream name must be a string"),
        (b'{"method":"UNSUBSCRIBE","params":[null],"id":1}', "Invalid request: stream name must be a string"),
        (b'{"method":"SET_PROPERTY","params":[],"id":1}', "Invalid request: property name must be a string"),
        (b'{"method":"SET_PROPERTY","params":["combined"],"id":1}', "Invalid value type: expected Boolean"),
        (b'{"method":"SET_PROPERTY","params":["combined",1],"id":1}', "Invalid value type: expected Boolean"),
        (b'{"method":"SET_PROPERTY","params":["combined",true,1],"id":1}', "Invalid request: too many parameters"),
        (b'{"method":"GET_PROPERTY","params":["combined",true],"id":1}', "Invalid request: too many parameters"),
        (b'{"method":"GET_PROPERTY","params":["colour"],"id":1}', "Unknown property"),
        (b'{"method":null,"id":1}', "Invalid request: missing field `method` at line 1 column 22"),
        (b'["SUBSCRIBE"]', "Invalid request: request must be an object"),
        (b"{", "Invalid JSON: expected value at line 1 column 2"),
        (b'{\n"method":}', "Invalid JSON: expected value at line 2 column 10"),
        (b"", "Invalid JSON: expected value at line 1 column 1"),
        (b'{"method":"SUBSCRIBE","params":["\xff"],"id":1}', "Invalid JSON: expected value at line 1 column 45"),
        (b'{"method":"subscribe","id":1}', f"Invalid request: unknown variant subscribe, {KNOWN} at line 1 column 21"),
        (b'{"method":5,"id":1}', f"Invalid request: unknown variant 5, {KNOWN} at line 1 column 11"),
    ],
)
def test_other_faults_are_told_in_the_same_words(frame: bytes, msg: str) -> None:
    error = frames.parse_control(frame)
    assert isinstance(error, ControlError)
    assert error.msg == msg


@pytest.mark.parametrize(
    "request_id",
    [0, 1, 312, 2**31, 2**63 - 1, "9ca10e58-7452-467e-9454-f669bb9c764e", "9CA10E587452467E9454F669BB9C764E", "deadbeef"],
)
def test_ids_that_clients_in_use_send_are_taken(request_id: int | str) -> None:
    frame = json.dumps({"method": "SUBSCRIBE", "params": ["btcusdt@depth"], "id": request_id}).encode()
    assert frames.parse_control(frame) == Control("SUBSCRIBE", ("btcusdt@depth",), request_id)


@pytest.mark.parametrize(
    "request_id", ["-1", "null", "1.5", "1.0", "1e3", "true", "false", '""', '"abc"', '"my request"', "[1]", "{}"]
)
def test_other_ids_are_refused(request_id: str) -> None:
    error = frames.parse_control(b'{"method":"SUBSCRIBE","params":[],"id":%b}' % request_id.encode())
    assert error == ControlError(2, "Invalid request: request ID must be an unsigned integer")


def test_a_lone_parameter_counts_as_a_list_of_one() -> None:
    assert frames.parse_control(b'{"method":"SUBSCRIBE","params":"a@trade","id":1}') == Control("SUBSCRIBE", ("a@trade",), 1)


def test_a_bomb_of_brackets_is_only_invalid_json() -> None:
    error = frames.parse_control(b"[" * 200_000)
    assert isinstance(error, ControlError)
    assert error.code == 3


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(["method", "params", "id", "zz"]), st.sampled_from([*METHODS, []]) | JSON_VALUES))
def test_any_object_is_a_request_or_an_error(body: dict[str, Any]) -> None:
    control = frames.parse_control(json.dumps(body).encode())
    if isinstance(control, Control):
        assert control.method == body["method"]
        assert type(control.id) in (int, str)
        assert control.id == body["id"]


@given(st.binary(max_size=60))
def test_any_bytes_are_a_control_message_or_a_decode_error(frame: bytes) -> None:
    assert isinstance(frames.parse_control(frame), Control | ControlError)
    with contextlib.suppress(DecodeError):
        frames.parse_reply(frame)


@given(st.sampled_from(["SUBSCRIBE", "UNSUBSCRIBE"]), st.lists(st.text(max_size=20), max_size=4), st.integers(0, 2**63 - 1))
def test_what_the_client_builds_the_venue_reads(method: str, names: list[str], request_id: int) -> None:
    assert frames.parse_control(frames.control_frame(method, names, request_id)) == Control(method, tuple(names), request_id)


# -- answers ----------------------------------------------------------------------------------------------------------


@given(JSON_VALUES, st.integers(0, 2**63 - 1) | st.uuids().map(str))
def test_what_the_venue_answers_the_client_reads(result: Any, request_id: int | str) -> None:
    reply = frames.parse_reply(frames.reply_frame(request_id, result))
    assert (reply.id, reply.error) == (request_id, None)
    assert json.loads(json.dumps(reply.result, default=float)) == result


@given(st.integers(-(2**31), 2**31), st.text(max_size=20), st.none() | st.integers(0, 2**63 - 1))
def test_errors_come_back_with_their_id(code: int, msg: str, request_id: int | None) -> None:
    error = ControlError(code, msg, request_id)
    assert frames.parse_reply(frames.error_frame(error)) == ControlReply(request_id, error=error)


def test_an_error_is_read_in_the_documented_form_too() -> None:
    assert frames.parse_reply(b'{"code":0,"msg":"Unknown property"}').error == ControlError(0, "Unknown property")
    assert frames.parse_reply(b'{"error":{"code":4,"msg":"Too many subscriptions"}}').error == ControlError(
        4, "Too many subscriptions"
    )


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"null",
        b"[]",
        b"{}",
        b'{"id":1}',
        b'{"e":"aggTrade"}',
        b'{"result":null,"id":1.5}',
        b'{"result":null,"id":[1]}',
        b'{"result":null,"id":1,"id":2}',
        b'{"error":"no","id":1}',
        b'{"error":{"code":"2","msg":"x"}}',
        b'{"error":{"code":2}}',
        b'{"error":{"code":2,"msg":null}}',
        b'{"result":NaN,"id":1}',
        b'{"result":1e400,"id":1}',
        b'{"result":null,"id":1}x',
        b'{"result":"\xff","id":1}',
        b'{"result":' + b"[" * 100_000,
    ],
)
def test_what_is_no_answer_is_a_decode_error(frame: bytes) -> None:
    with pytest.raises(DecodeError):
        frames.parse_reply(frame)


# -- the envelope -----------------------------------------------------------------------------------------------------


@given(st.text(max_size=20), JSON_VALUES)
def test_an_envelope_is_cut_into_what_a_full_parse_finds(name: str, value: Any) -> None:
    payload = json.dumps(value, separators=(",", ":")).encode()
    frame = frames.envelope(name, payload)
    assert json.loads(frame) == {"stream": name, "data": value}
    needs_escape = any(c in '"\\' or c < " " for c in name)
    assert frames.cut_envelope(frame) == (None if needs_escape else (name, payload))


PIECES = st.sampled_from(
    [
        b'{"stream":"',
        b'","data":',
        b'"data":',
        b'"stream":',
        b"}",
        b"{",
        b'"',
        b"\\",
        b",",
        b" ",
        b"\\u0022",
        b"a@trade",
        b'"e":1',
        b"[]",
        b"1",
    ]
)
WHOLE = st.lists(PIECES, max_size=8).map(b"".join)


@given(WHOLE | st.binary(max_size=10), WHOLE, st.sampled_from([b"", b"}", b"}}", b"} "]))
def test_cut_payload_equals_what_a_full_parse_gives(name: bytes, payload: bytes, end: bytes) -> None:
    frame = b'{"stream":"' + name + b'","data":' + payload + end
    cut = frames.cut_envelope(frame)
    if cut is None:
        return
    try:
        value = json.loads(cut[1])
    except ValueError:
        return  # refused one step later, by the decoder of the payload
    if all(c >= " " for c in cut[0]):
        assert json.loads(frame, object_pairs_hook=list) == [
            ("stream", cut[0]),
            ("data", json.loads(cut[1], object_pairs_hook=list)),
        ]
        assert json.loads(frame)["data"] == value


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"{}",
        b'{"stream":"a@trade"}',
        b'{"data":{},"stream":"a@trade"}',
        b'{ "stream":"a@trade","data":{}}',
        b'{"stream":"a@trade","data":{}} ',
        b'{"stream":"a","e":1,"x","data":{}}',
        b'{"stream":"a\\"b","data":{}}',
        b'{"stream":"\xff","data":{}}',
        b'{"result":null,"id":1}',
    ],
)
def test_a_frame_in_another_form_is_not_cut(frame: bytes) -> None:
    assert frames.cut_envelope(frame) is None
