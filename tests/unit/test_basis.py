"""A copy that waits is rendered again when anything that it says depends on has changed, and only then."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import Engine, func, select

from civicsync.connectors.contract.errors import CannotDo
from civicsync.connectors.contract.writing import Limits
from civicsync.core.clock import FakeClock
from civicsync.core.ledger.bases import PLAN_BASIS
from civicsync.core.ledger.ledger import SETTLED
from civicsync.core.ledger.marker import Signer
from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState, Reason
from civicsync.core.schema.tables import (
    AreaRow,
    AuthorRow,
    CategoryRow,
    InstanceRow,
    ProposalAreaRow,
    ProposalCategoryRow,
    ProposalTextRow,
    SpaceRow,
    table_of,
)
from civicsync.sync.publish import basis, planning
from civicsync.sync.publish.decisions import Action, Plan
from civicsync.sync.publish.intents import write_plan
from tests.support.ledger import Desk
from tests.support.writers import ScriptedWriter

K, W, P = OperationKind, OperationState, PublicationState
OWN = "a/proposal/1"
LIMITS = Limits(sends="plain", locales=("nl",))
TEMPLATE = "{{ title }} {{ state }} {{ author }} {{ reference }} {{ space }} {{ instance }} {{ created }}"


class Telling(ScriptedWriter):
    """Says what its `fit` goes by."""

    def __init__(self, by: object = (), **script: Any) -> None:
        super().__init__(**script)
        self.by = by

    def fits_by(self, space: str) -> object:
        if isinstance(self.by, BaseException):
            raise self.by
        return self.by


class Counting:
    """How often something was rendered."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.many = 0
        real = planning.render

        def render(*given: Any, **more: Any) -> Any:
            self.many += 1
            return real(*given, **more)

        monkeypatch.setattr(planning, "render", render)


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    made = Desk(sqlite, approval="required", title=TEMPLATE, author_names=True)
    made.origin(1, space_key="a/space/1", reference="R-1", latitude=52.0, longitude=4.0, address="Plein 1")
    rows: list[tuple[Any, dict[str, Any]]] = [
        (SpaceRow, {**_row("a/space/1"), "name": "Wijk"}),
        (CategoryRow, {**_row("a/category/1"), "name": "Groen"}),
        (CategoryRow, {**_row("a/category/2"), "name": "Grijs"}),
        (AreaRow, {**_row("a/area/1"), "name": "West"}),
        (ProposalCategoryRow, {"proposal_key": OWN, "category_key": "a/category/1"}),
        (AuthorRow, {"instance": "a", "pseudonym": "citizen", "name": "Jan"}),
        (InstanceRow, {"name": "a", "platform": "x", "url": "https://a.example", "title": "Stad"}),
    ]
    with sqlite.begin() as connection:
        for row_class, values in rows:
            connection.execute(table_of(row_class).insert().values(row_class(**values).model_dump()))
    return made


@pytest.fixture
def rendered(monkeypatch: pytest.MonkeyPatch) -> Counting:
    return Counting(monkeypatch)


def _row(own: str) -> dict[str, Any]:
    instance, kind, remote = own.split("/")
    now = FakeClock().now()
    return {
        "key": own,
        "instance": instance,
        "kind": kind,
        "remote_id": remote,
        "scope": "s",
        "first_seen_at": now,
        "changed_at": now,
    }


def _planned(desk: Desk, writer: Telling | ScriptedWriter | None = None, limits: Limits = LIMITS) -> Plan:
    return desk.planned(writer or Telling(), limits=limits)


def _run(desk: Desk, writer: Telling | ScriptedWriter | None = None, limits: Limits = LIMITS) -> Plan:
    """As much of a run as asks no platform."""
    plan = _planned(desk, writer, limits)
    write_plan(desk.ledger, desk.route, plan, first=False)
    desk.ledger.save_route(plan.route, fingerprint=plan.fingerprint, planned_at=plan.began)
    desk.clock.advance(900)
    return plan


def _update(desk: Desk, row_class: Any, **values: Any) -> None:
    with desk.engine.begin() as connection:
        connection.execute(table_of(row_class).update().values(values))


