"""What a link has still to send: bounded; a peer that does not read is cut off rather than waited for."""

from __future__ import annotations

from collections import deque
from typing import Final

import trio

#: So many messages, or characters, and the reader counts as gone.
_MOST_MESSAGES: Final = 20_000
_MOST_CHARACTERS: Final = 32_000_000


class Outbox:
    """A queue of text frames with one reader, its link's writer."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._characters = 0
        self._wake = trio.Event()
        self._sent = trio.Event()
        self.overflowed = False
        #: Set when no frame will follow those that are in the box.
        self.ended = False

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: str) -> None:
        """Adds a frame; too many of them, and the box overflows and takes no more."""
        if self.overflowed or self.ended:
            return
        if len(self._frames) >= _MOST_MESSAGES or self._characters > _MOST_CHARACTERS:
            self.close()
        else:
            self._frames.append(frame)
            self._characters += len(frame)
        self._wake.set()

    async def wait_next(self) -> str | None:
        """The oldest frame, as soon as there is one; None when there will be no more, or the box has overflowed."""
        while not self._frames and not self.overflowed and not self.ended:
            self._wake = trio.Event()
            await self._wake.wait()
        if self.overflowed or not self._frames:
            return None
        frame = self._frames.popleft()
        self._characters -= len(frame)
        self._sent.set()
        return frame

    def end(self) -> None:
        """No frame will follow: the reader gets what is here, and then None."""
        self.ended = True
        self._wake.set()

    async def wait_below(self, limit: int) -> None:
        """Returns when fewer than `limit` frames are left, or the link has ended."""
        while len(self._frames) >= limit and not self.overflowed:
            if self._sent.is_set():
                self._sent = trio.Event()
            await self._sent.wait()

    def close(self) -> None:
        """The link has ended: drops what is left and wakes what waits for room."""
        self.overflowed = True
        self._frames.clear()
        self._sent.set()
