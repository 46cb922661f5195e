"""What a decision becomes in the ledger: with approval or without, in a first run or later, and never past what is under way."""

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.core.ledger.ledger import Operation, Publication
from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState, Reason
from civicsync.sync.publish.decisions import Action, Decision, Plan
from civicsync.sync.publish.intents import write_plan
from civicsync.sync.render.render import hash_of, payload_of
from tests.support.ledger import ROUTE, Desk

K, W, P = OperationKind, OperationState, PublicationState


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def decision(
    desk: Desk, action: Action, own: Publication | None = None, body: str = "Anders.", **more: Any
) -> Decision:
    payload = payload_of(desk.draft(body))
    made = Decision(action, "a/proposal/1", "Meer bomen 1", "why", marker=desk.marker(), publication=own)
    return replace(made, payload=payload, payload_hash=hash_of(payload), **more)


def write(desk: Desk, *decisions: Decision, first: bool = False) -> list[Operation]:
    """Write a plan down; what is open afterwards."""
    write_plan(desk.ledger, desk.route, Plan(ROUTE, list(decisions)), first=first)
    return desk.ledger.operations(route=ROUTE)


def publication(desk: Desk) -> Publication:
    [own] = desk.ledger.publications(route=ROUTE)
    return own


@pytest.mark.parametrize(
    ("approval", "first_run", "first", "state"),
    [
        ("automatic", "plan", True, W.PLANNED),
        ("automatic", "plan", False, W.APPROVED),
        ("automatic", "send", True, W.APPROVED),
        ("required", "plan", True, W.AWAITING_APPROVAL),
        ("required", "send", False, W.AWAITING_APPROVAL),
    ],
)
def test_a_create_begins_where_the_route_says(
    desk: Desk, approval: str, first_run: str, first: bool, state: OperationState
) -> None:
    desk.configure(approval=approval, first_run=first_run)
    [op] = write(desk, decision(desk, Action.CREATE), first=first)
    assert (op.kind, op.state, publication(desk).state) == (K.CREATE, state, P(state.value))


def test_what_a_first_run_planned_is_sent_by_the_next(desk: Desk) -> None:
    desk.configure(first_run="plan")
    write(desk, decision(desk, Action.CREATE), first=True)
    [still] = write(desk, first=True)
    assert still.state is W.PLANNED
    [op] = write(desk)
    assert (op.state, publication(desk).state) == (W.APPROVED, P.APPROVED)


def test_what_a_first_run_planned_waits_for_approval_once_the_route_asks_for_it(desk: Desk) -> None:
    desk.configure(first_run="plan")
    write(desk, decision(desk, Action.CREATE), first=True)
    desk.configure(approval="required")
    [op] = write(desk)
    assert op.state is W.AWAITING_APPROVAL


def test_a_copy_that_is_there_is_not_made_again(desk: Desk) -> None:
    own = desk.publication(P.SENT)
    assert write(desk, decision(desk, Action.CREATE)) == []
    assert publication(desk) == own


def test_what_a_person_let_through_needs_no_second_approval(desk: Desk) -> None:
    desk.configure(approval="required")
    own = desk.publication(P.RELEASED)
    [op] = write(desk, decision(desk, Action.CREATE, own))
    assert op.state is W.APPROVED


def test_what_is_held_or_refused_is_told_and_nothing_is_to_be_sent(desk: Desk) -> None:
    for number, (action, state) in enumerate({Action.HOLD: P.HELD, Action.REFUSE: P.REFUSED}.items(), start=1):
        each = replace(decision(desk, action, reason=Reason.TWIN), origin=f"a/proposal/{number}")
        assert write(desk, each) == []
        own = next(p for p in desk.ledger.publications() if p.origin_key == each.origin)
        assert (own.state, own.reason_code, own.reason) == (state, Reason.TWIN, "why")


def test_an_edit_over_a_moderators_text_waits_for_a_person(desk: Desk) -> None:
    own = desk.publication(P.CONFLICT)
    [op] = write(desk, decision(desk, Action.EDIT, own))
    assert op.state is W.AWAITING_APPROVAL


