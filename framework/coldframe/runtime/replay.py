"""A replay: the engine of an input log again, step by step, with the strategies as they are now.

Nothing is sent and nothing is waited for. While every step comes out as it was written, the replay is the run. From the first step
on in which a strategy wants something else, the recorded answers belong to orders that are not the ones it would have now: what
follows is open loop, good for looking at what it wants, not for what would have come of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from decimal import setcontext
from pathlib import Path
from typing import Any, Final

import attrs
import msgspec

from coldframe.core.engine import Engine
from coldframe.data.input_log import Calls, Digest, InputLogReading, LoggedStep, calls_out, effects_out
from coldframe.errors import ColdframeError, ConfigError
from coldframe.model.effects import Effect
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.engine_setup import engine_setup
from coldframe.runtime.input_logs import CallNotes, NotedPlugin, facts_of, plugin_versions
from coldframe.units import arithmetic

#: What an engine may raise at answers that belong to other orders.
_CANNOT_FOLLOW: Final = (ColdframeError, ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


@attrs.frozen
class StepDifference:
    """The first step that came out otherwise: in its `intents` or in its `effects`. The texts are JSON, of the first of them
    that differs."""

    seq: int
    at_ns: int
    kind: str
    what: str
    #: The strategy and its hook, where intents differ.
    strategy: str = ""
    hook: str = ""
    recorded: str = ""
    now: str = ""


@attrs.define
class Replay:
    """What came of a replay."""

    engine: Engine
    #: Steps replayed, the start included, and those of them that came out as written.
    steps: int = 0
    equal: int = 0
    first: StepDifference | None = None
    #: Steps after the first difference in which a strategy wanted something else than it did then.
    open_loop_differences: int = 0
    #: Why the replay could not go on, in open loop; empty when it could.
    ended_early: str = ""
    digest: str = ""
    tear: str | None = None
    #: Strategies whose source files have changed since the run.
    edited: Sequence[str] = ()

    @property
    def open_loop(self) -> bool:
        return self.first is not None and self.first.what == "intents"


Watch = Callable[[LoggedStep, Calls], None]


def replay(path: Path, *, until: int | None = None, watch: Watch = lambda step, calls: None) -> Replay:
    """Replays the log at `path`, up to the input with the number `until`. `watch` sees what strategies want in each step.

    Raises `ConfigError` when the log, or the configuration in it, cannot be read.
    """
    setcontext(arithmetic())
    with closing(InputLogReading(path)) as reading:
        return _replayed(reading, until, watch)


def _replayed(reading: InputLogReading, until: int | None, watch: Watch) -> Replay:
    bot = bot_of(reading)
    notes = CallNotes()
    plugins = [NotedPlugin(strategy.make_plugin(), notes) for strategy in bot.strategies]
    now = plugin_versions(bot)
    edited = [name for name, was in reading.run["plugins"].items() if now.get(name) != was]
    made = Replay(Engine(engine_setup(bot, facts_of(reading.run), plugins)), edited=edited)
    digest = Digest()
    for step in reading:
        if until is not None and step.seq > until:
            break
        notes.due = {late.number: late.text for late in step.late}
        try:
            effects = _stepped(made.engine, step)
        except _CANNOT_FOLLOW as error:
            if not made.open_loop:
                raise
            made.ended_early = f"step {step.seq}: {type(error).__name__}: {error}"
            break
        calls = notes.drain()
        made.steps += 1
        _compare(made, step, effects, calls, digest)
        watch(step, calls)
    made.tear = reading.tear
    return made


def bot_of(reading: InputLogReading) -> Bot:
    """The bot of a log, with the strategies as their files are now. Raises `ConfigError`."""
    try:
        said = reading.run["configuration"]
        path, text, changes = Path(said["path"]), str(said["text"]), dict(said["changes"])
        contracts = msgspec.json.decode(reading.run["exchange_info"], type=dict[str, Any])["symbols"]
        listed = [contract["symbol"] for contract in contracts]
    except (KeyError, TypeError, msgspec.DecodeError):
        raise ConfigError(f"{reading.path}: its first line lacks the configuration or the contracts of the run") from None
    loaded = read(path, text=text, **changes)
    return build(loaded, listed if loaded.config.venue.environment == "embedded" else None, live_allowed=True)


def _stepped(engine: Engine, step: LoggedStep) -> list[Effect]:
    return engine.start(step.at_ns) if step.event is None else engine.step(step.stamped)


def _compare(made: Replay, step: LoggedStep, effects: Sequence[Effect], calls: Calls, digest: Digest) -> None:
    wanted = calls_out(calls.wanted) if calls.wanted else b""
    done = effects_out(effects) if effects else b""
    if made.first is not None:
        made.open_loop_differences += made.open_loop and wanted != step.calls
        return
    if done:
        made.digest = digest.with_step(done)
    if wanted == step.calls and done == step.effects and made.digest == (step.digest or made.digest):
        made.equal += 1
        return
    made.first = _difference(step, wanted, done)


def _difference(step: LoggedStep, wanted: bytes, done: bytes) -> StepDifference:
    kind = "Start" if step.event is None else type(step.event).__name__
    if wanted != step.calls:
        recorded, now = first_that_differs(step.calls, wanted)
        strategy, hook, _ = now or recorded or ("", "", None)
        return StepDifference(
            step.seq, step.at_ns, kind, "intents", strategy, hook, text_of(recorded and recorded[2]), text_of(now and now[2])
        )
    recorded, now = first_that_differs(step.effects, done)
    return StepDifference(step.seq, step.at_ns, kind, "effects", "", "", text_of(recorded), text_of(now))


def first_that_differs(recorded: bytes, now: bytes) -> tuple[Any, Any]:
    """The first elements of two lists that are not the same; None stands for the end of a list."""
    before, after = (msgspec.json.decode(raw) if raw else [] for raw in (recorded, now))
    for index in range(max(len(before), len(after))):
        pair = before[index] if index < len(before) else None, after[index] if index < len(after) else None
        if pair[0] != pair[1]:
            return pair
    return None, None


def text_of(value: object) -> str:
    return "nothing" if value is None else msgspec.json.encode(value).decode()
