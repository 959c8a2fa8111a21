"""`coldframe orders resolve`: a person has looked at the venue, and says what became of an order whose fate could not be proved.

A running bot is asked over its control channel and answers itself. Where none runs, the journal is told: the next start folds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.state.journal_codec import fold, order_body
from coldframe.core.state.orders import Order, Orders
from coldframe.errors import ConfigError, UsageError
from coldframe.exits import Exit
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import halt_file_of, runs_of
from coldframe.runtime.journals import journal_path
from coldframe.trio_io.clock import epoch_ns
from coldframe.trio_io.control import VERSION, ControlAnswer, ResolveRequest, ask_each
from coldframe.trio_io.journalfile import JournalFile

Out = Callable[[object, Sequence[str]], None]

#: How long the verb waits; a run that stands still says so before that.
WAIT_S: Final = 5.0


def resolve(path: Path, client_order_id: str, outcome: str, out: Out, *, wait_s: float = WAIT_S) -> int:
    """Resolves one order. Returns 0, or 75 when a bot runs that does not answer.

    Raises `UsageError` when the order is not one that needs a person.
    """
    loaded = read(path)
    if loaded.findings:
        raise ConfigError(*loaded.findings)
    what = ManualResolution(outcome)
    runs = runs_of(halt_file_of(loaded))
    if alive := list(runs.alive()):
        answers = ask_each(runs.folder, alive, ResolveRequest(VERSION, client_order_id, what), wait_s)
        unsettled = _unsettled(list(answers.values()))
        if unsettled is not None:
            out(_document(client_order_id, what, "unanswered"), [unsettled])
            return Exit.TRY_LATER
    else:
        _write_down(journal_path(loaded.config, loaded.source.base), client_order_id, what)
    out(_document(client_order_id, what, "resolved"), [f"{client_order_id} is {what}, as you say"])
    return 0


def _unsettled(answers: Sequence[ControlAnswer | None]) -> str | None:
    """Why it is not known whether any of the runs has resolved it; None if one has. Raises `UsageError` when all refuse.

    Runs of several configurations may heed one halt file: the order is that of one of them.
    """
    if any(answer is not None and answer.accepted for answer in answers):
        return None
    heard = [answer for answer in answers if answer is not None]
    if len(heard) < len(answers):
        return "a bot runs, but has not answered; look at its log for whether it has taken this"
    waiting = [answer.text for answer in heard if answer.result == "unanswered"]
    if waiting:
        return waiting[0]
    raise UsageError("; ".join(dict.fromkeys(answer.text for answer in heard)))


def _write_down(path: Path, client_order_id: str, what: ManualResolution) -> None:
    if not path.is_file():
        raise UsageError(f"{path}: there is no such journal, and no bot runs")
    file = JournalFile(path)
    try:
        order = fold(file.state_rows()).orders.get(client_order_id)
        if order is None:
            raise UsageError(f"{path} knows no order {client_order_id} of late")
        _resolve(order, what)
        file.write([(epoch_ns(), RowKind.ORDER, client_order_id, order_body(order))])
    finally:
        file.close()


def _resolve(order: Order, what: ManualResolution) -> None:
    """As the engine would, for an order that it has given up."""
    if order.state is not OrderState.NEEDS_OPERATOR:
        raise UsageError(f"cannot be resolved by hand: {order.client_order_id} is {order.state} (only NEEDS_OPERATOR orders can)")
    if what is ManualResolution.FILLED:
        order.filled_by_report()
    Orders(0).apply(order, what.event, epoch_ns(), "resolved by hand")


def _document(client_order_id: str, what: ManualResolution, how: str) -> dict[str, object]:
    return {"schema_version": 1, "verb": "orders resolve", "order": client_order_id, "outcome": what.value, "result": how}
