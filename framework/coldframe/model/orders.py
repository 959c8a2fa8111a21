"""The life of one order, as data: states, what may happen, and where each event leads. The picture is drawn from the table.

Silence never changes a state: a timeout or an unreadable answer only makes an outcome unknown, and an unknown order counts as
fully alive until evidence says otherwise. Events are graded by evidence (faults.md 3): `SEEN_…` is positive (a report
or an answer that names the order), `REJECTED_BY_VENUE` is a definite refusal of this very request, `NOT_FOUND` is weak and
changes nothing. Absence ends only an order that the venue has never acknowledged; an order that it has acknowledged and cannot find
(`MISSING`) is a contradiction that needs a person.

An order that has ended may come back (an arrow from an ended state to a live one). After the venue's own word it takes evidence
that is later than that word; after an inference (NEVER_ACCEPTED, a person's word, a refusal) any evidence does; FILLED is final.

A conditional order waits for its trigger (UNTRIGGERED) and then becomes an ordinary order (TRIGGERED), whose life it leads from
there: none of them opens or trades without having been TRIGGERED. What a cancel or an amendment is doing is a second, smaller
machine beside the first (`Overlay`).
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from coldframe.enums import OrderStatus, Word
from coldframe.renamed import ORDER_STATES, RenamedMembers, note_renamed


class OrderState(Word, metaclass=RenamedMembers):
    """Where an order is in its life; docs/orders.md draws it.

    The name of a member is the word for people, and what `str` gives. Its value is what the rows of a journal say: there, words of
    version 0.1 stay. A state equals its name, and for one version the old word as well, with a notice.
    """

    INITIALIZED = "INTENT"
    PENDING_SUBMIT = "PREPARED"
    SUBMITTED = "SENT"
    UNTRIGGERED = "WAITING"
    TRIGGERED = "TRIGGERED"
    ACCEPTED = "OPEN"
    PARTIALLY_FILLED = "PARTIAL"
    UNKNOWN = "UNKNOWN"
    NEEDS_OPERATOR = "OPERATOR"
    DENIED = "DENIED"
    REJECTED = "REJECTED"
    NEVER_ACCEPTED = "NEVER_ACCEPTED"
    FILLED = "FILLED"
    CANCELED = "CANCELED"
    EXPIRED = "EXPIRED"

    def __str__(self) -> str:
        return self._name_

    def __format__(self, spec: str) -> str:
        return format(self._name_, spec)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, OrderState) or not isinstance(other, str):
            return self is other
        if other == self._name_:
            return True
        if ORDER_STATES.get(other) != self._name_:
            return False
        note_renamed(f"order state {other!r}", f"{self._name_!r}, or OrderState.{self._name_}")
        return True

    def __ne__(self, other: object) -> bool:
        return not self == other

    #: That of the value: so a set or a table of old words still finds a state.
    __hash__ = str.__hash__

    @classmethod
    def _missing_(cls, value: object) -> OrderState | None:
        return cls.__members__.get(value) if isinstance(value, str) else None

    @property
    def live(self) -> bool:
        """Whether the order may still trade, for all we know: its exposure counts."""
        return self in LIVE

    @property
    def terminal(self) -> bool:
        return self in TERMINAL

    @property
    def resting(self) -> bool:
        """Whether the venue has confirmed that the order stands in its book."""
        return self is OrderState.ACCEPTED or self is OrderState.PARTIALLY_FILLED


class OrderEvent(StrEnum):
    """What can happen to an order. The letter is the strength of the evidence, E3 the strongest."""

    ACCEPTED = "pre-trade risk accepts"
    WRITTEN = "bytes handed to the socket"
    NOT_WRITTEN = "certainly not written"
    RESTARTED = "process restart"
    SEEN_WAITING = "seen waiting for its trigger (E3)"
    SEEN_TRIGGERED = "seen triggered (E3)"
    REFUSED_AT_TRIGGER = "refused at its trigger (E3)"
    SEEN_NEW = "seen NEW (E3)"
    SEEN_PARTIAL = "seen PARTIALLY_FILLED (E3)"
    SEEN_FILLED = "seen FILLED (E3)"
    SEEN_CANCELED = "seen CANCELED (E3)"
    SEEN_EXPIRED = "seen EXPIRED (E3)"
    REJECTED_BY_VENUE = "definite refusal (E2)"
    OUTCOME_UNKNOWN = "outcome unknown (E0)"
    PROVED_ABSENT = "proved absent"
    MISSING = "acknowledged but not to be found"
    UNPROVABLE = "cannot be proved"


S, H = OrderState, OrderEvent

LIVE: Final = frozenset(
    {
        S.PENDING_SUBMIT,
        S.SUBMITTED,
        S.UNTRIGGERED,
        S.TRIGGERED,
        S.ACCEPTED,
        S.PARTIALLY_FILLED,
        S.UNKNOWN,
        S.NEEDS_OPERATOR,
    }
)
TERMINAL: Final = frozenset({S.DENIED, S.REJECTED, S.NEVER_ACCEPTED, S.FILLED, S.CANCELED, S.EXPIRED})

#: Where positive evidence leads from a state in which the order may be alive.
_SEEN: Final = {
    H.SEEN_NEW: S.ACCEPTED,
    H.SEEN_PARTIAL: S.PARTIALLY_FILLED,
    H.SEEN_FILLED: S.FILLED,
    H.SEEN_CANCELED: S.CANCELED,
    H.SEEN_EXPIRED: S.EXPIRED,
}
#: The same for a conditional order, as long as nothing is known of its trigger.
_SEEN_CONDITIONAL: Final = {
    H.SEEN_WAITING: S.UNTRIGGERED,
    H.SEEN_TRIGGERED: S.TRIGGERED,
    H.REFUSED_AT_TRIGGER: S.REJECTED,
}
_SEEN_ANY: Final = _SEEN | _SEEN_CONDITIONAL
#: What brings back an order whose end the venue has told, or a person: evidence that it lives, or that all of it has traded.
_BACK: Final = {
    H.SEEN_WAITING: S.UNTRIGGERED,
    H.SEEN_TRIGGERED: S.TRIGGERED,
    H.SEEN_NEW: S.ACCEPTED,
    H.SEEN_PARTIAL: S.PARTIALLY_FILLED,
    H.SEEN_FILLED: S.FILLED,
}
#: The table: what is missing does not happen, or changes nothing (see `next_state`).
TABLE: Final[Mapping[OrderState, Mapping[OrderEvent, OrderState]]] = {
    S.INITIALIZED: {H.ACCEPTED: S.PENDING_SUBMIT},
    S.PENDING_SUBMIT: _SEEN_ANY
    | {
        H.NOT_WRITTEN: S.DENIED,
        H.WRITTEN: S.SUBMITTED,
        H.RESTARTED: S.UNKNOWN,
        H.OUTCOME_UNKNOWN: S.UNKNOWN,
        H.REJECTED_BY_VENUE: S.REJECTED,
    },
    S.SUBMITTED: _SEEN_ANY | {H.REJECTED_BY_VENUE: S.REJECTED, H.OUTCOME_UNKNOWN: S.UNKNOWN, H.RESTARTED: S.UNKNOWN},
    S.UNTRIGGERED: {
        H.SEEN_TRIGGERED: S.TRIGGERED,
        H.SEEN_CANCELED: S.CANCELED,
        H.SEEN_EXPIRED: S.EXPIRED,
        H.REFUSED_AT_TRIGGER: S.REJECTED,
        H.MISSING: S.NEEDS_OPERATOR,
    },
    S.TRIGGERED: _SEEN | {H.MISSING: S.NEEDS_OPERATOR, H.UNPROVABLE: S.NEEDS_OPERATOR},
    S.UNKNOWN: _SEEN_ANY
    | {
        # Proof that arrives late: its wait for an answer ended before it was known that no byte had left.
        H.NOT_WRITTEN: S.DENIED,
        H.REJECTED_BY_VENUE: S.REJECTED,
        H.PROVED_ABSENT: S.NEVER_ACCEPTED,
        H.MISSING: S.NEEDS_OPERATOR,
        H.UNPROVABLE: S.NEEDS_OPERATOR,
    },
    S.NEEDS_OPERATOR: _SEEN_ANY | {H.PROVED_ABSENT: S.NEVER_ACCEPTED},
    S.ACCEPTED: {
        H.SEEN_PARTIAL: S.PARTIALLY_FILLED,
        H.SEEN_FILLED: S.FILLED,
        H.SEEN_CANCELED: S.CANCELED,
        H.SEEN_EXPIRED: S.EXPIRED,
        H.MISSING: S.NEEDS_OPERATOR,
        H.UNPROVABLE: S.NEEDS_OPERATOR,
    },
    S.PARTIALLY_FILLED: {
        H.SEEN_FILLED: S.FILLED,
        H.SEEN_CANCELED: S.CANCELED,
        H.SEEN_EXPIRED: S.EXPIRED,
        H.MISSING: S.NEEDS_OPERATOR,
        H.UNPROVABLE: S.NEEDS_OPERATOR,
    },
    # Positive evidence that an order lives although we had given it up is booked all the same: see `resurrects`.
    S.DENIED: _SEEN_ANY,
    S.REJECTED: _SEEN | {H.SEEN_WAITING: S.UNTRIGGERED, H.SEEN_TRIGGERED: S.TRIGGERED},
    S.NEVER_ACCEPTED: _SEEN_ANY,
    S.FILLED: {},
    S.CANCELED: _BACK,
    S.EXPIRED: _BACK,
}


def next_state(state: OrderState, event: OrderEvent) -> OrderState:
    """Where `event` leads from `state`; the same state when it changes nothing."""
    return TABLE[state].get(event, state)


def resurrects(state: OrderState, event: OrderEvent) -> bool:
    """Whether this event contradicts a terminal state: what it leads to is an incident, if its evidence is strong enough."""
    return state.terminal and next_state(state, event) is not state


#: How a status word of the venue reads as an event. REJECTED appears only in old messages.
SEEN: Final[Mapping[OrderStatus, OrderEvent]] = {
    OrderStatus.NEW: H.SEEN_NEW,
    OrderStatus.NEW_ADL: H.SEEN_NEW,
    OrderStatus.NEW_INSURANCE: H.SEEN_NEW,
    OrderStatus.PARTIALLY_FILLED: H.SEEN_PARTIAL,
    OrderStatus.FILLED: H.SEEN_FILLED,
    OrderStatus.CANCELED: H.SEEN_CANCELED,
    OrderStatus.EXPIRED: H.SEEN_EXPIRED,
    OrderStatus.EXPIRED_IN_MATCH: H.SEEN_EXPIRED,
    OrderStatus.REJECTED: H.REJECTED_BY_VENUE,
}


class Overlay(StrEnum):
    """What a cancel or an amendment of a live order is doing."""

    NONE = "NONE"
    CANCEL_SENT = "CANCEL_SENT"
    CANCEL_UNKNOWN = "CANCEL_UNKNOWN"
    AMEND_SENT = "AMEND_SENT"
    AMEND_UNKNOWN = "AMEND_UNKNOWN"


class Attempt(StrEnum):
    """What can happen to a cancel or an amendment."""

    CANCEL_WANTED = "cancel wanted"
    CANCEL_REFUSED = "cancel refused (E2)"
    CANCEL_UNKNOWN = "cancel outcome unknown, or -2011"
    CANCEL_NOT_WRITTEN = "cancel certainly not written"
    AMEND_WANTED = "amendment wanted"
    AMEND_DONE = "amendment seen (E3)"
    AMEND_REFUSED = "amendment refused (E2)"
    AMEND_UNKNOWN = "amendment outcome unknown"
    AMEND_NOT_WRITTEN = "amendment certainly not written"
    RESOLVED = "query answered (E3)"


A = Attempt

OVERLAY_TABLE: Final[Mapping[Overlay, Mapping[Attempt, Overlay]]] = {
    Overlay.NONE: {A.CANCEL_WANTED: Overlay.CANCEL_SENT, A.AMEND_WANTED: Overlay.AMEND_SENT},
    Overlay.CANCEL_SENT: {
        A.CANCEL_REFUSED: Overlay.NONE,
        A.CANCEL_UNKNOWN: Overlay.CANCEL_UNKNOWN,
        A.CANCEL_NOT_WRITTEN: Overlay.NONE,
    },
    Overlay.CANCEL_UNKNOWN: {A.CANCEL_WANTED: Overlay.CANCEL_SENT, A.CANCEL_REFUSED: Overlay.NONE, A.RESOLVED: Overlay.NONE},
    Overlay.AMEND_SENT: {
        A.AMEND_DONE: Overlay.NONE,
        A.AMEND_REFUSED: Overlay.NONE,
        A.AMEND_UNKNOWN: Overlay.AMEND_UNKNOWN,
        A.AMEND_NOT_WRITTEN: Overlay.NONE,
        A.CANCEL_WANTED: Overlay.CANCEL_SENT,
    },
    Overlay.AMEND_UNKNOWN: {
        A.AMEND_DONE: Overlay.NONE,
        A.AMEND_REFUSED: Overlay.NONE,
        A.RESOLVED: Overlay.NONE,
        A.CANCEL_WANTED: Overlay.CANCEL_SENT,
    },
}


#: With these an amendment has come to its end, also while a cancel of its order is on its way.
AMENDMENT_ENDS: Final = frozenset({A.AMEND_DONE, A.AMEND_REFUSED, A.AMEND_NOT_WRITTEN})


def next_overlay(overlay: Overlay, attempt: Attempt, *, amending: bool = False) -> Overlay:
    """Where `attempt` leads from `overlay`; the same overlay when it changes nothing.

    `amending`: an amendment is open. A cancel that comes to nothing says nothing of it, so its outcome is unknown then.
    """
    after = OVERLAY_TABLE[overlay].get(attempt, overlay)
    if amending and after is Overlay.NONE and attempt in (A.CANCEL_REFUSED, A.CANCEL_NOT_WRITTEN):
        return Overlay.AMEND_UNKNOWN
    return after


def diagram() -> str:
    """The two tables as Mermaid state diagrams; `docs/orders.md` shows exactly this text."""
    lines = ["stateDiagram-v2", f"    [*] --> {OrderState.INITIALIZED}"]
    lines += _arrows(TABLE)
    lines += [f"    {state} --> [*]" for state in OrderState if state.terminal]
    lines += ["", "stateDiagram-v2", "    [*] --> NONE"]
    return "\n".join(lines + _arrows(OVERLAY_TABLE) + _arrows(_while_amending())) + "\n"


def _while_amending() -> dict[Overlay, dict[str, Overlay]]:
    """The attempts, in words, that lead elsewhere while an amendment is open than they do else."""
    rows: dict[Overlay, dict[str, Overlay]] = {}
    for overlay, row in OVERLAY_TABLE.items():
        for attempt, end in row.items():
            after = next_overlay(overlay, attempt, amending=True)
            if after is not end:
                rows.setdefault(overlay, {})[f"{attempt} while an amendment is open"] = after
    return rows


def _arrows(
    table: Mapping[OrderState, Mapping[OrderEvent, OrderState]]
    | Mapping[Overlay, Mapping[Attempt, Overlay]]
    | Mapping[Overlay, Mapping[str, Overlay]],
) -> list[str]:
    lines = []
    for start, row in table.items():
        causes: dict[str, list[str]] = {}
        for cause, end in row.items():
            causes.setdefault(end, []).append(cause)
        lines += [f"    {start} --> {end}: {', '.join(words)}" for end, words in causes.items()]
    return lines
