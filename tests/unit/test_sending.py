"""Each rule of carrying out one operation: what a platform's word ends in, and what is asked before anything is sent again."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.contract.errors import (
    CannotDo,
    ConnectorError,
    ContentRefused,
    Malformed,
    MaybeDone,
    NotDone,
    NotLetIn,
    Unreachable,
    WrongCredentials,
    platform_failed,
)
from civicsync.connectors.contract.writing import Copy, LocalText, Reading
from civicsync.core.ledger.states import Lane, OperationKind, OperationState, PublicationState, Reason
from civicsync.sync.publish.sending import Job, Sender, there_of
from civicsync.sync.render.render import fingerprint, payload_of
from tests.support.ledger import SPACE, Desk
from tests.support.writers import COPY, HALF, BareWriter, ScriptedWriter

K, W, P = OperationKind, OperationState, PublicationState


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def reading(desk: Desk, body: str = "In de straat.") -> Reading:
    main = desk.draft(body).main
    return Reading(main.title, main.plain)


def edit_job(desk: Desk, body: str = "Anders.", **more: object) -> Job:
    """An edit of a copy that looks as it did after our last write."""
    seen = reading(desk)
    values = {"payload": payload_of(desk.draft(body)), "copy_print": fingerprint(seen.title, seen.plain), **more}
    return desk.job(K.EDIT, **values)


# Making a copy ----------------------------------------------------------------------------------------------------------


async def test_what_the_platform_confirmed_is_sent_and_the_ledger_knows_where_and_what(desk: Desk) -> None:
    writer, job = ScriptedWriter(), desk.job()
    assert await desk.sender(writer).send(job) is W.SENT
    own = desk.now(job).publication
    assert (own.state, own.copy_key, own.sent_hash) == (P.SENT, "b/proposal/1", job.operation.payload_hash)
    assert own.copy_print == fingerprint(reading(desk).title, reading(desk).plain)
    assert writer.calls == ["create", "read"]


async def test_an_operation_that_somebody_else_claimed_is_not_sent(desk: Desk) -> None:
    writer, job = ScriptedWriter(), desk.job()
    desk.ledger.move(job.operation, W.SENDING)
    assert await desk.sender(writer).send(job) is None
    assert writer.calls == []


async def test_an_intent_is_written_down_before_anything_goes_out(desk: Desk) -> None:
    job, seen = desk.job(), list[OperationState]()

    class Watching(ScriptedWriter):
        async def create(self, *given: object, **named: object) -> Copy:
            seen.append(desk.now(job).operation.state)
            raise NotDone("no")

    await desk.sender(Watching()).send(job)
    assert seen == [W.SENDING]


@pytest.mark.parametrize("error", [MaybeDone("broke"), Malformed("a login page"), ConnectorError("what?")])
async def test_a_create_whose_answer_was_lost_is_unknown_and_never_simply_sent_again(
    desk: Desk, error: ConnectorError
) -> None:
    job = desk.job()
    sender = desk.sender(ScriptedWriter(create=[error]))
    assert await sender.send(job) is W.UNKNOWN
    now = desk.now(job)
    assert (now.operation.state, now.publication.state) == (W.UNKNOWN, P.UNKNOWN)
    assert now.operation.not_before == desk.clock.now() + timedelta(seconds=10)
    assert now.operation.accepted_at is None
    assert (sender.counts.unknown, sender.trouble) == (1, ""), "one item's trouble is not the platform's"


async def test_absence_is_believed_only_after_settling(desk: Desk) -> None:
    job = desk.job(state=W.UNKNOWN, attempts=1, not_before=desk.clock.now() + timedelta(seconds=10))
    writer = ScriptedWriter()
    desk.clock.advance(9)
    assert await desk.sender(writer).resolve(desk.now(job)) is W.UNKNOWN
    desk.clock.advance(1)
    assert await desk.sender(writer).resolve(desk.now(job)) is W.APPROVED
    assert desk.now(job).operation.reason_code is Reason.PROVEN_ABSENT
    assert writer.calls == ["find", "find"], "asked, never made anew by itself"


async def _until_sent_again(desk: Desk, writer: ScriptedWriter) -> list[float]:
    """Seconds after the lost answer at which it was looked up, until it may be sent again."""
    job, moments, began = desk.job(), list[float](), desk.clock.now()
    sender = Sender(desk.ledger, writer, settle=timedelta(hours=3), attempts=20)
    assert await sender.send(job) is W.UNKNOWN
    for _ in range(20):
        moments.append((desk.clock.now() - began).total_seconds())
        if await sender.resolve(desk.now(job)) is not W.UNKNOWN:
            break
        until = desk.now(job).operation.not_before
        assert until is not None
        desk.clock.advance((until - desk.clock.now()).total_seconds())
    assert desk.now(job).operation.reason_code is Reason.PROVEN_ABSENT
    return moments


async def test_a_lost_answer_is_settled_in_growing_steps_that_end_after_hours(desk: Desk) -> None:
    moments = await _until_sent_again(desk, ScriptedWriter(create=[MaybeDone("504", status=504)]))
    assert moments[:4] == [0, 60, 300, 780]
    steps = [after - before for before, after in itertools.pairwise(moments)]
    assert steps[:-1] == sorted(steps[:-1]), "each after a longer while"
    assert moments[-1] == 3 * 3600, "and the last one when it cannot arrive any more"


async def test_absence_is_believed_only_the_second_time(desk: Desk) -> None:
    """A process that was killed hours ago: one look is one look, however late."""
    job = desk.job(state=W.UNKNOWN, attempts=1, last_sent_at=desk.clock.now() - timedelta(days=1))
    writer = ScriptedWriter()
    assert await desk.sender(writer).resolve(job) is W.UNKNOWN
    desk.clock.advance(20)
    assert await desk.sender(writer).resolve(desk.now(job)) is W.APPROVED


async def test_before_it_is_sent_again_an_earlier_attempt_is_looked_up(desk: Desk) -> None:
    """Also where a person said so: it may have been stored since."""
    job = desk.job(attempts=1, first_sent_at=desk.clock.now() - timedelta(hours=5), decided_by="ann")
    writer = ScriptedWriter(reading(desk), find=[COPY])
    assert await desk.sender(writer).send(job) is W.SENT
    assert "create" not in writer.calls


async def test_before_something_else_is_made_a_lost_answer_is_looked_up_before_its_time(desk: Desk) -> None:
    later = desk.clock.now() + timedelta(hours=1)
    job = desk.job(state=W.UNKNOWN, attempts=1, lookups=3, not_before=later)
    writer = ScriptedWriter(reading(desk), find=[COPY])
    assert await desk.sender(writer).resolve(job) is W.UNKNOWN
    assert writer.calls == []
    assert await desk.sender(writer).resolve(job, anyway=True) is W.SENT


async def test_an_attempt_that_is_stored_after_all_is_told_as_a_twin(desk: Desk) -> None:
    job = desk.job(K.CREATE, W.APPROVED, attempts=1)
    writer = ScriptedWriter(reading(desk))
    assert await desk.sender(writer).send(job) is W.SENT
    late = ScriptedWriter(find=[Copy("proposal/1", "", twins=("proposal/9",))])
    await desk.sender(late).look_again(desk.now(job))
    own = desk.again(job.publication)
    assert (own.reason_code, "proposal/9" in own.reason) == (Reason.TWINS, True)
    assert desk.ledger.operations(publication=own.id) == [], "a person is asked"


async def test_the_copy_that_was_made_first_stays_where_the_route_says_so(desk: Desk) -> None:
    job = replace(desk.job(attempts=1), twins="keep_first")
    twins = ScriptedWriter(reading(desk), create=[Copy("proposal/1", "", twins=("proposal/9",))])
    assert await desk.sender(twins).send(job) is W.SENT
    [taking_back] = desk.ledger.operations(publication=job.publication.id)
    assert (taking_back.kind, taking_back.payload) == (K.WITHDRAW_TWIN, {"refs": ["proposal/9"]})

    class Watching(ScriptedWriter):
        gone: str = ""

        async def withdraw(self, space: str, copy: Copy, reason: str) -> None:
            self.gone += copy.ref

    writer, own = Watching(reading(desk)), desk.again(job.publication)
    assert await desk.sender(writer).send(Job(taking_back, own, SPACE)) is W.SENT
    assert writer.gone == "proposal/9"
    assert (desk.again(own).state, desk.again(own).copy_key) == (P.SENT, "b/proposal/1")
    assert desk.again(own).reason_code is Reason.NONE


async def test_a_twin_that_says_something_else_by_now_is_not_taken_back(desk: Desk) -> None:
    own = desk.publication(reason_code=Reason.TWINS, reason="x")
    op = desk.operation(own, K.WITHDRAW_TWIN, payload={"refs": ["proposal/9"]})
    writer = ScriptedWriter(Reading("Van een burger", "Zonder merk."))
    assert await desk.sender(writer).send(Job(op, own, SPACE)) is W.SENT
    assert "withdraw" not in writer.calls
    assert desk.again(own).reason_code is Reason.TWINS


async def test_a_twin_whose_taking_back_got_no_answer_is_taken_back_again(desk: Desk) -> None:
    own = desk.publication(reason_code=Reason.TWINS, reason="x")
    op = desk.operation(own, K.WITHDRAW_TWIN, payload={"refs": ["proposal/9"]})
    job = Job(op, own, SPACE)
    assert await desk.sender(ScriptedWriter(reading(desk), withdraw=[MaybeDone("504")])).send(job) is W.UNKNOWN
    assert await desk.sender(ScriptedWriter()).resolve(desk.now(job)) is W.APPROVED


async def test_a_twin_that_cannot_be_taken_back_goes_on_being_told(desk: Desk) -> None:
    own = desk.publication(reason_code=Reason.TWINS, reason="x")
    op = desk.operation(own, K.WITHDRAW_TWIN, payload={"refs": ["proposal/9"]}, attempts=1)
    writer = ScriptedWriter(reading(desk), withdraw=[CannotDo("nobody may")])
    assert await desk.sender(writer).send(Job(op, own, SPACE)) is W.REFUSED
    assert (desk.again(own).state, desk.again(own).reason_code) == (P.SENT, Reason.TWINS)


@pytest.mark.parametrize("kind", [K.CREATE, K.EDIT, K.ANSWER])
async def test_what_would_not_carry_exactly_one_marker_its_own_is_never_sent(desk: Desk, kind: OperationKind) -> None:
    draft, other = desk.draft(), desk.marker(2)
    main = replace(draft.main, html=f"{draft.main.html}{other}", plain=f"{draft.main.plain} {other}")
    payload = payload_of(replace(draft, texts={"nl": main}))
    if kind is K.ANSWER:
        words = LocalText("", f"<p>Ja. {other}</p>", f"Ja. {other}")
        payload = payload_of(replace(desk.answer(), texts={"nl": words}))
    job, writer = desk.job(kind, payload=payload), ScriptedWriter(reading(desk))
    assert await desk.sender(writer).send(job) is W.REFUSED
    assert {"create", "edit", "answer", "comment"} & set(writer.calls) == set()
    assert desk.now(job).operation.reason_code is Reason.NOT_ONE_MARKER


async def test_a_copy_whose_answer_was_lost_is_found_and_not_made_again(desk: Desk) -> None:
    job = desk.job(state=W.UNKNOWN, attempts=1)
    writer = ScriptedWriter(reading(desk), find=[COPY])
    assert await desk.sender(writer).resolve(job) is W.SENT
    assert "create" not in writer.calls
    assert desk.now(job).publication.copy_key == "b/proposal/1"


async def test_a_copy_is_looked_for_from_before_its_first_sending(desk: Desk) -> None:
    first = desk.clock.now() - timedelta(days=1)
    job = desk.job(state=W.UNKNOWN, attempts=2, first_sent_at=first)
    writer = ScriptedWriter()
    await desk.sender(writer).resolve(job)
    assert writer.since == first - timedelta(minutes=10)


async def test_the_moment_of_the_first_sending_is_kept_when_it_is_sent_again(desk: Desk) -> None:
    first = desk.clock.now() - timedelta(hours=2)
    job = desk.job(attempts=1, first_sent_at=first)
    await desk.sender(ScriptedWriter(create=[MaybeDone("broke")])).send(job)
    assert desk.now(job).operation.first_sent_at == first


async def test_a_half_made_copy_is_finished_and_not_made_anew(desk: Desk) -> None:
    job = desk.job(state=W.UNKNOWN, attempts=1)
    writer = ScriptedWriter(find=[HALF])
    assert await desk.sender(writer).resolve(job) is W.SENT
    assert writer.found == [HALF]


async def test_a_half_made_copy_is_finished_when_its_origin_is_back(desk: Desk) -> None:
    """Found once more before: meanwhile somebody may have done so."""
    own = desk.origin(1)
    desk.change(own, gone_at=desk.clock.now())
    job = desk.job(state=W.UNKNOWN, attempts=1)
    writer = ScriptedWriter(find=[HALF, HALF])
    sender = desk.sender(writer)
    assert await sender.resolve(job) is W.APPROVED
    assert writer.found == [], "its origin is gone"
    desk.change(own, gone_at=None)
    assert await sender.send(desk.now(job)) is W.SENT
    assert writer.found == [HALF]


async def test_a_draft_that_is_not_found_a_second_time_is_not_made_anew(desk: Desk) -> None:
    desk.change(desk.origin(1), gone_at=desk.clock.now())
    job = desk.job(state=W.UNKNOWN, attempts=1)
    writer = ScriptedWriter(find=[HALF])
    sender = desk.sender(writer)
    await sender.resolve(job)
    assert await sender.send(desk.now(job)) is W.UNKNOWN
    assert writer.found == []


async def _looked_up(desk: Desk, job: Job, writer: BareWriter, attempts: int = 5) -> tuple[list[float], Job]:
    """Resolve until it is not unknown any more; the seconds between the look-ups."""
    began, moments = desk.clock.now(), list[float]()
    for _ in range(50):
        moments.append((desk.clock.now() - began).total_seconds())
        if await desk.sender(writer, attempts=attempts).resolve(desk.now(job)) is not W.UNKNOWN:
            break
        until = desk.now(job).operation.not_before
        assert until is not None and until > desk.clock.now()
        desk.clock.advance((until - desk.clock.now()).total_seconds())
    return moments, desk.now(job)


@pytest.mark.parametrize("writer", [BareWriter(), ScriptedWriter(find=[NotDone("a hidden neighbour")] * 9)])
async def test_a_look_up_that_cannot_tell_is_asked_again_after_growing_distances_and_then_a_person_is(
    desk: Desk, writer: BareWriter
) -> None:
    before = desk.clock.now() - timedelta(seconds=10)
    moments, now = await _looked_up(desk, desk.job(state=W.UNKNOWN, attempts=1, last_sent_at=before), writer)
    assert moments == [0, 20, 60, 140, 300]
    assert (now.operation.state, now.operation.reason_code) == (W.AWAITING_APPROVAL, Reason.CANNOT_TELL)
    assert (now.publication.state, now.publication.reason_code) == (P.AWAITING_APPROVAL, Reason.CANNOT_TELL)
    assert "`review approve` sends it again" in now.publication.reason


async def test_a_platform_that_is_down_keeps_a_look_up_waiting_for_a_day_and_is_told_to_the_breaker(desk: Desk) -> None:
    writer = ScriptedWriter(find=[Unreachable("down")] * 99)
    moments, now = await _looked_up(desk, desk.job(state=W.UNKNOWN, attempts=1, first_sent_at=desk.clock.now()), writer)
    assert 86_400 <= moments[-1] <= 90_000
    assert now.operation.reason_code is Reason.CANNOT_TELL
    sender = desk.sender(ScriptedWriter(find=[NotDone("down", status=502)]))
    await sender.resolve(replace(now, operation=replace(now.operation, state=W.UNKNOWN, not_before=None, lookups=0)))
    assert sender.trouble == "down"


ACCEPTED = MaybeDone("302, and then the look-up failed", accepted=True)


@pytest.mark.parametrize("kind", [K.CREATE, K.ANSWER, K.ANSWER_BACK])
async def test_what_the_platform_accepted_and_cannot_be_found_is_never_sent_again_by_itself(
    desk: Desk, kind: OperationKind
) -> None:
    name = "create" if kind is K.CREATE else "answer"
    job, writer = desk.job(kind), ScriptedWriter(**{name: [ACCEPTED]})
    assert await desk.sender(writer).send(job) is W.UNKNOWN
    assert desk.now(job).operation.accepted_at == desk.clock.now()
    desk.clock.advance(10)
    moments, now = await _looked_up(desk, job, writer)
    assert moments == [0, 20, 60, 140, 300]
    assert (now.operation.state, now.operation.reason_code) == (W.AWAITING_APPROVAL, Reason.ACCEPTED_NOT_FOUND)
    assert writer.calls.count(name) == 1
    assert "`review approve` sends it again" in now.operation.error


async def test_what_the_platform_accepted_is_found_however_late(desk: Desk) -> None:
    job, writer = desk.job(), ScriptedWriter(reading(desk), create=[ACCEPTED], find=[None, None, None, COPY])
    await desk.sender(writer).send(job)
    _, now = await _looked_up(desk, job, writer)
    assert (now.operation.state, now.publication.copy_key) == (W.SENT, "b/proposal/1")


async def test_a_look_up_that_found_nothing_yet_is_not_repeated_before_its_time(desk: Desk) -> None:
    job, writer = (
        desk.job(state=W.UNKNOWN, lookups=1, not_before=desk.clock.now() + timedelta(seconds=20)),
        ScriptedWriter(),
    )
    assert await desk.sender(writer).resolve(job) is W.UNKNOWN
    assert writer.calls == []


async def test_that_it_was_accepted_is_remembered_when_a_later_answer_is_lost(desk: Desk) -> None:
    job = desk.job(attempts=1, accepted_at=desk.clock.now())
    await desk.sender(ScriptedWriter(create=[MaybeDone("broke")])).send(job)
    assert desk.now(job).operation.accepted_at == desk.clock.now()


async def test_a_lost_answer_to_citizens_is_looked_up_and_may_still_arrive_before_it_is_given_again(desk: Desk) -> None:
    job = desk.job(K.ANSWER)
    writer = ScriptedWriter(answer=[MaybeDone("broke")], has_answer=[False, False, True])
    assert await desk.sender(writer).send(job) is W.UNKNOWN
    assert await desk.sender(writer).resolve(desk.now(job)) is W.UNKNOWN, "a server goes on after its client has left"
    desk.clock.advance(10)
    assert await desk.sender(writer).resolve(desk.now(job)) is W.SENT
    assert writer.calls.count("answer") == 1


async def test_a_look_up_that_is_asked_to_slow_down_asks_for_patience(desk: Desk) -> None:
    job = desk.job(state=W.UNKNOWN, attempts=1)
    sender = desk.sender(ScriptedWriter(find=[NotDone("slow down", status=429, wait=7)]))
    assert await sender.resolve(job) is W.UNKNOWN
    assert (sender.asked, sender.trouble) == (7, "")


async def test_an_answer_that_names_somebody_elses_text_is_not_believed(desk: Desk) -> None:
    job = desk.job()
    writer = ScriptedWriter(read=[Reading("Van een burger", "Niet van ons.")])
    assert await desk.sender(writer).send(job) is W.UNKNOWN
    assert desk.now(job).publication.copy_key is None
    assert desk.now(job).operation.accepted_at is not None, "the platform said that it is done"


async def test_an_answer_that_names_another_copy_of_ours_is_not_believed(desk: Desk) -> None:
    job = desk.job()
    other = desk.draft(number=2).main
    writer = ScriptedWriter(read=[Reading(other.title, other.plain)])
    assert await desk.sender(writer).send(job) is W.UNKNOWN


async def test_a_copy_that_belongs_to_another_publication_is_unknown_and_not_taken(desk: Desk) -> None:
    theirs = desk.publication(number=2, copy_key="b/proposal/1")
    job = desk.job()
    sender = desk.sender(ScriptedWriter())
    assert await sender.send(job) is W.UNKNOWN
    now = desk.now(job)
    assert (now.operation.reason_code, now.publication.copy_key) == (Reason.NAMED_ANOTHER, None)
    assert desk.again(theirs).copy_key == "b/proposal/1"
    assert await desk.sender(ScriptedWriter(reading(desk), find=[COPY])).resolve(now) is W.UNKNOWN


async def test_a_failing_look_after_a_write_changes_nothing_about_the_write(desk: Desk) -> None:
    job = desk.job()
    assert await desk.sender(ScriptedWriter(read=[NotDone("down")])).send(job) is W.SENT
    assert desk.now(job).publication.copy_print is None


async def test_what_a_killed_process_was_sending_is_looked_up_before_anything_else(desk: Desk) -> None:
    job = desk.job(state=W.SENDING, attempts=1)
    writer = ScriptedWriter()
    await desk.sender(writer).orphan(job)
    now = desk.now(job).operation
    assert (now.state, now.reason_code) == (W.UNKNOWN, Reason.PROCESS_ENDED)
    assert now.not_before == desk.clock.now() + timedelta(seconds=10)
    assert writer.calls == []


# Refusals ---------------------------------------------------------------------------------------------------------------


async def test_a_refused_create_is_looked_up_before_it_is_believed(desk: Desk) -> None:
    job = desk.job(attempts=1)
    writer = ScriptedWriter(reading(desk), create=[ContentRefused("no")], find=[COPY])
    assert await desk.sender(writer).send(job) is W.SENT
    assert writer.calls == ["create", "find", "read"]


async def test_a_refused_create_that_cannot_be_looked_up_is_unknown(desk: Desk) -> None:
    job = desk.job(attempts=1)
    writer = ScriptedWriter(create=[ContentRefused("no")], find=[NotDone("down")])
    assert await desk.sender(writer).send(job) is W.UNKNOWN


async def test_a_refused_create_that_was_half_made_is_finished(desk: Desk) -> None:
    job = desk.job(attempts=1)
    writer = ScriptedWriter(create=[ContentRefused("no")], find=[HALF])
    assert await desk.sender(writer).send(job) is W.SENT
    assert writer.found == [None, HALF]


async def test_a_refusal_of_a_text_is_believed_the_second_time(desk: Desk) -> None:
    job = desk.job()
    writer = ScriptedWriter(create=[ContentRefused("no"), ContentRefused("no")])
    sender = desk.sender(writer)
    assert await sender.send(job) is W.APPROVED
    assert desk.now(job).operation.reason_code is Reason.ASKED_AGAIN
    assert await sender.send(desk.now(job)) is W.REFUSED
    now = desk.now(job)
    assert (now.publication.state, now.publication.reason_code) == (P.REFUSED, Reason.CREATE_REFUSED)


async def test_a_refusal_of_the_place_is_believed_only_the_fifth_time(desk: Desk) -> None:
    job = desk.job(attempts=3)
    sender = desk.sender(ScriptedWriter(create=[CannotDo("closed")] * 2), attempts=9)
    assert await sender.send(job) is W.APPROVED
    assert await sender.send(desk.now(job)) is W.REFUSED


async def test_a_refused_edit_is_asked_once_more_before_it_is_believed(desk: Desk) -> None:
    job = edit_job(desk)
    sender = desk.sender(ScriptedWriter(reading(desk), edit=[ContentRefused("no")] * 2))
    assert await sender.send(job) is W.APPROVED
    assert await sender.send(desk.now(job)) is W.REFUSED
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.SENT, Reason.EDIT_REFUSED)


@pytest.mark.parametrize("kind", [K.CREATE, K.WITHDRAW, K.ANSWER])
async def test_an_account_that_is_not_let_in_leaves_the_text_waiting(desk: Desk, kind: OperationKind) -> None:
    job = desk.job(kind, attempts=3)
    name = {K.CREATE: "create", K.WITHDRAW: "withdraw", K.ANSWER: "has_answer"}[kind]
    writer = ScriptedWriter(**{name: [NotLetIn("who are you?")]})
    sender = desk.sender(writer, attempts=9)
    assert await sender.send(job) is W.APPROVED
    assert sender.trouble == "", "an account is no failure of the platform"
    assert sender.not_let_in is not None
    assert desk.now(job).operation.reason_code is Reason.NOT_SENT
    assert [call for call in writer.calls if call != name] == [], "no note, no comment in its place"


async def test_a_wrong_password_is_no_attempt_of_the_text(desk: Desk) -> None:
    job = desk.job(attempts=4)
    assert await desk.sender(ScriptedWriter(create=[WrongCredentials("no")]), attempts=5).send(job) is W.APPROVED
    assert desk.now(job).operation.attempts == 4


def _behind(error: ConnectorError) -> NotDone:
    found = NotDone("a look-up failed")
    found.__cause__ = error
    return found


@pytest.mark.parametrize(
    ("error", "failed"),
    [
        (Unreachable("no connection"), True),
        (NotDone("busy", status=429), True),
        (MaybeDone("half an answer", status=502), True),
        (_behind(Unreachable("no connection")), True),
        (NotDone("a hidden neighbour"), False),
        (NotDone("the token was refused", status=422), False),
        (MaybeDone("its marker is not there"), False),
        (NotLetIn("who are you?", status=401), False),
        (CannotDo("not here", status=503), False),
        (Malformed("a login page"), False),
    ],
)
def test_the_breaker_opens_for_the_platforms_failures_only(error: ConnectorError, failed: bool) -> None:
    assert platform_failed(error) is failed


# Later ------------------------------------------------------------------------------------------------------------------


async def test_what_was_surely_not_stored_is_tried_again_later_each_time_after_a_longer_while(desk: Desk) -> None:
    job, waits = desk.job(), list[float]()
    sender = desk.sender(ScriptedWriter(create=[NotDone("down")] * 3))
    for _ in range(3):
        assert await sender.send(desk.now(job)) is W.APPROVED
        until = desk.now(job).operation.not_before
        assert until is not None
        waits.append((until - desk.clock.now()).total_seconds())
    assert waits == [2, 4, 8]


async def test_being_asked_to_slow_down_is_no_attempt(desk: Desk) -> None:
    job = desk.job(attempts=4)
    sender = desk.sender(ScriptedWriter(create=[NotDone("slow down", status=429, wait=2)]), attempts=5)
    assert await sender.send(job) is W.APPROVED
    assert desk.now(job).operation.attempts == 4
    assert (sender.asked, sender.trouble) == (2, "")


async def test_being_asked_to_slow_down_without_a_word_for_how_long_is_half_a_minute(desk: Desk) -> None:
    sender = desk.sender(ScriptedWriter(create=[NotDone("slow down", status=429)]))
    await sender.send(desk.job())
    assert sender.asked == 30


@pytest.mark.parametrize("kind", [K.CREATE, K.WITHDRAW])
async def test_when_the_attempts_are_used_up_a_person_is_asked(desk: Desk, kind: OperationKind) -> None:
    job = desk.job(kind, attempts=4)
    name = "create" if kind is K.CREATE else "withdraw"
    assert await desk.sender(ScriptedWriter(**{name: [NotDone("down")]})).send(job) is W.AWAITING_APPROVAL
    now = desk.now(job)
    assert (now.operation.reason_code, now.operation.attempts) == (Reason.TRIED_OFTEN, 0)
    assert now.publication.reason_code is (Reason.TRIED_OFTEN if kind is K.CREATE else Reason.NONE)


async def test_what_was_proven_absent_too_often_waits_for_a_person(desk: Desk) -> None:
    job = desk.job(state=W.UNKNOWN, attempts=5, lookups=1, last_sent_at=desk.clock.now() - timedelta(seconds=10))
    writer = ScriptedWriter()
    assert await desk.sender(writer).resolve(job) is W.AWAITING_APPROVAL
    assert writer.calls == ["find"]


# Edits ------------------------------------------------------------------------------------------------------------------


async def test_an_edit_follows_and_says_what_the_copy_says_now(desk: Desk) -> None:
    job = edit_job(desk)
    writer = ScriptedWriter(reading(desk))
    assert await desk.sender(writer).send(job) is W.SENT
    after = reading(desk, "Anders.")
    assert desk.now(job).publication.copy_print == fingerprint(after.title, after.plain)


async def test_a_copy_that_a_moderator_changed_is_left_as_it_is(desk: Desk) -> None:
    job = edit_job(desk)
    writer = ScriptedWriter(Reading("Meer bomen", "Ingekort door de moderator."))
    sender = desk.sender(writer)
    assert await sender.send(job) is W.AWAITING_APPROVAL
    assert writer.calls == ["read"]
    assert desk.now(job).publication.state is P.CONFLICT
    assert sender.counts.conflicts == 1


async def test_a_copy_that_a_moderator_changed_stays_for_good_where_the_target_wins(desk: Desk) -> None:
    job = edit_job(desk, conflict="target_wins")
    writer = ScriptedWriter(Reading("Meer bomen", "Ingekort."))
    assert await desk.sender(writer).send(job) is W.CANCELLED
    own = desk.now(job).publication
    assert (own.state, own.sent_hash, writer.said) == (P.SENT, job.operation.payload_hash, [])


async def test_a_moderators_text_is_overwritten_where_a_person_said_so(desk: Desk) -> None:
    """Only over the text that this person was shown."""
    changed = Reading("Meer bomen", "Ingekort.")
    job = edit_job(desk, decided_by="ann", there=there_of(changed, "ann"))
    assert await desk.sender(ScriptedWriter(changed)).send(job) is W.SENT


@pytest.mark.parametrize("there", [None, there_of(Reading("Meer bomen", "Ingekort."), "ann"), "not shown"])
async def test_an_approval_counts_only_for_what_was_shown(desk: Desk, there: object) -> None:
    now = Reading("Meer bomen", "Nog eens anders.")
    noted = there_of(now) if there == "not shown" else there
    job = edit_job(desk, decided_by="ann", there=noted)
    writer = ScriptedWriter(now)
    assert await desk.sender(writer).send(job) is W.AWAITING_APPROVAL
    assert writer.calls == ["read"]
    after = desk.now(job)
    assert (after.publication.state, after.operation.decided_by) == (P.CONFLICT, None)
    assert after.operation.there == there_of(now)


async def test_a_moderators_text_is_overwritten_where_the_origin_wins(desk: Desk) -> None:
    job = edit_job(desk, conflict="origin_wins")
    assert await desk.sender(ScriptedWriter(Reading("Meer bomen", "Ingekort."))).send(job) is W.SENT


async def test_an_edit_that_is_there_already_is_no_conflict(desk: Desk) -> None:
    assert await desk.sender(ScriptedWriter(reading(desk, "Anders."))).send(edit_job(desk)) is W.SENT


async def test_a_copy_that_a_moderator_removed_is_not_made_again_by_an_edit(desk: Desk) -> None:
    job = edit_job(desk)
    writer = ScriptedWriter(None)
    assert await desk.sender(writer).send(job) is W.CANCELLED
    own = desk.now(job).publication
    assert (own.state, own.reason_code, writer.calls) == (P.GONE, Reason.COPY_GONE, ["read"])


async def test_an_edit_that_is_confirmed_and_not_shown_is_asked_again(desk: Desk) -> None:
    job = edit_job(desk)
    before = reading(desk)
    assert await desk.sender(ScriptedWriter(read=[before, before])).send(job) is W.UNKNOWN
    assert await desk.sender(ScriptedWriter(before)).resolve(desk.now(job)) is W.APPROVED


async def lost_edit(desk: Desk) -> Job:
    """An edit that went out and was not answered."""
    job = edit_job(desk)
    before = reading(desk)
    writer = ScriptedWriter(before, edit=[MaybeDone("lost")])
    assert await desk.sender(writer).send(job) is W.UNKNOWN
    return desk.now(job)


REWRITTEN = Reading("Meer bomen", "Anders, zoals het platform het schrijft.")


async def test_what_stands_there_soon_after_a_lost_edit_is_ours_in_whatever_form(desk: Desk) -> None:
    job = await lost_edit(desk)
    assert await desk.sender(ScriptedWriter(REWRITTEN)).resolve(job) is W.APPROVED
    assert desk.now(job).publication.copy_print == fingerprint(REWRITTEN.title, REWRITTEN.plain)
    assert await desk.sender(ScriptedWriter(REWRITTEN)).send(desk.now(job)) is W.SENT


async def test_an_old_page_soon_after_a_lost_edit_makes_no_conflict_of_the_next_one(desk: Desk) -> None:
    job = await lost_edit(desk)
    assert await desk.sender(ScriptedWriter(reading(desk))).resolve(job) is W.APPROVED
    assert await desk.sender(ScriptedWriter(REWRITTEN)).send(desk.now(job)) is W.SENT


async def test_what_stands_there_long_after_a_lost_edit_may_be_a_moderators(desk: Desk) -> None:
    job = await lost_edit(desk)
    desk.clock.advance(3600)
    assert await desk.sender(ScriptedWriter(REWRITTEN)).resolve(job) is W.APPROVED
    assert await desk.sender(ScriptedWriter(REWRITTEN)).send(desk.now(job)) is W.AWAITING_APPROVAL
    assert desk.now(job).publication.reason_code is Reason.COPY_CHANGED


async def test_a_copy_that_could_not_be_read_just_after_is_compared_with_what_was_sent(desk: Desk) -> None:
    was = payload_of(desk.draft())
    job = edit_job(desk, copy_print=None, sent_payload=was)
    assert await desk.sender(ScriptedWriter(reading(desk))).send(job) is W.SENT
    job = edit_job(desk, copy_print=None, sent_payload=was)
    assert await desk.sender(ScriptedWriter(REWRITTEN)).send(job) is W.AWAITING_APPROVAL


async def test_an_edit_that_is_never_shown_is_believed_in_the_end(desk: Desk) -> None:
    before = reading(desk)
    assert await desk.sender(ScriptedWriter(read=[before, before])).send(edit_job(desk, attempts=3)) is W.SENT


# Taking back ------------------------------------------------------------------------------------------------------------


async def test_a_copy_is_taken_back(desk: Desk) -> None:
    job, writer = desk.job(K.WITHDRAW), ScriptedWriter(reading(desk))
    assert await desk.sender(writer).send(job) is W.SENT
    assert desk.now(job).publication.state is P.WITHDRAWN


async def test_a_copy_that_cannot_be_taken_back_is_replaced_by_a_note(desk: Desk) -> None:
    job = desk.job(K.WITHDRAW)
    writer = ScriptedWriter(reading(desk), withdraw=[CannotDo("nobody may")])
    assert await desk.sender(writer).send(job) is W.SENT
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.WITHDRAWN, Reason.REPLACED_BY_NOTE)
    [note] = writer.said
    assert "In de straat" not in note
    assert desk.marker() in note


async def test_after_a_lost_ledger_a_note_that_stands_there_already_is_enough(desk: Desk) -> None:
    job = desk.job(K.WITHDRAW, attempts=1, sent_payload=None)
    there = Reading("Dit voorstel is ingetrokken", "Het origineel van dit voorstel is ingetrokken of verwijderd.")
    assert await desk.sender(ScriptedWriter(there, withdraw=[CannotDo("it has supports")])).send(job) is W.SENT
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.WITHDRAWN, Reason.REPLACED_BY_NOTE)


async def test_a_citizens_title_like_the_note_is_no_note(desk: Desk) -> None:
    job = desk.job(K.WITHDRAW, attempts=1, sent_payload=None)
    there = Reading("Dit voorstel is ingetrokken", "Lelijke dingen over een buurman, met naam en adres.")
    assert await desk.sender(ScriptedWriter(there, withdraw=[CannotDo("it has supports")])).send(job) is W.REFUSED
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.STUCK, Reason.WITHDRAWAL_REFUSED)


async def test_a_withdrawal_that_is_confirmed_and_not_shown_is_asked_again(desk: Desk) -> None:
    job, there = desk.job(K.WITHDRAW), reading(desk)
    assert await desk.sender(ScriptedWriter(read=[there])).send(job) is W.UNKNOWN
    assert await desk.sender(ScriptedWriter()).resolve(desk.now(job)) is W.APPROVED


async def test_a_copy_shown_as_withdrawn_is_taken_back(desk: Desk) -> None:
    job = desk.job(K.WITHDRAW)
    shown = Reading("Meer bomen", "In de straat.", withdrawn=True)
    assert await desk.sender(ScriptedWriter(read=[shown])).send(job) is W.SENT


async def test_a_withdrawal_that_is_refused_for_good_is_stuck_and_told(desk: Desk) -> None:
    job = desk.job(K.WITHDRAW, attempts=1, sent_payload=None)
    assert await desk.sender(ScriptedWriter(withdraw=[CannotDo("nobody may")])).send(job) is W.REFUSED
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.STUCK, Reason.WITHDRAWAL_REFUSED)


# Answers ----------------------------------------------------------------------------------------------------------------


async def test_an_answer_is_given_at_the_copy(desk: Desk) -> None:
    writer = ScriptedWriter()
    assert await desk.sender(writer).send(desk.job(K.ANSWER)) is W.SENT
    assert writer.calls == ["has_answer", "answer"]


async def test_an_answer_that_is_there_is_not_given_twice(desk: Desk) -> None:
    writer = ScriptedWriter(has_answer=[True])
    assert await desk.sender(writer).send(desk.job(K.ANSWER)) is W.SENT
    assert writer.calls == ["has_answer"]


async def test_an_answer_that_no_official_one_can_be_is_told_as_a_comment_once(desk: Desk) -> None:
    writer = ScriptedWriter(answer=[CannotDo("no rights")])
    assert await desk.sender(writer).send(desk.job(K.ANSWER)) is W.SENT
    assert writer.calls == ["has_answer", "answer", "has_comment", "comment"]


async def test_a_comment_that_is_there_is_not_made_twice(desk: Desk) -> None:
    writer = ScriptedWriter(answer=[CannotDo("no rights")], has_comment=[True])
    assert await desk.sender(writer).send(desk.job(K.ANSWER)) is W.SENT
    assert "comment" not in writer.calls


async def test_a_comments_words_are_compared_only_where_it_was_told_before(desk: Desk) -> None:
    compared = list[bool]()

    class Watching(ScriptedWriter):
        async def has_comment(self, ref: str, marker: str, text: object = None) -> bool:
            compared.append(text is not None)
            return self._scripted("has_comment", False)

    own = desk.publication(remote_ref="proposal/7", copy_key="b/proposal/7")
    for _ in range(2):
        writer = Watching(answer=[CannotDo("no rights")])
        await desk.sender(writer).send(Job(desk.operation(own, K.ANSWER), own, "board/1"))
    assert compared == [False, True], "what a platform made of the first telling is it, whatever it says"


async def test_an_answer_is_refused_where_nothing_can_be_told(desk: Desk) -> None:
    job = desk.job(K.ANSWER, attempts=1)
    assert await desk.sender(BareWriter()).send(job) is W.REFUSED
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.SENT, Reason.ANSWER_REFUSED)


@pytest.mark.parametrize(("kind", "where"), [(K.ANSWER, "proposal/7"), (K.ANSWER_BACK, "proposal/1")])
async def test_an_answer_goes_to_the_copy_and_an_answer_back_to_the_origin(
    desk: Desk, kind: OperationKind, where: str
) -> None:
    told = list[str]()

    class Watching(ScriptedWriter):
        async def answer(self, ref: str, answer: object) -> None:
            told.append(ref)

    own = desk.publication(remote_ref="proposal/7", copy_key="b/proposal/7")
    await desk.sender(Watching()).send(Job(desk.operation(own, kind), own, "board/1"))
    assert told == [where]


# Where what is taken back stays readable --------------------------------------------------------------------------------


class Keeping(ScriptedWriter):
    """Goes on showing the text of what was taken back (docs/platforms/consul.md 10b)."""

    keeps_text_when_withdrawn = True
    reasons: list[str]

    async def withdraw(self, space: str, copy: Copy, reason: str) -> None:
        self.reasons = [reason]
        await super().withdraw(space, copy, reason)


async def test_what_stays_readable_when_it_is_taken_back_loses_its_text_first(desk: Desk) -> None:
    writer, job = Keeping(reading(desk)), desk.job(K.WITHDRAW)
    assert await desk.sender(writer).send(job) is W.SENT
    assert [call for call in writer.calls if call in {"edit", "withdraw"}] == ["edit", "withdraw"]
    assert "In de straat." not in writer.said[0]
    assert "de tekst staat daarom niet meer hier" in writer.reasons[0]
    assert desk.now(job).publication.reason_code is Reason.NONE


async def test_where_the_text_cannot_be_taken_away_nobody_claims_that_it_is_gone(desk: Desk) -> None:
    writer, job = Keeping(reading(desk), edit=[ContentRefused("too many supports")]), desk.job(K.WITHDRAW)
    assert await desk.sender(writer).send(job) is W.SENT
    assert writer.reasons == ["Het origineel van dit voorstel is ingetrokken of verwijderd."]
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.WITHDRAWN, Reason.TEXT_STAYS)
    assert "too many supports" in own.reason


async def test_what_a_moderator_has_hidden_is_taken_back_without_a_note(desk: Desk) -> None:
    """Nobody reads it; and what is shown again is taken back again."""
    writer = Keeping(None, edit=[NotDone("it is hidden")])
    assert await desk.sender(writer).send(desk.job(K.WITHDRAW)) is W.SENT
    assert "edit" not in writer.calls


async def test_where_taking_back_is_refused_the_note_that_stands_there_is_written_once(desk: Desk) -> None:
    writer, job = Keeping(reading(desk), withdraw=[CannotDo("it has supports")]), desk.job(K.WITHDRAW)
    assert await desk.sender(writer).send(job) is W.SENT
    assert writer.calls.count("edit") == 1
    assert desk.now(job).publication.reason_code is Reason.REPLACED_BY_NOTE


async def test_twins_that_a_writer_sees_are_told_and_the_copy_is_sent(desk: Desk) -> None:
    writer = ScriptedWriter(create=[Copy("proposal/1", "https://b.example/1", twins=("proposal/9",))])
    job = desk.job()
    assert await desk.sender(writer).send(job) is W.SENT
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.SENT, Reason.TWINS)
    assert "proposal/9" in own.reason


async def test_an_account_that_is_not_let_in_takes_no_attempts(desk: Desk) -> None:
    job = desk.job()
    for _ in range(12):
        sender = desk.sender(ScriptedWriter(create=[NotLetIn("must change its password first")]))
        assert await sender.send(desk.now(job)) is W.APPROVED
        desk.clock.advance(3600)
    assert await desk.sender(ScriptedWriter()).send(desk.now(job)) is W.SENT


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (Reason.TWINS, Reason.TWINS),
        (Reason.ANSWER_REFUSED, Reason.ANSWER_REFUSED),
        (Reason.EDIT_REFUSED, Reason.NONE),
        (Reason.COPY_CHANGED, Reason.NONE),
    ],
)
async def test_an_edit_settles_only_what_has_to_do_with_the_text(desk: Desk, before: Reason, after: Reason) -> None:
    job = edit_job(desk)
    desk.ledger.update_publication(job.publication, event="arranged", reason_code=before, reason="x")
    assert await desk.sender(ScriptedWriter(reading(desk))).send(desk.now(job)) is W.SENT
    assert desk.now(job).publication.reason_code is after


# Everything of ours goes -----------------------------------------------------------------------------------------------


def there_twice(desk: Desk, **script: Sequence[Any]) -> tuple[ScriptedWriter, Job]:
    """A platform that shows a second text of ours with the marker of a copy, and the withdrawal of that copy, which was sent twice."""
    both = Copy("proposal/9", "https://b.example/9", twins=("proposal/1",))
    main = desk.draft().main
    writer = ScriptedWriter(**{"find": [both], "read": [Reading(main.title, main.plain), None, None], **script})
    job = desk.job(K.WITHDRAW)
    desk.operation(job.publication, K.CREATE, W.SENT, attempts=2)
    return writer, job


async def test_what_else_carries_the_marker_of_a_copy_is_taken_back_with_it(desk: Desk) -> None:
    writer, job = there_twice(desk)
    assert await desk.sender(writer).send(job) is W.SENT
    assert writer.calls.count("withdraw") == 2
    assert desk.now(job).publication.reason_code is Reason.NONE


async def test_what_was_looked_up_may_have_a_twin_as_well(desk: Desk) -> None:
    writer, job = ScriptedWriter(reading(desk)), desk.job(K.WITHDRAW)
    desk.operation(job.publication, K.CREATE, W.SENT, attempts=1, lookups=1)
    await desk.sender(writer).send(job)
    assert "find" in writer.calls


async def test_what_was_sent_once_and_confirmed_is_taken_back_without_a_search(desk: Desk) -> None:
    """On some platforms a search asks for every newer text of ours one by one."""
    writer, job = ScriptedWriter(reading(desk)), desk.job(K.WITHDRAW)
    desk.operation(job.publication, K.CREATE, W.SENT, attempts=1)
    assert await desk.sender(writer).send(job) is W.SENT
    assert "find" not in writer.calls


async def test_what_says_something_else_by_now_is_not_taken_back_with_a_copy(desk: Desk) -> None:
    writer, job = there_twice(desk, read=[Reading("Iets anders", "Van iemand anders."), None, None])
    assert await desk.sender(writer).send(job) is W.SENT
    assert writer.calls.count("withdraw") == 1


async def test_a_second_text_that_only_a_note_can_replace_is_told(desk: Desk) -> None:
    writer, job = there_twice(desk, withdraw=[None, CannotDo("it has supports")])
    assert await desk.sender(writer).send(job) is W.SENT
    assert desk.now(job).publication.reason_code is Reason.REPLACED_BY_NOTE


async def test_a_second_texts_trouble_does_not_say_that_the_copy_stands(desk: Desk) -> None:
    writer, job = there_twice(desk, withdraw=[None, NotDone("down", status=503)])
    assert await desk.sender(writer).send(job) is W.SENT
    own = desk.now(job).publication
    assert (own.state, own.reason_code) == (P.WITHDRAWN, Reason.TWINS)
    assert "proposal/9" in own.reason


@pytest.mark.parametrize("error", [NotDone("whose it is cannot be told"), NotDone("down", status=503)])
async def test_a_copy_is_taken_back_also_where_its_twins_cannot_be_told(desk: Desk, error: ConnectorError) -> None:
    writer, job = there_twice(desk, find=[error], read=[])
    assert await desk.sender(writer).send(job) is W.SENT


async def test_twins_that_cannot_be_looked_for_stay_told(desk: Desk) -> None:
    writer, job = there_twice(desk, find=[NotDone("down", status=503)], read=[])
    desk.ledger.update_publication(job.publication, event="twins", reason_code=Reason.TWINS, reason="two of them")
    assert await desk.sender(writer).send(desk.now(job)) is W.SENT
    own = desk.now(job).publication
    assert (own.state, own.reason_code, own.reason) == (P.WITHDRAWN, Reason.TWINS, "two of them")


async def test_after_a_lost_ledger_twins_are_found_by_the_marker_alone(desk: Desk) -> None:
    desk.origin(1)
    writer, job = there_twice(desk)
    gone = {"sent_payload": None, "reason_code": Reason.TWINS, "reason": "two of them"}
    desk.ledger.update_publication(job.publication, event="adopted", **gone)
    assert await desk.sender(writer).send(desk.now(job)) is W.SENT
    assert writer.calls.count("withdraw") == 2
    assert desk.now(job).publication.reason_code is Reason.NONE


async def test_the_ledger_knows_of_the_note_before_it_is_written(desk: Desk) -> None:
    """If taking back fails and the origin comes back, the copy does not say what it did, and no moderator wrote that."""
    job = desk.job(K.WITHDRAW)
    before = job.publication.sent_hash
    writer = Keeping(reading(desk), withdraw=[NotDone("down", status=503)])
    assert await desk.sender(writer).send(job) is W.APPROVED
    own = desk.now(job).publication
    assert own.sent_hash not in {None, before}
    desk.ledger.cancel(own, Lane.TEXT, Reason.ORIGIN_BACK, "back")
    edit = desk.operation(own, K.EDIT, payload=payload_of(desk.draft("Weer terug.")))
    assert await desk.sender(writer).send(Job(edit, own, SPACE)) is W.SENT, "no conflict"


@pytest.mark.parametrize(("attempts", "ended"), [(0, W.APPROVED), (2, W.SENT)])
async def test_taking_back_does_not_wait_for_ever_for_its_note(desk: Desk, attempts: int, ended: W) -> None:
    job = desk.job(K.WITHDRAW, attempts=attempts)
    writer = Keeping(reading(desk), edit=[NotDone("the page has no form", status=503)])
    assert await desk.sender(writer).send(job) is ended
    if ended is W.SENT:
        assert desk.now(job).publication.reason_code is Reason.TEXT_STAYS


async def test_an_edit_that_never_went_out_makes_nobodys_words_ours(desk: Desk) -> None:
    """Killed while the copy was being read: what a moderator wrote days ago stands there."""
    job = edit_job(desk)
    dead = desk.operation(job.publication, K.ANSWER)  # the lane of the text is taken
    assert dead.id
    with pytest.raises(KeyboardInterrupt):
        await desk.sender(ScriptedWriter(read=[KeyboardInterrupt()])).send(job)
    await desk.sender(ScriptedWriter()).orphan(desk.now(job))
    assert await desk.sender(ScriptedWriter(REWRITTEN)).resolve(desk.now(job)) is W.APPROVED
    assert await desk.sender(ScriptedWriter(REWRITTEN)).send(desk.now(job)) is W.AWAITING_APPROVAL
    assert desk.now(job).publication.reason_code is Reason.COPY_CHANGED


@pytest.mark.parametrize(
    ("minutes", "words", "known"), [(1, "Anders.", True), (60, "Anders.", False), (60, "In de straat.", True)]
)
async def test_a_late_look_takes_only_what_was_sent_for_ours(desk: Desk, minutes: int, words: str, known: bool) -> None:
    job = desk.job()
    sender = desk.sender(ScriptedWriter(read=[NotDone("down")]))
    assert await sender.send(job) is W.SENT
    desk.clock.advance(minutes * 60)
    sender.writer = ScriptedWriter(reading(desk, words))
    await sender.look_once_more(desk.now(job).publication)
    assert (desk.now(job).publication.copy_print is not None) is known


async def test_after_a_lost_ledger_the_text_goes_too_in_the_language_of_the_origin(desk: Desk) -> None:
    """The marker and a language are enough for the note; the origin still tells one, or the copy."""
    desk.origin(1)
    writer, job = Keeping(reading(desk)), desk.job(K.WITHDRAW, sent_payload=None)
    assert await desk.sender(writer).send(job) is W.SENT
    assert [call for call in writer.calls if call in {"edit", "withdraw"}] == ["edit", "withdraw"]
    assert "In de straat." not in writer.said[0] and desk.marker() in writer.said[0]
    assert "de tekst staat daarom niet meer hier" in writer.reasons[0]
    assert desk.now(job).publication.reason_code is Reason.NONE


async def test_a_half_made_copy_of_a_route_that_is_not_there_any_more_is_not_finished(desk: Desk) -> None:
    job = replace(desk.job(state=W.UNKNOWN, attempts=1), configured=False)
    writer = ScriptedWriter(find=[HALF])
    assert await desk.sender(writer).resolve(job) is W.APPROVED
    assert writer.found == []


LONG = "In onze straat staan te weinig bomen, en in de zomer is het er veel te warm. Zie ook ~2 & ~14 van vorig jaar."


@pytest.mark.parametrize(
    ("there", "ended"),
    [
        (LONG.replace("~2 & ~14", "Voorstel &amp; 14"), W.SENT),
        (
            LONG.replace("en in de zomer is het er veel te warm", "maar dat valt mee, zegt de gemeente"),
            W.AWAITING_APPROVAL,
        ),
    ],
)
async def test_an_edit_that_arrived_late_is_ours_as_the_platform_writes_it(desk: Desk, there: str, ended: W) -> None:
    """Behind a gateway that gave up; whoever changed more than a platform does is asked about."""
    job = edit_job(desk, LONG)
    writer = ScriptedWriter(reading(desk), edit=[MaybeDone("lost")])
    await desk.sender(writer).send(job)
    assert await desk.sender(ScriptedWriter(reading(desk))).resolve(desk.now(job)) is W.APPROVED
    desk.clock.advance(900)
    late = Reading("Meer bomen 1", f"{there} {desk.marker()}")
    assert await desk.sender(ScriptedWriter(late)).send(desk.now(job)) is ended
