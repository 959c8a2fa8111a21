"""The words of the control channel: read as they were written, and anything else refused in a sentence."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.errors import DecodeError
from coldframe.model.halting import HaltLevel
from coldframe.trio_io.control import (
    VERSION,
    HaltRequest,
    Request,
    ResolveRequest,
    ResumeRequest,
    read_request,
    write_line,
)

WORDS = st.text(max_size=40)
REQUESTS = st.one_of(
    st.builds(HaltRequest, st.just(VERSION), st.sampled_from(HaltLevel), st.none() | WORDS, WORDS, st.integers(0, 10**13)),
    st.builds(ResumeRequest, st.just(VERSION), st.none() | WORDS),
    st.builds(ResolveRequest, st.just(VERSION), WORDS, st.sampled_from(ManualResolution)),
)


@given(REQUESTS)
def test_requests_are_read_as_they_were_written(request: Request) -> None:
    line = write_line(request)
    assert line.count(b"\n") == 1
    assert read_request(line[:-1]) == request


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | WORDS, st.lists).map(lambda value: json.dumps(value).encode())
)
def test_anything_else_is_refused_in_words(line: bytes) -> None:
    with pytest.raises(DecodeError):
        read_request(line)
