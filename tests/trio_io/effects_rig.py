"""An effect runner on Trio with a scripted engine: what is performed is real, what decides is a table."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import attrs
import trio

from coldframe.model.effects import Effect, Level, Told
from coldframe.model.inputs import FramesReceived, Input, Stamped
from coldframe.trio_io.clock import Clock
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.effects import TrioEffectRunner
from coldframe.trio_io.rest import RestClient
from coldframe.wire.routes import Endpoints
from tests.trio_io.peer import PATIENCE_S


@attrs.define
class Script:
    """An engine that does what it is told: for each input the effects of the rule that fits, and it remembers everything."""

    begin: list[Effect]
    rules: dict[type, list[Effect]] = attrs.field(factory=dict)
    clock_offset_ms: int = 0
    heard: list[Stamped] = attrs.field(factory=list)
    news: trio.Event = attrs.field(factory=trio.Event)

    def start(self, at_ns: int) -> list[Effect]:
        return self.begin

    def step(self, stamped: Stamped) -> list[Effect]:
        self.heard.append(stamped)
        self.news.set()
        return self.rules.pop(type(stamped.event), [])

    @property
    def events(self) -> list[Input]:
        return [event.event for event in self.heard]

    async def wait_for(self, kinds: set[type], frames: int) -> None:
        """Waits until inputs of all these kinds have been heard, and frames so often."""
        while not kinds <= {type(event) for event in self.events} or self.count(FramesReceived) < frames:
            self.news = trio.Event()
            await self.news.wait()

    def count(self, kind: type) -> int:
        return sum(isinstance(event, kind) for event in self.events)


@asynccontextmanager
async def running_effects(
    market: str, orders: str, rest_port: int = 9
) -> AsyncIterator[tuple[TrioEffectRunner, Connections, list[tuple[Level, str] | Told]]]:
    clock, log, tls = Clock(), cast("list[tuple[Level, str] | Told]", []), ssl.create_default_context()
    there = f"http://127.0.0.1:{rest_port}"
    with trio.fail_after(PATIENCE_S):
        async with (
            RestClient(there, tls, clock.now_ns, None, 5000) as market_rest,
            RestClient(there, tls, clock.now_ns, None, 5000) as order_rest,
            trio.open_nursery() as nursery,
        ):
            connections = Connections(
                market_rest,
                order_rest,
                Endpoints(there, market, f"{market}/unused"),
                Endpoints(there, orders, f"{orders}/ws-fapi/v1"),
                tls,
                None,
                5000,
                "a seed",
            )
            yield (
                TrioEffectRunner(nursery, clock, connections, lambda level, said: log.append((level, said)), log.append),
                connections,
                log,
            )
            nursery.cancel_scope.cancel()
