"""A kill switch's thread and the run beside it, played by hand."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import attrs
import trio

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.model.effects import Level
from coldframe.model.halting import Halt, HaltLevel
from coldframe.model.inputs import Input
from coldframe.model.journal import RowKind
from coldframe.trio_io.clock import Clock, ThreadClock
from coldframe.trio_io.control import VERSION, ControlAnswer, HaltRequest, Request, ask_each
from coldframe.trio_io.control_server import ControlServer
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent
from coldframe.trio_io.heartbeat import Heartbeat
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.kill_switch import KillSwitchThread
from coldframe.trio_io.kill_switch_orders import KillSwitchOrders
from coldframe.trio_io.runs import RunFolder
from tests.trio_io.peer import PATIENCE_S
from tests.waiting import eventually

PAUSE, CANCEL, FLATTEN = HaltLevel.PAUSE, HaltLevel.CANCEL, HaltLevel.FLATTEN
FILLED = ManualResolution.FILLED


@attrs.define
class Rig:
    """A kill switch, and the run beside it: what it was told gathers in `heard`, and is taken in by hand."""

    kill_switch: KillSwitchThread
    halt_file: HaltFile
    inbox: Inbox
    heartbeat: Heartbeat
    log: list[tuple[Level, str]]
    records: list[dict[str, object]]
    runs: RunFolder
    control: ControlServer
    heard: list[Input] = attrs.field(factory=list)

    def write_halts(self, *halts: Halt) -> None:
        self.halt_file.change(lambda _: halts, str(time.time_ns()))

    async def hear(self, kind: type[Any]) -> Any:
        """The next input of a kind, without taking it in."""
        while True:
            for stamped in await self.inbox.receive():
                self.heard.append(stamped.event)
                if isinstance(stamped.event, kind):
                    return stamped.event

    async def take(self, kind: type[Any], last_request_id: int = 0) -> Any:
        """The next input of a kind, taken in by the engine."""
        event = await self.hear(kind)
        self.kill_switch.taken(event.number, last_request_id)
        return event

    async def said(self, text: str) -> None:
        await eventually(lambda: any(text in line for _, line in self.log))

    @asynccontextmanager
    async def asking(self, request: Request) -> AsyncIterator[list[ControlAnswer]]:
        """Asks over the control channel, as the commands do; the answer is there at the end."""
        told: list[ControlAnswer] = []

        async def ask() -> None:
            answers = await trio.to_thread.run_sync(ask_each, self.runs.folder, list(self.runs.alive()), request, PATIENCE_S)
            told.extend(answer for answer in answers.values() if answer is not None)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(ask)
            yield told

    def halting(self, halt: Halt) -> AbstractAsyncContextManager[list[ControlAnswer]]:
        self.heartbeat.beat()  # as an engine that goes on does
        return self.asking(HaltRequest(VERSION, halt.level, halt.strategy, halt.reason, halt.at_ms))

    def lift(self) -> None:
        """The operator takes the file away by hand."""
        self.halt_file.path.unlink()


@asynccontextmanager
async def running_kill_switch(
    folder: Path,
    began: HaltFileContent | None = None,
    work: KillSwitchOrders | None = None,
    stuck_s: float = 60,
    heed_signal: bool = False,
    writes: bool = True,
    disk: Callable[[], object] = lambda: None,
    keeps_protective: bool = True,
) -> AsyncIterator[Rig]:
    clock = Clock()
    halt_file, inbox, heartbeat = HaltFile(folder / "halt.json"), Inbox(clock.now_ns), Heartbeat()
    log: list[tuple[Level, str]] = []
    records: list[dict[str, object]] = []

    def record(kind: RowKind, ref: str, body: Mapping[str, object]) -> bool:
        disk()
        records.append({"kind": kind, "ref": ref, **body})
        return writes

    def say(level: Level, text: str) -> None:
        log.append((level, text))

    with trio.fail_after(PATIENCE_S), (runs := RunFolder(folder.with_name(f"{folder.name}-runs"))).entered("a test") as endpoint:
        control = ControlServer(endpoint, say)
        kill_switch = KillSwitchThread(
            halt_file,
            began or HaltFileContent(),
            heartbeat,
            ThreadClock(clock),
            work,
            say,
            stuck_s=stuck_s,
            heed_signal=heed_signal,
            record=record,
            keeps_protective=keeps_protective,
            control=control,
            strategies=["a", "b"],
        )
        kill_switch.begin(inbox)
        try:
            yield Rig(kill_switch, halt_file, inbox, heartbeat, log, records, runs, control)
        finally:
            await kill_switch.end()
        assert not kill_switch.broken.is_set()
