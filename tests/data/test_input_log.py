"""Input logs: what is written is read back exactly, without secrets, and a torn end costs no more than itself."""

from __future__ import annotations

import gzip
from decimal import Decimal
from pathlib import Path
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.data.input_log import (
    NO_CALLS,
    Call,
    Calls,
    Digest,
    InputEncoder,
    InputLogReading,
    Late,
    begin_line,
    calls_out,
    effects_out,
)
from coldframe.enums import Side
from coldframe.errors import ConfigError
from coldframe.model.effects import AppendJournal, CallRest, Level, LinkKind, Log, OpenLink, WakeAt
from coldframe.model.inputs import FramesReceived, Input, Lane, RestAnswered, Stamped, TimeReached
from coldframe.model.intents import Place, SaveState
from coldframe.model.journal import RowKind
from coldframe.model.saved_state import frozen_of, text_of
from coldframe.wire.rest import Answer

NS = 1_700_000_000_000_000_000
INTEGERS = st.integers(-(2**63), 2**63 - 1)
VALUES: dict[type, st.SearchStrategy[Any]] = {
    int: INTEGERS,
    Decimal: st.decimals(allow_nan=False, allow_infinity=False),
    Answer: st.builds(Answer, INTEGERS, st.dictionaries(st.text(), st.text(), max_size=3), st.binary()),
}


def logged(tmp_path: Path, *lines: bytes, run: dict[str, object] | None = None) -> Path:
    path = tmp_path / "run.jsonl"
    path.write_bytes(b"\n".join([begin_line(NS, run or {"seed": "7"}), *lines]) + b"\n")
    return path


@pytest.fixture(scope="module", autouse=True)
def _types() -> None:
    for kind, values in VALUES.items():
        st.register_type_strategy(kind, values)


@pytest.mark.parametrize("kind", get_args(Input), ids=lambda kind: str(kind.__name__))
def test_every_kind_of_input_is_read_back_as_it_was(kind: type, tmp_path_factory: pytest.TempPathFactory) -> None:
    @given(st.from_type(kind), st.sampled_from(Lane), st.integers(1, 2**40))
    def same(event: Input, lane: Lane, seq: int) -> None:
        stamped = Stamped(seq, NS, lane, event)
        path = logged(tmp_path_factory.mktemp("log"), InputEncoder().step(stamped, []))
        (step,) = InputLogReading(path)
        assert step.stamped == stamped
        assert (step.calls, step.effects, step.late) == (b"", b"", ())

    same()


@pytest.mark.parametrize(
    "frame",
    [
        b'{"stream":"a","data":{"b":[["1","2"]]}}', b' {"a":1}', b'{"a":1}\n', b'{"a":\n1}', b"[1]", b"", b"1", b"{",
        b'{"a":1}}', b'{"a":"\xff"}', '{"a":"币"}'.encode(), b'{"a":1,"a":2}', b"\x00\xff",
    ],
)  # fmt: skip
def test_frames_come_back_byte_for_byte(tmp_path: Path, frame: bytes) -> None:
    other = b'{"a":2}'
    for frames in ((frame,), (other, frame), (frame, other)):
        (step,) = InputLogReading(
            logged(tmp_path, InputEncoder().step(Stamped(1, NS, Lane.MARKET, FramesReceived("m", frames)), []))
        )
        assert step.event == FramesReceived("m", frames)


def test_deep_nesting_is_a_frame_or_an_error_with_its_place(tmp_path: Path) -> None:
    """A frame of the market that nests so deep is logged as any other; a line of a log that does is refused."""
    deep = b'{"a":' + b"[" * 200_000 + b"]" * 200_000 + b"}"
    received = FramesReceived("m", (deep, b'{"a":2}'))
    line = InputEncoder().step(Stamped(1, NS, Lane.MARKET, received), [])
    (step,) = InputLogReading(logged(tmp_path, line))
    assert step.event == received
    for broken in (deep, line.replace(b'{"link"', b'{"zz":' + b"[" * 200_000 + b"]" * 200_000 + b',"link"')):
        with pytest.raises(ConfigError, match=r"run\.jsonl:2: not a line of an input log"):
            list(InputLogReading(logged(tmp_path, broken, line)))
    path = tmp_path / "run.jsonl"
    path.write_bytes(deep)
    with pytest.raises(ConfigError, match="not an input log"):
        InputLogReading(path)


