"""The stream under the library: whatever comes in whatever pieces, the messages are those that the library alone would give."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st
from trio.testing import MockClock, memory_stream_pair
from wsproto import ConnectionType, WSConnection
from wsproto.events import BytesMessage, CloseConnection, Ping, Pong, Request, TextMessage

from coldframe.trio_io.batch import BatchStream
from tests.trio_io.peer import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, acceptance, close, frame, text

LARGEST = 70_000


class Pieces(trio.abc.Stream):
    """A stream that gives these pieces, then its end."""

    def __init__(self, pieces: Sequence[bytes]) -> None:
        self.pieces = list(pieces)
        self.sent = b""
        self.closed = False

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += data

    async def wait_send_all_might_not_block(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        self.closed = True

    async def receive_some(self, max_bytes: int | None = None) -> bytes:
        await trio.lowlevel.checkpoint()
        return self.pieces.pop(0) if self.pieces else b""


class Library:
    """What the WebSocket library makes of bytes: messages and control frames up to a close or an offence."""

    def __init__(self) -> None:
        self._protocol = WSConnection(ConnectionType.CLIENT)
        request = self._protocol.send(Request(host="venue", target="/"))
        self.head = acceptance(request)
        self.messages: list[bytes] = []
        self.controls: list[tuple[str, bytes]] = []
        self.closed: int | None = None
        self._parts = b""

    def feed(self, data: bytes) -> None:
        if self.closed is not None:
            return
        self._protocol.receive_data(data)
        for event in self._protocol.events():
            match event:
                case TextMessage() | BytesMessage():
                    self._parts += event.data.encode() if isinstance(event.data, str) else event.data
                    if event.message_finished:
                        self.messages.append(self._parts)
                        self._parts = b""
                case Ping() | Pong():
                    self.controls.append((type(event).__name__, bytes(event.payload)))
                case CloseConnection():
                    self.closed = int(event.code)
                    return


def cut(data: bytes, places: Sequence[int]) -> list[bytes]:
    """`data` in pieces, cut at these places as far as it has them."""
    edges = [0, *sorted({place % (len(data) + 1) for place in places}), len(data)]
    return [data[begin:end] for begin, end in pairwise(edges) if end > begin]


async def drain(stream: BatchStream, heard: Library | None = None) -> bytes:
    """Everything that the stream leaves to the library."""
    stream.begin()
    left = b""
    while data := await stream.receive_some(1000):
        left += data
        if heard is not None:
            heard.feed(data)
    return left


def through(pieces: Sequence[bytes]) -> tuple[list[list[bytes]], bytes]:
    """The batches that were taken, and what was left to the library."""
    batches: list[list[bytes]] = []
    return batches, trio.run(drain, BatchStream(Pieces(pieces), batches.append, LARGEST))


# -- frames of every kind ---------------------------------------------------------------------------------------------

payloads = st.one_of(st.text(max_size=30), st.sampled_from(["", "{}", "é" * 62 + "a", "x" * 126, "ж" * 100, "y" * 65_536])).map(
    str.encode
)
whole = payloads.map(lambda payload: (frame(TEXT, payload), payload))
controls = st.builds(frame, st.sampled_from([PING, PONG]), st.binary(max_size=125))
cuts = st.lists(st.integers(0, 2**20), max_size=12)


@st.composite
def fragmented(draw: st.DrawFn) -> bytes:
    """A text in several frames, perhaps with pings in between, cut even inside a character."""
    data = draw(st.text(max_size=20)).encode()
    parts = cut(data, draw(cuts)) or [b""]
    if len(parts) == 1:
        parts.append(b"")
    frames = b""
    for number, part in enumerate(parts):
        last = number == len(parts) - 1
        frames += frame(CONTINUATION if number else TEXT, part, fin=last)
        if not last and draw(st.booleans()):
            frames += draw(controls)
    return frames


offences = st.one_of(
    st.builds(frame, st.sampled_from([TEXT, PING, PONG]), st.binary(max_size=5), rsv=st.integers(1, 7)),
    st.builds(frame, st.sampled_from([3, 4, 5, 6, 7, 11, 12, 13, 14, 15]), st.binary(max_size=5)),
    st.builds(
        frame, st.sampled_from([TEXT, BINARY, PING, PONG]), payloads.map(lambda payload: payload[:100]), masked=st.just(True)
    ),
    st.builds(frame, st.just(TEXT), payloads.map(lambda payload: payload[:125]), wide=st.sampled_from([2, 8])),
    st.builds(frame, st.just(TEXT), st.just(b"z" * 300), wide=st.just(8)),
    st.builds(frame, st.sampled_from([PING, PONG, CLOSE]), st.just(b"w" * 126)),
    st.builds(frame, st.sampled_from([PING, PONG, CLOSE]), fin=st.just(False)),
    st.builds(frame, st.just(CONTINUATION), st.binary(max_size=5), fin=st.booleans()),
    st.just(frame(TEXT, b"\xff")),
    st.just(frame(TEXT, "é".encode()[:1])),
    st.just(frame(TEXT, b"v" * (LARGEST + 1))),
    st.just(bytes([0x81, 127]) + b"\xff" * 8),
)
unusual = st.one_of(
    fragmented(),
    st.builds(frame, st.just(BINARY), st.binary(max_size=20)),
    st.builds(close, st.sampled_from([1000, 1001, 1008, 1011, 3000, 4999]), st.text("abc", max_size=10)),
    st.just(frame(CLOSE)),
    offences,
)


# -- the properties ---------------------------------------------------------------------------------------------------


@given(st.lists(st.one_of(whole, controls), max_size=12), st.lists(st.one_of(whole, controls, unusual), max_size=6), cuts)
def test_whole_texts_are_taken_and_all_else_is_left_as_it_came(usual, rest, places) -> None:  # type: ignore[no-untyped-def]
    library = Library()
    texts = [payload for row in usual if isinstance(row, tuple) for payload in (row[1],)]
    passed = b"".join(row for row in usual if isinstance(row, bytes))
    first = next((number for number, frame in enumerate(rest) if isinstance(frame, bytes) and not is_control(frame)), len(rest))
    texts += [frame[1] for frame in rest[:first] if isinstance(frame, tuple)]
    passed += b"".join(frame for frame in rest[:first] if isinstance(frame, bytes))
    passed += b"".join(frame if isinstance(frame, bytes) else frame[0] for frame in rest[first:])
    sent = b"".join(row if isinstance(row, bytes) else row[0] for row in [*usual, *rest])
    batches, left = through(cut(library.head + sent, places))
    assert [payload for batch in batches for payload in batch] == texts
    assert left == library.head + passed


def is_control(frame: bytes) -> bool:
    """Whether this frame is a ping or pong that keeps to the protocol."""
    return frame[0] in (0x80 | PING, 0x80 | PONG) and frame[1] <= 125


@given(st.lists(st.one_of(whole.map(lambda drawn: drawn[0]), controls, unusual), max_size=10), cuts)
def test_the_messages_are_those_of_the_library_alone(frames: list[bytes], places: list[int]) -> None:
    alone, below = Library(), Library()
    sent = b"".join(frames)
    for piece in cut(alone.head + sent, places):
        alone.feed(piece)
    stream = BatchStream(Pieces(cut(below.head + sent, places)), below.messages.extend, LARGEST)
    trio.run(drain, stream, below)
    assert below.messages == alone.messages
    assert below.controls == alone.controls
    assert below.closed == alone.closed


@given(st.lists(whole, min_size=1, max_size=8), st.integers(0, 2**20))
def test_a_stream_that_breaks_off_gives_what_was_complete(frames: list[tuple[bytes, bytes]], place: int) -> None:
    library = Library()
    sent = b"".join(data for data, _ in frames)
    sent = sent[: place % (len(sent) + 1)]
    batches, left = through([library.head + sent])
    taken = [payload for batch in batches for payload in batch]
    assert taken == [payload for _, payload in frames][: len(taken)]
    assert sum(len(data) for data, _ in frames[: len(taken)]) <= len(sent)
    assert left == library.head


@given(st.binary(max_size=300), st.sampled_from([301, 403, 418, 429, 503]), cuts)
def test_a_refusal_is_left_alone_even_if_it_looks_like_frames(body: bytes, status: int, places: list[int]) -> None:
    sent = b"HTTP/1.1 %d No\r\nContent-Length: %d\r\n\r\n" % (status, len(body)) + body + text("not for this link")
    batches: list[list[bytes]] = []
    stream = BatchStream(Pieces(cut(sent, places)), batches.append, LARGEST)
    assert trio.run(drain, stream) == sent
    assert stream.answer == sent
    assert batches == []


# -- single cases -----------------------------------------------------------------------------------------------------


def test_the_frames_of_one_read_are_one_batch() -> None:
    head = Library().head
    batches, left = through([head + text("a") + text("b"), frame(PING, b"?") + text("c") + text("d")[:2], text("d")[2:]])
    assert batches == [[b"a", b"b"], [b"c"], [b"d"]]
    assert left == head + frame(PING, b"?")


@pytest.mark.parametrize("end", [b"\r\n\r\n", b"\n\n", b"\n\r\n"])
def test_the_head_ends_where_the_library_sees_its_end(end: bytes) -> None:
    library = Library()
    head = library.head[:-4] + end
    sent = head + text(b"an end of a head, but in a text: \r\n\r\n") + text("b")
    for size in (1, 7, len(sent)):
        batches, left = through([sent[at : at + size] for at in range(0, len(sent), size)])
        assert [payload for batch in batches for payload in batch] == [b"an end of a head, but in a text: \r\n\r\n", b"b"]
        assert left == head
    library.feed(head)
    assert library.closed is None


def test_what_comes_after_something_unusual_does_not_overtake_it() -> None:
    library = Library()
    sent = text("1") + frame(TEXT, b"2", fin=False) + frame(CONTINUATION, b"3") + text("4")
    batches, left = through([library.head + sent])
    assert batches == [[b"1"]]
    assert left.endswith(text("4"))


@pytest.mark.parametrize("size", [LARGEST, LARGEST + 1])
def test_a_frame_beyond_the_limit_is_the_librarys_at_once(size: int) -> None:
    library = Library()
    sent = text(b"x" * size)
    batches, left = through([library.head + sent[:20]])
    assert left == library.head + (sent[:20] if size > LARGEST else b"")
    batches, _ = through([library.head + sent])
    assert bool(batches) == (size == LARGEST)


def test_long_frame_in_small_pieces_is_parsed_only_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[int] = []
    original = BatchStream._cut

    def look(stream: BatchStream) -> None:
        looks.append(len(stream._buffer))
        original(stream)

    monkeypatch.setattr(BatchStream, "_cut", look)
    data = frame(TEXT, b"x" * 60_000) + frame(TEXT, b"short") + frame(TEXT, b"y" * 60_000)
    batches, _ = through([Library().head, *(data[at : at + 3] for at in range(0, len(data), 3))])
    assert [payload for batch in batches for payload in batch] == [b"x" * 60_000, b"short", b"y" * 60_000]
    assert len(looks) < 20


def test_a_head_without_end_is_not_kept_for_ever() -> None:
    stream = BatchStream(Pieces([b"x" * 50_000] * 20), lambda batch: None, LARGEST)
    assert len(trio.run(drain, stream)) == 1_000_000
    assert len(stream.answer) <= 100_000


async def test_nothing_is_taken_before_the_reader_is_ready_for_it(autojump_clock: MockClock) -> None:
    head = Library().head
    taken: list[list[bytes]] = []
    stream = BatchStream(Pieces([head + text("with the head") + text("half")[:3], text("half")[3:]]), taken.append, LARGEST)
    assert await stream.receive_some() == head
    with trio.move_on_after(0.05) as waiting:
        await stream.receive_some()
    assert waiting.cancelled_caught
    assert taken == []
    stream.begin()
    assert await stream.receive_some() == b""
    assert taken == [[b"with the head"], [b"half"]]


async def test_it_says_when_nothing_more_will_come() -> None:
    ended = BatchStream(Pieces([]), lambda batch: None, LARGEST)
    assert not ended.ended.is_set()
    assert await ended.receive_some() == b""
    assert ended.ended.is_set()
    inner = Pieces([])
    closed = BatchStream(inner, lambda batch: None, LARGEST)
    await closed.aclose()
    assert closed.ended.is_set()
    assert inner.closed
    near, far = memory_stream_pair()
    await near.aclose()
    broken = BatchStream(near, lambda batch: None, LARGEST)
    with pytest.raises(trio.ClosedResourceError):
        await broken.receive_some()
    assert broken.ended.is_set()
    await far.aclose()


async def test_what_the_library_sends_goes_out_as_it_is() -> None:
    inner = Pieces([])
    stream = BatchStream(inner, lambda batch: None, LARGEST)
    await stream.wait_send_all_might_not_block()
    await stream.send_all(b"GET / HTTP/1.1")
    assert inner.sent == b"GET / HTTP/1.1"
