"""Notes from a person to a running bot: read, led to the brain, answered."""

from __future__ import annotations

from typing import Final

import trio

from coldframe.config.load import Loaded
from coldframe.model.effects import NoteAnswered
from coldframe.model.inputs import Lane, ResolveAsked
from coldframe.runtime.shells import Shells
from coldframe.shell.notes import Notes
from coldframe.shell.places import state_home

#: How often a run looks for notes.
_LOOK_S: Final = 0.25


def notes_of(loaded: Loaded) -> Notes:
    """The notes to a bot."""
    return Notes(state_home() / loaded.config.name / "notes")


async def read_notes(notes: Notes, shells: Shells) -> None:
    """Leads every note to the brain, for ever. What was left before the run is thrown away."""

    def answered(answer: NoteAnswered) -> None:
        notes.answer(answer.note, {"accepted": answer.accepted, "text": answer.text})

    shells.note_answered = answered
    notes.take()
    while True:
        for name, body in notes.take():
            shells.inbox.put(Lane.CONTROL, ResolveAsked(str(body.get("order")), str(body.get("outcome")), name))
        await trio.sleep(_LOOK_S)
