"""The ledger: intent before effect, one open operation per lane, compare-and-set, and nothing written without the lease."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from civicsync.core.clock import FakeClock
from civicsync.core.leases import Lease, LeaseLost
from civicsync.core.ledger.ledger import DuplicateCopy, Ledger, copy_columns, publication_id
from civicsync.core.ledger.queries import count_by_state, reasons_told
from civicsync.core.ledger.states import (
    KNOWINGLY,
    ForbiddenMove,
    Lane,
    OperationKind,
    OperationState,
    PublicationState,
    Reason,
)
from tests.support.ledger import ROUTE, SPACE, Desk

K, W, P = OperationKind, OperationState, PublicationState
HOST = "b.example"


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def test_one_place_has_one_publication_however_often_it_is_opened(desk: Desk) -> None:
    own = desk.publication(P.SENT)
    again = desk.ledger.open_publication(
        P.APPROVED, route="other", origin_key=own.origin_key, target_instance="b", target_space=SPACE, marker="m"
    )
    assert (again.id, again.state, again.copy_key) == (own.id, P.SENT, own.copy_key)
    assert own.id == publication_id("a/proposal/1", "b", SPACE) != publication_id("a/proposal/1", "b", "board/2")


def test_an_operation_is_claimed_by_one_only(desk: Desk) -> None:
    """Compare-and-set: whoever read it earlier than it was moved gets nothing."""
    own = desk.publication(P.APPROVED)
    read = desk.operation(own)
    assert desk.ledger.move(read, W.SENDING) is not None
    assert desk.ledger.move(read, W.SENDING) is None
    assert desk.told(own).count("create: sending") == 1


def test_a_lane_with_something_under_way_takes_nothing_new(desk: Desk) -> None:
    for number, state in enumerate((W.SENDING, W.UNKNOWN), start=1):
        own = desk.publication(P(state.value), number)
        desk.operation(own, K.CREATE, state)
        assert not desk.ledger.intend(own, K.CREATE, W.APPROVED, wanted="x", change={"title": "new"})
        assert desk.again(own).title != "new"
        assert len(desk.ledger.operations(states=tuple(W), publication=own.id)) == 1


def test_a_newer_text_supersedes_what_is_queued(desk: Desk) -> None:
    own = desk.publication(P.APPROVED)
    old = desk.operation(own)
    assert desk.ledger.intend(own, K.CREATE, W.APPROVED, payload_hash="new")
    [new] = desk.ledger.operations(publication=own.id)
    gone = desk.ledger.operation(old.id)
    assert gone is not None
    assert (new.payload_hash, gone.state, gone.payload, gone.open_lane) == ("new", W.SUPERSEDED, None, None)
    assert desk.again(own).state is P.APPROVED


def test_an_answer_has_a_lane_of_its_own(desk: Desk) -> None:
    own = desk.publication()
    desk.operation(own, K.EDIT, W.UNKNOWN)
    assert desk.ledger.intend(own, K.ANSWER, W.APPROVED)
    assert {op.lane for op in desk.ledger.operations(publication=own.id)} == {Lane.TEXT, Lane.ANSWER}


def test_a_closed_operation_frees_its_lane(desk: Desk) -> None:
    own = desk.publication(P.SENDING)
    desk.ledger.move(desk.operation(own, K.CREATE, W.SENDING), W.SENT)
    assert desk.ledger.intend(desk.again(own), K.EDIT, W.APPROVED)


def test_cancelling_takes_what_is_queued_and_leaves_what_is_under_way(desk: Desk) -> None:
    queued, sending = desk.publication(P.APPROVED, 1), desk.publication(P.SENDING, 2)
    desk.operation(queued)
    under_way = desk.operation(sending, K.CREATE, W.SENDING)
    assert desk.ledger.cancel(queued, Lane.TEXT, Reason.ORIGIN_GONE, "gone") == 1
    assert desk.ledger.cancel(sending, Lane.TEXT, Reason.ORIGIN_GONE, "gone") == 0
    assert desk.again(queued).state is P.CANCELLED
    assert desk.ledger.operation(under_way.id) == under_way


def test_a_publication_follows_its_operation_in_the_same_transaction(desk: Desk) -> None:
    own = desk.publication(P.SENDING)
    op = desk.operation(own, K.CREATE, W.SENDING)
    desk.ledger.move(op, W.SENT, change=copy_columns("b", "proposal/9", "https://b.example/9", {}), payload=None)
    now = desk.again(own)
    assert (now.state, now.copy_key, now.remote_id) == (P.SENT, "b/proposal/9", "9")


def test_two_publications_never_have_the_same_copy(desk: Desk) -> None:
    desk.publication(P.SENT, 1)
    own = desk.publication(P.SENDING, 2)
    op = desk.operation(own, K.CREATE, W.SENDING)
    there = copy_columns("b", "proposal/1", "", {})
    with pytest.raises(DuplicateCopy):
        desk.ledger.move(op, W.SENT, change=there)
    with pytest.raises(DuplicateCopy):
        desk.ledger.update_publication(own, event="adopted", **there)
    now = desk.ledger.operation(op.id)
    assert now == op, "nothing was changed"
    assert desk.again(own).state is P.SENDING


def test_forbidden_moves_change_nothing(desk: Desk) -> None:
    own = desk.publication(P.UNKNOWN)
    op = desk.operation(own, K.CREATE, W.UNKNOWN)
    with pytest.raises(ForbiddenMove):
        desk.ledger.move(op, W.SENDING)
    with pytest.raises(ForbiddenMove):
        desk.ledger.update_publication(own, event="x", state=P.RELEASED)
    with pytest.raises(ForbiddenMove):
        desk.ledger.intend(own, K.EDIT, W.SENDING)
    with pytest.raises(ForbiddenMove):
        desk.ledger.open_publication(
            P.UNKNOWN, route=ROUTE, origin_key="a/proposal/2", target_instance="b", target_space=SPACE, marker="m"
        )
    assert desk.ledger.operation(op.id) == op
    assert desk.again(own).state is P.UNKNOWN


def test_a_lost_edit_is_never_simply_sent_again(desk: Desk) -> None:
    """Its publication stays where it is, so the operation's own table must forbid it."""
    op = desk.operation(desk.publication(), K.EDIT, W.UNKNOWN)
    with pytest.raises(ForbiddenMove):
        desk.ledger.move(op, W.SENDING)
    assert desk.ledger.operation(op.id) == op


