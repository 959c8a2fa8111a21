"""The life of an order: every cell of both tables against the written lifecycle, and the picture drawn from them."""

from __future__ import annotations

import re
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from coldframe.enums import OrderStatus
from coldframe.model.orders import (
    LIVE,
    OVERLAY_TABLE,
    SEEN,
    TABLE,
    TERMINAL,
    Attempt,
    OrderEvent,
    OrderState,
    Overlay,
    diagram,
    next_overlay,
    next_state,
    resurrects,
)

S, H, A, V = OrderState, OrderEvent, Attempt, Overlay

#: What positive evidence leads to, from wherever the order might be alive or has been given up.
SEEN_LEADS_TO = {
    H.SEEN_NEW: S.ACCEPTED,
    H.SEEN_PARTIAL: S.PARTIALLY_FILLED,
    H.SEEN_FILLED: S.FILLED,
    H.SEEN_CANCELED: S.CANCELED,
    H.SEEN_EXPIRED: S.EXPIRED,
}
#: The same of an order that waits, or waited, for its trigger.
CONDITIONAL_LEADS_TO = {
    H.SEEN_WAITING: S.UNTRIGGERED,
    H.SEEN_TRIGGERED: S.TRIGGERED,
    H.REFUSED_AT_TRIGGER: S.REJECTED,
}
#: The lifecycle in rows (states, event, state): everything else changes nothing.
LIFECYCLE: list[tuple[tuple[OrderState, ...], OrderEvent, OrderState]] = [
    ((S.INITIALIZED,), H.ACCEPTED, S.PENDING_SUBMIT),
    ((S.PENDING_SUBMIT,), H.WRITTEN, S.SUBMITTED),
    # Certainly not written: also when the wait for an answer had already made its fate unknown.
    ((S.PENDING_SUBMIT, S.UNKNOWN), H.NOT_WRITTEN, S.DENIED),
    ((S.PENDING_SUBMIT, S.SUBMITTED), H.RESTARTED, S.UNKNOWN),
    ((S.PENDING_SUBMIT, S.SUBMITTED), H.OUTCOME_UNKNOWN, S.UNKNOWN),
    ((S.PENDING_SUBMIT, S.SUBMITTED, S.UNKNOWN), H.REJECTED_BY_VENUE, S.REJECTED),
    ((S.UNKNOWN, S.NEEDS_OPERATOR), H.PROVED_ABSENT, S.NEVER_ACCEPTED),
    ((S.UNKNOWN, S.TRIGGERED, S.ACCEPTED, S.PARTIALLY_FILLED), H.UNPROVABLE, S.NEEDS_OPERATOR),
    # An order that was acknowledged and cannot be found is a contradiction: it counts as alive until a person has looked.
    ((S.UNKNOWN, S.UNTRIGGERED, S.TRIGGERED, S.ACCEPTED, S.PARTIALLY_FILLED), H.MISSING, S.NEEDS_OPERATOR),
    *[
        ((S.PENDING_SUBMIT, S.SUBMITTED, S.UNKNOWN, S.NEEDS_OPERATOR, S.DENIED, S.REJECTED, S.NEVER_ACCEPTED), seen, led)
        for seen, led in (SEEN_LEADS_TO | CONDITIONAL_LEADS_TO).items()
    ],
    # An order that waits ends, or is triggered: it neither opens nor trades without that.
    ((S.UNTRIGGERED,), H.SEEN_TRIGGERED, S.TRIGGERED),
    ((S.UNTRIGGERED,), H.SEEN_CANCELED, S.CANCELED),
    ((S.UNTRIGGERED,), H.SEEN_EXPIRED, S.EXPIRED),
    ((S.UNTRIGGERED,), H.REFUSED_AT_TRIGGER, S.REJECTED),
    *[((S.TRIGGERED,), seen, led) for seen, led in SEEN_LEADS_TO.items()],
    ((S.ACCEPTED,), H.SEEN_PARTIAL, S.PARTIALLY_FILLED),
    ((S.ACCEPTED, S.PARTIALLY_FILLED), H.SEEN_FILLED, S.FILLED),
    ((S.ACCEPTED, S.PARTIALLY_FILLED), H.SEEN_CANCELED, S.CANCELED),
    ((S.ACCEPTED, S.PARTIALLY_FILLED), H.SEEN_EXPIRED, S.EXPIRED),
    # What has ended comes back on evidence that is strong enough; `core.orders` says when it is.
    ((S.CANCELED, S.EXPIRED), H.SEEN_FILLED, S.FILLED),
    ((S.CANCELED, S.EXPIRED), H.SEEN_NEW, S.ACCEPTED),
    ((S.CANCELED, S.EXPIRED), H.SEEN_PARTIAL, S.PARTIALLY_FILLED),
    ((S.CANCELED, S.EXPIRED), H.SEEN_WAITING, S.UNTRIGGERED),
    ((S.CANCELED, S.EXPIRED), H.SEEN_TRIGGERED, S.TRIGGERED),
]
EXPECTED = {(state, event): led for states, event, led in LIFECYCLE for state in states}

