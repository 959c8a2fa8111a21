"""Lines of a recording: what is written is read back byte for byte, and anything else is refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.errors import DecodeError
from coldframe.wire.recording import parse_line, snapshot_line, stream_line
from tests.wire.shapes import payloads, written

NAMES = st.text(max_size=20)
TIMES = st.integers(0, 2**63 - 1)


@given(TIMES, NAMES, payloads(), st.sampled_from(["", " "]))
def test_a_stream_line_keeps_its_payload_byte_for_byte(at_ns: int, name: str, case: tuple[Any, Any], gap: str) -> None:
    payload = written(case[1], gap).encode()
    line = stream_line(at_ns, name, payload)
    assert b"\n" not in line
    assert json.loads(line)["stream"] == name
    parsed = parse_line(line)
    assert (parsed.t, parsed.stream, parsed.payload) == (at_ns, name, payload)
    assert not isinstance(parsed.snapshot, str)


@given(TIMES, NAMES)
def test_a_snapshot_line_keeps_its_body(at_ns: int, symbol: str) -> None:
    body = b'{"lastUpdateId":1,"bids":[["1.0","2"]],"asks":[]}'
    for end in (b"", b"\n", b"\r\n"):
        parsed = parse_line(snapshot_line(at_ns, symbol, body) + end)
        assert (parsed.t, parsed.snapshot, parsed.payload) == (at_ns, symbol, body)
        assert not isinstance(parsed.stream, str)


WHOLE = stream_line(1617647797596378800, "btcusdt@depth", b'{"e":"depthUpdate","b":[["1","2"]]}')


@pytest.mark.parametrize("length", range(len(WHOLE)))
def test_a_torn_line_is_refused_wherever_it_was_torn(length: int) -> None:
    with pytest.raises(DecodeError):
        parse_line(WHOLE[:length])


@pytest.mark.parametrize(
    "line",
    [
        b"",
        b"\n",
        b"null",
        b"[]",
        b"{}",
        b'{"t":1,"data":{}}',
        b'{"t":1,"stream":"a"}',
        b'{"stream":"a","data":{}}',
        b'{"t":1,"stream":"a","snapshot":"A","data":{}}',
        b'{"t":"1","stream":"a","data":{}}',
        b'{"t":1.5,"stream":"a","data":{}}',
        b'{"t":9223372036854775808,"stream":"a","data":{}}',
        b'{"t":true,"stream":"a","data":{}}',
        b'{"t":1,"stream":5,"data":{}}',
        b'{"t":1,"stream":null,"data":{}}',
        b'{"t":1,"stream":"a","data":NaN}',
        b'{"t":1,"stream":"\xff","data":{}}',
        b'{"t":1,"stream":"a","data":{}}{"t":2,"stream":"a","data":{}}',
    ],
)
def test_what_is_no_line_is_refused(line: bytes) -> None:
    with pytest.raises(DecodeError):
        parse_line(line)
