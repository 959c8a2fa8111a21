"""Who listens to which stream: subscriptions by name, payloads encoded once and handed to every listener.

A stream without listeners is never built. Names that the venue does not serve are accepted and stay silent, as on the
exchange (protocol.md 4.1). It knows no socket: listeners are outboxes of links.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Protocol

from coldframe.wire.frames import envelope


class Publication:
    """One payload on its way to all listeners of a stream: each of its two forms is made at most once."""

    def __init__(self, name: str, payload: bytes, event: str = "") -> None:
        self.name = name
        self.payload = payload
        #: The kind of a private event, for listeners that want only some kinds.
        self.event = event

    @cached_property
    def raw(self) -> str:
        return self.payload.decode()

    @cached_property
    def enveloped(self) -> str:
        return envelope(self.name, self.payload).decode()


class Listener(Protocol):
    """What takes publications; it must never wait."""

    def offer(self, publication: Publication) -> None: ...

    @property
    def backlog(self) -> int:
        """How many messages it has not sent yet."""


class Subscriptions:
    """Subscriptions by stream name. `opened` is told of a name's first listener, `closed` of its last one's end."""

    def __init__(self, opened: Callable[[str], None], closed: Callable[[str], None]) -> None:
        self._listeners: dict[str, dict[Listener, None]] = {}
        self._opened = opened
        self._closed = closed

    def add(self, name: str, listener: Listener) -> None:
        """Lets `listener` hear the stream `name`; twice is the same as once."""
        listeners = self._listeners.get(name)
        if listeners is None:
            self._listeners[name] = {listener: None}
            self._opened(name)
        else:
            listeners[listener] = None

    def remove(self, name: str, listener: Listener) -> None:
        """Ends a subscription; an unknown one is passed over."""
        listeners = self._listeners.get(name)
        if listeners is None or listener not in listeners:
            return
        del listeners[listener]
        if not listeners:
            del self._listeners[name]
            self._closed(name)

    def names(self) -> list[str]:
        """The streams that have a listener."""
        return list(self._listeners)

    def wanted(self, name: str) -> bool:
        """Whether `name` has listeners."""
        return name in self._listeners

    def publish(self, name: str, payload: bytes, event: str = "") -> None:
        """Hands a payload to every listener of `name`."""
        listeners = self._listeners.get(name)
        if listeners:
            publication = Publication(name, payload, event)
            for listener in list(listeners):
                listener.offer(publication)

    def backlog(self) -> int:
        """How many messages the slowest listener has not sent yet."""
        return max((listener.backlog for listeners in self._listeners.values() for listener in listeners), default=0)
