"""The table of moves: what operations bring about is allowed by it, every state can be reached, and nothing else passes."""

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from civicsync.core.ledger.states import (
    CLOSED,
    ENDED,
    LANES,
    LIVE,
    OPEN,
    OPERATION_MOVES,
    PUBLICATION_MOVES,
    QUEUED,
    Actor,
    ForbiddenMove,
    Lane,
    Moves,
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
    check_move,
    is_told,
    refusal_of,
    state_after,
    waits_for_person,
)

K, W, P = OperationKind, OperationState, PublicationState
SAME_NAMED = {P(state.value): state for state in W if state.value in {each.value for each in P}}
"""A publication whose copy is being made stands where its create stands."""


def reached(moves: Moves, starts: Iterable[str | None]) -> set[str | None]:
    found = set(starts)
    while more := {after for before, after in moves if before in found} - found:
        found |= more
    return found


def test_every_state_of_a_publication_can_be_reached() -> None:
    assert reached(PUBLICATION_MOVES, [None]) == {None, *P}


def test_every_state_of_an_operation_can_be_reached() -> None:
    assert reached(OPERATION_MOVES, [None]) == {None, *W}


def test_no_publication_is_stuck_for_ever_but_an_ended_operation_stays_ended() -> None:
    assert {before for before, _ in PUBLICATION_MOVES} == {None, *P}
    assert {before for before, _ in OPERATION_MOVES} == {None, *OPEN}
    assert set(CLOSED) == {W.SENT, W.REFUSED, W.REJECTED, W.SUPERSEDED, W.CANCELLED}


def test_nothing_leads_from_unknown_to_sending() -> None:
    """What was sent and not answered can only be looked up."""
    for moves in (OPERATION_MOVES, PUBLICATION_MOVES):
        assert ("unknown", "sending") not in moves
        assert {who for (before, _), actors in moves.items() if before == "unknown" for who in actors} == {Actor.LOOKUP}


def test_only_what_was_approved_is_ever_sent() -> None:
    for moves in (OPERATION_MOVES, PUBLICATION_MOVES):
        assert [before for before, after in moves if after == "sending"] == ["approved"]


def test_what_is_held_or_rejected_is_let_through_by_a_person_alone() -> None:
    for state in (P.HELD, P.REJECTED):
        out = {after for before, after in PUBLICATION_MOVES if before is state}
        assert not out & {P.PLANNED, P.AWAITING_APPROVAL, P.APPROVED, P.SENDING}
        assert PUBLICATION_MOVES[state, P.RELEASED] == {Actor.PERSON}


def test_what_a_platform_accepted_is_never_made_again_without_a_person() -> None:
    for state in (P.SENT, P.CONFLICT, P.GONE, P.WITHDRAWN, P.STUCK):
        afters = {after for before, after in PUBLICATION_MOVES if before is state}
        assert not afters & {P.APPROVED, P.PLANNED, P.AWAITING_APPROVAL, P.SENDING, P.UNKNOWN}
        if P.RELEASED in afters:
            assert PUBLICATION_MOVES[state, P.RELEASED] == {Actor.PERSON}


@given(st.sampled_from(P), st.sampled_from(P))
def test_a_move_that_is_not_in_the_table_is_forbidden(before: PublicationState, after: PublicationState) -> None:
    if before is after or (before, after) in PUBLICATION_MOVES:
        check_move(PUBLICATION_MOVES, before, after)
        return
    with pytest.raises(ForbiddenMove, match=f"nothing leads from {before} to {after}"):
        check_move(PUBLICATION_MOVES, before, after)


@given(st.sampled_from(W), st.sampled_from(W))
def test_an_operation_moves_only_along_the_table(before: OperationState, after: OperationState) -> None:
    if before is after or (before, after) in OPERATION_MOVES:
        check_move(OPERATION_MOVES, before, after)
        return
    with pytest.raises(ForbiddenMove):
        check_move(OPERATION_MOVES, before, after)


@pytest.mark.parametrize("state", [P.SENDING, P.UNKNOWN, P.RELEASED, P.WITHDRAWN, P.GONE, P.STUCK])
def test_nothing_begins_in_the_middle(state: PublicationState) -> None:
    with pytest.raises(ForbiddenMove, match="nothing leads from nothing"):
        check_move(PUBLICATION_MOVES, None, state)


@given(st.sampled_from([None, *W]), st.sampled_from(W), st.sampled_from(Reason))
def test_a_publication_follows_its_create_along_the_table(
    before: OperationState | None, after: OperationState, reason: Reason
) -> None:
    """Whatever the create does, the publication that stands where it stood may follow."""
    if before is None or (before != after and (before, after) not in OPERATION_MOVES):
        return
    stood = next((state for state, same in SAME_NAMED.items() if same is before), None)
    if stood is None or after is W.SUPERSEDED:
        return
    check_move(PUBLICATION_MOVES, stood, state_after(stood, K.CREATE, after, reason))


