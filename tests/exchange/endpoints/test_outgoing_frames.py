"""What waits to be sent on a connection: in order, bounded, and the first reason to close counts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.exchange.endpoints.connection_life import GOING_AWAY, PONG_TIMEOUT, TOO_SLOW
from coldframe.exchange.endpoints.outgoing_frames import MOST_CHARACTERS, MOST_FRAMES, OutgoingFrames


@pytest.mark.parametrize(("count", "close"), [(MOST_FRAMES - 1, None), (MOST_FRAMES, None), (MOST_FRAMES + 1, TOO_SLOW)])
def test_so_many_frames_wait_and_no_more(count: int, close: object) -> None:
    outgoing = OutgoingFrames()
    for number in range(count):
        outgoing.put(str(number))
    assert outgoing.close is close
    assert len(outgoing) == (0 if close else count)
    assert outgoing.next_frame() == (None if close else "0")


@pytest.mark.parametrize(("more", "close"), [(-1, None), (0, None), (1, TOO_SLOW)])
def test_so_many_characters_wait_and_no_more(more: int, close: object) -> None:
    outgoing = OutgoingFrames()
    outgoing.put("x" * (MOST_CHARACTERS // 2))
    outgoing.put("x" * (MOST_CHARACTERS // 2 + more))
    assert outgoing.close is close
    assert len(outgoing) == (0 if close else 2)


def test_what_is_taken_makes_room_for_more() -> None:
    outgoing = OutgoingFrames()
    for number in range(MOST_FRAMES + 1):
        outgoing.put("x" * 10_000)
        assert outgoing.next_frame() == "x" * 10_000, number
    assert outgoing.close is None


@given(st.lists(st.one_of(st.text(max_size=3), st.sampled_from([None, GOING_AWAY, PONG_TIMEOUT]))))
def test_frames_leave_in_order_before_the_first_close(moves: list[object]) -> None:
    outgoing, waiting, close = OutgoingFrames(), list[str](), None
    for move in moves:
        if isinstance(move, str):
            outgoing.put(move)
            waiting += [move] if close is None else []
        elif move is None:
            assert outgoing.next_frame() == (waiting.pop(0) if waiting else None)
        else:
            outgoing.end(move)  # type: ignore[arg-type]
            close = close or move
        assert (len(outgoing), outgoing.close) == (len(waiting), close)