def test_what_came_of_a_step_stands_beside_it(tmp_path: Path) -> None:
    effects = [WakeAt("x", 5), Log(Level.INFO, "a"), AppendJournal(RowKind.ORDER, "o", {"a": {"b": [1]}})]
    place = Place(symbol="BTCUSDT", side=Side.BUY, price=Decimal("1.10"), quantity=Decimal("0.001"))
    calls = Calls([Call("mm", "on_book", [place, object()])], [Late(2, "on_book: it took 3 s")])
    encoder = InputEncoder()
    lines = [
        encoder.start(NS, effects),
        encoder.step(Stamped(1, NS, Lane.CONTROL, TimeReached("x")), [], calls),
        encoder.step(Stamped(2, NS, Lane.CONTROL, TimeReached("x")), effects, NO_CALLS),
    ]
    start, first, second = InputLogReading(logged(tmp_path, *lines))
    digest = Digest()
    assert (start.event, start.effects, start.digest) == (None, effects_out(effects), digest.with_step(start.effects))
    assert (first.calls, first.late, first.effects) == (calls_out(calls.wanted), (Late(2, "on_book: it took 3 s"),), b"")
    assert b'"price":"1.10"' in first.calls
    assert second.digest == digest.with_step(second.effects) != start.digest


SECRET = b"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"


def test_x1_session_secrets_are_replaced_by_the_same_hash(tmp_path: Path) -> None:
    """Three places where one stands: the answer that brings it, the link that is opened with it, the call that keeps it alive."""
    encoder, body = InputEncoder(), b'{"listenKey": "%b"}' % SECRET
    lines = [
        encoder.step(Stamped(1, NS, Lane.PRIVATE, RestAnswered(3, Answer(200, {}, body), NS)), []),
        encoder.step(
            Stamped(2, NS, Lane.PRIVATE, FramesReceived("api:1", (b'{"id":1,"result":{"apiKey":"k%b"}}' % SECRET,))),
            [
                OpenLink("user:1", LinkKind.PRIVATE, f"/ws/{SECRET.decode()}"),
                CallRest(4, "PUT", "/x", {"listenKey": SECRET.decode()}),
            ],
        ),
    ]
    assert SECRET not in b"".join(lines)
    answered, opened = InputLogReading(logged(tmp_path, *lines))
    assert isinstance(answered.event, RestAnswered)
    assert answered.event.answer is not None
    stand_in = answered.event.answer.body.split(b'"')[3]
    assert len(stand_in) == len(SECRET)
    assert opened.effects.count(stand_in) == 2


@pytest.mark.scene
def test_a_cut_log_gives_every_step_before_the_cut(tmp_path: Path) -> None:
    encoder = InputEncoder()
    lines = [encoder.step(Stamped(number, NS, Lane.CONTROL, TimeReached(str(number))), []) for number in range(1, 40)]
    whole = b"".join(line + b"\n" for line in [begin_line(NS, {}), *lines])
    path = tmp_path / "run.jsonl.gz"
    for pack in (lambda data: data, gzip.compress):
        body = pack(whole[:900]) + pack(whole[900:])
        for end in range(len(pack(whole[:900])), len(body)):
            path.write_bytes(body[:end])
            reading = InputLogReading(path)
            steps = [step.seq for step in reading]
            assert steps == list(range(1, len(steps) + 1))
            assert len(steps) >= whole[:900].count(b"\n") - 1
            assert reading.tear or end == len(body) or body[end - 1 : end] == b"\n" or body[end : end + 1] == b"\n"


def test_a_broken_line_before_the_end_is_an_error_with_its_place(tmp_path: Path) -> None:
    good = InputEncoder().step(Stamped(1, NS, Lane.CONTROL, TimeReached("a")), [])
    for broken in (good[:-1], b"{}", good.replace(b"TimeReached", b"TimeBroken"), good.replace(b'"lane":0', b'"lane":9')):
        with pytest.raises(ConfigError, match=r"run\.jsonl:3: not a line of an input log"):
            list(InputLogReading(logged(tmp_path, good, broken, good)))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"", "not an input log"),
        (b'{"t":1,"stream":"a","data":{}}\n', "not an input log"),
        (b'{"t":1,"input_log":2,"data":{}}\n', "an input log of version 2; this build reads version 1"),
    ],
)
def test_what_is_no_input_log_is_refused(tmp_path: Path, text: bytes, said: str) -> None:
    path = tmp_path / "run.jsonl"
    path.write_bytes(text)
    with pytest.raises(ConfigError, match=said):
        InputLogReading(path)


def test_what_a_strategy_saves_stands_in_its_call_as_json() -> None:
    frozen = frozen_of(text_of({"b": {"c": (1,)}, "a": Decimal("1.50")}))
    saves = [SaveState({"b": {"c": [1]}, "a": Decimal("1.50")}), SaveState(frozen)]
    text = b'["SaveState",{"value":{"a":{"$decimal":"1.50"},"b":{"c":[1]}}}]'
    assert calls_out([Call("mm", "on_book", saves)]) == b'[["mm","on_book",[%b,%b]]]' % (text, text)
    assert calls_out([Call("mm", "on_book", [SaveState({1: object()})])]) == b'[["mm","on_book",[["SaveState",null]]]]'  # type: ignore[dict-item]