OVERLAYS: list[tuple[tuple[Overlay, ...], Attempt, Overlay]] = [
    ((V.NONE, V.CANCEL_UNKNOWN, V.AMEND_SENT, V.AMEND_UNKNOWN), A.CANCEL_WANTED, V.CANCEL_SENT),
    ((V.CANCEL_SENT, V.CANCEL_UNKNOWN), A.CANCEL_REFUSED, V.NONE),
    ((V.CANCEL_SENT,), A.CANCEL_UNKNOWN, V.CANCEL_UNKNOWN),
    ((V.CANCEL_SENT,), A.CANCEL_NOT_WRITTEN, V.NONE),
    ((V.AMEND_SENT,), A.AMEND_NOT_WRITTEN, V.NONE),
    ((V.NONE,), A.AMEND_WANTED, V.AMEND_SENT),
    ((V.AMEND_SENT, V.AMEND_UNKNOWN), A.AMEND_DONE, V.NONE),
    ((V.AMEND_SENT, V.AMEND_UNKNOWN), A.AMEND_REFUSED, V.NONE),
    ((V.AMEND_SENT,), A.AMEND_UNKNOWN, V.AMEND_UNKNOWN),
    ((V.CANCEL_UNKNOWN, V.AMEND_UNKNOWN), A.RESOLVED, V.NONE),
]
EXPECTED_OVERLAYS = {(overlay, attempt): led for overlays, attempt, led in OVERLAYS for overlay in overlays}


@pytest.mark.parametrize("state", S)
def test_every_cell_of_the_table(state: OrderState) -> None:
    for event in H:
        assert next_state(state, event) is EXPECTED.get((state, event), state), event


@pytest.mark.parametrize("overlay", V)
def test_every_cell_of_the_overlay_table(overlay: Overlay) -> None:
    for attempt in A:
        assert next_overlay(overlay, attempt) is EXPECTED_OVERLAYS.get((overlay, attempt), overlay), attempt


@pytest.mark.parametrize("overlay", [V.CANCEL_SENT, V.CANCEL_UNKNOWN])
def test_a_failed_cancel_says_nothing_of_an_open_amendment(overlay: Overlay) -> None:
    for attempt in A:
        failed = attempt in (A.CANCEL_REFUSED, A.CANCEL_NOT_WRITTEN) and next_overlay(overlay, attempt) is V.NONE
        expected = V.AMEND_UNKNOWN if failed else next_overlay(overlay, attempt)
        assert next_overlay(overlay, attempt, amending=True) is expected, attempt


def test_every_state_is_alive_or_ended_but_for_the_first() -> None:
    assert LIVE | TERMINAL | {S.INITIALIZED} == set(S)
    assert not LIVE & TERMINAL
    assert set(TABLE) == set(S)
    assert set(OVERLAY_TABLE) == set(V)
    for state in S:
        assert (state.live, state.terminal) == (state in LIVE, state in TERMINAL)
        assert state.resting == (state in (S.ACCEPTED, S.PARTIALLY_FILLED))


def test_silence_never_ends_an_order() -> None:
    for state, event in product(LIVE, (H.OUTCOME_UNKNOWN, H.RESTARTED, H.UNPROVABLE, H.MISSING)):
        assert next_state(state, event).live


def test_absence_never_ends_what_the_venue_has_acknowledged() -> None:
    for state in (S.UNTRIGGERED, S.TRIGGERED, S.ACCEPTED, S.PARTIALLY_FILLED):
        assert next_state(state, H.PROVED_ABSENT) is state


