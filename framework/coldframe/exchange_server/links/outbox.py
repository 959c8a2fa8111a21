"""What a link has still to send, for the tasks that wait for it: the writer for a frame, a market for listeners that have read."""

from __future__ import annotations

import trio

from coldframe.exchange.endpoints.connection_life import CloseFrame
from coldframe.exchange.endpoints.outgoing_frames import OutgoingFrames


class Outbox:
    """The outgoing frames of a link, with one reader, its link's writer."""

    def __init__(self) -> None:
        self._frames = OutgoingFrames()
        self._wake = trio.Event()
        self._sent = trio.Event()
        self._gone = False

    def __len__(self) -> int:
        return len(self._frames)

    @property
    def close_frame(self) -> CloseFrame | None:
        """Why the connection is closed behind the frames that wait; None while it stands."""
        return self._frames.close

    def put(self, frame: str) -> None:
        """Adds a frame, unless no frame may follow; too many of them, and they are dropped."""
        if self._gone:
            return
        self._frames.put(frame)
        self._wake_waiting()

    async def wait_next(self) -> str | None:
        """The oldest frame, as soon as there is one; None when there will be no more."""
        while (frame := self._frames.next_frame()) is None:
            if self._gone or self._frames.close is not None:
                return None
            self._wake = trio.Event()
            await self._wake.wait()
        self._sent.set()
        return frame

    def end(self, close: CloseFrame) -> None:
        """No frame will follow: the reader gets what is here, and then None."""
        self._frames.end(close)
        self._wake_waiting()

    async def wait_below(self, limit: int) -> None:
        """Returns when fewer than `limit` frames are left, or the link has ended."""
        while len(self._frames) >= limit and not self._gone:
            if self._sent.is_set():
                self._sent = trio.Event()
            await self._sent.wait()

    def abandon(self) -> None:
        """The link has ended: drops what is left and wakes what waits for room."""
        self._gone = True
        self._frames.clear()
        self._wake.set()
        self._sent.set()

    def _wake_waiting(self) -> None:
        self._wake.set()
        if not self._frames:  # too many waited, and were dropped
            self._sent.set()
