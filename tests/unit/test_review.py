"""What a person decides: what it lets through, what it keeps back, and that nothing is sent by it."""

import pytest
from sqlalchemy import Engine

from civicsync.connectors.contract.writing import Reading
from civicsync.core.ledger.states import (
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
    is_told,
    waits_for_person,
)
from civicsync.sync.publish.review import Reviewer, Ruling
from tests.support.ledger import Desk

K, W, P = OperationKind, OperationState, PublicationState


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


@pytest.fixture
def ann(desk: Desk) -> Reviewer:
    return Reviewer(desk.config, desk.engine, desk.clock, "ann")


@pytest.mark.parametrize("state", [W.AWAITING_APPROVAL, W.PLANNED])
def test_what_waits_is_approved_in_the_name_of_a_person(desk: Desk, ann: Reviewer, state: OperationState) -> None:
    own = desk.publication(P(state.value), reason_code=Reason.TRIED_OFTEN, reason="x")
    op = desk.operation(own, K.CREATE, state)
    assert ann.approve(own) == "approved"
    now = desk.ledger.operation(op.id)
    assert now is not None
    assert (now.state, now.decided_by) == (W.APPROVED, "ann")
    assert (desk.again(own).state, desk.again(own).reason) == (P.APPROVED, "")


@pytest.mark.parametrize("state", [W.APPROVED, W.SENDING, W.UNKNOWN])
def test_what_is_under_way_is_not_approved_again(desk: Desk, ann: Reviewer, state: OperationState) -> None:
    own = desk.publication(P(state.value))
    op = desk.operation(own, K.CREATE, state)
    assert ann.approve(own) == "not waiting for anybody"
    assert desk.ledger.operation(op.id) == op


def test_an_approved_edit_over_a_moderators_text_keeps_the_conflict_until_it_is_sent(desk: Desk, ann: Reviewer) -> None:
    own = desk.publication(P.CONFLICT, reason_code=Reason.COPY_CHANGED, reason="x")
    op = desk.operation(own, K.EDIT, W.AWAITING_APPROVAL)
    ann.show(own, op, Reading("Meer bomen", "Ingekort."))
    assert ann.approve(own) == "approved"
    assert (desk.again(own).state, desk.again(own).reason_code) == (P.CONFLICT, Reason.COPY_CHANGED)


@pytest.mark.parametrize(
    ("before", "after"),
    [(P.HELD, P.RELEASED), (P.STUCK, P.SENT), (P.SENT, P.SENT)],
)
def test_approving_what_stands_without_an_operation(
    desk: Desk, ann: Reviewer, before: PublicationState, after: PublicationState
) -> None:
    own = desk.publication(before)
    ann.approve(own)
    assert desk.again(own).state is after
    assert desk.ledger.operations(publication=own.id) == [], "the next run decides what is made"


@pytest.mark.parametrize("shown", [None, "bob"])
def test_a_moderators_text_is_overwritten_only_by_whom_it_was_shown_to(
    desk: Desk, ann: Reviewer, shown: str | None
) -> None:
    own = desk.publication(P.CONFLICT, reason_code=Reason.COPY_CHANGED, reason="x")
    op = desk.operation(own, K.EDIT, W.AWAITING_APPROVAL, reason_code=Reason.COPY_CHANGED)
    if shown:
        Reviewer(desk.config, desk.engine, desk.clock, shown).show(own, op, Reading("Meer bomen", "Ingekort."))
    assert ann.approve(own) is Ruling.LOOK_FIRST
    assert [each.state for each in desk.ledger.operations(publication=own.id)] == [W.AWAITING_APPROVAL]


def test_a_text_that_changed_since_it_was_shown_is_not_approved(desk: Desk, ann: Reviewer) -> None:
    own = desk.publication(P.AWAITING_APPROVAL)
    op = desk.operation(own, K.CREATE, W.AWAITING_APPROVAL)
    ann.show(own, op, None)
    desk.ledger.intend(own, K.CREATE, W.AWAITING_APPROVAL, payload_hash="newer", payload={})
    assert ann.approve(own) is Ruling.CHANGED_SINCE
    [newer] = desk.ledger.operations(publication=own.id)
    ann.show(own, newer, None)
    assert ann.approve(own) == "approved"


@pytest.mark.parametrize(
    ("state", "reason"),
    [(P.GONE, Reason.COPY_GONE), (P.WITHDRAWN, Reason.ORIGIN_BACK), (P.HELD, Reason.OLDER_THAN_FOUND)],
)
@pytest.mark.parametrize("named", [True, False])
def test_approving_never_makes_anew_what_was_removed(
    desk: Desk, ann: Reviewer, state: PublicationState, reason: Reason, *, named: bool
) -> None:
    own = desk.publication(state, reason_code=reason, reason="x")
    assert ann.approve(own, named=named) is Ruling.ONLY_REOPENED
    assert desk.again(own).state is state
    assert ann.reopen(own) is Ruling.REOPENED
    assert desk.again(own).state is P.RELEASED