def test_while_nothing_changes_nothing_is_rendered(desk: Desk, rendered: Counting) -> None:
    assert [each.action for each in _run(desk).decisions] == [Action.CREATE]
    assert rendered.many == 1
    for _ in range(3):
        assert _run(desk).decisions == []
    assert rendered.many == 1


def test_both_databases_remember_and_forget_alike(engine: Engine, rendered: Counting) -> None:
    desk = Desk(engine, approval="required")
    desk.origin(1)
    desk.origin(2, "Anders.")
    for _ in range(2):
        _run(desk)
    assert (rendered.many, _remembered(desk)) == (2, 2)
    desk.rewrite(OWN, "Nieuw.")
    desk.change("a/proposal/2", gone_at=desk.clock.now())
    assert sorted(each.action for each in _run(desk).decisions) == [Action.CANCEL, Action.CREATE]
    assert (rendered.many, _remembered(desk)) == (3, 1)


def _linked(desk: Desk, row_class: Any, **values: Any) -> None:
    with desk.engine.begin() as connection:
        connection.execute(table_of(row_class).insert().values(values))


def _reworded(desk: Desk, **values: Any) -> None:
    _update(desk, ProposalTextRow, **values)


ORIGIN: dict[str, Callable[[Desk], None]] = {
    "text": lambda desk: desk.rewrite(OWN, "Anders."),
    "text, and no stamp that says so": lambda desk: _reworded(desk, html="<p>Anders.</p>", plain="Anders."),
    "title": lambda desk: _reworded(desk, title="Anders"),
    "language": lambda desk: _reworded(desk, locale="en"),
    "state": lambda desk: desk.change(OWN, state="accepted"),
    "author": lambda desk: desk.change(OWN, author="other"),
    "name of its author": lambda desk: _update(desk, AuthorRow, name="Piet"),
    "reference": lambda desk: desk.change(OWN, reference="R-2"),
    "address": lambda desk: desk.change(OWN, url="https://a.example/anders"),
    "when it was published": lambda desk: desk.change(OWN, published_at=desk.clock.now()),
    "place": lambda desk: desk.change(OWN, latitude=53.0),
    "words of its place": lambda desk: desk.change(OWN, address="Plein 2"),
    "name of its space": lambda desk: _update(desk, SpaceRow, name="Buurt"),
    "categories": lambda desk: _update(desk, ProposalCategoryRow, category_key="a/category/2"),
    "name of its category": lambda desk: _update(desk, CategoryRow, name="Blauw"),
    "areas": lambda desk: _linked(desk, ProposalAreaRow, proposal_key=OWN, area_key="a/area/1"),
    "name of its site": lambda desk: _update(desk, InstanceRow, title="Dorp"),
}
SAYS_ANOTHER_TEXT = set(ORIGIN) - {"categories", "name of its category", "areas"}


@pytest.mark.parametrize("what", ORIGIN)
def test_a_change_of_the_origin_is_rendered_once(desk: Desk, rendered: Counting, what: str) -> None:
    _run(desk)
    ORIGIN[what](desk)
    plan = _run(desk)
    assert rendered.many == 2
    assert [each.action for each in plan.decisions] == ([Action.CREATE] if what in SAYS_ANOTHER_TEXT else [])
    assert _run(desk).decisions == []
    assert rendered.many == 2


ROUTE: dict[str, dict[str, Any]] = {
    "title": {"title": "Van elders: {{ title }}"},
    "body": {"body": "<p>Van elders.</p>{{ body }}"},
    "attribution": {"attribution": "Van elders."},
    "licence": {"licence": "CC BY 4.0"},
    "language": {"language": ["nl", "en"]},
    "names": {"author_names": False},
    "categories": {"categories": {"Groen": "category/9"}},
}


@pytest.mark.parametrize("what", ROUTE)
def test_a_change_of_the_route_is_rendered_once(desk: Desk, rendered: Counting, what: str) -> None:
    _run(desk)
    desk.configure(**{"approval": "required", "title": TEMPLATE, "author_names": True, **ROUTE[what]})
    plan = _run(desk)
    assert rendered.many == 2
    assert [each.action for each in plan.decisions] == ([] if what == "language" else [Action.CREATE])
    _run(desk)
    assert rendered.many == 2


