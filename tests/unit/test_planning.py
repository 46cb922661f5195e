"""What a route would do about one proposal, for every way in which a proposal and its copy can stand."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine

from civicsync.connectors.contract.errors import CannotDo
from civicsync.connectors.contract.writing import Limits
from civicsync.core.ledger.ledger import Publication
from civicsync.core.ledger.states import OperationKind, OperationState, PublicationState, Reason
from civicsync.core.privacy import pseudonymiser
from civicsync.core.records import State
from civicsync.core.schema.tables import AuthorRow, table_of
from civicsync.sync.publish.decisions import Action, Decision
from civicsync.sync.render.render import draft_of, fingerprint
from tests.support.ledger import KEY, ROUTE, Desk
from tests.support.writers import ScriptedWriter

K, W, P = OperationKind, OperationState, PublicationState
UNDER_WAY = [W.SENDING, W.UNKNOWN]


@pytest.fixture
def desk(sqlite: Engine) -> Desk:
    return Desk(sqlite)


def copied(desk: Desk, state: PublicationState = P.SENT, **columns: Any) -> Publication:
    """A publication whose copy says what its origin (which is made, too) says."""
    desk.origin(1)
    [made] = desk.planned().of(Action.CREATE)
    there = {"sent_hash": made.payload_hash, "sent_payload": made.payload, **columns}
    return desk.publication(state, 1, **there)


def only(desk: Desk) -> Decision:
    [decision] = desk.planned().decisions
    return decision


# New copies -------------------------------------------------------------------------------------------------------------


def test_a_proposal_that_qualifies_is_made_with_its_exact_text_and_marker(desk: Desk) -> None:
    desk.origin(1)
    decision = only(desk)
    assert (decision.action, decision.origin, decision.marker) == (Action.CREATE, "a/proposal/1", desk.marker())
    text = draft_of(decision.payload or {}).main.plain
    assert "In de straat." in text
    assert "https://a.example/posts/1" in text
    assert desk.marker() in text


def test_no_more_is_planned_than_there_is_room_and_the_rest_is_counted(desk: Desk) -> None:
    for number in range(5):
        desk.origin(number)
    plan = desk.planned(room=2)
    assert (len(plan.of(Action.CREATE)), plan.waiting) == (2, 3)
    assert (desk.planned(room=0).decisions, desk.planned(room=0).waiting) == ([], 5)


def test_what_the_last_sweep_missed_is_not_published(desk: Desk) -> None:
    desk.origin(1, missing_runs=1)
    plan = desk.planned()
    assert plan.decisions == []
    assert plan.skipped == {"it was missing in the last sweep; the next one decides": 1}


def test_a_foreign_marker_is_held_for_a_person(desk: Desk) -> None:
    desk.origin(1, "tekst [civicsync:b/proposal/7~aaaaaaaaaaaaaaaa]")
    assert (only(desk).action, only(desk).reason) == (Action.HOLD, Reason.FOREIGN_MARKER)


def test_a_pending_write_is_not_published_back(desk: Desk) -> None:
    other = desk.publication(P.UNKNOWN, 3, target_instance="a")
    desk.operation(other, K.CREATE, W.UNKNOWN, target_instance="a")
    desk.origin(9, title="Meer bomen 3")
    assert [each for each in desk.planned().decisions if each.origin == "a/proposal/9"] == []


FOREIGN = "[civicsync:a/proposal/1~aaaaaaaaaaaaaaaa]"


@pytest.mark.parametrize("who", ["peer", "official", "ours"])
def test_a_copy_that_a_civicsync_we_know_made_is_not_made_twice(desk: Desk, who: str) -> None:
    desk.configure(peers={"provincie": {"accounts": {"b": ["official" if who == "official" else "77"]}}})
    desk.ledger.remember_account("b", "robot")
    author = {"peer": pseudonymiser(KEY, "b")("77"), "official": None, "ours": "robot"}[who]
    desk.origin(70, f"Van https://a.example/posts/1 {FOREIGN}", instance="b", title="Anders", author=author)
    desk.origin(1)
    assert (only(desk).action, only(desk).reason) == (Action.HOLD, Reason.TWIN)


def test_a_foreign_marker_of_whom_nobody_knows_is_told_and_holds_nothing(desk: Desk) -> None:
    """One post with hundreds of guessed addresses had every new proposal held."""
    addresses = " ".join(f"https://a.example/posts/{number}" for number in range(1, 395))
    desk.origin(70, f"{addresses} {FOREIGN}", instance="b", title="Meer bomen 1")
    for number in range(1, 6):
        desk.origin(number)
    plan = desk.planned()
    assert [each.action for each in plan.decisions] == [Action.CREATE] * 5
    assert "1 texts on b carry the marker of a civicsync that is not among `peers`, b/proposal/70" in plan.warnings[0]


def test_a_peers_marker_is_believed_for_the_one_address_before_it(desk: Desk) -> None:
    desk.configure(peers={"provincie": {"accounts": {"b": ["77"]}}})
    author = pseudonymiser(KEY, "b")("77")
    desk.origin(
        70, f"Zie https://a.example/posts/2. Van https://a.example/posts/1 {FOREIGN}", instance="b", author=author
    )
    for number in (1, 2):
        desk.origin(number)
    assert [each.action for each in desk.planned().decisions] == [Action.HOLD, Action.CREATE]


def test_a_marked_text_of_our_own_making_is_no_twin(desk: Desk) -> None:
    desk.origin(70, f"Van https://a.example/posts/1 {desk.marker()}", instance="b")
    desk.origin(1)
    assert only(desk).action is Action.CREATE


@pytest.mark.parametrize(
    ("limits", "reason"),
    [(Limits(body=(9000, 10_000)), Reason.TOO_SHORT), (Limits(body=(0, 20)), Reason.NO_ROOM)],
)
def test_what_does_not_fit_there_is_refused_and_told_why(desk: Desk, limits: Limits, reason: Reason) -> None:
    desk.origin(1)
    [decision] = desk.planned(limits=limits).decisions
    assert (decision.action, decision.reason) == (Action.REFUSE, reason)


def test_what_the_writer_cannot_take_is_refused_and_told_why(desk: Desk) -> None:
    desk.origin(1)
    [decision] = desk.planned(ScriptedWriter(fit=[CannotDo("closed")])).decisions
    assert (decision.action, decision.reason, decision.why) == (Action.REFUSE, Reason.TARGET_CANNOT, "closed")


# Copies that are on their way -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", UNDER_WAY)
@pytest.mark.parametrize("change", [{}, {"gone_reason": "hidden"}])
def test_nothing_is_decided_while_something_is_under_way(
    desk: Desk, state: OperationState, change: dict[str, str]
) -> None:
    own = desk.origin(1)
    desk.operation(desk.publication(P(state.value), 1), K.CREATE, state)
    desk.change(own, state="accepted", **({"gone_at": desk.clock.now(), **change} if change else {}))
    assert desk.planned().decisions == []


@pytest.mark.parametrize("lost", ["gone", "withdrawn"])
def test_a_create_whose_origin_went_is_cancelled(desk: Desk, lost: str) -> None:
    own = desk.origin(1)
    desk.operation(desk.publication(P.APPROVED, 1))
    desk.change(own, **({"gone_at": desk.clock.now()} if lost == "gone" else {"state": "withdrawn"}))
    reason = Reason.ORIGIN_GONE if lost == "gone" else Reason.ORIGIN_WITHDRAWN
    assert (only(desk).action, only(desk).reason) == (Action.CANCEL, reason)


@pytest.mark.parametrize("state", [P.CANCELLED, P.REFUSED, P.HELD, P.REJECTED])
def test_what_rests_without_a_copy_is_not_cancelled_again(desk: Desk, state: PublicationState) -> None:
    desk.origin(1, gone_at=desk.clock.now())
    desk.publication(state, 1)
    assert desk.planned().decisions == []


@pytest.mark.parametrize("state", [P.HELD, P.REJECTED])
def test_what_is_held_or_rejected_is_not_made_by_itself(desk: Desk, state: PublicationState) -> None:
    desk.origin(1)
    desk.publication(state, 1)
    assert desk.planned().decisions == []


def test_what_was_cancelled_is_made_when_its_origin_is_back(desk: Desk) -> None:
    desk.origin(1)
    desk.publication(P.CANCELLED, 1)
    assert only(desk).action is Action.CREATE


def test_a_waiting_create_follows_its_text_and_is_left_alone_otherwise(desk: Desk) -> None:
    own = desk.origin(1)
    [made] = desk.planned().decisions
    desk.operation(desk.publication(P.APPROVED, 1), payload_hash=made.payload_hash)
    assert desk.planned().decisions == []
    desk.rewrite(own, "Anders.")
    assert (only(desk).action, only(desk).why) == (Action.CREATE, "the origin changed before the copy was made")


def test_a_refused_text_is_not_tried_again_before_it_changed(desk: Desk) -> None:
    own = desk.origin(1)
    [made] = desk.planned().decisions
    desk.operation(desk.publication(P.REFUSED, 1), K.CREATE, W.REFUSED, payload_hash=made.payload_hash)
    assert desk.planned().decisions == []
    desk.rewrite(own, "Anders.")
    assert only(desk).action is Action.CREATE


def test_what_a_person_let_through_is_made(desk: Desk) -> None:
    desk.origin(1)
    desk.publication(P.RELEASED, 1)
    assert (only(desk).action, only(desk).why) == (Action.CREATE, "a person let it through")


# Copies that exist ------------------------------------------------------------------------------------------------------


def test_a_copy_that_says_what_its_origin_says_is_left_alone(desk: Desk) -> None:
    copied(desk)
    assert desk.planned().decisions == []


def test_an_edit_follows_the_origin(desk: Desk) -> None:
    own = copied(desk)
    desk.rewrite(own.origin_key, "Anders.")
    assert (only(desk).action, only(desk).why) == (Action.EDIT, "the origin changed")
    desk.configure(follow={"edits": False})
    assert desk.planned().decisions == []


def test_a_refused_edit_is_not_tried_at_every_run(desk: Desk) -> None:
    own = copied(desk)
    desk.rewrite(own.origin_key, "Anders.")
    edit = only(desk)
    desk.operation(own, K.EDIT, W.REFUSED, payload_hash=edit.payload_hash)
    desk.ledger.update_publication(own, event="x", reason_code=Reason.EDIT_REFUSED)
    assert desk.planned().decisions == []
    desk.rewrite(own.origin_key, "Nog anders.")
    assert only(desk).action is Action.EDIT


def test_an_edit_that_is_not_wanted_any_more_is_cancelled(desk: Desk) -> None:
    own = copied(desk)
    desk.operation(own, K.EDIT, payload_hash="another text")
    assert (only(desk).action, only(desk).reason) == (Action.CANCEL, Reason.SAYS_SO_ALREADY)


@pytest.mark.parametrize(("lost", "reason"), [("gone", Reason.ORIGIN_GONE), ("withdrawn", Reason.ORIGIN_WITHDRAWN)])
def test_a_lost_origin_takes_its_copy_with_it(desk: Desk, lost: str, reason: Reason) -> None:
    own = copied(desk)
    change = {"gone_at": desk.clock.now()} if lost == "gone" else {"state": State.WITHDRAWN.value}
    desk.change(own.origin_key, **change)
    assert (only(desk).action, only(desk).reason) == (Action.WITHDRAW, reason)
    desk.operation(own, K.WITHDRAW)
    assert desk.planned().decisions == [], "it is on its way"


def test_a_lost_origin_is_only_flagged_or_ignored_where_the_route_says_so(desk: Desk) -> None:
    own = copied(desk)
    desk.change(own.origin_key, gone_at=desk.clock.now())
    desk.configure(follow={"withdrawals": "ignore"})
    assert desk.planned().decisions == []
    desk.configure(follow={"withdrawals": "flag"})
    assert only(desk).action is Action.FLAG
    desk.ledger.update_publication(own, event="x", reason_code=Reason.ORIGIN_GONE)
    assert desk.planned().decisions == [], "told once"


def test_nothing_is_concluded_from_an_origin_that_this_database_does_not_know(desk: Desk) -> None:
    desk.publication(P.SENT, 1)
    assert desk.planned().decisions == []


def test_a_withdrawal_is_cancelled_when_its_origin_is_back(desk: Desk) -> None:
    own = copied(desk)
    desk.operation(own, K.WITHDRAW)
    assert (only(desk).action, only(desk).reason) == (Action.CANCEL, Reason.ORIGIN_BACK)


def test_a_copy_that_was_taken_back_is_not_made_again_by_itself(desk: Desk) -> None:
    own = copied(desk, P.WITHDRAWN)
    assert (only(desk).action, only(desk).reason) == (Action.FLAG, Reason.ORIGIN_BACK)
    desk.ledger.update_publication(own, event="x", reason_code=Reason.ORIGIN_BACK)
    assert desk.planned().decisions == [], "told once"


@pytest.mark.parametrize("state", [P.GONE, P.STUCK])
def test_a_copy_that_people_removed_or_kept_is_left_alone(desk: Desk, state: PublicationState) -> None:
    own = copied(desk, state)
    desk.rewrite(own.origin_key, "Anders.")
    assert desk.planned().decisions == []


def test_a_copy_that_the_pull_saw_removed_is_told_and_not_edited(desk: Desk) -> None:
    own = copied(desk)
    desk.origin(1, f"x {desk.marker()}", instance="b", gone_at=desk.clock.now())
    desk.rewrite(own.origin_key, "Anders.")
    assert (only(desk).action, only(desk).reason) == (Action.GONE, Reason.COPY_GONE)


def test_a_copy_that_is_gone_is_there_again_only_when_a_later_pull_saw_it(desk: Desk) -> None:
    desk.origin(1, "x", instance="b")
    desk.clock.advance(60)
    copied(desk, P.GONE)
    assert desk.planned().decisions == []
    desk.clock.advance(60)
    desk.change("b/proposal/1")
    assert only(desk).action is Action.RETURNED


def test_a_copy_found_again_that_says_the_same_is_only_confirmed(desk: Desk) -> None:
    own = copied(desk)
    main = draft_of(own.sent_payload or {}).main
    print_of_it = fingerprint(main.title, main.plain)
    desk.ledger.update_publication(own, event="x", sent_hash=None, copy_print=print_of_it)
    assert only(desk).action is Action.CONFIRM


def test_a_copy_found_again_that_says_something_else_is_told_so(desk: Desk) -> None:
    own = copied(desk)
    desk.ledger.update_publication(own, event="x", sent_hash=None, copy_print="another")
    assert (only(desk).action, only(desk).why) == (
        Action.EDIT,
        "it was found again and says something else than its origin",
    )


# What is looked at again ------------------------------------------------------------------------------------------------


def test_what_changed_since_the_last_plan_is_looked_at_again_and_nothing_else(desk: Desk) -> None:
    own = copied(desk)
    desk.rewrite(own.origin_key, "Anders.")
    desk.clock.advance(3600)
    plan = desk.planned()
    desk.ledger.save_route(ROUTE, fingerprint=plan.fingerprint, planned_at=desk.clock.now())
    assert desk.planned().decisions == [], "known since the last plan"
    desk.clock.advance(60)
    desk.change(own.origin_key)
    assert only(desk).action is Action.EDIT
    desk.configure(licence="CC BY 4.0")
    assert only(desk).action is Action.EDIT, "another route is another text"


def test_a_change_that_was_stamped_before_the_plan_and_committed_after_it_is_looked_at(desk: Desk) -> None:
    own = copied(desk)
    desk.clock.advance(3600)
    desk.rewrite(own.origin_key, "Anders.")
    desk.clock.advance(300)
    desk.ledger.save_route(ROUTE, fingerprint=desk.planned().fingerprint, planned_at=desk.clock.now())
    assert only(desk).action is Action.EDIT


@pytest.mark.parametrize("where", ["a/proposal/1", "b/proposal/1"])
def test_what_went_since_the_last_plan_is_looked_at(desk: Desk, where: str) -> None:
    copied(desk)
    desk.origin(1, "x", instance="b")
    desk.clock.advance(3600)
    desk.ledger.save_route(ROUTE, fingerprint=desk.planned().fingerprint, planned_at=desk.clock.now())
    desk.clock.advance(3600)
    with desk.engine.begin() as connection:
        connection.exec_driver_sql(
            "UPDATE proposal SET gone_at = ? WHERE key = ?", (desk.clock.now().isoformat(" ")[:26], where)
        )
    assert only(desk).action in {Action.WITHDRAW, Action.GONE}


# Answers ----------------------------------------------------------------------------------------------------------------


def test_an_answer_is_told_at_the_copy_once(desk: Desk) -> None:
    own = copied(desk)
    desk.answered(own.origin_key)
    decision = only(desk)
    assert (decision.action, decision.publication) == (Action.ANSWER, own)
    op = desk.operation(own, K.ANSWER, payload_hash=decision.payload_hash)
    assert desk.planned().decisions == [], "it waits already"
    for state in (W.SENDING, W.SENT):
        op = desk.ledger.move(op, state) or op
        assert desk.planned().decisions == []


@pytest.mark.parametrize("state", UNDER_WAY)
def test_another_answer_waits_for_the_one_under_way(desk: Desk, state: OperationState) -> None:
    own = copied(desk)
    desk.answered(own.origin_key)
    desk.operation(own, K.ANSWER, state, payload_hash="an older answer")
    assert desk.planned().decisions == []


@pytest.mark.parametrize("state", [P.WITHDRAWN, P.GONE, P.STUCK])
def test_a_copy_that_does_not_stand_gets_no_answer(desk: Desk, state: PublicationState) -> None:
    own = copied(desk, state)
    desk.answered(own.origin_key)
    assert desk.planned().of(Action.ANSWER) == []


def test_an_answer_at_the_copy_goes_back_only_where_the_route_says_so(desk: Desk) -> None:
    copied(desk)
    desk.origin(1, "x", instance="b")
    desk.answered("b/proposal/1")
    assert desk.planned().decisions == []
    desk.configure(follow={"answers_to_origin": True})
    assert [each.action for each in desk.planned().decisions] == [Action.ANSWER_BACK]


def test_an_answer_does_not_go_back_to_where_it_came_from(desk: Desk) -> None:
    desk.configure(follow={"answers_to_origin": True})
    copied(desk)
    desk.origin(1, "x", instance="b")
    came = str(desk.signer.marker("a/answer/1-1", "b", "board/1"))
    desk.answered("b/proposal/1", f"Dit doen we. {came}")
    assert desk.planned().decisions == []


def test_old_enough_is_decided_by_the_clock_that_is_given(desk: Desk) -> None:
    desk.configure(where={"older_than": "2h"})
    desk.origin(1)
    assert desk.planned().decisions == []
    desk.clock.advance(timedelta(hours=1).total_seconds())
    assert only(desk).action is Action.CREATE


# What goes into the text ------------------------------------------------------------------------------------------------


def text_of(desk: Desk) -> str:
    return draft_of(only(desk).payload or {}).main.html


def test_html_that_a_citizen_typed_is_sanitised_again_on_its_way_out(desk: Desk) -> None:
    """However it came into the database."""
    desk.origin(1, "Dag. <script>alert(1)</script><img src=x onerror=alert(1)>")
    assert "script" not in text_of(desk)
    assert "onerror" not in text_of(desk)


def test_what_a_citizen_typed_is_text_in_a_template(desk: Desk) -> None:
    desk.configure(body="<p>{{ title }}</p>{{ body }}")
    desk.origin(1, title="Kijk <a href='https://evil.example'>hier</a>")
    assert "<a " not in text_of(desk).partition("In de straat")[0]


def test_an_author_is_named_only_where_the_route_says_so(desk: Desk) -> None:
    desk.origin(1)
    named = AuthorRow(instance="a", pseudonym="citizen", name="Jan Jansen").model_dump()
    with desk.engine.begin() as connection:
        connection.execute(table_of(AuthorRow).insert().values(named))
    assert "Jansen" not in str(only(desk).payload)
    desk.configure(author_names=True)
    assert "Jan Jansen" in text_of(desk)


def test_what_goes_while_it_is_being_taken_back_went_by_that(desk: Desk) -> None:
    """The platform did it and answered that it did not; then a pull saw the copy gone."""
    own = copied(desk)
    desk.operation(own, K.WITHDRAW)
    desk.change(own.origin_key, gone_at=desk.clock.now())
    desk.origin(1, "x", instance="b")
    desk.change("b/proposal/1", gone_at=desk.clock.now())
    assert desk.planned().of(Action.GONE) == []


# What the route does not want any more ----------------------------------------------------------------------------------


def _waits(desk: Desk, kind: OperationKind, **columns: Any) -> Publication:
    own = copied(desk)
    if kind is K.WITHDRAW:
        desk.change(own.origin_key, gone_at=desk.clock.now())
    else:
        desk.rewrite(own.origin_key, "Anders.")
    desk.operation(own, kind, columns.pop("state", W.APPROVED), **columns)
    return own


_NOT_FOLLOWED = [
    (K.WITHDRAW, {"withdrawals": "flag"}, Action.FLAG, Reason.ORIGIN_GONE),
    (K.WITHDRAW, {"withdrawals": "ignore"}, Action.CANCEL, Reason.NOT_WANTED),
    (K.EDIT, {"edits": False}, Action.CANCEL, Reason.NOT_WANTED),
]


@pytest.mark.parametrize("state", [W.PLANNED, W.AWAITING_APPROVAL, W.APPROVED])
@pytest.mark.parametrize(("kind", "follow", "action", "reason"), _NOT_FOLLOWED)
def test_what_waits_and_the_route_does_not_want_any_more_is_cancelled(
    desk: Desk, kind: OperationKind, follow: dict[str, Any], action: Action, reason: Reason, state: OperationState
) -> None:
    _waits(desk, kind, state=state)
    desk.configure(follow=follow)
    decision = only(desk)
    assert (decision.action, decision.reason) == (action, reason)


@pytest.mark.parametrize(("kind", "follow", "action", "reason"), _NOT_FOLLOWED)
@pytest.mark.parametrize("columns", [{"decided_by": "ann"}, {"state": W.SENDING}, {"state": W.UNKNOWN}])
def test_what_a_person_approved_goes_out_whatever_the_route_says_now(
    desk: Desk,
    kind: OperationKind,
    follow: dict[str, Any],
    action: Action,
    reason: Reason,
    columns: dict[str, Any],
) -> None:
    """And what became of what is under way must be known first."""
    _waits(desk, kind, **columns)
    desk.configure(follow=follow)
    assert desk.planned().decisions == []


@pytest.mark.parametrize("narrowed", [{"where": {"text": "fietsen"}}, {"max_age": "30m"}])
def test_a_text_that_waits_and_does_not_qualify_any_more_is_cancelled(desk: Desk, narrowed: dict[str, Any]) -> None:
    desk.origin(1)
    own = desk.publication(P.APPROVED)
    desk.operation(own)
    desk.configure(**narrowed)
    assert (only(desk).action, only(desk).reason) == (Action.CANCEL, Reason.NOT_WANTED)


@pytest.mark.parametrize("state", [P.CANCELLED, P.REFUSED])
def test_what_was_cancelled_as_not_wanted_is_made_when_it_is_wanted_again(desk: Desk, state: PublicationState) -> None:
    desk.origin(1)
    desk.publication(state)
    desk.configure(where={"text": "fietsen"})
    assert desk.planned().decisions == []
    desk.configure(where={"text": "bomen"})
    assert only(desk).action is Action.CREATE


@pytest.mark.parametrize("columns", [{"decided_by": "ann"}, {"first_sent_at": "now"}, {}])
def test_a_text_that_a_person_let_through_or_that_went_out_once_stays_wanted(
    desk: Desk, columns: dict[str, Any]
) -> None:
    desk.origin(1)
    own = desk.publication(P.APPROVED)
    desk.operation(own, **({"first_sent_at": desk.clock.now()} if "first_sent_at" in columns else columns))
    if not columns:
        desk.ledger.update_publication(own, event="approved", detail="by ann")
    desk.configure(where={"text": "fietsen"})
    assert desk.planned().of(Action.CANCEL) == []


def test_waiting_makes_no_text_too_old(desk: Desk) -> None:
    desk.configure(max_age="2h")
    desk.origin(1)
    desk.operation(desk.publication(P.APPROVED))
    desk.clock.advance(7200)
    assert desk.planned().of(Action.CANCEL) == []