def test_an_edit_of_a_copy_found_again_waits_for_a_person_unless_the_origin_wins(desk: Desk) -> None:
    own = desk.publication(P.SENT, sent_hash=None)
    [op] = write(desk, decision(desk, Action.EDIT, own))
    assert op.state is W.AWAITING_APPROVAL
    desk.configure(conflict="origin_wins")
    [op] = write(desk, decision(desk, Action.EDIT, own))
    assert op.state is W.APPROVED


def test_a_withdrawal_never_waits_for_approval(desk: Desk) -> None:
    desk.configure(approval="required", first_run="plan")
    own = desk.publication(P.SENT)
    desk.operation(own, K.EDIT, W.AWAITING_APPROVAL)
    [op] = write(desk, decision(desk, Action.WITHDRAW, own), first=True)
    assert (op.kind, op.state) == (K.WITHDRAW, W.APPROVED), "and it takes the place of the edit that waited"


def test_a_withdrawal_does_not_pass_what_is_under_way(desk: Desk) -> None:
    own = desk.publication(P.UNKNOWN)
    before = desk.operation(own, K.CREATE, W.UNKNOWN)
    assert write(desk, decision(desk, Action.WITHDRAW, own)) == [before]


def test_an_answer_goes_to_the_target_and_an_answer_back_to_the_source(desk: Desk) -> None:
    own = desk.publication(P.SENT)
    ops = write(desk, decision(desk, Action.ANSWER, own), decision(desk, Action.ANSWER_BACK, own))
    assert {op.kind: op.target_instance for op in ops} == {K.ANSWER: "b", K.ANSWER_BACK: "a"}


def test_a_confirmed_copy_is_only_noted(desk: Desk) -> None:
    own = desk.publication(P.SENT, sent_hash=None)
    confirmed = decision(desk, Action.CONFIRM, own)
    assert write(desk, confirmed) == []
    assert publication(desk).sent_hash == confirmed.payload_hash


def test_a_cancelled_create_sends_nothing_ever(desk: Desk) -> None:
    own = desk.publication(P.APPROVED)
    op = desk.operation(own)
    assert write(desk, decision(desk, Action.CANCEL, own, reason=Reason.ORIGIN_GONE)) == []
    now = desk.ledger.operation(op.id)
    assert now is not None
    assert (now.state, now.payload) == (W.CANCELLED, None)
    assert (publication(desk).state, publication(desk).reason_code) == (P.CANCELLED, Reason.ORIGIN_GONE)


def test_a_cancelled_edit_leaves_the_copy_and_settles_its_refusal(desk: Desk) -> None:
    own = desk.publication(P.SENT, reason_code=Reason.EDIT_REFUSED, reason="x")
    desk.operation(own, K.EDIT)
    assert write(desk, decision(desk, Action.CANCEL, own, reason=Reason.SAYS_SO_ALREADY)) == []
    assert (publication(desk).state, publication(desk).reason_code) == (P.SENT, Reason.NONE)


def test_a_copy_that_is_gone_gets_no_more_edits(desk: Desk) -> None:
    own = desk.publication(P.SENT)
    desk.operation(own, K.EDIT)
    assert write(desk, decision(desk, Action.GONE, own, reason=Reason.COPY_GONE)) == []
    assert (publication(desk).state, publication(desk).reason_code) == (P.GONE, Reason.COPY_GONE)


def test_a_copy_that_returned_is_followed_again(desk: Desk) -> None:
    own = desk.publication(P.GONE, reason_code=Reason.COPY_GONE, reason="x")
    write(desk, decision(desk, Action.RETURNED, own))
    assert (publication(desk).state, publication(desk).reason) == (P.SENT, "")


def test_a_flag_only_tells(desk: Desk) -> None:
    own = desk.publication(P.SENT)
    assert write(desk, decision(desk, Action.FLAG, own, reason=Reason.ORIGIN_GONE)) == []
    assert (publication(desk).state, publication(desk).reason_code) == (P.SENT, Reason.ORIGIN_GONE)
