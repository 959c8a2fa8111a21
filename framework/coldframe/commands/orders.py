"""`coldframe orders resolve`: a person has looked at the venue, and says what became of an order whose fate could not be proved.

A running bot is told by a note and answers itself. Where none runs, the journal is told: the next start folds it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from coldframe.core.execution.absence_proof import ManualResolution
from coldframe.core.state.journal_codec import fold, order_body
from coldframe.core.state.orders import Order
from coldframe.errors import ConfigError, UsageError
from coldframe.model.journal import RowKind
from coldframe.model.orders import OrderState, next_state
from coldframe.runtime.build import read
from coldframe.runtime.haltfiles import sentinel_of
from coldframe.runtime.journals import journal_path
from coldframe.runtime.operator_commands import ask, notes_of
from coldframe.trio_io.clock import epoch_ns
from coldframe.trio_io.journalfile import JournalFile

Out = Callable[[object, Sequence[str]], None]

#: What the process answers when a bot runs that has not answered in time.
EXIT_UNANSWERED: Final = 75


def resolve(path: Path, client_order_id: str, outcome: str, out: Out) -> int:
    """Resolves one order. Returns 0, or 75 when a bot runs that does not answer.

    Raises `UsageError` when the order is not one that needs a person.
    """
    loaded = read(path)
    if loaded.findings:
        raise ConfigError(*loaded.findings)
    what = ManualResolution(outcome)
    if sentinel_of(loaded).a_run_holds():
        said = ask(notes_of(loaded), {"order": client_order_id, "outcome": what.value})
        if said is None:
            out(_document(client_order_id, what, "unanswered"), ["a bot runs, but has not answered; nothing was changed"])
            return EXIT_UNANSWERED
        if not said["accepted"]:
            raise UsageError(str(said["text"]))
    else:
        _write_down(journal_path(loaded.config, loaded.source.base), client_order_id, what)
    out(_document(client_order_id, what, "resolved"), [f"{client_order_id} is {what}, as you say"])
    return 0


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
        raise UsageError(f"{order.client_order_id} is {order.state}: only an order that could not be proved is for you to resolve")
    order.state = next_state(order.state, what.happening)
    order.reason = "resolved by hand"
    if what is ManualResolution.FILLED:
        order.seen_filled = order.quantity


def _document(client_order_id: str, what: ManualResolution, how: str) -> dict[str, object]:
    return {"schema_version": 1, "verb": "orders resolve", "order": client_order_id, "outcome": what.value, "result": how}
