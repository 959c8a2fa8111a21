"""The kill switch of a run put together: its thread, its line to the venue, its file, and how it hears and is heard."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Final

import trio

from coldframe.core.engine import Engine
from coldframe.core.state.protection import OrderPolicy
from coldframe.errors import ConfigError, InvariantBroken, JournalUnwritable
from coldframe.model.effects import Level
from coldframe.model.journal import RowKind
from coldframe.os_specific import HALT_SIGNAL
from coldframe.runtime.build import Bot
from coldframe.runtime.haltfiles import runs_of
from coldframe.trio_io.clock import Clock, ThreadClock
from coldframe.trio_io.connections import Connections
from coldframe.trio_io.control_server import ControlServer
from coldframe.trio_io.effects import TrioEffectRunner
from coldframe.trio_io.endpoint import LocalEndpoint
from coldframe.trio_io.halt_file import HaltFile, HaltFileContent
from coldframe.trio_io.kill_switch import KillSwitchThread, WriteRow
from coldframe.trio_io.kill_switch_orders import KillSwitchOrders
from coldframe.trio_io.kill_switch_rest import KillSwitchRest

#: How often the run says that it goes on, also when nothing happens in it.
_BEAT_S: Final = 0.1

LogLine = Callable[[int, Level, str], None]


@asynccontextmanager
async def running_kill_switch(
    bot: Bot,
    engine: Engine,
    began: HaltFileContent,
    halt_file: HaltFile,
    runner: TrioEffectRunner,
    connections: Connections,
    clock: Clock,
    log: LogLine,
    *,
    heed_signal: bool,
) -> AsyncIterator[KillSwitchThread]:
    """The kill switch of a run, for as long as this lasts. `began` is what held in its file when the engine was made."""
    thread_clock = ThreadClock(clock)
    async with AsyncExitStack() as stack:

        def log_line(level: Level, text: str) -> None:
            log(thread_clock.now_ns(), level, text)

        control = None
        try:
            halt_file.try_out()
            control = ControlServer(stack.enter_context(_entered(halt_file)), log_line)
        except ConfigError as error:
            if bot.config.orders.mode == "live":
                raise
            still = "only its end stops this run" if HALT_SIGNAL is None else f"{HALT_SIGNAL.name} halts"
            log_line(Level.WARNING, f"{error}: {still}, `coldframe halt` does not")
        log(clock.now_ns(), Level.INFO, f"halt file: {halt_file.path}")
        kill_switch = KillSwitchThread(
            halt_file,
            began,
            runner.heartbeat,
            thread_clock,
            _kill_switch_orders(bot, engine, connections, thread_clock),
            log_line,
            stuck_s=bot.config.halt.stuck_ms / 1000,
            heed_signal=heed_signal,
            record=_recording(runner, thread_clock, log),
            keeps_protective=bot.config.orders.on_end != OrderPolicy.CANCEL,
            dead_man=bot.config.orders.dead_man_s > 0,
            control=control,
            strategies=[strategy.table.id for strategy in bot.strategies],
        )
        runner.links.guard = kill_switch.guard
        runner.links.max_age_ms = bot.config.orders.max_age_ms
        runner.halt_taken = kill_switch.taken
        if control is not None:
            runner.command_answered = control.command_answered
        nursery = await stack.enter_async_context(trio.open_nursery())
        _tell_positions(runner, engine)  # before the first hook, which may never return
        nursery.start_soon(_send_heartbeats, runner, engine)
        nursery.start_soon(_mourn, kill_switch)
        kill_switch.begin(runner.inbox)
        try:
            yield kill_switch
        finally:
            await kill_switch.end(well=runner.finished is not None or not _has_traded(engine))
        nursery.cancel_scope.cancel()


@contextmanager
def _entered(halt_file: HaltFile) -> Iterator[LocalEndpoint]:
    runs = runs_of(halt_file)
    with ExitStack() as stack:
        try:
            endpoint = stack.enter_context(runs.entered(halt_file.owner.described))
        except OSError as error:
            raise ConfigError(f"{runs.folder}: the control channel cannot be kept here: {error.strerror or error}") from None
        yield endpoint


def _has_traded(engine: Engine) -> bool:
    """Whether a run has come so far that orders may be its own: a start that is refused leaves everything as it was."""
    return engine.trading is not None and engine.trading.reconciler.at_start is None


def _recording(runner: TrioEffectRunner, clock: ThreadClock, log: LogLine) -> WriteRow:
    """What the kill switch does is on the disk before it does it, past everything that waits in the run; a full disk does not hold
    it."""

    def record(kind: RowKind, ref: str, body: Mapping[str, object]) -> bool:
        if runner.journal is None:
            return True
        try:
            runner.journal.file.write_past_the_engine((clock.now_ns(), kind, ref, body))
        except JournalUnwritable as error:
            log(clock.now_ns(), Level.ERROR, f"the kill switch works without its journal: {error}")
            return False
        return True

    return record


def _kill_switch_orders(bot: Bot, engine: Engine, connections: Connections, clock: ThreadClock) -> KillSwitchOrders | None:
    if connections.signer is None:
        return None
    line = KillSwitchRest(
        connections.orders.rest,
        connections.tls,
        connections.signer,
        connections.recv_window_ms,
        clock,
        lambda: connections.order_rest.offset_ms,
        lambda: engine.banned_until_ms,
    )
    return KillSwitchOrders(line, {strategy.table.id: strategy.symbols for strategy in bot.strategies}, engine.orders.epoch_ms)


async def _send_heartbeats(runner: TrioEffectRunner, engine: Engine) -> None:
    """Says that the run goes on, and what it holds."""
    while True:
        _tell_positions(runner, engine)
        runner.heartbeat.beat()
        await trio.sleep(_BEAT_S)


def _tell_positions(runner: TrioEffectRunner, engine: Engine) -> None:
    """What the run holds: also positions that no fill of it has brought."""
    accounts = [(runtime.id, runtime.account.holdings) for runtime in engine.runtimes.all]
    held = {(name, *key): position.quantity for name, account in accounts for key, position in account.positions.items()}
    runner.heartbeat.holds(held)


async def _mourn(kill_switch: KillSwitchThread) -> None:
    await kill_switch.broken.wait()
    raise InvariantBroken("the kill switch has ended by itself: a run without one does not go on")
