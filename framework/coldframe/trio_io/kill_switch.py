"""The kill switch: halts a bot from a thread of its own, also while a plugin holds everything else up.

It answers the run's control channel and looks at the halt file and SIGUSR1, tells the engine what it finds, and at level `cancel`
or `flatten` cancels at the venue by itself at the same moment, over its own line. What it is asked beyond halting and resuming it
hands to the engine. Flattening is the engine's work: only when the engine has not taken the halt in within
a second does the kill switch do it, and for that time nothing of the engine's is written, so that the engine and the kill switch
never both reduce a position. It is also the one who notices that the run stands still, and says in which plugin.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from decimal import setcontext
from itertools import count
from typing import Final, assert_never

import attrs
import trio

from coldframe.core.lifecycle.kill_switch import emergency_order
from coldframe.core.state.journal_codec import order_body
from coldframe.errors import ConfigError
from coldframe.ids import parse_own
from coldframe.model.effects import Level, SendRequest
from coldframe.model.halting import Halt, HaltLevel, whom
from coldframe.model.inputs import EmergencyOrderAnswered, EmergencyOrderSent, HaltAsked, Input, ResolveAsked, ResumeAsked
from coldframe.model.journal import RowKind
from coldframe.os_specific import halt_signal_came
from coldframe.trio_io.clock import ThreadClock, monotonic_s
from coldframe.trio_io.control import VERSION, ControlAnswer, HaltRequest, HaltRow, Request, ResolveRequest, ResumeRequest
from coldframe.trio_io.control_server import Caller, ControlServer, refused_with
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent, lifted, raised
from coldframe.trio_io.heartbeat import Heartbeat
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.kill_switch_orders import Findings, KillSwitchOrders
from coldframe.trio_io.links import PLACING
from coldframe.units import arithmetic

#: How often the file and the signal are looked at; what is asked over the control channel is heard at once.
POLL_S: Final = 0.05
#: How long the engine may take to take a halt in, before it counts as stuck; the moment, where it has stood still before.
ENGINE_PATIENCE_S: Final = 1.0
ENGINE_MOMENT_S: Final = 0.2
#: When cancelling is repeated: once soon after, for orders that were on their way, then as long as the engine does not answer.
AGAIN_S: Final = 0.5
STUCK_AGAIN_S: Final = 2.0
#: While it works the kill switch must not wait long for its turn between two steps of a busy plugin.
_BUSY_SWITCH_S: Final = 0.0005
#: The parameters of a request that name whose it is.
_NAMES: Final = ("newClientOrderId", "origClientOrderId", "clientAlgoId")

WriteRow = Callable[[RowKind, str, Mapping[str, object]], bool]


@attrs.define
class _ToldHalt:
    """A halt that the engine was told of; `taken` when it has taken it in."""

    halt: Halt | None
    taken: threading.Event = attrs.field(factory=threading.Event)


class KillSwitchThread:
    """One per run. `guard`, `taken` and `begin` belong to the thread of the run, everything else to the kill switch's own.

    `work` is None in a run without orders; `record` writes a row of the journal, on the kill switch's thread, before the kill
    switch does what the row says, and tells whether it could. `strategies` are those of the run, where they are known. When a run
    breaks off, orders that can only reduce a position stay if it `keeps_protective`; `dead_man` says whether the venue has
    countdowns of ours.
    """

    def __init__(
        self,
        halt_file: HaltFile,
        began: HaltFileContent,
        heartbeat: Heartbeat,
        clock: ThreadClock,
        work: KillSwitchOrders | None,
        log: Callable[[Level, str], None],
        *,
        stuck_s: float,
        heed_signal: bool,
        record: WriteRow = lambda *_: True,
        keeps_protective: bool = True,
        dead_man: bool = False,
        control: ControlServer | None = None,
        strategies: Collection[str] | None = None,
    ) -> None:
        self._halt_file = halt_file
        self._heartbeat = heartbeat
        self._clock = clock
        self._work = work
        self._log = log
        self._stuck_s = stuck_s
        self._heed_signal = heed_signal
        self._record = record
        self._keeps_protective = keeps_protective
        self._dead_man = dead_man
        self._control = control
        self._strategies = strategies
        self._halts: dict[str | None, Halt] = {halt.strategy: halt for halt in began.halts}
        self._revision = began.revision
        #: Halts that the file could not take: they hold for this run all the same.
        self._unkept: dict[str | None, Halt] = {}
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._told: dict[int, _ToldHalt] = {}
        self._flattening: Halt | None = None
        #: Requests up to these numbers were made before a halt was taken in, by strategy: what of them still waits is void.
        self._void: dict[str | None, int] = {}
        self._ending = threading.Event()
        self._cancels_last = False
        #: Whether something of the last change could not be carried out at the venue.
        self._failed = False
        self._stamp: object = object()
        self._again_s: dict[str | None, float] = {}
        self._named_stall = False
        self._thread = threading.Thread(target=self._watch_until_end, name="kill-switch", daemon=True)
        self._token: trio.lowlevel.TrioToken
        self._inbox: Inbox
        #: Set when the thread has ended without being asked to: a bug.
        self.broken = trio.Event()

    # -- on the thread of the run -------------------------------------------------------------------------------------

    def begin(self, inbox: Inbox) -> None:
        """Starts the thread."""
        self._token = trio.lowlevel.current_trio_token()
        self._inbox = inbox
        self._thread.start()

    async def end(self, *, well: bool = True) -> None:
        """Ends the thread, in a moment. After a run that did not end `well` its orders are cancelled, but for what protects."""
        self._cancels_last = not well
        self._ending.set()
        if self._control is not None:
            self._control.wake()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(self._thread.join, 5.0)

    def guard(self, request: SendRequest) -> str | None:
        """Why a request must not be written now: its strategy is halted and the engine does not know yet, or the kill switch
        flattens."""
        if request.method not in PLACING:
            return None
        own = next((parse_own(str(request.params[name])) for name in _NAMES if name in request.params), None)
        strategy = own.strategy if own else None
        with self._lock:
            holding = [asked.halt for asked in self._told.values()] + [self._flattening]
            void = max(self._void.get(None, 0), self._void.get(strategy, 0))
        if request.request_id <= void:
            return "halted since it was made"
        for halt in holding:
            if halt is not None and (strategy is None or halt.strategy in (None, strategy)):
                return f"halted: {halt}"
        return None

    def taken(self, number: int, last_request_id: int) -> None:
        """The engine has taken in what it was told under this number; by then it had made requests up to `last_request_id`."""
        with self._lock:
            told = self._told.pop(number, None)
            if told is not None and told.halt is not None:
                self._void[told.halt.strategy] = last_request_id
        if told is not None:
            told.taken.set()

    # -- the thread ---------------------------------------------------------------------------------------------------

    def _watch_until_end(self) -> None:
        setcontext(arithmetic())  # a thread inherits none
        well = False
        try:
            self._catch_up()
            while not self._ending.is_set():
                asked = self._wait()
                if self._heed_signal and halt_signal_came():
                    self._halt(Halt(HaltLevel.CANCEL, None, "SIGUSR1", self._clock.now_ms()))
                self._poll_halt_file()
                for caller, request in asked:
                    self._serve(caller, request)
                if self._control is not None:
                    self._control.hand_back(self._where)
                self._repeat()
                self._watch()
            well = True
        finally:
            if self._cancels_last or not well:  # without its kill switch a run does not go on either
                with suppress(Exception):
                    self._cancel_last()
            if self._work is not None:
                self._work.close()
            if self._control is not None:
                self._control.close()
            if not well:
                self._schedule(self.broken.set)

    def _wait(self) -> list[tuple[Caller, Request]]:
        """A moment of rest. Returns what was asked for meanwhile."""
        if self._control is not None:
            return self._control.wait(POLL_S)
        self._ending.wait(POLL_S)
        return []

    # -- the control channel ------------------------------------------------------------------------------------------

    def _serve(self, caller: Caller, request: Request) -> None:
        """Answers what was asked, or hands it to the engine and answers later."""
        assert self._control is not None
        match request:
            case HaltRequest():
                self._failed = False
                lines = self._halt(request.halt) + self._unknown_strategy(request.strategy)
                self._control.answer(caller, self._answer(f"halted: {request.halt}", lines))
            case ResumeRequest(_, strategy):
                try:
                    lines = self._take_away(strategy)
                except ConfigError as error:
                    self._control.answer(caller, refused_with(f"the halt stands: {error}"))
                    return
                self._control.answer(caller, self._answer(f"{whom(strategy)}: resumed", lines))
            case ResolveRequest(_, order, outcome):
                self._put_input(ResolveAsked(order, outcome.value, self._control.keep_waiting(caller)))
            case unknown:
                assert_never(unknown)

    def _unknown_strategy(self, strategy: str | None) -> list[str]:
        if strategy is None or self._strategies is None or strategy in self._strategies:
            return []
        known = ", ".join(self._strategies) or "none at all"
        return [f"this run has no strategy {strategy!r}; it has {known}: the halt holds for the next start"]

    def _answer(self, text: str, lines: list[str]) -> ControlAnswer:
        halts = [HaltRow(halt.level, halt.strategy, halt.reason) for halt in self._halts.values()]
        return ControlAnswer(VERSION, "accepted", text, lines, halts, self._failed, os.getpid())

    # -- what holds ---------------------------------------------------------------------------------------------------

    def _halt(self, halt: Halt) -> list[str]:
        """A halt that did not come by the file: carried out first, then written there for a restart. Returns what came of it."""
        (now,) = [kept for kept in raised(tuple(self._halts.values()), halt) if kept.strategy == halt.strategy]
        self._halts[halt.strategy] = now
        return self._engage(now, keep=lambda: self._keep(now))

    def _keep(self, halt: Halt) -> list[str]:
        """Writes a halt into the file. Returns what could not be done of it."""
        try:
            self._revision = self._halt_file.change(lambda halts: raised(halts, halt), str(self._clock.now_ns())).revision
        except ConfigError as error:
            self._unkept[halt.strategy] = halt
            with suppress(ConfigError):  # on a full disk: graver than what was asked for, perhaps, but a halt
                self._halt_file.touch()
                return []
            self._failed = True
            line = f"halted, but a restart will not know: {error}"
            self._log(Level.ERROR, line)
            return [line]
        return []

    def _take_away(self, strategy: str | None) -> list[str]:
        """Resumes, in the file first: a halt that stays in it would hold again after a restart. Raises `ConfigError`."""
        revision = str(self._clock.now_ns())
        content = self._halt_file.change(lambda halts: lifted(halts, strategy), revision, (strategy,))
        self._unkept = {} if strategy is None else {key: halt for key, halt in self._unkept.items() if key != strategy}
        lines = self._changed(content)
        with suppress(ConfigError):
            self._halt_file.clear(revision)
        return lines

    def _poll_halt_file(self) -> None:
        """Whether the file has changed, and what it says now."""
        stamp = self._halt_file.stamp()
        if stamp != self._stamp:
            self._stamp = stamp
            self._changed(self._halt_file.read())

    def _changed(self, content: HaltFileContent) -> list[str]:
        """What holds from now on. Returns what came of it, for people."""
        halts = content.halts
        for halt in self._unkept.values():
            halts = raised(halts, halt)
        now = {halt.strategy: halt for halt in halts}
        before, self._halts = self._halts, now
        lines: list[str] = []
        self._failed = False
        resumed = content.resumed if content.revision != self._revision else ()
        self._revision = content.revision
        lifted = [halt for halt in before if halt not in now]
        # Where no halt held, what limits have shut is opened all the same.
        for strategy in [*lifted, *(strategy for strategy in resumed if strategy not in before)]:
            lines += self._resume(strategy)
        for strategy, halt in now.items():
            if before.get(strategy) != halt:
                lines += self._engage(halt)
        return lines

    # -- halting ------------------------------------------------------------------------------------------------------

    def _engage(self, halt: Halt, keep: Callable[[], list[str]] = list) -> list[str]:
        """One halt from beginning to end; `keep` writes it down. Returns what came of it, for people."""
        began_s = monotonic_s()
        # For how long the run has stood still counts; a run that was stopped and goes on again is given a moment all the same.
        patience_s = max(ENGINE_PATIENCE_S - self._heartbeat.silent_s, ENGINE_MOMENT_S)
        with self._in_haste():
            # A flatten is told as a cancel first: who flattens is decided when it is known whether the engine answers.
            told = self._tell_engine(attrs.evolve(halt, level=HaltLevel.CANCEL) if halt.level.flattens else halt, halt.level)
            lines = self._cancel(halt) + self._describe_left(halt, began_s)
            # Only now: a disk that hangs holds no cancel up.
            lines += keep()
            body = {"by": "brake", "level": halt.level.value, "reason": halt.reason}
            written = self._record(RowKind.HALT, halt.strategy or "", body)
            answers = told.taken.wait(max(patience_s - (monotonic_s() - began_s), 0))
            if not answers:
                lines.append(f"the bot does not answer{self._where()}: it sends nothing until it has taken the halt in")
                self._log(Level.ERROR, lines[-1])
            if halt.level.flattens:
                # An engine that cannot write its journal sends no orders, these neither.
                by_engine = answers and written
                held = any(self._heartbeat.positions(halt.strategy).values())
                told_bot = "the bot brings its positions to zero" if held else "no position of the bot is open: nothing to flatten"
                lines += [told_bot] if by_engine else self._flatten(halt)
                self._tell_engine(halt, halt.level)
                self._schedule(self._release)
        return lines

    def _tell_engine(self, halt: Halt, asked: HaltLevel) -> _ToldHalt:
        """Tells the engine of a halt; until it has taken it in, `guard` holds its requests back."""
        number = next(self._numbers)
        told = _ToldHalt(halt)
        with self._lock:
            self._told[number] = told
        self._put_input(HaltAsked(halt.level, halt.strategy, halt.reason, number, asked))
        return told

    def _resume(self, strategy: str | None) -> list[str]:
        self._record(RowKind.HALT, strategy or "", {"by": "brake", "level": "none", "reason": ""})
        self._again_s.pop(strategy, None)
        number, told = next(self._numbers), _ToldHalt(None)
        with self._lock:
            # What the engine has not taken in yet is void: it takes everything in order.
            for asked in self._told.values():
                if asked.halt is not None and asked.halt.strategy == strategy:
                    asked.halt = None
            self._told[number] = told
        self._put_input(ResumeAsked(strategy, number))
        taken = told.taken.wait(ENGINE_PATIENCE_S)
        return [f"{whom(strategy)}: resumed" if taken else "the bot does not answer; it resumes as soon as it does"]

    def _cancel(self, halt: Halt) -> list[str]:
        if self._work is None or not halt.level.cancels:
            return []
        self._again_s[halt.strategy] = monotonic_s() + AGAIN_S
        return self._troubles("cancelling", self._work.cancel(halt.strategy))

    def _flatten(self, halt: Halt) -> list[str]:
        """The engine is stuck: positions are reduced from here, and nothing of the engine's is written meanwhile."""
        if self._work is None:
            return []
        with self._lock:
            self._flattening = halt
        lines, found = self._work.flatten(self._heartbeat.positions(halt.strategy), self._ordered)
        self._put_input(self._work.used())
        for line in lines:
            self._log(Level.ERROR, line)
        return lines + self._troubles("flattening", found)

    def _ordered(self, event: EmergencyOrderSent | EmergencyOrderAnswered) -> None:
        if isinstance(event, EmergencyOrderSent):
            order = emergency_order(event, self._clock.now_ns())
            order.written_past_the_engine()
            self._record(RowKind.ORDER, event.client_order_id, order_body(order))
        self._put_input(event)

    def _release(self) -> None:
        """On the thread of the run: what the kill switch did is in the inbox, and the halt that holds the engine back is told."""
        with self._lock:
            self._flattening = None

    def _cancel_last(self) -> None:
        if self._work is None:
            return
        held = self._heartbeat.positions(None) if self._keeps_protective else {}
        found = self._work.cancel_own(held, dead_man=self._dead_man)
        left = self._work.count_open(None).left
        if left is None:
            text = "it is not known whether orders of this bot are"
        else:
            text = f"{max(left - found.kept, 0) or 'no'}{' other' if found.kept else ''} orders of the bot are"
        self._log(Level.ERROR, f"the run has broken off: its orders are cancelled, {text} still open at the venue")
        if found.kept:
            self._log(Level.ERROR, f"kept at the venue: {found.kept} orders of the bot that can only reduce an open position")
        self._troubles("cancelling", found)

    def _describe_left(self, halt: Halt, began_s: float) -> list[str]:
        """What is left at the venue."""
        if self._work is None:
            self._log(Level.ERROR, f"halt: {halt}: this run sends no orders")
            return ["this run sends no orders"]
        if not halt.level.cancels:
            return []
        found = self._work.count_open(halt.strategy)
        self._put_input(self._work.used())
        left = "an unknown number of" if found.left is None else found.left or "no"
        line = f"{left} orders of the bot are open at the venue, {monotonic_s() - began_s:.2f} s after the halt was seen"
        self._log(Level.ERROR, f"halt: {halt.whom}: {line}")
        return [line, *self._troubles("looking", found)]

    def _troubles(self, doing: str, found: Findings) -> list[str]:
        self._failed |= bool(found.troubles)
        for trouble in found.troubles:
            self._log(Level.ERROR, f"halt: {doing} failed: {trouble}")
        return [f"{doing} failed: {trouble}" for trouble in found.troubles]

    def _catch_up(self) -> None:
        """A run that begins halted: the engine knows, but orders of an earlier run may still be there."""
        for halt in self._halts.values():
            self._cancel(halt)

    def _repeat(self) -> None:
        """Cancels once more for orders that were on their way, and again and again while the engine does not answer."""
        for strategy, at_s in list(self._again_s.items()):
            halt = self._halts.get(strategy)
            if halt is None:
                del self._again_s[strategy]
            elif monotonic_s() >= at_s:
                with self._in_haste():
                    self._cancel(halt)
                with self._lock:
                    waiting = any(asked.halt is not None and asked.halt.strategy == strategy for asked in self._told.values())
                if waiting:
                    self._again_s[strategy] = monotonic_s() + STUCK_AGAIN_S
                else:
                    del self._again_s[strategy]
                if self._work is not None:
                    self._put_input(self._work.used())

    # -- watching -----------------------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Names what the run stands still in, once for each time that it does."""
        silent_s = self._heartbeat.silent_s
        if silent_s < self._stuck_s:
            if self._named_stall:
                self._log(Level.WARNING, "the run goes on")
            self._named_stall = False
        elif not self._named_stall:
            self._named_stall = True
            who, stack = self._heartbeat.whereabouts()
            self._log(Level.ERROR, f"the run has stood still for {silent_s:.1f} s{f' in {who}' if who else ''}: {stack}")

    def _where(self) -> str:
        who, _ = self._heartbeat.whereabouts()
        return f" (it is in {who})" if who and self._heartbeat.silent_s > POLL_S else ""

    # -- to the run ---------------------------------------------------------------------------------------------------

    def _put_input(self, event: Input) -> None:
        """Puts an input into the inbox: taken as soon as the run has a moment, in the order in which they were given."""
        self._inbox.put_from_thread(self._token, event)

    def _schedule(self, call: Callable[..., object], *args: object) -> None:
        with suppress(trio.RunFinishedError):  # the run is over: there is no engine to tell
            self._token.run_sync_soon(call, *args)

    @contextmanager
    def _in_haste(self) -> Iterator[None]:
        """Takes turns with a busy plugin more often than usual, so that an answer is not waited for longer than it takes."""
        usual = sys.getswitchinterval()
        sys.setswitchinterval(_BUSY_SWITCH_S)
        try:
            yield
        finally:
            sys.setswitchinterval(usual)
