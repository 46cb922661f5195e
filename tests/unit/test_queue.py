"""The queue of one target: what may be sent now, what must wait, and what stops a route."""

from datetime import timedelta

import pytest
from sqlalchemy import Engine

from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState
from civicsync.sync.publish.outcome import RouteEnd, RouteOutcome
from civicsync.sync.publish.queue import Queue, room_today
from tests.support.ledger import ROUTE, Desk

K, W, P = OperationKind, OperationState, PublicationState


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def queue(desk: Desk, outcome: RouteOutcome | None = None) -> Queue:
    return Queue(desk.ledger, "b", {ROUTE: (desk.route, outcome or RouteOutcome(ROUTE))})


def made(desk: Desk, count: int, *, ago: timedelta = timedelta()) -> None:
    """Copies that were made so long ago."""
    for number in range(100, 100 + count):
        op = desk.operation(desk.publication(P.SENT, number), K.CREATE, W.SENT, first_sent_at=desk.clock.now() - ago)
        assert op.first_sent_at is not None


async def test_what_waits_for_its_time_is_not_sent_before(desk: Desk) -> None:
    op = desk.operation(desk.publication(), K.EDIT, not_before=desk.clock.now() + timedelta(seconds=5))
    here = queue(desk)
    assert not await here.may_send(op)
    assert await here.wait() == 5
    desk.clock.advance(5)
    assert await here.may_send(op)
    assert await here.wait() is None


@pytest.mark.parametrize(
    ("text", "waits"),
    [(W.APPROVED, True), (W.SENDING, True), (W.UNKNOWN, True), (W.AWAITING_APPROVAL, False), (W.SENT, False)],
)
async def test_an_answer_never_overtakes_a_text(desk: Desk, text: OperationState, waits: bool) -> None:
    own = desk.publication()
    desk.operation(own, K.EDIT, text)
    answer = desk.operation(own, K.ANSWER)
    assert await queue(desk).may_send(answer) is not waits


async def test_an_answer_does_not_wait_for_the_text_of_another_copy(desk: Desk) -> None:
    desk.operation(desk.publication(P.SENT, 1), K.EDIT)
    assert await queue(desk).may_send(desk.operation(desk.publication(P.SENT, 2), K.ANSWER))


async def test_max_per_run_is_held_at_sending(desk: Desk) -> None:
    desk.configure(max_per_run=2)
    outcome = RouteOutcome(ROUTE)
    here = queue(desk, outcome)
    ops = [desk.operation(desk.publication(P.APPROVED, number)) for number in (1, 2, 3)]
    assert [await here.may_send(op) for op in ops] == [True, True, False]
    assert outcome.message == "the rest waits: max_per_run or max_per_day is reached"
    assert await here.may_send(desk.operation(desk.publication(P.SENT, 4), K.EDIT)), "only new copies are counted"


async def test_max_per_day_is_held_over_runs(desk: Desk) -> None:
    desk.configure(max_per_day=3)
    made(desk, 3, ago=timedelta(hours=23))
    op = desk.operation(desk.publication(P.APPROVED, 1))
    assert room_today(desk.ledger, ROUTE, desk.route) == 0
    assert not await queue(desk).may_send(op)
    desk.clock.advance(3601)
    assert room_today(desk.ledger, ROUTE, desk.route) == 3
    assert await queue(desk).may_send(op)


async def test_halt_above_per_hour_stops_the_route_until_a_person_starts_it_again(desk: Desk) -> None:
    desk.configure(halt_above_per_hour=2)
    made(desk, 2)
    outcome = RouteOutcome(ROUTE)
    here = queue(desk, outcome)
    op = desk.operation(desk.publication(P.APPROVED, 1))
    assert not await here.may_send(op)
    assert outcome.outcome is RouteEnd.HALTED
    known = desk.ledger.route(ROUTE)
    assert known is not None
    assert (known["halted_at"], known["halted_reason"]) == (desk.clock.now(), "more than 2 writes in an hour")
    assert await here.operations(W.APPROVED) == [], "nothing of a halted route is sent, no edits either"


async def test_halt_above_per_hour_counts_an_hour(desk: Desk) -> None:
    desk.configure(halt_above_per_hour=2)
    made(desk, 2, ago=timedelta(minutes=61))
    assert await queue(desk).may_send(desk.operation(desk.publication(P.APPROVED, 1)))


async def test_a_copy_that_was_tried_before_is_no_new_one_for_the_caps(desk: Desk) -> None:
    desk.configure(max_per_run=1, max_per_day=1)
    made(desk, 1)
    again = desk.operation(desk.publication(P.APPROVED, 1), first_sent_at=desk.clock.now() - timedelta(minutes=1))
    assert await queue(desk).may_send(again)


async def test_only_routes_of_this_run_that_go_on_are_sent(desk: Desk) -> None:
    desk.operation(desk.publication(P.APPROVED, 1))
    desk.operation(desk.publication(P.APPROVED, 2), route="another")
    assert [op.route for op in await queue(desk).operations(W.APPROVED)] == [ROUTE]
    for end in (RouteEnd.HALTED, RouteEnd.FAILED):
        assert await queue(desk, RouteOutcome(ROUTE, end)).operations(W.APPROVED) == []


async def test_operations_come_oldest_first(desk: Desk) -> None:
    ops = [desk.operation(desk.publication(P.APPROVED, number)) for number in (3, 1, 2)]
    assert await queue(desk).operations(W.APPROVED) == ops
