"""The three pictures of `architecture.md`, drawn from what `facts.py` reads off the code."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import facts
from drawing import FAINT, INK, Drawing, wrapped

PURE: Final = "#e3f4e8"
OUTSIDE: Final = "#e4eefb"
ACTOR: Final = "#fff3d6"
BAND: Final = "#fafbfc"
#: Where the floors begin, and how wide they are.
_LEFT: Final = 70
_WIDE: Final = 720
_LANES: Final = ("#0b6e99", "#b4530a", "#7b3fa0", "#2f7d32", "#b3261e", "#5c6b00", "#a02f6f", "#3f51b5")


def floors() -> str:
    """The floors, and what may import what."""
    found = facts.floors()
    pure = {name.removeprefix("coldframe.") for name in facts.forbidden("no clock")[0]}
    drawing = Drawing(1120, 30 + sum(_high(names) + 12 for names, _ in found) + 18, "The floors and what may import what")
    y = 30.0
    for names, apart in found:
        each = (_WIDE - 30 * (len(names) - 1)) / len(names)
        if len(names) > 2:
            _words(drawing, names, pure, y)
        else:
            for number, name in enumerate(names):
                fill = PURE if name in pure else OUTSIDE
                drawing.labelled(_LEFT + number * (each + 30), y, each, _high(names), name, facts.about(name), fill)
        if apart:
            drawing.text(_LEFT + each + 15, y + _high(names) / 2 + 6, "≠", 18, "#b3261e", bold=True, anchor="middle")
        y += _high(names) + 12
    drawing.path([(40, 36), (40, y - 16)], INK, width=2.5)
    drawing.text(16, 22, "imports", 12, INK)
    _rules(drawing, 815, 30)
    return drawing.svg()


def _high(names: list[str]) -> int:
    """How high a floor is."""
    if len(names) > 2:
        return 76
    each = (_WIDE - 30 * (len(names) - 1)) / len(names)
    return 32 + 15 * max(len(wrapped(facts.about(name), each - 24)) for name in names)


def _words(drawing: Drawing, names: list[str], pure: set[str], y: float) -> None:
    """The floor of many small modules, as chips."""
    drawing.box(_LEFT, y, _WIDE, _high(names), BAND)
    each = (_WIDE - 20) / ((len(names) + 1) // 2)
    for number, name in enumerate(names):
        x, row = _LEFT + 12 + number % ((len(names) + 1) // 2) * each, number // ((len(names) + 1) // 2)
        drawing.box(x, y + 8 + row * 32, each - 6, 27, PURE if name in pure else OUTSIDE)
        drawing.text(x + (each - 6) / 2, y + 26 + row * 32, name, 12, anchor="middle")


def _rules(drawing: Drawing, x: int, y: int) -> None:
    """What the contracts say beyond the floors."""
    apart, never = facts.forbidden("meet on the wire")
    plugins, hidden = facts.forbidden("public face")
    _, io = facts.forbidden("no clock")
    notes = [
        ("A floor may import", "every floor below it, and what stands beside it unless ≠ stands between", BAND),
        ("green: pure", f"may not import {', '.join(io[:6])} and {len(io) - 6} more: no I/O, no clock, no chance", PURE),
        ("blue", "not held to be pure: sockets, files, threads, or the wiring of them", OUTSIDE),
        (
            " and ".join(_short(apart)),
            f"may not import {', '.join(_short(never))}: exchange and engine meet on the wire only",
            BAND,
        ),
        ("plugins", f"may import the public face, coldframe, and not {', '.join(_short(hidden))}", ACTOR),
    ]
    for name, about, fill in notes:
        lines = wrapped(about, 250)
        height = 34 + 15 * len(lines)
        drawing.labelled(x, y, 280, height, name, about, fill)
        y += height + 14
    drawing.lines(x + 4, y + 12, wrapped(f"The plugins that come along: {', '.join(plugins)}", 270))


def _short(names: list[str]) -> list[str]:
    return [name.removeprefix("coldframe.") for name in names]


def core() -> str:
    """The parts of the engine, and which imports which."""
    layers = facts.core_layers()
    parts = [name for names, _ in layers for name in names]
    arrows = facts.core_arrows()
    high, gap, left, width = 64, 14, 30, 440
    top = {name: 30 + number * (high + gap) for number, name in enumerate(parts)}
    importers = [name for name in reversed(parts) if arrows[name]]
    drawing = Drawing(
        left + width + 50 + 40 * len(importers), 60 + len(parts) * (high + gap), "The parts of the engine and their imports"
    )
    incoming = {name: [other for other in importers if name in arrows[other]] for name in parts}
    for number, name in enumerate(importers):
        lane, colour = left + width + 50 + number * 40, _LANES[number]
        start = top[name] + 12
        targets = sorted(arrows[name], key=lambda target: top[target])
        ends = {target: _entry(top[target], high, incoming[target].index(name), len(incoming[target])) for target in targets}
        drawing.path([(left + width, start), (lane, start), (lane, ends[targets[-1]])], colour, head=False)
        for target in targets:
            drawing.path([(lane, ends[target]), (left + width + 3, ends[target])], colour)
    for name in parts:
        colour = _LANES[importers.index(name)] if name in importers else FAINT
        drawing.labelled(left, top[name], width, high, name, facts.about(f"core.{name}"), PURE, colour)
    count = sum(map(len, arrows.values()))
    separate = " and ".join(name for names, apart in layers if apart for name in names)
    note = f"{len(parts)} parts, {count} imports between them, none upwards; {separate} do not import each other"
    drawing.text(left, 30 + len(parts) * (high + gap) + 12, note, 12, FAINT)
    return drawing.svg()


def _entry(top: float, high: float, number: int, count: int) -> float:
    """Where on the side of a box an arrow ends, when several do: below the line that begins there."""
    return top + 20 + (high - 24) * (number + 0.5) / count


#: What stands behind a part of the runner, and who is told through it.
_PERFORMERS: Final = {
    "journal": ("journal", "rows on the disk, before anything leaves"),
    "links": ("links", "WebSockets: market, user data, WebSocket API"),
    "nursery": ("rest", "a task for each call"),
    "timers": ("timers", "one task, a heap of moments"),
    "connections": ("bans", "nothing is sent while the venue bans the bot"),
    "heartbeat": ("heartbeat", "what the kill switch and sinks are told"),
    "log": ("log", "lines for people"),
    "halt_taken": ("kill switch", "the engine has taken a halt in"),
    "command_answered": ("control channel", "the answer to a command"),
    "finished": ("the run itself", "it ends"),
}
_SOURCES: Final = {
    "trio_io.links": "readers, writers, keep-alives of the links",
    "trio_io.inbox": "frames of one read, or those dropped",
    "trio_io.rest": "an answer, or why there is none",
    "trio_io.timers": "a moment that was asked for",
    "trio_io.journal": "the disk fails or recovers",
    "trio_io.kill_switch": "thread: halts, commands",
    "trio_io.kill_switch_orders": "thread: its own orders",
    "trio_io.kill_switch_rest": "thread: weight it has used",
    "runtime.run": "signals, --for, a gap in time",
    "trio_io.effects": "what the journal held back",
}


def run() -> str:
    """A run: what puts inputs into the inbox, the engine, and what performs its effects."""
    sources = [(name, _SOURCES[name], kinds) for name, kinds in facts.inputs().items()]
    sources.sort(key=lambda source: list(_SOURCES).index(source[0]))
    done = facts.performers()
    performers = [(*_PERFORMERS[part], done[part]) for part in _PERFORMERS if part in done]
    assert len(performers) == len(done)
    left, right = _heights(sources), _heights(performers)
    height = max(sum(left), sum(right)) + 60
    drawing = Drawing(1200, int(height), "A run: tasks, inbox, engine, effects")
    middle = 30 + height / 2 - 20
    _middle(drawing, middle)
    drawing.text(20, 24, "tasks and one thread: the inputs they make", 12, FAINT)
    drawing.text(860, 24, "what performs each effect", 12, FAINT)
    y = 36.0
    for (name, what, kinds), high in zip(sources, left, strict=True):
        _named(drawing, 20, y, high - 12, name, what, kinds)
        drawing.path([(340, y + (high - 12) / 2), (375, y + (high - 12) / 2), (375, middle), (408, middle)], halo=False)
        y += high
    y = 36.0
    for (name, what, kinds), high in zip(performers, right, strict=True):
        drawing.path([(815, middle), (838, middle), (838, y + (high - 12) / 2), (857, y + (high - 12) / 2)], halo=False)
        _named(drawing, 860, y, high - 12, name, what, kinds)
        y += high
    return drawing.svg()


def _heights(rows: list[tuple[str, str, list[str]]]) -> list[float]:
    return [46 + 15 * len(wrapped(", ".join(kinds), 296)) for _, _, kinds in rows]


def _named(drawing: Drawing, x: float, y: float, high: float, name: str, what: str, kinds: list[str]) -> None:
    drawing.box(x, y, 320, high, OUTSIDE)
    drawing.text(x + 12, y + 18, name, 12, bold=True)
    drawing.text(x + 308, y + 18, what, 10, FAINT, anchor="end")
    drawing.lines(x + 12, y + 34, wrapped(", ".join(kinds), 296), 11, INK)


def _middle(drawing: Drawing, y: float) -> None:
    """Inbox, engine and runner, with the strategies below the engine."""
    drawing.labelled(410, y - 45, 115, 90, "Inbox", "the one queue; control and private first", OUTSIDE)
    drawing.labelled(553, y - 45, 114, 90, "Engine.step", "one input in, effects out; pure", PURE)
    drawing.labelled(693, y - 45, 122, 90, "EffectRunner", "rows of a step first, then the rest", OUTSIDE)
    drawing.path([(525, y), (551, y)], INK, width=2.2)
    drawing.path([(667, y), (691, y)], INK, width=2.2)
    drawing.labelled(530, y + 110, 160, 76, "strategies", "plugins: hooks with events and views, intents back", ACTOR)
    drawing.path([(590, y + 45), (590, y + 108)], INK)
    drawing.path([(630, y + 110), (630, y + 47)], INK)
    drawing.text(584, y + 82, "events", 11, FAINT, anchor="end")
    drawing.text(636, y + 82, "intents", 11, FAINT)
    drawing.labelled(530, y - 190, 160, 76, "EngineState", "all trading state; only core/state changes it", PURE)
    drawing.path([(610, y - 114), (610, y - 47)], INK, head=False)


#: The pictures by file name.
PICTURES: Final[dict[str, Callable[[], str]]] = {
    "architecture-floors.svg": floors,
    "architecture-core.svg": core,
    "architecture-run.svg": run,
}
