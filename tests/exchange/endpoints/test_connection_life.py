"""Pings, pongs and age of a connection as a trace, and against a naive account of every ping."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wsproto.connection import Connection, ConnectionType
from wsproto.events import Message

from coldframe.config.venue import EmbeddedVenue as Settings
from coldframe.config.venue import VenueFaults
from coldframe.exchange.endpoints.connection_life import (
    LIFETIME_OVER,
    LONGEST_MESSAGE,
    PINGS_PER_SECOND,
    PONG_TIMEOUT,
    TOO_MANY_MESSAGES,
    CloseFrame,
    ConnectionLife,
    PingAllowance,
    RequestBytes,
    SendPing,
    frame_size,
    request_bytes,
    too_long,
)
from coldframe.exchange.faults import ConnectionKind

#: What the venue's clock shows when a connection's own clock shows nothing.
WALL_MS = 1_700_000_000_000


def life(ping_s: str = "3", pong_s: str = "10", lifetime_s: str = "60", at_ms: int = 0) -> ConnectionLife:
    settings = Settings(ping_interval_s=Decimal(ping_s), pong_timeout_s=Decimal(pong_s), link_lifetime_s=Decimal(lifetime_s))
    return ConnectionLife(settings, at_ms, PingAllowance().spend)


def usual_life() -> ConnectionLife:
    return ConnectionLife(Settings(), 0, PingAllowance().spend)


def walked(made: ConnectionLife, until_ms: int, *, answered: bool = True) -> list[tuple[int, str]]:
    """What happens, and when, to a client that answers every ping, or none."""
    trace: list[tuple[int, str]] = []
    while (at_ms := made.next_due_ms) <= until_ms:
        match made.advance(at_ms, WALL_MS + at_ms):
            case SendPing(payload):
                trace.append((at_ms, "ping"))
                assert payload == str(WALL_MS + at_ms).encode()
                if answered:
                    made.take_pong(payload, at_ms)
            case CloseFrame() as frame:
                return [*trace, (at_ms, str(frame))]
            case None:
                raise AssertionError(f"nothing was due at {at_ms}")
    return trace


def test_a_client_that_answers_is_closed_for_its_age_only() -> None:
    trace = walked(life(lifetime_s="10"), 100_000)
    assert trace == [(3000, "ping"), (6000, "ping"), (9000, "ping"), (10_000, "1001 Connection lifetime is over")]


def test_a_client_that_answers_nothing_is_closed_in_time() -> None:
    trace = walked(life(), 100_000, answered=False)
    assert trace == [(3000, "ping"), (6000, "ping"), (9000, "ping"), (12_000, "ping"), (13_000, "1008 Pong timeout")]


def test_the_usual_figures_are_three_ten_and_a_day() -> None:
    day_ms = 86_400_000
    usual = walked(usual_life(), day_ms)
    assert usual[:2] == [(180_000, "ping"), (360_000, "ping")]
    assert usual[-1] == (day_ms, str(LIFETIME_OVER))
    assert walked(usual_life(), day_ms, answered=False)[-1] == (780_000, str(PONG_TIMEOUT))


@pytest.mark.parametrize(("payload", "ends_ms"), [(b"", 13_000), (b"1", 13_000), (str(WALL_MS + 3000).encode(), 16_000)])
def test_a_pong_that_answers_nothing_keeps_nothing_alive(payload: bytes, ends_ms: int) -> None:
    made = life()
    assert made.advance(3000, WALL_MS + 3000) == SendPing(str(WALL_MS + 3000).encode())
    made.take_pong(payload, 3000)
    assert walked(made, 100_000, answered=False)[-1] == (ends_ms, str(PONG_TIMEOUT))


@pytest.mark.parametrize(("pong", "ends_ms"), [(3000, 16_000), (6000, 19_000), (9000, 22_000)])
def test_a_pong_answers_all_pings_before(pong: int, ends_ms: int) -> None:
    made = life()
    assert [made.advance(at_ms, WALL_MS + at_ms) for at_ms in (3000, 6000, 9000)]
    made.take_pong(str(WALL_MS + pong).encode(), 9000)
    assert walked(made, 100_000, answered=False)[-1] == (ends_ms, str(PONG_TIMEOUT))


def test_a_clock_of_the_venue_that_stands_doubles_no_ping() -> None:
    made = life()
    assert made.advance(3000, WALL_MS) == made.advance(6000, WALL_MS) == SendPing(str(WALL_MS).encode())
    assert made.advance(13_000, WALL_MS) == PONG_TIMEOUT


#: Time passes, and the client answers some of the pings that it has got, or none.
MOVES = st.lists(st.tuples(st.integers(0, 60), st.booleans()), max_size=40)


@given(st.integers(1, 50), st.integers(1, 200), st.integers(1, 400), MOVES)
def test_a_life_is_what_a_list_of_pings_says(every: int, within: int, ends: int, moves: list[tuple[int, bool]]) -> None:
    made = life(str(Decimal(every) / 1000), str(Decimal(within) / 1000), str(Decimal(ends) / 1000))
    at_ms, due_ms, sent = 0, every, list[tuple[int, bytes]]()
    for passed_ms, answers in moves:
        at_ms += passed_ms
        if answers and sent:
            made.take_pong(sent[len(sent) // 2][1], at_ms)
            del sent[: len(sent) // 2 + 1]
        said = made.advance(at_ms, WALL_MS + at_ms)
        if at_ms >= ends:
            assert said == LIFETIME_OVER
            return
        if sent and at_ms - sent[0][0] >= within:
            assert said == PONG_TIMEOUT
            return
        if at_ms >= due_ms:
            sent.append((at_ms, str(WALL_MS + at_ms).encode()))
            due_ms = at_ms + every
            assert said == SendPing(sent[-1][1])
        else:
            assert said is None
        assert made.next_due_ms == min(ends, due_ms, *(when + within for when, _ in sent))


@given(st.integers(1, 1000), st.lists(st.integers(0, 300), max_size=20))
def test_bytes_are_read_up_to_the_limit(most: int, sizes: list[int]) -> None:
    limit, before = RequestBytes(most), 0
    for size in sizes:
        assert limit.read(size) == (before + size <= most)
        before = min(most, before + size)
        assert (limit.left, limit.used_up) == (most - before, before == most)


OF_CONNECTIONS = [
    (0, ConnectionKind.API, False),
    (5, ConnectionKind.API, True),
    (5, ConnectionKind.PRIVATE, False),
    (5, ConnectionKind.MARKET, False),
]


@pytest.mark.parametrize(("most", "carries", "limited"), OF_CONNECTIONS)
def test_only_connections_of_the_api_are_cut_within(most: int, carries: ConnectionKind, limited: bool) -> None:
    made = request_bytes(Settings(faults=VenueFaults(api_cut_after_bytes=most)), carries)
    assert (made is not None) == limited
    assert made is None or made.left == most


@pytest.mark.parametrize("beyond", [-1, 0, 1])
def test_a_message_too_long_is_told_its_limit(beyond: int) -> None:
    said = too_long(LONGEST_MESSAGE + beyond)
    assert (said and str(said)) == ("1009 a message has 1048576 bytes at most" if beyond > 0 else None)


@pytest.mark.parametrize("payload", [0, 1, 125, 126, 127, 65_535, 65_536, 65_537])
def test_a_frame_has_the_size_that_a_client_writes(payload: int) -> None:
    client = Connection(ConnectionType.CLIENT)
    assert frame_size(payload) == len(client.send(Message(data=b"x" * payload)))


@given(st.lists(st.integers(0, 400), max_size=60))
def test_no_second_has_more_pings_than_are_allowed(gaps: list[int]) -> None:
    allowance, at_ms, sent = PingAllowance(), 0, list[int]()
    for gap in gaps:
        at_ms += gap
        within = [other for other in sent if at_ms - other < 1000]
        allowed = allowance.spend(at_ms)
        assert allowed == (len(within) < PINGS_PER_SECOND)
        sent += [at_ms] if allowed else []


def test_pings_and_unsolicited_pongs_share_one_limit() -> None:
    made = life()
    assert [made.take_ping(0), made.take_pong(b"", 0), made.take_ping(1), made.take_pong(b"x", 1), made.take_ping(2)] == [None] * 5
    assert made.take_pong(b"", 999) is TOO_MANY_MESSAGES
    assert made.take_pong(b"", 1000) is None


def test_a_pong_that_answers_a_ping_is_always_taken() -> None:
    made = life(ping_s="0.1")
    assert [made.take_ping(0) for _ in range(5)] == [None] * 5
    answered = list[bytes]()
    for at_ms in range(100, 1000, 100):
        ping = made.advance(at_ms, at_ms)
        assert isinstance(ping, SendPing)
        assert made.take_pong(ping.payload, at_ms) is None
        answered.append(ping.payload)
    assert made.take_pong(answered[-1], 950) is TOO_MANY_MESSAGES, "it was answered before"