def leased(engine: Engine, clock: FakeClock) -> tuple[Ledger, Lease]:
    lease = Lease(engine, "publish:b", clock, seconds=60)
    assert lease.take()
    return Ledger(engine, clock, lease), lease


def test_a_ledger_that_lost_its_lease_writes_nothing(desk: Desk) -> None:
    own = desk.publication(P.APPROVED)
    op = desk.operation(own)
    ledger, _ = leased(desk.engine, desk.clock)
    desk.clock.advance(61)
    assert Lease(desk.engine, "publish:b", desk.clock, seconds=60).take(), "somebody else has taken over"
    before = (desk.again(own), desk.ledger.operation(op.id), desk.told(own))
    for write in (
        lambda: ledger.move(op, W.SENDING),
        lambda: ledger.intend(own, K.CREATE, W.APPROVED),
        lambda: ledger.cancel(own, Lane.TEXT, Reason.NONE, ""),
        lambda: ledger.update_publication(own, event="x", title="y"),
        lambda: ledger.save_route(ROUTE, halted_reason="x"),
        lambda: ledger.remember_account("b", "me"),
        lambda: ledger.count_failure(HOST, 1, timedelta(minutes=5)),
        lambda: ledger.forget_texts(desk.clock.now()),
    ):
        with pytest.raises(LeaseLost):
            write()
    assert (desk.again(own), desk.ledger.operation(op.id), desk.told(own)) == before
    assert (desk.ledger.route(ROUTE), desk.ledger.accounts("b"), desk.ledger.open_until(HOST)) == (None, set(), None)


def test_a_ledger_under_its_lease_writes(desk: Desk) -> None:
    op = desk.operation(desk.publication(P.APPROVED))
    ledger, _ = leased(desk.engine, desk.clock)
    assert ledger.move(op, W.SENDING) is not None


def test_copies_made_since_a_moment_are_counted_by_their_first_sending(desk: Desk) -> None:
    now = desk.clock.now()
    for number, hours in enumerate((0, 2, 30), start=1):
        own = desk.publication(P.SENT, number)
        desk.operation(own, K.CREATE, W.SENT, first_sent_at=now - timedelta(hours=hours))
    desk.operation(desk.publication(P.SENT, 4), K.EDIT, W.SENT, first_sent_at=now)
    desk.operation(desk.publication(P.APPROVED, 5), K.CREATE)
    assert desk.ledger.created_since(ROUTE, now - timedelta(hours=1)) == 1
    assert desk.ledger.created_since(ROUTE, now - timedelta(days=1)) == 2
    assert desk.ledger.created_since("other", now - timedelta(days=1)) == 0