@pytest.mark.parametrize("reason", [Reason.ACCEPTED_NOT_FOUND, Reason.CANNOT_TELL])
def test_what_may_be_public_already_is_not_sent_again_with_all_others(
    desk: Desk, ann: Reviewer, reason: Reason
) -> None:
    own = desk.publication(P.AWAITING_APPROVAL, reason_code=reason, reason="x")
    desk.operation(own, K.CREATE, W.AWAITING_APPROVAL, reason_code=reason)
    assert ann.approve(own, named=False) is Ruling.NAME_IT
    assert ann.approve(own) == "approved"


def test_a_text_that_stays_after_its_withdrawal_waits_until_a_person_has_seen_it(desk: Desk, ann: Reviewer) -> None:
    own = desk.publication(P.WITHDRAWN, reason_code=Reason.TEXT_STAYS, reason="x")
    assert (is_told(own.state, own.reason_code), waits_for_person(own.state, own.reason_code)) == (True, True)
    assert ann.approve(own) is Ruling.NOTED
    now = desk.again(own)
    assert (now.state, waits_for_person(now.state, now.reason_code)) == (P.WITHDRAWN, False)


def test_a_refused_edit_is_tried_again_when_a_person_says_so(desk: Desk, ann: Reviewer) -> None:
    own = desk.publication(P.SENT, reason_code=Reason.EDIT_REFUSED, reason="x")
    assert "tries the edit again" in ann.approve(own)
    assert desk.again(own).reason_code is Reason.NONE


@pytest.mark.parametrize("state", [W.PLANNED, W.AWAITING_APPROVAL, W.APPROVED])
def test_what_is_rejected_is_never_sent(desk: Desk, ann: Reviewer, state: OperationState) -> None:
    own = desk.publication(P(state.value))
    op = desk.operation(own, K.CREATE, state)
    assert ann.reject(own, "spam") == "rejected"
    now = desk.ledger.operation(op.id)
    assert now is not None
    assert (now.state, now.open_lane, now.decided_by) == (W.REJECTED, None, "ann")
    assert (desk.again(own).state, desk.again(own).reason) == (P.REJECTED, "rejected by ann: spam")


def test_a_rejected_edit_is_not_asked_again_before_the_origin_changes_again(desk: Desk, ann: Reviewer) -> None:
    own = desk.publication(P.CONFLICT)
    desk.operation(own, K.EDIT, W.AWAITING_APPROVAL, payload_hash="new")
    ann.reject(own, "")
    assert (desk.again(own).state, desk.again(own).sent_hash) == (P.SENT, "new")


def test_a_rejected_refused_edit_is_not_tried_again(desk: Desk, ann: Reviewer) -> None:
    own = desk.publication(P.SENT, reason_code=Reason.EDIT_REFUSED)
    desk.operation(own, K.EDIT, W.REFUSED, payload_hash="refused")
    ann.reject(own, "")
    assert (desk.again(own).sent_hash, desk.again(own).reason_code) == ("refused", Reason.NONE)


@pytest.mark.parametrize("state", [W.SENDING, W.UNKNOWN])
def test_what_was_sent_cannot_be_rejected_any_more(desk: Desk, ann: Reviewer, state: OperationState) -> None:
    own = desk.publication(P(state.value))
    op = desk.operation(own, K.CREATE, state)
    assert ann.reject(own, "") == "not waiting for anybody"
    assert desk.ledger.operation(op.id) == op


@pytest.mark.parametrize(
    ("before", "after"),
    [(P.HELD, P.REJECTED), (P.GONE, P.WITHDRAWN), (P.STUCK, P.WITHDRAWN), (P.WITHDRAWN, P.WITHDRAWN)],
)
def test_rejecting_what_stands_without_an_operation(
    desk: Desk, ann: Reviewer, before: PublicationState, after: PublicationState
) -> None:
    own = desk.publication(before, reason_code=Reason.ORIGIN_BACK)
    ann.reject(own, "")
    assert desk.again(own).state is after


@pytest.mark.parametrize("state", [P.GONE, P.WITHDRAWN, P.REJECTED, P.REFUSED, P.CANCELLED])
def test_reopening_forgets_the_copy_that_was(desk: Desk, ann: Reviewer, state: PublicationState) -> None:
    own = desk.publication(state)
    assert "makes the copy" in ann.reopen(own)
    now = desk.again(own)
    assert (now.state, now.copy_key, now.sent_hash, now.sent_at) == (P.RELEASED, None, None, None)


@pytest.mark.parametrize("state", [P.SENT, P.CONFLICT, P.STUCK, P.SENDING, P.UNKNOWN, P.APPROVED])
def test_what_has_its_copy_is_not_reopened(desk: Desk, ann: Reviewer, state: PublicationState) -> None:
    own = desk.publication(state)
    assert ann.reopen(own) is Ruling.NOT_REOPENED
    assert desk.again(own) == own
