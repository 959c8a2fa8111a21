"""What the bot's journal knows, read on from where it was read to last, also while it is written."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import attrs

from coldframe.core.state.journal_codec import RestoredState, fold
from coldframe.model.journal import RowKind
from coldframe.trio_io.journal_history import read_rows
from tests.campaigns.history import FillKey


@attrs.define
class Memory:
    """The journal of all runs, read on from where it was read to last."""

    path: Path
    past: RestoredState = attrs.field(factory=RestoredState)
    rows: int = 0
    orders: set[str] = attrs.field(factory=set)
    fills: Counter[FillKey] = attrs.field(factory=Counter)
    #: Of which strategy a fill is; empty for one of others.
    owners: dict[FillKey, str] = attrs.field(factory=dict)

    def read(self) -> None:
        """Takes in what has been written. Raises `JournalDamaged`."""
        if not self.path.exists():
            return
        for row in read_rows(self.path, self.rows + 1):
            self.rows = row.seq
            fold([row], self.past)
            body: Any = row.body
            if row.kind == RowKind.ORDER:
                self.orders.add(row.ref)
            elif row.kind == RowKind.FILL:
                key = (body["fill"]["symbol"], body["fill"]["trade_id"], body["fill"]["order_id"])
                self.fills[key] += 1
                self.owners[key] = body["strategy"]

    def fills_of(self, strategy: str) -> set[FillKey]:
        """The fills that were booked to a strategy."""
        return {key for key, owner in self.owners.items() if owner == strategy}
