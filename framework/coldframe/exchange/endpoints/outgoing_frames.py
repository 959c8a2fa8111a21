"""What a connection has still to send, without its socket: bounded, so that a client which does not read is closed, not waited for.

The exchange server and the virtual venue put frames in, and send what `next_frame` gives them; the close frame leaves behind the
last frame. The exchange's documents say nothing of clients that do not read; these limits protect the memory of the venue.
"""

from __future__ import annotations

from collections import deque
from typing import Final

from coldframe.exchange.endpoints.connection_life import TOO_SLOW, CloseFrame

#: So many frames, or characters, wait for a client at most.
MOST_FRAMES: Final = 20_000
MOST_CHARACTERS: Final = 32_000_000
#: How long a client may leave a frame unread that is being written, in milliseconds. Half of it may be on the cable, so nothing can
#: follow: the connection is cut off without a word.
WRITE_MS: Final = 15_000
#: How long a client may leave a close frame unread, or unanswered, in milliseconds; the connection is cut off then.
CLOSE_MS: Final = 2_000


class OutgoingFrames:
    """The text frames that wait to be sent on one connection, and the close frame behind them."""

    def __init__(self) -> None:
        self._frames: deque[str] = deque()
        self._characters = 0
        #: Why the connection is closed when all frames are sent; None while it stands. The first reason counts.
        self.close: CloseFrame | None = None

    def __len__(self) -> int:
        return len(self._frames)

    def put(self, frame: str) -> None:
        """Adds a frame while the connection stands. When too many wait they are dropped, and it is closed as too slow."""
        if self.close is not None:
            return
        if len(self._frames) >= MOST_FRAMES or self._characters + len(frame) > MOST_CHARACTERS:
            self.clear()
            self.end(TOO_SLOW)
            return
        self._frames.append(frame)
        self._characters += len(frame)

    def next_frame(self) -> str | None:
        """Takes the oldest frame; None when none waits."""
        if not self._frames:
            return None
        frame = self._frames.popleft()
        self._characters -= len(frame)
        return frame

    def end(self, close: CloseFrame) -> None:
        """No frame will follow those that wait: the connection is closed behind them."""
        self.close = self.close or close

    def clear(self) -> None:
        """Drops what waits."""
        self._frames.clear()
        self._characters = 0
