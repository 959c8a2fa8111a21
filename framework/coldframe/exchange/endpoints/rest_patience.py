"""How long a REST connection may say nothing, and how long it may take to say a request, without its socket.

The exchange's documents say nothing of it; these limits keep clients that are slow or gone from holding connections for ever.
"""

from __future__ import annotations

from typing import Final

#: How long a connection may say nothing between two requests, and how long a call that is not answered is held, in milliseconds.
IDLE_MS: Final = 300_000
#: How long a new connection may say nothing, and how long the head and then the body of a request may take.
REQUEST_MS: Final = 10_000


class RestPatience:
    """Until when a connection is waited for. `at_ms` counts milliseconds of a clock that never goes back."""

    def __init__(self, at_ms: int) -> None:
        #: When the connection is given up, unless something comes before.
        self.ends_ms = at_ms + REQUEST_MS

    def begin_head(self, at_ms: int) -> None:
        """Something of a request has come: now its head has to come to its end."""
        self.ends_ms = min(self.ends_ms, at_ms + REQUEST_MS)

    def begin_body(self, at_ms: int) -> None:
        """A head has come to its end: now the body has to."""
        self.ends_ms = at_ms + REQUEST_MS

    def begin_idling(self, at_ms: int) -> None:
        """A request has been answered: the next may be long in coming."""
        self.ends_ms = at_ms + IDLE_MS
