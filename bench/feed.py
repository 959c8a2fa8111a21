"""A lean venue for market streams: WebSockets whose frames are made before, and the few REST answers that a client begins with.

It costs next to nothing while it sends, so that a client beside it is measured and not this. Connections subscribe by their path or
by SUBSCRIBE, combined or raw; `blast` writes as fast as the client reads, `pace` writes each frame at its time.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from hashlib import sha1
from typing import Final
from urllib.parse import parse_qs, urlsplit

_MAGIC: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CHUNK: Final = 1 << 16
#: How long a client may take for anything, in seconds.
PATIENCE_S: Final = 60.0
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA

Answers = Callable[[str, Mapping[str, str]], bytes]


def as_frame(payload: bytes, opcode: int = _TEXT) -> bytes:
    """A whole WebSocket frame of a server."""
    size = len(payload)
    if size < 126:
        return bytes((0x80 | opcode, size)) + payload
    if size < 1 << 16:
        return bytes((0x80 | opcode, 126)) + size.to_bytes(2) + payload
    return bytes((0x80 | opcode, 127)) + size.to_bytes(8) + payload


def stream_of(frame: bytes) -> str:
    """The stream that a combined frame names."""
    return frame[11 : frame.index(b'"', 11)].decode()


def bare(frame: bytes) -> bytes:
    """The payload of a combined frame."""
    return frame[frame.index(b'"data":') + 7 : -1]


class Connection:
    """One WebSocket of a client."""

    def __init__(self, link: socket.socket, target: str) -> None:
        self._link, self._lock = link, threading.Lock()
        split = urlsplit(target)
        self.combined = "/stream" in split.path
        named = parse_qs(split.query).get("streams", [""])[0] if self.combined else split.path.rpartition("/ws")[2]
        self.streams = {name for name in named.strip("/").split("/") if name}
        self.open = True

    def write(self, written: bytes | memoryview) -> None:
        """Writes whole frames. A client that has gone away is left alone."""
        try:
            with self._lock:
                self._link.sendall(written)
        except OSError:
            self.open = False

    def read_on(self) -> None:
        """Reads what the client writes until it closes."""
        with suppress(OSError, EOFError), self._link.makefile("rb") as file:
            while self.open:
                opcode, payload = _read_frame(file.read)
                if opcode == _PING:
                    self.write(as_frame(payload, _PONG))
                elif opcode == _TEXT:
                    self._asked(json.loads(payload))
                elif opcode == _CLOSE:
                    self.write(as_frame(payload, _CLOSE))
                    break
        self.open = False
        self._link.close()

    def _asked(self, asked: Mapping[str, object]) -> None:
        names = asked.get("params", [])
        assert isinstance(names, list)
        self.write(as_frame(json.dumps({"result": None, "id": asked.get("id")}).encode()))
        if asked.get("method") == "SUBSCRIBE":
            self.streams.update(names)
        elif asked.get("method") == "UNSUBSCRIBE":
            self.streams.difference_update(names)


def _read_frame(read: Callable[[int], bytes]) -> tuple[int, bytes]:
    """One frame of a client, which masks it."""
    first, second = _exactly(read, 2)
    size = second & 0x7F
    if size >= 126:
        size = int.from_bytes(_exactly(read, 2 if size == 126 else 8))
    mask, masked = _exactly(read, 4), _exactly(read, size)
    return first & 0xF, bytes(byte ^ mask[place % 4] for place, byte in enumerate(masked))


def _exactly(read: Callable[[int], bytes], count: int) -> bytes:
    got = read(count)
    if len(got) < count:
        raise EOFError
    return got


class Feed:
    """The server: every client that connects gets what its connections have subscribed to."""

    def __init__(self, answers: Answers, tls: ssl.SSLContext | None = None) -> None:
        self._answers, self._tls = answers, tls
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.connections: list[Connection] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                link, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(link,), daemon=True).start()

    def _serve(self, link: socket.socket) -> None:
        with suppress(OSError, EOFError, ssl.SSLError):
            link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                link = self._tls.wrap_socket(link, server_side=True)
            self._speak(link)
        link.close()

    def _speak(self, link: socket.socket) -> None:
        """HTTP requests one after another, until one of them asks for a WebSocket."""
        while True:
            with link.makefile("rb", buffering=0) as file:
                target, headers = _read_request(file.read)
            key = headers.get("sec-websocket-key")
            if key is None:
                split = urlsplit(target)
                body = self._answers(split.path, {name: values[0] for name, values in parse_qs(split.query).items()})
                head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
                link.sendall(head.encode() + body)
                continue
            accepted = b64encode(sha1(key.encode() + _MAGIC).digest()).decode()
            upgrade = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            link.sendall(f"{upgrade}Sec-WebSocket-Accept: {accepted}\r\n\r\n".encode())
            connection = Connection(link, target)
            self.connections.append(connection)
            connection.read_on()
            return

    # -- sending --------------------------------------------------------------------------------------------------------

    def _by_stream(self) -> dict[str, Connection]:
        return {name: connection for connection in list(self.connections) if connection.open for name in list(connection.streams)}

    def subscribed(self, names: Sequence[str], within_s: float = PATIENCE_S) -> bool:
        """Waits until every stream is subscribed to."""
        until = time.monotonic() + within_s
        while not set(names) <= self._by_stream().keys():
            if time.monotonic() > until:
                return False
            time.sleep(0.02)
        return True

    def forget(self) -> None:
        """Drops all clients."""
        for connection in self.connections:
            connection.open = False
        self.connections.clear()

    def _bound(self, frames: Sequence[bytes]) -> list[tuple[Connection, bytes]]:
        by_stream = self._by_stream()
        bound = [(by_stream[stream_of(frame)], frame) for frame in frames]
        return [(connection, as_frame(frame if connection.combined else bare(frame))) for connection, frame in bound]

    def blast(self, frames: Sequence[bytes]) -> None:
        """Writes to all connections at once, as fast as the client reads."""
        joined: dict[Connection, bytearray] = {}
        for connection, frame in self._bound(frames):
            joined.setdefault(connection, bytearray()).extend(frame)
        threads = [threading.Thread(target=_pour, args=item, daemon=True) for item in joined.items()]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_S)

    def pace(self, frames: Sequence[bytes], per_second: float) -> None:
        """Writes each frame at its time, on the one thread that sends."""
        bound, began = self._bound(frames), time.perf_counter()
        for number, (connection, frame) in enumerate(bound):
            due = began + number / per_second
            while (left := due - time.perf_counter()) > 0:
                time.sleep(left)
            connection.write(frame)


def _pour(connection: Connection, joined: bytearray) -> None:
    view = memoryview(joined)
    for begin in range(0, len(view), _CHUNK):
        connection.write(view[begin : begin + _CHUNK])


def _read_request(read: Callable[[int], bytes]) -> tuple[str, dict[str, str]]:
    """The target and the headers of a request without a body."""
    got = bytearray()
    while not got.endswith(b"\r\n\r\n"):
        got += _exactly(read, 1)
    line, *rest = got.decode("latin-1").strip().split("\r\n")
    return line.split(" ")[1], {name.lower(): value.strip() for name, _, value in (header.partition(":") for header in rest)}