@given(
    st.sampled_from([*LIVE, P.GONE, P.WITHDRAWN, P.STUCK]),
    st.sampled_from([K.EDIT, K.ANSWER, K.ANSWER_BACK]),
    st.sampled_from(W),
    st.sampled_from(Reason),
)
def test_what_edits_and_answers_bring_about_is_in_the_table(
    before: PublicationState, kind: OperationKind, after: OperationState, reason: Reason
) -> None:
    check_move(PUBLICATION_MOVES, before, state_after(before, kind, after, reason))


@given(st.sampled_from([*LIVE, P.GONE, P.WITHDRAWN, P.STUCK]), st.sampled_from(W), st.sampled_from(Reason))
def test_what_a_withdrawal_brings_about_is_in_the_table(
    before: PublicationState, after: OperationState, reason: Reason
) -> None:
    check_move(PUBLICATION_MOVES, before, state_after(before, K.WITHDRAW, after, reason))


def test_a_late_edit_does_not_resurrect_what_was_withdrawn() -> None:
    for before in (P.WITHDRAWN, P.GONE, P.STUCK):
        for after in W:
            assert state_after(before, K.EDIT, after, Reason.COPY_CHANGED) is before


def test_answers_never_move_a_publication() -> None:
    for before in P:
        for after in W:
            assert state_after(before, K.ANSWER, after, Reason.ANSWER_REFUSED) is before


def test_a_superseded_create_leaves_its_publication_where_it_was() -> None:
    assert state_after(P.APPROVED, K.CREATE, W.SUPERSEDED, Reason.SUPERSEDED) is P.APPROVED


@pytest.mark.parametrize(
    ("kind", "state", "reason", "after"),
    [
        (K.EDIT, W.AWAITING_APPROVAL, Reason.COPY_CHANGED, P.CONFLICT),
        (K.EDIT, W.AWAITING_APPROVAL, Reason.NONE, P.SENT),
        (K.EDIT, W.CANCELLED, Reason.COPY_GONE, P.GONE),
        (K.EDIT, W.SENT, Reason.NONE, P.SENT),
        (K.WITHDRAW, W.SENT, Reason.NONE, P.WITHDRAWN),
        (K.WITHDRAW, W.REFUSED, Reason.WITHDRAWAL_REFUSED, P.STUCK),
        (K.WITHDRAW, W.UNKNOWN, Reason.ANSWER_LOST, P.SENT),
    ],
)
def test_a_copy_stands_where_its_operation_brought_it(
    kind: OperationKind, state: OperationState, reason: Reason, after: PublicationState
) -> None:
    assert state_after(P.SENT, kind, state, reason) is after


def test_a_text_is_forgotten_only_when_it_ended() -> None:
    assert not set(ENDED) & {*LIVE, P.SENDING, P.UNKNOWN, P.HELD, P.CONFLICT, P.STUCK}
    assert not set(QUEUED) & set(CLOSED)


def test_texts_share_one_lane_so_that_none_overtakes_another() -> None:
    assert {LANES[kind] for kind in (K.CREATE, K.EDIT, K.WITHDRAW)} == {Lane.TEXT}
    assert (LANES[K.ANSWER], LANES[K.ANSWER_BACK]) == (Lane.ANSWER, Lane.ORIGIN)


def test_every_word_is_explained() -> None:
    for words in (P, W, K, Lane, Reason, Actor):
        assert all(word.meaning for word in words)


def test_what_needs_a_person_waits_and_is_told() -> None:
    assert {state for state in P if waits_for_person(state, Reason.NONE)} == {P.HELD, P.CONFLICT, P.GONE, P.STUCK}
    assert waits_for_person(P.SENT, Reason.EDIT_REFUSED)
    assert waits_for_person(P.WITHDRAWN, Reason.ORIGIN_BACK)
    assert {state for state in P if is_told(state, Reason.NONE)} == {P.REFUSED, P.HELD, P.CONFLICT, P.STUCK, P.GONE}
    assert is_told(P.SENT, Reason.EDIT_REFUSED)


def test_each_refusal_has_its_own_reason() -> None:
    assert len({refusal_of(kind) for kind in (K.CREATE, K.EDIT, K.WITHDRAW, K.ANSWER)}) == 4
    assert refusal_of(K.ANSWER_BACK) is Reason.ANSWER_REFUSED
