"""Notes from a person to a running bot: read, led to the engine, answered."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

import trio

from coldframe.config.load import Loaded
from coldframe.errors import UsageError
from coldframe.model.effects import NoteAnswered
from coldframe.model.inputs import Lane, ResolveAsked
from coldframe.runtime.effects import EffectRunner
from coldframe.runtime.haltfiles import bot_folder
from coldframe.trio_io.clock import epoch_ns, monotonic_s, wait_s
from coldframe.trio_io.operator_commands import OperatorCommands

#: How often a run looks for notes.
_LOOK_S: Final = 0.25
#: How long whoever has left one waits for the answer.
_WAIT_S: Final = 3.0


def notes_of(loaded: Loaded) -> OperatorCommands:
    """The notes to a bot."""
    return OperatorCommands(bot_folder(loaded) / "notes")


def ask(notes: OperatorCommands, body: Mapping[str, object]) -> dict[str, Any] | None:
    """Leaves a note to a running bot and waits for its answer; None when none comes in time. Raises `UsageError`."""
    name = f"{epoch_ns()}.{os.getpid()}"
    try:
        notes.leave(name, body)
    except OSError as error:
        raise UsageError(f"the note to the bot cannot be written: {error}") from None
    until_s = monotonic_s() + _WAIT_S
    while monotonic_s() < until_s:
        said = notes.answer_to(name)
        if said is not None:
            return said
        wait_s(_LOOK_S / 5)
    notes.withdraw(name)
    return notes.answer_to(name)


async def read_notes(notes: OperatorCommands, shells: EffectRunner) -> None:
    """Leads every note to the engine, for ever. What was left before the run is thrown away."""

    def answered(answer: NoteAnswered) -> None:
        notes.answer(answer.note, {"accepted": answer.accepted, "text": answer.text})

    shells.note_answered = answered
    notes.take()
    while True:
        for name, body in notes.take():
            shells.inbox.put(Lane.CONTROL, ResolveAsked(str(body.get("order")), str(body.get("outcome")), name))
        await trio.sleep(_LOOK_S)
