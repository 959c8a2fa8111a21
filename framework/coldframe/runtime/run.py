"""The run: a tree of nurseries in which a bot lives, from the first connection to the last line of its summary.

The function that opens a nursery owns it. From the last to die to the first: the embedded venue and the clerks (recorder), the
links with REST and timers, and in the midst the engine task, the only reader of the inbox and the only owner of trading state.
"""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, nullcontext
from decimal import setcontext
from pathlib import Path
from typing import Final, Protocol

import attrs
import trio

from coldframe.core.connectivity.signing import Signer
from coldframe.core.engine import Engine
from coldframe.core.state.journal_codec import RestoredState
from coldframe.core.strategies.runtime import PluggedStrategy
from coldframe.enums import PositionMode
from coldframe.errors import Banned, ConfigError
from coldframe.model.effects import Level, Log
from coldframe.model.halting import Halt
from coldframe.model.inputs import Lane, StopAsked, Suspended
from coldframe.os_specific import halt_signal_kept
from coldframe.plug.sinks import Sinks
from coldframe.runtime.build import Bot
from coldframe.runtime.engine_setup import RunFacts, about_run, engine_setup
from coldframe.runtime.haltfiles import halt_file_of, standing_halts
from coldframe.runtime.input_logs import LoggedSteps, log_folder, run_body
from coldframe.runtime.journals import OpenJournal, alone_on, open_journal, retention_of
from coldframe.runtime.kill_switch import running_kill_switch
from coldframe.runtime.report import RunEnd
from coldframe.runtime.shutdown_signals import ends
from coldframe.runtime.startup import VenueInfo, check_account, describe_venue, venue_offset_ms
from coldframe.runtime.startup_checks import account_at_venue, banner, check_start
from coldframe.runtime.venues import open_venues
from coldframe.trio_io.clock import Clock, GapWatch, stopwatch_ns
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.effects import TrioEffectRunner
from coldframe.trio_io.inbox import Inbox
from coldframe.trio_io.input_log import InputLog
from coldframe.trio_io.journal import Journal
from coldframe.trio_io.recorder import Recorder
from coldframe.trio_io.rest import RestClient
from coldframe.units import NS_PER_S, arithmetic

#: After the end of a recording, how long the bot may still work on what it brought.
_RECORDING_DRAIN_S: Final = 0.5

#: How often we look whether the process has been running all the time.
_GAP_WATCH_MS: Final = 1_000
#: A slow hook is named at most this often.
_SLOW_AGAIN_NS: Final = 10 * NS_PER_S

#: From here on a wrong system clock is worth a line; the venue itself allows a second ahead.
_CLOCK_WARNING_MS: Final = 1_000


class RunObserver(Protocol):
    """What looks at a run: the command line, or a test."""

    def log(self, at_ns: int, level: Level, text: str) -> None:
        """One line for people."""

    def started(self, engine: Engine) -> None:
        """The engine is made; it may be looked at from now on."""


@attrs.frozen(kw_only=True)
class RunOptions:
    """What the command line adds to a configuration. `for_s` None: until a signal, or the end of the recording."""

    for_s: float | None = None
    record: Path | None = None
    #: The folder for an input log, whatever the configuration says.
    input_log: Path | None = None
    #: Whether SIGINT, SIGTERM and SIGHUP end the run, and SIGUSR1 halts it; off where the caller handles them.
    signals: bool = True


@attrs.frozen
class Result:
    """A run that has ended."""

    engine: Engine
    ended: RunEnd


async def run(bot: Bot, options: RunOptions, watcher: RunObserver) -> Result:
    """Runs a bot to its end. Raises a `ColdframeError` when it cannot begin or go on."""
    # Inherited by every task of the run: no module of the process can change it.
    setcontext(arithmetic())
    clock = Clock()
    async with AsyncExitStack() as stack:
        if options.signals:
            stack.enter_context(halt_signal_kept())  # before any thread begins
        venues = await stack.enter_async_context(open_venues(bot, clock, watcher.log))
        registry = _Lifetime(bot, options, watcher, clock, venues)
        return await registry.run_to_end()


