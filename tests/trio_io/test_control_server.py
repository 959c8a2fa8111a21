"""The run's end of the control channel, over real sockets: what it answers and tells, and that no caller holds it up."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from coldframe.os_specific import FILE_SOCKETS
from coldframe.trio_io import control_server, endpoint
from coldframe.trio_io.control import (
    LONGEST_REQUEST,
    VERSION,
    ControlAnswer,
    ResumeRequest,
    write_line,
)
from coldframe.trio_io.control_server import ControlServer
from coldframe.trio_io.endpoint import reach
from coldframe.trio_io.runs import RunFolder
from tests.trio_io.control_rig import PATIENCE_S, PAUSE, Served, serving

GOOD = write_line(PAUSE)


@pytest.fixture(params=["file", "port"])
def family(request: pytest.FixtureRequest) -> int | None:
    return FILE_SOCKETS if request.param == "file" else None


@pytest.fixture
def served(family: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    monkeypatch.chdir(tmp_path)
    with serving(Path("runs"), family=family) as there:
        yield there


@pytest.fixture
def hasty(family: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """A server that lets a caller go at once that has not asked."""
    monkeypatch.chdir(tmp_path)
    with serving(Path("runs"), family=family, patience_s=0.0) as there:
        yield there


UNREADABLE = [
    (b"\n", "not a request: Input data was truncated"),
    (b"halt!\n", "not a request: "),
    (b"{}\n", "missing required field `version`"),
    (b'{"version": 2, "command": "halt"}\n', "version 2 is not spoken here, 1 is"),
    (b'{"version": 1, "command": "fly"}\n', "Invalid value 'fly'"),
    (b'{"version": 1, "command": "halt", "level": "gently"}\n', "Invalid enum value 'gently'"),
    (b'{"version": 1, "command": "halt", "level": "pause", "more": 1}\n', "unknown field `more`"),
    (b'{"version": 1, "command": "resolve", "order": "x", "outcome": "lost"}\n', "Invalid enum value 'lost'"),
    (b"[" * 4000 + b"\n", "not a request: "),
    (b"\xff\xfe\n", "not a request: "),
    (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "not a request: "),
    (b"x" * (LONGEST_REQUEST + 1), f"a line of it is longer than {LONGEST_REQUEST} bytes"),
]


@pytest.mark.parametrize(("line", "said"), UNREADABLE, ids=[f"{line[:12]!r}" for line, _ in UNREADABLE])
def test_an_unreadable_command_is_answered_and_told_in_one_line(tmp_path: Path, line: bytes, said: str) -> None:
    with serving(tmp_path / "runs") as served:
        token = served.server._endpoint.token
        there = served.connect()  # with the token, where there is one
        with closing(there):
            there.sendall(line)
            with there.makefile("rb") as lines:
                told = json.loads(lines.readline())
        assert (told["result"], told["pid"]) == ("refused", os.getpid())
        assert said in told["text"]
        (logged,) = served.log
        assert logged == f"control channel: {told['text']}"
        assert "\n" not in logged
        assert served.asked == []
        assert token == served.server._endpoint.token
        assert served.ask().accepted, "it goes on"


# -- callers ----------------------------------------------------------------------------------------------------------


def test_a_request_is_answered_once(served: Served) -> None:
    assert served.ask() == ControlAnswer(VERSION, "accepted", "number 1")
    assert served.ask(ResumeRequest(VERSION, "a")).text == "number 2"
    assert served.asked == [PAUSE, ResumeRequest(VERSION, "a")]
    assert served.log == []


def test_bytes_may_come_one_by_one_and_the_writing_end_may_close(served: Served) -> None:
    with closing(served.connect()) as there:
        for byte in write_line(PAUSE):
            there.sendall(bytes([byte]))
        there.shutdown(socket.SHUT_WR)
        with there.makefile("rb") as lines:
            assert json.loads(lines.readline())["text"] == "number 1"


def test_what_follows_a_request_is_not_heard(served: Served) -> None:
    assert served.talk(write_line(PAUSE) * 2 + b"nonsense\n")["text"] == "number 1"
    assert served.ask().text == "number 2"


def test_callers_that_say_nothing_make_room_for_one_that_asks(served: Served) -> None:
    silent = [served.connect() for _ in range(3 * control_server._CALLERS)]
    assert served.ask().accepted
    for connection in silent:
        connection.close()
    assert served.ask().accepted


def test_a_caller_that_does_not_ask_is_let_go(hasty: Served) -> None:
    with closing(hasty.connect()) as there:
        there.settimeout(0.05)
        for _ in range(20 * PATIENCE_S):
            hasty.server.wake()
            try:
                assert there.recv(10) == b""
                return
            except TimeoutError:
                continue
            except ConnectionResetError:
                return
    pytest.fail("it is still there")


def test_a_caller_that_waits_for_its_answer_is_kept(tmp_path: Path) -> None:
    """However long it takes, whatever it says meanwhile, and also when it says nothing more."""
    with RunFolder(tmp_path).entered("x") as there:
        server = ControlServer(there, lambda level, text: None)
        connection = reach(tmp_path, there.file.stem, PATIENCE_S)
        assert connection is not None
        with closing(connection):
            connection.sendall(GOOD)
            ((caller, request),) = server.wait(PATIENCE_S) + server.wait(PATIENCE_S)
            assert request == PAUSE
            caller.until_s = 0.0  # the time for asking is over
            connection.sendall(GOOD)
            assert server.wait(0.2) == []
            connection.shutdown(socket.SHUT_WR)
            assert server.wait(0.2) == []
            server.answer(caller, ControlAnswer(VERSION, "accepted", "at last"))
            with connection.makefile("rb") as lines:
                assert json.loads(lines.readline())["text"] == "at last"
        server.close()


def test_callers_that_go_before_the_answer_hold_nothing_up(served: Served) -> None:
    for part in (b"", b"{", write_line(PAUSE)):
        for _ in range(20):
            with closing(served.connect()) as there:
                there.sendall(part)
    assert served.ask().accepted


def test_a_peer_without_the_token_is_refused_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(Path("runs")) as served:
        monkeypatch.setattr(endpoint, "peer_is_owner", lambda connection: False)
        with closing(served.connect()) as there, suppress(ConnectionResetError):
            assert there.recv(10) == b""
        monkeypatch.undo()
    assert served.log == ["control channel: a connection was refused: it is another user's"]
    assert served.asked == []


def test_a_caller_without_the_token_is_refused_and_told(tmp_path: Path) -> None:
    with serving(tmp_path, family=None) as served:
        with socket.create_connection(served.server._endpoint.listener.getsockname(), PATIENCE_S) as there:
            there.sendall(write_line(PAUSE))
            with suppress(ConnectionResetError):
                assert there.recv(10) == b""
        assert served.ask().accepted
    assert served.log == ["control channel: a connection was refused: its first line is not the token"]


# -- any callers ------------------------------------------------------------------------------------------------------

#: What one of several callers does next: says some bytes, or goes.
PARTS = st.sampled_from([b"", b"{", b"}\n", b"\n", GOOD, GOOD[:20], GOOD[20:], None])
STEPS = st.lists(st.tuples(st.integers(0, 7), PARTS), max_size=40)


def due(said: bytes) -> str | None:
    """What an oracle expects: nothing before the first line is complete, and one answer for that line."""
    line, end, _ = said.partition(b"\n")
    if not end:
        return None
    return "accepted" if line + end == GOOD else "refused"


@settings(max_examples=60)
@given(STEPS)
def test_each_first_line_is_answered_once_whatever_others_do(steps: list[tuple[int, bytes | None]]) -> None:
    with TemporaryDirectory(prefix="c") as folder, RunFolder(Path(folder)).entered("x") as there:
        server = ControlServer(there, lambda level, text: None)
        callers: dict[int, socket.socket] = {}
        said: dict[int, bytes] = {}

        def serve() -> None:
            for _ in range(10):  # one connection is let in at a time
                for caller, _request in server.wait(0):
                    server.answer(caller, ControlAnswer(VERSION, "accepted", "yes"))

        for who, part in steps:
            if part is None:
                if who in callers:
                    callers.pop(who).close()
            else:
                if who not in callers:
                    connection = reach(there.file.parent, there.file.stem, PATIENCE_S)
                    assert connection is not None
                    callers[who], said[who] = connection, b""
                with suppress(BrokenPipeError, ConnectionResetError):  # answered already
                    callers[who].sendall(part)
                said[who] += part
            serve()
        for who, connection in callers.items():
            expected = due(said[who])
            if expected is not None:
                with connection, connection.makefile("rb") as lines:
                    assert json.loads(lines.readline())["result"] == expected
                    assert lines.read() == b""
            else:
                connection.settimeout(0)
                with connection, pytest.raises(BlockingIOError):
                    connection.recv(1)
        server.close()
