"""What a request is for: it goes out with the request, whichever way that takes, and comes back with the answer.

Each machine has purposes of its own; together they are the closed union `coldframe.core.engine.Purpose`.
"""

from __future__ import annotations


class RequestPurpose:
    """The root of all purposes, so that nothing else is sent with a request."""

    __slots__ = ()
