"""The control channel by itself, over real sockets: what is understood, what is refused and how, and that no caller holds it up."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.errors import DecodeError
from coldframe.model.effects import Level
from coldframe.model.halting import HaltLevel
from coldframe.trio_io import control_server, endpoint
from coldframe.trio_io.control import (
    LONGEST_REQUEST,
    VERSION,
    Answer,
    HaltRequest,
    Request,
    ResolveRequest,
    ResumeRequest,
    ask_each,
    read_request,
    write_line,
)
from coldframe.trio_io.control_server import ControlServer
from coldframe.trio_io.runs import RunFolder

PATIENCE_S = 20
WORDS = st.text(max_size=40)
REQUESTS = st.one_of(
    st.builds(HaltRequest, st.just(VERSION), st.sampled_from(HaltLevel), st.none() | WORDS, WORDS, st.integers(0, 10**13)),
    st.builds(ResumeRequest, st.just(VERSION), st.none() | WORDS),
    st.builds(ResolveRequest, st.just(VERSION), WORDS, st.sampled_from(ManualResolution)),
)
PAUSE = HaltRequest(VERSION, HaltLevel.PAUSE)


@attrs.define
class Served:
    """A server on a thread, which accepts whatever is asked."""

    server: ControlServer
    runs: RunFolder
    log: list[str] = attrs.field(factory=list)
    asked: list[Request] = attrs.field(factory=list)
    ended: bool = False

    def serve(self) -> None:
        while not self.ended:
            for caller, request in self.server.wait(PATIENCE_S):
                self.asked.append(request)
                self.server.answer(caller, Answer(VERSION, "accepted", f"number {len(self.asked)}"))

    def ask(self, request: Request = PAUSE) -> Answer:
        (answer,) = ask_each(self.runs.folder, list(self.runs.alive()), request, PATIENCE_S).values()
        assert answer is not None
        return answer

    def connect(self) -> socket.socket:
        (name,) = self.runs.alive()
        connection = endpoint.reach(self.runs.folder, name, PATIENCE_S)
        assert connection is not None
        return connection

    def talk(self, line: bytes) -> dict[str, Any]:
        """Says this, and only then reads."""
        with closing(self.connect()) as there:
            there.sendall(line)
            with there.makefile("rb") as lines:
                return dict(json.loads(lines.readline()))


@contextmanager
def serving(folder: Path) -> Iterator[Served]:
    runs, log = RunFolder(folder), list[str]()

    def say(level: Level, text: str) -> None:
        assert level is Level.WARNING
        log.append(text)

    with runs.entered("bot a of a.toml") as there:
        served = Served(ControlServer(there, say), runs, log)
        thread = threading.Thread(target=served.serve)
        thread.start()
        try:
            yield served
        finally:
            served.ended = True
            served.server.wake()
            thread.join(PATIENCE_S)
            served.server.close()


@pytest.fixture(params=["file", "port"])
def served(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    if request.param == "port":
        monkeypatch.setattr(endpoint, "FILE_SOCKETS", None)
    monkeypatch.chdir(tmp_path)
    with serving(Path("runs")) as there:
        yield there


# -- words ------------------------------------------------------------------------------------------------------------


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
    assert served.ask() == Answer(VERSION, "accepted", "number 1")
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
    assert served.talk(write_line(PAUSE) * 3)["text"] == "number 1"
    assert served.ask().text == "number 2"


def test_callers_that_say_nothing_make_room_for_one_that_asks(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    silent = [served.connect() for _ in range(3 * control_server._CALLERS)]
    assert served.ask().accepted
    for connection in silent:
        connection.close()
    assert served.ask().accepted


def test_a_caller_that_does_not_ask_is_let_go(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_server, "_PATIENCE_S", 0.0)
    with closing(served.connect()) as there:
        there.settimeout(0.05)
        for _ in range(20 * PATIENCE_S):
            served.server.wake()
            try:
                assert there.recv(10) == b""
                return
            except TimeoutError:
                continue
            except ConnectionResetError:
                return
    pytest.fail("it is still there")


def test_callers_that_go_before_the_answer_hold_nothing_up(served: Served) -> None:
    for part in (b"", b"{", write_line(PAUSE)):
        for _ in range(20):
            with closing(served.connect()) as there:
                there.sendall(part)
    assert served.ask().accepted


def test_a_stranger_is_refused_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with serving(Path("runs")) as served:
        monkeypatch.setattr(endpoint, "peer_is_owner", lambda connection: False)
        with closing(served.connect()) as there, suppress(ConnectionResetError):
            assert there.recv(10) == b""
        monkeypatch.undo()
    assert served.log == ["control channel: a connection was refused: it is another user's"]
    assert served.asked == []


def test_a_caller_without_the_token_is_refused_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint, "FILE_SOCKETS", None)
    with serving(tmp_path) as served:
        with socket.create_connection(served.server._endpoint.listener.getsockname(), PATIENCE_S) as there:
            there.sendall(write_line(PAUSE))
            with suppress(ConnectionResetError):
                assert there.recv(10) == b""
        assert served.ask().accepted
    assert served.log == ["control channel: a connection was refused: its first line is not the token"]


# -- runs -------------------------------------------------------------------------------------------------------------


KILLED = """
import sys
from pathlib import Path
from coldframe.trio_io.runs import RunFolder
with RunFolder(Path(sys.argv[1])).entered("bot b of b.toml"):
    print("entered", flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_is_no_run_and_what_it_left_is_replaced(tmp_path: Path) -> None:
    runs = RunFolder(tmp_path / "runs")
    command = [sys.executable, "-c", KILLED, str(runs.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"entered\n"
        assert runs.alive() == {f"{process.pid}-0": f"pid {process.pid}, bot b of b.toml"}
        # Alive but hung: it is there, and does not answer.
        assert ask_each(runs.folder, list(runs.alive()), PAUSE, 0.05) == {f"{process.pid}-0": None}
        process.kill()
        process.wait(PATIENCE_S)
    assert runs.alive() == {}
    assert len(list(runs.folder.iterdir())) == 2
    with runs.entered("new") as there:
        assert sorted(path.suffix for path in runs.folder.iterdir()) == [".lock", there.file.suffix]
    assert list(runs.folder.iterdir()) == []


def test_two_runs_never_share_an_endpoint(tmp_path: Path) -> None:
    runs = RunFolder(tmp_path / "runs")
    with runs.entered("one") as first, runs.entered("two") as second:
        assert first.file != second.file
        assert list(runs.alive()) == [first.file.stem, second.file.stem]
    with serving(tmp_path / "both") as one, serving(tmp_path / "both") as two:
        answers = ask_each(one.runs.folder, list(one.runs.alive()), PAUSE, PATIENCE_S)
        assert [answer is not None and answer.accepted for answer in answers.values()] == [True, True]
        assert (one.asked, two.asked) == ([PAUSE], [PAUSE])


def test_without_runs_nothing_is_asked(tmp_path: Path) -> None:
    runs = RunFolder(tmp_path / "none")
    assert runs.alive() == {}
    assert ask_each(runs.folder, [], PAUSE, PATIENCE_S) == {}
    assert not runs.folder.exists()