def test_a_change_of_what_the_target_takes_is_rendered_once(desk: Desk, rendered: Counting) -> None:
    _run(desk)
    for times, limits in enumerate((replace(LIMITS, title=(1, 20)), replace(LIMITS, locales=("nl", "en"))), 2):
        _run(desk, limits=limits)
        _run(desk, limits=limits)
        assert rendered.many == times


def test_a_change_of_what_a_writer_fits_by_is_rendered_once(desk: Desk, rendered: Counting) -> None:
    _run(desk, Telling({"release": "0.27"}))
    for _ in range(2):
        _run(desk, Telling({"release": "0.32"}))
    assert rendered.many == 2


@pytest.mark.parametrize("writer", [ScriptedWriter, lambda: Telling(CannotDo("no such space"))])
def test_a_writer_that_does_not_say_by_what_it_fits_is_asked_at_every_run(
    desk: Desk, rendered: Counting, writer: Callable[[], ScriptedWriter]
) -> None:
    for times in (1, 2, 3):
        _run(desk, writer())
        assert rendered.many == times


@pytest.mark.parametrize("what", ["settings", "rendering", "release", "key"])
def test_a_change_of_our_own_making_is_rendered_once(
    desk: Desk, rendered: Counting, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    _run(desk)
    match what:
        case "settings":
            new = desk.config.instances["b"].model_copy(update={"locales": ["nl"]})
            desk.config = desk.config.model_copy(update={"instances": {**desk.config.instances, "b": new}})
        case "rendering":
            monkeypatch.setattr(basis, "VERSION", basis.VERSION + 1)
        case "release":
            monkeypatch.setattr(basis, "version", lambda name: "99")
        case _:
            desk.signer = Signer("f" * 64)
    for _ in range(2):
        _run(desk)
    assert rendered.many == 2


def test_a_dry_run_remembers_nothing(desk: Desk, rendered: Counting) -> None:
    _run(desk, ScriptedWriter())
    for _ in range(2):
        assert _planned(desk).decisions == []
    assert rendered.many == 3
    assert _remembered(desk) == 0


def test_what_cannot_be_rendered_is_not_tried_again_before_something_changes(desk: Desk, rendered: Counting) -> None:
    narrow = replace(LIMITS, body=(0, 20))
    assert [each.reason for each in _run(desk, limits=narrow).decisions] == [Reason.NO_ROOM]
    assert _run(desk, limits=narrow).decisions == []
    assert rendered.many == 1
    [own] = desk.ledger.publications()
    desk.ledger.update_publication(own, event="reopened", state=P.RELEASED, **SETTLED)
    assert [each.reason for each in _run(desk, limits=narrow).decisions] == [Reason.NO_ROOM], (
        "a person asked: told again"
    )
    assert [each.action for each in _run(desk).decisions] == [Action.CREATE]


def test_what_the_platform_refused_is_not_rendered_again_until_a_person_lets_it_through(
    desk: Desk, rendered: Counting
) -> None:
    _run(desk)
    [op] = desk.ledger.operations()
    op = desk.ledger.move(op, W.APPROVED)
    assert op is not None
    op = desk.ledger.move(op, W.SENDING)
    assert op is not None
    desk.ledger.move(op, W.REFUSED, reason=Reason.CREATE_REFUSED, sentence="no")
    assert _run(desk).decisions == []
    assert rendered.many == 1
    [own] = desk.ledger.publications()
    desk.ledger.update_publication(own, event="reopened", state=P.RELEASED, **SETTLED)
    assert [each.why for each in _run(desk).decisions] == ["a person let it through"]


# The guards come first --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["gone", "withdrawn"])
def test_an_origin_that_went_cancels_what_waits(desk: Desk, rendered: Counting, lost: str) -> None:
    _run(desk)
    _run(desk)
    desk.change(OWN, **({"gone_at": desk.clock.now()} if lost == "gone" else {"state": "withdrawn"}))
    assert [each.action for each in _run(desk).decisions] == [Action.CANCEL]
    assert rendered.many == 1


@pytest.mark.parametrize("lost", ["gone", "withdrawn"])
def test_that_an_origin_went_is_asked_before_what_its_text_was_made_from(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    monkeypatch.setattr(basis.Digester, "of", lambda self, origin: "always the same")
    _run(desk)
    desk.change(OWN, **({"gone_at": desk.clock.now()} if lost == "gone" else {"state": "withdrawn"}))
    assert [each.action for each in _run(desk).decisions] == [Action.CANCEL]


def test_an_origin_that_is_back_is_wanted_again(desk: Desk) -> None:
    _run(desk)
    desk.change(OWN, gone_at=desk.clock.now())
    _run(desk)
    desk.change(OWN, gone_at=None)
    assert [each.action for each in _run(desk).decisions] == [Action.CREATE]


def test_a_text_that_carries_a_marker_by_now_waits_for_a_person(desk: Desk) -> None:
    _run(desk)
    desk.rewrite(OWN, "Anders. [civicsync:b/proposal/7~aaaaaaaaaaaaaaaa]")
    assert [each.reason for each in _run(desk).decisions] == [Reason.FOREIGN_MARKER]


def test_a_new_text_that_may_be_a_copy_being_made_is_judged_at_every_run(desk: Desk, rendered: Counting) -> None:
    """Nothing was decided of it: what was rendered must not make the next run believe so."""
    _run(desk)
    other = desk.publication(P.UNKNOWN, 3, target_instance="a")
    pending = desk.operation(other, K.CREATE, W.UNKNOWN, target_instance="a")
    _reworded(desk, title="Meer bomen 3")
    desk.change(OWN, title="Meer bomen 3")
    assert [each for each in _run(desk).decisions if each.origin == OWN] == []
    desk.ledger.move(pending, W.AWAITING_APPROVAL, reason=Reason.CANNOT_TELL)
    assert [each.action for each in _run(desk).decisions if each.origin == OWN] == [Action.CREATE]


def test_what_is_under_way_is_left_alone(desk: Desk) -> None:
    _run(desk)
    [op] = desk.ledger.operations()
    op = desk.ledger.move(op, W.APPROVED)
    assert op is not None
    desk.ledger.move(op, W.SENDING)
    desk.rewrite(OWN, "Anders.")
    assert _run(desk).decisions == []


# Copies that are there --------------------------------------------------------------------------------------------------


def _remembered(desk: Desk) -> int:
    with desk.engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(PLAN_BASIS)).scalar_one())


