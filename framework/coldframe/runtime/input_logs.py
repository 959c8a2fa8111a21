"""The input log of a run: what its first line says of the run, and the plugins that note what strategies want."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import attrs
import msgspec

from coldframe.core.state.journal_codec import restored_body, restored_of
from coldframe.core.strategies.runtime import OnError, PluggedStrategy
from coldframe.core.strategies.view import StrategyView
from coldframe.data.input_log import NO_CALLS, Call, Calls, Late
from coldframe.errors import ConfigError, StrategyTooSlow
from coldframe.model.effects import Effect
from coldframe.model.events import StrategyEvent
from coldframe.model.halting import Halt
from coldframe.model.inputs import Stamped
from coldframe.model.intents import Intent
from coldframe.model.wants import Wants
from coldframe.runtime.build import Bot
from coldframe.runtime.engine_setup import RunFacts
from coldframe.trio_io.input_log import InputLog
from coldframe.trio_io.paths import state_home


class CallNotes:
    """What the strategies of a run do in the current step. In a replay, `due` are the calls of the step that took too long then."""

    def __init__(self) -> None:
        self._wanted: list[Call] = []
        self._late: list[Late] = []
        self._number = 0
        self.due: Mapping[int, str] = {}

    def drain(self) -> Calls:
        """What was done since the last time."""
        self._number = 0
        if not self._wanted and not self._late:
            return NO_CALLS
        taken = Calls(self._wanted, self._late)
        self._wanted, self._late = [], []
        return taken

    def begin(self) -> None:
        """A call begins."""
        self._number += 1

    def late(self, text: str) -> None:
        """The running call took too long."""
        self._late.append(Late(self._number, text))

    def check_time(self) -> None:
        """Raises `StrategyTooSlow` where the running call took too long in the run that is replayed."""
        text = self.due.get(self._number)
        if text is not None:
            raise StrategyTooSlow(text)

    def wanted(self, strategy: str, hook: str, intents: Sequence[object]) -> None:
        """The running call wanted something."""
        self._wanted.append(Call(strategy, hook, intents))


@attrs.frozen
class NotedPlugin:
    """A strategy whose calls are noted; for the engine it is the strategy."""

    _plugin: PluggedStrategy
    _notes: CallNotes

    @property
    def id(self) -> str:
        return self._plugin.id

    @property
    def symbols(self) -> Sequence[str]:
        return self._plugin.symbols

    @property
    def hooks(self) -> frozenset[str]:
        return self._plugin.hooks

    @property
    def on_error(self) -> OnError:
        return self._plugin.on_error

    @property
    def wants(self) -> Wants:
        return self._plugin.wants

    def call(self, hook: str, event: StrategyEvent, view: StrategyView) -> Sequence[object]:
        self._notes.begin()
        try:
            intents = self._plugin.call(hook, event, view)
            self._notes.check_time()
        except StrategyTooSlow as fault:
            self._notes.late(str(fault))
            raise
        if intents:
            self._notes.wanted(self.id, hook, intents)
        return intents

    def review(self, intent: Intent, view: StrategyView) -> str | None:
        self._notes.begin()
        try:
            against = self._plugin.review(intent, view)
            self._notes.check_time()
        except StrategyTooSlow as fault:
            self._notes.late(str(fault))
            raise
        return against


@attrs.frozen
class LoggedSteps:
    """Writes every step of a run to its input log (`coldframe.trio_io.effects.StepWatch`)."""

    log: InputLog
    _notes: CallNotes = attrs.field(factory=CallNotes)

    def noted(self, plugins: Iterable[PluggedStrategy]) -> list[PluggedStrategy]:
        """The strategies, with their calls noted."""
        return [NotedPlugin(plugin, self._notes) for plugin in plugins]

    def started(self, at_ns: int, effects: Sequence[Effect]) -> None:
        self.log.started(at_ns, effects, self._notes.drain())

    def stepped(self, stamped: Stamped, effects: Sequence[Effect]) -> None:
        self.log.stepped(stamped, effects, self._notes.drain())


def log_folder(bot: Bot, asked: Path | None) -> Path | None:
    """Where the input log of a run goes; None when it keeps none."""
    config = bot.config
    if asked is not None:
        return asked
    if not config.journal.inputs:
        return None
    file = config.journal.file
    return (bot.loaded.source.base / file).parent / "inputs" if file is not None else state_home() / config.name / "inputs"


def run_body(bot: Bot, facts: RunFacts) -> dict[str, object]:
    """What the first line of an input log says: configuration, plugins and facts of the run."""
    loaded = bot.loaded
    return {
        "configuration": {"path": str(loaded.source.path), "text": loaded.text, "changes": dict(loaded.changes)},
        "plugins": plugin_versions(bot),
        "epoch_ms": facts.epoch_ms,
        "seed": facts.seed,
        "clock_offset_ms": facts.clock_offset_ms,
        "can_log_on": facts.can_log_on,
        "about": dict(facts.about),
        "halts": facts.halts,
        "past": restored_body(facts.past),
        "exchange_info": facts.exchange_info.decode(),
    }


def facts_of(run: Mapping[str, Any]) -> RunFacts:
    """The facts of a run out of its input log. Raises `ConfigError` when they are not what a log holds."""
    try:
        return RunFacts(
            exchange_info=run["exchange_info"].encode(),
            epoch_ms=run["epoch_ms"],
            seed=run["seed"],
            clock_offset_ms=run["clock_offset_ms"],
            can_log_on=run["can_log_on"],
            past=restored_of(run["past"]),
            halts=msgspec.convert(run["halts"], list[Halt]),
            about=run["about"],
        )
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, ExceptionGroup) as error:
        raise ConfigError(f"the input log does not say how its run began: {type(error).__name__}: {error}") from None


def plugin_versions(bot: Bot) -> dict[str, str]:
    """A hash of the source file of each strategy and overlay, by strategy: whether it has been edited since."""
    return {
        strategy.table.id: blake2b(
            b"".join(_source(part.plugin.kind) for part in (strategy.part, *strategy.overlays)), digest_size=8
        ).hexdigest()
        for strategy in bot.strategies
    }


def _source(kind: type) -> bytes:
    try:
        return Path(inspect.getfile(kind)).read_bytes()
    except (OSError, TypeError):
        return b""
