"""A naive book of who holds what of one position: whole lots, one execution after the other, in the order of the exchange.

It knows the rule of docs/orders.md ("When others trade") and nothing of the bot. The owner of what is external is "".
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

OTHERS = ""


class ShareOracle:
    """`lot` is the lot step; quantities are kept as whole numbers of lots."""

    def __init__(self, owners: Iterable[str], lot: str = "0.001") -> None:
        self._lot = Decimal(lot)
        self._held = {**dict.fromkeys(owners, 0), OTHERS: 0}

    def trade(self, owner: str, quantity: Decimal) -> None:
        """An order of `owner` trades a signed quantity; of others, what it takes away is taken from the strategies that hold it."""
        lots = int(quantity / self._lot)
        assert lots * self._lot == quantity
        if owner != OTHERS:
            self._held[owner] += lots
        else:
            self._others(lots)

    def held(self, owner: str) -> Decimal:
        return self._held[owner] * self._lot

    def _others(self, lots: int) -> None:
        sign = 1 if lots > 0 else -1
        for _ in range(abs(lots)):  # whatever is theirs goes first
            if self._held[OTHERS] * sign >= 0:
                break
            self._held[OTHERS] += sign
            lots -= sign
        account = sum(self._held.values())
        if lots and account * sign < 0:
            through = abs(lots) >= abs(account)
            closing = min(abs(lots), abs(account))
            theirs = abs(self._held[OTHERS]) if through else 0  # it stood against the account, and goes with it
            self._take(closing + theirs, sign)
            self._held[OTHERS] -= sign * theirs
            lots -= sign * closing
        self._held[OTHERS] += lots

    def _take(self, lots: int, sign: int) -> None:
        """From the strategies on the other side in proportion; what rounding leaves from the largest, the first of equals."""
        against = {owner: abs(held) for owner, held in self._held.items() if owner != OTHERS and held * sign < 0}
        whole = sum(against.values())
        parts = {owner: lots * held // whole for owner, held in against.items()}
        for owner in sorted(against, key=lambda name: (-against[name], name)):
            more = min(lots - sum(parts.values()), against[owner] - parts[owner])
            parts[owner] += more
        for owner, part in parts.items():
            self._held[owner] += sign * part
