"""Paper trading on live data: a feed of its own brings a real venue's streams into the embedded one.

The feed is the bot's own (`coldframe.core.feed`, `coldframe.shell.links`), without strategies and without orders.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import attrs

from coldframe.model.effects import Level
from coldframe.runtime.build import Bot
from coldframe.shell.clock import Clock
from coldframe.shell.rest import Rest
from coldframe.venue import EmbeddedVenue
from coldframe.wire.routes import Endpoints


@attrs.frozen
class Mirrored:
    """An embedded venue whose market is fed from a real one."""

    venue: EmbeddedVenue


@asynccontextmanager
async def open_mirror(
    bot: Bot, there: Endpoints, tls: ssl.SSLContext, rest: Rest, clock: Clock, log: Callable[[int, Level, str], None]
) -> AsyncIterator[Mirrored]:
    raise NotImplementedError
    yield