def test_the_last_word_of_a_lane_is_what_was_decided_last(desk: Desk) -> None:
    own = desk.publication()
    desk.operation(own, K.ANSWER, W.SENT, payload_hash="one")
    desk.operation(own, K.ANSWER, W.REFUSED, payload_hash="two")
    desk.operation(own, K.ANSWER, W.SUPERSEDED, payload_hash="three")
    assert desk.ledger.last_hashes(ROUTE, Lane.ANSWER) == {own.id: "two"}


def test_a_dead_host_is_left_alone_longer_each_time_and_forgiven_at_once(desk: Desk) -> None:
    rests = list[float]()
    for _ in range(8):
        until = desk.ledger.count_failure(HOST, 3, timedelta(minutes=5))
        rests.append((until - desk.clock.now()).total_seconds() / 60 if until else 0)
    assert rests == [0, 0, 5, 10, 20, 40, 60, 60]
    assert desk.ledger.open_until(HOST) is not None
    desk.clock.advance(3600)
    assert desk.ledger.open_until(HOST) is None
    desk.ledger.count_success(HOST)
    assert desk.ledger.count_failure(HOST, 3, timedelta(minutes=5)) is None


def test_texts_of_what_ended_are_forgotten_and_those_of_living_copies_kept(desk: Desk) -> None:
    ended, living = desk.publication(P.WITHDRAWN, 1), desk.publication(P.SENT, 2)
    closed, waiting = desk.operation(ended, K.EDIT, W.SENT), desk.operation(living, K.EDIT)
    desk.clock.advance(60)
    desk.ledger.forget_texts(desk.clock.now())
    assert (desk.again(ended).title, desk.again(ended).sent_payload) == ("", None)
    assert desk.again(living).sent_payload is not None
    now, then = desk.ledger.operation(closed.id), desk.ledger.operation(waiting.id)
    assert now is not None
    assert then is not None
    assert (now.payload, then.payload is None) == (None, False)


def test_a_run_is_summed_up_by_states_and_reasons(desk: Desk) -> None:
    desk.publication(P.HELD, 1, reason_code=Reason.TWIN, reason="a twin")
    desk.publication(P.HELD, 2, reason_code=Reason.TWIN, reason="a twin")
    desk.publication(P.CANCELLED, 3, reason_code=Reason.ORIGIN_GONE, reason="gone")
    assert count_by_state(desk.engine, ROUTE) == {"held": 2, "cancelled": 1}
    assert reasons_told(desk.engine, ROUTE) == {"held: a twin": 2}


@pytest.mark.parametrize("reason", KNOWINGLY)
def test_what_takes_the_place_of_a_write_that_may_be_public_waits_for_a_person_as_that_did(
    desk: Desk, reason: Reason
) -> None:
    own = desk.publication(P.AWAITING_APPROVAL)
    first = desk.clock.now() - timedelta(hours=1)
    desk.operation(
        own,
        K.CREATE,
        W.AWAITING_APPROVAL,
        reason_code=reason,
        error="look there",
        accepted_at=first,
        first_sent_at=first,
    )
    assert desk.ledger.intend(own, K.CREATE, W.APPROVED, payload=None, payload_hash="another text")
    [op] = desk.ledger.operations(publication=own.id)
    assert (op.state, op.reason_code, op.error) == (W.AWAITING_APPROVAL, reason, "look there")
    assert (op.payload_hash, op.accepted_at, op.first_sent_at) == ("another text", first, first)
    assert desk.again(own).state is P.AWAITING_APPROVAL


@pytest.mark.parametrize("how", ["by a withdrawal", "by a moderator"])
def test_an_answer_that_waits_goes_with_its_copy(desk: Desk, how: str) -> None:
    own = desk.publication(P.SENT)
    waiting = desk.operation(own, K.ANSWER, W.AWAITING_APPROVAL)
    back = desk.operation(own, K.ANSWER_BACK, W.AWAITING_APPROVAL)
    if how == "by a withdrawal":
        desk.ledger.move(desk.operation(own, K.WITHDRAW, W.SENDING), W.SENT)
    else:
        desk.ledger.update_publication(own, event="gone", state=P.GONE)
    assert desk.ledger.operations(publication=own.id) == [back], "what the copy was told is still told at its origin"
    now = desk.ledger.operation(waiting.id)
    assert now is not None
    assert (now.state, now.open_lane, now.reason_code) == (W.CANCELLED, None, Reason.COPY_GONE)
