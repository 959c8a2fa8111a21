"""The session of a stream connection: what it subscribes to, its replies and its bounds, against a naive account of it."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.endpoints.connection_life import TOO_MANY_MESSAGES, TOO_MANY_STREAMS
from coldframe.exchange.endpoints.stream_session import BURST, PER_SECOND, StreamReply, StreamSession
from coldframe.exchange.market.subscriptions import Publication
from coldframe.wire.routes import MAX_STREAMS_PER_LINK, parse_target

NAMES = ("btcusdt@bookTicker", "btcusdt@aggTrade", "btcusdt@trade", "!ticker@arr", "nonsense@nothing", "key123", "x" * 300)
PATHS = ("/public/ws", "/market/ws", "/private/ws", "/ws", "/public/stream", "/ws/btcusdt@bookTicker")
#: What each route serves of `NAMES`; the rest is acknowledged and silent.
SERVED = {"/public": {NAMES[0], NAMES[2]}, "/market": {NAMES[1], NAMES[2], NAMES[3]}, "/private": {"key123"}, "/ws": {NAMES[0]}}


def session(path: str, *, all_unrouted: bool = False) -> StreamSession:
    target = parse_target(path)
    assert target is not None
    return StreamSession(target, 0.0, all_unrouted=all_unrouted)


def ask(made: StreamSession, method: str, *params: object, now_s: float = 0.0) -> StreamReply:
    return made.receive(json.dumps({"id": 1, "method": method, "params": params}).encode(), now_s)


def result(reply: StreamReply) -> object:
    return json.loads(reply.frames[0])["result"]


@pytest.mark.parametrize("path", ["/public/ws", "/market/ws", "/private/ws", "/ws"])
def test_a_route_serves_its_own_streams_only(path: str) -> None:
    made = session(path)
    reply = ask(made, "SUBSCRIBE", *NAMES)
    assert {*reply.streams, *reply.listen_keys} == SERVED["/ws" if path == "/ws" else path.removesuffix("/ws")]
    assert result(reply) is None
    assert result(ask(made, "LIST_SUBSCRIPTIONS")) == list(NAMES[:-1])


@given(st.sampled_from(PATHS), st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from(NAMES), max_size=4)), max_size=20))
def test_streams_begin_and_end_once(path: str, asked: list[tuple[bool, list[str]]]) -> None:
    made, running, known = session(path), set[str](), dict[str, None]()

    def follow(reply: StreamReply) -> None:
        begun = [*reply.streams, *reply.listen_keys]
        assert len(begun) == len(set(begun))
        assert not running.intersection(begun)
        running.update(begun)
        running.difference_update(reply.ended)

    first = made.begin()
    known.update(dict.fromkeys(made.names))
    follow(first)
    for number, (subscribes, names) in enumerate(asked):
        follow(ask(made, "SUBSCRIBE" if subscribes else "UNSUBSCRIBE", *names, now_s=float(number)))
        for name in names:
            if subscribes and len(name) <= 200:
                known.setdefault(name)
            elif not subscribes:
                known.pop(name, None)
        assert made.names == tuple(known)
        assert running <= known.keys()
    follow(made.end())
    assert (made.names, running) == ((), set())


@pytest.mark.parametrize("more", [0, 1, 2])
def test_one_stream_too_many_closes_the_connection(more: int) -> None:
    made = session("/market/ws")
    names = [f"s{number}@aggTrade" for number in range(MAX_STREAMS_PER_LINK + more)]
    reply = ask(made, "SUBSCRIBE", *names)
    assert len(reply.streams) == len(made.names) == MAX_STREAMS_PER_LINK
    assert reply.close == (TOO_MANY_STREAMS if more else None)
    assert b"Too many subscriptions" in reply.frames[0] if more else result(reply) is None


@given(st.lists(st.floats(0, 1), min_size=1, max_size=80))
def test_messages_beyond_the_allowance_close_the_connection(pauses: list[float]) -> None:
    made, now_s, sent = session("/market/ws"), 0.0, 0
    for pause in pauses:
        now_s += pause
        sent += 1
        if ask(made, "SUBSCRIBE", now_s=now_s).close:
            assert sent > BURST
            return
    assert sent <= BURST + now_s * PER_SECOND + 1e-6


def test_a_burst_passes_and_the_next_message_does_not() -> None:
    made = session("/market/ws")
    assert [ask(made, "SUBSCRIBE").close for _ in range(BURST + 1)] == [None] * BURST + [TOO_MANY_MESSAGES]


def test_the_form_of_frames_follows_the_property() -> None:
    made, publication = session("/public/ws"), Publication("btcusdt@bookTicker", b'{"u":1}')
    assert made.frame_of(publication) == '{"u":1}'
    assert result(ask(made, "GET_PROPERTY", "combined")) is False
    assert result(ask(made, "SET_PROPERTY", "combined", True)) is None
    assert made.frame_of(publication) == '{"stream":"btcusdt@bookTicker","data":{"u":1}}'
    assert result(ask(made, "GET_PROPERTY", "combined")) is True


@pytest.mark.parametrize("frame", [b"", b"[]", b'{"id":1,"method":"BUY"}', b'{"id":-1,"method":"SUBSCRIBE","params":["a@b"]}'])
def test_a_malformed_request_changes_nothing(frame: bytes) -> None:
    made = session("/market/ws")
    reply = made.receive(frame, 0.0)
    assert b'"error"' in reply.frames[0]
    assert (reply.streams, reply.ended, reply.close, made.names) == ((), (), None, ())