def test_what_was_sent_is_not_remembered_for_long(desk: Desk) -> None:
    _run(desk)
    assert _remembered(desk) == 1
    with desk.engine.begin() as connection:
        connection.execute(planning.PUBLICATION.update().values(state=P.SENT, copy_key="b/proposal/1", sent_hash="x"))
        connection.execute(planning.OPERATION.update().values(state=W.SENT, open_lane=None))
    desk.origin(2)
    _run(desk)
    assert _remembered(desk) == 1


def test_an_edit_that_waits_beside_a_copy_found_again_is_not_rendered_again(desk: Desk, rendered: Counting) -> None:
    desk.publication(P.SENT, 1, sent_hash=None, sent_payload=None, copy_print="other")
    assert [each.action for each in _run(desk).decisions] == [Action.EDIT]
    assert [op.state for op in desk.ledger.operations()] == [W.AWAITING_APPROVAL]
    for _ in range(2):
        assert _run(desk).decisions == []
    assert rendered.many == 1
    desk.rewrite(OWN, "Anders.")
    assert [each.action for each in _run(desk).decisions] == [Action.EDIT]


def test_a_copy_that_the_pull_saw_removed_is_told_though_its_edit_waits_unchanged(desk: Desk) -> None:
    desk.publication(P.SENT, 1, sent_hash=None, sent_payload=None, copy_print="other")
    _run(desk)
    _run(desk)
    desk.origin(1, instance="b", gone_at=desk.clock.now())
    assert [each.action for each in _run(desk).decisions] == [Action.GONE]


def test_many_that_wait_are_looked_at_in_parts_and_oldest_first(
    desk: Desk, rendered: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "_CHUNK", 2)
    for number in range(2, 6):
        desk.origin(number)
    _run(desk)
    assert _run(desk).decisions == []
    assert rendered.many == 5
    for number in (4, 2, 5):
        desk.rewrite(f"a/proposal/{number}", "Anders.")
    order = [own.origin_key for own in desk.ledger.publications()]
    decided = [each.origin for each in _planned(desk).decisions]
    assert sorted(decided) == ["a/proposal/2", "a/proposal/4", "a/proposal/5"]
    assert decided == [own for own in order if own in decided]