def test_terminal_state_is_left_only_by_a_report_as_an_incident() -> None:
    for state, event in product(TERMINAL, H):
        left = next_state(state, event) is not state
        assert resurrects(state, event) is left
        assert not left or event in SEEN_LEADS_TO | CONDITIONAL_LEADS_TO
    assert not any(resurrects(state, event) for state in LIVE for event in H)


def test_a_filled_order_stays_filled() -> None:
    assert {next_state(S.FILLED, event) for event in H} == {S.FILLED}


def test_nothing_leads_back_to_before_the_venue_has_spoken() -> None:
    early = (S.INITIALIZED, S.PENDING_SUBMIT, S.SUBMITTED)
    for state, event in product(set(S) - set(early), H):
        assert next_state(state, event) not in early


@given(st.lists(st.sampled_from(H), max_size=12))
def test_filled_order_stays_filled_and_states_follow_the_table(engine_events: list[OrderEvent]) -> None:
    life = [S.INITIALIZED]
    for event in engine_events:
        life.append(next_state(life[-1], event))
    for before, after in pairwise(life):
        assert before is not S.FILLED or after is S.FILLED
        assert after is not S.SUBMITTED or before in (S.PENDING_SUBMIT, S.SUBMITTED)


def test_every_word_of_the_venue_for_a_state_is_an_event() -> None:
    assert set(SEEN) == set(OrderStatus)
    assert SEEN[OrderStatus.EXPIRED_IN_MATCH] is H.SEEN_EXPIRED
    assert SEEN[OrderStatus.REJECTED] is H.REJECTED_BY_VENUE
    assert OrderStatus("FOO") not in SEEN


# -- the picture ------------------------------------------------------------------------------------------------------

ARROW = re.compile(r"    (\S+) --> (\S+): (.+)")


def arrows(picture: str) -> set[tuple[str, str, str]]:
    """Every arrow with one cause each."""
    found = [ARROW.fullmatch(line) for line in picture.splitlines()]
    return {(match[1], match[2], cause) for match in found if match for cause in match[3].split(", ")}


def test_the_picture_shows_every_state_and_exactly_the_tables() -> None:
    states, overlays = diagram().split("\n\n")
    for state in S:
        assert re.search(rf"\b{state}\b", states)
    for overlay in V:
        assert re.search(rf"\b{overlay}\b", overlays)
    assert arrows(states) == {(str(state), str(end), cause) for state, row in TABLE.items() for cause, end in row.items()}
    drawn = arrows(overlays.replace(A.CANCEL_UNKNOWN, "cancel in doubt"))  # this cause holds a comma of its own
    plain = {
        (str(overlay), str(end), str(attempt).replace(A.CANCEL_UNKNOWN, "cancel in doubt"))
        for overlay, row in OVERLAY_TABLE.items()
        for attempt, end in row.items()
    }
    assert drawn == plain | {
        (str(overlay), str(V.AMEND_UNKNOWN), f"{attempt} while an amendment is open")
        for overlay, attempt in product((V.CANCEL_SENT, V.CANCEL_UNKNOWN), (A.CANCEL_REFUSED, A.CANCEL_NOT_WRITTEN))
        if attempt in OVERLAY_TABLE[overlay]
    }


def test_the_picture_shows_where_each_attempt_leads() -> None:
    """Also while an amendment is open, which only an amendment or a cancel on its way leaves so."""
    drawn = {(overlay, end) for overlay, end, _ in arrows(diagram().split("\n\n")[1])}
    led = {(overlay, next_overlay(overlay, attempt)) for overlay in V for attempt in A}
    led |= {
        (overlay, next_overlay(overlay, attempt, amending=True)) for overlay in (V.CANCEL_SENT, V.CANCEL_UNKNOWN) for attempt in A
    }
    assert drawn == {(str(overlay), str(end)) for overlay, end in led if overlay is not end}


def test_the_picture_begins_and_ends() -> None:
    lines = diagram().splitlines()
    assert lines.count("stateDiagram-v2") == 2
    assert "    [*] --> INITIALIZED" in lines
    assert "    [*] --> NONE" in lines
    assert {line for line in lines if line.endswith("--> [*]")} == {f"    {state} --> [*]" for state in TERMINAL}
