"""Copies that the ledger lost are put back into it, by a marker that is ours, and what may have been removed is not made again."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.contract.writing import Authored, Copy, Reading
from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState, Reason, waits_for_person
from civicsync.sync.publish.adoption import Adopted, adopt, hold_older, moved_from
from tests.support.ledger import ROUTE, SPACE, Desk
from tests.support.writers import ScriptedWriter

K, W, P = OperationKind, OperationState, PublicationState
ROUTES = {"a": ROUTE}


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def made(desk: Desk, number: int = 1, text: str = "", **more: Any) -> Authored:
    """Something our account wrote, as the platform lists it."""
    copy = Copy(f"proposal/{number}", f"https://b.example/{number}", **more)
    return Authored(copy, f"Meer bomen {number}", text or desk.draft(number=number).main.plain, desk.clock.now())


async def adopted(desk: Desk, *listed: Authored, stop_at_known: bool = False, **script: Any) -> list[Adopted]:
    writer = ScriptedWriter(Reading("Meer bomen", "In de straat."), authored=listed, **script)
    return await adopt(desk.ledger, desk.signer, writer, writer.read, "b", SPACE, ROUTES, stop_at_known=stop_at_known)


async def test_a_copy_that_the_ledger_lost_is_known_again_by_its_marker(desk: Desk) -> None:
    [found] = await adopted(desk, made(desk))
    own = desk.again(found.publication)
    assert found.forgotten
    assert (own.state, own.copy_key, own.marker) == (P.SENT, "b/proposal/1", desk.marker())
    assert own.sent_hash is None, "what it says is compared by the next plan"
    assert own.copy_print is not None


@pytest.mark.parametrize(
    "text", ["zonder merk", "[civicsync:a/proposal/1~aaaaaaaaaaaaaaaa]", "[civicsync:c/proposal/1~aaaaaaaaaaaaaaaa]"]
)
async def test_a_text_without_a_marker_of_ours_is_not_adopted(desk: Desk, text: str) -> None:
    assert await adopted(desk, made(desk, text=text)) == []
    assert desk.ledger.publications() == []


async def test_a_marker_for_another_space_is_not_adopted(desk: Desk) -> None:
    elsewhere = str(desk.signer.marker("a/proposal/1", "b", "board/2"))
    assert await adopted(desk, made(desk, text=elsewhere)) == []


async def test_a_marker_of_an_origin_without_a_route_is_not_adopted(desk: Desk) -> None:
    other = str(desk.signer.marker("c/proposal/1", "b", SPACE))
    assert await adopted(desk, made(desk, text=other)) == []


async def test_a_half_made_copy_is_not_adopted(desk: Desk) -> None:
    assert await adopted(desk, made(desk, complete=False)) == []


@pytest.mark.parametrize("state", [W.SENDING, W.UNKNOWN])
async def test_what_is_under_way_is_left_to_the_look_up(desk: Desk, state: OperationState) -> None:
    own = desk.publication(P(state.value))
    desk.operation(own, K.CREATE, state)
    assert await adopted(desk, made(desk)) == []
    assert desk.again(own) == own


async def test_a_create_that_waits_for_what_is_there_already_is_cancelled(desk: Desk) -> None:
    own = desk.publication(P.APPROVED)
    op = desk.operation(own)
    [found] = await adopted(desk, made(desk))
    now = desk.ledger.operation(op.id)
    assert now is not None
    assert (now.state, now.reason_code) == (W.CANCELLED, Reason.COPY_THERE)
    assert (desk.again(own).state, found.forgotten) == (P.SENT, True)


async def test_what_was_tried_by_this_ledger_was_not_forgotten(desk: Desk) -> None:
    own = desk.publication(P.AWAITING_APPROVAL)
    desk.operation(own, K.CREATE, W.AWAITING_APPROVAL, first_sent_at=desk.clock.now())
    [found] = await adopted(desk, made(desk))
    assert not found.forgotten


@pytest.mark.parametrize(
    ("reading", "state"),
    [(None, P.GONE), (Reading("x", "y", withdrawn=True), P.WITHDRAWN), (Reading("x", "y"), P.SENT)],
)
async def test_an_adopted_copy_stands_as_its_own_page_shows_it(
    desk: Desk, reading: Reading | None, state: PublicationState
) -> None:
    [found] = await adopted(desk, made(desk), read=[reading])
    assert desk.again(found.publication).state is state


async def test_a_second_copy_with_the_same_marker_does_not_take_the_place_of_the_first(desk: Desk) -> None:
    second = replace(made(desk, 2), text=desk.draft(number=1).main.plain)
    assert len(await adopted(desk, made(desk, 1), second)) == 1
    [own] = desk.ledger.publications()
    assert own.copy_key == "b/proposal/1"


async def test_a_text_of_which_nothing_tells_who_wrote_it_is_a_question(desk: Desk) -> None:
    """CONSUL without `login`: anybody can paste a marker that stood on a page."""
    assert await adopted(desk, replace(made(desk), ours=False)) == []
    [own] = desk.ledger.publications()
    assert (own.state, own.reason_code, own.copy_key) == (P.HELD, Reason.UNPROVEN, None)
    desk.ledger.update_publication(own, event="approved", state=P.RELEASED)
    assert await adopted(desk, replace(made(desk), ours=False)) == []
    assert desk.again(own).state is P.RELEASED, "a person has decided"


async def test_of_two_candidates_the_one_made_first_is_taken_and_a_person_is_asked(desk: Desk) -> None:
    later = replace(made(desk, 10), text=desk.draft(number=1).main.plain)
    await adopted(desk, later, made(desk, 9, text=desk.draft(number=1).main.plain))
    [own] = desk.ledger.publications()
    assert (own.copy_key, own.reason_code, "proposal/10" in own.reason) == ("b/proposal/9", Reason.TWINS, True)


async def test_the_search_ends_after_a_run_of_known_copies(desk: Desk) -> None:
    for number in range(1, 31):
        desk.publication(P.SENT, number)
    listed = [made(desk, number) for number in range(1, 32)]
    assert await adopted(desk, *listed, stop_at_known=True) == []
    assert len(await adopted(desk, *listed)) == 1


async def test_what_is_older_than_a_found_copy_waits_for_a_person(desk: Desk) -> None:
    """Its copy may have been removed by a moderator before the ledger was lost."""
    now = desk.clock.now()
    older = desk.origin(2, published_at=now - timedelta(days=1))
    newer = desk.origin(3, published_at=now + timedelta(hours=2))
    desk.origin(1)
    found = await adopted(desk, made(desk, 1))
    assert hold_older(desk.ledger, desk.signer, ROUTE, desk.route, found) == 1
    states = {own.origin_key: own.state for own in desk.ledger.publications()}
    assert states == {"a/proposal/1": P.SENT, older: P.HELD}
    assert newer not in states


async def test_a_queued_create_that_is_older_than_a_found_copy_is_held_too(desk: Desk) -> None:
    desk.origin(2, published_at=desk.clock.now() - timedelta(days=1))
    own = desk.publication(P.APPROVED, 2)
    desk.operation(own)
    found = await adopted(desk, made(desk, 1))
    hold_older(desk.ledger, desk.signer, ROUTE, desk.route, found)
    assert (desk.again(own).state, desk.again(own).reason_code) == (P.HELD, Reason.OLDER_THAN_FOUND)
    assert desk.ledger.operations(publication=own.id) == []


async def test_nothing_is_held_when_nothing_was_forgotten(desk: Desk) -> None:
    desk.origin(2, published_at=desk.clock.now() - timedelta(days=1))
    tried = Adopted(desk.publication(P.SENT, 1, sent_at=desk.clock.now()), forgotten=False)
    assert hold_older(desk.ledger, desk.signer, ROUTE, desk.route, [tried]) == 0
    assert hold_older(desk.ledger, desk.signer, ROUTE, desk.route, []) == 0


async def test_a_second_copy_with_the_same_marker_is_told_once(desk: Desk) -> None:
    late = made(desk, 9, text=desk.draft(number=1).main.plain)
    [found] = await adopted(desk, made(desk), late)
    for _ in range(2):
        assert await adopted(desk, late) == []
    own = desk.again(found.publication)
    assert (own.remote_ref, own.reason_code) == ("proposal/1", Reason.TWINS)
    assert "proposal/9" in own.reason
    assert waits_for_person(own.state, own.reason_code)
    assert len([event for event in desk.ledger.events(own.id) if event["what"] == "twins"]) == 1


async def test_twins_that_the_writer_saw_are_told(desk: Desk) -> None:
    [found] = await adopted(desk, made(desk, twins=("proposal/9",)))
    assert desk.again(found.publication).reason_code is Reason.TWINS


async def test_what_was_taken_back_is_not_adopted_into_a_publication_that_a_person_had_made_anew(desk: Desk) -> None:
    own = desk.publication(P.RELEASED)
    desk.operation(own, K.CREATE, W.SENT, first_sent_at=desk.clock.now())
    assert await adopted(desk, made(desk, withdrawn=True)) == []
    assert desk.again(own).state is P.RELEASED


async def test_what_is_public_goes_before_what_was_taken_back(desk: Desk) -> None:
    retired = made(desk, 9, text=desk.draft(number=1).main.plain, withdrawn=True)
    [found] = await adopted(desk, retired, made(desk))
    own = desk.again(found.publication)
    assert (own.state, own.remote_ref) == (P.SENT, "proposal/1")


async def test_what_was_taken_back_is_known_again_after_a_rebuild(desk: Desk) -> None:
    shown = Reading("Meer bomen", "In de straat.", withdrawn=True)
    [found] = await adopted(desk, made(desk, withdrawn=True), read=[shown])
    assert desk.again(found.publication).state is P.WITHDRAWN


async def test_what_is_found_again_bears_the_title_of_its_origin(desk: Desk) -> None:
    desk.origin(1, title="De titel van het origineel")
    [found] = await adopted(desk, made(desk))
    assert desk.again(found.publication).title == "De titel van het origineel"


def test_only_proposals_of_ours_tell_where_copies_were_moved_to(desk: Desk) -> None:
    """A citizen who pastes a marker into a debate or a project would send us to a place that we cannot read."""
    desk.ledger.remember_account("b", "robot")
    text = desk.marker()
    desk.origin(1, text, instance="b", author="robot", space_key="b/board/2")
    desk.origin(2, text, instance="b", author=None, space_key="b/board/3")
    desk.origin(3, text, instance="b", author="citizen", space_key="b/board/4")
    for number, kind in ((4, "debate"), (5, "project")):
        desk.origin(number, text, instance="b", kind=kind, author=None, space_key=f"b/board/{number}0")
    found = moved_from(desk.ledger, desk.signer, "b", SPACE)
    assert {place: [each.key for each in seen] for place, seen in found.items()} == {
        "board/2": ["b/proposal/1"],
        "board/3": ["b/proposal/2"],
    }
