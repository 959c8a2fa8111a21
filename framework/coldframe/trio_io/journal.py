"""The clerk that writes the journal: everything recorded since the last time goes to the disk in one transaction.

The engine never waits for the disk: it hands over rows, and what must not happen before they are durable is done when they are, or
undone when they cannot be. While the disk refuses, the rows that hold state wait in memory and are tried again; those that only
people read are dropped and counted. Memory has a bound: new risk is shut when half of it is used, and where all of it is, rows that
hold state are lost. That is told to the engine when the disk takes rows again, and it writes its whole state down. Beside
the writing the journal is kept within its bounds.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Final

import attrs
import trio

from coldframe.errors import JournalDamaged, JournalUnwritable
from coldframe.model.effects import AppendJournal, Level
from coldframe.model.inputs import JournalChanged
from coldframe.model.journal import TELLING, RowKind
from coldframe.trio_io.journal_chain import Entry
from coldframe.trio_io.journal_rotation import Retention, kept_bounded
from coldframe.trio_io.journalfile import JournalFile

#: So many rows may wait for the disk.
WAITING_LIMIT: Final = 100_000
#: With this part of them waiting the disk counts as refusing, so that what comes of orders that are under way still has room.
_SLOW_SHARE: Final = 2
#: Pause before a disk that refused is tried again.
AGAIN_S: Final = 1.0
#: At the end, how long the last rows may take.
_FLUSH_S: Final = 2.0
#: Pause between two steps of a rotation, in which rows are written.
_BETWEEN_STEPS_S: Final = 0.01


@attrs.frozen
class _HeldEffect:
    """What waits until row number `after` (counted in this run) is durable."""

    after: int
    durable: Callable[[], None]
    refused: Callable[[str], None]


class Journal:
    """The journal of one run. `changed` is told when it fails and when it works again, `say` when rows are moved or deleted."""

    def __init__(
        self,
        file: JournalFile,
        now_ns: Callable[[], int],
        retention: Retention | None = None,
        say: Callable[[Level, str], None] = lambda level, text: None,
        *,
        waiting_limit: int = WAITING_LIMIT,
        again_s: float = AGAIN_S,
    ) -> None:
        self.file = file
        self._now_ns = now_ns
        self._waiting_limit, self._again_s = waiting_limit, again_s
        self._retention = retention or Retention()
        self._say = say
        self._checkpointed = trio.Event()
        self.changed: Callable[[JournalChanged], None] = _unheard
        self._waiting: deque[Entry] = deque()
        self._held: deque[_HeldEffect] = deque()
        self._given = 0
        self._durable = 0
        #: Rows that were left out since the last gap was written, and how many of them held state.
        self._dropped = self._lost = 0
        self._due = trio.Event()
        self.fault = ""
        #: Why a row that held state found no room; empty once the whole state has been written down after it.
        self._no_room = ""

    @property
    def unrecorded(self) -> str:
        """Why the last rows are not on the disk; empty when they are. To be asked when `run` has ended."""
        if self._waiting:
            return self.fault or f"the disk did not take the last rows within {_FLUSH_S:g} s"
        return self._no_room

    def record(self, records: Iterable[AppendJournal]) -> None:
        """Takes over the rows of one step."""
        at_ns = self._now_ns()
        for row in records:
            if self.fault and row.kind in TELLING:
                self._dropped += 1
            elif len(self._waiting) < self._waiting_limit:
                self._waiting.append((at_ns, row.kind, row.ref, row.body))
                self._given += 1
                self._no_room = "" if row.kind is RowKind.CHECKPOINT else self._no_room
                if len(self._waiting) * _SLOW_SHARE > self._waiting_limit:
                    self._fail(f"{len(self._waiting)} rows are waiting for the disk")
            else:
                self._dropped, self._lost = self._dropped + 1, self._lost + 1
                self._no_room = f"{self._waiting_limit} rows were waiting for the disk, there was no room for the {row.kind}"
                self._fail(f"{self._waiting_limit} rows are waiting for the disk")
        self._due.set()

    def when_durable(self, durable: Callable[[], None], refused: Callable[[str], None]) -> None:
        """Calls `durable` as soon as everything recorded so far is on the disk, or `refused` when that cannot be."""
        if self.fault:
            refused(self.fault)
        elif self._durable == self._given:
            durable()
        else:
            self._held.append(_HeldEffect(self._given, durable, refused))

    async def run(self) -> None:
        """Writes until cancelled; then writes what is left, for a moment at most."""
        try:
            while True:
                await self._due.wait()
                self._due = trio.Event()
                await self._write_all()
        finally:
            with trio.CancelScope(deadline=trio.current_time() + _FLUSH_S, shield=True):
                await self._write_all(last=True)

    async def keep_bounded(self) -> None:
        """After each checkpoint rotates and deletes what is due, until cancelled."""
        while True:
            self._checkpointed = trio.Event()
            try:
                await self._rotate()
            except (JournalUnwritable, JournalDamaged) as error:
                self._say(Level.WARNING, f"the journal grows beyond [journal] rotate_mb ({self._retention.rotate_mb}): {error}")
            await self._checkpointed.wait()

    async def _rotate(self) -> None:
        steps = kept_bounded(self.file, self._retention, self._now_ns())
        try:
            while (told := await trio.to_thread.run_sync(next, steps, None)) is not None:
                if told:
                    self._say(Level.INFO, told)
                await trio.sleep(_BETWEEN_STEPS_S)
        finally:
            steps.close()

    async def _write_all(self, *, last: bool = False) -> None:
        while self._waiting:
            rows = list(self._waiting)
            gap, lost, self._dropped, self._lost = self._dropped, self._lost, 0, 0
            body = {"rows": gap, "state": lost} if lost else {"rows": gap}
            left_out = [(self._now_ns(), RowKind.GAP, "", body)] if gap else []
            try:
                await trio.to_thread.run_sync(self.file.write, [*rows, *left_out])
            except JournalUnwritable as error:
                self._dropped, self._lost = self._dropped + gap, self._lost + lost
                self._fail(str(error))
                if last:
                    return
                await trio.sleep(self._again_s)
                continue
            for _ in rows:
                self._waiting.popleft()
            self._written(len(rows), lost)
            if any(kind == RowKind.CHECKPOINT for _, kind, _, _ in rows):
                self._checkpointed.set()

    def _written(self, count: int, lost: int) -> None:
        self._durable += count
        if self.fault or lost:
            self.fault = ""
            self.changed(JournalChanged("", lost))
        while self._held and self._held[0].after <= self._durable:
            self._held.popleft().durable()

    def _fail(self, fault: str) -> None:
        """Nothing that waits for the disk is done."""
        if not self.fault:
            self.fault = fault
            self.changed(JournalChanged(fault))
        held, self._held = self._held, deque()
        for order in held:
            order.refused(fault)


def _unheard(event: JournalChanged) -> None:
    """Stands for a listener until there is one."""
