"""A control server on a thread of its own, which accepts whatever is asked, and callers of it."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import attrs

from coldframe.model.effects import Level
from coldframe.model.halting import HaltLevel
from coldframe.os_specific import FILE_SOCKETS
from coldframe.trio_io import endpoint
from coldframe.trio_io.control import (
    VERSION,
    ControlAnswer,
    HaltRequest,
    Request,
    ask_each,
)
from coldframe.trio_io.control_server import ControlServer
from coldframe.trio_io.runs import RunFolder

PATIENCE_S = 60
PAUSE = HaltRequest(VERSION, HaltLevel.PAUSE)


@attrs.define
class Served:
    """A server on a thread, which accepts whatever is asked."""

    server: ControlServer
    runs: RunFolder
    log: list[str] = attrs.field(factory=list)
    asked: list[Request] = attrs.field(factory=list)
    ended: bool = False
    #: What it says to whatever is asked; without it the number of the request.
    reply: ControlAnswer | None = None

    def serve(self) -> None:
        while not self.ended:
            for caller, request in self.server.wait(PATIENCE_S):
                self.asked.append(request)
                self.server.answer(caller, self.reply or ControlAnswer(VERSION, "accepted", f"number {len(self.asked)}"))

    def ask(self, request: Request = PAUSE) -> ControlAnswer:
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
def serving(folder: Path, *, patience_s: float = PATIENCE_S, family: int | None = FILE_SOCKETS) -> Iterator[Served]:
    runs, log = RunFolder(folder, family), list[str]()

    def say(level: Level, text: str) -> None:
        assert level is Level.WARNING
        log.append(text)

    with runs.entered("bot a of a.toml") as there:
        served = Served(ControlServer(there, say, patience_s), runs, log)
        thread = threading.Thread(target=served.serve)
        thread.start()
        try:
            yield served
        finally:
            served.ended = True
            served.server.wake()
            thread.join(PATIENCE_S)
            served.server.close()
