"""Endpoints of the owner alone: as a socket file and as a loopback port with a token, over real sockets."""

from __future__ import annotations

import json
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from coldframe.os_specific import FILE_SOCKETS
from coldframe.trio_io.endpoint import LONGEST_PATH, LineTooLong, LocalEndpoint, PeerRefused, RequestLines, listen, names_in, reach

PATIENCE_S = 10


@pytest.fixture(params=["file", "long path", "no socket files"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def folder(kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    if kind == "long path":
        return tmp_path / ("x" * LONGEST_PATH)
    monkeypatch.chdir(tmp_path)
    return Path("runs")


@pytest.fixture
def listening(kind: str, folder: Path) -> Callable[[], LocalEndpoint]:
    """Listens in the folder, in the way that is tried."""
    return lambda: listen(folder, "1", family=None if kind == "no socket files" else FILE_SOCKETS)


@pytest.fixture
def served(listening: Callable[[], LocalEndpoint]) -> Iterator[LocalEndpoint]:
    there = listening()
    yield there
    there.close()


def test_a_line_goes_there_and_back(kind: str, folder: Path, served: LocalEndpoint) -> None:
    assert bool(served.token) is (kind != "file")
    caller = reach(folder, "1", PATIENCE_S)
    assert caller is not None
    with closing(caller), closing(served.listener.accept()[0]) as there:
        caller.sendall(b"hello\n")
        lines, found = served.admit(there, 100), []
        while not found:
            found = lines.feed(there.recv(10))
        assert found == [b"hello"]
        there.sendall(b"well\n")
        assert caller.recv(10) == b"well\n"


def test_x17_files_and_folder_are_the_owners_alone(folder: Path, served: LocalEndpoint) -> None:
    assert [stat.S_IMODE(path.stat().st_mode) for path in (folder, *folder.iterdir())] == [0o700, 0o600]
    assert list(names_in(folder)) == ["1"]
    served.close()
    assert list(folder.iterdir()) == []
    assert reach(folder, "1", PATIENCE_S) is None


def test_what_a_killed_process_left_is_replaced(folder: Path, listening: Callable[[], LocalEndpoint]) -> None:
    dead = listening()
    dead.listener.close()  # its file stays
    assert dead.file.exists()
    assert reach(folder, "1", PATIENCE_S) is None
    alive = listening()
    with closing(reach(folder, "1", PATIENCE_S) or pytest.fail("not reached")):
        pass
    alive.close()


def test_a_damaged_port_file_is_passed_over(folder: Path) -> None:
    folder.mkdir()
    for body in (b"", b"{", b'{"port": 99999999, "token": ""}', b'{"port":1}', b'{"port": 1, "token": "x"}'):
        (folder / "1.port").write_bytes(body)
        assert reach(folder, "1", PATIENCE_S) is None
        assert list(names_in(folder)) == ["1"]


def test_without_the_token_no_line_is_taken(tmp_path: Path) -> None:
    with closing(listen(tmp_path, "1", family=None)) as served:
        told = json.loads((tmp_path / "1.port").read_text())
        assert len(told["token"]) == 64
        assert served.listener.getsockname()[0] == "127.0.0.1"
        with socket.create_connection(("127.0.0.1", told["port"])) as caller, closing(served.listener.accept()[0]) as there:
            caller.sendall(b"GET / HTTP/1.1\n{}\n")
            with pytest.raises(PeerRefused, match="token"):
                served.admit(there, 100).feed(there.recv(1000))


def test_another_user_is_refused_where_the_system_tells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with closing(listen(Path("runs"), "1")) as served:
        caller = reach(Path("runs"), "1", PATIENCE_S)
        assert caller is not None
        with closing(caller), closing(served.listener.accept()[0]) as there:
            monkeypatch.setattr("coldframe.os_specific.os.geteuid", lambda: 12345)
            monkeypatch.setattr("coldframe.os_specific._ROOT", 54321)
            with pytest.raises(PeerRefused, match="another user"):
                served.admit(there, 100)


@pytest.mark.parametrize("token", [b"", b"secret"])
def test_lines_are_cut_however_they_come(token: bytes) -> None:
    said = (token + b"\n" if token else b"") + b"one\ntwo\n\nthree"
    for size in range(1, len(said) + 1):
        lines = RequestLines(token, 6)
        found = [line for at in range(0, len(said), size) for line in lines.feed(said[at : at + size])]
        assert found == [b"one", b"two", b""]


@pytest.mark.parametrize(("body", "fits"), [(b"xxxxx", True), (b"xxxxxx", False), (b"xxxxx\n", True), (b"xxxxxx\n", False)])
def test_a_line_has_a_bound(body: bytes, fits: bool) -> None:
    lines = RequestLines(b"", 5)
    if fits:
        lines.feed(body)
    else:
        with pytest.raises(LineTooLong, match="longer than 5 bytes"):
            lines.feed(body)


@pytest.mark.parametrize("first", [b"\n", b"secre\n", b"secrett\n", b"SECRET\n"])
def test_another_token_is_refused(first: bytes) -> None:
    with pytest.raises(PeerRefused):
        RequestLines(b"secret", 100).feed(first)
