"""The one queue into the engine: control and private before market, and a bound on everything that may pile up.

Control and private inputs keep the order in which they came, whichever of the two they are: an answer that came before its link was
lost is heard before the loss. Market frames that come faster than they are taken are dropped link by link and reported as a known
gap, because a hidden delay is worse. Private messages are never dropped.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import trio

from coldframe.errors import InvariantBroken
from coldframe.model.inputs import FramesDropped, FramesReceived, Input, Lane, Stamped

#: How many market frames may wait; beyond that those of the link that brings the next one are dropped.
MARKET_LIMIT: Final = 20_000
#: More control or private inputs than this mean that the engine is stuck: the run ends rather than forget one.
PRIVATE_LIMIT: Final = 100_000


class Inbox:
    """Filled by the Trio tasks without waiting, emptied by the engine task alone."""

    def __init__(self, now_ns: Callable[[], int], *, market_limit: int = MARKET_LIMIT, private_limit: int = PRIVATE_LIMIT) -> None:
        self._now_ns = now_ns
        self._market_limit, self._private_limit = market_limit, private_limit
        self._first: deque[tuple[int, Lane, Input]] = deque()
        self._market: deque[tuple[int, str, list[bytes]]] = deque()
        self._frames = 0
        self._filled = trio.Event()
        #: From other threads; appending to a deque needs no lock.
        self._outside: deque[Input] = deque()
        self._seq = 0
        self._last_ns = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not (self._first or self._market or self._outside)

    def put(self, lane: Lane, event: Input) -> None:
        """Adds an input of the control or private lane."""
        if len(self._first) >= self._private_limit:
            raise InvariantBroken(f"{self._private_limit} private inputs are waiting: the engine does not keep up")
        self._first.append((self._now_ns(), lane, event))
        self._filled.set()

    def put_from_thread(self, token: trio.lowlevel.TrioToken, event: Input) -> None:
        """Adds a control input from any other thread; `token` is that of the run.

        It is taken before everything that waits: what the kill switch has done comes before what the venue says about it, also
        when both have waited for a run that stood still.
        """
        self._outside.append(event)
        with suppress(trio.RunFinishedError):  # the engine takes nothing any more
            token.run_sync_soon(self._wake)

    def _wake(self) -> None:
        self._filled.set()

    def put_frames(self, link: str, frames: list[bytes]) -> None:
        """Adds the frames of one read of a market link."""
        while self._market and self._frames + len(frames) > self._market_limit:
            self._drop(link)
        self._market.append((self._now_ns(), link, frames))
        self._frames += len(frames)
        self._filled.set()

    def _drop(self, link: str) -> None:
        """Makes room: what waits of this link goes, or if nothing does, what waits of the link whose frames are oldest."""
        if not any(item[1] == link for item in self._market):
            link = self._market[0][1]
        kept = deque(item for item in self._market if item[1] != link)
        left = sum(len(frames) for _, _, frames in kept)
        count, self._frames, self._market = self._frames - left, left, kept
        self.put(Lane.CONTROL, FramesDropped(link, count))

    async def receive(self, most: int = 64) -> list[Stamped]:
        """Waits until there is something, then returns all that is control or private, and market frames up to `most` inputs."""
        while not self._first and not self._market and not self._outside:
            self._filled = trio.Event()
            await self._filled.wait()
        taken = []
        while self._outside:
            taken.append(self._stamp(self._now_ns(), Lane.CONTROL, self._outside.popleft()))
        taken += [self._stamp(*given) for given in self._first]
        self._first.clear()
        while self._market and len(taken) < most:
            at_ns, link, frames = self._market.popleft()
            self._frames -= len(frames)
            taken.append(self._stamp(at_ns, Lane.MARKET, FramesReceived(link, tuple(frames))))
        return taken

    def _stamp(self, at_ns: int, lane: Lane, event: Input) -> Stamped:
        self._seq += 1
        self._last_ns = max(self._last_ns, at_ns)
        return Stamped(self._seq, self._last_ns, lane, event)