class _Lifetime:
    """One run."""

    def __init__(self, bot: Bot, options: RunOptions, watcher: RunObserver, clock: Clock, venues: Connections) -> None:
        self._bot = bot
        self._options = options
        self._watcher = watcher
        self._clock = clock
        self._venues = venues
        self._asked: list[str] = []
        #: When a slow hook was last named.
        self._slow: dict[tuple[str, str], int] = {}
        self._sinks = Sinks(bot.registry.sinks(), self._complain, stopwatch_ns)

    def _log(self, level: Level, text: str) -> None:
        self._watcher.log(self._clock.now_ns(), level, text)
        self._sinks.deliver(Log(level, text))

    def _complain(self, text: str) -> None:
        """A line about a sink, not for sinks."""
        self._watcher.log(self._clock.now_ns(), Level.ERROR, text)

    # -- the tree -----------------------------------------------------------------------------------------------------

    async def run_to_end(self) -> Result:
        market, orders, signer = self._venues.market_rest, self._venues.order_rest, self._venues.signer
        for note in self._bot.notes:
            self._log(Level.WARNING, note)
        with ExitStack() as stack:
            kept = stack.enter_context(open_journal(self._bot, signer)) if signer is not None else None
            described = await self._query_venue(market, orders, signer)
            if signer is not None and self._bot.config.orders.mode == "live":
                # Another key of the same account is another name for it here, but not for the venue.
                account = await account_at_venue(self._bot.config, orders, self._clock)
                stack.enter_context(alone_on(account, self._bot.loaded.described) if account else nullcontext())
            return await self._run_engine(described, kept)

    async def _run_engine(self, described: VenueInfo, kept: OpenJournal | None) -> Result:
        """The run itself, when everything that had to be known is."""
        orders = self._venues.order_rest
        past = kept.past if kept is not None else RestoredState()
        account = past.account if kept is not None else ""
        halt_content = standing_halts(self._bot.loaded, account, lambda text: self._log(Level.ERROR, text))
        halt_file = halt_file_of(self._bot.loaded, account)
        facts = self._facts(described, orders.offset_ms, past, halt_content.halts)
        market, began_ns = self._venues.market_rest, self._clock.now_ns()
        plugins: list[PluggedStrategy] = [strategy.make_plugin(stopwatch_ns, self._slow_hook) for strategy in self._bot.strategies]
        async with (
            self._recorder() as recorder,
            self._journal(kept) as journal,
            self._input_log(facts) as steps,
            trio.open_nursery() as nursery,
        ):
            engine = Engine(engine_setup(self._bot, facts, plugins if steps is None else steps.noted(plugins)))
            runner = TrioEffectRunner(nursery, self._clock, self._venues, self._log, self._sinks.deliver, journal)
            runner.watch = steps
            if recorder is not None:
                runner.links.taps.append(recorder.frame)
                market.snapshot_taps.append(recorder.snapshot)
            nursery.start_soon(self._watch_for_the_end, nursery, runner)
            nursery.start_soon(self._watch_for_gaps, runner.inbox)
            self._watcher.started(engine)
            args = (self._bot, engine, halt_content, halt_file, runner, self._venues, self._clock, self._watcher.log)
            async with running_kill_switch(*args, heed_signal=self._options.signals):
                await runner.drive(engine)
            nursery.cancel_scope.cancel()
        elapsed_ns = self._clock.now_ns() - began_ns
        unrecorded = journal.unrecorded if journal is not None else ""
        return Result(engine, RunEnd(self._how(), elapsed_ns, runner.finished or "", unrecorded))

    async def _query_venue(self, market: RestClient, orders: RestClient, signer: Signer | None) -> VenueInfo:
        """The questions before the start; every mistake that only the venue can find is found here."""
        try:
            return await self._ask_round(market, orders, signer)
        except Banned as ban:
            self._venues.stay_away(ban.until_ms, self._clock.now_ms())
            raise

    async def _ask_round(self, market: RestClient, orders: RestClient, signer: Signer | None) -> VenueInfo:
        offset_ms = await venue_offset_ms(orders, self._clock)
        orders.offset_ms = market.offset_ms = offset_ms
        if abs(offset_ms) >= _CLOCK_WARNING_MS:
            where = "behind" if offset_ms > 0 else "ahead of"
            text = f"the clock of this machine is {abs(offset_ms) / 1000:.1f} s {where} the venue's"
            self._log(
                Level.WARNING, f"{text}: requests carry the venue's time, nothing is wrong; set the system clock all the same"
            )
        described = await describe_venue(market, self._clock)
        missing = [symbol for symbol in self._bot.contracts if symbol not in described.instruments]
        if missing:
            raise ConfigError(*(f"{self._bot.loaded.source.path}: the venue does not list {symbol}" for symbol in missing))
        if signer is not None:
            await self._check_account(orders, signer, described)
        else:
            self._log(Level.INFO, f"observing {self._bot.config.venue.environment}: no keys, no orders")
        return described

    async def _check_account(self, orders: RestClient, signer: Signer, described: VenueInfo) -> None:
        live = self._bot.config.orders.mode == "live"
        mode = PositionMode(self._bot.config.orders.position_mode)
        account = await check_account(orders, self._clock, mode, self._bot.config.venue.environment if live else "")
        await check_start(self._bot, account, described.instruments, orders, self._clock, self._log)
        for line in banner(self._bot, signer, account) if live else ():
            self._log(Level.WARNING, line)

    def _facts(self, described: VenueInfo, offset_ms: int, past: RestoredState, halts: Sequence[Halt]) -> RunFacts:
        signer = self._venues.signer
        return RunFacts(
            exchange_info=described.body,
            # Never one that was used before: it stands in every client order id.
            epoch_ms=max(self._clock.now_ms(), past.epoch_ms + 1),
            seed=self._venues.seed,
            clock_offset_ms=offset_ms,
            can_log_on=signer is not None and signer.can_log_on,
            past=past,
            halts=halts,
            about=about_run(self._bot.config),
        )

    @asynccontextmanager
    async def _input_log(self, facts: RunFacts) -> AsyncIterator[LoggedSteps | None]:
        folder = log_folder(self._bot, self._options.input_log)
        if folder is None:
            yield None
            return
        name = f"{self._bot.config.name}-{facts.epoch_ms}"
        log = InputLog(folder, name, lambda text: self._log(Level.WARNING, text))
        self._log(Level.INFO, f"input log {log.path}: coldframe replay takes this run again from it")
        log.begin(self._clock.now_ns(), run_body(self._bot, facts))
        try:
            async with trio.open_nursery() as clerks:
                clerks.start_soon(log.run)
                yield LoggedSteps(log)
                clerks.cancel_scope.cancel()
        finally:
            await log.close()

    @asynccontextmanager
    async def _journal(self, kept: OpenJournal | None) -> AsyncIterator[Journal | None]:
        if kept is None:
            yield None
            return
        if kept.past.runs:
            left = f"{len(kept.past.live)} orders to ask for, {len(kept.past.held())} positions"
            self._log(Level.INFO, f"journal {kept.file.path}: {kept.past.runs} earlier runs; the last one has left {left}")
        if kept.forgotten:
            text = f"what {', '.join(kept.forgotten)} had saved is of another account and forgotten"
            self._log(Level.WARNING, f"journal {kept.file.path}: {text}; [journal] account names one that lasts")
        journal = Journal(kept.file, self._clock.now_ns, retention_of(self._bot.config), self._log)
        async with trio.open_nursery() as clerks:
            clerks.start_soon(journal.run)
            clerks.start_soon(journal.keep_bounded)
            yield journal
            clerks.cancel_scope.cancel()

    def _slow_hook(self, strategy: str, hook: str, took_ns: int) -> None:
        now_ns, said_ns = self._clock.now_ns(), self._slow.get((strategy, hook), 0)
        if now_ns - said_ns < _SLOW_AGAIN_NS:
            return
        self._slow[strategy, hook] = now_ns
        self._log(Level.WARNING, f"strategy {strategy}: {hook} took {took_ns / 1e6:.0f} ms; everything else waited")

    @asynccontextmanager
    async def _recorder(self) -> AsyncIterator[Recorder | None]:
        if self._options.record is None:
            yield None
            return
        recorder = Recorder(self._options.record, self._clock.now_ns, lambda text: self._log(Level.WARNING, text))
        try:
            async with trio.open_nursery() as clerks:
                clerks.start_soon(recorder.run)
                yield recorder
                clerks.cancel_scope.cancel()
        finally:
            await recorder.close()

    # -- the end ------------------------------------------------------------------------------------------------------

    async def _watch_for_the_end(self, nursery: trio.Nursery, runner: TrioEffectRunner) -> None:
        inbox = runner.inbox
        if self._options.for_s is not None:
            nursery.start_soon(self._ask_to_stop_after, inbox, self._options.for_s)
        if self._venues.recording_ended is not None:
            nursery.start_soon(self._ask_to_stop_at_recording_end, inbox, self._venues.recording_ended)
        if self._options.signals:
            async with ends(runner.heartbeat) as signals:
                async for number in signals:
                    self._log(Level.INFO, f"{signal.Signals(number).name}: stopping; once more ends at once")
                    self._ask_to_stop(inbox, "signal")

    async def _watch_for_gaps(self, inbox: Inbox) -> None:
        watch = GapWatch(self._clock)
        while True:
            await trio.sleep(_GAP_WATCH_MS / 1000)
            missed_ms = watch.missed_ms(_GAP_WATCH_MS)
            if missed_ms:
                inbox.put(Lane.CONTROL, Suspended(missed_ms))

    async def _ask_to_stop_after(self, inbox: Inbox, seconds: float) -> None:
        await trio.sleep(seconds)
        self._ask_to_stop(inbox, "duration")

    async def _ask_to_stop_at_recording_end(self, inbox: Inbox, ended: trio.Event) -> None:
        await ended.wait()
        await trio.sleep(_RECORDING_DRAIN_S)
        self._ask_to_stop(inbox, "recording_end")

    def _ask_to_stop(self, inbox: Inbox, reason: str) -> None:
        self._asked.append(reason)
        inbox.put(Lane.CONTROL, StopAsked(reason))

    def _how(self) -> str:
        """The word of the summary for how the run ended."""
        return self._asked[0] if self._asked else "halt"
