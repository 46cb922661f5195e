"""Which proposals a route wants: only originals, only what is there, only what has no publication in its target yet."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.core.ledger.states import PublicationState
from civicsync.core.records import State
from civicsync.core.schema.tables import (
    CategoryRow,
    ProposalCategoryRow,
    ProposalTextRow,
    SpaceRow,
    table_of,
)
from civicsync.sync.origins import load_origins, marked_texts, new_origins, newest_answers, seen_copies, within
from tests.support.ledger import Desk

P = PublicationState


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def wanted(desk: Desk, ours: Iterable[str] = ()) -> list[str]:
    return new_origins(desk.engine, desk.route, desk.clock.now(), ours)


def put(desk: Desk, row_class: Any, **values: Any) -> None:
    with desk.engine.begin() as connection:
        connection.execute(table_of(row_class).insert().values(row_class(**values).model_dump()))


def test_what_a_route_wants_comes_oldest_first(desk: Desk) -> None:
    for number, hours in ((1, 1), (2, 3), (3, 2)):
        desk.origin(number, published_at=desk.clock.now() - timedelta(hours=hours))
    desk.origin(4, instance="b")
    assert wanted(desk) == ["a/proposal/2", "a/proposal/3", "a/proposal/1"]


def test_a_copy_of_ours_is_known_by_its_key_and_never_published(desk: Desk) -> None:
    own = desk.origin(1)
    desk.publication(P.SENT, 99, target_instance="a", copy_key=own)
    assert wanted(desk) == []


def test_what_our_own_account_wrote_is_never_published(desk: Desk) -> None:
    desk.origin(1, author="robot")
    official = desk.origin(2, author=None)
    citizen = desk.origin(3)
    assert wanted(desk, ["robot", "robot-before"]) == [official, citizen]


def test_what_has_a_publication_in_its_target_is_not_made_again(desk: Desk) -> None:
    for number, state in enumerate(P, start=1):
        desk.origin(number)
        desk.publication(state, number)
    assert wanted(desk) == []


def test_what_went_elsewhere_is_still_wanted_here(desk: Desk) -> None:
    own = desk.origin(1)
    desk.publication(P.SENT, 1, target_space="board/2")
    assert wanted(desk) == [own]


def test_what_is_gone_or_withdrawn_is_never_published(desk: Desk) -> None:
    desk.origin(1, gone_at=desk.clock.now())
    desk.origin(2, state=State.WITHDRAWN.value)
    assert wanted(desk) == []


def test_older_than_a_maximum_age_is_never_published(desk: Desk) -> None:
    desk.configure(max_age="2d")
    desk.origin(1, published_at=desk.clock.now() - timedelta(days=3))
    young = desk.origin(2, published_at=None, created_at=desk.clock.now() - timedelta(days=1))
    assert wanted(desk) == [young]


@pytest.mark.parametrize(
    ("where", "columns"),
    [
        ({"state": "accepted"}, {"state": "accepted"}),
        ({"min_supports": 5}, {"supports": 5}),
        ({"older_than": "1d"}, {"days": 2}),
        ({"text": "PARKEER"}, {"body": "Een parkeerplaats."}),
        ({"kind": "debate"}, {"kind": "debate"}),
    ],
)
def test_a_condition_lets_through_what_it_names_and_nothing_else(
    desk: Desk, where: dict[str, Any], columns: dict[str, Any]
) -> None:
    desk.configure(where=where)
    days = columns.pop("days", None)
    if days:
        columns["published_at"] = desk.clock.now() - timedelta(days=days)
    desk.origin(1)
    named = desk.origin(2, **columns)
    assert wanted(desk) == [named]


def test_younger_than_keeps_old_texts_out(desk: Desk) -> None:
    desk.configure(where={"younger_than": "1d"})
    desk.origin(1, published_at=desk.clock.now() - timedelta(days=2))
    young = desk.origin(2)
    assert wanted(desk) == [young]


def test_a_machine_translation_is_no_text_in_that_language(desk: Desk) -> None:
    desk.configure(where={"language": "en"})
    own = desk.origin(1)
    put(desk, ProposalTextRow, proposal_key=own, locale="en", machine=True, title="More trees", html="", plain="")
    assert wanted(desk) == []


def test_a_category_is_named_by_its_reference_or_its_name(desk: Desk) -> None:
    own = desk.origin(1)
    desk.origin(2)
    put(desk, CategoryRow, key="a/category/3", instance="a", kind="category", remote_id="3", name="Groen", names={})
    put(desk, ProposalCategoryRow, proposal_key=own, category_key="a/category/3")
    for name in ("Groen", "category/3"):
        desk.configure(where={"category": name})
        assert wanted(desk) == [own]


def test_a_space_is_everything_in_it_even_in_a_circle(desk: Desk) -> None:
    for number, parent in ((1, 3), (2, 1), (3, 2), (4, None)):
        key = f"a/board/{parent}" if parent else None
        space = {"key": f"a/board/{number}", "instance": "a", "kind": "board", "remote_id": str(number)}
        put(desk, SpaceRow, **space, parent_key=key, names={})
    with desk.engine.connect() as connection:
        assert set(within(connection, "a", "board/1")) == {"a/board/1", "a/board/2", "a/board/3"}


def test_an_origin_is_loaded_with_what_people_wrote_apart_from_machine_translations(desk: Desk) -> None:
    own = desk.origin(1)
    put(desk, ProposalTextRow, proposal_key=own, locale="en", machine=True, title="More trees", html="", plain="")
    origin = load_origins(desk.engine, [own, "a/proposal/99"])[own]
    assert [text.locale for text in origin.texts] == ["nl", "en"]
    assert [text.locale for text in origin.originals] == ["nl"]


def test_only_pulled_copies_were_seen(desk: Desk) -> None:
    copy = desk.origin(7, instance="b", gone_at=desk.clock.now())
    assert set(seen_copies(desk.engine, [copy, "b/proposal/8"])) == {copy}
    assert seen_copies(desk.engine, [copy])[copy].gone_at == desk.clock.now()


def test_the_newest_answer_is_told_and_one_that_is_gone_is_not(desk: Desk) -> None:
    own = desk.origin(1)
    desk.answered(own)
    answer = newest_answers(desk.engine, [own])[own]
    assert (answer.state, answer.texts[0].plain) == (State.ACCEPTED, "Dit doen we.")
    with desk.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE answer SET gone_at = answered_at")
    assert newest_answers(desk.engine, [own]) == {}


def test_marked_texts_are_those_that_are_no_copies_of_ours_and_still_there(desk: Desk) -> None:
    foreign = desk.origin(1, f"tekst {desk.marker()}", instance="b")
    ours = desk.origin(2, f"tekst {desk.marker()}", instance="b")
    desk.origin(3, f"tekst {desk.marker()}", instance="b", gone_at=desk.clock.now())
    desk.origin(4, "tekst", instance="b")
    desk.publication(P.SENT, 2, copy_key=ours)
    assert [each.key for each in marked_texts(desk.engine, "b")] == [foreign]
