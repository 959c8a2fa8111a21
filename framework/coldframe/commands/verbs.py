"""What the verbs of the command line do, between its arguments and its output."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from contextlib import redirect_stdout, suppress
from decimal import Decimal, setcontext
from pathlib import Path
from typing import Any

import attrs
import trio

from coldframe.commands import venue as venueverb
from coldframe.core.engine import Engine
from coldframe.model.effects import Level
from coldframe.plug.loader import Module, PluginRegistry
from coldframe.runtime.build import Bot, build, read
from coldframe.runtime.liveview import LiveView
from coldframe.runtime.recordings import describe_recording, verify_recording
from coldframe.runtime.report import run_summary, summary_lines
from coldframe.runtime.run import Result, RunOptions, run
from coldframe.runtime.venues import listed_symbols
from coldframe.text import printable
from coldframe.trio_io.clock import wall_text
from coldframe.units import arithmetic

Out = Callable[[object, Sequence[str]], None]

_RANK = {Level.DEBUG: 0, Level.INFO: 1, Level.WARNING: 2, Level.ERROR: 3}


@attrs.frozen
class PlainLog:
    """Log lines on stderr. Control characters in them are shown, not sent to the terminal."""

    lowest: Level = Level.INFO

    def log(self, at_ns: int, level: Level, text: str) -> None:
        if _RANK[level] >= _RANK[self.lowest]:
            mark = "" if level in (Level.INFO, Level.DEBUG) else f"{level.value}: "
            with suppress(OSError):  # a terminal that has gone must not keep a run from ending well
                sys.stderr.write(f"{wall_text(at_ns)} {mark}{printable(text)}\n")
                sys.stderr.flush()

    def started(self, engine: Engine) -> None:
        """Nothing to show beyond the log."""


def run_bot(
    path: Path,
    *,
    for_s: float | None,
    recording: Path | None,
    speed: str | None,
    record: Path | None,
    journal: Path | None,
    live: bool,
    plain: bool,
    debug: bool,
    out: Out,
    input_log: Path | None = None,
) -> int:
    """`coldframe run`."""
    lowest = Level.DEBUG if debug else Level.INFO
    options = RunOptions(for_s=for_s, record=record, input_log=input_log)
    # Stdout carries the result and nothing else, whatever a strategy prints.
    with redirect_stdout(sys.stderr):
        bot = _bot(path, live=live, journal=journal, **_embedded_changes(recording=recording, speed=speed))
        if plain or not sys.stderr.isatty():
            result = trio.run(run, bot, options, PlainLog(lowest))
        else:
            with LiveView(bot.config.name, lowest) as view:
                result = trio.run(_run_in_view, bot, options, view)
        summary = run_summary(bot, result.engine, result.ended)
    out(summary, summary_lines(summary))
    return int(summary["exit_code"])


async def _run_in_view(bot: Bot, options: RunOptions, view: LiveView) -> Result:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(view.keep_current)
        result = await run(bot, options, view)
        nursery.cancel_scope.cancel()
    return result


def check(path: Path, out: Out) -> int:
    """`coldframe check`."""
    bot = _bot(path, live=True)
    config = bot.config
    document = {
        "schema_version": 1,
        "verb": "check",
        "name": config.name,
        "environment": config.venue.environment,
        "orders_mode": config.orders.mode,
        "streams": [str(name) for name in bot.streams],
        "strategies": {
            strategy.table.id: {"plugin": strategy.part.plugin.name, "symbols": list(strategy.symbols)}
            for strategy in bot.strategies
        },
        "ok": True,
    }
    strategies = ", ".join(strategy.table.id for strategy in bot.strategies) or "no strategies"
    _print_notes(f"{path}: {note}" for note in bot.notes)
    line = f"{path}: good: {strategies}; {len(bot.streams)} streams; orders {config.orders.mode} on {config.venue.environment}"
    out(document, [line])
    return 0


def serve_venue(
    path: Path,
    *,
    port: int | None,
    recording: Path | None,
    keys: Path | None,
    state: Path | None,
    debug: bool,
    out: Out,
) -> int:
    """`coldframe venue`."""
    changes = _embedded_changes(recording=recording, speed=None)
    loaded = read(path, port=port, keys_dir=str(keys) if keys else None, state_dir=str(state) if state else None, **changes)
    log = PlainLog(Level.DEBUG if debug else Level.INFO)
    trio.run(venueverb.serve, loaded, log.log, out)
    return 0


def list_plugins(out: Out, path: Path | None = None) -> int:
    """`coldframe plugins list`: what is installed, and which of it is active in a configuration, if one is given."""
    registry = PluginRegistry() if path is None else _bot(path, live=True).registry
    plugins, modules = registry.installed(), registry.modules()
    document = {
        "schema_version": 1,
        "verb": "plugins list",
        "plugins": [
            {"name": plugin.name, "origin": plugin.origin, "summary": plugin.summary, "params": _params(plugin.params)}
            for plugin in plugins
        ],
        "modules": [
            {
                "name": module.name,
                "origin": module.origin,
                "provides": list(module.provides),
                "active": None if path is None else module.active,
            }
            for module in modules
        ],
    }
    lines = [f"{plugin.name:<12} {plugin.summary} ({plugin.origin})" for plugin in plugins]
    lines += [_module_line(module, path) for module in modules if path is not None or {"checks", "sinks"} & set(module.provides)]
    out(document, lines or ["no plugins are installed"])
    return 0


def _module_line(module: Module, path: Path | None) -> str:
    """What a module provides beside strategies, and whether it does so here."""
    if path is None:
        how = f'active with a strategy of its own, or by [[plugins]] plugin = "{module.name}"'
    else:
        how = f"active in {path}" if module.active else f"not active in {path}"
    return f"{module.name:<12} provides {', '.join(module.provides) or 'nothing'} ({module.origin}): {how}"


def recording_info(path: Path, out: Out) -> int:
    """`coldframe recording info`."""
    document, lines, notes = describe_recording(path)
    _print_notes(notes)
    out(document, lines)
    return 0


def recording_verify(path: Path, out: Out) -> int:
    """`coldframe recording verify`: 0 when every book is what the recorded best prices say, and there was something to compare."""
    document, lines, notes = verify_recording(path)
    _print_notes(notes)
    out(document, lines)
    return 0 if document["comparisons"] and not document["mismatches"] and not document["gaps"] else 1


def _print_notes(notes: Iterable[str]) -> None:
    for note in notes:
        sys.stderr.write(f"coldframe: {printable(note)}\n")


def _params(kind: type | None) -> dict[str, str]:
    if kind is None:
        return {}
    fields: Any = attrs.fields(kind)
    return {field.name: _default(field) for field in fields}


def _default(field: attrs.Attribute[Any]) -> str:
    if field.default is attrs.NOTHING:
        return "required"
    return str(field.default) if isinstance(field.default, Decimal | int | str | bool) else "optional"


def _embedded_changes(recording: Path | None, speed: str | None) -> dict[str, Any]:
    changes: dict[str, Any] = {"speed": speed}
    if recording is not None:
        changes |= {"recording": str(recording), "market": "recording"}
    return changes


def _bot(path: Path, *, live: bool, **changes: Any) -> Bot:
    """The bot of a configuration, checked as far as that is possible without connecting."""
    setcontext(arithmetic())  # before any plugin is loaded: so that a plugin's settings of the context stay its own
    loaded = read(path, **changes)
    venue = loaded.config.venue
    listed = listed_symbols(venue.embedded) if venue.environment == "embedded" else None
    return build(loaded, listed, live_allowed=live)
