"""The run's end of its control channel: a listener that the kill switch's thread owns, serves and sleeps at.

It never waits for a caller: bytes are taken as they come, a caller that says nothing is let go, and one that does not take its
answer misses it. What cannot be understood is answered and told in one line; another user's connection is told and closed.
"""

from __future__ import annotations

import os
import selectors
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from typing import Final, Literal

import attrs

from coldframe.errors import DecodeError
from coldframe.model.effects import CommandAnswered, Level
from coldframe.trio_io.clock import monotonic_s
from coldframe.trio_io.control import LONGEST_REQUEST, VERSION, ControlAnswer, Request, read_request, write_line
from coldframe.trio_io.endpoint import LineTooLong, LocalEndpoint, PeerRefused, RequestLines

#: So many callers at a time; the one that has been there for longest without asking makes room for another.
_CALLERS: Final = 16
#: How long a caller may take to ask, and the engine to answer (seconds).
_PATIENCE_S: Final = 10.0
_ENGINE_PATIENCE_S: Final = 3.0
_PART: Final = 1 << 16

Log = Callable[[Level, str], None]


@attrs.define(eq=False)
class Caller:
    """One connection. `lines` is None once it has asked."""

    connection: socket.socket
    lines: RequestLines | None
    until_s: float


class ControlServer:
    """One per run. Only `wake` and `command_answered` may be called from another thread."""

    def __init__(self, endpoint: LocalEndpoint, log: Log, patience_s: float = _PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._endpoint = endpoint
        self._log = log
        self._callers: list[Caller] = []
        #: Who waits for the engine, by the name of the command, and until when; and what it has answered.
        self._waiting: dict[str, tuple[Caller, float]] = {}
        self._answered: deque[CommandAnswered] = deque()
        self._numbers = count(1)
        self._asleep, self._waker = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        for ear in (endpoint.listener, self._asleep):
            ear.setblocking(False)
            self._selector.register(ear, selectors.EVENT_READ)
        self._waker.setblocking(False)

    def wake(self) -> None:
        """Ends the `wait` that is going on, or else the next one."""
        with suppress(OSError):  # it has been woken so often that the pipe is full, or has been closed
            self._waker.send(b"\0")

    def wait(self, seconds: float) -> list[tuple[Caller, Request]]:
        """Sleeps until something is asked, `wake` is called or the time is over. Returns what was asked."""
        asked = []
        for key, _ in self._selector.select(seconds):
            if key.fileobj is self._endpoint.listener:
                self._accept()
            elif key.fileobj is self._asleep:
                with suppress(OSError):
                    self._asleep.recv(_PART)
            elif key.data in self._callers:  # not one that had to make room just now
                request = self._read(key.data)
                if request is not None:
                    asked.append((key.data, request))
        now_s = monotonic_s()
        for caller in [caller for caller in self._callers if caller.lines is not None and caller.until_s < now_s]:
            self._end(caller)
        return asked

    def answer(self, caller: Caller, answer: ControlAnswer) -> None:
        """Answers a caller, who may have gone, and ends the connection."""
        with suppress(OSError):  # also where it has not room for the answer
            caller.connection.send(write_line(answer))
        self._end(caller)

    def keep_waiting(self, caller: Caller) -> str:
        """A caller is answered when the engine has answered a command. Returns the name for it."""
        name = f"{os.getpid()}.{next(self._numbers)}"
        self._waiting[name] = caller, monotonic_s() + _ENGINE_PATIENCE_S
        return name

    def command_answered(self, answered: CommandAnswered) -> None:
        """What the engine answers to a command. On the thread of the run."""
        self._answered.append(answered)
        self.wake()

    def hand_back(self, where: Callable[[], str]) -> None:
        """Passes on what the engine has answered. Where it has not in time, says so, and what the run is in (`where`)."""
        while self._answered:
            answered = self._answered.popleft()
            caller, _ = self._waiting.pop(answered.command, (None, 0.0))
            if caller is not None:
                result: Literal["accepted", "refused"] = "accepted" if answered.accepted else "refused"
                self.answer(caller, ControlAnswer(VERSION, result, answered.text, pid=os.getpid()))
        for name, (caller, until_s) in list(self._waiting.items()):
            if monotonic_s() >= until_s:
                del self._waiting[name]
                text = f"the bot does not answer{where()}; it takes this in as soon as it does"
                self.answer(caller, ControlAnswer(VERSION, "unanswered", text, pid=os.getpid()))

    def close(self) -> None:
        """Hears nothing more; callers that wait for an answer see that the run has ended."""
        for caller in list(self._callers):
            self._end(caller)
        self._selector.close()
        self._endpoint.close()
        self._asleep.close()
        self._waker.close()

    def _accept(self) -> None:
        try:
            connection, _ = self._endpoint.listener.accept()
        except OSError:  # it has gone again
            return
        try:
            connection.setblocking(False)
            caller = Caller(connection, self._endpoint.admit(connection, LONGEST_REQUEST), monotonic_s() + self._patience_s)
        except PeerRefused as refused:
            self._log(Level.WARNING, f"control channel: a connection was refused: {refused}")
            connection.close()
            return
        except OSError:
            connection.close()
            return
        if len(self._callers) >= _CALLERS:
            self._end(next((other for other in self._callers if other.lines is not None), caller))
        if len(self._callers) >= _CALLERS:  # all of them wait for the run
            return
        self._callers.append(caller)
        self._selector.register(connection, selectors.EVENT_READ, caller)

    def _read(self, caller: Caller) -> Request | None:
        """The request of a caller, if it is complete now."""
        try:
            part = caller.connection.recv(_PART)
            if caller.lines is None:  # it has asked already: what it says beyond that is not heard
                if not part:
                    self._selector.unregister(caller.connection)
                return None
            if not part:
                self._end(caller)
                return None
            lines = caller.lines.feed(part)
            if not lines:
                return None
            request = read_request(lines[0])
        except BlockingIOError:
            return None
        except PeerRefused as refused:
            self._log(Level.WARNING, f"control channel: a connection was refused: {refused}")
            self._end(caller)
            return None
        except OSError:  # the caller has gone
            self._end(caller)
            return None
        except (LineTooLong, DecodeError) as error:
            text = f"not a request: {error}"
            self._log(Level.WARNING, f"control channel: {text}")
            self.answer(caller, refused_with(text))
            return None
        caller.lines = None
        return request

    def _end(self, caller: Caller) -> None:
        if caller in self._callers:
            self._callers.remove(caller)
            with suppress(KeyError):
                self._selector.unregister(caller.connection)
        caller.connection.close()


def refused_with(text: str) -> ControlAnswer:
    """A refusal in one sentence."""
    return ControlAnswer(VERSION, "refused", text, pid=os.getpid())
